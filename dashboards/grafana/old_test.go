package grafana

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// JARVIS runs Grafana 10.2.3. What that version knows, as far as it is used here (its public/app/plugins/panel and
// packages/grafana-schema). A newer word is no error there, but does nothing.
var knownTo102 = map[string][]string{
	"dashboard": {
		"uid", "title", "description", "tags", "timezone", "editable", "graphTooltip", "time", "fiscalYearStartMonth", "refresh",
		"schemaVersion", "panels", "templating", "annotations", "links",
	},
	"panel": {
		"type", "id", "title", "description", "datasource", "gridPos", "targets", "transformations", "options", "fieldConfig",
	},
	"row": {"type", "id", "title", "collapsed", "gridPos", "panels"},
	"target": {
		"datasource", "expr", "format", "instant", "range", "legendFormat", "refId",
	},
	"variable": {
		"type", "name", "label", "query", "datasource", "current", "multi", "refresh", "sort", "includeAll", "allValue", "regex",
		"definition",
	},
	"annotation": {"name", "datasource", "enable", "iconColor", "target", "expr", "titleFormat", "textFormat", "tagKeys"},
	"fieldConfig.defaults": {
		"unit", "min", "max", "decimals", "mappings", "thresholds", "color", "links", "custom",
	},
	"overrides": {
		"displayName", "color", "unit", "decimals", "thresholds", "mappings", "links",
		"custom.lineStyle", "custom.showPoints", "custom.cellOptions", "custom.width", "custom.hidden",
	},
	"colour mode":     {"thresholds", "palette-classic", "fixed", "shades"},
	"legend":          {"displayMode", "placement", "showLegend", "calcs"},
	"matchers":        {"byName", "byRegexp"},
	"transformations": {"merge", "filterFieldsByName", "organize"},

	"stat":           {"graphMode", "colorMode", "justifyMode", "textMode", "reduceOptions", "orientation"},
	"bargauge":       {"displayMode", "valueMode", "showUnfilled", "minVizWidth", "minVizHeight", "reduceOptions", "orientation"},
	"table":          {"frameIndex", "showHeader", "sortBy"},
	"timeseries":     {"legend", "tooltip"},
	"state-timeline": {"showValue", "rowHeight", "mergeValues", "legend", "tooltip"},

	"table custom": {"align", "inspect"},
	"timeseries custom": {
		"drawStyle", "lineWidth", "fillOpacity", "showPoints", "spanNulls", "thresholdsStyle", "stacking",
		"axisSoftMin", "axisSoftMax",
	},
	"state-timeline custom": {"lineWidth", "fillOpacity", "spanNulls"},
}

// newer are options that came after 10.2 and that the SDK's strict decoder will not miss. They stand at what newer versions
// take when they are not there, so that these dashboards do not rest on them.
var newer = map[string]map[string]any{
	"stat": {"wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard"},
	"bargauge": {
		"namePlacement": "auto", "sizing": "auto", "maxVizHeight": 300.0,
		"legend": map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": []any{}},
	},
}

func TestOnlyWhatGrafana102Knows(t *testing.T) {
	for _, b := range boards(t) {
		check := func(where, of string, words ...string) {
			for _, w := range words {
				if !slices.Contains(knownTo102[of], w) {
					t.Errorf("%s: %s: %s is no %s of Grafana 10.2", b.file, where, w, of)
				}
			}
		}
		checkKeys := func(where, of string, v any) {
			m, _ := v.(map[string]any)
			for key, value := range m {
				if standard, is := newer[of][key]; is {
					if !reflect.DeepEqual(value, standard) {
						t.Errorf("%s: %s rests on %s, which is newer than Grafana 10.2", b.file, where, key)
					}
					continue
				}
				check(where, of, key)
			}
		}
		checkKeys("top", "dashboard", b.raw)
		for _, v := range list(b.raw, "templating", "list") {
			checkKeys(fmt.Sprint(v["name"]), "variable", v)
		}
		for _, a := range list(b.raw, "annotations", "list") {
			checkKeys(fmt.Sprint(a["name"]), "annotation", a)
			checkKeys(fmt.Sprint(a["name"]), "target", a["target"])
		}
		for _, p := range b.rawPanels() {
			where, kind := fmt.Sprint(p["title"]), p["type"].(string)
			if kind == "row" {
				checkKeys(where, "row", p)
				continue
			}
			if knownTo102[kind] == nil {
				t.Errorf("%s: %s is of type %s", b.file, where, kind)
			}
			checkKeys(where, "panel", p)
			checkKeys(where, kind, p["options"])
			if kind == "timeseries" {
				checkKeys(where, "legend", p["options"].(map[string]any)["legend"])
			}
			for _, q := range list(p, "targets") {
				checkKeys(where, "target", q)
			}
			for _, transformation := range list(p, "transformations") {
				check(where, "transformations", transformation["id"].(string))
			}
			defaults := p["fieldConfig"].(map[string]any)["defaults"].(map[string]any)
			checkKeys(where, "fieldConfig.defaults", defaults)
			check(where, "colour mode", defaults["color"].(map[string]any)["mode"].(string))
			checkKeys(where, kind+" custom", defaults["custom"])
			for _, o := range list(p, "fieldConfig", "overrides") {
				check(where, "matchers", o["matcher"].(map[string]any)["id"].(string))
				for _, property := range list(o, "properties") {
					check(where, "overrides", property["id"].(string))
					if colour, is := property["value"].(map[string]any); is && property["id"] == "color" {
						check(where, "colour mode", colour["mode"].(string))
					}
				}
			}
		}
	}
}

// list is a list of objects at a path of keys.
func list(v map[string]any, path ...string) (all []map[string]any) {
	for _, key := range path[:len(path)-1] {
		v, _ = v[key].(map[string]any)
	}
	entries, _ := v[path[len(path)-1]].([]any)
	for _, e := range entries {
		all = append(all, e.(map[string]any))
	}
	return all
}

// The strict decoder of the SDK does not look at the words of an enumeration.
func TestColoursAreThoseOfThePanel(t *testing.T) {
	allowed := []string{green, cyan, orange, red, none, plain}
	for _, b := range boards(t) {
		var look func(v any)
		look = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				for key, value := range v {
					colour, is := value.(string)
					if is && slices.Contains([]string{"color", "fixedColor", "iconColor"}, key) && !slices.Contains(allowed, colour) {
						t.Errorf("%s: the colour %s", b.file, colour)
					}
					look(value)
				}
			case []any:
				for _, value := range v {
					look(value)
				}
			}
		}
		look(b.raw)
	}
}
