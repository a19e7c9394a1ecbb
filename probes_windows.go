package main

import (
	"log/slog"

	"gpu_exporter/collector/windows"
)

// systemReaders are the probes of this system.
func systemReaders(o *options, log *slog.Logger) []reader {
	return []reader{{windows.New(windows.Options{
		Sources:  windows.System(log),
		Deadline: o.deadline,
		StateDir: o.historyFolder(),
		Log:      log,
	}), []string{"windows"}}}
}

// checkPaths has nothing to look at: Windows is asked, no folder.
func checkPaths(*options, *slog.Logger) {}

// sought says who was asked.
func sought(*options, string) string { return "none of the sources of Windows lists one" }

// hintHardware is how to see what the machine has.
const hintHardware = "the Device Manager shows what the machine has"
