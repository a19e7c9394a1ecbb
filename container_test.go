//go:build container

package main

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// tool runs podman or buildah, with the storage that .ci/containers has made for these tests, and returns what it prints.
func tool(name string, args ...string) (string, error) {
	for _, variable := range []string{"CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"} {
		if os.Getenv(variable) == "" {
			return "", fmt.Errorf("%s is not set: run .ci/containers", variable)
		}
	}
	out, err := exec.Command(name, args...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s %v: %w\n%s%s", name, args, err, out, failed.Stderr)
	}
	return string(out), err
}

func mustTool(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := tool(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

const testImage = "localhost/gpu_exporter:test"

// buildImage builds the Dockerfile as it stands. This machine's Go and its caches are lent to it; nothing is downloaded.
func buildImage(tag string, args ...string) error {
	said, err := tool("go", "env", "GOROOT", "GOMODCACHE", "GOCACHE")
	if err != nil {
		return err
	}
	lent := strings.Fields(said)
	build := []string{"bud", "--file", "Dockerfile", "--tag", tag, "--isolation", "chroot", "--pull-never",
		"--format", "docker", // an image of the OCI format has no health check
		"--timestamp", "0", // instead of now
		"--volume", lent[0] + ":/usr/local/go:ro",
		"--volume", lent[1] + ":/go/pkg/mod:ro",
		"--volume", lent[2] + ":/root/.cache/go-build"}
	_, err = tool("buildah", slices.Concat(build, args, []string{"."})...)
	return err
}

var imageBuilt = sync.OnceValue(func() error { return buildImage(testImage) })

// image is what podman says of an image.
type image struct {
	Architecture string
	Size         int64
	Created      time.Time
	Config       struct {
		User, WorkingDir  string
		Env, Entrypoint   []string
		Cmd, ExposedPorts any
		Labels            map[string]string
	}
	Healthcheck struct {
		Test                           []string
		Interval, Timeout, StartPeriod time.Duration
		Retries                        int
	}
	RootFS  struct{ Layers []string }
	History []struct{ Created time.Time }
}

func inspectImage(t *testing.T, tag string) (i image) {
	t.Helper()
	list := []*image{&i}
	if err := json.Unmarshal([]byte(mustTool(t, "podman", "image", "inspect", tag)), &list); err != nil {
		t.Fatal(err)
	}
	return i
}

// ourImage is testImage, built.
func ourImage(t *testing.T) (tag string) {
	t.Helper()
	if err := imageBuilt(); err != nil {
		t.Fatal(err)
	}
	return testImage
}

// mounted is the folder where the files of an image are seen.
func mounted(t *testing.T, tag string) string {
	t.Helper()
	folder := mustTool(t, "podman", "image", "mount", tag)
	t.Cleanup(func() {
		if _, err := tool("podman", "image", "unmount", tag); err != nil {
			t.Error(err)
		}
	})
	return folder
}

func TestImageSaysHowItRuns(t *testing.T) {
	i := inspectImage(t, ourImage(t))
	if i.Size >= 20e6 {
		t.Errorf("%d bytes, want less than 20 MB", i.Size)
	}
	t.Logf("the image has %.1f MB", float64(i.Size)/1e6)
	var want image
	want.Config.User, want.Config.WorkingDir = "1000:1000", "/app"
	want.Config.Env = []string{"PATH=/:/usr/bin", "GPU_EXPORTER_HISTORY_PATH=/app/cache",
		"GPU_EXPORTER_LOG_FILE=/app/logs/gpu_stats.log"}
	want.Config.Entrypoint = []string{"/gpu_exporter"}
	want.Config.ExposedPorts = map[string]any{"5009/tcp": map[string]any{}}
	check := &want.Healthcheck
	check.Test, check.Retries = []string{"CMD", "/gpu_exporter", "health"}, 3
	check.Interval, check.Timeout, check.StartPeriod = 30*time.Second, 10*time.Second, 30*time.Second
	labels := i.Config.Labels
	i.Config.Labels = nil
	if diff := cmp.Diff(want.Config, i.Config) + cmp.Diff(want.Healthcheck, i.Healthcheck); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
	for _, label := range []string{"title", "description", "licenses"} {
		if labels["org.opencontainers.image."+label] == "" {
			t.Errorf("no label %s among %v", label, labels)
		}
	}
}

// No shell, no library, no package manager: whoever gets in finds nothing to go on with.
func TestImageHoldsTheBinaryAndNothingElse(t *testing.T) {
	root := mounted(t, ourImage(t))
	got := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		about, err := d.Info()
		if err != nil {
			return err
		}
		owner := about.Sys().(*syscall.Stat_t)
		got[strings.TrimPrefix(path, root)] = fmt.Sprintf("%v %d:%d", about.Mode(), owner.Uid, owner.Gid)
		if !about.ModTime().Equal(time.Unix(0, 0)) {
			t.Errorf("%s is of %v: an image of the same source would differ", path, about.ModTime())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"/gpu_exporter": "-rwxr-xr-x 0:0",
		"/LICENSE":      "-rw-r--r-- 0:0",
		"/NOTICE":       "-rw-r--r-- 0:0",
		"/app":          "drwxr-xr-x 1000:1000",
		"/app/cache":    "drwxr-xr-x 1000:1000",
		"/app/logs":     "drwxr-xr-x 1000:1000",
		"/etc":          "drwxr-xr-x 0:0",
		"/etc/group":    "-rw-r--r-- 0:0",
		"/etc/passwd":   "-rw-r--r-- 0:0",
		"/usr":          "drwxr-xr-x 0:0",
		"/usr/bin":      "drwxr-xr-x 0:0",
		"/usr/bin/curl": "Lrwxrwxrwx 0:0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
	if target, err := os.Readlink(filepath.Join(root, "usr/bin/curl")); err != nil || target != "/gpu_exporter" {
		t.Errorf("curl leads to %q, %v", target, err)
	}
}

// machine is the processor that a binary is for. Nothing of it is looked up at run time.
func machine(t *testing.T, path string) elf.Machine {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: it has a segment %v", path, p.Type)
		}
	}
	return f.Machine
}

func TestImageForEachProcessor(t *testing.T) {
	const arm64 = testImage + "-arm64"
	// What BuildKit knows by itself has to be told to buildah 1.28: the platform of the machine that builds.
	if err := buildImage(arm64, "--platform", "linux/arm64", "--build-arg", "BUILDPLATFORM=linux/"+runtime.GOARCH); err != nil {
		t.Fatal(err)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for tag, arch := range map[string]string{ourImage(t): runtime.GOARCH, arm64: "arm64"} {
		if i := inspectImage(t, tag); i.Architecture != arch {
			t.Errorf("%s is for %s, want %s", tag, i.Architecture, arch)
		}
		binary := filepath.Join(mounted(t, tag), "gpu_exporter")
		if got := machine(t, binary); got != machines[arch] {
			t.Errorf("%s: the binary is for %v, want %v", tag, got, machines[arch])
		}
		about, err := buildinfo.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range about.Settings {
			if strings.HasPrefix(s.Key, "vcs") || s.Key == "CGO_ENABLED" && s.Value != "0" || s.Key == "-trimpath" && s.Value != "true" {
				t.Errorf("%s: built with %s=%s", tag, s.Key, s.Value)
			}
		}
	}
}

func TestImageIsTheSameWhenBuiltAgain(t *testing.T) {
	first := inspectImage(t, ourImage(t))
	const tag = testImage + "-again"
	if err := buildImage(tag); err != nil {
		t.Fatal(err)
	}
	again := inspectImage(t, tag)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("- first, + again:\n%s", diff)
	}
	if len(first.RootFS.Layers) == 0 || len(first.History) == 0 {
		t.Fatalf("no layers or no history to compare: %+v", first)
	}
	for _, step := range first.History {
		if !step.Created.Equal(time.Unix(0, 0)) {
			t.Errorf("a step is of %v", step.Created)
		}
	}
}

// container is a running container, and the exporter in it.
type container struct {
	server
	name, address string
}

// ownPort is 5009 on loopback, which the compose file's health check asks, or another where it is taken.
func ownPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:5009")
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startContainer runs the image as the compose file says, in a folder as its project directory, and as further arguments of
// podman say. The network is the host's: bridges leave rules behind on the machine.
func startContainer(t *testing.T, folder string, args ...string) *container {
	t.Helper()
	s := ourCompose(t, folder, nil).Services["gpu-stats-service"]
	c := &container{name: s.ContainerName, address: ownPort(t)}
	c.url = "http://" + c.address
	limits, reserved := s.Deploy.Resources.Limits, s.Deploy.Resources.Reservations
	run := []string{"run", "--detach", "--name", s.ContainerName, "--user", s.User, "--restart", s.Restart, "--network", "host",
		fmt.Sprintf("--read-only=%v", s.ReadOnly), fmt.Sprintf("--cpus=%v", limits.NanoCPUs.Value()),
		fmt.Sprintf("--memory=%d", limits.MemoryBytes), fmt.Sprintf("--memory-reservation=%d", reserved.MemoryBytes),
		"--env", "GPU_EXPORTER_WEB_LISTEN_ADDRESS=" + c.address}
	for _, capability := range s.CapDrop {
		run = append(run, "--cap-drop", strings.ToLower(capability))
	}
	for _, option := range s.SecurityOpt {
		run = append(run, "--security-opt", strings.TrimSuffix(option, ":true")) // podman has the word alone
	}
	for name, value := range s.Environment {
		run = append(run, "--env", name+"="+*value)
	}
	for _, v := range s.Volumes {
		if err := os.MkdirAll(v.Source, 0o755); err != nil { // as Docker makes them
			t.Fatal(err)
		}
		run = append(run, "--volume", v.Source+":"+v.Target)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the container logged:\n%s", c.logs())
		}
		if _, err := tool("podman", "rm", "--force", "--time", "5", c.name); err != nil {
			t.Error(err)
		}
	})
	mustTool(t, "podman", append(append(run, args...), ourImage(t))...)
	return c
}

