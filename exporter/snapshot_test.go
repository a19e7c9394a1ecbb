package exporter

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"gpu_exporter/collector"
)

// at is the time of the hand-made readings.
var at = time.Unix(1_700_000_000, 250_000_000)

// card is a hand-made GPU that is well.
func card(index int, samples ...collector.Sample) collector.Status {
	return collector.Status{
		Info: collector.Info{
			GPU:    fmt.Sprintf("0000:%02x:00.0", index+3),
			Vendor: "amd", Name: "RX 7800 XT", Type: collector.Discrete, PCIID: "1002:747e", Driver: "amdgpu", Source: "sysfs",
		},
		Index: index, State: collector.StateOK, Up: true, At: at, Samples: samples,
	}
}

func snapshot(devices ...collector.Status) *collector.Snapshot {
	return &collector.Snapshot{Seq: 1, At: at, Devices: devices}
}

func sample(q collector.QuantityID, v float64, values ...string) collector.Sample {
	return collector.Sample{S: &collector.Series{Q: q, Values: values, Min: math.Inf(-1), Max: math.Inf(1)}, V: v}
}

// samples makes n samples that are spread over the families as those of a card are, with values that have digits.
func samples(n int) []collector.Sample {
	families := []collector.QuantityID{
		collector.Temperature, collector.EngineUtilization, collector.MemoryUsed, collector.MemoryTotal, collector.Clock,
		collector.Power, collector.Voltage, collector.Current, collector.FanSpeed, collector.FanMax, collector.FanMin,
		collector.FanTarget, collector.FanDuty, collector.PowerAverage, collector.MemoryBandwidth, collector.EngineBusy,
		collector.PCIeBytes, collector.ThrottleActive, collector.ThrottleSeconds, collector.BadPages, collector.RowRemaps,
		collector.Energy, collector.Idle,
	}
	list := make([]collector.Sample, n)
	for i := range list {
		list[i] = sample(families[i%len(families)], float64(i*7919%100000)/1000, fmt.Sprint("unit", i/len(families)))
	}
	return list
}

// every makes one sample of each quantity that comes from readings.
func every() []collector.Sample {
	var list []collector.Sample
	for id, q := range collector.Quantities {
		switch q := collector.QuantityID(id); q {
		case collector.GPUInfo, collector.Up, collector.GPUState:
			continue
		}
		values := make([]string, len(q.Labels))
		for i, name := range q.Labels {
			values[i] = name + "_value"
		}
		list = append(list, sample(collector.QuantityID(id), float64(id)+0.5, values...))
	}
	return list
}

// fake is a Source that has a snapshot, or none.
type fake struct {
	snap atomic.Pointer[collector.Snapshot]
	ask  func(context.Context) // called by each Fresh, where set
}

func serving(snap *collector.Snapshot) *fake {
	f := &fake{}
	f.snap.Store(snap)
	return f
}

func (f *fake) Fresh(ctx context.Context) *collector.Snapshot {
	if f.ask != nil {
		f.ask(ctx)
	}
	return f.snap.Load()
}
