//go:build linux

package amd

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

// caseFiles are the contents of all files of the hardware cases, own and shared, whose path ends in one of patterns.
func caseFiles(f *testing.F, patterns ...string) (contents [][]byte) {
	f.Helper()
	for _, root := range []string{"../../testdata/cases/amd", filepath.Join(shared, "fixtures/amd")} {
		for _, p := range patterns {
			for _, depth := range []string{"*", "*/sys/class/drm/card*/device", "*/sys/class/drm/card*/device/hwmon/hwmon*", "*/tables", "*/devices/*", "*/sys/class/drm/card*/device/ras"} {
				paths, err := filepath.Glob(filepath.Join(root, depth, p))
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
		}
	}
	return contents
}

func addTexts(f *testing.F, texts ...string) {
	for _, t := range texts {
		f.Add([]byte(t))
	}
}

func addFiles(f *testing.F, patterns ...string) {
	for _, content := range caseFiles(f, patterns...) {
		f.Add(content)
	}
}

func FuzzLevels(f *testing.F) {
	addTexts(f, "0: 500Mhz\n1: 77Mhz *\n2: 2254Mhz", "S: 19Mhz *\n1: 100Mhz", "0: 1600Mhz*\n1: 400MHZ", "", "x", "9223372036854775807: 9223372036854775807Mhz *")
	addFiles(f, "pp_dpm_*")
	f.Fuzz(func(t *testing.T, text []byte) {
		l := parseLevels(text)
		if l.active < 0 || l.min < 0 || l.max < 0 || l.hasMin && (!l.hasMax || l.min > l.max) {
			t.Errorf("%q: %+v", text, l)
		}
		if again := parseLevels(text); again != l {
			t.Errorf("%q: %+v, then %+v", text, l, again)
		}
		if more := parseLevels(append([]byte("a line that does not fit\n"), text...)); more != l {
			t.Errorf("%q: %+v, after a line that does not fit %+v", text, l, more)
		}
	})
}

func FuzzActiveLink(f *testing.F) {
	addTexts(f, "0: 2.5GT/s, x8 310Mhz *\n1: 16.0GT/s, x16 *", "0: GT/s, x *", "*", "")
	addFiles(f, "pp_dpm_pcie")
	f.Fuzz(func(t *testing.T, text []byte) {
		speed, lanes, ok := parseActiveLink(text)
		if !ok && (speed != nil || lanes != nil) || ok && (len(lanes) == 0 || len(bytes.Trim(lanes, "0123456789")) > 0) {
			t.Errorf("%q: %q, %q, %v", text, speed, lanes, ok)
		}
		if !bytes.Contains(text, []byte("*")) && ok {
			t.Errorf("%q has no active line, and yet %q, %q", text, speed, lanes)
		}
	})
}

func FuzzProfile(f *testing.F) {
	addTexts(f, "0 BOOTUP_DEFAULT*:", "1 3D_FULL_SCREEN *:", "4 VR            * 5 COMPUTE", "*", "")
	addFiles(f, "pp_power_profile_mode")
	f.Fuzz(func(t *testing.T, text []byte) {
		got := parseProfile(text)
		if got != "" && (!slices.Contains(profiles, got) || !bytes.Contains(bytes.ToUpper(text), []byte(strings.ToUpper(got)))) {
			t.Errorf("%q: %q", text, got)
		}
	})
}

func FuzzLinkSpeed(f *testing.F) {
	addTexts(f, "16.0 GT/s PCIe", "8 GT/s", "Unknown", "255", "-1", "99999999999999999999")
	addFiles(f, "*_link_speed")
	f.Fuzz(func(t *testing.T, text []byte) {
		v, state := parseLinkSpeed(text)
		if (state == linkValid) != slices.Contains(linkRates, v) || state != linkValid && v != 0 {
			t.Errorf("%q: %d, %d", text, v, state)
		}
	})
}

func FuzzLinkWidth(f *testing.F) {
	addTexts(f, "16", "255", "Unknown", "x16", "-16")
	addFiles(f, "*_link_width")
	f.Fuzz(func(t *testing.T, text []byte) {
		v, state := parseLinkWidth(text)
		if (state == linkValid) != slices.Contains(linkLanes, v) || state != linkValid && v != 0 {
			t.Errorf("%q: %d, %d", text, v, state)
		}
	})
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{embeddedIDs[:2000], "747E,\tC8,\tAMD Radeon RX 7800 XT\n", "747E, C8, a, b", "#747E,C8,x", ",,", "747E,C8,"} {
		f.Add(s, "747E", "C8")
		f.Add(s, "747e", "")
	}
	f.Fuzz(func(t *testing.T, list, device, revision string) {
		name, listed := findName(list, device, revision)
		if name != "" && (!listed || strings.Contains(name, "\n") || strings.TrimSpace(name) != name || !strings.Contains(list, name)) {
			t.Errorf("findName(%q, %q, %q) = %q, %v", list, device, revision, name, listed)
		}
		if again, _ := findName(list, strings.ToLower(device), revision); strings.ToUpper(device) == device && isASCII(device) && again != name {
			t.Errorf("findName(%q, %q, %q) = %q, in lower case %q", list, device, revision, name, again)
		}
	})
}

func isASCII(s string) bool {
	for _, c := range s {
		if c > 127 {
			return false
		}
	}
	return true
}

func FuzzHex(f *testing.F) {
	addTexts(f, "7fff", "FFFFFFFFFFFFFFFF", "", "0x1")
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := parseHex(text)
		want, wantOK := uint64(0), len(text) > 0 && len(text) <= 16
		for _, c := range text {
			i := strings.IndexByte("0123456789abcdef", c|0x20)
			if c < '0' || c > '9' && c < 'A' || i < 0 {
				wantOK = false
			}
			want = want<<4 | uint64(i)
		}
		if ok != wantOK || ok && got != want {
			t.Errorf("%q: %x, %v", text, got, ok)
		}
	})
}

