package collector

// Value is a number that may be unknown.
type Value struct {
	V  float64
	OK bool
}

// Primary is the handful of numbers that people ask of a GPU first, by metrics.md part 4: the legacy API, the history,
// the page and `once` show them. Units are the legacy ones; nothing is rounded.
type Primary struct {
	Temperature       Value // degrees Celsius
	Utilization       Value // percent
	MemoryUsed        Value // MiB
	MemoryTotal       Value // MiB
	MemoryUtilization Value // percent
	CoreClock         Value // MHz
	MemoryClock       Value // MHz
	PowerUsage        Value // watts
	FanSpeed          Value // percent
	DriverVersion     string
}

// Where a primary value comes from: the first of these that has a sample.
var (
	primarySensors = [...]string{"edge", "gpu", "package", "soc", "hotspot"}
	primaryDomains = [...]string{"board", "package", "graphics", "soc"}
)

// Primary picks the primary values out of the samples.
func (d *Status) Primary() Primary {
	p := Primary{DriverVersion: d.DriverVersion}
	var (
		temperature = ranked{order: primarySensors[:]}
		power       = ranked{order: primaryDomains[:]}
		busiest     Value            // engine
		fastest     Value            // clock of one of several graphics engines
		used, total map[string]Value // by memory
		duty        Value
		rpm, maxRPM map[string]float64
	)
	used, total = map[string]Value{}, map[string]Value{}
	rpm, maxRPM = map[string]float64{}, map[string]float64{}
	for _, s := range d.Samples {
		switch s.S.Q {
		case Temperature:
			temperature.offer(s.S.Values[0], s.V)
		case Power:
			power.offer(s.S.Values[0], s.V)
		case Utilization:
			p.Utilization = Value{s.V * 100, true}
		case EngineUtilization:
			busiest.max(s.V * 100)
		case MemoryUsed:
			used[s.S.Values[0]] = Value{s.V, true}
		case MemoryTotal:
			total[s.S.Values[0]] = Value{s.V, true}
		case Clock:
			switch name := s.S.Values[0]; {
			case name == "graphics":
				p.CoreClock = Value{s.V / 1e6, true}
			case name == "memory":
				p.MemoryClock = Value{s.V / 1e6, true}
			case isNumbered(name, "graphics"):
				fastest.max(s.V / 1e6)
			}
		case FanDuty:
			duty.max(s.V * 100)
		case FanSpeed:
			rpm[s.S.Values[0]] = s.V
		case FanMax:
			maxRPM[s.S.Values[0]] = s.V
		}
	}
	p.Temperature, p.PowerUsage = temperature.best(), power.best()
	if !p.Utilization.OK {
		p.Utilization = busiest
	}
	if !p.CoreClock.OK {
		p.CoreClock = fastest
	}
	p.FanSpeed = duty
	if !duty.OK {
		for fan, v := range rpm {
			if m := maxRPM[fan]; m > 0 {
				p.FanSpeed.max(min(v/m*100, 100))
			}
		}
	}
	own := d.ownMemory(total)
	p.MemoryUsed, p.MemoryTotal = sumMiB(used, own), sumMiB(total, own)
	if p.MemoryUsed.OK && p.MemoryTotal.OK && p.MemoryTotal.V > 0 {
		p.MemoryUtilization = Value{p.MemoryUsed.V / p.MemoryTotal.V * 100, true}
	}
	return p
}

// ownMemory names what counts as the memory of the GPU. The vram of an integrated one is only a carve-out of system
// memory: it works in the rest too.
func (d *Status) ownMemory(total map[string]Value) []string {
	switch {
	case total["unified"].OK:
		return []string{"unified"}
	case d.Type == Integrated:
		own := []string{"vram"}
		for _, more := range [...]string{"gtt", "shared"} {
			if total[more].OK {
				own = append(own, more)
			}
		}
		return own
	}
	return []string{"vram"}
}

// sumMiB adds up the parts, in MiB; one that is not known leaves the sum unknown.
func sumMiB(by map[string]Value, parts []string) Value {
	var bytes float64
	for _, part := range parts {
		if !by[part].OK {
			return Value{}
		}
		bytes += by[part].V
	}
	return Value{bytes / (1 << 20), true}
}

// max keeps the larger value.
func (v *Value) max(x float64) {
	if !v.OK || x > v.V {
		*v = Value{x, true}
	}
}

// ranked keeps the value of the label that stands first in order.
type ranked struct {
	order []string
	rank  int // 1 + position in order, 0: none yet
	v     float64
}

func (r *ranked) offer(label string, v float64) {
	for i, l := range r.order {
		if l == label && (r.rank == 0 || i+1 < r.rank) {
			r.rank, r.v = i+1, v
		}
	}
}

func (r *ranked) best() Value { return Value{r.v, r.rank > 0} }

// isNumbered says whether name is prefix and a number: graphics0.
func isNumbered(name, prefix string) bool {
	if len(name) <= len(prefix) || name[:len(prefix)] != prefix {
		return false
	}
	for _, c := range name[len(prefix):] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
