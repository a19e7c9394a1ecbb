package compat

import (
	"maps"
	"slices"
	"strconv"

	"gpu_exporter/collector"
)

// A field is one key of an entry and the quantity that fills it.
type field struct {
	key string
	q   collector.QuantityID
}

// A section is an object of entries by the first label of its quantities: sensor, memory, domain, clock.
type section struct {
	key    string
	fields []field
	limits field // an object by the second label; none where the key is empty
}

// The sections of a GPU, in order; the keys of an entry too.
var sections = [...]section{
	{
		key:    "sensors",
		fields: []field{{"celsius", collector.Temperature}},
		limits: field{"limits_celsius", collector.TemperatureLimit},
	}, {
		key: "memory",
		fields: []field{
			{"used_bytes", collector.MemoryUsed}, {"total_bytes", collector.MemoryTotal}, {"reserved_bytes", collector.MemoryReserved},
		},
	}, {
		key: "power",
		fields: []field{
			{"watts", collector.Power}, {"average_watts", collector.PowerAverage}, {"energy_joules", collector.Energy},
		},
		limits: field{"limits_watts", collector.PowerLimit},
	}, {
		key:    "clocks",
		fields: []field{{"hertz", collector.Clock}},
		limits: field{"limits_hertz", collector.ClockLimit},
	},
}

var fanFields = []field{
	{"rpm", collector.FanSpeed}, {"duty_ratio", collector.FanDuty}, {"min_rpm", collector.FanMin}, {"max_rpm", collector.FanMax},
	{"target_rpm", collector.FanTarget},
}

var pcieFields = []field{
	{"width", collector.LinkWidth}, {"max_width", collector.LinkMaxWidth}, {"transfers_per_second", collector.LinkSpeed},
	{"max_transfers_per_second", collector.LinkMaxSpeed},
}

// An entry is what was read of one sensor, memory, domain, clock or fan.
type entry struct {
	values map[collector.QuantityID]float64
	limits map[string]float64
}

func (e *entry) value(q collector.QuantityID) collector.Value {
	v, ok := e.values[q]
	return collector.Value{V: v, OK: ok}
}

// entries gathers the samples of the fields, and those of the limits, by their first label.
func entries(samples []collector.Sample, fields []field, limits field) map[string]*entry {
	all := map[string]*entry{}
	of := func(name string) *entry {
		if all[name] == nil {
			all[name] = &entry{values: map[collector.QuantityID]float64{}, limits: map[string]float64{}}
		}
		return all[name]
	}
	for _, s := range samples {
		switch {
		case !finite(s.V):
		case limits.key != "" && s.S.Q == limits.q:
			of(s.S.Values[0]).limits[s.S.Values[1]] = s.V
		case slices.ContainsFunc(fields, func(f field) bool { return f.q == s.S.Q }):
			of(s.S.Values[0]).values[s.S.Q] = s.V
		}
	}
	return all
}

// append appends the section with its key. Only what was read stands in it.
func (sec *section) append(dst []byte, samples []collector.Sample) []byte {
	dst = appendKey(dst, sec.key)
	dst = append(dst, '{')
	all := entries(samples, sec.fields, sec.limits)
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendKey(dst, name)
		dst = append(dst, '{')
		e := all[name]
		dst = appendFields(dst, sec.fields, e.value)
		dst = appendLimits(dst, sec.limits.key, e)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendFans appends the fans in the order of their numbers, which count from 1 (metrics.md rule 4).
func appendFans(dst []byte, samples []collector.Sample) []byte {
	all := map[int]*entry{}
	for name, e := range entries(samples, fanFields, field{}) {
		if n, err := strconv.Atoi(name); err == nil {
			all[n] = e
		}
	}
	dst = append(dst, '[')
	for i, n := range slices.Sorted(maps.Keys(all)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"fan":`...)
		dst = strconv.AppendInt(dst, int64(n), 10)
		dst = append(dst, ',')
		dst = appendFields(dst, fanFields, all[n].value)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendFields appends the fields that have a value, with commas between them.
func appendFields(dst []byte, fields []field, value func(collector.QuantityID) collector.Value) []byte {
	first := true
	for _, f := range fields {
		v := value(f.q)
		if !v.OK {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendKey(dst, f.key)
		dst = appendNumber(dst, v.V)
	}
	return dst
}

// appendLimits appends the object of limits where there are any.
func appendLimits(dst []byte, key string, e *entry) []byte {
	if len(e.limits) == 0 {
		return dst
	}
	if len(e.values) > 0 {
		dst = append(dst, ',')
	}
	dst = appendKey(dst, key)
	dst = append(dst, '{')
	for i, limit := range slices.Sorted(maps.Keys(e.limits)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendKey(dst, limit)
		dst = appendNumber(dst, e.limits[limit])
	}
	return append(dst, '}')
}

// appendKey appends a key and its colon.
func appendKey(dst []byte, key string) []byte { return append(appendString(dst, key), ':') }
