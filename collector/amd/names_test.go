package amd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestNamesOfTheEmbeddedList(t *testing.T) {
	for _, c := range []struct{ device, revision, want string }{
		{"747e", "c8", "AMD Radeon RX 7800 XT"},
		{"747e", "ff", "AMD Radeon RX 7700 XT"},
		{"744c", "c8", "AMD Radeon RX 7900 XTX"},
		{"67df", "e7", "AMD Radeon RX 580 Series"},
		{"15bf", "dd", "AMD Radeon 780M Graphics"},
		{"7550", "c0", "AMD Radeon RX 9070 XT"},
		{"7550", "c3", "AMD Radeon RX 9070"},
		{"73bf", "c0", "AMD Radeon RX 6900 XT"},
		{"687f", "c3", "AMD Radeon RX Vega"},
		{"74a1", "00", "AMD Instinct MI300X"},
		{"747E", "C8", "AMD Radeon RX 7800 XT"}, // in any letter case
		{"7481", "C7", "AMD Steam Machine"},     // the line with spaces instead of tabs

		{"747e", "01", ""}, // listed, but not this revision: never the name of another one
		{"747e", "", ""},   // revisions of several names: which one cannot be told
		{"7481", "", "AMD Steam Machine"},
		{"74a1", "", "AMD Instinct MI300X"},
		{"ffff", "00", ""}, {"ffff", "", ""}, {"", "", ""}, {"", "c8", ""}, {"1.0.0", "", ""},
	} {
		if got := lookupName(c.device, c.revision, ""); got != c.want {
			t.Errorf("lookupName(%q, %q) = %q, want %q", c.device, c.revision, got, c.want)
		}
	}
}

func TestFindName(t *testing.T) {
	const list = "# AAAA,\t00,\tIn a comment\n \t#BBBB,\t00,\tIn another\n\n1.0.0\n" +
		"AAAA,\tC1,\tOne, with a comma\n" +
		"AAAA , C2 ,  One, with a comma  \n" +
		"CCCC,\t00,\tFirst\nCCCC,\t01,\tSecond\n" +
		"DDDD,\tno name\nEEEE\n,\n" +
		"FFFF,\t0a,\tLast, without an end"
	for _, c := range []struct {
		device, revision, want string
		listed                 bool
	}{
		{"aaaa", "c1", "One, with a comma", true},
		{"aaaa", "C2", "One, with a comma", true},
		{"aaaa", "00", "", false},
		{"aaaa", "", "One, with a comma", true}, // all revisions have it
		{"bbbb", "00", "", false},
		{"cccc", "01", "Second", true},
		{"cccc", "", "", true}, // known, and yet without a name
		{"cccc", "02", "", false},
		{"dddd", "", "", false}, {"eeee", "", "", false}, {"1.0.0", "", "", false},
		{"FFFF", "0A", "Last, without an end", true},
	} {
		if got, listed := findName(list, c.device, c.revision); got != c.want || listed != c.listed {
			t.Errorf("findName(%q, %q) = %q, %v; want %q, %v", c.device, c.revision, got, listed, c.want, c.listed)
		}
	}
}

// The project's own list comes first, so that a known card has one name on every host; then AMD's own, then libdrm's.
func TestListsOfTheHost(t *testing.T) {
	const own, libdrm = "opt/amdgpu/share/libdrm/amdgpu.ids", "usr/share/libdrm/amdgpu.ids"
	for _, c := range []struct {
		name                   string
		lists                  map[string]string
		device, revision, want string
	}{
		{"no list", nil, "fff0", "01", ""},
		{"AMD's first", map[string]string{own: "FFF0,\t01,\tAMD's\n", libdrm: "FFF0,\t01,\tlibdrm's\n"}, "fff0", "01", "AMD's"},
		{"libdrm's where AMD's lacks it", map[string]string{own: "FFF0,\t02,\tAMD's\n", libdrm: "FFF0,\t01,\tlibdrm's\n"}, "fff0", "01", "libdrm's"},
		{"libdrm's alone", map[string]string{libdrm: "FFF0,\t01,\tlibdrm's\n"}, "fff0", "01", "libdrm's"},
		{"the project's own before all", map[string]string{own: "747E,\tC8,\tAMD's\n", libdrm: "747E,\tC8,\tlibdrm's\n"}, "747e", "c8", "AMD Radeon RX 7800 XT"},
		{"a new revision of a known device", map[string]string{libdrm: "747E,\t01,\tNew\n"}, "747e", "01", "New"},
		{"revision unknown, one name", map[string]string{own: "FFF0,\t01,\tOnly\nFFF0,\t02,\tOnly\n"}, "fff0", "", "Only"},
		// The project's list has several names, of which an older list of the host has only one: it would be a guess.
		{"revision unknown, several names", map[string]string{own: "747E,\tC8,\tA guess\n"}, "747e", "", ""},
		{"revision unknown, several names in AMD's", map[string]string{own: "FFF0,\t01,\tOne\nFFF0,\t02,\tTwo\n", libdrm: "FFF0,\t01,\tOne\n"}, "fff0", "", ""},
	} {
		root := t.TempDir()
		for at, text := range c.lists {
			path := filepath.Join(root, at)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := lookupName(c.device, c.revision, root); got != c.want {
			t.Errorf("%s: lookupName(%q, %q) = %q, want %q", c.name, c.device, c.revision, got, c.want)
		}
	}
}

// Every line of the embedded list is one that is understood. Some revisions stand there twice: the first line counts, as
// for libdrm.
func TestEmbeddedListIsWhole(t *testing.T) {
	form := regexp.MustCompile(`^[0-9A-F]{4},\s+[0-9A-F]{2},\s+\S.*$`)
	entries, first := 0, map[string]string{}
	for line := range strings.Lines(embeddedIDs) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || line == "1.0.0" {
			continue
		}
		entries++
		if !form.MatchString(line) {
			t.Errorf("line %q is no entry", line)
			continue
		}
		c := strings.SplitN(line, ",", 3)
		id := c[0] + strings.TrimSpace(c[1])
		if _, twice := first[id]; !twice {
			first[id] = strings.TrimSpace(c[2])
		}
		if got := lookupName(c[0], strings.TrimSpace(c[1]), ""); got != first[id] {
			t.Errorf("%s: got %q", line, got)
		}
	}
	if entries < 600 {
		t.Errorf("the list has %d entries: it was cut", entries)
	}
}
