package windows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gpu_exporter/collector"
)

// probeName is the word of the probe, and the Info.Source of what no vendor's library reads.
const probeName = "windows"

// The sources, as people name them.
const (
	sourceD3DKMT     = "D3DKMT"
	sourcePDH        = "PDH"
	sourcePnP        = "cfgmgr32"
	sourceRegistry   = "registry"
	sourceWMI        = "WMI"
	sourcePowerShell = "PowerShell"
	sourceDxDiag     = "dxdiag"
	sourceADL        = "ADL"
	sourceNVML       = "NVML"
)

// facts are what the sources said at one discovery. What a source did not tell is nil.
type facts struct {
	adapters []Adapter
	present  []PnPDevice
	registry Registry
	rows     []VideoController
	rowsFrom string // sourceWMI or sourcePowerShell
	dx       []dxDevice
	adl      []ADLAdapter
	nvml     []NVMLDevice
	// unsure: D3DKMT or Plug and Play has failed, and may list at the next discovery what it did not at this one.
	unsure bool
}

// gpu is a GPU as one discovery found it. It is not changed once others know of it.
type gpu struct {
	info     collector.Info
	key      string // its LUID, which is another after each load of the driver; but see Probe.Discover
	told     string // all that its plan stands on
	listed   string // the source that listed it
	address  Address
	luid     LUID
	pnp      string
	adapter  *Adapter
	vram     uint64 // bytes; 0: not known
	vramFrom string
	shared   uint64
	adl      *ADLAdapter
	nvml     *NVMLDevice
}

// leftOut is an adapter that is no GPU.
type leftOut struct {
	name, from, why string
	luid            LUID
	address         Address
}

// identify finds the GPUs in what the sources said. It is the whole of sections 1 (list), 6 and 8, and looks at nothing
// but f.
func identify(f *facts) (gpus []*gpu, left []leftOut) {
	j := joiner{facts: f, enum: map[string]RegistryKey{}, class: map[string]RegistryKey{}, places: map[string]*Place{}}
	j.index()
	var kept []*candidate
	for _, list := range []func() []*candidate{j.fromD3DKMT, j.fromRows, j.fromRegistry, j.fromDxDiag} {
		for _, c := range list() {
			if why := c.whyNot(); why != "" {
				left = append(left, leftOut{c.name, c.from, why, c.luid, c.address})
				continue
			}
			if !slices.ContainsFunc(kept, func(k *candidate) bool { return k.label() == c.label() }) {
				kept = append(kept, c)
			}
		}
		if len(kept) > 0 {
			break // the first source that lists a GPU has the list
		}
	}
	j.luids(kept)
	kept, unplugged := j.libraries(kept)
	left = append(left, unplugged...)
	for _, c := range kept {
		gpus = append(gpus, c.gpu())
	}
	slices.SortFunc(gpus, func(a, b *gpu) int { return strings.Compare(a.info.GPU, b.info.GPU) })
	return gpus, left
}

func (c *candidate) gpu() *gpu {
	g := &gpu{info: c.info(), listed: c.from, address: c.address, luid: c.luid, pnp: c.pnp, adapter: c.adapter,
		shared: c.shared(), adl: c.adl, nvml: c.nvml}
	g.vram, g.vramFrom = c.vram()
	g.key = c.luid.String()
	g.told = fmt.Sprintf("%q %q %q %d %d %v %v", c.from, g.info, g.pnp, g.vram, g.shared, c.luid, c.adl != nil)
	return g
}

// joiner joins what the sources say of one device.
type joiner struct {
	*facts
	enum   map[string]RegistryKey // by device instance id in capitals
	class  map[string]RegistryKey // by 0000
	places map[string]*Place      // by device instance id in capitals
	there  map[string]bool        // the ids of devices that are present; nil: not told
}

