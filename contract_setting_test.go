//go:build linux

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gpu_exporter/internal/hwcase"
)

// A world is what the binary finds.
type world int

const (
	hardware   world = 1 << iota // an RX 7800 XT
	simulating                   // nothing, and simulates
	sleeping                     // a card that has slept from the start
	hanging                      // a card whose reads never come back
	without                      // nothing
	pair                         // an APU, index 0, and a card, index 1
	sparse                       // an old card that tells little
	apart      world = 0         // none of these: the check starts what it needs

	both       = hardware | simulating
	awake      = both | pair | sparse
	everywhere = awake | sleeping | hanging | without
)

// A setting is a world, and what the binary must say in it.
type setting struct {
	in     world
	name   string
	tree   func(*testing.T) string
	flags  []string
	awaits func(hwcase.Samples) bool

	gpu  string // the default one, empty: none
	lost bool   // /gpu/stats has nothing to show
	tell card
	gpus string // a form of the body of /gpus; empty: not compared
}

// A card is what the old routes say of a GPU, in tokens of JSON. Tokens may be forms.
type card struct {
	name, temperature, utilization, memoryUsed, memoryTotal, memoryUtilization, coreClock, memoryClock, power, fan string
	driver, timestamp, kind, method, mib, detected, lastUpdate                                                     string
}

// The GPUs of the settings, as their expected.prom has them.
var (
	rx7800xt = card{
		`"AMD Radeon RX 7800 XT"`, "24.0", "2.0", "1536.0", "16368.0", "9.4", "2011", "456", "32.0", "35",
		`"Unknown"`, "«unix»", `"amd"`, `"sysfs"`, "16368", "true", "«unix»",
	}
	rx7900xtx = card{
		`"AMD Radeon RX 7900 XTX"`, "45.0", "63.0", "6144.0", "24560.0", "25.0", "2104", "1249", "212.5", "47",
		`"Unknown"`, "«unix»", `"amd"`, `"sysfs"`, "24560", "true", "«unix»",
	}
	hd7900 = card{
		`"AMD Radeon R9 200 / HD 7900 Series"`, "53.3", "0.0", "0.0", "0.0", "0.0", "925", "0", "0.0", "40",
		`"Unknown"`, "«unix»", `"amd"`, `"sysfs"`, "0", "true", "«unix»",
	}
	rx7600s = card{ // asleep: 0 but for the time, which is now, and the memory, which nobody has ever seen
		`"AMD Radeon RX 7600S"`, "0.0", "0.0", "0.0", "0.0", "0.0", "0", "0", "0.0", "0",
		`"Unknown"`, "«unix»", `"amd"`, `"sysfs"`, "0", "true", "«unix»",
	}
	neverTold = card{ // a card whose reading never came
		name: rx7900xtx.name, driver: `"Unknown"`, kind: `"amd"`, method: `"sysfs"`, mib: "0", detected: "true", lastUpdate: "null",
	}
	noCard = card{
		name: `"Unknown GPU"`, driver: `"Unknown"`, kind: `"unknown"`, method: "«word»", mib: "0", detected: "false", lastUpdate: "null",
	}
	made = card{ // a simulated RX 7800 XT, whose numbers move
		`"AMD Radeon RX 7800 XT"`, "«float»", "«float»", "«float»", "16368.0", "«float»", "«int»", "«int»", "«float»", "«int»",
		`"Unknown"`, "«unix»", `"amd"`, `"simulation"`, "16368", "false", "«unix»",
	}
)

