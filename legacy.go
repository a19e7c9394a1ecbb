package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/common/version"

	"gpu_exporter/collector"
	"gpu_exporter/compat"
	"gpu_exporter/dashboards/panel"
	"gpu_exporter/exporter"
)

// front puts the routes of all rooms together.
func front(routes []exporter.Route, origin string, self *exporter.Self, log *slog.Logger) (http.Handler, error) {
	var all []compat.Route
	var patterns []string
	for _, r := range routes {
		all = append(all, compat.Route(r))
		patterns = append(patterns, r.Pattern)
	}
	log.Debug("serving", "routes", strings.Join(patterns, ","))
	return compat.Front(all, compat.FrontOptions{Origin: origin, Count: self.CountRequests, Log: log})
}

// panel is what a browser sees at /, and programs as JSON. CORS is for pages that are framed without an origin: scripts and
// fonts are fetched as from another one there.
func (o *options) panel(api *compat.API) []exporter.Route {
	page := panel.Page(panel.Options{
		TelemetryPath: o.telemetryPath, GrafanaURL: o.grafanaURL, FrameAncestors: o.frameAncestors, Version: version.Version,
	})
	readOnly := []string{http.MethodGet, http.MethodHead}
	return []exporter.Route{
		{Pattern: "/", Methods: readOnly, Handler: api.Home(page), CORS: true},
		{Pattern: panel.AssetsPattern, Methods: readOnly, Handler: panel.Assets(), CORS: true},
	}
}

// record makes history of each snapshot until ctx is done. It does nothing but append to memory, so that it misses none.
func record(ctx context.Context, poller *collector.Poller, api *compat.API, log *slog.Logger) {
	snapshots := poller.Subscribe(ctx)
	go func() {
		failing := false
		for s := range snapshots {
			switch err := api.Record(s); {
			case err != nil && !failing:
				log.Error("the history is not recorded", "err", err)
				failing = true
			case err == nil && failing:
				log.Info("the history is recorded again")
				failing = false
			}
		}
	}()
}

// past is a store of the history that tells of itself.
type past interface {
	compat.Store
	Size() (entries, bytes int)
	WriteErrors() uint64
}

// unwritten is a past that nobody writes.
type unwritten struct{ *compat.Memory }

func (unwritten) WriteErrors() uint64 { return 0 }

// openHistory makes the store of the history. It is never too late for the file of one: that is opened meanwhile.
func (o *options) openHistory(log *slog.Logger) (history past, stop func(context.Context)) {
	folder := o.historyFolder()
	if o.history.store == storeFile && folder == "" {
		log.Warn("the history is not written: only the last hour is kept, in memory", "err", "no folder for it is known",
			"fix", "name one by --history.path, or say --history.store=memory")
	}
	if o.history.store == storeMemory || folder == "" {
		return unwritten{compat.NewMemory()}, func(context.Context) {}
	}
	file := compat.NewFile(compat.FileOptions{Path: folder, Retention: o.history.retention, Flush: o.history.flush, Log: log})
	return file, func(ctx context.Context) {
		if err := file.Close(ctx); err != nil {
			log.Warn("the end of the history is not written", "err", err)
		}
	}
}

// about is what compat tells of itself in the metrics.
func about(hub *compat.Hub, history past) exporter.About {
	a := exporter.About{
		WebSocketClients:   hub.Clients,
		HistoryEntries:     func() int { n, _ := history.Size(); return n },
		HistoryBytes:       func() int { _, n := history.Size(); return n },
		HistoryWriteErrors: history.WriteErrors,
	}
	for _, d := range compat.Drops {
		a.DropReasons = append(a.DropReasons, string(d))
	}
	return a
}
