package windows

import (
	"context"
	"errors"
	"slices"
	"time"

	"gpu_exporter/collector"
)

// device is one GPU.
type device struct {
	p    *Probe
	g    *gpu  // as it was found last
	plan *plan // made at the first awake read

	// The answers that it had last.
	power had
	had   [tellers]had
}

var _ collector.Device = (*device)(nil)

// Info implements collector.Device.
func (d *device) Info() collector.Info { return d.g.info }

// Key implements collector.Device.
func (d *device) Key() string { return d.g.key }

// Close implements collector.Device. Sources are the Probe's; a device has nothing open.
func (d *device) Close() error { return nil }

// Read implements collector.Device.
func (d *device) Read(ctx context.Context, r *collector.Reading) error {
	f := d.p.found()
	// A source may answer late, or better, at a later discovery.
	i := slices.IndexFunc(f.gpus, d.g.is)
	news := i >= 0 && f.gpus[i].key == d.g.key && f.gpus[i].told != d.g.told
	if news {
		d.g = f.gpus[i]
	}
	if news || r.Reload {
		d.plan = nil
	}
	d.p.pdh.begin(&d.had[byPDH], struct{}{})
	moods := d.p.moods(ctx, &d.power, f.gpus)
	mood := moods.of[d.g.info.GPU]
	if mood == asleep {
		if d.plan != nil {
			d.plan.failing = [tellers]time.Time{} // who sleeps does not fail
		}
		// D3DKMT's statistics would not wake it either, but there is nobody to tell of them. The counters go on, so that
		// the busy time of its engines lacks nothing.
		return collector.ErrAsleep
	}
	awake := d.p.questions(f.gpus, moods)
	if len(awake.targets) > 0 {
		d.p.d3dkmt.begin(&d.had[byD3DKMT], awake.targets)
	}
	if len(awake.adl) > 0 {
		d.p.adl.begin(&d.had[byADL], awake.adl)
	}
	if len(awake.nvml) > 0 {
		d.p.nvml.begin(&d.had[byNVML], awake.nvml)
	}

	h := d.hear(ctx, mood)
	asked, late := 0, 0
	for t := range byDiscovery {
		if !errors.Is(h.err[t], ErrUnsupported) && !errors.Is(h.err[t], errUnasked) {
			asked++
		}
		if errors.Is(h.err[t], errLate) {
			late++
		}
	}
	if asked > 0 && late == asked {
		<-ctx.Done() // hung: that is what missing the deadline means
		return ctx.Err()
	}
	if h.d3dkmt.Gone || errors.Is(h.nvml.Err, collector.ErrGone) {
		return collector.ErrGone
	}
	if mood == unsure && moods.err != nil {
		r.Fail(collector.Failure{Kind: kindOf(moods.err), Source: sourcePnP, Err: moods.err})
	}
	if d.plan == nil {
		d.plan = newPlan(d.g)
	}
	d.plan.read(r, h)
	d.settle(r, h)
	return nil
}

// idleState is the first of NVIDIA's performance states in which a GPU has nothing to do.
const idleState = 8

// settle lets a GPU go that may sleep, once it has been idle for long: the child of the library that reads it keeps it
// awake.
func (d *device) settle(r *collector.Reading, h *heard) {
	if !d.g.maySleep() || d.p.o.WakeNVIDIA && d.g.nvml != nil || h.err[byNVML] != nil && h.err[byADL] != nil {
		return
	}
	load, told := r.Value(d.plan.of(collector.Utilization))
	state, has := r.Value(d.plan.of(collector.PerformanceState))
	if d.p.observe(d.g, told && load == 0 && (!has || state >= idleState)) {
		d.p.letGo(d.g)
	}
}

// mood is what a GPU may be asked.
type mood uint8

const (
	open    mood = iota // everything
	unsure              // nothing that could wake it: it may sleep, and whether it does was not told in time
	resting             // likewise: it was idle for long, and is given the time to fall asleep
	asleep
)

// moods are those of all GPUs, by their label.
type moods struct {
	of  map[string]mood
	err error // why some are unsure
}

// moods asks for the power states of all GPUs, for somebody who had an answer before. Power that is not told means awake.
func (p *Probe) moods(ctx context.Context, h *had, gpus []*gpu) moods {
	var ids []string
	for _, g := range gpus {
		if g.pnp != "" {
			ids = append(ids, g.pnp)
		}
	}
	m := moods{of: map[string]mood{}}
	var states map[string]PowerState
	if len(ids) > 0 {
		p.power.begin(h, ids)
		states, m.err = p.power.wait(ctx, h)
	}
	for _, g := range gpus {
		state, told := states[g.pnp]
		switch {
		case p.o.WakeNVIDIA && g.info.Vendor == vendorWords[vendorNVIDIA]:
		case g.pnp != "" && state == PowerD3:
			m.of[g.info.GPU] = asleep
			p.wakes(g)
			p.letGo(g)
		case g.pnp != "" && g.maySleep() && (errors.Is(m.err, errLate) || m.err == nil && !told): // not asked for the one
			m.of[g.info.GPU] = unsure
		case p.rests(g):
			m.of[g.info.GPU] = resting
			p.letGo(g) // a discovery may have opened it at the same time
		}
	}
	return m
}

