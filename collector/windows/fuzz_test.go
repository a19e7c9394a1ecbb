package windows

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"gpu_exporter/collector"
)

// caseFiles are the contents of all files of the hardware cases, own and shared, whose name fits a pattern.
func caseFiles(f *testing.F, pattern string) (contents [][]byte) {
	f.Helper()
	for _, root := range caseRoots {
		paths, err := filepath.Glob(filepath.Join(root, "*", pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			contents = append(contents, content)
		}
	}
	return contents
}

// isLabel says whether a text may be the value of a label.
func isLabel(s string) bool {
	return utf8.ValidString(s) && len(s) <= maxText && !strings.ContainsFunc(s, unicode.IsControl) && s == strings.TrimSpace(s)
}

func FuzzInstance(f *testing.F) {
	for _, content := range append(caseFiles(f, "*.csv"), caseFiles(f, "*.txt")...) {
		for field := range strings.FieldsFuncSeq(string(content), func(r rune) bool { return strings.ContainsRune(",\r\n()", r) }) {
			if strings.Contains(field, "luid_") {
				f.Add(field)
			}
		}
	}
	for _, s := range []string{"_Total", "luid_0x00000001_0xffffffff_phys_0_part_3", "pid_1_luid_0x0000000g_0x00000000_phys_0", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		i, ok := parseInstance(s)
		if !ok && i != (instance{}) || !i.isEngine && i.name != "" || !strings.HasSuffix(s, i.name) {
			t.Errorf("%q: %+v, %v", s, i, ok)
		}
		if ok && !strings.Contains(strings.ToLower(s), "luid_"+i.luid.String()) {
			t.Errorf("%q has another LUID than %v", s, i.luid)
		}
		if swapped, again := parseInstance(strings.ToUpper(s)); isASCII(s) && (again != ok || swapped.luid != i.luid || swapped.engine != i.engine) {
			t.Errorf("%q: %+v, and in capitals %+v", s, i, swapped)
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

func FuzzDxDiag(f *testing.F) {
	for _, content := range caseFiles(f, "*.xml") {
		f.Add(content)
	}
	f.Add([]byte(oneDevice))
	f.Add([]byte(utf16File(oneDevice)))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseDxDiag(text)
		if err != nil && list != nil || err == nil && !DxDiagWhole(text) || len(list) > maxRows {
			t.Errorf("%q: %+v, %v", text, list, err)
		}
		for _, d := range list {
			if !isLabel(d.Name) || !isLabel(d.Key) || !isLabel(d.DriverVersion) || d.Dedicated%(1<<20) != 0 {
				t.Errorf("%q: %+v", text, d)
			}
		}
		sound(t, &facts{dx: list})
	})
}

func FuzzCIM(f *testing.F) {
	for _, content := range append(caseFiles(f, "*.json"), caseFiles(f, "error-*.txt")...) {
		f.Add(content, 0)
		f.Add(content, 1)
	}
	f.Add([]byte(oneRow), 0)
	f.Fuzz(func(t *testing.T, text []byte, exit int) {
		rows, err := parseCIM(Output{text, exit})
		if err != nil && rows != nil || err == nil && exit != 0 || len(rows) > maxRows {
			t.Errorf("%q, %d: %+v, %v", text, exit, rows, err)
		}
		if err != nil && !utf8.ValidString(err.Error()) {
			t.Errorf("%q: the error is no text: %q", text, err)
		}
		for _, r := range rows {
			if !isLabel(r.Name) || !isLabel(r.PNPDeviceID) || !isLabel(r.DriverVersion) {
				t.Errorf("%q: %+v", text, r)
			}
		}
		sound(t, &facts{rows: rows, rowsFrom: sourcePowerShell})
	})
}

func FuzzRegistry(f *testing.F) {
	for _, v := range []RegistryValue{sz("Radeon"), sz("@System32\\pci.sys,#65536;PCI bus %1;(3,0,0)"), dword(0xfff00000), qword(1 << 34), {RegBinary, []byte{1, 2, 3}}} {
		f.Add(v.Type, v.Data)
	}
	f.Fuzz(func(t *testing.T, kind uint32, data []byte) {
		v := RegistryValue{kind, data}
		values := map[string]RegistryValue{}
		for _, names := range [][]string{ClassValues, EnumValues, DirectXValues} {
			for _, n := range names {
				values[n] = v
			}
		}
		k := regKey("0000", values)
		text, number := k.text("DriverDesc"), k.number("AdapterLuid")
		if !isLabel(text) || text != "" && kind != RegSZ && kind != RegExpandSZ && kind != RegBinary || number > 0 && len(data) != 4 && len(data) != 8 {
			t.Errorf("%d %q: %q, %d", kind, data, text, number)
		}
		if p := k.place(); p != nil && !strings.HasSuffix(text, ")") {
			t.Errorf("%q: a place %v", text, p)
		}
		sound(t, &facts{adapters: []Adapter{an(nil)}, registry: Registry{Class: []RegistryKey{k}, Enum: []RegistryKey{k}, DirectX: []RegistryKey{k}}})
		sound(t, &facts{registry: Registry{DirectX: []RegistryKey{k}}})
	})
}

// FuzzAdapter has D3DKMT tell anything.
func FuzzAdapter(f *testing.F) {
	f.Add(uint64(0xc51e), "Radeon", "113-1", uint32(3), uint32(0), uint32(0), uint32(vendorAMD), uint32(0x747e), uint32(3), uint64(1<<34))
	f.Add(uint64(0), "\x00\xff", "Version ", ^uint32(0), uint32(0), uint32(0), uint32(vendorQualcomm), uint32(0), ^uint32(0), ^uint64(0))
	f.Fuzz(func(t *testing.T, luid uint64, name, bios string, bus, device, function, vendor, id, bits uint32, size uint64) {
		a := Adapter{LUID: LUID(luid), Name: name, BIOS: bios, Service: bios, Version: name, Place: &Place{bus, device, function}, IDs: &PCIIDs{vendor, id}, Type: &bits,
			Segments: &Sizes{size, size}, Nodes: []Node{{Type: bits, Name: name}}}
		sound(t, &facts{adapters: []Adapter{an(nil), a}})
	})
}

// sound holds what is so of any GPUs: each has an identity that no other has, and labels that are texts.
func sound(t *testing.T, fs *facts) {
	t.Helper()
	gpus, left := identify(fs)
	seen := map[string]bool{}
	for _, g := range gpus {
		i := g.info
		if i.GPU == "" || seen[i.GPU] || g.key == "" {
			t.Errorf("%q twice, or none: %+v", i.GPU, i)
		}
		seen[i.GPU] = true
		for _, s := range []string{i.GPU, i.Vendor, i.Name, i.Type, i.UUID, i.PCIID, i.Driver, i.DriverVersion, i.VBIOS, i.Source} {
			if !utf8.ValidString(s) || len(s) > maxText+len("pnp:") || strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("a label %q of %+v", s, i)
			}
		}
	}
	for _, l := range left {
		if l.why == "" {
			t.Errorf("left out for no reason: %+v", l)
		}
	}
}

// FuzzRunningTimes has counters tell anything, and holds that no busy time falls and no share leaves 0 to 1.
func FuzzRunningTimes(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{1, 0, 3, 0, 0, 0, 0, 0, 0, 9}, 8))
	f.Add(slices.Concat([]byte{0xff}, bytes.Repeat([]byte{0xff}, 40)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p pdhReader
		busy := map[engineID]float64{}
		const enough = 2000 // bytes: some hundred collections
		data = data[:min(len(data), enough)]
		for len(data) > 0 {
			// A collection: how many items, then of each a process and engine in a byte, and 8 bytes of value.
			n := int(data[0] % 8)
			data = data[1:]
			c := Counters{Time: time.Unix(int64(len(data)), 0)}
			for range n {
				if len(data) < 9 {
					break
				}
				b, v := data[0], int64(binary.LittleEndian.Uint64(data[1:]))
				data = data[9:]
				c.RunningTime.Items = append(c.RunningTime.Items, Counter{
					Instance: "pid_" + string('0'+rune(b&3)) + "_luid_" + goodLUID + "_phys_0_eng_" + string('0'+rune(b>>2&3)) + "_engtype_3D",
					Value:    v, Bad: b&0x80 != 0})
			}
			a := p.read(c, func(LUID) bool { return true })
			g := a.gpus[0xaaaa]
			if g == nil {
				continue
			}
			for _, l := range g.loads {
				if l.busy < busy[l.id] || l.ratio < 0 || l.ratio > 1 || math.IsNaN(l.ratio) {
					t.Errorf("engine %v: busy %v after %v, ratio %v", l.id, l.busy, busy[l.id], l.ratio)
				}
				busy[l.id] = l.busy
			}
		}
	})
}

// FuzzPMLog has ADL tell anything, and holds that samples lie within their bounds and that none is told of a sensor that
// is not supported.
func FuzzPMLog(f *testing.F) {
	f.Add([]byte{8, 1, 61, 0, 0, 0})
	f.Add([]byte{23, 1, 0, 0, 0, 0, 35, 1, 7, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var log PMLog
		supported := 0
		for ; len(data) >= 6; data = data[6:] {
			log[data[0]] = PMLogSensor{int32(data[1]), int32(binary.LittleEndian.Uint32(data[2:]))}
		}
		for _, s := range log {
			if s.Supported != 0 {
				supported++
			}
		}
		p := newPlan(&gpu{})
		var r collector.Reading
		r.Reset()
		p.readADL(&r, &ADLReading{PMLog: log})
		told := 0
		for _, s := range p.series {
			if v, ok := r.Value(s); ok {
				told++
				if v < s.Min || v > s.Max {
					t.Errorf("%v is %v", s, v)
				}
			}
		}
		if told > supported+len(adlReasons)-1 {
			t.Errorf("%d samples of %d sensors", told, supported)
		}
	})
}
