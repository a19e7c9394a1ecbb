package compat

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The file is cut, or filled with noise, while it is open and mapped. Nobody who records notices; who asks gets an error at
// most once; what was cut is set aside, and recording goes on in a new file with all that memory has.
func TestFileThatIsDamagedWhileItIsOpen(t *testing.T) {
	const n = 1800
	for _, size := range []int64{0, 1, pageSize, 2 * pageSize, 5 * pageSize, 16 * pageSize} {
		for _, readFirst := range []bool{true, false} {
			name := fmt.Sprintf("cut to %d, read first: %v", size, readFirst)
			f := openFileWith(t, n)
			if err := os.Truncate(f.path, size); err != nil {
				t.Fatal(err)
			}
			survives(t, name, f, readFirst, n)
		}
	}
	for page := 2; page < 20; page++ {
		f := openFileWith(t, n)
		file, err := os.OpenFile(f.path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(bytes.Repeat([]byte{0xa5}, pageSize), int64(page)*pageSize); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		survives(t, fmt.Sprintf("noise in page %d", page), f, true, n)
	}
}

// openFileWith is an open File that has written so many seconds.
func openFileWith(t *testing.T, n int) *manual {
	t.Helper()
	f := manualFile(t, t.TempDir())
	for s := 0; s < n; s += 150 {
		f.record(t, secondsOf(s, s+150, "a", "b"))
		f.step()
	}
	return f
}

func survives(t *testing.T, name string, f *manual, readFirst bool, n int) {
	t.Helper()
	failed := 0
	read := func() {
		for _, err := range f.Range("b", at.AddDate(-1, 0, 0), at.AddDate(1, 0, 0)) {
			if err != nil {
				failed++
			}
		}
	}
	if readFirst {
		read()
	}
	f.record(t, secondsOf(n, n+30, "a", "b"))
	f.step() // finds out
	f.record(t, secondsOf(n+30, n+60, "a", "b"))
	f.step() // opens it again
	if !readFirst {
		read()
	}
	if failed > 1 {
		t.Errorf("%s: %d readers failed", name, failed)
	}
	wantSeconds(t, name, f, "a", 0, n+60) // the last hour is in memory
	if got := f.memory.waiting(); got != 0 {
		t.Errorf("%s: %d entries wait, log:\n%s", name, got, f.log)
	}
	if err := f.end(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	r := reader(t, f.o.Path)
	got := past(t, r)
	if len(got) < 60 || got[len(got)-1] != float64(n+59) {
		t.Errorf("%s: %d entries in the file", name, len(got))
	}
}

// mounted is a folder with a file system of its own.
func mounted(t *testing.T, kind, options string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := unix.Mount(kind, folder, kind, 0, options); err != nil {
		t.Skipf("cannot mount a %s: %v", kind, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// The disk is full: it is said once and counted each time, what is in the file and what is new can be asked for, and when
// there is room again all of it is written.
func TestFileOnAFullDisk(t *testing.T) {
	folder := mounted(t, "tmpfs", "size=1m")
	f := manualFile(t, folder)
	ballast := filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for f.WriteErrors() < 20 {
		if n > 24*3600 {
			t.Fatal("the disk does not get full")
		}
		f.record(t, secondsOf(n, n+30, "a", "b", "c", "d"))
		n += 30
		f.step()
	}
	wantSeconds(t, "full", f, "a", 0, n)
	if f.log.count("the history is not written") != 1 || f.log.count("make room") != 1 || f.log.count("set aside") != 0 {
		t.Errorf("log:\n%s", f.log)
	}
	if waiting := f.memory.waiting(); waiting != 20*30*4 {
		t.Errorf("%d entries wait", waiting)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	f.record(t, secondsOf(n, n+30, "a", "b", "c", "d"))
	n += 30
	f.step()
	if f.log.count("the history is written again") != 1 || f.log.count("lost_entries=0") != 1 {
		t.Errorf("log:\n%s", f.log)
	}
	if err := f.end(); err != nil {
		t.Error(err)
	}
	for _, gpu := range []string{"a", "b", "c", "d"} {
		wantSeconds(t, "with room", reader(t, folder), gpu, 0, n)
	}
}

// A disk that is full from the start: no part of a file is left that would be taken for a damaged one.
func TestFileBegunOnAFullDisk(t *testing.T) {
	for _, room := range []int{0, pageSize, 3 * pageSize, 4 * pageSize, 6 * pageSize} {
		folder := mounted(t, "tmpfs", "size=256k")
		ballast := filepath.Join(folder, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 256<<10-room), 0o600); err != nil {
			t.Fatal(err)
		}
		f := manualFile(t, folder)
		f.record(t, secondsOf(0, 300, "a"))
		for range 4 {
			f.step()
		}
		wantSeconds(t, "full", f, "a", 0, 300)
		if f.WriteErrors() != 4 || f.log.count("the history is not written") != 1 {
			t.Errorf("room for %d: %d errors, log:\n%s", room, f.WriteErrors(), f.log)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		f.step()
		if err := f.end(); err != nil {
			t.Error(err)
		}
		wantSeconds(t, "with room", reader(t, folder), "a", 0, 300)
		if got := names(t, folder); len(got) != 1 {
			t.Errorf("room for %d: %v", room, got)
		}
	}
}

// A folder that cannot be written: memory alone, one warning, and the file as soon as it can.
func TestFileInAFolderThatCannotBeWritten(t *testing.T) {
	folder := mounted(t, "tmpfs", "size=1m")
	filled(t, folder, 300, "a")
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", folder, "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	f := manualFile(t, folder)
	f.record(t, secondsOf(300, 360, "a"))
	f.step()
	f.step()
	wantSeconds(t, "in memory", f, "a", 300, 360)
	if f.log.count("the history is not written") != 1 || f.log.count("so that it can be written") != 1 || f.log.count(" path="+f.path) != 1 {
		t.Errorf("log:\n%s", f.log)
	}
	r := reader(t, folder)
	wantSeconds(t, "an export reads it", r, "a", 0, 300)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	remount(0)
	f.step()
	wantSeconds(t, "it can be written", f, "a", 0, 360)
	if f.log.count("the history is written again") != 1 {
		t.Errorf("log:\n%s", f.log)
	}
	if err := f.end(); err != nil {
		t.Error(err)
	}
}

// The folder is owned by root, as Docker makes it where it is missing: the warning has the line that mends it.
func TestFileInAFolderOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	folder := t.TempDir()
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	f := manualFile(t, folder)
	as(t, 1000, 1001, func() {
		f.record(t, secondsOf(0, 10, "a"))
		f.step()
		f.step()
	})
	if f.log.count("the history is not written") != 1 || f.log.count(`fix="chown -R 1000:1001 `+folder+`"`) != 1 {
		t.Errorf("log:\n%s", f.log)
	}
	if err := os.Chown(folder, 1000, 1001); err != nil {
		t.Fatal(err)
	}
	as(t, 1000, 1001, f.step)
	if f.log.count("the history is written again") != 1 {
		t.Errorf("log:\n%s", f.log)
	}
}

// as runs fn in a thread of its own with another uid and gid, which Linux has for each thread.
func as(t *testing.T, uid, gid uintptr, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never back: the thread ends with the goroutine
		for _, call := range []struct{ trap, id uintptr }{{syscall.SYS_SETRESGID, gid}, {syscall.SYS_SETRESUID, uid}} {
			if _, _, errno := syscall.RawSyscall(call.trap, call.id, call.id, call.id); errno != 0 {
				t.Error(errno)
				return
			}
		}
		fn()
	}()
	<-done
}
