package windows

import (
	"fmt"
	"strings"

	"gpu_exporter/collector"
)

// candidate is an adapter that some source listed, with what the others say of it. A nil part: nothing.
type candidate struct {
	from    string // the source that listed it
	name    string
	pnp     string // device instance id
	luid    LUID
	address Address
	vendor  uint32 // 0 with ids false: not known
	device  uint32
	ids     bool
	adapter *Adapter
	enum    RegistryKey
	class   RegistryKey
	row     *VideoController
	dx      *dxDevice
	adl     *ADLAdapter
	nvml    *NVMLDevice
}

// The ids of PCI vendors that a rule speaks of. Qualcomm's is what Windows tells for its GPUs, which are not on PCI.
const (
	vendorAMD       = 0x1002
	vendorNVIDIA    = 0x10de
	vendorIntel     = 0x8086
	vendorMicrosoft = 0x1414
	vendorQualcomm  = 0x4d4f4351 // "QCOM"
)

var vendorWords = map[uint32]string{vendorAMD: "amd", vendorNVIDIA: "nvidia", vendorIntel: "intel", vendorQualcomm: "qcom"}

// displayOnly are the makers of graphics that only drive a display: of servers, and of virtual machines. ADAPTERTYPE
// tells that of any of them, but WMI and the registry do not.
var displayOnly = map[uint32]string{
	0x1a03: "ASPEED", 0x102b: "Matrox", 0x1013: "Cirrus", 0x1234: "QEMU", 0x1b36: "QXL", 0x1af4: "virtio",
	0x15ad: "VMware", 0x80ee: "VirtualBox", 0x1ab8: "Parallels",
}

