package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"gpu_exporter/internal/await"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// role is the variable that makes this test binary be something else.
const role = "STACK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "part":
		part()
	case "stack":
		holder()
	default:
		os.Exit(m.Run())
	}
}

// part stands for each part of a stack: it listens where it is told, and ends when it is told. /end makes it end by itself.
func part() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	end := make(chan struct{})
	http.HandleFunc("/-/ready", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/end", func(http.ResponseWriter, *http.Request) { close(end) })
	for _, arg := range os.Args {
		if address, ok := strings.CutPrefix(arg, "--web.listen-address="); ok {
			go func() { fmt.Println(http.ListenAndServe(address, nil)) }()
		}
	}
	select {
	case <-ctx.Done():
	case <-end:
		fmt.Println("the last word")
		os.Exit(3)
	}
}

// holder holds a stack until it is killed.
func holder() {
	os.Setenv(role, "part")
	s, err := Start(context.Background(), fakeOptions(os.Args[1]))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.Exporter, s.Prometheus, s.Alertmanager)
	select {}
}

func fakeOptions(dir string) Options {
	return Options{
		Checkout: "../..", Dir: dir, Host: "h1",
		Exporter: os.Args[0], Prometheus: os.Args[0], Alertmanager: os.Args[0],
	}
}

func isOpen(url string) bool {
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), await.Patience)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// untilClosed waits until nobody listens there.
func untilClosed(t *testing.T, url string) {
	t.Helper()
	await.Until(t, url+" is closed", func() bool { return !isOpen(url) })
}

func TestAllPartsLiveAndEndTogether(t *testing.T) {
	t.Setenv(role, "part")
	for _, c := range []struct {
		name string
		end  func(context.Context, *Stack, context.CancelFunc)
	}{
		{"stopped", func(context.Context, *Stack, context.CancelFunc) {}},
		{"context ended", func(ctx context.Context, s *Stack, cancel context.CancelFunc) {
			cancel()
			if err := s.Wait(ctx); err != nil {
				t.Errorf("a stack that was told to end says %v", err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, err := Start(ctx, fakeOptions(t.TempDir()))
			if err != nil {
				t.Fatal(err)
			}
			urls := []string{s.Exporter, s.Prometheus, s.Alertmanager}
			for _, url := range urls {
				if !isOpen(url) {
					t.Errorf("%s does not answer", url)
				}
			}
			c.end(ctx, s, cancel)
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			for _, url := range urls {
				if isOpen(url) {
					t.Errorf("%s is still there", url)
				}
			}
		})
	}
}

func TestPartThatEndsByItselfIsTold(t *testing.T) {
	t.Setenv(role, "part")
	s, err := Start(t.Context(), fakeOptions(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := http.Get(s.Alertmanager + "/end"); err == nil { // it may be gone before it has answered
		answer.Body.Close()
	}
	err = s.Wait(t.Context())
	if err == nil || !strings.Contains(err.Error(), "alertmanager has ended: exit status 3") || !strings.Contains(err.Error(), "the last word") {
		t.Errorf("told: %v", err)
	}
	if err := s.Stop(); err == nil {
		t.Error("Stop says that all ended well")
	}
	untilClosed(t, s.Prometheus)
}

func TestNothingIsLeftOfAStackThatIsKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ties children to their parent")
	}
	cmd := exec.Command(os.Args[0], t.TempDir())
	cmd.Env = append(os.Environ(), role+"=stack")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	urls := strings.Fields(line)
	if err != nil || len(urls) != 3 {
		t.Fatalf("%q, %v", line, err)
	}
	for _, url := range urls {
		if !isOpen(url) {
			t.Errorf("%s does not answer", url)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	for _, url := range urls {
		untilClosed(t, url)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Setenv(role, "part")
	config := func(text string) string {
		path := filepath.Join(t.TempDir(), "prometheus.yml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"tools that were not built", func(o *Options) { o.Prometheus = "/nonexistent/prometheus" }, "/nonexistent/prometheus"},
		{"the same", func(o *Options) { o.Alertmanager = "/nonexistent/alertmanager" }, "run .ci/tools"},
		{"a factor below 1", func(o *Options) { o.Factor = 0.5 }, "factor 0.5: take 1 or more"},
		{"no configuration", func(o *Options) { o.AlertmanagerConfig = "/nonexistent/alertmanager.yml" }, "/nonexistent/alertmanager.yml"},
		{"no YAML", func(o *Options) { o.PrometheusConfig = config("{") }, "prometheus.yml: yaml: "},
		{"a configuration of something else", func(o *Options) { o.PrometheusConfig = config("scrape_configs: [{job_name: prometheus}]") },
			"no scrape job alertmanager, gpu-stats-service"},
		{"no rules", func(o *Options) { o.Rules = []string{"/nonexistent/*.yml"} }, "/nonexistent/*.yml: no such rule file"},
		{"a program that ends", func(o *Options) { o.Exporter = "/bin/false" }, "exporter has ended: exit status 1"},
	} {
		o := fakeOptions(t.TempDir())
		c.change(&o)
		s, err := Start(t.Context(), o)
		if err == nil {
			t.Errorf("%s: it starts", c.name)
			err = s.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestStartIsGivenUpWithItsContext(t *testing.T) {
	t.Setenv(role, "part")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, fakeOptions(t.TempDir())); !errors.Is(err, context.Canceled) {
		t.Errorf("Start with a context that is done: %v", err)
	}
}

func TestPrometheusConfig(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yml": "groups: [{name: a, rules: [{record: a, expr: 'x[5m]'}]}]\n",
		"b.yml": "groups: []\n",
		"prometheus.yml": `
global: {scrape_interval: 15s}
rule_files: ['?.yml']
alerting: {alertmanagers: [{static_configs: [{targets: ['localhost:9093']}]}], alert_relabel_configs: []}
scrape_configs:
- {job_name: gpu-stats-service, static_configs: [{targets: ['localhost:5009']}], sample_limit: 5000}
- {job_name: prometheus, static_configs: [{targets: ['localhost:9090']}]}
- {job_name: alertmanager, static_configs: [{targets: ['localhost:9093']}]}
- {job_name: node, static_configs: [{targets: ['localhost:9100']}]}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Dir: t.TempDir(), Host: "h1", Factor: 5, PrometheusConfig: filepath.Join(dir, "prometheus.yml")}
	path, err := o.prometheusConfig(map[string]string{"gpu-stats-service": "127.0.0.1:1", "prometheus": "127.0.0.1:2", "alertmanager": "127.0.0.1:3"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`
global: {scrape_interval: 3s}
rule_files: [%[1]s/rules-0-a.yml, %[1]s/rules-1-b.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:3']}]}], alert_relabel_configs: []}
scrape_configs:
- {job_name: gpu-stats-service, static_configs: [{targets: ['127.0.0.1:1'], labels: {instance: h1}}], sample_limit: 5000}
- {job_name: prometheus, static_configs: [{targets: ['127.0.0.1:2'], labels: {instance: h1}}]}
- {job_name: alertmanager, static_configs: [{targets: ['127.0.0.1:3'], labels: {instance: h1}}]}
- {job_name: node, static_configs: [{targets: ['localhost:9100']}]}
`, o.Dir)
	if d := cmp.Diff(decoded(t, want), decoded(t, string(got))); d != "" {
		t.Errorf("prometheus.yml (-want +got):\n%s", d)
	}
	rules, err := os.ReadFile(filepath.Join(o.Dir, "rules-0-a.yml"))
	if err != nil || !strings.Contains(string(rules), "x[1m]") {
		t.Errorf("rules: %s, %v", rules, err)
	}
}
