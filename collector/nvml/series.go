package nvml

import (
	"math"
	"strings"

	"gpu_exporter/collector"
)

// maxCounter is the largest float64 below 2^63, where the counters of the driver end.
var maxCounter = math.Nextafter(1<<63, 0)

// bounds are what physics and the driver allow (nvidia.md section 11), both ends allowed, in the unit of the quantity.
// What is not listed is a flag or an info: 0 or 1.
var bounds = map[collector.QuantityID][2]float64{
	collector.Utilization:              {0, 1},
	collector.EngineUtilization:        {0, 1},
	collector.PartitionUtilization:     {0, 1},
	collector.Activity:                 {0, 1},
	collector.Temperature:              {-40, 150},
	collector.TemperatureLimit:         {1, 150},
	collector.TemperatureMargin:        {-50, 150},
	collector.Power:                    {0, 3000},
	collector.PowerAverage:             {0, 3000},
	collector.PowerLimit:               {0, 3000},
	collector.Energy:                   {0, math.MaxFloat64},
	collector.Clock:                    {0, 20e9},
	collector.ClockLimit:               {0, 20e9},
	collector.FanDuty:                  {0, 1.5},
	collector.FanSpeed:                 {0, 30000},
	collector.Voltage:                  {math.SmallestNonzeroFloat64, 2},
	collector.MemoryTotal:              {1, 1 << 50},
	collector.MemoryUsed:               {0, 1 << 50},
	collector.MemoryReserved:           {0, 1 << 50},
	collector.PartitionMemoryTotal:     {1, 1 << 50},
	collector.PartitionMemoryUsed:      {0, 1 << 50},
	collector.PartitionMultiprocessors: {1, 1 << 16},
	collector.LinkWidth:                {1, 32},
	collector.LinkMaxWidth:             {1, 32},
	collector.LinkSpeed:                {2.5e9, 128e9},
	collector.LinkMaxSpeed:             {2.5e9, 128e9},
	collector.LinkRate:                 {0, 1e15},
	collector.PCIeThroughput:           {0, 256e9},
	collector.PCIeBytes:                {0, maxCounter},
	collector.PCIeReplays:              {0, maxCounter},
	collector.PCIeErrors:               {0, maxCounter},
	collector.LinkBytes:                {0, maxCounter},
	collector.LinkErrors:               {0, maxCounter},
	collector.ECCErrors:                {0, maxCounter},
	collector.ThrottleSeconds:          {0, maxCounter},
	collector.BadPages:                 {0, maxCounter},
	collector.RowRemaps:                {0, maxCounter},
	collector.RowRemapBanks:            {0, maxCounter},
	collector.PerformanceState:         {0, 31},
	collector.EncoderSessions:          {0, 1 << 20},
	collector.CaptureSessions:          {0, 1 << 20},
	collector.EncoderFPS:               {0, 1 << 20},
	collector.EncoderLatency:           {0, math.Nextafter(60, 0)},
}

// Bounds are those of a quantity, for who reads GPUs of NVIDIA by another way as well. ok is false for one that NVML does
// not tell, or tells as a flag.
func Bounds(q collector.QuantityID) (lo, hi float64, ok bool) {
	b, ok := bounds[q]
	return b[0], b[1], ok
}

// maxModuleWatts bounds CPU and GPU together.
const maxModuleWatts = 6000

// usedSlack is how much more than there is may be in use: nvidia-smi rounds to MiB.
const usedSlack = 1 << 20

// widths are the lanes that a PCIe link can have.
var widths = map[float64]bool{1: true, 2: true, 4: true, 8: true, 12: true, 16: true, 32: true}

// generations are the transfers per second of the PCIe generations.
var generations = map[float64]float64{1: 2.5e9, 2: 5e9, 3: 8e9, 4: 16e9, 5: 32e9, 6: 64e9, 7: 128e9}

// seriesSet makes the series of one GPU, each once.
type seriesSet map[string]*collector.Series

func (set seriesSet) of(q collector.QuantityID, values ...string) *collector.Series {
	key := q.String() + "\x00" + strings.Join(values, "\x00")
	s := set[key]
	if s == nil {
		s = &collector.Series{Q: q, Values: values, Max: 1}
		if b, ok := bounds[q]; ok {
			s.Min, s.Max = b[0], b[1]
		}
		if len(values) > 0 && values[0] == "module" {
			s.Max = maxModuleWatts
		}
		set[key] = s
	}
	return s
}

// info is an info series that is made anew when it says something else.
type info struct{ s *collector.Series }

func (i *info) add(r *collector.Reading, q collector.QuantityID, values ...string) {
	if i.s == nil || strings.Join(i.s.Values, "\x00") != strings.Join(values, "\x00") {
		i.s = &collector.Series{Q: q, Values: values, Max: 1}
	}
	r.Add(i.s, 1)
}

// addUsed adds what is in use of a memory, unless that is more than there is.
func addUsed(r *collector.Reading, total, used *collector.Series, v float64) {
	if all, ok := r.Value(total); ok && v > all+usedSlack {
		r.Reject(used)
		return
	}
	r.Add(used, v)
}

// addWidth adds the lanes of a PCIe link.
func addWidth(r *collector.Reading, s *collector.Series, v float64) {
	if !widths[v] {
		r.Reject(s)
		return
	}
	r.Add(s, v)
}

// addOneOf adds an enumeration: one series for each of all, and 1 for the one that is.
func addOneOf(r *collector.Reading, set seriesSet, q collector.QuantityID, all []string, is string) {
	for _, word := range all {
		v := 0.0
		if word == is {
			v = 1
		}
		r.Add(set.of(q, word), v)
	}
}
