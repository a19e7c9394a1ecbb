//go:build live || compare

package main

import (
	"bytes"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// sharedCase lays one of the shared hardware cases into a tree.
func sharedCase(t testing.TB, name string) string {
	t.Helper()
	c := hwcase.Case{Name: name, Dir: filepath.Join("../shared/fixtures/amd", name)}
	tree, err := c.Tree(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// freeAddress is an address of loopback that nobody listens on now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startTool runs a tool until the test ends.
func startTool(t testing.TB, name string, args ...string) (pid int) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(".tools", name))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run .ci/tools first", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, &complaints)
		}
	})
	return cmd.Process.Pid
}

// awaitOK waits until an address answers well.
func awaitOK(t testing.TB, url string) {
	t.Helper()
	await.Until(t, url+" answers", func() bool {
		answer, err := http.Get(url)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}
