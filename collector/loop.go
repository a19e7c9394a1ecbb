package collector

import (
	"context"
	"errors"
	"slices"
	"time"
)

// maxWindow bounds how long the answers of others wait for a slow one.
const maxWindow = time.Second

// grace is how long Run waits at its end for reads that have not missed their deadline. A read takes milliseconds: who
// needs longer than this is stuck, most likely, and the whole program has 5 s to end.
const grace = time.Second

// loop is the state of Run, owned by its goroutine alone.
type loop struct {
	*Poller
	answers chan answer
	lists   chan list

	gpus     []*gpu    // in order of index
	leaving  []*worker // dismissed and not yet ended
	standard *gpu      // the default GPU
	seq      uint64    // of the last snapshot

	finders      []*finder
	round        round
	nextRescan   time.Time
	rescanWanted bool
	refused      bool // a worker, see room
	probed       []ProbeStatus
	ready        bool // the first discovery has ended

	running   bool // a cycle
	nextCycle time.Time
	cycleEnd  time.Time
	waiters   []chan struct{} // closed at the end of the cycle
	dirty     bool            // something changed since the last snapshot
	urgent    bool            // and is not to wait for the end of a cycle
}

func newLoop(ctx context.Context, p *Poller) *loop {
	l := &loop{Poller: p, answers: make(chan answer), lists: make(chan list), nextRescan: time.Now()}
	for i, probe := range p.probes {
		l.finders = append(l.finders, startFinder(ctx, i, probe, p.o.discovery(), l.lists))
	}
	return l
}

// step does all that is due. What can change a snapshot comes before its publication, a new cycle last.
func (l *loop) step(ctx context.Context, now time.Time) {
	l.expire(now)
	l.endRound(ctx, now)
	l.forget(now)
	switch pending := l.pending(); {
	case l.running && (!pending || !now.Before(l.cycleEnd)):
		l.finish(now)
	case l.seq > 0 && (l.urgent || l.dirty && !l.running && !pending):
		// Something that cannot wait for the next cycle, which may be minutes away: a loss, or the last late answer.
		l.publish(now)
	}
	l.beginRound(ctx, now)
	l.begin(now)
}

// next is when step has something to do again, if nothing happens before.
func (l *loop) next() time.Time {
	t := l.nextRescan
	if l.round.open {
		t = l.round.deadline
	}
	earlier := func(u time.Time) {
		if u.Before(t) {
			t = u
		}
	}
	switch {
	case l.running:
		earlier(l.cycleEnd)
	case l.ready && l.o.Interval > 0:
		earlier(l.nextCycle)
	}
	for _, g := range l.gpus {
		if w := g.worker; w != nil && w.busy && !w.hung {
			earlier(w.asked.Add(l.o.Deadline))
		}
		if !g.lost.IsZero() && !g.forgotten {
			earlier(g.lost.Add(l.o.ForgetAfter))
		}
	}
	return t
}

// pending says whether a read runs that may still end in time.
func (l *loop) pending() bool {
	return slices.ContainsFunc(l.gpus, func(g *gpu) bool { return g.worker != nil && g.worker.busy && !g.worker.hung })
}

// begin starts a cycle if one is due: it asks all that are not in a read. Whoever is late from the cycle before is waited
// for, not asked again.
func (l *loop) begin(now time.Time) {
	switch {
	case l.running || !l.ready:
		return
	case l.o.Interval == 0 && len(l.waiters) == 0 && l.seq > 0: // the first cycle is for nobody
		return
	case l.o.Interval > 0 && now.Before(l.nextCycle):
		return
	}
	if l.dirty && l.seq > 0 {
		l.publish(now) // late answers that are in readings which are about to be used again
	}
	l.running = true
	window := min(l.o.Deadline, maxWindow)
	if l.o.Interval > 0 {
		window = min(window, l.o.Interval)
		l.nextCycle = l.nextCycle.Add(l.o.Interval)
		if !l.nextCycle.After(now) { // cycles that were missed are not made up for
			l.nextCycle = now.Add(l.o.Interval)
		}
	}
	l.cycleEnd = now.Add(window)
	for _, g := range l.gpus {
		switch w := g.worker; {
		case w == nil:
		case w.hung:
			if !g.forgotten {
				l.o.Observer.Read(g.status.Source, ResultTimeout, now.Sub(w.asked))
			}
		case !w.busy:
			w.ask(now)
			g.asked = true
		}
	}
	if !l.pending() {
		l.finish(now)
	}
}

// finish ends the cycle.
func (l *loop) finish(now time.Time) {
	l.running = false
	l.publish(now)
	for _, waiter := range l.waiters {
		close(waiter)
	}
	l.waiters = l.waiters[:0]
}

// publish makes a snapshot. Samples that came since the last one are copied into one slice that belongs to it; the others
// stay where they are, in an older one.
func (l *loop) publish(now time.Time) {
	l.dirty, l.urgent = false, false
	l.choose()
	var shown, samples int
	for _, g := range l.gpus {
		if g.shown() {
			shown++
		}
		if g.fresh {
			samples += len(g.worker.reading.kept) + len(g.worker.reading.samples)
		}
	}
	l.seq++
	s := &Snapshot{Seq: l.seq, At: now, Devices: make([]Status, 0, shown), Default: -1, Probes: l.probed}
	all := make([]Sample, 0, samples)
	for _, g := range l.gpus {
		if g.fresh {
			start := len(all)
			all = append(append(all, g.worker.reading.kept...), g.worker.reading.samples...)
			g.status.Samples, g.fresh = all[start:len(all):len(all)], false
		}
		if g.status.stale(now, l.maxAge()) {
			g.status.Samples = nil
		}
		if !g.shown() {
			continue
		}
		if g == l.standard {
			s.Default = len(s.Devices)
		}
		s.Devices = append(s.Devices, g.status)
	}
	l.latest.Store(s)
	if l.seq == 1 {
		close(l.first)
	}
	l.subscribers.send(s)
}

// drain takes the answers that wait.
func (l *loop) drain() {
	for {
		select {
		case a := <-l.answers:
			l.answered(a)
		default:
			return
		}
	}
}

// shutDown has everything end, and waits for what is not stuck.
func (l *loop) shutDown() {
	now := time.Now()
	var ends []<-chan struct{}
	for _, g := range l.gpus {
		l.vacate(g, now)
	}
	for _, w := range l.leaving {
		if now.Sub(w.asked) < l.o.Deadline {
			ends = append(ends, w.done)
		}
	}
	for _, f := range l.finders {
		close(f.jobs)
		if f.awaited || !f.busy {
			ends = append(ends, f.done)
		}
	}
	patience := time.NewTimer(grace)
	defer patience.Stop()
	for _, end := range ends {
		select {
		case <-end:
		case <-patience.C:
			l.o.Log.Warn("ended while a read or a discovery is stuck")
			return
		}
	}
}

// errSilent is the failure of a GPU that is hung.
var errSilent = errors.New("missed its deadline")
