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
				or := "" // what has no such label at all
				if names[i] == "ALERTS" {
					or = "|"
					if !strings.Contains(m, `service="`+serviceOfAlerts(t)+`"`) {
						t.Errorf("%v\nasks for the alerts of others too", a)
					}
				}
				for variable, want := range map[string]string{"job": "$job" + or, "cluster": "$cluster", "instance": "$instance" + or} {
					if !strings.Contains(m, variable+`=~"`+want+`"`) {
						t.Errorf("%v\n%s{%s} does not hang on %s", a, names[i], m, variable)
					}
				}
			}
		}
	}
}

// serviceOfAlerts is the label that all our alerts have.
func serviceOfAlerts(t *testing.T) (service string) {
	t.Helper()
	for _, f := range alerts.Files(alerts.Defaults) {
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if s := r.Labels["service"]; r.Alert != "" && (s == "" || service != "" && s != service) {
					t.Fatalf("%s is of the service %q, others of %q", r.Alert, s, service)
				} else if r.Alert != "" {
					service = s
				}
			}
		}
	}
	return service
}

// Prometheus has these of whatever it scrapes.
func TestTargetsOfOthersAreNotShown(t *testing.T) {
	for _, b := range boards(t) {
		for _, a := range b.asks(t) {
			names, _, _ := selectors(a.expr)
			ofAnything := slices.ContainsFunc(names, func(n string) bool { return n != "ALERTS" && slices.Contains(prometheusOwn, n) })
			if ofAnything && !(strings.Contains(a.expr, "and on (job) group by (job) (") && slices.Contains(names, "gpu_exporter_build_info")) {
				t.Errorf("%v\nis of the targets of others too", a)
			}
		}
	}
}

// Grafana makes no regular expression of a single choice: it doubles a backslash, as a string wants it, and that is all. The
// address of a GPU of Windows may have one.
func TestASingleGPUIsNoPattern(t *testing.T) {
	for _, b := range boards(t) {
		for _, v := range b.Templating.List {
			if v.Name != "gpu" {
				continue
			}
			for _, a := range b.asks(t) {
				if strings.Contains(a.expr, "$gpu") && strings.Contains(a.expr, `gpu=~"$gpu"`) != *v.Multi {
					t.Errorf("%v\nis of more than one GPU: %v", a, *v.Multi)
				}
			}
		}
	}
}

// Two hosts may have one name, in two clusters.
func TestHostsAreToldApartByCluster(t *testing.T) {
	grouping := regexp.MustCompile(`\bby \(([^)]*\binstance\b[^)]*)\)`)
	for _, b := range boards(t) {
		for _, a := range b.asks(t) {
			for _, m := range grouping.FindAllStringSubmatch(a.expr, -1) {
				if !strings.Contains(m[1], "cluster") {
					t.Errorf("%v\nmakes one of the hosts of two clusters", a)
				}
			}
		}
	}
}

// The least of two readings is no greatest: a GPU may have had two sensors in the time shown.
func TestValuesOverTimeAreTakenTogetherByTheirFunction(t *testing.T) {
	nested := regexp.MustCompile(`\b(\w+) by \([^)]*\) \((min|avg|max)_over_time\(`)
	for _, b := range boards(t) {
		for _, a := range b.asks(t) {
			for _, m := range nested.FindAllStringSubmatch(a.expr, -1) {
				if m[1] != m[2] {
					t.Errorf("%v\ntakes the %s of each %s", a, m[1], m[2])
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
