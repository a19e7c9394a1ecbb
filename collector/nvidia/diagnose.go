package nvidia

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gpu_exporter/collector"
)

var _ collector.Diagnoser = (*Probe)(nil)

// guestDrivers keep a device for a virtual machine.
var guestDrivers = []string{"vfio-pci", "pci-stub", "pciback"}

// Diagnose implements collector.Diagnoser.
func (p *Probe) Diagnose(ctx context.Context) (findings []collector.Finding) {
	say := func(id collector.CheckID, level collector.Level, subject, text, hint string) {
		findings = append(findings, collector.Finding{ID: id, Level: level, Subject: subject, Text: text, Hint: hint})
	}
	all, err := p.pci()
	if err != nil {
		return nil // Discover tells it
	}
	list, err := p.Discover(ctx)
	defer func() {
		for _, d := range list {
			_ = d.Close() // never read: nothing can fail
		}
	}()
	path, _ := p.locate(len(all) > 0)
	found := map[string]bool{}
	for _, d := range list {
		i := d.Info()
		found[i.GPU] = true
		name := i.Name
		if name == "" {
			name = "NVIDIA GPU (" + i.PCIID + "), whose name is told when it is awake"
		}
		say(collector.GPUFound, collector.LevelOK, i.GPU, fmt.Sprintf("%s, %s, driver %s, read by %s", name, i.Type, strings.TrimSpace(i.Driver+" "+i.DriverVersion), path), "")
	}
	for _, c := range all {
		name := "NVIDIA GPU (" + c.pciID + ")"
		switch {
		case found[c.gpu]:
		case c.driver == "nvidia" && path == "":
			say(collector.SourceMissing, collector.LevelFail, c.gpu, name+": there is no nvidia-smi to read it with",
				"install the part of the driver that has it (nvidia-smi or nvidia-utils), in a container give it the utility capability (NVIDIA_DRIVER_CAPABILITIES), or say by --collector.nvidia.smi-path where it is")
		case c.driver == "nvidia":
			if err == nil {
				say(collector.CardIgnored, collector.LevelNote, c.gpu, name+": nvidia-smi does not list it, as in a container that is not given it", "")
			}
		case c.driver == "":
			say(collector.DriverMissing, collector.LevelWarn, c.gpu, name+": it has no driver", "modprobe nvidia; when that does not help, dmesg says why")
		case slices.Contains(guestDrivers, c.driver):
			say(collector.DriverVFIO, collector.LevelNote, c.gpu, name+": it is kept for a virtual machine by "+c.driver, "to read it, run the exporter in that machine")
		default:
			say(collector.DriverOther, collector.LevelWarn, c.gpu, name+": its driver "+c.driver+" tells nothing of it", "only the driver nvidia can be read")
		}
	}
	return findings
}
