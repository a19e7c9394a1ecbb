package worker

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// alive says whether a process is there and is no zombie.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// used counts what this process holds: descriptors, children, goroutines.
func used(t *testing.T) (descriptors, children, goroutines int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended
		children += len(strings.Fields(string(text)))
	}
	return len(fds), children, runtime.NumGoroutine()
}

// all counts those of any reason.
func (r *reasons) all() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, count := range r.n {
		n += count
	}
	return n
}
