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
		a.Nodes[0].Perf.Hertz = 1e9
	}
	return h
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

// Sleep is no failure: a library that was late before it and is late after it has not failed meanwhile.
func TestASeriesStaysWithItsSourceThroughSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := laptop(t)
		g := gated(h)
		g.look(goodGPU)
		g.hang(sourceADL)
		g.look(goodGPU)
		power := func(s PowerState) { h.change(func() { h.adapters[0].PowerState = s }) }
		power(PowerD3)
		g.look(goodGPU)
		time.Sleep(time.Hour)
		power(PowerD0)
		g.look(goodGPU)
		g.release(sourceADL)
		g.look(goodGPU)
		want(t, samples(g.look(goodGPU), "gpu_temperature"), `gpu_temperature_celsius{sensor="edge"} 50`)
	})
}

// Where nobody tells in time who is there and who sleeps, NVML is not asked about all GPUs: that would wake them.
func TestNVMLIsNotAskedAboutAllWhileTheListIsLate(t *testing.T) {
	for _, source := range []string{sourceD3DKMT + " list", sourcePnP + " list"} {
		synctest.Test(t, func(t *testing.T) {
			h := laptop(t)
			h.entries, h.nvml = nil, []NVMLDevice{{Address: goodGPU, Source: "nvml"}}
			g := gated(h, func(g *gates) { g.hang(source) })
			if n := g.calls(sourceNVML + " list"); n > 0 {
				t.Errorf("%s is late, and NVML was asked %d times", source, n)
			}
			g.release(source)
		})
	}
}

// While NVML has never answered nobody takes its series, but what it does not tell is told by others.
func TestWhatNVMLDoesNotTellIsToldMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withNodes(pair(t))
		h.entries = nil
		for i := range h.adapters {
			h.adapters[i].DeviceIDs = &PCIIDs{vendorNVIDIA, 0x220a}
		}
		h.nvml = []NVMLDevice{{Address: goodGPU, Source: "nvml"}}
		h.values = map[Address]NVMLReading{goodGPU: {Err: errChild}}
		d := gated(h).look(goodGPU)
		if !d.Up || d.State != collector.StatePartial {
			t.Errorf("%v, up %v", d.State, d.Up)
		}
		want(t, samples(d, "gpu_resets", "gpu_memory", "gpu_engine_busy", "gpu_temperature", "gpu_utilization"), `
			gpu_engine_busy_seconds_total{engine="graphics"} 1
			gpu_memory_total_bytes{memory="shared"} 8.589934592e+09
			gpu_memory_used_bytes{memory="shared"} 1024
			gpu_resets_total 1`)
	})
}

// laptop is a host whose discrete GPU may sleep.
func laptop(t testing.TB) *host {
	h := withNodes(pair(t))
	h.adapters[0].TypeBits = ptr(uint32(typeRender | typeHybridDiscrete | typeRuntimePower))
	h.adapters[1].TypeBits = ptr(uint32(typeRender | typeHybridIntegrated))
	h.entries[0].Family, h.entries[1].Family = 0, 0
	return h
}

func TestASleepingGPUIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := laptop(t)
		g := gated(h)
		awake := g.look(goodGPU)
		if awake.State != collector.StateOK {
			t.Fatalf("%v: %s", awake.State, failures(awake))
		}
		perf := h.adapters[0].Perf
		h.change(func() {
			h.adapters[0].PowerState = PowerD3
			h.adapters[0].Perf = []byte(mustNotBeRead)
			delete(h.sensors, 0) // a question to ADL would be answered by nothing
		})
		asleep := g.look(goodGPU)
		if asleep.State != collector.StateAsleep || !asleep.Up || len(asleep.Samples) != 0 {
			t.Errorf("asleep: %v, %d samples", asleep.State, len(asleep.Samples))
		}
		if other := g.look("0000:04:00.0"); other.State != collector.StateOK || families(other) != "temperature busy used total load clock resets" {
			t.Errorf("the other one: %v, %s", other.State, families(other))
		}
		collected := g.calls(sourcePDH)
		g.look(goodGPU)
		if n := g.calls(sourcePDH); n != collected+1 {
			t.Errorf("counters were collected %d times in a cycle", n-collected)
		}
		h.change(func() {
			h.adapters[0].PowerState, h.adapters[0].Perf = PowerD0, perf
			h.sensors[0] = ADLReading{PMLog: logOf(map[int]int32{8: 45})}
		})
		d := g.look(goodGPU)
		if d.State != collector.StateOK {
			t.Errorf("awake again: %v, %s", d.State, failures(d))
		}
		want(t, samples(d, "gpu_temperature_celsius"), `gpu_temperature_celsius{sensor="edge"} 45`)
	})
}

