package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gpu_exporter/collector"
)

// source is the Info.Source of a simulated GPU, and whatever else would name a driver.
const source = "simulation"

// Options say what is simulated.
type Options struct {
	GPUs    int          // how many; less than 1 counts as 1
	Seed    uint64       // another seed, another course of all of them
	Profile Profile      // empty: Normal
	Log     *slog.Logger // told once that numbers are made up; nil: nobody is
}

// Probe finds GPUs that do not exist. Those of Auto it finds only where there is no other.
type Probe struct {
	o      Options
	curves []*Curve
	warned sync.Once
}

var _ collector.Probe = (*Probe)(nil)

// New returns a Probe whose time begins now, see the package comment.
func New(o Options) *Probe {
	o.GPUs = max(o.GPUs, 1)
	o.Profile = o.Profile.orNormal()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Probe{o: o}
	start := time.Now()
	for gpu := range o.GPUs {
		p.curves = append(p.curves, newCurve(o.Seed, gpu, o.Profile, start))
	}
	return p
}

// Name implements collector.Probe.
func (p *Probe) Name() string { return source }

// Curve is what the GPU `sim:N` does, N from 0.
func (p *Probe) Curve(n int) *Curve { return p.curves[n] }

// Discover implements collector.Probe.
func (p *Probe) Discover(context.Context) ([]collector.Device, error) {
	p.warned.Do(func() {
		p.o.Log.Warn("GPUs are simulated: all their numbers are made up",
			"gpus", p.o.GPUs, "profile", p.o.Profile, "seed", p.o.Seed)
	})
	list := make([]collector.Device, len(p.curves))
	for n, c := range p.curves {
		list[n] = newDevice(n, c)
	}
	return list, nil
}

// device is one simulated GPU.
type device struct {
	info   collector.Info
	curve  *Curve
	series []collector.Series // of the rows of table
	state  State              // of the present read
}

var _ collector.Device = (*device)(nil)

func newDevice(n int, c *Curve) *device {
	d := &device{
		info: collector.Info{
			GPU:    fmt.Sprintf("sim:%d", n),
			Vendor: "amd",
			Name:   "AMD Radeon RX 7800 XT",
			Type:   collector.Discrete,
			PCIID:  "1002:747e",
			Driver: source, // no amdgpu was ever loaded for it
			Source: source,
		},
		curve:  c,
		series: make([]collector.Series, len(table)),
	}
	for i, row := range table {
		d.series[i] = collector.Series{Q: row.q, Values: row.labels, Min: row.lo, Max: row.hi}
	}
	return d
}

// Info implements collector.Device.
func (d *device) Info() collector.Info { return d.info }

// Key implements collector.Device. No driver is ever loaded anew.
func (d *device) Key() string { return source }

// Read implements collector.Device.
func (d *device) Read(_ context.Context, r *collector.Reading) error {
	d.state = d.curve.At(time.Now())
	for i := range table {
		r.Add(&d.series[i], table[i].value(&d.state))
	}
	return nil
}

// Close implements collector.Device.
func (d *device) Close() error { return nil }