func (c *container) port(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(c.address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (c *container) logs() string {
	out, err := exec.Command("podman", "logs", c.name).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v\n%s", err, out)
	}
	return string(out)
}

// warnings are the lines of the log that say that something is not as it should be.
func (c *container) warnings() (lines []string) {
	for line := range strings.Lines(c.logs()) {
		wrong := strings.HasPrefix(line, "level=warn") || strings.HasPrefix(line, "level=error")
		if wrong && !strings.Contains(line, "GPUs are simulated") {
			lines = append(lines, line)
		}
	}
	return lines
}

// untilItLogs waits for a part of the log.
func (c *container) untilItLogs(t *testing.T, part string) {
	t.Helper()
	await.Until(t, "in the log: "+part, func() bool { return strings.Contains(c.logs(), part) }, c.logs)
}

// inspect is what podman says of the container, by a template.
func (c *container) inspect(t *testing.T, template string) string {
	t.Helper()
	return mustTool(t, "podman", "inspect", "--format", template, c.name)
}

// exec runs a command in the container, and returns what it printed and its status.
func (c *container) exec(t *testing.T, args ...string) (said string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "podman", append([]string{"exec", c.name}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// untilHealthy runs the image's health check as an engine does, as long as an engine waits for the first good one.
func (c *container) untilHealthy(t *testing.T) {
	t.Helper()
	pause := time.NewTicker(time.Second)
	defer pause.Stop()
	for late := time.After(30*time.Second + 3*30*time.Second); ; {
		_, err := tool("podman", "healthcheck", "run", c.name)
		if err == nil {
			break
		}
		select {
		case <-pause.C:
		case <-late:
			t.Fatalf("not healthy: %v", err)
		}
	}
	if status := c.inspect(t, "{{.State.Health.Status}}"); status != "healthy" {
		t.Errorf("the container is %s, want healthy", status)
	}
}

// untilOK waits until an address answers well, and returns how long that took.
func untilOK(t *testing.T, url string, limit time.Duration) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	begin := time.Now()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		_, err := alive(ctx, url)
		if err == nil {
			return time.Since(begin)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			t.Fatalf("%s: no 200 within %v: %v", url, limit, err)
		}
	}
}

// limitOf is the memory limit that the kernel holds a process to, by either version of cgroups.
func limitOf(t *testing.T, pid string) string {
	t.Helper()
	groups, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		file := filepath.Join("/sys/fs/cgroup", parts[2], "memory.max")
		if parts[1] == "memory" {
			file = filepath.Join("/sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes")
		}
		if limit, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(limit))
		}
	}
	t.Fatalf("no memory limit by\n%s", groups)
	return ""
}

