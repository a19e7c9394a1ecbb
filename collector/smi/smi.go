// Package smi calls nvidia-smi for all GPUs of a host, at a pace that the driver bears, and never for a GPU that it would
// wake. What its output means is in collector/nvml; who the GPUs are and which of them sleep is told by whoever calls it:
// collector/nvidia on Linux, collector/windows.
package smi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/worker"
)

// Times set the pace of calls.
type Times struct {
	Shortest, Longest time.Duration       // between the beginnings of two calls
	First, Call       time.Duration       // what the first call may take, and each after it
	Rest              collector.RestTimes // of GPUs that may sleep
}

// Usual are the Times outside tests: a call may start the driver up and down, which takes 50 ms to 6 s of the kernel's own
// time (nvidia.md 4.1).
var Usual = Times{
	Shortest: 5 * time.Second, Longest: time.Minute, First: FirstAnswer, Call: 10 * time.Second,
	Rest: collector.UsualRest,
}

// FirstAnswer is how long the first call may take: it starts the driver, one GPU after the other.
const FirstAnswer = 30 * time.Second

const (
	slowCalls  = 3  // in a row, until they become rarer
	quickCalls = 10 // in a row, until they become more frequent again
)

// Power is what runtime power management says of a GPU.
type Power uint8

// The values of Power.
const (
	Awake  Power = iota // and stays so
	Active              // may be suspended when it is idle
	Asleep              // or about to be, or may be
)

// Options say for whom a Caller calls.
type Options struct {
	Interval time.Duration // between two calls, at least that of Times
	// Power is asked before each call, of each GPU; it must wake none.
	Power func(gpu string) Power
	// ByName names the GPUs in each call, also where all that are known may be asked about: there may be more.
	ByName bool
	Env    []string // all that nvidia-smi gets
	Log    *slog.Logger
	// Restarted is told of each call that had to be ended, from any goroutine.
	Restarted func(reason collector.RestartReason)
}

// Caller calls nvidia-smi for all GPUs, when one of them is read and the last call is long enough ago. It has no goroutine
// but that of the call that runs, so that nothing is left of it when nobody reads.
type Caller struct {
	o      Options
	times  Times
	runner worker.Runner

	mu       sync.Mutex
	path     string
	gpus     []string
	rests    map[string]*collector.Rest // by GPU, of those that may sleep
	readers  int                        // the last one ends the call that runs
	interval time.Duration
	began    time.Time     // of the last call
	running  chan struct{} // closed when the call ends; nil: none runs
	cancel   context.CancelFunc
	last     Result
	seq      uint64
	names    nvml.Names
	rename   bool // names are as old as the last rescan
	slow     int  // calls in a row that were
	quick    int
	told     bool // that persistence mode makes calls cheap
	failing  bool
}

// Result is what came of the last call.
type Result struct {
	Seq   uint64 // counts the calls that ended; 0: none has
	At    time.Time
	Doc   *nvml.Document // nil: there is none
	Names nvml.Names
	Err   error // why there is no document
	Late  bool  // because the call did not end
	// Silent: the driver is not loaded, or has no GPU. That is no fault of nvidia-smi.
	Silent bool

	asked map[string]bool // the GPUs that the call was for; nil: all
}

// About says whether the call was for a GPU too.
func (r Result) About(gpu string) bool { return r.asked == nil || r.asked[gpu] }

// Old says that what the call said is older than it may be when it is shown.
func (r Result) Old(good time.Duration) bool { return time.Since(r.At) > good }

// Hides says that a document of all GPUs lacks one, and that the driver does not count it either: it is kept from this
// container.
func (r Result) Hides(gpu string) bool {
	return r.Doc != nil && r.asked == nil && r.Doc.Attached <= len(r.Doc.Cards) && r.Doc.Find(gpu) == nil
}

// New returns a Caller that calls nothing yet.
func New(o Options, t Times) *Caller {
	c := &Caller{o: o, times: t, interval: max(o.Interval, t.Shortest), rests: map[string]*collector.Rest{}}
	c.runner.Stuck = func() { o.Restarted(collector.RestartStuck) }
	return c
}

// Serve tells what a rescan found: nvidia-smi, and the GPUs that it may be asked about. No GPUs: none are known before it
// was called.
func (c *Caller) Serve(path string, gpus []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.path, c.gpus, c.rename = path, gpus, true
}

