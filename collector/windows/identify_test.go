package windows

import (
	"fmt"
	"strings"
	"testing"

	"gpu_exporter/collector"
)

// an is an adapter of D3DKMT that is a GPU, changed by what a test is about.
func an(change func(a *Adapter)) Adapter {
	a := Adapter{LUID: 0xc51e, Name: "Radeon", Place: &Place{3, 0, 0}, IDs: &PCIIDs{vendorAMD, 0x747e}, Type: ptr(uint32(typeRender | 2))}
	if change != nil {
		change(&a)
	}
	return a
}

func TestWhichAdaptersAreGPUs(t *testing.T) {
	bits := func(b uint32) func(a *Adapter) { return func(a *Adapter) { a.Type = &b } }
	for name, c := range map[string]struct {
		change func(a *Adapter)
		why    string // empty: it is a GPU
	}{
		"an ordinary one":                  {nil, ""},
		"without an answer on its type":    {func(a *Adapter) { a.Type = nil }, ""},
		"Wine's own":                       {func(a *Adapter) { a.IDs.Vendor = 0 }, "vendor is 0000"},
		"Basic Render Driver":              {func(a *Adapter) { a.IDs = &PCIIDs{vendorMicrosoft, 0x8c} }, "Microsoft"},
		"software":                         {bits(typeRender | typeSoftware), "software"},
		"indirect display":                 {bits(typeIndirect), "indirect"},
		"indirect display that renders":    {bits(typeIndirect | typeRender), ""},
		"Basic Display Adapter":            {bits(2), "only drives a display"},
		"paravirtualized":                  {bits(typeRender | typeParavirtual), ""},
		"no name":                          {func(a *Adapter) { a.Name = "" }, "no name"},
		"only LUID and name":               {func(a *Adapter) { *a = Adapter{LUID: 5, Name: "x"} }, "nothing tells what it is"},
		"neither LUID nor address":         {func(a *Adapter) { a.LUID, a.Place = 0, nil }, "nothing identifies it"},
		"ASPEED without an answer on type": {func(a *Adapter) { a.Type = nil; a.IDs = &PCIIDs{0x1a03, 0x2000} }, "ASPEED"},
		"ASPEED that renders":              {func(a *Adapter) { a.IDs = &PCIIDs{0x1a03, 0x2000} }, ""},
		"a name like Microsoft's":          {func(a *Adapter) { a.Name = "Microsoft Basic Display Adapter" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			gpus, left := identify(&facts{adapters: []Adapter{an(c.change)}})
			switch {
			case c.why == "" && (len(gpus) != 1 || len(left) != 0):
				t.Errorf("left out: %v", left)
			case c.why != "" && (len(gpus) != 0 || len(left) != 1 || !strings.Contains(left[0].why, c.why)):
				t.Errorf("%d GPUs, left out %v", len(gpus), left)
			}
		})
	}
}

func TestDevicesThatAreApart(t *testing.T) {
	for id, kept := range map[string]bool{
		`PCI\VEN_1002&DEV_747E\1`: true, `pci\ven_1002&dev_747e\1`: true, `ACPI\QCOM0C36\1`: true,
		`ROOT\DISPLAY\0000`: false, `root\display\0000`: false, `SWD\REMOTEDISPLAYENUM\1`: false, `USB\VID_17E9&PID_6006\1`: false, ``: false,
	} {
		gpus, _ := identify(&facts{rows: []VideoController{{Name: "x", PNPDeviceID: id}}, rowsFrom: sourceWMI})
		if (len(gpus) == 1) != kept {
			t.Errorf("%q: %d GPUs", id, len(gpus))
		}
	}
}

