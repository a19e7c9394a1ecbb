// Package sysfs reads files of a real or made /sys and /proc: bounded, by a kept descriptor and one pread at offset 0
// (kernfs makes the content anew for it), without allocation. What a kernel's errno means is decided here once.
package sysfs

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	// TextSize holds every attribute of sysfs that is one value: sysfs itself gives less than a page.
	TextSize = 4 << 10
	// ListSize holds lists and binary tables.
	ListSize = 64 << 10
	// maxEntries bounds what is taken from one folder.
	maxEntries = 8192
)

// What a text that was read may be besides a value.
var (
	ErrMalformed = errors.New("malformed")
	ErrRange     = errors.New("too large for 64 bits")
	errTooLong   = fmt.Errorf("%w: longer than any such file", ErrMalformed)
)

// Outcome says what an error of a read means.
type Outcome uint8

// The outcomes.
const (
	OK        Outcome = iota
	Absent            // the chip or the kernel does not tell it: no error
	Refused           // EPERM, EBUSY: asleep, or a reset under way
	Forbidden         // EACCES: the rights are missing
	Gone              // the device was removed or its driver unbound
	Broken            // what was read is not what such a file holds
	Failed            // the driver or the host did not answer
)

// Classify says what the error of a read means. The table is that of amd.md section 4; it holds for every attribute of
// sysfs, since the errno are the kernel's own words.
func Classify(err error) Outcome {
	if err == nil {
		return OK
	}
	if errors.Is(err, ErrMalformed) {
		return Broken
	}
	errno, ok := err.(syscall.Errno) // File gives the bare errno; errors.As would allocate at each read
	if !ok {
		var wrapped syscall.Errno
		if !errors.As(err, &wrapped) {
			return Failed
		}
		errno = wrapped
	}
	switch errno {
	case syscall.ENOENT, syscall.EINVAL, syscall.EOPNOTSUPP, syscall.ENODATA, syscall.ENOSYS:
		return Absent
	case syscall.EPERM, syscall.EBUSY:
		return Refused
	case syscall.EACCES:
		return Forbidden
	case syscall.ENODEV, syscall.ENXIO:
		return Gone
	}
	return Failed
}

// File is one attribute. It is opened at the first read and stays open, so that a read is one pread. The zero value is
// not usable: make one by NewFile. One goroutine owns it.
type File struct {
	Path    string
	fd      int
	missing bool
}

// NewFile returns a File that is not open yet.
func NewFile(path string) *File { return &File{Path: path, fd: -1} }

// Read reads the file from its beginning into buf and returns the text without NUL bytes (kernels put runs of them into
// lists, and copies are padded with them) and without white space around it. A text that fills buf is malformed. Once
// a file was not there, Read answers ENOENT without asking again, until Forget; every other error of the open is tried
// again at the next read.
func (f *File) Read(buf []byte) ([]byte, error) {
	raw, err := f.ReadRaw(buf)
	if err != nil {
		return nil, err
	}
	return Trim(raw), nil
}

// ReadRaw is Read without any change to what was read.
func (f *File) ReadRaw(buf []byte) ([]byte, error) {
	n, err := f.ReadAt(buf, 0)
	if err != nil {
		return nil, err
	}
	if n == len(buf) {
		return nil, errTooLong
	}
	return buf[:n], nil
}

// ReadAt reads at an offset, for binary attributes that give a page at most at a time. 0 is the end.
func (f *File) ReadAt(buf []byte, offset int64) (int, error) {
	if f.missing {
		return 0, syscall.ENOENT
	}
	if f.fd < 0 {
		fd, err := open(f.Path)
		if err != nil {
			f.missing = errors.Is(err, syscall.ENOENT)
			return 0, err
		}
		f.fd = fd
	}
	return pread(f.fd, buf, offset)
}

// Appeared says whether a file that was missing is there now. It opens nothing.
func (f *File) Appeared() bool {
	if !f.missing {
		return false
	}
	_, err := os.Lstat(f.Path)
	return err == nil
}

// Close closes the file. A later Read opens it anew.
func (f *File) Close() {
	if f.fd >= 0 {
		closeFD(f.fd)
	}
	f.fd, f.missing = -1, false
}

// ReadText reads one attribute once, trimmed as File.Read does.
func ReadText(path string) (string, error) {
	f := NewFile(path)
	defer f.Close()
	text, err := f.Read(make([]byte, TextSize))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return string(text), nil
}

// List is the sorted names in a folder, cut at a bound that no real one reaches.
func List(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(maxEntries)
	if err != nil && len(names) == 0 && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// RealPath is path with every symbolic link of it resolved.
func RealPath(path string) (string, error) { return filepath.EvalSymlinks(path) }

// Trim drops all NUL bytes and the white space around text, in place.
func Trim(text []byte) []byte {
	kept := text[:0]
	for _, c := range text {
		if c != 0 {
			kept = append(kept, c)
		}
	}
	for len(kept) > 0 && isSpace(kept[0]) {
		kept = kept[1:]
	}
	for len(kept) > 0 && isSpace(kept[len(kept)-1]) {
		kept = kept[:len(kept)-1]
	}
	return kept
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\v' || c == '\f'
}

// Int parses a decimal integer with an optional sign, the whole of text. The error is ErrMalformed, or ErrRange for a
// number that 64 bits cannot hold.
func Int(text []byte) (int64, error) {
	digits := text
	negative := false
	if len(digits) > 0 && (digits[0] == '-' || digits[0] == '+') {
		negative = digits[0] == '-'
		digits = digits[1:]
	}
	if len(digits) == 0 {
		return 0, ErrMalformed
	}
	var v uint64
	overflow := false
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, ErrMalformed
		}
		if d := uint64(c - '0'); v > (math.MaxInt64-d)/10 {
			overflow = true // go on: it may yet turn out to be no number
		} else {
			v = v*10 + d
		}
	}
	if overflow {
		return 0, ErrRange
	}
	if negative {
		return -int64(v), nil
	}
	return int64(v), nil
}

// Uevent is the value of a key in the text of a uevent file, empty where it is not there.
func Uevent(text, key string) string {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && k == key {
			return v
		}
	}
	return ""
}
