package alerts

import (
	"gpu_exporter/internal/served"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// foreign are the names of Prometheus and Alertmanager themselves that we use.
var foreign = []string{
	"up", "ALERTS", "prometheus_rule_evaluation_failures_total", "alertmanager_notifications_failed_total",
}

// noMetrics are words that look like names of metrics, and what they are.
var noMetrics = map[string]string{
	"gpu_exporter":      "the program",
	"gpu_id":            "label of the alerts, for JARVIS",
	"gpu_memory_policy": "label that users give to a target",
	"gpu_temperature":   "annotation, for JARVIS",
	"gpu_memory":        "annotation, for JARVIS",
	"gpu_utilization":   "annotation, for JARVIS",
}

// known are all names that rules and texts may use.
func known(t *testing.T) []string {
	t.Helper()
	names := append(served.Names(t), foreign...)
	for _, rules := range rulesOf(Defaults) {
		for _, r := range rules {
			names = append(names, r.Record)
		}
	}
	return names
}

var (
	quoted   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	notNames = regexp.MustCompile(`\{[^{}]*\}|\[[^\]]*\]` + // matchers and ranges
		`|(?:\b\w+ )?\b(?:by|without)\s*\([^)]*\)` + // with the aggregation before them
		`|\b(?:on|ignoring|group_left|group_right)\s*\([^)]*\)` +
		`|\boffset \w+|\b\w+\s*\(|\b(?:and|or|unless|bool)\b`)
	identifier = regexp.MustCompile(`\b[a-zA-Z_][\w:]*`)
)

// selected are the names of the metrics that an expression asks for.
func selected(expr string) []string {
	expr = quoted.ReplaceAllString(expr, "") // first, since a matcher may have brackets in its strings
	return identifier.FindAllString(notNames.ReplaceAllString(expr, " "), -1)
}

func TestSelected(t *testing.T) {
	for expr, want := range map[string][]string{
		`vector(1)`:                 nil,
		`up{job=~"a[b]|c{2}"} == 0`: {"up"},
		`sum without (sensor) (rate(a_total{x="}"}[5m])) * on (gpu) group_left (name) b:c:d or 1e9 > bool a offset 15m`: {"a_total", "b:c:d", "a"},
		`topk by (gpu) (1, max without (uuid) (gpu_info))`:                                                              {"gpu_info"},
	} {
		if got := selected(expr); !slices.Equal(got, want) {
			t.Errorf("%s asks for %q, want %q", expr, got, want)
		}
	}
}

func TestRulesAskForNamesThatExist(t *testing.T) {
	names := known(t)
	for file, rules := range rulesOf(Defaults) {
		for _, r := range rules {
			for _, n := range selected(r.Expr) {
				if !slices.Contains(names, n) {
					t.Errorf("%s: %s%s asks for %s", file, r.Alert, r.Record, n)
				}
			}
		}
	}
}

// word is what looks like the name of a metric of ours, of Prometheus or of Alertmanager in a text.
var word = regexp.MustCompile(`\b(?:\w+:)?(?:gpu|prometheus|alertmanager|scrape)[_:][\w:]*\w`)

func TestTextsSpeakOfNamesThatExist(t *testing.T) {
	names := known(t)
	files, err := filepath.Glob("runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	templates, err := filepath.Glob("alertmanager/templates/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, templates...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range word.FindAllString(string(text), -1) {
			if !slices.Contains(names, n) && noMetrics[n] == "" {
				t.Errorf("%s speaks of %s", file, n)
			}
		}
		for _, query := range queries(string(text)) {
			for _, n := range selected(query) {
				if !slices.Contains(names, n) {
					t.Errorf("%s asks for %s", file, n)
				}
			}
		}
	}
}
