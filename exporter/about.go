package exporter

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// About is what other rooms tell of themselves.
type About struct {
	WebSocketClients             func() int
	HistoryEntries, HistoryBytes func() int // in memory
	DropReasons                  []string   // why a client of a WebSocket may be dropped
}

// Tell adds what other rooms tell to the metrics of the exporter. It is called once, before the first scrape.
func (s *Self) Tell(a About) {
	s.add(
		asked("websocket_clients", "Clients of the WebSockets.", a.WebSocketClients),
		asked("history_entries", "Entries of the history in memory.", a.HistoryEntries),
		asked("history_bytes", "Memory that the history takes.", a.HistoryBytes),
	)
	for _, reason := range a.DropReasons {
		s.dropped.with(reason)
	}
	s.add(s.dropped)
}

// Dropped counts a client of a WebSocket that was dropped or not taken.
func (s *Self) Dropped(reason string) { s.dropped.inc(reason) }

// asked is a family of one gauge that is asked for its value.
func asked(name, help string, value func() int) *vector {
	opts := prometheus.GaugeOpts{Name: "gpu_exporter_" + name, Help: help}
	v := &vector{name: opts.Name, help: help, kind: dto.MetricType_GAUGE, create: func(...string) prometheus.Metric {
		return prometheus.NewGaugeFunc(opts, func() float64 { return float64(value()) })
	}}
	v.with()
	return v
}
