package collector

import (
	"errors"
	"slices"
	"time"
)

// answered takes what a worker says.
func (l *loop) answered(a answer) {
	w := a.worker
	if a.closed {
		l.left(a)
		return
	}
	if w.gpu != nil && !w.hung && a.end.Sub(w.asked) >= l.o.Deadline {
		l.hang(w.gpu, a.end) // the loop had no turn at the deadline
	}
	late := w.hung
	w.busy, w.hung, w.suspect = false, false, false
	if a.err != nil || late {
		w.rescan = w.rescan || w.rescans // nobody has looked for missing files
		w.reload = w.reload || w.reloads
	}
	switch {
	case w.gpu == nil: // dismissed: it closes its Device now
	case late: // too old to be shown: the next cycle asks again, and until then it is hung
		l.retry()
	default:
		l.record(w.gpu, a)
	}
}

// left takes leave of a worker that has ended.
func (l *loop) left(a answer) {
	l.leaving = slices.DeleteFunc(l.leaving, func(w *worker) bool { return w == a.worker })
	if a.err != nil {
		l.o.Log.Debug("closing a device has an error", "gpu", a.worker.id.gpu, "err", a.err)
	}
	l.retry()
}

// retry has those looked for again for which there was no room.
func (l *loop) retry() { l.rescanWanted = l.rescanWanted || l.refused }

// expire finds the reads that have just missed their deadline.
func (l *loop) expire(now time.Time) {
	for _, g := range l.gpus {
		if w := g.worker; w != nil && w.busy && !w.hung && now.Sub(w.asked) >= l.o.Deadline {
			l.hang(g, now)
		}
	}
}

func (l *loop) hang(g *gpu, now time.Time) {
	g.worker.hung = true
	if g.forgotten {
		return
	}
	l.o.Observer.Read(g.status.Source, ResultTimeout, now.Sub(g.worker.asked))
	l.o.Observer.Failed(g.status.Source, Timeout)
	l.lose(g, StateHung, now)
	g.status.Failures = []Failure{{Kind: Timeout, Source: "read", Err: errSilent}}
	l.tell(g, now)
	l.urgent = true
}

// record makes the Status of g from an answer that came in time.
func (l *loop) record(g *gpu, a answer) {
	gone := errors.Is(a.err, ErrGone)
	if g.forgotten {
		if gone {
			return
		}
		g.forgotten = false
		l.enroll(g)
	}
	s, r, result := &g.status, &g.worker.reading, ResultOK
	lost := s.State == StateHung || s.State == StateGone
	s.Info = g.worker.device.Info() // what the read has found out
	switch {
	case gone:
		l.rescanWanted = l.rescanWanted || s.State != StateGone
		l.lose(g, StateGone, a.end)
		result = ResultError
	case errors.Is(a.err, ErrAsleep):
		s.State, s.Up, s.At, s.Samples, s.Failures = StateAsleep, true, a.end, nil, nil
		result = ResultAsleep
	case errors.Is(a.err, ErrResting):
		if lost || s.State == StateAsleep { // there is no reading that could stand
			s.State, s.Failures = StateOK, nil
		}
		s.Up = true
	default:
		result = l.take(g, r, a)
	}
	if !gone {
		g.lost = time.Time{}
	}
	l.o.Observer.Read(s.Source, result, a.end.Sub(a.begun))
	l.tell(g, a.end)
	l.dirty = true
}

// take makes the Status of g from a reading. Its samples are copied when the snapshot is made.
func (l *loop) take(g *gpu, r *Reading, a answer) Result {
	if a.err != nil {
		r.Fail(Failure{Kind: IO, Source: "read", Err: a.err})
	}
	for _, f := range r.failures {
		l.o.Observer.Failed(g.status.Source, f.Kind)
	}
	for _, q := range r.rejected {
		l.o.Observer.Rejected(g.status.Source, q)
	}
	s := &g.status
	s.State, s.Up, s.At, s.Samples, s.Failures = StateOK, true, a.end, nil, nil
	s.Origins = r.Origins
	if len(r.keptFailures)+len(r.failures) > 0 {
		s.State, s.Failures = StatePartial, slices.Concat(r.keptFailures, r.failures)
	}
	if a.err != nil || r.down() {
		s.Up = false
		return ResultError
	}
	g.fresh = true
	if s.State == StatePartial {
		return ResultPartial
	}
	return ResultOK
}
