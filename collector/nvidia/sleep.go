package nvidia

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

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
