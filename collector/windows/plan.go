package windows

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
)

// teller is a source of readings. Their order is that of trust, but where memory in use is concerned (see plan.read).
type teller int

const (
	byNVML teller = iota
	byADL
	byPDH
	byD3DKMT
	byDiscovery // what discovery told
	tellers
)

var tellerNames = [tellers]string{sourceNVML, sourceADL, sourcePDH, sourceD3DKMT, "discovery"}

// mayTell are the quantities that a source is waited for with, when it has not answered yet: no source of less trust may
// take them meanwhile. ADL's engines are told by no other.
var mayTell = [tellers][]collector.QuantityID{
	byNVML: slices.Collect(maps.Keys(nvml.Tells())),
	byADL: {collector.Temperature, collector.Clock, collector.FanSpeed, collector.FanDuty, collector.Voltage, collector.Power,
		collector.Utilization, collector.ThrottleActive, collector.LinkWidth},
	byPDH: {collector.EngineBusy, collector.EngineUtilization, collector.Utilization, collector.MemoryUsed},
}

// patience is how long a series waits for the source that it was told by, or is to be told by, while that fails. After
// it the next one may have it (section 1).
const patience = 10 * time.Minute

// errUnasked: the source was left alone, for it might wake the GPU, or was asked before the GPU was found.
var errUnasked = errors.New("not asked")

// heard is what one cycle brought of one GPU. err says of each source why it has no answer, ErrUnsupported where it has
// none of this GPU at all.
type heard struct {
	now    time.Time
	err    [tellers]error
	nvml   NVMLReading
	adl    ADLReading
	pdh    *pdhGPU // nil, without an error: no counter names the GPU
	pdhErr error   // of some counters
	d3dkmt AdapterReading
}

// plan is how the answers on one GPU become its samples. It is made at the first awake read and lasts as long as the GPU
// under its Key: which source has which series is settled once.
type plan struct {
	g      *gpu
	series map[string]*collector.Series
	owner  map[*collector.Series]teller

	worked  [tellers]bool      // it has answered
	failing [tellers]time.Time // since when it has not; zero: it does

	adl      []*collector.Series // of adlSensors
	reasons  []*collector.Series // of adlReasons
	labels   engineLabels
	engines  []engineSeries // of labels
	nodes    meter          // of D3DKMT's nodes
	nodeLast []int64        // what they held
	nvml     []known
	call     uint64          // of nvidia-smi that wrong is of
	wrong    collector.Group // what went wrong in it
	origins  []collector.Origin
	settled  bool      // origins are those of owner
	now      time.Time // of the present reading
}

// known is a series of a source that has its own, and ours of the same name.
type known struct{ its, ours *collector.Series }

type engineSeries struct {
	id          engineID
	busy, ratio *collector.Series
}

func newPlan(g *gpu) *plan {
	p := &plan{g: g, series: map[string]*collector.Series{}, owner: map[*collector.Series]teller{}}
	for i := range adlSensors {
		p.adl = append(p.adl, p.of(adlSensors[i].q, labelsOf(adlSensors[i].label)...))
	}
	for _, reason := range adlReasons {
		p.reasons = append(p.reasons, p.of(collector.ThrottleActive, reason))
	}
	if g.adapter != nil {
		var ids []engineID
		var names []string
		for i, n := range g.adapter.Nodes[:min(len(g.adapter.Nodes), maxEngines)] {
			if !n.Untold {
				ids, names = append(ids, engineID{0, uint32(i)}), append(names, n.name())
			}
		}
		p.label(ids, func(i int) string { return names[i] })
	}
	return p
}

func labelsOf(label string) []string {
	if label == "" {
		return nil
	}
	return []string{label}
}

// of is the one series of a quantity and its label values.
func (p *plan) of(q collector.QuantityID, values ...string) *collector.Series {
	key := keyOf(q, values)
	s, ok := p.series[key]
	if !ok {
		s = &collector.Series{Q: q, Values: values}
		s.Min, s.Max = boundsOf(p.g.info.Vendor, q)
		if q == collector.MemoryUsed {
			s.Max = p.mostUsed(values[0], s.Max)
		}
		p.series[key] = s
	}
	return s
}

