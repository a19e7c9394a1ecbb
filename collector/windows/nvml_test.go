package windows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/worker"
	"gpu_exporter/internal/await"
)

func TestErrorsOfChildren(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{worker.ErrHung, errLate},
		{context.DeadlineExceeded, errLate},
		{worker.ErrOpening, errUnasked},
		{fmt.Errorf("%w: EOF", errors.New("the child ended")), errChild},
		{worker.ErrBackOff, errChild},
		{worker.ErrStuck, errChild},
		{worker.ErrNoWay, errChild},
		{nvml.ErrDriver, errChild},
		{fmt.Errorf("%w: no library", nvml.ErrMissing), ErrUnsupported},
		{collector.ErrGone, collector.ErrGone},
		{worker.ErrRefused, worker.ErrRefused},
		{ErrMalformed, ErrMalformed},
	} {
		if got := noAnswer(c.err); !errors.Is(got, c.want) || !errors.Is(got, c.err) {
			t.Errorf("%v becomes %v, want %v", c.err, got, c.want)
		}
	}
	if err := noAnswer(nil); err != nil {
		t.Error(err)
	}
}

// oneGPU is a library that has a GPU, of which it tells nothing.
type oneGPU struct{}

func (oneGPU) Find(symbol string) uintptr {
	switch symbol {
	case "nvmlInit_v2", "nvmlDeviceGetHandleByPciBusId_v2":
		return 1
	}
	return 0
}

func (oneGPU) Call(uintptr, []uintptr) int32 { return int32(nvml.Success) }

var oneGPUChild = child("nvml with one GPU", func() {
	fmt.Fprintln(os.Stderr, worker.Serve(nvml.Hello(), nvml.NewLibrary(func(string) (nvml.Binding, error) { return oneGPU{}, nil })))
})

func TestNVMLIsNotInstalledAnyMore(t *testing.T) {
	o := childOptions(t, oneGPUChild)
	ended := make(chan worker.Reason, 9)
	o.Restarted = func(r worker.Reason) { ended <- r }
	there := true
	n := &nvmlChildren{Fleet: nvml.NewFleet(o), there: func() bool { return there }}
	t.Cleanup(n.Close)
	targets := []NVMLTarget{{Address: goodGPU}}
	if _, err := n.Devices(await.Context(t), targets); err != nil {
		t.Fatal(err)
	}
	there = false
	for range 2 {
		if list, err := n.Devices(await.Context(t), targets); list != nil || !errors.Is(err, ErrUnsupported) {
			t.Errorf("%v, %v", list, err)
		}
		if r, err := n.Read(await.Context(t), targets); err != nil || !errors.Is(r[0].Err, ErrUnsupported) {
			t.Errorf("a reading: %v, %v", r, err)
		}
	}
	if len(ended) != 1 || <-ended != worker.DriverChanged {
		t.Error("its child is not ended, or another is started")
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
