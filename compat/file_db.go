package compat

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// ErrLocked says that another process has the file of the history open.
var ErrLocked = errors.New("another process has it open")

// lockTimeout is how long the lock of the file is waited for (legacy-api.md 15.4).
const lockTimeout = time.Second

// The file has two buckets: the chunks by their place, and what is known of each GPU by its number.
var (
	chunkBucket = []byte("chunks")
	gpuBucket   = []byte("gpus")
)

// A place is the key of a chunk in the file: its begin, the number of its GPU, its sequence. The begin stands first, so
// that what one flush writes lies on few pages, and what is too old lies in front.
type place [8 + 4 + 8]byte

func placeOf(k key, number uint32) (p place) {
	binary.BigEndian.PutUint64(p[:], uint64(k.start)^1<<63) // times before 1970 come first
	binary.BigEndian.PutUint32(p[8:], number)
	binary.BigEndian.PutUint64(p[12:], k.sequence)
	return p
}

func (p place) key() key {
	return key{int64(binary.BigEndian.Uint64(p[:]) ^ 1<<63), binary.BigEndian.Uint64(p[12:])}
}

func (p place) number() uint32 { return binary.BigEndian.Uint32(p[8:]) }

// known is what the file tells of a GPU.
type known struct {
	GPU           string `json:"gpu"`
	Index         int    `json:"index"`
	UUID          string `json:"uuid,omitempty"`
	Name          string `json:"name,omitempty"`
	DriverVersion string `json:"driver_version,omitempty"`
	Source        string `json:"source,omitempty"`
}

type numbered struct {
	known
	number uint32
}

// A database is the open file. Only one goroutine at a time may use it. After errCaught or errDamaged it must be closed.
type database struct {
	bolt  *bbolt.DB
	file  *os.File
	gpus  map[string]numbered // those that have chunks
	stuck bool                // bbolt is within something that holds its locks, or it ended there by a panic
}

// errCaught is a panic or a fault that became an error.
var errCaught = errors.New("the file cannot be used")

// guarded turns a panic of bbolt into an error, and so a fault in what it has mapped: a file that was cut off, a disk that
// cannot read a page.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errCaught, p)
		}
	}()
	return fn()
}

