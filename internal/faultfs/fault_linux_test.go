package faultfs

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// Each fault is seen by a descriptor that was open before, by a new one, and by nobody once it is cleared.
func TestFaults(t *testing.T) {
	fs := Mount(t, folder(t))
	digits := strings.Repeat("7", 1<<20)
	says := func(text string) result { return result{text, nil} }
	fails := func(errno syscall.Errno) result { return result{"", errno} }
	for _, c := range []struct {
		name    string
		file    string
		pattern string
		fault   Fault
		kept    result // of one pread of 4096 bytes
		opened  result
	}{
		{"EIO at read", edge, edge, Fault{Errno: syscall.EIO}, fails(syscall.EIO), fails(syscall.EIO)},
		{"EBUSY at read", edge, edge, Fault{On: Read, Errno: syscall.EBUSY}, fails(syscall.EBUSY), fails(syscall.EBUSY)},
		{"EACCES at open", edge, edge, Fault{On: Open, Errno: syscall.EACCES}, says("45000\n"), fails(syscall.EACCES)},
		{"EIO of the card", edge, "sys/class/drm/card1", Fault{On: Open | Read, Errno: syscall.EIO}, fails(syscall.EIO), fails(syscall.EIO)},
		{"by a pattern", edge, "sys/class/drm/card*/device/hwmon/*/temp?_input", Fault{Errno: syscall.EIO}, fails(syscall.EIO), fails(syscall.EIO)},
		{"through a link", edge, link + "/hwmon", Fault{Errno: syscall.EIO}, fails(syscall.EIO), fails(syscall.EIO)},
		{"elsewhere", edge, "sys/class/drm/card2", Fault{Errno: syscall.EIO}, says("45000\n"), says("45000\n")},
		{"half a name", edge, "sys/class/drm/card", Fault{Errno: syscall.EIO}, says("45000\n"), says("45000\n")},
		{"garbage", busy, busy, Fault{Change: Text("\x00\xff%n")}, says("\x00\xff%n"), says("\x00\xff%n")},
		{"empty", busy, busy, Fault{Change: Text("")}, says(""), says("")},
		{"1 MB of digits", busy, busy, Fault{Change: Text(digits)}, says(digits[:4096]), says(digits)},
		{"truncated", metrics, metrics, Fault{Change: Cut(4)}, says(table[:4]), says(table[:4])},
		{"truncated to more than there is", metrics, metrics, Fault{Change: Cut(400)}, says(table), says(table)},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := read(fs.at(c.file))
			fd := open(t, fs.at(c.file))
			i := fs.Inject(c.pattern, c.fault)
			pread(fd).want(t, "open before", c.kept.text, c.kept.err)
			read(fs.at(c.file)).want(t, "opened now", c.opened.text, c.opened.err)
			if met, felt := i.Hits() > 0, c.opened != content || c.fault.Change != nil; met != felt {
				t.Errorf("%d operations have met the fault", i.Hits())
			}
			i.Clear()
			pread(fd).want(t, "cleared, open before", content.text, nil)
			read(fs.at(c.file)).want(t, "cleared, opened now", content.text, nil)
		})
	}
}

func TestFaultsAddUp(t *testing.T) {
	fs := Mount(t, folder(t))
	fd := open(t, fs.at(metrics))
	fs.Inject(metrics, Fault{Change: Cut(6)})
	fs.Inject(device, Fault{Change: func(content []byte) []byte { return append([]byte("x"), content...) }})
	pread(fd).want(t, "both", "x"+table[:6], nil)
	once := fs.Inject(metrics, Fault{Errno: syscall.EIO, Times: 2})
	pread(fd).want(t, "once", "", syscall.EIO)
	pread(fd).want(t, "twice", "", syscall.EIO)
	pread(fd).want(t, "not thrice", "x"+table[:6], nil)
	if n := once.Hits(); n != 2 {
		t.Errorf("%d hits, want 2", n)
	}
	fs.Clear()
	pread(fd).want(t, "cleared", table, nil)
}

func TestListFails(t *testing.T) {
	fs := Mount(t, folder(t))
	fs.Inject(device+"/hwmon", Fault{On: List, Errno: syscall.EACCES})
	if _, err := os.ReadDir(fs.at(hwmon)); !errors.Is(err, syscall.EACCES) {
		t.Errorf("list: %v, want EACCES", err)
	}
	read(fs.at(edge)).want(t, "a file in it", "45000\n", nil)
}

func TestBlock(t *testing.T) {
	fs := Mount(t, folder(t))
	fd := open(t, fs.at(edge))
	for _, c := range []struct {
		name    string
		on      Op
		do      func() result
		release func(*Injection)
		want    string
		err     error
		left    int // faults that a later operation meets
	}{
		{"read, cleared", Read, func() result { return pread(fd) }, (*Injection).Clear, "45000\n", nil, 0},
		{"read, released", Read, func() result { return pread(fd) }, (*Injection).Release, "", syscall.EIO, 1},
		{"read of all, cleared", Read, func() result { return read(fs.at(edge)) }, (*Injection).Clear, "45000\n", nil, 0},
		{"open, cleared", Open, func() result { return read(fs.at(edge)) }, (*Injection).Clear, "45000\n", nil, 0},
		{"open, released", Open, func() result { return read(fs.at(edge)) }, (*Injection).Release, "", syscall.EIO, 1},
		{"all cleared", Read, func() result { return pread(fd) }, func(*Injection) { fs.Clear() }, "45000\n", nil, 0},
	} {
		i := fs.Inject(hwmon, Fault{On: c.on, Block: true, Errno: syscall.EIO})
		done := later(c.do)
		i.untilWaiting(t, 1)
		read(fs.at(busy)).want(t, c.name+": another file", "7\n", nil)
		read(fs.at(other)).want(t, c.name+": the other card", "9\n", nil)
		select {
		case r := <-done:
			t.Errorf("%s: does not block: %v", c.name, r)
		default:
		}
		c.release(i)
		wait(t, c.name, done).want(t, c.name, c.want, c.err)
		i.untilWaiting(t, 0)
		if c.left == 1 {
			done := later(c.do)
			i.untilWaiting(t, 1)
			i.Release()
			wait(t, c.name, done).want(t, c.name+": again", "", syscall.EIO)
		}
		fs.Clear()
	}
}

