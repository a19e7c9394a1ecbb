package compat

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	const ten = 1795687200 // 2026-11-26T10:00:00Z
	for _, c := range []struct {
		in    string
		micro int64
		fault string
	}{
		{"1795687200", ten * 1e6, ""}, {"1795687200.", ten * 1e6, ""}, {"1795687200.5", ten*1e6 + 500_000, ""},
		{"1795687200.7186775", ten*1e6 + 718_678, ""}, // as Python prints time.time()
		{"1795687200.123456789", ten*1e6 + 123_457, ""}, {"0", 0, ""}, {"-0", 0, ""}, {"+5", 5e6, ""}, {"007", 7e6, ""}, {"-1.5", -1_500_000, ""},
		{"253402300799", 253402300799 * 1e6, ""}, {"-62167219200", -62167219200 * 1e6, ""},
		{"2026-11-26T10:00:00Z", ten * 1e6, ""}, {"2026-11-26T10:00:00.25Z", ten*1e6 + 250_000, ""},
		{"2026-11-26T10:00:00.1234567Z", ten*1e6 + 123_457, ""},
		{"2026-11-26T11:30:00+01:30", ten * 1e6, ""}, {"2026-11-26T11:30:00 01:30", ten * 1e6, ""}, // a plus that was not escaped
		{"2026-11-26T02:00:00-08:00", ten * 1e6, ""}, {"9999-12-31T23:59:59Z", 253402300799 * 1e6, ""},
		{"0000-01-01T00:00:00Z", -62167219200 * 1e6, ""},

		{"", 0, faultDatetime}, {"now", 0, faultDatetime}, {"1795687200s", 0, faultDatetime}, {"1e9", 0, faultDatetime}, {".5", 0, faultDatetime},
		{"1_0", 0, faultDatetime}, {"0x10", 0, faultDatetime}, {"NaN", 0, faultDatetime}, {"inf", 0, faultDatetime}, {" 5", 0, faultDatetime},
		{"5\n", 0, faultDatetime}, {"5,5", 0, faultDatetime}, {"٥", 0, faultDatetime}, {"--5", 0, faultDatetime}, {"1795687200000000", 0, faultDatetime},
		{"253402300800", 0, faultDatetime}, {"-62167219201", 0, faultDatetime}, {strings.Repeat("9", 5000), 0, faultDatetime},
		{"2026-11-26", 0, faultDatetime}, {"2026-11-26T10:00:00", 0, faultDatetime}, {"2026-11-26 10:00:00Z", 0, faultDatetime},
		{"2026-02-29T10:00:00Z", 0, faultDatetime}, {"2026-11-26T25:00:00Z", 0, faultDatetime}, {"2026-11-26T10:00:00+0100", 0, faultDatetime},
		{"9999-12-31T23:59:59-01:00", 0, faultDatetime}, {"0000-01-01T00:00:00+01:00", 0, faultDatetime},
		{"9999-12-31T23:59:59.9999999Z", 0, faultDatetime},
	} {
		got, fault := parseTime(c.in)
		if fault != c.fault || fault == "" && !got.Equal(time.UnixMicro(c.micro)) {
			t.Errorf("parseTime(%.30q) = %v, %q; want %v, %q", c.in, got, fault, time.UnixMicro(c.micro).UTC(), c.fault)
		}
	}
}

func TestParseStep(t *testing.T) {
	for _, c := range []struct {
		in    string
		want  time.Duration
		fault string
	}{
		{"1", time.Second, ""}, {"60", time.Minute, ""}, {"1.5", 1500 * time.Millisecond, ""}, {"5.", 5 * time.Second, ""}, {"+5", 5 * time.Second, ""},
		{"1s", time.Second, ""}, {"1m30s", 90 * time.Second, ""}, {"1h", time.Hour, ""}, {"1500ms", 1500 * time.Millisecond, ""},
		{"720h", 720 * time.Hour, ""}, {"2592000", 720 * time.Hour, ""}, {"1.0000004", time.Second, ""}, {"1.0000006s", 1000001 * time.Microsecond, ""},

		{"0", 0, faultShort}, {"0s", 0, faultShort}, {"-5", 0, faultShort}, {"-1m", 0, faultShort}, {"0.999999", 0, faultShort}, {"999ms", 0, faultShort},
		{"2592000.1", 0, faultLong}, {"721h", 0, faultLong}, {"99999999", 0, faultLong},
		{"", 0, faultDelta}, {"abc", 0, faultDelta}, {"1d", 0, faultDelta}, {"1e3", 0, faultDelta}, {"1 m", 0, faultDelta}, {"5\n", 0, faultDelta},
		{"NaN", 0, faultDelta}, {"PT1M", 0, faultDelta}, {"00:01:00", 0, faultDelta}, {strings.Repeat("9", 40), 0, faultDelta},
	} {
		if got, fault := parseStep(c.in); got != c.want || fault != c.fault {
			t.Errorf("parseStep(%.30q) = %v, %q; want %v, %q", c.in, got, fault, c.want, c.fault)
		}
	}
}

