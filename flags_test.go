package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWrongFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string // in the line
	}{
		{[]string{"nonsense"}, `unknown command "nonsense": take serve, once`},
		{[]string{"serve", "now"}, "unexpected now"},
		{[]string{"once", "now"}, "unexpected now"},
		{[]string{"--nonsense"}, "unknown long flag '--nonsense'"},
		{[]string{"--samples=1"}, "unknown long flag '--samples'"},
		{[]string{"--polling.interval"}, "expected argument for flag '--polling.interval'"},
		{[]string{"--polling.interval=1s", "--polling.interval=2s"}, "cannot be repeated"},
		{[]string{"--polling.interval=100ms"}, "--polling.interval=100ms: out of range, take 0 or 200ms to 5m"},
		{[]string{"--polling.interval=0.1"}, "take 0 or 200ms to 5m"},
		{[]string{"--polling.interval=-1s"}, "take 0 or 200ms to 5m"},
		{[]string{"--polling.interval=6m"}, "take 0 or 200ms to 5m"},
		{[]string{"--polling.interval=soon"}, "a number of seconds"},
		{[]string{"--polling.interval="}, "a number of seconds"},
		{[]string{"--polling.interval=NaN"}, "a number of seconds"},
		{[]string{"--polling.interval=1e300"}, "a number of seconds"},
		{[]string{"--polling.deadline=0"}, "take 10ms to 1m"},
		{[]string{"--polling.deadline=61s"}, "take 10ms to 1m"},
		{[]string{"--rescan.interval=100ms"}, "take 200ms to 1h"},
		{[]string{"--rescan.interval=2h"}, "take 200ms to 1h"},
		{[]string{"--forget-after=0"}, "take 1s to 8760h"},
		{[]string{"--path.sysfs="}, "--path.sysfs=: write the path of a folder"},
		{[]string{"--metrics.include=("}, "--metrics.include=(: error parsing regexp"},
		{[]string{"--metrics.exclude=a)|(b"}, "--metrics.exclude=a)|(b: error parsing regexp"},
		{[]string{"--web.telemetry-path=metrics"}, "write a path such as /metrics"},
		{[]string{"--web.telemetry-path=/"}, "write a path such as /metrics"},
		{[]string{"--web.telemetry-path="}, "write a path such as /metrics"},
		{[]string{"--web.telemetry-path=/a/"}, "write a path such as /metrics"},
		{[]string{"--web.telemetry-path=/a//b"}, "write a path such as /metrics"},
		{[]string{"--web.telemetry-path=/{a}"}, "write a path such as /metrics"},
		{[]string{"--web.grafana-url="}, "--web.grafana-url=: write an address such as https://grafana.example"},
		{[]string{"--web.grafana-url=grafana:3000"}, "write an address such as https://grafana.example"},
		{[]string{"--web.grafana-url=/grafana"}, "write an address such as https://grafana.example"},
		{[]string{"--web.grafana-url=javascript:alert(1)"}, "write an address such as https://grafana.example"},
		{[]string{"--web.grafana-url=https://:3000"}, "write an address such as https://grafana.example"},
		{[]string{"--web.grafana-url=https://admin:secret@grafana"}, "without a password"},
		{[]string{"--web.frame-ancestors="}, "--web.frame-ancestors=: write 'none' where no page may"},
		{[]string{"--web.frame-ancestors=https://a; script-src *"}, "write *, 'none', 'self' or origins such as"},
		{[]string{"--web.frame-ancestors=https://a, https://b"}, "separated by blanks"},
		{[]string{"--web.frame-ancestors=https://a/b"}, "separated by blanks"},
		{[]string{"--web.frame-ancestors='none' https://a"}, "separated by blanks"},
		{[]string{"--web.frame-ancestors=none'"}, "separated by blanks"},
		{[]string{"--web.timeout-offset=-1"}, "take 0 to 1m"},
		{[]string{"--web.max-requests=-1"}, "take a whole number from 0"},
		{[]string{"--web.max-requests=many"}, "take a whole number from 0"},
		{[]string{"--web.listen-address=5009"}, "--web.listen-address=5009: write host:port or :port"},
		{[]string{"--web.listen-address=vsock://:5009"}, "write host:port or :port"},
		{[]string{"--web.config.file=/nonexistent/web.yml"}, "--web.config.file=/nonexistent/web.yml: "},
		{[]string{"--history.store=redis"}, "take one of file, memory"},
		{[]string{"--history.retention=59m"}, "take 1h to 30d"},
		{[]string{"--history.retention=31d"}, "--history.retention=31d: out of range, take 1h to 30d"},
		{[]string{"--history.retention=d"}, "no duration"},
		{[]string{"--history.flush=0"}, "take 1s to 10m"},
		{[]string{"--log.level=verbose"}, `--log.level=verbose: "verbose" is no log level`},
		{[]string{"once", "--format=xml"}, "--format=xml: take one of prom, json, csv, table"},
		{[]string{"once", "--samples=0"}, "take a whole number from 1"},
		{[]string{"once", "--interval=-1s"}, "take 0 to 24h"},
		{[]string{"export", "--format=xml"}, "--format=xml: take one of csv, json"},
		{[]string{"export", "--from=yesterday"}, "--from=yesterday: "},
		{[]string{"export", "--step=0"}, "--step=0: "},
		{[]string{"@/nonexistent/flags"}, "/nonexistent/flags"},
	} {
		out, err, status := finish(t, fakes(), c.args...)
		if status != 2 || !oneLine(err) || !strings.HasPrefix(err, "gpu_exporter: error: ") || !strings.Contains(err, c.want) || out != "" {
			t.Errorf("%q: status %d, output %q, error %q; want 2 and one line with %q", c.args, status, out, err, c.want)
		}
	}
}