// The bodies of the REST routes, in the order and with the keys of sections 4 to 9. lost is what 503 says.
var bodies = []struct {
	route, body string
	lost        bool // answers 503 where the GPU is lost
}{
	{"/health", `{"status":"healthy","service":"gpu-stats-service","timestamp":«unix»,"gpu_detected":«detected»,` +
		`"monitoring_method":«method»,"gpu_available":«detected»}`, false},
	{"/gpu/info", `{"gpu_info":{"name":«name»,"memory_total":«mib»,"driver_version":«driver»,"gpu_type":«kind»,` +
		`"monitoring_method":«method»},"platform":"Linux","last_update":«lastUpdate»,` +
		`"capabilities":{"nvml_available":false,"gputil_available":false,"distro_available":false}}`, false},
	{"/gpu/stats", `{"name":«name»,"temperature":«temperature»,"utilization":«utilization»,"memory_used":«memoryUsed»,` +
		`"memory_total":«memoryTotal»,"memory_utilization":«memoryUtilization»,"core_clock":«coreClock»,` +
		`"memory_clock":«memoryClock»,"power_usage":«power»,"fan_speed":«fan»,"driver_version":«driver»,` +
		`"timestamp":«timestamp»,"status":"healthy","gpu_type":«kind»,"monitoring_method":«method»}`, true},
	{"/gpu/temperature", `{"temperature":«temperature»,"status":"healthy","timestamp":«timestamp»}`, true},
	{"/gpu/memory", `{"memory_used":«memoryUsed»,"memory_total":«memoryTotal»,"memory_utilization":«memoryUtilization»,` +
		`"timestamp":«timestamp»}`, true},
	{"/gpu/utilization", `{"utilization":«utilization»,"timestamp":«timestamp»}`, true},
	{"/gpu/history", `{"history":[«entries»]}`, false},
	{"/gpus", `{"schema":1,"version":«version»,"timestamp":«millis»,"gpus":[«gpus»]}`, false},
	{"/", `{"service":"gpu-stats-service","version":«version»,"gpu_vendor":«kind»,"status":"healthy","endpoints":{` +
		`"health":"/health","gpu/info":"/gpu/info","gpu/stats":"/gpu/stats","gpu/history":"/gpu/history",` +
		`"gpu/temperature":"/gpu/temperature","gpu/memory":"/gpu/memory","gpu/utilization":"/gpu/utilization",` +
		`"ws/gpu-stats":"/ws/gpu-stats","gpus":"/gpus","ws/gpus":"/ws/gpus","metrics":"/metrics","docs":"/docs"«endpoints»}}`, false},
}

// bodyOf is the form of the body of a route.
func bodyOf(route string) string {
	for _, b := range bodies {
		if b.route == route {
			return b.body
		}
	}
	panic("no body of " + route)
}

// entry is one of the recorded past.
const entry = `{"timestamp":«unix»,"utilization":«utilization»,"temperature":«temperature»,"memory_utilization":«memoryUtilization»}`

const (
	unavailable = `{"detail":"GPU stats unavailable"}`
	noSuchGPU   = `{"detail":"GPU not found"}`
	notFound    = `{"detail":"Not Found"}`
	notAllowed  = `{"detail":"Method Not Allowed"}`
)

// What moves, in regular expressions that still demand the form of section 2 or 15.2.
var moving = map[string]string{
	"unix":          `\d{10}\.\d{6,7}`,
	"threeDecimals": `\d{10}\.\d{3}`,
	"millis":        `\d{10}(\.\d{0,2}[1-9])?`,
	"seconds":       `(0|[1-9]\d*)(\.\d{0,2}[1-9])?`,
	"float":         `(0|[1-9]\d*)\.\d`,
	"int":           `(0|[1-9]\d*)`,
	"number":        `(0|[1-9]\d*)(\.\d*[1-9])?`,
	"word":          `"[a-z]+"`,
	"words":         `\[("[a-z_]+"(,"[a-z_]+")*)?\]`,
	"endpoints":     `(,"[^"]+":"/[^"]*")*`, // section 9: more keys there are allowed
}

var markForm = regexp.MustCompile(`«(\w+)»`)

// form makes a regular expression of a text with marks.
func (w *setting) form(text string) string {
	return markForm.ReplaceAllStringFunc(regexp.QuoteMeta(text), func(mark string) string {
		name := markForm.FindStringSubmatch(mark)[1]
		if re, ok := moving[name]; ok {
			return re
		}
		told, ok := map[string]string{
			"name": w.tell.name, "temperature": w.tell.temperature, "utilization": w.tell.utilization, "memoryUsed": w.tell.memoryUsed,
			"memoryTotal": w.tell.memoryTotal, "memoryUtilization": w.tell.memoryUtilization, "coreClock": w.tell.coreClock,
			"memoryClock": w.tell.memoryClock, "power": w.tell.power, "fan": w.tell.fan, "driver": w.tell.driver,
			"timestamp": w.tell.timestamp, "kind": w.tell.kind, "method": w.tell.method, "mib": w.tell.mib,
			"detected": w.tell.detected, "lastUpdate": w.tell.lastUpdate, "gpus": w.gpus,
			"version": `"` + strings.TrimSpace(released) + `"`,
		}[name]
		switch {
		case name == "entries":
			return "(" + w.form(entry) + "(," + w.form(entry) + ")*)?"
		case !ok:
			panic("no mark of that name: " + name)
		}
		return w.form(told)
	})
}

// expect says where a body is not of its form.
func (w *setting) expect(t *testing.T, what, want, got string) {
	t.Helper()
	if !regexp.MustCompile("^(" + w.form(want) + ")$").MatchString(got) {
		t.Errorf("%s: got\n%s\nwant %s", what, got, want)
	}
}

