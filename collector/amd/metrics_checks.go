package amd

import (
	"gpu_exporter/collector"
)

// planChecks plans what takes more than one field, or more than one reading.
func (m *metrics) planChecks(byName map[string]tableField) {
	get := func(name string) (field, bool) {
		f, ok := byName[name]
		return f.element(0), ok
	}
	if m.version.format != 1 {
		gfx, ok1 := get("temperature_gfx")
		soc, ok2 := get("temperature_soc")
		m.gfx, m.soc, m.canBeEmpty = gfx, soc, ok1 && ok2
	}
	m.count, m.counted = get("num_partition")
	if speed, ok := get("pcie_link_speed"); ok {
		if width, ok := get("pcie_link_width"); ok {
			m.planLink(speed, width)
		}
	}
	if indep, ok := get("indep_throttle_status"); ok {
		m.planThrottleBits(indep, independentBits[:])
	} else if status, ok := get("throttle_status"); ok && v1New.hold(m.version) {
		m.planThrottleBits(status, mi300Bits[:])
	} else {
		m.planResidencies(get)
	}
	if status, ok := byName["xgmi_link_status"]; ok {
		m.planXGMI(status, get)
	}
}

// firmwareGaveNone says whether an APU's firmware gave no table this time: all zero, as Van Gogh does at times.
func (m *metrics) firmwareGaveNone() bool {
	if !m.canBeEmpty {
		return false
	}
	gfx, state1 := m.gfx.load(m.table)
	soc, state2 := m.soc.load(m.table)
	return state1 == fieldTold && state2 == fieldTold && gfx == 0 && soc == 0
}

// partitions is how many partitions the table tells of; also not told while it is broken.
func (m *metrics) partitions() (n int, told bool) {
	if m == nil || !m.counted || m.table == nil {
		return 0, m != nil && m.broken
	}
	v, state := m.count.load(m.table)
	const most = 64
	return int(max(0, min(v, most))), state == fieldTold
}

// planLink plans the PCIe link: told as a pair or not at all. Kernels around 6.2 put the PCIe generation and a width code
// there on RDNA 3, so a width beside an impossible speed is not to be believed.
func (m *metrics) planLink(speed, width field) {
	rate, lanes := m.p.of(collector.LinkSpeed), m.p.of(collector.LinkWidth)
	if m.p.d.info.Type == collector.Integrated || m.p.port != "" {
		return
	}
	m.tells = append(m.tells, rate, lanes)
	m.checks = append(m.checks, func(r *collector.Reading, table []byte) {
		s, state1 := speed.load(table)
		w, state2 := width.load(table)
		if state1 != fieldTold || state2 != fieldTold || s == 0 || w == 0 {
			return
		}
		badRate, badLanes := !isLinkRate(int64(s)), !isLinkLanes(int64(w))
		switch {
		case badRate || badLanes:
			if badRate {
				r.Reject(rate)
			}
			if badLanes {
				r.Reject(lanes)
			}
			r.Close(rate)
			r.Close(lanes)
		default:
			r.Add(rate, s*tenthGT)
			r.Add(lanes, w)
		}
	})
}

// reasonBits is a throttle reason and the bits that stand for it.
type reasonBits struct {
	reason string
	mask   uint64
}

func bitRange(from, to int) uint64 { return (1<<(to-from+1) - 1) << from }

// independentBits are those of indep_throttle_status, the same on all chips (kernel: amdgpu_smu.h). `other` takes the
// bits that are in no other mask: it stands last.
var independentBits = [...]reasonBits{
	{"power", bitRange(0, 7)},                                  // PPT0-3, SPL, FPPT, SPPT, SPPT_APU
	{"current", bitRange(16, 23)},                              // TDC_*, EDC_*, APCC
	{"thermal", bitRange(32, 37) | bitRange(42, 43)},           // TEMP_GPU .. TEMP_SOC, TEMP_LIQUID0, 1
	{"voltage_regulator", bitRange(38, 41) | bitRange(44, 45)}, // TEMP_VR_*, VRHOT0, 1
	{"prochot", bitRange(46, 47)},                              // PROCHOT_CPU, PROCHOT_GFX
	{"reliability", bitRange(57, 57)},                          // FIT
	{"other", 0},                                               // PPM and whatever comes
}

