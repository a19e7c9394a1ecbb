package windows

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// dxDevice is a DisplayDevice of dxdiag's file: there is one for each output of a GPU.
type dxDevice struct {
	Name          string
	Key           string // Enum\PCI\VEN_...: without the end that tells two equal cards apart
	Type          string // Full Device, Render-Only Device, Display-Only Device
	Hybrid        string // Integrated, Discrete
	DriverVersion string
	Vendor        uint32
	Device        uint32
	Dedicated     uint64 // bytes; 0: not told
	Shared        uint64
}

var endOfDxDiag = []byte("</DxDiag>")

// DxDiagWhole says whether dxdiag's file is whole: dxdiag may return before it has written it.
func DxDiagWhole(text []byte) bool {
	return bytes.HasSuffix(bytes.TrimSpace(document(text)), endOfDxDiag)
}

// parseDxDiag reads what `dxdiag /x` wrote. Names of elements are English in every language.
func parseDxDiag(text []byte) ([]dxDevice, error) {
	if len(text) > maxDocument {
		return nil, fmt.Errorf("%w: dxdiag's file has %d bytes", ErrMalformed, len(text))
	}
	if !DxDiagWhole(text) {
		return nil, fmt.Errorf("%w: dxdiag's file has no end", ErrMalformed)
	}
	d := xml.NewDecoder(bytes.NewReader(document(text)))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // document has seen to it
	var list []dxDevice
	var path []string
	var fields map[string]string // of the DisplayDevice that is open
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: dxdiag's file: %w", ErrMalformed, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			const deepest = 32
			if len(path) == deepest {
				return nil, fmt.Errorf("%w: dxdiag's file has elements %d deep", ErrMalformed, deepest)
			}
			path = append(path, t.Name.Local)
			if isDisplayDevice(path) {
				fields = map[string]string{}
			}
		case xml.CharData:
			if n := len(path); n > 3 && isDisplayDevice(path[:n-1]) && len(fields[path[n-1]]) < maxText {
				fields[path[n-1]] += string(t)
			}
		case xml.EndElement:
			if isDisplayDevice(path) && len(list) < maxRows {
				list = append(list, newDxDevice(fields))
			}
			path = path[:len(path)-1]
		}
	}
}

func isDisplayDevice(path []string) bool {
	return len(path) == 3 && path[0] == "DxDiag" && path[1] == "DisplayDevices" && path[2] == "DisplayDevice"
}

func newDxDevice(f map[string]string) dxDevice {
	d := dxDevice{
		Name: tidy(f["CardName"]), Key: tidy(f["DeviceKey"]), Type: tidy(f["DeviceType"]),
		Hybrid: tidy(f["HybridGraphicsGPU"]), DriverVersion: tidy(f["DriverVersion"]),
		Dedicated: mebibytes(f["DedicatedMemory"]), Shared: mebibytes(f["SharedMemory"]),
	}
	d.Vendor, d.Device = idsOf(d.Key)
	if v, ok := hexID(f["VendorID"]); ok {
		d.Vendor = v
	}
	if v, ok := hexID(f["DeviceID"]); ok {
		d.Device = v
	}
	return d
}

var megabytesForm = regexp.MustCompile(`^([0-9]{1,9}) MB$`)

// mebibytes reads `16338 MB`, which are MiB. One with group marks or a decimal comma is refused: what they mean depends
// on the language.
func mebibytes(s string) uint64 {
	m := megabytesForm.FindStringSubmatch(tidy(s))
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseUint(m[1], 10, 64) // nine digits fit
	return n << 20
}

func hexID(s string) (uint32, bool) {
	digits, ok := strings.CutPrefix(tidy(s), "0x")
	v, err := strconv.ParseUint(digits, 16, 32)
	return uint32(v), ok && err == nil
}

var idsForm = regexp.MustCompile(`(?i)\bVEN_([0-9A-F]{4})&DEV_([0-9A-F]{4})\b`)

// idsOf are the PCI ids in a device instance id, zeros where it has none.
func idsOf(pnp string) (vendor, device uint32) {
	m := idsForm.FindStringSubmatch(pnp)
	if m == nil {
		return 0, 0
	}
	v, _ := strconv.ParseUint(m[1], 16, 32)
	d, _ := strconv.ParseUint(m[2], 16, 32)
	return uint32(v), uint32(d)
}
