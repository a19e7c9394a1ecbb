package windows

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
)

// gates let the calls of sources hang.
type gates struct {
	*rig
	closed map[string]chan struct{} // by source: its calls wait until this is closed
	fails  map[string]error
}

// gated starts on a host inside of a synctest bubble, where a source that hangs costs a test no time. All that hangs
// must be let go before the bubble ends. Before the first cycle prepare, if there is one, has its turn.
func gated(h *host, prepare ...func(g *gates)) *gates {
	g := &gates{rig: &rig{host: h}, closed: map[string]chan struct{}{}, fails: map[string]error{}}
	for _, f := range prepare {
		f(g)
	}
	h.hook = func(source string) error {
		h.mu.Lock()
		wait, err := g.closed[source], g.fails[source]
		h.mu.Unlock()
		if wait != nil {
			<-wait
		}
		return err
	}
	g.rig = h.start(func(o *Options, _ *Probe) { o.Deadline = 2 * time.Second })
	return g
}

// hang has the calls of a source hang from now on.
func (g *gates) hang(source string) { g.change(func() { g.closed[source] = make(chan struct{}) }) }

// release ends that.
func (g *gates) release(source string) {
	g.change(func() {
		close(g.closed[source])
		delete(g.closed, source)
	})
	synctest.Wait()
}

// look reads all GPUs once, waits until late ones have answered too, and returns one of them.
func (g *gates) look(gpu string) collector.Status {
	g.t.Helper()
	g.cycle()
	time.Sleep(1100 * time.Millisecond)
	synctest.Wait()
	d, err := g.poller.Latest().Find(gpu)
	if err != nil {
		g.t.Fatal(err)
	}
	return *d
}

// failures are the failures of a reading, a word each.
func failures(d collector.Status) string {
	var words []string
	for _, f := range d.Failures {
		words = append(words, fmt.Sprintf("%s %s", f.Source, f.Kind))
	}
	return strings.Join(words, ", ")
}

// families are the names of the families that a reading has samples of, short.
func families(d collector.Status) string {
	seen := map[string]bool{}
	var names []string
	for _, s := range []struct{ prefix, word string }{
		{"gpu_temperature", "temperature"}, {"gpu_engine_busy", "busy"}, {"gpu_memory_used", "used"},
		{"gpu_memory_total", "total"}, {"gpu_utilization", "load"}, {"gpu_clock", "clock"}, {"gpu_resets", "resets"},
	} {
		if len(samples(d, s.prefix)) > 0 && !seen[s.word] {
			names = append(names, s.word)
		}
	}
	return strings.Join(names, " ")
}

const goodGPU = "0000:03:00.0"

// nodes gives the adapters of a host one 3D node with a clock, so that D3DKMT's statistics are filled.
func withNodes(h *host) *host {
	for i := range h.adapters {
		a := &h.adapters[i]
		a.Nodes = append(a.Nodes, struct {
			Type    uint32 `json:"engine_type"`
			Name    string `json:"friendly_name"`
			Running int64  `json:"running_time_100ns"`
			Perf    struct {
				Hertz      uint64 `json:"frequency_hz"`
				MaxHertz   uint64 `json:"max_frequency_hz"`
				Millivolts uint32 `json:"voltage_mv"`
			} `json:"perf"`
		}{Type: node3D})
		a.Nodes[len(a.Nodes)-1].Perf.Hertz = 1e9
	}
	return h
}

// The clock of the card is that of its first 3D node, of no other.
func TestTheClockOfTheCardIsThatOfA3DNode(t *testing.T) {
	const nodeCopy = 6
	for name, c := range map[string]struct {
		types []uint32
		want  string
	}{
		"first":  {[]uint32{node3D, nodeCopy}, `gpu_clock_hertz{clock="graphics"} 1e+09`},
		"second": {[]uint32{nodeCopy, node3D}, `gpu_clock_hertz{clock="graphics"} 2e+09`},
		"none":   {[]uint32{nodeCopy, 0}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := withNodes(withNodes(pair(t)))
			h.entries = nil
			for i, is := range c.types {
				n := &h.adapters[0].Nodes[i]
				n.Type, n.Perf.Hertz = is, uint64(i+1)*1e9
			}
			d, err := h.start().cycle().Find(goodGPU)
			if err != nil {
				t.Fatal(err)
			}
			want(t, samples(*d, "gpu_clock"), c.want)
		})
	}
}

