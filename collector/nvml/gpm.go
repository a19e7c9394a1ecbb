package nvml

import "time"

// gpm are the profiling counters of a GPU (nvidia.md 5): what it did between two samples. Whatever fails has them left
// alone until Anew.
type gpm struct {
	refused bool
	known   bool // it was asked whether it has them, and has
	m       memory
	pairs   map[uint32]*pair
}

// pair are the last two samples of one GPU instance, or of the whole GPU. The library allocates them.
type pair struct {
	old, new uintptr
	at       time.Time     // when new was taken; zero: never
	usual    time.Duration // between the two before
	used     bool          // in this reading
}

// whole stands for a GPU without instances.
const whole = ^uint32(0)

const (
	leastApart = 100 * time.Millisecond // by nvml.h
	mostApart  = time.Minute
	mostCycles = 10
)

// Where what lies in GpmMetricsGet and its elements. The array is as long as the last metric that nvml.h knows: libraries
// of other versions use the first of its elements only.
const (
	gpmMost   = 333
	gpmHead   = 24
	gpmMetric = 40
)

// hasGPM says whether the GPU has the counters.
func (d *device) hasGPM() bool {
	p := &d.gpm
	if p.refused || d.guest {
		return false
	}
	if p.known {
		return true
	}
	if p.m.bytes == nil {
		p.m, p.pairs = newMemory(gpmHead+gpmMetric*gpmMost, d.pin), map[uint32]*pair{}
	}
	clear(p.m.bytes[:8])
	p.m.put32(0, 1)
	p.known = d.named("nvmlGpmQueryDeviceSupport", d.handle, p.m.at(0)) == Success && p.m.u32(4) != 0
	p.refused = !p.known
	return p.known
}

// sample takes a sample and says whether there are two that tell something.
func (d *device) sample(instance uint32) (ready *pair) {
	p := d.gpm.pairs[instance]
	if p == nil {
		p = &pair{}
		d.gpm.pairs[instance] = p
	}
	p.used = true
	for _, s := range []*uintptr{&p.old, &p.new} {
		if *s == 0 {
			clear(d.gpm.m.bytes[:8])
			if d.named("nvmlGpmSampleAlloc", d.gpm.m.at(0)) != Success {
				d.gpm.refused = true
				return nil
			}
			*s = uintptr(d.gpm.m.u64(0))
		}
	}
	now := d.l.now()
	passed, first := now.Sub(p.at), p.at.IsZero()
	if !first && passed < leastApart {
		return nil
	}
	var c Return
	if instance == whole {
		c = d.named("nvmlGpmSampleGet", d.handle, p.old)
	} else {
		c = d.named("nvmlGpmMigSampleGet", d.handle, uintptr(instance), p.old)
	}
	if c != Success {
		d.gpm.refused = true
		return nil
	}
	usual := p.usual
	p.old, p.new, p.at, p.usual = p.new, p.old, now, passed
	if first {
		p.usual = 0
		return nil
	}
	if passed > mostApart || usual > 0 && passed > mostCycles*usual {
		return nil
	}
	return p
}

// metrics asks what happened between two samples; each is told by its place in ids.
func (d *device) metrics(p *pair, ids []uint32, each func(i int, bits uint64)) {
	m := d.gpm.m
	clear(m.bytes[:gpmHead+gpmMetric*len(ids)])
	m.put32(0, 1) // the plain number of the version, no size
	m.put32(4, uint32(len(ids)))
	m.put64(8, uint64(p.old))
	m.put64(16, uint64(p.new))
	for i, id := range ids {
		m.put32(gpmHead+gpmMetric*i, id)
	}
	if d.named("nvmlGpmMetricsGet", m.at(0)) != Success {
		d.gpm.refused = true
		return
	}
	for i := range ids {
		at := gpmHead + gpmMetric*i
		if code(int32(m.u32(at+4))) == Success {
			each(i, m.u64(at+8))
		}
	}
}

// gpmIDs are the metrics of the rows of the Table, in their order.
var gpmIDs = func() (ids []uint32) {
	for _, n := range schemes[GPM].gpm {
		ids = append(ids, Table[n].Args[0])
	}
	return ids
}()

// readGPM tells what the whole GPU did since the last reading. In MIG mode only its instances tell.
func (d *device) readGPM() {
	if d.mig || !d.hasGPM() {
		return
	}
	if p := d.sample(whole); p != nil {
		d.metrics(p, gpmIDs, func(i int, bits uint64) { d.answer(schemes[GPM].gpm[i], Success, Double, bits) })
	}
}

// freeSamples gives back the samples of instances that are no more.
func (d *device) freeSamples() {
	for instance, p := range d.gpm.pairs {
		if !p.used && instance != whole || instance == whole && d.mig {
			for _, s := range []uintptr{p.old, p.new} {
				if s != 0 {
					d.named("nvmlGpmSampleFree", s)
				}
			}
			delete(d.gpm.pairs, instance)
		}
		p.used = false
	}
}
