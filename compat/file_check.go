package compat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
)

// A damaged file must not reach bbolt. It maps the file and believes what it finds: a position that points outside faults,
// a page that has itself below it is walked until memory ends, a wrong list of free pages has live ones overwritten, and
// Tx.Check does its work in a goroutine of its own, where no fault can be caught. So everything that bbolt goes by is read
// and checked here first, without mapping: the layout is that of internal/common (page.go, meta.go, bucket.go, inode.go)
// and internal/freelist of bbolt 1.5.0, and has not changed since version 2 of the format (2014). What stands in the values
// is not looked at: chunks have a sum of their own.

// pageSize is that of our files on every machine. bbolt would take that of the machine which made the file.
const pageSize = 4096

// The layout of a page: a head, then the heads of its elements, then their keys and values.
const (
	pageHead    = 16 // id, flags, count, overflow
	elementHead = 16 // of a branch: position, size of the key, page; of a leaf: flags, position, sizes of key and value
	metaSize    = 64
	bucketHead  = 16 // page of the root, sequence
)

// The sorts of pages, and of elements of a leaf.
const (
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	bucketElement = 0x01
)

// What no file of ours comes near to: its trees are three pages deep, and four of its largest values fill 15 pages.
const (
	maxDepth    = 12
	maxOverflow = 64
)

var errDamaged = errors.New("the file is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errDamaged}, args...)...)
}

// A meta is what a file says of itself.
type meta struct{ pageSize, root, freelist, pages, transaction uint64 }

// parseMeta reads a meta page. Not ok: bbolt takes it for none.
func parseMeta(b []byte) (m meta, ok bool) {
	b = b[pageHead : pageHead+metaSize]
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSize-8])
	word := binary.NativeEndian.Uint32
	long := binary.NativeEndian.Uint64
	ok = word(b) == 0xED0CDAED && word(b[4:]) == 2 && long(b[56:]) == sum.Sum64()
	return meta{uint64(word(b[8:])), long(b[16:]), long(b[32:]), long(b[40:]), long(b[48:])}, ok
}

// checkFile says what is wrong with a file of size bytes that bbolt is to open. Whoever calls it holds the lock.
func checkFile(file io.ReaderAt, size int64) error {
	if size < 4*pageSize {
		return damaged("%d bytes", size)
	}
	var head [2 * pageSize]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	m, ok := parseMeta(head[:])
	size0 := m.pageSize // that of the first is what bbolt goes by
	other, good := parseMeta(head[pageSize:])
	if good && (!ok || other.transaction > m.transaction) {
		m = other
	}
	switch {
	case !ok && !good:
		return damaged("no meta page")
	case ok && size0 != pageSize || m.pageSize != pageSize:
		return damaged("pages of %d bytes", m.pageSize)
	case m.pages < 4 || m.pages > uint64(size/pageSize):
		return damaged("it should have %d pages, and has %d", m.pages, size/pageSize)
	}
	c := check{file: file, pages: m.pages, used: make([]bool, m.pages)}
	c.used[0], c.used[1] = true, true
	if err := c.tree(m.root, part{}, 0); err != nil {
		return err
	}
	return c.freelist(m.freelist)
}

// check is the state of a check.
type check struct {
	file  io.ReaderAt
	pages uint64
	used  []bool // by page: it was met
}

