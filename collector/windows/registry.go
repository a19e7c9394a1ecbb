package windows

import (
	"encoding/binary"
	"strings"
)

// Registry is the keys of the three places of section 6.2. Each list may hold keys that are none of a GPU.
type Registry struct {
	Class   []RegistryKey // below Class\{4d36e968-...}: 0000, 0001, Properties ...
	Enum    []RegistryKey // below Enum, at least PCI\*\*: those whose Driver is a key of that class
	DirectX []RegistryKey // below SOFTWARE\Microsoft\DirectX
}

// RegistryKey is a key with the values of it that are of use, by name in lower case.
type RegistryKey struct {
	Name   string // below its place: 0001, or PCI\VEN_...\4&..., or {guid}
	Values map[string]RegistryValue
}

// RegistryValue is a value as the registry holds it.
type RegistryValue struct {
	Type uint32
	Data []byte
}

// The types of registry values that are read.
const (
	RegSZ       = 1
	RegExpandSZ = 2
	RegBinary   = 3
	RegDWORD    = 4
	RegQWORD    = 11
)

// The values that are read, for those who fetch them.
var (
	ClassValues = []string{"HardwareInformation.qwMemorySize", "HardwareInformation.MemorySize",
		"HardwareInformation.AdapterString", "DriverDesc", "DriverVersion", "RadeonSoftwareVersion"}
	EnumValues    = []string{"Driver", "Service", "LocationInformation"}
	DirectXValues = []string{"Description", "VendorId", "DeviceId", "AdapterLuid"}
)

// DisplayClass is the class of display adapters, as Driver values name it.
const DisplayClass = "{4d36e968-e325-11ce-bfc1-08002be10318}"

// text is a value that is a text: REG_SZ, or the same in REG_BINARY. Empty: it is none.
func (k RegistryKey) text(name string) string {
	v := k.Values[strings.ToLower(name)]
	switch v.Type {
	case RegSZ, RegExpandSZ, RegBinary:
		return tidy(utf16Text(v.Data))
	}
	return ""
}

// number is a value that is a number: DWORD, QWORD, or a BINARY of either size. 0: it is none, which no value here is.
func (k RegistryKey) number(name string) uint64 {
	v := k.Values[strings.ToLower(name)]
	switch {
	case (v.Type == RegDWORD || v.Type == RegBinary) && len(v.Data) == 4:
		return uint64(binary.LittleEndian.Uint32(v.Data))
	case (v.Type == RegQWORD || v.Type == RegBinary) && len(v.Data) == 8:
		return binary.LittleEndian.Uint64(v.Data)
	}
	return 0
}

// capped is where the 32-bit sizes of video memory end. Windows tells 4 GiB less 1 MiB for all that is larger, and one
// driver's own MemorySize 4 GiB less 16 MiB; neither is a size.
const capped = 0xff000000

// vram is the size of the video memory that a key of the class tells, 0 for none.
func (k RegistryKey) vram() uint64 {
	if size := k.number("HardwareInformation.qwMemorySize"); size > 0 {
		return size
	}
	if size := k.number("HardwareInformation.MemorySize"); size < capped {
		return size
	}
	return 0
}

// luid is the AdapterLuid of a DirectX key.
func (k RegistryKey) luid() LUID { return LUID(k.number("AdapterLuid")) }

// isClassKey says whether a key below the class is of a device: four digits.
func (k RegistryKey) isClassKey() bool {
	return len(k.Name) == 4 && strings.Trim(k.Name, "0123456789") == ""
}

// place reads the end of LocationInformation, which is `(bus,device,function)` in decimal in every language.
func (k RegistryKey) place() *Place {
	text := k.text("LocationInformation")
	at := strings.LastIndexByte(text, '(')
	if at < 0 {
		return nil
	}
	p := cutter{text[at:], true}
	var place Place
	p.must("(")
	place.Bus = p.number()
	p.must(",")
	place.Device = p.number()
	p.must(",")
	place.Function = p.number()
	p.must(")")
	if !p.ok || p.rest != "" {
		return nil
	}
	return &place
}

// class is the name of the class key that an Enum key's Driver leads to, empty for none.
func (k RegistryKey) class() string {
	p := cutter{k.text("Driver"), true}
	p.must(DisplayClass + `\`)
	if !p.ok {
		return ""
	}
	return p.rest
}

// utf16Text reads UTF-16 in little-endian up to the first zero.
func utf16Text(data []byte) string {
	data = data[:min(len(data), 4*maxText)]
	for i := 0; i+1 < len(data); i += 2 {
		if data[i] == 0 && data[i+1] == 0 {
			data = data[:i]
		}
	}
	return wide(data)
}
