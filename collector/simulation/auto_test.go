package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
)

// card is a real GPU of the tests.
type card struct {
	gpu    string
	series *collector.Series
}

func (c *card) Info() collector.Info {
	return collector.Info{GPU: c.gpu, Type: collector.Discrete, Source: "sysfs"}
}
func (c *card) Key() string  { return "1" }
func (c *card) Close() error { return nil }
func (c *card) Read(_ context.Context, r *collector.Reading) error {
	r.Add(c.series, 40)
	return nil
}

// slot is a real Probe whose answer can be changed at any time.
type slot struct {
	mu   sync.Mutex // guards all below
	gpus []string
	err  error
	late time.Duration // how long a discovery takes, whatever its context says
	gate chan struct{} // a discovery blocks until it is closed; nil: does not

	running bool
	none    bool   // its last answer was that there is no GPU, without an error
	found   bool   // it has ever found one
	told    func() // is called, if not nil, when it has answered
}

func (s *slot) Name() string { return "slot" }

func (s *slot) Discover(context.Context) ([]collector.Device, error) {
	s.mu.Lock()
	s.running = true
	late, gate := s.late, s.gate
	s.mu.Unlock()
	time.Sleep(late)
	if gate != nil {
		<-gate
	}
	list, err := s.answer()
	if s.told != nil {
		s.told()
	}
	return list, err
}

func (s *slot) answer() (list []collector.Device, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, gpu := range s.gpus {
		list = append(list, &card{gpu, &collector.Series{Q: collector.Temperature, Values: []string{"edge"}, Max: 150}})
	}
	s.running, s.none, s.found = false, len(list) == 0 && s.err == nil, s.found || len(list) > 0
	return list, s.err
}

// state says what is known by what it answered: there is no GPU; there was one.
func (s *slot) state() (none, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.none && !s.running, s.found
}

// set changes what the next discovery answers.
func (s *slot) set(err error, gpus ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gpus, s.err = gpus, err
}

// block has discoveries block until the answer is called.
func (s *slot) block() (open func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gate = nil
		close(gate)
	}
}

var errBroken = errors.New("broken")

// run runs a Poller of one cycle a second until the test ends.
func run(t *testing.T, log *slog.Logger, probes ...collector.Probe) *collector.Poller {
	t.Helper()
	poller := collector.NewPoller(collector.Options{Interval: time.Second, Log: log}, probes...)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		poller.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return poller
}

// up names the GPUs that a snapshot tells readings of.
func up(s *collector.Snapshot) string {
	var list []string
	if s == nil {
		return "nothing yet"
	}
	for i := range s.Devices {
		if d := &s.Devices[i]; d.Up && len(d.Samples) > 0 {
			list = append(list, d.GPU)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// bench is a Poller with a simulation beside real probes. synctest has its own time: a discovery every 30 s, a cycle every 1 s.
type bench struct {
	t      *testing.T
	real   []*slot
	poller *collector.Poller
	log    bytes.Buffer
}

func newBench(t *testing.T, real ...*slot) *bench {
	b := &bench{t: t, real: real}
	var probes []collector.Probe
	for _, s := range real {
		probes = append(probes, s)
	}
	log := slog.New(slog.NewTextHandler(&b.log, nil))
	b.poller = run(t, log, Auto(New(Options{GPUs: 2, Log: log}), probes...)...)
	return b
}

// after lets time pass and says what is up then.
func (b *bench) after(d time.Duration, want string) {
	b.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	if got := up(b.poller.Latest()); got != want {
		b.t.Errorf("%q is up, want %q\n%s", got, want, &b.log)
	}
}

const (
	both  = "sim:0 sim:1"
	hour  = time.Hour
	cycle = time.Second
	round = 30 * time.Second
)

func TestAutoFillsAnEmptyHost(t *testing.T) {
	for n := range 4 {
		synctest.Test(t, func(t *testing.T) {
			var real []*slot
			for range n {
				real = append(real, &slot{})
			}
			b := newBench(t, real...)
			b.after(0, both) // in the first snapshot
			if s := b.poller.Latest(); s.Seq != 1 || s.Default != 0 {
				t.Errorf("snapshot %d, default %d", s.Seq, s.Default)
			}
			b.after(hour, both)
			if text := b.log.String(); strings.Count(text, "made up") != 1 || strings.Contains(text, "fails") {
				t.Errorf("logged %s", text)
			}
		})
	}
}

func TestAutoStaysAwayFromRealGPUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &slot{}, &slot{gpus: []string{"a"}})
		b.after(0, "a")
		b.after(hour, "a")
		b.real[1].set(nil) // lost
		b.after(2*round, "")
		if d := b.poller.Latest().Devices; len(d) != 1 || d[0].State != collector.StateGone {
			t.Errorf("%+v, want the lost GPU alone", d)
		}
		b.after(5*hour, "") // and forgotten
		if d := b.poller.Latest().Devices; len(d) != 0 {
			t.Errorf("%+v, want nothing", d)
		}
		b.real[0].set(nil, "a")
		b.after(round+cycle, "a")
		if strings.Contains(b.log.String(), "simulat") {
			t.Errorf("logged %s", &b.log)
		}
	})
}

