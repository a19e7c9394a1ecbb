package sysfs

import "fmt"

// Power is what runtime power management says of a device.
type Power uint8

// The values of Power.
const (
	Awake     Power = iota // and stays so: there is no runtime power management, or none that works
	Active                 // may be suspended when it is idle
	Suspended              // or about to be, or not yet awake again
)

// ParseRuntimeStatus reads the text of power/runtime_status (Documentation/ABI/testing/sysfs-devices-power). Of a text that
// it does not know, which is ErrMalformed, the device may be suspended.
func ParseRuntimeStatus(text []byte) (Power, error) {
	switch string(text) {
	case "active":
		return Active, nil
	case "unsupported", "error", "":
		return Awake, nil
	case "suspended", "suspending", "resuming":
		return Suspended, nil
	}
	return Suspended, fmt.Errorf("%w: runtime_status %q", ErrMalformed, text)
}
