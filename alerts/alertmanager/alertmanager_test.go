//go:build alertslive

package alertmanager

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const config = "alertmanager.yml"

// eachAmtool runs a test with our amtool, and with Debian 12's where .ci/alerts-live has unpacked it.
func eachAmtool(t *testing.T, test func(t *testing.T, amtool string)) {
	for name, path := range map[string]string{"ours": "../../.tools/amtool", "Debian's": "../../.tools/debian/usr/bin/amtool"} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(path); err != nil {
				t.Skip(err)
			}
			test(t, path)
		})
	}
}

func run(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "TZ=Europe/Paris")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestRoutes(t *testing.T) {
	eachAmtool(t, func(t *testing.T, amtool string) {
		for _, c := range []struct{ labels, receiver string }{
			{"alertname=GpuTemperatureCritical severity=critical quantity=temperature gpu=0000:03:00.0", "mail-and-slack"},
			{"alertname=GpuTemperatureHigh severity=warning quantity=temperature gpu=0000:03:00.0", "mail-and-slack"},
			{"alertname=GpuTemperatureAttention severity=info quantity=temperature gpu=0000:03:00.0", "null"},
			{"alertname=GpuExporterDown severity=warning quantity=exporter", "mail-and-slack"},
			{"alertname=GpuWatchdog severity=none quantity=watchdog", "null"},
			{"alertname=GpuFleetManyLost severity=critical quantity=fleet cluster=a", "mail-and-slack"},
			{"alertname=GpuFleetHot severity=warning quantity=fleet cluster=a", "mail-and-slack"},
			{"alertname=OfSomebodyElse", "mail-and-slack"},
		} {
			args := append([]string{"config", "routes", "test", "--config.file=" + config, "--verify.receivers=" + c.receiver},
				strings.Fields(c.labels)...)
			if said, err := run(t, amtool, args...); err != nil {
				t.Errorf("%s: want %s: %v\n%s", c.labels, c.receiver, err, said)
			}
		}
		if _, err := run(t, amtool, "config", "routes", "test", "--config.file="+config, "--verify.receivers=null", "severity=critical"); err == nil {
			t.Error("amtool finds no fault in a wrong receiver: this test proves nothing")
		}
	})
}

// Which route an alert takes, beside its receiver, decides when it is told.
func TestRouteTree(t *testing.T) {
	said, err := run(t, "../../.tools/amtool", "config", "routes", "show", "--config.file="+config)
	if err != nil {
		t.Fatal(err, said)
	}
	var got []string
	for line := range strings.Lines(said) {
		if _, route, ok := strings.Cut(line, "── "); ok {
			got = append(got, strings.TrimSpace(route))
		}
	}
	want := []string{
		`default-route  receiver: mail-and-slack`,
		`{quantity="fleet"}  receiver: mail-and-slack`,
		`{severity="none"}  receiver: null`,
		`{severity="info"}  receiver: null`,
		`{severity="critical"}  receiver: mail-and-slack`,
		`{severity="warning"}  receiver: mail-and-slack`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s\n%s", d, said)
	}
}

// The data of a template, as Alertmanager gives it.
type (
	labels map[string]string
	alert  struct {
		Status       string    `json:"status"`
		Labels       labels    `json:"labels"`
		Annotations  labels    `json:"annotations"`
		StartsAt     time.Time `json:"startsAt"`
		EndsAt       time.Time `json:"endsAt"`
		GeneratorURL string    `json:"generatorURL"`
	}
	data struct {
		Receiver     string  `json:"receiver"`
		Status       string  `json:"status"`
		Alerts       []alert `json:"alerts"`
		CommonLabels labels  `json:"commonLabels"`
		ExternalURL  string  `json:"externalURL"`
	}
)

var begin = time.Date(2026, 11, 26, 8, 30, 0, 0, time.UTC) // 09:30 in Paris

// hot is an alert of a card whose name has all signs that HTML and Slack know.
func hot(name, severity, gpu, gpuID, value string) alert {
	return alert{
		Status: "firing",
		Labels: labels{"alertname": name, "severity": severity, "instance": "h1", "gpu": gpu, "gpu_id": gpuID, "name": "Card <X> & Y"},
		Annotations: labels{
			"summary": "Card <X> & Y (" + gpu + ") on h1: hot", "description": "It is > 80 °C.", "value": value, "threshold": "80 °C",
			"dashboard": "http://grafana/d/gpu?var-instance=h1&var-gpu=" + gpu, "runbook_url": "http://runbooks/" + name,
		},
		StartsAt: begin, GeneratorURL: "http://prometheus/graph?g0.expr=a&g0.tab=1",
	}
}

