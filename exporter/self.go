package exporter

import (
	"log/slog"
	"slices"
	"strings"
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
	requests, durations, errors, reads, rejected, rescans, scrapesRejected, restarts, dropped *vector

	vectors  []*vector            // these and what others added, by name
	build    []*dto.MetricFamily  // gpu_exporter_build_info, which never changes
	registry *prometheus.Registry // what Go tells of the process
	failing  atomic.Bool          // the last gathering had an error
	log      *slog.Logger

	mu      sync.Mutex // guards sources
	sources map[string]bool
}

var _ collector.Observer = (*Self)(nil)

// NewSelf returns a Self whose counters stand at 0 for the sources that are on. One that turns up later begins with its
// first event.
func NewSelf(o Options, sources ...string) *Self {
	s := &Self{
		requests:        counters("http_requests_total", "HTTP requests by route and status code.", "code", "route"),
		durations:       durations("read_duration_seconds", "Duration of the reads of a GPU.", "source"),
		errors:          counters("read_errors_total", "Parts of readings that could not be had.", "kind", "source"),
		reads:           counters("reads_total", "Reads by how they ended, one per GPU and cycle.", "result", "source"),
		rejected:        counters("rejected_readings_total", "Values outside the bounds of physics.", "quantity", "source"),
		rescans:         counters("rescans_total", "Searches for GPUs by how they ended.", "result"),
		scrapesRejected: counters("scrapes_rejected_total", "Scrapes that were refused since too many ran at once."),
		dropped:         counters("websocket_dropped_total", "Clients of the WebSockets that were dropped or not taken.", "reason"),
		restarts:        counters("worker_restarts_total", "Child processes and workers that were replaced.", "reason", "source"),
		registry:        prometheus.NewRegistry(),
		log:             o.Log,
		sources:         map[string]bool{},
	}
	s.add(s.requests, s.durations, s.errors, s.reads, s.rejected, s.rescans, s.scrapesRejected, s.restarts)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	build := prometheus.NewRegistry()
	build.MustRegister(versioncollector.NewCollector("gpu_exporter"))
	s.build, _ = build.Gather() // an error only from collectors that break
	if o.RuntimeMetrics {
		s.registry.MustRegister(collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	s.scrapesRejected.with()
	for _, result := range []string{"ok", "error"} {
		s.rescans.with(result)
	}
	for _, source := range sources {
		s.begin(source)
	}
	return s
}

// add has more families served. It must not be called after the first scrape.
func (s *Self) add(vectors ...*vector) {
	s.vectors = append(s.vectors, vectors...)
	slices.SortFunc(s.vectors, func(a, b *vector) int { return strings.Compare(a.name, b.name) })
}

// begin has the counters of a source stand at 0 for all that may come of it.
func (s *Self) begin(source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sources[source] {
		return
	}
	s.sources[source] = true
	s.durations.with(source)
	for _, result := range collector.Results {
		s.reads.with(string(result), source)
	}
	for _, kind := range collector.FailureKinds {
		s.errors.with(string(kind), source)
	}
	for _, reason := range collector.RestartReasons {
		s.restarts.with(string(reason), source)
	}
}

// Read implements collector.Observer.
func (s *Self) Read(source string, result collector.Result, took time.Duration) {
	s.begin(source)
	s.reads.inc(string(result), source)
	s.durations.observe(took, source)
}

// Failed implements collector.Observer.
func (s *Self) Failed(source string, kind collector.FailureKind) {
	s.begin(source)
	s.errors.inc(string(kind), source)
}

// Rejected implements collector.Observer.
func (s *Self) Rejected(source string, q collector.QuantityID) { s.rejected.inc(q.String(), source) }

// Restarted implements collector.Observer.
func (s *Self) Restarted(source string, reason collector.RestartReason) {
	s.begin(source)
	s.restarts.inc(string(reason), source)
}

// Rescanned implements collector.Observer.
func (s *Self) Rescanned(ok bool) {
	result := "error"
	if ok {
		result = "ok"
	}
	s.rescans.inc(result)
}

// newFamilies makes what gather puts its numbers into: one for each that calls it at the same time.
func (s *Self) newFamilies() []*dto.MetricFamily {
	own := make([]*dto.MetricFamily, len(s.vectors))
	for i, v := range s.vectors {
		own[i] = newFamily(v.name, v.help, v.kind)
	}
	return own
}

// gather appends to dst what was counted, put into own, which newFamilies made, and what else the exporter tells of
// itself. An error costs the families that it concerns, not the scrape.
func (s *Self) gather(dst, own []*dto.MetricFamily) []*dto.MetricFamily {
	for i, v := range s.vectors {
		v.write(own[i])
	}
	dst = appendFilled(append(dst, s.build...), own...)
	runtime, err := s.registry.Gather()
	switch was := s.failing.Swap(err != nil); {
	case err != nil && !was:
		s.log.Error("own metrics are incomplete", "err", err)
	case err == nil && was:
		s.log.Info("own metrics are complete again")
	}
	return append(dst, runtime...)
}
