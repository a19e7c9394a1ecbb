package grafana

import "fmt"

const (
	nameOfGPU = "{{name}} {{instance}} {{gpu}}"
	nameOfBar = "{{gpu}} {{instance}} {{name}}" // begins with what cards differ in: the end is cut off
)

// toldMargin is the margin of GPUs whose driver tells it instead of a limit: of the core, which NVIDIA's sensor gpu is.
const toldMargin = `label_replace(gpu_temperature_margin_celsius{G}, "sensor", "gpu", "", "")`

// compared is what GPUs are held against each other by.
var compared = []struct {
	title, expr   string
	of            quantity
	about, absent string
	before        string  // the name of the GPU
	full          float64 // a full bar; 0: the greatest value of those shown
}{
	{
		title: "Temperature", expr: `gpu:temperature_celsius:primary{N}`, of: temperature, full: 110,
		about: "Of the first sensor that there is.", absent: "the GPU slept, was lost, or has no sensor.",
	},
	{
		title: "Margin to the own limit", of: margin, before: "{{sensor}} ", full: 100,
		// Bars are sorted by it; curves have an order of their own.
		expr: `sort((min without (limit) (gpu_temperature_limit_celsius{G, limit=~"critical|slowdown"})` +
			` - gpu_temperature_celsius{G} or ` + toldMargin + `)` + named + `{N})`,
		about:  "Degrees from a sensor to the limit at which the GPU slows down or is in danger: models differ in it.",
		absent: "the GPU slept, or its driver tells neither a limit of that sensor nor the margin.",
	},
	{
		title: "Utilization", expr: `gpu:utilization:ratio{N}`, of: load,
		about: "Share of time in which the GPU was busy.", absent: "the GPU slept, was lost, or does not tell it.",
	},
	{
		title: "Memory", expr: `gpu:memory_used:ratio{N}`, of: filling,
		about: "Share of the memory that is in use.", absent: "the GPU slept, was lost, or does not tell it.",
	},
	{
		title: "Power", expr: `gpu:power_watts:primary{N}`, of: watts,
		about:  "Draw of the board, else of the package, graphics part or SoC.",
		absent: "the GPU slept, was lost, or does not tell it.",
	},
	{
		title: "Power of the limit", of: ofLimit, full: 1,
		expr: `gpu:power_watts:primary{N} / on (cluster, job, instance, gpu, domain) group_left () ` +
			`max without (limit) (gpu_power_limit_watts{G, limit="current"} > 0)`,
		about:  "At 100 % the power limit slows the GPU.",
		absent: "the GPU slept, or has no limit that is told, as most integrated ones.",
	},
	{
		title: "Clock of its maximum", of: share,
		expr: `(gpu_clock_hertz{G, clock="graphics"} / on (cluster, job, instance, gpu, clock) ` +
			`(gpu_clock_limit_hertz{G, clock="graphics", limit="max"} > 0))` + named + `{N}`,
		about:  "Graphics clock, as share of the highest that it may have.",
		absent: "the GPU slept, its clock stood still, or it is not told.",
	},
	{
		title: "Power of full load", of: watts,
		expr:   `gpu:power_watts:primary{N} / ` + onGPU + ` group_left () (gpu:utilization:ratio{N} > 0.05)`,
		about:  "Draw divided by the share of time in which the GPU was busy: what the work costs.",
		absent: "the GPU was idle (5 % or less), slept, or does not tell both.",
	},
	{
		title: "Fan duty", expr: fastestFan("{G}") + named + `{N}`, of: share,
		about: "The fastest fan, as share of full speed.", absent: "the GPU has no fan, does not tell of it, or slept.",
	},
}

// summed are the quantities of the table of least, mean and greatest values.
var summed = []struct {
	title, expr string // %[1]s is the function
	of          quantity
	width       int // of a column, so that all of them fit
}{
	{"Heat", overTime("gpu:temperature_celsius:primary"), temperature, 88},
	{"Load", overTime("gpu:utilization:ratio"), load, 88},
	{"Memory", overTime("gpu:memory_used:ratio"), filling, 112},
	{"Power", "round(" + overTime("gpu:power_watts:primary") + ")", watts, 100},
}

// overTime makes one row of a card also where a reading went on as another series, of another sensor or domain.
func overTime(name string) string {
	return "%[1]s by (cluster, job, instance, gpu, name) (%[1]s_over_time(" + name + "{N}[$__range]))"
}

func overTheRange() panel {
	p := panel{
		kind: tableKind, title: "Least, mean and greatest of the time shown", width: 24, height: 10, of: word,
		about:  "One row a card.",
		absent: "the GPU had no such reading in all the time shown.",
		columns: []column{
			{field: "name", title: "Name"}, {field: "instance", title: "Host", width: 110}, {field: "gpu", title: "GPU", width: 110},
		},
	}
	for _, s := range summed {
		for _, f := range []struct{ title, function string }{{"min", "min"}, {"mean", "avg"}, {"max", "max"}} {
			field := fmt.Sprintf("Value #%c", 'A'+len(p.queries))
			p.queries = append(p.queries, query{expr: fmt.Sprintf(s.expr, f.function)})
			p.columns = append(p.columns, column{field: field, title: s.title + " " + f.title, of: s.of, width: s.width})
		}
	}
	return p
}

func compare() page {
	p := page{
		uid: "gpu-compare", title: "GPU comparison",
		about:     "GPUs against each other, whatever their vendor.",
		variables: []variable{jobs, clusters, instances, vendors, gpus},
		simulated: `count(gpu_info{N, source="simulation"}) or vector(0)`,
	}
	for _, c := range compared {
		curves := panel{
			kind: curvesKind, title: c.title, width: 16, height: 8, of: c.of, about: c.about, absent: c.absent, aside: true,
			queries: []query{{c.expr, c.before + nameOfGPU}},
		}
		bars := panel{
			kind: barsKind, title: c.title + " now", width: 8, height: 8, of: c.of, about: c.about, absent: c.absent,
			queries: []query{{c.expr, c.before + nameOfBar}},
		}
		bars.of.min = new(0.0)
		switch {
		case c.full > 0:
			bars.of.max = &c.full
		case bars.of.max == nil:
			bars.about += " A full bar is the greatest of those shown."
		}
		p.sections = append(p.sections, section{c.title, []panel{curves, bars}})
	}
	p.sections = append(p.sections, section{"Summary", []panel{overTheRange()}})
	return p
}