func TestAutoEndsWhenARealGPUAppears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &slot{}, &slot{})
		b.after(hour, both)
		b.real[0].set(nil, "a")
		b.poller.Rescan()
		b.after(cycle, "a")
		b.after(hour, "a")
		b.real[0].set(nil) // and leaves again
		b.after(10*hour, "")
		if text := b.log.String(); strings.Count(text, "the simulation has ended") != 1 {
			t.Errorf("logged %s", text)
		}
	})
}

// No snapshot shows a simulated GPU beside a real one: not even the first with the real one.
func TestAutoEndsInTheSameRound(t *testing.T) {
	for _, late := range []time.Duration{0, time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, &slot{}, &slot{late: late})
			snapshots := b.poller.Subscribe(t.Context())
			b.after(late+cycle, both)
			b.real[1].set(nil, "a")
			b.poller.Rescan()
			for {
				got := up(<-snapshots)
				if got == "a" {
					break
				}
				if strings.Contains(got, "a") {
					t.Fatalf("%s are up together", got)
				}
			}
			b.after(hour, "a")
		})
	}
}

func TestAutoWaitsUntilAllIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &slot{}, &slot{err: errBroken})
		b.after(0, "")
		b.after(hour, "")
		b.real[1].set(nil)
		b.real[0].set(errBroken)
		b.after(hour, "") // what was known of the other is not known any more
		open := b.real[0].block()
		b.real[0].set(nil)
		b.after(hour, "") // and still is not
		open()
		b.after(round+cycle, both)
		b.real[0].set(errBroken) // that it fails later says nothing of a GPU
		b.after(hour, both)
	})
}

// One that is stuck may be about to find a GPU, though it found none before.
func TestAutoWaitsForTheStuckThatHadNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &slot{}, &slot{err: errBroken})
		b.after(cycle, "")
		open := b.real[0].block()
		b.real[1].set(nil)
		b.after(hour, "")
		open()
		b.after(round+cycle, both)
	})
}

func TestAutoBesideABrokenDiscoveryThatFinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &slot{gpus: []string{"a"}, err: errBroken})
		b.after(0, "a")
		b.real[0].set(nil)
		b.after(10*hour, "")
	})
}

func TestAutoBesideADiscoveryThatBlocks(t *testing.T) {
	for _, c := range []struct {
		name        string
		gpus        []string
		err         error
		then, after string
	}{
		{"there is a GPU", []string{"a"}, nil, "a", "a"},
		{"there is none", nil, nil, "", both},
		{"it fails", nil, errBroken, "", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			stuck := &slot{gpus: c.gpus, err: c.err}
			open := stuck.block()
			b := newBench(t, &slot{}, stuck)
			b.after(1999*time.Millisecond, "nothing yet")
			b.after(time.Millisecond, "")
			b.after(hour, "")
			if text := b.log.String(); strings.Contains(text, "fails\" probe=simulation") {
				t.Errorf("%s: logged %s", c.name, text)
			}
			open()
			b.after(cycle, c.then)
			b.after(round+cycle, c.after)
		})
	}
}

// A probe that blocks in the middle takes nothing away, and a real GPU that it brings when it comes back ends the simulation
// though that was asked before.
func TestAutoEndsByALateDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &slot{}, &slot{})
		b.after(cycle, both)
		open := b.real[1].block()
		b.after(hour, both)
		if text := b.log.String(); strings.Contains(text, "fails\" probe=simulation") {
			t.Errorf("logged %s", text)
		}
		b.real[1].set(nil, "a")
		open()
		b.after(cycle, "a")
		b.after(hour, "a")
	})
}

