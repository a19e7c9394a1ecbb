package main

import (
	"fmt"
	"log/slog"
	"os"
	"slices"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvidia"
	"gpu_exporter/collector/windows"
)

// systemReaders are the probes of this system.
func systemReaders(o *options, log *slog.Logger) []reader {
	sources := []string{"windows"} // ADL's children count as its own
	if o.nvidia.on && o.nvidia.source != nvidia.SourceSMI {
		sources = append(sources, nvidia.SourceNVML)
	}
	if o.nvidia.on && o.nvidia.source != nvidia.SourceNVML {
		sources = append(sources, nvidia.SourceSMI)
	}
	return []reader{{windows.New(windows.Options{
		Sources: windows.System(windows.SystemOptions{
			ADL: o.amd,
			NVIDIA: windows.NVIDIAOptions{
				NVML:     slices.Contains(sources, nvidia.SourceNVML),
				SMI:      slices.Contains(sources, nvidia.SourceSMI),
				SMIPath:  o.nvidia.smi,
				Interval: o.interval,
				Firmware: o.firmware,
			},
			Log: log,
			Restarted: func(source string, reason collector.RestartReason) {
				if o.restarted != nil {
					o.restarted(source, reason)
				}
			},
		}),
		Deadline:   o.deadline,
		StateDir:   o.historyFolder(),
		WakeNVIDIA: o.nvidia.wake == wakeAlways,
		Log:        log,
	}), sources}}
}

// asWorker is the program as a child of itself that calls the library of a GPU vendor (windows.Worker): such a library may
// hang or crash. It is looked for before any flag, and no help tells of it.
func asWorker(args []string) (status int, is bool) {
	if len(args) != 2 || args[0] != "worker" {
		return 0, false
	}
	fmt.Fprintf(os.Stderr, "gpu_exporter: error: %v\n", windows.Worker(args[1]))
	return 1, true
}

// checkPaths has nothing to look at: Windows is asked, no folder.
func checkPaths(*options, *slog.Logger) {}

// sought says who was asked.
func sought(*options, string) string { return "none of the sources of Windows lists one" }

// hintHardware is how to see what the machine has.
const hintHardware = "the Device Manager shows what the machine has"
