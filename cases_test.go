package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gpu_exporter/internal/hwcase"
)

// scratch is where the program is built, by TestMain.
var scratch string

// built builds the program once for all tests that want the real one.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "gpu_exporter")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %v\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gpu_exporter-test-")
	if err != nil {
		panic(err)
	}
	scratch = dir
	// No test writes to the cache of the user, but for the go command.
	if cache, err := exec.Command("go", "env", "GOCACHE").Output(); err == nil {
		os.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
	}
	os.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

func realBinary(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// onceProm is what the real binary prints of a tree.
func onceProm(t testing.TB, tree string, flags ...string) string {
	t.Helper()
	args := append([]string{"once", "--format=prom", "--path.sysfs=" + filepath.Join(tree, "sys"),
		"--path.procfs=" + filepath.Join(tree, "proc")}, flags...)
	cmd := exec.Command(realBinary(t), args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, &complaints)
	}
	return string(out)
}

// withoutSamples are the shared folders that have no expected.prom, and why.
var withoutSamples = map[string]string{
	"amdgpu-ids":    "a list of names: TestSharedListsAreOurs in collector/amd compares it",
	"fdinfo-amdgpu": "processes",
	"kfd-proc":      "processes",
	"kfd-topology":  "processes",

	"nvml-symbols-390-470-550": "lists of names, for who looks functions up",
}

// otherwise are the cases of a way of reading that the binary has no stand-in for, by the beginning of their names.
var otherwise = map[string]string{
	"nvml-profile-": "answers of NVML: TestCasesOfNVML in collector/nvml compares them, and under Wine TestProfilesThroughNVML in collector/windows",
}

func TestHardwareCases(t *testing.T) {
	for _, root := range []string{"testdata/cases/amd", "testdata/cases/nvidia", "../shared/fixtures/amd", "../shared/fixtures/nvidia"} {
		if _, err := os.Stat(root); err != nil && strings.HasPrefix(root, "..") {
			t.Logf("%s is not there: only the project's own cases are run", root)
			continue
		}
		cases, without, err := hwcase.Find(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range without {
			if withoutSamples[folder] == "" {
				t.Errorf("%s/%s has no expected.prom, and no other test is known for it", root, folder)
			}
		}
		cases = slices.DeleteFunc(cases, func(c hwcase.Case) bool {
			for prefix := range otherwise {
				if strings.HasPrefix(c.Name, prefix) {
					return true
				}
			}
			return false
		})
		met := 0
		for _, c := range cases {
			ok := t.Run(filepath.Base(filepath.Dir(root))+"/"+c.Name, func(t *testing.T) {
				tree, err := c.Tree(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				smi, err := c.SMI(tree)
				if err != nil {
					t.Fatal(err)
				}
				got, err := hwcase.Parse(onceProm(t, tree, "--collector.nvidia.smi-path="+smi))
				if err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile(c.Expected)
				if err != nil {
					t.Fatal(err)
				}
				want, err := hwcase.Parse(string(text))
				if err != nil {
					t.Fatal(err)
				}
				for _, line := range hwcase.Diff(want, got) {
					t.Error(line)
				}
			})
			if ok {
				met++
			}
		}
		fmt.Printf("%s: %d of %d expected samples files met through the real binary\n", root, met, len(cases))
		if met == 0 {
			t.Errorf("%s: no case was met", root)
		}
	}
}