func TestASourceThatHangsCostsOnlyWhatItTells(t *testing.T) {
	const all = "temperature busy used total load clock resets"
	for name, c := range map[string]struct {
		hang     []string
		families string
		failed   string
		state    collector.State
	}{
		"none":     {nil, all, "", collector.StateOK},
		"PDH":      {[]string{sourcePDH}, "temperature total load clock resets", "PDH timeout", collector.StatePartial},
		"D3DKMT":   {[]string{sourceD3DKMT}, "temperature busy used total load", "D3DKMT timeout", collector.StatePartial},
		"ADL":      {[]string{sourceADL}, "busy used total clock resets", "ADL timeout", collector.StatePartial},
		"two":      {[]string{sourceADL, sourceD3DKMT}, "busy used total", "ADL timeout, D3DKMT timeout", collector.StatePartial},
		"cfgmgr32": {[]string{sourcePnP}, all, "", collector.StateOK}, // a desktop card cannot sleep: power not told is awake
		"all":      {[]string{sourceADL, sourceD3DKMT, sourcePDH}, "", "read timeout", collector.StateHung},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := gated(withNodes(pair(t)))
				if d := g.look(goodGPU); families(d) != all || d.State != collector.StateOK {
					t.Fatalf("before: %s, %v, %s", families(d), d.State, failures(d))
				}
				for _, s := range c.hang {
					g.hang(s)
				}
				goroutines, calls := 0, map[string]int{}
				for i := range 30 {
					d := g.look(goodGPU)
					if families(d) != c.families || failures(d) != c.failed || d.State != c.state {
						t.Fatalf("cycle %d: %v with %q, failed: %q", i, d.State, families(d), failures(d))
					}
					if i == 3 {
						goroutines = runtime.NumGoroutine()
						for _, s := range c.hang {
							calls[s] = g.calls(s)
						}
					}
				}
				const others = 3 // that have nothing to do with it
				if n := runtime.NumGoroutine(); n > goroutines+others {
					t.Errorf("%d goroutines grew to %d", goroutines, n)
				}
				for _, s := range c.hang {
					if n := g.calls(s); n != calls[s] {
						t.Errorf("%s hangs, and was asked %d times again", s, n-calls[s])
					}
					g.release(s)
				}
				g.look(goodGPU)
				if d := g.look(goodGPU); families(d) != all || d.State != collector.StateOK {
					t.Errorf("after: %v with %q, failed: %q", d.State, families(d), failures(d))
				}
			})
		})
	}
}

// A source that is only late does not hold up the others for ever: each second or third answer of it is used.
func TestASlowSourceIsUsedWhenItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := pair(t)
		g := gated(h)
		g.look(goodGPU)
		h.change(func() {
			inner := h.hook
			h.hook = func(source string) error {
				if source == sourceADL {
					time.Sleep(1500 * time.Millisecond) // its deadline is 1 s
				}
				return inner(source)
			}
		})
		told, partial := 0, 0
		for range 30 {
			d := g.look(goodGPU)
			if len(samples(d, "gpu_temperature")) > 0 {
				told++
			}
			if d.State == collector.StatePartial {
				partial++
			}
		}
		if told < 5 || told+partial != 30 {
			t.Errorf("%d readings with its samples, %d partial, want some of each and no other", told, partial)
		}
	})
}

