package windows

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
)

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
