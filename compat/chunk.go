package compat

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"gpu_exporter/collector"
)

// The bounds of a chunk. A search for a time begins a span before it.
const (
	chunkEntries = 128
	chunkSpan    = 5 * time.Minute
)

// A key names a chunk among those of its GPU: when it begins, and a number that no other has.
type key struct {
	start    int64 // Unix microseconds
	sequence uint64
}

func (k key) compare(other key) int {
	return cmp.Or(cmp.Compare(k.start, other.start), cmp.Compare(k.sequence, other.sequence))
}

// A chunk is a run of records of one GPU in the order of time. Readings that are a second apart differ little, so that what
// changed takes about 13 bytes a record, where the record itself has 48.
type chunk struct {
	key
	end     int64 // of the last record, Unix microseconds; not known of one out of the file
	entries int
	given   int    // so many of them are not asked for
	packed  []byte // the records; what is there never changes, so that readers need no copy
}

// takes says whether a record may follow in this chunk.
func (c *chunk) takes(unixMicro int64) bool {
	return c.entries < chunkEntries && unixMicro >= c.end && unixMicro-c.start <= chunkSpan.Microseconds()
}

// packing is what must be known of the record before to write or read one.
type packing struct {
	at, step int64 // Unix microseconds, and how many since the record before it
	shape    uint64
	tenths   [len(columns)]int64 // of each column, where it had a value last
}

// The shape of a record: a bit for each value that is there, and above them the state.
const stateShift = len(columns)

// maxTenths is more than a GPU can have of anything; so far float64 counts without a gap.
const maxTenths = 1 << 53

// tenthsOf is a value as a whole number: values are rounded to one decimal (legacy-api.md 2).
func tenthsOf(v float32) (tenths int64, ok bool) {
	t := math.Round(float64(v) * 10)
	if math.IsNaN(t) || math.Abs(t) > maxTenths {
		return 0, false
	}
	return int64(t), true
}

func (p *packing) append(dst []byte, r *record) []byte {
	step := r.unixMicro - p.at
	dst = binary.AppendVarint(dst, step-p.step)
	p.at, p.step = r.unixMicro, step
	shape := uint64(r.state) << stateShift
	tenths := p.tenths
	for i, v := range r.values {
		if t, ok := tenthsOf(v); ok {
			shape |= 1 << i
			tenths[i] = t
		}
	}
	dst = binary.AppendUvarint(dst, shape^p.shape)
	for i := range columns {
		if shape&(1<<i) != 0 {
			dst = binary.AppendVarint(dst, tenths[i]-p.tenths[i])
		}
	}
	p.shape, p.tenths = shape, tenths
	return dst
}

var errChunk = errors.New("not a chunk of the history")

// next reads a record from src into r.
func (p *packing) next(src []byte, r *record) (rest []byte, err error) {
	bad := false
	varint := func() int64 {
		v, n := binary.Varint(src)
		if n <= 0 {
			bad = true
			return 0
		}
		src = src[n:]
		return v
	}
	p.step += varint()
	p.at += p.step
	shape, n := binary.Uvarint(src)
	if bad || n <= 0 || p.step < 0 || p.step > chunkSpan.Microseconds() {
		return nil, errChunk
	}
	src = src[n:]
	p.shape ^= shape
	if p.shape>>stateShift >= uint64(len(collector.States)) {
		return nil, errChunk
	}
	r.unixMicro, r.state = p.at, collector.State(p.shape>>stateShift)
	for i := range columns {
		if p.shape&(1<<i) == 0 {
			r.values[i] = float32(math.NaN())
			continue
		}
		p.tenths[i] += varint()
		if bad || p.tenths[i] > maxTenths || p.tenths[i] < -maxTenths {
			return nil, errChunk
		}
		r.values[i] = float32(float64(p.tenths[i]) / 10)
	}
	return src, nil
}

// records appends the records that are asked for to dst.
func (c *chunk) records(dst []record) ([]record, error) {
	p := packing{at: c.start}
	packed := c.packed
	var r record
	var err error
	for i := range c.entries {
		if packed, err = p.next(packed, &r); err != nil {
			return dst, err
		}
		if i >= c.given {
			dst = append(dst, r)
		}
	}
	if len(packed) > 0 || p.at-c.start > chunkSpan.Microseconds() {
		return dst, errChunk
	}
	return dst, nil
}

// chunkVersion is the first byte of a chunk in the file. Then come the number of its records, the records, and a sum over
// all that and its place in the file, so that nothing else passes for it.
const chunkVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// marshal is the chunk as it stands in the file.
func (c *chunk) marshal(place []byte) []byte {
	b := make([]byte, 0, 2+len(c.packed)+crc32.Size)
	b = append(b, chunkVersion, byte(c.entries))
	b = append(b, c.packed...)
	return binary.BigEndian.AppendUint32(b, chunkSum(place, b))
}

// parseChunk is the inverse of marshal, but for the end. It copies what it needs.
func parseChunk(k key, place, b []byte) (chunk, error) {
	if len(b) < 2+crc32.Size {
		return chunk{}, errChunk
	}
	b, sum := b[:len(b)-crc32.Size], binary.BigEndian.Uint32(b[len(b)-crc32.Size:])
	if sum != chunkSum(place, b) || b[0] != chunkVersion || b[1] > chunkEntries {
		return chunk{}, errChunk
	}
	return chunk{key: k, entries: int(b[1]), packed: slices.Clone(b[2:])}, nil
}

func chunkSum(place, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(place, castagnoli), castagnoli, b)
}
