package faultfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	kind     = "fuse.faultfs" // the type in mountinfo
	source   = "faultfs:"     // and the source, with the process that serves it behind
	maxRead  = 128 << 10
	patience = 10 * time.Second
)

// Available says why a tree cannot be mounted here, nil if it can.
func Available() error {
	at, err := os.MkdirTemp("", "faultfs")
	if err != nil {
		return err
	}
	defer os.Remove(at)
	fd, err := attach(at, os.Getpid())
	if err != nil {
		return err
	}
	return errors.Join(detach(at), syscall.Close(fd))
}

// Mount mounts a folder at a folder of the test's own until the test ends, and skips the test where that is impossible.
// It must not be called in a bubble of synctest; a test in one may use what is mounted.
func Mount(t testing.TB, dir string) *FS {
	t.Helper()
	if err := Available(); err != nil {
		t.Skipf("faultfs cannot be had here: %v", err)
	}
	sweep()
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	fs := newFS(t, dir, t.TempDir())
	if _, errno := fs.find(""); errno != 0 {
		t.Fatalf("faultfs: %s: %v", dir, errno)
	}
	ended, err := fs.serve()
	if err != nil {
		t.Fatalf("faultfs: %v", err)
	}
	stop := fs.beforeDeadline()
	t.Cleanup(func() {
		stop()
		fs.unmount(ended)
	})
	return fs
}

// serve mounts and begins to answer. ended is closed when nothing of it is left.
func (fs *FS) serve() (ended <-chan struct{}, err error) {
	fd, err := attach(fs.Path, os.Getpid())
	if err != nil {
		return nil, err
	}
	// MountOptions{DirectMount: true} would do what attach does, but leaves the descriptor open to children (v2.12.1,
	// mountDirect): a child that hangs in the tree would keep alive what it hangs in.
	s, err := fuse.NewServer(server{fuse.NewDefaultRawFileSystem(), fs}, fmt.Sprintf("/dev/fd/%d", fd), &fuse.MountOptions{
		MaxWrite:           maxRead,
		DisableXAttrs:      true,
		DisableReadDirPlus: true, // to list is not to look at
		DisableSplice:      true, // which keeps pipes that a test would count
		Logger:             log.New(logger{fs}, "faultfs: ", 0),
		PanicHandler: func(what any) fuse.Status {
			fs.tell(func() { fs.t.Errorf("faultfs: panic: %v\n%s", what, debug.Stack()) })
			return fuse.EIO
		},
	})
	if err != nil {
		return nil, errors.Join(err, detach(fs.Path))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve()
	}()
	if err := noPoll(fs.Path); err != nil {
		return nil, errors.Join(err, detach(fs.Path))
	}
	return done, nil
}

// noPoll makes the kernel learn that files here cannot be polled. When package os opens a file, the runtime polls it
// without letting another goroutine run, and one of this process would have to answer: go-fuse has this name for it.
func noPoll(at string) error {
	fd, err := unix.Open(filepath.Join(at, ".go-fuse-epoll-hack"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return unix.Close(fd)
}

// unmount lets go all that waits and leaves nothing behind, whoever still has files open.
func (fs *FS) unmount(ended <-chan struct{}) {
	fs.mu.Lock()
	fs.closed = true
	fs.clear()
	fs.mu.Unlock()
	if err := syscall.Unmount(fs.Path, 0); err != nil {
		if err := detach(fs.Path); err != nil {
			fs.t.Errorf("faultfs: unmount %s: %v", fs.Path, err)
		}
	}
	select {
	case <-ended:
	case <-time.After(patience):
		fs.t.Errorf("faultfs: %s is still being served", fs.Path)
	}
}

// beforeDeadline lets go what is blocked shortly before the test run is ended for taking too long: a process that waits
// for itself would not end.
func (fs *FS) beforeDeadline() (stop func() bool) {
	t, ok := fs.t.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return func() bool { return true }
	}
	deadline, ok := t.Deadline()
	if !ok {
		return func() bool { return true }
	}
	left := time.Until(deadline)
	return time.AfterFunc(left-min(left/4, patience), func() {
		fs.tell(func() {
			fs.t.Errorf("faultfs: the deadline of the test is near, what is blocked is let go")
			fs.closed = true
			fs.clear()
		})
	}).Stop
}

// tell calls f unless the test is ending and may not be told any more.
func (fs *FS) tell(f func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !fs.closed {
		f()
	}
}

// logger tells the test what go-fuse says.
type logger struct{ fs *FS }

var _ io.Writer = logger{}

func (l logger) Write(line []byte) (int, error) {
	l.fs.tell(func() { l.fs.t.Logf("%s", bytes.TrimSpace(line)) })
	return len(line), nil
}

// attach mounts a file system, which answers by the descriptor.
func attach(at string, pid int) (fd int, err error) {
	fd, err = syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/fuse: %w", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d,max_read=%d,allow_other,default_permissions",
		fd, syscall.S_IFDIR, os.Geteuid(), os.Getegid(), maxRead)
	const flags = syscall.MS_RDONLY | syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	if err := syscall.Mount(source+strconv.Itoa(pid), at, kind, flags, options); err != nil {
		_ = syscall.Close(fd)
		return -1, fmt.Errorf("mount, as user %d: %w", os.Geteuid(), err)
	}
	return fd, nil
}

// detach ends what is under way with an error (MNT_FORCE aborts the connection, so that /sys/fs/fuse/connections need not
// be mounted) and takes the tree away from where it is, also from under open files.
func detach(at string) error { return syscall.Unmount(at, syscall.MNT_FORCE|syscall.MNT_DETACH) }

// sweep takes away the trees of processes that ended without doing so, and by that ends those that could not.
func sweep() {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(mounts)) {
		// id parent device root AT options fields... - TYPE SOURCE options; see proc_pid_mountinfo(5).
		before, after, _ := strings.Cut(line, " - ")
		place, what := strings.Fields(before), strings.Fields(after)
		if len(place) < 5 || len(what) < 2 || what[0] != kind {
			continue
		}
		pid, err := strconv.ParseUint(strings.TrimPrefix(what[1], source), 10, 32)
		if err == nil && dying(uint32(pid)) {
			_ = detach(place[4])
		}
	}
}
