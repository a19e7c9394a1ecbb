package exporter

import (
	"bufio"
	"net"
	"net/http"
	"strconv"
)

// CountRequests wraps the handler of a route so that its answers are counted by their code, when the header goes out: a
// WebSocket lives for hours after that. route is the pattern, never a path that a client can make up.
func (s *Self) CountRequests(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &countingWriter{ResponseWriter: w, requests: s.requests, route: route}
		code := http.StatusInternalServerError // a panic
		defer func() { c.count(code) }()
		next.ServeHTTP(c, r)
		code = http.StatusOK // a handler that wrote nothing
	})
}

// countingWriter counts the first code that ends the header. It hands on what WebSockets and streams need of a writer.
type countingWriter struct {
	http.ResponseWriter
	requests *vector
	route    string
	counted  bool
}

func (w *countingWriter) count(code int) {
	if w.counted || code < 200 && code != http.StatusSwitchingProtocols {
		return
	}
	w.counted = true
	w.requests.inc(strconv.Itoa(code), w.route)
}

func (w *countingWriter) WriteHeader(code int) {
	w.count(code)
	w.ResponseWriter.WriteHeader(code)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	w.count(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *countingWriter) Flush() {
	w.count(http.StatusOK)
	_ = http.NewResponseController(w.ResponseWriter).Flush() // as http.Flusher has it: who cannot flush does not
}

func (w *countingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.count(http.StatusSwitchingProtocols)
	}
	return conn, buf, err
}