// What clients and tests of the old service ask of its container (legacy-api.md, sections 1 and 12).
func TestContainerTakesTheOldOnesPlace(t *testing.T) {
	tree := ownCase(t, "discrete")
	c := startContainer(t, t.TempDir(), "--volume", tree+":/host:ro",
		"--env", "GPU_EXPORTER_PATH_SYSFS=/host/sys", "--env", "GPU_EXPORTER_PATH_PROCFS=/host/proc")

	// test_docker_services.py
	t.Logf("/health is 200 %v after the start", untilOK(t, c.url+"/health", 15*time.Second))
	timely(t, "first frame", 5*time.Second, func(arrived func()) {
		kind, data := frame(t, socket(t, &c.server, "/ws/gpu-stats"))
		arrived()
		if !strings.Contains(kind, "gpu") {
			t.Errorf("first frame: %s %s", kind, data)
		}
	})
	const limit = "536870912"
	pid := c.inspect(t, "{{.State.Pid}}")
	if told, held := c.inspect(t, "{{.HostConfig.Memory}}"), limitOf(t, pid); told != limit || held != limit {
		t.Errorf("memory limit %s, the kernel has %s, want %s", told, held, limit)
	}
	var percent float64
	load := mustTool(t, "podman", "stats", "--no-stream", "--format", "{{.CPUPerc}}", c.name)
	if _, err := fmt.Sscanf(load, "%f%%", &percent); err != nil || percent >= 90 {
		t.Errorf("CPU %s, %v, want less than 90 %%", load, err)
	}

	// test_gpu_integration.py, check 6, and the routes of the others
	if up := mustTool(t, "podman", "ps", "--filter", "name=jarvis_gpu_stats", "--format", "{{.Status}}"); !strings.Contains(up, "Up") {
		t.Errorf("podman ps says %q, want Up", up)
	}
	if out, err := exec.Command("podman", "logs", "--tail", "5", "jarvis_gpu_stats").CombinedOutput(); err != nil || len(out) == 0 {
		t.Errorf("podman logs: %q, %v", out, err)
	}
	c.until(t, "the card", func(m hwcase.Samples) bool { return m[edge(first)] != 0 })
	for path, want := range map[string]string{
		"/health":                `{"status":"healthy","service":"gpu-stats-service",`,
		"/gpu/info":              `{"gpu_info":{"name":"AMD Radeon RX 7900 XTX","memory_total":`,
		"/gpu/stats":             `{"name":"AMD Radeon RX 7900 XTX","temperature":45.0,`,
		"/gpu/history?minutes=1": `{"history":[`,
		"/gpus":                  `{"schema":1,"version":"` + strings.TrimSpace(released) + `"`,
		"/":                      `{"service":"gpu-stats-service",`,
	} {
		if body := get(t, c.url+path, http.StatusOK); !strings.HasPrefix(body, want) {
			t.Errorf("%s: %s, want %s...", path, body, want)
		}
	}

	// the health checks of the image and of the compose file
	c.untilHealthy(t)
	check := slices.Clone(ourCompose(t, t.TempDir(), nil).Services["gpu-stats-service"].HealthCheck.Test[1:])
	check[len(check)-1] = strings.Replace(check[len(check)-1], "localhost:5009", "localhost:"+c.port(t), 1)
	if said, status := c.exec(t, check...); status != 0 || !strings.HasPrefix(said, `{"status":"healthy"`) {
		t.Errorf("%v: %d, %s", check, status, said)
	}

	t.Run("rights", func(t *testing.T) {
		about := map[string]string{}
		status, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			about[key] = strings.Join(strings.Fields(value), " ")
		}
		const none = "0000000000000000"
		for key, want := range map[string]string{"Uid": "1000 1000 1000 1000", "Gid": "1000 1000 1000 1000", "NoNewPrivs": "1",
			"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none} {
			if about[key] != want {
				t.Errorf("%s is %q, want %q", key, about[key], want)
			}
		}
		said, exit := c.exec(t, "curl", "-f", "-o", "/app/x", c.url+"/health")
		if exit != 23 || !strings.Contains(said, "read-only file system") {
			t.Errorf("writing to the root: %d, %s", exit, said)
		}
		for _, shell := range []string{"sh", "bash", "/bin/sh", "busybox"} {
			if said, status := c.exec(t, shell, "-c", "true"); status == 0 {
				t.Errorf("there is a shell, %s: %s", shell, said)
			}
		}
	})

	if n := c.inspect(t, "{{.RestartCount}}"); n != "0" {
		t.Errorf("it was restarted %s times", n)
	}
	// What has not ended after these seconds is killed, and has another status.
	mustTool(t, "podman", "stop", "--time", "5", c.name)
	if status := c.inspect(t, "{{.State.ExitCode}}"); status != "0" {
		t.Errorf("status %s at the end, want 0", status)
	}
}

