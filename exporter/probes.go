package exporter

import (
	"encoding/json"
	"net/http"
	"time"

	"gpu_exporter/collector"
)

// probed is the body of /debug/probes: what each probe found, by which file, with which error.
type probed struct {
	Probes []probeReport `json:"probes"`
	GPUs   []gpuReport   `json:"gpus"`
}

type probeReport struct {
	Probe      string  `json:"probe"`
	Found      int     `json:"found"`
	AgeSeconds float64 `json:"age_seconds"`
	Error      string  `json:"error,omitempty"`
}

type gpuReport struct {
	GPU        string          `json:"gpu"`
	Index      int             `json:"index"`
	Name       string          `json:"name"`
	Source     string          `json:"source"`
	State      string          `json:"state"`
	Up         bool            `json:"up"`
	AgeSeconds *float64        `json:"age_seconds"` // null: never read
	Failures   []failureReport `json:"failures"`
	Origins    []originReport  `json:"sources"`
}

type failureReport struct {
	Source string `json:"source"`
	Kind   string `json:"kind"`
	Error  string `json:"error"`
}

// originReport is a source and the series that it may tell, with what is told of them now: the value of a series that
// several sources list is that of the one of most trust, null is told by none.
type originReport struct {
	Source string              `json:"source"`
	Tells  map[string]*float64 `json:"tells"`
}

func (o Operations) probes(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	_ = out.Encode(report(o.Latest(), time.Now())) // fails only where the client has gone: no value here is NaN
}

func report(snap *collector.Snapshot, now time.Time) probed {
	body := probed{Probes: []probeReport{}, GPUs: []gpuReport{}}
	if snap == nil {
		return body
	}
	for _, p := range snap.Probes {
		body.Probes = append(body.Probes, probeReport{p.Name, p.Found, age(now, p.At), textOf(p.Err)})
	}
	for i := range snap.Devices {
		body.GPUs = append(body.GPUs, reportGPU(&snap.Devices[i], now))
	}
	return body
}

func reportGPU(d *collector.Status, now time.Time) gpuReport {
	g := gpuReport{
		GPU: d.GPU, Index: d.Index, Name: d.Name, Source: d.Source, State: d.State.String(), Up: d.Up,
		Failures: []failureReport{}, Origins: []originReport{},
	}
	if !d.At.IsZero() {
		seconds := age(now, d.At)
		g.AgeSeconds = &seconds
	}
	for _, f := range d.Failures {
		g.Failures = append(g.Failures, failureReport{f.Source, string(f.Kind), textOf(f.Err)})
	}
	values := map[*collector.Series]float64{}
	for _, s := range d.Samples {
		values[s.S] = s.V
	}
	for _, origin := range d.Origins {
		r := originReport{origin.Source, map[string]*float64{}}
		for _, s := range origin.Tells {
			name := s.String()
			r.Tells[name] = nil
			if v, told := values[s]; told {
				r.Tells[name] = &v
			}
		}
		g.Origins = append(g.Origins, r)
	}
	return g
}

func age(now, then time.Time) float64 {
	if then.IsZero() {
		return 0
	}
	return float64(now.Sub(then).Milliseconds()) / 1e3
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
