package windows

import (
	"errors"
	"time"
)

// maxInstances bounds the instances of one collection that are looked at: a busy desktop has 3000.
const maxInstances = 1 << 16

// pdhGPU is what the performance counters say of the adapter of one LUID. A nil part is not told.
type pdhGPU struct {
	loads             []load // of the engines that an instance has named so far
	rated             bool   // loads are told for a time that passed: an engine that is not in them was idle
	engines           bool   // the engine counters are told
	dedicated, shared *float64
}

// pdhAnswer is one collection, sorted by LUID. A GPU that no instance has named is not in it.
type pdhAnswer struct {
	gpus    map[LUID]*pdhGPU
	engines bool  // running times are told, and
	rated   bool  // for a time that passed
	err     error // of a set of counters that other sets do without
}

// pdhReader makes answers of collections. It keeps what counters held before, so one goroutine uses it at a time.
type pdhReader struct {
	meters map[LUID]*meter
	seen   map[string]*seenCounter // of Running Time, by instance
	look   uint64                  // counts the collections that had running times
	last   time.Time               // when the last one was
	passed int64                   // ticks since the one before; 0: not known
}

// seenCounter is an instance and what it held last.
type seenCounter struct {
	instance
	parsed bool
	held   bool // value is told
	value  int64
	look   uint64 // the last one that it was in
}

// read makes an answer of a collection. known says which LUIDs are of adapters that are there: of others nothing is kept
// that no counter names any more.
func (p *pdhReader) read(c Counters, known func(LUID) bool) *pdhAnswer {
	a := &pdhAnswer{gpus: map[LUID]*pdhGPU{}}
	for _, set := range []*CounterSet{&c.RunningTime, &c.Dedicated, &c.Shared} {
		set.Items = set.Items[:min(len(set.Items), maxInstances)]
		if set.Err != nil && a.err == nil && !errors.Is(set.Err, ErrUnsupported) {
			a.err = set.Err
		}
	}
	if c.RunningTime.Err == nil {
		p.running(c, known)
		a.engines, a.rated = true, p.passed > 0
		for l, m := range p.meters {
			a.gpus[l] = &pdhGPU{loads: m.loads(), engines: true, rated: m.passed > 0}
		}
	}
	a.memory(c.Dedicated, func(g *pdhGPU) **float64 { return &g.dedicated })
	a.memory(c.Shared, func(g *pdhGPU) **float64 { return &g.shared })
	return a
}

// memory adds up the values of linked adapters, which have one LUID.
func (a *pdhAnswer) memory(set CounterSet, field func(*pdhGPU) **float64) {
	if set.Err != nil {
		return
	}
	for _, c := range set.Items {
		i, ok := parseInstance(c.Instance)
		if !ok || i.isEngine || c.Bad || c.Value < 0 {
			continue
		}
		g := a.gpus[i.luid]
		if g == nil {
			g = &pdhGPU{engines: a.engines, rated: a.rated}
			a.gpus[i.luid] = g
		}
		at := field(g)
		if *at == nil {
			*at = new(float64)
		}
		**at += float64(c.Value)
	}
}

// running takes a collection of running times into the meters.
func (p *pdhReader) running(c Counters, known func(LUID) bool) {
	p.look++
	if p.meters == nil {
		p.meters, p.seen = map[LUID]*meter{}, map[string]*seenCounter{}
	}
	p.passed, p.last = passed(p.last, c.Time), c.Time
	for _, m := range p.meters {
		m.begin(c.Time)
	}
	named := map[LUID]bool{}
	for i := range c.RunningTime.Items {
		p.counter(&c.RunningTime.Items[i], named)
	}
	for name, s := range p.seen {
		if s.look != p.look {
			delete(p.seen, name)
		}
	}
	for l := range p.meters {
		if !named[l] && !known(l) {
			delete(p.meters, l)
		}
	}
}

func (p *pdhReader) counter(c *Counter, named map[LUID]bool) {
	s := p.seen[c.Instance]
	if s == nil {
		s = &seenCounter{}
		s.instance, s.parsed = parseInstance(c.Instance)
		p.seen[c.Instance] = s
	}
	s.look = p.look
	if !s.parsed || !s.isEngine {
		return
	}
	m := p.meters[s.luid]
	if m == nil {
		if len(p.meters) == maxRows {
			return
		}
		m = &meter{}
		m.begin(p.last)
		p.meters[s.luid] = m
	}
	named[s.luid] = true
	e := m.engine(engineID{s.phys, s.engine}, s.name)
	if e == nil || c.Bad || c.Value < 0 { // it keeps what it held before
		return
	}
	gained := c.Value
	if s.held && c.Value >= s.value { // else its process began since, maybe under the pid of another
		gained -= s.value
	}
	e.add(gained, m.passed)
	s.held, s.value = true, c.Value
}
