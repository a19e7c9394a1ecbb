//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// answer is what came back.
type answer struct {
	*http.Response
	body string
}

// ask sends one request as it is written and takes all that comes back until the connection ends. net/http would follow
// redirects, clean paths, and hide a body that answers HEAD. A header is name, value, ...
func (s *subject) ask(t *testing.T, method, target string, header ...string) answer {
	t.Helper()
	c := dial(t, s.server)
	var request strings.Builder
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, s.host())
	for pair := range slices.Chunk(header, 2) {
		fmt.Fprintf(&request, "%s: %s\r\n", pair[0], pair[1])
	}
	if _, err := io.WriteString(c, request.String()+"\r\n"); err != nil {
		t.Fatal(err)
	}
	said := expectClosed(t, c)
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(said)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v in %q", method, target, err, said)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v in %q", method, target, err, said)
	}
	if _, rest, _ := strings.Cut(said, "\r\n\r\n"); method == http.MethodHead && rest != "" {
		t.Errorf("HEAD %s: a body: %q", target, rest)
	}
	a := answer{response, string(body)}
	path, _, _ := strings.Cut(target, "?")
	s.verify(t, method, path, a)
	return a
}

func (s *subject) host() string { return strings.TrimPrefix(s.url, "http://") }

// get is the body of an answer with status 200.
func (s *subject) get(t *testing.T, target string) string {
	t.Helper()
	a := s.ask(t, http.MethodGet, target)
	if a.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %s", target, a.Status, a.body)
	}
	return a.body
}

// An exchange is a request and all that is expected of the answer.
type exchange struct {
	method, target string
	header         []string // name, value, ...
	code           int
	body           string   // a form; "*": any
	want           []string // name, value, ... of the answer; an empty value: not there
}

func (s *subject) exchange(t *testing.T, x exchange) answer {
	t.Helper()
	a := s.ask(t, x.method, x.target, x.header...)
	what := fmt.Sprintf("%s %.60s %v", x.method, x.target, x.header)
	if a.StatusCode != x.code {
		t.Errorf("%s: %s %s, want %d", what, a.Status, a.body, x.code)
	}
	if x.body != "*" {
		s.expect(t, what, x.body, a.body)
	}
	for pair := range slices.Chunk(x.want, 2) {
		if got := strings.Join(a.Header.Values(pair[0]), "|"); got != pair[1] {
			t.Errorf("%s: %s is %q, want %q", what, pair[0], got, pair[1])
		}
	}
	return a
}

// at is a GET without headers of its own.
func at(target string, code int, body string, want ...string) exchange {
	return exchange{http.MethodGet, target, nil, code, body, want}
}

// whole is the check that routes answer 200 with their whole bodies.
func whole(routes ...string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		for _, route := range routes {
			s.exchange(t, at(route, http.StatusOK, bodyOf(route)))
		}
	}
}

// answers is the check of a list of exchanges.
func answers(list ...exchange) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		for _, x := range list {
			s.exchange(t, x)
		}
	}
}

// verified counts the answers that were held against /openapi.json.
var verified atomic.Int64

// openapi is the description that a server gives of itself.
type openapi struct {
	*openapi3.T
	text string
}

func (s *subject) loadDocument() (*openapi, error) {
	answer, err := http.Get(s.url + "/openapi.json")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return nil, errors.Join(err, fmt.Errorf("/openapi.json: %s", answer.Status))
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	return &openapi{doc, string(text)}, err
}

// verify holds a JSON answer against the description: of what is described there, each status must be, with its type.
func (s *subject) verify(t *testing.T, method, path string, a answer) {
	t.Helper()
	if a.Header.Get("Content-Type") != "application/json" {
		return
	}
	doc, err := s.document()
	if err != nil {
		t.Fatal(err)
	}
	item := doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		return // unknown paths, wrong methods, /openapi.json
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: &http.Request{Method: method}, Route: &routers.Route{Spec: doc.T, Path: path, Operation: item.GetOperation(method)},
		},
		Status: a.StatusCode, Header: a.Header, Body: io.NopCloser(strings.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		t.Errorf("%s %s: %s is not as /openapi.json has it: %v\n%s", method, path, a.Status, err, a.body)
	}
	verified.Add(1)
}

