package grafana

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

const importDir = "../import"

// board is a committed dashboard.
type board struct {
	file string
	raw  map[string]any
	v1
}

// boards are the committed dashboards that Grafana is provisioned with.
func boards(t *testing.T) []board {
	t.Helper()
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	var all []board
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b := board{file: file}
		if err := json.Unmarshal(text, &b.raw); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := json.Unmarshal(text, &b.v1); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, b)
	}
	return all
}

func TestMain(m *testing.M) {
	plugins.RegisterDefaultPlugins() // else the SDK decodes no query and no options
	os.Exit(m.Run())
}

// strictly says what of a dashboard the SDK does not know, or misses. What it has decoded then lacks the panels.
func strictly(text []byte) error {
	var d v1
	err := d.UnmarshalJSONStrict(text)
	// The error is never nil: a list of no errors is one.
	var wrong cog.BuildErrors
	if errors.As(err, &wrong) && len(wrong) == 0 {
		err = nil
	}
	return errors.Join(err, d.Validate())
}

// panels are those that show something, those in closed rows too.
func (b board) panels() (all []dashboard.Panel) {
	for _, p := range b.Panels {
		if p.Panel != nil {
			all = append(all, *p.Panel)
		} else {
			all = append(all, p.RowPanel.Panels...)
		}
	}
	return all
}

// rawPanels are the same and the rows, as they are written.
func (b board) rawPanels() (all []map[string]any) {
	for _, p := range list(b.raw, "panels") {
		all = append(append(all, p), list(p, "panels")...)
	}
	return all
}

func targets(t *testing.T, p dashboard.Panel) (all []prometheus.Dataquery) {
	t.Helper()
	for _, target := range p.Targets {
		switch q := target.(type) {
		case prometheus.Dataquery:
			all = append(all, q)
		case *prometheus.Dataquery:
			all = append(all, *q)
		default:
			t.Fatalf("%s: a query of type %T", *p.Title, target)
		}
	}
	return all
}

// asked is something that a dashboard asks of Prometheus.
type asked struct {
	where string
	expr  string // in the language of variables, where it is a variable
	kind  string // "panel", "variable" or "annotation"
	title string // of the panel
	over  bool   // asked for a range of time, not for now
}

func (a asked) String() string { return fmt.Sprintf("%s: %s", a.where, a.expr) }

// asks are all queries of a dashboard.
func (b board) asks(t *testing.T) (all []asked) {
	t.Helper()
	for _, p := range b.panels() {
		for _, q := range targets(t, p) {
			where := fmt.Sprintf("%s: %s, %s", b.file, *p.Title, *q.RefId)
			all = append(all, asked{where: where, expr: q.Expr, kind: "panel", title: *p.Title, over: q.Range != nil && *q.Range})
		}
	}
	for _, v := range b.Templating.List {
		if v.Type == dashboard.VariableTypeQuery {
			all = append(all, asked{where: fmt.Sprintf("%s: variable %s", b.file, v.Name), expr: *v.Query.String, kind: "variable"})
		}
	}
	for _, a := range b.Annotations.List {
		where := fmt.Sprintf("%s: annotation %s", b.file, a.Name)
		all = append(all, asked{where: where, expr: *a.Expr, kind: "annotation", title: a.Name, over: true})
	}
	return all
}

// promQL is what Prometheus is asked for a query, and the label whose values are wanted of it, if that is what is asked.
func (a asked) promQL() (expr, label string) {
	inner, ok := strings.CutPrefix(a.expr, "label_values(")
	if ok {
		i := strings.LastIndex(inner, ",")
		return strings.TrimSpace(inner[:i]), strings.TrimSpace(strings.TrimSuffix(inner[i+1:], ")"))
	}
	if inner, ok = strings.CutPrefix(a.expr, "query_result("); ok {
		return strings.TrimSuffix(inner, ")"), ""
	}
	return a.expr, ""
}