// What hangs stops nothing else, however much of it there is: the kernel's limit of 12 is for background requests, and go-fuse
// has a goroutine for each.
func TestManyBlocked(t *testing.T) {
	fs := Mount(t, folder(t))
	const many = 300
	i := fs.Inject(hwmon, Fault{On: Open | Read, Block: true})
	kept := fs.Inject(busy, Fault{Block: true})
	fd := open(t, fs.at(busy))
	var all sync.WaitGroup
	for range many {
		all.Go(func() { read(fs.at(edge)).want(t, "opened", "45000\n", nil) })
		all.Go(func() { pread(fd).want(t, "kept", "7\n", nil) })
	}
	i.untilWaiting(t, many)
	kept.untilWaiting(t, many)
	begun := time.Now()
	for range 100 {
		read(fs.at(other)).want(t, "the other card", "9\n", nil)
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("100 reads beside %d that are blocked took %v", 2*many, took)
	}
	fs.Clear()
	all.Wait()
}

func TestDelay(t *testing.T) {
	fs := Mount(t, folder(t))
	fd := open(t, fs.at(edge))
	const delay = 150 * time.Millisecond
	i := fs.Inject(edge, Fault{Delay: delay, Times: 1})
	begun := time.Now()
	pread(fd).want(t, "slow", "45000\n", nil)
	if took := time.Since(begun); took < delay {
		t.Errorf("the slow read took %v, want %v", took, delay)
	}
	pread(fd).want(t, "quick", "45000\n", nil)
	if i.Hits() != 1 {
		t.Errorf("%d reads were slow, want 1", i.Hits())
	}

	long := fs.Inject(edge, Fault{Delay: time.Hour})
	done := later(func() result { return pread(fd) })
	long.untilWaiting(t, 1)
	long.Clear()
	wait(t, "cut short", done).want(t, "cut short", "45000\n", nil)
}

// A signal that does not kill is not felt, as in a driver that does not look for signals: no EINTR, no second request.
func TestSignalDoesNotInterrupt(t *testing.T) {
	fs := Mount(t, folder(t))
	fd := open(t, fs.at(edge))
	i := fs.Inject(edge, Fault{Block: true})
	thread := make(chan int, 1)
	done := later(func() result {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- syscall.Gettid()
		return pread(fd)
	})
	i.untilWaiting(t, 1)
	id := <-thread
	for range 20 {
		if err := syscall.Tgkill(os.Getpid(), id, syscall.SIGURG); err != nil { // which the runtime uses itself
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // nothing to wait for: nothing shall happen
	}
	if i.Waiting() != 1 || i.Hits() != 1 {
		t.Errorf("%d wait, %d have come; want the one", i.Waiting(), i.Hits())
	}
	i.Clear()
	wait(t, "read", done).want(t, "read", "45000\n", nil)
}

// A test in a bubble with fake time works on a tree that was mounted outside.
func TestInBubble(t *testing.T) {
	fs := Mount(t, folder(t))
	fd := open(t, fs.at(edge))
	synctest.Test(t, func(t *testing.T) {
		i := fs.Inject(edge, Fault{Block: true})
		done := make(chan result, 1)
		go func() { done <- pread(fd) }()
		for i.Waiting() == 0 {
			runtime.Gosched()
		}
		fs.Set(edge, "46000\n")
		i.Clear()
		r := <-done
		r.want(t, "read", "46000\n", nil)
	})
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"", "", true}, {"", "sys", true}, {"sys", "", false}, {"sys", "sys", true}, {"sys", "sys/class", true}, {"sys", "system", false},
		{"sys/*/drm", "sys/class/drm/card1", true}, {"sys/*", "sys", false}, {"*", "sys/class", true}, {"sys/card[0-9]", "sys/card10", false},
		{"sys/card[0-9]", "sys/card1/device", true}, {"*/device", "sys/card1/device", false},
	} {
		if got := matches(split(c.pattern), c.path); got != c.want {
			t.Errorf("matches(%q, %q) = %v", c.pattern, c.path, got)
		}
	}
}

func TestResolve(t *testing.T) {
	v := newView(folder(t))
	out := filepath.Join(v.dir, "sys/bus/out")
	for path, target := range map[string]string{out: "../../../x", out + "abs": "/sys/class", out + "self": "outself"} {
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path string
		last bool
		want string
	}{
		{"", true, ""}, {edge, true, edge}, {link, false, link}, {link, true, device}, {link + "/hwmon", false, device + "/hwmon"},
		{link + "/hw*", true, device + "/hw*"}, {"sys/bus/*/0000:03:00.0/power", true, "sys/bus/*/0000:03:00.0/power"},
		{"sys/none/x", true, "sys/none/x"}, {"sys/bus/out/y", true, "sys/bus/out/y"}, {"sys/bus/outabs/y", true, "sys/bus/outabs/y"},
		{"sys/bus/outself/y", true, "sys/bus/outself/y"},
	} {
		if got := v.resolve(c.path, c.last); got != c.want {
			t.Errorf("resolve(%q, %v) = %q, want %q", c.path, c.last, got, c.want)
		}
	}
}
