package collector

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestDiscoveryThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		v.shut()
		blocked, well := newRack(card{gpu: "a"}), newRack(card{gpu: "b"})
		blocked.discover = func(context.Context) { v.pass() }
		r := start(t, second, blocked, well)
		pass(1999 * time.Millisecond)
		if r.Latest() != nil {
			t.Fatal("the first cycle did not wait for the discovery")
		}
		pass(time.Millisecond)
		r.ordered("0b ")
		r.counted(1, "rescanned false")
		pass(90 * time.Second)
		if n, m := blocked.discoveries(), well.discoveries(); n != 1 || m != 4 {
			t.Errorf("%d discoveries of the probe that blocks, %d of the other", n, m)
		}
		r.counted(4, "rescanned false")
		r.logged(1, "discovery of GPUs fails")
		v.open()
		pass(time.Second)
		r.ordered("0b 1a ") // late, but used
		r.logged(1, "discovery of GPUs works again")
		pass(30 * time.Second)
		r.counted(1, "rescanned true")
		if n := blocked.discoveries(); n != 2 {
			t.Errorf("%d discoveries, want it to be started again", n)
		}
	})
}

func TestDiscoveryHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRack(card{gpu: "a"})
		k.discover = func(ctx context.Context) { <-ctx.Done() }
		r := start(t, second, k)
		pass(4 * time.Second)
		r.want("a", StateOK, true, 1)
	})
}

func TestDiscoveryErrorKeepsWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := card{gpu: "a"}, card{gpu: "b"}, card{gpu: "c"}
		k, other := newRack(a, b), newRack(card{gpu: "z"})
		r := start(t, second, k, other)
		k.set(b, c)
		k.fail(errBroken)
		other.set()
		r.rediscover()
		r.rediscover()
		r.ordered("0a 1b 2z 3c ") // what is found beside the error counts
		r.want("a", StateOK, true, 1)
		r.want("z", StateGone, false, 0)
		r.counted(2, "rescanned false")
		r.logged(1, "discovery of GPUs fails")
		k.fail(nil)
		r.rediscover()
		r.want("a", StateGone, false, 0)
		r.logged(1, "discovery of GPUs works again")
	})
}

func TestTwoProbesOneGPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := card{gpu: "a", key: "1"}
		first, last := newRack(a), newRack(a, card{gpu: "b"})
		r := start(t, second, first, last)
		r.rediscover()
		r.ordered("0a 1b ")
		if len(first.of("a")) != 1 || len(last.of("a")) != 0 {
			t.Fatal("the first probe is to have it")
		}
		first.fail(errBroken) // and may only not have come to it
		first.set()
		r.rediscover()
		if len(last.of("a")) != 0 {
			t.Fatal("the second probe has it, though the first may not have come to it")
		}
		first.fail(nil)
		r.rediscover()
		r.want("a", StateOK, true, 1)
		if len(last.of("a")) != 1 {
			t.Fatal("the second probe is to have it: the first has it no more")
		}
		first.set(a)
		r.rediscover()
		if len(first.of("a")) != 2 {
			t.Fatal("the first probe is to have it again")
		}
		r.ordered("0a 1b ")
		r.counted(0, "restarted sysfs driver_changed")
	})
}

// A GPU that the second probe got since the first one was late.
func TestLateProbeTakesItsGPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		v.shut()
		a := card{gpu: "a", key: "1"}
		first, other := newRack(a), newRack(a)
		first.discover = func(context.Context) { v.pass() }
		r := start(t, second, first, other)
		pass(3 * time.Second)
		r.want("a", StateOK, true, 1)
		if len(other.of("a")) != 1 {
			t.Fatal("nobody has it")
		}
		v.open()
		pass(time.Second)
		r.want("a", StateOK, true, 1)
		if len(first.of("a")) != 1 {
			t.Fatal("the first probe is to have it")
		}
		r.rediscover()
		r.ordered("0a ")
		if len(other.of("a")) != 1 {
			t.Fatal("the second probe has it again")
		}
	})
}

func TestOneProbeTellsAGPUTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRack(card{gpu: "a", key: "1"}, card{gpu: "a", key: "2"})
		r := start(t, second, k)
		r.rediscover()
		r.ordered("0a ")
		if d := k.of("a"); len(d) != 1 || d[0].key != "1" {
			t.Error("the first of the list is to have it")
		}
	})
}

func TestRescansAreDoneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRack()
		k.discover = func(context.Context) { time.Sleep(100 * time.Millisecond) }
		r := start(t, second, k)
		for range 100 {
			r.Rescan()
		}
		pass(time.Second)
		if n := k.discoveries(); n != 2 {
			t.Errorf("%d discoveries, want that of the start and one", n)
		}
		r.counted(2, "rescanned true")
		pass(29*time.Second + 200*time.Millisecond)
		if n := k.discoveries(); n != 3 {
			t.Errorf("%d discoveries, want one more", n)
		}
	})
}

// asking is a probe that hears of something new between discoveries.
type asking struct {
	*rack
	rescan func()
}

func (a *asking) Notify(rescan func()) { a.rescan = rescan }

func TestAProbeAsksForADiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asking{rack: newRack(card{gpu: "a"})}
		p := NewPoller(second, a)
		a.rescan() // before the Poller runs it is not lost, and does not block
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Run(ctx)
		}()
		pass(time.Second)
		before := a.discoveries()
		a.rescan()
		pass(time.Second)
		if n := a.discoveries(); n != before+1 {
			t.Errorf("%d discoveries after it asked, %d before", n, before)
		}
		cancel()
		<-done
	})
}

// A Close that blocks holds up neither the loop nor other probes, and starts nothing more.
func TestCloseThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		v.shut()
		k, other := newRack(card{gpu: "a"}), newRack(card{gpu: "b"})
		k.closing = v.pass
		r := start(t, second, k, other)
		pass(10 * time.Minute)
		r.want("a", StateOK, true, 1)
		r.want("b", StateOK, true, 1)
		if n := k.discoveries(); n != 2 {
			t.Errorf("%d discoveries", n)
		}
		v.open()
		synctest.Wait()
	})
}
