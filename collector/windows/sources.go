package windows

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/worker"
)

// Sources are the ways to ask this Windows. A nil one is not there at all: its DLL, or what it stands on, is missing.
//
// For all of them: a method may block for as long as Windows does. It is called by one goroutine at a time, so that it
// may keep buffers between calls; but what it returns belongs to the caller, strings and slices included, unless said
// otherwise. It lets go of every handle before it returns, also when it fails; PDH alone keeps one, until Close. An
// error says that the whole answer is missing, and is or wraps one of the errors below where one of them fits. What one
// adapter, instance or key does not tell is left out of the answer instead, so that it costs nobody else.
type Sources struct {
	D3DKMT D3DKMT
	PDH    PDH
	PnP    PnP
	// Registry reads the three places of section 6.2. Keys that may not be read are left out.
	Registry func() (Registry, error)
	// WMI asks for all rows of Win32_VideoController (6.1). It is called again only when it has come back.
	WMI func(ctx context.Context) ([]VideoController, error)
	// PowerShell runs section 7's Get-CimInstance and kills it when ctx ends.
	PowerShell func(ctx context.Context) (Output, error)
	// DxDiag runs dxdiag /x, waits until the file is whole (see DxDiagWhole), returns its content and removes it. When
	// ctx ends it kills dxdiag and returns what there is.
	DxDiag func(ctx context.Context) ([]byte, error)
	ADL    ADL
	NVML   NVML
}

// D3DKMT is the kernel's side of graphics, through gdi32.dll (section 2).
type D3DKMT interface {
	// Adapters lists all adapters (EnumAdapters2) and asks each for what does not change (QueryAdapterInfo). It wakes
	// none. ErrUnsupported: gdi32.dll has no such function, as before Windows 10 and in Wine.
	Adapters() ([]Adapter, error)
	// Read asks the adapters for what changes (QueryStatistics by LUID; with Sensors also QueryAdapterInfo, on a handle
	// that is opened from the LUID and closed again). The answers stand in the order of the targets. An adapter that is
	// not there any more has Gone set.
	Read(targets []Target) ([]AdapterReading, error)
}

// Target is an adapter that D3DKMT.Read is to ask.
type Target struct {
	LUID LUID
	// Sensors: ask for performance data (types 61, 62, 63) too. Not set for a GPU that sleeps, which they might wake.
	Sensors bool
	// Node is the number of the node whose performance data is the GPU's: the first of type 3D. Nil: it has none.
	Node *uint32
}

// PDH is the performance counters of GPUs, through pdh.dll (section 3).
type PDH interface {
	// Collect takes all counters once, by one query that is opened at the first call and kept. The items are only good
	// until the next Collect. ErrUnsupported: this Windows has none of the objects.
	Collect() (Counters, error)
	// Close closes the query. Collect opens another.
	Close() error
}

// PnP is the Plug and Play manager, through cfgmgr32.dll.
type PnP interface {
	// Present lists the devices on PCI that are there now (CM_Get_Device_ID_ListW) with their place.
	Present() ([]PnPDevice, error)
	// Power tells the power state of each device (DEVPKEY_Device_PowerData, section 9), in the order of the ids. It
	// wakes none. PowerUnknown where a device does not tell.
	Power(ids []string) ([]PowerState, error)
}

// ADL is AMD's library, which lives in child processes (sections 4 and 9). ErrUnsupported: the library is not there, or
// knows no GPU. It may be asked before a child is ready, and then waits for it up to the end of ctx. GPUs that may sleep
// have a child of their own each, so that it can be ended for them to.
type ADL interface {
	// Adapters lists the entries of AdapterInfo and asks of each GPU what does not change. It may wake them all: it is not
	// called while one sleeps that ADL may know.
	Adapters(ctx context.Context, maySleep func(Place) bool) ([]ADLAdapter, error)
	// Read asks the sensors. The answers stand in the order of the targets.
	Read(ctx context.Context, targets []ADLTarget) ([]ADLReading, error)
	// Renew ends the children, whose list is as old as they are. It does not wait.
	Renew()
	// LetGo ends the child that keeps a GPU awake which may sleep, as soon as it is not busy. It does not wait.
	LetGo(at Place)
	// Close ends all children.
	Close()
}

// NVML is NVIDIA's library, which lives in child processes likewise, or nvidia-smi in its place (section 5). Its readings
// are converted by collector/nvml before they come here.
type NVML interface {
	// Devices tells of those of targets that the library can read; no targets: of all GPUs that it finds by itself.
	Devices(ctx context.Context, targets []NVMLTarget) ([]NVMLDevice, error)
	// Read asks GPUs. The answers stand in the order of the targets.
	Read(ctx context.Context, targets []NVMLTarget) ([]NVMLReading, error)
	// LetGo ends the child that keeps a GPU awake which may sleep, as soon as it is not busy. It does not wait.
	LetGo(a Address)
	// Close ends all children.
	Close()
}

// What a source answers when it has no answer. A right that is missing is fs.ErrPermission.
var (
	// ErrUnsupported: this system cannot tell at all, which is no fault: a function, an object, a library is missing.
	ErrUnsupported = errors.New("not there on this system")
	// ErrMalformed: what was told makes no sense.
	ErrMalformed = errors.New("malformed")
)

// errLate: no answer within the deadline of the source.
var errLate = collector.ErrNotYet

// errChild: the child process that was to answer has failed, and is replaced.
var errChild = errors.New("its child process fails")

// noAnswer is an error of what children read, in the words of this room: a GPU that is waited for is late.
func noAnswer(err error) error {
	switch {
	case err == nil, errors.Is(err, collector.ErrGone), errors.Is(err, worker.ErrRefused), errors.Is(err, ErrMalformed):
		return err
	case errors.Is(err, nvml.ErrMissing):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.Is(err, worker.ErrOpening): // that is no fault, and over soon, or it hangs
		return fmt.Errorf("%w: %w", errUnasked, err)
	case errors.Is(err, worker.ErrHung), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", errLate, err)
	}
	return fmt.Errorf("%w: %w", errChild, err)
}

// kindOf is the kind of failure that an error of a source is.
func kindOf(err error) collector.FailureKind {
	switch {
	case errors.Is(err, errLate), errors.Is(err, context.DeadlineExceeded):
		return collector.Timeout
	case errors.Is(err, fs.ErrPermission):
		return collector.Permission
	case errors.Is(err, ErrMalformed):
		return collector.Malformed
	case errors.Is(err, ErrUnsupported):
		return collector.Missing
	}
	return collector.IO
}
