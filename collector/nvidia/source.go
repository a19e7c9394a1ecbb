package nvidia

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/worker"
)

// times set the pace of calls.
type times struct {
	shortest, longest time.Duration       // between the beginnings of two calls
	first, call       time.Duration       // what the first call may take, and each after it
	rest              collector.RestTimes // of GPUs that may sleep
}

// usual are the times outside tests: a call may start the driver up and down, which takes 50 ms to 6 s of the kernel's own
// time (nvidia.md 4.1).
var usual = times{
	shortest: 5 * time.Second, longest: time.Minute, first: FirstAnswer, call: 10 * time.Second,
	rest: collector.UsualRest,
}

// FirstAnswer is how long the first call may take: it starts the driver, one GPU after the other.
const FirstAnswer = 30 * time.Second

const (
	slowCalls  = 3  // in a row, until they become rarer
	quickCalls = 10 // in a row, until they become more frequent again
)

// source calls nvidia-smi for all GPUs, when one of them is read and the last call is long enough ago. It has no goroutine
// but that of the call that runs, so that nothing is left of it when nobody reads.
type source struct {
	o      Options
	times  times
	runner worker.Runner

	mu       sync.Mutex
	path     string
	cards    []card
	rests    map[string]*collector.Rest // by GPU, of those that may sleep
	devices  int                        // that are open: the last one ends the call that runs
	interval time.Duration
	began    time.Time     // of the last call
	running  chan struct{} // closed when the call ends; nil: none runs
	cancel   context.CancelFunc
	last     result
	seq      uint64
	names    nvml.Names
	rename   bool // names are as old as the last rescan
	slow     int  // calls in a row that were
	quick    int
	told     bool // that persistence mode makes calls cheap
	failing  bool
}

// result is what came of the last call.
type result struct {
	seq   uint64 // counts the calls that ended; 0: none has
	at    time.Time
	doc   *nvml.Document // nil: there is none
	names nvml.Names
	asked map[string]bool // the GPUs that the call was for; nil: all
	err   error           // why there is no document
	late  bool            // because the call did not end
	// silent: the driver is not loaded, or has no GPU. That is no fault of nvidia-smi.
	silent bool
}

// about says whether the call was for a GPU too.
func (r result) about(gpu string) bool { return r.asked == nil || r.asked[gpu] }

// hides says that a document of all GPUs lacks one, and that the driver does not count it either: it is kept from this
// container.
func (r result) hides(gpu string) bool {
	return r.doc != nil && r.asked == nil && r.doc.Attached <= len(r.doc.Cards) && r.doc.Find(gpu) == nil
}

func newSource(o Options, t times) *source {
	s := &source{o: o, times: t, interval: max(o.Interval, t.shortest), rests: map[string]*collector.Rest{}}
	s.runner.Stuck = func() { o.Restarted(nvml.SourceSMI, collector.RestartStuck) }
	return s
}

// serve tells what a rescan found.
func (s *source) serve(path string, cards []card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.path, s.cards, s.rename = path, cards, true
}

// open and close count the devices.
func (s *source) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices++
}

func (s *source) close() {
	s.mu.Lock()
	s.devices--
	running := s.running
	if s.devices > 0 || running == nil {
		s.mu.Unlock()
		return
	}
	s.cancel()
	s.mu.Unlock()
	<-running // it is killed at once, and must be before this program ends
}

// mayAsk says whether a call may touch a GPU now.
func (s *source) mayAsk(c card, now time.Time) bool {
	if s.o.Wake {
		return true
	}
	state, err := powerOf(c.dir)
	switch {
	case err != nil || state == asleep:
		delete(s.rests, c.gpu)
		return false
	case state == awake:
		delete(s.rests, c.gpu)
		return true
	}
	if s.rests[c.gpu] == nil {
		s.rests[c.gpu] = &collector.Rest{}
	}
	return !s.rests[c.gpu].Holds(now)
}

// sleeps ends the pause that a GPU was given to fall asleep: it has, and is read when it wakes.
func (s *source) sleeps(gpu string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rests, gpu)
}

// latest is the last result, and how old it may be when it is shown; it starts a call if one is due. The first one is
// waited for.
func (s *source) latest(ctx context.Context) (r result, good time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ask(time.Now())
	if s.last.seq == 0 {
		s.wait(ctx)
	}
	return s.last, 3*s.interval + s.times.call
}

