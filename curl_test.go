package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runAs runs the real binary under a name of its own, with these variables and no others that it reads.
func runAs(t *testing.T, name string, env []string, args ...string) (out, complaint string, status int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(realBinary(t), path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestCurl(t *testing.T) {
	const healthy = `{"status":"healthy"}`
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, healthy) })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) })
	mux.HandleFunc("/private", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who?", http.StatusUnauthorized) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/health")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.HandleFunc("/never", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/half", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		fmt.Fprint(w, "half")
	})
	server, tls := httptest.NewServer(mux), httptest.NewUnstartedServer(mux)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail, as they should
	tls.StartTLS()
	defer server.Close()
	defer tls.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	file := filepath.Join(t.TempDir(), "body")
	// A connection to 0.0.0.0 reaches this machine, but is no name that says so.
	elsewhere := strings.Replace(tls.URL, "127.0.0.1", "0.0.0.0", 1)

	for _, c := range []struct {
		args   []string
		status int
		out    string // standard output
		said   string // part of the standard error; none: it is empty
	}{
		{[]string{"-f", server.URL + "/health"}, 0, healthy, ""},
		{[]string{server.URL + "/health"}, 0, healthy, ""},
		{[]string{"-fsS", strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/health"}, 0, healthy, ""},
		{[]string{strings.TrimPrefix(server.URL, "http://") + "/health"}, 0, healthy, ""},
		{[]string{"-f", server.URL + "/health", "--max-time", "5"}, 0, healthy, ""},
		{[]string{"--fail", "--silent", "--show-error", server.URL + "/health"}, 0, healthy, ""},
		{[]string{"-s", "-o", "/dev/null", server.URL + "/health"}, 0, "", ""},
		{[]string{"-so" + file, server.URL + "/health"}, 0, "", ""},
		{[]string{"--output", filepath.Join(file, "no", "folder"), server.URL + "/health"}, 23, "", "curl: (23) open "},
		{[]string{"-o", "/dev/full", server.URL + "/health"}, 23, "", "curl: (23) write "},

		{[]string{server.URL + "/busy"}, 0, "busy\n", ""},
		{[]string{"-f", server.URL + "/busy"}, 22, "", "curl: (22) The requested URL returned error: 503\n"},
		{[]string{"-sf", server.URL + "/busy"}, 22, "", ""},
		{[]string{"-sSf", server.URL + "/busy"}, 22, "", "curl: (22) The requested URL returned error: 503\n"},
		{[]string{"-f", server.URL + "/nothing"}, 22, "", "error: 404\n"},
		{[]string{"-f", server.URL + "/private"}, 22, "", "error: 401\n"},
		{[]string{"-f", server.URL + "/half"}, 18, "half", "curl: (18) unexpected EOF\n"},

		{[]string{"-f", server.URL + "/moved"}, 0, "", ""},
		{[]string{"-fL", server.URL + "/moved"}, 0, healthy, ""},
		{[]string{"--location", server.URL + "/round"}, 47, "", "curl: (47) "},

		{[]string{"-f", "http://" + closed.Addr().String() + "/health"}, 7, "", "curl: (7) no answer: "},
		{[]string{"-f", "-m", "0.1", server.URL + "/never"}, 28, "", "curl: (28) "},

		{[]string{"-f", tls.URL + "/health"}, 0, healthy, ""},
		{[]string{"-f", elsewhere + "/health"}, 60, "", "curl: (60) "},
		{[]string{"-fk", elsewhere + "/health"}, 0, healthy, ""},
		{[]string{"-f", "--insecure", elsewhere + "/health"}, 0, healthy, ""},

		{[]string{"-f", "http://"}, 3, "", "curl: (3) write a URL"},
		{[]string{"-f", "ftp://localhost/health"}, 3, "", "curl: (3) write a URL"},
		{nil, 2, "", "stand-in for curl, which understands"},
		{[]string{"-X", "POST", server.URL}, 2, "", "gpu_exporter's stand-in for curl, which understands -f "},
		{[]string{"--retry", "3", server.URL}, 2, "", "gpu_exporter's stand-in for curl"},
		{[]string{"-m", "soon", server.URL}, 2, "", "curl: (2) --max-time=soon: "},
		{[]string{server.URL, server.URL}, 2, "", "curl: (2) unexpected "},
		{[]string{"-s", "--retry", "3", server.URL}, 2, "", "curl: (2) "},
	} {
		out, complaint, status := runAs(t, "curl", nil, c.args...)
		if status != c.status || out != c.out || !strings.Contains(complaint, c.said) || c.said == "" && complaint != "" {
			t.Errorf("curl %q: status %d, output %q, error %q; want %d, %q, %q", c.args, status, out, complaint, c.status, c.out, c.said)
		}
	}
	if body, err := os.ReadFile(file); err != nil || string(body) != healthy {
		t.Errorf("-o FILE: %q, %v", body, err)
	}
	if out, _, status := runAs(t, "curl", nil, "--help"); status != 0 || !strings.Contains(out, "--max-time") {
		t.Errorf("--help: status %d\n%s", status, out)
	}
	if _, complaint, status := runAs(t, "gpu_exporter", nil, "-f", server.URL); status != 2 || strings.Contains(complaint, "curl") {
		t.Errorf("under its own name: status %d, %q", status, complaint)
	}
}

// The health checks of a container know nothing of a web config, and must not call an exporter sick that has one.
func TestHealthChecksOfASecuredExporter(t *testing.T) {
	both, _ := secured(t)
	text, err := os.ReadFile(both)
	if err != nil {
		t.Fatal(err)
	}
	tls, users, _ := strings.Cut(string(text), "\n")
	dir := filepath.Dir(both)
	mutual := strings.TrimSuffix(tls, "}") +
		fmt.Sprintf(", client_auth_type: RequireAndVerifyClientCert, client_ca_file: %q}", filepath.Join(dir, "cert.pem"))
	for _, c := range []struct {
		name, config string
		body         bool // that /health gives its body to who has nothing
	}{
		{"TLS", tls, true},
		{"passwords", users, false},
		{"TLS and passwords", string(text), false},
		{"client certificates", mutual, false},
	} {
		config := filepath.Join(dir, "web-config.yml")
		write(t, config, c.config)
		s := startServer(t, t.TempDir(), "--web.config.file="+config)
		address := strings.TrimPrefix(s.url, "http://")
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		env := []string{"GPU_EXPORTER_WEB_CONFIG_FILE=" + config, "GPU_EXPORTER_WEB_LISTEN_ADDRESS=" + address}
		health := []string{"-f", "http://localhost:" + port + "/health"}

		out, complaint, status := runAs(t, "curl", env, health...)
		if status != 0 || complaint != "" || strings.Contains(out, `"status":"healthy"`) != c.body {
			t.Errorf("%s: curl %v: status %d, %q, %q; want 0", c.name, health, status, out, complaint)
		}
		if out, complaint, status := runAs(t, "gpu_exporter", env, "health"); status != 0 || !oneLine(out) {
			t.Errorf("%s: gpu_exporter health: status %d, %q, %q; want 0", c.name, status, out, complaint)
		}
		if out, complaint, status := runAs(t, "curl", nil, health...); status != 22 {
			t.Errorf("%s: curl %v without the variable: status %d, %q, %q; want 22", c.name, health, status, out, complaint)
		}
		// 0.0.0.0 leads here, but does not say so: there somebody else might answer.
		other := strings.Replace(health[1], "localhost", "0.0.0.0", 1)
		if out, complaint, status := runAs(t, "curl", env, "-f", other); status != 22 {
			t.Errorf("%s: curl -f %s: status %d, %q, %q; want 22", c.name, other, status, out, complaint)
		}
		s.end()
		for _, ask := range [][]string{append([]string{"curl"}, health...), {"gpu_exporter", "health"}} {
			if out, _, status := runAs(t, ask[0], env, ask[1:]...); status == 0 {
				t.Errorf("%s: %v of one that has ended: status 0, %q", c.name, ask, out)
			}
		}
	}
}
