//go:build alertslive

package main

import (
	"bufio"
	"encoding/json"
	"gpu_exporter/internal/await"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The command as a developer runs it: it tells where its parts are, they work together, and Ctrl-C leaves nothing behind.
func TestStackRunsUntilInterrupted(t *testing.T) {
	program := filepath.Join(t.TempDir(), "stack")
	if said, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	temporary := t.TempDir()
	cmd := exec.Command(program, "--hurry=15", "--host=h1", "--", "--collector.simulation=on", "--no-collector.amd")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }() // where the test fails before the end

	parts := map[string]string{}
	for lines := bufio.NewScanner(out); !strings.Contains(lines.Text(), "Ctrl-C"); {
		if !lines.Scan() {
			t.Fatalf("it ends without a word, after %v", parts)
		}
		if fields := strings.Fields(lines.Text()); len(fields) == 2 {
			parts[fields[0]] = fields[1]
		}
	}
	if entries, err := os.ReadDir(temporary); err != nil || len(entries) != 1 || filepath.Join(temporary, entries[0].Name()) != parts["logs"] {
		t.Errorf("in the temporary folder: %v, %v; want %s", entries, err, parts["logs"])
	}
	for what, expr := range map[string]string{
		"all parts are scraped": `count(up{instance="h1", job=~"gpu-stats-service|prometheus|alertmanager"} == 1) == 3`,
		"the rules work":        `count(gpu:temperature_celsius:primary{instance="h1", source="simulation"})`,
		"Alertmanager is told":  `sum(alertmanager_alerts_received_total{status="firing"}) > 0`, // of GpuWatchdog
	} {
		await.Until(t, what, func() bool { return gives(t, parts["prometheus"], expr) })
	}

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted, it ends with %v", err)
	}
	for _, name := range []string{"exporter", "prometheus", "alertmanager"} {
		if c, err := net.DialTimeout("tcp", strings.TrimPrefix(parts[name], "http://"), await.Patience); err == nil {
			c.Close()
			t.Errorf("%s is still there", name)
		}
	}
	if entries, err := os.ReadDir(temporary); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// gives says whether an expression gives a series.
func gives(t *testing.T, prometheus, expr string) bool {
	t.Helper()
	answer, err := http.Get(prometheus + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var result struct {
		Data struct{ Result []any }
	}
	if err := json.NewDecoder(answer.Body).Decode(&result); err != nil {
		t.Fatal(err)
	}
	return len(result.Data.Result) > 0
}
