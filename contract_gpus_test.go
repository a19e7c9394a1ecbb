//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// The GPUs of the settings in /gpus, as their expected.prom has them. That of the RX 7800 XT stands in legacy-api.md.
const (
	discreteGPU = `{"gpu":"0000:03:00.0","index":0,"name":"AMD Radeon RX 7900 XTX","vendor":"amd","type":"discrete",` +
		`"uuid":"0x1f2e3d4c5b6a7988","pci_id":"1002:744c","driver":"amdgpu","driver_version":null,"vbios":"113-MADE-UP-001",` +
		`"source":"sysfs","simulated":false,"state":"ok","up":true,"timestamp":«millis»,"age_seconds":«seconds»,` +
		`"primary":{"temperature":45,"utilization":63,"memory_used":6144,"memory_total":24560,"memory_utilization":25,` +
		`"core_clock":2104,"memory_clock":1249,"power_usage":212.5,"fan_speed":47,"driver_version":null},` +
		`"sensors":{"edge":{"celsius":45,"limits_celsius":{"critical":100,"emergency":105}},` +
		`"hotspot":{"celsius":61,"limits_celsius":{"critical":110,"emergency":115}},` +
		`"memory":{"celsius":70,"limits_celsius":{"critical":108,"emergency":113}},` +
		`"vr_graphics":{"celsius":55},"vr_memory":{"celsius":60},"vr_soc":{"celsius":52}},"margin_celsius":null,` +
		`"memory":{"gtt":{"used_bytes":200000000,"total_bytes":33600000000},` +
		`"visible_vram":{"used_bytes":1073741824,"total_bytes":25753026560},"vram":{"used_bytes":6442450944,"total_bytes":25753026560}},` +
		`"power":{"package":{"watts":212.5,"average_watts":212.5,"limits_watts":{"current":339,"default":339,"max":390,"min":0}}},` +
		`"clocks":{"decoder0":{"hertz":1100000000},"display":{"hertz":417000000,"limits_hertz":{"max":1200000000,"min":417000000}},` +
		`"fabric":{"hertz":1930000000,"limits_hertz":{"max":2000000000,"min":300000000}},` +
		`"graphics":{"hertz":2104000000,"limits_hertz":{"max":2526000000,"min":500000000}},` +
		`"memory":{"hertz":1249000000,"limits_hertz":{"max":1249000000,"min":96000000}},` +
		`"soc":{"hertz":1200000000,"limits_hertz":{"max":1200000000,"min":507000000}},"video0":{"hertz":1300000000}},` +
		`"fans":[{"fan":1,"rpm":1543,"duty_ratio":0.47058823529411764,"min_rpm":500,"max_rpm":3200,"target_rpm":1540}],` +
		`"throttle":["power","thermal"],"pcie":{"width":16,"transfers_per_second":16000000000}}`
	apuGPU = `{"gpu":"0000:04:00.0","index":0,"name":"AMD Custom GPU 0405","vendor":"amd","type":"integrated","uuid":null,` +
		`"pci_id":"1002:163f","driver":"amdgpu","driver_version":"6.12.0-made-up","vbios":null,"source":"sysfs","simulated":false,` +
		`"state":"ok","up":true,"timestamp":«millis»,"age_seconds":«seconds»,` +
		`"primary":{"temperature":48,"utilization":81.2,"memory_used":2288.8,"memory_total":8653.4,"memory_utilization":26.4,` +
		`"core_clock":1040,"memory_clock":800,"power_usage":6.1,"fan_speed":null,"driver_version":"6.12.0-made-up"},` +
		`"sensors":{"edge":{"celsius":48},"soc":{"celsius":47.5}},"margin_celsius":null,` +
		`"memory":{"gtt":{"used_bytes":1500000000,"total_bytes":8000000000},` +
		`"visible_vram":{"used_bytes":900000000,"total_bytes":1073741824},"vram":{"used_bytes":900000000,"total_bytes":1073741824}},` +
		`"power":{"cpu":{"watts":2.345,"average_watts":2.345},"graphics":{"watts":3.21,"average_watts":3.21},` +
		`"package":{"watts":6.1,"average_watts":6.1,"limits_watts":{"burst":17.5,"current":15,"max":29}},` +
		`"soc":{"watts":1.5,"average_watts":1.5}},` +
		`"clocks":{"fabric":{"hertz":799000000,"limits_hertz":{"max":800000000,"min":400000000}},` +
		`"graphics":{"hertz":1040000000,"limits_hertz":{"max":1600000000,"min":200000000}},` +
		`"memory":{"hertz":800000000,"limits_hertz":{"max":800000000,"min":400000000}},"soc":{"hertz":600000000},` +
		`"video":{"limits_hertz":{"max":1067000000,"min":400000000}}},"fans":[],"throttle":["power","prochot"],"pcie":{}}`
	radeonGPU = `{"gpu":"0000:01:00.0","index":0,"name":"AMD Radeon R9 200 / HD 7900 Series","vendor":"amd","type":"discrete","uuid":null,` +
		`"pci_id":"1002:6798","driver":"radeon","driver_version":null,"vbios":null,"source":"sysfs","simulated":false,` +
		`"state":"ok","up":true,"timestamp":«millis»,"age_seconds":«seconds»,` +
		`"primary":{"temperature":53.3,"utilization":null,"memory_used":null,"memory_total":null,"memory_utilization":null,` +
		`"core_clock":925,"memory_clock":null,"power_usage":null,"fan_speed":40,"driver_version":null},` +
		`"sensors":{"edge":{"celsius":53.3,"limits_celsius":{"critical":120}}},"margin_celsius":null,"memory":{},"power":{},` +
		`"clocks":{"graphics":{"hertz":925000000}},"fans":[{"fan":1,"duty_ratio":0.4}],"throttle":null,` +
		`"pcie":{"width":16,"max_width":16,"transfers_per_second":8000000000,"max_transfers_per_second":8000000000}}`
	noReading = `"primary":{"temperature":null,"utilization":null,"memory_used":null,"memory_total":null,"memory_utilization":null,` +
		`"core_clock":null,"memory_clock":null,"power_usage":null,"fan_speed":null,"driver_version":null},"sensors":{},` +
		`"margin_celsius":null,"memory":{},"power":{},"clocks":{},"fans":[],"throttle":null,"pcie":{}}`
	sleepingGPU = `{"gpu":"0000:c1:00.0","index":0,"name":"AMD Radeon RX 7600S","vendor":"amd","type":"discrete","uuid":null,` +
		`"pci_id":"1002:7480","driver":"amdgpu","driver_version":null,"vbios":"113-MADE-UP-002","source":"sysfs","simulated":false,` +
		`"state":"asleep","up":true,"timestamp":«millis»,"age_seconds":«seconds»,` + noReading
	lostIdentity = `{"gpu":"0000:03:00.0","index":0,"name":"AMD Radeon RX 7900 XTX","vendor":"amd","type":"discrete",` +
		`"uuid":"0x1f2e3d4c5b6a7988","pci_id":"1002:744c","driver":"amdgpu","driver_version":null,"vbios":"113-MADE-UP-001",` +
		`"source":"sysfs","simulated":false,`
	hungGPU = lostIdentity + `"state":"hung","up":false,"timestamp":null,"age_seconds":null,` + noReading
	goneGPU = lostIdentity + `"state":"gone","up":false,"timestamp":«millis»,"age_seconds":«seconds»,` + noReading
	// Names, limits and what has no other end are those of the card that is simulated.
	simulatedGPU = `{"gpu":"sim:0","index":0,"name":"AMD Radeon RX 7800 XT","vendor":"amd","type":"discrete","uuid":null,` +
		`"pci_id":"1002:747e","driver":"simulation","driver_version":null,"vbios":null,"source":"simulation","simulated":true,` +
		`"state":"ok","up":true,"timestamp":«millis»,"age_seconds":«seconds»,` +
		`"primary":{"temperature":«number»,"utilization":«number»,"memory_used":«number»,"memory_total":16368,` +
		`"memory_utilization":«number»,"core_clock":«int»,"memory_clock":«int»,"power_usage":«number»,"fan_speed":«int»,"driver_version":null},` +
		`"sensors":{"edge":{"celsius":«number»,"limits_celsius":{"critical":100,"emergency":105}},` +
		`"hotspot":{"celsius":«number»,"limits_celsius":{"critical":110,"emergency":115}},` +
		`"memory":{"celsius":«number»,"limits_celsius":{"critical":108,"emergency":113}},` +
		`"vr_graphics":{"celsius":«number»},"vr_memory":{"celsius":«number»},"vr_soc":{"celsius":«number»}},"margin_celsius":null,` +
		`"memory":{"gtt":{"used_bytes":«int»,"total_bytes":16638816256},"visible_vram":{"used_bytes":«int»,"total_bytes":17163091968},` +
		`"vram":{"used_bytes":«int»,"total_bytes":17163091968}},` +
		`"power":{"package":{"watts":«number»,"average_watts":«number»,"energy_joules":«number»,` +
		`"limits_watts":{"current":236,"default":236,"max":280,"min":212}}},` +
		`"clocks":{"decoder0":{"hertz":«int»},"decoder1":{"hertz":«int»},` +
		`"graphics":{"hertz":«int»,"limits_hertz":{"max":2254000000,"min":500000000}},` +
		`"memory":{"hertz":«int»,"limits_hertz":{"max":1218000000,"min":96000000}},` +
		`"soc":{"hertz":«int»,"limits_hertz":{"max":1500000000,"min":300000000}},"video0":{"hertz":«int»},"video1":{"hertz":«int»}},` +
		`"fans":[{"fan":1,"rpm":«number»,"duty_ratio":«number»,"min_rpm":0,"max_rpm":3300,"target_rpm":«number»}],"throttle":«words»,` +
		`"pcie":{"width":16,"max_width":16,"transfers_per_second":16000000000,"max_transfers_per_second":16000000000}}`
)

