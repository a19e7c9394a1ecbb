package compat

import (
	"runtime"
	"slices"
	"strconv"
	"time"

	"gpu_exporter/collector"
)

// The objects of the old service, with its keys, in its order (legacy-api.md 4 to 9). None of them has a null but
// last_update: what is not known is 0, or the word for it.

const service = `"service":"gpu-stats-service"`

// appendHealth appends the body of GET /health.
func appendHealth(dst []byte, s *collector.Snapshot, now time.Time) []byte {
	d := standard(s)
	detected := d != nil && d.Source != "simulation"
	dst = append(dst, `{"status":"healthy",`+service+`,"timestamp":`...)
	dst = appendFloatUnix(dst, now)
	dst = append(dst, `,"gpu_detected":`...)
	dst = strconv.AppendBool(dst, detected)
	dst = append(dst, `,"monitoring_method":`...)
	dst = appendString(dst, methodOf(d))
	dst = append(dst, `,"gpu_available":`...)
	dst = strconv.AppendBool(dst, detected)
	return append(dst, '}')
}

// appendIndex appends the body of GET / for programs.
func appendIndex(dst []byte, s *collector.Snapshot, version, telemetryPath string) []byte {
	dst = append(dst, `{`+service+`,"version":`...)
	dst = appendString(dst, version)
	dst = append(dst, `,"gpu_vendor":`...)
	dst = appendString(dst, gpuTypeOf(standard(s)))
	dst = append(dst, `,"status":"healthy","endpoints":{`...)
	for _, p := range [...]string{"/health", "/gpu/info", "/gpu/stats", "/gpu/history", "/gpu/temperature", "/gpu/memory",
		"/gpu/utilization", "/ws/gpu-stats", "/gpus", "/ws/gpus"} {
		dst = append(appendString(appendKey(dst, p[1:]), p), ',')
	}
	dst = append(dst, `"metrics":`...)
	dst = appendString(dst, telemetryPath)
	return append(dst, `,"docs":"/docs","openapi":"/openapi.json"}}`...)
}

// appendInfo appends the body of GET /gpu/info about d, nil where there is no GPU. total is its last known memory_total.
func appendInfo(dst []byte, s *collector.Snapshot, d *collector.Status, total collector.Value) []byte {
	dst = append(dst, `{"gpu_info":{"name":`...)
	dst = appendString(dst, nameOf(d))
	dst = append(dst, `,"memory_total":`...)
	if d != nil {
		if v := ValuesOf(d)[MemoryTotal]; v.OK {
			total = v
		}
	}
	dst = strconv.AppendInt(dst, int64(round(total.V, 1)), 10)
	dst = append(dst, `,"driver_version":`...)
	dst = appendString(dst, driverVersionOf(d))
	dst = append(dst, `,"gpu_type":`...)
	dst = appendString(dst, gpuTypeOf(d))
	dst = append(dst, `,"monitoring_method":`...)
	dst = appendString(dst, methodOf(d))
	dst = append(dst, `},"platform":`...)
	dst = appendString(dst, platform(runtime.GOOS))
	dst = append(dst, `,"last_update":`...)
	if d == nil || d.At.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = appendFloatUnix(dst, d.At)
	}
	dst = append(dst, `,"capabilities":{"nvml_available":`...)
	nvml := s != nil && slices.ContainsFunc(s.Devices, func(d collector.Status) bool { return d.Source == "nvml" })
	dst = strconv.AppendBool(dst, nvml)
	return append(dst, `,"gputil_available":false,"distro_available":false}}`...)
}

// A stats is what /gpu/stats and its parts show of one GPU.
type stats struct {
	device *collector.Status
	values Values
	at     time.Time
}

// statsOf looks at d, nil where there is no GPU, at now. total is its last known memory_total. It is not ok where there is
// nothing to show: no GPU, one that is lost, one whose readings have all failed.
func statsOf(d *collector.Status, total collector.Value, now time.Time) (shown stats, ok bool) {
	asleep := d != nil && d.State == collector.StateAsleep
	if d == nil || !d.Up || d.At.IsZero() && !asleep {
		return stats{}, false
	}
	s := stats{d, ValuesOf(d), d.At}
	if len(d.Samples) == 0 { // asleep, or left alone so that it can fall asleep
		s.values[MemoryTotal] = total
	}
	if asleep {
		s.at = now
	}
	return s, true
}