// letGo ends the children of libraries that keep a GPU awake.
func (p *Probe) letGo(g *gpu) {
	if g.adl != nil {
		p.o.Sources.ADL.LetGo(g.adl.Place)
	}
	if g.nvml != nil {
		p.o.Sources.NVML.LetGo(g.address)
	}
}

// observe notes whether a GPU was idle when it was read, and says whether it is to be left alone now.
func (p *Probe) observe(g *gpu, idle bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.pauses[g.info.GPU]
	if r == nil {
		r = &collector.Rest{}
		p.pauses[g.info.GPU] = r
	}
	r.Observe(p.now(), idle, collector.UsualRest)
	return r.Holds(p.now())
}

// rests says whether a GPU is left alone.
func (p *Probe) rests(g *gpu) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.pauses[g.info.GPU]
	return r != nil && r.Holds(p.now())
}

// wakes notes that a GPU sleeps: it is read when it is awake again.
func (p *Probe) wakes(g *gpu) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pauses, g.info.GPU)
}

// questions are what the sources are asked in a cycle.
type questions struct {
	targets []Target
	adl     []ADLTarget
	nvml    []NVMLTarget
}

func (p *Probe) questions(gpus []*gpu, m moods) (q questions) {
	for _, g := range gpus {
		is := m.of[g.info.GPU]
		if g.adapter != nil && g.luid != 0 {
			q.targets = append(q.targets, Target{LUID: g.luid, Sensors: is == open, Node: g.coreNode()})
		}
		if g.adl != nil && is == open {
			q.adl = append(q.adl, ADLTarget{g.adl.Place, p.noCounters.Load(), g.maySleep()})
		}
		if g.nvml != nil && is == open {
			q.nvml = append(q.nvml, NVMLTarget{g.address, g.maySleep()})
		}
	}
	return q
}

// hear waits for the answers on d.
func (d *device) hear(ctx context.Context, m mood) *heard {
	h := &heard{now: d.p.now()}
	g, p := d.g, d.p
	for t := range byDiscovery {
		h.err[t] = ErrUnsupported
	}
	unasked := func(there bool) error {
		switch {
		case !there:
			return ErrUnsupported
		case m != open:
			return errUnasked
		}
		return nil
	}
	if h.err[byNVML] = unasked(g.nvml != nil); h.err[byNVML] == nil {
		h.nvml, h.err[byNVML] = one(ctx, p.nvml, &d.had[byNVML], func(m map[Address]NVMLReading) (NVMLReading, bool) { r, ok := m[g.address]; return r, ok })
		h.err[byNVML] = errors.Join(h.err[byNVML], h.nvml.Err)
	}
	if h.err[byADL] = unasked(g.adl != nil); h.err[byADL] == nil {
		h.adl, h.err[byADL] = one(ctx, p.adl, &d.had[byADL], func(m map[Place]ADLReading) (ADLReading, bool) { r, ok := m[g.adl.Place]; return r, ok })
		if h.err[byADL] = errors.Join(h.err[byADL], h.adl.Err); h.err[byADL] == nil {
			h.err[byADL] = adlError(h.adl.Result)
		}
	}
	if g.luid != 0 {
		h.pdh, h.err[byPDH] = one(ctx, p.pdh, &d.had[byPDH], func(a *pdhAnswer) (*pdhGPU, bool) { h.pdhErr = a.err; return a.gpus[g.luid], true })
	}
	if g.adapter != nil && g.luid != 0 {
		h.d3dkmt, h.err[byD3DKMT] = one(ctx, p.d3dkmt, &d.had[byD3DKMT], func(m map[LUID]AdapterReading) (AdapterReading, bool) { r, ok := m[g.luid]; return r, ok })
		// All GPUs are asked by one call: after that of another has hung, an answer may be of long ago.
		if h.err[byD3DKMT] == nil && time.Since(h.d3dkmt.Time) > p.o.Deadline {
			h.d3dkmt, h.err[byD3DKMT] = AdapterReading{}, errLate
		}
	}
	return h
}

// one is what an answer on all GPUs says of one. It may lack it where it was asked for before the last discovery.
func one[Q, A, B any](ctx context.Context, s *source[Q, A], h *had, pick func(A) (B, bool)) (b B, err error) {
	a, err := s.wait(ctx, h)
	if err != nil {
		return b, err
	}
	b, ok := pick(a)
	if !ok {
		return b, errUnasked
	}
	return b, nil
}

// maySleep says whether runtime power management may put the GPU to sleep (section 9).
func (g *gpu) maySleep() bool {
	if g.adapter == nil || g.adapter.Type == nil {
		return false
	}
	const both = typeHybridDiscrete | typeRuntimePower
	return *g.adapter.Type&both == both
}

// coreNode is the first node of type 3D: its clock is that of the card (2.3). Nil: there is none, as on a card that only
// computes.
func (g *gpu) coreNode() *uint32 {
	for i, n := range g.adapter.Nodes {
		if n.Type == node3D && !n.Untold {
			number := uint32(i)
			return &number
		}
	}
	return nil
}
