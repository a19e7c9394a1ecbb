package windows

import (
	"context"
	"errors"

	"gpu_exporter/collector"
)

// device is one GPU.
type device struct {
	p    *Probe
	g    *gpu
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
	if r.Reload {
		d.plan = nil
	}
	d.p.pdh.begin(&d.had[pdh], struct{}{})
	awake, powerErr := d.awake(ctx, f)
	if awake.asleep[d.g.pnp] {
		// D3DKMT's statistics would not wake it either, but there is nobody to tell of them. The counters go on, so that
		// the busy time of its engines lacks nothing.
		return collector.ErrAsleep
	}
	if len(awake.targets) > 0 {
		d.p.d3dkmt.begin(&d.had[d3dkmt], awake.targets)
	}
	if len(awake.adl) > 0 {
		d.p.adl.begin(&d.had[adl], awake.adl)
	}
	if len(awake.nvml) > 0 {
		d.p.nvml.begin(&d.had[nvml], awake.nvml)
	}

	h := d.hear(ctx, awake)
	asked, late := 0, 0
	for t := range static {
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
	if h.d3dkmt.Gone {
		return collector.ErrGone
	}
	if powerErr != nil {
		r.Fail(collector.Failure{Kind: kindOf(powerErr), Source: sourcePnP, Err: powerErr})
	}
	if d.plan == nil {
		d.plan = newPlan(d.g)
	}
	d.plan.read(r, h)
	return nil
}

// awakeness is which GPUs may be asked for what in a cycle.
type awakeness struct {
	asleep  map[string]bool // by device instance id
	unsure  map[string]bool // likewise: may sleep, and whether it does is not known
	targets []Target
	adl     []ADLTarget
	nvml    []Address
}

// awake asks for the power states of all GPUs. Power that is not told means awake; of a GPU that may sleep it must have
// been told in time, or it is left alone by what could wake it. The error is about d.
func (d *device) awake(ctx context.Context, f *fleet) (awakeness, error) {
	var ids []string
	for _, g := range f.gpus {
		if g.pnp != "" {
			ids = append(ids, g.pnp)
		}
	}
	a := awakeness{asleep: map[string]bool{}, unsure: map[string]bool{}}
	var states map[string]PowerState
	var err error
	if len(ids) > 0 {
		d.p.power.begin(&d.power, ids)
		states, err = d.p.power.wait(ctx, &d.power)
	}
	late := errors.Is(err, errLate)
	for _, g := range f.gpus {
		a.asleep[g.pnp] = g.pnp != "" && states[g.pnp] == PowerD3
		a.unsure[g.pnp] = g.pnp != "" && late && g.maySleep()
		open := !a.asleep[g.pnp] && !a.unsure[g.pnp]
		if g.adapter != nil && g.luid != 0 {
			a.targets = append(a.targets, Target{LUID: g.luid, Sensors: open, Node: g.coreNode()})
		}
		if g.adl != nil && open {
			a.adl = append(a.adl, ADLTarget{Index: g.adl.Index, Usage: d.p.noCounters.Load()})
		}
		if g.nvml != nil && open {
			a.nvml = append(a.nvml, g.nvml.Address)
		}
	}
	if !a.unsure[d.g.pnp] {
		err = nil
	}
	return a, err
}

// hear waits for the answers on d.
func (d *device) hear(ctx context.Context, a awakeness) *heard {
	h := &heard{now: d.p.now()}
	g, p := d.g, d.p
	for t := range static {
		h.err[t] = ErrUnsupported
	}
	unasked := func(there bool) error {
		switch {
		case !there:
			return ErrUnsupported
		case a.unsure[g.pnp]:
			return errUnasked
		}
		return nil
	}
	if h.err[nvml] = unasked(g.nvml != nil); h.err[nvml] == nil {
		h.nvml, h.err[nvml] = one(ctx, p.nvml, &d.had[nvml], func(m map[Address]NVMLReading) (NVMLReading, bool) { r, ok := m[g.nvml.Address]; return r, ok })
		h.err[nvml] = errors.Join(h.err[nvml], h.nvml.Err)
	}
	if h.err[adl] = unasked(g.adl != nil); h.err[adl] == nil {
		h.adl, h.err[adl] = one(ctx, p.adl, &d.had[adl], func(m map[int32]ADLReading) (ADLReading, bool) { r, ok := m[g.adl.Index]; return r, ok })
		if h.err[adl] == nil {
			h.err[adl] = adlError(h.adl.Result)
		}
	}
	if g.luid != 0 {
		h.pdh, h.err[pdh] = one(ctx, p.pdh, &d.had[pdh], func(a *pdhAnswer) (*pdhGPU, bool) { h.pdhErr = a.err; return a.gpus[g.luid], true })
	}
	if g.adapter != nil && g.luid != 0 {
		h.d3dkmt, h.err[d3dkmt] = one(ctx, p.d3dkmt, &d.had[d3dkmt], func(m map[LUID]AdapterReading) (AdapterReading, bool) { r, ok := m[g.luid]; return r, ok })
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

// coreNode is the first node of type 3D: its clock is that of the card (2.3).
func (g *gpu) coreNode() uint32 {
	for i, n := range g.adapter.Nodes {
		if n.Type == node3D && !n.Untold {
			return uint32(i)
		}
	}
	return 0
}
