package main

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gpu_exporter/exporter"
)

// value is a flag that says in its errors which one it is, or which variable; kingpin's own values do not.
type value[T any] struct {
	name  string
	to    *T
	parse func(string) (T, error)
}

func newValue[T any](name string, to *T, parse func(string) (T, error)) *value[T] {
	return &value[T]{name, to, parse}
}

// Set implements kingpin.Value.
func (v *value[T]) Set(s string) error {
	parsed, err := v.parse(s)
	if err != nil {
		return told(v.name, s, err)
	}
	*v.to = parsed
	return nil
}

// String implements kingpin.Value.
func (v *value[T]) String() string { return fmt.Sprint(*v.to) }

// told names the place where a wrong value was given.
func told(name, s string, err error) error {
	upper := strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
	for _, variable := range [...]string{"GPU_EXPORTER_" + upper, "GPU_EXPORTER_ONCE_" + upper, "GPU_EXPORTER_EXPORT_" + upper, "GPU_EXPORTER_DOCTOR_" + upper} {
		if v, ok := os.LookupEnv(variable); ok && v == s {
			return fmt.Errorf("%s=%s: %w", variable, s, err)
		}
	}
	return fmt.Errorf("--%s=%s: %w", name, s, err)
}

// onOff is a flag without a value.
type onOff struct{ *value[bool] }

func newSwitch(name string, to *bool) onOff {
	return onOff{newValue(name, to, func(s string) (bool, error) {
		on, err := strconv.ParseBool(s)
		if err != nil {
			return false, fmt.Errorf("take true or false")
		}
		return on, nil
	})}
}

// IsBoolFlag tells kingpin that --no- may stand before the name.
func (onOff) IsBoolFlag() bool { return true }

// patterns is a flag that can be repeated: any of the expressions may match.
type patterns struct {
	name string
	list []string
	to   **regexp.Regexp
}

func newPatterns(name string, to **regexp.Regexp) *patterns { return &patterns{name: name, to: to} }

// Set implements kingpin.Value.
func (p *patterns) Set(s string) error {
	if _, err := regexp.Compile(s); err != nil {
		return told(p.name, s, err)
	}
	p.list = append(p.list, s)
	re, err := exporter.CompileFilter(p.list...)
	if err != nil {
		return told(p.name, s, err)
	}
	*p.to = re
	return nil
}

// String implements kingpin.Value.
func (p *patterns) String() string { return strings.Join(p.list, " ") }

// IsCumulative tells kingpin that the flag may be repeated.
func (p *patterns) IsCumulative() bool { return true }

// duration parses 500ms and 1m30s, and a plain number as seconds.
func duration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if seconds, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(seconds) < 1e9 {
		return time.Duration(math.Round(seconds * 1e9)), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("no duration, write 500ms, 2s, 1m30s or a number of seconds")
	}
	return d, nil
}

// within accepts the durations from least to most, which say puts in words.
func within(least, most time.Duration, say string) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := duration(s)
		if err == nil && (d < least || d > most) {
			err = fmt.Errorf("out of range, take %s", say)
		}
		return d, err
	}
}

// days lets a parser of durations take 7d too.
func days(parse func(string) (time.Duration, error)) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		if n, ok := strings.CutSuffix(strings.TrimSpace(s), "d"); ok {
			if n, err := strconv.ParseFloat(n, 64); err == nil && math.Abs(n) < 1e5 {
				s = fmt.Sprint(time.Duration(n * 24 * float64(time.Hour)))
			}
		}
		return parse(s)
	}
}

// pollingInterval is 0 (on demand) or within the bounds of metrics.md rule 9.
func pollingInterval(s string) (time.Duration, error) {
	if d, err := duration(s); err == nil && d == 0 {
		return 0, nil
	}
	return within(200*time.Millisecond, 5*time.Minute, "0 or 200ms to 5m")(s)
}

// count accepts whole numbers from least.
func count(least, most int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("take a whole number from %d to %d", least, most)
		}
		return n, nil
	}
}
