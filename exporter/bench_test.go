package exporter

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"gpu_exporter/collector"
)

// cards spread samples over eight cards at most, about 70 on each.
func cards(n int) *collector.Snapshot {
	count := min(max(n/70, 1), 8)
	var devices []collector.Status
	for i := range count {
		devices = append(devices, card(i, samples(n/count)...))
	}
	return snapshot(devices...)
}

func BenchmarkFill(b *testing.B) {
	for _, n := range []int{70, 600} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, snap := newSet(&Options{}), cards(n)
			b.ReportAllocs()
			for b.Loop() {
				s.fill(snap)
			}
		})
	}
}

// BenchmarkLearn is what a new set costs: after a new plan, or when scrapes overlap.
func BenchmarkLearn(b *testing.B) {
	for _, n := range []int{70, 600} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			snap := cards(n)
			b.ReportAllocs()
			for b.Loop() {
				newSet(&Options{}).fill(snap)
			}
		})
	}
}

func BenchmarkGatherSelf(b *testing.B) {
	for _, sources := range [][]string{{"sysfs"}, {"sysfs", "nvml", "nvidia-smi"}} {
		b.Run(fmt.Sprint(len(sources), "source"), func(b *testing.B) {
			self := NewSelf(Options{}, sources...)
			own := self.newFamilies()
			var all []*dto.MetricFamily
			b.ReportAllocs()
			for b.Loop() {
				all = self.gather(all[:0], own)
			}
		})
	}
}

func BenchmarkObserve(b *testing.B) {
	self := NewSelf(Options{}, "sysfs")
	b.ReportAllocs()
	for b.Loop() {
		self.Read("sysfs", collector.ResultOK, 1e6)
	}
}

func BenchmarkScrape(b *testing.B) {
	const (
		text     = "text/plain;version=0.0.4"
		metrics3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.2"
		protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	)
	for _, c := range []struct{ name, accept, encoding string }{
		{"text", text, "gzip"}, {"openmetrics", metrics3, "gzip"}, {"protobuf", protobuf, "gzip"}, {"plain", text, "identity"},
	} {
		for _, n := range []int{70, 600} {
			b.Run(fmt.Sprint(c.name, "/", n), func(b *testing.B) {
				self := NewSelf(Options{}, "sysfs")
				h := MetricsRoute(serving(cards(n)), self, Options{MaxRequests: DefaultMaxRequests}).Handler
				r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
				r.Header.Set("Accept", c.accept)
				r.Header.Set("Accept-Encoding", c.encoding)
				w := &sink{header: http.Header{}}
				b.ReportAllocs()
				for b.Loop() {
					clear(w.header)
					w.bytes = 0
					h.ServeHTTP(w, r)
				}
				b.ReportMetric(float64(w.bytes), "B/scrape")
			})
		}
	}
}

// sink is a ResponseWriter that keeps nothing: a recorder would grow its buffer anew in each round.
type sink struct {
	header http.Header
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Write(b []byte) (int, error) {
	s.bytes += len(b)
	return len(b), nil
}