func TestParseForFlags(t *testing.T) {
	if got, err := ParseTime("1795687200.5"); err != nil || got.UnixMilli() != 1795687200_500 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ParseTime("now"); fmt.Sprint(err) != "Input should be a valid datetime, in Unix seconds or as 2026-11-25T19:00:00Z" {
		t.Errorf("%v", err)
	}
	if got, err := ParseStep("1m"); err != nil || got != time.Minute {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ParseStep("0"); fmt.Sprint(err) != "Input should be greater than or equal to 1 second" {
		t.Errorf("%v", err)
	}
}

// Decimals are taken as exactly as a microsecond tells, and what is taken can be written again.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"0", "1795687200.718600", "-1.5", "1e9", "253402300799.9999999", "2026-11-26T10:00:00.123456789+01:00", "2026-11-26T10:00:00 01:00", "0000-01-01T00:00:00Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, fault := parseTime(s)
		if fault != "" {
			return
		}
		if again, fault := parseTime(got.UTC().Format(time.RFC3339Nano)); fault != "" || !again.Equal(got) {
			t.Errorf("parseTime(%q) = %v, again %v, %q", s, got, again, fault)
		}
		exact, ok := new(big.Rat).SetString(s)
		if !ok || strings.Contains(s, "T") {
			return
		}
		off := new(big.Rat).Sub(new(big.Rat).Mul(exact, big.NewRat(1e6, 1)), new(big.Rat).SetInt64(got.UnixMicro()))
		// A float64 of seconds has steps of 0.24 us in this century, and of 30 us at the end of all times.
		if limit := big.NewRat(1, 1); exact.Abs(exact).Cmp(big.NewRat(1<<32, 1)) < 0 && off.Abs(off).Cmp(limit) > 0 {
			t.Errorf("parseTime(%q) = %v, %s us off", s, got, off.FloatString(3))
		}
	})
}

func FuzzParseStep(f *testing.F) {
	for _, s := range []string{"1", "1.5", "60s", "1m30s", "720h", "2592000", "-5", "1e3", "9223372036.854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, fault := parseStep(s)
		if fault == "" && (got < time.Second || got > 30*24*time.Hour || got%time.Microsecond != 0) || fault != "" && got != 0 {
			t.Errorf("parseStep(%q) = %v, %q", s, got, fault)
		}
	})
}

// Any query comes to something that can be answered.
func FuzzParseHistory(f *testing.F) {
	for _, s := range []string{"", "minutes=5", "minutes=-99999999&to=0", "format=csv&from=0&to=99&step=1m", "from=x&to=&step&format=%ff&minutes=%22", "from=2026-11-26T10:00:00+01:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, faults := parseHistory(query, now)
		if body := appendFaults(nil, faults); !json.Valid(body) {
			t.Errorf("%q: no JSON: %s", query, body)
		}
		for _, x := range faults {
			if v, given := lastOf(query, x.parameter); faultTexts[x.kind] == "" || !given || v != x.input {
				t.Errorf("%q: %+v", query, x)
			}
		}
		if len(faults) == 0 && (q.layout == nil || q.step != 0 && q.step < time.Second || q.to.Year() > 9999) {
			t.Errorf("%q: %+v", query, q)
		}
	})
}

func TestLastOf(t *testing.T) {
	for _, c := range []struct {
		query, want string
		given       bool
	}{
		{"", "", false}, {"minutes", "", true}, {"minutes=", "", true}, {"minutes=5", "5", true}, {"minutes=abc&minutes=5", "5", true},
		{"minutes=5&minutes=abc", "abc", true}, {"Minutes=5", "", false}, {"x=1&&minutes=7&", "7", true}, {"minutes=%2B5", "+5", true},
		{"minutes=+5", " 5", true}, {"m%69nutes=5", "5", true}, {"minutes=1;minutes=2", "1;minutes=2", true}, {"minutes=5%", "5%", true},
		{"minutes=%zz%4", "%zz%4", true}, {"minutes=a=b", "a=b", true}, {"minutes=%E9%aF", "\xe9\xaf", true},
	} {
		if got, given := lastOf(c.query, "minutes"); got != c.want || given != c.given {
			t.Errorf("lastOf(%q) = %q, %v; want %q, %v", c.query, got, given, c.want, c.given)
		}
	}
}

// Where net/url takes a query, it is the same.
func FuzzLastOf(f *testing.F) {
	f.Add("a=b&minutes=%2B5&minutes=")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		all := values["minutes"]
		got, given := lastOf(query, "minutes")
		if given != (len(all) > 0) || given && got != all[len(all)-1] {
			t.Errorf("lastOf(%q) = %q, %v; net/url has %q", query, got, given, all)
		}
	})
}
