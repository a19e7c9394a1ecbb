package compat

import (
	"math"
	"time"

	"gpu_exporter/collector"
)

// at is when the readings of the tests were made, now when the answers are.
var (
	at  = time.UnixMicro(1795633304_718600).UTC()
	now = at.Add(412 * time.Millisecond)
)

// reading makes samples.
type reading []collector.Sample

func (r *reading) add(q collector.QuantityID, v float64, values ...string) {
	*r = append(*r, collector.Sample{S: &collector.Series{Q: q, Values: values, Max: math.Inf(1)}, V: v})
}

// rx7800xt is the example of legacy-api.md 15.2. Its samples are in the order of a plan, not of the answer.
func rx7800xt() collector.Status {
	var r reading
	r.add(collector.Utilization, 0.02)
	for _, m := range []struct {
		name        string
		used, total float64
	}{
		{"vram", 1610612736, 17163091968}, {"visible_vram", 1610612736, 17163091968}, {"gtt", 104857600, 16638816256},
	} {
		r.add(collector.MemoryTotal, m.total, m.name)
		r.add(collector.MemoryUsed, m.used, m.name)
	}
	r.add(collector.Temperature, 24, "edge")
	r.add(collector.Temperature, 31, "hotspot")
	r.add(collector.Temperature, 48, "memory")
	r.add(collector.Temperature, 34, "vr_graphics")
	r.add(collector.Temperature, 32, "vr_soc")
	r.add(collector.Temperature, 34, "vr_memory")
	for _, l := range []struct {
		sensor              string
		critical, emergency float64
	}{{"edge", 100, 105}, {"hotspot", 110, 115}, {"memory", 108, 113}} {
		r.add(collector.TemperatureLimit, l.emergency, l.sensor, "emergency")
		r.add(collector.TemperatureLimit, l.critical, l.sensor, "critical")
	}
	r.add(collector.Power, 32, "package")
	r.add(collector.PowerAverage, 32, "package")
	for _, l := range []struct {
		name string
		v    float64
	}{{"min", 212}, {"max", 280}, {"default", 236}, {"current", 236}} {
		r.add(collector.PowerLimit, l.v, "package", l.name)
	}
	for _, c := range []struct {
		name     string
		mhz      float64
		min, max float64
	}{
		{"graphics", 2011, 500, 2254}, {"memory", 456, 96, 1218}, {"soc", 750, 300, 1500}, {"video0", 25, 0, 0},
		{"video1", 25, 0, 0}, {"decoder0", 25, 0, 0}, {"decoder1", 25, 0, 0},
	} {
		r.add(collector.Clock, c.mhz*1e6, c.name)
		if c.max > 0 {
			r.add(collector.ClockLimit, c.min*1e6, c.name, "min")
			r.add(collector.ClockLimit, c.max*1e6, c.name, "max")
		}
	}
	r.add(collector.FanSpeed, 868, "1")
	r.add(collector.FanMin, 0, "1")
	r.add(collector.FanMax, 3300, "1")
	r.add(collector.FanTarget, 868, "1")
	r.add(collector.FanDuty, 89.0/255, "1")
	r.add(collector.LinkWidth, 16)
	r.add(collector.LinkSpeed, 16e9)
	r.add(collector.ThrottleActive, 0, "power")
	r.add(collector.ThrottleActive, 0, "thermal")
	r.add(collector.PerformanceState, 0) // not in this answer
	return collector.Status{
		Info: collector.Info{
			GPU: "0000:03:00.0", Vendor: "amd", Name: "AMD Radeon RX 7800 XT", Type: collector.Discrete, PCIID: "1002:747e",
			Driver: "amdgpu", VBIOS: "113-EXT90249-100", Source: "sysfs",
		},
		Up: true, At: at, Samples: r,
	}
}

func snapshot(devices ...collector.Status) *collector.Snapshot {
	s := &collector.Snapshot{Seq: 1, At: at, Devices: devices}
	for i := range devices {
		devices[i].Index = i
	}
	return s
}