// The example of section 15.2, and what of it is made up.
var (
	exampleForm = regexp.MustCompile("(?s)```json\n(\\{\"schema\":.*?)```")
	timeForm    = regexp.MustCompile(`"timestamp":\d+\.\d+`)
	ageForm     = regexp.MustCompile(`"age_seconds":\d+\.\d+`)
	breakForm   = regexp.MustCompile(`\n *`)
)

// example is the body of /gpus that legacy-api.md shows, as a form; empty where the text is not there.
func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(contractText)
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	m := exampleForm.FindSubmatch(text)
	if m == nil {
		t.Fatalf("%s shows no body of /gpus", contractText)
	}
	body := breakForm.ReplaceAllString(string(m[1]), "")
	body = timeForm.ReplaceAllLiteralString(body, `"timestamp":«millis»`)
	body = ageForm.ReplaceAllLiteralString(body, `"age_seconds":«seconds»`)
	return strings.Replace(body, `"version":"1.0.0"`, `"version":«version»`, 1)
}

// exampleGPU is the one GPU in it.
func exampleGPU(t *testing.T) string {
	t.Helper()
	_, gpus, _ := strings.Cut(example(t), `"gpus":[`)
	return strings.TrimSuffix(gpus, "]}")
}

func asTheExample(t *testing.T, s *subject) {
	want := example(t)
	if want == "" || s.tell != rx7800xt {
		t.Skip("../shared is not there, nor are the text and the case")
	}
	s.exchange(t, at("/gpus", 200, want))
}

