package stack

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v2"
)

func TestHurriedExpressions(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		{`up == 0`, `up == 0`},
		{`avg_over_time(gpu:temperature_celsius:primary{source!="simulation"}[2m]) > 80`, `avg_over_time(gpu:temperature_celsius:primary{source!="simulation"}[4s]) > 80`},
		{`x unless max_over_time(x[1h] offset 15m)`, `x unless max_over_time(x[2m] offset 30s)`},
		{`x - x offset -1h30m`, `x - x offset -3m`},
		{`max_over_time(rate(x[5m])[7d:1h])`, `max_over_time(rate(x[10s])[5h36m:2m])`},
		{`max_over_time(rate(x[5m])[1h:])`, `max_over_time(rate(x[10s])[2m:])`},
		{`x[10s]`, `x[1s]`}, // no shorter than a second
		{`x{a="[1h]", b='it\'s offset 1h', c="\"[1h]"}[1h]`, `x{a="[1h]", b='it\'s offset 1h', c="\"[1h]"}[2m]`},
		{"label_replace(x[1h], `[1h]`, '', '', '') # [1h]\n[1h]", "label_replace(x[2m], `[1h]`, '', '', '') # [1h]\n[2m]"},
		{`predict_linear(x[1h], 3600) > offset_total`, `predict_linear(x[2m], 3600) > offset_total`},
	} {
		got, err := hurryExpr(c.expr, 30)
		if err != nil || got != c.want {
			t.Errorf("%s\nis   %s, %v\nwant %s", c.expr, got, err, c.want)
		}
	}
	if got, err := hurryExpr(`x[1parsec]`, 30); err == nil {
		t.Errorf("a duration that is none gives %s", got)
	}
}

func TestHurriedSettings(t *testing.T) {
	const config = `
global: {scrape_interval: 15s, scrape_timeout: 10s, evaluation_interval: 30s, smtp_hello: 5m}
groups:
- name: 5m
  interval: 1m
  rules:
  - {alert: A, expr: 'x[1h] > 5', for: 10m, keep_firing_for: 0s, labels: {for_people: 5m}}
  - {record: b, expr: x}
route: {group_wait: 30s, group_interval: 5m, repeat_interval: 4h, receiver: 'null'}
times: [{start_time: '22:00', end_time: '24:00'}]
`
	const want = `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s, smtp_hello: 5m}
groups:
- name: 5m
  interval: 2s
  rules:
  - {alert: A, expr: 'x[2m] > 5', for: 20s, keep_firing_for: 0s, labels: {for_people: 5m}}
  - {record: b, expr: x}
route: {group_wait: 1s, group_interval: 10s, repeat_interval: 8m, receiver: 'null'}
times: [{start_time: '22:00', end_time: '24:00'}]
`
	for _, c := range []struct {
		factor float64
		want   string
	}{{30, want}, {1, config}} {
		got, err := hurry([]byte(config), c.factor)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(decoded(t, c.want), decoded(t, string(got))); d != "" {
			t.Errorf("factor %v (-want +got):\n%s", c.factor, d)
		}
	}
	if _, err := hurry([]byte("for: soon"), 30); err == nil {
		t.Error("a duration that is none is not noticed")
	}
}

func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