// Docker makes folders that are missing as root. They cost a warning each, never the service.
func TestContainerWithFoldersOfRootAndOfItsUser(t *testing.T) {
	for _, c := range []struct {
		owner    int
		warnings []string
		written  bool
	}{
		{0, []string{"the history is not written", "the log file cannot be written"}, false},
		{1000, nil, true},
	} {
		t.Run(fmt.Sprint(c.owner), func(t *testing.T) {
			folder := t.TempDir()
			logs, cache := filepath.Join(folder, "logs"), filepath.Join(folder, "services/gpu-stats-service/cache")
			for _, f := range []string{logs, cache} {
				if err := errors.Join(os.MkdirAll(f, 0o755), os.Chown(f, c.owner, c.owner)); err != nil {
					t.Fatal(err)
				}
			}
			s := startContainer(t, folder)
			untilOK(t, s.url+"/health", 15*time.Second)
			s.untilHealthy(t)
			for _, part := range c.warnings {
				s.untilItLogs(t, part)
			}
			if got := s.warnings(); len(got) != len(c.warnings) {
				t.Errorf("the warnings %q, want %q", got, c.warnings)
			}
			mustTool(t, "podman", "stop", "--time", "5", s.name)
			for _, file := range []string{filepath.Join(logs, "gpu_stats.log"), filepath.Join(cache, "history.db")} {
				if about, err := os.Stat(file); (err == nil && about.Size() > 0) != c.written {
					t.Errorf("%s: %v, want it written: %v", file, err, c.written)
				}
			}
		})
	}
}

// The health checks know nothing of TLS and passwords, and pass all the same.
func TestContainerWithTLSAndPasswords(t *testing.T) {
	config, _ := secured(t)
	folder := filepath.Dir(config)
	files, err := filepath.Glob(folder + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Chown(f, 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	c := startContainer(t, t.TempDir(), "--volume", folder+":"+folder+":ro", "--env", "GPU_EXPORTER_WEB_CONFIG_FILE="+config)
	c.untilHealthy(t)
	for _, url := range []string{"http://localhost:" + c.port(t) + "/health", "https://localhost:" + c.port(t) + "/health"} {
		if said, status := c.exec(t, "curl", "-f", url); status != 0 {
			t.Errorf("curl -f %s: %d, %s", url, status, said)
		}
	}
}
