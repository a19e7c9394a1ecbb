package exporter

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	dto "github.com/prometheus/client_model/go"

	"gpu_exporter/collector"
)

// durationBuckets are those of the classic histogram. 2 s is the default deadline of a read.
var durationBuckets = []float64{0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 2, 5, 10}

// Self counts what the exporter does. It is the Observer of the Poller. What it tells of the snapshot that is served
// (devices, time of the reading) stands in the family sets.
type Self struct {
	registry *prometheus.Registry
	log      *slog.Logger
	failing  atomic.Bool // the last gathering had an error

	reads           *prometheus.CounterVec
	durations       *prometheus.HistogramVec
	errors          *prometheus.CounterVec
	rejected        *prometheus.CounterVec
	rescans         *prometheus.CounterVec
	restarts        *prometheus.CounterVec
	scrapesRejected prometheus.Counter
	requests        *prometheus.CounterVec

	mu      sync.Mutex // guards sources
	sources map[string]*sourceMetrics
}

var _ collector.Observer = (*Self)(nil)

// NewSelf returns a Self whose counters stand at 0 for the sources that are on. One that turns up later begins with its
// first event.
func NewSelf(o Options, sources ...string) *Self {
	s := &Self{
		registry: prometheus.NewRegistry(),
		log:      o.Log,
		reads:    counters("reads_total", "Reads by how they ended, one per GPU and cycle.", "source", "result"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "gpu_exporter_read_duration_seconds",
			Help:                            "Duration of the reads of a GPU.",
			Buckets:                         durationBuckets,
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"source"}),
		errors:   counters("read_errors_total", "Parts of readings that could not be had.", "source", "kind"),
		rejected: counters("rejected_readings_total", "Values outside the bounds of physics.", "source", "quantity"),
		rescans:  counters("rescans_total", "Searches for GPUs by how they ended.", "result"),
		restarts: counters("worker_restarts_total", "Child processes and workers that were replaced.", "source", "reason"),
		scrapesRejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gpu_exporter_scrapes_rejected_total",
			Help: "Scrapes that were refused since too many ran at once.",
		}),
		requests: counters("http_requests_total", "HTTP requests by route and status code.", "route", "code"),
		sources:  map[string]*sourceMetrics{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.registry.MustRegister(s.reads, s.durations, s.errors, s.rejected, s.rescans, s.restarts, s.scrapesRejected,
		s.requests, versioncollector.NewCollector("gpu_exporter"))
	if o.RuntimeMetrics {
		s.registry.MustRegister(collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	for _, result := range []string{"ok", "error"} {
		s.rescans.WithLabelValues(result)
	}
	for _, source := range sources {
		s.of(source)
	}
	return s
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gpu_exporter_" + name, Help: help}, labels)
}

// Read implements collector.Observer.
func (s *Self) Read(source string, result collector.Result, took time.Duration) {
	m := s.of(source)
	m.reads.inc(result)
	m.durations.Observe(took.Seconds())
}

// Failed implements collector.Observer.
func (s *Self) Failed(source string, kind collector.FailureKind) { s.of(source).errors.inc(kind) }

// Rejected implements collector.Observer.
func (s *Self) Rejected(source string, q collector.QuantityID) {
	s.rejected.WithLabelValues(source, q.String()).Inc()
}

// Restarted implements collector.Observer.
func (s *Self) Restarted(source string, reason collector.RestartReason) {
	s.of(source).restarts.inc(reason)
}

// Rescanned implements collector.Observer.
func (s *Self) Rescanned(ok bool) {
	result := "error"
	if ok {
		result = "ok"
	}
	s.rescans.WithLabelValues(result).Inc()
}

// gather returns what was counted. An error costs the families that it concerns, not the scrape.
func (s *Self) gather() []*dto.MetricFamily {
	families, err := s.registry.Gather()
	switch was := s.failing.Swap(err != nil); {
	case err != nil && !was:
		s.log.Error("own metrics are incomplete", "err", err)
	case err == nil && was:
		s.log.Info("own metrics are complete again")
	}
	return families
}

// sourceMetrics are the children of one source, looked up once.
type sourceMetrics struct {
	reads     children[collector.Result]
	errors    children[collector.FailureKind]
	restarts  children[collector.RestartReason]
	durations prometheus.Observer
}

func (s *Self) of(source string) *sourceMetrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.sources[source]
	if m == nil {
		m = &sourceMetrics{
			reads:     newChildren(s.reads, source, collector.Results[:]),
			errors:    newChildren(s.errors, source, collector.FailureKinds[:]),
			restarts:  newChildren(s.restarts, source, collector.RestartReasons[:]),
			durations: s.durations.WithLabelValues(source),
		}
		s.sources[source] = m
	}
	return m
}

// children are the counters of one source by a label that has a fixed list of values.
type children[K ~string] struct {
	vec    *prometheus.CounterVec
	source string
	known  map[K]prometheus.Counter
}

func newChildren[K ~string](vec *prometheus.CounterVec, source string, keys []K) children[K] {
	c := children[K]{vec, source, map[K]prometheus.Counter{}}
	for _, k := range keys {
		c.known[k] = vec.WithLabelValues(source, string(k))
	}
	return c
}

// inc counts what is not in the list too: a wrong word in the metrics is better than a lost event.
func (c children[K]) inc(k K) {
	if counter := c.known[k]; counter != nil {
		counter.Inc()
		return
	}
	c.vec.WithLabelValues(c.source, string(k)).Inc()
}
