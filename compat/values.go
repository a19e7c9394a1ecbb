// Package compat speaks to people and programs in the words of the service that this exporter replaces: the legacy JSON
// and its successor /gpus, CSV, WebSockets and history. It reads Snapshots and knows neither probes nor Prometheus.
package compat

import (
	"math"

	"gpu_exporter/collector"
)

// The primary values that are numbers, in the order in which every answer of this package has them.
const (
	Temperature = iota
	Utilization
	MemoryUsed
	MemoryTotal
	MemoryUtilization
	CoreClock
	MemoryClock
	PowerUsage
	FanSpeed
)

// A column is one primary value: its legacy key, and whether it is told in whole numbers or with one decimal.
type column struct {
	key   string
	whole bool
}

var columns = [...]column{
	Temperature:       {key: "temperature"},
	Utilization:       {key: "utilization"},
	MemoryUsed:        {key: "memory_used"},
	MemoryTotal:       {key: "memory_total"},
	MemoryUtilization: {key: "memory_utilization"},
	CoreClock:         {key: "core_clock", whole: true},
	MemoryClock:       {key: "memory_clock", whole: true},
	PowerUsage:        {key: "power_usage"},
	FanSpeed:          {key: "fan_speed", whole: true},
}

// Values are the primary values of one GPU, rounded as the legacy API has it (legacy-api.md 2): this is the one place
// that rounds, so that all answers about one reading agree.
type Values [len(columns)]collector.Value

// ValuesOf rounds the primary values of d.
func ValuesOf(d *collector.Status) Values {
	p := d.Primary()
	v := Values{
		Temperature:       p.Temperature,
		Utilization:       p.Utilization,
		MemoryUsed:        p.MemoryUsed,
		MemoryTotal:       p.MemoryTotal,
		MemoryUtilization: p.MemoryUtilization,
		CoreClock:         p.CoreClock,
		MemoryClock:       p.MemoryClock,
		PowerUsage:        p.PowerUsage,
		FanSpeed:          p.FanSpeed,
	}
	// The driver counts used and total memory at different instants.
	v[MemoryUtilization].V = min(v[MemoryUtilization].V, 100)
	for i := range v {
		switch {
		case !v[i].OK || !finite(v[i].V):
			v[i] = collector.Value{}
		case columns[i].whole:
			v[i].V = round(v[i].V, 1)
		default:
			v[i].V = round(v[i].V, 10)
		}
	}
	return v
}

// round rounds to 1/parts, half away from zero. It never gives -0. The product hits every half that can be written with
// two decimals (tried for all below 2,000,000), so that 0.05 becomes 0.1.
func round(v, parts float64) float64 {
	r := math.Round(v*parts) / parts
	if r == 0 {
		return 0
	}
	return r
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
