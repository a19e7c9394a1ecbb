// Package nvml knows what NVIDIA's driver tells and what it means: the table of NVML readings and their conversions, how a
// child process asks for them and how the main program has its children ask, and the parser of what nvidia-smi prints with
// its conversions. It has no OS code: a library is called through a Binding, which those make who know the system. A raw
// value, NVML's return code and the type of the value go in, samples come out. So the same code serves Linux and Windows,
// the main program (which converts) and the child (which only walks the table), and is tested without a driver. Facts are
// those of nvml.h (API 13) and of captures of nvidia-smi from driver 390 to 610.
package nvml

import (
	"errors"
	"fmt"
)

// Return is a return code of NVML. Codes are stable, their texts are not.
type Return uint16

// The codes that decide something. All others mean that this one reading failed.
const (
	Success           Return = 0
	Uninitialized     Return = 1
	InvalidArgument   Return = 2
	NotSupported      Return = 3
	NoPermission      Return = 4
	NotFound          Return = 6
	InsufficientSize  Return = 7
	InsufficientPower Return = 8
	DriverNotLoaded   Return = 9
	IRQIssue          Return = 11
	LibraryNotFound   Return = 12
	FunctionNotFound  Return = 13
	GPUIsLost         Return = 15
	ResetRequired     Return = 16
	OperatingSystem   Return = 17
	LibRMMismatch     Return = 18
	NoData            Return = 21
	VersionMismatch   Return = 25
	Deprecated        Return = 26
	NotReady          Return = 27
	Unknown           Return = 999
)

// What a code means for the child that told it, whatever the reading.
var (
	// ErrChild: the child has lost its library and must be started anew.
	ErrChild = errors.New("the library is not initialised any more")
	// ErrDriver: no driver is loaded, or another than the library was made for: the child must end, and the source is
	// silent until a rescan finds it well.
	ErrDriver = errors.New("the driver is not loaded, or was exchanged")
)

// outcome says what a code means for one reading.
type outcome uint8

const (
	told   outcome = iota
	absent         // the GPU or the driver does not have it, or not now
	failed         // it has it, and could not tell it
	gone           // the GPU is lost, or needs a reset, power or its interrupt
	child
	driver
)

// outcomes are the codes that are neither told nor a failed reading (nvidia.md section 7).
var outcomes = map[Return]outcome{
	Success: told, Uninitialized: child, DriverNotLoaded: driver, LibRMMismatch: driver,
	InsufficientPower: gone, IRQIssue: gone, GPUIsLost: gone, ResetRequired: gone,
	InvalidArgument: absent, NotSupported: absent, NoPermission: absent, NotFound: absent, InsufficientSize: absent,
	LibraryNotFound: absent, FunctionNotFound: absent, OperatingSystem: absent, NoData: absent, VersionMismatch: absent,
	Deprecated: absent, NotReady: absent,
	22: absent, 24: absent, 28: absent, 30: absent, // of calls that are not made here
}

func (c Return) outcome() outcome {
	if o, known := outcomes[c]; known {
		return o
	}
	return failed
}

// codeNames are the codes as a person should read them in a log.
var codeNames = map[Return]string{
	InsufficientPower: "its power cables are not attached", IRQIssue: "its interrupt does not work", 14: "corrupted infoROM",
	GPUIsLost: "GPU is lost", ResetRequired: "it needs a reset", 10: "timeout", 19: "in use", 20: "out of memory",
	23: "out of resources", 29: "invalid state", Unknown: "unknown error",
}

// Error makes a code an error.
func (c Return) Error() string {
	if name := codeNames[c]; name != "" {
		return fmt.Sprintf("NVML code %d, %s", uint16(c), name)
	}
	return fmt.Sprintf("NVML code %d", uint16(c))
}
