package compat

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
)

// Route is one thing that the server answers.
type Route struct {
	Pattern string   // of http.ServeMux, without a method
	Methods []string // that Handler answers. None: any
	Handler http.Handler
	CORS    bool // pages of other origins may read it
}

// FrontOptions say how routes are put together. The zero value does.
type FrontOptions struct {
	Origin string                                               // the only one whose pages may read; empty or *: any
	Count  func(pattern string, next http.Handler) http.Handler // wraps the handler of each route; nil: none
	Log    *slog.Logger                                         // of panics; nil: none
}

// Front puts the routes of all rooms together and answers as the old service did (legacy-api.md 2 and 3) what none of
// them does: unknown paths, a slash too many, wrong methods, what browsers ask before they ask, and panics. What is asked
// of no route is not counted, since only patterns may become label values.
func Front(routes []Route, o FrontOptions) (http.Handler, error) {
	f := &front{cors: cors{origin: o.Origin}, log: o.Log, shared: map[string]bool{}, private: []string{"/metrics", "/-", "/debug"}}
	if f.origin == "*" {
		f.origin = ""
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	mux, taken := http.NewServeMux(), map[string]bool{}
	for _, r := range routes {
		if taken[r.Pattern] {
			return nil, fmt.Errorf("two routes at %s", r.Pattern)
		}
		taken[r.Pattern] = true
		switch closed := strings.TrimSuffix(r.Pattern, "/"); {
		case r.CORS:
			f.shared[r.Pattern] = true
		case closed != "":
			f.private = append(f.private, closed)
		}
		h := f.route(r)
		if o.Count != nil {
			h = o.Count(r.Pattern, h)
		}
		mux.Handle(exactly(r.Pattern), h)
	}
	mux.HandleFunc("/", f.unknown)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !clean(r.URL.Path) {
			f.unknown(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

type front struct {
	cors
	log     *slog.Logger
	shared  map[string]bool // patterns of the routes with CORS
	private []string        // paths that pages of other origins never see anything of, with all below them
}

// exactly makes / one path alone: for ServeMux it would be every path.
func exactly(pattern string) string {
	if pattern == "/" {
		return "/{$}"
	}
	return pattern
}

// clean says that ServeMux would not redirect to another spelling of p, as the old service did not.
func clean(p string) bool {
	return p == "/" || strings.TrimSuffix(path.Clean(p), "/") == strings.TrimSuffix(p, "/") && strings.HasPrefix(p, "/")
}

// route wraps the handler of a route.
func (f *front) route(route Route) http.Handler {
	allow := strings.Join(route.Methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route.CORS && f.answered(w, r) {
			return
		}
		if len(route.Methods) > 0 && !slices.Contains(route.Methods, r.Method) {
			w.Header().Set("Allow", allow)
			detail(w, http.StatusMethodNotAllowed, "")
			return
		}
		g := &guard{ResponseWriter: w}
		defer f.recovered(g, r, route.Pattern)
		route.Handler.ServeHTTP(g, r)
	})
}

// unknown answers where no route is. Only the old routes have the redirect of the old service.
func (f *front) unknown(w http.ResponseWriter, r *http.Request) {
	if !f.isPrivate(r.URL.Path) && f.answered(w, r) {
		return
	}
	if target, slash := strings.CutSuffix(r.URL.Path, "/"); slash && target != "/" && f.shared[target] {
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", target)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	detail(w, http.StatusNotFound, "")
}

func (f *front) isPrivate(p string) bool {
	p = path.Clean("/" + p)
	return slices.ContainsFunc(f.private, func(at string) bool { return p == at || strings.HasPrefix(p, at+"/") })
}

// recovered turns a panic into an answer, where none has begun.
func (f *front) recovered(w *guard, r *http.Request, pattern string) {
	v := recover()
	switch {
	case v == nil:
		return
	case v == http.ErrAbortHandler: //nolint:errorlint // net/http compares likewise
		panic(v)
	}
	f.log.Error("a handler panicked", "route", pattern, "method", r.Method, "panic", v, "stack", string(debug.Stack()))
	if w.begun {
		panic(http.ErrAbortHandler) // the client must not take what it got for the whole
	}
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified"} {
		w.Header().Del(name)
	}
	detail(w, http.StatusInternalServerError, "")
}

// guard knows whether an answer has begun. It hands on what WebSockets and streams need of a writer.
type guard struct {
	http.ResponseWriter
	begun bool
}

func (w *guard) WriteHeader(code int) {
	w.begun = w.begun || code >= 200 || code == http.StatusSwitchingProtocols
	w.ResponseWriter.WriteHeader(code)
}

func (w *guard) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *guard) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *guard) Flush() {
	w.begun = true
	_ = http.NewResponseController(w.ResponseWriter).Flush() // as http.Flusher has it: who cannot flush does not
}

func (w *guard) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.begun = w.begun || err == nil
	return conn, buf, err
}

// detail answers an error in the form of the old service; the text is that of the code where it is empty.
func detail(w http.ResponseWriter, code int, text string) {
	if text == "" {
		text = http.StatusText(code)
	}
	writeJSON(w, code, append(appendString([]byte(`{"detail":`), text), '}'))
}

func writeJSON(w http.ResponseWriter, code int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(body) // a client that is gone is told nothing
}
