package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// secured writes a web config with TLS and the user `operator`, password `secret`.
func secured(t *testing.T) (config string, client *http.Client) {
	t.Helper()
	dir := t.TempDir()
	certificate(t, dir)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	config = filepath.Join(dir, "web.yml")
	// bcrypt of `secret`, cost 4
	const hash = "$2a$04$na6jiTVJW0e0xtCwjv1x2uZt5c0bj.hmqzULuPwnJUUOnnTKQ7M9O"
	text := fmt.Sprintf("tls_server_config: {cert_file: %q, key_file: %q}\nbasic_auth_users: {operator: %q}\n", cert, key, hash)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

var (
	routesForm = regexp.MustCompile(`msg=serving routes=(\S+)`)
	assetForm  = regexp.MustCompile(`/panel/[^"]+\.js`)
)

func TestNothingWithoutCredentials(t *testing.T) {
	config, client := secured(t)
	s := startServer(t, t.TempDir(), "--web.config.file="+config, "--web.enable-lifecycle", "--web.enable-pprof", "--log.level=debug")
	base := strings.Replace(s.url, "http://", "https://", 1)
	do := func(method, path string, credentials bool) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if credentials {
			r.SetBasicAuth("operator", "secret")
			r.Header.Set("Accept", "text/html")
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	status, page := do("GET", "/", true)
	if status != http.StatusOK {
		t.Fatalf("with credentials: %d", status)
	}
	paths := []string{"/", "/unknown", "//", "/metrics/", "/%2e%2e/metrics", "/gpu/stats", "/ws/gpu-stats"}
	s.untilLogged(t, "msg=serving routes=")
	paths = append(paths, strings.Split(routesForm.FindStringSubmatch(s.logged())[1], ",")...)
	paths = append(paths, assetForm.FindString(page))
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"} {
			if status, body := do(method, path, false); status != http.StatusUnauthorized || strings.Contains(body, "gpu") {
				t.Errorf("%s %s without credentials: %d %q", method, path, status, body)
			}
		}
	}
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	for _, path := range []string{"/ws/gpu-stats", "/ws/gpus"} {
		conn, answer, err := dialer.Dial(strings.Replace(base, "https", "wss", 1)+path, nil)
		if err == nil {
			conn.Close()
			t.Errorf("%s without credentials: served", path)
		} else if answer == nil || answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without credentials: %v", path, err)
		}
	}
	for _, path := range []string{"/openapi.json", "/docs", "/redoc", "/ws/gpu-stats", "/ws/gpus", "/gpus", "/panel/{file}"} {
		if !slices.Contains(paths, path) {
			t.Errorf("the log does not name %s, so that it was not asked for", path)
		}
	}
	if _, complaint, status := finish(t, nil, "health", base+"/-/healthy"); status != 0 {
		t.Errorf("health of one that wants a password: %d %s", status, complaint)
	}
	if out, _, status := finish(t, nil, "health", "--web.config.file="+config, "--web.listen-address="+strings.TrimPrefix(base, "https://")); status != 0 || !strings.Contains(out, "password") {
		t.Errorf("health by its own flags: %d %s", status, out)
	}
	if !strings.Contains(s.logged(), `access="with a password"`) {
		t.Errorf("the log does not say who may read:\n%s", s.logged())
	}
}

// expectClosed reads until the server closes the connection, and says what came before.
func expectClosed(t *testing.T, c net.Conn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(c)
	if err != nil && os.IsTimeout(err) {
		t.Fatalf("still open; it said %q", said)
	}
	return string(said)
}

func dial(t *testing.T, s *server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestServesOnUnderBadClients(t *testing.T) {
	s := startServer(t, ownCase(t, "discrete"))
	serves := func(when string) {
		t.Helper()
		if m := s.scrape(t); m[up(first)] != 1 {
			t.Errorf("%s: no GPU is told of", when)
		}
	}
	s.until(t, "the card", func(m hwcase.Samples) bool { return m[up(first)] == 1 })

	// 64 KiB of headers.
	c := dial(t, s)
	fmt.Fprintf(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	if said := expectClosed(t, c); !strings.Contains(said, "431") {
		t.Errorf("64 KiB of headers: %.80q", said)
	}
	serves("after headers of 64 KiB")

	// A body that nobody asked for.
	answer, err := http.Post(s.url+"/metrics", "text/plain", strings.NewReader(strings.Repeat("x", 10<<20)))
	if err == nil {
		answer.Body.Close()
		if answer.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("a body of 10 MiB: %s", answer.Status)
		}
	}

	// Slow-loris: headers that never end. And 1,000 connections that say nothing, all of which end by themselves.
	begin := time.Now()
	var slow []net.Conn
	for range 50 {
		c := dial(t, s)
		fmt.Fprint(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
		slow = append(slow, c)
	}
	for range 1000 {
		slow = append(slow, dial(t, s))
	}
	serves("with 1,050 connections that do nothing")
	files := descriptors(t, s.pid)
	var ends sync.WaitGroup
	for _, c := range slow {
		ends.Go(func() { expectClosed(t, c) })
	}
	ends.Wait()
	t.Logf("1,000 idle and 50 slow connections: %d descriptors open, all closed by the server after %.1f s", files, time.Since(begin).Seconds())
	serves("after them")

	// 200 scrapes at once: as many as may run do, and the others are told so at once.
	codes := map[int]int{}
	var mu sync.Mutex
	var scrapes sync.WaitGroup
	for range 200 {
		scrapes.Go(func() {
			answer, err := http.Get(s.url + "/metrics")
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			mu.Lock()
			codes[answer.StatusCode]++
			mu.Unlock()
		})
	}
	scrapes.Wait()
	if codes[200] == 0 || codes[200]+codes[503] != 200 {
		t.Errorf("200 scrapes at once: %v", codes)
	}
	m := s.scrape(t)
	if m["gpu_exporter_scrapes_rejected_total"] != float64(codes[503]) {
		t.Errorf("%v scrapes counted as rejected, %d were", m["gpu_exporter_scrapes_rejected_total"], codes[503])
	}
	t.Logf("200 scrapes at once: %d answered, %d turned away", codes[200], codes[503])
}

// descriptors counts the open files of a process.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestKeepAliveIsKept(t *testing.T) {
	s := startServer(t, t.TempDir())
	c := dial(t, s)
	in := bufio.NewReader(c)
	for range 3 {
		fmt.Fprint(c, "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
	}
}
