package nvml

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gpu_exporter/collector"
)

// Identity is what a child says of a GPU that it has opened, as JSON; empty is not known.
type Identity struct {
	BusID          string `json:"bus_id"` // as NVML writes it, or sysfs
	UUID           string `json:"uuid,omitempty"`
	Name           string `json:"name,omitempty"`
	PCIDeviceID    uint32 `json:"pci_device_id,omitempty"` // device in the high half, vendor in the low one
	VBIOS          string `json:"vbios,omitempty"`
	DriverVersion  string `json:"driver_version,omitempty"`
	Virtualization uint32 `json:"virtualization,omitempty"` // of GetVirtualizationMode
	// Unified: the memory call and that of BAR1 say not supported, and the addressing mode is ATS.
	Unified bool `json:"unified,omitempty"`
}

// The values of Info.Source.
const (
	SourceNVML = "nvml"
	SourceSMI  = "nvidia-smi"
)

// vGPU is the virtualization mode of a guest that has a slice of a GPU. Pass-through gives a whole one.
const vGPU = 2

// Info is the identity in the terms of gpu_info.
func (id Identity) Info() (collector.Info, error) {
	gpu, err := Address(id.BusID)
	if err != nil {
		return collector.Info{}, err
	}
	return collector.Info{
		GPU: gpu, Vendor: "nvidia", Name: id.Name, Type: formOf(id.Name, id.Unified, id.Virtualization == vGPU), UUID: id.UUID,
		PCIID: pciID(fmt.Sprintf("%08X", id.PCIDeviceID)), Driver: "nvidia", DriverVersion: id.DriverVersion, VBIOS: id.VBIOS,
		Source: SourceNVML,
	}, nil
}

var busIDForm = regexp.MustCompile(`^([0-9A-Fa-f]{1,8}):([0-9A-Fa-f]{1,2}):([0-9A-Fa-f]{1,2})(?:\.[0-7])?$`)

// Address is the label gpu of a bus id, which NVML writes as 00000000:0C:00.0, older drivers as 0000:0C:00.0 and sysfs as
// 0000:0c:00.0. A domain above 0xffff keeps its digits.
func Address(busID string) (string, error) {
	m := busIDForm.FindStringSubmatch(strings.TrimSpace(busID))
	if m == nil {
		return "", fmt.Errorf("%q is no PCI address", busID)
	}
	var n [3]uint64
	for i := range n {
		n[i], _ = strconv.ParseUint(m[i+1], 16, 32) // the form leaves nothing to fail
	}
	return fmt.Sprintf("%04x:%02x:%02x.0", n[0], n[1], n[2]), nil
}

var deviceIDForm = regexp.MustCompile(`^(?:0x)?([0-9A-Fa-f]{4})([0-9A-Fa-f]{4})$`)

// pciID turns 221610DE into 10de:2216. A device 0 is none.
func pciID(text string) string {
	m := deviceIDForm.FindStringSubmatch(text)
	if m == nil || m[1] == "0000" {
		return ""
	}
	return strings.ToLower(m[2] + ":" + m[1])
}

// integratedWords are in the names of GPUs that share the memory of the system.
var integratedWords = regexp.MustCompile(`\b(GB10|Tegra|Orin|Thor|Xavier|iGPU)\b`)

// formOf is the type of a GPU.
func formOf(name string, unified, virtual bool) string {
	switch {
	case unified || integratedWords.MatchString(name):
		return collector.Integrated
	case virtual:
		return collector.Virtual
	}
	return collector.Discrete
}
