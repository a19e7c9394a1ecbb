package compat

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"gpu_exporter/collector"
)

// A disk is a file as long as it can be used. There is one transaction at a time: bbolt would take several, but a fault in
// one can leave its locks held for ever, and then nobody else may be waiting for them.
type disk struct {
	turn   chan struct{} // full while somebody uses the file
	file   *database     // guarded by turn; nil: it cannot be used
	absent error         // what a reader gets then; nil: what there is without the file
}

func newDisk(file *database) *disk { return &disk{turn: make(chan struct{}, 1), file: file} }

// use has fn make one transaction. Not ok: the file cannot be used, or not before patience, which may be nil, has ended.
// After an error it cannot be used any more, unless the disk is full.
func (d *disk) use(patience <-chan time.Time, fn func(*database) error) (ok bool, err error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-patience:
		return false, nil
	}
	if d.file == nil {
		return false, nil
	}
	if err = fn(d.file); err != nil && !noSpace(err) {
		err = errors.Join(err, d.file.close())
		d.file = nil
	}
	return true, err
}

func (d *disk) usable() bool {
	ok, _ := d.use(nil, func(*database) error { return nil })
	return ok
}

func (d *disk) set(file *database) {
	d.turn <- struct{}{}
	d.file = file
	<-d.turn
}

func (d *disk) close() error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	if d.file == nil {
		return nil
	}
	file := d.file
	d.file = nil
	return file.close()
}

// readPatience is how long a reader waits for a writer. A write takes milliseconds: if not, the disk hangs.
const readPatience = time.Second

// lookup looks into the file, some chunks ahead. No transaction stays open meanwhile: the file would grow as long as a
// client reads slowly. skipped is told of each chunk that cannot be read.
func (d *disk) lookup(gpu string, from, to time.Time, skipped func(key)) lookup {
	seen := placeOf(key{from.UnixMicro() - chunkSpan.Microseconds() - 1, math.MaxUint64}, math.MaxUint32)
	var ahead []chunk
	gaveUp := false // who has waited once does not wait for each chunk
	return func(after key) (c chunk, ok bool, err error) {
		for end := false; ; {
			for len(ahead) > 0 && ahead[0].compare(after) <= 0 {
				ahead = ahead[1:]
			}
			if len(ahead) > 0 {
				return ahead[0], true, nil
			}
			if end || gaveUp {
				return c, false, nil
			}
			var r read
			ok, err := d.use(time.After(readPatience), func(file *database) (err error) {
				r, err = file.read(gpu, seen, to.UnixMicro())
				return err
			})
			if err != nil {
				return c, false, err
			}
			if !ok {
				gaveUp = true
				return c, false, d.absent
			}
			for _, k := range r.skipped {
				skipped(k)
			}
			ahead, seen, end = r.chunks, r.seen, r.end
		}
	}
}

// FileReader reads what a File has written.
type FileReader struct {
	disk    *disk
	gpus    []collector.Info
	skipped atomic.Int64
}

// OpenReadOnly opens what a File has written to a folder. It waits a second for one that is still open, and then fails with
// ErrLocked; while it has the file itself, none can open it. It changes nothing.
func OpenReadOnly(folder string) (*FileReader, error) {
	path := filepath.Join(folder, fileName)
	file, err := openDatabase(path, true)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	r := &FileReader{disk: newDisk(file)}
	r.disk.absent = errCaught
	for _, g := range slices.SortedFunc(maps.Values(file.gpus), func(a, b numbered) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.GPU, b.GPU))
	}) {
		r.gpus = append(r.gpus, collector.Info{
			GPU: g.GPU, UUID: g.UUID, Name: g.Name, DriverVersion: g.DriverVersion, Source: g.Source,
		})
	}
	return r, nil
}

// GPUs are those that have entries, as they were last known, by index.
func (r *FileReader) GPUs() []collector.Info { return r.gpus }

// Range is that of Store.
func (r *FileReader) Range(gpu string, from, to time.Time) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		skip := func(key) { r.skipped.Add(1) }
		entriesOf(gpu, from, to, skip, r.disk.lookup(gpu, from, to, skip))(yield)
	}
}

// Skipped is how many parts of the history could not be read and were left out.
func (r *FileReader) Skipped() int { return int(r.skipped.Load()) }

// Close closes the file.
func (r *FileReader) Close() error { return r.disk.close() }