// keysOf are the keys of an object in their order.
func keysOf(t *testing.T, object string) (keys []string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, fmt.Sprint(key))
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

var gpuKeys = strings.Fields("gpu index name vendor type uuid pci_id driver driver_version vbios source simulated state up " +
	"timestamp age_seconds primary sensors margin_celsius memory power clocks fans throttle pcie")

var primaryKeys = strings.Fields("temperature utilization memory_used memory_total memory_utilization core_clock memory_clock " +
	"power_usage fan_speed driver_version")

// exactKeys: these, in this order, whatever is known.
func exactKeys(t *testing.T, s *subject) {
	body := s.get(t, "/gpus")
	if got := keysOf(t, body); !slices.Equal(got, []string{"schema", "version", "timestamp", "gpus"}) {
		t.Errorf("the body has the keys %v", got)
	}
	for _, object := range gpusIn(t, body) {
		if got := keysOf(t, object); !slices.Equal(got, gpuKeys) {
			t.Errorf("a GPU has the keys %v, want %v", got, gpuKeys)
		}
		if got := keysOf(t, tokenAt(t, object, "primary")); !slices.Equal(got, primaryKeys) {
			t.Errorf("primary has the keys %v, want %v", got, primaryKeys)
		}
	}
}

// atOneReading checks keys of the default GPU at one reading.
func atOneReading(check func(t *testing.T, s *subject, r *reading)) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) { check(t, s, s.reading(t)) }
}

