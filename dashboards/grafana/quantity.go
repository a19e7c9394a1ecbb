package grafana

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// The colours of JARVIS's panel.
const (
	green  = "#00ff88" // optimal; curve of the memory
	cyan   = "#00d4ff" // normal; curve of the utilization
	orange = "#ff9500" // attention; curve of the temperature
	red    = "#ff3b30" // critical
	none   = "transparent"
	plain  = "text" // Grafana's own name for the colour of text
)

// quantity is what a panel or column shows: unit, bounds, and colours by value. A step colours what is at or above it: at
// exactly 80 °C a panel is red, the band still attention.
type quantity struct {
	unit     string
	steps    []step
	min, max *float64
	// softMin and softMax are what an axis has at least: else small changes look great, and 0 lies below 100.
	softMin, softMax *float64
	decimals         *float64
	mappings         []dashboard.ValueMapping
	background       bool // a stat colours its background
}

type step struct {
	from   float64 // of the first step nothing: it is the base
	colour string
}

var (
	temperature = whole(quantity{unit: units.Celsius, steps: []step{{0, green}, {50, cyan}, {70, orange}, {80, red}}})
	load        = percent(step{0, green}, step{0.3, cyan}, step{0.7, orange}, step{0.95, red})
	filling     = percent(step{0, green}, step{0.7, orange}, step{0.9, red})
	ofLimit     = whole(quantity{unit: units.PercentUnit, min: new(0.0), steps: []step{{0, green}, {0.9, orange}, {1, red}}})
	// Degrees left to a limit; fewer than none is beyond it.
	margin = whole(quantity{unit: units.Celsius, steps: []step{{0, red}, {0, orange}, {10, green}}})

	share    = percent(step{0, cyan})
	degrees  = quantity{unit: units.Celsius, steps: base(cyan)}
	watts    = quantity{unit: units.Watt, softMin: new(0.0), steps: base(cyan)}
	energy   = quantity{unit: "kwatth", steps: base(cyan)}
	volts    = quantity{unit: units.Volt, steps: base(cyan)}
	hertz    = quantity{unit: units.Hertz, softMin: new(0.0), steps: base(cyan)}
	rpm      = quantity{unit: units.RevolutionsPerMinute, softMin: new(0.0), steps: base(cyan)}
	size     = quantity{unit: units.BytesIEC, softMin: new(0.0), steps: base(cyan)}
	byteRate = quantity{unit: "binBps", softMin: new(0.0), softMax: new(1024.0), steps: base(cyan)}
	lanes    = quantity{unit: "none", softMin: new(0.0), softMax: new(16.0), steps: base(cyan)}
	// Of billions: behind si: Grafana takes a T for tera.
	transfer = quantity{unit: "si:GT/s", softMin: new(0.0), softMax: new(16.0), steps: base(cyan)}
	// One in a minute is to be seen.
	rate     = quantity{unit: "cps", softMin: new(0.0), softMax: new(0.1), steps: base(cyan)}
	requests = quantity{unit: "reqps", softMin: new(0.0), softMax: new(0.1), steps: base(cyan)}
	seconds  = quantity{unit: "s", softMin: new(0.0), steps: base(cyan)}
	busy     = quantity{unit: units.PercentUnit, min: new(0.0), steps: base(cyan)}
	number   = count(step{0, cyan})
	trouble  = count(step{0, green}, step{1, red})
	warning  = count(step{0, green}, step{1, orange})
	word     = quantity{unit: "none", steps: base(cyan)}
	answers  = quantity{
		unit: "none", background: true, steps: []step{{0, red}, {1, green}},
		mappings: values(map[string]string{"0": "down", "1": "up"}, map[string]string{"0": red, "1": green}),
	}
	yes = quantity{
		unit: "none", steps: []step{{0, red}, {1, green}},
		mappings: values(map[string]string{"0": "no", "1": "yes"}, map[string]string{"0": red, "1": green}),
	}
	active    = percent(step{0, orange}, step{0.5, red})
	simulated = quantity{
		unit: "none", background: true, steps: base(none),
		mappings: append(values(map[string]string{"0": " "}, map[string]string{"0": none}), dashboard.ValueMapping{
			RangeMap: &dashboard.RangeMap{Type: dashboard.MappingTypeRangeToText, Options: dashboard.DashboardRangeMapOptions{
				From: new(1.0), Result: dashboard.ValueMappingResult{Text: new("SIMULATED"), Color: new(orange)},
			}},
		}),
	}
	explained = quantity{
		unit: "none", decimals: new(0.0), steps: base(cyan),
		mappings: values(map[string]string{"0": "not in this version"}, map[string]string{"0": orange}),
	}
	// bands are those of gpu:temperature:band.
	bands = []look{
		{match: "^0$", name: "optimal", colour: green}, {match: "^1$", name: "normal", colour: cyan},
		{match: "^2$", name: "attention", colour: orange}, {match: "^3$", name: "critical", colour: red},
	}
	// states colours series whose name ends with the state.
	states = []look{
		{match: `\bok$`, colour: green}, {match: `\bpartial$`, colour: orange}, {match: `\basleep$`, colour: cyan},
		{match: `\b(hung|gone)$`, colour: red},
	}
	// state is a column with the word.
	state = quantity{mappings: values(nil, map[string]string{
		"ok": green, "partial": orange, "asleep": cyan, "hung": red, "gone": red,
	})}
)

// percent is a share of a whole.
func percent(steps ...step) quantity {
	return whole(quantity{unit: units.PercentUnit, min: new(0.0), max: new(1.0), steps: steps})
}

// count is a number of things. Its unit is not "short": that makes 1 K of 1400.
func count(steps ...step) quantity {
	return quantity{unit: "none", decimals: new(0.0), softMin: new(0.0), softMax: new(4.0), steps: steps}
}

// whole is a quantity without decimals: of 30 % and 29.8 % in a column the second does not say more. Of power they stay:
// 1.2 kW would be 1 kW.
func whole(q quantity) quantity {
	q.decimals = new(0.0)
	return q
}

func base(colour string) []step { return []step{{0, colour}} }

// values maps single values to a text, a colour or both.
func values(texts, colours map[string]string) []dashboard.ValueMapping {
	results := map[string]dashboard.ValueMappingResult{}
	for value, colour := range colours {
		results[value] = dashboard.ValueMappingResult{Color: &colour}
	}
	for value, text := range texts {
		result := results[value]
		result.Text = &text
		results[value] = result
	}
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: results}}}
}

// orDash is a quantity of a column in which -1 stands for a card that has no reading now.
func orDash(q quantity) quantity {
	q.mappings = values(map[string]string{"-1": "—"}, map[string]string{"-1": plain})
	return q
}

func (q quantity) thresholds() *dashboard.ThresholdsConfig {
	t := &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute}
	for i, s := range q.steps {
		made := dashboard.Threshold{Color: s.colour}
		if i > 0 {
			made.Value = &s.from
		}
		t.Steps = append(t.Steps, made)
	}
	return t
}

func (q quantity) fieldConfig() dashboard.FieldConfig {
	return dashboard.FieldConfig{
		Unit: &q.unit, Min: q.min, Max: q.max, Decimals: q.decimals, Mappings: q.mappings, Thresholds: q.thresholds(),
		Color: &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdThresholds},
	}
}
