package simulation

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
)

// discovered are the devices of a probe.
func discovered(t testing.TB, p collector.Probe) []collector.Device {
	t.Helper()
	list, err := p.Discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestWhoTheGPUsAre(t *testing.T) {
	for _, c := range []struct{ gpus, want int }{{1, 1}, {3, 3}, {12, 12}, {0, 1}, {-5, 1}} {
		p := New(Options{GPUs: c.gpus})
		list := discovered(t, p)
		if len(list) != c.want || p.Name() != "simulation" {
			t.Fatalf("%d of %q, want %d", len(list), p.Name(), c.want)
		}
		again := discovered(t, p)
		for n, d := range list {
			want := collector.Info{
				GPU: fmt.Sprintf("sim:%d", n), Vendor: "amd", Name: "AMD Radeon RX 7800 XT", Type: "discrete",
				PCIID: "1002:747e", Driver: "simulation", Source: "simulation",
			}
			if d.Info() != want {
				t.Errorf("%+v, want %+v", d.Info(), want)
			}
			if again[n] == d || again[n].Info() != want || again[n].Key() != d.Key() || d.Key() == "" {
				t.Errorf("%s is another GPU in the next discovery, or the same value", want.GPU)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// What is told is what the fixture of the real card tells, and more only where the text below says so.
func TestSeriesOfTheTable(t *testing.T) {
	var told []string
	for _, row := range table {
		q := collector.Quantities[row.q]
		if len(row.labels) != len(q.Labels) {
			t.Errorf("%s has labels %v, not %q", q.Name, q.Labels, row.labels)
		}
		var labels []string
		for i, v := range row.labels {
			if v != "" {
				labels = append(labels, fmt.Sprintf("%s=%s", q.Labels[i], v))
			}
		}
		if !(row.lo < row.hi) {
			t.Errorf("%s%q has no bounds", q.Name, labels)
		}
		told = append(told, strings.TrimSpace(q.Name+" "+strings.Join(labels, " ")))
	}
	slices.Sort(told)
	if twice := len(told) - len(slices.Compact(slices.Clone(told))); twice > 0 {
		t.Errorf("%d series are there twice", twice)
	}
	want := strings.Split(strings.TrimSpace(expectedSeries), "\n")
	slices.Sort(want)
	if !slices.Equal(told, want) {
		t.Errorf("series are\n%s", strings.Join(told, "\n"))
	}
}

const expectedSeries = `
gpu_clock_hertz clock=decoder0
gpu_clock_hertz clock=decoder1
gpu_clock_hertz clock=graphics
gpu_clock_hertz clock=memory
gpu_clock_hertz clock=soc
gpu_clock_hertz clock=video0
gpu_clock_hertz clock=video1
gpu_clock_limit_hertz clock=graphics limit=max
gpu_clock_limit_hertz clock=graphics limit=min
gpu_clock_limit_hertz clock=memory limit=max
gpu_clock_limit_hertz clock=memory limit=min
gpu_clock_limit_hertz clock=soc limit=max
gpu_clock_limit_hertz clock=soc limit=min
gpu_display_active
gpu_energy_joules_total domain=package
gpu_engine_utilization_ratio engine=media
gpu_engine_utilization_ratio engine=memory
gpu_fan_duty_ratio fan=1
gpu_fan_max_rpm fan=1
gpu_fan_min_rpm fan=1
gpu_fan_speed_rpm fan=1
gpu_fan_target_rpm fan=1
gpu_memory_total_bytes memory=gtt
gpu_memory_total_bytes memory=visible_vram
gpu_memory_total_bytes memory=vram
gpu_memory_used_bytes memory=gtt
gpu_memory_used_bytes memory=visible_vram
gpu_memory_used_bytes memory=vram
gpu_mode_info performance_level=auto power_profile=bootup_default
gpu_pcie_link_max_transfers_per_second
gpu_pcie_link_max_width
gpu_pcie_link_transfers_per_second
gpu_pcie_link_width
gpu_power_average_watts domain=package
gpu_power_limit_watts domain=package limit=current
gpu_power_limit_watts domain=package limit=default
gpu_power_limit_watts domain=package limit=max
gpu_power_limit_watts domain=package limit=min
gpu_power_watts domain=package
gpu_temperature_celsius sensor=edge
gpu_temperature_celsius sensor=hotspot
gpu_temperature_celsius sensor=memory
gpu_temperature_celsius sensor=vr_graphics
gpu_temperature_celsius sensor=vr_memory
gpu_temperature_celsius sensor=vr_soc
gpu_temperature_limit_celsius sensor=edge limit=critical
gpu_temperature_limit_celsius sensor=edge limit=emergency
gpu_temperature_limit_celsius sensor=hotspot limit=critical
gpu_temperature_limit_celsius sensor=hotspot limit=emergency
gpu_temperature_limit_celsius sensor=memory limit=critical
gpu_temperature_limit_celsius sensor=memory limit=emergency
gpu_throttle_active reason=current
gpu_throttle_active reason=other
gpu_throttle_active reason=power
gpu_throttle_active reason=prochot
gpu_throttle_active reason=reliability
gpu_throttle_active reason=thermal
gpu_throttle_active reason=voltage_regulator
gpu_utilization_ratio
gpu_voltage_volts rail=graphics
gpu_voltage_volts rail=memory
gpu_voltage_volts rail=soc
`

// sampled gives what was told last, by name and first label.
func sampled(s *collector.Snapshot, n int) map[string]float64 {
	all := map[string]float64{}
	for _, sample := range s.Devices[n].Samples {
		name := sample.S.Q.String()
		if len(sample.S.Values) > 0 {
			name += " " + strings.Join(sample.S.Values, " ")
		}
		all[name] = sample.V
	}
	return all
}

// What the Poller publishes is what the formulas say of the second in which it read.
func TestSnapshotsTellTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{GPUs: 3, Seed: 21, Profile: Hot})
		poller := run(t, nil, p)
		for range 700 {
			time.Sleep(time.Second)
			synctest.Wait()
			latest := poller.Latest()
			if len(latest.Devices) != 3 {
				t.Fatalf("%d GPUs", len(latest.Devices))
			}
			for n := range latest.Devices {
				d := &latest.Devices[n]
				if d.State != collector.StateOK || !d.Up || len(d.Samples) != len(table) {
					t.Fatalf("%s is %v with %d samples", d.GPU, d.State, len(d.Samples))
				}
				want, got := shown(truth(21, n, true, d.At)), sampled(latest, n)
				for name, w := range map[string]float64{
					"gpu_utilization_ratio": want.Utilization, "gpu_engine_utilization_ratio memory": want.MemoryEngine,
					"gpu_engine_utilization_ratio media": want.MediaEngine, "gpu_temperature_celsius edge": want.Edge,
					"gpu_temperature_celsius hotspot": want.Hotspot, "gpu_temperature_celsius memory": want.Memory,
					"gpu_temperature_celsius vr_graphics": want.VRGraphics, "gpu_temperature_celsius vr_memory": want.VRMemory,
					"gpu_temperature_celsius vr_soc": want.VRSoC, "gpu_memory_used_bytes vram": want.VRAMUsed,
					"gpu_memory_used_bytes visible_vram": want.VRAMUsed, "gpu_memory_used_bytes gtt": want.GTTUsed,
					"gpu_clock_hertz graphics": want.GraphicsClock, "gpu_clock_hertz memory": want.MemoryClock,
					"gpu_clock_hertz soc": want.SoCClock, "gpu_clock_hertz video0": want.VideoClock,
					"gpu_clock_hertz decoder0": want.DecoderClock, "gpu_power_watts package": want.Power,
					"gpu_power_average_watts package": want.PowerAverage, "gpu_energy_joules_total package": want.Energy,
					"gpu_voltage_volts graphics": want.GraphicsVoltage, "gpu_voltage_volts soc": want.SoCVoltage,
					"gpu_voltage_volts memory": want.MemoryVoltage, "gpu_fan_duty_ratio 1": want.FanDuty,
					"gpu_fan_target_rpm 1": want.FanTarget, "gpu_fan_speed_rpm 1": want.FanSpeed,
					"gpu_throttle_active thermal": want.Throttled,
					// What never changes.
					"gpu_fan_max_rpm 1": 3300, "gpu_fan_min_rpm 1": 0, "gpu_memory_total_bytes vram": 17163091968,
					"gpu_memory_total_bytes gtt": 16638816256, "gpu_power_limit_watts package current": 236,
					"gpu_temperature_limit_celsius edge critical": 100, "gpu_temperature_limit_celsius hotspot critical": 110,
					"gpu_temperature_limit_celsius memory critical": 108, "gpu_clock_limit_hertz graphics max": 2254e6,
					"gpu_clock_limit_hertz memory max": 1218e6, "gpu_pcie_link_width": 16, "gpu_pcie_link_transfers_per_second": 16e9,
					"gpu_display_active": 1, "gpu_throttle_active power": 0, "gpu_clock_hertz video1": 25e6,
				} {
					if g, there := got[name]; !there || g != w {
						t.Errorf("%s of %s at %v is %v, want %v", name, d.GPU, d.At, g, w)
					}
				}
				if p.Curve(n).At(d.At) != NewCurve(21, n, Hot).At(d.At) {
					t.Errorf("the curve of the probe is not that of %s", d.GPU)
				}
			}
			if t.Failed() {
				return
			}
		}
	})
}

func TestPrimaryValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		poller := run(t, nil, New(Options{Seed: 4}))
		synctest.Wait()
		d := &poller.Latest().Devices[0]
		s, p := shown(truth(4, 0, false, d.At)), d.Primary()
		for _, c := range []struct {
			name string
			got  collector.Value
			want float64
		}{
			{"temperature", p.Temperature, s.Edge}, {"utilization", p.Utilization, s.Utilization * 100},
			{"memory used", p.MemoryUsed, s.VRAMUsed / (1 << 20)}, {"memory total", p.MemoryTotal, 16368},
			{"core clock", p.CoreClock, s.GraphicsClock / 1e6}, {"memory clock", p.MemoryClock, s.MemoryClock / 1e6},
			{"power", p.PowerUsage, s.Power}, {"fan", p.FanSpeed, s.FanDuty * 100},
		} {
			if !c.got.OK || c.got.V != c.want {
				t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
			}
		}
	})
}

func TestOneWarning(t *testing.T) {
	var log bytes.Buffer
	p := New(Options{GPUs: 2, Seed: 9, Profile: Hot, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if log.Len() > 0 {
		t.Error("a warning before anything was found")
	}
	for range 3 {
		discovered(t, p)
	}
	if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, "gpus=2 profile=hot seed=9") {
		t.Errorf("logged %q", text)
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	d := discovered(t, New(Options{}))[0]
	var r collector.Reading
	read := func() {
		r.Reset()
		if err := d.Read(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if n := testing.AllocsPerRun(100, read); n > 0 {
		t.Errorf("%v allocations a read", n)
	}
}

func BenchmarkRead(b *testing.B) {
	d := discovered(b, New(Options{}))[0]
	var r collector.Reading
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		if err := d.Read(b.Context(), &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAt(b *testing.B) {
	c, at := NewCurve(1, 0, Normal), time.Unix(1795633304, 718677500)
	b.ReportAllocs()
	for b.Loop() {
		c.At(at)
	}
}
