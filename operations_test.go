package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

func TestReloadBySignal(t *testing.T) {
	config := filepath.Join(t.TempDir(), "web.yml")
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	s := startServer(t, t.TempDir(), "--web.config.file="+config)
	const successful = "gpu_exporter_config_last_reload_successful"
	if v := s.scrape(t)[successful]; v != 1 {
		t.Errorf("%s is %v at the start", successful, v)
	}
	for _, c := range []struct {
		text string
		want float64
	}{{"nonsense: [", 0}, {"http_server_config: {http2: false}", 1}} {
		write(c.text)
		if err := s.process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if c.want == 0 {
			// From now on exporter-toolkit refuses what it serves by this file; the log tells it too.
			s.untilLogged(t, "reload failed")
			write("")
		}
		s.until(t, "the reload", func(m hwcase.Samples) bool { return m[successful] == c.want })
	}
}

func TestReloadByRequestOnlyWhenOn(t *testing.T) {
	for _, c := range []struct {
		flags []string
		want  int
	}{{nil, http.StatusForbidden}, {[]string{"--web.enable-lifecycle"}, http.StatusOK}} {
		s := startServer(t, t.TempDir(), c.flags...)
		answer, err := http.Post(s.url+"/-/reload", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%v: %s, want %d", c.flags, answer.Status, c.want)
		}
	}
}

// systemd is the end of a notification socket that systemd would have.
func systemd(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return path, func() string {
		if err := c.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 256)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func TestSystemdIsTold(t *testing.T) {
	path, next := systemd(t)
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "200000")
	s := startServer(t, t.TempDir())
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := next(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	s.end()
	for got := next(); got != "STOPPING=1"; got = next() {
		if got != "WATCHDOG=1" {
			t.Errorf("%q at the end", got)
		}
	}
}

func TestHealth(t *testing.T) {
	s := startServer(t, t.TempDir())
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"health", s.url + "/-/healthy"}, 0, "healthy"},
		{[]string{"health", "--web.listen-address=" + strings.TrimPrefix(s.url, "http://")}, 0, "healthy"},
		{[]string{"health", s.url + "/nothing"}, 1, "404"},
		{[]string{"health", "http://" + closed.Addr().String()}, 1, "no answer"},
		{[]string{"health", "ftp://localhost"}, 1, "write a URL"},
		{[]string{"health", "localhost:5009"}, 1, "write a URL"},
	} {
		out, complaint, status := finish(t, nil, c.args...)
		if said := out + complaint; status != c.status || !oneLine(said) || !strings.Contains(said, c.want) {
			t.Errorf("%v: status %d, %q; want %d and one line with %q", c.args, status, said, c.status, c.want)
		}
	}
}

func TestLogFileAndFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "gpu.log")
	startServer(t, t.TempDir(), "--log.file="+path).end()
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "msg=listening") || !strings.Contains(string(text), "shutting down") {
		t.Errorf("%v, %q", err, text)
	}
}

func TestLogFileThatCannotBeWrittenIsOneWarning(t *testing.T) {
	s := startServer(t, t.TempDir(), "--log.file=/proc/nothing/gpu.log", "--collector.simulation=off")
	s.scrape(t)
	s.end()
	if n := strings.Count(s.logged(), "the log file cannot be written"); n != 1 {
		t.Errorf("%d warnings on the file, want 1:\n%s", n, s.logged())
	}
}

func TestLegacyLevel(t *testing.T) {
	for _, c := range []struct {
		value string
		flags []string
		want  string // of the level
	}{
		{"DEBUG", nil, "DEBUG"},
		{"warning", nil, "WARN"},
		{"DEBUG", []string{"--log.level=error"}, "ERROR"},
		{"nonsense", nil, "INFO"},
	} {
		t.Setenv("LOG_LEVEL", c.value)
		if _, o := parsed(t, c.flags...); o.logLevel.String() != c.want || (o.wrongLevel != "") != (c.value == "nonsense") {
			t.Errorf("LOG_LEVEL=%s %v: %v, wrong %q; want %s", c.value, c.flags, o.logLevel, o.wrongLevel, c.want)
		}
	}
}
