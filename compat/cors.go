package compat

import (
	"io"
	"net/http"
	"slices"
	"strings"
)

// cors lets pages of other origins read (legacy-api.md 3), in the words of Starlette's CORSMiddleware.
type cors struct {
	origin string // the only one; empty: any
}

// corsMethods are those that a page may ask with: what the answer to them is, the route says.
var corsMethods = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}

// answered answers a preflight, and says so; to another request it only adds the headers of the answer to come.
func (c cors) answered(w http.ResponseWriter, r *http.Request) bool {
	if len(r.Header["Origin"]) == 0 {
		return false
	}
	origin := r.Header.Get("Origin")
	allowed := c.origin == "" || c.origin == origin
	if r.Method == http.MethodOptions && len(r.Header["Access-Control-Request-Method"]) > 0 {
		preflight(w, r, origin, allowed)
		return true
	}
	if !allowed {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Credentials", "true")
	if c.origin == "" && len(r.Header["Cookie"]) == 0 {
		h.Set("Access-Control-Allow-Origin", "*")
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	return false
}

func preflight(w http.ResponseWriter, r *http.Request, origin string, allowed bool) {
	h, code, text := w.Header(), http.StatusOK, "OK"
	switch {
	case !allowed:
		code, text = http.StatusBadRequest, "Disallowed CORS origin"
	case !slices.Contains(corsMethods, r.Header.Get("Access-Control-Request-Method")):
		code, text = http.StatusBadRequest, "Disallowed CORS method"
	}
	h.Add("Vary", "Origin")
	if allowed {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Methods", strings.Join(corsMethods, ", "))
		h.Set("Access-Control-Max-Age", "600")
		if wanted := r.Header["Access-Control-Request-Headers"]; len(wanted) > 0 {
			h.Set("Access-Control-Allow-Headers", wanted[0])
		}
		// Browsers ask this before a public page may reach a host in the private network.
		for _, network := range [...]string{"Private-Network", "Local-Network"} {
			if r.Header.Get("Access-Control-Request-"+network) == "true" {
				h.Set("Access-Control-Allow-Private-Network", "true")
				h.Set("Access-Control-Allow-"+network, "true")
			}
		}
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text) // a client that is gone is told nothing
}