// For names other GPUs that it may be asked about, between two rescans.
func (c *Caller) For(gpus []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gpus = gpus
}

// Open and Close count who reads: the last one that closes ends the call that runs.
func (c *Caller) Open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readers++
}

// Close is the end of what Open began.
func (c *Caller) Close() {
	c.mu.Lock()
	c.readers--
	last := c.readers <= 0
	c.mu.Unlock()
	if last {
		c.End()
	}
}

// End ends the call that runs, whoever waits for it, and returns when it has ended: a program that it has started must not
// outlive this one.
func (c *Caller) End() {
	c.mu.Lock()
	running := c.running
	if running == nil {
		c.mu.Unlock()
		return
	}
	c.cancel()
	c.mu.Unlock()
	<-running // it is killed at once
}

// mayAsk says whether a call may touch a GPU now.
func (c *Caller) mayAsk(gpu string, now time.Time) bool {
	switch c.o.Power(gpu) {
	case Awake:
		delete(c.rests, gpu)
		return true
	case Active:
		if c.rests[gpu] == nil {
			c.rests[gpu] = &collector.Rest{}
		}
		return !c.rests[gpu].Holds(now)
	}
	delete(c.rests, gpu)
	return false
}

// Sleeps ends the pause that a GPU was given to fall asleep: it has, and is read when it wakes.
func (c *Caller) Sleeps(gpu string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.rests, gpu)
}

// Latest is the last result, and how old it may be when it is shown; it starts a call if one is due. The first one is
// waited for.
func (c *Caller) Latest(ctx context.Context) (r Result, good time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ask(time.Now())
	if c.last.Seq == 0 {
		c.wait(ctx)
	}
	return c.last, 3*c.interval + c.times.Call
}

