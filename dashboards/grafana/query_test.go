package grafana

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"gpu_exporter/alerts"
	"gpu_exporter/internal/served"
)

var (
	quoted   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	selector = regexp.MustCompile(`([a-zA-Z_][\w:]*)\{([^{}]*)\}`)
	notNames = regexp.MustCompile(`(?:\b\w+ )?\b(?:by|without)\s*\([^)]*\)` + // with the aggregation before them
		`|\b(?:on|ignoring|group_left|group_right)\s*\([^)]*\)|\[[^\]]*\]|\boffset \w+|\b\w+\s*\(|\b(?:and|or|unless|bool)\b`)
	identifier = regexp.MustCompile(`\b[a-zA-Z_][\w:]*`)
)

// selectors are the metrics that an expression asks for, with their matchers, and the words of it that are metrics without
// matchers.
func selectors(expr string) (names, matchers, bare []string) {
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		names, matchers = append(names, m[1]), append(matchers, m[2])
	}
	rest := quoted.ReplaceAllString(selector.ReplaceAllString(expr, " "), "")
	return names, matchers, identifier.FindAllString(notNames.ReplaceAllString(rest, " "), -1)
}

func TestSelectors(t *testing.T) {
	for expr, want := range map[string][3][]string{
		`vector(1)`: {},
		`up == 0`:   {nil, nil, {"up"}},
		`sum by (a, b) (rate(c_total{d="e"}[$__rate_interval])) * on (gpu) group_left (name) f:g:h{} or i offset 5m`: {
			{"c_total", "f:g:h"}, {`d="e"`, ""}, {"i"},
		},
		`count_values("band", a{b=~"c|d"}) > bool 1e9`: {{"a"}, {`b=~"c|d"`}, nil},
	} {
		names, matchers, bare := selectors(expr)
		if !slices.Equal(names, want[0]) || !slices.Equal(matchers, want[1]) || !slices.Equal(bare, want[2]) {
			t.Errorf("%s asks for %q %q and bare %q, want %q", expr, names, matchers, bare, want)
		}
	}
}

func TestEveryQueryIsOfTheChosenTargets(t *testing.T) {
	for _, b := range boards(t) {
		for _, a := range b.asks(t) {
			if a.kind == "variable" { // one asks for what those before it leave
				continue
			}
			names, matchers, bare := selectors(a.expr)
			if len(names) == 0 || len(bare) > 0 {
				t.Errorf("%v\nasks for %q, and without matchers for %q", a, names, bare)
			}
			for i, m := range matchers {
				for _, variable := range []string{"job", "cluster", "instance"} {
					if !strings.Contains(m, variable+`=~"$`+variable+`"`) {
						t.Errorf("%v\n%s{%s} does not hang on %s", a, names[i], m, variable)
					}
				}
			}
		}
	}
}

// A choice that changes nothing misleads.
func TestEveryQueryHangsOnEveryChoice(t *testing.T) {
	except := map[string][]string{
		// These are about GPUs, which no workload has to itself.
		"gpu-workloads.json": {"Workloads", "Idle but holding memory", "Memory not explained", "Real or simulated"},
		// Some have no GPU, and so no vendor.
		"gpu-fleet.json": {"Firing alerts"},
	}
	for _, b := range boards(t) {
		for _, p := range b.panels() {
			if slices.Contains(except[b.file], *p.Title) {
				continue
			}
			for _, q := range targets(t, p) {
				for _, v := range b.Templating.List[1:] {
					if want := regexp.MustCompile(`\$` + v.Name + `\b`); !want.MatchString(q.Expr) {
						t.Errorf("%s: %s, %s does not hang on the choice of %s\n%s", b.file, *p.Title, *q.RefId, v.Name, q.Expr)
					}
				}
			}
		}
	}
}

// fixedRanges are rates over another range than $__rate_interval, and why.
var fixedRanges = map[string]string{
	`increase(gpu_energy_joules_total`: "energy of a day, whatever is shown",
	`resets(gpu_exporter_reads_total`:  "an annotation, whose marks may be no farther apart than they are wide",
}