// parsed is what the arguments come to.
func parsed(t *testing.T, args ...string) (string, *options) {
	t.Helper()
	command, o, err := parse(args, program{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return command, o
}

func TestDefaults(t *testing.T) {
	command, o := parsed(t)
	if command != "serve" {
		t.Errorf("command %q, want serve", command)
	}
	if got := *o.web.WebListenAddresses; len(got) != 1 || got[0] != ":5009" {
		t.Errorf("addresses %q", got)
	}
	if o.interval != time.Second || o.deadline != 2*time.Second || o.rescan != 30*time.Second || o.forgetAfter != time.Hour ||
		o.timeoutOffset != 250*time.Millisecond || o.maxRequests != 40 || o.telemetryPath != "/metrics" || !o.amd || o.firmware ||
		!o.nvidia.on || o.nvidia.source != "auto" || o.nvidia.smi != "" || o.nvidia.wake != "never" ||
		o.runtimeMetrics || o.sysfs != "/sys" || o.procfs != "/proc" || o.rootfs != "/" || o.logLevelSet {
		t.Errorf("got %+v", o)
	}
	if _, o := parsed(t, "once"); o.once.format != "table" || o.once.samples != 1 || o.once.interval != time.Second || o.once.out != "" {
		t.Errorf("once: got %+v", o.once)
	}
}

func TestPanelFlags(t *testing.T) {
	if _, o := parsed(t); o.frameAncestors != "*" || o.grafanaURL != "" {
		t.Errorf("by default %q, %q", o.frameAncestors, o.grafanaURL)
	}
	for _, ancestors := range []string{
		"*", "'none'", "'self'", "https:", "https://grafana.example", "'self' http://localhost:3000 *.example.org", "http://10.0.0.7:*",
		"http://[::1]:3000/",
	} {
		if _, o := parsed(t, "--web.frame-ancestors="+ancestors); o.frameAncestors != ancestors {
			t.Errorf("%q became %q", ancestors, o.frameAncestors)
		}
	}
	for bare, ancestors := range map[string]string{"none": "'none'", "self https://a": "'self' https://a"} { // a shell took the quotes
		if _, o := parsed(t, "--web.frame-ancestors="+bare); o.frameAncestors != ancestors {
			t.Errorf("%q became %q", bare, o.frameAncestors)
		}
	}
	for _, u := range []string{"http://localhost:3000", "https://grafana.example/d/jarvis-gpu?orgId=1&kiosk"} {
		if _, o := parsed(t, "--web.grafana-url="+u); o.grafanaURL != u {
			t.Errorf("%q became %q", u, o.grafanaURL)
		}
	}
}

func TestHistoryFlags(t *testing.T) {
	for _, c := range []struct {
		args               []string
		cache, user        string // $CACHE_DIRECTORY, and the cache folder of the user
		folder             string
		retention, between time.Duration
	}{
		{nil, "", "/home/a/.cache", "/home/a/.cache/gpu_exporter", 24 * time.Hour, 30 * time.Second},
		{nil, "", "", "", 24 * time.Hour, 30 * time.Second}, // nobody's home
		{nil, "/var/cache/gpu_exporter", "/home/a/.cache", "/var/cache/gpu_exporter", 24 * time.Hour, 30 * time.Second},
		{nil, "/var/cache/one:/var/cache/two", "", "/var/cache/one", 24 * time.Hour, 30 * time.Second},
		{[]string{"--history.path=/app/cache", "--history.retention=30d", "--history.flush=1"}, "/var/cache/one", "", "/app/cache",
			720 * time.Hour, time.Second},
		{[]string{"--history.retention=1.5d"}, "/c", "", "/c", 36 * time.Hour, 30 * time.Second},
	} {
		t.Setenv("CACHE_DIRECTORY", c.cache)
		t.Setenv("XDG_CACHE_HOME", c.user)
		t.Setenv("HOME", "")
		_, o := parsed(t, c.args...)
		if f := o.historyFolder(); f != c.folder || o.history.retention != c.retention || o.history.flush != c.between {
			t.Errorf("%q with %q, %q: %q, %+v", c.args, c.cache, c.user, f, o.history)
		}
	}
}

func TestPollingInterval(t *testing.T) {
	const own = "GPU_EXPORTER_POLLING_INTERVAL"
	for _, c := range []struct {
		args        []string
		own, legacy string
		want        time.Duration
	}{
		{nil, "", "", time.Second},
		{nil, "", "2", 2 * time.Second},
		{nil, "", "0.5", 500 * time.Millisecond},
		{nil, "", "0", 0},
		{nil, "3s", "2", 3 * time.Second},
		{nil, "0.2", "broken", 200 * time.Millisecond},
		{[]string{"--polling.interval=5m"}, "3s", "2", 5 * time.Minute},
		{[]string{"--polling.interval=1"}, "3s", "2", time.Second}, // the default, but given
		{[]string{"--polling.interval", "0"}, "", "2", 0},
		{[]string{"--polling.interval=1.5"}, "broken", "broken", 1500 * time.Millisecond},
	} {
		t.Setenv(own, c.own)
		t.Setenv(legacyInterval, c.legacy)
		if _, o := parsed(t, c.args...); o.interval != c.want {
			t.Errorf("%q, own %q, legacy %q: %v, want %v", c.args, c.own, c.legacy, o.interval, c.want)
		}
	}
}

func TestWrongVariables(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		legacyInterval:                  {"0.1", legacyInterval + "=0.1: out of range"},
		"GPU_EXPORTER_POLLING_INTERVAL": {"10m", "GPU_EXPORTER_POLLING_INTERVAL=10m: out of range"},
		"GPU_EXPORTER_COLLECTOR_AMD":    {"maybe", "GPU_EXPORTER_COLLECTOR_AMD=maybe: take true or false"},
		"GPU_EXPORTER_ONCE_FORMAT":      {"xml", "GPU_EXPORTER_ONCE_FORMAT=xml: take one of"},

		"GPU_EXPORTER_COLLECTOR_NVIDIA_SOURCE": {"nvml", "GPU_EXPORTER_COLLECTOR_NVIDIA_SOURCE=nvml: this build reads through NVML on Windows only"},
		"GPU_EXPORTER_COLLECTOR_NVIDIA_WAKE":   {"sometimes", "GPU_EXPORTER_COLLECTOR_NVIDIA_WAKE=sometimes: take one of never, always"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, c.value)
			_, err, status := finish(t, fakes(), "once")
			if status != 2 || !oneLine(err) || !strings.Contains(err, c.want) {
				t.Errorf("status %d, error %q; want 2 and %q", status, err, c.want)
			}
		})
	}
}

