package collector

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// How many workers may be stuck before no new one is made: of one GPU, and in all.
const (
	maxStuckPerGPU = 2
	maxStuck       = 16
)

// simulation is the Info.Source of GPUs that do not exist.
const simulation = "simulation"

// gpu is one GPU of the fleet.
type gpu struct {
	id     instance  // of its Device, or of the last that it had
	worker *worker   // nil: it is not there (not listed any more)
	status Status    // as the next snapshot shows it, but see fresh
	fresh  bool      // status.Samples are yet to be copied from the worker's reading
	asked  bool      // it was asked once: from then on it is shown
	lost   time.Time // since when it is hung or gone; zero: it is not
	// forgotten: lost for so long that it is not shown any more, but still listed. It is asked on, and counts as found
	// anew when it answers. One that is not listed either is removed.
	forgotten bool

	trouble  trouble   // that was logged
	troubled time.Time // since when
	calm     time.Time // since when there was none of it
}

// shown says whether snapshots tell of g.
func (g *gpu) shown() bool { return g.asked && !g.forgotten }

// add takes a GPU into the fleet. It is shown as ok while its first read runs: nothing is known against it.
func (l *loop) add(ctx context.Context, c candidate, now time.Time) bool {
	if !l.room(c.id, nil, now) {
		return false
	}
	g := &gpu{status: Status{State: StateOK, Up: true, Index: -1}}
	l.staff(ctx, g, c, now)
	l.gpus = append(l.gpus, g)
	l.enroll(g)
	return true
}

// enroll gives g the lowest index that is free.
func (l *loop) enroll(g *gpu) {
	free := 0
	for _, other := range l.gpus { // in order of index; those without one have -1
		if other.status.Index == free {
			free++
		}
	}
	g.status.Index = free
	l.sort()
	l.o.Log.Info("found a GPU", "gpu", g.id.gpu, "index", free, "name", g.status.Name, "source", g.status.Source,
		"probe", l.finders[g.id.probe].probe.Name())
}

func (l *loop) sort() {
	slices.SortFunc(l.gpus, func(a, b *gpu) int { return cmp.Compare(a.status.Index, b.status.Index) })
}

// staff makes a worker for the Device of c.
func (l *loop) staff(ctx context.Context, g *gpu, c candidate, now time.Time) {
	g.id, g.status.Info = c.id, c.device.Info()
	g.worker = startWorker(ctx, c.id, c.device, l.o.Deadline, l.answers)
	g.worker.gpu = g
	g.worker.suspect = slices.ContainsFunc(l.leaving, func(w *worker) bool {
		return w.id.gpu == c.id.gpu && w.stuck(now, l.o.Deadline)
	})
}

// update brings a known GPU in line with a candidate for it. whole says that the probe which has it told all that it can
// find. The answer says whether the candidate is used.
func (l *loop) update(ctx context.Context, g *gpu, c candidate, whole bool, now time.Time) bool {
	if g.worker != nil {
		if c.id == g.id {
			g.worker.rescan = true
			return false
		}
		if c.id.probe > g.id.probe && !whole {
			return false // the probe that has it stands first and may only not have come to it
		}
	}
	if !l.room(c.id, g.worker, now) {
		return false // it stays as it is, mostly hung
	}
	reloaded := c.id.probe == g.id.probe && c.id.key != g.id.key
	l.vacate(g, now)
	l.staff(ctx, g, c, now)
	if reloaded {
		l.o.Log.Info("the driver was loaded anew", "gpu", g.id.gpu)
		l.o.Observer.Restarted(g.status.Source, RestartDriverChanged)
	}
	// Samples of the Device before are void. Where it was lost, it stays so until the new one answers.
	g.fresh, g.status.Samples = false, nil
	l.urgent = true
	return true
}

