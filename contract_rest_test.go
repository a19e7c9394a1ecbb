//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"gpu_exporter/internal/await"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// jsonRoutes are the routes of sections 4 to 9 and /gpus that answer JSON, pages those with a page for people.
var (
	jsonRoutes = []string{
		"/health", "/gpu/info", "/gpu/stats", "/gpu/temperature", "/gpu/memory", "/gpu/utilization", "/gpu/history", "/gpus", "/",
		"/openapi.json",
	}
	pages = []string{"/docs", "/redoc"}
	ws    = []string{"/ws/gpu-stats", "/ws/gpus"}
)

// each makes a check of what every answer to a GET of every JSON route must be, errors too.
func each(holds func(t *testing.T, target string, a answer)) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		for _, target := range slices.Concat(jsonRoutes, ws, []string{
			"/nothing", "/gpu/history?minutes=abc", "/gpu/stats?gpu=9", "/gpu/info?gpu=9", "/gpu/history?gpu=9",
		}) {
			holds(t, target, s.ask(t, http.MethodGet, target))
		}
	}
}

// wholeBodies holds all bodies against their forms: each key, in its place, with its value.
func wholeBodies(t *testing.T, s *subject) {
	for _, b := range bodies {
		x := exchange{"GET", b.route, nil, http.StatusOK, b.body, nil}
		switch {
		case b.lost && s.lost:
			x.code, x.body = http.StatusServiceUnavailable, unavailable
		case b.route == "/gpus" && s.gpus == "" && s.gpu != "":
			continue // there is no text to hold it against
		}
		s.exchange(t, x)
	}
}

// wrongMethods are refused on every route.
func wrongMethods(t *testing.T, s *subject) {
	for _, route := range slices.Concat(jsonRoutes, pages, ws) {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
			s.exchange(t, exchange{method, route, nil, 405, notAllowed,
				[]string{"Allow", "GET, HEAD", "Content-Type", "application/json"}})
		}
	}
}

// heads are as the answers to GET, without the body, which ask looks for.
func heads(t *testing.T, s *subject) {
	for _, route := range slices.Concat(jsonRoutes, pages) {
		get, head := s.ask(t, "GET", route), s.ask(t, "HEAD", route)
		for _, name := range []string{"Content-Type", "Cache-Control", "Content-Security-Policy", "Vary"} {
			if got, want := head.Header.Get(name), get.Header.Get(name); got != want {
				t.Errorf("HEAD %s: %s is %q, GET has %q", route, name, got, want)
			}
		}
		if head.StatusCode != get.StatusCode {
			t.Errorf("HEAD %s: %s, GET: %s", route, head.Status, get.Status)
		}
	}
}

func slashes(t *testing.T, s *subject) {
	for _, route := range slices.Concat(jsonRoutes, pages, ws) {
		if route == "/" {
			continue
		}
		for _, query := range []string{"", "?minutes=5&x=%20/"} {
			a := s.exchange(t, at(route+"/"+query, 307, ""))
			if got := a.Header.Get("Location"); got != route+query && got != s.url+route+query {
				t.Errorf("%s/%s: Location %q", route, query, got)
			}
		}
	}
}

// The numbers of the old routes, by their keys.
var floats, ints = regexp.MustCompile(`^-?\d+\.\d$`), regexp.MustCompile(`^-?\d+$`)

var numberForms = map[string]*regexp.Regexp{
	"temperature": floats, "utilization": floats, "memory_used": floats, "memory_total": floats, "memory_utilization": floats,
	"power_usage": floats, "core_clock": ints, "memory_clock": ints, "fan_speed": ints,
	"timestamp": regexp.MustCompile(`^\d{10}\.\d{6,7}$`), "last_update": regexp.MustCompile(`^\d{10}\.\d{6,7}$`),
}