// mi300Bits are those of throttle_status in v1_4 and v1_5 (kernel: smu_v13_0_6_pmfw.h). Other chips have other bits there.
var mi300Bits = [...]reasonBits{
	{"prochot", 1 << 0}, {"power", 1 << 1}, {"thermal", 1<<2 | 1<<4}, {"voltage_regulator", 1 << 3}, {"other", 0},
}

func (m *metrics) planThrottleBits(status field, reasons []reasonBits) {
	var known uint64
	series := make([]*collector.Series, len(reasons))
	for i, b := range reasons {
		known |= b.mask
		series[i] = m.p.of(collector.ThrottleActive, b.reason)
	}
	m.tells = append(m.tells, series...)
	m.checks = append(m.checks, func(r *collector.Reading, table []byte) {
		bits, told := status.bits(table)
		if !told {
			return
		}
		for i, b := range reasons {
			mask := b.mask
			if b.reason == "other" {
				mask = ^known
			}
			r.Add(series[i], flag(bits&mask != 0))
		}
	})
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// residencies count firmware cycles throttled, by reason. They are not documented as time, so only whether they rose
// since the last reading is told.
var residencies = [...]struct{ field, reason string }{
	{"ppt_residency_acc", "power"},
	{"throttle_residency_spl", "power"},
	{"throttle_residency_fppt", "power"},
	{"throttle_residency_sppt", "power"},
	{"socket_thm_residency_acc", "thermal"},
	{"hbm_thm_residency_acc", "thermal"},
	{"throttle_residency_thm_core", "thermal"},
	{"throttle_residency_thm_gfx", "thermal"},
	{"throttle_residency_thm_soc", "thermal"},
	{"vr_thm_residency_acc", "voltage_regulator"},
	{"prochot_residency_acc", "prochot"},
	{"throttle_residency_prochot", "prochot"},
}

// residency is one counter and what it was at the last reading.
type residency struct {
	field
	reason int // in the list of series
	last   float64
	had    bool
}

func (m *metrics) planResidencies(get func(string) (field, bool)) {
	var (
		counters []residency
		series   []*collector.Series
	)
	for _, res := range residencies {
		f, ok := get(res.field)
		if !ok {
			continue
		}
		s := m.p.of(collector.ThrottleActive, res.reason)
		if len(series) == 0 || series[len(series)-1] != s { // rows of one reason stand together
			series = append(series, s)
		}
		counters = append(counters, residency{field: f, reason: len(series) - 1})
	}
	if len(counters) == 0 {
		return
	}
	m.tells = append(m.tells, series...)
	clock, clocked := get("accumulation_counter")
	var lastClock float64
	hadClock := false
	rose, told := make([]bool, len(series)), make([]bool, len(series))
	m.checks = append(m.checks, func(r *collector.Reading, table []byte) {
		moved := true
		if clocked {
			now, state := clock.load(table)
			moved = state == fieldTold && hadClock && now > lastClock
			lastClock, hadClock = now, state == fieldTold
		}
		clear(rose)
		clear(told)
		for i := range counters {
			c := &counters[i]
			now, state := c.load(table)
			if state == fieldTold && c.had {
				told[c.reason] = true
				rose[c.reason] = rose[c.reason] || now > c.last
			}
			c.last, c.had = now, state == fieldTold
		}
		for i, s := range series {
			if moved && told[i] {
				r.Add(s, flag(rose[i]))
			}
		}
	})
}

// planXGMI plans state, width and speed of the links between GPUs.
func (m *metrics) planXGMI(status tableField, get func(string) (field, bool)) {
	width, ok1 := get("xgmi_link_width")
	speed, ok2 := get("xgmi_link_speed") // Gbit/s a lane
	const bitsPerByte, giga = 8, 1e9
	for i := range status.count {
		link := itoa(i)
		state := status.element(i)
		up := m.p.of(collector.LinkUp, link, "xgmi")
		lanes, rate := m.p.of(collector.LinkLanes, link, "xgmi"), m.p.of(collector.LinkRate, link, "xgmi")
		m.tells = append(m.tells, up, lanes, rate)
		m.checks = append(m.checks, func(r *collector.Reading, table []byte) {
			v, told := state.load(table)
			if told != fieldTold || v > 1 { // 2: not available
				return
			}
			r.Add(up, v)
			if v != 1 || !ok1 {
				return
			}
			w, told := width.load(table)
			if told != fieldTold || w == 0 {
				return
			}
			r.Add(lanes, w)
			if s, told := speed.load(table); ok2 && told == fieldTold && s != 0 {
				r.Add(rate, w*s*giga/bitsPerByte)
			}
		})
	}
}
