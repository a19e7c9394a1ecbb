package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// server is a running gpu_exporter, the real binary.
type server struct {
	url     string
	pid     int
	process *os.Process

	mu     sync.Mutex
	log    strings.Builder
	end    func()
	killed bool // so that its end is no fault
}

// startServer serves a tree on a free port of loopback, or on the address among the flags.
func startServer(t testing.TB, tree string, flags ...string) *server {
	t.Helper()
	return startProgram(t, realBinary(t), tree, flags...)
}

func startProgram(t testing.TB, program, tree string, flags ...string) *server {
	t.Helper()
	args := slices.Clone(flags)
	for flag, value := range map[string]string{"--web.listen-address": "127.0.0.1:0",
		"--path.sysfs": filepath.Join(tree, "sys"), "--path.procfs": filepath.Join(tree, "proc"),
		"--history.path": t.TempDir()} {
		if !slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, flag+"=") }) {
			args = append(args, flag+"="+value)
		}
	}
	cmd := exec.Command(program, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{pid: cmd.Process.Pid, process: cmd.Process}
	address := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			if _, rest, ok := strings.Cut(lines.Text(), "msg=listening address="); ok {
				a, _, _ := strings.Cut(rest, " ")
				address <- a
			}
		}
	}()
	s.end = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := cmd.Wait(); err != nil && !s.killed {
			t.Errorf("gpu_exporter %v: %v\n%s", args, err, s.logged())
		}
	})
	t.Cleanup(s.end)
	select {
	case a := <-address:
		s.url = "http://" + a
	case <-drained:
		t.Fatalf("gpu_exporter %v ended:\n%s", args, s.logged())
	case <-time.After(await.Patience):
		t.Fatalf("gpu_exporter %v does not listen:\n%s", args, s.logged())
	}
	return s
}

// logged is what the server has logged so far.
func (s *server) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

const scrapeTimeout = 5 * time.Second

// scrape is one scrape in the text format.
func (s *server) scrape(t testing.TB) hwcase.Samples {
	t.Helper()
	// As Prometheus scrapes: whatever happens to the hardware, the answer must come within this.
	ctx, cancel := context.WithTimeout(t.Context(), scrapeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(scrapeTimeout.Seconds()))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %s, %v\n%s", answer.Status, err, body)
	}
	// Histograms are not compared here, and hwcase knows gauges and counters only.
	samples, err := hwcase.Parse(string(body))
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

// untilLogged waits for a part of the log.
func (s *server) untilLogged(t testing.TB, part string) {
	t.Helper()
	await.Until(t, "in the log: "+part, func() bool { return strings.Contains(s.logged(), part) }, s.logged)
}

// until scrapes until the condition holds.
func (s *server) until(t testing.TB, what string, holds func(hwcase.Samples) bool) (last hwcase.Samples) {
	t.Helper()
	await.Until(t, what, func() bool {
		last = s.scrape(t)
		return holds(last)
	}, func() string { return fmt.Sprint("last scrape: ", last) }, s.logged)
	return last
}

// overwrite changes a file in place, as a driver changes what a file says: a kept descriptor sees it.
func overwrite(t testing.TB, path, text string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > len(old) {
		t.Fatalf("%s: %q does not fit in place of %q", path, text, old)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text+strings.Repeat(" ", len(old)-len(text))), 0); err != nil {
		t.Fatal(err)
	}
}