// A discovery waits for those that begin with it alone: one that is stuck since before costs no time.
func TestAutoDoesNotWaitForTheStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &slot{}
		probes := Auto(New(Options{}), stuck)
		ask := func(p collector.Probe) (list []collector.Device, took time.Duration) {
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			list, err := p.Discover(ctx)
			if err != nil {
				t.Error(err)
			}
			return list, time.Since(begun)
		}
		open := stuck.block()
		go func() { _, _ = probes[0].Discover(t.Context()) }()
		if list, took := ask(probes[1]); len(list) != 0 || took != 9*time.Second {
			t.Errorf("%d GPUs after %v, want none after 9 s", len(list), took)
		}
		if list, took := ask(probes[1]); len(list) != 0 || took != 0 {
			t.Errorf("%d GPUs after %v, want none at once", len(list), took)
		}
		open()
		synctest.Wait()
		stuck.late = 3 * time.Second
		go func() { _, _ = probes[0].Discover(t.Context()) }()
		list, took := ask(probes[1])
		if len(list) != 1 || took != 3*time.Second {
			t.Errorf("%d GPUs after %v, want one after 3 s", len(list), took)
		}
		var r collector.Reading
		if err := list[0].Read(t.Context(), &r); err != nil || list[0].Info().GPU != "sim:0" || list[0].Key() == "" {
			t.Errorf("%+v: %v", list[0].Info(), err)
		}
		stuck.late = 0
		stuck.set(nil, "a")
		if real, _ := ask(probes[0]); len(real) != 1 {
			t.Errorf("%d real GPUs", len(real))
		}
		if err := list[0].Read(t.Context(), &r); !errors.Is(err, collector.ErrGone) {
			t.Errorf("read beside a real GPU: %v", err)
		}
		for range 2 { // it needs to hear nobody any more
			if list, took := ask(probes[1]); len(list) != 0 || took != 0 {
				t.Errorf("%d GPUs after %v, want none at once", len(list), took)
			}
		}
		if err := list[0].Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAutoKeepsNamesAndOrder(t *testing.T) {
	a, b := &slot{}, New(Options{})
	probes := Auto(New(Options{}), a, b)
	var names []string
	for _, p := range probes {
		names = append(names, p.Name())
	}
	if got := fmt.Sprint(names); got != "[slot simulation simulation]" {
		t.Error(got)
	}
}

// Whatever the real probes do: a simulated GPU is up only after a moment at which all of them had looked and found none,
// and never from a second after one of them has found a GPU on. Where none ever was, it is up in the end.
func TestAutoAtRandom(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) { atRandom(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func atRandom(t *testing.T, random *rand.Rand) {
	var (
		mu        sync.Mutex
		knownNone bool      // there was such a moment
		found     time.Time // when the first real GPU was
	)
	facts := func() (bool, time.Time) {
		mu.Lock()
		defer mu.Unlock()
		return knownNone, found
	}
	real := make([]*slot, 1+random.IntN(3))
	open := make([]func(), len(real))
	release := func(i int) {
		if open[i] != nil {
			open[i]()
			open[i] = nil
		}
	}
	change := func(i int) {
		release(i)
		real[i].mu.Lock()
		real[i].late = []time.Duration{0, 0, time.Millisecond, 1900 * time.Millisecond, 5 * time.Second}[random.IntN(5)]
		real[i].mu.Unlock()
		switch random.IntN(14) {
		case 0:
			real[i].set(nil, fmt.Sprintf("gpu%d", i))
		case 1, 2:
			real[i].set(errBroken)
		case 3:
			open[i] = real[i].block()
		default:
			real[i].set(nil)
		}
	}
	for i := range real {
		real[i] = &slot{told: func() {
			mu.Lock()
			defer mu.Unlock()
			all := true
			for _, s := range real {
				none, any := s.state()
				all = all && none
				if any && found.IsZero() {
					found = time.Now()
				}
			}
			knownNone = knownNone || all
		}}
		change(i)
	}
	t.Cleanup(func() { // after the end of the Poller, which waits for nobody who is stuck
		for i := range real {
			release(i)
		}
		time.Sleep(10 * time.Second)
	})
	b := newBench(t, real...)
	for range 200 {
		time.Sleep(time.Duration(1+random.IntN(20)) * time.Second)
		synctest.Wait()
		none, first := facts()
		simulated := strings.Contains(up(b.poller.Latest()), "sim:")
		if simulated && (!none || !first.IsZero() && time.Since(first) > time.Second) {
			t.Fatalf("%q is up; known that there is none: %v; real one found at %v\n%s", up(b.poller.Latest()), none, first, &b.log)
		}
		if random.IntN(4) == 0 {
			change(random.IntN(len(real)))
		}
	}
	for i := range real {
		release(i)
		real[i].mu.Lock()
		real[i].late = 0
		real[i].mu.Unlock()
		real[i].set(nil)
	}
	time.Sleep(hour)
	if _, first := facts(); first.IsZero() {
		b.after(0, both)
	} else if got := up(b.poller.Latest()); strings.Contains(got, "sim:") {
		t.Errorf("%q is up", got)
	}
}

// able is a real probe that asks for discoveries itself and has something to close.
type able struct {
	collector.Probe
	rescan func()
	closed int
}

func (a *able) Notify(rescan func()) { a.rescan = rescan }

func (a *able) Close() error { a.closed++; return nil }

// What stands for a real probe passes on what the program gives it.
func TestWhatStandsForAProbePassesOn(t *testing.T) {
	a := &able{}
	watched := Auto(New(Options{}), a)[0]
	asked := 0
	watched.(collector.Notifier).Notify(func() { asked++ })
	if a.rescan == nil {
		t.Fatal("it cannot ask for a discovery")
	}
	a.rescan()
	if err := watched.(io.Closer).Close(); err != nil || asked != 1 || a.closed != 1 {
		t.Errorf("%v, asked %d times, closed %d times", err, asked, a.closed)
	}
}
