// Package hwcase is the test kit for hardware cases: folders with the files of a real machine below sys/ and proc/, and
// the samples that an exporter must give for them in expected.prom. A new case needs no code.
package hwcase

import (
	"bufio"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Case is one tree and what must be read from it.
type Case struct {
	Name     string // folder, and the capture where it has several
	Dir      string // folder of the case
	Expected string // file with the samples
	Capture  string // where it has several, empty: it has one
	Table    string // a gpu_metrics table to be laid into the tree, empty: none
}

// Find lists the cases in the folders below root, and the folders that have no expected.prom.
func Find(root string) (cases []Case, without []string, err error) {
	folders, err := os.ReadDir(root)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		dir := filepath.Join(root, f.Name())
		expected, err := filepath.Glob(filepath.Join(dir, "expected*.prom"))
		if err != nil {
			return nil, nil, err
		}
		if len(expected) == 0 {
			without = append(without, f.Name())
		}
		for _, e := range expected {
			c := Case{Name: f.Name(), Dir: dir, Expected: e}
			if capture := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(e), "expected-"), ".prom"); capture != "expected" {
				c.Name += "/" + capture
				if table := filepath.Join(dir, "tables", capture+".bin"); exists(table) {
					c.Table = table
				}
				c.Capture = capture
			}
			cases = append(cases, c)
		}
	}
	return cases, without, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// SMI makes a stand-in for nvidia-smi in the folder to, that prints what the case has of it; empty: it has nothing.
func (c Case) SMI(to string) (string, error) {
	document, list := filepath.Join(c.Dir, "nvidia-smi-q-x.xml"), filepath.Join(c.Dir, "list-gpus.txt")
	if c.Capture != "" {
		document = filepath.Join(c.Dir, c.Capture+"-q-x.xml")
	}
	if !exists(document) {
		return "", nil
	}
	document, err := filepath.Abs(document)
	if err != nil {
		return "", err
	}
	names := "exit 1"
	if exists(list) {
		if list, err = filepath.Abs(list); err != nil {
			return "", err
		}
		names = "exec cat '" + list + "'"
	}
	script := "#!/bin/sh\ncase \"$1\" in\n-L) " + names + ";;\n*) exec cat '" + document + "';;\nesac\n"
	at := filepath.Join(to, "nvidia-smi")
	return at, os.WriteFile(at, []byte(script), 0o755)
}

// Tree makes the tree of the case below to, which must be empty, and returns it: it has sys and maybe proc in it. The
// case itself is never changed.
func (c Case) Tree(to string) (string, error) {
	if _, err := os.Stat(filepath.Join(c.Dir, "layout.txt")); err == nil {
		return to, c.layOut(to)
	}
	for _, part := range []string{"sys", "proc"} {
		from := filepath.Join(c.Dir, part)
		if _, err := os.Stat(from); err != nil {
			continue
		}
		if err := CopyTree(from, filepath.Join(to, part)); err != nil {
			return "", err
		}
	}
	if err := c.links(to); err != nil {
		return "", err
	}
	if c.Table != "" {
		card, err := filepath.Glob(filepath.Join(to, "sys/class/drm/card*/device"))
		if err != nil || len(card) != 1 {
			return "", fmt.Errorf("case %s: a table wants one card, the tree has %d", c.Name, len(card))
		}
		if err := copyFile(c.Table, filepath.Join(card[0], "gpu_metrics")); err != nil {
			return "", err
		}
	}
	return to, nil
}

// layOut follows layout.txt: `copy A B` copies the folder A of the case to B, `link A B` makes the link A to B.
func (c Case) layOut(to string) error {
	return eachLine(filepath.Join(c.Dir, "layout.txt"), func(line string) error {
		w := strings.Fields(line)
		switch {
		case len(w) == 3 && w[0] == "copy":
			return CopyTree(filepath.Join(c.Dir, w[1]), filepath.Join(to, w[2]))
		case len(w) == 3 && w[0] == "link":
			return link(w[2], filepath.Join(to, w[1]))
		}
		return fmt.Errorf("case %s: layout.txt: %q is neither copy nor link", c.Name, line)
	})
}

// links follows links.txt: `path -> target`.
func (c Case) links(to string) error {
	path := filepath.Join(c.Dir, "links.txt")
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	return eachLine(path, func(line string) error {
		at, target, ok := strings.Cut(line, " -> ")
		if !ok {
			return fmt.Errorf("case %s: links.txt: %q has no ->", c.Name, line)
		}
		return link(strings.TrimSpace(target), filepath.Join(to, strings.TrimSpace(at)))
	})
}

func link(target, at string) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	return os.Symlink(target, at)
}

func eachLine(path string, do func(line string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := do(line); err != nil {
			return err
		}
	}
	return lines.Err()
}

// CopyTree copies a folder, writable whatever the original is.
func CopyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(at, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, at)
		}
		return copyFile(path, at)
	})
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

// Samples are values by series, in the form name{label="value",...} with labels sorted and empty ones left out.
type Samples map[string]float64

// Parse reads samples in the text format.
func Parse(text string) (Samples, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	samples := Samples{}
	for name, family := range families {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				if l.GetValue() != "" {
					labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
				}
			}
			slices.Sort(labels)
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			if _, twice := samples[key]; twice {
				return nil, fmt.Errorf("two samples of %s", key)
			}
			samples[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
		}
	}
	return samples, nil
}

// Diff says in lines how got differs from want: `-` is missing, `+` is too much, `!` has another value.
func Diff(want, got Samples) []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		v, ok := got[key]
		switch w := want[key]; {
		case !ok:
			lines = append(lines, fmt.Sprintf("- %s %v", key, w))
		case math.Abs(v-w) > 1e-9*math.Abs(w):
			lines = append(lines, fmt.Sprintf("! %s %v, want %v", key, v, w))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			lines = append(lines, fmt.Sprintf("+ %s %v", key, got[key]))
		}
	}
	return lines
}
