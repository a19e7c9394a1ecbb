package faultfs

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// walk gives what a tree has: the content of files, the targets of links, and folders.
func walk(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			all[rel] = "folder"
		case d.Type() == fs.ModeSymlink:
			all[rel], err = os.Readlink(path)
		default:
			all[rel] = read(path).text
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPassThrough(t *testing.T) {
	dir := folder(t)
	fs := Mount(t, dir)
	want, got := walk(t, dir), walk(t, fs.Path)
	if !maps.Equal(want, got) || len(got) < 20 {
		t.Errorf("the tree is %v, want %v", got, want)
	}
	read(fs.at(link+"/gpu_busy_percent")).want(t, "through a link", "7\n", nil)
	for path, size := range map[string]int64{busy: 4096, fdinfo: 0} {
		info, err := os.Stat(fs.at(path))
		if err != nil || info.Size() != size || info.Mode() != 0o644 {
			t.Errorf("%s: %v, %v; want %d bytes", path, info, err, size)
		}
	}
	if err := os.WriteFile(fs.at(busy), []byte("1"), 0o644); !errors.Is(err, syscall.EROFS) {
		t.Errorf("write: %v, want EROFS", err)
	}
	if err := os.Remove(fs.at(busy)); !errors.Is(err, syscall.EROFS) {
		t.Errorf("remove: %v, want EROFS", err)
	}
}

func TestInodesAreStable(t *testing.T) {
	fs := Mount(t, folder(t))
	first := map[string]uint64{}
	for _, path := range []string{"", device, hwmon, edge, busy, other} {
		first[path] = inode(t, fs.at(path))
	}
	if len(slices.Compact(slices.Sorted(maps.Values(first)))) != len(first) {
		t.Errorf("inode numbers are used twice: %v", first)
	}
	if _, err := os.ReadDir(fs.at(hwmon)); err != nil {
		t.Fatal(err)
	}
	fs.Set(edge, "1\n")
	fs.Inject(busy, Fault{Errno: syscall.EIO})
	for path, want := range first {
		if got := inode(t, fs.at(path)); got != want {
			t.Errorf("%s has inode number %d, had %d", path, got, want)
		}
	}
}

func TestSet(t *testing.T) {
	dir := folder(t)
	fs := Mount(t, dir)
	fd := open(t, fs.at(edge))
	pread(fd).want(t, "before", "45000\n", nil)
	for _, text := range []string{"46000\n", "", "-273150 and much longer than before\n", "5\n"} {
		fs.Set(edge, text)
		pread(fd).want(t, "kept", text, nil)
		read(fs.at(edge)).want(t, "opened", text, nil)
	}
	fs.Set(filepath.Join(fs.Path, link, "gpu_busy_percent"), "8\n")
	read(fs.at(busy)).want(t, "set through a link", "8\n", nil)
	fs.Set(filepath.Join(dir, busy), "9\n")
	read(fs.at(busy)).want(t, "set by the folder's path", "9\n", nil)
	read(filepath.Join(dir, edge)).want(t, "the folder itself", "45000\n", nil)

	read(fs.at(hwmon+"/temp2_input")).want(t, "not there yet", "", syscall.ENOENT)
	fs.Set(hwmon+"/temp2_input", "50000\n")
	read(fs.at(hwmon+"/temp2_input")).want(t, "appeared", "50000\n", nil)
	if !slices.Contains(names(t, fs.at(hwmon)), "temp2_input") {
		t.Error("what has appeared is not listed")
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// What is changed in place in the folder below is seen at once, without any help.
func TestFolderBelow(t *testing.T) {
	dir := folder(t)
	fs := Mount(t, dir)
	fd := open(t, fs.at(edge))
	below := filepath.Join(dir, edge)
	if err := os.WriteFile(below, []byte("47000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	pread(fd).want(t, "written in place", "47000\n", nil)

	card := filepath.Join(dir, "sys/class/drm/card1")
	away := filepath.Join(t.TempDir(), "away")
	before := inode(t, fs.at(device))
	if err := os.Rename(card, away); err != nil {
		t.Fatal(err)
	}
	pread(fd).want(t, "moved away", "", syscall.ENODEV)
	read(fs.at(edge)).want(t, "moved away", "", syscall.ENOENT)
	if err := os.Rename(away, card); err != nil {
		t.Fatal(err)
	}
	read(fs.at(edge)).want(t, "moved back", "47000\n", nil)
	pread(fd).want(t, "open before", "", syscall.ENODEV)
	if now := inode(t, fs.at(device)); now == before {
		t.Error("the folder that was away has its old inode number")
	}
}

func TestRemoveAndRestore(t *testing.T) {
	fs := Mount(t, folder(t))
	fd, one := open(t, fs.at(edge)), open(t, fs.at(device))
	before := map[string]uint64{}
	for _, path := range []string{"sys/class/drm/card1", device, hwmon, edge} {
		before[path] = inode(t, fs.at(path))
	}
	staying := inode(t, fs.at(other))

	fs.Remove("sys/class/drm/card1")
	pread(fd).want(t, "open", "", syscall.ENODEV)
	for path := range before {
		if _, err := os.Lstat(fs.at(path)); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%s: %v, want ENOENT", path, err)
		}
	}
	if err := unix.Faccessat(one, "power", unix.F_OK, 0); err != syscall.ENOENT {
		t.Errorf("below an open folder that is gone: %v, want ENOENT", err)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || st.Ino != before[edge] {
		t.Errorf("stat of an open file that is gone: %v, inode number %d", err, st.Ino)
	}
	if got := names(t, fs.at("sys/class/drm")); !slices.Equal(got, []string{"card2"}) {
		t.Errorf("the cards are %v", got)
	}
	read(fs.at(other)).want(t, "the other card", "9\n", nil)

	fs.Restore("sys/class/drm/card1")
	read(fs.at(edge)).want(t, "back", "45000\n", nil)
	pread(fd).want(t, "open since before", "", syscall.ENODEV)
	for path, old := range before {
		if now := inode(t, fs.at(path)); now == old {
			t.Errorf("%s is back with its old inode number", path)
		}
	}
	if now := inode(t, fs.at(other)); now != staying {
		t.Error("the other card has another inode number")
	}

	fs.Remove(edge)
	read(fs.at(edge)).want(t, "one file", "", syscall.ENOENT)
	read(fs.at(hwmon+"/name")).want(t, "its neighbour", "amdgpu\n", nil)
}

func TestRemoveWhileBlocked(t *testing.T) {
	fs := Mount(t, folder(t))
	fd := open(t, fs.at(edge))
	i := fs.Inject(edge, Fault{Block: true})
	done := later(func() result { return pread(fd) })
	i.untilWaiting(t, 1)
	fs.Remove(device)
	i.Clear()
	wait(t, "read", done).want(t, "read", "", syscall.ENODEV)
}

func TestRename(t *testing.T) {
	fs := Mount(t, folder(t))
	fs.Set(edge, "48000\n")
	fd, kept := open(t, fs.at(edge)), open(t, fs.at(busy))
	before := inode(t, fs.at(hwmon))
	const hwmon5 = device + "/hwmon/hwmon5"

	fs.Rename(hwmon, hwmon5)
	pread(fd).want(t, "open under the old name", "", syscall.ENODEV)
	pread(kept).want(t, "open beside it", "7\n", nil)
	read(fs.at(edge)).want(t, "old name", "", syscall.ENOENT)
	read(fs.at(hwmon5+"/temp1_input")).want(t, "new name", "48000\n", nil)
	read(fs.at(hwmon5+"/name")).want(t, "new name", "amdgpu\n", nil)
	if got := names(t, fs.at(device+"/hwmon")); !slices.Equal(got, []string{"hwmon5"}) {
		t.Errorf("the folders are %v", got)
	}
	if inode(t, fs.at(hwmon5)) == before {
		t.Error("the folder keeps its inode number")
	}

	fs.Rename(hwmon5, hwmon)
	read(fs.at(edge)).want(t, "named back", "48000\n", nil)
	if got := names(t, fs.at(device+"/hwmon")); !slices.Equal(got, []string{"hwmon4"}) {
		t.Errorf("the folders are %v", got)
	}

	fs.Rename(hwmon, hwmon5)
	fs.Rename("sys/class/drm/card1", "sys/class/drm/card10")
	const moved = "sys/class/drm/card10/device/hwmon/hwmon5"
	read(fs.at(moved+"/temp1_input")).want(t, "renamed within a folder that is renamed", "48000\n", nil)
	fd = open(t, fs.at(moved+"/temp1_input"))
	fs.Remove("sys/class/drm/card10")
	pread(fd).want(t, "and removed", "", syscall.ENODEV)
	fs.Restore("sys/class/drm/card10")
	read(fs.at(moved+"/temp1_input")).want(t, "and back", "48000\n", nil)
}

func TestRecords(t *testing.T) {
	fs := Mount(t, folder(t))
	fd := open(t, fs.at(edge))
	if got := fs.Opens(); !maps.Equal(got, map[string]int{edge: 1}) {
		t.Errorf("opens: %v", got)
	}
	fs.Reset()
	pread(fd)
	pread(fd)
	read(fs.at(busy)) // and its end of file
	fs.Inject(status, Fault{On: Open, Errno: syscall.EACCES})
	read(fs.at(status))
	read(fs.at(hwmon + "/none"))
	names(t, fs.at(hwmon))
	inode(t, fs.at(metrics))
	for _, c := range []struct {
		what string
		got  map[string]int
		want map[string]int
	}{
		{"opens", fs.Opens(), map[string]int{busy: 1, status: 1}},
		{"reads", fs.Reads(), map[string]int{edge: 2, busy: 2}},
		{"lists", fs.Lists(), map[string]int{hwmon: 1}},
	} {
		if !maps.Equal(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	looks := fs.Looks()
	if looks[metrics] == 0 || looks[hwmon+"/none"] == 0 || looks[hwmon+"/name"] != 0 {
		t.Errorf("looks: %v", looks)
	}
	fs.Reset()
	if n := len(fs.Opens()) + len(fs.Reads()) + len(fs.Lists()) + len(fs.Looks()); n != 0 {
		t.Errorf("%d records after a reset", n)
	}
}

// A wrong path ends the test: a fault that is nowhere would prove nothing.
func TestWrongPaths(t *testing.T) {
	dir := folder(t)
	for name, do := range map[string]func(*FS){
		"set without folder": func(fs *FS) { fs.Set("sys/none/x", "1") },
		"set a folder":       func(fs *FS) { fs.Set(hwmon, "1") },
		"remove nothing":     func(fs *FS) { fs.Remove("sys/none") },
		"remove all":         func(fs *FS) { fs.Remove(".") },
		"restore":            func(fs *FS) { fs.Restore(edge) },
		"rename nothing":     func(fs *FS) { fs.Rename("sys/none", "sys/x") },
		"rename onto":        func(fs *FS) { fs.Rename(busy, edge) },
		"rename into itself": func(fs *FS) { fs.Rename(device, device+"/x") },
		"out of the tree":    func(fs *FS) { fs.Set("/etc/passwd", "") },
		"above the tree":     func(fs *FS) { fs.Inject("../x", Fault{}) },
		"no pattern":         func(fs *FS) { fs.Inject("sys/[", Fault{}) },
	} {
		// A tree of its own, not mounted, whose test notes that it was ended.
		f := &fatal{TB: t}
		own := newFS(f, dir, t.TempDir())
		done := make(chan struct{})
		go func() {
			defer close(done)
			do(own)
		}()
		<-done
		if !f.ended {
			t.Errorf("%s: the test goes on", name)
		}
	}
}
