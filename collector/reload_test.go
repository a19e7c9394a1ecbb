package collector

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestReloadMakesPlansAnewOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reloads atomic.Int32
		fail := atomic.Bool{}
		k := newRack(card{gpu: "a", read: func(_ context.Context, r *Reading) error {
			if !r.Reload {
				return nil
			}
			reloads.Add(1)
			if fail.Load() {
				return ErrAsleep
			}
			return nil
		}})
		r := start(t, Options{Interval: time.Second}, k)
		pass(2 * time.Second)
		rounds := k.discoveries()
		r.Reload()
		pass(5 * time.Second)
		if n := reloads.Load(); n != 1 {
			t.Errorf("%d reads after a reload, want 1", n)
		}
		if k.discoveries() != rounds+1 {
			t.Error("a reload is a rescan too")
		}
		fail.Store(true) // a GPU that is asleep opens nothing: the reload waits for it
		r.Reload()
		pass(3 * time.Second)
		fail.Store(false)
		was := reloads.Load()
		pass(3 * time.Second)
		if n := reloads.Load() - was; n != 1 {
			t.Errorf("%d reads after a reload that came in its sleep, want 1", n)
		}
	})
}

func TestSnapshotTellsWhereThingsComeFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origins := []Origin{{Source: "/sys/file"}}
		k := newRack(card{gpu: "a", read: func(_ context.Context, r *Reading) error { r.Origins = origins; return nil }})
		broken := newRack()
		broken.name = "broken"
		broken.fail(errors.New("no folder"))
		s := start(t, Options{Interval: time.Second}, k, broken).Fresh(t.Context())
		if got := s.Devices[0].Origins; len(got) != 1 || got[0].Source != "/sys/file" {
			t.Errorf("origins %v, want %v", got, origins)
		}
		if len(s.Probes) != 2 || s.Probes[0].Found != 1 || s.Probes[0].Err != nil || s.Probes[1].Name != "broken" || s.Probes[1].Err == nil {
			t.Errorf("probes %+v", s.Probes)
		}
	})
}

func TestAliveIsTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Options{}, newRack(card{gpu: "a"}))
		if !r.Alive(t.Context()) {
			t.Error("a loop that runs is not alive")
		}
		r.stop()
		if r.Alive(t.Context()) {
			t.Error("a loop that has ended is alive")
		}
	})
}

func TestASimulatedGPUIsNeverLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, real := newRack(card{gpu: "sim:0", source: simulation}), newRack()
		r := start(t, Options{Interval: time.Second, Rescan: time.Second}, real, sim)
		pass(2 * time.Second)
		if s := r.Latest(); len(s.Devices) != 1 || s.Default != 0 {
			t.Fatalf("%+v", s)
		}
		sim.set()
		real.set(card{gpu: "a"})
		pass(3 * time.Second)
		s := r.Latest()
		if len(s.Devices) != 1 || s.Devices[0].GPU != "a" || s.Devices[0].Index != 0 || s.Default != 0 {
			t.Errorf("%+v: want the real GPU alone, with index 0", s)
		}
	})
}