func FuzzCount(f *testing.F) {
	addTexts(f, "ue: 1\nce: 2", "ue: -1", "ue: 18446744073709551616", "ue:", "ue", "Query currently inaccessible", "xue: 1\nue: 2\nue: 3")
	addFiles(f, "*_err_count")
	s := &collector.Series{Q: collector.ECCErrors, Values: []string{"umc", "uncorrected", "volatile"}, Min: 0, Max: 1 << 63}
	f.Fuzz(func(t *testing.T, text []byte) {
		var first, second collector.Reading
		err1 := addCount(&first, text, []byte("ue:"), s)
		v1, told1 := first.Value(s)
		second.Reset() // another turn than the first
		err2 := addCount(&second, text, []byte("ue:"), s)
		v2, told2 := second.Value(s)
		if err1 != err2 || v1 != v2 || told1 != told2 {
			t.Errorf("%q: %v, %v, %v, then %v, %v, %v", text, v1, told1, err1, v2, told2, err2)
		}
		if err1 != nil && (err1 != sysfs.ErrMalformed || told1) || v1 < 0 || v1 > s.Max || told1 && !bytes.Contains(text, []byte("ue:")) {
			t.Errorf("%q: %v, %v, %v", text, v1, told1, err1)
		}
	})
}

// The values of a list lie within the table, one after the other.
func FuzzAttributes(f *testing.F) {
	addTexts(f, attributeTable(attr("temperature_hotspot", u16, 45), attr("current_gfxclk", u32, 1, 2, 3)), "\x08\x00\x01\x09\xff\xff\xff\xff", "")
	addFiles(f, "v1_9*.bin", "*v1_9*.bin")
	f.Fuzz(func(t *testing.T, table []byte) {
		last := headerSize + 4
		err := attributes(table, func(encoding uint64, offset int) {
			end := offset + int(encoding&0x3ff)*fieldType(encoding>>20&0xf).width()
			if offset != last+8 || end > len(table) {
				t.Errorf("%q: an entry at %d to %d after one that ends at %d", table, offset, end, last)
			}
			last = end
		})
		shape, err2 := attributeShape(table)
		fields, err3 := attributeLayout(table)
		if (err == nil) != (err2 == nil) || (err == nil) != (err3 == nil) {
			t.Errorf("%q: %v, %v, %v", table, err, err2, err3)
		}
		if again, _ := attributeShape(table); again != shape {
			t.Errorf("%q: shape %x, then %x", table, shape, again)
		}
		for _, f := range fields {
			if f.need > len(table) || f.offset < headerSize {
				t.Errorf("%q: field %+v", table, f)
			}
		}
	})
}

