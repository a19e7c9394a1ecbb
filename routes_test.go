package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gpu_exporter/exporter"
)

func TestRoutes(t *testing.T) {
	say := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(s)) })
	}
	readOnly := []string{http.MethodGet, http.MethodHead}
	counted := map[string]int{}
	count := func(pattern string, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			counted[pattern]++
			next.ServeHTTP(w, r)
		})
	}
	h, err := newHandler([]exporter.Route{
		{Pattern: "/", Methods: readOnly, Handler: say("landing")},
		{Pattern: "/metrics", Methods: readOnly, Handler: say("metrics")},
		{Pattern: "/-/reload", Methods: []string{http.MethodPost}, Handler: say("reloaded")},
		{Pattern: "/any", Handler: say("any")},
	}, count)
	if err != nil {
		t.Fatal(err)
	}
	const notFound, notAllowed = `{"detail":"Not Found"}`, `{"detail":"Method Not Allowed"}`
	for _, c := range []struct {
		method, target string
		code           int
		body, allow    string
	}{
		{"GET", "/", 200, "landing", ""},
		{"GET", "/metrics", 200, "metrics", ""},
		{"GET", "/metrics?name[]=gpu_up", 200, "metrics", ""},
		{"HEAD", "/metrics", 200, "metrics", ""}, // the body is cut off by the server
		{"POST", "/metrics", 405, notAllowed, "GET, HEAD"},
		{"OPTIONS", "/metrics", 405, notAllowed, "GET, HEAD"},
		{"GET", "/-/reload", 405, notAllowed, "POST"},
		{"POST", "/-/reload", 200, "reloaded", ""},
		{"DELETE", "/any", 200, "any", ""},
		{"GET", "/nothing", 404, notFound, ""},
		{"POST", "/nothing", 404, notFound, ""},
		{"GET", "/METRICS", 404, notFound, ""},
		{"GET", "/metrics/", 404, notFound, ""},
		{"GET", "/metrics/x", 404, notFound, ""},
		{"GET", "//metrics", 404, notFound, ""},
		{"GET", "/a/../metrics", 404, notFound, ""},
		{"GET", "/./metrics", 404, notFound, ""},
		{"GET", "//", 404, notFound, ""},
		{"OPTIONS", "*", 404, notFound, ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		if w.Code != c.code || w.Body.String() != c.body || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d %q, Allow %q; want %d %q, %q", c.method, c.target, w.Code, w.Body, w.Header().Get("Allow"), c.code, c.body, c.allow)
		}
		if strings.HasPrefix(c.body, "{") && w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: Content-Type %q", c.method, c.target, w.Header().Get("Content-Type"))
		}
	}
	if len(counted) != 4 || counted["/metrics"] != 5 || counted["/-/reload"] != 2 {
		t.Errorf("counted %v", counted)
	}
}

func TestTwoRoutesAtOnePath(t *testing.T) {
	r := exporter.Route{Pattern: "/metrics", Handler: http.NotFoundHandler()}
	if _, err := newHandler([]exporter.Route{r, r}, func(_ string, h http.Handler) http.Handler { return h }); err == nil {
		t.Error("no error")
	}
}
