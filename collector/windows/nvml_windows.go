package windows

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/windows"

	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/worker"
)

const nvmlName = "nvml.dll"

// nvmlDLL is NVML in the child that calls it.
type nvmlDLL windows.Handle

// Find implements nvml.Binding.
func (d nvmlDLL) Find(symbol string) uintptr {
	at, err := windows.GetProcAddress(windows.Handle(d), symbol)
	if err != nil {
		return 0
	}
	return at
}

// Call implements nvml.Binding.
func (d nvmlDLL) Call(at uintptr, args []uintptr) int32 {
	result, _, _ := syscall.SyscallN(at, args...)
	return int32(result)
}

// newNVMLLibrary is what a child calls: the DLL of the driver, in System32, where drivers have it since 2019, and nowhere
// else. The folder of older ones is below Program Files: whether nobody but administrators can write there is a question of
// the rights of each folder on the way, for drivers that no longer get updates.
func newNVMLLibrary() *nvml.Library {
	return nvml.NewLibrary(func(string) (nvml.Binding, error) {
		dll, err := systemDLL(nvmlName)
		if err != nil {
			return nil, err
		}
		return nvmlDLL(dll), nil
	})
}

// newNVML is NVML through children, which the options say how to start.
func newNVML(o worker.PoolOptions) NVML {
	return &nvmlChildren{Fleet: nvml.NewFleet(o), there: nvmlIsThere}
}

// nvmlIsThere says whether a driver has brought the library. It is not loaded here.
func nvmlIsThere() bool {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return false
	}
	is, err := os.Stat(filepath.Join(system, nvmlName))
	return err == nil && is.Mode().IsRegular()
}
