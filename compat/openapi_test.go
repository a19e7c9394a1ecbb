package compat

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"gpu_exporter/collector"
)

// fetch is one answer of a handler, and its body.
func fetch(h http.Handler, target string, header ...string) (*http.Response, []byte) {
	r, w := httptest.NewRequest("GET", target, nil), httptest.NewRecorder()
	for pair := range slices.Chunk(header, 2) {
		r.Header.Add(pair[0], pair[1])
	}
	h.ServeHTTP(w, r)
	return w.Result(), w.Body.Bytes()
}

// description is the document as clients get it, but strict: what it leaves open because later versions may add to it
// (legacy-api.md 5, 9, 15.2) may not come from this one.
func description(t *testing.T) *openapi3.T {
	t.Helper()
	_, text := fetch(serve(t, newAPI(always(nil))), "/openapi.json")
	text = bytes.ReplaceAll(text, []byte(`"additionalProperties":true`), []byte(`"additionalProperties":false`))
	d, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fits says how a value breaks a schema. With EnableJSONSchema2020, kin-openapi would compile the schema each time, and as
// ours has references and none of the new keywords, drop that for this same validator, which knows lists of types.
func fits(s *openapi3.SchemaRef, value any) error { return s.Value.VisitJSON(value) }

// answerSchema is the schema of an answer, by the path of its route, its status and its media type.
func answerSchema(d *openapi3.T, path string, status int, kind string) (*openapi3.SchemaRef, error) {
	item := d.Paths.Value(path)
	if item == nil {
		return nil, errors.New("the route is not described")
	}
	answer := item.Get.Responses.Status(status)
	if answer == nil {
		return nil, fmt.Errorf("%d is not described", status)
	}
	media := answer.Value.Content[kind]
	if media == nil {
		return nil, fmt.Errorf("%d as %s is not described", status, kind)
	}
	return media.Schema, nil
}

// The document is OpenAPI 3.1, its examples are as its schemas say, and it says what the old one did (section 9).
func TestOpenAPI(t *testing.T) {
	d := description(t)
	if err := d.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	got := []string{d.OpenAPI, d.Info.Title, d.Info.Version}
	for _, s := range d.Servers {
		got = append(got, s.URL)
	}
	for _, path := range []string{"/health", "/gpu/info", "/gpu/stats", "/gpu/history"} {
		o := d.Paths.Value(path).Get
		got = append(got, o.OperationID)
		if len(o.Tags) > 0 {
			t.Errorf("%s has tags, by which generators name modules", path)
		}
	}
	minutes := d.Paths.Value("/gpu/history").Get.Parameters.GetByInAndName("query", "minutes")
	got = append(got, fmt.Sprint(minutes.Required, minutes.Schema.Value.Type.Slice(), minutes.Schema.Value.Default),
		d.Paths.Value("/gpu/stats").Get.Responses.Status(200).Value.Content["application/json"].Schema.Ref,
		d.Paths.Value("/gpu/history").Get.Responses.Status(422).Value.Content["application/json"].Schema.Ref,
		fmt.Sprint(d.Components.Schemas["GPUStats"].Value.Required))
	if diff := cmp.Diff([]string{
		"3.1.0", "JARVIS GPU Stats Service", "1.0.0", "/", "health_check_health_get", "get_gpu_info_gpu_info_get",
		"get_current_stats_gpu_stats_get", "get_stats_history_gpu_history_get", "false [integer] 10",
		"#/components/schemas/GPUStats", "#/components/schemas/HTTPValidationError", "[timestamp]",
	}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What FastAPI 0.104.1 writes of errors in parameters stands in the document with its titles, and required with it.
func TestOpenAPIErrorsOfFastAPI(t *testing.T) {
	var d, want map[string]any
	const fastAPI = `{"components":{"schemas":{
		"HTTPValidationError":{"properties":{"detail":{"items":{"$ref":"#/components/schemas/ValidationError"},"type":"array",
			"title":"Detail"}},"type":"object","title":"HTTPValidationError"},
		"ValidationError":{"properties":{"loc":{"items":{"anyOf":[{"type":"string"},{"type":"integer"}]},"type":"array",
			"title":"Location"},"msg":{"type":"string","title":"Message"},"type":{"type":"string","title":"Error Type"}},
			"type":"object","required":["loc","msg","type"],"title":"ValidationError"}}}}`
	if err := errors.Join(json.Unmarshal([]byte(fastAPI), &want), json.Unmarshal(openAPI, &d)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, common(want, d)); diff != "" {
		t.Errorf("-FastAPI +here\n%s", diff)
	}
}

// common is what b has by the keys that a has too.
func common(a, b any) any {
	wanted, isObject := a.(map[string]any)
	given, both := b.(map[string]any)
	if !isObject || !both {
		return b
	}
	c := map[string]any{}
	for key := range wanted {
		if v, ok := given[key]; ok {
			c[key] = common(wanted[key], v)
		}
	}
	return c
}

// Each route is described, but those that describe, and nothing else is.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	routes := []string{"/"}
	for _, r := range newAPI(always(nil)).Routes() {
		routes = append(routes, r.Pattern)
	}
	for _, r := range documentation() {
		routes = slices.DeleteFunc(routes, func(pattern string) bool { return pattern == r.Pattern })
	}
	slices.Sort(routes)
	if diff := cmp.Diff(routes, slices.Sorted(maps.Keys(description(t).Paths.Map()))); diff != "" {
		t.Errorf("-routes +described\n%s", diff)
	}
}

// wholeGPU is a GPU of which everything is read that /gpus tells.
func wholeGPU() collector.Status {
	d := rx7800xt()
	d.UUID, d.DriverVersion = "GPU-aa", "6.8"
	r := (*reading)(&d.Samples)
	r.add(collector.TemperatureMargin, -1.5)
	r.add(collector.TemperatureLimit, -273.15, "gpu", "critical") // a sensor with nothing but a limit
	r.add(collector.MemoryReserved, 1<<60, "vram")
	r.add(collector.Energy, 1e22, "package")
	r.add(collector.ThrottleActive, 1, "current")
	r.add(collector.LinkMaxWidth, 16)
	r.add(collector.LinkMaxSpeed, 32e9)
	r.add(collector.FanSpeed, 0, "2")
	return d
}

// somePast has recorded both GPUs, with and without values, just before now.
func somePast(t *testing.T, a *API) {
	t.Helper()
	for i := range 2 {
		full, bare := wholeGPU(), rx7800xt()
		bare.GPU, bare.State = "bare", collector.StatePartial
		bare.Samples = reading{{S: &collector.Series{Q: collector.PerformanceState}}}
		full.At = time.Now().Add(time.Duration(i-2) * time.Second)
		bare.At = full.At
		if err := a.Record(fleet(full, bare)); err != nil {
			t.Fatal(err)
		}
	}
}

// states are all that a snapshot can show.
func states() map[string]*collector.Snapshot {
	info := rx7800xt().Info
	simulated := wholeGPU()
	simulated.Source = "simulation"
	bare := collector.Status{Info: collector.Info{GPU: "bare"}, State: collector.StatePartial, Up: true, At: at}
	hot := bare
	(*reading)(&hot.Samples).add(collector.Temperature, 99.9, "edge")
	return map[string]*collector.Snapshot{
		"a card":                 fleet(rx7800xt()),
		"all that can be read":   fleet(wholeGPU(), bare),
		"nothing read":           fleet(bare),
		"asleep":                 fleet(status(info, collector.StateAsleep, true, at)),
		"resting":                fleet(status(info, collector.StateOK, true, at)),
		"hung":                   fleet(status(info, collector.StateHung, false, at)),
		"gone":                   fleet(status(info, collector.StateGone, false, at)),
		"never read":             fleet(status(info, collector.StateHung, false, time.Time{})),
		"none":                   fleet(),
		"before the first cycle": nil,
		"simulated":              fleet(simulated),
		"hot":                    fleet(hot),
	}
}

// requests are those that can be made of a route: as it is, and by parameters.
var requests = map[string][]string{
	"/gpu/history": {
		"?minutes=0", "?from=0", "?from=0&gpu=bare", "?step=1", "?step=1m", "?step=1m&gpu=bare", "?format=csv",
		"?format=csv&step=1m", "?minutes=x", "?minutes=" + strings.Repeat("9", 4301), "?format=x&from=x&to=x&step=x",
		"?step=0", "?step=999h",
	},
}

// The answers in all states are described, as they are, and what is described is answered.
func TestOpenAPIIsTrue(t *testing.T) {
	d := description(t)
	undone := map[string]bool{}
	for path, item := range d.Paths.Map() {
		for status, answer := range item.Get.Responses.Map() {
			for kind := range answer.Value.Content {
				undone[path+" "+status+" "+kind] = true
			}
		}
	}
	for name, s := range states() {
		a := newAPI(always(s))
		somePast(t, a)
		h := serve(t, a)
		for path, item := range d.Paths.Map() {
			targets := []string{path}
			if item.Get.Parameters.GetByInAndName("query", "gpu") != nil {
				targets = append(targets, path+"?gpu=0", path+"?gpu=bare", path+"?gpu=nobody")
			}
			for _, query := range requests[path] {
				targets = append(targets, path+query)
			}
			for _, target := range targets {
				for _, accept := range []string{"*/*", "text/html"} {
					answer, body := fetch(h, target, "Accept", accept)
					kind, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
					delete(undone, fmt.Sprintf("%s %d %s", path, answer.StatusCode, kind))
					schema, err := answerSchema(d, path, answer.StatusCode, kind)
					if err == nil {
						err = fits(schema, parsed(t, kind, body))
					}
					if err != nil {
						t.Errorf("%s, %.60s: %v\n%.1000s", name, target, err, body)
					}
				}
			}
		}
	}
	for answer := range undone {
		t.Errorf("described, and never answered: %s", answer)
	}
}

// parsed is the value that a schema is of: other bodies than JSON are strings.
func parsed(t *testing.T, kind string, body []byte) (value any) {
	t.Helper()
	if kind != "application/json" {
		return string(body)
	}
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return value
}

// The frames of the WebSockets are described too, although OpenAPI has no paths for them.
func TestOpenAPIFrames(t *testing.T) {
	d := description(t)
	for name, s := range states() {
		a := newAPI(always(s))
		hub := NewHub(HubOptions{
			Source: always(s), Interval: time.Second, MaxClients: 9, Stats: a.AppendStats, GPUs: a.AppendGPUs,
		})
		server := httptest.NewServer(mustFront(t, hub.Routes()...))
		for path, schema := range map[string]string{"/ws/gpu-stats": "GPUStatsFrame", "/ws/gpus": "GPUsFrame"} {
			if answer, _ := fetch(serve(t, a), "/gpu/stats"); path == "/ws/gpu-stats" && answer.StatusCode != http.StatusOK {
				continue // no frame
			}
			conn, answer, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			_, frame, err := conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			if err := fits(d.Components.Schemas[schema], parsed(t, "application/json", frame)); err != nil {
				t.Errorf("%s, %s: %v\n%s", name, path, err, frame)
			}
			conn.Close()
		}
		hub.Shutdown(t.Context())
		server.Close()
	}
}

// mayMiss says which keys the contract lets miss: most of GPUStats for the sake of generated clients, some of the errors
// of FastAPI, and on /gpus all that was not read.
func mayMiss(path, at string) bool {
	switch path {
	case "/gpu/stats":
		return at != "/timestamp"
	case "/gpu/history":
		return regexp.MustCompile(`^/detail(/0/(input|url))?$`).MatchString(at)
	case "/gpus":
		return regexp.MustCompile(`^/gpus/0/(sensors|memory|power|clocks|pcie)/|^/gpus/0/fans/0/[^f]`).MatchString(at)
	}
	return false
}

// mayBeNull says for which keys the contract has null.
func mayBeNull(target, at string) bool {
	switch target {
	case "/gpu/info":
		return at == "/last_update"
	case "/gpus":
		return regexp.MustCompile(`^/gpus/0/(name|vendor|type|uuid|pci_id|driver|driver_version|vbios|source|timestamp|` +
			`age_seconds|primary/.*|margin_celsius|throttle)$`).MatchString(at)
	case "/gpu/history?from=0", "/gpu/history?step=1m":
		return strings.Count(at, "/") == 3 && !regexp.MustCompile(`/(timestamp|gpu|state)$`).MatchString(at)
	}
	return false
}

// A key too many, one too few, or one of another type: none of them is what is described.
func TestOpenAPIRefusesMutants(t *testing.T) {
	d := description(t)
	whole, lost := fleet(wholeGPU()), status(wholeGPU().Info, collector.StateHung, false, at)
	for name, c := range map[string]struct {
		s      *collector.Snapshot
		target string
	}{
		"health":               {whole, "/health"},
		"info":                 {whole, "/gpu/info"},
		"stats":                {whole, "/gpu/stats"},
		"temperature":          {whole, "/gpu/temperature"},
		"memory":               {whole, "/gpu/memory"},
		"utilization":          {whole, "/gpu/utilization"},
		"history":              {whole, "/gpu/history"},
		"history, all columns": {whole, "/gpu/history?from=0"},
		"history, by steps":    {whole, "/gpu/history?step=1m"},
		"gpus":                 {whole, "/gpus"},
		"gpus, lost":           {fleet(lost), "/gpus"},
		"gpus, never read":     {fleet(status(collector.Info{GPU: "a"}, collector.StateHung, false, time.Time{})), "/gpus"},
		"home":                 {whole, "/"},
		"404":                  {fleet(), "/gpu/info?gpu=0"},
		"422":                  {fleet(), "/gpu/history?minutes=x"},
		"503":                  {fleet(), "/gpu/memory"},
	} {
		a := newAPI(always(c.s))
		somePast(t, a)
		answer, body := fetch(serve(t, a), c.target)
		path, _, _ := strings.Cut(c.target, "?")
		schema, err := answerSchema(d, path, answer.StatusCode, "application/json")
		if err != nil {
			t.Fatal(err)
		}
		value := parsed(t, "application/json", body)
		tried := 0
		mutate(value, "", func(what, at string) {
			tried++
			may := what == "misses" && mayMiss(path, at) || what == "is null" && mayBeNull(c.target, at)
			if !may && fits(schema, value) == nil {
				t.Errorf("%s: taken although %s %s", name, at, what)
			}
		})
		if err := fits(schema, value); err != nil || tried < 3 {
			t.Errorf("%s: %d mutants, the original: %v", name, tried, err)
		}
	}
}

// mutate changes value in place in one way at a time, and undoes it after try.
func mutate(value any, at string, try func(what, at string)) {
	switch value := value.(type) {
	case map[string]any:
		value["mutant"] = "x"
		try("is added", at+"/mutant")
		delete(value, "mutant")
		for key, original := range maps.Clone(value) {
			delete(value, key)
			try("misses", at+"/"+key)
			value[key] = nil
			try("is null", at+"/"+key)
			value[key] = another(original)
			try("is of another type", at+"/"+key)
			value[key] = original
			mutate(original, at+"/"+key, try)
		}
	case []any:
		for i, original := range value {
			value[i] = map[string]any{}
			try("is {}", fmt.Sprintf("%s/%d", at, i))
			value[i] = original
			mutate(original, fmt.Sprintf("%s/%d", at, i), try)
		}
	}
}

// another is a value of a type that no key has together with that of value.
func another(value any) any {
	switch value.(type) {
	case nil:
		return true
	case float64:
		return "1.5"
	}
	return 1.5
}

// The examples are what the routes answer about the card of the fixtures; only the times are others.
func TestOpenAPIExamples(t *testing.T) {
	h := serve(t, newAPI(always(fleet(rx7800xt()))))
	var written struct {
		Paths map[string]struct {
			Get struct {
				Responses map[string]struct {
					Content map[string]struct{ Example json.RawMessage }
				}
			}
		}
	}
	_, text := fetch(h, "/openapi.json")
	if err := json.Unmarshal(text, &written); err != nil {
		t.Fatal(err)
	}
	timeless := func(body []byte) string {
		return regexp.MustCompile(`"(timestamp|age_seconds)":[0-9.]+`).ReplaceAllString(string(body), `"$1":0`)
	}
	for path, item := range written.Paths {
		if path == "/gpu/history" { // whose example would be as long as the past
			continue
		}
		_, body := fetch(h, path)
		got := timeless(item.Get.Responses["200"].Content["application/json"].Example)
		got = strings.Replace(got, `"platform":"Linux"`, `"platform":"`+platformHere+`"`, 1)
		if want := timeless(body); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", path, got, want)
		}
	}
}

func TestOpenAPIIsCompact(t *testing.T) {
	var want bytes.Buffer
	if err := json.Compact(&want, openAPI); err != nil {
		t.Fatal(err)
	}
	if _, got := getJSON(t, serve(t, newAPI(always(nil))), "/openapi.json"); got != want.String() {
		t.Errorf("got %.300s", got)
	}
}

// The pages have what the document has, in its order, which maps would lose.
func TestDocumentKeepsItsOrder(t *testing.T) {
	d, err := parseDocument([]byte(`{"paths":{"/b":{},"/a":{},"/c":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range d.Paths {
		got = append(got, p.Key)
	}
	if diff := cmp.Diff([]string{"/b", "/a", "/c"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, broken := range []string{
		``, `{"paths":[]}`, `{"paths":{"/a":[]}}`, `{"paths":{"/a":{}`, `{"components":{"schemas":{"A":{"type":1}}}}`,
	} {
		if _, err := parseDocument([]byte(broken)); err == nil {
			t.Errorf("taken: %s", broken)
		}
	}
}

func TestMarked(t *testing.T) {
	for text, want := range map[string]string{
		"plain":              "plain",
		"take `/a` or `/b`.": "take <code>/a</code> or <code>/b</code>.",
		"a & `<b>`":          "a &amp; <code>&lt;b&gt;</code>",
	} {
		if got := marked(text); string(got) != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// Section 9: titles, and no other host.
func TestDocs(t *testing.T) {
	h := serve(t, newAPI(always(nil)))
	d := description(t)
	for path, title := range map[string]string{
		"/docs": "JARVIS GPU Stats Service - Swagger UI", "/redoc": "JARVIS GPU Stats Service - ReDoc",
	} {
		answer, body := fetch(h, path)
		page := string(body)
		_, style, _ := strings.Cut(page, "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		hash := sha256.Sum256([]byte(style))
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
				"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		for _, want := range []string{"<title>" + title + "</title>", `href="./openapi.json"`, "ws://localhost:5009/ws/gpus"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %s", path, want)
			}
		}
		for _, never := range []string{
			"http://", "https://", `href="//`, "src=", "<script", "<link", "<form", "@import", "url(", "style=",
		} {
			if strings.Contains(page, never) {
				t.Errorf("%s: %s", path, never)
			}
		}
		for route, item := range d.Paths.Map() {
			for _, want := range []string{
				`id="` + item.Get.OperationID + `"`, `href=".` + route + `"`, ">curl localhost:5009" + route,
			} {
				if !strings.Contains(page, want) {
					t.Errorf("%s: no %s", path, want)
				}
			}
		}
		for name, schema := range d.Components.Schemas {
			if !strings.Contains(page, `id="`+name+`"`) {
				t.Errorf("%s: no schema %s", path, name)
			}
			for key := range schema.Value.Properties {
				if !strings.Contains(page, `<code>`+key+`</code>`) {
					t.Errorf("%s: no key %s of %s", path, key, name)
				}
			}
		}
	}
}