// page reads a page with all that overflows from it, which nobody else may use.
func (c *check) page(id uint64, maxOverflow uint64) (b []byte, flags uint16, count int, err error) {
	if id < 2 || id >= c.pages {
		return nil, 0, 0, damaged("page %d of %d", id, c.pages)
	}
	b = make([]byte, pageSize)
	if _, err := c.file.ReadAt(b, int64(id)*pageSize); err != nil {
		return nil, 0, 0, fmt.Errorf("%w: %w", errDamaged, err)
	}
	overflow := uint64(binary.NativeEndian.Uint32(b[12:]))
	if binary.NativeEndian.Uint64(b) != id || overflow > maxOverflow || overflow >= c.pages-id {
		return nil, 0, 0, damaged("page %d is none", id)
	}
	for i := id; i <= id+overflow; i++ {
		if c.used[i] {
			return nil, 0, 0, damaged("page %d is used twice", i)
		}
		c.used[i] = true
	}
	if overflow > 0 {
		b = make([]byte, (1+overflow)*pageSize)
		if _, err := c.file.ReadAt(b, int64(id)*pageSize); err != nil {
			return nil, 0, 0, fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return b, binary.NativeEndian.Uint16(b[8:]), int(binary.NativeEndian.Uint16(b[10:])), nil
}

// A part is what lies below a page: its keys begin with low and stay below high, where these are not nil, and have so many
// bytes. Where they have none it is the tree of the root: that of the buckets, which are there and nowhere else.
type part struct {
	low, high []byte
	keySize   int
}

// takes says whether a key may come after the one before, nil for the first. bbolt relies on it that the first key in a
// page is the one that the branch above has: else it forgets to take that away when it writes the page anew.
func (p part) takes(before, key []byte) bool {
	switch {
	case len(key) == 0 || p.keySize > 0 && len(key) != p.keySize || p.high != nil && bytes.Compare(key, p.high) >= 0:
		return false
	case before == nil:
		return p.low == nil || bytes.Equal(key, p.low)
	}
	return bytes.Compare(key, before) > 0
}

// keySizes are those of the buckets.
var keySizes = map[string]int{string(chunkBucket): len(place{}), string(gpuBucket): 4}

func (c *check) tree(id uint64, p part, depth int) error {
	if depth > maxDepth {
		return damaged("page %d is too deep", id)
	}
	b, flags, count, err := c.page(id, maxOverflow)
	switch {
	case err != nil:
		return err
	case count == 0 && p.low != nil:
		return damaged("page %d is empty", id)
	case flags == leafPage:
		return c.leaf(id, b, count, p)
	case flags != branchPage || count == 0:
		return damaged("page %d is no tree", id)
	}
	var before []byte
	for i := range count {
		key, child, ok := branchElement(b, count, i)
		below := part{key, p.high, p.keySize}
		if i+1 < count {
			below.high, _, _ = branchElement(b, count, i+1)
		}
		if !ok || !p.takes(before, key) {
			return damaged("page %d, element %d", id, i)
		}
		if err := c.tree(child, below, depth+1); err != nil {
			return err
		}
		before = key
	}
	return nil
}

func (c *check) leaf(id uint64, b []byte, count int, p part) error {
	var before []byte
	for i := range count {
		flags, key, value, ok := leafElement(b, count, i)
		isBucket, root := flags == bucketElement, p.keySize == 0
		if !ok || !p.takes(before, key) || flags > bucketElement || isBucket != root {
			return damaged("page %d, element %d", id, i)
		}
		before = key
		if isBucket {
			if err := c.bucket(id, key, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *check) bucket(id uint64, name, value []byte) error {
	keySize, ok := keySizes[string(name)]
	if !ok || len(value) < bucketHead {
		return damaged("bucket %q", name)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return c.tree(root, part{keySize: keySize}, 0)
	}
	// A small bucket is a leaf in the value.
	b := value[bucketHead:]
	if len(b) < pageHead || binary.NativeEndian.Uint16(b[8:]) != leafPage {
		return damaged("bucket %q", name)
	}
	return c.leaf(id, b, int(binary.NativeEndian.Uint16(b[10:])), part{keySize: keySize})
}

// branchElement is one of the count elements of a branch.
func branchElement(b []byte, count, i int) (key []byte, child uint64, ok bool) {
	head, ok := elementAt(b, count, i)
	if !ok {
		return nil, 0, false
	}
	key, _, ok = payload(b, count, i, binary.NativeEndian.Uint32(head), binary.NativeEndian.Uint32(head[4:]), 0)
	return key, binary.NativeEndian.Uint64(head[8:]), ok
}

// leafElement is one of the count elements of a leaf.
func leafElement(b []byte, count, i int) (flags uint32, key, value []byte, ok bool) {
	head, ok := elementAt(b, count, i)
	if !ok {
		return 0, nil, nil, false
	}
	word := binary.NativeEndian.Uint32
	key, value, ok = payload(b, count, i, word(head[4:]), word(head[8:]), word(head[12:]))
	return word(head), key, value, ok
}

func elementAt(b []byte, count, i int) (head []byte, ok bool) {
	if pageHead+count*elementHead > len(b) {
		return nil, false
	}
	return b[pageHead+i*elementHead:][:elementHead], true
}

// payload is the key and the value of an element. Its position counts from the head of the element.
func payload(b []byte, count, i int, position, keySize, valueSize uint32) (key, value []byte, ok bool) {
	start := uint64(pageHead+i*elementHead) + uint64(position)
	middle := start + uint64(keySize)
	end := middle + uint64(valueSize)
	if start < uint64(pageHead+count*elementHead) || end > uint64(len(b)) {
		return nil, nil, false
	}
	return b[start:middle], b[middle:end], true
}

// freelist checks the list of free pages: none of them may be in use, nor be there twice.
func (c *check) freelist(id uint64) error {
	b, flags, count, err := c.page(id, c.pages*8/pageSize+1)
	if err != nil {
		return err
	}
	ids := b[pageHead:]
	n := uint64(count)
	if count == math.MaxUint16 { // more than can be said in the head
		n, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if flags != freelistPage || n > uint64(len(ids)/8) {
		return damaged("page %d is no list of free pages", id)
	}
	for range n {
		free := binary.NativeEndian.Uint64(ids)
		ids = ids[8:]
		if free >= c.pages || c.used[free] {
			return damaged("page %d is used and free", free)
		}
		c.used[free] = true
	}
	return nil
}
