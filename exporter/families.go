package exporter

import (
	"math"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gpu_exporter/collector"
)

// slack is how many series that no snapshot has any more a set may know before it is given up. Plans are made anew
// rarely and a sleeping GPU has no samples, so that some are always idle.
const slack = 512

// set turns one snapshot at a time into metric families. It learns each series the first time that it comes and from
// then on only puts numbers in place: nothing is allocated while the series stay the same. Whoever has taken a set is
// its only user until he is done with its families.
type set struct {
	gpu   []*dto.MetricFamily // parts 2a to 2d of the last snapshot, in the order of the contract
	about []*dto.MetricFamily // those of the exporter's own families that tell of the snapshot

	families [len(collector.Quantities)]*dto.MetricFamily // nil: filtered out
	series   map[*collector.Series]metric
	used     int // samples of the last snapshot
	status   statuses
}

// metric is a ready-made metric and the place of its number.
type metric struct {
	*dto.Metric
	value *float64
}

func newSet(o *Options) *set {
	s := &set{series: map[*collector.Series]metric{}, status: newStatuses()}
	for id := range s.families {
		if !o.exported(collector.QuantityID(id)) {
			continue
		}
		q := &collector.Quantities[id]
		s.families[id] = newFamily(q.Name, q.Help, typeOf(q))
	}
	return s
}

// fill replaces the families by those of snap; nil leaves none.
func (s *set) fill(snap *collector.Snapshot) {
	for _, f := range s.families {
		if f != nil {
			f.Metric = f.Metric[:0]
		}
	}
	s.status.reset()
	s.used = 0
	if snap != nil {
		for i := range snap.Devices {
			s.add(&snap.Devices[i])
		}
	}
	s.gpu = appendFilled(s.gpu[:0], s.families[:]...)
	s.about = appendFilled(s.about[:0], s.status.devices, s.status.readings)
}

func (s *set) add(d *collector.Status) {
	g := s.status.of(d)
	for _, row := range [...]struct {
		id      collector.QuantityID
		metrics []*dto.Metric
	}{{collector.GPUInfo, g.info}, {collector.Up, g.up}, {collector.GPUState, g.states}} {
		f := s.families[row.id]
		f.Metric = append(f.Metric, row.metrics...)
	}
	for _, sample := range d.Samples {
		f := s.families[sample.S.Q]
		if f == nil {
			continue
		}
		m, known := s.series[sample.S]
		if !known {
			m = newSeries(d.GPU, sample.S)
			s.series[sample.S] = m
		}
		*m.value = sample.V
		f.Metric = append(f.Metric, m.Metric)
		s.used++
	}
}

// worn says that most of what s knows is gone: series of plans that were replaced, which are never seen again. It is
// cheaper to learn the rest once more than to keep book of each.
func (s *set) worn() bool { return len(s.series) > 2*s.used+slack || s.status.worn() }

func appendFilled(dst []*dto.MetricFamily, families ...*dto.MetricFamily) []*dto.MetricFamily {
	for _, f := range families {
		if f != nil && len(f.Metric) > 0 {
			dst = append(dst, f)
		}
	}
	return dst
}

func newFamily(name, help string, kind dto.MetricType) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Help: &help, Type: kind.Enum()}
}

func typeOf(q *collector.Quantity) dto.MetricType {
	if q.Kind == collector.Counter {
		return dto.MetricType_COUNTER
	}
	return dto.MetricType_GAUGE
}

func newSeries(gpu string, series *collector.Series) metric {
	q := &collector.Quantities[series.Q]
	labels := gpuLabels(gpu, q.Labels, series.Values)
	if q.Kind != collector.Counter {
		return newGauge(labels)
	}
	c := &dto.Counter{Value: new(float64)}
	// With a created timestamp Prometheus counts the whole value as an increase at each restart of the exporter, which
	// is right only for a counter that began in this process.
	if q.Epoch == collector.EpochProcess && series.Created != 0 {
		c.CreatedTimestamp = timestamppb.New(time.UnixMicro(int64(math.Round(series.Created * 1e6))))
	}
	return metric{&dto.Metric{Label: labels, Counter: c}, c.Value}
}

func newGauge(labels []*dto.LabelPair) metric {
	g := &dto.Gauge{Value: new(float64)}
	return metric{&dto.Metric{Label: labels, Gauge: g}, g.Value}
}

// gpuLabels leaves empty values out: to Prometheus they are the same as none.
func gpuLabels(gpu string, names, values []string) []*dto.LabelPair {
	labels := append(make([]*dto.LabelPair, 0, 1+len(names)), label("gpu", gpu))
	for i, name := range names {
		if values[i] != "" {
			labels = append(labels, label(name, values[i]))
		}
	}
	return labels
}

// label mends what is no UTF-8: Prometheus would refuse the whole scrape for the garbled name of one GPU.
func label(name, value string) *dto.LabelPair {
	value = strings.ToValidUTF8(value, "\uFFFD")
	return &dto.LabelPair{Name: &name, Value: &value}
}
