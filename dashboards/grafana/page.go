package grafana

import (
	"regexp"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// Matchers of every query. The expressions of the tables say {S}, {V} and so on, as the contract does; more may follow.
var selections = map[string]string{
	"S": ours,                                              // all GPUs that are looked at
	"V": ours + `, vendor=~"$vendor"`,                      // recorded series and gpu_info, which have the vendor
	"G": ours + `, gpu=~"$gpu"`,                            // those of the chosen GPUs
	"O": ours + `, gpu="$gpu"`,                             // of the one GPU that can be chosen
	"N": ours + `, gpu=~"$gpu", vendor=~"$vendor"`,         // the same of recorded series
	"W": ours + `, kind=~"$kind", namespace=~"$namespace"`, // workloads
	"A": firing,
}

// The cluster stands in every query, else a choice of it would change nothing as long as all instances are chosen.
const ours = `job=~"$job", cluster=~"$cluster", instance=~"$instance"`

// firing are our alerts that fire. Those on a fleet, the rules or all exporters have neither job nor instance.
const firing = `service="gpu-stats-service", job=~"$job|", cluster=~"$cluster", instance=~"$instance|", alertstate="firing"`

const (
	onGPU = "on (cluster, job, instance, gpu)"
	named = " * " + onGPU + " group_left (name) gpu:info:one" // followed by its matchers
)

var selection = regexp.MustCompile(`\{([SVGONWA])\b`)

// written is an expression with its selections written out.
func written(expr string) string {
	return selection.ReplaceAllStringFunc(expr, func(s string) string { return "{" + selections[s[1:]] })
}

// source is what all queries ask: the data source that the reader chose.
func source() *common.DataSourceRef {
	return &common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}

// variable is a choice at the top of a dashboard.
type variable struct {
	name, query string
	regex       string
	one         bool   // choose one, not some or all
	all         string // what all means, empty: each that is listed
}

// Variables, in the order in which they stand. Those that hang on another come after it. An absent label must match all of
// clusters, vendors and namespaces.
var (
	jobs      = variable{name: "job", query: `label_values(gpu_info, job)`, all: ".+"}
	clusters  = variable{name: "cluster", query: `label_values(gpu_info{job=~"$job"}, cluster)`, all: ".*"}
	instances = variable{
		name: "instance", query: `label_values(gpu_info{job=~"$job", cluster=~"$cluster"}, instance)`, all: ".+",
	}
	instance = variable{name: "instance", query: instances.query, one: true}
	vendors  = variable{name: "vendor", query: `label_values(gpu_info{S}, vendor)`, all: ".*"}
	gpus     = variable{name: "gpu", query: withAddress("{V}"), regex: namesOfGPUs}
	gpu      = variable{name: "gpu", query: withAddress("{S}"), regex: namesOfGPUs, one: true}
	kinds    = variable{name: "kind", query: `label_values(gpu_workload_processes{S}, kind)`, all: ".*"}
	spaces   = variable{name: "namespace", query: `label_values(gpu_workload_processes{S}, namespace)`, all: ".*"}
)

// withAddress gives each GPU a name of its own: eight of a kind have one name, and one whose driver sleeps may have none.
func withAddress(selection string) string {
	return `query_result(label_join(gpu:info:one` + selection + `, "name", " ", "name", "gpu"))`
}

// namesOfGPUs lets the reader choose by name. Labels come in the order of the alphabet, with the gpu before the name.
const namesOfGPUs = `/[{,]\s*gpu="(?<value>[^"]+)".*,\s*name="\s*(?<text>[^"]+)"/`

func chosen(text, value string) *dashboard.VariableOption {
	return &dashboard.VariableOption{
		Text:  dashboard.StringOrArrayOfString{String: &text},
		Value: dashboard.StringOrArrayOfString{String: &value},
	}
}

func (v variable) model() dashboard.VariableModel {
	query := written(v.query)
	m := dashboard.VariableModel{
		Type: dashboard.VariableTypeQuery, Name: v.name, Label: new(v.name), Datasource: source(),
		Query: &dashboard.StringOrMap{String: &query}, Definition: &query, Regex: &v.regex,
		Refresh: new(dashboard.VariableRefreshOnTimeRangeChanged), Sort: new(dashboard.VariableSortAlphabeticalAsc),
		Multi: new(!v.one), IncludeAll: new(!v.one),
	}
	if v.one {
		return m
	}
	m.Current = chosen("All", "$__all")
	if v.all != "" {
		m.AllValue = &v.all
	}
	return m
}

// annotations are marks on all curves of a dashboard.
var annotations = []struct{ name, expr, title, text, tags, colour string }{
	{
		"Alerts", `ALERTS{A, severity!="none"}`, "{{alertname}}", // without the watchdog, which always fires
		"{{severity}} {{name}} {{gpu}}", "severity", red,
	},
	// A change of a label is a new series: changes() of it is always 0. It is held against the hour before, which may have a
	// gap: after one that is longer the GPU is new, and that is no change.
	{
		"Driver changes", `gpu_info{S}
unless on (cluster, job, instance, gpu, driver, driver_version, vbios) last_over_time(gpu_info{S}[1h] offset 5m)
and ` + onGPU + ` last_over_time(gpu_info{S}[1h] offset 5m)`, "{{driver}} {{driver_version}}",
		"{{name}} {{gpu}} has another driver or firmware than five minutes ago", "driver", cyan,
	},
	{
		"Exporter restarts", `max by (cluster, job, instance) (resets(gpu_exporter_reads_total{S}[5m])) > 0`,
		"Restart of gpu_exporter", "{{instance}}", "instance", orange,
	},
}

// dashboard writes the page out.
func (p page) dashboard() v1 {
	d := *dashboard.NewDashboard()
	d.Uid, d.Title, d.Description = &p.uid, &p.title, &p.about
	d.Tags, d.Editable = []string{"gpu"}, new(false)
	d.GraphTooltip = new(dashboard.DashboardCursorSyncCrosshair)
	d.Refresh = new("30s")
	d.Time = &dashboard.DashboardDashboardTime{From: "now-3h", To: "now"}
	d.Links = []dashboard.DashboardLink{{
		Title: "GPU dashboards", Type: dashboard.DashboardLinkTypeDashboards, Icon: "external link", Tags: []string{"gpu"},
		AsDropdown: true, IncludeVars: true, KeepTime: true,
	}}
	d.Templating.List = []dashboard.VariableModel{{
		Type: dashboard.VariableTypeDatasource, Name: "datasource", Label: new("Data source"),
		Query: &dashboard.StringOrMap{String: new("prometheus")}, Refresh: new(dashboard.VariableRefreshOnDashboardLoad),
	}}
	for _, v := range p.variables {
		d.Templating.List = append(d.Templating.List, v.model())
	}
	for _, a := range annotations {
		d.Annotations.List = append(d.Annotations.List, dashboard.AnnotationQuery{
			Name: a.name, Datasource: source(), Enable: true, IconColor: a.colour, Expr: new(written(a.expr)),
			TitleFormat: &a.title, TextFormat: &a.text, TagKeys: &a.tags,
			// Newer versions read the query from the target, older ones from the fields above.
			Target: prometheus.Dataquery{Datasource: source(), Expr: written(a.expr), RefId: new("Anno"), Range: new(true)},
		})
	}
	p.layOut(&d)
	return d
}

const (
	gridWidth    = 24
	rowHeight    = 1
	bannerHeight = 3 // at 2 Grafana has no room for the word below the title
)

// layOut puts the panels on the grid, and gives them ids: links to a single panel and the renderer of pictures need them.
func (p page) layOut(d *v1) {
	var id, y uint32
	place := func(panels []panel) (placed []dashboard.Panel) {
		var x, lineHeight uint32
		for _, panel := range panels {
			if x+panel.width > gridWidth {
				x, y = 0, y+lineHeight
			}
			id++
			made := panel.dashboardPanel(id)
			made.GridPos = &dashboard.GridPos{X: x, Y: y, W: panel.width, H: panel.height}
			placed = append(placed, made)
			x, lineHeight = x+panel.width, panel.height
		}
		y += lineHeight
		return placed
	}
	add := func(panels []dashboard.Panel) {
		for _, panel := range panels {
			d.Panels = append(d.Panels, dashboard.PanelOrRowPanel{Panel: &panel})
		}
	}
	addRow := func(title string, closed bool) *dashboard.RowPanel {
		id++
		row := &dashboard.RowPanel{
			Type: "row", Id: id, Title: &title, Collapsed: closed, Panels: []dashboard.Panel{},
			GridPos: &dashboard.GridPos{Y: y, W: gridWidth, H: rowHeight},
		}
		d.Panels = append(d.Panels, dashboard.PanelOrRowPanel{RowPanel: row})
		y += rowHeight
		return row
	}
	add(place([]panel{p.banner()}))
	for _, s := range p.sections {
		addRow(s.title, false)
		add(place(s.panels))
	}
	for _, s := range p.closed {
		row, below := addRow(s.title, true), y
		row.Panels = place(s.panels)
		y = below // Grafana makes room when it opens the row
	}
}

// banner says that what is shown is not real. A text panel could not hide itself where it is.
func (p page) banner() panel {
	return panel{
		kind: statKind, title: "Real or simulated", width: gridWidth, height: bannerHeight, of: simulated,
		about:   "SIMULATED where GPUs are shown that the exporter makes up.",
		absent:  "the data source does not answer.",
		queries: []query{{expr: p.simulated}},
	}
}
