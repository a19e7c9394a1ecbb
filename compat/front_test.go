package compat

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// exchange is one request and all that is expected of the answer to it.
type exchange struct {
	row            string // of legacy-api.md that it proves
	method, target string
	header         []string // name, value, ...
	code           int
	body           string
	want           []string // name, value, ... of the answer; an empty value: not there
}

// jsonHead is what every JSON answer has (section 2).
var jsonHead = []string{"Content-Type", "application/json", "Cache-Control", "no-store"}

const (
	notFoundBody   = `{"detail":"Not Found"}`
	notAllowedBody = `{"detail":"Method Not Allowed"}`
)

// ask sends the requests to a real server, which knows more of HEAD than a recorder.
func ask(t *testing.T, h http.Handler, exchanges []exchange) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	for _, x := range exchanges {
		t.Run(x.row+" "+x.method+" "+x.target, func(t *testing.T) {
			r, err := http.NewRequest(x.method, server.URL+x.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			for pair := range slices.Chunk(x.header, 2) {
				r.Header.Add(pair[0], pair[1])
			}
			answer, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != x.code || string(body) != x.body {
				t.Errorf("got %d %s\nwant %d %s", answer.StatusCode, body, x.code, x.body)
			}
			for pair := range slices.Chunk(x.want, 2) {
				if got := strings.Join(answer.Header.Values(pair[0]), "|"); got != pair[1] {
					t.Errorf("%s: got %q, want %q", pair[0], got, pair[1])
				}
			}
		})
	}
}

// someRoutes are those of all sorts.
func someRoutes() []Route {
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, []byte(text)) })
	}
	return []Route{
		{Pattern: "/", Methods: readOnly, Handler: say(`"home"`), CORS: true},
		{Pattern: "/gpu/stats", Methods: readOnly, Handler: say(`"stats"`), CORS: true},
		{Pattern: "/panic", Methods: readOnly, CORS: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			panic("a bug")
		})},
		{Pattern: "/series", Methods: readOnly, Handler: say(`"series"`)}, // --web.telemetry-path
		{Pattern: "/-/reload", Methods: []string{http.MethodPost}, Handler: say(`"reloaded"`)},
		{Pattern: "/debug/pprof/", Methods: readOnly, Handler: say(`"pprof"`)},
		{Pattern: "/any", Handler: say(`"any"`)},
	}
}