func TestRatesUseTheRateInterval(t *testing.T) {
	rates := regexp.MustCompile(`\b(?:rate|irate|increase|resets|delta|deriv)\(([\w:]+)\{[^{}]*\}(\[[^\]]*\])?`)
	for _, b := range boards(t) {
		for _, a := range b.asks(t) {
			for _, m := range rates.FindAllStringSubmatch(a.expr, -1) {
				function, _, _ := strings.Cut(m[0], "{")
				if m[2] != "[$__rate_interval]" && fixedRanges[function] == "" {
					t.Errorf("%v\nhas %s", a, m[0])
				}
			}
		}
	}
}

// totals are panels that show the count itself, and why.
var totals = map[string]string{
	"Memory errors (ECC)": "how many there are is what matters, since when is in the row",
	"XID errors":          "the same",
}

// As the rule target-counter-agg of Grafana's dashboard-linter has it.
func TestCountersAreShownAsRates(t *testing.T) {
	counters := regexp.MustCompile(`\b(rate|irate|increase|resets)?\(?([\w:]+_total)\{`)
	for _, b := range boards(t) {
		for _, p := range b.panels() {
			for _, q := range targets(t, p) {
				for _, m := range counters.FindAllStringSubmatch(q.Expr, -1) {
					if (m[1] == "") != (totals[*p.Title] != "") {
						t.Errorf("%s: %s shows %s", b.file, *p.Title, m[0])
					}
				}
			}
		}
	}
}

func TestTablesAskForNowAndCurvesForARange(t *testing.T) {
	for _, b := range boards(t) {
		for _, p := range b.panels() {
			for _, q := range targets(t, p) {
				curves := p.Type == "timeseries" || p.Type == "state-timeline"
				if ranged, instant := q.Range != nil && *q.Range, q.Instant != nil && *q.Instant; ranged != curves || instant == curves {
					t.Errorf("%s: %s asks for a range: %v, for now: %v", b.file, *p.Title, ranged, instant)
				}
				if table := q.Format != nil && *q.Format == "table"; table != (p.Type == "table") {
					t.Errorf("%s: %s asks for a table: %v", b.file, *p.Title, table)
				}
			}
		}
	}
}

// prometheusOwn are names that Prometheus makes for each target and rule.
var prometheusOwn = []string{"up", "ALERTS", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added"}

func TestQueriesAskForNamesThatExist(t *testing.T) {
	known := slices.Concat(served.Names(t), prometheusOwn)
	for _, f := range alerts.Files(alerts.Defaults) {
		for _, g := range f.Groups {
			if f.Name != "recording.yml" { // that alone may be relied on
				continue
			}
			for _, r := range g.Rules {
				known = append(known, r.Record)
			}
		}
	}
	for _, b := range boards(t) {
		for _, a := range b.asks(t) {
			expr, label := a.promQL()
			names, _, bare := selectors(expr)
			if label != "" || a.kind == "variable" {
				names = append(names, bare...)
			}
			if len(names) == 0 {
				t.Errorf("%v\nasks for nothing", a)
			}
			for _, n := range names {
				if !slices.Contains(known, n) {
					t.Errorf("%v\nasks for %s, which nobody makes", a, n)
				}
			}
		}
	}
}

func TestIdleButHoldingIsWhatTheAlertAsks(t *testing.T) {
	compact := func(expr string) string { return strings.Join(strings.Fields(expr), "") }
	asked := compact(strings.NewReplacer("{S, ", "{", "{S}", "").Replace(idleButHolding))
	for _, f := range alerts.Files(alerts.Defaults) {
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if r.Alert != "GpuIdleHoldingMemory" {
					continue
				}
				if want := "count(" + compact(r.Expr) + ")orvector(0)"; asked != want {
					t.Errorf("the dashboard asks\n%s\nthe alert\n%s", asked, want)
				}
				return
			}
		}
	}
	t.Error("there is no such alert any more")
}