// oldNumbers looks at every number of the old routes.
func oldNumbers(t *testing.T, s *subject) {
	seen := 0
	for _, b := range bodies {
		if b.route == "/gpus" {
			continue
		}
		a := s.ask(t, http.MethodGet, b.route)
		decoder := json.NewDecoder(strings.NewReader(a.body))
		decoder.UseNumber()
		var v any
		if err := decoder.Decode(&v); err != nil {
			t.Fatalf("%s: %v", b.route, err)
		}
		walk("", v, func(key string, n json.Number) {
			form := numberForms[key]
			if b.route == "/gpu/info" && key == "memory_total" { // an int there (section 5)
				form = ints
			}
			seen++
			if form == nil || !form.MatchString(n.String()) || strings.Trim(n.String(), "-0.") == "" && n.String()[0] == '-' {
				t.Errorf("%s: %s is %s", b.route, key, n)
			}
		})
	}
	if seen == 0 {
		t.Error("no number was seen")
	}
}

// walk calls do for each number below v, with the key nearest to it.
func walk(key string, v any, do func(key string, n json.Number)) {
	switch v := v.(type) {
	case map[string]any:
		for k, below := range v {
			walk(k, below, do)
		}
	case []any:
		for _, below := range v {
			walk(key, below, do)
		}
	case json.Number:
		do(key, v)
	}
}

// isNow checks that a time of an answer is the time of the answer.
func isNow(target, key string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		before := float64(time.Now().UnixMilli()) / 1000
		at := numberAt(t, s.get(t, target), key)
		if after := float64(time.Now().UnixMicro())/1e6 + 0.000001; at < before || at > after {
			t.Errorf("%s of %s is %f, asked between %f and %f", key, target, at, before, after)
		}
	}
}

// tells checks one token of a body that answers 200 in every setting.
func tells(target, want string, path ...string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		s.expect(t, fmt.Sprint(target, path), want, tokenAt(t, s.get(t, target), path...))
	}
}

// label is a label of gpu_info, the other way to what /gpu/info and /gpu/stats say.
func (r *reading) label(t *testing.T, gpu, name string) string {
	t.Helper()
	for key := range r.samples {
		if labels, ok := strings.CutPrefix(key, "gpu_info{"); ok && strings.Contains(labels, fmt.Sprintf("gpu=%q", gpu)) {
			m := regexp.MustCompile(`(?:^|,)` + name + `=("(?:[^"\\]|\\.)*")`).FindStringSubmatch(labels)
			if m == nil {
				return ""
			}
			text, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
	t.Fatalf("no gpu_info of %s", gpu)
	return ""
}

// labelled checks a text of a body against a label of gpu_info; unknown stands for an empty one.
func labelled(route, label, unknown string, path ...string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		r := s.reading(t)
		want := r.label(t, s.gpu, label)
		if want == "" {
			want = unknown
		}
		if got := tokenAt(t, r.bodies[route], path...); got != strconv.Quote(want) {
			t.Errorf("%s of %s is %s, gpu_info has %s %q", path, route, got, label, want)
		}
	}
}

// sampler looks up a sample of the default GPU in the reading.
type sampler func(family string, labels ...string) float64

// measured checks a key of /gpu/stats, and of the part that has it too, against /metrics at the same reading, by part 4 of
// metrics.md. decimals is how many the token has; limit is the largest number that can be.
func measured(key, part string, decimals int, limit float64, from func(of sampler) float64) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		r := s.reading(t)
		v := from(func(family string, labels ...string) float64 { return r.value(t, s.gpu, family, labels...) })
		scale := math.Pow10(decimals)
		want := strconv.FormatFloat(math.Round(v*scale)/scale, 'f', decimals, 64)
		for _, route := range []string{"/gpu/stats", part} {
			if route == "" {
				continue
			}
			if got := tokenAt(t, r.bodies[route], key); got != want {
				t.Errorf("%s of %s is %s, want %s", key, route, got, want)
			}
		}
		if v < 0 || v > limit {
			t.Errorf("%s is %v, want 0 to %v", key, v, limit)
		}
	}
}

const mib = 1 << 20

