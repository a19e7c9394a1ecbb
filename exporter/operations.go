package exporter

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"time"

	"gpu_exporter/collector"
)

// Operations are what the operational routes tell and do.
type Operations struct {
	Ready  func() bool                // the first cycle has ended, and the end has not begun
	Latest func() *collector.Snapshot // nil before the first cycle has ended
	Reload *Reloader                  // nil: --web.enable-lifecycle is off
	Hosts  []string                   // names, beside addresses and localhost, under which a change may be asked for
	Pprof  bool
}

// Routes are the routes for whoever runs the exporter: no page of another origin may read them.
func (o Operations) Routes() []Route {
	routes := []Route{
		{Pattern: "/-/healthy", Methods: readOnly, Handler: answer(http.StatusOK, "gpu_exporter is healthy.\n")},
		{Pattern: "/-/ready", Methods: readOnly, Handler: http.HandlerFunc(o.ready)},
		{Pattern: "/-/reload", Methods: []string{http.MethodPost, http.MethodPut}, Handler: changing(o.Hosts, http.HandlerFunc(o.reload))},
		{Pattern: "/debug/probes", Methods: readOnly, Handler: http.HandlerFunc(o.probes)},
	}
	if o.Pprof {
		for pattern, handler := range map[string]http.HandlerFunc{
			"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": pprof.Cmdline, "/debug/pprof/profile": pprof.Profile,
			"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
		} {
			routes = append(routes, Route{Pattern: pattern, Methods: readOnly, Handler: handler})
		}
	}
	return routes
}

func answer(code int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text) // a client that is gone is told nothing
	})
}

func (o Operations) ready(w http.ResponseWriter, r *http.Request) {
	if !o.Ready() {
		answer(http.StatusServiceUnavailable, "gpu_exporter is not ready.\n").ServeHTTP(w, r)
		return
	}
	answer(http.StatusOK, "gpu_exporter is ready.\n").ServeHTTP(w, r)
}

func (o Operations) reload(w http.ResponseWriter, r *http.Request) {
	if o.Reload == nil {
		answer(http.StatusForbidden, "Reloading by request is off: start with --web.enable-lifecycle, or send SIGHUP.\n").ServeHTTP(w, r)
		return
	}
	if err := o.Reload.Reload(r.Context()); err != nil {
		answer(http.StatusInternalServerError, "reload: "+err.Error()+"\n").ServeHTTP(w, r)
		return
	}
	answer(http.StatusOK, "reloaded\n").ServeHTTP(w, r)
}

// changing lets through what a page of another site cannot have sent: the name in the request must be one of this
// service (a name that was made to lead here afterwards is none), and a browser must not say that the request comes
// from elsewhere.
func changing(hosts []string, next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isOwnHost(r.Host, hosts) {
			answer(http.StatusForbidden, "This is not known as "+clip(r.Host)+": ask by an address, or name it in --web.allowed-host.\n").ServeHTTP(w, r)
			return
		}
		if err := origin.Check(r); err != nil {
			answer(http.StatusForbidden, "A page of another site may not ask for this.\n").ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 100)], "?") }

func isOwnHost(host string, names []string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if net.ParseIP(host) != nil || strings.EqualFold(host, "localhost") {
		return true
	}
	for _, name := range names {
		if strings.EqualFold(host, name) {
			return true
		}
	}
	return false
}

// Reloader does what a reload is, one at a time, and tells how the last one went.
type Reloader struct {
	steps []func(context.Context) error
	log   *slog.Logger

	mu          sync.Mutex // one reload at a time
	success, at *vector
}

// NewReloader returns a Reloader of steps: the first that fails ends the reload, what was before goes on. Its metrics
// stand beside those of self, as a successful reload at the start.
func NewReloader(self *Self, log *slog.Logger, steps ...func(context.Context) error) *Reloader {
	r := &Reloader{
		steps: steps, log: log,
		success: gauges("config_last_reload_successful", "Whether the last reload of the configuration worked."),
		at: gauges("config_last_reload_success_timestamp_seconds",
			"When the configuration was last loaded successfully, in Unix time."),
	}
	r.note(nil)
	self.add(r.success, r.at)
	return r
}

// Reload reloads.
func (r *Reloader) Reload(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, step := range r.steps {
		if err := step(ctx); err != nil {
			r.note(err)
			r.log.Error("reload failed, what was before goes on", "err", err)
			return err
		}
	}
	r.note(nil)
	r.log.Info("reloaded")
	return nil
}

func (r *Reloader) note(err error) {
	if err != nil {
		r.success.set(0)
		return
	}
	r.success.set(1)
	r.at.set(float64(time.Now().UnixMilli()) / 1e3)
}
