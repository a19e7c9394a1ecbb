package main

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list -json` says of a package of this module.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string // of the program, not of tests
}

func packages(t *testing.T, env ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for decoder := json.NewDecoder(out); ; {
		var p pkg
		if err := decoder.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

const module = "gpu_exporter"

// rooms say what each folder may import beside the standard library. A folder takes the row with the longest name that it
// is in; the root may import everything.
var rooms = map[string][]string{
	"collector":                   {},
	"collector/sysfs":             {"golang.org/x/sys"},
	"collector/amd":               {module + "/collector", module + "/collector/sysfs", "golang.org/x/sys"},
	"collector/worker":            {"golang.org/x/sys"},
	"collector/nvml":              {module + "/collector", module + "/collector/worker"},
	"collector/smi":               {module + "/collector", module + "/collector/nvml", module + "/collector/worker"},
	"collector/nvidia":            {module + "/collector", module + "/collector/sysfs", module + "/collector/nvml", module + "/collector/smi"},
	"collector/simulation":        {module + "/collector"},
	"collector/windows":           {module + "/collector", module + "/collector/nvml", module + "/collector/smi", module + "/collector/worker", "golang.org/x/sys", "github.com/yusufpapurcu/wmi"},
	"exporter":                    {module + "/collector", module + "/internal/accept", "github.com/prometheus/", "github.com/klauspost/compress", "google.golang.org/protobuf"},
	"compat":                      {module + "/collector", "github.com/gorilla/websocket", "go.etcd.io/bbolt"},
	"internal/accept":             {},
	"internal/await":              {},
	"internal/logging":            {"github.com/go-kit/log", "github.com/tjhop/slog-gokit", "gopkg.in/natefinch/lumberjack.v2"},
	"internal/hwcase":             {module + "/collector", "github.com/prometheus/common"},
	"internal/nvmlcase":           {module + "/collector/nvml", "go.yaml.in/yaml/v2"},
	"internal/served":             {module + "/collector", module + "/exporter", "github.com/prometheus/common"},
	"internal/winservice":         {"golang.org/x/sys"},
	"internal/faultfs":            {"github.com/hanwen/go-fuse/v2", "golang.org/x/sys"},
	"alerts":                      {"go.yaml.in/yaml/v2"},
	"alerts/generate":             {module + "/alerts", "github.com/alecthomas/kingpin/v2"},
	"dashboards/grafana/generate": {module + "/dashboards/grafana", "github.com/alecthomas/kingpin/v2"},
	"dashboards/grafana":          {"github.com/grafana/grafana-foundation-sdk/go"},
	"dashboards/panel":            {module + "/internal/accept", "github.com/klauspost/compress"},
	"internal/stack":              {"github.com/prometheus/common", "go.yaml.in/yaml/v2"},
	"deploy/stack":                {module + "/internal/stack", "github.com/alecthomas/kingpin/v2"},
}

// mayImport says whether a rule covers an import: an own package exactly, a foreign one with all below it.
func mayImport(allowed []string, path string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		return path == a || !strings.HasPrefix(a, module) && strings.HasPrefix(path, a)
	})
}

func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first != module && !strings.Contains(first, ".")
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, goos := range []string{"linux", "windows"} {
		for _, p := range packages(t, "GOOS="+goos) {
			room := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
			if room == "" {
				continue
			}
			allowed, known := rooms[room]
			if !known {
				t.Errorf("%s: a new room: say in this table what it may import", p.ImportPath)
			}
			for _, path := range p.Imports {
				if !isStandard(path) && !mayImport(allowed, path) {
					t.Errorf("%s imports %s", p.ImportPath, path)
				}
			}
		}
	}
}

// mayStartChildren are the rooms that may run other programs.
var mayStartChildren = []string{
	module + "/collector/windows", module + "/collector/worker", module + "/internal/stack", module + "/internal/winservice",
}

func TestNobodyElseStartsPrograms(t *testing.T) {
	for _, goos := range []string{"linux", "windows"} {
		for _, p := range packages(t, "GOOS="+goos) {
			if slices.Contains(p.Imports, "os/exec") && !slices.Contains(mayStartChildren, p.ImportPath) {
				t.Errorf("%s imports os/exec", p.ImportPath)
			}
		}
	}
}

func TestEveryPackageSaysWhatLivesThere(t *testing.T) {
	for _, p := range packages(t) {
		said := false
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			said = said || file.Doc != nil
		}
		if !said && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
