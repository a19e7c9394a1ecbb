package compat

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
	"unsafe"

	"gpu_exporter/collector"
)

// The bounds of what Memory keeps of one GPU, both in whole chunks: about 50 kB.
const (
	memoryAge     = time.Hour
	memoryEntries = 3600
)

// Memory is the Store of the last hour.
type Memory struct {
	mu       sync.RWMutex // guards all below
	shelves  map[string]*shelf
	sequence uint64 // of the last chunk

	// What File needs.
	backed bool  // there is a file: chunks are kept until it has them, if their time is not over before
	latest int64 // when the last entry was made, Unix microseconds
	lost   int   // entries whose time was over before
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	// Chunks of the process before this one may be in the file. Its numbers were others, most likely; and where they were
	// not, it would have to begin a chunk in the same microsecond to matter.
	return &Memory{shelves: map[string]*shelf{}, sequence: rand.Uint64() >> 1}
}

// A shelf has the chunks of one GPU.
type shelf struct {
	chunks    []*held // in the order of their keys
	entries   int     // in all of them
	open      *held   // the one that the next record may go into; nil: none
	packing   packing // of open
	about     *about  // nil: not described
	forgotten bool    // kept until the file has it
}

// held is a chunk in memory.
type held struct {
	chunk
	stored bool // the file has it
}

// about is what is known of a GPU beside its readings.
type about struct {
	info  collector.Info
	index int
}

func (m *Memory) shelf(gpu string) *shelf {
	s := m.shelves[gpu]
	if s == nil {
		s = &shelf{}
		m.shelves[gpu] = s
	}
	return s
}

// Append implements Store.
func (m *Memory) Append(entries []Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range entries {
		e := &entries[i]
		m.latest = e.At.UnixMicro()
		s := m.shelf(e.GPU)
		s.forgotten = false
		if s.open == nil || !s.open.takes(m.latest) {
			m.begin(s, m.latest)
		}
		s.add(&record{m.latest, e.Values, e.State})
	}
	return nil
}

// begin begins a chunk, for which old ones make room.
func (m *Memory) begin(s *shelf, unixMicro int64) {
	s.close()
	m.clear(s, unixMicro)
	m.sequence++
	s.open = &held{chunk: chunk{key: key{unixMicro, m.sequence}, end: unixMicro}}
	s.packing = packing{at: unixMicro}
	i, _ := s.find(s.open.key)
	s.chunks = slices.Insert(s.chunks, i, s.open)
}

func (s *shelf) add(r *record) {
	s.open.packed = s.packing.append(s.open.packed, r)
	s.open.end = r.unixMicro
	s.open.entries++
	s.entries++
}

// close ends the open chunk.
func (s *shelf) close() {
	if s.open != nil {
		s.open.packed = slices.Clone(s.open.packed) // lets go of what it could still have grown into
		s.open = nil
	}
}

// find returns the position of a key, or where it would be.
func (s *shelf) find(k key) (i int, found bool) {
	return slices.BinarySearchFunc(s.chunks, k, func(h *held, k key) int { return h.compare(k) })
}

// clear drops the chunks whose time is over. They go in the order in which they came, which is not that of their times
// where the clock was set back.
func (m *Memory) clear(s *shelf, unixMicro int64) {
	for len(s.chunks) > 0 {
		oldest := slices.MinFunc(s.chunks, func(a, b *held) int { return cmp.Compare(a.sequence, b.sequence) })
		if unixMicro-oldest.end <= memoryAge.Microseconds() && s.entries-oldest.entries < memoryEntries {
			return
		}
		if m.backed && !oldest.stored {
			m.lost += oldest.entries
		}
		i, _ := s.find(oldest.key)
		s.chunks = slices.Delete(s.chunks, i, i+1)
		s.entries -= oldest.entries
	}
}

// Forget implements Store.
func (m *Memory) Forget(gpu string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.shelves[gpu]; s != nil {
		s.forgotten = true
	}
	m.sweep()
}

// sweep drops the forgotten GPUs of which nothing waits for the file.
func (m *Memory) sweep() {
	for gpu, s := range m.shelves {
		if !s.forgotten {
			continue
		}
		m.clear(s, m.latest)
		if !m.backed || !slices.ContainsFunc(s.chunks, func(h *held) bool { return !h.stored }) {
			delete(m.shelves, gpu)
		}
	}
}

// Range implements Store. What is recorded or becomes too old meanwhile may be in it or not.
func (m *Memory) Range(gpu string, from, to time.Time) iter.Seq2[Entry, error] {
	return entriesOf(gpu, from, to, nil, m.lookup(gpu))
}

// lookup looks into the memory of a GPU. A chunk that has grown since it was given comes again, without what was in it:
// else there would be a hole between it and the next.
func (m *Memory) lookup(gpu string) lookup {
	var last chunk
	return func(after key) (c chunk, ok bool, err error) {
		m.mu.RLock()
		defer m.mu.RUnlock()
		s := m.shelves[gpu]
		if s == nil {
			return c, false, nil
		}
		i, found := s.find(after)
		grown := found && after == last.key && s.chunks[i].entries > last.entries
		if found && !grown {
			i++
		}
		if i == len(s.chunks) {
			return c, false, nil
		}
		c = s.chunks[i].chunk
		if grown {
			c.given = last.entries
		}
		last = c
		return c, true, nil
	}
}

// Size is how many entries there are, and about how many bytes they take.
func (m *Memory) Size() (entries, bytes int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, s := range m.shelves {
		entries += s.entries
		bytes += int(unsafe.Sizeof(shelf{})) + cap(s.chunks)*int(unsafe.Sizeof(s.open))
		for _, h := range s.chunks {
			bytes += int(unsafe.Sizeof(held{})) + cap(h.packed)
		}
	}
	return entries, bytes
}

// describe keeps what is known of a GPU.
func (m *Memory) describe(a about) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shelf(a.info.GPU).about = &a
}

// unstored is what the file has to take: chunks, which it closes, by GPU, and what is known of these.
type unstored struct {
	chunks map[string][]*held
	about  map[string]about
	latest int64 // when the last entry was made, Unix microseconds
}

// unstored returns what the file does not have. The chunks are not changed any more.
func (m *Memory) unstored() unstored {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := unstored{map[string][]*held{}, map[string]about{}, m.latest}
	for gpu, s := range m.shelves {
		s.close()
		for _, h := range s.chunks {
			if !h.stored {
				u.chunks[gpu] = append(u.chunks[gpu], h)
			}
		}
		if s.about != nil {
			u.about[gpu] = *s.about
		}
	}
	return u
}

// stored says that the file has it now, and how many entries were lost since the last time.
func (m *Memory) stored(u unstored) (lost int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, chunks := range u.chunks {
		for _, h := range chunks {
			h.stored = true
		}
	}
	m.sweep()
	lost, m.lost = m.lost, 0
	return lost
}

// waiting is how many entries the file does not have, those that were lost among them.
func (m *Memory) waiting() (entries int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, s := range m.shelves {
		for _, h := range s.chunks {
			if !h.stored {
				entries += h.entries
			}
		}
	}
	return entries + m.lost
}
