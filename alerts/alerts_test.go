package alerts

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gpu_exporter/collector"
)

// rulesOf are the rules of all files, by file name.
func rulesOf(o Options) map[string][]Rule {
	byFile := map[string][]Rule{}
	for _, f := range Files(o) {
		for _, g := range f.Groups {
			byFile[f.Name] = append(byFile[f.Name], g.Rules...)
		}
	}
	return byFile
}

// named are the alerts of all files.
func named() (list []Rule) {
	for _, rules := range rulesOf(Defaults) {
		for _, r := range rules {
			if r.Alert != "" {
				list = append(list, r)
			}
		}
	}
	return list
}

func TestCommittedFilesAreTheGeneratedOnes(t *testing.T) {
	var want []string
	for _, f := range Files(Defaults) {
		want = append(want, filepath.Join("rules", f.Name))
		text, err := f.Text()
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(filepath.Join("rules", f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if string(committed) != string(text) {
			t.Errorf("rules/%s is stale: go run ./alerts/generate", f.Name)
		}
	}
	got, err := filepath.Glob("rules/*")
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("the folder has %v, want %v", got, want)
	}
}

func TestOptionsReachEveryRule(t *testing.T) {
	o := Options{GrafanaURL: "https://grafana.example/sub/", RunbookURL: "https://docs.example/gpu/", Jobs: `my\.gpus`}
	for _, f := range Files(o) {
		text, err := f.Text()
		if err != nil {
			t.Fatal(err)
		}
		for _, was := range []string{Defaults.GrafanaURL, Defaults.RunbookURL, Defaults.Jobs} {
			if strings.Contains(string(text), was) {
				t.Errorf("%s still has %s", f.Name, was)
			}
		}
	}
	for file, rules := range rulesOf(o) {
		for _, r := range rules {
			if r.Alert == "" {
				continue
			}
			if url := r.Annotations["dashboard"]; !strings.HasPrefix(url, "https://grafana.example/sub/d/gpu-") {
				t.Errorf("%s: %s has the dashboard %s", file, r.Alert, url)
			}
			if url := r.Annotations["runbook_url"]; !strings.HasPrefix(url, "https://docs.example/gpu/") {
				t.Errorf("%s: %s has the runbook %s", file, r.Alert, url)
			}
			if r.Alert == "GpuExporterDown" && r.Expr != `up{job=~"my\\.gpus"} == 0` {
				t.Errorf("%s is %s", r.Alert, r.Expr)
			}
		}
	}
}

func TestEveryAlertHasTestsOfItsOwn(t *testing.T) {
	files, err := filepath.Glob("tests/Gpu*.yml")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, r := range named() {
		want = append(want, filepath.Join("tests", r.Alert+".yml"))
	}
	slices.Sort(want)
	if !slices.Equal(files, want) {
		t.Errorf("there are\n%q, want\n%q", files, want)
	}
}

// What monitoring.md 2.1 and 3.2 ask of every alert.
func TestEveryAlertCanBeRouted(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range named() {
		if seen[r.Alert] {
			t.Errorf("%s is there twice", r.Alert)
		}
		seen[r.Alert] = true
		if !slices.Contains([]string{critical, warning, info, none}, r.Labels["severity"]) {
			t.Errorf("%s has severity %q", r.Alert, r.Labels["severity"])
		}
		if r.Labels["quantity"] == "" {
			t.Errorf("%s has no quantity: without one, alerts that have no gpu inhibit each other", r.Alert)
		}
		if r.Labels["service"] != "gpu-stats-service" {
			t.Errorf("%s has service %q", r.Alert, r.Labels["service"])
		}
		_, ofGPU := r.Labels["gpu_id"]
		if inGPU := strings.Contains(r.Annotations["summary"], "$labels.gpu "); ofGPU != inGPU {
			t.Errorf("%s: a gpu_id is %v, a gpu in the summary %v", r.Alert, ofGPU, inGPU)
		}
		for _, name := range []string{"summary", "description", "value", "threshold", "dashboard", "runbook_url"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
		}
		if strings.Contains(strings.Join([]string{r.Annotations["summary"], r.Annotations["value"]}, " "), "query") {
			t.Errorf("%s asks Prometheus from a template, which is slow", r.Alert)
		}
	}
}

func TestJARVISGetsItsAnnotations(t *testing.T) {
	for _, r := range named() {
		for name, quantities := range map[string][]string{
			"gpu_temperature": {"temperature"}, "gpu_memory": {"memory", "memory_growth"}, "gpu_utilization": {"waste"},
		} {
			want := ""
			if slices.Contains(quantities, r.Labels["quantity"]) {
				want = r.Annotations["value"]
			}
			if got := r.Annotations[name]; got != want {
				t.Errorf("%s has %s %q, want %q", r.Alert, name, got, want)
			}
		}
	}
}

// Of one GPU and quantity the graver alert inhibits the lighter one. If that ended first, that it is resolved would never
// be told.
func TestTheGraverAlertDoesNotOutlastTheLighter(t *testing.T) {
	rank := []string{info, warning, critical}
	for _, graver := range named() {
		for _, lighter := range named() {
			if graver.Labels["gpu_id"] != "" && graver.Labels["quantity"] == lighter.Labels["quantity"] &&
				slices.Index(rank, graver.Labels["severity"]) > slices.Index(rank, lighter.Labels["severity"]) &&
				minutes(t, graver.KeepFiringFor) > minutes(t, lighter.KeepFiringFor) {
				t.Errorf("%s goes on for %s, %s only for %s", graver.Alert, graver.KeepFiringFor, lighter.Alert, lighter.KeepFiringFor)
			}
		}
	}
}

func minutes(t *testing.T, s string) int {
	t.Helper()
	n := 0
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			n = n*10 + int(c-'0')
		case c == 'h':
			n *= 60
		case c != 'm':
			t.Fatalf("%q is no time in minutes or hours", s)
		}
	}
	return n
}

func TestNothingIsRecordedIntoAFamilyOfOurs(t *testing.T) {
	for file, rules := range rulesOf(Defaults) {
		for _, r := range rules {
			for _, q := range collector.Quantities {
				if r.Record == q.Name {
					t.Errorf("%s records %s", file, r.Record)
				}
			}
		}
	}
}

// Only legacy.yml knows the names of JARVIS.
func TestLegacyNamesStayInTheirFile(t *testing.T) {
	all := rulesOf(Defaults)
	for _, l := range all["legacy.yml"] {
		word := regexp.MustCompile(`\b` + l.Record + `\b`)
		for file, rules := range all {
			if file == "legacy.yml" {
				continue
			}
			for _, r := range rules {
				if word.MatchString(r.Expr) || r.Record == l.Record {
					t.Errorf("%s: %s%s uses %s", file, r.Alert, r.Record, l.Record)
				}
			}
		}
	}
}
