package compat

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// entriesEvery is n entries of GPU a, the first at the time of the tests.
func entriesEvery(step time.Duration, n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{GPU: "a", At: at.Add(time.Duration(i) * step)}
	}
	return entries
}

// Memory holds an hour, and 3600 entries, and at most one chunk more when it begins another.
func TestMemoryIsBounded(t *testing.T) {
	for step, want := range map[time.Duration]int{time.Second: 3600, 10 * time.Second: 361, 900 * time.Millisecond: 3600} {
		m := NewMemory()
		const n = 10_000
		for _, e := range entriesEvery(step, n) {
			if err := m.Append([]Entry{e}); err != nil {
				t.Fatal(err)
			}
			if entries, _ := m.Size(); entries > want+2*chunkEntries {
				t.Fatalf("step %v: %d entries, want about %d", step, entries, want)
			}
		}
		got := past(t, m)
		if len(got) < want || got[len(got)-1] != ((n-1)*step).Seconds() || !slices.IsSorted(got) {
			t.Errorf("step %v: %d entries from %v to %v, want %d", step, len(got), got[0], got[len(got)-1], want)
		}
		if entries, bytes := m.Size(); entries != len(got) || bytes > 100_000 {
			t.Errorf("step %v: %d entries and %d bytes, but it gives %d", step, entries, bytes, len(got))
		}
	}
}

// clockJumps are the seconds of entries as they come, and which of them memory still has.
var clockJumps = map[string]struct {
	seconds []float64
	memory  string
}{
	"a second back":           {[]float64{0, 1, 2, 1, 2, 3}, "[0 1 1 2 2 3]"},
	"again and again":         {[]float64{5, 4, 3, 2, 1, 0}, "[0 1 2 3 4 5]"},
	"back into a gap":         {[]float64{0, 100, 200, 50, 150, 250}, "[0 50 100 150 200 250]"},
	"an hour back":            {[]float64{3600, 3601, 0, 1}, "[0 1 3600 3601]"},
	"standing still":          {[]float64{0, 0, 0, 1}, "[0 0 0 1]"},
	"more than a span apart":  {[]float64{0, 301, 602}, "[0 301 602]"},
	"more than an hour later": {[]float64{0, 1, 3602}, "[3602]"},
	"a day ahead and back":    {[]float64{0, 86400, 1, 2}, "[1 2 86400]"},
}

// Where the clock was set back the entries still come in the order of time, and those that came first go first.
func TestMemoryOfAClockThatJumps(t *testing.T) {
	for name, c := range clockJumps {
		m := NewMemory()
		for _, second := range c.seconds {
			if err := m.Append([]Entry{{GPU: "a", At: at.Add(time.Duration(second) * time.Second)}}); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(past(t, m)); got != c.memory {
			t.Errorf("%s: got %s, want %s", name, got, c.memory)
		}
	}
}

func TestMemoryRange(t *testing.T) {
	m := NewMemory()
	for i := range 300 {
		if err := m.Append([]Entry{{GPU: "a", At: at.Add(time.Duration(i) * time.Second), State: collector.StatePartial}}); err != nil {
			t.Fatal(err)
		}
	}
	var got []int
	for e, err := range m.Range("a", at.Add(126*time.Second), at.Add(130*time.Second)) {
		if err != nil || e.GPU != "a" || e.State != collector.StatePartial {
			t.Errorf("%+v, %v", e, err)
		}
		got = append(got, int(e.At.Sub(at)/time.Second))
	}
	if fmt.Sprint(got) != "[126 127 128 129]" {
		t.Errorf("got %v", got)
	}
	for range m.Range("b", time.Time{}, at) {
		t.Error("an entry of an unknown GPU")
	}
	for range m.Range("a", time.Time{}, at.AddDate(1, 0, 0)) {
		break // a reader may leave
	}
}

// A reader that is slower than the recorder misses nothing in the middle, though the last chunk grows after he has it.
func TestMemoryGrowsWhileItIsRead(t *testing.T) {
	m := NewMemory()
	recorded := 0
	record := func() {
		if err := m.Append([]Entry{{GPU: "a", At: at.Add(time.Duration(recorded) * time.Second)}}); err != nil {
			t.Fatal(err)
		}
		recorded++
	}
	for range chunkEntries + 2 {
		record()
	}
	read := 0
	for e, err := range m.Range("a", at.Add(-time.Second), at.AddDate(1, 0, 0)) {
		if second := int(e.At.Sub(at.Truncate(time.Microsecond)) / time.Second); err != nil || second != read {
			t.Fatalf("second %d, %v; want %d", second, err, read)
		}
		read++
		for recorded < min(3*read, 3000) {
			record()
		}
	}
	if read <= 2*chunkEntries {
		t.Errorf("%d of %d entries", read, recorded)
	}
}

// Readers and the recorder do not disturb one another, and a reader may forget the GPU that it reads.
func TestMemoryIsShared(t *testing.T) {
	m := NewMemory()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 50 {
				last := time.Time{}
				for e := range m.Range("a", time.Time{}, at.AddDate(1, 0, 0)) {
					if !e.At.After(last) {
						t.Errorf("%v after %v", e.At, last)
					}
					last = e.At
				}
			}
		})
	}
	for i := range 8000 {
		_ = m.Append([]Entry{{GPU: "a", At: at.Add(time.Duration(i) * time.Second)}})
	}
	for range m.Range("a", time.Time{}, at.AddDate(1, 0, 0)) {
		m.Forget("a")
	}
	readers.Wait()
}
