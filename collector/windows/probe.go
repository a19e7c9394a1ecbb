package windows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gpu_exporter/collector"
)

// Options say how a Probe asks.
type Options struct {
	Sources Sources
	// Deadline is that of one reading of a GPU, --polling.deadline. Its sources share it.
	Deadline time.Duration
	// StateDir is the folder where the answers of PowerShell and dxdiag are kept; empty: nowhere.
	StateDir string
	// WakeNVIDIA: NVIDIA's GPUs that sleep are read too, which wakes them, and never let go.
	WakeNVIDIA bool
	Log        *slog.Logger // nil: none
}

const (
	// rescanPause is the shortest time between two discoveries that the probe asks for (2.1).
	rescanPause = 30 * time.Second
	// wmiPause is how long the rows of WMI stand: a query takes up to half a second of CPU.
	wmiPause = 5 * time.Minute
)

// Probe finds the GPUs of a Windows host.
type Probe struct {
	o      Options
	rescan func() // see Notify
	last   *lastResorts
	now    func() time.Time // replaced by tests

	// Asked at discovery.
	adapters *source[struct{}, []Adapter]
	present  *source[struct{}, []PnPDevice]
	registry *source[struct{}, Registry]
	wmi      *source[struct{}, []VideoController]
	adlList  *source[map[Place]bool, []ADLAdapter] // the places of GPUs that may sleep
	nvmlList *source[[]NVMLTarget, []NVMLDevice]
	warmUp   *source[struct{}, struct{}] // opens the counters

	// Asked each cycle.
	power  *source[[]string, map[string]PowerState]
	d3dkmt *source[[]Target, map[LUID]AdapterReading]
	pdh    *source[struct{}, *pdhAnswer]
	adl    *source[[]ADLTarget, map[Place]ADLReading]
	nvml   *source[[]NVMLTarget, map[Address]NVMLReading]

	counters   pdhReader   // of whoever has pdh's lane
	usage      usage       // of whoever has adl's lane
	noCounters atomic.Bool // this Windows has none, as the last discovery found

	looking  sync.Mutex       // held by a discovery
	late     int              // discoveries in a row in which a source did not tell in time
	disputed map[dispute]bool // what the last one found
	kept     facts            // the last good answer of each source but D3DKMT
	rowsAt   time.Time        // when WMI gave its last one

	mu     sync.Mutex
	fleet  *fleet
	pauses map[string]*collector.Rest // by GPU, of those that may sleep and that a vendor's library reads
	sought map[LUID]bool              // a discovery was asked for because of it
	asked  time.Time                  // when one was asked for last
}

// fleet is what the last discovery found. It is never changed, but replaced.
type fleet struct {
	gpus  []*gpu
	left  []leftOut
	known map[LUID]bool    // of all adapters, whatever they are
	said  map[string]error // of the sources that were asked: nil, or why there was no answer
}

