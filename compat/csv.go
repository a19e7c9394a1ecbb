package compat

import (
	"strconv"
	"strings"
	"time"

	"gpu_exporter/collector"
)

// AppendCSVHeader appends the header line of every CSV of the exporter (legacy-api.md 15.4).
func AppendCSVHeader(dst []byte) []byte {
	dst = append(dst, "timestamp,gpu,name,state,"...)
	for _, c := range columns {
		dst = append(append(dst, c.key...), ',')
	}
	return append(dst, "driver_version,monitoring_method\n"...)
}

// AppendCSV appends one line for each GPU of s, which is nil before the first cycle has ended.
func AppendCSV(dst []byte, s *collector.Snapshot) []byte {
	if s == nil {
		return dst
	}
	for i := range s.Devices {
		d := &s.Devices[i]
		dst = appendCSVRow(dst, d.At, d.Info, d.State, ValuesOf(d))
	}
	return dst
}

// appendCSVRow appends the line of one reading. Numbers are written as in the object primary of /gpus; what is not
// known is an empty field.
func appendCSVRow(dst []byte, at time.Time, who collector.Info, state collector.State, values Values) []byte {
	if !at.IsZero() {
		dst = strconv.AppendFloat(dst, float64(at.UnixMilli())/1000, 'f', 3, 64)
	}
	for _, text := range [...]string{who.GPU, who.Name, state.String()} {
		dst = appendCSVField(append(dst, ','), text)
	}
	for _, v := range values {
		dst = append(dst, ',')
		if v.OK {
			dst = appendNumber(dst, v.V)
		}
	}
	for _, text := range [...]string{who.DriverVersion, who.Source} {
		dst = appendCSVField(append(dst, ','), text)
	}
	return append(dst, '\n')
}

// appendCSVField quotes s where RFC 4180 demands it.
func appendCSVField(dst []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(s, `"`, `""`)...)
	return append(dst, '"')
}
