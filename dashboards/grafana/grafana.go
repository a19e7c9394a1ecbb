// Package grafana holds the dashboards: tables of panels, of which `go run ./dashboards/grafana/generate` makes the JSON
// that Grafana reads. The exporter itself needs none of this.
//
// JARVIS runs Grafana 10.2, so that only what 10.2 knows is used. The structs of the SDK are filled in directly: its
// builders set options of newer versions.
package grafana

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

//go:generate go run ./generate --out=. --import-out=../import

// v1 is a dashboard as the SDK has it.
//
//lint:ignore SA1019 the successor, v2, is not known to Grafana 10.2
type v1 = dashboard.Dashboard

// page is one dashboard.
type page struct {
	uid, title, about string
	variables         []variable
	simulated         string // query of the banner
	sections          []section
	closed            []section // below the others; a click opens one, and until then it asks nothing
}

// section is a row of a dashboard, with its panels from left to right and from top to bottom.
type section struct {
	title  string
	panels []panel
}

func pages() []page {
	detail := detail()
	// JARVIS's mails and guide link to this uid. Grafana before 11 refuses a title that a folder already has.
	jarvis := detail
	jarvis.uid, jarvis.title = "jarvis-gpu", "JARVIS GPU"
	return []page{fleet(), detail, jarvis, compare(), workloads(), health()}
}

// File is a dashboard as Grafana reads it.
type File struct {
	Name      string
	Dashboard any
}

// Text is the JSON of the dashboard.
func (f File) Text() ([]byte, error) {
	text, err := json.MarshalIndent(f.Dashboard, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", f.Name, err)
	}
	return append(text, '\n'), nil
}

// Files are the dashboards that Grafana is provisioned with.
func Files() []File {
	var all []File
	for _, p := range pages() {
		all = append(all, File{p.uid + ".json", p.dashboard()})
	}
	return all
}

// importable is a dashboard as grafana.com and a manual import want it: with a question for the data source.
type importable struct {
	Inputs   []input       `json:"__inputs"`
	Requires []requirement `json:"__requires"`
	v1
}

type input struct {
	Name        string `json:"name"`
	Label       string `json:"label"`
	Description string `json:"description"`
	Type        string `json:"type"`
	PluginID    string `json:"pluginId"`
	PluginName  string `json:"pluginName"`
}

type requirement struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

const askedSource = "${DS_PROMETHEUS}"

// ImportFiles are the same dashboards for a manual import and for grafana.com. They lie outside the folder of Files, since
// Grafana's provisioning goes into the folders below.
func ImportFiles() []File {
	var all []File
	for _, p := range pages() {
		d := p.dashboard()
		// The answer becomes the first choice of the variable that all panels ask for their data source.
		d.Templating.List[0].Current = chosen(askedSource, askedSource)
		all = append(all, File{p.uid + ".json", importable{
			Inputs: []input{{
				Name: "DS_PROMETHEUS", Label: "Prometheus", Description: "It scrapes gpu_exporter and loads its rules.",
				Type: "datasource", PluginID: "prometheus", PluginName: "Prometheus",
			}},
			Requires: p.requirements(),
			v1:       d,
		}})
	}
	return all
}

func (p page) requirements() []requirement {
	all := []requirement{
		{"grafana", "grafana", "Grafana", "10.2.0"},
		{"datasource", "prometheus", "Prometheus", "1.0.0"},
	}
	seen := map[kind]bool{}
	for _, s := range slices.Concat([]section{{panels: []panel{p.banner()}}}, p.sections, p.closed) {
		for _, panel := range s.panels {
			if !seen[panel.kind] {
				all = append(all, requirement{"panel", string(panel.kind), string(panel.kind), ""})
			}
			seen[panel.kind] = true
		}
	}
	return all
}
