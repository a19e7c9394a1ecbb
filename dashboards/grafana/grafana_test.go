package grafana

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"gpu_exporter/alerts"
	"gpu_exporter/collector"
)

func TestCommittedFilesAreTheGeneratedOnes(t *testing.T) {
	for dir, files := range map[string][]File{".": Files(), importDir: ImportFiles()} {
		var want []string
		for _, f := range files {
			path := filepath.Join(dir, f.Name)
			want = append(want, path)
			text, err := f.Text()
			if err != nil {
				t.Fatal(err)
			}
			committed, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(committed, text) {
				t.Errorf("%s is stale: go run ./dashboards/grafana/generate", path)
			}
		}
		got, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", dir, got, want)
		}
	}
}

func TestDashboardsDecodeStrictly(t *testing.T) {
	for _, f := range Files() {
		text, err := f.Text()
		if err != nil {
			t.Fatal(err)
		}
		if err := strictly(text); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		for _, word := range []string{`"schemaVersion"`, `"gridPos"`, `"expr"`, `"reduceOptions"`, `"spanNulls"`} {
			misspelt := bytes.ReplaceAll(text, []byte(word), []byte(`"mis`+word[1:]))
			if bytes.Contains(text, []byte(word)) && strictly(misspelt) == nil {
				t.Errorf("%s: a misspelt %s is not noticed", f.Name, word)
			}
		}
	}
}

func TestTheDashboardsOfTheContract(t *testing.T) {
	var got []string
	for _, b := range boards(t) {
		got = append(got, *b.Uid)
		if b.file != *b.Uid+".json" {
			t.Errorf("%s has the uid %s", b.file, *b.Uid)
		}
		if b.Id != nil {
			t.Errorf("%s has an id, which is for Grafana to give", b.file)
		}
		if *b.Editable || !slices.Equal(b.Tags, []string{"gpu"}) || *b.Refresh != "30s" ||
			b.Time.From != "now-3h" || b.Time.To != "now" || *b.GraphTooltip != dashboard.DashboardCursorSyncCrosshair || b.SchemaVersion != 42 {
			t.Errorf("%s: not as all dashboards are", b.file)
		}
		if len(b.Links) != 1 {
			t.Fatalf("%s has %d links", b.file, len(b.Links))
		}
		if l := b.Links[0]; !l.AsDropdown || !l.KeepTime || !l.IncludeVars || !slices.Equal(l.Tags, []string{"gpu"}) {
			t.Errorf("%s: the links to the others are %+v", b.file, l)
		}
	}
	want := []string{"gpu-compare", "gpu-detail", "gpu-exporter", "gpu-fleet", "gpu-workloads", "jarvis-gpu"}
	if !slices.Equal(got, want) {
		t.Errorf("dashboards %v, want %v", got, want)
	}
}

// Grafana refuses to provision a second dashboard of a uid, and before 11 a second one of a title in a folder.
func TestUidsAndTitlesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, b := range boards(t) {
		for _, word := range []string{"uid " + *b.Uid, "title " + *b.Title} {
			if other, twice := seen[word]; twice {
				t.Errorf("%s and %s have the %s", other, b.file, word)
			}
			seen[word] = b.file
		}
	}
}

func TestIdsAndRefIdsAreUnique(t *testing.T) {
	for _, b := range boards(t) {
		ids := map[any]bool{nil: true, 0.0: true} // are none
		for _, p := range b.rawPanels() {
			if ids[p["id"]] {
				t.Errorf("%s: a panel has the id %v", b.file, p["id"])
			}
			ids[p["id"]] = true
		}
		for _, p := range b.panels() {
			refs := map[string]bool{}
			for _, q := range targets(t, p) {
				if *q.RefId == "" || refs[*q.RefId] {
					t.Errorf("%s: %s has the refId %q", b.file, *p.Title, *q.RefId)
				}
				refs[*q.RefId] = true
			}
		}
	}
}

