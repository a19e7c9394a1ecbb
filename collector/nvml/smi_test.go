package nvml

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gpu_exporter/collector"
)

// boardsOf are the GPUs of a document.
func boardsOf(d *Document, names Names) (all boards) {
	for _, card := range d.Cards {
		reader := NewCardReader(nil, false)
		all = append(all, board{card.Info, func(r *collector.Reading) error { return reader.Add(r, card, names) }})
	}
	return all
}

// documents are the documents of the cases and what each must give.
func documents(t testing.TB) map[string]string {
	t.Helper()
	cases := map[string]string{}
	for _, path := range matching(t, "*/*q-x.xml") {
		dir, file := filepath.Split(path)
		if _, err := os.Stat(filepath.Join(dir, "sys")); err == nil {
			continue // more than the document decides: collector/nvidia has it
		}
		switch capture := strings.TrimSuffix(file, "-q-x.xml"); capture {
		case "idle", "load":
			cases[path] = filepath.Join(dir, "expected-"+capture+".prom")
		default:
			cases[path] = filepath.Join(dir, "expected.prom")
		}
	}
	return cases
}

func TestCasesOfNvidiaSMI(t *testing.T) {
	for path, expected := range documents(t) {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir)+"/"+filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d, err := ParseSMI(text)
			if err != nil {
				t.Fatal(err)
			}
			list, _ := os.ReadFile(filepath.Join(dir, "list-gpus.txt")) // not every case has one
			s, _ := firstReading(t, boardsOf(d, ParseList(list)))
			meets(t, expected, s)
		})
	}
}