// A call for all GPUs that hangs at the second has an old reading of the first, which is not shown as new.
func TestAnAnswerOfLongAgoIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withNodes(pair(t))
		g := gated(h)
		g.look(goodGPU)
		hangs := make(chan struct{})
		h.change(func() {
			h.between = func() {
				h.between = nil
				h.mu.Unlock()
				<-hangs
				h.mu.Lock()
			}
		})
		g.look(goodGPU)
		time.Sleep(time.Minute)
		close(hangs)
		synctest.Wait()
		if d := g.look(goodGPU); failures(d) != "D3DKMT timeout" {
			t.Errorf("failed: %q, samples %v", failures(d), samples(d))
		}
		if d := g.look(goodGPU); d.State != collector.StateOK {
			t.Errorf("after: %v, %s", d.State, failures(d))
		}
	})
}

func TestASeriesStaysWithItsSource(t *testing.T) {
	temperature := func(d collector.Status) string { return strings.Join(samples(d, "gpu_temperature"), "") }
	const fromADL, fromKernel = `gpu_temperature_celsius{sensor="edge"} 50`, `gpu_temperature_celsius{sensor="edge"} 40`
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		first string // what ADL does at the first reading: ok, hangs, fails
		want  []string
	}{
		"it fails after it worked": {"ok", []string{fromADL, "", "", fromKernel, fromKernel}},
		"it hangs from the start":  {"hangs", []string{"", "", "", fromKernel, fromKernel}},
		"it fails from the start":  {"fails", []string{fromKernel, fromKernel, fromKernel, fromKernel, fromKernel}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := gated(pair(t), func(g *gates) {
					switch c.first {
					case "hangs":
						g.hang(sourceADL)
					case "fails":
						g.fails[sourceADL] = broken
					}
				})
				got := []string{temperature(g.look(goodGPU))}
				if c.first == "ok" {
					g.change(func() { g.fails[sourceADL] = broken })
				}
				got = append(got, temperature(g.look(goodGPU)))
				time.Sleep(patience - time.Minute)
				got = append(got, temperature(g.look(goodGPU)))
				time.Sleep(time.Minute)
				got = append(got, temperature(g.look(goodGPU)))
				g.change(func() { delete(g.fails, sourceADL) }) // it is well again, and another has its series now
				if c.first == "hangs" {
					g.release(sourceADL)
				}
				g.look(goodGPU)
				got = append(got, temperature(g.look(goodGPU)))
				for i := range got {
					if got[i] != c.want[i] {
						t.Errorf("step %d: %q, want %q", i, got[i], c.want[i])
					}
				}
			})
		})
	}
}

// Both GPUs of a cycle share one call of each source.
func TestOneCallForAllGPUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gated(pair(t))
		for i := range 5 {
			g.look(goodGPU)
			for _, s := range []string{sourcePDH, sourceD3DKMT, sourceADL, sourcePnP} {
				atDiscovery := 0
				if s == sourcePDH {
					atDiscovery = 1
				}
				if n := g.calls(s); n != i+1+atDiscovery {
					t.Errorf("cycle %d: %s was called %d times", i, s, n)
				}
			}
		}
		if g.usage {
			t.Error("ADL was asked for memory in use, which PDH tells")
		}
	})
}

func TestUtilizationIsThatOfTaskManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := pair(t)
		h.entries = nil
		engine := func(pid, engine int, name string, value int64) Counter {
			return Counter{Instance: fmt.Sprintf("pid_%d_luid_%s_phys_0_eng_%d_engtype_%s", pid, goodLUID, engine, name), Value: value}
		}
		const second = int64(1e7)
		at := func(s int64) { h.counters.Time = time.Unix(s, 0) }
		at(1)
		h.counters.RunningTime.Items = []Counter{engine(1, 0, "3D", 5*second), engine(2, 0, "3D", second), engine(1, 3, "Copy", 0)}
		g := gated(h)
		want(t, samples(g.look(goodGPU), "gpu_utilization", "gpu_engine"), `
			gpu_engine_busy_seconds_total{engine="graphics"} 6
			gpu_engine_busy_seconds_total{engine="copy"} 0`)
		h.change(func() {
			at(3)
			h.counters.RunningTime.Items = []Counter{engine(1, 0, "3D", 5*second+second/2), engine(2, 0, "3D", second+second/4), engine(1, 3, "Copy", second)}
		})
		want(t, samples(g.look(goodGPU), "gpu_utilization", "gpu_engine"), `
			gpu_engine_busy_seconds_total{engine="graphics"} 6.75
			gpu_engine_busy_seconds_total{engine="copy"} 1
			gpu_engine_utilization_ratio{engine="graphics"} 0.375
			gpu_engine_utilization_ratio{engine="copy"} 0.5
			gpu_utilization_ratio 0.5`)
		h.change(func() { h.counters.RunningTime = CounterSet{}; at(5) }) // an idle host has no instance
		want(t, samples(g.look(goodGPU), "gpu_utilization", "gpu_engine"), `
			gpu_engine_busy_seconds_total{engine="graphics"} 6.75
			gpu_engine_busy_seconds_total{engine="copy"} 1
			gpu_engine_utilization_ratio{engine="graphics"} 0
			gpu_engine_utilization_ratio{engine="copy"} 0
			gpu_utilization_ratio 0`)
	})
}