func (j *joiner) index() {
	for _, k := range j.registry.Class {
		if k.isClassKey() {
			j.class[k.Name] = k
		}
	}
	for _, k := range j.registry.Enum {
		id := strings.ToUpper(k.Name)
		j.enum[id] = k
		j.places[id] = k.place()
	}
	for _, d := range j.present {
		id := strings.ToUpper(d.ID)
		if j.there == nil {
			j.there = map[string]bool{}
		}
		j.there[id] = true
		if d.Place != nil {
			j.places[id] = d.Place
		}
	}
}

// known gives c what Plug and Play and the registry say of its device instance id.
func (j *joiner) known(c *candidate) *candidate {
	c.enum = j.enum[c.pnp]
	c.class = j.class[c.enum.class()]
	if c.address == "" {
		c.address = j.places[c.pnp].address()
	}
	if !c.ids {
		c.vendor, c.device = idsOf(c.pnp)
		c.ids = c.vendor != 0 || c.device != 0 || strings.Contains(c.pnp, "VEN_0000")
	}
	c.name = firstOf(c.name, c.class.text("HardwareInformation.AdapterString"), c.class.text("DriverDesc"))
	return c
}

func (j *joiner) fromD3DKMT() (list []*candidate) {
	for i := range j.adapters {
		a := &j.adapters[i]
		c := &candidate{from: sourceD3DKMT, name: tidy(a.Name), luid: a.LUID, address: a.Place.address(), adapter: a}
		if a.IDs != nil {
			c.vendor, c.device, c.ids = a.IDs.Vendor, a.IDs.Device, true
		}
		c.pnp = j.idOf(c)
		named := c.name != "" // an adapter without a name is none, whatever the registry calls it
		j.known(c)
		if !named {
			c.name = ""
		}
		list = append(list, c)
	}
	// The newest adapter first: should a driver that was updated have left the old one behind, it is passed over.
	slices.SortStableFunc(list, func(a, b *candidate) int { return cmp.Compare(b.luid, a.luid) })
	return list
}

// idOf is the device instance id of an adapter of D3DKMT: that of the device at the same place with the same ids or,
// where it has no place, of the only one with these ids. Empty: none, or more than one may be meant.
func (j *joiner) idOf(c *candidate) string {
	found := ""
	for id, place := range j.places {
		vendor, device := idsOf(id)
		switch {
		case j.there != nil && !j.there[id]: // keys of removed cards stay
			continue
		case c.address != "" && place.address() != c.address, c.address == "" && !c.ids:
			continue
		case c.ids && (vendor != c.vendor || device != c.device):
			continue
		case found != "":
			return ""
		}
		found = id
	}
	return found
}

func (j *joiner) fromRows() (list []*candidate) {
	for i := range j.rows {
		row := &j.rows[i]
		list = append(list, j.known(&candidate{from: j.rowsFrom, name: tidy(row.Name), pnp: strings.ToUpper(tidy(row.PNPDeviceID)), row: row}))
	}
	return list
}

// fromRegistry lists the devices of the class that are there, or else what DirectX lists. Its keys have no address: they
// would be other GPUs than those that come with one later.
func (j *joiner) fromRegistry() (list []*candidate) {
	for id, k := range j.enum {
		if j.there[id] && k.class() != "" {
			list = append(list, j.known(&candidate{from: sourceRegistry, pnp: id}))
		}
	}
	if len(list) == 0 && !j.unsure {
		for _, k := range j.registry.DirectX {
			list = append(list, &candidate{from: sourceRegistry, name: k.text("Description"), luid: k.luid(),
				vendor: uint32(k.number("VendorId")), device: uint32(k.number("DeviceId")), ids: k.number("VendorId") != 0})
		}
	}
	slices.SortFunc(list, func(a, b *candidate) int { return strings.Compare(a.label(), b.label()) })
	return list
}