// apart are the enumerators of devices that are no GPUs: made by software, and displays on USB.
var apart = []string{`ROOT\`, `SWD\`, `USB\`}

// whyNot says why the adapter is no GPU (section 8), empty for one that is. Names are not looked at but for being there:
// they may be anything in any language.
func (c *candidate) whyNot() string {
	bits, told := uint32(0), c.adapter != nil && c.adapter.Type != nil
	if told {
		bits = *c.adapter.Type
	}
	for _, root := range apart {
		if len(c.pnp) >= len(root) && strings.EqualFold(c.pnp[:len(root)], root) {
			return "it is below " + root
		}
	}
	switch {
	case c.ids && c.vendor == 0:
		return "its vendor is 0000"
	case c.vendor == vendorMicrosoft:
		return "it is Microsoft's own"
	case told && bits&typeSoftware != 0:
		return "it is made by software"
	case told && bits&typeIndirect != 0 && bits&typeRender == 0:
		return "it is an indirect display"
	case told && bits&typeRender == 0, c.dx != nil && c.dx.Type == "Display-Only Device":
		return "it only drives a display"
	case !told && displayOnly[c.vendor] != "":
		return "graphics of " + displayOnly[c.vendor] + " only drive a display"
	case c.adapter != nil && c.name == "":
		return "it has no name"
	case !told && !c.ids && c.pnp == "":
		return "nothing tells what it is"
	case c.label() == "":
		return "nothing identifies it"
	}
	return ""
}

// label is the identity of the GPU (metrics.md rule 3), empty where nothing identifies it.
func (c *candidate) label() string {
	switch {
	case c.address != "":
		return string(c.address)
	case c.luid != 0:
		return "luid:" + c.luid.String()
	case c.pnp != "":
		return "pnp:" + c.pnp
	}
	return ""
}

func (c *candidate) vendorWord() string {
	switch word, known := vendorWords[c.vendor]; {
	case known:
		return word
	case !c.ids:
		return ""
	}
	return fmt.Sprintf("%04x", c.vendor)
}

// The bits of ADLAdapter.Family.
const (
	familyDiscrete   = 1
	familyIntegrated = 2 | 32
)

// smallMemory is how much memory of their own Intel's integrated GPUs show at most.
const smallMemory = 512 << 20

// form is Info.Type: what tells first, by section 8.
func (c *candidate) form() string {
	var bits uint32
	if c.adapter != nil && c.adapter.Type != nil {
		bits = *c.adapter.Type
	}
	hybrid := ""
	if c.dx != nil {
		hybrid = c.dx.Hybrid
	}
	switch {
	case bits&typeParavirtual != 0:
		return collector.Virtual
	case c.nvml != nil && c.nvml.Type != "" && c.nvml.Type != collector.Discrete: // a guest's slice, or a part of a chip
		return c.nvml.Type
	case c.adl != nil && c.adl.Family&familyDiscrete != 0:
		return collector.Discrete
	case c.adl != nil && c.adl.Family&familyIntegrated != 0:
		return collector.Integrated
	case bits&typeHybridIntegrated != 0, hybrid == "Integrated":
		return collector.Integrated
	case bits&typeHybridDiscrete != 0, hybrid == "Discrete":
		return collector.Discrete
	case c.vendor == vendorIntel && c.dedicated() <= smallMemory,
		c.vendor == vendorAMD && strings.HasSuffix(c.name, "Graphics"),
		c.vendor == vendorQualcomm:
		return collector.Integrated
	}
	return collector.Discrete
}

// dedicated is the memory that Windows sees as the GPU's own, 0 where it does not tell.
func (c *candidate) dedicated() uint64 {
	switch {
	case c.adapter != nil && c.adapter.Segments != nil:
		return c.adapter.Segments.Dedicated
	case c.dx != nil:
		return c.dx.Dedicated
	}
	return c.class.vram()
}

// vram is the size of the video memory and who told it, by the order of section 1; 0: nobody.
func (c *candidate) vram() (bytes uint64, from string) {
	if c.adl != nil && c.adl.Memory > 0 {
		return uint64(c.adl.Memory), sourceADL
	}
	if size := c.class.vram(); size > 0 {
		return size, sourceRegistry
	}
	if c.adapter != nil && c.adapter.Segments != nil && c.adapter.Segments.Dedicated > 0 {
		return c.adapter.Segments.Dedicated, sourceD3DKMT
	}
	if c.row != nil && c.row.AdapterRAM > 0 && c.row.AdapterRAM < capped {
		return uint64(c.row.AdapterRAM), c.from
	}
	if c.dx != nil && c.dx.Dedicated > 0 {
		return c.dx.Dedicated, sourceDxDiag
	}
	return 0, ""
}

// shared is the size of the system memory that the GPU may use too, 0 where nobody tells.
func (c *candidate) shared() uint64 {
	switch {
	case c.adapter != nil && c.adapter.Segments != nil:
		return c.adapter.Segments.Shared
	case c.dx != nil:
		return c.dx.Shared
	}
	return 0
}

// version is the version of the driver as Windows counts, who told it first.
func (c *candidate) version() string {
	told := []string{c.class.text("DriverVersion")}
	if c.adapter != nil {
		told = append(told, tidy(c.adapter.Version))
	}
	if c.row != nil {
		told = append(told, tidy(c.row.DriverVersion))
	}
	if c.dx != nil {
		told = append(told, c.dx.DriverVersion)
	}
	return firstOf(told...)
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// info is the identity, by sections 6.2 and 11: labels come from D3DKMT and the registry; a vendor's library fills what
// they leave empty.
func (c *candidate) info() collector.Info {
	i := collector.Info{GPU: c.label(), Vendor: c.vendorWord(), Name: c.name, Type: c.form(), Source: probeName}
	if c.device != 0 && c.vendor <= 0xffff {
		i.PCIID = fmt.Sprintf("%04x:%04x", c.vendor, c.device)
	}
	i.Driver = c.enum.text("Service")
	i.DriverVersion = marketing(c.vendor, c.version())
	if c.vendor == vendorAMD {
		i.DriverVersion = firstOf(c.class.text("RadeonSoftwareVersion"), i.DriverVersion)
	}
	if a := c.adapter; a != nil {
		i.Driver = firstOf(i.Driver, tidy(a.Service))
		i.VBIOS = biosVersion(tidy(a.BIOS))
	}
	if a := c.adl; a != nil {
		i.VBIOS = firstOf(i.VBIOS, biosVersion(tidy(a.BIOSPart)))
		if c.class.text("RadeonSoftwareVersion") == "" {
			i.DriverVersion = firstOf(tidy(a.Version), i.DriverVersion)
		}
	}
	if n := c.nvml; n != nil {
		i.Source, i.UUID = n.Source, tidy(n.UUID)
		i.PCIID = firstOf(i.PCIID, n.PCIID)
		i.DriverVersion = firstOf(i.DriverVersion, tidy(n.Version))
		i.VBIOS = firstOf(i.VBIOS, tidy(n.VBIOS))
	}
	return i
}

// marketing is the version of a driver as its maker counts (6.2), or as Windows does where there is no rule. Microsoft's
// own drivers have the version of Windows.
func marketing(vendor uint32, version string) string {
	part := strings.Split(version, ".")
	if len(part) != 4 || strings.HasPrefix(version, "10.0.") || strings.Trim(version, "0123456789.") != "" {
		return version
	}
	switch vendor {
	case vendorIntel:
		return part[2] + "." + part[3]
	case vendorNVIDIA:
		digits := fmt.Sprintf("%s%04s", part[2], part[3])
		if n := len(digits); n >= 5 {
			return digits[n-5:n-2] + "." + digits[n-2:]
		}
	}
	return version
}

// biosVersion drops a text that names no version: `Intel Video BIOS`.
func biosVersion(s string) string {
	s = strings.TrimPrefix(s, "Version ")
	if !strings.ContainsAny(s, "0123456789") {
		return ""
	}
	return s
}