// New returns a Probe.
func New(o Options) *Probe {
	if o.Deadline <= 0 {
		o.Deadline = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Probe{o: o, rescan: func() {}, now: time.Now, fleet: &fleet{}, pauses: map[string]*collector.Rest{}, sought: map[LUID]bool{}}
	p.last = &lastResorts{
		sources: &p.o.Sources,
		now:     func() time.Time { return p.now() },
		changed: func() { p.rescan() },
		noted:   func(err error) { p.o.Log.Debug("a last resort fails", "err", err) },
	}
	if o.StateDir != "" {
		p.last.file = filepath.Join(o.StateDir, cacheFile)
	}
	p.wire()
	return p
}

// Notify implements collector.Notifier.
func (p *Probe) Notify(rescan func()) { p.rescan = rescan }

// The deadlines of sources. A reading waits for power and then for all else side by side: together that stays within its
// deadline and leaves it time. At discovery all are asked side by side.
const (
	powerShare = 8 // an eighth of the deadline of a reading
	restShare  = 2
	listing    = 1500 * time.Millisecond
	wmiLimit   = 10 * time.Second // "a broken WMI repository answers after minutes or never"
)

func newSource[Q, A any](deadline time.Duration, l lane, there bool, ask func(ctx context.Context, q Q) (A, error)) *source[Q, A] {
	s := &source[Q, A]{deadline: deadline, lane: l}
	if there {
		s.ask = ask
	}
	return s
}

// wire makes the shared sources.
func (p *Probe) wire() {
	s := &p.o.Sources
	kernel, plug, amd, nvidia, counters := newLane(), newLane(), newLane(), newLane(), newLane()
	p.adapters = newSource(listing, kernel, s.D3DKMT != nil, func(context.Context, struct{}) ([]Adapter, error) {
		list, err := s.D3DKMT.Adapters()
		return list[:min(len(list), maxRows)], err
	})
	p.present = newSource(listing, plug, s.PnP != nil, func(context.Context, struct{}) ([]PnPDevice, error) { return s.PnP.Present() })
	p.registry = newSource(listing, newLane(), s.Registry != nil, func(context.Context, struct{}) (Registry, error) { return s.Registry() })
	p.wmi = newSource(wmiLimit, newLane(), s.WMI != nil, func(ctx context.Context, _ struct{}) ([]VideoController, error) {
		list, err := s.WMI(ctx)
		return list[:min(len(list), maxRows)], err
	})
	p.adlList = newSource(listing, amd, s.ADL != nil, func(ctx context.Context, maySleep map[Place]bool) ([]ADLAdapter, error) {
		list, err := s.ADL.Adapters(ctx, func(p Place) bool { return maySleep[p] })
		return list[:min(len(list), maxRows)], err
	})
	p.nvmlList = newSource(listing, nvidia, s.NVML != nil, func(ctx context.Context, targets []NVMLTarget) ([]NVMLDevice, error) {
		list, err := s.NVML.Devices(ctx, targets)
		return list[:min(len(list), maxRows)], err
	})

	p.warmUp = newSource(listing, counters, s.PDH != nil, func(context.Context, struct{}) (struct{}, error) {
		c, err := s.PDH.Collect()
		return struct{}{}, p.lack(err, c)
	})

	rest := p.o.Deadline / restShare
	p.power = newSource(p.o.Deadline/powerShare, plug, s.PnP != nil, func(_ context.Context, ids []string) (map[string]PowerState, error) {
		states, err := s.PnP.Power(ids)
		return byKey(ids, states, err)
	})
	p.d3dkmt = newSource(rest, kernel, s.D3DKMT != nil, func(_ context.Context, targets []Target) (map[LUID]AdapterReading, error) {
		readings, err := s.D3DKMT.Read(targets)
		return byKey(mapped(targets, func(t Target) LUID { return t.LUID }), readings, err)
	})
	p.pdh = newSource(rest, counters, s.PDH != nil, func(context.Context, struct{}) (*pdhAnswer, error) { return p.collect() })
	p.adl = newSource(rest, amd, s.ADL != nil, func(ctx context.Context, targets []ADLTarget) (map[Place]ADLReading, error) {
		now := p.now()
		p.usage.plan(targets, now)
		readings, err := s.ADL.Read(ctx, targets)
		p.usage.take(targets, readings, now)
		return byKey(mapped(targets, func(t ADLTarget) Place { return t.Place }), readings, err)
	})
	p.nvml = newSource(rest, nvidia, s.NVML != nil, func(ctx context.Context, targets []NVMLTarget) (map[Address]NVMLReading, error) {
		readings, err := s.NVML.Read(ctx, targets)
		return byKey(mapped(targets, func(t NVMLTarget) Address { return t.Address }), readings, err)
	})
}

// collect takes the counters. Where there are none it is not tried again until the next discovery.
func (p *Probe) collect() (*pdhAnswer, error) {
	if p.noCounters.Load() {
		return nil, ErrUnsupported
	}
	c, err := p.o.Sources.PDH.Collect()
	if err := p.lack(err, c); err != nil {
		return nil, err
	}
	known := p.found().known
	a := p.counters.read(c, func(l LUID) bool { return known[l] })
	p.seek(a, known)
	return a, nil
}

// lack notes whether there are counters at all, and is the error of a collection that has none.
func (p *Probe) lack(err error, c Counters) error {
	if err == nil && errors.Is(c.RunningTime.Err, ErrUnsupported) && errors.Is(c.Dedicated.Err, ErrUnsupported) && errors.Is(c.Shared.Err, ErrUnsupported) {
		err = c.RunningTime.Err
	}
	if none := errors.Is(err, ErrUnsupported); none && !p.noCounters.Swap(none) {
		p.o.Log.Info("this Windows has no GPU counters: engines and memory in use are told by others, if at all", "err", err)
	} else if !none {
		p.noCounters.Store(false)
	}
	return err
}

// byKey makes a map of answers that stand in the order of what was asked.
func byKey[K comparable, V any](keys []K, values []V, err error) (map[K]V, error) {
	if err != nil {
		return nil, err
	}
	if len(keys) != len(values) {
		return nil, fmt.Errorf("%w: %d answers to %d questions", ErrMalformed, len(values), len(keys))
	}
	m := make(map[K]V, len(keys))
	for i, k := range keys {
		m[k] = values[i]
	}
	return m, nil
}

func mapped[A, B any](list []A, f func(A) B) []B {
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = f(a)
	}
	return out
}

