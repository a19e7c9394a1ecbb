package exporter

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// About is what other rooms tell of themselves.
type About struct {
	HistoryEntries, HistoryBytes func() int // in memory
}

// Tell adds what other rooms tell to the metrics of the exporter. It is called once, before the first scrape.
func (s *Self) Tell(a About) {
	s.add(
		asked("history_entries", "Entries of the history in memory.", a.HistoryEntries),
		asked("history_bytes", "Memory that the history takes.", a.HistoryBytes),
	)
}

// asked is a family of one gauge that is asked for its value.
func asked(name, help string, value func() int) *vector {
	opts := prometheus.GaugeOpts{Name: "gpu_exporter_" + name, Help: help}
	v := &vector{name: opts.Name, help: help, kind: dto.MetricType_GAUGE, create: func(...string) prometheus.Metric {
		return prometheus.NewGaugeFunc(opts, func() float64 { return float64(value()) })
	}}
	v.with()
	return v
}
