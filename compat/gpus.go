package compat

import (
	"slices"
	"strconv"
	"time"

	"gpu_exporter/collector"
)

// GPUs is the body of GET /gpus (legacy-api.md 15.2) about s, which is nil before the first cycle has ended, made at now.
func GPUs(s *collector.Snapshot, version string, now time.Time) []byte {
	return AppendGPUs(nil, s, version, now)
}

// AppendGPUs appends the body of GET /gpus to dst.
func AppendGPUs(dst []byte, s *collector.Snapshot, version string, now time.Time) []byte {
	dst = append(dst, `{"schema":1,"version":`...)
	dst = appendString(dst, version)
	dst = append(dst, `,"timestamp":`...)
	dst = appendUnix(dst, now)
	dst = append(dst, `,"gpus":[`...)
	if s != nil {
		for i := range s.Devices {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendGPU(dst, &s.Devices[i], now)
		}
	}
	return append(dst, ']', '}')
}

func appendGPU(dst []byte, d *collector.Status, now time.Time) []byte {
	dst = append(dst, `{"gpu":`...)
	dst = appendString(dst, d.GPU)
	dst = append(dst, `,"index":`...)
	dst = strconv.AppendInt(dst, int64(d.Index), 10)
	for _, label := range [...]struct{ key, value string }{
		{`,"name":`, d.Name}, {`,"vendor":`, d.Vendor}, {`,"type":`, d.Type}, {`,"uuid":`, d.UUID},
		{`,"pci_id":`, d.PCIID}, {`,"driver":`, d.Driver}, {`,"driver_version":`, d.DriverVersion},
		{`,"vbios":`, d.VBIOS}, {`,"source":`, d.Source},
	} {
		dst = append(dst, label.key...)
		dst = appendText(dst, label.value)
	}
	dst = append(dst, `,"simulated":`...)
	dst = strconv.AppendBool(dst, d.Source == "simulation")
	dst = append(dst, `,"state":`...)
	dst = appendString(dst, d.State.String())
	dst = append(dst, `,"up":`...)
	dst = strconv.AppendBool(dst, d.Up)
	dst = append(dst, `,"timestamp":`...)
	dst = appendUnix(dst, d.At)
	dst = append(dst, `,"age_seconds":`...)
	if d.At.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = appendSeconds(dst, max(now.Sub(d.At), 0))
	}
	dst = appendPrimary(dst, d)
	return appendReadings(dst, d.Samples)
}

func appendPrimary(dst []byte, d *collector.Status) []byte {
	dst = append(dst, `,"primary":{`...)
	values := ValuesOf(d)
	for i, v := range values {
		dst = appendKey(dst, columns[i].key)
		dst = appendValue(dst, v)
		dst = append(dst, ',')
	}
	dst = append(dst, `"driver_version":`...)
	dst = appendText(dst, d.DriverVersion)
	return append(dst, '}')
}

func appendReadings(dst []byte, samples []collector.Sample) []byte {
	for i := range sections {
		dst = append(dst, ',')
		dst = sections[i].append(dst, samples)
		if sections[i].key == "sensors" {
			dst = append(dst, `,"margin_celsius":`...)
			dst = appendValue(dst, only(samples, collector.TemperatureMargin))
		}
	}
	dst = append(dst, `,"fans":`...)
	dst = appendFans(dst, samples)
	dst = append(dst, `,"throttle":`...)
	dst = appendThrottle(dst, samples)
	dst = append(dst, `,"pcie":{`...)
	dst = appendFields(dst, pcieFields, func(q collector.QuantityID) collector.Value { return only(samples, q) })
	return append(dst, '}', '}')
}

// only is the value of a quantity that has one series a GPU.
func only(samples []collector.Sample, q collector.QuantityID) collector.Value {
	for _, s := range samples {
		if s.S.Q == q && finite(s.V) {
			return collector.Value{V: s.V, OK: true}
		}
	}
	return collector.Value{}
}

// appendThrottle appends the reasons that are active; null says that the source tells none at all.
func appendThrottle(dst []byte, samples []collector.Sample) []byte {
	var active []string
	told := false
	for _, s := range samples {
		if s.S.Q != collector.ThrottleActive {
			continue
		}
		told = true
		if s.V == 1 {
			active = append(active, s.S.Values[0])
		}
	}
	if !told {
		return append(dst, "null"...)
	}
	slices.Sort(active)
	dst = append(dst, '[')
	for i, reason := range active {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, reason)
	}
	return append(dst, ']')
}