// fromDxDiag lists the devices of dxdiag. One is listed for each of its outputs; two cards that are alike cannot be told
// apart from these.
func (j *joiner) fromDxDiag() (list []*candidate) {
	for i := range j.dx {
		d := &j.dx[i]
		id := strings.ToUpper(d.Key)
		id = strings.TrimPrefix(id, `ENUM\`)
		list = append(list, j.known(&candidate{from: sourceDxDiag, name: d.Name, pnp: id, dx: d,
			vendor: d.Vendor, device: d.Device, ids: d.Vendor != 0}))
	}
	return list
}

// luids gives GPUs that D3DKMT did not list the LUID that DirectX notes, where ids and, if need be, name leave no doubt.
func (j *joiner) luids(list []*candidate) {
	for _, c := range list {
		if c.luid != 0 || !c.ids {
			continue
		}
		var fits []LUID
		for _, k := range j.registry.DirectX {
			device := k.number("DeviceId")
			if uint32(k.number("VendorId")) == c.vendor && (device == 0 || uint32(device) == c.device) && (device != 0 || k.text("Description") == c.name) {
				fits = append(fits, k.luid())
			}
		}
		alike := 0
		for _, other := range list {
			if other.vendor == c.vendor && other.device == c.device {
				alike++
			}
		}
		if len(fits) == 1 && alike == 1 {
			c.luid = fits[0]
		}
	}
}

// unplugged says that Plug and Play does not list what is at a place. A GPU of AMD's whose place it does not tell may be
// the one.
func (j *joiner) unplugged(a Address) bool {
	for id := range j.there {
		at := j.places[id].address()
		if vendor, _ := idsOf(id); at == a || at == "" && vendor == vendorAMD {
			return false
		}
	}
	return j.there != nil
}

// libraries joins what the vendors' libraries list, by address. What they alone have is a GPU too, but one that was
// unplugged: ADL's list is as old as its child.
func (j *joiner) libraries(list []*candidate) (_ []*candidate, left []leftOut) {
	at := func(a Address) *candidate {
		for _, c := range list {
			if c.address == a {
				return c
			}
		}
		return nil
	}
	for i := range j.adl {
		a := &j.adl[i]
		if !a.isGPU() {
			continue
		}
		address := a.Place.address()
		c := at(address)
		if c == nil && j.unplugged(address) {
			left = append(left, leftOut{tidy(a.Name), sourceADL, "Plug and Play does not list it", 0, address})
			continue
		}
		if c == nil {
			c = &candidate{from: sourceADL, name: tidy(a.Name), address: address, vendor: vendorAMD}
			_, c.device = idsOf(a.PNP)
			c.ids = c.device != 0
			c.pnp = j.idOf(c)
			list = append(list, j.known(c))
		}
		if c.adl == nil { // the first of several entries has it
			c.adl = a
			c.name = firstOf(c.name, tidy(a.Name))
		}
	}
	for i := range j.nvml {
		n := &j.nvml[i]
		address := shortAddress(n.Address)
		if address == "" {
			continue
		}
		c := at(address)
		if c == nil {
			c = &candidate{from: n.Source, name: tidy(n.Name), address: address, vendor: vendorNVIDIA}
			if _, err := fmt.Sscanf(n.PCIID, "10de:%04x", &c.device); err == nil {
				c.ids = true
			}
			c.pnp = j.idOf(c)
			list = append(list, j.known(c))
		}
		c.nvml = n
		c.name = firstOf(c.name, tidy(n.Name))
	}
	return list, left
}

// shortAddress is an address with a domain of four digits: NVML writes eight, in capitals. Empty: it is none.
func shortAddress(a Address) Address {
	var domain uint32
	var p Place
	if n, err := fmt.Sscanf(strings.ToLower(string(a)), "%x:%x:%x.%x", &domain, &p.Bus, &p.Device, &p.Function); n != 4 || err != nil || domain > 0xffff || p.Bus > 0xff {
		return ""
	}
	p.Bus |= domain << 8
	return p.address()
}