func TestFormOfAGPU(t *testing.T) {
	bits := func(b uint32) *Adapter { return &Adapter{Type: &b} }
	sized := func(size uint64) *Adapter { return &Adapter{Segments: &Sizes{Dedicated: size}} }
	for name, c := range map[string]struct {
		c    candidate
		want string
	}{
		"ADL's bit comes first":         {candidate{vendor: vendorAMD, adl: &ADLAdapter{Family: 1}, adapter: bits(typeHybridIntegrated)}, collector.Discrete},
		"ADL: integrated":               {candidate{vendor: vendorAMD, adl: &ADLAdapter{Family: 2}}, collector.Integrated},
		"ADL: fusion":                   {candidate{vendor: vendorAMD, adl: &ADLAdapter{Family: 32}}, collector.Integrated},
		"ADL tells nothing":             {candidate{vendor: vendorAMD, adl: &ADLAdapter{}, name: "AMD Radeon(TM) Graphics"}, collector.Integrated},
		"hybrid integrated":             {candidate{vendor: vendorNVIDIA, adapter: bits(typeHybridIntegrated)}, collector.Integrated},
		"hybrid discrete":               {candidate{vendor: vendorIntel, adapter: bits(typeHybridDiscrete)}, collector.Discrete},
		"dxdiag's word":                 {candidate{vendor: vendorIntel, dx: &dxDevice{Hybrid: "Discrete"}}, collector.Discrete},
		"NVIDIA":                        {candidate{vendor: vendorNVIDIA}, collector.Discrete},
		"Intel with little memory":      {candidate{vendor: vendorIntel, adapter: sized(512 << 20)}, collector.Integrated},
		"Intel with more":               {candidate{vendor: vendorIntel, adapter: sized(512<<20 + 1)}, collector.Discrete},
		"AMD by its name":               {candidate{vendor: vendorAMD, name: "AMD Radeon(TM) 8060S Graphics"}, collector.Integrated},
		"AMD card":                      {candidate{vendor: vendorAMD, name: "AMD Radeon RX 7800 XT"}, collector.Discrete},
		"an APU with much memory":       {candidate{vendor: vendorAMD, name: "AMD Radeon(TM) Graphics", adapter: sized(96 << 30)}, collector.Integrated},
		"paravirtualized before hybrid": {candidate{vendor: vendorNVIDIA, adapter: bits(typeParavirtual | typeHybridDiscrete)}, collector.Virtual},
	} {
		if got := c.c.form(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestMarketingVersions(t *testing.T) {
	for _, c := range []struct {
		vendor        uint32
		version, want string
	}{
		{vendorNVIDIA, "32.0.15.6094", "560.94"},
		{vendorNVIDIA, "31.0.15.7652", "576.52"},
		{vendorNVIDIA, "32.0.15.94", "500.94"}, // a part without its leading zeros
		{vendorNVIDIA, "10.18.13.6191", "361.91"},
		{vendorNVIDIA, "10.0.22621.1", "10.0.22621.1"}, // Microsoft's driver has the version of Windows
		{vendorNVIDIA, "", ""},
		{vendorNVIDIA, "32.0.15", "32.0.15"},
		{vendorNVIDIA, "a.b.c.d", "a.b.c.d"},
		{vendorIntel, "32.0.101.5768", "101.5768"},
		{vendorIntel, "30.0.101.2079", "101.2079"},
		{vendorAMD, "32.0.21013.1000", "32.0.21013.1000"},
		{0x5143, "1.2.3.4", "1.2.3.4"},
	} {
		if got := marketing(c.vendor, c.version); got != c.want {
			t.Errorf("%04x %s: %s, want %s", c.vendor, c.version, got, c.want)
		}
	}
}

func TestBIOSVersions(t *testing.T) {
	for text, want := range map[string]string{
		"Version 94.7.50.0.27": "94.7.50.0.27", "Intel Video BIOS": "", "113-EXAMPLE-001": "113-EXAMPLE-001", "": "", "Version ": "",
	} {
		if got := biosVersion(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		place Place
		want  Address
	}{
		{Place{3, 0, 0}, "0000:03:00.0"},
		{Place{0, 2, 1}, "0000:00:02.1"},
		{Place{0x1ff, 31, 7}, "0001:ff:1f.7"}, // the segment stands above the bus
		{Place{^uint32(0), 0, 0}, ""},
		{Place{3, 32, 0}, ""},
		{Place{3, 0, 8}, ""},
	} {
		if got := c.place.address(); got != c.want {
			t.Errorf("%v: %q, want %q", c.place, got, c.want)
		}
	}
	for text, want := range map[Address]Address{
		"00000000:01:00.0": "0000:01:00.0", "0001:0A:1F.7": "0001:0a:1f.7", "": "", "x": "", "12345:01:00.0": "", "0000:01:00.9": "", "0000:101:00.0": "",
	} {
		if got := shortAddress(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// enumerated is a key of Enum for a display device.
func enumerated(id, class, location string) RegistryKey {
	return regKey(id, map[string]RegistryValue{"Driver": sz(DisplayClass + `\` + class), "Service": sz("service" + class), "LocationInformation": sz(location)})
}

// Which key belongs to which device: by place and ids, never by order or name.
func TestKeysOfTheRegistry(t *testing.T) {
	const here, other = `PCI\VEN_1002&DEV_747E&REV_C8\4&1`, `PCI\VEN_1002&DEV_73FF&REV_C7\4&1`
	class := []RegistryKey{
		regKey("0000", map[string]RegistryValue{"DriverVersion": sz("0")}), regKey("0001", map[string]RegistryValue{"DriverVersion": sz("1")}),
		regKey("Properties", map[string]RegistryValue{"DriverVersion": sz("2")}), regKey("Configuration", nil),
	}
	for name, c := range map[string]struct {
		enum    []RegistryKey
		present []PnPDevice
		want    string // driver and version
	}{
		"its own":                            {[]RegistryKey{enumerated(here, "0001", "PCI-Bus %1;(3,0,0)")}, nil, "service0001 1"},
		"of another card at its place":       {[]RegistryKey{enumerated(other, "0000", "(3,0,0)"), enumerated(here, "0001", "(3,0,0)")}, nil, "service0001 1"},
		"of an equal card that was removed":  {[]RegistryKey{enumerated(here, "0001", "(3,0,0)"), enumerated(here+"2", "0000", "(3,0,0)")}, []PnPDevice{{ID: strings.ToLower(here)}}, "service0001 1"},
		"two that both may be meant":         {[]RegistryKey{enumerated(here, "0001", "(3,0,0)"), enumerated(here+"2", "0000", "(3,0,0)")}, nil, " "},
		"an equal card elsewhere":            {[]RegistryKey{enumerated(here, "0001", "(4,0,0)")}, nil, " "},
		"the place is told by Plug and Play": {[]RegistryKey{enumerated(here, "0001", "")}, []PnPDevice{{here, &Place{3, 0, 0}}}, "service0001 1"},
		"Plug and Play knows better":         {[]RegistryKey{enumerated(here, "0001", "(9,0,0)")}, []PnPDevice{{here, &Place{3, 0, 0}}}, "service0001 1"},
		"a class key that is none":           {[]RegistryKey{enumerated(here, "Properties", "(3,0,0)")}, nil, "serviceProperties "},
		"a class key that is not there":      {[]RegistryKey{enumerated(here, "0007", "(3,0,0)")}, nil, "service0007 "},
		"a place that cannot be read":        {[]RegistryKey{enumerated(here, "0001", "(3,0)")}, nil, " "},
		"no registry":                        {nil, nil, " "},
	} {
		t.Run(name, func(t *testing.T) {
			gpus, _ := identify(&facts{adapters: []Adapter{an(nil)}, registry: Registry{Class: class, Enum: c.enum}, present: c.present})
			if got := gpus[0].info.Driver + " " + gpus[0].info.DriverVersion; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhoListsTheGPUs(t *testing.T) {
	const card, virtual = `PCI\VEN_1002&DEV_747E&REV_C8\4&1`, `ROOT\DISPLAY\0000`
	rows := []VideoController{{Name: "of WMI", PNPDeviceID: card}, {Name: "Parsec", PNPDeviceID: virtual}}
	registry := Registry{Class: []RegistryKey{regKey("0001", map[string]RegistryValue{"DriverDesc": sz("of the registry")})}, Enum: []RegistryKey{enumerated(card, "0001", "(3,0,0)")}}
	directX := Registry{DirectX: []RegistryKey{
		regKey("{1}", map[string]RegistryValue{"Description": sz("of DirectX"), "VendorId": dword(vendorAMD), "DeviceId": dword(0x747e), "AdapterLuid": qword(0x1_0000_0002)}),
		regKey("{2}", map[string]RegistryValue{"Description": sz("Basic"), "VendorId": dword(vendorMicrosoft), "AdapterLuid": qword(9)})}}
	both := registry
	both.DirectX = directX.DirectX
	for name, c := range map[string]struct {
		f    facts
		want string
	}{
		"D3DKMT":                          {facts{adapters: []Adapter{an(nil)}, rows: rows, rowsFrom: sourceWMI}, "0000:03:00.0 Radeon, D3DKMT"},
		"WMI":                             {facts{rows: rows, rowsFrom: sourceWMI}, "pnp:" + card + " of WMI, WMI"},
		"WMI and the registry":            {facts{rows: rows, rowsFrom: sourceWMI, registry: registry}, "0000:03:00.0 of WMI, WMI"},
		"WMI and DirectX":                 {facts{rows: rows, rowsFrom: sourceWMI, registry: both}, "0000:03:00.0 of WMI, WMI 0x00000001_0x00000002"},
		"two alike, and DirectX":          {facts{rows: append(rows, VideoController{Name: "of WMI", PNPDeviceID: card + "2"}), rowsFrom: sourceWMI, registry: directX}, "pnp:" + card + " of WMI, WMI; pnp:" + card + "2 of WMI, WMI"},
		"D3DKMT has only software":        {facts{adapters: []Adapter{an(func(a *Adapter) { a.Type = ptr(uint32(5)) })}, rows: rows, rowsFrom: sourceWMI}, "pnp:" + card + " of WMI, WMI"},
		"registry, present":               {facts{registry: registry, present: []PnPDevice{{ID: card}}}, "0000:03:00.0 of the registry, registry"},
		"registry, removed":               {facts{registry: registry, present: []PnPDevice{{ID: `PCI\VEN_8086&DEV_1\1`}}}, ""},
		"registry, presence not told":     {facts{registry: registry}, ""},
		"DirectX":                         {facts{registry: directX}, "luid:0x00000001_0x00000002 of DirectX, registry 0x00000001_0x00000002"},
		"DirectX, of others not sure":     {facts{registry: directX, unsure: true}, ""},
		"the same row twice":              {facts{rows: append(rows, rows...), rowsFrom: sourceWMI}, "pnp:" + card + " of WMI, WMI"},
		"two LUIDs at one place":          {facts{adapters: []Adapter{an(nil), an(func(a *Adapter) { a.LUID = 0xd000; a.Name = "the newer" })}}, "0000:03:00.0 the newer, D3DKMT"},
		"ADL alone":                       {facts{adl: []ADLAdapter{{Place: Place{3, 0, 0}, Vendor: 1002, Present: true, Name: "of ADL", PNP: `PCI\VEN_1002&DEV_747E&REV_C8&4&1`}}}, "0000:03:00.0 of ADL, ADL"},
		"ADL, not present":                {facts{adl: []ADLAdapter{{Place: Place{3, 0, 0}, Vendor: 1002}}}, ""},
		"ADL, unplugged":                  {facts{adl: []ADLAdapter{{Place: Place{3, 0, 0}, Vendor: 1002, Present: true}}, present: []PnPDevice{{ID: card, Place: &Place{4, 0, 0}}}}, ""},
		"ADL, a place that is not told":   {facts{adl: []ADLAdapter{{Place: Place{3, 0, 0}, Vendor: 1002, Present: true}}, present: []PnPDevice{{ID: card}}}, "0000:03:00.0 , ADL"},
		"ADL, of another vendor":          {facts{adl: []ADLAdapter{{Place: Place{3, 0, 0}, Vendor: vendorIntel, Present: true}}}, ""},
		"NVML alone":                      {facts{nvml: []NVMLDevice{{Address: "00000000:3B:00.0", Name: "Tesla", Source: "nvml", PCIID: "10de:1eb8"}}}, "0000:3b:00.0 Tesla, nvml"},
		"NVML with an address of nowhere": {facts{nvml: []NVMLDevice{{Address: "x", Name: "Tesla"}}}, ""},
		"nothing":                         {facts{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			gpus, _ := identify(&c.f)
			var got []string
			for _, g := range gpus {
				by := g.listed
				if g.luid != 0 && by != sourceD3DKMT {
					by += " " + g.luid.String()
				}
				got = append(got, fmt.Sprintf("%s %s, %s", g.info.GPU, g.info.Name, by))
			}
			if got := strings.Join(got, "; "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSizeOfTheVideoMemory(t *testing.T) {
	key := func(name string, v RegistryValue) RegistryKey {
		return regKey("0001", map[string]RegistryValue{name: v})
	}
	const qw = "HardwareInformation.qwMemorySize"
	segment := &Adapter{Segments: &Sizes{Dedicated: 7}}
	for name, c := range map[string]struct {
		c    candidate
		want string
	}{
		"ADL":                     {candidate{adl: &ADLAdapter{Memory: 5}, class: key(qw, qword(6)), adapter: segment}, "5 ADL"},
		"ADL tells none":          {candidate{adl: &ADLAdapter{Memory: -5}, class: key(qw, qword(6)), adapter: segment}, "6 registry"},
		"registry":                {candidate{class: key(qw, qword(6)), adapter: segment}, "6 registry"},
		"registry, 4 bytes":       {candidate{class: key(qw, RegistryValue{RegBinary, []byte{6, 0, 0, 0}})}, "6 registry"},
		"registry, 5 bytes":       {candidate{class: key(qw, RegistryValue{RegBinary, make([]byte, 5)}), adapter: segment}, "7 D3DKMT"},
		"registry, a text":        {candidate{class: key(qw, sz("6")), adapter: segment}, "7 D3DKMT"},
		"registry, at the cap":    {candidate{class: key("HardwareInformation.MemorySize", dword(0xfff00000)), adapter: segment}, "7 D3DKMT"},
		"registry, below the cap": {candidate{class: key("HardwareInformation.MemorySize", dword(0x80000000))}, "2147483648 registry"},
		"segments":                {candidate{adapter: segment}, "7 D3DKMT"},
		"WMI":                     {candidate{from: sourceWMI, row: &VideoController{AdapterRAM: 8}}, "8 WMI"},
		"WMI at the cap":          {candidate{row: &VideoController{AdapterRAM: 4293918720}}, "0 "},
		"WMI, signed":             {candidate{row: &VideoController{AdapterRAM: -1048576}}, "0 "},
		"dxdiag":                  {candidate{dx: &dxDevice{Dedicated: 9}}, "9 dxdiag"},
		"nobody":                  {candidate{}, "0 "},
	} {
		size, from := c.c.vram()
		if got := fmt.Sprintf("%d %s", size, from); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestVendors(t *testing.T) {
	for vendor, want := range map[uint32]string{vendorAMD: "amd", vendorNVIDIA: "nvidia", vendorIntel: "intel", vendorQualcomm: "qcom", 0x1ed5: "1ed5"} {
		c := candidate{vendor: vendor, device: 1, ids: true}
		if got := c.vendorWord(); got != want {
			t.Errorf("%x: %q, want %q", vendor, got, want)
		}
		if id := c.info().PCIID; (id == "") != (vendor == vendorQualcomm) {
			t.Errorf("%x: pci_id %q", vendor, id)
		}
	}
}
