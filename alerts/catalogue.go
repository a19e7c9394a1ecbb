package alerts

import (
	"slices"
	"strconv"
	"strings"
)

// alert is one row of the catalogue. Texts may be templates of Prometheus.
//
// Smoothing by avg_over_time, then wait, then keep: without the last, a card that swings around its threshold sends a mail
// every few minutes. A band has only its lower edge: with an upper one its alert would resolve while the card gets hotter.
// The upper band inhibits the lower one instead, so that its window and keep must not be longer than those of the lower.
type alert struct {
	name      string // also the heading of its runbook
	wait      string // the time for which expr must hold
	keep      string // the time for which the alert goes on after that
	severity  string
	quantity  string // what is wrong; of two alerts of one GPU and one quantity, the graver inhibits the other
	about     subject
	expr      string
	summary   string // behind who it is
	meaning   string
	value     string // of $value, with its unit
	threshold string // the same for what it must not pass
}

// The severities, as routes know them.
const (
	critical = "critical"
	warning  = "warning"
	info     = "info"
	none     = "none"
)

// Forms of $value.
const (
	celsius = `{{ printf "%.1f °C" $value }}`
	percent = `{{ humanizePercentage $value }}`
	whole   = `{{ printf "%.0f" $value }}`
)

// topic is a group of alerts with a page of runbooks.
type topic struct {
	name   string
	alerts []alert
}

// subject is what an alert is about.
type subject int

const (
	aGPU subject = iota // its labels are those of gpu:info:one
	anExporter
	allExporters
	theRules
	aCluster
)

// subjects say how each is named in a message, and which dashboard shows it.
var subjects = [...]struct{ who, dashboard string }{
	aGPU: {`{{ or $labels.name "GPU" }} ({{ $labels.gpu }}) on {{ $labels.instance }}`,
		`gpu-detail?var-instance={{ urlquery $labels.instance }}&var-gpu={{ urlquery $labels.gpu }}&from=now-3h&to=now`},
	anExporter: {`GPU exporter on {{ $labels.instance }}`,
		`gpu-exporter?var-instance={{ urlquery $labels.instance }}&from=now-3h&to=now`},
	allExporters: {`GPU exporters`, `gpu-exporter?from=now-3h&to=now`},
	theRules:     {`GPU rules`, `gpu-exporter?from=now-3h&to=now`},
	aCluster: {`GPUs of cluster {{ or $labels.cluster "(no name)" }}`,
		`gpu-fleet?var-cluster={{ urlquery $labels.cluster }}&from=now-3h&to=now`},
}

// jarvisAnnotations are what the mails of JARVIS print beside summary and description (legacy-api.md 11), by quantity.
var jarvisAnnotations = map[string]string{
	"temperature":   "gpu_temperature",
	"memory":        "gpu_memory",
	"memory_growth": "gpu_memory",
	"waste":         "gpu_utilization",
}

// alertGroups are the topics as groups: these run beside each other.
func alertGroups(o Options, parts ...[]topic) (groups []Group) {
	for _, t := range slices.Concat(parts...) {
		groups = append(groups, Group{Name: "gpu-" + t.name, Rules: alertRules(o, t.name, t.alerts)})
	}
	return groups
}

func alertRules(o Options, page string, alerts []alert) (rules []Rule) {
	for _, a := range alerts {
		rules = append(rules, a.rule(o, page))
	}
	return rules
}

func (a alert) rule(o Options, page string) Rule {
	s := subjects[a.about]
	// service and gpu_id are what the routes of JARVIS's two Alertmanagers ask for (legacy-api.md 11).
	labels := map[string]string{"severity": a.severity, "quantity": a.quantity, "service": "gpu-stats-service"}
	if a.about == aGPU {
		labels["gpu_id"] = "{{ $labels.index }}"
	}
	annotations := map[string]string{
		"summary":     s.who + ": " + a.summary,
		"description": a.meaning,
		"value":       a.value,
		"threshold":   a.threshold,
		"dashboard":   strings.TrimRight(o.GrafanaURL, "/") + "/d/" + s.dashboard,
		"runbook_url": strings.TrimRight(o.RunbookURL, "/") + "/" + page + ".md#" + strings.ToLower(a.name),
	}
	if name := jarvisAnnotations[a.quantity]; name != "" {
		annotations[name] = a.value
	}
	return Rule{Alert: a.name, Expr: a.expr, For: a.wait, KeepFiringFor: a.keep, Labels: labels, Annotations: annotations}
}

// ofJobs is a matcher of the scrape jobs.
func ofJobs(o Options) string { return "{job=~" + strconv.Quote(o.Jobs) + "}" }
