package exporter

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// About is what other rooms tell of themselves.
type About struct {
	WebSocketClients             func() int
	HistoryEntries, HistoryBytes func() int // in memory
	HistoryWriteErrors           func() uint64
	DropReasons                  []string // why a client of a WebSocket may be dropped
}

// Tell adds what other rooms tell to the metrics of the exporter. It is called once, before the first scrape.
func (s *Self) Tell(a About) {
	s.add(
		asked("websocket_clients", "Clients of the WebSockets.", gauge, a.WebSocketClients),
		asked("history_entries", "Entries of the history in memory.", gauge, a.HistoryEntries),
		asked("history_bytes", "Memory that the history takes.", gauge, a.HistoryBytes),
		asked("history_write_errors_total", "Times that the file of the history could not be opened or written.", counter, a.HistoryWriteErrors),
	)
	for _, reason := range a.DropReasons {
		s.dropped.with(reason)
	}
	s.add(s.dropped)
}

// Dropped counts a client of a WebSocket that was dropped or not taken.
func (s *Self) Dropped(reason string) { s.dropped.inc(reason) }

const (
	gauge   = dto.MetricType_GAUGE
	counter = dto.MetricType_COUNTER
)

// asked is a family of one gauge or counter that is asked for its value.
func asked[T int | uint64](name, help string, kind dto.MetricType, value func() T) *vector {
	name = "gpu_exporter_" + name
	read := func() float64 { return float64(value()) }
	v := &vector{name: name, help: help, kind: kind, create: func(...string) prometheus.Metric {
		if kind == counter {
			return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read)
		}
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
	}}
	v.with()
	return v
}
