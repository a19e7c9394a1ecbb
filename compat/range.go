package compat

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"time"
)

// A lookup finds the first chunk of a GPU after a key. Not ok: there is none now.
type lookup func(after key) (c chunk, ok bool, err error)

// entriesOf gives what the lookups find, as the Range of a Store does: chunk after chunk, whoever has the next. Where two
// have the same key it is the same chunk, which the first gives. skipped, which may be nil, is told of a chunk that cannot
// be read.
func entriesOf(gpu string, from, to time.Time, skipped func(key), lookups ...lookup) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		first, end := from.UnixMicro(), to.UnixMicro()
		after := key{first - chunkSpan.Microseconds() - 1, math.MaxUint64}
		var m merger
		for {
			c, ok, err := next(after, lookups)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			until := end
			if ok {
				until = min(until, c.start)
			}
			// No chunk that is still to come has an entry before this one begins.
			for r := range m.before(until) {
				if r.unixMicro >= first && !yield(Entry{gpu, time.UnixMicro(r.unixMicro), r.state, r.values}, nil) {
					return
				}
			}
			if !ok || c.start >= end {
				return
			}
			after = c.key
			if !m.add(&c) && skipped != nil {
				skipped(c.key)
			}
		}
	}
}

func next(after key, lookups []lookup) (first chunk, ok bool, err error) {
	for _, look := range lookups {
		c, found, err := look(after)
		if err != nil {
			return chunk{}, false, err
		}
		if found && (!ok || c.compare(first.key) < 0) {
			first, ok = c, true
		}
	}
	return first, ok, nil
}

// A merger puts records in the order of time. Chunks overlap only where the clock was set back: else it holds one.
type merger struct {
	records []record // in the order of time
	begin   int      // those before it are given away
}

// before gives away the records before a time.
func (m *merger) before(unixMicro int64) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		for ; m.begin < len(m.records) && m.records[m.begin].unixMicro < unixMicro; m.begin++ {
			if !yield(&m.records[m.begin]) {
				return
			}
		}
	}
}

// add takes in the records of a chunk. It is not ok where they cannot be read.
func (m *merger) add(c *chunk) (ok bool) {
	m.records = slices.Delete(m.records, 0, m.begin)
	m.begin = 0
	left := len(m.records)
	records, err := c.records(m.records)
	if err != nil {
		m.records = m.records[:left]
		return false
	}
	m.records = records
	if left > 0 {
		slices.SortStableFunc(m.records, func(a, b record) int { return cmp.Compare(a.unixMicro, b.unixMicro) })
	}
	return true
}
