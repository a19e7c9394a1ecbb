package amd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// tree is a made /sys and /proc. Paths in it are written as amd.md does: `D/x` is in the folder of the card's device,
// `H/x` in that of its sensors, `proc/x` below /proc, all others below /sys.
type tree struct {
	t    testing.TB
	root string
}

// What may stand in place of a file's content.
const (
	noFile   = "\x00no file"
	aFolder  = "\x00a folder"  // a read of it fails: EISDIR
	aLoop    = "\x00a loop"    // it cannot be opened: ELOOP
	aSocket  = "\x00a socket"  // it cannot be opened: ENXIO
	aPipe    = "\x00a pipe"    // opening it blocks
	noRights = "\x00no rights" // it cannot be opened by who has no special rights: EACCES
)

// files are contents by path.
type files map[string]string

// with is f and g together; g has the word.
func (f files) with(g files) files {
	both := files{}
	maps.Copy(both, f)
	maps.Copy(both, g)
	return both
}

// card makes a tree with one card, card1 of a discrete GPU, from the files that it needs to be found and those given.
func card(t testing.TB, more files) tree {
	t.Helper()
	tr := tree{t, t.TempDir()}
	found := files{
		"D/uevent":   "DRIVER=amdgpu\nPCI_ID=1002:747E\nPCI_SLOT_NAME=0000:03:00.0\n",
		"D/vendor":   "0x1002\n",
		"D/revision": "0xc8\n",
	}
	for at := range more {
		if strings.HasPrefix(at, "H/") {
			found["H/name"] = "amdgpu\n"
		}
	}
	tr.write(found)
	tr.write(more)
	return tr
}

func (tr tree) sys() string  { return filepath.Join(tr.root, "sys") }
func (tr tree) proc() string { return filepath.Join(tr.root, "proc") }

func (tr tree) path(at string) string {
	const device = "class/drm/card1/device"
	first, rest, _ := strings.Cut(at, "/")
	switch first {
	case "D":
		return filepath.Join(tr.sys(), device, rest)
	case "H":
		return filepath.Join(tr.sys(), device, "hwmon/hwmon4", rest)
	case "proc":
		return filepath.Join(tr.root, at)
	}
	return filepath.Join(tr.sys(), at)
}

// write makes files, or changes them in place: who has one open sees it. A folder comes before what is in it.
func (tr tree) write(all files) {
	tr.t.Helper()
	for _, at := range slices.Sorted(maps.Keys(all)) {
		tr.one(tr.path(at), all[at])
	}
}

func (tr tree) one(path, content string) {
	tr.t.Helper()
	if now, err := os.Lstat(path); strings.HasPrefix(content, "\x00") || err == nil && !now.Mode().IsRegular() {
		tr.must(os.RemoveAll(path))
	}
	tr.must(os.MkdirAll(filepath.Dir(path), 0o755))
	switch content {
	case noFile:
	case aFolder:
		tr.must(os.Mkdir(path, 0o755))
	case aLoop:
		tr.must(os.Symlink(filepath.Base(path), path))
	case aPipe:
		tr.must(syscall.Mkfifo(path, 0o644))
	case aSocket:
		// Bound by a short name: an address of a socket has room for 108 bytes only.
		short, err := os.MkdirTemp("", "s")
		tr.must(err)
		defer os.RemoveAll(short)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, "s"), Net: "unix"})
		tr.must(err)
		l.SetUnlinkOnClose(false)
		tr.must(os.Rename(filepath.Join(short, "s"), path))
		tr.must(l.Close())
	case noRights:
		tr.must(os.WriteFile(path, nil, 0))
	default:
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			_ = os.Remove(path)
			tr.must(os.Symlink(target, path))
			return
		}
		tr.must(overwrite(path, []byte(content)))
	}
}

// overwrite makes a file or changes it in place. It does not empty it first, as os.WriteFile does: ext4 would then write
// to the disk at the close.
func overwrite(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	return errors.Join(err, f.Truncate(int64(len(content))), f.Close())
}

