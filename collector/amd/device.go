package amd

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

// device is one card of amdgpu or radeon.
type device struct {
	o        Options
	info     collector.Info
	key      string
	deviceID string // four hexadecimal digits
	card     string // cardN
	dir      string // of the PCI device, reached through the card: a card that is gone takes the path with it
	hwmon    string // folder of the sensors, empty: none

	status      *sysfs.File // runtime_status, asked before anything else
	plan        *plan       // made at the first awake read
	rest        rest
	buf         []byte
	toldVersion bool // the log line on a gpu_metrics of an unknown version was written
}

var _ collector.Device = (*device)(nil)

// classDir is the folder of all cards and their connectors.
func (d *device) classDir() string { return filepath.Join(d.o.Sysfs, "class/drm") }

// Info implements collector.Device.
func (d *device) Info() collector.Info { return d.info }

// Key implements collector.Device.
func (d *device) Key() string { return d.key }

// Close implements collector.Device. A device may be read again after it: everything is opened anew.
func (d *device) Close() error {
	if d.plan != nil {
		d.plan.close()
		d.plan = nil
	}
	if d.status != nil {
		d.status.Close()
	}
	return nil
}

// Read implements collector.Device.
func (d *device) Read(_ context.Context, r *collector.Reading) error {
	err := d.read(r)
	if errors.Is(err, collector.ErrGone) {
		_ = d.Close() // whatever comes back has files of its own
	}
	return err
}

func (d *device) read(r *collector.Reading) error {
	if d.status == nil {
		d.status = sysfs.NewFile(filepath.Join(d.dir, "power/runtime_status"))
		d.buf = make([]byte, sysfs.TextSize)
	}
	if r.Reload || r.Rescan && d.status.Appeared() {
		d.status.Close()
	}
	power, err := d.powerState()
	if err != nil {
		if sysfs.Classify(err) == sysfs.Gone {
			return collector.ErrGone
		}
		// It may be asleep, so nothing else may be touched.
		r.Fail(failure(d.status.Path, err))
		return nil
	}
	now := time.Now()
	if power == sysfs.Suspended {
		d.rest = rest{}
		return collector.ErrAsleep
	}
	if d.rest.pauses(now) {
		return collector.ErrResting
	}
	if d.plan != nil && (r.Reload || d.plan.renew || r.Rescan && d.plan.outdated()) {
		d.plan.close()
		d.plan = nil
	}
	if d.plan == nil {
		if d.plan, err = newPlan(d); err != nil {
			return err
		}
	}
	if err := d.plan.read(r, now); err != nil {
		return err
	}
	load, told := r.Value(d.plan.load)
	d.rest.observe(now, power == sysfs.Active && d.plan.maySleep, told && load > 0, d.autosuspendDelay)
	return nil
}

// powerState reads runtime_status, which wakes nothing. An error is a failure of the reading: a card of which this
// cannot be told may be asleep.
func (d *device) powerState() (sysfs.Power, error) {
	text, err := d.status.Read(d.buf)
	switch {
	case err != nil && isMissing(err):
		return sysfs.Awake, nil
	case err != nil:
		return sysfs.Suspended, err
	}
	return sysfs.ParseRuntimeStatus(text)
}

// fellAsleep says whether a read that was refused was so because the card fell asleep since the cycle began.
func (d *device) fellAsleep() bool {
	power, err := d.powerState()
	return err == nil && power == sysfs.Suspended
}

// autosuspendDelay is how long the driver waits after the last access before it suspends the card; ok says whether it
// does at all.
func (d *device) autosuspendDelay() (delay time.Duration, ok bool) {
	text, err := sysfs.ReadText(filepath.Join(d.dir, "power/autosuspend_delay_ms"))
	if err != nil {
		return defaultAutosuspend, true
	}
	ms, err := sysfs.Int([]byte(text))
	if err != nil || ms < 0 || ms > maxAutosuspend.Milliseconds() {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

// failure is the Failure that an error of a file is.
func failure(path string, err error) collector.Failure {
	kind := collector.IO
	switch sysfs.Classify(err) {
	case sysfs.Forbidden:
		kind = collector.Permission
	case sysfs.Broken:
		kind = collector.Malformed
	}
	return collector.Failure{Kind: kind, Source: path, Err: err}
}
