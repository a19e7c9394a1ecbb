package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// still is a Source that has one snapshot, for ever.
type still struct {
	latest, fresh *collector.Snapshot
}

func (s still) Latest() *collector.Snapshot                        { return s.latest }
func (s still) Fresh(context.Context) *collector.Snapshot          { return s.fresh }
func (still) Subscribe(context.Context) <-chan *collector.Snapshot { return nil }
func always(s *collector.Snapshot) still                           { return still{s, s} }
func status(i collector.Info, s collector.State, up bool, at time.Time) collector.Status {
	return collector.Status{Info: i, State: s, Up: up, At: at}
}

// fleet is a snapshot whose first GPU is the default one.
func fleet(devices ...collector.Status) *collector.Snapshot {
	s := snapshot(devices...)
	if len(devices) == 0 {
		s.Default = -1
	}
	return s
}

func newAPI(source Source) *API {
	return New(Options{Source: source, Interval: time.Second, Version: "1.0.0", TelemetryPath: "/metrics"})
}

func serve(t *testing.T, a *API) http.Handler {
	t.Helper()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<p>"))
	})
	h, err := Front(append(a.Routes(), Route{Pattern: "/", Methods: readOnly, Handler: a.Home(page), CORS: true}), FrontOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// getJSON answers with the times of now made equal.
func getJSON(t *testing.T, h http.Handler, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	for pair := range slices.Chunk(jsonHead, 2) {
		if got := w.Header().Get(pair[0]); got != pair[1] {
			t.Errorf("%s: %s is %q", target, pair[0], got)
		}
	}
	if !json.Valid(w.Body.Bytes()) {
		t.Errorf("%s: no JSON: %s", target, w.Body)
	}
	today := fmt.Sprintf(`"timestamp":%d`, time.Now().Unix()/1000)
	return w.Code, regexp.MustCompile(today+`\d{3}\.\d{6}`).ReplaceAllString(w.Body.String(), `"timestamp":NOW`)
}

const (
	rxStats = `{"name":"AMD Radeon RX 7800 XT","temperature":24.0,"utilization":2.0,"memory_used":1536.0,"memory_total":16368.0,` +
		`"memory_utilization":9.4,"core_clock":2011,"memory_clock":456,"power_usage":32.0,"fan_speed":35,"driver_version":"Unknown",` +
		`"timestamp":1795633304.718600,"status":"healthy","gpu_type":"amd","monitoring_method":"sysfs"}`
	zeros = `"temperature":0.0,"utilization":0.0,"memory_used":0.0,"memory_total":0.0,"memory_utilization":0.0,"core_clock":0,` +
		`"memory_clock":0,"power_usage":0.0,"fan_speed":0,`
	noStats = `{"detail":"GPU stats unavailable"}`
	noGPU   = `{"detail":"GPU not found"}`
)

var platformHere = platform(runtime.GOOS)

func TestSections4To6(t *testing.T) {
	rx := rx7800xt()
	old := at.Add(-time.Hour)
	full := collector.Info{GPU: "0000:0a:00.0", Vendor: "nvidia", Name: `RTX "4090" <Größe>`, Type: collector.Discrete, UUID: "GPU-aa",
		DriverVersion: "570.1", Source: "nvml"}
	simulated := rx7800xt()
	simulated.GPU, simulated.Source = "sim:0", "simulation"
	health := func(detected, method string) string {
		return `{"status":"healthy","service":"gpu-stats-service","timestamp":NOW,"gpu_detected":` + detected +
			`,"monitoring_method":"` + method + `","gpu_available":` + detected + `}`
	}
	info := func(gpu, update, nvml string) string {
		return `{"gpu_info":{` + gpu + `},"platform":"` + platformHere + `","last_update":` + update +
			`,"capabilities":{"nvml_available":` + nvml + `,"gputil_available":false,"distro_available":false}}`
	}
	rxInfo := func(total string) string {
		return `"name":"AMD Radeon RX 7800 XT","memory_total":` + total + `,"driver_version":"Unknown","gpu_type":"amd","monitoring_method":"sysfs"`
	}
	const nothing = `"name":"Unknown GPU","memory_total":0,"driver_version":"Unknown","gpu_type":"unknown","monitoring_method":"unknown"`
	asleepStats := func(total, timestamp string) string {
		s := strings.Replace(zeros, `"memory_total":0.0`, `"memory_total":`+total, 1)
		return `{"name":"AMD Radeon RX 7800 XT",` + s + `"driver_version":"Unknown","timestamp":` + timestamp +
			`,"status":"healthy","gpu_type":"amd","monitoring_method":"sysfs"}`
	}
	for _, c := range []struct {
		row    string
		seen   bool // the RX 7800 XT awake, before
		s      *collector.Snapshot
		target string
		code   int
		want   string
	}{
		{"section 4, all keys", false, fleet(rx), "/health", 200, health("true", "sysfs")},
		{"section 4, before the first cycle", false, nil, "/health", 200, health("false", "unknown")},
		{"section 4, no GPU", false, fleet(), "/health", 200, health("false", "unknown")},
		{"section 4, hung", false, fleet(status(rx.Info, collector.StateHung, false, time.Time{})), "/health", 200, health("true", "sysfs")},
		{"section 4, simulation", false, fleet(simulated), "/health", 200, health("false", "simulation")},

		{"section 5, all keys", false, fleet(rx), "/gpu/info", 200, info(rxInfo("16368"), "1795633304.718600", "false")},
		{"section 5, nvml", false, fleet(status(full, collector.StatePartial, true, at)), "/gpu/info", 200,
			info(`"name":"RTX \"4090\" <Größe>","memory_total":0,"driver_version":"570.1","gpu_type":"nvidia","monitoring_method":"nvml"`,
				"1795633304.718600", "true")},
		{"section 5, before the first cycle", false, nil, "/gpu/info", 200, info(nothing, "null", "false")},
		{"section 5, no GPU", false, fleet(), "/gpu/info", 200, info(nothing, "null", "false")},
		{"section 5, never read", false, fleet(status(rx.Info, collector.StateOK, true, time.Time{})), "/gpu/info", 200, info(rxInfo("0"), "null", "false")},
		{"section 5, asleep", true, fleet(status(rx.Info, collector.StateAsleep, true, old)), "/gpu/info", 200,
			info(rxInfo("16368"), "1795629704.718600", "false")},
		{"section 5, gone", true, fleet(status(rx.Info, collector.StateGone, false, old)), "/gpu/info", 200,
			info(rxInfo("16368"), "1795629704.718600", "false")},

		{"section 6, all keys", false, fleet(rx), "/gpu/stats", 200, rxStats},
		{"section 6, nothing offered", false, fleet(status(full, collector.StatePartial, true, at)), "/gpu/stats", 200,
			`{"name":"RTX \"4090\" <Größe>",` + zeros + `"driver_version":"570.1","timestamp":1795633304.718600,"status":"healthy",` +
				`"gpu_type":"nvidia","monitoring_method":"nvml"}`},
		{"section 6, simulation", false, fleet(simulated), "/gpu/stats", 200, strings.Replace(rxStats, "sysfs", "simulation", 1)},
		{"section 6, asleep", true, fleet(status(rx.Info, collector.StateAsleep, true, old)), "/gpu/stats", 200, asleepStats("16368.0", "NOW")},
		{"section 6, never awake", false, fleet(status(rx.Info, collector.StateAsleep, true, old)), "/gpu/stats", 200, asleepStats("0.0", "NOW")},
		{"section 6, resting", true, fleet(status(rx.Info, collector.StateOK, true, at)), "/gpu/stats", 200,
			asleepStats("16368.0", "1795633304.718600")},
		{"section 6, no GPU", false, fleet(), "/gpu/stats", 503, noStats},
		{"section 6, before the first cycle", false, nil, "/gpu/stats", 503, noStats},
		{"section 6, hung", true, fleet(status(rx.Info, collector.StateHung, false, at)), "/gpu/stats", 503, noStats},
		{"section 6, gone", true, fleet(status(rx.Info, collector.StateGone, false, at)), "/gpu/stats", 503, noStats},
		{"section 6, all failed", true, fleet(status(rx.Info, collector.StatePartial, false, at)), "/gpu/stats", 503, noStats},
		{"section 6, never read", false, fleet(status(rx.Info, collector.StateOK, true, time.Time{})), "/gpu/stats", 503, noStats},

		{"section 9, temperature", false, fleet(rx), "/gpu/temperature", 200, `{"temperature":24.0,"status":"healthy","timestamp":1795633304.718600}`},
		{"section 9, memory", false, fleet(rx), "/gpu/memory", 200,
			`{"memory_used":1536.0,"memory_total":16368.0,"memory_utilization":9.4,"timestamp":1795633304.718600}`},
		{"section 9, utilization", false, fleet(rx), "/gpu/utilization", 200, `{"utilization":2.0,"timestamp":1795633304.718600}`},
		{"section 9, 503", false, fleet(), "/gpu/temperature", 503, noStats},
		{"section 9, 503", false, fleet(), "/gpu/memory", 503, noStats},
		{"section 9, 503", false, nil, "/gpu/utilization", 503, noStats},
		{"section 9, /api", false, fleet(rx), "/api/gpu/stats", 404, notFoundBody},
		{"section 9, JSON at /", false, fleet(rx), "/", 200,
			`{"service":"gpu-stats-service","version":"1.0.0","gpu_vendor":"amd","status":"healthy","endpoints":{` +
				`"health":"/health","gpu/info":"/gpu/info","gpu/stats":"/gpu/stats","gpu/history":"/gpu/history",` +
				`"gpu/temperature":"/gpu/temperature","gpu/memory":"/gpu/memory","gpu/utilization":"/gpu/utilization",` +
				`"ws/gpu-stats":"/ws/gpu-stats","gpus":"/gpus","ws/gpus":"/ws/gpus","metrics":"/metrics","docs":"/docs",` +
				`"openapi":"/openapi.json"}}`},
	} {
		a := newAPI(always(c.s))
		if c.seen {
			if err := a.Record(fleet(rx)); err != nil {
				t.Fatal(err)
			}
		}
		if code, got := getJSON(t, serve(t, a), c.target); code != c.code || got != c.want {
			t.Errorf("%s: got %d\n%s\nwant %d\n%s", c.row, code, got, c.code, c.want)
		}
	}
}

// Section 6, row status, and section 10.
func TestStatusByTemperature(t *testing.T) {
	for celsius, want := range map[float64]string{
		84.9: `84.9,"status":"healthy"`, 84.94: `84.9,"status":"healthy"`, 84.95: `85.0,"status":"warning"`, 85: `85.0,"status":"warning"`,
		120: `120.0,"status":"warning"`, -5: `-5.0,"status":"healthy"`, -0.04: `0.0,"status":"healthy"`, math.NaN(): `0.0,"status":"healthy"`,
	} {
		var r reading
		r.add(collector.Temperature, celsius, "edge")
		d := collector.Status{Up: true, At: at, Samples: r}
		if _, got := getJSON(t, serve(t, newAPI(always(fleet(d)))), "/gpu/temperature"); !strings.Contains(got, want) {
			t.Errorf("%v: got %s, want %s", celsius, got, want)
		}
	}
}

// Section 5, row gpu_info.gpu_type, and section 9, gpu_vendor.
func TestVendors(t *testing.T) {
	for vendor, want := range map[string]string{
		"amd": "amd", "nvidia": "nvidia", "intel": "intel", "apple": "apple", "": "unknown", "1a03": "unknown", "arm": "unknown",
	} {
		h := serve(t, newAPI(always(fleet(collector.Status{Info: collector.Info{Vendor: vendor}, Up: true, At: at}))))
		for target, key := range map[string]string{"/gpu/info": "gpu_type", "/gpu/stats": "gpu_type", "/": "gpu_vendor"} {
			if _, got := getJSON(t, h, target); !strings.Contains(got, `"`+key+`":"`+want+`"`) {
				t.Errorf("%q: got %s", vendor, got)
			}
		}
	}
}

func TestPlatform(t *testing.T) {
	for goos, want := range map[string]string{"linux": "Linux", "windows": "Windows", "darwin": "Darwin", "freebsd": "freebsd"} {
		if got := platform(goos); got != want {
			t.Errorf("%s: %s", goos, got)
		}
	}
}

// Section 9: JSON for all who do not name text/html.
func TestWhoGetsThePage(t *testing.T) {
	h := serve(t, newAPI(always(nil)))
	for accept, page := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/*": false, "text/htmlx": false, "text/html;q=0": false,
		"text/html; charset=x; Q=0.00": false, "text/html": true, "TEXT/HTML": true, "application/json, text/html;q=0.1": true,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": true,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		r.Header.Set("Origin", "null")
		r.Header.Set("Cookie", "a=b")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Body.String() == "<p>"; got != page || WantsHTML(r) != page {
			t.Errorf("Accept %q: got %s", accept, w.Body)
		}
		if vary := strings.Join(w.Header().Values("Vary"), ", "); vary != "Origin, Accept" {
			t.Errorf("Accept %q: Vary %s", accept, vary)
		}
	}
}

func TestSection15_1(t *testing.T) {
	a, b := rx7800xt(), rx7800xt()
	b.Info = collector.Info{GPU: "0000:0A:00.0", Name: "second", UUID: "GPU-ab"}
	s := fleet(a, b)
	s.Default = 1
	h := serve(t, newAPI(always(s)))
	for query, want := range map[string]string{
		"": "second", "?gpu=": "second", "?gpu": "second", "?GPU=0": "second", "?gpu=0": "AMD Radeon RX 7800 XT",
		"?gpu=0000:03:00.0": "AMD Radeon RX 7800 XT", "?gpu=0000%3A0a:00.0": "second", "?gpu=gpu-AB": "second", "?gpu=0&gpu=1": "second",
		"?gpu=x&gpu=1": "second", "?gpu=2": "", "?gpu=1&gpu=x": "", "?gpu=01": "", "?gpu=-1": "", "?gpu=%00": "",
	} {
		for _, path := range []string{"/gpu/info", "/gpu/stats", "/gpu/temperature", "/gpu/memory", "/gpu/utilization", "/gpu/history"} {
			code, got := getJSON(t, h, path+query)
			switch {
			case want == "" && (code != 404 || got != noGPU):
				t.Errorf("%s%s: %d %s", path, query, code, got)
			case want != "" && code != 200, want != "" && (path == "/gpu/info" || path == "/gpu/stats") && !strings.Contains(got, `"name":"`+want+`"`):
				t.Errorf("%s%s: %d %s", path, query, code, got)
			}
		}
	}
	for _, s := range []*collector.Snapshot{nil, fleet()} {
		if code, got := getJSON(t, serve(t, newAPI(always(s))), "/gpu/stats?gpu=0"); code != 404 || got != noGPU {
			t.Errorf("no GPU: %d %s", code, got)
		}
	}
}

func TestSection15_2(t *testing.T) {
	rx := fleet(rx7800xt())
	for name, c := range map[string]struct {
		interval time.Duration
		source   still
		found    bool
	}{
		"latest":              {time.Second, still{latest: rx}, true},
		"before the first":    {time.Second, still{fresh: rx}, false}, // it does not wait
		"on demand":           {0, still{fresh: rx}, true},
		"on demand, too late": {0, still{latest: rx}, false},
	} {
		code, got := getJSON(t, serve(t, New(Options{Source: c.source, Interval: c.interval, Version: "1"})), "/gpus")
		if found := strings.Contains(got, "0000:03:00.0"); code != 200 || found != c.found || !strings.HasPrefix(got, `{"schema":1,"version":"1","timestamp":`) {
			t.Errorf("%s: %d %s", name, code, got)
		}
	}
}

// Section 2, row HEAD, of every route; and CORS of every route.
func TestEveryRoute(t *testing.T) {
	a := newAPI(always(fleet(rx7800xt())))
	var rows []exchange
	for _, r := range a.Routes() {
		from, head := []string{"Origin", "file://"}, jsonHead
		if r.Pattern == "/docs" || r.Pattern == "/redoc" {
			head = []string{"Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store"}
		}
		rows = append(rows, exchange{"section 2, HEAD", "HEAD", r.Pattern, from, 200, "", append([]string{"Access-Control-Allow-Origin", "*"}, head...)},
			exchange{"section 2, wrong method", "PUT", r.Pattern, from, 405, notAllowedBody, []string{"Allow", "GET, HEAD"}},
			exchange{"section 2, slash", "GET", r.Pattern + "/", from, 307, "", []string{"Location", r.Pattern}})
	}
	if len(rows) != 3*11 {
		t.Errorf("%d rows", len(rows))
	}
	ask(t, serve(t, a), rows)
}