// unlist notes that a GPU is not there any more.
func (l *loop) unlist(g *gpu, now time.Time) {
	if g.worker == nil {
		return
	}
	l.vacate(g, now)
	if g.forgotten || g.status.Source == simulation { // what never existed is not lost
		if l.standard == g {
			l.standard = nil
		}
		l.remove(g)
		l.urgent = true
		return
	}
	l.lose(g, StateGone, now)
	l.tell(g, now)
	l.urgent = true
}

// renewPlans has all plans made anew at the next reads.
func (l *loop) renewPlans() {
	for _, g := range l.gpus {
		if g.worker != nil {
			g.worker.reload = true
		}
	}
}

// vacate dismisses the worker of g, if it has one.
func (l *loop) vacate(g *gpu, now time.Time) {
	if g.worker == nil {
		return
	}
	g.worker.dismiss(now)
	l.leaving = append(l.leaving, g.worker)
	g.worker = nil
}

// room says whether a worker for id may be made in place of the present one (nil: none). Whoever is in a read counts as
// stuck: the present one, and all that were dismissed; of the other GPUs those that are hung, and those that were made
// beside a stuck one and may well get stuck too. What is refused is tried again when one of them comes back.
func (l *loop) room(id instance, present *worker, now time.Time) bool {
	var mine, all int
	count := func(w *worker) {
		all++
		if w.id.gpu == id.gpu {
			mine++
		}
	}
	same := false // a second worker for one instance is never made, it would get stuck likewise
	for _, w := range l.leaving {
		same = same || w.id == id
		if w.stuck(now, l.o.Deadline) {
			count(w)
		}
	}
	for _, g := range l.gpus {
		switch w := g.worker; {
		case w == nil:
		case w == present && w.busy, w != present && (w.hung || w.suspect):
			count(w)
		}
	}
	if same || mine >= maxStuckPerGPU || all >= maxStuck {
		l.refused = true
		l.o.Log.Debug("no further worker while others are stuck", "gpu", id.gpu, "stuck", mine, "stuck_in_all", all)
		return false
	}
	return true
}

// lose notes that g is hung or gone: its readings disappear at once, and its time to be forgotten runs.
func (l *loop) lose(g *gpu, state State, now time.Time) {
	s := &g.status
	s.State, s.Up, s.Samples, s.Failures = state, false, nil, nil
	g.fresh = false
	if g.lost.IsZero() {
		g.lost = now
	}
}

// forget drops the GPUs that were lost for too long.
func (l *loop) forget(now time.Time) {
	for _, g := range slices.Clone(l.gpus) {
		if g.forgotten || g.lost.IsZero() || now.Sub(g.lost) < l.o.ForgetAfter {
			continue
		}
		l.o.Log.Warn("forgot a lost GPU", "gpu", g.id.gpu, "index", g.status.Index, "lost_for", now.Sub(g.lost))
		g.forgotten, g.status.Index, g.trouble = true, -1, calm
		if l.standard == g {
			l.standard = nil
		}
		if g.worker == nil {
			l.remove(g)
		}
		l.sort()
		l.urgent = true
	}
}

func (l *loop) remove(g *gpu) {
	l.gpus = slices.DeleteFunc(l.gpus, func(other *gpu) bool { return other == g })
}

// choose keeps the default GPU through all that may happen to it, until it is forgotten or, where it is a simulated one,
// until there is a real one. A new one is the first real discrete GPU, else the first real one, else a simulated one
// likewise.
func (l *loop) choose() {
	rank := func(g *gpu) (r int) {
		if g.status.Source != simulation {
			r += 2
		}
		if g.status.Type == Discrete {
			r++
		}
		return r
	}
	if l.standard != nil && l.standard.status.Source != simulation {
		return
	}
	best := l.standard
	for _, g := range l.gpus {
		switch {
		case !g.shown(), l.standard != nil && g.status.Source == simulation:
		case best == nil || rank(g) > rank(best):
			best = g
		}
	}
	l.standard = best
}
