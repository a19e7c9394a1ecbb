package compat

import (
	"iter"
	"math"
	"sync"
	"time"
	"unsafe"

	"gpu_exporter/collector"
)

// An Entry is one recorded reading of one GPU: its primary values, rounded, NaN where one is not known.
type Entry struct {
	GPU    string
	At     time.Time
	State  collector.State
	Values [len(columns)]float32
}

// A Store keeps the recorded past. All methods may be called at the same time, but Append only by one.
type Store interface {
	// Append records entries, for each GPU in the order of time.
	Append(entries []Entry) error
	// Range gives the entries of a GPU from from on and before to, oldest first, as they are asked for: however long the
	// range, it takes little memory, and holds up no Append. An error is the last that it gives.
	Range(gpu string, from, to time.Time) iter.Seq2[Entry, error]
	// Forget says that a GPU is not told of any more.
	Forget(gpu string)
}

// The bounds of what Memory keeps of one GPU: about 170 kB.
const (
	memoryAge     = time.Hour
	memoryEntries = 3600
)

// Memory is the Store of the last hour.
type Memory struct {
	mu    sync.RWMutex // guards rings and all in them
	rings map[string]*ring
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{rings: map[string]*ring{}} }

// record is an Entry of a known GPU.
type record struct {
	unixMicro int64
	values    [len(columns)]float32
	state     collector.State
}

// ring has the records from first to before next, counted from the beginning; number n lies at n modulo memoryEntries.
type ring struct {
	records     []record // grows up to memoryEntries
	first, next uint64
}

// Append implements Store.
func (m *Memory) Append(entries []Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		r := m.rings[e.GPU]
		if r == nil {
			r = &ring{}
			m.rings[e.GPU] = r
		}
		r.add(record{e.At.UnixMicro(), e.Values, e.State})
	}
	return nil
}

// Forget implements Store.
func (m *Memory) Forget(gpu string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rings, gpu)
}

// Range implements Store. What is recorded or becomes too old meanwhile may be in it or not.
func (m *Memory) Range(gpu string, from, to time.Time) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var part [128]record // copied at a time, so that a slow reader holds no lock
		var n uint64
		for {
			length := m.copy(gpu, &n, part[:])
			if length == 0 {
				return
			}
			for _, r := range part[:length] {
				at := time.UnixMicro(r.unixMicro)
				if !at.Before(from) && at.Before(to) && !yield(Entry{gpu, at, r.state, r.values}, nil) {
					return
				}
			}
		}
	}
}

// copy copies records from number n on, which it moves forward.
func (m *Memory) copy(gpu string, n *uint64, dst []record) (length int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	r := m.rings[gpu]
	if r == nil {
		return 0
	}
	for *n = max(*n, r.first); *n < r.next && length < len(dst); *n++ {
		dst[length] = *r.at(*n)
		length++
	}
	return length
}

func (r *ring) at(n uint64) *record { return &r.records[n%memoryEntries] }

func (r *ring) add(x record) {
	if len(r.records) < memoryEntries {
		r.records = append(r.records, x)
	} else {
		*r.at(r.next) = x
	}
	r.next++
	if r.next-r.first > memoryEntries {
		r.first++
	}
	for x.unixMicro-r.at(r.first).unixMicro > memoryAge.Microseconds() {
		r.first++
	}
}

// recorder turns snapshots into entries.
type recorder struct {
	store Store

	mu   sync.Mutex // guards gpus and all in it
	gpus map[string]*recorded
}

// recorded is what was last recorded of a GPU.
type recorded struct {
	at    time.Time       // of the last new reading
	due   time.Time       // when the next entry is
	total collector.Value // the last memory_total: what a sleeping GPU has still
}

// The pace of entries. Readings that are made once a second do not come a second apart to the millisecond: one that is
// a little early is taken, but the next is due no sooner for that.
const (
	entryInterval = time.Second
	entryEarly    = entryInterval / 4
)

// record appends the readings of s that are new.
func (r *recorder) record(s *collector.Snapshot) error {
	entries, forgotten := r.take(s)
	for _, gpu := range forgotten {
		r.store.Forget(gpu)
	}
	if len(entries) == 0 {
		return nil
	}
	return r.store.Append(entries)
}

func (r *recorder) take(s *collector.Snapshot) (entries []Entry, forgotten []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := make(map[string]bool, len(s.Devices))
	for i := range s.Devices {
		d := &s.Devices[i]
		known[d.GPU] = true
		last := r.gpus[d.GPU]
		if last == nil {
			last = &recorded{}
			r.gpus[d.GPU] = last
		}
		if len(d.Samples) == 0 || d.At.Equal(last.at) {
			continue
		}
		values := ValuesOf(d)
		last.at = d.At
		if values[MemoryTotal].OK {
			last.total = values[MemoryTotal]
		}
		if d.At.Before(last.due.Add(-entryEarly)) {
			continue
		}
		last.due = last.due.Add(entryInterval)
		if !last.due.After(d.At) {
			last.due = d.At.Add(entryInterval)
		}
		entries = append(entries, Entry{d.GPU, d.At, d.State, narrow(values)})
	}
	for gpu := range r.gpus {
		if !known[gpu] {
			delete(r.gpus, gpu)
			forgotten = append(forgotten, gpu)
		}
	}
	return entries, forgotten
}

// total is the last known memory_total.
func (r *recorder) total(gpu string) collector.Value {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.gpus[gpu]; last != nil {
		return last.total
	}
	return collector.Value{}
}

func narrow(values Values) (narrow [len(columns)]float32) {
	for i, v := range values {
		narrow[i] = float32(math.NaN())
		if v.OK {
			narrow[i] = float32(v.V)
		}
	}
	return narrow
}

// Size is how many records there are, and about how many bytes they take.
func (m *Memory) Size() (records, bytes int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, r := range m.rings {
		records += int(r.next - r.first)
		bytes += cap(r.records) * int(unsafe.Sizeof(record{}))
	}
	return records, bytes
}
