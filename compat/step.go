package compat

import (
	"iter"
	"math"
	"time"

	"gpu_exporter/collector"
)

// A row is one line of a history: an entry, or the entries of a step put together.
type row struct {
	at          time.Time // of a step: its begin
	state       collector.State
	values      Values // of a step: the means
	least, most Values // of a step
}

// rows are the entries themselves, or one row for each step that has any. A row is overwritten by the next. An error is
// the last that comes.
func rows(entries iter.Seq2[Entry, error], step time.Duration) iter.Seq2[*row, error] {
	if step == 0 {
		return each(entries)
	}
	return steps(entries, step)
}

func each(entries iter.Seq2[Entry, error]) iter.Seq2[*row, error] {
	return func(yield func(*row, error) bool) {
		var r row
		for e, err := range entries {
			if err != nil {
				yield(nil, err)
				return
			}
			r.at, r.state, r.values = e.At, e.State, widen(&e)
			if !yield(&r, nil) {
				return
			}
		}
	}
}

// widen is the inverse of narrow: the value that was rounded before it became a float32.
func widen(e *Entry) (values Values) {
	for i := range columns {
		if v := float64(e.Values[i]); finite(v) {
			values[i] = collector.Value{V: round(v, columns[i].parts()), OK: true}
		}
	}
	return values
}

// parts is how many parts of one a column is told in.
func (c column) parts() float64 {
	if c.whole {
		return 1
	}
	return 10
}

// steps begin at the multiples of step in Unix time, so that the same ones come whatever part of the past is asked for.
// The first and the last have only what lies in that part.
func steps(entries iter.Seq2[Entry, error], step time.Duration) iter.Seq2[*row, error] {
	return func(yield func(*row, error) bool) {
		var b bucket
		var r row
		for e, err := range entries {
			if err != nil {
				yield(nil, err)
				return
			}
			begin := begin(e.At, step)
			if b.entries > 0 && begin != b.begin {
				b.fill(&r)
				if !yield(&r, nil) {
					return
				}
				b = bucket{}
			}
			b.begin = begin
			b.add(&e)
		}
		if b.entries > 0 {
			b.fill(&r)
			yield(&r, nil)
		}
	}
}

// begin is the begin of the step that t is in, in microseconds of Unix time.
func begin(t time.Time, step time.Duration) int64 {
	micros, width := t.UnixMicro(), step.Microseconds()
	past := micros % width
	if past < 0 {
		past += width
	}
	return micros - past
}

// A bucket gathers the entries of one step.
type bucket struct {
	begin   int64 // microseconds of Unix time
	entries int
	state   collector.State
	sums    [len(columns)]sum
}

// A sum is of the values of a column, in the parts that it is told in: these are whole numbers, and stay exact however
// many there are.
type sum struct {
	n                  int
	total, least, most float64
}

// add takes an entry in. The state of a step is the worst of its entries, which is the last in the order of
// collector.States: a fault of a second still shows in the row of an hour.
func (b *bucket) add(e *Entry) {
	b.entries++
	b.state = max(b.state, e.State)
	for i := range columns {
		v := float64(e.Values[i])
		if !finite(v) {
			continue
		}
		v = math.Round(v * columns[i].parts())
		s := &b.sums[i]
		if s.n == 0 {
			s.least, s.most = v, v
		}
		s.n++
		s.total += v
		s.least, s.most = min(s.least, v), max(s.most, v)
	}
}

func (b *bucket) fill(r *row) {
	*r = row{at: time.UnixMicro(b.begin), state: b.state}
	for i, s := range b.sums {
		if s.n == 0 {
			continue
		}
		told := func(v float64) collector.Value {
			return collector.Value{V: round(v, 1) / columns[i].parts(), OK: true}
		}
		r.values[i], r.least[i], r.most[i] = told(s.total/float64(s.n)), told(s.least), told(s.most)
	}
}
