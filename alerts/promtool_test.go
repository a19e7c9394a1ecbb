//go:build alerts

package alerts

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func promtool(t *testing.T, dir string, args ...string) (said string, err error) {
	t.Helper()
	path, err := filepath.Abs("../.tools/promtool")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run .ci/tools first", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOMAXPROCS=1") // as many of them run beside each other as there are processors
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func write(t *testing.T, f File, dir string) {
	t.Helper()
	text, err := f.Text()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, f.Name), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestQueriesOfRunbooksAreUnderstood(t *testing.T) {
	f := File{Name: "queries.yml", Groups: []Group{{Name: "queries"}}}
	for page, text := range runbooks(t) {
		for _, q := range queries(text) {
			f.Groups[0].Rules = append(f.Groups[0].Rules, Rule{Record: "query", Expr: q, Labels: map[string]string{"page": page}})
		}
	}
	dir := t.TempDir()
	write(t, f, dir)
	if said, err := promtool(t, dir, "check", "rules", "--lint=none", f.Name); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// one is file f with the rule of that name put in the place of the one that it has, and without the other alerts, which
// its test does not ask for.
func one(f File, r Rule) File {
	groups := f.Groups
	f.Groups = nil
	for _, g := range groups {
		rules := g.Rules
		g.Rules = nil
		for _, other := range rules {
			switch {
			case other.Alert == r.Alert && other.Record == r.Record:
				g.Rules = append(g.Rules, r)
			case other.Record != "":
				g.Rules = append(g.Rules, other)
			}
		}
		if len(g.Rules) > 0 {
			f.Groups = append(f.Groups, g)
		}
	}
	return f
}

// tested runs the tests of a rule on it: those of the alert, or those of the file that it is recorded in.
func tested(t *testing.T, f File, r Rule) (said string, err error) {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"rules", "tests"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range Files(Defaults) {
		if other.Name == f.Name {
			other = one(f, r)
		}
		write(t, other, filepath.Join(dir, "rules"))
	}
	test := f.Name
	if r.Alert != "" {
		test = r.Alert + ".yml"
	}
	text, err := os.ReadFile(filepath.Join("tests", test))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tests", test), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return promtool(t, filepath.Join(dir, "tests"), "test", "rules", test)
}

// threshold is a number that something is compared with, or that is taken from what it is compared with. 0 and those behind
// == are no thresholds but questions: is there any, is it so.
var threshold = regexp.MustCompile(`((?:[<>]=?|-)\s*(?:bool\s+)?)(\d+\.?\d*)\b`)

// mutants are expressions that a test must tell from r's.
func mutants(r Rule) map[string]string {
	list := map[string]string{"never": `vector(0) > 1`}
	switch {
	case r.Alert == "" || r.Alert == "GpuWatchdog":
	case r.Labels["gpu_id"] != "": // also for each GPU for which it does not fire
		list["always"] = "(" + r.Expr + ") or " + onGPU + " gpu:info:one"
	default: // also where it does not fire at all
		list["always"] = "(" + r.Expr + ") or on () vector(1)"
	}
	for i, at := range threshold.FindAllStringSubmatchIndex(r.Expr, -1) {
		digits := r.Expr[at[4]:at[5]]
		x, err := strconv.ParseFloat(digits, 64)
		if err != nil || x == 0 {
			continue
		}
		step, decimals := 1.0, 0 // of the last digit
		if _, fraction, ok := strings.Cut(digits, "."); ok {
			for range fraction {
				step, decimals = step/10, decimals+1
			}
		}
		for _, moved := range []float64{x - step, x + step} {
			text := strconv.FormatFloat(moved, 'f', decimals, 64)
			list[fmt.Sprintf("threshold %d, %s is %s", i+1, digits, text)] = r.Expr[:at[4]] + text + r.Expr[at[5]:]
		}
	}
	return list
}

// A mutant that no test tells from the rule is a rule that nobody has tested.
func TestMutants(t *testing.T) {
	for _, f := range Files(Defaults) {
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				name := cmp.Or(r.Alert, r.Record)
				t.Run(name+"/as it is", func(t *testing.T) {
					t.Parallel()
					if said, err := tested(t, f, r); err != nil {
						t.Errorf("%v\n%s", err, said)
					}
				})
				for what, expr := range mutants(r) {
					mutant := r
					mutant.Expr = expr
					t.Run(name+"/"+what, func(t *testing.T) {
						t.Parallel()
						said, err := tested(t, f, mutant)
						switch {
						case err == nil:
							t.Errorf("survives:\n%s", expr)
						case !strings.Contains(said, "got:"): // it must be the test that fails, not the mutant itself
							t.Errorf("%v\n%s", err, said)
						}
					})
				}
			}
		}
	}
}
