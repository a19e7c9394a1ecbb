package collector

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// order gives the GPUs of the latest snapshot, by index.
func (r *rig) order() string {
	var s string
	for i := range r.Latest().Devices {
		d := &r.Latest().Devices[i]
		s += fmt.Sprint(d.Index, d.GPU, " ")
	}
	return s
}

func (r *rig) ordered(want string) {
	r.t.Helper()
	if got := r.order(); got != want {
		r.t.Fatalf("GPUs %q, want %q", got, want)
	}
}

// rediscover lets a discovery and the cycle after it pass.
func (r *rig) rediscover() {
	r.Rescan()
	pass(time.Second)
}

func TestIndexIsKeptAndUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c, d := card{gpu: "a"}, card{gpu: "b"}, card{gpu: "c"}, card{gpu: "d"}
		k := newRack(c, b)
		o := second
		o.ForgetAfter = time.Minute
		r := start(t, o, k)
		r.ordered("0b 1c ")
		k.set(a, b, c)
		pass(30 * time.Second) // the rescan finds it
		pass(time.Second)
		r.ordered("0b 1c 2a ")
		k.set(a, c)
		r.rediscover()
		r.want("b", StateGone, false, 0)
		r.ordered("0b 1c 2a ")
		pass(58 * time.Second)
		r.want("b", StateGone, false, 0)
		r.logged(0, "forgot")
		pass(2 * time.Second)
		r.ordered("1c 2a ")
		r.logged(1, "forgot a lost GPU")
		k.set(a, c, d)
		r.rediscover()
		r.ordered("0d 1c 2a ")
		k.set(a, b, c, d)
		r.rediscover()
		r.ordered("0d 1c 2a 3b ")
		r.logged(5, "found a GPU")
		r.logged(1, `msg="the GPU is gone"`)
	})
}

func TestGoneAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a answering
		k := newRack(card{gpu: "a", key: "1", read: a.read}, card{gpu: "b"})
		r := start(t, second, k)
		at := r.status("a").At
		a.err(fmt.Errorf("read: %w", ErrGone))
		pass(5 * time.Second)
		r.want("a", StateGone, false, 0)
		if !r.status("a").At.Equal(at) {
			t.Error("At is not that of the last reading")
		}
		if n := k.discoveries(); n != 2 {
			t.Errorf("%d discoveries, want one at start and one for the loss", n)
		}
		r.counted(5, "read sysfs error")
		a.err(nil)
		pass(time.Second)
		r.want("a", StateOK, true, 1)
		if len(k.of("a")) != 1 {
			t.Error("it was to keep its Device")
		}
		// The same, but it is not listed for a time: its Device is void.
		k.set(card{gpu: "b"})
		r.Rescan()
		synctest.Wait()
		r.want("a", StateGone, false, 0) // at once
		pass(time.Second)
		k.set(card{gpu: "a", key: "1", read: a.read}, card{gpu: "b"})
		r.rediscover()
		r.want("a", StateOK, true, 1)
		r.ordered("0a 1b ")
		if n := len(k.of("a")); n != 2 {
			t.Errorf("%d Devices, want a new one", n)
		}
		r.counted(0, "restarted sysfs driver_changed")
		r.logged(2, `msg="the GPU is gone"`)
		r.logged(2, `msg="the GPU is well again"`)
	})
}

func TestDriverReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRack(card{gpu: "a", key: "1"}, card{gpu: "b"})
		r := start(t, second, k)
		pass(3 * time.Second)
		k.set(card{gpu: "a", key: "2"}, card{gpu: "b"})
		r.Rescan()
		synctest.Wait()
		r.want("a", StateOK, true, 0) // what was read before is void
		pass(time.Second)
		r.want("a", StateOK, true, 1)
		if d := r.status("a"); d.DriverVersion != "2" || d.Index != 0 || d.Samples[0].V != 1 {
			t.Errorf("%+v", d)
		}
		if d := k.of("a"); len(d) != 2 || d[0].closes.Load() != 1 || d[1].closes.Load() != 0 {
			t.Error("the old Device is to be closed, the new one open")
		}
		r.counted(1, "restarted sysfs driver_changed")
		r.logged(1, "the driver was loaded anew")
	})
}

func TestRescanOfAKnownGPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a answering
		k := newRack(card{gpu: "a", read: a.read})
		r := start(t, second, k)
		a.err(ErrAsleep)
		r.Rescan()
		pass(3 * time.Second)
		d := k.of("a")[0]
		if n := d.rescans.Load(); n != 3 {
			t.Errorf("%d reads as after a rescan, want all three while nobody could look", n)
		}
		a.err(nil)
		pass(5 * time.Second)
		if n := d.rescans.Load(); n != 4 {
			t.Errorf("%d reads as after a rescan, want one more", n)
		}
		for _, other := range k.all()[1:] {
			if other.closes.Load() != 1 {
				t.Error("a Device that was found again is open")
			}
		}
	})
}

func TestStuckWorkersOfOneGPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		reload := func(k *rack, key int) { k.set(card{gpu: "a", key: fmt.Sprint(key), read: v.read}) }
		k := newRack()
		reload(k, 1)
		r := start(t, second, k)
		v.shut()
		pass(3 * time.Second)
		r.want("a", StateHung, false, 0)
		for key := 2; key < 6; key++ { // quicker than their deadlines, too
			reload(k, key)
			r.rediscover()
		}
		pass(5 * time.Second)
		if n := k.inside(); n != 2 || len(k.of("a")) != 2 {
			t.Errorf("%d reads are stuck in %d devices, want 2", n, len(k.of("a")))
		}
		r.want("a", StateHung, false, 0)
		reload(k, 1) // the first one still is in its read
		r.rediscover()
		reload(k, 5)
		v.open()
		pass(2 * time.Second) // a discovery, with no need to ask for it
		r.want("a", StateOK, true, 1)
		if d := k.of("a"); len(d) != 3 || d[2].key != "5" {
			t.Errorf("read by device %s, want the newest", d[len(d)-1].key)
		}
		r.counted(2, "restarted sysfs driver_changed")
	})
}

func TestStuckWorkersInAll(t *testing.T) {
	for _, gpus := range []int{10, 20} {
		synctest.Test(t, func(t *testing.T) {
			var v valve
			reload := func(k *rack, key int) {
				var cards []card
				for i := range gpus {
					cards = append(cards, card{gpu: fmt.Sprint(i), key: fmt.Sprint(key), read: v.read})
				}
				k.set(cards...)
			}
			k := newRack()
			reload(k, 1)
			r := start(t, second, k)
			v.shut()
			pass(3 * time.Second)
			for key := 2; key < 5; key++ {
				reload(k, key)
				r.rediscover()
				pass(3 * time.Second)
			}
			if n := k.inside(); n != max(16, gpus) {
				t.Errorf("%d GPUs: %d reads are stuck", gpus, n)
			}
			v.open()
			pass(3 * time.Second)
			for i := range r.Latest().Devices {
				if d := &r.Latest().Devices[i]; d.State != StateOK || d.DriverVersion != "4" {
					t.Errorf("%s is %v with driver %s", d.GPU, d.State, d.DriverVersion)
				}
			}
		})
	}
}

// A machine whose driver is reloaded while all is well has all its GPUs again at once, however many.
func TestReloadOfManyGPUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRack()
		reload := func(key string) {
			var cards []card
			for i := range 40 {
				cards = append(cards, card{gpu: fmt.Sprint(i), key: key})
			}
			k.set(cards...)
		}
		reload("1")
		r := start(t, second, k)
		reload("2")
		r.rediscover()
		r.counted(40, "restarted sysfs driver_changed")
	})
}

func TestHungGPUThatIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		a := card{gpu: "a", key: "1", read: v.read}
		k := newRack(a)
		r := start(t, second, k)
		v.shut()
		pass(3 * time.Second)
		k.set()
		r.rediscover()
		r.want("a", StateGone, false, 0)
		k.set(a)
		r.rediscover()
		r.want("a", StateGone, false, 0) // it would only get stuck likewise
		if len(k.of("a")) != 1 {
			t.Error("a second worker for one Key")
		}
		v.open()
		pass(2 * time.Second)
		r.want("a", StateOK, true, 1)
	})
}

func TestForgottenWhileListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		var b answering
		k := newRack(card{gpu: "a", read: v.read}, card{gpu: "b", read: b.read}, card{gpu: "c"})
		o := second
		o.ForgetAfter = time.Minute
		r := start(t, o, k)
		v.shut()
		b.err(ErrGone)
		pass(2 * time.Minute)
		r.ordered("2c ")
		r.logged(2, "forgot a lost GPU")
		r.logged(3, "found a GPU")
		timeouts, errs := r.tally.of("read sysfs timeout"), r.tally.of("read sysfs error")
		pass(10 * time.Minute)
		r.counted(timeouts, "read sysfs timeout")
		r.counted(errs, "read sysfs error")
		b.err(nil)
		pass(time.Second)
		v.open()
		pass(2 * time.Second)
		r.ordered("0b 1a 2c ")
		r.want("a", StateOK, true, 1)
		r.want("b", StateOK, true, 1)
		r.logged(5, "found a GPU")
		if len(k.of("a")) != 1 || len(k.of("b")) != 1 {
			t.Error("a second worker for one Key")
		}
		v.shut()
		b.err(ErrGone)
		pass(2 * time.Minute)
		r.ordered("2c ")
		k.set(card{gpu: "c"})
		r.rediscover()
		v.open()
		pass(time.Minute)
		r.ordered("2c ")
		r.logged(2, `msg="the GPU is gone"`)
	})
}