// settings are all worlds, and one apart from them.
func settings(t *testing.T) []setting {
	real := setting{
		in: hardware, name: "rx7800xt", tree: func(t *testing.T) string { return caseTree(t, "../shared/fixtures/amd/rx7800xt") },
		awaits: is(first, "ok"), gpu: first, tell: rx7800xt, gpus: exampleGPU(t),
	}
	if _, err := os.Stat("../shared/fixtures"); err != nil {
		t.Log("../shared is not there: the project's own card takes the place of the RX 7800 XT")
		real.name, real.tell, real.gpus = "discrete", rx7900xtx, discreteGPU
		real.tree = func(t *testing.T) string { return ownCase(t, "discrete") }
	}
	off := []string{"--collector.simulation=off"}
	return []setting{real, {
		in: simulating, name: "simulation", tree: emptyTree, flags: []string{"--collector.simulation=on"},
		awaits: is("sim:0", "ok"), gpu: "sim:0", tell: made, gpus: simulatedGPU,
	}, {
		in: sleeping, name: "asleep", tree: func(t *testing.T) string { return ownCase(t, "asleep") }, flags: off,
		awaits: is("0000:c1:00.0", "asleep"), gpu: "0000:c1:00.0", tell: rx7600s, gpus: sleepingGPU,
	}, {
		in: hanging, name: "hung", tree: hangingCard, flags: off,
		awaits: is(first, "hung"), gpu: first, lost: true, tell: neverTold, gpus: hungGPU,
	}, {
		in: without, name: "no GPU", tree: emptyTree, flags: off,
		awaits: func(m hwcase.Samples) bool { return m[`gpu_exporter_rescans_total{result="ok"}`] > 0 }, lost: true, tell: noCard,
	}, {
		in: pair, name: "two", tree: twoGPUs, flags: off,
		awaits: func(m hwcase.Samples) bool { return is(apu, "ok")(m) && is(second, "ok")(m) },
		gpu:    second, tell: withDriver(rx7900xtx),
		gpus: apuGPU + "," + strings.NewReplacer(first, second, `"index":0`, `"index":1`, `"driver_version":null`,
			`"driver_version":"6.12.0-made-up"`).Replace(discreteGPU),
	}, {
		in: sparse, name: "radeon", tree: func(t *testing.T) string { return ownCase(t, "radeon") }, flags: off,
		awaits: is("0000:01:00.0", "ok"), gpu: "0000:01:00.0", tell: hd7900, gpus: radeonGPU,
	}, {
		in: apart, name: "apart",
	}}
}

// apu is the APU of the project's own cases.
const apu = "0000:04:00.0"

// withDriver is a card where the kernel tells its release.
func withDriver(c card) card {
	c.driver = `"6.12.0-made-up"`
	return c
}

func caseTree(t *testing.T, dir string) string {
	t.Helper()
	tree, err := hwcase.Case{Name: filepath.Base(dir), Dir: dir}.Tree(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// emptyTree is that of a machine without GPUs.
func emptyTree(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	for _, dir := range []string{"sys/class/drm", "proc"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// hangingCard is a card whose readings never come back. What it is can be read.
func hangingCard(t *testing.T) string {
	t.Helper()
	tree := ownCase(t, "discrete")
	pipe(t, filepath.Join(cardIn(t, tree), "device/gpu_busy_percent"))
	return tree
}

// unknownCard is a card that does not even tell who it is: the search for GPUs hangs.
func unknownCard(t *testing.T) string {
	t.Helper()
	tree := ownCase(t, "discrete")
	pipe(t, filepath.Join(cardIn(t, tree), "device/uevent"))
	return tree
}

// twoGPUs is an APU and a discrete card with a higher index.
func twoGPUs(t *testing.T) string {
	t.Helper()
	tree := ownCase(t, "apu")
	addCard(t, cardIn(t, ownCase(t, "discrete")), filepath.Join(tree, "sys/class/drm/card1"), second)
	return tree
}

// is says of samples whether a GPU is in a state.
func is(gpu, want string) func(hwcase.Samples) bool {
	return func(m hwcase.Samples) bool { return m[state(gpu, want)] == 1 }
}

// subject is a running binary and what must be known of it.
type subject struct {
	*server
	*setting
	document func() (*openapi, error)

	mu   sync.Mutex // guards seen
	seen *reading
}

func (w *setting) start(t *testing.T) *subject {
	t.Helper()
	s := own(t, w, w.tree(t), w.flags...)
	s.until(t, "what "+w.name+" begins with", w.awaits)
	return s
}

// own is a subject apart: w says what is expected of it.
func own(t *testing.T, w *setting, tree string, flags ...string) *subject {
	t.Helper()
	s := &subject{server: startServer(t, tree, flags...), setting: w}
	s.document = sync.OnceValues(s.loadDocument)
	return s
}
