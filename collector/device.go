// Package collector is the model of the exporter: what a GPU is (Device, Info), what can be known of one (Quantity,
// Series), one reading of it (Reading), who reads it when (Poller), and what was read (Snapshot). It knows nothing of
// Prometheus, HTTP or JSON, and nothing of any vendor: probes live in the folders below it.
package collector

import (
	"context"
	"errors"
)

// Info identifies one GPU: everything that gpu_info says of it. An empty string means not known. Two Infos are
// equal (==) exactly when gpu_info is the same but for its index.
type Info struct {
	GPU           string // the identity label: PCI address `0000:03:00.0`, else as metrics.md rule 3 says
	Vendor        string // amd, nvidia, intel, a PCI vendor id in hex, or a device-tree prefix
	Name          string // marketing name
	Type          string // discrete, integrated or virtual
	UUID          string
	PCIID         string // 1002:747e
	Driver        string // amdgpu, radeon, nvidia, i915, xe
	DriverVersion string
	VBIOS         string
	Source        string // sysfs, nvml, nvidia-smi, windows, simulation
}

// The forms of a GPU, values of Info.Type.
const (
	Discrete   = "discrete"
	Integrated = "integrated"
	Virtual    = "virtual"
)

// Probe finds the GPUs of one sort.
type Probe interface {
	// Name is the word of the probe in flags and logs: amd, nvidia.
	Name() string
	// Discover finds the GPUs that are there now. It reads identities only and wakes nothing. Each device is a new
	// value; the Poller keeps the one that it has where GPU and Key are the same, and closes the new one. An error
	// says that the list may lack some: those that are known already are then kept as they are.
	Discover(ctx context.Context) ([]Device, error)
}

// ErrNotYet is in an error of Probe.Discover where somebody who was asked has not answered in time and may do so soon, as
// a library that is being loaded. The Probe asks for another discovery by itself (Notifier).
var ErrNotYet = errors.New("no answer in time")

// Notifier is a Probe that may learn between two discoveries that there is something new to find.
type Notifier interface {
	// Notify hands over the function by which it asks for a discovery soon, which never blocks. It is called once, before
	// the first discovery.
	Notify(rescan func())
}

// Device is one GPU as one loaded driver shows it. One worker owns it: Read and Close are never called at the same time.
type Device interface {
	// Info is the identity. Its GPU does not change in the life of a Device; a read may find out the rest, as of a GPU
	// that slept when it was found, or of which a source told late.
	Info() Info
	// Key names the instance (inode numbers, LUID): the same GPU under another Key means that its driver was loaded
	// anew, so that everything that was opened before is void.
	Key() string
	// Read adds what can be read now to r. nil: r holds a reading, whole or in part (r.Fail). ErrAsleep, ErrResting
	// and ErrGone say why there is none. It may block in the kernel for ever; whoever calls it has a deadline for that.
	Read(ctx context.Context, r *Reading) error
	// Close lets go of whatever is open. The Device is not used afterwards.
	Close() error
}

// What Device.Read answers when there is no new reading.
var (
	// ErrAsleep: the GPU is runtime-suspended and was not touched.
	ErrAsleep = errors.New("asleep")
	// ErrResting: the GPU is awake and was left alone on purpose, so that it can fall asleep; its last reading stands
	// as long as its age allows.
	ErrResting = errors.New("left alone so that it can fall asleep")
	// ErrGone: the device was removed or its driver unbound.
	ErrGone = errors.New("gone")
)