// everyKeyThere looks for the keys that clients call number methods on, and texts that they call text methods on.
func everyKeyThere(t *testing.T, s *subject) {
	body := s.get(t, "/gpu/stats")
	if strings.Contains(body, "null") {
		t.Errorf("a null: %s", body)
	}
	var stats map[string]any
	if err := json.Unmarshal([]byte(body), &stats); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"temperature", "utilization", "memory_used", "memory_total", "memory_utilization", "core_clock", "memory_clock",
		"power_usage", "fan_speed", "timestamp",
	} {
		if _, ok := stats[key].(float64); !ok {
			t.Errorf("%s is no number: %s", key, body)
		}
	}
	for _, key := range []string{"name", "driver_version", "status", "gpu_type", "monitoring_method"} {
		if _, ok := stats[key].(string); !ok {
			t.Errorf("%s is no text: %s", key, body)
		}
	}
	s.exchange(t, at("/gpu/stats", 200, bodyOf("/gpu/stats")))
}

// latest asks until a newer reading comes; until then the answers are equal.
func latest(t *testing.T, s *subject) {
	first := s.get(t, "/gpu/stats")
	await.Until(t, "a new reading", func() bool {
		next := s.get(t, "/gpu/stats")
		if next != first && numberAt(t, next, "timestamp") <= numberAt(t, first, "timestamp") {
			t.Errorf("after %s came %s", first, next)
		}
		return next != first
	})
}

func tenInARow(t *testing.T, s *subject) {
	timely(t, "ten GET /gpu/stats", 10*time.Second, func(arrived func()) {
		good := 0
		for range 10 {
			if s.ask(t, http.MethodGet, "/gpu/stats").StatusCode == http.StatusOK {
				good++
			}
		}
		arrived()
		if good < 9 {
			t.Errorf("%d of 10 were 200", good)
		}
	})
}

// timely runs what must have arrived within a time that the contract names. It may be tried again: a busy machine is late
// now and then, a service that is too slow always.
func timely(t *testing.T, what string, limit time.Duration, do func(arrived func())) {
	t.Helper()
	for range 3 {
		begin := time.Now()
		var took time.Duration
		do(func() { took = time.Since(begin) })
		t.Logf("%s: %v", what, took.Round(time.Millisecond))
		if took <= limit {
			return
		}
	}
	t.Errorf("%s: never within %v", what, limit)
}

// The old service's documentation, by what generated clients and scripts know of it.
func describesItself(t *testing.T, s *subject) {
	s.exchange(t, at("/openapi.json", 200, "*", "Content-Type", "application/json", "Cache-Control", "no-store"))
	doc, err := s.document()
	if err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Title != "JARVIS GPU Stats Service" || doc.Info.Version != "1.0.0" {
		t.Errorf("OpenAPI %s, %s %s", doc.OpenAPI, doc.Info.Title, doc.Info.Version)
	}
	for path, id := range map[string]string{
		"/health": "health_check_health_get", "/gpu/info": "get_gpu_info_gpu_info_get",
		"/gpu/stats": "get_current_stats_gpu_stats_get", "/gpu/history": "get_stats_history_gpu_history_get",
	} {
		if got := tokenAt(t, doc.text, "paths", path, "get", "operationId"); got != strconv.Quote(id) {
			t.Errorf("%s: operationId %s, want %s", path, got, id)
		}
	}
	if got := tokenAt(t, doc.text, "components", "schemas", "GPUStats", "required"); got != `["timestamp"]` {
		t.Errorf("GPUStats requires %s", got)
	}
	minutes := doc.Paths.Value("/gpu/history").Get.Parameters.GetByInAndName("query", "minutes")
	if minutes == nil || minutes.Required || !minutes.Schema.Value.Type.Is("integer") || fmt.Sprint(minutes.Schema.Value.Default) != "10" {
		t.Errorf("the parameter minutes: %+v", minutes)
	}
	for _, of := range []struct {
		path   string
		code   int
		schema string
	}{{"/gpu/stats", 200, "GPUStats"}, {"/gpu/history", 422, "HTTPValidationError"}} {
		response := doc.Paths.Value(of.path).Get.Responses.Status(of.code)
		if response == nil || response.Value.Content["application/json"].Schema.Ref != "#/components/schemas/"+of.schema {
			t.Errorf("%s %d: %+v, want the schema %s", of.path, of.code, response, of.schema)
		}
	}
}

