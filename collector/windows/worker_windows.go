package windows

import (
	"fmt"

	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/worker"
)

// The libraries that a child calls, each in one of its own.
const (
	nameNVML = "nvml"
	nameADL  = "adl"
)

// Worker is the life of a child that calls a library, by its name: what `gpu_exporter worker nvml` does. It returns only
// when nobody started it as a child.
func Worker(name string) error {
	switch name {
	case nameNVML:
		return worker.Serve(nvml.Hello(), newNVMLLibrary())
	case nameADL:
		return worker.Serve(adlHello, newADLLibrary())
	}
	return fmt.Errorf("no library is called %q", name)
}