// D3DKMT's nodes are engines where there are no counters and the hardware does not schedule.
func TestNodesStandInForCounters(t *testing.T) {
	for name, c := range map[string]struct {
		scheduling *uint32
		wddm       uint32
		told       bool
	}{
		"off":              {ptr(uint32(1)), 3100, true},
		"on":               {ptr(uint32(3)), 3100, false},
		"not told":         {nil, 3100, false},
		"not yet invented": {nil, 2600, true},
		"nothing told":     {nil, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := withNodes(pair(t))
				h.counters, h.entries = nil, nil
				a := &h.adapters[0]
				a.SchedulingBits, a.WDDM, a.Nodes[0].Running = c.scheduling, c.wddm, 3e7
				g := gated(h)
				first := samples(g.look(goodGPU), "gpu_utilization", "gpu_engine")
				h.change(func() { a.Nodes[0].Running += 550e4 }) // half of the 1.1 s of a look
				second := samples(g.look(goodGPU), "gpu_utilization", "gpu_engine")
				if !c.told {
					want(t, append(first, second...), "")
					return
				}
				want(t, first, `gpu_engine_busy_seconds_total{engine="graphics"} 3`)
				want(t, second, `
					gpu_engine_busy_seconds_total{engine="graphics"} 3.55
					gpu_engine_utilization_ratio{engine="graphics"} 0.5
					gpu_utilization_ratio 0.5`)
			})
		})
	}
}

func TestACardThatHasComeIsLookedForInADLOnce(t *testing.T) {
	h := pair(t)
	entries := h.entries
	h.entries = entries[:1]
	g := h.start()
	for range 3 {
		g.rescan()
	}
	if h.renewed != 1 {
		t.Errorf("its list was renewed %d times", h.renewed)
	}
	h.change(func() { h.entries = entries })
	g.rescan()
	h.change(func() { h.entries = entries[:1] })
	g.rescan()
	g.rescan()
	if h.renewed != 2 {
		t.Errorf("after it was listed: %d times", h.renewed)
	}
}

// After a slow start nobody says at first where the GPUs are. What DirectX has of them would be found as others.
func TestWhatDirectXListsIsNoGPUWhileOthersAreLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := pair(t)
		h.entries, h.registry = nil, &Registry{DirectX: []RegistryKey{regKey("{1}", map[string]RegistryValue{
			"Description": sz("Radeon"), "VendorId": dword(vendorAMD), "DeviceId": dword(0x747e), "AdapterLuid": qword(0xaaaa)})}}
		late := []string{sourceD3DKMT + " list", sourcePnP + " list"}
		g := gated(h, func(g *gates) {
			for _, s := range late {
				g.hang(s)
			}
		})
		g.cycle()
		for _, s := range late {
			g.release(s)
		}
		g.rescan()
		g.look(goodGPU)
		for _, d := range g.poller.Latest().Devices {
			if d.State != collector.StateOK {
				t.Errorf("%s is %v", d.GPU, d.State)
			}
		}
	})
}

