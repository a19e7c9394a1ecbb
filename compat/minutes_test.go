package compat

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
)

func TestParseMinutes(t *testing.T) {
	for _, c := range []struct {
		in    string
		want  int64
		fault string
	}{
		{"5", 5, ""}, {"05", 5, ""}, {"+5", 5, ""}, {"5.0", 5, ""}, {"5.000", 5, ""}, {"1_0", 10, ""}, {"1_0_0", 100, ""},
		{"0", 0, ""}, {"-3", -3, ""}, {"-0", 0, ""}, {"-3.0", -3, ""}, {"99999999", 99999999, ""},
		{"9223372036854775808", maxMinutes, ""}, {"-" + strings.Repeat("9", 4299), -maxMinutes, ""},
		{"", 0, faultParsing}, {"abc", 0, faultParsing}, {"1.5", 0, faultParsing}, {"1e1", 0, faultParsing}, {"0x10", 0, faultParsing},
		{"true", 0, faultParsing}, {"null", 0, faultParsing}, {"1__0", 0, faultParsing}, {"_1", 0, faultParsing}, {"1_", 0, faultParsing},
		{"٥", 0, faultParsing}, {"５", 0, faultParsing}, {"+", 0, faultParsing}, {"-", 0, faultParsing}, {"+-5", 0, faultParsing},
		{"--5", 0, faultParsing}, {".0", 0, faultParsing}, {"5.0.0", 0, faultParsing}, {"1_0.0", 0, faultParsing}, {"5.0_0", 0, faultParsing},
		{"5\n", 0, faultParsing}, {strings.Repeat("1", 4300), maxMinutes, ""}, {strings.Repeat("1", 4301), 0, faultSize},
		{strings.Repeat("a", 4301), 0, faultSize},
	} {
		if got, fault := parseMinutes(c.in); got != c.want || fault != c.fault {
			t.Errorf("parseMinutes(%.20q) = %d, %q; want %d, %q", c.in, got, fault, c.want, c.fault)
		}
	}
}

var (
	pythonInt  = regexp.MustCompile(`^[+-]?[0-9]+(\.0*)?$`)
	underlined = regexp.MustCompile(`^[+-]?_?[0-9]+(_[0-9]+)*$`) // a sign may stand before an underscore: it does not begin the text
)

// slowMinutes says the same by other means.
func slowMinutes(s string) (int64, string) {
	switch {
	case len(s) > 4300:
		return 0, faultSize
	case s == "", s[0] == '_', !pythonInt.MatchString(s) && !underlined.MatchString(s):
		return 0, faultParsing
	}
	whole, _, _ := strings.Cut(strings.ReplaceAll(s, "_", ""), ".")
	n, ok := new(big.Int).SetString(whole, 10)
	switch limit := big.NewInt(maxMinutes); {
	case !ok:
		return 0, "the regular expressions are wrong"
	case n.CmpAbs(limit) > 0:
		return int64(n.Sign()) * maxMinutes, ""
	}
	return n.Int64(), ""
}

func FuzzParseMinutes(f *testing.F) {
	for _, s := range []string{"", "5", "05", "+5", "-3", "5.0", "5.", ".0", "1_0", "1__0", "_1", "+_1", "1_0.0", "1.5", "1e1", "٥", "99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, fault := parseMinutes(s)
		if want, wantFault := slowMinutes(s); got != want || fault != wantFault {
			t.Errorf("parseMinutes(%q) = %d, %q; want %d, %q", s, got, fault, want, wantFault)
		}
	})
}