func over(a alert) alert {
	a.Status, a.EndsAt = "resolved", a.StartsAt.Add(2*time.Minute+10*time.Second+400*time.Millisecond)
	return a
}

func down(host string) alert {
	return alert{
		Status: "firing", Labels: labels{"alertname": "GpuExporterDown", "severity": "warning", "instance": host},
		Annotations: labels{"summary": host + " does not answer", "value": "down"}, StartsAt: begin,
	}
}

// message is the data of a message about these alerts.
func message(alerts ...alert) data {
	d := data{Receiver: "mail-and-slack", Status: "resolved", Alerts: alerts, ExternalURL: "http://alertmanager", CommonLabels: labels{}}
	for name, value := range alerts[0].Labels {
		common := true
		for _, a := range alerts {
			common = common && a.Labels[name] == value
		}
		if common {
			d.CommonLabels[name] = value
		}
	}
	for _, a := range alerts {
		if a.Status == "firing" {
			d.Status = "firing"
		}
	}
	return d
}

// render gives what templates make of a message, a line feed after each.
func render(t *testing.T, amtool string, d data, kind string, names ...string) string {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "data.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var all string
	for _, name := range names {
		all += `{{ template "` + name + `" . }}` + "\n"
	}
	said, err := run(t, amtool, "template", "render", "--template.glob=templates/*.tmpl", "--template.data="+path,
		"--template.type="+kind, "--template.text="+all)
	if err != nil {
		t.Fatalf("%s: %v\n%s", names, err, said)
	}
	return strings.TrimSpace(said)
}

var (
	high     = hot("GpuTemperatureHigh", "warning", "0000:03:00.0", "0", "85.0 °C")
	full     = hot("GpuMemoryHigh", "warning", "0000:03:00.0", "0", "95%")
	highElse = hot("GpuTemperatureHigh", "warning", "0000:0b:00.0", "1", "86.0 °C")
	worst    = hot("GpuTemperatureCritical", "critical", "0000:03:00.0", "0", "93.0 °C")
	info     = hot("GpuTemperatureAttention", "info", "0000:03:00.0", "0", "71.0 °C")
	noHost   = alert{Status: "firing", Labels: labels{"alertname": "GpuRulesNoData", "severity": "warning"}, StartsAt: begin}
)

func TestTitles(t *testing.T) {
	for _, c := range []struct {
		name                   string
		alerts                 []alert
		subject, title, colour string
	}{
		{"one", []alert{worst},
			"[CRITICAL] Card <X> & Y on h1: GpuTemperatureCritical 93.0 °C",
			"[CRITICAL] Card &lt;X&gt; &amp; Y on h1: GpuTemperatureCritical 93.0 °C", "#ff3b30"},
		{"two of one GPU", []alert{high, full},
			"[WARNING] Card <X> & Y on h1: GpuTemperatureHigh 85.0 °C, GpuMemoryHigh 95%",
			"[WARNING] Card &lt;X&gt; &amp; Y on h1: GpuTemperatureHigh 85.0 °C, GpuMemoryHigh 95%", "#ff9500"},
		{"one firing, one over: the firing one alone", []alert{over(high), full},
			"[WARNING] Card <X> & Y on h1: GpuMemoryHigh 95%",
			"[WARNING] Card &lt;X&gt; &amp; Y on h1: GpuMemoryHigh 95%", "#ff9500"},
		{"over: without the value, which was the last that fired", []alert{over(worst)},
			"[RESOLVED] Card <X> & Y on h1: GpuTemperatureCritical",
			"[RESOLVED] Card &lt;X&gt; &amp; Y on h1: GpuTemperatureCritical", "#00ff88"},
		{"two GPUs", []alert{high, highElse},
			"[WARNING] 2 alerts on h1: GpuTemperatureHigh 85.0 °C, GpuTemperatureHigh 86.0 °C",
			"[WARNING] 2 alerts on h1: GpuTemperatureHigh 85.0 °C, GpuTemperatureHigh 86.0 °C", "#ff9500"},
		{"many", []alert{high, highElse, high, highElse},
			"[WARNING] 4 alerts on h1: GpuTemperatureHigh 85.0 °C, GpuTemperatureHigh 86.0 °C, GpuTemperatureHigh 85.0 °C and more",
			"[WARNING] 4 alerts on h1: GpuTemperatureHigh 85.0 °C, GpuTemperatureHigh 86.0 °C, GpuTemperatureHigh 85.0 °C and more", "#ff9500"},
		{"of several severities", []alert{worst, high},
			"[FIRING] Card <X> & Y on h1: GpuTemperatureCritical 93.0 °C, GpuTemperatureHigh 85.0 °C",
			"[FIRING] Card &lt;X&gt; &amp; Y on h1: GpuTemperatureCritical 93.0 °C, GpuTemperatureHigh 85.0 °C", "#ff9500"},
		{"info, where a user has a receiver for it", []alert{info},
			"[INFO] Card <X> & Y on h1: GpuTemperatureAttention 71.0 °C",
			"[INFO] Card &lt;X&gt; &amp; Y on h1: GpuTemperatureAttention 71.0 °C", "#00d4ff"},
		{"an exporter", []alert{down("h1")},
			"[WARNING] exporter on h1: GpuExporterDown down", "[WARNING] exporter on h1: GpuExporterDown down", "#ff9500"},
		{"exporters of several hosts", []alert{down("h1"), down("h2")},
			"[WARNING] 2 alerts: GpuExporterDown down, GpuExporterDown down", "[WARNING] 2 alerts: GpuExporterDown down, GpuExporterDown down", "#ff9500"},
		{"the rules", []alert{noHost}, "[WARNING] exporter: GpuRulesNoData", "[WARNING] exporter: GpuRulesNoData", "#ff9500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachAmtool(t, func(t *testing.T, amtool string) {
				want := []string{c.subject, c.title, c.colour}
				got := render(t, amtool, message(c.alerts...), "text", "gpu.subject", "gpu.slack.title", "gpu.slack.color")
				if d := cmp.Diff(want, strings.Split(got, "\n")); d != "" {
					t.Errorf("subject, title, colour (-want +got):\n%s", d)
				}
			})
		})
	}
}

