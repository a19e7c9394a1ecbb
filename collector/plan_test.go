package collector

import (
	"errors"
	"testing"
	"time"
)

func TestGroupIsReadAtItsPace(t *testing.T) {
	for _, c := range []struct {
		every time.Duration
		reads int // in 25 readings, a second apart
	}{{0, 25}, {time.Second, 25}, {10 * time.Second, 3}, {time.Hour, 1}} {
		reads := 0
		s := &Series{Q: PowerLimit, Max: 100}
		g := Group{Every: c.every, Rows: []Row{func(r *Reading) error { reads++; r.Add(s, float64(reads)); return nil }}}
		var r Reading
		now := time.Now()
		for range 25 {
			r.Reset()
			if err := g.Read(&r, now); err != nil {
				t.Fatal(err)
			}
			if v, ok := r.Value(s); !ok || v != float64(reads) {
				t.Fatalf("every %v: %v, %v after %d reads", c.every, v, ok, reads)
			}
			now = now.Add(time.Second)
		}
		if reads != c.reads {
			t.Errorf("every %v: %d reads, want %d", c.every, reads, c.reads)
		}
	}
}

func TestGroupRepeatsFailuresUncounted(t *testing.T) {
	s, closed, rejected := &Series{Q: PowerLimit, Max: 100}, &Series{Q: PowerLimit}, &Series{Q: PowerLimit, Max: 1}
	g := Group{Every: time.Minute, Rows: []Row{func(r *Reading) error {
		r.Add(s, 1)
		r.Close(closed)
		r.Add(rejected, 2)
		r.Fail(Failure{Kind: IO, Err: errBroken})
		return nil
	}}}
	var r Reading
	now := time.Now()
	for i := range 3 {
		r.Reset()
		r.Fail(Failure{Kind: Malformed}) // of a row before: not the group's
		_ = g.Read(&r, now)
		fresh := i == 0
		if n := len(r.failures); n != 1 && !fresh || n != 2 && fresh {
			t.Errorf("reading %d: %d failures count", i, n)
		}
		if n := len(r.keptFailures); n != 1 && !fresh || n != 0 && fresh {
			t.Errorf("reading %d: %d failures are repeated", i, n)
		}
		if n := len(r.rejected); n != 0 && !fresh || n != 1 && fresh {
			t.Errorf("reading %d: %d rejections count", i, n)
		}
		for _, x := range []*Series{s, closed, rejected} {
			if !r.Closed(x) {
				t.Errorf("reading %d: a source further down may fill what the group told", i)
			}
		}
	}
}

// What a source above tells now has the word, also where it was silent at the last real read of the group.
func TestGroupRepeatsNothingTwice(t *testing.T) {
	s := &Series{Q: PowerLimit, Max: 100}
	g := Group{Every: time.Minute, Rows: []Row{func(r *Reading) error { r.Add(s, 1); return nil }}}
	var r Reading
	now := time.Now()
	_ = g.Read(&r, now)
	r.Reset()
	r.Add(s, 2)
	_ = g.Read(&r, now)
	if v, _ := r.Value(s); v != 2 || len(r.samples)+len(r.kept) != 1 {
		t.Errorf("%v; %d samples and %d kept ones of one series", v, len(r.samples), len(r.kept))
	}
	r.Reset()
	r.Close(s)
	_ = g.Read(&r, now)
	if _, ok := r.Value(s); ok {
		t.Error("a broken source is hidden by what was read before")
	}
	r.Reset()
	_ = g.Read(&r, now)
	if v, _ := r.Value(s); v != 1 {
		t.Errorf("%v, want what was kept", v)
	}
}

func TestGroupEndsAtAnError(t *testing.T) {
	var then int
	fail := true
	g := Group{Every: time.Minute, Rows: []Row{
		func(*Reading) error {
			if fail {
				return ErrGone
			}
			return nil
		},
		func(*Reading) error { then++; return nil },
	}}
	var r Reading
	if err := g.Read(&r, time.Now()); !errors.Is(err, ErrGone) || then != 0 {
		t.Errorf("%v, %d rows after it", err, then)
	}
	fail = false
	if err := g.Read(&r, time.Now()); err != nil || then != 1 {
		t.Error("it is not read again at once")
	}
}

func TestRepeatAllocatesNothing(t *testing.T) {
	series := make([]Series, 50)
	g := Group{Every: time.Hour, Rows: []Row{func(r *Reading) error {
		for i := range series {
			r.Add(&series[i], 0)
		}
		return nil
	}}}
	var r Reading
	now := time.Now()
	read := func() {
		r.Reset()
		_ = g.Read(&r, now)
	}
	read()
	read()
	if n := testing.AllocsPerRun(100, read); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