// objectLabels checks texts of the object against gpu_info; null where the label is empty.
func objectLabels(labels ...string) func(*testing.T, *subject) {
	return atOneReading(func(t *testing.T, s *subject, r *reading) {
		for _, name := range labels {
			want := "null"
			if label := r.label(t, s.gpu, name); label != "" {
				want = strconv.Quote(label)
			}
			if got := tokenAt(t, r.object, name); got != want {
				t.Errorf("%s is %s, gpu_info has %s", name, got, want)
			}
		}
	})
}

// decimal is a number in the shortest form that gives the same float64.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// A quantity is a key of an entry, and the family that fills it.
type quantity struct{ key, family string }

var labelForm = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)

// entries are the parts of a section by the label that names them, with their values and limits by key.
func (r *reading) entries(gpu, label string, fields []quantity, limits quantity) map[string]string {
	values := map[string]map[string]string{} // by entry, by key
	for key, v := range r.samples {
		family, labels, _ := strings.Cut(strings.TrimSuffix(key, "}"), "{")
		of := map[string]string{}
		for _, m := range labelForm.FindAllStringSubmatch(labels, -1) {
			of[m[1]] = m[2]
		}
		if of["gpu"] != gpu || label != "" && of[label] == "" {
			continue
		}
		note := func(key string) {
			if values[of[label]] == nil {
				values[of[label]] = map[string]string{}
			}
			values[of[label]][key] = decimal(v)
		}
		for _, f := range fields {
			if f.family == family {
				note(f.key)
			}
		}
		if limits.family == family {
			note("limits " + of["limit"])
		}
	}
	list := map[string]string{}
	for name, told := range values {
		var parts, bounds []string
		for _, f := range fields {
			if v, ok := told[f.key]; ok {
				parts = append(parts, fmt.Sprintf("%q:%s", f.key, v))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(told)) {
			if limit, ok := strings.CutPrefix(key, "limits "); ok {
				bounds = append(bounds, fmt.Sprintf("%q:%s", limit, told[key]))
			}
		}
		if bounds != nil {
			parts = append(parts, fmt.Sprintf("%q:{%s}", limits.key, strings.Join(bounds, ",")))
		}
		list[name] = strings.Join(parts, ",")
	}
	return list
}

// section checks an object of entries against /metrics at the same reading.
func section(key, label string, limits quantity, fields ...quantity) func(*testing.T, *subject) {
	return atOneReading(func(t *testing.T, s *subject, r *reading) {
		list := r.entries(s.gpu, label, fields, limits)
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(list)) {
			parts = append(parts, fmt.Sprintf("%q:{%s}", name, list[name]))
		}
		if got, want := tokenAt(t, r.object, key), "{"+strings.Join(parts, ",")+"}"; got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	})
}

