package collector

import (
	"math"
	"testing"
)

func TestAddChecksBounds(t *testing.T) {
	for _, c := range []struct {
		v  float64
		ok bool
	}{
		{-1, true}, {10, true}, {0, true}, {-1.001, false}, {10.001, false},
		{math.NaN(), false}, {math.Inf(1), false}, {math.Inf(-1), false},
	} {
		var r Reading
		s := &Series{Q: Voltage, Min: -1, Max: 10}
		r.Add(s, c.v)
		got, ok := r.Value(s)
		if ok != c.ok || ok && got != c.v || len(r.rejected) == 1 == c.ok {
			t.Errorf("Add(%v): value %v, %v, %d rejected; want %v", c.v, got, ok, len(r.rejected), c.ok)
		}
		if !r.Closed(s) {
			t.Errorf("Add(%v): a source further down may add it again", c.v)
		}
	}
}

// The first that adds, rejects or closes a series has had the last word on it, until the next reading.
func TestFirstSourceHasTheWord(t *testing.T) {
	for _, c := range []struct {
		name     string
		first    func(r *Reading, s *Series)
		v        float64
		ok       bool
		rejected int
	}{
		{"add", func(r *Reading, s *Series) { r.Add(s, 1) }, 1, true, 0},
		{"reject", func(r *Reading, s *Series) { r.Reject(s) }, 0, false, 1},
		{"out of bounds", func(r *Reading, s *Series) { r.Add(s, 99) }, 0, false, 1},
		{"close", func(r *Reading, s *Series) { r.Close(s) }, 0, false, 0},
		{"none", func(*Reading, *Series) {}, 2, true, 0},
	} {
		var r Reading
		s := &Series{Q: Voltage, Max: 10}
		for range 2 {
			c.first(&r, s)
			r.Add(s, 2)
			r.Add(s, 99)
			r.Reject(s)
			r.Close(s)
			v, ok := r.Value(s)
			if v != c.v || ok != c.ok || len(r.rejected) != c.rejected {
				t.Errorf("%s: %v, %v, %d rejected; want %v, %v, %d", c.name, v, ok, len(r.rejected), c.v, c.ok, c.rejected)
			}
			r.Reset()
			if _, ok := r.Value(s); ok || r.Closed(s) {
				t.Errorf("%s: still there after Reset", c.name)
			}
		}
	}
}

func TestSeriesMayBeInSeveralReadings(t *testing.T) {
	s := &Series{Q: Voltage, Max: 10}
	for i := range 3 {
		var r Reading
		r.Reset()
		r.Add(s, float64(i))
		if v, ok := r.Value(s); !ok || v != float64(i) {
			t.Errorf("reading %d: %v, %v", i, v, ok)
		}
	}
}

func TestResetEmpties(t *testing.T) {
	r := Reading{Rescan: true}
	s := &Series{Q: Voltage, Max: 10}
	r.Add(s, 1)
	r.Reject(&Series{})
	r.Fail(Failure{Kind: IO})
	r.kept = append(r.kept, Sample{s, 1})
	r.keptFailures = append(r.keptFailures, Failure{})
	if !r.Failed() {
		t.Error("a failure is not told")
	}
	r.Reset()
	if r.Rescan || r.Failed() || len(r.samples)+len(r.rejected)+len(r.closed)+len(r.kept)+len(r.keptFailures) > 0 {
		t.Errorf("after Reset: %+v", r)
	}
	if _, ok := r.Value(nil); ok {
		t.Error("a series that is not there has a value")
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	var r Reading
	series := make([]Series, 100)
	read := func() {
		r.Reset()
		for i := range series {
			r.Add(&series[i], float64(i%2)) // half of them out of bounds
		}
	}
	read()
	if n := testing.AllocsPerRun(100, read); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