func (tr tree) must(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

func (tr tree) options() Options { return Options{Sysfs: tr.sys(), Procfs: tr.proc()} }

// devices is what a discovery finds, in order of their addresses.
func (tr tree) devices() ([]*device, error) {
	found, err := New(tr.options()).Discover(tr.t.Context())
	var list []*device
	for _, d := range found {
		list = append(list, d.(*device))
		tr.t.Cleanup(func() { _ = d.Close() })
	}
	slices.SortFunc(list, func(a, b *device) int { return strings.Compare(a.info.GPU, b.info.GPU) })
	return list, err
}

// device is the one card of the tree.
func (tr tree) device() *device {
	tr.t.Helper()
	list, err := tr.devices()
	if err != nil || len(list) != 1 {
		tr.t.Fatalf("Discover = %d devices, %v; want one", len(list), err)
	}
	return list[0]
}

// rig reads a tree as the program does: a Poller that makes a cycle when it is asked to.
type rig struct {
	tree
	poller *collector.Poller
	notes  *notes
	first  <-chan *collector.Snapshot // of the first cycle, which nobody has to ask for
}

// look is what one cycle gave.
type look struct {
	collector.Status
	result   collector.Result
	failed   []string // kinds of failures that happened in this cycle
	rejected []string // quantities
}

// start starts a Poller on a tree. wrap, which may be nil, puts something between it and the devices.
func (tr tree) start(o Options, wrap func(collector.Device) collector.Device) *rig {
	g := &rig{tree: tr, notes: &notes{rescans: make(chan bool, 100)}}
	g.poller = collector.NewPoller(collector.Options{Rescan: 1000 * time.Hour, Deadline: time.Minute, Observer: g.notes}, wrapped{New(o), wrap})
	ctx, cancel := context.WithCancel(context.Background())
	g.first = g.poller.Subscribe(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.poller.Run(ctx)
	}()
	tr.t.Cleanup(func() {
		cancel()
		<-ended
	})
	<-g.notes.rescans
	return g
}

// rescan has the cards looked for again, and says whether that went without an error.
func (g *rig) rescan() (ok bool) {
	g.poller.Rescan()
	return <-g.notes.rescans
}

// cycle reads all cards once.
func (g *rig) cycle() *collector.Snapshot {
	if g.first != nil {
		s := <-g.first
		g.first = nil
		return s
	}
	g.notes.clear()
	return g.poller.Fresh(g.t.Context())
}

// look reads the one card once.
func (g *rig) look() look {
	g.t.Helper()
	s := g.cycle()
	if len(s.Devices) != 1 {
		g.t.Fatalf("the snapshot has %d GPUs, want one", len(s.Devices))
	}
	return g.notes.look(s.Devices[0])
}

// read is the first reading of the one card of a tree.
func read(t testing.TB, more files) look {
	t.Helper()
	tr := card(t, more)
	return tr.start(tr.options(), nil).look()
}

// samples are lines `name{label="value"} value`, sorted, of the families whose name begins with one of prefixes (none:
// of all), without the label gpu and empty ones.
func (l look) samples(prefixes ...string) string { return samplesOf(l.Samples, prefixes...) }

func samplesOf(samples []collector.Sample, prefixes ...string) string {
	var lines []string
	for _, s := range samples {
		q := collector.Quantities[s.S.Q]
		if len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(q.Name, p) }) {
			continue
		}
		lines = append(lines, seriesName(s.S)+" "+strconv.FormatFloat(s.V, 'g', -1, 64))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func seriesName(s *collector.Series) string {
	q := collector.Quantities[s.Q]
	var labels []string
	for i, v := range s.Values {
		if v != "" {
			labels = append(labels, fmt.Sprintf("%s=%q", q.Labels[i], v))
		}
	}
	if len(labels) == 0 {
		return q.Name
	}
	return q.Name + "{" + strings.Join(labels, ",") + "}"
}

// lines is text in the form of samples: sorted, without indentation.
func lines(text string) string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// notes is an Observer that takes notes.
type notes struct {
	rescans chan bool

	mu       sync.Mutex // guards what follows
	result   collector.Result
	failed   []string
	rejected []string
}

func (n *notes) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.result, n.failed, n.rejected = "", nil, nil
}

func (n *notes) look(s collector.Status) look {
	n.mu.Lock()
	defer n.mu.Unlock()
	slices.Sort(n.failed)
	slices.Sort(n.rejected)
	return look{s, n.result, n.failed, n.rejected}
}

func (n *notes) Read(_ string, result collector.Result, _ time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.result = result
}

func (n *notes) Failed(_ string, kind collector.FailureKind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failed = append(n.failed, string(kind))
}

func (n *notes) Rejected(_ string, q collector.QuantityID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rejected = append(n.rejected, q.String())
}

func (n *notes) Restarted(string, collector.RestartReason) {}
func (n *notes) Rescanned(ok bool)                         { n.rescans <- ok }

// wrapped is a Probe with something between it and its devices.
type wrapped struct {
	collector.Probe
	wrap func(collector.Device) collector.Device
}

func (w wrapped) Discover(ctx context.Context) ([]collector.Device, error) {
	list, err := w.Probe.Discover(ctx)
	if w.wrap != nil {
		for i, d := range list {
			list[i] = w.wrap(d)
		}
	}
	return list, err
}

// watch tells which files below a folder are opened and read, by anyone.
type watch struct {
	t       testing.TB
	fd      int
	folders map[int32]string
	root    string
}

func watchTree(t testing.TB, root string) *watch {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	w := &watch{t: t, fd: fd, folders: map[int32]string{}, root: root}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		id, err := syscall.InotifyAddWatch(fd, path, syscall.IN_OPEN|syscall.IN_ACCESS)
		w.folders[int32(id)] = path
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.take() // what the walk itself did
	return w
}

// take is what happened since the last call: files in the order of their events, as paths below root. Folders, which
// may always be listed, are left out.
func (w *watch) take() (opened, read []string) {
	w.t.Helper()
	buf := make([]byte, 64<<10)
	for {
		n, err := syscall.Read(w.fd, buf)
		if err == syscall.EAGAIN {
			return opened, read
		}
		if err != nil {
			w.t.Fatal(err)
		}
		for b := buf[:n]; len(b) > 0; {
			id, mask := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:])
			end := syscall.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
			name := string(bytes.TrimRight(b[syscall.SizeofInotifyEvent:end], "\x00"))
			b = b[end:]
			if mask&syscall.IN_ISDIR != 0 || name == "" {
				continue
			}
			path, err := filepath.Rel(w.root, filepath.Join(w.folders[id], name))
			if err != nil {
				w.t.Fatal(err)
			}
			if mask&syscall.IN_OPEN != 0 {
				opened = append(opened, path)
			}
			if mask&syscall.IN_ACCESS != 0 {
				read = append(read, path)
			}
		}
	}
}

// logTo is a logger whose lines a test can read.
func logTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
