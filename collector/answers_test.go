package collector

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestStatusOfAnAnswer(t *testing.T) {
	s := &Series{Q: Power, Values: []string{"board"}, Max: 100}
	slow := &Series{Q: PowerLimit, Values: []string{"board", "max"}, Max: 100}
	failure := Failure{Kind: Permission, Source: "fan1_input", Err: errBroken}
	repeat := func(g *Group, r *Reading) { _ = g.Read(r, time.Now()) }
	// kept gives a read that replays a slow group.
	kept := func(row Row, then func(r *Reading) error) func(r *Reading) error {
		g := &Group{Rows: []Row{row}, Every: time.Hour}
		repeat(g, &Reading{})
		return func(r *Reading) error { repeat(g, r); return then(r) }
	}
	value := func(r *Reading) error { r.Add(slow, 50); return nil }
	fails := func(r *Reading) error { r.Fail(failure); return nil }
	both := func(r *Reading) error { r.Add(slow, 50); r.Fail(failure); return nil }
	nothing := func(*Reading) error { return nil }
	sample := func(r *Reading) error { r.Add(s, 1); return nil }
	for _, c := range []struct {
		name     string
		read     func(r *Reading) error
		state    State
		up       bool
		samples  int
		failures int
		result   Result
		counted  int // failures
	}{
		{"a sample", sample, StateOK, true, 1, 0, ResultOK, 0},
		{"nothing at all", nothing, StateOK, true, 0, 0, ResultOK, 0},
		{"a sample and a failure", func(r *Reading) error { r.Fail(failure); return sample(r) }, StatePartial, true, 1, 1, ResultPartial, 1},
		{"failures only", fails, StatePartial, false, 0, 1, ResultError, 1},
		{"an error", func(r *Reading) error { r.Add(s, 1); return errBroken }, StatePartial, false, 0, 1, ResultError, 0},
		{"asleep", func(r *Reading) error { r.Fail(failure); return fmt.Errorf("x: %w", ErrAsleep) }, StateAsleep, true, 0, 0, ResultAsleep, 0},
		{"gone", func(r *Reading) error { r.Fail(failure); return fmt.Errorf("x: %w", ErrGone) }, StateGone, false, 0, 0, ResultError, 0},
		{"resting from the start", func(*Reading) error { return ErrResting }, StateOK, true, 0, 0, ResultOK, 0},
		{"kept samples", kept(value, sample), StateOK, true, 2, 0, ResultOK, 0},
		{"kept failures", kept(fails, sample), StatePartial, true, 1, 1, ResultPartial, 0},
		{"kept failures alone", kept(fails, nothing), StatePartial, false, 0, 1, ResultError, 0},
		{"kept samples and failures alone", kept(both, nothing), StatePartial, true, 1, 1, ResultPartial, 0},
		{"kept samples prove no life", kept(value, fails), StatePartial, false, 0, 1, ResultError, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var a answering
			a.with(c.read)
			r := start(t, second, newRack(card{gpu: "a", read: a.read, bare: true}))
			d := r.status("a")
			if d.State != c.state || d.Up != c.up || len(d.Samples) != c.samples || len(d.Failures) != c.failures {
				t.Errorf("%s: %v, up %v, %d samples, %d failures; want %v, %v, %d, %d", c.name,
					d.State, d.Up, len(d.Samples), len(d.Failures), c.state, c.up, c.samples, c.failures)
			}
			r.counted(1, "read sysfs "+string(c.result))
			r.counted(c.counted, "failed sysfs permission")
		})
	}
}

func TestWhatIsRejectedIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a answering
		a.with(func(r *Reading) error { r.Add(&Series{Q: Energy, Max: 1}, 2); return nil })
		r := start(t, second, newRack(card{gpu: "a", read: a.read}))
		r.want("a", StateOK, true, 1)
		r.counted(1, "rejected sysfs gpu_energy_joules_total")
	})
}

// Left alone: what was there before stands, as far as it can.
func TestResting(t *testing.T) {
	for _, c := range []struct {
		name    string
		before  func(r *Reading) error
		state   State
		samples int
	}{
		{"well", func(*Reading) error { return nil }, StateOK, 1},
		{"partial", func(r *Reading) error { r.Fail(Failure{Kind: IO}); return nil }, StatePartial, 1},
		{"asleep", func(*Reading) error { return ErrAsleep }, StateOK, 0},
		{"gone", func(*Reading) error { return ErrGone }, StateOK, 0},
		{"broken", func(*Reading) error { return errBroken }, StatePartial, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var a answering
			a.with(c.before)
			r := start(t, second, newRack(card{gpu: "a", read: a.read}))
			before := r.status("a").At
			a.err(ErrResting)
			pass(2 * time.Second)
			r.want("a", c.state, true, c.samples)
			if at := r.status("a").At; !at.Equal(before) {
				t.Errorf("%s: At moved by %v", c.name, at.Sub(before))
			}
		})
	}
}

func TestTroubleIsLoggedAtItsBeginAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a answering
		r := start(t, second, newRack(card{gpu: "a", read: a.read}))
		failing := func(r *Reading) error { r.Fail(Failure{Kind: IO, Source: "fan1_input", Err: errBroken}); return nil }
		for range 100 { // a sensor that fails now and then
			a.with(failing)
			pass(time.Second)
			a.err(nil)
			pass(5 * time.Second)
			a.err(ErrAsleep)
			pass(time.Second)
		}
		r.logged(1, `msg="some readings fail" gpu=a index=0 failures=1 source=fan1_input err=broken`)
		r.logged(0, "well again")
		pass(5 * time.Minute) // asleep
		r.logged(0, "well again")
		a.err(nil)
		pass(2 * time.Minute)
		r.logged(1, `msg="the GPU is well again" gpu=a index=0 was="some readings fail"`)
		a.err(errBroken)
		pass(10 * time.Second)
		r.logged(1, `msg="nothing can be read"`)
		a.err(ErrGone)
		pass(10 * time.Second)
		r.logged(1, `msg="the GPU is gone" gpu=a index=0 was="nothing can be read"`)
		a.err(ErrAsleep)
		pass(10 * time.Second)
		r.logged(2, "well again")
	})
}

// A loop that had no turn for a while (the process was stopped) counts a read that took too long as hung all the same,
// and makes up for no cycle.
func TestLoopThatWasStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newLoop(ctx, NewPoller(second, newRack(card{gpu: "a"})))
		l.step(ctx, time.Now())
		l.found(ctx, <-l.lists, time.Now())
		l.step(ctx, time.Now())
		a := <-l.answers
		time.Sleep(10 * time.Second)
		a.end = time.Now()
		l.answered(a)
		l.step(ctx, time.Now())
		if s := l.Latest().Devices[0].State; s != StateHung {
			t.Errorf("state %v", s)
		}
		if time.Until(l.nextCycle) != time.Second {
			t.Errorf("the next cycle is due in %v", time.Until(l.nextCycle))
		}
		cancel()
		l.shutDown()
	})
}
