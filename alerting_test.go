//go:build alertslive

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v2"

	"gpu_exporter/collector/simulation"
	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
	"gpu_exporter/internal/stack"
)

const (
	hurry     = 30 // all durations of these runs are the shipped ones divided by this; the unit tests of the rules use the shipped ones
	host      = "gpuhost"
	suspended = "0000:c1:00.0" // the card of the case `asleep`
	shipped   = "alerts/alertmanager/alertmanager.yml"
)

// yamlMap is a part of a configuration.
type yamlMap = map[any]any

// alertmanagerConfig is the shipped configuration with what a test must replace: servers, secrets and quiet hours.
func alertmanagerConfig(t *testing.T, p *post, quiet yamlMap) string {
	t.Helper()
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	var c yamlMap
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	secret := func(name, text string) string {
		path := filepath.Join(dir, name)
		// No newline at the end: Alertmanager 0.25 takes it for a part of the password.
		if err := os.WriteFile(path, []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
		return path
	}
	templates, err := filepath.Abs(filepath.Join(filepath.Dir(shipped), "templates/*.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	c["templates"] = []any{templates}
	maps.Copy(c["global"].(yamlMap), yamlMap{
		"smtp_smarthost": p.secureMail, "smtp_auth_username": account,
		"smtp_auth_password_file": secret("smtp_password", password),
		"slack_api_url_file":      secret("slack_webhook_url", p.slack),
	})
	receiver := c["receivers"].([]any)[0].(yamlMap)
	secure := receiver["email_configs"].([]any)[0].(yamlMap)
	plain := maps.Clone(secure)
	secure["tls_config"] = yamlMap{"ca_file": secret("ca.pem", p.authority)}
	maps.Copy(plain, yamlMap{"smarthost": p.plainMail, "require_tls": false})
	receiver["email_configs"] = []any{secure, plain}
	hours := c["time_intervals"].([]any)[0].(yamlMap)["time_intervals"].([]any)[0].(yamlMap)
	delete(hours, "times")
	maps.Copy(hours, quiet)
	if text, err = yaml.Marshal(c); err != nil {
		t.Fatal(err)
	}
	return secret("alertmanager.yml", string(text))
}

func startStack(t *testing.T, o stack.Options) *stack.Stack {
	t.Helper()
	o.Dir, o.Host, o.Factor, o.Exporter = t.TempDir(), host, hurry, realBinary(t)
	t.Logf("all durations of rules and configurations are divided by %d", hurry)
	s, err := stack.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if !t.Failed() {
			return
		}
		for _, name := range []string{"exporter", "prometheus", "alertmanager"} {
			text, err := os.ReadFile(filepath.Join(o.Dir, name+".log"))
			t.Logf("%s: %v\n%s", name, err, text)
		}
	})
	return s
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, answer.Status, err)
	}
}

// query is the value of an expression that gives one series or none.
func query(t *testing.T, s *stack.Stack, expr string) (float64, bool) {
	t.Helper()
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	getJSON(t, s.Prometheus+"/api/v1/query?query="+url.QueryEscape(expr), &answer)
	if len(answer.Data.Result) == 0 {
		return 0, false
	}
	v, err := strconv.ParseFloat(answer.Data.Result[0].Value[1].(string), 64)
	if err != nil || len(answer.Data.Result) > 1 {
		t.Fatalf("%s gives %v, %v; want one series", expr, answer.Data.Result, err)
	}
	return v, true
}

// known is an alert that Alertmanager knows.
type known struct {
	Labels      map[string]string
	Fingerprint string
	Status      struct {
		State       string
		InhibitedBy []string
	}
}

func knownAlerts(t *testing.T, s *stack.Stack) (all []known) {
	t.Helper()
	getJSON(t, s.Alertmanager+"/api/v2/alerts", &all)
	return all
}

// states are those of the alerts of GPUs.
func states(all []known) map[string]string {
	m := map[string]string{}
	for _, a := range all {
		if gpu := a.Labels["gpu"]; gpu != "" {
			m[a.Labels["alertname"]+" "+gpu] = a.Status.State
		}
	}
	return m
}

func sum(t *testing.T, s *stack.Stack, family string, contains ...string) (total float64) {
	t.Helper()
	answer, err := http.Get(s.Alertmanager + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if !strings.HasPrefix(name, family+"{") || slices.ContainsFunc(contains, func(c string) bool { return !strings.Contains(name, c) }) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		total += v
	}
	return total
}

// hotSeed is a seed with which the simulated GPU is hotter than 95 °C for the next minutes: its course is a matter of the
// time.
func hotSeed(t *testing.T) uint64 {
	t.Helper()
	now := time.Now()
	for seed := range uint64(10000) {
		curve := simulation.NewCurve(seed, 0, simulation.Hot)
		hot := true
		for after := time.Duration(0); after <= 100*time.Second && hot; after += time.Second {
			hot = curve.At(now.Add(after)).Edge > 95
		}
		if hot {
			return seed
		}
	}
	t.Fatal("no simulated GPU is hot now")
	return 0
}

