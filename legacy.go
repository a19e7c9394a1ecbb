package main

import (
	"context"
	"log/slog"
	"net/http"

	"gpu_exporter/collector"
	"gpu_exporter/compat"
	"gpu_exporter/exporter"
)

// front puts the routes of all rooms together.
func front(routes []exporter.Route, origin string, self *exporter.Self, log *slog.Logger) (http.Handler, error) {
	var all []compat.Route
	for _, r := range routes {
		all = append(all, compat.Route(r))
	}
	return compat.Front(all, compat.FrontOptions{Origin: origin, Count: self.CountRequests, Log: log})
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

// about is what compat tells of itself in the metrics.
func about(hub *compat.Hub, history *compat.Memory) exporter.About {
	a := exporter.About{
		WebSocketClients: hub.Clients,
		HistoryEntries:   func() int { n, _ := history.Size(); return n },
		HistoryBytes:     func() int { _, n := history.Size(); return n },
	}
	for _, d := range compat.Drops {
		a.DropReasons = append(a.DropReasons, string(d))
	}
	return a
}