// An idle GPU of a laptop is let go, so that it can fall asleep: the child that reads it is ended, and nothing is asked
// that could keep it awake. The counters go on.
func TestAnIdleGPUIsLetGo(t *testing.T) {
	for name, c := range map[string]struct {
		source, id string
		prepare    func(h *host, load float64)
	}{
		"ADL": {sourceADL, goodGPU, func(h *host, load float64) {
			h.sensors[0] = ADLReading{PMLog: logOf(map[int]int32{8: 50, 19: int32(load * 100)})}
		}},
		"NVML": {sourceNVML, goodGPU, func(h *host, load float64) {
			h.entries = nil
			for i := range h.adapters {
				h.adapters[i].DeviceIDs = &PCIIDs{vendorNVIDIA, 0x220a}
				h.present[i].ID = fmt.Sprintf(`PCI\VEN_10DE&DEV_220A&SUBSYS_1&REV_A1\%d`, i)
			}
			h.nvml = []NVMLDevice{{Address: "00000000:03:00.0", Source: "nvml"}}
			h.values = map[Address]NVMLReading{goodGPU: {Samples: []collector.Sample{
				sampleOf(50, collector.Temperature, "gpu"), sampleOf(load, collector.Utilization), sampleOf(8, collector.PerformanceState)}}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := laptop(t)
				c.prepare(h, 0.01)
				g := gated(h)
				read := func(until time.Duration) (asked int) {
					t.Helper()
					before := g.calls(c.source)
					for end := time.Now().Add(until); time.Now().Before(end); {
						if d := g.look(goodGPU); d.State != collector.StateOK || !d.Up || len(samples(d, "gpu_engine_busy")) == 0 {
							t.Fatalf("%v, %s, %v", d.State, failures(d), samples(d))
						}
					}
					return g.calls(c.source) - before
				}
				if read(time.Minute) < 50 || len(h.letGo) > 0 {
					t.Fatalf("with a little load it is let go: %v", h.letGo)
				}
				h.change(func() { c.prepare(h, 0) })
				if read(19 * time.Second); len(h.letGo) > 0 {
					t.Fatal("it is let go before 20 s of no load")
				}
				read(3 * time.Second)
				if len(h.letGo) == 0 || h.letGo[0] != c.id {
					t.Fatalf("let go: %v, want %s", h.letGo, c.id)
				}
				perf := h.adapters[0].Perf
				h.change(func() {
					h.adapters[0].Perf = []byte(mustNotBeRead)
					if c.source == sourceADL {
						delete(h.sensors, 0)
					}
				})
				if asked := read(26 * time.Second); c.source == sourceNVML && asked > 0 { // ADL reads the other one too
					t.Errorf("it was asked %d times in its pause", asked)
				}
				h.change(func() {
					h.adapters[0].Perf = perf
					c.prepare(h, 0)
				})
				letGo := len(h.letGo)
				read(8 * time.Second) // still awake at the end of the pause: it is read, and left alone for twice as long
				if len(h.letGo) == letGo {
					t.Error("it is not let go again")
				}
				h.change(func() { h.adapters[0].Perf = []byte(mustNotBeRead) })
				read(50 * time.Second)
				h.change(func() { h.adapters[0].PowerState = PowerD3 })
				if d := g.look(goodGPU); d.State != collector.StateAsleep {
					t.Errorf("%v", d.State)
				}
				if !g.rescan() {
					t.Error("the rescan failed")
				}
				time.Sleep(sameCycle)
				h.change(func() {
					h.adapters[0].PowerState, h.adapters[0].Perf = PowerD0, perf
					c.prepare(h, 0.5)
				})
				if d := g.look(goodGPU); len(samples(d, "gpu_temperature")) == 0 {
					t.Errorf("awake again: %v, %s, %v", d.State, failures(d), samples(d))
				}
			})
		})
	}
}

func TestNVIDIAsGPUsAreWokenWhereThatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := laptop(t)
		h.entries = nil
		for i := range h.adapters {
			h.adapters[i].DeviceIDs, h.adapters[i].PowerState = &PCIIDs{vendorNVIDIA, 0x220a}, PowerD3
			h.present[i].ID = fmt.Sprintf(`PCI\VEN_10DE&DEV_220A&SUBSYS_1&REV_A1\%d`, i)
		}
		g := &gates{rig: h.start(func(o *Options, _ *Probe) { o.WakeNVIDIA = true })}
		if d := g.look(goodGPU); d.State != collector.StateOK || len(samples(d, "gpu_temperature")) == 0 {
			t.Errorf("%v, %s", d.State, families(d))
		}
	})
}

