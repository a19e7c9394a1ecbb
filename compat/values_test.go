package compat

import (
	"math"
	"testing"

	"gpu_exporter/collector"
)

func TestValuesAreRounded(t *testing.T) {
	for _, c := range []struct {
		q      collector.QuantityID
		labels []string
		in     float64
		which  int
		want   string
	}{
		{collector.Temperature, []string{"edge"}, 0.04, Temperature, "0"},
		{collector.Temperature, []string{"edge"}, -0.04, Temperature, "0"},
		{collector.Temperature, []string{"edge"}, 0.05, Temperature, "0.1"},
		{collector.Temperature, []string{"edge"}, -0.05, Temperature, "-0.1"},
		{collector.Temperature, []string{"edge"}, 45, Temperature, "45"},
		{collector.Temperature, []string{"edge"}, 44.95, Temperature, "45"},
		{collector.Temperature, []string{"edge"}, math.Copysign(0, -1), Temperature, "0"},
		{collector.Temperature, []string{"edge"}, math.NaN(), Temperature, "null"},
		{collector.Temperature, []string{"edge"}, math.Inf(-1), Temperature, "null"},
		{collector.Utilization, nil, 0.07, Utilization, "7"}, // 7.000000000000001
		{collector.Utilization, nil, 0.0005, Utilization, "0.1"},
		{collector.Power, []string{"board"}, 23.45, PowerUsage, "23.5"},
		{collector.Power, []string{"board"}, 250.349999, PowerUsage, "250.3"},
		{collector.Clock, []string{"graphics"}, 2010.5e6, CoreClock, "2011"},
		{collector.Clock, []string{"graphics"}, 2010.4e6, CoreClock, "2010"},
		{collector.Clock, []string{"memory"}, 0.4e6, MemoryClock, "0"},
		{collector.FanDuty, []string{"1"}, 0.345, FanSpeed, "35"},
		{collector.FanDuty, []string{"1"}, 0.344, FanSpeed, "34"},
		{collector.MemoryTotal, []string{"vram"}, 17163091968, MemoryTotal, "16368"},
		{collector.MemoryUsed, []string{"vram"}, 17163091968 - 52428, MemoryUsed, "16368"},
		{collector.MemoryUsed, []string{"vram"}, 17163091968 - 52429, MemoryUsed, "16367.9"},
	} {
		var r reading
		r.add(c.q, c.in, c.labels...)
		values := ValuesOf(&collector.Status{Samples: r})
		if got := string(appendValue(nil, values[c.which])); got != c.want {
			t.Errorf("%s of %v: %s = %s, want %s", c.q, c.in, columns[c.which].key, got, c.want)
		}
		for i, v := range values {
			if i != c.which && v.OK {
				t.Errorf("%s of %v: %s = %v, want nothing", c.q, c.in, columns[i].key, v.V)
			}
		}
	}
}

func TestMemoryUtilizationIsHeld(t *testing.T) {
	var r reading
	r.add(collector.MemoryTotal, 1<<30, "vram")
	r.add(collector.MemoryUsed, 1<<31, "vram")
	if got := ValuesOf(&collector.Status{Samples: r})[MemoryUtilization]; got != (collector.Value{V: 100, OK: true}) {
		t.Errorf("got %v, want 100", got)
	}
}

// The memory of an integrated GPU is its carve-out and what it may take beside it.
func TestIntegrated(t *testing.T) {
	var r reading
	r.add(collector.MemoryTotal, 512<<20, "vram")
	r.add(collector.MemoryUsed, 256<<20, "vram")
	r.add(collector.MemoryTotal, 1536<<20, "gtt")
	r.add(collector.MemoryUsed, 256<<20, "gtt")
	values := ValuesOf(&collector.Status{Info: collector.Info{Type: collector.Integrated}, Samples: r})
	for which, want := range map[int]float64{MemoryUsed: 512, MemoryTotal: 2048, MemoryUtilization: 25} {
		if got := values[which]; got != (collector.Value{V: want, OK: true}) {
			t.Errorf("%s = %v, want %v", columns[which].key, got, want)
		}
	}
}
