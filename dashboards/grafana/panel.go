package grafana

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// kind is a type of panels.
type kind string

const (
	statKind   kind = "stat"
	curvesKind kind = "timeseries"
	tableKind  kind = "table"
	statesKind kind = "state-timeline"
	barsKind   kind = "bargauge"
)

// panel is a row in the tables of panels.
type panel struct {
	kind          kind
	title         string
	about, absent string // what it shows, and what it means that a series is not there
	of            quantity
	width, height uint32
	queries       []query

	stacked bool
	aside   bool     // the legend is a table beside the curves: below them it would take their room, or be cut
	looks   []look   // of single series; a later one goes before an earlier one
	columns []column // of a table
	sortBy  string   // title of the column that a table begins sorted by, downwards
	name    bool     // a stat shows the name of the series, not its value
}

type query struct{ expr, legend string }

// look is how some of the series are drawn.
type look struct {
	match  string // regular expression for the name in the legend
	name   string // instead of it
	colour string
	shades bool // of the colour, one for each series
	dashed bool // a limit
}

// column of a table. The others are not shown.
type column struct {
	field, title string
	of           quantity
	coloured     bool // its text, by the thresholds: on the background of our bright colours white is hard to read
	width        int  // in pixels; 0: Grafana's choice
	hidden       bool // there for links alone
}

// identity are the labels that make a GPU one. Hosts of two clusters may have one name.
var identity = []string{"cluster", "job", "instance", "gpu"}

// linkToGPU leads to the page of the GPU that a series or row is of. A label that is not there gives an empty word, which is
// what it is for Prometheus. A name of Windows has an & in it.
func linkToGPU(labels string) []dashboard.DashboardLink {
	url := "/d/gpu-detail?var-datasource=${datasource}"
	for _, l := range identity {
		url += fmt.Sprintf("&var-%[2]s=${%[1]s.%[2]s:percentencode}", labels, l)
	}
	url += "&${__url_time_range}"
	return []dashboard.DashboardLink{{
		Title: "This GPU in detail", Type: dashboard.DashboardLinkTypeLink, Url: &url, Tags: []string{},
	}}
}

func (p panel) dashboardPanel(id uint32) dashboard.Panel {
	d := dashboard.Panel{
		Type: string(p.kind), Id: &id, Title: &p.title, Datasource: source(),
		Description: new(p.about + "\n\nNo series: " + p.absent),
		FieldConfig: &dashboard.FieldConfigSource{Defaults: p.of.fieldConfig(), Overrides: p.overrides()},
	}
	d.Options, d.FieldConfig.Defaults.Custom = p.options()
	if p.kind == curvesKind && p.of.unit == units.PercentUnit {
		// Grafana takes them for those of the share: without any, its axis has nothing between 0 and 100 %.
		d.FieldConfig.Defaults.Decimals = nil
	}
	if p.kind == curvesKind || p.kind == statesKind && len(p.of.steps) == 1 {
		d.FieldConfig.Defaults.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdPaletteClassic}
	}
	for i, q := range p.queries {
		target := prometheus.Dataquery{Datasource: source(), Expr: written(q.expr), RefId: new(string(rune('A' + i)))}
		switch p.kind {
		case tableKind:
			target.Instant, target.Format = new(true), new(prometheus.PromQueryFormatTable)
		case curvesKind, statesKind:
			target.Range, target.LegendFormat = new(true), &q.legend
		default:
			target.Instant, target.LegendFormat = new(true), &q.legend
		}
		d.Targets = append(d.Targets, variants.Dataquery(target))
		if strings.Contains(q.legend, "{{gpu}}") {
			d.FieldConfig.Defaults.Links = linkToGPU("__field.labels")
		}
	}
	if p.kind == tableKind {
		d.Transformations = p.transformations()
	}
	return d
}