func keyOf(q collector.QuantityID, values []string) string {
	return q.String() + "\x00" + strings.Join(values, "\x00")
}

// like is the one series that is named like s, with the bounds of s where nobody has made it.
func (p *plan) like(s *collector.Series) *collector.Series {
	key := keyOf(s.Q, s.Values)
	ours, ok := p.series[key]
	if !ok {
		ours = &collector.Series{Q: s.Q, Values: s.Values, Min: s.Min, Max: s.Max}
		p.series[key] = ours
	}
	return ours
}

// mostUsed is the size of a memory where it is known: more of it cannot be in use, but for what NVIDIA's own counts round.
func (p *plan) mostUsed(memory string, unknown float64) float64 {
	const rounding = 1 << 20
	size := map[string]uint64{"vram": p.g.vram, "shared": p.g.shared}[memory]
	switch {
	case size == 0:
		return unknown
	case p.g.info.Vendor == "nvidia":
		return float64(size) + rounding
	}
	return float64(size)
}

// label gives new engines their series.
func (p *plan) label(ids []engineID, name func(i int) string) {
	if !p.labels.add(ids, name) {
		return
	}
	p.engines = p.engines[:0]
	for id, word := range p.labels.labels {
		p.engines = append(p.engines, engineSeries{id, p.of(collector.EngineBusy, word), p.of(collector.EngineUtilization, word)})
	}
	slices.SortFunc(p.engines, func(a, b engineSeries) int { return a.id.compare(b.id) })
}

// read adds to r what was heard.
func (p *plan) read(r *collector.Reading, h *heard) {
	p.now = h.now
	for t := range byDiscovery {
		p.judge(r, t, h)
	}
	if h.pdhErr != nil {
		r.Fail(collector.Failure{Kind: kindOf(h.pdhErr), Source: sourcePDH, Err: h.pdhErr})
	}
	if h.err[byNVML] == nil {
		p.readNVML(r, &h.nvml)
	}
	if h.err[byADL] == nil {
		p.readADL(r, &h.adl)
	}
	if h.err[byPDH] == nil && h.pdh != nil {
		p.readPDH(r, h.pdh)
	}
	if h.err[byADL] == nil && h.adl.Usage != nil {
		p.offer(r, byADL, p.of(collector.MemoryUsed, "vram"), float64(*h.adl.Usage)*(1<<20))
	}
	if h.err[byD3DKMT] == nil {
		p.readD3DKMT(r, &h.d3dkmt)
	}
	for _, m := range [...]struct {
		memory string
		size   uint64
	}{{"vram", p.g.vram}, {"shared", p.g.shared}} {
		if m.size > 0 {
			p.offer(r, byDiscovery, p.of(collector.MemoryTotal, m.memory), float64(m.size))
		}
	}
	r.Origins = p.originsNow()
}

// judge notes how a source does. It is a failure of the reading when a source that worked before does not, and when one
// does not answer at all.
func (p *plan) judge(r *collector.Reading, t teller, h *heard) {
	err := h.err[t]
	switch {
	case err == nil:
		p.worked[t], p.failing[t] = true, time.Time{}
		return
	case !p.worked[t] && !errors.Is(err, errLate) && !errors.Is(err, errChild) && !errors.Is(err, errUnasked):
		return // it never had anything to tell of this GPU
	case p.worked[t] && errors.Is(err, errUnasked):
		p.failing[t] = time.Time{} // that is no failure, however long it lasts
		return
	case !errors.Is(err, errUnasked):
		call := uint64(0)
		if t == byNVML {
			call = h.nvml.Call
		}
		p.fail(r, call, collector.Failure{Kind: kindOf(err), Source: tellerNames[t], Err: err})
	}
	if p.failing[t].IsZero() {
		p.failing[t] = p.now
	}
	if p.now.Sub(p.failing[t]) < patience {
		return
	}
	for s, has := range p.owner {
		if has == t {
			delete(p.owner, s)
			p.settled = false
		}
	}
}

// offer adds a sample if the series is t's to tell: the first that tells one has it from then on, so that two sources
// never take turns in it.
func (p *plan) offer(r *collector.Reading, t teller, s *collector.Series, v float64) {
	has, settled := p.owner[s]
	switch {
	case settled && has != t, !settled && p.awaited(t, s):
		return
	case !settled:
		p.owner[s], p.settled = t, false
	}
	r.Add(s, v)
}