const cardName = "AMD Radeon RX 7800 XT"

// notice is what a message about an alert must say.
type notice struct {
	alert, severity, gpu, value, threshold, runbook string
}

var (
	hot      = notice{"GpuTemperatureHigh", "warning", first, "85.0 °C", "80 °C", "temperature.md#gputemperaturehigh"}
	critical = notice{"GpuTemperatureCritical", "critical", first, "93.0 °C", "90 °C", "temperature.md#gputemperaturecritical"}
	full     = notice{"GpuMemoryHigh", "warning", first, "95%", "90 %", "memory.md#gpumemoryhigh"}
	lost     = notice{"GpuLost", "critical", second, "state gone", "it answers", "presence.md#gpulost"}
)

func (n notice) links() []string {
	return []string{
		"http://localhost:3001/d/gpu-detail?var-instance=" + host + "&var-gpu=" + url.QueryEscape(n.gpu) + "&",
		"https://example.org/gpu_exporter/runbooks/" + n.runbook,
	}
}

// fires says whether a message tells that the alert fires.
func (n notice) fires(m message) bool {
	silence := "/#/silences/new?filter=" + url.QueryEscape(fmt.Sprintf("{alertname=%q,instance=%q,gpu=%q}", n.alert, host, n.gpu))
	return strings.HasPrefix(m.title, "["+strings.ToUpper(n.severity)+"] "+cardName+" on "+host+": ") &&
		strings.Contains(m.title, n.alert+" "+n.value) &&
		m.says(n.alert+": ", facts{"gpu": cardName, "host": host, "value": n.value, "threshold": n.threshold, "since": "20"}) &&
		m.links(append(n.links(), silence)...)
}

// ends says whether a message tells that the alert is over. The last value that fired may be any.
func (n notice) ends(m message) bool {
	return strings.Contains(m.title, "] "+cardName+" on "+host+": ") &&
		m.says(n.alert+" is over", facts{"gpu": cardName, "host": host, "last seen": "", "threshold": n.threshold, "since": "20", "until": "20"}) &&
		m.links(n.links()...)
}

// debian is where .ci/alerts-live lays the versions of Debian 12: Prometheus 2.42 and Alertmanager 0.25.
const debian = ".tools/debian/"

func TestAlertsArriveByMailAndSlack(t *testing.T) {
	t.Run("new versions", func(t *testing.T) {
		t.Parallel()
		alertsArrive(t, stack.Options{})
	})
	t.Run("versions of Debian 12", func(t *testing.T) {
		t.Parallel()
		if _, err := os.Stat(debian + "alertmanager"); err != nil {
			t.Skip(err)
		}
		if os.Getuid() != 0 {
			t.Skip("Debian's Alertmanager runs in a mount namespace, which root may make")
		}
		o := stack.Options{Prometheus: debian + "usr/bin/prometheus", Alertmanager: debian + "alertmanager"}
		o.PrometheusConfig = "deploy/prometheus/prometheus-2.42.yml"
		alertsArrive(t, o)
	})
}

