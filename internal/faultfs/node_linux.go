package faultfs

import (
	"path"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file, folder or link that the kernel knows. Its number is its inode number and used once.
type node struct {
	id   uint64
	path string
	dead bool      // something else or nothing is there now
	attr fuse.Attr // as last told: what is dead still has them

	dev, ino uint64 // of what it shows in the folder below
}

// find is the node at a path, made where there is none yet, and with its attributes as they are. It notices when the
// folder below has changed. fs.mu is held.
func (fs *FS) find(at string) (*node, syscall.Errno) {
	st, err := fs.view.stat(at)
	if err != nil {
		fs.bury(at)
		return nil, errnoOf(err)
	}
	n := fs.alive[at]
	if n != nil && (n.dev != st.Dev || n.ino != st.Ino || n.attr.Mode&syscall.S_IFMT != st.Mode&syscall.S_IFMT) {
		fs.bury(at)
		n = nil
	}
	if n == nil {
		fs.last++
		n = &node{id: fs.last, path: at, dev: st.Dev, ino: st.Ino}
		fs.nodes[n.id], fs.alive[at] = n, n
	}
	n.attr.FromStat(&st)
	n.attr.Ino = n.id
	if st.Mode&syscall.S_IFMT == syscall.S_IFREG {
		n.attr.Size, n.attr.Blocks = 4096, 0
		if within(at, "proc") {
			n.attr.Size = 0
		}
	}
	return n, 0
}

// bury makes all nodes at a path and below dead. fs.mu is held.
func (fs *FS) bury(dir string) {
	for at, n := range fs.alive {
		if within(at, dir) && n.id != fuse.FUSE_ROOT_ID {
			n.dead = true
			delete(fs.alive, at)
		}
	}
}

// present says whether a node is still what is at its path. fs.mu is held.
func (fs *FS) present(n *node) bool {
	if n.dead {
		return false
	}
	now, errno := fs.find(n.path)
	return errno == 0 && now == n
}

// server answers the kernel. Nothing is told for longer than the moment, and no node is ever forgotten, so that an inode
// number stays the same.
type server struct {
	fuse.RawFileSystem
	fs *FS
}

func (s server) String() string { return "faultfs" }

// node is called with fs.mu held and records.
func (s server) node(id uint64, what record) *node {
	n := s.fs.nodes[id]
	s.fs.records[what][n.path]++
	return n
}

func (s server) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	dir := s.fs.nodes[in.NodeId]
	at := path.Join(dir.path, name)
	s.fs.records[looks][at]++
	if dir.dead {
		return fuse.ENOENT
	}
	n, errno := s.fs.find(at)
	if errno != 0 {
		return fuse.Status(errno)
	}
	out.NodeId, out.Generation, out.Attr = n.id, 1, n.attr
	return fuse.OK
}

func (s server) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	n := s.node(in.NodeId, looks)
	s.fs.present(n) // which brings its attributes up to date
	out.Attr = n.attr
	return fuse.OK
}

func (s server) Readlink(_ <-chan struct{}, in *fuse.InHeader) ([]byte, fuse.Status) {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	n := s.node(in.NodeId, looks)
	if !s.fs.present(n) {
		return nil, fuse.ENOENT
	}
	target, err := s.fs.view.link(n.path)
	if err != nil {
		return nil, fuse.Status(errnoOf(err))
	}
	return []byte(target), fuse.OK
}

// begin records an operation, lets it meet its faults and takes the lock, which the caller gives back.
func (s server) begin(op Op, in *fuse.InHeader, what record, cancel <-chan struct{}) (*node, []func([]byte) []byte, fuse.Status) {
	s.fs.mu.Lock()
	n := s.node(in.NodeId, what)
	s.fs.mu.Unlock()
	changes, status := s.fs.meet(op, n.path, cancel, in.Pid)
	s.fs.mu.Lock()
	return n, changes, status
}

func (s server) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n, _, status := s.begin(Open, &in.InHeader, opens, cancel)
	defer s.fs.mu.Unlock()
	if !status.Ok() {
		return status
	}
	if !s.fs.present(n) {
		return fuse.ENODEV
	}
	out.OpenFlags = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_NOFLUSH // each read asks here, a close does not
	return fuse.OK
}

func (s server) Read(cancel <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	n, changes, status := s.begin(Read, &in.InHeader, reads, cancel)
	defer s.fs.mu.Unlock()
	if !status.Ok() {
		return nil, status
	}
	if !s.fs.present(n) {
		return nil, fuse.ENODEV
	}
	content, err := s.fs.view.content(n.path)
	if err != nil {
		return nil, fuse.Status(errnoOf(err))
	}
	for _, change := range changes {
		content = change(content)
	}
	size := uint64(len(content))
	begin := min(in.Offset, size)
	return fuse.ReadResultData(content[begin:min(begin+uint64(in.Size), size)]), fuse.OK
}

func (s server) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	n, _, status := s.begin(List, &in.InHeader, lists, cancel)
	defer s.fs.mu.Unlock()
	if status.Ok() && !s.fs.present(n) {
		return fuse.ENOENT
	}
	return status
}

func (s server) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	dir := s.fs.nodes[in.NodeId]
	if !s.fs.present(dir) {
		return fuse.ENOENT
	}
	names, err := s.fs.view.list(dir.path)
	if err != nil {
		return fuse.Status(errnoOf(err))
	}
	names = append([]string{".", ".."}, names...)
	for offset := in.Offset; offset < uint64(len(names)); offset++ {
		entry := fuse.DirEntry{Name: names[offset], Mode: syscall.S_IFDIR, Off: offset + 1}
		if offset >= 2 {
			n, errno := s.fs.find(path.Join(dir.path, entry.Name))
			if errno != 0 {
				continue
			}
			entry.Ino, entry.Mode = n.id, n.attr.Mode
		}
		if !out.AddDirEntry(entry) {
			break
		}
	}
	return fuse.OK
}

func (s server) StatFs(<-chan struct{}, *fuse.InHeader, *fuse.StatfsOut) fuse.Status { return fuse.OK }