// Name implements collector.Probe.
func (p *Probe) Name() string { return probeName }

// Close ends the children of the vendors' libraries and closes what the sources keep open, unless a call hangs in it.
// Nothing is asked of the Probe afterwards.
func (p *Probe) Close() error {
	if a := p.o.Sources.ADL; a != nil {
		a.Close()
	}
	if n := p.o.Sources.NVML; n != nil {
		n.Close()
	}
	if p.pdh.ask == nil {
		return nil
	}
	select {
	case p.pdh.lane <- struct{}{}:
		return p.o.Sources.PDH.Close()
	default:
		return errLate
	}
}

// found is what the last discovery found.
func (p *Probe) found() *fleet {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fleet
}

// Discover implements collector.Probe.
func (p *Probe) Discover(ctx context.Context) ([]collector.Device, error) {
	f, err := p.look(ctx)
	if f == nil {
		return nil, err
	}
	before := p.found().gpus
	for _, g := range f.gpus { // that its LUID is told later does not make it another
		if i := slices.IndexFunc(before, g.is); i >= 0 && (g.luid == before[i].luid || g.luid == 0 || before[i].luid == 0) {
			g.key = before[i].key
		}
	}
	p.mu.Lock()
	p.fleet = f
	p.mu.Unlock()
	list := make([]collector.Device, len(f.gpus))
	for i, g := range f.gpus {
		list[i] = &device{p: p, g: g}
	}
	return list, err
}

// is says whether both are the same GPU, whatever is known of it.
func (g *gpu) is(other *gpu) bool { return g.info.GPU == other.info.GPU }

