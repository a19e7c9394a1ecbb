package alerts

import (
	"cmp"
	"os"
	"regexp"
	"strings"
	"testing"
)

// contract is the specification beside the checkout.
const contract = "../../shared/reference/monitoring.md"

// deviations are expressions that are not those of the contract, and why.
var deviations = map[string]string{
	"GpuXidWarning": "the contract wants its codes compared with nvidia.md: there 69 is a fault of the application, and 121 " +
		"and 144 to 150 are to be looked at",
	"GpuIdleHoldingMemory": "the contract has a server that waits for its users quiet by the label of GpuMemoryHigh, but no " +
		"matcher for it",
}

var (
	rowOfCatalogue = regexp.MustCompile(`(?m)^\| (Gpu\w+) \| (\S+) \| (\S+) \| (\w+) \| (\S+) \|$`)
	expression     = regexp.MustCompile("(?ms)^(?:\\*\\*(Gpu\\w+)\\*\\*|`(gpu:[\\w:]+)`)\n```promql\n(.*?)\n```$")
	rollUp         = regexp.MustCompile(`(?m)^(\w+:\w+:\w+|GpuFleet\w+) = ((?:.+\n)(?:    .+\n)*)`)
	space          = regexp.MustCompile(`\s+`)
)

// compact is an expression without its layout.
func compact(expr string) string { return space.ReplaceAllString(expr, "") }

func contractText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(contract)
	if err != nil {
		t.Skipf("the contract is not beside the checkout: %v", err)
	}
	return string(text)
}

func TestTheCatalogueIsThatOfTheContract(t *testing.T) {
	text := contractText(t)
	byName := map[string]Rule{}
	for _, r := range named() {
		byName[r.Alert] = r
	}
	rows := rowOfCatalogue.FindAllStringSubmatch(text, -1)
	if len(rows) < 40 {
		t.Fatalf("%d rows found in the catalogue", len(rows))
	}
	for _, row := range rows {
		r, known := byName[row[1]]
		if !known {
			t.Errorf("there is no %s", row[1])
			continue
		}
		got := []string{cmp.Or(r.For, "-"), cmp.Or(r.KeepFiringFor, "-"), r.Labels["severity"]}
		want := row[2:5]
		if row[5] != "-" { // GpuWatchdog has one all the same: every alert must
			got, want = append(got, r.Labels["quantity"]), row[2:6]
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s is %v, want %v", row[1], got, want)
		}
	}
	if want := len(rows) + len(fleet); len(byName) != want { // the contract has those of the fleet elsewhere
		t.Errorf("%d alerts, want %d", len(byName), want)
	}
}

func TestExpressionsAreThoseOfTheContract(t *testing.T) {
	text := contractText(t)
	want := map[string]string{}
	for _, m := range expression.FindAllStringSubmatch(text, -1) {
		want[m[1]+m[2]] = m[3]
	}
	for _, m := range rollUp.FindAllStringSubmatch(text, -1) {
		want[m[1]], _, _ = strings.Cut(m[2], " # ")
	}
	if len(want) < 55 {
		t.Fatalf("%d expressions found", len(want))
	}
	for file, rules := range rulesOf(Defaults) {
		if file == "legacy.yml" {
			continue // the contract has their names only
		}
		for _, r := range rules {
			name := r.Alert + r.Record
			same := compact(r.Expr) == compact(want[name])
			if reason := deviations[name]; same == (reason != "") {
				t.Errorf("%s is\n%s\nthe contract has\n%s\na reason to deviate: %q", name, r.Expr, want[name], reason)
			}
			delete(want, name)
		}
	}
	for name := range want {
		t.Errorf("there is no %s", name)
	}
}
