// Package served names what /metrics can serve, for the tests that hold alerts, texts and dashboards against it.
package served

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gpu_exporter/collector"
	"gpu_exporter/exporter"
)

// latest is a source of one snapshot.
type latest struct{ *collector.Snapshot }

func (l latest) Fresh(context.Context) *collector.Snapshot { return l.Snapshot }

// Names are the families of the contract, and those that the exporter tells of itself: all of them, since each has had an
// event. Of a histogram there is the name of its buckets too.
func Names(t testing.TB) (names []string) {
	t.Helper()
	for _, q := range collector.Quantities {
		names = append(names, q.Name)
	}
	self := exporter.NewSelf(exporter.Options{}, "sysfs")
	exporter.NewReloader(self, slog.New(slog.DiscardHandler))
	zero := func() int { return 0 }
	self.Tell(exporter.About{
		WebSocketClients: zero, HistoryEntries: zero, HistoryBytes: zero, HistoryWriteErrors: func() uint64 { return 0 },
		DropReasons: []string{"slow"},
	})
	self.Rejected("sysfs", collector.Temperature)
	self.Read("sysfs", collector.ResultOK, time.Millisecond)
	device := collector.Status{Info: collector.Info{GPU: "0000:03:00.0", Source: "sysfs"}, At: time.Unix(1, 0)}
	route := exporter.MetricsRoute(latest{&collector.Snapshot{Devices: []collector.Status{device}}}, self, exporter.Options{})
	handler := self.CountRequests(route.Pattern, route.Handler)
	request := httptest.NewRequest(http.MethodGet, route.Pattern, nil)
	handler.ServeHTTP(httptest.NewRecorder(), request) // is counted
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for name, family := range families {
		names = append(names, name)
		if len(family.Metric) > 0 && family.Metric[0].Histogram != nil {
			names = append(names, name+"_bucket")
		}
	}
	return names
}
