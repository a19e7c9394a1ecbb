package faultfs

import (
	"bytes"
	"context"
	"errors"
	"gpu_exporter/internal/await"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fatal notes that a test was ended.
type fatal struct {
	testing.TB
	ended bool
}

func (f *fatal) Helper() {}

func (f *fatal) Fatalf(string, ...any) {
	f.ended = true
	runtime.Goexit()
}

// serving is what goroutines of trees are doing now.
func serving() int {
	buf := make([]byte, 1<<20)
	return bytes.Count(buf[:runtime.Stack(buf, true)], []byte("go-fuse"))
}

func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// Whatever hangs when a test ends, nothing is left of its tree.
func TestNothingIsLeft(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	before, files := serving(), descriptors(t)
	for _, op := range []Op{Open, Read} {
		var at string
		var mine <-chan result
		var child *exec.Cmd
		t.Run("with readers that are stuck", func(t *testing.T) {
			fs := Mount(t, folder(t))
			at = fs.Path
			i := fs.Inject(edge, Fault{On: op, Block: true})
			mine = later(func() result { return read(fs.at(edge)) })
			child = exec.Command("cat", fs.at(edge))
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			i.untilWaiting(t, 2)
			if !isMounted(t, at) {
				t.Error("it is not even mounted")
			}
		})
		wait(t, "the reader in this process", mine)
		_ = child.Wait() // it may have read the content or an error
		if isMounted(t, at) {
			t.Errorf("%s is still mounted", at)
		}
	}
	kept := -1
	t.Run("with a file open", func(t *testing.T) {
		fs := Mount(t, folder(t))
		var err error
		if kept, err = syscall.Open(fs.at(edge), syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	})
	pread(kept).want(t, "a file that was left open", "", syscall.ENOTCONN)
	_ = syscall.Close(kept)
	await.Until(t, "the goroutines gone", func() bool { return serving() == before })
	if n := descriptors(t); n != files {
		t.Errorf("%d descriptors, %d before", n, files)
	}
}

// A process that hangs in the tree can be killed, also after a signal that it has survived.
func TestKilledWhileBlocked(t *testing.T) {
	fs := Mount(t, folder(t))
	for _, op := range []Op{Open, Read} {
		i := fs.Inject(edge, Fault{On: op, Block: true})
		for _, first := range []syscall.Signal{0, syscall.SIGUSR1} {
			ctx, kill := context.WithCancel(t.Context())
			cmd := exec.CommandContext(ctx, "sh", "-c", `trap : USR1; read x <"$0"`, fs.at(edge))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			i.untilWaiting(t, 1)
			if first != 0 {
				if err := cmd.Process.Signal(first); err != nil {
					t.Fatal(err)
				}
				time.Sleep(30 * time.Millisecond) // until the kit has heard of it and found that it does not kill
			}
			kill()
			done := later(func() result { return result{err: cmd.Wait()} })
			wait(t, "a killed process", done)
			i.untilWaiting(t, 0)
		}
		i.Clear()
	}
	read(fs.at(edge)).want(t, "afterwards", "45000\n", nil)
}

// A child must not have what answers it: it would hang for ever when this process dies.
func TestChildrenDoNotServe(t *testing.T) {
	fs := Mount(t, folder(t))
	out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	if err != nil || bytes.Contains(out, []byte("/dev/fuse")) {
		t.Errorf("%s: a child has, %v:\n%s", fs.Path, err, out)
	}
}

// Who is not root may read where the modes let him.
func TestOtherUsers(t *testing.T) {
	dir := folder(t)
	if err := os.Chmod(dir+"/"+busy, 0o600); err != nil {
		t.Fatal(err)
	}
	fs := Mount(t, dir)
	for path := fs.Path; path != os.TempDir() && path != "/"; path = path[:strings.LastIndexByte(path, '/')] {
		if err := os.Chmod(path, 0o755); err != nil && !errors.Is(err, syscall.EROFS) {
			t.Fatal(err)
		}
	}
	cat := func(path string) result {
		cmd := exec.Command("cat", fs.at(path))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		return result{string(out), err}
	}
	if r := cat(edge); r.text != "45000\n" || r.err != nil {
		t.Errorf("a file for all: %q, %v", r.text, r.err)
	}
	if r := cat(busy); !strings.Contains(r.text, "Permission denied") {
		t.Errorf("a file for root: %q, %v", r.text, r.err)
	}
}

// A tree whose process was killed is taken away by the next that mounts one.
func TestSweep(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	dead, live := t.TempDir(), t.TempDir()
	for at, pid := range map[string]int{dead: child.Process.Pid, live: os.Getpid()} {
		fd, err := attach(at, pid)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Close(fd) })
	}
	t.Cleanup(func() { _ = detach(live) })
	fs := Mount(t, folder(t))
	if isMounted(t, dead) {
		t.Error("the dead tree is still mounted")
	}
	if !isMounted(t, live) || !isMounted(t, fs.Path) {
		t.Error("a live tree was taken away")
	}
	if !strings.Contains(mountinfo(t), kind+" "+source+strconv.Itoa(os.Getpid())+" ") {
		t.Errorf("mountinfo does not say who serves:\n%s", mountinfo(t))
	}
}