// ADL's list is as old as its child: what was unplugged since is in it.
func TestACardThatWasUnpluggedIsGone(t *testing.T) {
	h := pair(t)
	adapters, present := h.adapters, h.present
	g := h.start()
	g.cycle()
	h.change(func() { h.adapters, h.present = adapters[:1], present[:1] })
	for range 3 {
		g.rescan()
	}
	if d := g.cycle().Devices[1]; d.State != collector.StateGone || h.renewed != 1 {
		t.Errorf("it is %v, and ADL's list was renewed %d times", d.State, h.renewed)
	}
	h.change(func() { h.entries = h.entries[:1] }) // that of the new child
	g.rescan()
	h.change(func() { h.adapters, h.present = adapters, present })
	g.rescan()
	if d := g.cycle().Devices[1]; d.State != collector.StateOK || h.renewed != 2 {
		t.Errorf("plugged in again it is %v, and ADL's list was renewed %d times", d.State, h.renewed)
	}
}

func TestALibraryThatLoadsForLongIsAskedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := pair(t)
		p := New(Options{Sources: h.sources(), Deadline: 2 * time.Second})
		asked := 0
		p.Notify(func() { asked++ })
		loading := make(chan struct{})
		h.hook = func(source string) error {
			if source == sourceADL+" list" {
				<-loading
			}
			return nil
		}
		for i, want := range []int{1, 2, 3, 4, 4, 4} {
			_, _ = p.Discover(t.Context())
			time.Sleep(latePause << (i + 1))
			if synctest.Wait(); asked != want {
				t.Errorf("after discovery %d a rescan was asked for %d times, want %d", i+1, asked, want)
			}
		}
		close(loading)
		for range 2 { // the first takes the late answer
			_, _ = p.Discover(t.Context())
			time.Sleep(time.Hour)
		}
		if asked != 4 {
			t.Errorf("once it is loaded: %d", asked)
		}
	})
}

func TestOriginsNameTheSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := gated(withNodes(pair(t))).look(goodGPU)
		var got []string
		for _, o := range d.Origins {
			for _, s := range o.Tells {
				got = append(got, o.Source+" "+s.String())
			}
		}
		slices.Sort(got)
		want(t, got, `
			ADL gpu_temperature_celsius{sensor="edge"}
			ADL gpu_utilization_ratio
			PDH gpu_engine_busy_seconds_total{engine="graphics"}
			PDH gpu_memory_used_bytes{memory="shared"}
			PDH gpu_memory_used_bytes{memory="vram"}
			D3DKMT gpu_clock_hertz{clock="graphics"}
			D3DKMT gpu_resets_total
			discovery gpu_memory_total_bytes{memory="shared"}
			discovery gpu_memory_total_bytes{memory="vram"}`)
	})
}

func TestCloseClosesTheCounters(t *testing.T) {
	h := pair(t)
	p := New(Options{Sources: h.sources()})
	closed := &closing{recordedPDH: recordedPDH{h}}
	p.o.Sources.PDH = closed
	if err := p.Close(); err != nil || closed.n != 1 {
		t.Errorf("closed %d times, %v", closed.n, err)
	}
	if err := p.Close(); !errors.Is(err, errLate) { // as with a call that hangs, nobody gets in
		t.Errorf("a second Close: %v", err)
	}
	if err := New(Options{}).Close(); err != nil {
		t.Errorf("without counters: %v", err)
	}
}

type closing struct {
	recordedPDH
	n int
}

func (c *closing) Close() error { c.n++; return nil }

func TestCountersThatAreNotThereAreAskedForAtADiscoveryOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := pair(t)
		counters := h.counters
		h.counters = nil
		g := gated(h)
		for range 3 {
			g.look(goodGPU)
		}
		if n := g.calls(sourcePDH); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		if !g.usage {
			t.Error("ADL was not asked for the memory in use, which nobody else tells")
		}
		h.change(func() { h.counters = counters }) // the provider was repaired
		g.rescan()
		if d := g.look(goodGPU); g.calls(sourcePDH) != 3 || len(samples(d, "gpu_engine_busy")) != 1 {
			t.Errorf("after a discovery: asked %d times, %v", g.calls(sourcePDH), samples(d))
		}
	})
}
