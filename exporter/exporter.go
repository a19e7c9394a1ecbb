// Package exporter turns snapshots into Prometheus families: /metrics, the text of `once`, and the exporter's metrics about
// itself. It knows no probe and nothing of the legacy API.
package exporter

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"gpu_exporter/collector"
)

// The defaults of the flags that fill Options.
const (
	DefaultTelemetryPath = "/metrics"
	DefaultMaxRequests   = 40
	DefaultTimeoutOffset = 250 * time.Millisecond
)

// Options say what is exported and how. The zero value exports everything but RuntimeMetrics, without any limit.
type Options struct {
	TelemetryPath    string         // of the metrics route; empty: the default
	Include, Exclude *regexp.Regexp // on names of GPU families (CompileFilter); nil: all, none
	MaxRequests      int            // concurrent scrapes; 0: any number
	TimeoutOffset    time.Duration  // kept back of the scrape timeout that Prometheus tells, for the answer to travel
	RuntimeMetrics   bool           // go_* and process_* too
	Log              *slog.Logger   // nil: silent
}

// Source has the snapshot to serve, by ctx at the latest; nil where there is none yet.
type Source interface {
	Fresh(ctx context.Context) *collector.Snapshot
}

var _ Source = (*collector.Poller)(nil)

// Route is one thing that the server answers. main puts the routes of all rooms together.
type Route struct {
	Pattern string   // of http.ServeMux, without a method
	Methods []string // that Handler answers; whoever puts routes together refuses the others. None: any
	Handler http.Handler
	CORS    bool // pages of other origins may read it
}

// readOnly are the methods of a route that only shows something.
var readOnly = []string{http.MethodGet, http.MethodHead}
