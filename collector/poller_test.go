package collector

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestEmptyFleetHasASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, r := range []*rig{start(t, second), start(t, second, newRack())} {
			s := r.Latest()
			if s == nil || len(s.Devices) != 0 || s.Default != -1 || s.Seq != 1 {
				t.Errorf("%+v; want an empty snapshot", s)
			}
			if _, err := s.Find(""); err == nil {
				t.Error("a default GPU was found")
			}
		}
	})
}

func TestCyclesKeepTheirPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRack(card{gpu: "a"}, card{gpu: "b"})
		r := start(t, second, k)
		begun := time.Now()
		for i := range 10 {
			s := r.Latest()
			if s.Seq != uint64(i+1) || !s.At.Equal(begun.Add(time.Duration(i)*time.Second)) {
				t.Fatalf("snapshot %d at %v in second %d", s.Seq, s.At.Sub(begun), i)
			}
			for j := range s.Devices {
				if d := &s.Devices[j]; d.Index != j || d.Samples[0].V != float64(i+1) {
					t.Fatalf("second %d: %+v", i, d)
				}
			}
			pass(time.Second)
		}
		r.counted(22, "read sysfs ok")
	})
}

func TestSnapshotIsImmutable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, second, newRack(card{gpu: "a"}, card{gpu: "b"}))
		first := r.Latest()
		pass(10 * time.Second)
		for i := range first.Devices {
			if v := first.Devices[i].Samples[0].V; v != 1 {
				t.Errorf("a sample of the first snapshot became %v", v)
			}
		}
		if d := first.Devices[0].Samples; cap(d) != len(d) {
			t.Error("appending to the samples of one GPU would write into those of the next")
		}
	})
}

func TestHangAndRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		k := newRack(card{gpu: "a", read: v.read}, card{gpu: "b"})
		r := start(t, second, k)
		last := r.status("a").At
		v.shut()
		pass(2500 * time.Millisecond) // asked at 1 s
		r.want("a", StateOK, true, 1)
		if b := r.status("b"); b.At.Sub(last) != time.Second {
			t.Errorf("the other GPU is shown as of %v", b.At.Sub(last))
		}
		pass(500 * time.Millisecond)
		r.want("a", StateHung, false, 0)
		if d := r.status("a"); !d.At.Equal(last) || len(d.Failures) != 1 || d.Name != "card a" || d.Index != 0 {
			t.Errorf("hung: %+v", d)
		}
		r.counted(1, "failed sysfs timeout")
		r.counted(2, "read sysfs timeout") // at the deadline, and in the cycle that began then
		pass(time.Second)
		r.counted(3, "read sysfs timeout")
		r.counted(1, "failed sysfs timeout")
		v.open()
		synctest.Wait()
		r.want("a", StateHung, false, 0) // what came back is too old
		pass(time.Second)
		r.want("a", StateOK, true, 1)
		if v := r.status("a").Samples[0].V; v != 3 {
			t.Errorf("read %v is shown, want the third", v)
		}
		r.logged(1, `msg="a read missed its deadline"`)
		r.logged(1, "well again")
		if len(k.of("a")) != 1 {
			t.Error("more than one worker for one Key")
		}
	})
}

// With minutes between cycles nothing may wait for the next one.
func TestNothingWaitsForALongInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		v.shut()
		slow := card{gpu: "a", read: func(context.Context, *Reading) error { time.Sleep(1500 * time.Millisecond); return nil }}
		o := second
		o.Interval = 5 * time.Minute
		r := start(t, o, newRack(slow, card{gpu: "b", read: v.read}, card{gpu: "c"}))
		if r.Latest() != nil {
			t.Fatal("a snapshot before the end of the window")
		}
		pass(time.Second)
		r.want("a", StateOK, true, 0) // not known yet
		r.want("c", StateOK, true, 1)
		pass(900 * time.Millisecond)
		r.want("a", StateOK, true, 0) // b may still answer
		pass(100 * time.Millisecond)
		r.want("a", StateOK, true, 1)
		r.want("b", StateHung, false, 0)
		if seq := r.Latest().Seq; seq != 2 {
			t.Errorf("snapshot %d, want 2", seq)
		}
		v.open()
		pass(5*time.Minute - 2*time.Second)
		pass(2 * time.Second)
		r.want("b", StateOK, true, 1)
		r.want("a", StateOK, true, 1)
		if seq := r.Latest().Seq; seq != 4 { // at the end of the window, and of the late answer
			t.Errorf("snapshot %d, want 4", seq)
		}
	})
}

func TestLateAnswerGoesIntoTheNextSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		late := card{gpu: "a", read: func(context.Context, *Reading) error {
			if reads++; reads == 2 {
				time.Sleep(1500 * time.Millisecond)
			}
			return nil
		}}
		r := start(t, second, newRack(late, card{gpu: "b"}))
		begun := r.status("a").At
		pass(2 * time.Second)
		if d := r.status("a"); !d.At.Equal(begun) || d.Samples[0].V != 1 || d.State != StateOK {
			t.Errorf("while it is late: %+v", d)
		}
		if b := r.status("b"); b.Samples[0].V != 2 {
			t.Errorf("b waits: %+v", b)
		}
		pass(500 * time.Millisecond)
		if d := r.status("a"); d.At.Sub(begun) != 2500*time.Millisecond || d.Samples[0].V != 2 {
			t.Errorf("after it has answered: %+v", d)
		}
		r.counted(5, "read sysfs ok") // two, one, and in the third cycle both
		pass(500 * time.Millisecond)
		if d := r.status("a"); d.Samples[0].V != 3 {
			t.Errorf("not asked in the next cycle: %+v", d)
		}
	})
}

// A loop that gets its turn late finds the answers that came in time.
func TestLoopThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := card{gpu: "b", read: func(context.Context, *Reading) error { time.Sleep(500 * time.Millisecond); return nil }}
		r := start(t, second, newRack(card{gpu: "a", source: "stalls"}, slow))
		pass(30 * time.Second)
		r.counted(0, "failed sysfs timeout")
		r.counted(0, "read stalls timeout")
	})
}

func TestWindow(t *testing.T) {
	for _, c := range []struct{ interval, deadline, want time.Duration }{
		{time.Minute, 10 * time.Second, time.Second},
		{200 * time.Millisecond, 10 * time.Second, 200 * time.Millisecond},
		{time.Second, 100 * time.Millisecond, 100 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			var v valve
			v.shut()
			defer v.open()
			begun := time.Now()
			r := start(t, Options{Interval: c.interval, Deadline: c.deadline}, newRack(card{gpu: "a"}, card{gpu: "b", read: v.read}))
			if s := r.Fresh(t.Context()); s.At.Sub(begun) != c.want || len(s.Devices[0].Samples) != 1 {
				t.Errorf("%+v: the first snapshot is of %v", c, s.At.Sub(begun))
			}
		})
	}
}

// An answer that comes between two cycles is not lost when the next one begins while others are still late.
func TestLateAnswerBetweenCycles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleeps := func(d time.Duration) func(context.Context, *Reading) error {
			return func(context.Context, *Reading) error { time.Sleep(d); return nil }
		}
		o := second
		o.Interval = 1500 * time.Millisecond
		r := start(t, o, newRack(card{gpu: "a", read: sleeps(1200 * time.Millisecond)}, card{gpu: "b", read: sleeps(1900 * time.Millisecond)}))
		pass(1400 * time.Millisecond)
		r.want("a", StateOK, true, 0)
		pass(200 * time.Millisecond)
		r.want("a", StateOK, true, 1)
		r.want("b", StateOK, true, 0)
		pass(900 * time.Millisecond)
		r.want("b", StateOK, true, 1)
	})
}

func TestThousandHangsLeakNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		k := newRack(card{gpu: "a", read: v.read})
		r := start(t, second, k)
		before := runtime.NumGoroutine()
		for range 1000 {
			v.shut()
			pass(3 * time.Second)
			if s := r.status("a").State; s != StateHung {
				t.Fatalf("%v, want hung", s)
			}
			v.open()
			pass(time.Second)
			if s := r.status("a").State; s != StateOK {
				t.Fatalf("%v, want ok", s)
			}
		}
		if after := runtime.NumGoroutine(); after > before+10 { // the runtime has some that come and go
			t.Errorf("%d goroutines became %d", before, after)
		}
		if n := len(k.of("a")); n != 1 {
			t.Errorf("%d devices were read", n)
		}
	})
}

func TestStaleSamplesAreNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a answering
		r := start(t, second, newRack(card{gpu: "a", read: a.read}, card{gpu: "b"}))
		read := r.status("a").At
		a.err(ErrResting)
		pass(3 * time.Second)
		r.want("a", StateOK, true, 1)
		if d := r.status("a"); !d.At.Equal(read) {
			t.Errorf("the reading became %v younger by being left alone", d.At.Sub(read))
		}
		pass(time.Second)
		r.want("a", StateOK, true, 0)
		r.want("b", StateOK, true, 1)
		r.counted(10, "read sysfs ok") // left alone counts as ok
	})
	synctest.Test(t, func(t *testing.T) { // between two snapshots
		r := start(t, Options{}, newRack(card{gpu: "a"}))
		s := r.Fresh(t.Context())
		pass(3 * time.Second)
		if r.Latest() != s {
			t.Error("a young snapshot was copied")
		}
		pass(time.Millisecond)
		if old := r.Latest(); old == s || old.Devices[0].Samples != nil || old.Seq != s.Seq {
			t.Errorf("served after 3 s: %+v", old)
		}
		if len(s.Devices[0].Samples) != 1 {
			t.Error("a published snapshot was changed")
		}
	})
}

func TestOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRack(card{gpu: "a", read: func(context.Context, *Reading) error { time.Sleep(10 * time.Millisecond); return nil }})
		r := start(t, Options{}, k)
		pass(time.Hour)
		if s := r.Latest(); s == nil || s.Seq != 1 || k.of("a")[0].reads.Load() != 1 {
			t.Fatalf("%+v: want the one cycle at the start, and no other that nobody asked for", s)
		}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if s := r.Fresh(t.Context()); s.Seq != 2 || len(s.Devices[0].Samples) != 1 {
					t.Errorf("%+v", s)
				}
			})
		}
		all.Wait()
		if n := k.of("a")[0].reads.Load(); n != 2 {
			t.Errorf("%d reads for scrapes at one time", n-1)
		}
		if s := r.Fresh(t.Context()); s.Seq != 3 {
			t.Errorf("snapshot %d, want a new one", s.Seq)
		}
	})
}

func TestFreshEndsWithItsContext(t *testing.T) {
	for _, interval := range []time.Duration{0, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			k := newRack(card{gpu: "a"})
			k.discover = func(context.Context) { time.Sleep(time.Second) }
			r := start(t, Options{Interval: interval}, k)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			begun := time.Now()
			if s := r.Fresh(ctx); s != nil || time.Since(begun) != 500*time.Millisecond {
				t.Errorf("%+v after %v", s, time.Since(begun))
			}
			if s := r.Fresh(t.Context()); s == nil || time.Since(begun) != time.Second {
				t.Errorf("%+v after %v", s, time.Since(begun))
			}
			r.stop()
			if r.Fresh(t.Context()) == nil {
				t.Error("nothing is served after the end")
			}
		})
	}
}

func TestOnDemandWithAHungGPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		v.shut()
		r := start(t, Options{}, newRack(card{gpu: "a", read: v.read}, card{gpu: "b"}))
		begun := time.Now()
		r.Fresh(t.Context())
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("waited %v for a slow GPU", waited)
		}
		r.Fresh(t.Context())
		r.want("a", StateHung, false, 0)
		if waited := time.Since(begun); waited != 2*time.Second {
			t.Errorf("waited until %v, want the deadline", waited)
		}
		r.Fresh(t.Context())
		if waited := time.Since(begun); waited != 2*time.Second {
			t.Error("waited for a hung GPU")
		}
		v.open()
		synctest.Wait()
		r.Fresh(t.Context())
		r.want("a", StateOK, true, 1)
	})
}

func TestSubscribersGetTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPoller(second, newRack(card{gpu: "a"}))
		ctx, leave := context.WithCancel(t.Context())
		slow, leaving := p.Subscribe(t.Context()), p.Subscribe(ctx) // before Run
		run, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(run) }()
		pass(5 * time.Second)
		if s := <-slow; s.Seq != 6 {
			t.Errorf("snapshot %d, want the newest", s.Seq)
		}
		if s := <-slow; s.Seq != 7 {
			t.Errorf("snapshot %d, want the next", s.Seq)
		}
		leave()
		synctest.Wait()
		<-leaving
		if _, open := <-leaving; open {
			t.Error("open after its context has ended")
		}
		stop()
		<-done
		if _, open := <-slow; open {
			t.Error("open after Run")
		}
		if _, open := <-p.Subscribe(t.Context()); open {
			t.Error("a subscription after Run is open")
		}
	})
}

func TestShutdownWithAStuckRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		want  time.Duration
	}{
		{"that is known to hang", 3 * time.Second, 0},
		{"that may still answer", 500 * time.Millisecond, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var v valve
			v.shut()
			k := newRack(card{gpu: "a", read: v.read}, card{gpu: "b"})
			r := start(t, second, k)
			pass(c.after)
			begun := time.Now()
			r.stop()
			if took := time.Since(begun); took != c.want {
				t.Errorf("with a read %s it took %v, want %v", c.name, took, c.want)
			}
			if k.of("b")[0].closes.Load() != 1 || k.of("a")[0].closes.Load() != 0 {
				t.Error("the idle device is open, or the other closed in its read")
			}
			v.open() // the rig checks that it is closed then
		})
	}
}

func TestShutdownWithAStuckDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		v.shut()
		k := newRack(card{gpu: "a"})
		k.discover = func(context.Context) { v.pass() }
		r := start(t, second, k)
		pass(3 * time.Second)
		begun := time.Now()
		r.stop()
		if took := time.Since(begun); took != 0 {
			t.Errorf("took %v", took)
		}
		v.open() // the rig checks that what it found is closed
	})
}

func TestShutdownInADiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRack(card{gpu: "a"})
		k.discover = func(context.Context) { time.Sleep(500 * time.Millisecond) }
		r := start(t, second, k)
		begun := time.Now()
		r.stop()
		if took := time.Since(begun); took != 500*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// The context of a read ends at the deadline, and when its GPU is not there any more.
func TestReadHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRack(card{gpu: "a", read: func(ctx context.Context, _ *Reading) error { <-ctx.Done(); return ctx.Err() }})
		r := start(t, second, k)
		pass(3 * time.Second)
		r.want("a", StateHung, false, 0)
		if n := k.of("a")[0].reads.Load(); n != 2 {
			t.Errorf("%d reads: it came back and was to be asked again", n)
		}
		k.set()
		r.Rescan()
		synctest.Wait()
		if k.inside() != 0 {
			t.Error("a read goes on for a GPU that was removed")
		}
	})
}