// wait waits for the end of the call that runs, but gives up in time to answer before ctx ends. The lock is let go
// meanwhile.
func (c *Caller) wait(ctx context.Context) {
	running := c.running
	if running == nil {
		return
	}
	c.mu.Unlock()
	defer c.mu.Lock()
	patience := time.Minute
	if end, limited := ctx.Deadline(); limited {
		patience = time.Until(end) * 9 / 10
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-running:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ask starts a call if one is due, and there is a GPU that it would not wake.
func (c *Caller) ask(now time.Time) {
	if c.running != nil || c.path == "" || !c.began.IsZero() && now.Sub(c.began) < c.interval {
		return
	}
	args := []string{"-q", "-x"}
	asked := map[string]bool{}
	for _, gpu := range c.gpus {
		if c.mayAsk(gpu, now) {
			asked[gpu] = true
		}
	}
	switch {
	case len(asked) == len(c.gpus) && (!c.o.ByName || len(c.gpus) == 0):
		asked = nil
	case len(asked) == 0:
		return
	default: // it would wake the others, or keep them awake
		args = append(args, "-i", strings.Join(slices.Sorted(maps.Keys(asked)), ","))
	}
	deadline := c.times.Call
	if c.seq == 0 {
		deadline = c.times.First
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	c.began, c.running, c.cancel = now, make(chan struct{}), cancel
	go func(path string, rename bool, ended chan struct{}) {
		defer cancel()
		r := c.call(ctx, path, args, asked)
		var names nvml.Names
		if r.Doc != nil && asked == nil && rename && partitioned(r.Doc) {
			names = c.list(ctx, path)
		}
		c.end(r, names, now)
		close(ended)
	}(c.path, c.rename, c.running)
}

// end takes what came of a call.
func (c *Caller) end(r Result, names nvml.Names, began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.cancel = nil, nil
	if errors.Is(r.Err, context.Canceled) { // nobody wanted the answer any more
		c.began = time.Time{}
		return
	}
	if names != nil {
		c.names, c.rename = names, false
	}
	c.seq++
	r.Seq, r.At, r.Names = c.seq, time.Now(), c.names
	c.last = r
	for gpu, p := range c.rests {
		if r.Doc != nil && r.About(gpu) {
			card := r.Doc.Find(gpu)
			p.Observe(r.At, card != nil && card.Idle(), c.times.Rest)
		}
	}
	c.pace(r.At.Sub(began))
	c.log()
}

// pace makes calls rarer that take long: they cost the machine as much.
func (c *Caller) pace(took time.Duration) {
	base := max(c.o.Interval, c.times.Shortest)
	if took > c.interval/2 {
		c.slow, c.quick = c.slow+1, 0
	} else {
		c.slow, c.quick = 0, c.quick+1
	}
	was := c.interval
	switch {
	case c.slow >= slowCalls:
		c.interval, c.slow = max(base, min(2*c.interval, c.times.Longest)), 0
	case c.quick >= quickCalls:
		c.interval, c.quick = max(base, c.interval/2), 0
	}
	if c.interval != was {
		c.o.Log.Info("another pace of nvidia-smi", "interval", c.interval, "was", was, "took", took)
	}
}

// log tells when calls begin to fail and when they cease to.
func (c *Caller) log() {
	switch {
	case c.last.Err != nil && !c.failing && !c.last.Silent:
		c.o.Log.Warn("nvidia-smi fails", "path", c.path, "err", c.last.Err)
	case c.last.Err == nil && c.failing:
		c.o.Log.Info("nvidia-smi works again", "path", c.path)
	}
	c.failing = c.last.Err != nil && !c.last.Silent
	if c.last.Doc == nil || c.told {
		return
	}
	for _, card := range c.last.Doc.Cards {
		if card.Persistence() == "disabled" {
			c.told = true
			c.o.Log.Info("each call of nvidia-smi starts the driver up and down: persistence mode (nvidia-persistenced) makes it cheap")
			return
		}
	}
}

func partitioned(d *nvml.Document) bool {
	for _, c := range d.Cards {
		if c.Partitioned() {
			return true
		}
	}
	return false
}

// What nvidia-smi says by its exit status.
const (
	exitNotFound  = 6
	exitNoDriver  = 9
	exitNoLibrary = 12
)

// call is one call.
func (c *Caller) call(ctx context.Context, path string, args []string, asked map[string]bool) Result {
	o, err := c.run(ctx, path, args)
	r := Result{asked: asked, Late: errors.Is(err, context.DeadlineExceeded) || errors.Is(err, worker.ErrStuck)}
	if err != nil {
		r.Err = err
		return r
	}
	// Whatever it exits with: where the document is whole it holds.
	r.Doc, r.Err = nvml.ParseSMI(o.Stdout)
	if errors.Is(r.Err, nvml.ErrNoDocument) {
		r.Err = fmt.Errorf("exit status %d: %s", o.Code, complaint(o))
		r.Silent = o.Code == exitNotFound || o.Code == exitNoDriver || o.Code == exitNoLibrary
	}
	return r
}

// list asks for the names of MIG devices; nil where they cannot be had now.
func (c *Caller) list(ctx context.Context, path string) nvml.Names {
	o, err := c.run(ctx, path, []string{"-L"})
	if err != nil || o.Code != 0 {
		c.o.Log.Debug("no names of MIG devices", "code", o.Code, "err", err)
		return nil
	}
	return nvml.ParseList(o.Stdout)
}

func (c *Caller) run(ctx context.Context, path string, args []string) (worker.Output, error) {
	o, err := c.runner.Run(ctx, worker.Program{Path: path, Args: args, Env: c.o.Env, MaxOutput: nvml.MaxDocument})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		c.o.Restarted(collector.RestartTimeout)
		err = fmt.Errorf("no answer of nvidia-smi in time: %w", err)
	case errors.Is(err, fs.ErrNotExist) && IsProgram(path): // it is there, and what it needs to start is not
		err = fmt.Errorf("%s cannot be started where there is no glibc (its loader), as in an image from scratch: %w", path, err)
	case err == nil && crashed(o.Code):
		c.o.Restarted(collector.RestartCrash)
	}
	return o, err
}

// crashed says that an exit status is none that a program chose: -1 for a signal, on Windows the error that ended it, as
// 0xC0000005 for an access violation.
func crashed(code int) bool { return uint32(code) >= 0xC0000000 }

// complaint is what nvidia-smi said instead of a document: on its standard output, mostly.
func complaint(o worker.Output) string {
	for _, text := range []string{string(o.Stdout), o.Stderr} {
		line, _, _ := bytes.Cut(bytes.TrimSpace([]byte(text)), []byte("\n"))
		if len(line) > 200 {
			line = line[:200]
		}
		if len(line) > 0 {
			return strings.ToValidUTF8(string(line), "?")
		}
	}
	return "it says nothing"
}

// IsProgram says whether a path is that of a program.
func IsProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}
