package faultfs

import (
	"maps"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// FS is a mounted tree. Its methods may be called by several goroutines; a wrong path ends the test.
type FS struct {
	Path string // where it is mounted

	t testing.TB

	mu       sync.Mutex // guards all below, and is never held while an operation waits
	view     *view
	nodes    map[uint64]*node
	alive    map[string]*node // by path
	last     uint64           // inode number given
	injected []*Injection
	records  [kinds]map[string]int
	closed   bool
}

// record is a kind of touch that is counted.
type record int

const (
	opens record = iota
	reads
	lists
	looks
	kinds
)

func newFS(t testing.TB, dir, at string) *FS {
	fs := &FS{Path: at, t: t, view: newView(dir), nodes: map[uint64]*node{}, alive: map[string]*node{}}
	fs.last = fuse.FUSE_ROOT_ID - 1
	fs.Reset()
	return fs
}

// Inject makes the operations on the files that a pattern covers meet a fault. A pattern has the form of path.Match and
// covers all that lies below what it matches: the path of a card stands for every file of it.
func (fs *FS) Inject(pattern string, f Fault) *Injection {
	fs.t.Helper()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.On == 0 {
		f.On = Read
	}
	parts := split(fs.view.resolve(fs.rel(pattern), true))
	for _, p := range parts {
		if _, err := path.Match(p, ""); err != nil {
			fs.t.Fatalf("faultfs: inject into %s: %v", pattern, err)
		}
	}
	i := &Injection{fs: fs, fault: f, pattern: parts, cleared: fs.closed, waiting: map[chan struct{}]bool{}}
	kept := fs.injected[:0]
	for _, old := range fs.injected {
		if !old.cleared {
			kept = append(kept, old)
		}
	}
	fs.injected = append(kept, i)
	return i
}

// Clear ends all faults.
func (fs *FS) Clear() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.clear()
}

func (fs *FS) clear() {
	for _, i := range fs.injected {
		i.clear()
	}
	fs.injected = nil
}

// Set makes a file say something else from now on, to those that have it open too. A file that is not there appears in
// a folder that is.
func (fs *FS) Set(file, content string) {
	fs.t.Helper()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	at := fs.view.resolve(fs.rel(file), true)
	st, err := fs.view.stat(at)
	if err != nil && (fs.view.hidden(at) || !fs.view.exists(parent(at))) || err == nil && st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		fs.t.Fatalf("faultfs: set %s: no file, and no folder for one", file)
	}
	fs.view.said[at] = []byte(content)
}

// Remove takes a file or folder away, as a driver does that lets go its device: there is nothing to be found any more,
// and what is open answers ENODEV.
func (fs *FS) Remove(at string) {
	fs.t.Helper()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	at = fs.there(at)
	fs.view.removed[at] = true
	fs.bury(at)
}

// Restore brings back what Remove took, with new inode numbers. What was open stays dead.
func (fs *FS) Restore(at string) {
	fs.t.Helper()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	gone := fs.view.resolve(fs.rel(at), false)
	if !fs.view.removed[gone] {
		fs.t.Fatalf("faultfs: restore %s: it was not removed", at)
	}
	delete(fs.view.removed, gone)
}

// Rename gives a file or folder another name, with new inode numbers: what was open under the old one is dead. Faults
// stay with the path that they were injected into, content that was set moves along.
func (fs *FS) Rename(old, new string) {
	fs.t.Helper()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	from := fs.there(old)
	to := fs.view.resolve(fs.rel(new), false)
	if !fs.view.exists(parent(to)) || fs.view.exists(to) || within(to, from) {
		fs.t.Fatalf("faultfs: rename %s to %s: no such folder, or the name is taken", old, new)
	}
	fs.view.rename(from, to)
	fs.bury(from)
}

// Opens is how often each file was opened since the last Reset, whether it could be or not.
func (fs *FS) Opens() map[string]int { return fs.recorded(opens) }

// Reads is how often each file was read since the last Reset, whether it could be or not.
func (fs *FS) Reads() map[string]int { return fs.recorded(reads) }

// Lists is how often each folder was opened to be listed since the last Reset.
func (fs *FS) Lists() map[string]int { return fs.recorded(lists) }

// Looks is how often each name was looked up and its attributes or target were asked for since the last Reset. It
// wakes no device.
func (fs *FS) Looks() map[string]int { return fs.recorded(looks) }

func (fs *FS) recorded(kind record) map[string]int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return maps.Clone(fs.records[kind])
}

// Reset begins new records.
func (fs *FS) Reset() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for kind := range fs.records {
		fs.records[kind] = map[string]int{}
	}
}

// there is a path of something that exists.
func (fs *FS) there(at string) string {
	fs.t.Helper()
	to := fs.view.resolve(fs.rel(at), false)
	if to == "" || !fs.view.exists(to) {
		fs.t.Fatalf("faultfs: %s: no such file or folder", at)
	}
	return to
}

// rel makes a path relative to the root of the tree.
func (fs *FS) rel(at string) string {
	fs.t.Helper()
	to := filepath.Clean(at)
	for _, root := range []string{fs.Path, fs.view.dir} {
		if within(to, root) {
			to = "." + strings.TrimPrefix(to, root)
			break
		}
	}
	to = path.Clean(to)
	if path.IsAbs(to) || to == ".." || strings.HasPrefix(to, "../") {
		fs.t.Fatalf("faultfs: %s is not in the tree of %s", at, fs.view.dir)
	}
	if to == "." {
		return ""
	}
	return to
}
