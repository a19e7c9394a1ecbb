package exporter

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// ask sends a request to the route at path.
func ask(t *testing.T, routes []Route, method, path, host string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	for _, route := range routes {
		if route.Pattern != path {
			continue
		}
		r := httptest.NewRequest(method, "http://"+host+path, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		route.Handler.ServeHTTP(w, r)
		return w
	}
	t.Fatalf("no route at %s", path)
	return nil
}

func TestHealthyAndReady(t *testing.T) {
	ready := false
	routes := Operations{Ready: func() bool { return ready }}.Routes()
	if w := ask(t, routes, "GET", "/-/healthy", "localhost"); w.Code != http.StatusOK {
		t.Errorf("healthy: %d", w.Code)
	}
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusOK} {
		if w := ask(t, routes, "GET", "/-/ready", "localhost"); w.Code != want {
			t.Errorf("ready %v: %d, want %d", ready, w.Code, want)
		}
		ready = true
	}
}

func TestReloadIsAskedForFromHereOnly(t *testing.T) {
	reloads := 0
	self := NewSelf(Options{})
	o := Operations{
		Reload: NewReloader(self, slog.New(slog.DiscardHandler), func(context.Context) error { reloads++; return nil }),
		Hosts:  []string{"gpu-stats-service"},
	}
	for _, c := range []struct {
		host    string
		headers []string
		want    int
	}{
		{"localhost:5009", nil, 200},
		{"127.0.0.1:5009", nil, 200},
		{"[::1]:5009", nil, 200},
		{"10.1.2.3", nil, 200},
		{"gpu-stats-service:5009", nil, 200},
		{"GPU-stats-service", nil, 200},
		{"evil.example:5009", nil, 403},      // a name that was made to lead here
		{"localhost.evil.example", nil, 403}, //
		{"", nil, 403},                       //
		{"localhost:5009", []string{"Origin", "http://evil.example"}, 403},
		{"localhost:5009", []string{"Origin", "null"}, 403},
		{"localhost:5009", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"localhost:5009", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"localhost:5009", []string{"Origin", "http://localhost:5009"}, 200},
	} {
		before := reloads
		w := ask(t, o.Routes(), "POST", "/-/reload", c.host, c.headers...)
		if w.Code != c.want || (reloads > before) != (c.want == 200) {
			t.Errorf("host %q, %v: %d, want %d", c.host, c.headers, w.Code, c.want)
		}
	}
	if w := ask(t, Operations{}.Routes(), "POST", "/-/reload", "localhost"); w.Code != 403 || !strings.Contains(w.Body.String(), "--web.enable-lifecycle") {
		t.Errorf("while it is off: %d %s", w.Code, w.Body)
	}
}

func TestReloadTellsHowItWent(t *testing.T) {
	self := NewSelf(Options{})
	var broken error
	after := 0
	r := NewReloader(self, slog.New(slog.DiscardHandler),
		func(context.Context) error { return broken }, func(context.Context) error { after++; return nil })
	metrics := func() string {
		return get(MetricsRoute(serving(nil), self, Options{}).Handler, "/metrics").Body.String()
	}
	const ok, failed = "gpu_exporter_config_last_reload_successful 1\n", "gpu_exporter_config_last_reload_successful 0\n"
	if !strings.Contains(metrics(), ok) {
		t.Errorf("the configuration of the start is none that was loaded:\n%s", metrics())
	}
	broken = errors.New("a bad file")
	w := ask(t, Operations{Reload: r}.Routes(), "POST", "/-/reload", "localhost")
	if w.Code != 500 || !strings.Contains(w.Body.String(), "a bad file") || after != 0 || !strings.Contains(metrics(), failed) {
		t.Errorf("%d %q, %d steps after the one that failed", w.Code, w.Body, after)
	}
	broken = nil
	if err := r.Reload(t.Context()); err != nil || after != 1 || !strings.Contains(metrics(), ok) {
		t.Errorf("%v, %d", err, after)
	}
}

func TestProbesTellWhereEachNumberComesFrom(t *testing.T) {
	edge := &collector.Series{Q: collector.Temperature, Values: []string{"edge"}}
	other := &collector.Series{Q: collector.Utilization}
	snap := &collector.Snapshot{
		Probes: []collector.ProbeStatus{{Name: "amd", At: time.Now(), Found: 1}, {Name: "intel", At: time.Now(), Err: errors.New("no folder")}},
		Devices: []collector.Status{{
			Info: collector.Info{GPU: "0000:03:00.0", Source: "sysfs"}, State: collector.StatePartial, Up: true, At: time.Now(),
			Samples:  []collector.Sample{{S: edge, V: 42}},
			Failures: []collector.Failure{{Kind: collector.Malformed, Source: "/sys/busy", Err: errors.New("malformed")}},
			Origins:  []collector.Origin{{Source: "/sys/temp", Tells: []*collector.Series{edge}}, {Source: "/sys/busy", Tells: []*collector.Series{other}}},
		}},
	}
	o := Operations{Latest: func() *collector.Snapshot { return snap }}
	var got probed
	if err := json.Unmarshal(ask(t, o.Routes(), "GET", "/debug/probes", "localhost").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Probes) != 2 || got.Probes[1].Error != "no folder" || len(got.GPUs) != 1 {
		t.Fatalf("%+v", got)
	}
	g := got.GPUs[0]
	if g.State != "partial" || len(g.Failures) != 1 || g.Failures[0].Kind != "malformed" || len(g.Origins) != 2 {
		t.Errorf("%+v", g)
	}
	if v := g.Origins[0].Tells[`gpu_temperature_celsius{sensor="edge"}`]; v == nil || *v != 42 {
		t.Errorf("edge %v, want 42", v)
	}
	if v, there := g.Origins[1].Tells["gpu_utilization_ratio"]; v != nil || !there {
		t.Errorf("a series that was not told: %v, named %v", v, there)
	}
	snap = nil
	if body := ask(t, o.Routes(), "GET", "/debug/probes", "localhost").Body.String(); !strings.Contains(body, `"gpus": []`) {
		t.Errorf("before the first cycle: %s", body)
	}
}