// The container that carries its version in such a variable starts all the same.
func TestVariablesOfOthers(t *testing.T) {
	t.Setenv("GPU_EXPORTER_VERSION", "1.0.0")
	t.Setenv("GPU_EXPORTER_HELP", "https://example.org")
	if command, _ := parsed(t); command != "serve" {
		t.Errorf("command %q", command)
	}
}

func TestArgumentFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "flags")
	text := "# flags of all commands\n--web.listen-address=127.0.0.1:1\n\n--polling.interval=3s\n--no-collector.amd\n" +
		"--metrics.exclude=gpu_fan_.*\n--metrics.exclude=gpu_clock_hertz\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"@" + file}, {"@" + file, "once"}, {"once", "@" + file}, {"serve", "@" + file}} {
		_, o := parsed(t, args...)
		if o.interval != 3*time.Second || o.amd || !o.exclude.MatchString("gpu_fan_speed_rpm") ||
			!o.exclude.MatchString("gpu_clock_hertz") || o.exclude.MatchString("gpu_clock_hertz_x") {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

// What was asked for becomes a file that asks for the same.
func TestGivenFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "flags")
	write(t, file, "--polling.interval=3s\n")
	for _, c := range []struct{ args, want []string }{
		{nil, nil},
		{[]string{"once", "--samples=2"}, []string{"--samples=2"}},
		{[]string{"--no-collector.amd", "--web.enable-pprof", "--log.level", "debug", "serve", "--web.listen-address=:1", "--web.listen-address=[::1]:2"},
			[]string{"--no-collector.amd", "--web.enable-pprof", "--log.level=debug", "--web.listen-address=:1", "--web.listen-address=[::1]:2"}},
		{[]string{"@" + file, "--history.path=/a b"}, []string{"--polling.interval=3s", "--history.path=/a b"}},
	} {
		if _, o := parsed(t, c.args...); !slices.Equal(o.given, c.want) {
			t.Errorf("%q: %q, want %q", c.args, o.given, c.want)
		}
	}
}

