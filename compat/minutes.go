package compat

import "strings"

// maxMinutes stands for every larger number: no recorded past is as long, and it is short enough for time.Duration.
const maxMinutes = 100_000_000

// defaultMinutes is what /gpu/history shows where nothing is said.
const defaultMinutes = 10

// The faults that pydantic finds in a number, by their types, with their texts.
const (
	faultParsing = "int_parsing"
	faultSize    = "int_parsing_size"
)

var faultTexts = map[string]string{
	faultParsing: "Input should be a valid integer, unable to parse string as an integer",
	faultSize:    "Unable to parse input string as an integer, exceeded maximum size",
}

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

// appendFault appends the body of a 422: what is wrong with a query parameter.
func appendFault(dst []byte, parameter, fault, input string) []byte {
	dst = append(dst, `{"detail":[{"type":`...)
	dst = appendString(dst, fault)
	dst = append(dst, `,"loc":["query",`...)
	dst = appendString(dst, parameter)
	dst = append(dst, `],"msg":`...)
	dst = appendString(dst, faultTexts[fault])
	dst = append(dst, `,"input":`...)
	dst = appendString(dst, input)
	dst = append(dst, `,"url":`...)
	dst = appendString(dst, "https://errors.pydantic.dev/2.4/v/"+fault)
	return append(dst, `}]}`...)
}

// lastOf is the last value of a query parameter, as Python's parse_qsl has it: unlike url.ParseQuery it takes a semicolon
// and a lone percent sign for what they are.
func lastOf(query, parameter string) (value string, ok bool) {
	for pair := range strings.SplitSeq(query, "&") {
		if name, v, _ := strings.Cut(pair, "="); unescape(name) == parameter {
			value, ok = unescape(v), true
		}
	}
	return value, ok
}

func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			plain = append(plain, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			plain = append(plain, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			plain = append(plain, s[i])
		}
	}
	return string(plain)
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
