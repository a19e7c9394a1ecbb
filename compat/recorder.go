package compat

import (
	"math"
	"sync"
	"time"

	"gpu_exporter/collector"
)

// recorder turns snapshots into entries.
type recorder struct {
	store Store

	mu   sync.Mutex // guards gpus and all in it
	gpus map[string]*recorded
}

// recorded is what was last recorded of a GPU.
type recorded struct {
	about about
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

// taken is what a snapshot has for the store.
type taken struct {
	entries   []Entry
	described []about // new, or not as before
	forgotten []string
}

// record appends the readings of s that are new.
func (r *recorder) record(s *collector.Snapshot) error {
	t := r.take(s)
	if d, ok := r.store.(Describer); ok {
		for _, a := range t.described {
			d.Describe(a.info, a.index)
		}
	}
	for _, gpu := range t.forgotten {
		r.store.Forget(gpu)
	}
	if len(t.entries) == 0 {
		return nil
	}
	return r.store.Append(t.entries)
}

func (r *recorder) take(s *collector.Snapshot) (t taken) {
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
		if a := (about{d.Info, d.Index}); last.about != a {
			last.about = a
			t.described = append(t.described, a)
		}
		if len(d.Samples) == 0 || d.At.Equal(last.at) {
			continue
		}
		values := ValuesOf(d)
		last.at = d.At
		if values[MemoryTotal].OK {
			last.total = values[MemoryTotal]
		}
		early := last.due.Sub(d.At)
		setBack := early > entryInterval+entryEarly // no entry is due later than that after a reading: it was the clock
		if early > entryEarly && !setBack {
			continue
		}
		last.due = last.due.Add(entryInterval)
		if setBack || !last.due.After(d.At) {
			last.due = d.At.Add(entryInterval)
		}
		t.entries = append(t.entries, Entry{d.GPU, d.At, d.State, narrow(values)})
	}
	for gpu := range r.gpus {
		if !known[gpu] {
			delete(r.gpus, gpu)
			t.forgotten = append(t.forgotten, gpu)
		}
	}
	return t
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