func TestPanelsLieOnTheGridAndNotOnOneAnother(t *testing.T) {
	for _, b := range boards(t) {
		taken := map[[2]uint32]string{}
		lay := func(at *dashboard.GridPos, title string, taken map[[2]uint32]string) {
			if at.W == 0 || at.H == 0 || at.X+at.W > 24 {
				t.Errorf("%s: %s lies at %+v", b.file, title, *at)
			}
			for x := at.X; x < at.X+at.W; x++ {
				for y := at.Y; y < at.Y+at.H; y++ {
					if other := taken[[2]uint32{x, y}]; other != "" {
						t.Fatalf("%s: %s lies on %s", b.file, title, other)
					}
					taken[[2]uint32{x, y}] = title
				}
			}
		}
		for _, p := range b.Panels {
			if p.Panel != nil {
				lay(p.Panel.GridPos, *p.Panel.Title, taken)
				continue
			}
			lay(p.RowPanel.GridPos, *p.RowPanel.Title, taken)
			inside := map[[2]uint32]string{} // below a closed row others lie as well, until it is opened
			for _, p := range p.RowPanel.Panels {
				lay(p.GridPos, *p.Title, inside)
			}
		}
	}
}

// Grafana moves the panels of a row that is opened by as much as the first of them must move to be below it.
func TestClosedRowsComeLastAndHoldTheirPanels(t *testing.T) {
	for _, b := range boards(t) {
		closed := false
		for _, p := range b.Panels {
			if p.RowPanel == nil || !p.RowPanel.Collapsed {
				if closed {
					t.Errorf("%s has more below a closed row", b.file)
				}
				if p.RowPanel != nil && len(p.RowPanel.Panels) > 0 {
					t.Errorf("%s: the open row %s holds panels, which Grafana does not show", b.file, *p.RowPanel.Title)
				}
				continue
			}
			closed = true
			if row := p.RowPanel; len(row.Panels) == 0 || row.Panels[0].GridPos.Y != row.GridPos.Y+1 {
				t.Errorf("%s: the closed row %s holds nothing, or not right below it", b.file, *row.Title)
			}
		}
	}
}

func TestTheBannerComesFirst(t *testing.T) {
	for _, b := range boards(t) {
		p := b.Panels[0].Panel
		if p == nil || p.Type != "stat" || p.GridPos.Y != 0 || p.GridPos.H != 3 {
			t.Errorf("%s does not begin with a banner", b.file)
			continue
		}
		q := targets(t, *p)
		if len(q) != 1 || !strings.Contains(q[0].Expr, `source="simulation"`) || !strings.HasSuffix(q[0].Expr, "or vector(0)") {
			t.Errorf("%s: the banner asks %v", b.file, q)
		}
		m := p.FieldConfig.Defaults.Mappings
		if len(m) != 2 || *m[0].ValueMap.Options["0"].Text != " " ||
			*m[1].RangeMap.Options.From != 1 || *m[1].RangeMap.Options.Result.Text != "SIMULATED" {
			t.Errorf("%s: the banner says %v", b.file, m)
		}
	}
}

func TestVariables(t *testing.T) {
	want := map[string][]string{
		"gpu-fleet.json":     {"datasource", "job", "cluster", "instance", "vendor"},
		"gpu-detail.json":    {"datasource", "job", "cluster", "instance", "gpu"},
		"jarvis-gpu.json":    {"datasource", "job", "cluster", "instance", "gpu"},
		"gpu-compare.json":   {"datasource", "job", "cluster", "instance", "vendor", "gpu"},
		"gpu-workloads.json": {"datasource", "job", "cluster", "instance", "kind", "namespace"},
		"gpu-exporter.json":  {"datasource", "job", "cluster", "instance"},
	}
	allValues := map[string]string{
		"job": ".+", "cluster": ".*", "instance": ".+", "vendor": ".*", "kind": ".*", "namespace": ".*",
	}
	for _, b := range boards(t) {
		var names []string
		for _, v := range b.Templating.List {
			where := b.file + ": " + v.Name
			names = append(names, v.Name)
			if v.Name == "datasource" {
				if v.Type != dashboard.VariableTypeDatasource || *v.Query.String != "prometheus" || *v.Label != "Data source" {
					t.Errorf("%s is %+v", where, v)
				}
				continue
			}
			if v.Type != dashboard.VariableTypeQuery || *v.Datasource.Uid != "${datasource}" || *v.Label != v.Name ||
				*v.Refresh != dashboard.VariableRefreshOnTimeRangeChanged {
				t.Errorf("%s is no query of the data source, told by its name, asked again when the time changes", where)
			}
			detail := strings.HasSuffix(*b.Uid, "-detail") || *b.Uid == "jarvis-gpu"
			if one := detail && (v.Name == "instance" || v.Name == "gpu"); one {
				if *v.Multi || *v.IncludeAll {
					t.Errorf("%s: more than one can be chosen", where)
				}
				continue
			}
			if !*v.Multi || !*v.IncludeAll || *v.Current.Value.String != "$__all" {
				t.Errorf("%s: all cannot be chosen, or are not at first", where)
			}
			if all := allValues[v.Name]; all != "" && (v.AllValue == nil || *v.AllValue != all) {
				t.Errorf("%s: all is not %s", where, all)
			}
		}
		if !slices.Equal(names, want[b.file]) {
			t.Errorf("%s: variables %v, want %v", b.file, names, want[b.file])
		}
	}
}