func (p panel) options() (options, custom any) {
	last := common.ReduceDataOptions{Calcs: []string{"lastNotNull"}}
	legend := common.VizLegendOptions{
		DisplayMode: common.LegendDisplayModeList, Placement: common.LegendPlacementBottom, ShowLegend: true, Calcs: []string{},
	}
	if p.aside {
		legend.DisplayMode, legend.Placement = common.LegendDisplayModeTable, common.LegendPlacementRight
		legend.Calcs = last.Calcs
	}
	tooltip := common.VizTooltipOptions{Mode: common.TooltipDisplayModeMulti, Sort: common.SortOrderDescending}
	switch p.kind {
	case statKind:
		o := stat.NewOptions()
		o.GraphMode, o.ColorMode, o.ReduceOptions = common.BigValueGraphModeNone, common.BigValueColorModeValue, last
		o.Orientation = common.VizOrientationAuto
		if p.of.background {
			o.ColorMode = common.BigValueColorModeBackground
		}
		if p.name {
			o.TextMode = common.BigValueTextModeName
		}
		return o, nil
	case barsKind:
		o := bargauge.NewOptions()
		o.ReduceOptions, o.Orientation, o.DisplayMode = last, common.VizOrientationHorizontal, common.BarGaugeDisplayModeBasic
		o.Legend = legend
		o.Legend.ShowLegend = false
		return o, nil
	case tableKind:
		o := &table.Options{ShowHeader: true}
		if p.sortBy != "" {
			o.SortBy = []common.TableSortByFieldState{{DisplayName: p.sortBy, Desc: new(true)}}
		}
		return o, &common.TableFieldOptions{Align: common.FieldTextAlignmentAuto}
	case statesKind:
		return &statetimeline.Options{
				ShowValue: common.VisibilityModeNever, RowHeight: 0.9, MergeValues: new(true), Legend: legend, Tooltip: tooltip,
			}, &statetimeline.FieldConfig{
				LineWidth: new(uint32(0)), FillOpacity: new(uint32(70)), SpanNulls: &statetimeline.BoolOrUint32{Bool: new(false)},
			}
	}
	fields := &common.GraphFieldConfig{
		DrawStyle: new(common.GraphDrawStyleLine), LineWidth: new(1.0), FillOpacity: new(0.0),
		ShowPoints: new(common.VisibilityModeAuto), AxisSoftMin: p.of.softMin, AxisSoftMax: p.of.softMax,
		// A sleeping card is a gap, no line from its last reading to its next.
		SpanNulls: &common.BoolOrFloat64{Bool: new(false)},
	}
	if len(p.of.steps) > 1 {
		fields.ThresholdsStyle = &common.GraphThresholdsStyleConfig{Mode: common.GraphThresholdsStyleModeDashed}
	}
	if p.stacked {
		fields.FillOpacity, fields.AxisSoftMin = new(30.0), new(0.0) // the height of an area is its value
		fields.Stacking = &common.StackingConfig{Mode: new(common.StackingModeNormal), Group: new("A")}
	}
	return &timeseries.Options{Legend: legend, Tooltip: tooltip}, fields
}

// properties are what an override sets.
type properties []dashboard.DynamicConfigValue

func (p *properties) set(when bool, id string, value any) {
	if when {
		*p = append(*p, dashboard.DynamicConfigValue{Id: id, Value: value})
	}
}

func (p panel) ofCards() bool {
	return slices.ContainsFunc(p.columns, func(c column) bool { return c.field == "gpu" })
}

// allColumns are the columns and, of a table of cards, those that a link to a card wants beside them.
func (p panel) allColumns() []column {
	all := slices.Clone(p.columns)
	for _, l := range identity {
		if p.ofCards() && !slices.ContainsFunc(all, func(c column) bool { return c.field == l }) {
			all = append(all, column{field: l, title: l, hidden: true})
		}
	}
	return all
}

func (p panel) overrides() []dashboard.DashboardFieldConfigSourceOverrides {
	all := []dashboard.DashboardFieldConfigSourceOverrides{}
	add := func(matcher, match string, set properties) {
		if len(set) > 0 {
			all = append(all, dashboard.DashboardFieldConfigSourceOverrides{
				Matcher: dashboard.MatcherConfig{Id: matcher, Options: match}, Properties: set,
			})
		}
	}
	for _, l := range p.looks {
		var o properties
		o.set(l.name != "", "displayName", l.name)
		mode := dashboard.FieldColorModeIdFixed
		if l.shades {
			mode = dashboard.FieldColorModeIdShades
		}
		o.set(l.colour != "", "color", dashboard.FieldColor{Mode: mode, FixedColor: &l.colour})
		o.set(l.dashed, "custom.lineStyle", common.LineStyle{Fill: new(common.LineStyleFillDash), Dash: []float64{10, 10}})
		o.set(l.dashed, "custom.showPoints", common.VisibilityModeNever) // no reading, so that there is none to be seen
		add("byRegexp", "/"+l.match+"/", o)
	}
	for _, c := range p.allColumns() {
		var o properties
		o.set(c.of.unit != "", "unit", c.of.unit)
		o.set(c.of.decimals != nil, "decimals", c.of.decimals)
		o.set(len(c.of.steps) > 0, "thresholds", c.of.thresholds())
		o.set(len(c.of.mappings) > 0, "mappings", c.of.mappings)
		o.set(c.coloured, "custom.cellOptions", map[string]string{"type": "color-text"})
		o.set(c.width > 0, "custom.width", c.width)
		o.set(c.hidden, "custom.hidden", true)
		o.set(p.ofCards() && (c.field == "gpu" || c.field == "name"), "links", linkToGPU("__data.fields"))
		add("byName", c.title, o)
	}
	return all
}

// transformations make one table of the answers to all queries, with the columns that are wanted.
func (p panel) transformations() []dashboard.DataTransformerConfig {
	var fields []string
	order, titles := map[string]int{}, map[string]string{}
	for i, c := range p.allColumns() {
		fields = append(fields, c.field)
		order[c.field], titles[c.field] = i, c.title
	}
	return []dashboard.DataTransformerConfig{
		{Id: "merge", Options: map[string]any{}},
		{Id: "filterFieldsByName", Options: map[string]any{"include": map[string]any{"names": fields}}},
		{Id: "organize", Options: map[string]any{"excludeByName": map[string]any{}, "indexByName": order, "renameByName": titles}},
	}
}