func TestForgottenBetweenCycles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRack(card{gpu: "a"}, card{gpu: "b"})
		r := start(t, Options{Interval: 5 * time.Minute, ForgetAfter: 45 * time.Second}, k)
		k.set(card{gpu: "b"})
		r.Rescan()
		pass(45*time.Second - 1)
		r.want("a", StateGone, false, 0)
		pass(1)
		r.ordered("1b ")
	})
}

func TestForgottenWhileStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		a, b := card{gpu: "a", read: v.read}, card{gpu: "b"}
		k := newRack(a, b)
		o := second
		o.ForgetAfter = time.Minute
		r := start(t, o, k)
		v.shut()
		pass(2 * time.Minute)
		r.ordered("1b ")
		failed := r.tally.of("failed sysfs timeout")
		v.open()
		synctest.Wait()
		v.shut()
		pass(time.Minute) // it hangs again
		r.ordered("1b ")
		r.counted(failed, "failed sysfs timeout")
		k.set(b)
		r.rediscover()
		k.set(a, b)
		r.rediscover()
		r.ordered("1b ")
		if k.inside() != 1 {
			t.Error("a second worker for one Key")
		}
		v.open()
		pass(2 * time.Second)
		r.ordered("0a 1b ")
		r.want("a", StateOK, true, 1)
	})
}

func TestDefaultGPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := func(r *rig, want string) {
			t.Helper()
			got := "none"
			if d, err := r.Latest().Find(""); err == nil {
				got = d.GPU
			}
			if got != want {
				t.Fatalf("default GPU %s, want %s", got, want)
			}
		}
		var v valve
		var c answering
		k := newRack()
		o := second
		o.ForgetAfter = time.Minute
		r := start(t, o, k)
		is(r, "none")
		sim, sims := card{gpu: "sim:0", source: simulation, kind: Integrated}, card{gpu: "sim:1", source: simulation}
		k.set(sim)
		r.rediscover()
		is(r, "sim:0")
		k.set(sim, sims)
		r.rediscover()
		is(r, "sim:0") // kept, though the other is discrete
		a, b := card{gpu: "a", kind: Integrated}, card{gpu: "b", read: v.read}
		k.set(a, b, sim, sims)
		r.rediscover()
		is(r, "b")
		k.set(a, b)
		cc := card{gpu: "c", read: c.read}
		k.set(a, b, cc)
		v.shut()
		r.rediscover()
		is(r, "b")
		pass(3 * time.Second)
		r.want("b", StateHung, false, 0)
		is(r, "b")
		pass(time.Minute)
		is(r, "c") // b is forgotten
		c.err(ErrAsleep)
		v.open()
		pass(3 * time.Second)
		r.want("b", StateOK, true, 1)
		r.want("c", StateAsleep, true, 0)
		is(r, "c")
		c.err(ErrGone)
		pass(time.Second)
		is(r, "c")
		k.set(a)
		r.rediscover()
		is(r, "c")
		pass(2 * time.Minute)
		is(r, "a")
		k.set(a, b)
		r.rediscover()
		is(r, "a")
	})
}

func TestDefaultGPUAtStart(t *testing.T) {
	for _, c := range []struct {
		cards []card
		want  string
	}{
		{[]card{{gpu: "a", kind: Integrated}, {gpu: "b"}, {gpu: "c"}}, "b"},
		{[]card{{gpu: "a", kind: Integrated}, {gpu: "b", kind: Virtual}}, "a"},
		{[]card{{gpu: "a", source: simulation}, {gpu: "b", kind: Integrated}}, "b"},
		{[]card{{gpu: "a", kind: Integrated, source: simulation}, {gpu: "b", source: simulation}}, "b"},
	} {
		synctest.Test(t, func(t *testing.T) {
			if d := start(t, second, newRack(c.cards...)).status(""); d.GPU != c.want {
				t.Errorf("%v: default %s, want %s", c.cards, d.GPU, c.want)
			}
		})
	}
}
