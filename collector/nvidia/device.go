package nvidia

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/smi"
	"gpu_exporter/collector/sysfs"
)

// device is one GPU.
type device struct {
	p    *Probe
	info collector.Info
	key  string
	dir  string // of the PCI device; empty: it is not on the bus
	shut func()

	reader *nvml.CardReader
	seq    uint64          // of the result that values are of
	values collector.Group // what it said
	slept  time.Time       // when the GPU was last seen asleep
}

var _ collector.Device = (*device)(nil)

func newDevice(p *Probe, info collector.Info, dir, key string) *device {
	p.source.Open()
	return &device{p: p, info: info, key: key, dir: dir, shut: sync.OnceFunc(p.source.Close)}
}

// Info implements collector.Device.
func (d *device) Info() collector.Info { return d.info }

// Key implements collector.Device.
func (d *device) Key() string { return d.key }

// Close implements collector.Device.
func (d *device) Close() error {
	d.shut()
	return nil
}

// Read implements collector.Device. It never waits for nvidia-smi but the first time; the latest document stands for three
// of the intervals between calls and the time that one may take.
func (d *device) Read(ctx context.Context, r *collector.Reading) error {
	if d.dir != "" {
		if err := d.mayRead(r); err != nil || r.Failed() {
			return err
		}
	}
	last, good := d.p.source.Latest(ctx)
	old := last.Old(good)
	switch {
	case last.Late:
		// The one source of this GPU does not answer: that is what hung means. Who misses the deadline says so.
		<-ctx.Done()
		return ctx.Err()
	case last.Seq == 0, old && last.Err == nil, !d.slept.IsZero() && last.At.Before(d.slept), !last.About(d.info.GPU):
		return collector.ErrResting // its turn comes with the next call
	}
	if last.Seq != d.seq {
		d.seq = last.Seq
		d.values = collector.Group{Every: 24 * time.Hour, Rows: []collector.Row{func(r *collector.Reading) error { return d.take(r, last) }}}
	}
	err := d.values.Read(r, time.Now())
	if err != nil {
		d.seq = 0
	}
	return err
}

// mayRead looks whether the GPU sleeps or has left.
func (d *device) mayRead(r *collector.Reading) error {
	if _, err := os.Stat(d.dir); errors.Is(err, fs.ErrNotExist) {
		return collector.ErrGone
	}
	if d.p.o.Wake {
		return nil
	}
	state, err := powerOf(d.dir)
	switch {
	case err != nil: // it may be asleep, so nothing else may be touched
		kind := collector.IO
		switch sysfs.Classify(err) {
		case sysfs.Gone:
			return collector.ErrGone
		case sysfs.Forbidden:
			kind = collector.Permission
		case sysfs.Broken:
			kind = collector.Malformed
		}
		r.Fail(collector.Failure{Kind: kind, Source: filepath.Join(d.dir, "power/runtime_status"), Err: err})
	case state == sysfs.Suspended:
		d.slept = time.Now()
		d.p.source.Sleeps(d.info.GPU)
		return collector.ErrAsleep
	}
	return nil
}

// take adds what a call said.
func (d *device) take(r *collector.Reading, last smi.Result) error {
	if last.Err != nil {
		r.Fail(collector.Failure{Kind: collector.IO, Source: "nvidia-smi", Err: last.Err})
		return nil
	}
	card := last.Doc.Find(d.info.GPU)
	if card == nil {
		if last.Doc.Attached > len(last.Doc.Cards) {
			return collector.ErrGone // the driver counts it and cannot tell of it
		}
		r.Fail(collector.Failure{Kind: collector.Missing, Source: "nvidia-smi", Err: fmt.Errorf("it does not list %s", d.info.GPU)})
		return nil
	}
	d.info = card.Info // before, it may have been what the bus tells
	if d.reader == nil {
		d.reader = nvml.NewCardReader(d.p.o.Log.With("gpu", d.info.GPU), d.p.o.Firmware)
	}
	if err := d.reader.Add(r, card, last.Names); err != nil {
		return err
	}
	if card.Unified() {
		meminfo, err := sysfs.ReadText(filepath.Join(d.p.o.Procfs, "meminfo"))
		if err != nil {
			r.Fail(collector.Failure{Kind: collector.IO, Source: filepath.Join(d.p.o.Procfs, "meminfo"), Err: err})
			return nil
		}
		d.reader.AddUnified(r, meminfo)
	}
	return nil
}