// foreign are the ways of a page to another host. The namespace of an SVG is none.
var foreign = regexp.MustCompile(`(?i)(?:src|href|action)\s*=\s*["']?(?:https?:)?//|<script|@import|url\(`)

func showsDocs(t *testing.T, s *subject) {
	for path, title := range map[string]string{"/docs": "Swagger UI", "/redoc": "ReDoc"} {
		a := s.ask(t, http.MethodGet, path)
		if !strings.Contains(a.body, "<title>JARVIS GPU Stats Service - "+title+"</title>") || a.StatusCode != 200 ||
			!strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s %s %.300s", path, a.Status, a.Header.Get("Content-Type"), a.body)
		}
		if found := foreign.FindString(a.body); found != "" {
			t.Errorf("%s wants another host: %s", path, found)
		}
		for _, route := range slices.Concat(jsonRoutes, ws) {
			if !strings.Contains(a.body, route) {
				t.Errorf("%s does not name %s", path, route)
			}
		}
	}
}

func home(t *testing.T, s *subject) {
	for accept, html := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/html": true,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": true,
	} {
		var header []string
		if accept != "" {
			header = []string{"Accept", accept}
		}
		a := s.ask(t, http.MethodGet, "/", header...)
		if a.StatusCode != 200 || a.Header.Get("Vary") != "Accept" {
			t.Errorf("Accept %q: %s, Vary %q", accept, a.Status, a.Header.Get("Vary"))
		}
		if html {
			if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || !strings.Contains(a.body, "<html") {
				t.Errorf("Accept %q: %s %.80s", accept, a.Header.Get("Content-Type"), a.body)
			}
			if asset := s.ask(t, http.MethodGet, assetForm.FindString(a.body)); asset.StatusCode != 200 ||
				!strings.HasPrefix(asset.Header.Get("Content-Type"), "text/javascript") {
				t.Errorf("the script of the page: %s %s", asset.Status, asset.Header.Get("Content-Type"))
			}
			continue
		}
		s.expect(t, "Accept "+accept, bodyOf("/"), a.body)
	}
}

// console is `curl -s`, and `docker logs`.
func console(t *testing.T, s *subject) {
	for _, target := range []string{"/health", "/gpu/stats"} {
		a := s.exchange(t, exchange{"GET", target, []string{"User-Agent", "curl/7.88.1", "Accept", "*/*"}, 200, "*", nil})
		if !json.Valid([]byte(a.body)) || strings.Contains(a.body, "\n") {
			t.Errorf("%s: not one line of JSON: %q", target, a.body)
		}
	}
	if !strings.Contains(s.logged(), "listening") {
		t.Errorf("the log is not on standard error: %q", s.logged())
	}
}

// printed checks numbers that the integration script prints with %.1f, and texts.
func printed(target string, numbers, texts [][]string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		a := s.exchange(t, exchange{"GET", target, []string{"Accept", "*/*", "User-Agent", "Python/3.11 aiohttp/3.9.1"}, 200, "*",
			[]string{"Content-Type", "application/json"}})
		for _, path := range numbers {
			numberAt(t, a.body, path...)
		}
		for _, path := range texts {
			if got := tokenAt(t, a.body, path...); got[0] != '"' {
				t.Errorf("%v is no text: %s", path, got)
			}
		}
	}
}

// fromTheStart is how long the first 200 and the first frame take.
func fromTheStart(tree func(*testing.T) string, path string, flags ...string) func(*testing.T, *subject) {
	return func(t *testing.T, _ *subject) {
		realBinary(t) // built before
		var s *subject
		timely(t, "first 200 of /health after the start", 15*time.Second, func(arrived func()) {
			s = own(t, &setting{}, tree(t), flags...)
			s.exchange(t, at("/health", 200, "*"))
			arrived()
		})
		timely(t, "first frame of "+path, 5*time.Second, func(arrived func()) {
			if text := s.frameAt(t, s.connect(t, path), path, arrived); !strings.Contains(text, "gpu") {
				t.Errorf("a frame without gpu: %s", text)
			}
		})
	}
}
