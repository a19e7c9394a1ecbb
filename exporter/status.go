package exporter

import (
	"strconv"

	dto "github.com/prometheus/client_model/go"

	"gpu_exporter/collector"
)

// statuses are the ready-made metrics of a set that come from what is known of a GPU itself, not from its samples. Two
// families of the exporter about itself are among them, so that they tell of the snapshot that stands beside them.
type statuses struct {
	devices  *dto.MetricFamily
	readings *dto.MetricFamily

	gpus    map[string]*gpuMetrics
	origins map[origin]metric
	seen    int // GPUs in the last snapshot
}

// gpuMetrics are those of one GPU as long as its identity stays the same.
type gpuMetrics struct {
	id    collector.Info
	index int

	info, up, states []*dto.Metric // ready to be appended to their families
	isUp, read       metric
	is               [len(collector.States)]metric
}

// origin is what gpu_exporter_devices counts by.
type origin struct{ vendor, source string }

func newStatuses() statuses {
	return statuses{
		devices: newFamily("gpu_exporter_devices", "GPUs that were found.", dto.MetricType_GAUGE),
		readings: newFamily("gpu_exporter_reading_timestamp_seconds",
			"Time of the reading that is served, or of the last look at a GPU that is asleep.", dto.MetricType_GAUGE),
		gpus:    map[string]*gpuMetrics{},
		origins: map[origin]metric{},
	}
}

func (s *statuses) reset() {
	for _, m := range s.devices.Metric {
		*m.Gauge.Value = 0
	}
	s.devices.Metric, s.readings.Metric = s.devices.Metric[:0], s.readings.Metric[:0]
	s.seen = 0
}

// of returns the metrics of d with their numbers put in place, and counts it among the devices.
func (s *statuses) of(d *collector.Status) *gpuMetrics {
	g := s.gpus[d.GPU]
	if g == nil || g.id != d.Info || g.index != d.Index {
		g = newGPU(d)
		s.gpus[d.GPU] = g
	}
	*g.isUp.value = number(d.Up)
	for i, m := range g.is {
		*m.value = number(collector.State(i) == d.State)
	}
	if !d.At.IsZero() {
		*g.read.value = float64(d.At.UnixMicro()) / 1e6
		s.readings.Metric = append(s.readings.Metric, g.read.Metric)
	}
	s.count(origin{d.Vendor, d.Source})
	return g
}

func (s *statuses) count(from origin) {
	s.seen++
	m, known := s.origins[from]
	if !known {
		var labels []*dto.LabelPair
		for _, l := range [...][2]string{{"vendor", from.vendor}, {"source", from.source}} {
			if l[1] != "" {
				labels = append(labels, label(l[0], l[1]))
			}
		}
		m = newGauge(labels)
		s.origins[from] = m
	}
	if *m.value == 0 {
		s.devices.Metric = append(s.devices.Metric, m.Metric)
	}
	*m.value++
}

func (s *statuses) worn() bool { return len(s.gpus) > 2*s.seen+slack }

func newGPU(d *collector.Status) *gpuMetrics {
	g := &gpuMetrics{id: d.Info, index: d.Index}
	// In the order of the labels of gpu_info.
	info := newGauge(gpuLabels(d.GPU, collector.Quantities[collector.GPUInfo].Labels, []string{
		strconv.Itoa(d.Index), d.Vendor, d.Name, d.Type, d.UUID, d.PCIID, d.Driver, d.DriverVersion, d.VBIOS, d.Source,
	}))
	*info.value = 1
	g.isUp, g.read = newGauge(gpuLabels(d.GPU, nil, nil)), newGauge(gpuLabels(d.GPU, nil, nil))
	g.info, g.up = []*dto.Metric{info.Metric}, []*dto.Metric{g.isUp.Metric}
	for i, state := range collector.States {
		g.is[i] = newGauge(gpuLabels(d.GPU, collector.Quantities[collector.GPUState].Labels, []string{state.String()}))
		g.states = append(g.states, g.is[i].Metric)
	}
	return g
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
