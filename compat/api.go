package compat

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gpu_exporter/collector"
)

// Options say what an API serves.
type Options struct {
	Source        Source
	Interval      time.Duration // between readings; 0: one is made when it is asked for
	Version       string        // of the exporter
	TelemetryPath string        // where /metrics is
	Store         Store         // of the history; nil: Memory
	Log           *slog.Logger  // nil: none
}

// API is the REST part of the old service and of its successor /gpus.
type API struct {
	o       Options
	history recorder
}

// patience is how long a request waits for a reading. A GPU that does not answer must not hold up who asks.
const patience = 2 * time.Second

// New returns an API.
func New(o Options) *API {
	if o.Store == nil {
		o.Store = NewMemory()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &API{o: o, history: recorder{store: o.Store, gpus: map[string]*recorded{}}}
}

// Record takes each new snapshot, in their order: what it shows becomes history.
func (a *API) Record(s *collector.Snapshot) error { return a.history.record(s) }

// readOnly are the methods of all routes here: the old service refused HEAD, which no client can want.
var readOnly = []string{http.MethodGet, http.MethodHead}

// Routes are the routes of the API but /, whose handler is Home.
func (a *API) Routes() []Route {
	var routes []Route
	for _, r := range [...]struct {
		pattern string
		handler http.HandlerFunc
	}{
		{"/health", a.health},
		{"/gpu/info", a.info},
		{"/gpu/stats", a.stats(stats.append)},
		{"/gpu/history", a.serveHistory},
		{"/gpu/temperature", a.stats(stats.appendTemperature)},
		{"/gpu/memory", a.stats(stats.appendMemory)},
		{"/gpu/utilization", a.stats(stats.appendUtilization)},
		{"/gpus", a.gpus},
	} {
		routes = append(routes, Route{Pattern: r.pattern, Methods: readOnly, Handler: r.handler, CORS: true})
	}
	for _, r := range documentation() {
		r.Methods, r.CORS = readOnly, true
		routes = append(routes, r)
	}
	return routes
}

// Home answers at /: programs get JSON, and who names text/html the page.
func (a *API) Home(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept")
		if WantsHTML(r) {
			page.ServeHTTP(w, r)
			return
		}
		writeJSON(w, http.StatusOK, appendIndex(nil, a.o.Source.Latest(), a.o.Version, a.o.TelemetryPath))
	})
}

// WantsHTML says whether a request names text/html as something that it takes: browsers do, curl and programs do not.
func WantsHTML(r *http.Request) bool {
	for _, list := range r.Header.Values("Accept") {
		for kind := range strings.SplitSeq(list, ",") {
			kind, parameters, _ := strings.Cut(kind, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/html") && !refused(parameters) {
				return true
			}
		}
	}
	return false
}

// refused says whether the parameters of a media range have a weight of zero.
func refused(parameters string) bool {
	for p := range strings.SplitSeq(parameters, ";") {
		name, weight, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "q") {
			return strings.Trim(weight, "0.") == "" // 0, 0.000
		}
	}
	return false
}

// AppendStats appends the body of GET /gpu/stats about d, a GPU of a snapshot or nil, and nothing where that answers 503.
// It is made for HubOptions.
func (a *API) AppendStats(dst []byte, _ *collector.Snapshot, d *collector.Status, now time.Time) []byte {
	shown, ok := statsOf(d, a.total(d), now)
	if !ok {
		return dst
	}
	return shown.append(dst)
}

// AppendGPUs appends the body of GET /gpus. It is made for HubOptions.
func (a *API) AppendGPUs(dst []byte, s *collector.Snapshot, now time.Time) []byte {
	return AppendGPUs(dst, s, a.o.Version, now)
}

const gpuNotFound = "GPU not found"

// find returns the GPU that is named, nil where the name is empty and there is no GPU. It is not ok where the name is not
// known.
func find(s *collector.Snapshot, gpu string) (d *collector.Status, ok bool) {
	if gpu == "" {
		return standard(s), true
	}
	if s == nil {
		return nil, false
	}
	d, err := s.Find(gpu)
	return d, err == nil
}

// total is the last known memory_total of d, which may be nil.
func (a *API) total(d *collector.Status) collector.Value {
	if d == nil {
		return collector.Value{}
	}
	return a.history.total(d.GPU)
}

// fresh is the snapshot to answer from.
func (a *API) fresh(r *http.Request) *collector.Snapshot {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	return a.o.Source.Fresh(ctx)
}

// named is the GPU that a request asks for.
func named(r *http.Request) string {
	gpu, _ := lastOf(r.URL.RawQuery, "gpu")
	return gpu
}

// health waits for nothing: whoever asks it wants to know whether the service lives, not whether a GPU does.
func (a *API) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, appendHealth(nil, a.o.Source.Latest(), time.Now()))
}

func (a *API) info(w http.ResponseWriter, r *http.Request) {
	s := a.fresh(r)
	d, ok := find(s, named(r))
	if !ok {
		detail(w, http.StatusNotFound, gpuNotFound)
		return
	}
	writeJSON(w, http.StatusOK, appendInfo(nil, s, d, a.total(d)))
}

// stats answers with one form of the stats.
func (a *API) stats(form func(stats, []byte) []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d, ok := find(a.fresh(r), named(r))
		if !ok {
			detail(w, http.StatusNotFound, gpuNotFound)
			return
		}
		shown, ok := statsOf(d, a.total(d), time.Now())
		if !ok {
			detail(w, http.StatusServiceUnavailable, "GPU stats unavailable")
			return
		}
		writeJSON(w, http.StatusOK, form(shown, nil))
	}
}

// gpus waits for a reading only where that is the way to get one.
func (a *API) gpus(w http.ResponseWriter, r *http.Request) {
	s := a.o.Source.Latest()
	if a.o.Interval == 0 {
		s = a.fresh(r)
	}
	writeJSON(w, http.StatusOK, a.AppendGPUs(nil, s, time.Now()))
}
