package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// serving starts a server on a free port; its address is in the log.
func serving(t *testing.T, probe collector.Probe, args ...string) (url string, log *output, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	_, log, status := start(ctx, probe, append([]string{"serve", "--web.listen-address=127.0.0.1:0", "--history.store=memory"}, args...)...)
	address := attribute(t, log.line(t, "msg=listening"), "address")
	return "http://" + address, log, func() int {
		cancel()
		return end(t, status, log)
	}
}

// attribute is a value in a line of logfmt.
func attribute(t *testing.T, line, key string) string {
	t.Helper()
	m := regexp.MustCompile(` ` + key + `=(\S+)`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("no %s in %q", key, line)
	}
	return m[1]
}

// get is the body of an answer with that status.
func get(t *testing.T, url string, status int) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != status {
		t.Fatalf("GET %s: %s, %v, %q; want %d", url, r.Status, err, body, status)
	}
	return string(body)
}

// browsed is the body that a browser gets.
func browsed(t *testing.T, url string) (string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html,*/*;q=0.8")
	r, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, r.Status, err)
	}
	return string(body), r.Header
}

// The page is told what the flags say; what the panel does with it is tested in a browser (.ci/panel).
func TestThePage(t *testing.T) {
	url, _, stop := serving(t, fakes(), "--web.telemetry-path=/data", "--web.grafana-url=https://grafana.example/?a=1&b=2",
		"--web.frame-ancestors='self' https://grafana.example")
	defer stop()
	page, header := browsed(t, url+"/")
	for _, want := range []string{`data-metrics="./data"`, `data-grafana="https://grafana.example/?a=1&amp;b=2"`, "data-version="} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	if csp := header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "; frame-ancestors 'self' https://grafana.example") {
		t.Errorf("policy %s", csp)
	}
	if vary := header.Values("Vary"); !slices.Equal(vary, []string{"Accept", "Accept-Encoding"}) {
		t.Errorf("Vary: %q", vary)
	}
	// In a frame without an origin of its own, which is what a sandbox makes.
	asset, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+assetForm.FindString(page), nil)
	if err != nil {
		t.Fatal(err)
	}
	asset.Header.Set("Origin", "null")
	r, err := http.DefaultClient.Do(asset)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK || r.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%s for a page without origin: %s, %v", asset.URL, r.Status, r.Header)
	}
	for _, path := range []string{"/panel", "/panel/", "/panel/index.html", "/panel/..%2findex.html", "/panel/a/b", "/index.html"} {
		if body := get(t, url+path, http.StatusNotFound); body != `{"detail":"Not Found"}` {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestServe(t *testing.T) {
	url, log, stop := serving(t, fakes(newFakeGPU("sim:0", nil)), "--web.telemetry-path=/data", "--metrics.exclude=gpu_state")
	for _, want := range []string{
		`gpu_temperature_celsius{gpu="sim:0",sensor="edge"} 42.25`, `gpu_exporter_read_errors_total{kind="io",source="simulation"} 0`,
	} {
		if body := get(t, url+"/data", http.StatusOK); !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if body := get(t, url+"/", http.StatusOK); !strings.Contains(body, "data") {
		t.Errorf("no link to /data in\n%s", body)
	}
	get(t, url+"/metrics", http.StatusNotFound)
	if status := stop(); status != 0 {
		t.Errorf("status %d: %s", status, log)
	}
	if strings.Contains(log.String(), "level=warn") || strings.Contains(log.String(), "level=error") {
		t.Errorf("log: %s", log)
	}
}

// A probe that does not answer for as long as it likes keeps nobody from the port.
func TestListensBeforeTheFirstDiscoveryHasEnded(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	probe := func(context.Context) ([]collector.Device, error) {
		close(begun)
		<-release
		return []collector.Device{newFakeGPU("sim:0", nil)}, nil
	}
	url, log, stop := serving(t, fakeProbe(probe), "--polling.deadline=1m") // nobody gives up on the probe
	<-begun
	get(t, url+"/", http.StatusOK)
	close(release)
	if body := get(t, url+"/metrics", http.StatusOK); !strings.Contains(body, `gpu_up{gpu="sim:0"} 1`) {
		t.Errorf("got\n%s", body)
	}
	if status := stop(); status != 0 {
		t.Errorf("status %d: %s", status, log)
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	_, complaint, status := finish(t, fakes(), "--web.listen-address=127.0.0.1:0", "--web.listen-address="+address)
	if status != 1 || !oneLine(complaint) || !strings.Contains(complaint, address) || !strings.Contains(complaint, "address already in use") ||
		!strings.Contains(complaint, "--web.listen-address") {
		t.Errorf("status %d, %q; want 1 and one line", status, complaint)
	}
}

func TestSeveralAddresses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	discovering := make(chan struct{}, 1)
	probe := fakeProbe(func(context.Context) ([]collector.Device, error) {
		discovering <- struct{}{}
		return nil, nil
	})
	_, log, status := start(ctx, probe, "--web.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0", "--history.store=memory")
	<-discovering // listening was told of before
	addresses := strings.Split(attribute(t, log.line(t, "msg=listening"), "address"), ",")
	if len(addresses) != 2 {
		t.Fatalf("listens on %q", addresses)
	}
	for _, a := range addresses {
		get(t, "http://"+a+"/", http.StatusOK)
	}
	cancel()
	if s := end(t, status, log); s != 0 {
		t.Errorf("status %d: %s", s, log)
	}
}

func TestMissingFoldersAreALineEach(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "nothing")
	for name, c := range map[string]struct {
		args []string
		want []string // flags that are told of
	}{
		"sysfs": {[]string{"--path.sysfs=" + missing, "--path.procfs=" + dir}, []string{"--path.sysfs"}},
		"both":  {[]string{"--path.sysfs=" + missing, "--path.procfs=" + missing}, []string{"--path.sysfs", "--path.procfs"}},
		"none":  {[]string{"--path.sysfs=" + dir, "--path.procfs=" + dir}, nil},
	} {
		url, log, stop := serving(t, nil, append(c.args, "--collector.simulation=off")...)
		get(t, url+"/metrics", http.StatusOK) // the first cycle has ended
		if status := stop(); status != 0 {
			t.Errorf("%s: status %d", name, status)
		}
		var told []string
		for l := range strings.Lines(log.String()) {
			if !strings.HasPrefix(l, "level=info") {
				told = append(told, attribute(t, l, "flag"))
			}
		}
		if strings.Join(told, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s: told of %q, want %q in\n%s", name, told, c.want, log)
		}
	}
}

// A hung GPU and a scrape that waits do not keep the program from its end.
func TestEndsWhileAGPUHangs(t *testing.T) {
	reading, release := make(chan struct{}, 1), make(chan struct{})
	defer close(release)
	hang := func(context.Context) error {
		reading <- struct{}{}
		<-release
		return nil
	}
	_, log, stop := serving(t, fakes(newFakeGPU("sim:0", hang)), "--polling.deadline=10ms")
	<-reading
	if status := stop(); status != 0 {
		t.Errorf("status %d: %s", status, log)
	}
	log.line(t, "shutting down")
}

func TestSignalsEndIt(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		cmd := exec.Command(realBinary(t), "--web.listen-address=127.0.0.1:0", "--path.sysfs="+t.TempDir())
		log := newOutput()
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		log.line(t, "msg=listening")
		begun := time.Now()
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v\n%s", signal, err, log)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%v: took %v", signal, took)
		}
	}
}

func TestWebConfig(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir)
	config := filepath.Join(dir, "web.yml")
	write(t, config, "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
	url, log, stop := serving(t, fakes(newFakeGPU("sim:0", nil)), "--web.config.file="+config)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	r, err := client.Get(strings.Replace(url, "http:", "https:", 1) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Errorf("by https: %s", r.Status)
	}
	client.CloseIdleConnections()
	if status := stop(); status != 0 {
		t.Errorf("status %d: %s", status, log)
	}

	write(t, config, "tls_server_config: {cert_file: nothing.pem, key_file: key.pem}\n")
	_, complaint, status := finish(t, fakes(), "--web.config.file="+config)
	if status != 2 || !oneLine(complaint) || !strings.Contains(complaint, "nothing.pem") {
		t.Errorf("status %d, %q; want 2 and one line that names nothing.pem", status, complaint)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// certificate makes cert.pem and key.pem.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

func TestReadyAfterTheFirstCycle(t *testing.T) {
	found := make(chan struct{})
	url, _, stop := serving(t, fakeProbe(func(ctx context.Context) ([]collector.Device, error) {
		select {
		case <-found:
		case <-ctx.Done():
		}
		return nil, nil
	}), "--polling.deadline=1m")
	get(t, url+"/-/healthy", http.StatusOK)
	get(t, url+"/-/ready", http.StatusServiceUnavailable)
	close(found)
	get(t, url+"/metrics", http.StatusOK) // waits for the first cycle
	get(t, url+"/-/ready", http.StatusOK) // GPU or not
	if status := stop(); status != 0 {
		t.Errorf("status %d", status)
	}
}