// joined is what label_join makes of the name and the gpu in the queries of the variable.
var joined = regexp.MustCompile(`^query_result\(label_join\(gpu:info:one\{[^{}]*\}, "name", " ", "name", "gpu"\)\)$`)

// resultText is how Grafana writes a series that query_result gives: labels in alphabetical order, nothing escaped.
func resultText(labels map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "__name__" {
			pairs = append(pairs, name+`="`+labels[name]+`"`)
		}
	}
	return labels["__name__"] + "{" + strings.Join(pairs, ",") + "} 1 1000"
}

// chosenGPU is what Grafana makes of a series for the choice of a GPU.
func chosenGPU(labels map[string]string) (value, text string, ok bool) {
	re := regexp.MustCompile(strings.Trim(namesOfGPUs, "/"))
	m := re.FindStringSubmatch(resultText(labels))
	if m == nil {
		return "", "", false
	}
	return m[re.SubexpIndex("value")], m[re.SubexpIndex("text")], true
}

func TestGPUsAreChosenByNameAndAddress(t *testing.T) {
	for _, b := range boards(t) {
		for _, v := range b.Templating.List {
			if v.Name == "gpu" && (!joined.MatchString(*v.Query.String) || *v.Regex != namesOfGPUs) {
				t.Errorf("%s: GPUs are asked for by %s, and taken by %s", b.file, *v.Query.String, *v.Regex)
			}
		}
	}
	for _, c := range []struct{ labels, gpu, text string }{
		{`gpu="0000:03:00.0",index="0",job="b",name="NVIDIA H100"`, "0000:03:00.0", "NVIDIA H100 0000:03:00.0"},
		{`gpu="0000:04:00.0",index="1",job="b",name="NVIDIA H100"`, "0000:04:00.0", "NVIDIA H100 0000:04:00.0"},
		{`cluster="c",gpu="sim:0",gpu_memory_policy="reserved",name="Simulated",nodename="n",vgpu="v"`, "sim:0", "Simulated sim:0"},
		{`gpu="0000:01:00.0",index="0",job="b"`, "0000:01:00.0", "0000:01:00.0"}, // sleeps, and nobody knows its name
		{`gpu="pnp:PCI\VEN_10DE&DEV_1B81\4",job="b",name="N"`, `pnp:PCI\VEN_10DE&DEV_1B81\4`, `N pnp:PCI\VEN_10DE&DEV_1B81\4`},
	} {
		labels := map[string]string{"__name__": "gpu:info:one"}
		for _, m := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(c.labels, -1) {
			labels[m[1]] = m[2]
		}
		labels["name"] += " " + labels["gpu"] // as label_join does it
		if value, text, ok := chosenGPU(labels); !ok || value != c.gpu || text != c.text {
			t.Errorf("%s gives %q of %q, want %q of %q", c.labels, text, value, c.text, c.gpu)
		}
	}
}

