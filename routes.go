package main

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"gpu_exporter/exporter"
)

// newHandler puts the routes of all rooms together. count wraps the handler of each; what is asked of no route is not
// counted, since only patterns may become label values.
func newHandler(routes []exporter.Route, count func(string, http.Handler) http.Handler) (http.Handler, error) {
	mux := http.NewServeMux()
	taken := map[string]bool{}
	for _, r := range routes {
		if taken[r.Pattern] {
			return nil, fmt.Errorf("two routes at %s", r.Pattern)
		}
		taken[r.Pattern] = true
		mux.Handle(exactly(r.Pattern), count(r.Pattern, allow(r.Methods, r.Handler)))
	}
	mux.HandleFunc("/", notFound)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !clean(r.URL.Path) {
			notFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// exactly makes / the landing page alone: for ServeMux it would be every path.
func exactly(pattern string) string {
	if pattern == "/" {
		return "/{$}"
	}
	return pattern
}

// clean says that ServeMux would not redirect to another spelling of p, as the old service did not (legacy-api.md 2).
func clean(p string) bool {
	return p == "/" || strings.TrimSuffix(path.Clean(p), "/") == strings.TrimSuffix(p, "/") && strings.HasPrefix(p, "/")
}

// allow refuses other methods than those. None: all are allowed.
func allow(methods []string, next http.Handler) http.Handler {
	if len(methods) == 0 {
		return next
	}
	list := strings.Join(methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(methods, r.Method) {
			w.Header().Set("Allow", list)
			detail(w, http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, _ *http.Request) { detail(w, http.StatusNotFound) }

// detail answers an error in the form of the old service.
func detail(w http.ResponseWriter, code int) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"detail":%q}`, http.StatusText(code)) // a client that is gone is told nothing
}