// awaited says whether a source of more trust than t may yet tell s: it exists, but has never answered.
func (p *plan) awaited(t teller, s *collector.Series) bool {
	for better := range t {
		if p.failing[better].IsZero() || p.worked[better] || p.now.Sub(p.failing[better]) >= patience {
			continue
		}
		if slices.Contains(mayTell[better], s.Q) && !(better == byNVML && slices.Contains(s.Values, "shared")) { // memory of the system
			return true
		}
	}
	return false
}

func (p *plan) readNVML(r *collector.Reading, n *NVMLReading) {
	for len(p.nvml) < len(n.Samples) {
		p.nvml = append(p.nvml, known{})
	}
	for i, v := range n.Samples {
		// The list is mostly the same each time: a series is only looked for where it is not.
		if p.nvml[i].its != v.S {
			p.nvml[i] = known{v.S, p.like(v.S)}
		}
		p.offer(r, byNVML, p.nvml[i].ours, v.V)
	}
	for _, q := range n.Rejected {
		r.Reject(&collector.Series{Q: q})
	}
	p.fail(r, n.Call, n.Failures...)
}

// fail notes what went wrong. What did in a call of nvidia-smi is counted once, however often that is read.
func (p *plan) fail(r *collector.Reading, call uint64, failures ...collector.Failure) {
	note := func(r *collector.Reading) error {
		for _, f := range failures {
			r.Fail(f)
		}
		return nil
	}
	if call == 0 {
		_ = note(r)
		return
	}
	if call != p.call {
		p.call, p.wrong = call, collector.Group{Every: callStands, Rows: []collector.Row{note}}
	}
	_ = p.wrong.Read(r, p.now) // as note, without an error of its own
}

// callStands is longer than a call of nvidia-smi may be the last one.
const callStands = 24 * time.Hour

func (p *plan) readADL(r *collector.Reading, a *ADLReading) {
	for i := range adlSensors {
		if v, ok := adlSensors[i].value(&a.PMLog); ok {
			p.offer(r, byADL, p.adl[i], v)
		}
	}
	if bits := a.PMLog[adlThrottler]; bits.Supported != 0 {
		for i, s := range p.reasons {
			p.offer(r, byADL, s, float64(bits.Value>>i&1))
		}
	}
}

func (p *plan) readPDH(r *collector.Reading, c *pdhGPU) {
	if c.engines {
		p.readLoads(r, byPDH, c.loads, c.rated)
	}
	if c.dedicated != nil {
		p.offer(r, byPDH, p.of(collector.MemoryUsed, "vram"), *c.dedicated)
	}
	if c.shared != nil {
		p.offer(r, byPDH, p.of(collector.MemoryUsed, "shared"), *c.shared)
	}
}

// readLoads adds the engines as t tells them. An engine that is known and not in loads was idle.
func (p *plan) readLoads(r *collector.Reading, t teller, loads []load, rated bool) {
	ids := make([]engineID, len(loads))
	for i := range loads {
		ids[i] = loads[i].id
	}
	p.label(ids, func(i int) string { return loads[i].name })
	busiest := 0.0
	for _, e := range p.engines {
		var l load
		if i, has := slices.BinarySearchFunc(loads, e.id, func(l load, id engineID) int { return l.id.compare(id) }); has {
			l = loads[i]
		}
		p.offer(r, t, e.busy, l.busy)
		if rated {
			p.offer(r, t, e.ratio, l.ratio)
			busiest = max(busiest, l.ratio)
		}
	}
	if rated {
		p.offer(r, t, p.of(collector.Utilization), busiest)
	}
}

// coreSensors are the sensors that D3DKMT's temperature is, by vendor; of all others it is `gpu`.
var coreSensors = map[string]string{"amd": "edge", "intel": "package"}

