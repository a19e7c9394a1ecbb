package compat

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A fault is what is wrong with a query parameter: a type of pydantic, what was given, and where.
type fault struct{ kind, input, parameter string }

// The faults that are found, by the names of pydantic (pydantic-core, src/errors/types.rs).
const (
	faultParsing  = "int_parsing"
	faultSize     = "int_parsing_size"
	faultLiteral  = "literal_error"
	faultDatetime = "datetime_parsing"
	faultDelta    = "time_delta_parsing"
	faultShort    = "greater_than_equal"
	faultLong     = "less_than_equal"
)

// faultTexts are those of pydantic for the old parameter, and begin like its texts for the new ones.
var faultTexts = map[string]string{
	faultParsing:  "Input should be a valid integer, unable to parse string as an integer",
	faultSize:     "Unable to parse input string as an integer, exceeded maximum size",
	faultLiteral:  "Input should be 'csv' or 'json'",
	faultDatetime: "Input should be a valid datetime, in Unix seconds or as 2026-11-25T19:00:00Z",
	faultDelta:    "Input should be a valid timedelta, in seconds or as 1m30s",
	faultShort:    "Input should be greater than or equal to 1 second",
	faultLong:     "Input should be less than or equal to 30 days",
}

// appendFaults appends the body of a 422.
func appendFaults(dst []byte, faults []fault) []byte {
	dst = append(dst, `{"detail":[`...)
	for i, f := range faults {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"type":`...)
		dst = appendString(dst, f.kind)
		dst = append(dst, `,"loc":["query",`...)
		dst = appendString(dst, f.parameter)
		dst = append(dst, `],"msg":`...)
		dst = appendString(dst, faultTexts[f.kind])
		dst = append(dst, `,"input":`...)
		dst = appendString(dst, f.input)
		dst = append(dst, `,"url":`...)
		dst = appendString(dst, "https://errors.pydantic.dev/2.4/v/"+f.kind)
		dst = append(dst, '}')
	}
	return append(dst, ']', '}')
}

// A historyQuery is what is asked of /gpu/history.
type historyQuery struct {
	layout   *layout
	from, to time.Time
	step     time.Duration // 0: the entries as they were recorded
}

// parseHistory reads the query of a request that is made at now. Who names a time or a step is no old client and gets all
// columns. The result means nothing where there are faults, of which it finds all.
func parseHistory(query string, now time.Time) (q historyQuery, faults []fault) {
	minutes, format := int64(defaultMinutes), FormatJSON
	q.to = now
	parameter(query, "minutes", parseMinutes, &minutes, &faults)
	parameter(query, "format", parseFormat, &format, &faults)
	from := parameter(query, "from", parseTime, &q.from, &faults)
	to := parameter(query, "to", parseTime, &q.to, &faults)
	step := parameter(query, "step", parseStep, &q.step, &faults)
	if !from {
		q.from = q.to.Add(-time.Duration(minutes) * time.Minute)
	}
	switch {
	case format == FormatCSV:
		q.layout = &csvLines
	case from || to || step:
		q.layout = &jsonList
	default:
		q.layout = &legacyList
	}
	return q, faults
}

// parameter reads one parameter into to, which stays as it is where the parameter is not given.
func parameter[T any](query, name string, parse func(string) (T, string), to *T, faults *[]fault) (given bool) {
	text, given := lastOf(query, name)
	if !given {
		return false
	}
	v, kind := parse(text)
	if kind != "" {
		*faults = append(*faults, fault{kind, text, name})
	}
	*to = v
	return true
}

func parseFormat(s string) (format, fault string) {
	if s != FormatCSV && s != FormatJSON {
		return "", faultLiteral
	}
	return s, ""
}

// decimal is how a number of seconds is written: what Python and date +%s.%N print, no exponent, no NaN.
var decimal = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]*)?$`)

// The years that RFC 3339 can write, 0 to 9999, which datetime of Python keeps to as well.
const (
	minUnix = -62_167_219_200
	maxUnix = 253_402_300_799
)

// parseTime reads Unix seconds or RFC 3339.
func parseTime(s string) (t time.Time, fault string) {
	if decimal.MatchString(s) {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil || seconds < minUnix || seconds > maxUnix {
			return t, faultDatetime
		}
		return time.UnixMicro(int64(math.Round(seconds * 1e6))), ""
	}
	// The plus of an offset that was not escaped comes as a blank, which has no other place in RFC 3339.
	t, err := time.Parse(time.RFC3339, strings.Replace(s, " ", "+", 1))
	t = t.Round(time.Microsecond) // as entries have it
	if err != nil || t.Unix() < minUnix || t.Unix() > maxUnix {
		return time.Time{}, faultDatetime
	}
	return t, ""
}

// The bounds of a step. No history is longer, and none has more entries than one a second.
const (
	minStep = time.Second
	maxStep = 30 * 24 * time.Hour
)

// parseStep reads a number of seconds, or a duration as Go writes it. Parts of a microsecond, which no entry has, are
// rounded away.
func parseStep(s string) (step time.Duration, fault string) {
	if decimal.MatchString(s) {
		s += "s"
	}
	step, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, faultDelta
	case step < minStep:
		return 0, faultShort
	case step > maxStep:
		return 0, faultLong
	}
	return step.Round(time.Microsecond), ""
}

// ParseTime reads a time as /gpu/history does: Unix seconds or RFC 3339.
func ParseTime(s string) (time.Time, error) {
	t, fault := parseTime(s)
	return t, told(fault)
}

// ParseStep reads a step as /gpu/history does: seconds, or a duration such as 1m30s, from a second to 30 days.
func ParseStep(s string) (time.Duration, error) {
	step, fault := parseStep(s)
	return step, told(fault)
}

// told is a fault as an error.
func told(fault string) error {
	if fault == "" {
		return nil
	}
	return errors.New(faultTexts[fault])
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