func fanSection(t *testing.T, s *subject, r *reading) {
	list := r.entries(s.gpu, "fan", []quantity{
		{"rpm", "gpu_fan_speed_rpm"}, {"duty_ratio", "gpu_fan_duty_ratio"}, {"min_rpm", "gpu_fan_min_rpm"},
		{"max_rpm", "gpu_fan_max_rpm"}, {"target_rpm", "gpu_fan_target_rpm"},
	}, quantity{})
	var parts []string
	for n := 1; n <= len(list); n++ {
		parts = append(parts, fmt.Sprintf(`{"fan":%d,%s}`, n, list[strconv.Itoa(n)]))
	}
	if got, want := tokenAt(t, r.object, "fans"), "["+strings.Join(parts, ",")+"]"; got != want {
		t.Errorf("fans is %s, want %s", got, want)
	}
}

func pcieSection(t *testing.T, s *subject, r *reading) {
	want := r.entries(s.gpu, "", []quantity{
		{"width", "gpu_pcie_link_width"}, {"max_width", "gpu_pcie_link_max_width"},
		{"transfers_per_second", "gpu_pcie_link_transfers_per_second"},
		{"max_transfers_per_second", "gpu_pcie_link_max_transfers_per_second"},
	}, quantity{})[""]
	if got := tokenAt(t, r.object, "pcie"); got != "{"+want+"}" {
		t.Errorf("pcie is %s, want {%s}", got, want)
	}
}

func throttleReasons(t *testing.T, s *subject, r *reading) {
	list := r.entries(s.gpu, "reason", []quantity{{"active", "gpu_throttle_active"}}, quantity{})
	active := []string{}
	for _, reason := range slices.Sorted(maps.Keys(list)) {
		if list[reason] == `"active":1` {
			active = append(active, strconv.Quote(reason))
		}
	}
	want := "[" + strings.Join(active, ",") + "]"
	if len(list) == 0 {
		want = "null"
	}
	if got := tokenAt(t, r.object, "throttle"); got != want {
		t.Errorf("throttle is %s, want %s", got, want)
	}
}

func marginOf(t *testing.T, s *subject, r *reading) {
	want := "null"
	if v, told := r.maybe(s.gpu, "gpu_temperature_margin_celsius"); told {
		want = decimal(v)
	}
	if got := tokenAt(t, r.object, "margin_celsius"); got != want {
		t.Errorf("margin_celsius is %s, want %s", got, want)
	}
}

// primaryIsStats: each number equals that of /gpu/stats at the same reading, written plainly; null stands where that says 0
// because nothing was read.
func primaryIsStats(t *testing.T, s *subject, r *reading) {
	for _, key := range primaryKeys[:9] {
		got := tokenAt(t, r.object, "primary", key)
		stats := numberAt(t, r.bodies["/gpu/stats"], key)
		if got != decimal(stats) && (got != "null" || stats != 0) {
			t.Errorf("%s is %s in /gpus and %v in /gpu/stats", key, got, stats)
		}
	}
}