// verifyFrame holds what a frame carries against the description of the route with the same body.
func (s *subject) verifyFrame(t *testing.T, path string, data json.RawMessage) {
	t.Helper()
	s.verify(t, http.MethodGet, path, answer{&http.Response{
		StatusCode: http.StatusOK, Status: "frame", Header: http.Header{"Content-Type": {"application/json"}},
	}, string(data)})
}

// tokenAt is the value at a path of keys in a JSON object, as it is written there.
func tokenAt(t *testing.T, body string, path ...string) string {
	t.Helper()
	raw := json.RawMessage(body)
	for _, key := range path {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			t.Fatalf("%v: %v in %s", path, err, raw)
		}
		if raw = object[key]; raw == nil {
			t.Fatalf("no %v in %s", path, body)
		}
	}
	return string(raw)
}

// numberAt is a token that is one.
func numberAt(t *testing.T, body string, path ...string) float64 {
	t.Helper()
	var v float64
	if err := json.Unmarshal([]byte(tokenAt(t, body, path...)), &v); err != nil {
		t.Fatalf("%v: %v in %s", path, err, body)
	}
	return v
}

// reading is one reading of the default GPU as all routes tell it.
type reading struct {
	samples hwcase.Samples
	bodies  map[string]string // by route
	object  string            // of the GPU in /gpus
}

// reading asks until all routes speak of the same reading. Whoever asks later has the same one.
func (s *subject) reading(t *testing.T) *reading {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		await.Until(t, "the same reading on all routes", func() bool {
			r, same := s.look(t)
			if same {
				s.seen = r
			}
			return same
		})
	}
	return s.seen
}

// look asks all routes once, and says whether they spoke of the same reading.
func (s *subject) look(t *testing.T) (r *reading, same bool) {
	t.Helper()
	r = &reading{samples: s.scrape(t), bodies: map[string]string{}}
	at := r.samples[fmt.Sprintf("gpu_exporter_reading_timestamp_seconds{gpu=%q}", s.gpu)]
	same = at != 0
	for _, route := range []string{"/gpu/info", "/gpu/stats", "/gpu/temperature", "/gpu/memory", "/gpu/utilization"} {
		r.bodies[route] = s.get(t, route)
		key := "timestamp"
		if route == "/gpu/info" {
			key = "last_update"
		}
		same = same && math.Abs(numberAt(t, r.bodies[route], key)-at) < 0.001
	}
	r.bodies["/gpus"] = s.get(t, "/gpus")
	r.object = gpuIn(t, r.bodies["/gpus"], s.gpu)
	return r, same && math.Abs(numberAt(t, r.object, "timestamp")-at) < 0.001
}

// gpuIn is the object of a GPU in a body of /gpus.
func gpuIn(t *testing.T, body, gpu string) string {
	t.Helper()
	for _, object := range gpusIn(t, body) {
		if tokenAt(t, object, "gpu") == fmt.Sprintf("%q", gpu) {
			return object
		}
	}
	t.Fatalf("no GPU %s in %s", gpu, body)
	return ""
}

func gpusIn(t *testing.T, body string) (objects []string) {
	t.Helper()
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(tokenAt(t, body, "gpus")), &raw); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, r := range raw {
		objects = append(objects, string(r))
	}
	return objects
}

// value is a sample of the default GPU. The labels beside gpu are name, value, ...
func (r *reading) value(t *testing.T, gpu, family string, labels ...string) float64 {
	t.Helper()
	v, told := r.maybe(gpu, family, labels...)
	if !told {
		t.Fatalf("no %s %v of %s in /metrics", family, labels, gpu)
	}
	return v
}

func (r *reading) maybe(gpu, family string, labels ...string) (v float64, told bool) {
	list := []string{fmt.Sprintf("gpu=%q", gpu)}
	for pair := range slices.Chunk(labels, 2) {
		list = append(list, fmt.Sprintf("%s=%q", pair[0], pair[1]))
	}
	slices.Sort(list)
	v, told = r.samples[family+"{"+strings.Join(list, ",")+"}"]
	return v, told
}

// escaped is a query with all of a text escaped.
func escaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// compact says whether JSON is written without a blank, and without an end of line after it.
func compact(body string) bool {
	var out bytes.Buffer
	return json.Compact(&out, []byte(body)) == nil && out.String() == body
}