// alertsArrive heats a card, fills its memory, takes another one away, and makes all well again.
func alertsArrive(t *testing.T, o stack.Options) {
	tree, err := hwcase.Case{Dir: "../shared/fixtures/amd/rx7800xt"}.Tree(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	hotCard := cardIn(t, tree)
	lostCard := filepath.Join(filepath.Dir(hotCard), "card2")
	addCard(t, hotCard, lostCard, second)
	if err := hwcase.CopyTree(cardIn(t, ownCase(t, "asleep")), filepath.Join(filepath.Dir(hotCard), "card3")); err != nil {
		t.Fatal(err)
	}
	temperature := filepath.Join(hotCard, "device/hwmon/hwmon4/temp1_input")
	used := filepath.Join(hotCard, "device/mem_info_vram_used")

	p := openPost(t)
	o.AlertmanagerConfig = alertmanagerConfig(t, p, yamlMap{"years": []any{"1970"}}) // quiet hours that never are
	o.ExporterFlags = append(slices.Clone(quickly), "--path.sysfs="+filepath.Join(tree, "sys"), "--path.procfs="+filepath.Join(tree, "proc"),
		"--collector.simulation=on", "--simulation.profile=hot", "--simulation.seed="+fmt.Sprint(hotSeed(t)))
	s := startStack(t, o)
	for _, gpu := range []string{state(first, "ok"), state(second, "ok"), state(suspended, "asleep"), state("sim:0", "ok")} {
		await.Until(t, "in Prometheus: "+gpu, func() bool { v, _ := query(t, s, gpu); return v == 1 })
	}

	overwrite(t, temperature, "85000")
	p.arrives(t, "85 °C", hot.fires)

	overwrite(t, temperature, "93000")
	overwrite(t, used, "16304937370") // of 17163091968
	move(t, lostCard, filepath.Join(t.TempDir(), "away"))
	p.arrives(t, "93 °C", critical.fires)
	p.arrives(t, "VRAM at 95 %", full.fires)
	p.arrives(t, "a card lost", lost.fires)

	want := map[string]string{
		"GpuTemperatureAttention " + first: "suppressed",
		"GpuTemperatureHigh " + first:      "suppressed",
		"GpuTemperatureCritical " + first:  "active",
		"GpuMemoryHigh " + first:           "active",
		"GpuLost " + second:                "active",
	}
	var all []known
	await.Until(t, "the critical alert inhibits the others of its quantity", func() bool {
		all = knownAlerts(t, s)
		return states(all)["GpuTemperatureAttention "+first] == "suppressed" && states(all)["GpuTemperatureHigh "+first] == "suppressed"
	})
	// The one that is made up was hot for long enough to alarm everybody, had it been real.
	await.Until(t, "a simulated GPU above 95 °C for 20 s", func() bool {
		v, _ := query(t, s, `min_over_time(gpu:temperature_celsius:primary{source="simulation"}[20s])`)
		return v > 95
	})
	all = knownAlerts(t, s)
	if d := cmp.Diff(want, states(all)); d != "" {
		t.Errorf("alerts of GPUs (-want +got):\n%s", d)
	}
	inhibited(t, all, "GpuTemperatureHigh", "GpuTemperatureCritical")

	overwrite(t, temperature, "50000")
	overwrite(t, used, "1610612736")
	back := filepath.Join(t.TempDir(), "card")
	addCard(t, hotCard, back, second)
	move(t, back, lostCard)
	p.arrives(t, "cool again: no longer critical", critical.ends)
	p.arrives(t, "cool again: no longer high", hot.ends)
	p.arrives(t, "VRAM free again", full.ends)
	p.arrives(t, "the card is back", lost.ends)

	for _, m := range p.messages() {
		for _, innocent := range []string{"sim:0", suspended, "GpuTemperatureAttention"} {
			if strings.Contains(m.title+m.text, innocent) {
				t.Errorf("%s: a message about %s: %s\n%s", m.channel, innocent, m.title, m.text)
			}
		}
	}
	if n := sum(t, s, "alertmanager_notifications_failed_total"); n != 0 {
		t.Errorf("%v notifications failed", n)
	}
	if n := sum(t, s, "alertmanager_notifications_total"); n < float64(len(p.messages())) {
		t.Errorf("Alertmanager counts %v notifications, %d messages have come", n, len(p.messages()))
	}
	for _, m := range p.messages() {
		t.Logf("%s: %s", m.channel, m.title)
	}
}

// inhibited checks that an alert is silenced by another of the same GPU.
func inhibited(t *testing.T, all []known, name, by string) {
	t.Helper()
	find := func(name string) known {
		i := slices.IndexFunc(all, func(a known) bool { return a.Labels["alertname"] == name && a.Labels["gpu"] == first })
		if i < 0 {
			t.Fatalf("%s does not fire", name)
		}
		return all[i]
	}
	if ids := find(name).Status.InhibitedBy; !slices.Contains(ids, find(by).Fingerprint) {
		t.Errorf("%s is inhibited by %v, want %s (%s)", name, ids, by, find(by).Fingerprint)
	}
}

// At night a warning waits and a critical alert does not.
func TestQuietHoursHoldWarningsBack(t *testing.T) {
	p := openPost(t)
	always := []any{yamlMap{"start_time": "00:00", "end_time": "24:00"}}
	s := startStack(t, stack.Options{
		AlertmanagerConfig: alertmanagerConfig(t, p, yamlMap{"times": always}),
		ExporterFlags:      []string{"--collector.simulation=off"},
	})
	var alerts []map[string]map[string]string
	for _, severity := range []string{"warning", "critical"} {
		alerts = append(alerts, map[string]map[string]string{"labels": {
			"alertname": "By" + severity, "severity": severity, "quantity": severity, "instance": host, "gpu": "0000:01:00.0",
		}})
	}
	body, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(s.Alertmanager+"/api/v2/alerts", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	p.arrives(t, "the critical alert", func(m message) bool { return strings.HasPrefix(m.title, "[CRITICAL] ") && m.says("Bycritical: ", nil) })
	await.Until(t, "a notification held back", func() bool {
		return sum(t, s, "alertmanager_notifications_suppressed_total", `reason="mute_time_interval"`) > 0
	})
	for _, m := range p.messages() {
		if strings.Contains(m.title+m.text, "Bywarning") {
			t.Errorf("%s: a warning in quiet hours: %s", m.channel, m.title)
		}
	}
}
