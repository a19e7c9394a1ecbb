//go:build live

package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// prometheus is a running Prometheus.
type prometheus struct{ url string }

func startPrometheus(t testing.TB, config string, flags ...string) prometheus {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	startTool(t, "prometheus", append([]string{"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + address}, flags...)...)
	p := prometheus{"http://" + address}
	awaitOK(t, p.url+"/-/ready")
	return p
}

// query is the result of an instant query: values by series, without the labels that the scrape adds.
func (p prometheus) query(t testing.TB, expr string) hwcase.Samples {
	t.Helper()
	answer, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(body, &result); err != nil || result.Status != "success" {
		t.Fatalf("query %s: %v: %s", expr, err, body)
	}
	samples := hwcase.Samples{}
	for _, r := range result.Data.Result {
		text, ok := r.Value[1].(string)
		if !ok {
			continue // a native histogram
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		key := r.Metric["__name__"]
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(r.Metric)) {
			if !slices.Contains([]string{"__name__", "job", "instance", "tree"}, name) {
				labels = append(labels, fmt.Sprintf("%s=%q", name, r.Metric[name]))
			}
		}
		if len(labels) > 0 {
			key += "{" + strings.Join(labels, ",") + "}"
		}
		samples[key] = v
	}
	return samples
}

func TestLivePrometheusGetsEverySeries(t *testing.T) {
	cases := []string{"rx7800xt", "mi300x-synthetic"}
	want := map[string]hwcase.Samples{}
	var targets []string
	for _, c := range cases {
		tree := sharedCase(t, c)
		s := startServer(t, tree)
		targets = append(targets, fmt.Sprintf("  - {targets: ['%s'], labels: {tree: %s}}", strings.TrimPrefix(s.url, "http://"), c))
		samples, err := hwcase.Parse(onceProm(t, tree))
		if err != nil {
			t.Fatal(err)
		}
		want[c] = samples
	}
	protocols := map[string]string{"protobuf": "PrometheusProto", "text": "PrometheusText0.0.4", "openmetrics": "OpenMetricsText1.0.0"}
	config := "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\nscrape_configs:\n"
	for job, protocol := range protocols {
		config += fmt.Sprintf("- job_name: %s\n  scrape_protocols: [%s]\n  scrape_native_histograms: true\n  static_configs:\n%s\n",
			job, protocol, strings.Join(targets, "\n"))
	}
	p := startPrometheus(t, config)
	for job := range protocols {
		await.Until(t, "two targets of job "+job, func() bool {
			return p.query(t, fmt.Sprintf("sum(up{job=%q})", job))[""] == float64(len(cases))
		})
		for _, c := range cases {
			var missing []string // of one scrape, which may fail: all series are stale then until the next
			await.Until(t, fmt.Sprintf("all series of job %s, case %s", job, c), func() bool {
				missing = nil
				got := p.query(t, fmt.Sprintf(`{job=%q, tree=%q}`, job, c))
				for key, v := range want[c] {
					if g, ok := got[key]; !ok || g != v {
						missing = append(missing, fmt.Sprintf("%s is %v, told %v, want %v", key, g, ok, v))
					}
				}
				return len(missing) == 0
			}, func() string { return strings.Join(missing, "\n") })
			t.Logf("job %s, case %s: %d series of once arrived", job, c, len(want[c]))
		}
	}
	if n := p.query(t, `sum(histogram_count(gpu_exporter_read_duration_seconds{job="protobuf"}))`)[""]; n == 0 {
		t.Error("no native histogram came by protobuf: was it protobuf?")
	}
}

func TestLiveRestartIsNoIncreaseOfEnergy(t *testing.T) {
	tree := sharedCase(t, "mi300x-synthetic")
	const joules, unit, offset = 1_000_000_000, 1 << 16, 24 // energy_accumulator of v1_8: 2^-16 J, at byte 24
	var energy [8]byte
	binary.LittleEndian.PutUint64(energy[:], joules*unit)
	table := filepath.Join(cardIn(t, tree), "device/gpu_metrics")
	f, err := os.OpenFile(table, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(energy[:], offset); err != nil {
		t.Fatal(err)
	}
	f.Close()

	address := freeAddress(t)
	s := startServer(t, tree, "--web.listen-address="+address)
	p := startPrometheus(t, fmt.Sprintf("global: {scrape_interval: 250ms, scrape_timeout: 250ms}\nscrape_configs:\n"+
		"- {job_name: gpu, scrape_protocols: [PrometheusProto], static_configs: [{targets: ['%s']}]}\n", address),
		"--enable-feature=created-timestamp-zero-ingestion")
	const scrapes = `count_over_time(gpu_energy_joules_total[10m])`
	one := func(expr string) float64 {
		for _, v := range p.query(t, expr) {
			return v
		}
		return -1
	}
	await.Until(t, "three scrapes", func() bool { return one(scrapes) >= 3 })
	s.end()
	before := one(scrapes)
	startServer(t, tree, "--web.listen-address="+address)
	await.Until(t, "three scrapes after the restart", func() bool { return one(scrapes) >= before+3 })

	if v := one(`gpu_energy_joules_total`); v != joules {
		t.Errorf("energy %v J, want %v", v, joules)
	}
	if v := one(`increase(gpu_energy_joules_total[10m])`); v != 0 {
		t.Errorf("increase of energy over a restart: %v J, want 0", v)
	}
	// The proof that zeros were taken in at all: counters of the exporter began in the process, and say so.
	const reads = `gpu_exporter_reads_total{result="ok",source="sysfs"}`
	if v := one(`min_over_time(` + reads + `[10m])`); v != 0 {
		t.Errorf("the least value of %s is %v: no zero was taken in, so that this test proves nothing", reads, v)
	}
	if v := one(`increase(` + reads + `[10m])`); v <= 0 {
		t.Errorf("increase of %s is %v, want more than 0", reads, v)
	}
}

// remarks are what promtool has to say of metrics.
func remarks(t *testing.T, metrics io.Reader) string {
	t.Helper()
	check := exec.Command(".tools/promtool", "check", "metrics")
	check.Stdin = metrics
	out, err := check.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v\n%s", err, out)
	}
	return string(out)
}

func TestLivePromtoolHasNoRemark(t *testing.T) {
	cases, _, err := hwcase.Find("../shared/fixtures/amd")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		tree, err := c.Tree(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if said := remarks(t, strings.NewReader(onceProm(t, tree))); said != "" {
			t.Errorf("%s: %s", c.Name, said)
		}
	}
	t.Logf("promtool has no remark on %d cases", len(cases))
	s := startServer(t, sharedCase(t, "mi300x-synthetic"), "--web.runtime-metrics", "--collector.simulation=on")
	answer, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if said := remarks(t, answer.Body); said != "" {
		t.Errorf("a server: %s", said)
	}
}
