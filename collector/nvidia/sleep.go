package nvidia

import (
	"errors"
	"io/fs"
	"path/filepath"

	"gpu_exporter/collector/sysfs"
)

// powerOf says whether a GPU sleeps. One that may not (power/control is not auto, as on servers) never does. One of which
// it cannot be told may be asleep: the error says why. Everything here is answered from the kernel's memory and wakes
// nothing; the files of the driver below /proc do, and are left alone.
func powerOf(dir string) (sysfs.Power, error) {
	control, err := sysfs.ReadText(filepath.Join(dir, "power/control"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sysfs.Awake, nil
	case err != nil:
		return sysfs.Suspended, err
	case control != "auto":
		return sysfs.Awake, nil
	}
	status, err := sysfs.ReadText(filepath.Join(dir, "power/runtime_status"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sysfs.Awake, nil
	case err != nil:
		return sysfs.Suspended, err
	}
	return sysfs.ParseRuntimeStatus([]byte(status))
}
