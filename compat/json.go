package compat

import (
	"strconv"
	"time"
	"unicode/utf8"

	"gpu_exporter/collector"
)

// Legacy clients compare bytes: key order, number forms and escapes are theirs (legacy-api.md 2), which encoding/json
// has no options for. The functions here append one JSON token each.

const hexDigits = "0123456789abcdef"

// appendString appends s as Python's json does without ensure_ascii: only what JSON demands is escaped, and bytes that
// are no UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, c := range s { // a broken byte comes as utf8.RuneError
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', byte(c))
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\b':
			dst = append(dst, `\b`...)
		case c == '\f':
			dst = append(dst, `\f`...)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = utf8.AppendRune(dst, c)
		}
	}
	return append(dst, '"')
}

// appendText appends s, or null where it is empty.
func appendText(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, s)
}

// appendNumber appends v, which is finite, in its shortest plain form.
func appendNumber(dst []byte, v float64) []byte { return strconv.AppendFloat(dst, v, 'f', -1, 64) }

// appendValue appends v, or null where it is not known.
func appendValue(dst []byte, v collector.Value) []byte {
	if !v.OK {
		return append(dst, "null"...)
	}
	return appendNumber(dst, v.V)
}

// appendSeconds appends a duration as seconds with at most three decimals; the rest is cut off.
func appendSeconds(dst []byte, d time.Duration) []byte {
	return appendNumber(dst, float64(d.Milliseconds())/1000)
}

// appendUnix appends t as Unix seconds with at most three decimals, or null where it is zero.
func appendUnix(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "null"...)
	}
	return appendNumber(dst, float64(t.UnixMilli())/1000)
}
