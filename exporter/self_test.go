package exporter

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"gpu_exporter/collector"
)

// told is what self tells in text, by family names that begin with one of the prefixes.
func told(t *testing.T, self *Self, prefixes ...string) string {
	t.Helper()
	var b strings.Builder
	for _, f := range self.gather(nil, self.newFamilies()) {
		for _, p := range prefixes {
			if !strings.HasPrefix(f.GetName(), p) {
				continue
			}
			if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b.String()
}

func TestSelfFromTheStart(t *testing.T) {
	self := NewSelf(Options{}, "nvml", "sysfs")
	want := []string{
		`gpu_exporter_read_errors_total{kind="io",source="nvml"} 0`,
		`gpu_exporter_read_errors_total{kind="io",source="sysfs"} 0`,
		`gpu_exporter_read_errors_total{kind="malformed",source="nvml"} 0`,
		`gpu_exporter_read_errors_total{kind="malformed",source="sysfs"} 0`,
		`gpu_exporter_read_errors_total{kind="missing",source="nvml"} 0`,
		`gpu_exporter_read_errors_total{kind="missing",source="sysfs"} 0`,
		`gpu_exporter_read_errors_total{kind="permission",source="nvml"} 0`,
		`gpu_exporter_read_errors_total{kind="permission",source="sysfs"} 0`,
		`gpu_exporter_read_errors_total{kind="timeout",source="nvml"} 0`,
		`gpu_exporter_read_errors_total{kind="timeout",source="sysfs"} 0`,
		`gpu_exporter_reads_total{result="asleep",source="nvml"} 0`,
		`gpu_exporter_reads_total{result="asleep",source="sysfs"} 0`,
		`gpu_exporter_reads_total{result="error",source="nvml"} 0`,
		`gpu_exporter_reads_total{result="error",source="sysfs"} 0`,
		`gpu_exporter_reads_total{result="ok",source="nvml"} 0`,
		`gpu_exporter_reads_total{result="ok",source="sysfs"} 0`,
		`gpu_exporter_reads_total{result="partial",source="nvml"} 0`,
		`gpu_exporter_reads_total{result="partial",source="sysfs"} 0`,
		`gpu_exporter_reads_total{result="timeout",source="nvml"} 0`,
		`gpu_exporter_reads_total{result="timeout",source="sysfs"} 0`,
		`gpu_exporter_rescans_total{result="error"} 0`,
		`gpu_exporter_rescans_total{result="ok"} 0`,
		`gpu_exporter_scrapes_rejected_total 0`,
		`gpu_exporter_worker_restarts_total{reason="crash",source="nvml"} 0`,
		`gpu_exporter_worker_restarts_total{reason="crash",source="sysfs"} 0`,
		`gpu_exporter_worker_restarts_total{reason="driver_changed",source="nvml"} 0`,
		`gpu_exporter_worker_restarts_total{reason="driver_changed",source="sysfs"} 0`,
		`gpu_exporter_worker_restarts_total{reason="protocol",source="nvml"} 0`,
		`gpu_exporter_worker_restarts_total{reason="protocol",source="sysfs"} 0`,
		`gpu_exporter_worker_restarts_total{reason="sleep",source="nvml"} 0`,
		`gpu_exporter_worker_restarts_total{reason="sleep",source="sysfs"} 0`,
		`gpu_exporter_worker_restarts_total{reason="stuck",source="nvml"} 0`,
		`gpu_exporter_worker_restarts_total{reason="stuck",source="sysfs"} 0`,
		`gpu_exporter_worker_restarts_total{reason="timeout",source="nvml"} 0`,
		`gpu_exporter_worker_restarts_total{reason="timeout",source="sysfs"} 0`,
	}
	got := lines(told(t, self, "gpu_exporter_read_errors_total", "gpu_exporter_reads_total", "gpu_exporter_rescans_total",
		"gpu_exporter_scrapes_rejected_total", "gpu_exporter_worker_restarts_total",
		"gpu_exporter_rejected_readings_total", "gpu_exporter_http_requests_total"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	build := told(t, self, "gpu_exporter_build_info")
	for _, l := range []string{"version", "revision", "branch", "goversion", "goos", "goarch", "tags"} {
		if !strings.Contains(build, l+`="`) {
			t.Errorf("no %s in %s", l, build)
		}
	}
}

func TestSelfCounts(t *testing.T) {
	self := NewSelf(Options{}, "sysfs")
	for _, result := range collector.Results {
		self.Read("sysfs", result, 200*time.Microsecond)
	}
	self.Read("sysfs", collector.ResultTimeout, 2*time.Second)
	self.Read("late", collector.ResultOK, time.Minute) // a source that turned up later
	for _, kind := range collector.FailureKinds {
		self.Failed("sysfs", kind)
	}
	self.Failed("sysfs", "unheard")
	self.Rejected("sysfs", collector.Temperature)
	self.Rejected("sysfs", collector.Temperature)
	for _, reason := range collector.RestartReasons {
		self.Restarted("sysfs", reason)
	}
	self.Rescanned(true)
	self.Rescanned(true)
	self.Rescanned(false)
	values := numbers(t, told(t, self, "gpu_exporter_"))
	for series, want := range map[string]float64{
		`gpu_exporter_reads_total{result="ok",source="sysfs"}`:                                    1,
		`gpu_exporter_reads_total{result="partial",source="sysfs"}`:                               1,
		`gpu_exporter_reads_total{result="asleep",source="sysfs"}`:                                1,
		`gpu_exporter_reads_total{result="error",source="sysfs"}`:                                 1,
		`gpu_exporter_reads_total{result="timeout",source="sysfs"}`:                               2,
		`gpu_exporter_reads_total{result="ok",source="late"}`:                                     1,
		`gpu_exporter_reads_total{result="error",source="late"}`:                                  0,
		`gpu_exporter_read_errors_total{kind="permission",source="sysfs"}`:                        1,
		`gpu_exporter_read_errors_total{kind="timeout",source="sysfs"}`:                           1,
		`gpu_exporter_read_errors_total{kind="unheard",source="sysfs"}`:                           1,
		`gpu_exporter_rejected_readings_total{quantity="gpu_temperature_celsius",source="sysfs"}`: 2,
		`gpu_exporter_worker_restarts_total{reason="driver_changed",source="sysfs"}`:              1,
		`gpu_exporter_rescans_total{result="ok"}`:                                                 2,
		`gpu_exporter_rescans_total{result="error"}`:                                              1,
		`gpu_exporter_read_duration_seconds_bucket{source="sysfs",le="0.0001"}`:                   0,
		`gpu_exporter_read_duration_seconds_bucket{source="sysfs",le="0.0003"}`:                   5,
		`gpu_exporter_read_duration_seconds_bucket{source="sysfs",le="2"}`:                        6,
		`gpu_exporter_read_duration_seconds_bucket{source="late",le="10"}`:                        0,
		`gpu_exporter_read_duration_seconds_bucket{source="late",le="+Inf"}`:                      1,
		`gpu_exporter_read_duration_seconds_count{source="sysfs"}`:                                6,
	} {
		if got, ok := values[series]; !ok || got != want {
			t.Errorf("%s = %v (there: %v), want %v", series, got, ok, want)
		}
	}
	if len(durationBuckets) != 12 {
		t.Errorf("%d classic buckets, want 12", len(durationBuckets))
	}
}

func TestSelfLint(t *testing.T) {
	self := NewSelf(Options{RuntimeMetrics: true}, "sysfs")
	self.Rejected("sysfs", collector.Power)
	self.requests.inc("200", "/metrics")
	problems, err := testutil.GatherAndLint(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		return self.gather(nil, self.newFamilies()), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		// Those of Go and the process are not ours to name.
		if strings.HasPrefix(p.Metric, "gpu_exporter_") {
			t.Errorf("promlint: %s: %s", p.Metric, p.Text)
		}
	}
}

func TestRuntimeMetrics(t *testing.T) {
	for _, on := range []bool{false, true} {
		values := numbers(t, told(t, NewSelf(Options{RuntimeMetrics: on}), "go_", "process_"))
		if _, goroutines := values["go_goroutines"]; goroutines != on || len(values) > 0 != on {
			t.Errorf("runtime metrics %v: %d series", on, len(values))
		}
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	self := NewSelf(Options{}, "sysfs")
	self.Read("sysfs", collector.ResultOK, time.Millisecond)
	if n := testing.AllocsPerRun(100, func() {
		self.Read("sysfs", collector.ResultOK, time.Millisecond)
		self.Failed("sysfs", collector.IO)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// broken is a collector that cannot collect.
type broken struct{}

var brokenDesc = prometheus.NewDesc("broken", "Broken.", nil, nil)

func (broken) Describe(ch chan<- *prometheus.Desc) { ch <- brokenDesc }
func (broken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(brokenDesc, errors.New("broken"))
}

// A collector that breaks costs its own families and one log line, not the scrape.
func TestBrokenSelf(t *testing.T) {
	var log bytes.Buffer
	self := NewSelf(Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, "sysfs")
	self.registry.MustRegister(broken{})
	h := MetricsRoute(serving(cards(70)), self, Options{}).Handler
	scrape := func() {
		t.Helper()
		w := get(h, "/metrics")
		if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, "gpu_up") ||
			!strings.Contains(body, "gpu_exporter_reads_total") {
			t.Errorf("%d %s", w.Code, body)
		}
	}
	scrape()
	scrape()
	self.registry.Unregister(broken{})
	scrape()
	scrape()
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d log lines, want 2: %s", n, log.String())
	}
}