func TestEverythingAsksTheChosenDataSource(t *testing.T) {
	for _, b := range boards(t) {
		var look func(where string, v any)
		look = func(where string, v any) {
			switch v := v.(type) {
			case map[string]any:
				if ds, ok := v["datasource"]; ok {
					if m, _ := ds.(map[string]any); m["type"] != "prometheus" || m["uid"] != "${datasource}" {
						t.Errorf("%s%s asks %v", b.file, where, ds)
					}
				}
				for key, value := range v {
					look(where+"."+key, value)
				}
			case []any:
				for i, value := range v {
					look(fmt.Sprintf("%s[%d]", where, i), value)
				}
			}
		}
		look("", b.raw)
		for _, p := range b.panels() {
			if p.Datasource == nil {
				t.Errorf("%s: %s has no data source", b.file, *p.Title)
			}
			for _, q := range targets(t, p) {
				if q.Datasource == nil {
					t.Errorf("%s: %s, %s has no data source", b.file, *p.Title, *q.RefId)
				}
			}
		}
		for _, a := range b.Annotations.List {
			if a.Datasource == nil {
				t.Errorf("%s: %s has no data source", b.file, a.Name)
			}
		}
		text, err := os.ReadFile(b.file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "${DS_") {
			t.Errorf("%s asks for a data source by a name that only an import fills in", b.file)
		}
	}
}

func TestEveryPanelSaysWhatItShowsAndWhatIsMissing(t *testing.T) {
	for _, b := range boards(t) {
		titles := map[string]bool{}
		for _, p := range b.panels() {
			if *p.Title == "" || titles[*p.Title] {
				t.Errorf("%s: two panels have the title %q", b.file, *p.Title)
			}
			titles[*p.Title] = true
			about, absent, _ := strings.Cut(*p.Description, "\n\nNo series: ")
			if about == "" || absent == "" {
				t.Errorf("%s: %s says %q", b.file, *p.Title, *p.Description)
			}
			if len(p.Targets) == 0 {
				t.Errorf("%s: %s asks nothing", b.file, *p.Title)
			}
		}
	}
}

// unitIDs are those of Grafana (@grafana/data, getValueFormats) that are used here. What follows si: is any word, behind a
// prefix.
var unitIDs = []string{
	"none", "celsius", "percentunit", "watt", "kwatth", "volt", "hertz", "rotrpm", "bytes", "binBps", "si:GT/s",
	"cps", "reqps", "s",
}

func TestUnitsAreKnown(t *testing.T) {
	for _, b := range boards(t) {
		for _, p := range b.panels() {
			if unit := p.FieldConfig.Defaults.Unit; unit == nil || !slices.Contains(unitIDs, *unit) {
				t.Errorf("%s: %s has no known unit", b.file, *p.Title)
			}
			for _, o := range p.FieldConfig.Overrides {
				for _, property := range o.Properties {
					if property.Id == "unit" && !slices.Contains(unitIDs, property.Value.(string)) {
						t.Errorf("%s: %s has the unit %v", b.file, *p.Title, property.Value)
					}
				}
			}
		}
	}
}

// Grafana takes the last step that a value reaches, in the order in which they stand.
func TestThresholdsRise(t *testing.T) {
	for _, b := range boards(t) {
		for _, p := range b.panels() {
			all := []dashboard.ThresholdsConfig{*p.FieldConfig.Defaults.Thresholds}
			for _, o := range p.FieldConfig.Overrides {
				for _, property := range o.Properties {
					if property.Id == "thresholds" {
						all = append(all, as[dashboard.ThresholdsConfig](t, property.Value))
					}
				}
			}
			for _, c := range all {
				rising := len(c.Steps) > 0 && c.Steps[0].Value == nil && c.Mode == dashboard.ThresholdsModeAbsolute
				for i := 1; i < len(c.Steps); i++ {
					rising = rising && c.Steps[i].Value != nil && (i == 1 || *c.Steps[i].Value > *c.Steps[i-1].Value)
				}
				if !rising {
					t.Errorf("%s: %s has the thresholds %+v", b.file, *p.Title, c)
				}
			}
		}
	}
}

