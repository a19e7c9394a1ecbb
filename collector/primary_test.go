package collector

import "testing"

// q makes a sample.
func q(id QuantityID, v float64, labels ...string) Sample {
	return Sample{&Series{Q: id, Values: labels}, v}
}

func TestPrimary(t *testing.T) {
	const mib = 1 << 20
	known := func(v float64) Value { return Value{v, true} }
	for _, c := range []struct {
		name    string
		kind    string
		samples []Sample
		want    Primary
	}{
		{"nothing", Discrete, nil, Primary{}},
		{"discrete", Discrete, []Sample{
			q(Temperature, 70, "hotspot"), q(Temperature, 50, "edge"), q(Temperature, 60, "memory"),
			q(Power, 9, "soc"), q(Power, 120, "board"), q(Power, 100, "graphics"),
			q(Utilization, 0.37), q(EngineUtilization, 0.9, "decode"),
			q(MemoryUsed, 4*mib, "vram"), q(MemoryTotal, 16*mib, "vram"), q(MemoryUsed, mib, "gtt"), q(MemoryTotal, 8*mib, "gtt"),
			q(Clock, 2.1e9, "graphics"), q(Clock, 3e9, "graphics0"), q(Clock, 1.25e9, "memory"), q(Clock, 9e9, "soc"),
			q(FanDuty, 0.4, "1"), q(FanDuty, 0.5, "2"), q(FanSpeed, 3000, "1"), q(FanMax, 3000, "1"),
		}, Primary{known(50), known(37), known(4), known(16), known(25), known(2100), known(1250), known(120), known(50), ""}},
		{"what stands further down", Discrete, []Sample{
			q(Temperature, 70, "hotspot"), q(Power, 9, "soc"),
			q(EngineUtilization, 0.1, "graphics"), q(EngineUtilization, 0.9, "decode"),
			q(Clock, 1e9, "graphics0"), q(Clock, 3e9, "graphics7"), q(Clock, 2e9, "graphics1"), q(Clock, 9e9, "graphics_requested"),
			q(FanSpeed, 1000, "1"), q(FanMax, 2000, "1"), q(FanSpeed, 900, "2"), q(FanMax, 1000, "2"), q(FanSpeed, 5000, "3"),
		}, Primary{Temperature: known(70), PowerUsage: known(9), Utilization: known(90), CoreClock: known(3000), FanSpeed: known(90)}},
		{"labels that are none of ours", Discrete, []Sample{q(Temperature, 70, "liquid"), q(Power, 9, "system"), q(Clock, 1e9, "graphics")},
			Primary{CoreClock: known(1000)}},
		{"zero is a value", Discrete, []Sample{q(Utilization, 0), q(Temperature, 0, "edge"), q(MemoryUsed, 0, "vram"), q(FanDuty, 0, "1")},
			Primary{Utilization: known(0), Temperature: known(0), MemoryUsed: known(0), FanSpeed: known(0)}},
		{"a fan beyond its maximum", Discrete, []Sample{q(FanSpeed, 2100, "1"), q(FanMax, 2000, "1")}, Primary{FanSpeed: known(100)}},
		{"a fan whose maximum is 0", Discrete, []Sample{q(FanSpeed, 2100, "1"), q(FanMax, 0, "1")}, Primary{}},
		{"memory of no size", Discrete, []Sample{q(MemoryUsed, 0, "vram"), q(MemoryTotal, 0, "vram")},
			Primary{MemoryUsed: known(0), MemoryTotal: known(0)}},
		{"integrated", Integrated, []Sample{
			q(MemoryUsed, mib, "vram"), q(MemoryTotal, 2*mib, "vram"), q(MemoryUsed, 2*mib, "gtt"), q(MemoryTotal, 10*mib, "gtt")},
			Primary{MemoryUsed: known(3), MemoryTotal: known(12), MemoryUtilization: known(25)}},
		{"integrated on Windows", Integrated, []Sample{
			q(MemoryUsed, mib, "vram"), q(MemoryTotal, 2*mib, "vram"), q(MemoryUsed, 2*mib, "shared"), q(MemoryTotal, 4*mib, "shared")},
			Primary{MemoryUsed: known(3), MemoryTotal: known(6), MemoryUtilization: known(50)}},
		{"a part of the memory is not known", Integrated, []Sample{
			q(MemoryUsed, mib, "vram"), q(MemoryTotal, 2*mib, "vram"), q(MemoryTotal, 10*mib, "gtt")},
			Primary{MemoryTotal: known(12)}},
		{"unified", Integrated, []Sample{
			q(MemoryUsed, 30*mib, "unified"), q(MemoryTotal, 120*mib, "unified"), q(MemoryTotal, 2*mib, "vram")},
			Primary{MemoryUsed: known(30), MemoryTotal: known(120), MemoryUtilization: known(25)}},
	} {
		d := Status{Info: Info{Type: c.kind, DriverVersion: "6.1"}, Samples: c.samples}
		c.want.DriverVersion = "6.1"
		if got := d.Primary(); got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}
