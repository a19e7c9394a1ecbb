package nvidia

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"gpu_exporter/collector/sysfs"
)

// power is what runtime power management says of a GPU. Everything here is answered from the kernel's memory: it wakes
// nothing. The files of the driver below /proc do wake it, and are left alone.
type power uint8

const (
	awake  power = iota // and stays so
	active              // may be suspended when it is idle
	asleep
)

// powerOf says whether a GPU sleeps. One that may not (power/control is not auto, as on servers) never does. One of which
// it cannot be told may be asleep: the error says why.
func powerOf(dir string) (power, error) {
	control, err := sysfs.ReadText(filepath.Join(dir, "power/control"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return awake, nil
	case err != nil:
		return asleep, err
	case control != "auto":
		return awake, nil
	}
	status, err := sysfs.ReadText(filepath.Join(dir, "power/runtime_status"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return awake, nil
	case err != nil:
		return asleep, err
	}
	switch status {
	case "active":
		return active, nil
	case "unsupported", "error", "":
		return awake, nil
	case "suspended", "suspending", "resuming":
		return asleep, nil
	}
	return asleep, fmt.Errorf("%w: runtime_status %q", sysfs.ErrMalformed, status)
}

// rest decides when an idle GPU that may sleep is left alone: each call of nvidia-smi would keep it awake (nvidia.md 9
// rule 4). The zero value is a GPU that was just seen for the first time.
type rest struct {
	idleSince time.Time // of no load in a row; zero: there was load
	until     time.Time // end of the pause; zero: none
	pause     time.Duration
}

// observe takes note of what a call that read the GPU saw.
func (p *rest) observe(now time.Time, idle bool, t times) {
	switch {
	case !idle:
		*p = rest{}
	case p.idleSince.IsZero():
		p.idleSince = now
	case now.Sub(p.idleSince) >= t.idle: // each pause that does not let it fall asleep is longer than the last
		p.pause = min(max(2*p.pause, t.rest), t.longestRest)
		p.until = now.Add(p.pause)
	}
}

// holds says whether the GPU is to be left alone.
func (p *rest) holds(now time.Time) bool { return now.Before(p.until) }
