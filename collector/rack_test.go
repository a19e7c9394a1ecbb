package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// card is a GPU of the tests. Its read is called for each read of any of its devices.
type card struct {
	gpu, key string
	kind     string // Info.Type; empty: discrete
	source   string // empty: sysfs
	bare     bool   // only read adds samples; else there is one of its own, which counts the reads of the device
	read     func(ctx context.Context, r *Reading) error
}

func (c card) info() Info {
	i := Info{GPU: c.gpu, Vendor: "amd", Name: "card " + c.gpu, Type: c.kind, Source: c.source, DriverVersion: c.key}
	if i.Type == "" {
		i.Type = Discrete
	}
	if i.Source == "" {
		i.Source = "sysfs"
	}
	return i
}

// device is a Device of a card.
type device struct {
	card
	series                *Series
	closing               func() // nil: Close does not block
	reads, inside, closes atomic.Int32
	rescans               atomic.Int32 // reads with Reading.Rescan
	overlaps              atomic.Int32 // calls while another ran
}

func (d *device) Info() Info  { return d.info() }
func (d *device) Key() string { return d.key }

func (d *device) Read(ctx context.Context, r *Reading) error {
	if d.inside.Add(1) > 1 {
		d.overlaps.Add(1)
	}
	defer d.inside.Add(-1)
	d.reads.Add(1)
	if r.Rescan {
		d.rescans.Add(1)
	}
	if d.read != nil {
		if err := d.read(ctx, r); err != nil {
			return err
		}
	}
	if !d.bare {
		r.Add(d.series, float64(d.reads.Load()))
	}
	return nil
}

func (d *device) Close() error {
	if d.inside.Load() > 0 {
		d.overlaps.Add(1)
	}
	d.closes.Add(1)
	if d.closing != nil {
		d.closing()
	}
	return nil
}

// rack is a Probe whose cards can be changed at any time.
type rack struct {
	name string

	mu       sync.Mutex // guards all below
	cards    []card
	err      error
	devices  []*device
	rounds   int
	discover func(ctx context.Context) // called first, if not nil
	closing  func()
}

func newRack(cards ...card) *rack { return &rack{name: "rack", cards: cards} }

func (k *rack) Name() string { return k.name }

func (k *rack) Discover(ctx context.Context) ([]Device, error) {
	k.mu.Lock()
	k.rounds++
	discover := k.discover
	k.mu.Unlock()
	if discover != nil {
		discover(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Device
	for _, c := range k.cards {
		d := &device{card: c, series: &Series{Q: Temperature, Values: []string{"edge"}, Max: 1e9}, closing: k.closing}
		k.devices = append(k.devices, d)
		list = append(list, d)
	}
	return list, k.err
}

func (k *rack) set(cards ...card) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cards = cards
}

func (k *rack) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

func (k *rack) discoveries() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rounds
}

func (k *rack) all() []*device {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.devices)
}

// of gives the devices of one GPU that were ever read, oldest first.
func (k *rack) of(gpu string) (list []*device) {
	for _, d := range k.all() {
		if d.gpu == gpu && d.reads.Load() > 0 {
			list = append(list, d)
		}
	}
	return list
}

// inside counts the reads that run now.
func (k *rack) inside() (n int) {
	for _, d := range k.all() {
		n += int(d.inside.Load())
	}
	return n
}

// valve blocks while it is shut, heeding no context, like a read in the kernel.
type valve struct {
	mu sync.Mutex
	c  chan struct{} // nil: open
}

func (v *valve) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.c = make(chan struct{})
}

func (v *valve) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.c != nil {
		close(v.c)
		v.c = nil
	}
}

func (v *valve) pass() {
	v.mu.Lock()
	c := v.c
	v.mu.Unlock()
	if c != nil {
		<-c
	}
}

func (v *valve) read(context.Context, *Reading) error { v.pass(); return nil }

// answering is a read that can be changed at any time.
type answering struct {
	f atomic.Pointer[func(r *Reading) error]
}

func (a *answering) with(f func(r *Reading) error) { a.f.Store(&f) }
func (a *answering) err(err error)                 { a.with(func(*Reading) error { return err }) }

func (a *answering) read(_ context.Context, r *Reading) error {
	if f := a.f.Load(); f != nil {
		return (*f)(r)
	}
	return nil
}

// tally is an Observer that counts.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (t *tally) count(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[string]int{}
	}
	t.n[fmt.Sprintf(format, args...)]++
}

func (t *tally) of(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n[what]
}

func (t *tally) Read(source string, result Result, took time.Duration) {
	t.count("read %s %s", source, result)
	if source == "stalls" { // what Observer forbids; here, a loop that has no turn
		time.Sleep(5 * time.Second)
	}
	if took < 0 {
		t.count("negative duration")
	}
}
func (t *tally) Failed(source string, kind FailureKind) { t.count("failed %s %s", source, kind) }
func (t *tally) Rejected(source string, q QuantityID)   { t.count("rejected %s %s", source, q) }
func (t *tally) Restarted(source string, reason RestartReason) {
	t.count("restarted %s %s", source, reason)
}
func (t *tally) Rescanned(ok bool) { t.count("rescanned %v", ok) }

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func (l *lines) log() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// rig is a Poller that runs, in a bubble of synctest.
type rig struct {
	*Poller
	t     *testing.T
	tally tally
	lines lines
	stop  func() // ends Run and waits for it
}

var second = Options{Interval: time.Second, Deadline: 2 * time.Second}

// start runs a Poller over the racks. At the end of the test it checks that each Device was closed exactly once.
func start(t *testing.T, o Options, racks ...*rack) *rig {
	r := &rig{t: t}
	o.Observer, o.Log = &r.tally, r.lines.log()
	var probes []Probe
	for _, k := range racks {
		probes = append(probes, k)
	}
	r.Poller = NewPoller(o, probes...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	r.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(func() {
		r.stop()
		synctest.Wait()
		for _, k := range racks {
			for _, d := range k.all() {
				if n := d.closes.Load(); n != 1 {
					t.Errorf("device %s key %s after %d reads: closed %d times", d.gpu, d.key, d.reads.Load(), n)
				}
				if d.overlaps.Load() > 0 {
					t.Errorf("device %s key %s: more than one call at a time", d.gpu, d.key)
				}
			}
		}
		if r.tally.of("negative duration") > 0 {
			t.Error("a read took less than no time")
		}
	})
	synctest.Wait()
	return r
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d) // of the bubble
	synctest.Wait()
}

// status is what the latest snapshot says of gpu.
func (r *rig) status(gpu string) *Status {
	r.t.Helper()
	s := r.Latest()
	if s == nil {
		r.t.Fatal("no snapshot")
	}
	d, err := s.Find(gpu)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// want compares state, up and the number of samples.
func (r *rig) want(gpu string, state State, up bool, samples int) {
	r.t.Helper()
	d := r.status(gpu)
	if d.State != state || d.Up != up || len(d.Samples) != samples {
		r.t.Fatalf("%s is %v, up %v, %d samples; want %v, up %v, %d samples", gpu, d.State, d.Up, len(d.Samples), state, up, samples)
	}
}

func (r *rig) counted(want int, what string) {
	r.t.Helper()
	if n := r.tally.of(what); n != want {
		r.t.Errorf("%q was counted %d times, want %d", what, n, want)
	}
}

func (r *rig) logged(want int, part string) {
	r.t.Helper()
	if n := r.lines.count(part); n != want {
		r.t.Errorf("%d lines with %q, want %d:\n%s", n, part, want, r.lines.b.String())
	}
}

var errBroken = errors.New("broken")