// look asks the sources and puts together what they say. No fleet: what was found before stands.
func (p *Probe) look(ctx context.Context) (*fleet, error) {
	p.looking.Lock()
	defer p.looking.Unlock()
	if deadline, ok := ctx.Deadline(); ok { // the list must be there before nobody waits for it
		const share = 10
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/share))
		defer cancel()
	}
	var failed []error
	said := map[string]error{}
	defer func() { p.again(said) }()
	note := func(source string, err error) {
		said[source] = err
		if err != nil && !errors.Is(err, ErrUnsupported) {
			failed = append(failed, fmt.Errorf("%s: %w", source, err))
		}
	}
	none := struct{}{}
	adapters := p.adapters.later(ctx, none)
	present := p.present.later(ctx, none)
	registry := p.registry.later(ctx, none)
	warmUp := func() (struct{}, error) { return none, nil }
	if !p.warmUp.answered() || p.noCounters.Load() {
		// The first collection takes long, and what a GPU is to be asked for depends on whether there are counters. What
		// they say is not used: busy time begins with the first reading.
		warmUp = p.warmUp.later(ctx, none)
	}

	var f facts
	var err error
	f.adapters, err = adapters()
	note(sourceD3DKMT, err)
	before := p.found()
	if len(failed) > 0 && listedBy(before.gpus, sourceD3DKMT) {
		return nil, failed[0] // nobody else's list takes the place of the one that it gave
	}
	f.present = keep(&p.kept.present, present, func(err error) { note(sourcePnP, err) })
	f.unsure = len(failed) > 0
	f.registry = keep(&p.kept.registry, registry, func(err error) { note(sourceRegistry, err) })
	p.libraries(ctx, &f, said, note)
	gpus, left := identify(&f)
	if !listedBy(gpus, sourceD3DKMT) {
		f.rows, f.rowsFrom = p.rows(ctx, func(err error) { note(sourceWMI, err) }), sourceWMI
		gpus, left = identify(&f)
		if len(gpus) == 0 && said[sourceD3DKMT] != nil && said[sourceWMI] != nil {
			f.rows, f.dx = p.last.look()
			f.rowsFrom = sourcePowerShell
			gpus, left = identify(&f)
		}
	}
	_, _ = warmUp() // the readings tell what is wrong with it
	now := &fleet{gpus: gpus, left: left, known: map[LUID]bool{}, said: said}
	for _, a := range f.adapters {
		now.known[a.LUID] = true
	}
	for _, g := range gpus {
		now.known[g.luid] = true
	}
	for _, l := range left {
		if !slices.Contains(before.left, l) {
			p.o.Log.Debug("an adapter is no GPU", "name", l.name, "listed_by", l.from, "why", l.why)
		}
	}
	return now, errors.Join(failed...)
}

// dispute is a GPU of AMD's of which ADL and the others do not say the same: its list is as old as its child.
type dispute struct {
	at  Address
	adl bool // it alone has it, which was unplugged; else it alone has it not
}

// libraries asks those of the vendors. What they would wake they are not asked about: of that stands what they said before.
func (p *Probe) libraries(ctx context.Context, f *facts, said map[string]error, note func(source string, err error)) {
	f.adl, f.nvml = p.kept.adl, p.kept.nvml
	gpus, out := identify(f)
	h := had{}
	moods := p.moods(ctx, &h, gpus)
	maySleep, quiet := map[Place]bool{}, false
	disputed := map[dispute]bool{}
	for _, l := range out {
		if l.from == sourceADL {
			disputed[dispute{l.address, true}] = true
		}
	}
	var targets []NVMLTarget
	left := map[Address]bool{}   // NVIDIA's that are not asked about
	listed := map[Address]bool{} // and those that somebody else lists
	for _, g := range gpus {
		switch m := moods.of[g.info.GPU]; {
		case g.info.Vendor == vendorWords[vendorAMD]:
			quiet = quiet || m != open
			if g.maySleep() && g.adapter.Place != nil {
				maySleep[*g.adapter.Place] = true
			}
			if g.adl == nil && g.address != "" && p.kept.adl != nil {
				disputed[dispute{g.address, false}] = true
			}
		case g.info.Vendor == vendorWords[vendorNVIDIA] && m != open:
			left[g.address] = true
		case g.info.Vendor == vendorWords[vendorNVIDIA] && g.address != "":
			targets = append(targets, NVMLTarget{g.address, g.maySleep()})
			listed[g.address] = g.nvml == nil || g.listed != g.nvml.Source
		}
	}
	// Where D3DKMT or the devices are not known for once, nobody says who sleeps: then nobody else is asked about.
	for _, d := range f.present { // those that drive no display are told by nobody else
		if a := d.Place.address(); !f.unsure && isGPUOfNVIDIA(d) && !left[a] && !slices.ContainsFunc(targets, func(t NVMLTarget) bool { return t.Address == a }) {
			targets = append(targets, NVMLTarget{Address: a})
			listed[a] = true
		}
	}
	var adlList func() ([]ADLAdapter, error)
	if !quiet {
		if slices.ContainsFunc(slices.Collect(maps.Keys(disputed)), func(d dispute) bool { return !p.disputed[d] }) {
			p.o.Sources.ADL.Renew() // one has come, or was unplugged
		}
		p.disputed = disputed
		adlList = p.adlList.later(ctx, maySleep)
	}
	if len(targets) > 0 || !f.unsure && len(left) == 0 {
		list, err := p.nvmlList.later(ctx, targets)()
		if note(sourceNVML, err); err == nil || errors.Is(err, ErrUnsupported) {
			// One that hangs, or is opened anew, is read by NVML all the same.
			stays := func(a Address) bool {
				return left[a] || err == nil && listed[a] &&
					!slices.ContainsFunc(list, func(n NVMLDevice) bool { return shortAddress(n.Address) == a })
			}
			for _, n := range f.nvml {
				if stays(shortAddress(n.Address)) {
					list = append(list, n)
				}
			}
			p.kept.nvml = list
		}
		f.nvml = p.kept.nvml
	}
	if adlList != nil {
		f.adl = keep(&p.kept.adl, adlList, func(err error) { note(sourceADL, err) })
	}
}

