package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"gpu_exporter/collector"
	"gpu_exporter/collector/amd"
	"gpu_exporter/collector/nvidia"
)

// systemReaders are the probes of this system that the flags leave on. Where two find the same GPU, the first has it.
func systemReaders(o *options, log *slog.Logger) []reader {
	var list []reader
	if o.amd {
		list = append(list, reader{amd.New(amd.Options{
			Sysfs:    o.sysfs,
			Procfs:   o.procfs,
			HostRoot: o.hostRoot(),
			Firmware: o.firmware,
			Log:      log,
		}), []string{"sysfs"}})
	}
	if o.nvidia.on {
		n := nvidia.Options{
			Sysfs:    o.sysfs,
			Procfs:   o.procfs,
			SMI:      o.nvidia.smi,
			Wake:     o.nvidia.wake == wakeAlways,
			Interval: o.interval,
			Firmware: o.firmware,
			Log:      log,
			Restarted: func(source string, reason collector.RestartReason) {
				if o.restarted != nil {
					o.restarted(source, reason)
				}
			},
		}
		if filepath.Clean(o.sysfs) == "/sys" { // else the devices of this machine are not those of that tree
			n.Devfs = "/dev"
		}
		list = append(list, reader{nvidia.New(n), []string{"nvidia-smi"}})
	}
	return list
}

// checkPaths logs a folder that is missing. That is no error: the machine may get its first GPU driver later.
func checkPaths(o *options, log *slog.Logger) {
	for _, at := range [...]struct{ flag, path string }{{"--path.sysfs", o.sysfs}, {"--path.procfs", o.procfs}} {
		if _, err := os.Stat(at.path); err != nil {
			log.Warn("folder is missing, what is read from it will be too", "flag", at.flag, "err", err)
		}
	}
}

// sought says where the probes have looked.
func sought(o *options, probes string) string {
	return fmt.Sprintf("looked below %s (--path.sysfs) for %s", o.sysfs, probes)
}

// hintHardware is how to see what the machine has.
const hintHardware = "lspci -nn shows what the machine has"