// openDatabase opens a file, which it makes where it is to be written and is not there. The error says by errDamaged that
// the file is to be set aside, by ErrLocked that another process has it.
func openDatabase(path string, readOnly bool) (*database, error) {
	info, err := os.Stat(path)
	if readOnly && err != nil {
		return nil, err
	}
	if readOnly || err == nil && info.Size() > 0 {
		d, err := openChecked(path)
		if err != nil || readOnly {
			return d, err
		}
		if err := d.close(); err != nil {
			return nil, err
		}
	}
	d, openErr := openBolt(path, false)
	if openErr != nil {
		if (err != nil || info.Size() == 0) && !errors.Is(openErr, ErrLocked) {
			_ = os.Truncate(path, 0) // what was made of a new file would be taken for a damaged one
		}
		return nil, openErr
	}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// openChecked opens a file for reading, with the lock that writers respect, and checks it. bbolt goes by the meta pages
// alone then: it does not even look at the list of free pages.
func openChecked(path string) (*database, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.Size() < 4*pageSize {
		return nil, damaged("%d bytes", info.Size())
	}
	d, err := openBolt(path, true)
	if err != nil {
		return nil, err
	}
	info, err := d.file.Stat()
	if err == nil {
		err = checkFile(d.file, info.Size())
	}
	if err == nil {
		err = d.transact(false, d.load)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func openBolt(path string, readOnly bool) (*database, error) {
	d := &database{gpus: map[string]numbered{}}
	o := bbolt.Options{
		Timeout:      lockTimeout,
		ReadOnly:     readOnly,
		PageSize:     pageSize,
		FreelistType: bbolt.FreelistArrayType, // takes the first page that is free: the file stays short
		NoStatistics: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
			d.file, err = os.OpenFile(name, flag, mode)
			return d.file, err
		},
	}
	err := guarded(func() (err error) {
		d.bolt, err = bbolt.Open(path, 0o640, &o)
		return err
	})
	if err == nil {
		d.bolt.AllocSize = 1 << 20 // what the file grows by, where the default is 16 MiB
		return d, nil
	}
	if d.file != nil {
		_ = d.file.Close() // lets go of the lock where bbolt did not come to it
	}
	for _, damage := range []error{errCaught, bbolterrors.ErrInvalid, bbolterrors.ErrVersionMismatch, bbolterrors.ErrChecksum} {
		if errors.Is(err, damage) {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, ErrLocked
	}
	return nil, err
}

// close lets go of the file. Where bbolt ended within its own locks it cannot be closed: then the mapping stays until the
// end of the process, and with it the lock of the file, so that memory alone serves from then on.
func (d *database) close() error {
	if !d.stuck {
		return guarded(d.bolt.Close)
	}
	if err := d.file.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

// transact runs fn in a transaction of its own, which is undone where fn fails.
func (d *database) transact(writable bool, fn func(*bbolt.Tx) error) error {
	return guarded(func() error {
		// A transaction begins by reading the meta pages under the locks of bbolt, where a fault must not happen.
		if info, err := d.file.Stat(); err != nil {
			return err
		} else if info.Size() < 2*pageSize {
			return damaged("it was cut to %d bytes", info.Size())
		}
		d.stuck = true
		tx, err := d.bolt.Begin(writable)
		d.stuck = false
		if err != nil {
			return err
		}
		defer func() {
			d.stuck = true
			_ = tx.Rollback() // does nothing after a commit, and after a panic it frees the locks
			d.stuck = false
		}()
		if err := fn(tx); err != nil || !writable {
			return err
		}
		return tx.Commit()
	})
}

// prepare makes the buckets, where they are not there, and reads what is known of the GPUs.
func (d *database) prepare() error {
	made := false
	err := d.transact(false, func(tx *bbolt.Tx) error {
		made = tx.Bucket(chunkBucket) != nil && tx.Bucket(gpuBucket) != nil
		return nil
	})
	if err == nil && !made {
		err = d.transact(true, func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucketIfNotExists(chunkBucket)
			if err == nil {
				_, err = tx.CreateBucketIfNotExists(gpuBucket)
			}
			return err
		})
	}
	if err != nil {
		return err
	}
	return d.transact(false, d.load)
}

// load reads what is known of the GPUs.
func (d *database) load(tx *bbolt.Tx) error {
	b := tx.Bucket(gpuBucket)
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, v []byte) error {
		if len(k) != 4 {
			return damaged("GPU %x", k)
		}
		g := numbered{number: binary.BigEndian.Uint32(k)}
		if err := json.Unmarshal(v, &g.known); err != nil {
			return damaged("GPU %d: %w", g.number, err)
		}
		d.gpus[g.GPU] = g
		return nil
	})
}

// The bounds of one read, so that it holds up nobody for long.
const (
	maxRead = 16   // chunks
	maxSeen = 1024 // those of other GPUs among them
)

// A read is a part of the chunks of one GPU.
type read struct {
	chunks  []chunk
	skipped []key // chunks that are damaged
	seen    place // how far it came
	end     bool  // there are no more before the time
}

// read reads the chunks of a GPU after a place that begin before a time.
func (d *database) read(gpu string, after place, before int64) (r read, err error) {
	r.seen = after
	g, ok := d.gpus[gpu]
	if !ok {
		r.end = true
		return r, nil
	}
	err = d.transact(false, func(tx *bbolt.Tx) error {
		b := tx.Bucket(chunkBucket)
		if b == nil {
			r.end = true
			return nil
		}
		c := b.Cursor()
		k, v := c.Seek(after[:])
		for range maxSeen {
			if k == nil {
				r.end = true
				return nil
			}
			if len(k) != len(place{}) {
				return damaged("key %x", k)
			}
			if p := place(k); p != after {
				at := p.key()
				if at.start >= before {
					r.end = true
					return nil
				}
				r.seen = p
				if p.number() == g.number {
					r.take(at, p, v)
				}
				if len(r.chunks) == maxRead {
					return nil
				}
			}
			k, v = c.Next()
		}
		return nil
	})
	return r, err
}

func (r *read) take(k key, p place, v []byte) {
	c, err := parseChunk(k, p[:], v)
	if err != nil {
		r.skipped = append(r.skipped, k)
		return
	}
	r.chunks = append(r.chunks, c)
}