// barePlan is a plan without any file, for what is in memory already.
func barePlan() *plan {
	p := &plan{
		d: &device{deviceID: "740f", status: sysfs.NewFile("/nonexistent")}, buf: make([]byte, sysfs.ListSize),
		series: map[string]*collector.Series{}, sensed: map[*collector.Series]bool{}, listed: map[string][]string{},
	}
	p.load = p.of(collector.Utilization)
	return p
}

// values are what the series of a plan say in a reading, by name. Each must be a finite number within its bounds.
func values(t *testing.T, p *plan, r *collector.Reading) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, s := range p.series {
		v, ok := r.Value(s)
		if !ok {
			continue
		}
		name := seriesName(s)
		if _, twice := all[name]; twice {
			t.Errorf("two series are %s", name)
		}
		if math.IsNaN(v) || math.IsInf(v, 0) || v < s.Min || v > s.Max {
			t.Errorf("%s is %v, its bounds are %v and %v", name, v, s.Min, s.Max)
		}
		all[name] = v
	}
	return all
}

// FuzzTable reads any bytes as gpu_metrics, by the plan that their own header asks for.
func FuzzTable(f *testing.F) {
	for name, layout := range layouts() {
		if name[0] != 'v' {
			continue
		}
		zeros := make([]byte, layout.size)
		for _, full := range [][]byte{zeros, []byte(table(name, nil)), bytes.Repeat([]byte{0x2a, 0}, layout.size/2)} {
			b := bytes.Clone(full)
			binary.LittleEndian.PutUint16(b, uint16(layout.size))
			b[2], b[3] = name[1]-'0', name[3]-'0'
			f.Add(b)
			f.Add(b[:len(b)-1])
			binary.LittleEndian.PutUint16(b, uint16(layout.size/2))
			f.Add(b)
		}
	}
	addTexts(f, attributeTable(attr("temperature_hotspot", s16, 45), attr("num_partition", s8, -1), attr("xgmi_link_status", s64, -1, 1)), "\x04\x00\x01\x09", "\x78\x00\x01", "")
	addFiles(f, "gpu_metrics", "*.bin")
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := barePlan()
		m := &metrics{p: p, file: sysfs.NewFile("gpu_metrics")}
		p.metrics = m
		if len(raw) >= headerSize {
			if m.version = (version{raw[2], raw[3]}); m.version.known() {
				m.plan(raw)
			}
		}
		var r collector.Reading
		var last map[string]float64
		for i := range 3 {
			r.Reset()
			m.ahead = func() ([]byte, error) { return raw, nil }
			if err := m.load(&r); err != nil {
				t.Fatal(err)
			}
			m.add(&r)
			now := values(t, p, &r)
			if i > 0 {
				// Throttling by counters is told from the second reading on, and only of a clock that moves.
				maps.DeleteFunc(now, func(name string, _ float64) bool { return strings.HasPrefix(name, "gpu_throttle_active") })
				maps.DeleteFunc(last, func(name string, _ float64) bool { return strings.HasPrefix(name, "gpu_throttle_active") })
				if !maps.Equal(now, last) {
					t.Errorf("reading %d: %v, before %v", i, now, last)
				}
			}
			if r.Failed() && len(now) > 0 {
				t.Errorf("a table that is none tells %v", now)
			}
			last = now
		}
	})
}

