package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/windows"
)

// slowLibrary is the library of a vendor that takes its time to start, and then reads the one GPU that there is.
type slowLibrary struct{ begun time.Time }

const (
	startOfALibrary = 3 * time.Second // longer than a discovery on Windows waits for it
	slowGPU         = "0000:03:00.0"
)

func (l slowLibrary) start(ctx context.Context) error {
	select {
	case <-time.After(time.Until(l.begun.Add(startOfALibrary))):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it is being loaded: %w", collector.ErrNotYet)
	}
}

type slowADL struct{ slowLibrary }

func (l slowADL) Adapters(ctx context.Context, _ func(windows.Place) bool) ([]windows.ADLAdapter, error) {
	const amd = 0x1002
	return []windows.ADLAdapter{{Place: windows.Place{Bus: 3}, Vendor: amd, Name: "Radeon", Present: true}}, l.start(ctx)
}

func (slowADL) Read(_ context.Context, targets []windows.ADLTarget) ([]windows.ADLReading, error) {
	r := windows.ADLReading{}
	r.PMLog[8] = windows.PMLogSensor{Supported: 1, Value: 50}
	return []windows.ADLReading{r}[:len(targets)], nil
}

func (slowADL) Renew()              {}
func (slowADL) LetGo(windows.Place) {}
func (slowADL) Close()              {}

type slowNVML struct{ slowLibrary }

func (l slowNVML) Devices(ctx context.Context, _ []windows.NVMLTarget) ([]windows.NVMLDevice, error) {
	return []windows.NVMLDevice{{Address: slowGPU, Source: "nvidia-smi", Name: "GeForce"}}, l.start(ctx)
}

func (slowNVML) Read(_ context.Context, targets []windows.NVMLTarget) ([]windows.NVMLReading, error) {
	s := &collector.Series{Q: collector.Temperature, Values: []string{"edge"}, Max: 150}
	return []windows.NVMLReading{{Samples: []collector.Sample{{S: s, V: 50}}}}[:len(targets)], nil
}

func (slowNVML) LetGo(windows.Address) {}
func (slowNVML) Close()                {}

// On Windows the library of a vendor may take longer to start than the list of GPUs can wait: once and doctor wait for it.
func TestALibraryThatStartsSlowlyIsWaitedFor(t *testing.T) {
	const sensor = `gpu_temperature_celsius{gpu="0000:03:00.0",sensor="edge"} 50`
	for name, c := range map[string]struct {
		sources func(l slowLibrary) windows.Sources
		args    []string
		want    string
	}{
		"once, ADL":    {func(l slowLibrary) windows.Sources { return windows.Sources{ADL: slowADL{l}} }, []string{"once", "--format=prom"}, sensor},
		"once, NVML":   {func(l slowLibrary) windows.Sources { return windows.Sources{NVML: slowNVML{l}} }, []string{"once", "--format=prom"}, sensor},
		"doctor, ADL":  {func(l slowLibrary) windows.Sources { return windows.Sources{ADL: slowADL{l}} }, []string{"doctor"}, "it answers: all sensors of AMD"},
		"doctor, NVML": {func(l slowLibrary) windows.Sources { return windows.Sources{NVML: slowNVML{l}} }, []string{"doctor"}, "it answers: all sensors of NVIDIA"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				probe := windows.New(windows.Options{Sources: c.sources(slowLibrary{time.Now()})})
				out, complaint, status := finish(t, probe, append(c.args, "--path.procfs=/")...)
				if status != 0 || !strings.Contains(out, c.want) {
					t.Errorf("status %d, error %q, want %q in\n%s", status, complaint, c.want, out)
				}
			})
		})
	}
}

// anew is a GPU that is found anew, with more to tell.
type anew struct{ *fakeGPU }

func (anew) Key() string { return "2" }

// growing finds a GPU of which somebody has not told yet, and at the next discovery, which it asks for, the whole of it.
type growing struct{ rescan func() }

func (*growing) Name() string { return "growing" }

func (g *growing) Notify(rescan func()) { g.rescan = rescan }

func (g *growing) Discover(context.Context) ([]collector.Device, error) {
	if rescan := g.rescan; rescan != nil {
		g.rescan = nil
		rescan()
		return []collector.Device{newFakeGPU("sim:0", nil)}, fmt.Errorf("a library: %w", collector.ErrNotYet)
	}
	return []collector.Device{anew{newFakeGPU("sim:0", func(context.Context) error { time.Sleep(1500 * time.Millisecond); return nil })}}, nil
}

func TestOnceWaitsForTheFirstReadingOfAGPUThatIsFoundAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, complaint, status := finish(t, &growing{}, "once", "--format=prom", "--path.procfs=/")
		if status != 0 || !strings.Contains(out, `gpu_temperature_celsius{gpu="sim:0"`) {
			t.Errorf("status %d, error %q, output\n%s", status, complaint, out)
		}
	})
}
