package faultfs

import (
	"bytes"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Op is a set of operations that a fault meets.
type Op uint8

// The operations.
const (
	Open Op = 1 << iota // a file is opened
	Read                // a file is read
	List                // a folder is opened to be listed
)

// Fault is what an operation meets. First it waits, then it fails, or gives what Change makes of the content.
type Fault struct {
	On     Op                          // zero: Read
	Times  int                         // as many operations only, zero: all
	Block  bool                        // waits until it is let go
	Delay  time.Duration               // waits so long
	Errno  syscall.Errno               // fails, zero: does not
	Change func(content []byte) []byte // must not write into content
}

// Text is a Change to a content of its own.
func Text(content string) func([]byte) []byte {
	return func([]byte) []byte { return []byte(content) }
}

// Cut is a Change that leaves the first n bytes.
func Cut(n int) func([]byte) []byte {
	return func(content []byte) []byte { return content[:min(n, len(content))] }
}

// Injection is a fault at its place in a tree.
type Injection struct {
	fs      *FS
	fault   Fault
	pattern []string

	// All below is guarded by fs.mu.
	cleared bool
	hits    int
	// Each channel is made by the goroutine that waits, which is never in a bubble of synctest; a test in one may close it.
	waiting map[chan struct{}]bool
}

// Hits is how many operations have met the fault.
func (i *Injection) Hits() int {
	i.fs.mu.Lock()
	defer i.fs.mu.Unlock()
	return i.hits
}

// Waiting is how many operations wait now, blocked or delayed.
func (i *Injection) Waiting() int {
	i.fs.mu.Lock()
	defer i.fs.mu.Unlock()
	return len(i.waiting)
}

// Release lets go what waits now. The fault stays for what comes later.
func (i *Injection) Release() {
	i.fs.mu.Lock()
	defer i.fs.mu.Unlock()
	i.release()
}

// Clear ends the fault: what waits goes on as if it had not met it.
func (i *Injection) Clear() {
	i.fs.mu.Lock()
	defer i.fs.mu.Unlock()
	i.clear()
}

// release is called with fs.mu held.
func (i *Injection) release() {
	for w := range i.waiting {
		close(w)
	}
	clear(i.waiting)
}

// clear is called with fs.mu held.
func (i *Injection) clear() {
	i.cleared = true
	i.release()
}

// wait waits as the fault says, and tells whether the thread that waits was killed meanwhile. cancel is closed when
// that thread gets any signal, once only.
func (i *Injection) wait(cancel <-chan struct{}, thread uint32) (killed bool) {
	if !i.fault.Block && i.fault.Delay == 0 {
		return false
	}
	released := make(chan struct{})
	if !i.enter(released) {
		return false
	}
	defer i.leave(released)
	var over <-chan time.Time
	if !i.fault.Block {
		timer := time.NewTimer(i.fault.Delay)
		defer timer.Stop()
		over = timer.C
	}
	var look <-chan time.Time
	for {
		select {
		case <-released:
			return false
		case <-over:
			return false
		case <-cancel:
			// The Go runtime signals threads to preempt them. The kernel tells of the first signal only, and that may be
			// harmless while the fatal one comes later: from here on it has to be looked for.
			cancel = nil
			ticker := time.NewTicker(10 * time.Millisecond)
			defer ticker.Stop()
			look = ticker.C
		case <-look:
		}
		if dying(thread) {
			return true
		}
	}
}

func (i *Injection) enter(released chan struct{}) bool {
	i.fs.mu.Lock()
	defer i.fs.mu.Unlock()
	if i.cleared {
		return false
	}
	i.waiting[released] = true
	return true
}

func (i *Injection) leave(released chan struct{}) {
	i.fs.mu.Lock()
	defer i.fs.mu.Unlock()
	delete(i.waiting, released)
}

// dying says whether a thread is gone or about to go: every way to end a process makes SIGKILL pending in each of its
// threads (kernel/signal.c, zap_other_threads and complete_signal).
func dying(thread uint32) bool {
	if thread == 0 { // of a pid namespace that is not ours: nothing can be told
		return true
	}
	status, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(thread), 10) + "/status")
	if err != nil {
		return true
	}
	for line := range bytes.Lines(status) {
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "State":
			if strings.HasPrefix(value, "Z") || strings.HasPrefix(value, "X") {
				return true
			}
		case "SigPnd":
			if mask, err := strconv.ParseUint(value, 16, 64); err == nil && mask&(1<<(syscall.SIGKILL-1)) != 0 {
				return true
			}
		}
	}
	return false
}

// meet makes an operation meet its faults in the order of their injection. The status is OK where it may go on.
func (fs *FS) meet(op Op, at string, cancel <-chan struct{}, thread uint32) (changes []func([]byte) []byte, status fuse.Status) {
	for _, i := range fs.faults(op, at) {
		if i.wait(cancel, thread) {
			return nil, fuse.EINTR
		}
		if !fs.holds(i) {
			continue
		}
		if i.fault.Errno != 0 {
			return nil, fuse.Status(i.fault.Errno)
		}
		if i.fault.Change != nil {
			changes = append(changes, i.fault.Change)
		}
	}
	return changes, fuse.OK
}

// faults are those that an operation meets. They are counted here.
func (fs *FS) faults(op Op, at string) (met []*Injection) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, i := range fs.injected {
		if i.cleared || i.fault.On&op == 0 || i.fault.Times > 0 && i.hits >= i.fault.Times || !matches(i.pattern, at) {
			continue
		}
		i.hits++
		met = append(met, i)
	}
	return met
}

func (fs *FS) holds(i *Injection) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return !i.cleared
}

// matches says whether a pattern covers a path: it stands for what its parts match, and for everything below.
func matches(pattern []string, at string) bool {
	parts := split(at)
	if len(parts) < len(pattern) {
		return false
	}
	for n, p := range pattern {
		if ok, err := path.Match(p, parts[n]); err != nil || !ok {
			return false
		}
	}
	return true
}

// split gives the names in a path of the tree; the root has none.
func split(at string) []string {
	if at == "" {
		return nil
	}
	return strings.Split(at, "/")
}