// as is a part of a decoded dashboard, which is of any type, as what it is.
func as[T any](t *testing.T, v any) (made T) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &made); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestThresholdsAndColoursOfTheContract(t *testing.T) {
	const blue = "#00d4ff"
	step := func(from float64, colour string) dashboard.Threshold {
		return dashboard.Threshold{Value: &from, Color: colour}
	}
	base := dashboard.Threshold{Color: "#00ff88"}
	want := map[string][]dashboard.Threshold{
		"gpu-detail.json: Temperature":         {base, step(50, blue), step(70, "#ff9500"), step(80, "#ff3b30")},
		"gpu-detail.json: Utilization":         {base, step(0.3, blue), step(0.7, "#ff9500"), step(0.95, "#ff3b30")},
		"gpu-detail.json: Memory":              {base, step(0.7, "#ff9500"), step(0.9, "#ff3b30")},
		"gpu-compare.json: Power of the limit": {base, step(0.9, "#ff9500"), step(1, "#ff3b30")},
	}
	for _, b := range boards(t) {
		for _, p := range b.panels() {
			key := b.file + ": " + *p.Title
			steps, asked := want[key]
			if !asked {
				continue
			}
			got := p.FieldConfig.Defaults.Thresholds.Steps
			if fmt.Sprint(as[any](t, got)) != fmt.Sprint(as[any](t, steps)) {
				t.Errorf("%s has the steps %v", key, as[any](t, got))
			}
			delete(want, key)
		}
	}
	for key := range want {
		t.Errorf("there is no %s", key)
	}
}

func TestAxesOfSharesHaveTicksBetween0And100(t *testing.T) {
	for _, b := range boards(t) {
		for _, p := range b.panels() {
			if f := p.FieldConfig.Defaults; p.Type == "timeseries" && *f.Unit == "percentunit" && f.Decimals != nil {
				t.Errorf("%s: %s has %v decimals", b.file, *p.Title, *f.Decimals)
			}
		}
	}
}

func TestASleepingCardIsAGap(t *testing.T) {
	for _, b := range boards(t) {
		for _, p := range b.rawPanels() {
			if p["type"] != "timeseries" && p["type"] != "state-timeline" {
				continue
			}
			custom := p["fieldConfig"].(map[string]any)["defaults"].(map[string]any)["custom"].(map[string]any)
			if custom["spanNulls"] != false {
				t.Errorf("%s: %v draws a line where nothing was read", b.file, p["title"])
			}
		}
	}
}

func TestSeriesAndRowsOfACardLeadToItsPage(t *testing.T) {
	const (
		series = "/d/gpu-detail?var-datasource=${datasource}&var-cluster=${__field.labels.cluster:percentencode}" +
			"&var-job=${__field.labels.job:percentencode}&var-instance=${__field.labels.instance:percentencode}" +
			"&var-gpu=${__field.labels.gpu:percentencode}&${__url_time_range}"
		row = "/d/gpu-detail?var-datasource=${datasource}&var-cluster=${__data.fields.cluster:percentencode}" +
			"&var-job=${__data.fields.job:percentencode}&var-instance=${__data.fields.instance:percentencode}" +
			"&var-gpu=${__data.fields.gpu:percentencode}&${__url_time_range}"
	)
	for _, b := range boards(t) {
		for _, p := range b.panels() {
			links := p.FieldConfig.Defaults.Links
			for _, q := range targets(t, p) {
				ofCards := q.LegendFormat != nil && strings.Contains(*q.LegendFormat, "{{gpu}}")
				if ofCards && (len(links) != 1 || *links[0].Url != series) {
					t.Errorf("%s: %s leads to %+v", b.file, *p.Title, links)
				}
			}
			for _, o := range p.FieldConfig.Overrides {
				if o.Matcher.Options != "GPU" || p.Type != "table" {
					continue
				}
				if !slices.ContainsFunc(o.Properties, func(property dashboard.DynamicConfigValue) bool {
					return property.Id == "links" && *as[[]dashboard.DashboardLink](t, property.Value)[0].Url == row
				}) {
					t.Errorf("%s: rows of %s lead nowhere", b.file, *p.Title)
				}
				// A link knows the columns that are left of the answer, hidden ones too.
				left := fmt.Sprint(p.Transformations[1].Options)
				for _, l := range []string{"cluster", "job", "instance", "gpu"} {
					if !strings.Contains(left, l) {
						t.Errorf("%s: rows of %s do not know their %s", b.file, *p.Title, l)
					}
				}
			}
		}
	}
}

