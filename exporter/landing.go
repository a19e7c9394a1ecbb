package exporter

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/version"

	"gpu_exporter/collector"
)

//go:embed landing.html
var landingHTML string

// LandingRoute is the page at / that leads to the other routes. Where the panel or the legacy API is on, main puts
// their answers before it.
func LandingRoute(routes []Route, latest func() *collector.Snapshot) Route {
	plain, marked := newPage(routes, false), newPage(routes, true)
	return Route{Pattern: "/", Methods: readOnly, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := plain
		if isSimulated(latest()) {
			page = marked
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		h.Set("ETag", page.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page.html))
	})}
}

// page is one form of the landing page.
type page struct {
	html []byte
	etag string
}

func newPage(routes []Route, simulated bool) page {
	html := landingPage(routes, simulated)
	return page{html, fmt.Sprintf(`"%x"`, sha256.Sum256(html))}
}

// isSimulated says whether numbers that are served are made up.
func isSimulated(snap *collector.Snapshot) bool {
	return snap != nil && slices.ContainsFunc(snap.Devices, func(d collector.Status) bool { return d.Source == "simulation" })
}

// landingPage names each route once. Those that a browser can follow are links, relative ones so that they work behind
// a proxy that serves the exporter below a path.
func landingPage(routes []Route, simulated bool) []byte {
	type entry struct{ Pattern, Link, Methods string }
	data := struct {
		Version, Revision string
		Simulated         bool
		Routes            []entry
	}{version.Version, version.GetRevision(), simulated, nil}
	for _, r := range routes {
		e := entry{Pattern: r.Pattern}
		switch get := len(r.Methods) == 0 || slices.Contains(r.Methods, http.MethodGet); {
		case strings.TrimSuffix(r.Pattern, "{$}") == "/":
			continue // this page
		case get && !strings.Contains(r.Pattern, "{"):
			e.Link = "." + r.Pattern
		case !get:
			e.Methods = strings.Join(r.Methods, ", ")
		}
		data.Routes = append(data.Routes, e)
	}
	var page bytes.Buffer
	if err := template.Must(template.New("landing").Parse(landingHTML)).Execute(&page, data); err != nil {
		panic(err) // template and data are both fixed above
	}
	return page.Bytes()
}