const silence = "http://alertmanager/#/silences/new?filter=%7Balertname%3D%22GpuMemoryHigh%22%2Cinstance%3D%22h1%22%2Cgpu%3D%220000%3A03%3A00.0%22%7D"

// One alert fires and one is over: all that a message can hold.
func TestBodies(t *testing.T) {
	for _, c := range []struct{ kind, template, want string }{
		{"text", "gpu.mail.text", `
GpuMemoryHigh: Card <X> & Y (0000:03:00.0) on h1: hot

It is > 80 °C.

GPU:       Card <X> & Y (GPU 0, 0000:03:00.0)
Host:      h1
Severity:  warning
Value:     95%
Threshold: 80 °C
Since:     2026-11-26 09:30:00 CET
Dashboard: http://grafana/d/gpu?var-instance=h1&var-gpu=0000:03:00.0
Runbook:   http://runbooks/GpuMemoryHigh
Query:     http://prometheus/graph?g0.expr=a&g0.tab=1
Silence:   ` + silence + `

RESOLVED

GpuTemperatureHigh is over.
GPU:       Card <X> & Y (GPU 0, 0000:03:00.0)
Host:      h1
Last seen: 85.0 °C
Threshold: 80 °C
Since:     2026-11-26 09:30:00 CET
Until:     2026-11-26 09:32:10 CET, after 2m10s
Dashboard: http://grafana/d/gpu?var-instance=h1&var-gpu=0000:03:00.0
Runbook:   http://runbooks/GpuTemperatureHigh

All alerts: http://alertmanager/#/alerts?receiver=mail-and-slack
`},
		{"text", "gpu.slack.text", `
*GpuMemoryHigh*: Card &lt;X&gt; &amp; Y (0000:03:00.0) on h1: hot
It is &gt; 80 °C.
*GPU:* Card &lt;X&gt; &amp; Y (GPU 0, 0000:03:00.0), *host:* h1
*Value:* 95%, *threshold:* 80 °C
*Since:* 2026-11-26 09:30:00 CET
<http://grafana/d/gpu?var-instance=h1&amp;var-gpu=0000:03:00.0|Dashboard> <http://runbooks/GpuMemoryHigh|Runbook> <http://prometheus/graph?g0.expr=a&amp;g0.tab=1|Query> <` + silence + `|Silence>

*RESOLVED*

*GpuTemperatureHigh* is over
*GPU:* Card &lt;X&gt; &amp; Y (GPU 0, 0000:03:00.0), *host:* h1
*Last seen:* 85.0 °C, *threshold:* 80 °C
*Since:* 2026-11-26 09:30:00 CET, *until:* 2026-11-26 09:32:10 CET, after 2m10s
<http://grafana/d/gpu?var-instance=h1&amp;var-gpu=0000:03:00.0|Dashboard> <http://runbooks/GpuTemperatureHigh|Runbook> <http://prometheus/graph?g0.expr=a&amp;g0.tab=1|Query>
`},
		{"html", "gpu.mail.html", `
<!doctype html>
<html><body style="font-family: sans-serif; font-size: 14px; color: #222222">
<h3 style="border-left: 6px solid #ff9500; padding-left: 8px">GpuMemoryHigh: Card &lt;X&gt; &amp; Y (0000:03:00.0) on h1: hot</h3>
<p>It is &gt; 80 °C.</p>
<table>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">GPU</td><td>Card &lt;X&gt; &amp; Y (GPU 0, 0000:03:00.0)</td></tr>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">Host</td><td>h1</td></tr>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">Severity</td><td>warning</td></tr>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">Value</td><td><b>95%</b></td></tr>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">Threshold</td><td>80 °C</td></tr>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">Since</td><td>2026-11-26 09:30:00 CET</td></tr>
</table>
<p>
<a href="http://grafana/d/gpu?var-instance=h1&amp;var-gpu=0000:03:00.0">Dashboard</a> &middot; <a href="http://runbooks/GpuMemoryHigh">Runbook</a> &middot; <a href="http://prometheus/graph?g0.expr=a&amp;g0.tab=1">Query</a> &middot; <a href="` + silence + `">Silence</a>
</p>
<h2>Resolved</h2>
<h3 style="border-left: 6px solid #00ff88; padding-left: 8px">GpuTemperatureHigh is over</h3>
<table>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">GPU</td><td>Card &lt;X&gt; &amp; Y (GPU 0, 0000:03:00.0)</td></tr>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">Host</td><td>h1</td></tr>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">Last seen</td><td>85.0 °C</td></tr>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">Threshold</td><td>80 °C</td></tr>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">Since</td><td>2026-11-26 09:30:00 CET</td></tr>
<tr><td style="padding: 2px 12px 2px 0; color: #666666">Until</td><td>2026-11-26 09:32:10 CET, after 2m10s</td></tr>
</table>
<p>
<a href="http://grafana/d/gpu?var-instance=h1&amp;var-gpu=0000:03:00.0">Dashboard</a>
<a href="http://runbooks/GpuTemperatureHigh">Runbook</a>
</p>
<p><a href="http://alertmanager/#/alerts?receiver=mail-and-slack">All alerts</a></p>
</body></html>
`},
	} {
		t.Run(c.template, func(t *testing.T) {
			eachAmtool(t, func(t *testing.T, amtool string) {
				got := render(t, amtool, message(over(high), full), c.kind, c.template)
				if d := cmp.Diff(strings.Split(strings.TrimSpace(c.want), "\n"), strings.Split(got, "\n")); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			})
		})
	}
}

