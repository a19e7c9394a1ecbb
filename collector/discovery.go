package collector

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// finder runs one probe in a goroutine of its own, one discovery at a time, and closes the devices that the fleet has no
// use for: a probe that blocks holds up nobody, and never has more than this one goroutine.
type finder struct {
	probe Probe
	jobs  chan job      // depth two: at most the left-over devices of a discovery and the next one, so it never blocks
	done  chan struct{} // closed when the goroutine ends

	// What the loop notes of it.
	busy    bool // a discovery has not come back
	awaited bool // by the open round
	failing bool // the last discovery had an error or is late, which was logged
	last    ProbeStatus
}

type job struct {
	discard  []Device
	discover bool
}

// list is what one discovery of one probe found.
type list struct {
	probe   int
	devices []Device
	err     error
}

// discovery is how long a discovery may take. A short deadline is meant for reads: it must not keep GPUs from being found.
func (o *Options) discovery() time.Duration { return max(o.Deadline, 2*time.Second) }

var errLate = errors.New("no answer by the deadline")

func startFinder(ctx context.Context, i int, p Probe, deadline time.Duration, lists chan<- list) *finder {
	f := &finder{probe: p, last: ProbeStatus{Name: p.Name()}, jobs: make(chan job, 2), done: make(chan struct{})}
	go f.run(ctx, i, deadline, lists)
	return f
}

func (f *finder) run(ctx context.Context, i int, deadline time.Duration, lists chan<- list) {
	defer close(f.done)
	for j := range f.jobs {
		closeAll(j.discard)
		if !j.discover || ctx.Err() != nil {
			continue
		}
		devices, err := f.discover(ctx, deadline)
		select {
		case lists <- list{i, devices, err}:
		case <-ctx.Done(): // Run has ended, or ends
			closeAll(devices)
		}
	}
}

func (f *finder) discover(ctx context.Context, deadline time.Duration) ([]Device, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	return f.probe.Discover(ctx)
}

// closeAll closes devices that were never read: nothing is lost when that fails.
func closeAll(devices []Device) {
	for _, d := range devices {
		_ = d.Close()
	}
}

// round is one discovery by all probes.
type round struct {
	open     bool
	deadline time.Time
	awaited  int // probes that have not answered
	ok       bool
	lists    []list
}

// beginRound starts all probes that are not still at an older discovery: those count as failed.
func (l *loop) beginRound(ctx context.Context, now time.Time) {
	if l.round.open || !l.rescanWanted && now.Before(l.nextRescan) {
		return
	}
	l.rescanWanted, l.refused = false, false
	l.nextRescan = now.Add(l.o.Rescan)
	l.round = round{open: true, deadline: now.Add(l.o.discovery()), ok: true}
	for _, f := range l.finders {
		if f.busy {
			l.round.ok = false
			continue
		}
		f.busy, f.awaited = true, true
		f.jobs <- job{discover: true}
		l.round.awaited++
	}
	l.endRound(ctx, now) // where nobody is waited for
}

// found takes the list of one probe: into the open round if that waits for it, else at once.
func (l *loop) found(ctx context.Context, li list, now time.Time) {
	f := l.finders[li.probe]
	f.busy = false
	f.last = ProbeStatus{Name: f.last.Name, At: now, Found: len(li.devices), Err: li.err}
	l.complain(f, li.err)
	if !f.awaited {
		l.merge(ctx, []list{li}, now)
		l.reportProbes()
		return
	}
	f.awaited = false
	l.round.awaited--
	l.round.ok = l.round.ok && li.err == nil
	l.round.lists = append(l.round.lists, li)
}

// endRound merges what was found when all have answered or the deadline has passed. The first cycle waits for this.
func (l *loop) endRound(ctx context.Context, now time.Time) {
	if !l.round.open || l.round.awaited > 0 && now.Before(l.round.deadline) {
		return
	}
	for _, f := range l.finders {
		if f.awaited {
			f.awaited, l.round.ok = false, false
			f.last.At, f.last.Err = now, errLate
			l.complain(f, errLate)
		}
	}
	l.merge(ctx, l.round.lists, now)
	l.reportProbes()
	l.o.Observer.Rescanned(l.round.ok)
	l.round = round{}
	if !l.ready {
		l.ready, l.nextCycle = true, now
	}
}

// reportProbes makes the list that the next snapshots share.
func (l *loop) reportProbes() {
	l.probed = make([]ProbeStatus, len(l.finders))
	for i, f := range l.finders {
		l.probed[i] = f.last
	}
}

// complain logs when the discoveries of a probe begin to fail and when they cease to.
func (l *loop) complain(f *finder, err error) {
	switch {
	case err != nil && !f.failing:
		l.o.Log.Warn("discovery of GPUs fails", "probe", f.probe.Name(), "err", err)
	case err == nil && f.failing:
		l.o.Log.Info("discovery of GPUs works again", "probe", f.probe.Name())
	}
	f.failing = err != nil
}

// candidate is a Device that was found and has no worker yet.
type candidate struct {
	id     instance
	device Device
}

// merge brings the fleet in line with the lists. A probe without a list there says nothing: what it has is kept.
func (l *loop) merge(ctx context.Context, lists []list, now time.Time) {
	slices.SortFunc(lists, func(a, b list) int { return cmp.Compare(a.probe, b.probe) })
	whole := make([]bool, len(l.finders))       // by probe: it told all that it can find
	unused := make([][]Device, len(l.finders))  // by probe: what the fleet has no use for
	candidates := make(map[string]candidate, 8) // by GPU: of the first probe that found it
	for _, li := range lists {
		whole[li.probe] = li.err == nil
		for _, d := range li.devices {
			id := instance{li.probe, d.Info().GPU, d.Key()}
			if _, taken := candidates[id.gpu]; taken {
				unused[li.probe] = append(unused[li.probe], d)
				continue
			}
			candidates[id.gpu] = candidate{id, d}
		}
	}
	for _, g := range slices.Clone(l.gpus) {
		c, listed := candidates[g.id.gpu]
		delete(candidates, g.id.gpu)
		if !listed {
			if whole[g.id.probe] {
				l.unlist(g, now)
			}
			continue
		}
		if !l.update(ctx, g, c, whole[g.id.probe], now) {
			unused[c.id.probe] = append(unused[c.id.probe], c.device)
		}
	}
	for _, gpu := range slices.Sorted(maps.Keys(candidates)) {
		if c := candidates[gpu]; !l.add(ctx, c, now) {
			unused[c.id.probe] = append(unused[c.id.probe], c.device)
		}
	}
	for i, devices := range unused {
		if len(devices) > 0 {
			l.finders[i].jobs <- job{discard: devices}
		}
	}
}