// As a reader who follows an advice does: a flag that there is not ends the program.
func TestFlagsThatTextsNameExist(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range boards(t) {
		text, err := json.Marshal(b.raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range regexp.MustCompile(`--[a-z][a-z.-]*[a-z]`).FindAllString(string(text), -1) {
			if !strings.Contains(string(readme), "\n| `"+flag+"` |") { // its table of flags is made of the program
				t.Errorf("%s names the flag %s, which there is not", b.file, flag)
			}
		}
	}
}

// notYet are words of each panel that waits for a later version, and of no other.
const notYet = "this version reads no"

func TestPanelsOfALaterVersionSaySo(t *testing.T) {
	found := 0
	for _, b := range boards(t) {
		for _, p := range b.panels() {
			waits := false
			for _, q := range targets(t, p) {
				names, _, _ := selectors(q.Expr)
				waits = waits || slices.ContainsFunc(names, unread)
			}
			if says := strings.Contains(*p.Description, notYet); says != waits {
				t.Errorf("%s: %s waits for a later version: %v, and says %q", b.file, *p.Title, waits, *p.Description)
			}
			if waits {
				found++
			}
		}
	}
	if found == 0 {
		t.Error("no panel waits for a later version: these words can go")
	}
}

// unread tells a family of the contract that no source fills yet. Three need none: they are of every GPU.
func unread(family string) bool {
	ofEvery := []collector.QuantityID{collector.GPUInfo, collector.Up, collector.GPUState}
	for id, q := range collector.Quantities {
		if q.Name == family {
			return len(q.Sources) == 0 && !slices.Contains(ofEvery, collector.QuantityID(id))
		}
	}
	return false
}

func TestAlertsLeadToDashboardsThatExist(t *testing.T) {
	variables := map[string][]string{} // by uid
	for _, b := range boards(t) {
		for _, v := range b.Templating.List {
			variables[*b.Uid] = append(variables[*b.Uid], "var-"+v.Name)
		}
	}
	for _, f := range alerts.Files(alerts.Defaults) {
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if r.Alert == "" {
					continue
				}
				_, path, _ := strings.Cut(r.Annotations["dashboard"], "/d/")
				uid, parameters, _ := strings.Cut(path, "?")
				known := variables[uid]
				if known == nil {
					t.Errorf("%s leads to %s", r.Alert, r.Annotations["dashboard"])
				}
				for _, p := range regexp.MustCompile(`var-\w+`).FindAllString(parameters, -1) {
					if !slices.Contains(known, p) {
						t.Errorf("%s leads to %s, which has no %s", r.Alert, uid, p)
					}
				}
			}
		}
	}
}

func TestImportAsksForTheDataSource(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(importDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d map[string]any
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		question := d["__inputs"].([]any)[0].(map[string]any)
		if question["name"] != "DS_PROMETHEUS" || question["type"] != "datasource" || question["pluginId"] != "prometheus" {
			t.Errorf("%s asks for %v", file, question)
		}
		if _, has := d["id"]; has {
			t.Errorf("%s has an id", file)
		}
		needs := map[any]bool{}
		for _, r := range d["__requires"].([]any) {
			needs[r.(map[string]any)["id"]] = true
		}
		for _, p := range (board{raw: d}).rawPanels() {
			if kind := p["type"]; kind != "row" && !needs[kind] {
				t.Errorf("%s does not say that it needs %v", file, kind)
			}
		}
		// The rest is the dashboard that is provisioned, but for the first choice of its data source.
		delete(d, "__inputs")
		delete(d, "__requires")
		list := d["templating"].(map[string]any)["list"].([]any)
		if current, _ := list[0].(map[string]any)["current"].(map[string]any); current["value"] != "${DS_PROMETHEUS}" {
			t.Errorf("%s does not use the answer: %v", file, current)
		}
		delete(list[0].(map[string]any), "current")
		rest, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(boards(t), func(b board) bool { return b.file == filepath.Base(file) })
		provisioned, err := json.Marshal(boards(t)[i].raw)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(rest, provisioned) {
			t.Errorf("%s is another dashboard than the one that is provisioned", file)
		}
	}
}
