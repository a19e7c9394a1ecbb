package windows

import (
	"math"
	"slices"
	"time"
)

// tick is the unit of running times.
const tick = 100 * time.Nanosecond

// load is what a meter has to say of an engine.
type load struct {
	id    engineID
	name  string  // as PDH calls it
	busy  float64 // seconds: what was there at the meter's first look, and all since
	ratio float64 // share of the time since the look before
	rated bool    // ratio is told: not at the first look
}

// meter counts how long the engines of one GPU were busy (3.3). The counters behind it belong to processes, and vanish
// with them: what they added stays.
type meter struct {
	engines map[engineID]*engineMeter
	at      time.Time // of the last look; zero: there was none
	passed  int64     // ticks from the look before to the last one; 0: not known
}

type engineMeter struct {
	name  string
	total int64 // ticks
	step  int64 // ticks, of the last look
}

// begin starts a look. now is when the counters were read.
func (m *meter) begin(now time.Time) {
	if m.engines == nil {
		m.engines = map[engineID]*engineMeter{}
	}
	m.passed, m.at = passed(m.at, now), now
	for _, e := range m.engines {
		e.step = 0
	}
}

// passed are the ticks between two looks; 0: how many is not known.
func passed(before, now time.Time) int64 {
	if before.IsZero() {
		return 0
	}
	return max(int64(now.Sub(before)/tick), 0)
}

// engine is the meter of an engine; nil: there are too many.
func (m *meter) engine(id engineID, name string) *engineMeter {
	e := m.engines[id]
	if e == nil && len(m.engines) < maxEngines {
		e = &engineMeter{name: name}
		m.engines[id] = e
	}
	return e
}

// maxEngines bounds the engines of a GPU: cards have up to 30.
const maxEngines = 128

// add adds what a counter gained since the look before; gained is its whole value where it was not there then, or has
// begun anew. More than the time that passed cannot be: such a step is dropped (metrics.md rule 2), as that of a counter
// which only was not shown for a while. The two clocks differ by some percent.
func (e *engineMeter) add(gained, passed int64) {
	const slack = int64(500 * time.Millisecond / tick)
	if gained < 0 || gained > math.MaxInt64-e.total || passed > 0 && gained > passed+passed/4+slack {
		return
	}
	e.step += gained
	e.total += gained
}

// loads are what the engines have to say, in order of their numbers.
func (m *meter) loads() []load {
	list := make([]load, 0, len(m.engines))
	for id, e := range m.engines {
		l := load{id: id, name: e.name, busy: float64(e.total) / float64(time.Second/tick)}
		if m.passed > 0 {
			l.ratio, l.rated = min(float64(e.step)/float64(m.passed), 1), true
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b load) int { return a.id.compare(b.id) })
	return list
}
