package exporter

import (
	"net/http"
	"strings"
	"testing"

	"gpu_exporter/collector"
)

func TestLanding(t *testing.T) {
	get405 := []string{http.MethodPost, http.MethodPut}
	page := LandingRoute([]Route{
		{Pattern: "/metrics", Methods: readOnly},
		{Pattern: "/ws"},
		{Pattern: "/gpu/{id}", Methods: readOnly},
		{Pattern: "/-/reload", Methods: get405},
		{Pattern: "/"}, {Pattern: "/{$}"},
		{Pattern: `/"><script>alert(1)</script>`, Methods: []string{"<b>"}},
	}, func() *collector.Snapshot { return nil }).Handler
	w := get(page, "/")
	body := w.Body.String()
	for _, want := range []string{
		"<h1>gpu_exporter</h1>", "Revision ",
		`<a href="./metrics">/metrics</a>`, `<a href="./ws">/ws</a>`, `<code>/gpu/{id}</code></li>`,
		`<code>/-/reload</code> (POST, PUT)`, `(&lt;b&gt;)`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in:\n%s", want, body)
		}
	}
	for _, not := range []string{"<script", "//", "<b>", `href="./"`} {
		if strings.Contains(body, not) {
			t.Errorf("%s in:\n%s", not, body)
		}
	}
	if got := w.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	etag := w.Header().Get("ETag")
	if again := get(page, "/", "If-None-Match", etag); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
		t.Errorf("with its ETag %s: %d", etag, again.Code)
	}
}

func TestLandingSaysThatNumbersAreMadeUp(t *testing.T) {
	for source, want := range map[string]bool{"sysfs": false, "simulation": true} {
		snap := &collector.Snapshot{Devices: []collector.Status{{Info: collector.Info{Source: source}}}}
		page := LandingRoute(nil, func() *collector.Snapshot { return snap }).Handler
		if got := strings.Contains(get(page, "/").Body.String(), "all numbers are made up"); got != want {
			t.Errorf("source %s: banner %v, want %v", source, got, want)
		}
	}
}