// theState checks state and up of every GPU against /metrics.
func theState(t *testing.T, s *subject) {
	m := s.scrape(t)
	for _, object := range gpusIn(t, s.get(t, "/gpus")) {
		gpu, err := strconv.Unquote(tokenAt(t, object, "gpu"))
		if err != nil {
			t.Fatal(err)
		}
		told, err := strconv.Unquote(tokenAt(t, object, "state"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains([]string{"ok", "partial", "asleep", "hung", "gone"}, told) || m[state(gpu, told)] != 1 {
			t.Errorf("%s is %s: %v", gpu, told, m)
		}
		if got := tokenAt(t, object, "up"); got != strconv.FormatBool(m[up(gpu)] == 1) {
			t.Errorf("%s: up is %s, gpu_up %v", gpu, got, m[up(gpu)])
		}
	}
}

// partialState is told where some of the readings fail.
func partialState(t *testing.T, _ *subject) {
	s := own(t, &setting{}, ownCase(t, "broken"))
	s.until(t, "the card", func(m hwcase.Samples) bool { return seriesOf(m, "gpu_state", `state="partial"`) == 1 })
	object := gpusIn(t, s.get(t, "/gpus"))[0]
	if tokenAt(t, object, "state") != `"partial"` || tokenAt(t, object, "up") != "true" {
		t.Errorf("got %s", object)
	}
	theState(t, s)
}

// ages: the time of the reading is that of /metrics, and the age what has passed since.
func ages(t *testing.T, s *subject) {
	r := s.reading(t)
	body, at := numberAt(t, r.bodies["/gpus"], "timestamp"), numberAt(t, r.object, "timestamp")
	if age := numberAt(t, r.object, "age_seconds"); age < 0 || math.Abs(body-at-age) > 0.0025 { // each is cut to a millisecond
		t.Errorf("age_seconds is %v, the times are %f and %f", age, body, at)
	}
}

func readingTimes(t *testing.T, s *subject) {
	r := s.reading(t)
	want := r.value(t, s.gpu, "gpu_exporter_reading_timestamp_seconds")
	for route, got := range map[string]float64{
		"/gpu/stats": numberAt(t, r.bodies["/gpu/stats"], "timestamp"), "/gpus": numberAt(t, r.object, "timestamp"),
	} {
		if math.Abs(got-want) > 0.001 {
			t.Errorf("timestamp of %s is %f, that of /metrics %f", route, got, want)
		}
	}
}

func neverRead(t *testing.T, s *subject) {
	object := gpuIn(t, s.get(t, "/gpus"), s.gpu)
	if tokenAt(t, object, "timestamp") != "null" || tokenAt(t, object, "age_seconds") != "null" {
		t.Errorf("never read: %s", object)
	}
}

// lastLook of a GPU that sleeps is of now, not of when it fell asleep.
func lastLook(t *testing.T, s *subject) {
	at := func() float64 { return numberAt(t, gpuIn(t, s.get(t, "/gpus"), s.gpu), "timestamp") }
	begun := at()
	await.Until(t, "a later look", func() bool { return at() > begun })
}

// goneShowsNoValues, but who it was, until it is forgotten.
func goneShowsNoValues(t *testing.T, _ *subject) {
	c := newComesAndGoes(t, "--forget-after=2s")
	last := numberAt(t, gpuIn(t, c.get(t, "/gpus"), first), "timestamp")
	move(t, c.card, c.away)
	var object string
	await.Until(t, "the card gone", func() bool {
		object = gpuIn(t, c.get(t, "/gpus"), first)
		return tokenAt(t, object, "state") == `"gone"`
	})
	c.expect(t, "gone", goneGPU, object)
	if at := numberAt(t, object, "timestamp"); at < last {
		t.Errorf("the last reading was of %f, %f is told", last, at)
	}
	await.Until(t, "that it is forgotten", func() bool { return len(gpusIn(t, c.get(t, "/gpus"))) == 0 })
}

// byIndex: one object for each GPU that gpu_info has, in the order of index.
func byIndex(t *testing.T, s *subject) {
	known := seriesOf(s.scrape(t), "gpu_info")
	objects := gpusIn(t, s.get(t, "/gpus"))
	for i, object := range objects {
		if got := tokenAt(t, object, "index"); got != strconv.Itoa(i) {
			t.Errorf("at place %d stands index %s", i, got)
		}
	}
	if len(objects) != known {
		t.Errorf("%d GPUs, gpu_info has %d", len(objects), known)
	}
}

// beforeTheFirstCycle there is no GPU yet, and nobody waits for one.
func beforeTheFirstCycle(t *testing.T, _ *subject) {
	s := own(t, &setting{}, unknownCard(t), "--polling.deadline=1m")
	s.exchange(t, at("/gpus", 200, `{"schema":1,"version":«version»,"timestamp":«millis»,"gpus":[]}`))
	s.exchange(t, at("/-/ready", 503, "*")) // the proof that no cycle has ended
}

// onlyWhatWasRead: inside the sections there is no null and nothing empty.
func onlyWhatWasRead(t *testing.T, s *subject) {
	for _, object := range gpusIn(t, s.get(t, "/gpus")) {
		for _, key := range []string{"sensors", "memory", "power", "clocks", "fans", "pcie"} {
			inside := tokenAt(t, object, key)
			if empty := regexp.MustCompile(`null|\{\}|\[\]`).FindString(inside[1 : len(inside)-1]); empty != "" {
				t.Errorf("%s has %s in it: %s", key, empty, inside)
			}
		}
	}
}

// sortedNames: sections and limits by name in byte order.
func sortedNames(t *testing.T, s *subject) {
	seen := 0
	for _, object := range gpusIn(t, s.get(t, "/gpus")) {
		for _, key := range []string{"sensors", "memory", "power", "clocks"} {
			names := keysOf(t, tokenAt(t, object, key))
			lists := [][]string{names}
			for _, name := range names {
				for _, field := range keysOf(t, tokenAt(t, object, key, name)) {
					if strings.HasPrefix(field, "limits_") {
						lists = append(lists, keysOf(t, tokenAt(t, object, key, name, field)))
					}
				}
			}
			for _, list := range lists {
				seen += len(list)
				if !slices.IsSorted(list) {
					t.Errorf("%s: %v", key, list)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("nothing to sort")
	}
}

// plainNumbers: no exponent, no NaN, no decimal point without need, whatever the number.
func plainNumbers(t *testing.T, s *subject) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(s.get(t, "/gpus"))))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	walk("", v, func(key string, n json.Number) {
		f, err := n.Float64()
		if err != nil || decimal(f) != n.String() || math.IsInf(f, 0) || n.String()[0] == '-' && f == 0 {
			t.Errorf("%s is %s", key, n)
		}
	})
}

// onceJSON is `gpu_exporter once --format=json` on the same machine.
func onceJSON(t *testing.T, s *subject) {
	out := onceOut(t, s, "json")
	if s.gpus != "" {
		s.expect(t, "once --format=json", bodyOf("/gpus")+"\n", out)
	}
	s.verifyFrame(t, "/gpus", json.RawMessage(strings.TrimSuffix(out, "\n")))
	if !oneLine(out) || !compact(strings.TrimSuffix(out, "\n")) {
		t.Errorf("not one compact line: %q", out)
	}
}

func onceOut(t *testing.T, s *subject, format string) string {
	t.Helper()
	args := append(slices.Clone(s.flags), "once", "--format="+format)
	if !slices.ContainsFunc(s.flags, func(f string) bool { return strings.HasPrefix(f, "--path.") }) {
		tree := s.tree(t)
		args = append(args, "--path.sysfs="+filepath.Join(tree, "sys"), "--path.procfs="+filepath.Join(tree, "proc"))
	}
	out, err := exec.Command(realBinary(t), args...).Output()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return string(out)
}

const csvColumns = "timestamp,gpu,name,state,temperature,utilization,memory_used,memory_total,memory_utilization,core_clock," +
	"memory_clock,power_usage,fan_speed,driver_version,monitoring_method\n"

// onceCSV has the values of primary: plain numbers, and nothing where there is none.
func onceCSV(t *testing.T, s *subject) {
	s.expect(t, "once --format=csv", csvColumns+s.csvLine(), onceOut(t, s, "csv"))
}

// csvLine is the expression of a line.
func (s *subject) csvLine() string {
	line := `«threeDecimals»,` + s.gpu + `,` + strings.Trim(s.tell.name, `"`) + `,ok`
	for _, v := range []string{
		s.tell.temperature, s.tell.utilization, s.tell.memoryUsed, s.tell.memoryTotal, s.tell.memoryUtilization, s.tell.coreClock,
		s.tell.memoryClock, s.tell.power, s.tell.fan,
	} {
		line += "," + strings.TrimSuffix(strings.ReplaceAll(v, "«float»", "«number»"), ".0")
	}
	return line + ",," + strings.Trim(s.tell.method, `"`) + "\n"
}
