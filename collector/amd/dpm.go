package amd

import (
	"bytes"
	"slices"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

// dpmFiles are the lists of clock levels.
var dpmFiles = [...]struct {
	file, clock string
	instance    string // appended where the source has several; see planClocks
}{
	{"pp_dpm_sclk", "graphics", ""},
	{"pp_dpm_mclk", "memory", ""},
	{"pp_dpm_socclk", "soc", ""},
	{"pp_dpm_fclk", "fabric", ""},
	{"pp_dpm_dcefclk", "display", ""},
	{"pp_dpm_vclk", "video", "0"},
	{"pp_dpm_vclk1", "video", "1"},
	{"pp_dpm_dclk", "decoder", "0"},
	{"pp_dpm_dclk1", "decoder", "1"},
}

const megahertz = 1e6

// planClocks plans the limits, and the present clock where neither hwmon nor gpu_metrics tells it. A field that
// gpu_metrics has but leaves at 0 keeps the list out: a gated clock does not run at the rate that the list shows.
func (p *plan) planClocks() {
	several := p.metrics.isFormat1() || p.has("pp_dpm_vclk1") || p.has("pp_dpm_dclk1")
	for _, f := range dpmFiles {
		if !p.has(f.file) {
			continue
		}
		clock := f.clock
		if several {
			clock += f.instance
		}
		now := p.of(collector.Clock, clock)
		lowest, highest := p.of(collector.ClockLimit, clock, "min"), p.of(collector.ClockLimit, clock, "max")
		row := func(limits, active bool, tells ...*collector.Series) collector.Row {
			return p.listRow(p.at(f.file), func(r *collector.Reading, text []byte) error {
				l := parseLevels(text)
				if limits {
					addLevel(r, lowest, l.min, l.hasMin)
					addLevel(r, highest, l.max, l.hasMax)
				}
				if active {
					addLevel(r, now, l.active, l.hasActive)
				}
				return nil
			}, tells...)
		}
		needed := !p.metrics.hasClock(f.clock)
		if needed && !p.sensed[now] {
			p.fast.Rows = append(p.fast.Rows, row(true, true, lowest, highest, now))
			continue
		}
		p.slow.Rows = append(p.slow.Rows, row(true, false, lowest, highest))
		if needed { // read only when hwmon, which has a file for it, tells nothing
			p.fast.Rows = append(p.fast.Rows, row(false, true, now))
		}
	}
}

// addLevel adds a clock of a list, where 0 is absence.
func addLevel(r *collector.Reading, s *collector.Series, mhz int64, told bool) {
	if told && mhz != 0 {
		r.Add(s, float64(mhz)*megahertz)
	}
}

// levels is what a pp_dpm file says, in MHz.
type levels struct {
	active, min, max          int64
	hasActive, hasMin, hasMax bool
}

// parseLevels parses lines like `1: 456Mhz *`. Lines that do not fit are ignored. The ends are the lines of index 0 and
// of the highest index: those between are not used, since RDNA puts the present clock there, even one below the minimum.
// Some APUs list downwards. RDNA 4 has a line `S:` (deep sleep) in place of line 0, and so no minimum.
func parseLevels(text []byte) levels {
	var (
		l            levels
		first, last  int64
		highestIndex int64 = -1
	)
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, newline)
		index, mhz, active, ok := parseLevel(line)
		if !ok {
			continue
		}
		if active {
			l.active, l.hasActive = mhz, true
		}
		if index == 0 {
			first, l.hasMin = mhz, true
		}
		if index >= 0 && index >= highestIndex {
			highestIndex, last, l.hasMax = index, mhz, true
		}
	}
	l.max = last
	if l.hasMin {
		l.min, l.max = min(first, last), max(first, last)
	}
	return l
}

var newline = []byte("\n")

const deepSleep = -1

// parseLevel parses one line: an index or S, a colon, whole MHz, an optional asterisk.
func parseLevel(line []byte) (index, mhz int64, active, ok bool) {
	head, rest, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return 0, 0, false, false
	}
	head, rest = bytes.TrimSpace(head), bytes.TrimSpace(rest)
	index = deepSleep
	if string(head) != "S" {
		n, err := sysfs.Int(head)
		if err != nil || n < 0 {
			return 0, 0, false, false
		}
		index = n
	}
	if bare, found := bytes.CutSuffix(rest, []byte("*")); found {
		active, rest = true, bytes.TrimSpace(bare)
	}
	if len(rest) < 4 || !bytes.EqualFold(rest[len(rest)-3:], []byte("mhz")) {
		return 0, 0, false, false
	}
	mhz, err := sysfs.Int(rest[:len(rest)-3])
	if err != nil || mhz < 0 {
		return 0, 0, false, false
	}
	return index, mhz, active, true
}

// parseActiveLink finds the last active line of pp_dpm_pcie, like `1: 16.0GT/s, x16 619Mhz *`: its speed and its lanes,
// as they stand there.
func parseActiveLink(text []byte) (speed, lanes []byte, ok bool) {
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, newline)
		if !bytes.HasSuffix(bytes.TrimSpace(line), []byte("*")) {
			continue
		}
		_, rest, found := bytes.Cut(line, []byte(":"))
		s, rest, found2 := bytes.Cut(rest, []byte("GT/s"))
		_, rest, found3 := bytes.Cut(rest, []byte("x"))
		if !found || !found2 || !found3 {
			continue
		}
		digits := rest[:len(rest)-len(bytes.TrimLeft(rest, "0123456789"))]
		if len(digits) == 0 {
			continue
		}
		speed, lanes, ok = bytes.TrimSpace(s), digits, true
	}
	return speed, lanes, ok
}

// profiles are the words of pp_power_profile_mode, in lower case.
var profiles = []string{
	"bootup_default", "3d_full_screen", "power_saving", "video", "vr", "compute", "custom", "window_3d", "capped", "uncapped",
}

// performanceLevels are the words of power_dpm_force_performance_level.
var performanceLevels = []string{
	"auto", "low", "high", "manual", "profile_standard", "profile_min_sclk", "profile_min_mclk", "profile_peak",
	"profile_exit", "perf_determinism",
}

// parseProfile finds the word before the first asterisk. Four forms exist: `0 BOOTUP_DEFAULT*:`, `1 3D_FULL_SCREEN *:`,
// ` 1 3D_FULL_SCREEN ` (Van Gogh: no asterisk) and a table with all names in its head line, `4 VR            * 5 COMPUTE`.
func parseProfile(text []byte) string {
	before, _, found := bytes.Cut(text, []byte("*"))
	if !found {
		return ""
	}
	before = bytes.TrimRight(before, " \t")
	word := before[bytes.LastIndexAny(before, " \t\n")+1:]
	return wordOf(profiles, word)
}

// wordOf is the entry of a list that text is, in any letter case, without making a string of it; empty: none.
func wordOf(list []string, text []byte) string {
	i := slices.IndexFunc(list, func(w string) bool { return bytes.EqualFold([]byte(w), text) })
	if i < 0 {
		return ""
	}
	return list[i]
}