func newFront(t *testing.T, o FrontOptions) http.Handler {
	t.Helper()
	h, err := Front(someRoutes(), o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSection2(t *testing.T) {
	allow := append([]string{"Allow", "GET, HEAD"}, jsonHead...)
	ask(t, newFront(t, FrontOptions{}), []exchange{
		{"section 2, JSON body", "GET", "/gpu/stats", nil, 200, `"stats"`, append([]string{"Content-Length", "7"}, jsonHead...)},
		{"section 2, unknown path", "GET", "/nothing", nil, 404, notFoundBody, jsonHead},
		{"section 2, unknown path", "POST", "/nothing", nil, 404, notFoundBody, []string{"Allow", ""}},
		{"section 2, unknown path", "GET", "/gpu/stats/x", nil, 404, notFoundBody, jsonHead},
		{"section 2, unknown path", "GET", "/gpu", nil, 404, notFoundBody, jsonHead},
		{"section 2, wrong method", "POST", "/gpu/stats", nil, 405, notAllowedBody, allow},
		{"section 2, wrong method", "DELETE", "/", nil, 405, notAllowedBody, allow},
		{"section 2, wrong method", "GET", "/-/reload", nil, 405, notAllowedBody, []string{"Allow", "POST"}},
		{"section 2, HEAD", "HEAD", "/gpu/stats", nil, 200, ``, append([]string{"Content-Length", "7"}, jsonHead...)},
		{"section 2, HEAD", "HEAD", "/nothing", nil, 404, ``, jsonHead},
		{"section 2, OPTIONS", "OPTIONS", "/gpu/stats", nil, 405, notAllowedBody, allow},
		{"section 2, OPTIONS", "OPTIONS", "/gpu/stats", []string{"Origin", "http://a"}, 405, notAllowedBody, allow},
		{"section 2, OPTIONS", "OPTIONS", "/gpu/stats", []string{"Access-Control-Request-Method", "GET"}, 405, notAllowedBody, allow},
		{"section 2, OPTIONS", "OPTIONS", "/nothing", nil, 404, notFoundBody, nil},
		{"section 2, slash", "GET", "/gpu/stats/", nil, 307, ``, []string{"Location", "/gpu/stats", "Content-Length", "0"}},
		{"section 2, slash", "GET", "/gpu/stats/?a=b&c=%20/", nil, 307, ``, []string{"Location", "/gpu/stats?a=b&c=%20/"}},
		{"section 2, slash", "POST", "/gpu/stats/", nil, 307, ``, []string{"Location", "/gpu/stats"}},
		{"section 2, slash", "GET", "/gpu/stats/", []string{"Origin", "http://a"}, 307, ``, []string{"Access-Control-Allow-Origin", "*"}},
		{"section 2, slash", "GET", "/nothing/", nil, 404, notFoundBody, []string{"Location", ""}},
		{"section 2, slash", "GET", "/series/", nil, 404, notFoundBody, []string{"Location", ""}}, // no route of the old service
		{"section 2, letter case", "GET", "/GPU/stats", nil, 404, notFoundBody, jsonHead},
		{"section 2, letter case", "GET", "/GPU/stats/", nil, 404, notFoundBody, []string{"Location", ""}},
		{"section 2, doubled slashes", "GET", "//gpu/stats", nil, 404, notFoundBody, []string{"Location", ""}},
		{"section 2, doubled slashes", "GET", "/gpu//stats", nil, 404, notFoundBody, []string{"Location", ""}},
		{"section 2, doubled slashes", "GET", "//", nil, 404, notFoundBody, []string{"Location", ""}},
		{"section 2, doubled slashes", "GET", "/gpu/stats//", nil, 404, notFoundBody, []string{"Location", ""}},
		{"section 2, doubled slashes", "GET", "//example.com/", nil, 404, notFoundBody, []string{"Location", ""}},
		{"section 2, doubled slashes", "GET", "/gpu/../gpu/stats", nil, 404, notFoundBody, []string{"Location", ""}},
		{"section 2, doubled slashes", "GET", "/gpu/%2e/stats", nil, 404, notFoundBody, []string{"Location", ""}},
		{"section 2, Accept", "GET", "/gpu/stats", []string{"Accept", "image/png"}, 200, `"stats"`, jsonHead},
		{"section 2, failure", "GET", "/panic", []string{"Origin", "null"}, 500, `{"detail":"Internal Server Error"}`,
			append([]string{"Access-Control-Allow-Origin", "*", "Content-Encoding", ""}, jsonHead...)},
		{"below a route", "GET", "/debug/pprof/heap", nil, 200, `"pprof"`, nil},
		{"any method", "PATCH", "/any", nil, 200, `"any"`, nil},
	})
}

func TestSection3(t *testing.T) {
	const (
		origin, credentials, methods = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods"
		headers, age, network        = "Access-Control-Allow-Headers", "Access-Control-Max-Age", "Access-Control-Allow-Private-Network"
		page                         = "http://localhost:3000"
	)
	none := []string{origin, "", credentials, "", methods, "", network, "", "Vary", ""}
	anyone := []string{origin, "*", credentials, "true", "Vary", "", "Access-Control-Expose-Headers", ""}
	from := []string{"Origin", page}
	preflight := []string{"Origin", page, "Access-Control-Request-Method", "GET"}
	may := []string{origin, page, credentials, "true", methods, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT", age, "600",
		"Vary", "Origin", headers, "", network, "", "Content-Type", "text/plain; charset=utf-8"}
	rows := []exchange{
		{"section 3, row 1", "GET", "/gpu/stats", nil, 200, `"stats"`, none},
		{"section 3, row 1", "GET", "/gpu/stats", []string{"Cookie", "a=b"}, 200, `"stats"`, none},
		{"section 3, row 2", "GET", "/gpu/stats", from, 200, `"stats"`, anyone},
		{"section 3, row 2", "GET", "/", []string{"Origin", "null"}, 200, `"home"`, anyone},
		{"section 3, row 2, 404", "GET", "/nothing", from, 404, notFoundBody, anyone},
		{"section 3, row 2, 405", "POST", "/gpu/stats", from, 405, notAllowedBody, anyone},
		{"section 3, row 3", "GET", "/gpu/stats", append(from, "Cookie", "a=b"), 200, `"stats"`,
			[]string{origin, page, credentials, "true", "Vary", "Origin"}},
		{"section 3, row 3", "GET", "/gpu/stats", []string{"Origin", "file://", "Cookie", ""}, 200, `"stats"`,
			[]string{origin, "file://", "Vary", "Origin"}},
		{"section 3, row 4", "OPTIONS", "/gpu/stats", preflight, 200, "OK", may},
		{"section 3, row 4, unknown", "OPTIONS", "/nothing", preflight, 200, "OK", may},
		{"section 3, row 4, slashes", "OPTIONS", "//gpu/stats/", preflight, 200, "OK", may},
		{"section 3, preflight of null", "OPTIONS", "/", []string{"Origin", "null", "Access-Control-Request-Method", "PUT"}, 200, "OK",
			[]string{origin, "null"}},
		{"section 3, preflight headers", "OPTIONS", "/", append(preflight, "Access-Control-Request-Headers", "x-a, X-B"), 200, "OK",
			[]string{headers, "x-a, X-B"}},
		{"section 3, preflight method", "OPTIONS", "/", []string{"Origin", page, "Access-Control-Request-Method", "BREW"}, 400,
			"Disallowed CORS method", may},
		{"section 3, preflight method", "OPTIONS", "/", []string{"Origin", page, "Access-Control-Request-Method", "get"}, 400,
			"Disallowed CORS method", may},
		{"section 3, private network", "OPTIONS", "/", append(preflight, "Access-Control-Request-Private-Network", "true"), 200, "OK",
			[]string{network, "true"}},
		{"section 3, local network", "OPTIONS", "/", append(preflight, "Access-Control-Request-Local-Network", "true"), 200, "OK",
			[]string{network, "true", "Access-Control-Allow-Local-Network", "true"}},
	}
	for _, path := range []string{"/metrics", "/metrics/", "/metrics/x", "/-/reload/", "/-/nothing", "/-/", "/debug/x", "/debug", "//debug/x",
		"/series/", "/x/../metrics"} {
		rows = append(rows,
			exchange{"section 3, never", "GET", path, append(from, "Cookie", "a=b"), 404, notFoundBody, none},
			exchange{"section 3, never", "OPTIONS", path, preflight, 404, notFoundBody, none})
	}
	for _, path := range []string{"/series", "/debug/pprof/"} {
		rows = append(rows, exchange{"section 3, never", "POST", path, from, 405, notAllowedBody, none},
			exchange{"section 3, never", "OPTIONS", path, preflight, 405, notAllowedBody, none})
	}
	rows = append(rows, exchange{"section 3, never", "GET", "/series", from, 200, `"series"`, none})
	ask(t, newFront(t, FrontOptions{}), rows)
	ask(t, newFront(t, FrontOptions{Origin: page}), []exchange{
		{"section 3, flag", "GET", "/gpu/stats", from, 200, `"stats"`, []string{origin, page, credentials, "true", "Vary", "Origin"}},
		{"section 3, flag", "GET", "/gpu/stats", nil, 200, `"stats"`, none},
		{"section 3, flag", "GET", "/gpu/stats", []string{"Origin", page + "0"}, 200, `"stats"`, none},
		{"section 3, flag", "GET", "/nothing", []string{"Origin", "null"}, 404, notFoundBody, none},
		{"section 3, flag", "OPTIONS", "/gpu/stats", preflight, 200, "OK", may},
		{"section 3, flag", "OPTIONS", "/gpu/stats", []string{"Origin", "http://b", "Access-Control-Request-Method", "GET",
			"Access-Control-Request-Private-Network", "true"}, 400, "Disallowed CORS origin", []string{origin, "", credentials, "", network, ""}},
	})
}

func TestFrontCountsPatterns(t *testing.T) {
	counted := map[string]int{}
	h := newFront(t, FrontOptions{Count: func(pattern string, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			counted[pattern]++
			next.ServeHTTP(w, r)
		})
	}})
	for _, target := range []string{"/", "/gpu/stats", "/gpu/stats?gpu=0", "/gpu/stats/", "/nothing", "//", "/debug/pprof/x"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", target, nil))
	}
	if fmt.Sprint(counted) != "map[/:1 /debug/pprof/:1 /gpu/stats:2]" {
		t.Errorf("counted %v", counted)
	}
}

