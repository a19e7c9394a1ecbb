package exporter

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// vector is one family of the exporter's own metrics: the children of a Vec of client_golang, in the order in which they
// are served. Through a Registry, which checks and sorts all of them anew in each scrape, they cost ten times as much
// (BenchmarkGatherSelf).
type vector struct {
	name, help string
	kind       dto.MetricType
	create     func(values ...string) prometheus.Metric

	mu       sync.Mutex // guards children
	children []child
}

type child struct {
	prometheus.Metric
	values []string // of its labels
}

// counters makes a family of counters. Its labels must be in the order of the alphabet, as they are served.
func counters(name, help string, labels ...string) *vector {
	opts := prometheus.CounterOpts{Name: "gpu_exporter_" + name, Help: help}
	vec := prometheus.NewCounterVec(opts, labels)
	return &vector{name: opts.Name, help: help, kind: dto.MetricType_COUNTER,
		create: func(values ...string) prometheus.Metric { return vec.WithLabelValues(values...) }}
}

// gauges makes a family of gauges.
func gauges(name, help string, labels ...string) *vector {
	opts := prometheus.GaugeOpts{Name: "gpu_exporter_" + name, Help: help}
	vec := prometheus.NewGaugeVec(opts, labels)
	return &vector{name: opts.Name, help: help, kind: dto.MetricType_GAUGE,
		create: func(values ...string) prometheus.Metric { return vec.WithLabelValues(values...) }}
}

// durations makes a family of histograms of seconds, classic and native in one.
func durations(name, help string, labels ...string) *vector {
	opts := prometheus.HistogramOpts{
		Name:                            "gpu_exporter_" + name,
		Help:                            help,
		Buckets:                         durationBuckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}
	vec := prometheus.NewHistogramVec(opts, labels)
	return &vector{name: opts.Name, help: help, kind: dto.MetricType_HISTOGRAM,
		create: func(values ...string) prometheus.Metric { return vec.WithLabelValues(values...).(prometheus.Metric) }}
}

// with returns the child with these label values, which is served from the first call on.
func (v *vector) with(values ...string) prometheus.Metric {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.children {
		if slices.Equal(c.values, values) {
			return c.Metric
		}
	}
	kept := slices.Clone(values) // values itself must not escape: counting allocates nothing
	c := child{v.create(kept...), kept}
	v.children = append(v.children, c)
	slices.SortFunc(v.children, func(a, b child) int { return slices.Compare(a.values, b.values) })
	return c.Metric
}

func (v *vector) inc(values ...string) { v.with(values...).(prometheus.Counter).Inc() }

func (v *vector) set(x float64, values ...string) { v.with(values...).(prometheus.Gauge).Set(x) }

func (v *vector) observe(took time.Duration, values ...string) {
	v.with(values...).(prometheus.Histogram).Observe(took.Seconds())
}

// write puts what was counted into f, which the caller alone may use. Children only ever become more.
func (v *vector) write(f *dto.MetricFamily) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, c := range v.children {
		if i == len(f.Metric) {
			f.Metric = append(f.Metric, &dto.Metric{})
		}
		_ = c.Write(f.Metric[i]) // they have no error
	}
}