// FuzzFile puts any bytes in place of one file of a card.
func FuzzFile(f *testing.F) {
	tr := card(f, everything)
	d := tr.device()
	var names []string
	for at := range everything {
		if strings.HasPrefix(at, "D/") || strings.HasPrefix(at, "H/") || strings.HasPrefix(at, "class/") {
			names = append(names, at)
		}
	}
	slices.Sort(names)
	for i, at := range names {
		for _, content := range []string{everything[at], "\x00\n", "-1", "18446744073709551616", "N/A"} {
			f.Add(uint8(i), []byte(content))
		}
	}
	for i, at := range names {
		seen := map[string]bool{}
		for _, content := range caseFiles(f, filepath.Base(at)) {
			if seen[string(content)] || !bytes.Contains(bytes.TrimSpace(content), newline) {
				continue // a number is like another
			}
			seen[string(content)] = true
			f.Add(uint8(i), content)
		}
	}
	var r collector.Reading
	read := func(t *testing.T) map[string]float64 {
		r.Reset()
		if err := d.Read(t.Context(), &r); err != nil || d.plan == nil {
			return nil // asleep
		}
		d.plan.slow.Every = time.Nanosecond
		return values(t, d.plan, &r)
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		at := names[int(which)%len(names)]
		path := tr.path(at)
		if err := overwrite(path, content); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := overwrite(path, []byte(everything[at])); err != nil {
				t.Fatal(err)
			}
		}()
		d.rest = rest{} // nothing is left alone here
		first := read(t)
		if second := read(t); !maps.Equal(first, second) {
			t.Errorf("%s %q: %v, then %v", at, content, first, second)
		}
		pages := 0.0
		for name, v := range first {
			if strings.HasPrefix(name, "gpu_bad_pages") {
				pages += v
			}
		}
		if at == "D/ras/gpu_vram_bad_pages" && pages > float64(1+bytes.Count(content, newline)) {
			t.Errorf("%v pages in %d lines", pages, bytes.Count(content, newline))
		}
	})
}

// FuzzIdentity puts any bytes in place of what identifies a card.
func FuzzIdentity(f *testing.F) {
	tr := card(f, files{"H/temp1_input": "1"})
	f.Add("DRIVER=amdgpu\nPCI_ID=1002:747E\nPCI_SLOT_NAME=0000:03:00.0\n", "0xc8", "0123456789abcdef", "amdgpu")
	f.Add("DRIVER=radeon\nPCI_SLOT_NAME=0000:03:00.0\nPCI_ID=x", "", "0000000000000000", "radeon")
	f.Add("DRIVER=\nPCI_SLOT_NAME=..\n", "0x", "x", "")
	for _, content := range caseFiles(f, "uevent") {
		f.Add(string(content), "0x00", "", "amdgpu")
	}
	p := New(tr.options())
	f.Fuzz(func(t *testing.T, uevent, revision, id, sensors string) {
		contents := files{"D/uevent": uevent, "D/revision": revision, "D/unique_id": id, "H/name": sensors}
		for at, content := range contents {
			if err := overwrite(tr.path(at), []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		list, err := p.Discover(t.Context())
		if len(list) > 1 {
			t.Fatalf("one card is %d devices", len(list))
		}
		for _, d := range list {
			i := d.Info()
			if err != nil || !addressForm.MatchString(i.GPU) || i.Name == "" || i.Driver != "amdgpu" && i.Driver != "radeon" ||
				!slices.Contains([]string{collector.Discrete, collector.Integrated, collector.Virtual}, i.Type) ||
				i.UUID != "" && !uniqueIDForm.MatchString(i.UUID[2:]) {
				t.Errorf("%+v, %v", i, err)
			}
		}
	})
}