// When a source that did not tell in time is asked again: after twice the pause, four times it and so on.
const (
	lateTries = 4
	latePause = time.Second
)

// again asks for another discovery where one lacks what a source did not tell in time: a library that is being loaded, or a
// service that starts, may be there long before the next rescan.
func (p *Probe) again(said map[string]error) {
	for _, err := range said {
		if errors.Is(err, errLate) {
			if p.late++; p.late <= lateTries {
				time.AfterFunc(latePause<<p.late, p.rescan)
			}
			return
		}
	}
	p.late = 0
}

// isGPUOfNVIDIA says that a device may be one: the first function of a card.
func isGPUOfNVIDIA(d PnPDevice) bool {
	vendor, _ := idsOf(d.ID)
	return vendor == vendorNVIDIA && d.Place.address() != "" && d.Place.Function == 0
}

// rows are those of WMI, at its pace.
func (p *Probe) rows(ctx context.Context, note func(error)) []VideoController {
	if !p.rowsAt.IsZero() && p.now().Sub(p.rowsAt) < wmiPause {
		note(nil)
		return p.kept.rows
	}
	return keep(&p.kept.rows, p.wmi.later(ctx, struct{}{}), func(err error) {
		if note(err); err == nil {
			p.rowsAt = p.now()
		}
	})
}

// keep is an answer, or the last good one where a source that answered before fails just now.
func keep[A any](last *A, answer func() (A, error), note func(error)) A {
	a, err := answer()
	note(err)
	if err == nil || errors.Is(err, ErrUnsupported) {
		*last = a
	}
	return *last
}

func listedBy(gpus []*gpu, source string) bool {
	return slices.ContainsFunc(gpus, func(g *gpu) bool { return g.listed == source })
}

// seek asks for a discovery where counters name an adapter that the last one did not know: a driver was loaded anew, or a
// card has come (2.1). One that stays unknown is asked for once.
func (p *Probe) seek(a *pdhAnswer, known map[LUID]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sought) > maxRows {
		clear(p.sought)
	}
	wanted := false
	for l := range a.gpus {
		wanted = wanted || !known[l] && !p.sought[l]
	}
	if now := p.now(); wanted && now.Sub(p.asked) >= rescanPause {
		p.asked = now
		for l := range a.gpus {
			if !known[l] {
				p.sought[l] = true
			}
		}
		p.rescan()
	}
}
