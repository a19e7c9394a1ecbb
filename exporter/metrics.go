package exporter

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"gpu_exporter/collector"
	"gpu_exporter/internal/accept"
)

const (
	timeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"
	// askerTimeout bounds a scrape by anybody who does not tell his timeout.
	askerTimeout = 10 * time.Second
	// idleSets is how many sets wait for the next scrape. More are in use only while so many scrapes overlap.
	idleSets = 4
)

// MetricsRoute serves the snapshots of source and what self counted, in every format that promhttp knows.
func MetricsRoute(source Source, self *Self, o Options) Route {
	h := &metricsHandler{source: source, self: self, o: o, idle: make(chan *scrape, idleSets)}
	if o.MaxRequests > 0 {
		h.slots = make(chan struct{}, o.MaxRequests)
	}
	return Route{Pattern: cmp.Or(o.TelemetryPath, DefaultTelemetryPath), Methods: readOnly, Handler: h}
}

type metricsHandler struct {
	source Source
	self   *Self
	o      Options
	slots  chan struct{} // one for each running scrape; nil: no limit
	idle   chan *scrape
}

func (h *metricsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.slots != nil {
		select {
		case h.slots <- struct{}{}:
			defer func() { <-h.slots }()
		default:
			h.self.scrapesRejected.inc()
			http.Error(w, fmt.Sprintf("more than %d scrapes at once (--web.max-requests): try again later",
				h.o.MaxRequests), http.StatusServiceUnavailable)
			return
		}
	}
	snap := h.fresh(r)
	s := h.take()
	defer h.give(s)
	s.fill(snap)
	s.serve(w, r)
}

// fresh asks for the snapshot in time for Prometheus to get the answer.
func (h *metricsHandler) fresh(r *http.Request) *collector.Snapshot {
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout(r.Header.Get(timeoutHeader), h.o.TimeoutOffset))
	defer cancel()
	return h.source.Fresh(ctx)
}

// scrapeTimeout is the timeout that Prometheus told less the offset, or all of it where the offset leaves nothing.
func scrapeTimeout(header string, offset time.Duration) time.Duration {
	seconds, err := strconv.ParseFloat(header, 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		return askerTimeout
	}
	told := time.Duration(min(seconds, time.Hour.Seconds()) * float64(time.Second))
	if told > offset {
		return told - offset
	}
	return told
}

// scrape is a set with a handler of its own: a Gatherer has no argument by which it could learn whose set to give.
type scrape struct {
	*set
	self    *Self
	own     []*dto.MetricFamily // of self.newFamilies
	all     []*dto.MetricFamily // of the last Gather
	handler http.Handler
	gz      *gzip.Writer
}

func (s *scrape) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept-Encoding")
	if !accept.Gzip(r.Header) {
		s.handler.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	s.gz.Reset(w)
	s.handler.ServeHTTP(packed{w, s.gz}, r)
	_ = s.gz.Close() // fails only where the client has gone
}

// Gather implements prometheus.TransactionalGatherer. The families stay as they are until the scrape is given back.
func (s *scrape) Gather() ([]*dto.MetricFamily, func(), error) {
	s.all = s.self.gather(append(append(s.all[:0], s.gpu...), s.about...), s.own)
	return s.all, func() {}, nil
}

func (h *metricsHandler) take() *scrape {
	select {
	case s := <-h.idle:
		return s
	default:
	}
	s := &scrape{set: newSet(&h.o), self: h.self, own: h.self.newFamilies()}
	s.gz, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // an error only for a level that does not exist
	// No created samples in OpenMetrics text: whoever does not know them stores each as one more series, which the
	// contract does not have. Protobuf has created timestamps in any case.
	s.handler = promhttp.HandlerForTransactional(s, promhttp.HandlerOpts{
		EnableOpenMetrics:  true,
		DisableCompression: true, // packed does it
	})
	return s
}

func (h *metricsHandler) give(s *scrape) {
	if s.worn() {
		return
	}
	select {
	case h.idle <- s:
	default: // enough of them wait
	}
}