// wait waits for the end of the call that runs, but gives up in time to answer before ctx ends. The lock is let go
// meanwhile.
func (s *source) wait(ctx context.Context) {
	running := s.running
	if running == nil {
		return
	}
	s.mu.Unlock()
	defer s.mu.Lock()
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
func (s *source) ask(now time.Time) {
	if s.running != nil || s.path == "" || !s.began.IsZero() && now.Sub(s.began) < s.interval {
		return
	}
	args := []string{"-q", "-x"}
	asked := map[string]bool{}
	for _, c := range s.cards {
		if s.mayAsk(c, now) {
			asked[c.gpu] = true
		}
	}
	switch len(asked) {
	case len(s.cards):
		asked = nil
	case 0:
		return
	default: // it would wake the others, or keep them awake
		args = append(args, "-i", strings.Join(addresses(asked), ","))
	}
	deadline := s.times.call
	if s.seq == 0 {
		deadline = s.times.first
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	s.began, s.running, s.cancel = now, make(chan struct{}), cancel
	go func(path string, rename bool, ended chan struct{}) {
		defer cancel()
		r := s.call(ctx, path, args, asked)
		var names nvml.Names
		if r.doc != nil && asked == nil && rename && partitioned(r.doc) {
			names = s.list(ctx, path)
		}
		s.end(r, names, now)
		close(ended)
	}(s.path, s.rename, s.running)
}

// end takes what came of a call.
func (s *source) end(r result, names nvml.Names, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.cancel = nil, nil
	if errors.Is(r.err, context.Canceled) { // nobody wanted the answer any more
		s.began = time.Time{}
		return
	}
	if names != nil {
		s.names, s.rename = names, false
	}
	s.seq++
	r.seq, r.at, r.names = s.seq, time.Now(), s.names
	s.last = r
	for gpu, p := range s.rests {
		if r.doc != nil && r.about(gpu) {
			card := r.doc.Find(gpu)
			p.Observe(r.at, card != nil && card.Idle(), s.times.rest)
		}
	}
	s.pace(r.at.Sub(began))
	s.log()
}

// pace makes calls rarer that take long: they cost the machine as much.
func (s *source) pace(took time.Duration) {
	base := max(s.o.Interval, s.times.shortest)
	if took > s.interval/2 {
		s.slow, s.quick = s.slow+1, 0
	} else {
		s.slow, s.quick = 0, s.quick+1
	}
	was := s.interval
	switch {
	case s.slow >= slowCalls:
		s.interval, s.slow = max(base, min(2*s.interval, s.times.longest)), 0
	case s.quick >= quickCalls:
		s.interval, s.quick = max(base, s.interval/2), 0
	}
	if s.interval != was {
		s.o.Log.Info("another pace of nvidia-smi", "interval", s.interval, "was", was, "took", took)
	}
}

// log tells when calls begin to fail and when they cease to.
func (s *source) log() {
	switch {
	case s.last.err != nil && !s.failing && !s.last.silent:
		s.o.Log.Warn("nvidia-smi fails", "path", s.path, "err", s.last.err)
	case s.last.err == nil && s.failing:
		s.o.Log.Info("nvidia-smi works again", "path", s.path)
	}
	s.failing = s.last.err != nil && !s.last.silent
	if s.last.doc == nil || s.told {
		return
	}
	for _, c := range s.last.doc.Cards {
		if c.Persistence() == "disabled" {
			s.told = true
			s.o.Log.Info("each call of nvidia-smi starts the driver up and down: persistence mode (nvidia-persistenced) makes it cheap")
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
func (s *source) call(ctx context.Context, path string, args []string, asked map[string]bool) result {
	o, err := s.run(ctx, path, args)
	r := result{asked: asked, late: errors.Is(err, context.DeadlineExceeded) || errors.Is(err, worker.ErrStuck)}
	if err != nil {
		r.err = err
		return r
	}
	// Whatever it exits with: where the document is whole it holds.
	r.doc, r.err = nvml.ParseSMI(o.Stdout)
	if errors.Is(r.err, nvml.ErrNoDocument) {
		r.err = fmt.Errorf("exit status %d: %s", o.Code, complaint(o))
		r.silent = o.Code == exitNotFound || o.Code == exitNoDriver || o.Code == exitNoLibrary
	}
	return r
}

// list asks for the names of MIG devices; nil where they cannot be had now.
func (s *source) list(ctx context.Context, path string) nvml.Names {
	o, err := s.run(ctx, path, []string{"-L"})
	if err != nil || o.Code != 0 {
		s.o.Log.Debug("no names of MIG devices", "code", o.Code, "err", err)
		return nil
	}
	return nvml.ParseList(o.Stdout)
}

func (s *source) run(ctx context.Context, path string, args []string) (worker.Output, error) {
	o, err := s.runner.Run(ctx, worker.Program{Path: path, Args: args, Env: environment(), MaxOutput: nvml.MaxDocument})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		s.o.Restarted(nvml.SourceSMI, collector.RestartTimeout)
		err = fmt.Errorf("no answer of nvidia-smi in time: %w", err)
	case errors.Is(err, fs.ErrNotExist) && isProgram(path): // it is there, and what it needs to start is not
		err = fmt.Errorf("%s cannot be started where there is no glibc (its loader), as in an image from scratch: %w", path, err)
	case err == nil && o.Code < 0:
		s.o.Restarted(nvml.SourceSMI, collector.RestartCrash)
	}
	return o, err
}

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
