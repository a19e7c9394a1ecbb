package exporter

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCountRequests(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		code    string
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, "200"},
		{"body alone", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, "200"},
		{"not found", http.NotFound, "404"},
		{"two headers", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTeapot)
		}, "418"},
		{"flush", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, "200"},
		{"panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "500"},
		{"controller", func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}, "200"},
		{"hijack", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			conn.Close()
		}, "101"},
	} {
		self := NewSelf(Options{})
		server := httptest.NewServer(self.CountRequests("/x/{y}", c.handler))
		if resp, err := server.Client().Get(server.URL + "/x/made-up"); err == nil {
			resp.Body.Close()
		}
		server.Close() // waits until the handler has ended
		want := []string{`gpu_exporter_http_requests_total{code="` + c.code + `",route="/x/{y}"} 1`}
		if diff := cmp.Diff(want, lines(told(t, self, "gpu_exporter_http"))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.name, diff)
		}
	}
}

func TestHijackRefused(t *testing.T) {
	self := NewSelf(Options{})
	w := httptest.NewRecorder() // cannot hijack
	self.CountRequests("/ws", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); err != nil {
			http.Error(w, "no", http.StatusNotImplemented)
		}
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ws", nil))
	if got := told(t, self, "gpu_exporter_http"); !strings.Contains(got, `code="501"`) {
		t.Error(got)
	}
}