// append appends the body of GET /gpu/stats.
func (s stats) append(dst []byte) []byte {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, nameOf(s.device))
	dst = append(dst, ',')
	for i := range columns {
		dst = s.appendValue(dst, i)
	}
	dst = append(dst, `"driver_version":`...)
	dst = appendString(dst, driverVersionOf(s.device))
	dst = append(dst, ',')
	dst = s.appendTimestamp(dst)
	dst = append(dst, ',')
	dst = s.appendStatus(dst)
	dst = append(dst, `"gpu_type":`...)
	dst = appendString(dst, gpuTypeOf(s.device))
	dst = append(dst, `,"monitoring_method":`...)
	dst = appendString(dst, methodOf(s.device))
	return append(dst, '}')
}

// The parts of the stats, each an object of its own.

func (s stats) appendTemperature(dst []byte) []byte {
	dst = s.appendStatus(s.appendValue(append(dst, '{'), Temperature))
	return append(s.appendTimestamp(dst), '}')
}

func (s stats) appendMemory(dst []byte) []byte {
	dst = append(dst, '{')
	for _, i := range [...]int{MemoryUsed, MemoryTotal, MemoryUtilization} {
		dst = s.appendValue(dst, i)
	}
	return append(s.appendTimestamp(dst), '}')
}

func (s stats) appendUtilization(dst []byte) []byte {
	dst = s.appendValue(append(dst, '{'), Utilization)
	return append(s.appendTimestamp(dst), '}')
}

func (s stats) appendValue(dst []byte, i int) []byte {
	dst = appendKey(dst, columns[i].key)
	if columns[i].whole {
		dst = strconv.AppendInt(dst, int64(s.values[i].V), 10)
	} else {
		dst = appendFloat(dst, s.values[i].V)
	}
	return append(dst, ',')
}

// warmFrom is the temperature from which on the status is a warning, as the number that is shown with it has it.
const warmFrom = 85

func (s stats) appendStatus(dst []byte) []byte {
	if s.values[Temperature].V < warmFrom {
		return append(dst, `"status":"healthy",`...)
	}
	return append(dst, `"status":"warning",`...)
}

func (s stats) appendTimestamp(dst []byte) []byte {
	return appendFloatUnix(append(dst, `"timestamp":`...), s.at)
}

// appendFloat appends a rounded number so that Python reads a float.
func appendFloat(dst []byte, v float64) []byte { return strconv.AppendFloat(dst, v, 'f', 1, 64) }

// appendFloatUnix appends t as Unix seconds with six decimals.
func appendFloatUnix(dst []byte, t time.Time) []byte {
	micros := max(t.UnixMicro(), 0)
	dst = strconv.AppendInt(dst, micros/1e6, 10)
	point := len(dst)
	dst = strconv.AppendInt(dst, 1e6+micros%1e6, 10) // a digit too many, for the zeros
	dst[point] = '.'
	return dst
}

// standard is the default GPU, nil where there is none.
func standard(s *collector.Snapshot) *collector.Status {
	if s == nil || s.Default < 0 {
		return nil
	}
	return &s.Devices[s.Default]
}

func nameOf(d *collector.Status) string {
	if d == nil || d.Name == "" {
		return "Unknown GPU"
	}
	return d.Name
}

func driverVersionOf(d *collector.Status) string {
	if d == nil || d.DriverVersion == "" {
		return "Unknown"
	}
	return d.DriverVersion
}

func methodOf(d *collector.Status) string {
	if d == nil || d.Source == "" {
		return "unknown"
	}
	return d.Source
}

// gpuTypeOf is the vendor in the vocabulary of the old service.
func gpuTypeOf(d *collector.Status) string {
	if d != nil && slices.Contains([]string{"amd", "nvidia", "apple", "intel"}, d.Vendor) {
		return d.Vendor
	}
	return "unknown"
}

// platform is what the operating system calls itself.
func platform(goos string) string {
	switch goos {
	case "linux":
		return "Linux"
	case "windows":
		return "Windows"
	case "darwin":
		return "Darwin"
	}
	return goos
}