// While nobody tells in time whether a GPU that may sleep does, it is not asked by what might wake it.
func TestPowerThatIsNotToldInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := laptop(t)
		g := gated(h)
		g.look(goodGPU)
		g.hang(sourcePnP)
		h.change(func() { h.adapters[0].Perf = []byte(mustNotBeRead) })
		asked := g.calls(sourceADL)
		d := g.look(goodGPU)
		if d.State != collector.StatePartial || failures(d) != "cfgmgr32 timeout" || families(d) != "busy used total resets" {
			t.Errorf("%v with %q, failed: %q", d.State, families(d), failures(d))
		}
		if other := g.look("0000:04:00.0"); other.State != collector.StateOK || len(samples(other, "gpu_temperature")) != 1 {
			t.Errorf("the other one: %v, %s", other.State, families(other))
		}
		if g.calls(sourceADL) == asked {
			t.Error("ADL was not asked for the other one")
		}
		g.release(sourcePnP)
	})
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
		engine := func(pid, engine int, name string, at, value int64) Counter {
			return Counter{Instance: fmt.Sprintf("pid_%d_luid_%s_phys_0_eng_%d_engtype_%s", pid, goodLUID, engine, name), Time: at, Value: value}
		}
		const second = int64(1e7)
		h.counters.RunningTime.Items = []Counter{engine(1, 0, "3D", second, 5*second), engine(2, 0, "3D", second, second), engine(1, 3, "Copy", second, 0)}
		g := gated(h)
		want(t, samples(g.look(goodGPU), "gpu_utilization", "gpu_engine"), `
			gpu_engine_busy_seconds_total{engine="graphics"} 6
			gpu_engine_busy_seconds_total{engine="copy"} 0`)
		h.change(func() {
			h.counters.RunningTime.Items = []Counter{engine(1, 0, "3D", 3*second, 5*second+second/2), engine(2, 0, "3D", 3*second, second+second/4), engine(1, 3, "Copy", 3*second, second)}
		})
		want(t, samples(g.look(goodGPU), "gpu_utilization", "gpu_engine"), `
			gpu_engine_busy_seconds_total{engine="graphics"} 6.75
			gpu_engine_busy_seconds_total{engine="copy"} 1
			gpu_engine_utilization_ratio{engine="graphics"} 0.375
			gpu_engine_utilization_ratio{engine="copy"} 0.5
			gpu_utilization_ratio 0.5`)
		h.change(func() { h.counters.RunningTime = CounterSet{}; h.counters.Time = 5 * second }) // an idle host has no instance
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

// sampleOf is a sample of a source that has its own series.
func sampleOf(v float64, q collector.QuantityID, labels ...string) collector.Sample {
	return collector.Sample{S: &collector.Series{Q: q, Values: labels, Max: 1e12}, V: v}
}

func TestNVMLFillsAndNamesItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := pair(t)
		h.entries = nil
		for i := range h.adapters {
			h.adapters[i].DeviceIDs = &PCIIDs{vendorNVIDIA, 0x220a}
		}
		h.present = append(h.present, PnPDevice{`PCI\VEN_10DE&DEV_1DB4&SUBSYS_00000000&REV_A1\4&1&0&0028`, &Place{5, 0, 0}})
		at := Address("00000000:03:00.0")
		h.nvml = []NVMLDevice{{Address: at, Source: "nvml", UUID: "GPU-1", Version: "560.94"}, {Address: "00000000:05:00.0", Source: "nvml", Name: "Tesla", PCIID: "10de:1db4"}}
		h.values = map[Address]NVMLReading{goodGPU: {Samples: []collector.Sample{
			sampleOf(61, collector.Temperature, "gpu"), sampleOf(5, collector.MemoryTotal, "vram"), sampleOf(4, collector.MemoryUsed, "vram")}}}
		g := gated(h)
		d := g.look(goodGPU)
		if d.Source != "nvml" || d.UUID != "GPU-1" || d.DriverVersion != "560.94" || d.PCIID != "10de:220a" {
			t.Errorf("%+v", d.Info)
		}
		want(t, samples(d, "gpu_temperature", "gpu_memory"), `
			gpu_temperature_celsius{sensor="gpu"} 61
			gpu_memory_total_bytes{memory="vram"} 5
			gpu_memory_total_bytes{memory="shared"} 8.589934592e+09
			gpu_memory_used_bytes{memory="vram"} 4
			gpu_memory_used_bytes{memory="shared"} 1024`)
		alone, err := g.poller.Latest().Find("0000:05:00.0")
		if err != nil || alone.Name != "Tesla" || alone.Source != "nvml" || alone.PCIID != "10de:1db4" {
			t.Errorf("the GPU that NVML alone lists: %+v, %v", alone, err)
		}
		if other := g.look("0000:04:00.0"); other.Source != probeName || other.State != collector.StateOK {
			t.Errorf("the GPU that NVML does not list: %+v, %v", other.Info, other.State)
		}
		h.change(func() { h.nvml = h.nvml[:1] }) // as when one hangs
		if g.rescan(); g.look("0000:05:00.0").Source != "nvml" {
			t.Error("the GPU that NVML lists no more is not its own any more")
		}
	})
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