// What an alert of somebody else lacks leaves no trace.
func TestAlertWithoutAnnotations(t *testing.T) {
	want := `
GpuRulesNoData: 

GPU:       exporter
Host:      -
Severity:  warning
Value:     -
Threshold: -
Since:     2026-11-26 09:30:00 CET
Silence:   http://alertmanager/#/silences/new?filter=%7Balertname%3D%22GpuRulesNoData%22%2Cinstance%3D%22%22%2Cgpu%3D%22%22%7D

All alerts: http://alertmanager/#/alerts?receiver=mail-and-slack
`
	eachAmtool(t, func(t *testing.T, amtool string) {
		if d := cmp.Diff(strings.TrimSpace(want), render(t, amtool, message(noHost), "text", "gpu.mail.text")); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

// A message about a whole rack stays short enough for mail servers and Slack.
func TestAMessageListsTwentyAtMost(t *testing.T) {
	var rack []alert
	for range 100 {
		rack = append(rack, high, over(full))
	}
	eachAmtool(t, func(t *testing.T, amtool string) {
		for _, template := range []string{"gpu.mail.text", "gpu.mail.html", "gpu.slack.text"} {
			got := render(t, amtool, message(rack...), "text", template)
			if f, r := strings.Count(got, "on h1: hot"), strings.Count(got, "is over"); f != 20 || r != 20 {
				t.Errorf("%s lists %d firing and %d resolved ones, want 20 each", template, f, r)
			}
			if want := "100 alerts fire and 100 are over: not all are listed."; !strings.Contains(got, want) {
				t.Errorf("%s does not say: %s", template, want)
			}
		}
	})
}
