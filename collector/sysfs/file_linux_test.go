package sysfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// write makes a file, or changes it in place.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func keep(t *testing.T, path string) *File {
	f := NewFile(path)
	t.Cleanup(f.Close)
	return f
}

func wantText(t *testing.T, f *File, want string) {
	t.Helper()
	if got, err := f.Read(make([]byte, TextSize)); string(got) != want || err != nil {
		t.Errorf("Read = %q, %v; want %q", got, err, want)
	}
}

func wantError(t *testing.T, f *File, want error) {
	t.Helper()
	if got, err := f.Read(make([]byte, TextSize)); !errors.Is(err, want) || got != nil {
		t.Errorf("Read = %q, %v; want %v", got, err, want)
	}
}

// A file is opened once and read from its beginning each time, so that it always tells what is there now.
func TestFileIsKeptOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "temp1_input")
	write(t, path, "24000\n")
	f := keep(t, path)
	wantText(t, f, "24000")
	write(t, path, " 25000\x00\n")
	wantText(t, f, "25000")
	if raw, err := f.ReadRaw(make([]byte, TextSize)); string(raw) != " 25000\x00\n" || err != nil {
		t.Errorf("ReadRaw = %q, %v; want it as it is", raw, err)
	}

	// Another file in its place is not seen: the kernel says ENODEV where a device is replaced.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, "1")
	wantText(t, f, "25000")
	f.Close()
	wantText(t, f, "1")
}

func TestMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vcn_busy_percent")
	f := keep(t, path)
	if f.Appeared() {
		t.Error("a file that nobody asked for has appeared")
	}
	wantError(t, f, syscall.ENOENT)
	if f.Appeared() {
		t.Error("a file that is not there has appeared")
	}
	write(t, path, "7")
	wantError(t, f, syscall.ENOENT) // remembered, no system call
	if !f.Appeared() {
		t.Error("the file has not appeared")
	}
	wantError(t, f, syscall.ENOENT) // to look is not to open
	f.Close()
	wantText(t, f, "7")
	if f.Appeared() {
		t.Error("a file that was there all along has appeared")
	}
}

// Only ENOENT is remembered: a shortage or a missing right that ends must not cost more than the reads that it failed.
func TestOtherErrorsAreTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "power1_average")
	if err := os.Symlink(filepath.Base(path), path); err != nil { // to itself
		t.Fatal(err)
	}
	f := keep(t, path)
	wantError(t, f, syscall.ELOOP)
	if f.Appeared() {
		t.Error("a file that could not be opened counts as missing")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, "32000000")
	wantText(t, f, "32000000")
}

// What a buffer cannot hold is cut, and a text that is cut is none.
func TestFileThatIsTooLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	for _, c := range []struct {
		length int
		err    error
	}{{TextSize - 1, nil}, {TextSize, ErrMalformed}, {TextSize + 1, ErrMalformed}} {
		write(t, path, strings.Repeat("1", c.length))
		f := keep(t, path)
		if _, err := f.Read(make([]byte, TextSize)); !errors.Is(err, c.err) {
			t.Errorf("%d bytes: %v, want %v", c.length, err, c.err)
		}
		if _, err := f.Read(make([]byte, ListSize)); err != nil {
			t.Errorf("%d bytes in the buffer of a list: %v", c.length, err)
		}
	}
}

func TestReadAt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gpu_vram_bad_pages")
	write(t, path, "0123456789")
	f := keep(t, path)
	buf := make([]byte, 4)
	var got []byte
	for {
		n, err := f.ReadAt(buf, int64(len(got)))
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		got = append(got, buf[:n]...)
	}
	if string(got) != "0123456789" {
		t.Errorf("read %q", got)
	}
}

func TestReadText(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "name")
	write(t, path, "amdgpu\n")
	if got, err := ReadText(path); got != "amdgpu" || err != nil {
		t.Errorf("ReadText = %q, %v", got, err)
	}
	for path, want := range map[string]error{
		filepath.Join(dir, "none"):   syscall.ENOENT,
		dir:                          syscall.EISDIR,
		filepath.Join(path, "below"): syscall.ENOTDIR,
	} {
		if got, err := ReadText(path); got != "" || !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("ReadText(%s) = %q, %v; want %v, with the path", path, got, err, want)
		}
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	if got, err := List(dir); len(got) != 0 || err != nil {
		t.Errorf("List of an empty folder = %q, %v", got, err)
	}
	for _, name := range []string{"card10", "card1", "version"} {
		write(t, filepath.Join(dir, name), "")
	}
	if got, err := List(dir); !slices.Equal(got, []string{"card1", "card10", "version"}) || err != nil {
		t.Errorf("List = %q, %v", got, err)
	}
	for path, want := range map[string]error{
		filepath.Join(dir, "none"):    syscall.ENOENT,
		filepath.Join(dir, "version"): syscall.ENOTDIR,
	} {
		if got, err := List(path); len(got) != 0 || !errors.Is(err, want) {
			t.Errorf("List(%s) = %q, %v; want %v", path, got, err, want)
		}
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "temp1_input")
	write(t, path, "24000\n")
	f, buf := keep(t, path), make([]byte, TextSize)
	missing := keep(t, path+"_none")
	folder := keep(t, t.TempDir())
	if n := testing.AllocsPerRun(100, func() {
		text, err := f.Read(buf)
		if err != nil || !bytes.Equal(text, []byte("24000")) {
			t.Fatalf("Read = %q, %v", text, err)
		}
		if v, err := Int(text); v != 24000 || err != nil {
			t.Fatal(v, err)
		}
		if _, err := missing.Read(buf); Classify(err) != Absent {
			t.Fatal(err)
		}
		if _, err := folder.Read(buf); Classify(err) != Failed {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a read allocates %v times", n)
	}
}
