package compat

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gpu_exporter/collector"
)

// FileOptions say where a File keeps the past, and how much of it.
type FileOptions struct {
	Path      string        // a folder, which is made where it is not there
	Retention time.Duration // what is older goes
	Flush     time.Duration // between writes: what a kill loses at most
	Log       *slog.Logger  // nil: none
}

// fileName is the name of the file in its folder.
const fileName = "history.db"

// File is the Store of all that is not older than its retention: Memory has the last hour, a file the rest. As long as the
// file cannot be used, be it that it is still checked or that the disk is full, memory alone serves, and what is new waits
// there for an hour.
type File struct {
	o      FileOptions
	path   string
	memory *Memory
	disk   *disk

	ending, ended chan struct{}
	once          sync.Once // closes ending
	result        error     // of the end, there when ended is closed
	writeErrors   atomic.Uint64
	skipped       sync.Once // tells of the first chunk that cannot be read

	// Of the goroutine that writes.
	troubled bool          // it was told that the file cannot be written
	tried    time.Time     // when it was opened last, or failed to be
	pause    time.Duration // before the next time
}

// NewFile returns a File, which works until Close. The file is opened meanwhile: neither its size nor a disk that hangs
// holds up anybody.
func NewFile(o FileOptions) *File {
	f := newFile(o)
	go f.run()
	return f
}

func newFile(o FileOptions) *File {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &File{
		o: o, path: filepath.Join(o.Path, fileName), memory: NewMemory(), disk: newDisk(nil),
		ending: make(chan struct{}), ended: make(chan struct{}),
	}
	f.memory.backed = true
	return f
}

// Append implements Store. It never waits for the disk.
func (f *File) Append(entries []Entry) error { return f.memory.Append(entries) }

// Forget implements Store. What the file has of the GPU stays there.
func (f *File) Forget(gpu string) { f.memory.Forget(gpu) }

// Describe implements Describer.
func (f *File) Describe(gpu collector.Info, index int) { f.memory.describe(about{gpu, index}) }

// Range implements Store.
func (f *File) Range(gpu string, from, to time.Time) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		skip := f.skip(gpu)
		// Memory is asked first: what leaves it meanwhile is in the file already.
		entriesOf(gpu, from, to, skip, f.memory.lookup(gpu), f.disk.lookup(gpu, from, to, skip))(yield)
	}
}

func (f *File) skip(gpu string) func(key) {
	return func(k key) {
		f.skipped.Do(func() {
			f.o.Log.Warn("a part of the history cannot be read and is left out, as all others will be that cannot",
				"path", f.path, "gpu", gpu, "from", time.UnixMicro(k.start))
		})
	}
}

// Size is how many entries there are in memory, and about how many bytes they take.
func (f *File) Size() (entries, bytes int) { return f.memory.Size() }

// WriteErrors counts how often the file could not be opened or written.
func (f *File) WriteErrors() uint64 { return f.writeErrors.Load() }

// Close writes what is left and closes the file. It waits for that as long as ctx is not done.
func (f *File) Close(ctx context.Context) error {
	f.once.Do(func() { close(f.ending) })
	select {
	case <-f.ended:
		return f.result
	case <-ctx.Done():
		return fmt.Errorf("write %s: %w", f.path, ctx.Err())
	}
}

func (f *File) run() {
	defer close(f.ended)
	f.open(time.Now())
	ticks := time.NewTicker(f.o.Flush)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			f.flush(time.Now())
		case <-f.ending:
			f.result = f.end()
			return
		}
	}
}

// end writes what is left, and does not mind when it last failed.
func (f *File) end() error {
	f.pause = 0
	f.flush(time.Now())
	err := f.disk.close()
	if n := f.memory.waiting(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d entries of the history were not written to %s", n, f.path))
	}
	return err
}

// flush writes what the file does not have.
func (f *File) flush(now time.Time) {
	if !f.open(now) {
		return
	}
	u := f.memory.unstored()
	if len(u.chunks) == 0 {
		return
	}
	before := u.latest - f.o.Retention.Microseconds() - chunkSpan.Microseconds()
	switch ok, err := f.disk.use(nil, func(d *database) error { return d.write(u, before) }); {
	case err != nil:
		f.fail(err)
	case ok:
		f.succeed(f.memory.stored(u))
	}
}

// maxPause is the longest time between two attempts to open the file.
const maxPause = 5 * time.Minute

// open opens the file if it is not open, and it is time to try. It returns whether it is open.
func (f *File) open(now time.Time) bool {
	if f.disk.usable() {
		return true
	}
	since := now.Sub(f.tried)
	if since < f.pause {
		return false
	}
	// Attempts that follow one another get rarer, those that succeed as well: a disk that damages each new file must not be
	// filled with them.
	if since > 2*maxPause {
		f.pause = 0
	}
	f.tried, f.pause = now, min(max(2*f.pause, f.o.Flush), maxPause)
	d, err := f.openOrReplace(now)
	if err != nil {
		f.fail(err)
		return false
	}
	f.disk.set(d)
	return true
}

// openOrReplace opens the file. A damaged one is set aside, never deleted, and a new one made.
func (f *File) openOrReplace(now time.Time) (*database, error) {
	if err := os.MkdirAll(f.o.Path, 0o750); err != nil {
		return nil, err
	}
	d, err := openDatabase(f.path, false)
	if !errors.Is(err, errDamaged) {
		return d, err
	}
	aside, renameErr := setAside(f.path, now)
	if renameErr != nil {
		return nil, errors.Join(err, renameErr)
	}
	f.o.Log.Warn("the history is damaged: it was set aside, and a new one is begun", "path", f.path, "aside", aside, "err", err)
	return openDatabase(f.path, false)
}

// setAside gives a file another name, which no other has.
func setAside(path string, now time.Time) (aside string, err error) {
	aside = path + ".damaged-" + now.UTC().Format("20060102T150405Z")
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			return aside, os.Rename(path, aside)
		} else if err != nil {
			return "", err
		}
		aside = fmt.Sprintf("%s.damaged-%s-%d", path, now.UTC().Format("20060102T150405Z"), n)
	}
}

// fail counts a failure, and tells of the first.
func (f *File) fail(err error) {
	f.writeErrors.Add(1)
	if f.troubled {
		return
	}
	f.troubled = true
	facts := []any{"path", f.path, "err", err}
	if fix := f.fix(err); fix != "" {
		facts = append(facts, "fix", fix)
	}
	f.o.Log.Warn("the history is not written: only the last hour is kept, in memory", facts...)
}

// fix is what can be done about an error; empty: not known.
func (f *File) fix(err error) string {
	switch {
	case errors.Is(err, ErrLocked):
		return "give each exporter a folder of its own; an export keeps it only while it runs"
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() > 0: // Docker makes a missing bind folder as root
		return fmt.Sprintf("chown -R %d:%d %s", os.Geteuid(), os.Getegid(), f.o.Path)
	case errors.Is(err, syscall.EROFS):
		return "mount it so that it can be written, or take another folder"
	case noSpace(err):
		return "make room on that disk"
	}
	return ""
}

func (f *File) succeed(lost int) {
	if !f.troubled {
		return
	}
	f.troubled = false
	f.o.Log.Info("the history is written again", "path", f.path, "lost_entries", lost)
}

// noSpace says whether a write failed because the disk is full: the file is as it was before, and can be read.
func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