func TestPathsOfAService(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "a")
	for _, c := range []struct {
		args []string
		want string // in the error; empty: none
	}{
		{nil, ""},
		{[]string{"--history.path=" + whole, "--log.file=" + whole, "--web.config.file=" + whole}, ""},
		{[]string{"--history.path=past"}, "--history.path=past: write the whole path"},
		{[]string{"--log.file=./gpu.log"}, "--log.file=./gpu.log: write the whole path"},
		{[]string{"--web.config.file=web.yml"}, "--web.config.file=web.yml: write the whole path"},
	} {
		_, o := parsed(t, c.args...)
		if err := o.relative(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
	}
}

func TestHostRoot(t *testing.T) {
	for _, c := range []struct {
		args     []string
		variable string
		want     string
	}{
		{nil, "", "/"},
		{[]string{"--path.sysfs=/sys/"}, "", "/"},
		{[]string{"--path.sysfs=/host/sys"}, "", ""},
		{[]string{"--path.sysfs=/host/sys"}, "/host", "/host"},
		{[]string{"--path.sysfs=/host/sys", "--path.rootfs=/"}, "", "/"},
		{[]string{"--path.rootfs=/host"}, "", "/host"},
	} {
		t.Setenv("GPU_EXPORTER_PATH_ROOTFS", c.variable)
		if _, o := parsed(t, c.args...); o.hostRoot() != c.want {
			t.Errorf("%q, variable %q: %q, want %q", c.args, c.variable, o.hostRoot(), c.want)
		}
	}
}

func TestFlagTable(t *testing.T) {
	t.Setenv(legacyInterval, "7")
	rows, err := flagTable()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]flagRow{}
	for _, r := range rows {
		found[r.Command+r.Name] = r
		if !strings.HasPrefix(r.Env, "GPU_EXPORTER_") || !strings.HasSuffix(r.Help, ".") {
			t.Errorf("%+v: no variable, or no sentence", r)
		}
	}
	for _, want := range []flagRow{
		{Name: "--polling.interval", Default: "1s", Env: "GPU_EXPORTER_POLLING_INTERVAL"},
		{Name: "--[no-]collector.amd", Default: "true", Env: "GPU_EXPORTER_COLLECTOR_AMD"},
		{Name: "--collector.firmware", Default: "false", Env: "GPU_EXPORTER_COLLECTOR_FIRMWARE"},
		{Name: "--web.listen-address", Default: ":5009", Env: "GPU_EXPORTER_WEB_LISTEN_ADDRESS"},
		{Name: "--metrics.include", Env: "GPU_EXPORTER_METRICS_INCLUDE"},
		{Command: "once", Name: "--out", Env: "GPU_EXPORTER_ONCE_OUT"},
	} {
		got := found[want.Command+want.Name]
		want.Help = got.Help
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}
