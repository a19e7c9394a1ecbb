package collector

import (
	"context"
	"fmt"
	"testing"
)

func TestAllocationsOfACycle(t *testing.T) {
	allocs := func(devices, samples int) float64 {
		f := onDemand(t, devices, samples)
		for range 10 { // slices of the readings grow
			f()
		}
		return testing.AllocsPerRun(100, f)
	}
	few, many := allocs(1, 10), allocs(1, 1000)
	if many > few+0.5 {
		t.Errorf("%v allocations for 10 samples, %v for 1,000", few, many)
	}
	if two := allocs(2, 1000); two-many > 8 {
		t.Errorf("%v allocations for one GPU, %v for two", many, two)
	}
}

// onDemand runs a Poller over devices with so many samples each, a cycle a call.
func onDemand(t testing.TB, devices, samples int) func() {
	k := newRack()
	for i := range devices {
		series := make([]*Series, samples)
		for j := range series {
			series[j] = &Series{Q: Temperature, Max: 1e9}
		}
		k.cards = append(k.cards, card{gpu: fmt.Sprint("gpu", i), read: func(_ context.Context, r *Reading) error {
			for _, s := range series {
				r.Add(s, 1)
			}
			return nil
		}})
	}
	p := NewPoller(Options{}, k)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return func() {
		if s := p.Fresh(ctx); len(s.Devices) != devices || len(s.Devices[0].Samples) != samples+1 {
			t.Fatalf("%d devices", len(s.Devices))
		}
	}
}

func BenchmarkCycle(b *testing.B) {
	for _, c := range []struct{ devices, samples int }{{1, 50}, {1, 400}, {8, 50}, {8, 400}} {
		b.Run(fmt.Sprintf("devices=%d/samples=%d", c.devices, c.samples), func(b *testing.B) {
			f := onDemand(b, c.devices, c.samples)
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}
