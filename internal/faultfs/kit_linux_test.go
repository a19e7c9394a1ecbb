package faultfs

import (
	"errors"
	"gpu_exporter/internal/await"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	device  = "sys/class/drm/card1/device"
	busy    = device + "/gpu_busy_percent"
	status  = device + "/power/runtime_status"
	hwmon   = device + "/hwmon/hwmon4"
	edge    = hwmon + "/temp1_input"
	metrics = device + "/gpu_metrics"
	other   = "sys/class/drm/card2/device/gpu_busy_percent"
	fdinfo  = "proc/7/fdinfo/3"
	link    = "sys/bus/pci/0000:03:00.0" // to device
)

// table is what a binary file says, with bytes that are no text.
const table = "\x88\x00\x01\x03\xff\x00\n\x00\xff\xff"

func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for path, content := range map[string]string{
		busy: "7\n", status: "active\n", edge: "45000\n", hwmon + "/name": "amdgpu\n", metrics: table, other: "9\n",
		fdinfo: "drm-driver:\tamdgpu\n",
	} {
		at := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(link)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../class/drm/card1/device", filepath.Join(dir, link)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (fs *FS) at(path string) string { return filepath.Join(fs.Path, path) }

// open opens without package os, as the collectors do.
func open(t testing.TB, path string) int {
	t.Helper()
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	return fd
}

// result is what an operation gave.
type result struct {
	text string
	err  error
}

func pread(fd int) result {
	buf := make([]byte, 4096)
	n, err := syscall.Pread(fd, buf, 0)
	return result{string(buf[:max(n, 0)]), err}
}

func read(path string) result {
	content, err := os.ReadFile(path)
	return result{string(content), err}
}

func (r result) want(t testing.TB, what, text string, err error) {
	t.Helper()
	if r.text != text || !errors.Is(r.err, err) {
		t.Errorf("%s: %.40q, %v; want %.40q, %v", what, r.text, r.err, text, err)
	}
}

// later does an operation in a goroutine of its own.
func later(do func() result) <-chan result {
	done := make(chan result, 1)
	go func() { done <- do() }()
	return done
}

func wait(t testing.TB, what string, done <-chan result) result {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(patience):
		t.Fatalf("%s: no answer", what)
		return result{}
	}
}

func (i *Injection) untilWaiting(t testing.TB, n int) {
	t.Helper()
	await.Until(t, "operations that wait", func() bool { return i.Waiting() == n })
}

func inode(t testing.TB, path string) uint64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatalf("stat %s: %v", path, err)
	}
	return st.Ino
}

func mountinfo(t testing.TB) string {
	t.Helper()
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func isMounted(t testing.TB, at string) bool {
	return strings.Contains(mountinfo(t), " "+at+" ")
}
