package stack

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v2"
)

// least is what no duration is made shorter than: a busy machine can just keep up with a scrape in a second.
const least = time.Second

// hurried are the settings of rules, of Prometheus and of Alertmanager that hold a duration.
var hurried = map[string]bool{
	"for": true, "keep_firing_for": true, "interval": true,
	"scrape_interval": true, "scrape_timeout": true, "evaluation_interval": true,
	"group_wait": true, "group_interval": true, "repeat_interval": true,
}

// hurry divides all durations of a configuration or rule file by a factor, so that hours pass in minutes. With a factor of
// up to 30 the windows of two minutes still hold four scrapes. What stays: numbers that an expression compares with, also
// those that are seconds (the second argument of predict_linear in GpuMemoryFillingUp, the age in GpuReadingStale) or a
// count in a window (increase).
func hurry(config []byte, factor float64) ([]byte, error) {
	if factor == 1 {
		return config, nil
	}
	var doc any
	if err := yaml.Unmarshal(config, &doc); err != nil {
		return nil, err
	}
	if err := hurryValue(doc, factor); err != nil {
		return nil, err
	}
	return yaml.Marshal(doc)
}

func hurryValue(v any, factor float64) (err error) {
	switch v := v.(type) {
	case []any:
		for _, entry := range v {
			if err := hurryValue(entry, factor); err != nil {
				return err
			}
		}
	case map[any]any:
		for key, value := range v {
			name, _ := key.(string)
			text, isText := value.(string)
			switch {
			case isText && hurried[name]:
				v[key], err = hurryDuration(text, factor)
			case isText && name == "expr":
				v[key], err = hurryExpr(text, factor)
			default:
				err = hurryValue(value, factor)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func hurryDuration(text string, factor float64) (string, error) {
	d, err := model.ParseDuration(text)
	if err != nil {
		return "", err
	}
	short := time.Duration(float64(d) / factor).Round(time.Millisecond)
	return model.Duration(min(time.Duration(d), max(short, least))).String(), nil
}

// token finds where an expression may hold a duration: a range or subquery in brackets, an offset. Strings and comments,
// which may look like one, are tokens of their own.
var token = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|'(?:[^'\\\\]|\\\\.)*'|`[^`]*`|#[^\n]*" +
	`|\[[^\]]*\]|\boffset\s+-?[0-9][0-9a-z]*`)

var duration = regexp.MustCompile(`[0-9][0-9a-z]*`)

func hurryExpr(expr string, factor float64) (string, error) {
	var wrong error
	short := token.ReplaceAllStringFunc(expr, func(t string) string {
		if !strings.HasPrefix(t, "[") && !strings.HasPrefix(t, "offset") {
			return t
		}
		return duration.ReplaceAllStringFunc(t, func(d string) string {
			short, err := hurryDuration(d, factor)
			if err != nil {
				wrong = fmt.Errorf("%s: %w", expr, err)
			}
			return short
		})
	})
	return short, wrong
}

// hurriedFlags are the flags of Prometheus that hold a duration which would be too long now. A vanished series must not be
// found for minutes, and an alert that fires must be told again before Alertmanager takes it for resolved.
func hurriedFlags(factor float64) []string {
	if factor == 1 {
		return nil
	}
	seconds := func(d time.Duration) string {
		return model.Duration(max(least, time.Duration(float64(d)/factor).Round(time.Millisecond))).String()
	}
	return []string{
		"--query.lookback-delta=" + seconds(5*time.Minute),
		"--rules.alert.resend-delay=" + seconds(time.Minute),
	}
}