func TestFrontRefusesTwoRoutesAtOnePath(t *testing.T) {
	if _, err := Front([]Route{{Pattern: "/a", Handler: http.NotFoundHandler()}, {Pattern: "/a", CORS: true}}, FrontOptions{}); err == nil {
		t.Error("no error")
	}
}

// What has begun when a handler panics is cut off, and so is what the handler wants to be.
func TestFrontCutsOffWhatHasBegun(t *testing.T) {
	for name, c := range map[string]struct {
		panics func(http.ResponseWriter)
		logged bool
	}{
		"written": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "half"); panic("a bug") }, true},
		"flushed": {func(w http.ResponseWriter) { w.(http.Flusher).Flush(); panic("a bug") }, true},
		"headed":  {func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK); panic("a bug") }, true},
		"aborted": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, false},
	} {
		var log strings.Builder
		h, err := Front([]Route{{Pattern: "/a", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.panics(w) })}},
			FrontOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if v := recover(); v != http.ErrAbortHandler {
					t.Errorf("%s: panics with %v", name, v)
				}
			}()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/a", nil))
		}()
		if strings.Contains(log.String(), `panic="a bug"`) != c.logged {
			t.Errorf("%s: logged %q", name, log.String())
		}
	}
}

// WebSockets take the connection over, behind Front too; what panics then answers nothing.
func TestFrontLetsHandlersTakeTheConnection(t *testing.T) {
	ask(t, mustFront(t, Route{Pattern: "/ws", CORS: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntaken")
		panic("a bug")
	})}), []exchange{{"hijack", "GET", "/ws", []string{"Origin", "null"}, 200, "taken", []string{"Access-Control-Allow-Origin", ""}}})
}

func mustFront(t *testing.T, routes ...Route) http.Handler {
	t.Helper()
	h, err := Front(routes, FrontOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}
