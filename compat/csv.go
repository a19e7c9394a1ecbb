package compat

import (
	"strconv"
	"strings"

	"gpu_exporter/collector"
)

// AppendCSVHeader appends the header line of every CSV of the exporter (legacy-api.md 15.4).
func AppendCSVHeader(dst []byte) []byte { return appendCSVHeader(dst, false) }

// appendCSVHeader appends the header line. spread says that the least and the most follow each value.
func appendCSVHeader(dst []byte, spread bool) []byte {
	dst = append(dst, "timestamp,gpu,name,state,"...)
	for _, c := range columns {
		for _, f := range figuresOf(spread) {
			dst = append(dst, c.key...)
			dst = append(dst, f.suffix...)
			dst = append(dst, ',')
		}
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
		dst = appendCSVRow(dst, &d.Info, &row{at: d.At, state: d.State, values: ValuesOf(d)}, false)
	}
	return dst
}

// appendCSVRow appends the line of one reading or step. Numbers are written as in the object primary of /gpus; what is
// not known is an empty field.
func appendCSVRow(dst []byte, who *collector.Info, r *row, spread bool) []byte {
	if !r.at.IsZero() {
		dst = strconv.AppendFloat(dst, float64(r.at.UnixMilli())/1000, 'f', 3, 64)
	}
	for _, text := range [...]string{who.GPU, who.Name, r.state.String()} {
		dst = appendCSVField(append(dst, ','), text)
	}
	for i := range columns {
		for _, f := range figuresOf(spread) {
			dst = append(dst, ',')
			if v := f.of(r)[i]; v.OK {
				dst = appendNumber(dst, v.V)
			}
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
	for part := range strings.SplitAfterSeq(s, `"`) {
		dst = append(dst, part...)
		if strings.HasSuffix(part, `"`) {
			dst = append(dst, '"')
		}
	}
	return append(dst, '"')
}
