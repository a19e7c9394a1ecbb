package compat

import "strings"

// maxMinutes stands for every larger number: no recorded past is as long, and it is short enough for time.Duration.
const maxMinutes = 100_000_000

// defaultMinutes is what /gpu/history shows where nothing is said.
const defaultMinutes = 10

// parseMinutes reads an integer as pydantic 2.4 does (pydantic-core 2.10, src/input/shared.rs): Python's own int() is
// as liberal with underscores, but not with a decimal part. fault is empty where there is none.
func parseMinutes(s string) (minutes int64, fault string) {
	if len(s) > 4300 {
		return 0, faultSize
	}
	whole, fraction, point := strings.Cut(s, ".")
	switch {
	case point && strings.Trim(fraction, "0") == "": // 5.000, and 5. too
		s = whole
	case point:
		return 0, faultParsing
	case !strings.HasPrefix(s, "_") && !strings.HasSuffix(s, "_") && !strings.Contains(s, "__"):
		s = strings.ReplaceAll(s, "_", "")
	}
	minutes, ok := integer(s)
	if !ok {
		return 0, faultParsing
	}
	return minutes, ""
}

// integer reads a sign, where there is one, and ASCII digits.
func integer(s string) (n int64, ok bool) {
	digits, negative := strings.CutPrefix(s, "-")
	if !negative {
		digits = strings.TrimPrefix(s, "+")
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), maxMinutes)
	}
	if negative {
		n = -n
	}
	return n, digits != ""
}
