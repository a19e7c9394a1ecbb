package collector

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestQuantitiesAreWellFormed(t *testing.T) {
	var (
		name    = regexp.MustCompile(`^gpu_[a-z0-9]+(_[a-z0-9]+)*$`)
		label   = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
		probes  = []string{"amd", "nvidia", "intel", "drm", "windows", "simulation"}
		flags   = []string{"", "collector.firmware", "collector.process", "collector.process.pid"}
		unitAll = regexp.MustCompile(`(mhz|mib|millis|percent|_ms|_mw)`)
		seen    = map[string]bool{}
		part    string
	)
	for i := range Quantities {
		q := &Quantities[i]
		fail := func(what string) { t.Errorf("row %d, %q: %s", i, q.Name, what) }
		if q.Name == "" {
			fail("no name: a constant without a row")
			continue
		}
		if QuantityID(i).String() != q.Name {
			fail("String is not its name")
		}
		if seen[q.Name] {
			fail("twice")
		}
		seen[q.Name] = true
		if !name.MatchString(q.Name) || unitAll.MatchString(q.Name) {
			fail("no proper name")
		}
		if strings.HasSuffix(q.Name, "_total") != (q.Kind == Counter) {
			fail("counters, and nothing else, end in _total")
		}
		if strings.HasSuffix(q.Name, "_info") != (q.Kind == InfoGauge) {
			fail("infos, and nothing else, end in _info")
		}
		if q.Epoch != EpochDevice && q.Kind != Counter {
			fail("only a counter has an epoch")
		}
		if !strings.HasSuffix(q.Help, ".") || strings.Contains(q.Help, "\n") {
			fail("help is no sentence")
		}
		if q.Part < part || q.Part < "2a" || q.Part > "2d" {
			fail("not in the order of the contract")
		}
		part = q.Part
		if (q.Part == "2d") != strings.HasPrefix(q.Flag, "collector.process") || !slices.Contains(flags, q.Flag) {
			fail("flag " + q.Flag)
		}
		labels := slices.Clone(q.Labels)
		slices.Sort(labels)
		if len(slices.Compact(labels)) != len(q.Labels) || slices.Contains(labels, "gpu") {
			fail("a label twice")
		}
		for _, l := range q.Labels {
			if !label.MatchString(l) {
				fail("label " + l)
			}
		}
		for _, s := range q.Sources {
			if !slices.Contains(probes, s) {
				fail("source " + s)
			}
		}
	}
}

func TestListsAreComplete(t *testing.T) {
	for what, lists := range map[string][2][]string{
		"results":  {words(Results[:]), {"ok", "partial", "asleep", "error", "timeout"}},
		"failures": {words(FailureKinds[:]), {"permission", "missing", "malformed", "io", "timeout"}},
		"restarts": {words(RestartReasons[:]), {"crash", "timeout", "stuck", "protocol", "sleep", "driver_changed"}},
	} {
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s: %v, want %v", what, lists[0], lists[1])
		}
	}
}

func words[T ~string](list []T) (s []string) {
	for _, w := range list {
		s = append(s, string(w))
	}
	return s
}