func (p *plan) readD3DKMT(r *collector.Reading, a *AdapterReading) {
	positive := func(s *collector.Series, v uint64, by float64) {
		if v > 0 { // 0: not told
			p.offer(r, byD3DKMT, s, float64(v)/by)
		}
	}
	sensor := firstOf(coreSensors[p.g.info.Vendor], "gpu")
	var maxFan uint32
	if a.Caps != nil {
		maxFan = a.Caps.MaxFanRPM
	}
	if f := a.Perf; f != nil {
		core := p.of(collector.Temperature, sensor)
		positive(core, uint64(f.DeciCelsius), 10)
		if _, told := r.Value(core); told && p.owner[core] == byD3DKMT && a.Caps != nil {
			positive(p.of(collector.TemperatureLimit, sensor, "critical"), uint64(a.Caps.MaxDeciCelsius), 10)
			positive(p.of(collector.TemperatureLimit, sensor, "slowdown"), uint64(a.Caps.WarnDeciCelsius), 10)
		}
		if f.FanRPM > 0 || maxFan > 0 { // else there may be no fan
			p.offer(r, byD3DKMT, p.of(collector.FanSpeed, "1"), float64(f.FanRPM))
		}
		positive(p.of(collector.Clock, "memory"), f.MemoryHertz, 1)
		positive(p.of(collector.ClockLimit, "memory", "max"), f.MaxMemoryHertz, 1)
	}
	positive(p.of(collector.FanMax, "1"), uint64(maxFan), 1)
	if n := a.Node; n != nil {
		positive(p.of(collector.Clock, "graphics"), n.Hertz, 1)
		positive(p.of(collector.ClockLimit, "graphics", "max"), n.MaxHertz, 1)
		positive(p.of(collector.Voltage, "graphics"), uint64(n.Millivolts), 1e3)
	}
	if !a.Filled {
		return
	}
	p.offer(r, byD3DKMT, p.of(collector.Resets), float64(a.Resets))
	used := map[bool]float64{}
	for _, s := range a.Segments {
		used[s.System] += float64(s.Resident)
	}
	for _, m := range [...]struct {
		memory string
		system bool
	}{{"vram", false}, {"shared", true}} {
		if v, told := used[m.system]; told {
			p.offer(r, byD3DKMT, p.of(collector.MemoryUsed, m.memory), v)
		}
	}
	p.readNodes(r, a)
}

// readNodes takes the running times of nodes, which last as long as the driver. They stand still where the hardware
// schedules, and say nothing then (2.4).
func (p *plan) readNodes(r *collector.Reading, a *AdapterReading) {
	if !p.g.adapter.nodesCount() || len(a.Running) == 0 || len(a.Running) > maxEngines {
		return
	}
	p.nodes.begin(a.Time)
	for len(p.nodeLast) < len(a.Running) {
		p.nodeLast = append(p.nodeLast, 0)
	}
	for i, v := range a.Running {
		name := ""
		if i < len(p.g.adapter.Nodes) {
			name = p.g.adapter.Nodes[i].name()
		}
		gained := v
		if v >= p.nodeLast[i] {
			gained -= p.nodeLast[i]
		}
		p.nodeLast[i] = v
		if e := p.nodes.engine(engineID{0, uint32(i)}, name); e != nil {
			e.add(gained, p.nodes.passed)
		}
	}
	p.readLoads(r, byD3DKMT, p.nodes.loads(), p.nodes.passed > 0)
}

// schedulingSince is the WDDM version from which on the hardware may schedule.
const schedulingSince = 2700

// nodesCount says whether the running times of nodes move.
func (a *Adapter) nodesCount() bool {
	switch {
	case a == nil:
		return false
	case a.Scheduling != nil:
		return *a.Scheduling&schedulingEnabled == 0
	}
	return a.WDDM > 0 && a.WDDM < schedulingSince
}

// originsNow lists which source has which series. A list that was handed out is not changed.
func (p *plan) originsNow() []collector.Origin {
	if p.settled {
		return p.origins
	}
	p.settled = true
	var by [tellers][]*collector.Series
	for s, t := range p.owner {
		by[t] = append(by[t], s)
	}
	p.origins = nil
	for t, series := range by {
		if len(series) > 0 {
			slices.SortFunc(series, func(a, b *collector.Series) int { return strings.Compare(a.String(), b.String()) })
			p.origins = append(p.origins, collector.Origin{Source: tellerNames[t], Tells: series})
		}
	}
	return p.origins
}
