package amd

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gpu_exporter/collector"
	"gpu_exporter/internal/hwcase"
)

// caseRoots are the folders of hardware cases: the project's own, and those that several projects share, which a
// checkout may lack.
var caseRoots = []string{"../../testdata/cases/amd", filepath.Join(shared, "fixtures/amd")}

// hardwareCases are the cases of a folder; none where it is missing.
func hardwareCases(t testing.TB, root string) []hwcase.Case {
	t.Helper()
	if _, err := os.Stat(root); err != nil {
		t.Logf("%s is not here", root)
		return nil
	}
	cases, _, err := hwcase.Find(root)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// readCase is the first reading of all cards of a case.
func readCase(t testing.TB, c hwcase.Case, firmware bool) *collector.Snapshot {
	t.Helper()
	root, err := c.Tree(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tr := tree{t, root}
	o := tr.options()
	o.Firmware = firmware
	return tr.start(o, nil).cycle()
}

// exposed are the samples of a snapshot as the exporter shows them.
func exposed(t testing.TB, s *collector.Snapshot) hwcase.Samples {
	t.Helper()
	samples, err := hwcase.Exposed(s)
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

func TestHardwareCases(t *testing.T) {
	for i, root := range caseRoots {
		cases := hardwareCases(t, root)
		if i == 0 && len(cases) < 7 {
			t.Errorf("%d cases of our own", len(cases))
		}
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) {
				text, err := os.ReadFile(c.Expected)
				if err != nil {
					t.Fatal(err)
				}
				want, err := hwcase.Parse(string(text))
				if err != nil {
					t.Fatal(err)
				}
				for _, line := range hwcase.Diff(want, exposed(t, readCase(t, c, false))) {
					t.Error(line)
				}
			})
		}
	}
}

// What the table of quantities says of this probe is so: each that it is named for is in a case of our own, no other in any.
func TestQuantitiesOfThisProbe(t *testing.T) {
	given := map[collector.QuantityID]bool{}
	for i, root := range caseRoots {
		for _, c := range hardwareCases(t, root) {
			for _, d := range readCase(t, c, true).Devices {
				for _, s := range d.Samples {
					q := s.S.Q
					if !slices.Contains(collector.Quantities[q].Sources, "amd") && !given[q] {
						t.Errorf("case %s gives %v, of which the table does not say that amd fills it", c.Name, q)
					}
					given[q] = given[q] || i == 0
				}
			}
		}
	}
	for q := range collector.Quantities {
		q := collector.QuantityID(q)
		if slices.Contains(collector.Quantities[q].Sources, "amd") && !given[q] {
			t.Errorf("no case of our own gives %v", q)
		}
	}
}
