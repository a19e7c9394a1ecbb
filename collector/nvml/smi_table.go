package nvml

import (
	"errors"
	"log/slog"
	"strings"

	"gpu_exporter/collector"
)

// smiRow is one reading of a document: the first of its paths that tells it.
type smiRow struct {
	to    target
	unit  string
	scale scale
	paths []string
}

// scale turns the number of a document into the unit of its quantity; ok is false where it says that nothing is known.
type scale func(v float64) (float64, bool)

func by(divisor float64) scale { return func(v float64) (float64, bool) { return v / divisor, true } }

func mul(factor float64) scale { return func(v float64) (float64, bool) { return v * factor, true } }

func asTold(v float64) (float64, bool) { return v, true }

// above takes 0 for absence.
func above(s scale) scale {
	return func(v float64) (float64, bool) {
		v, ok := s(v)
		return v, ok && v != 0
	}
}

func transfers(v float64) (float64, bool) {
	rate, ok := generations[v]
	return rate, ok
}

// yesNo is the unit of a truth.
const yesNo = "yes or no"

// smiTable is what is read of nvidia-smi (nvidia.md section 3, column XML): paths by the elements that hold them.
var smiTable = smiRows()

func smiRows() []smiRow {
	row := func(to target, unit string, s scale, paths ...string) smiRow { return smiRow{to, unit, s, paths} }
	rows := []smiRow{
		row(of(collector.Utilization), "%", by(100), "utilization/gpu_util"),
		row(of(collector.EngineUtilization, "memory"), "%", by(100), "utilization/memory_util"),
		row(of(collector.EngineUtilization, "encode"), "%", by(100), "utilization/encoder_util"),
		row(of(collector.EngineUtilization, "decode"), "%", by(100), "utilization/decoder_util"),
		row(of(collector.EngineUtilization, "jpeg"), "%", by(100), "utilization/jpeg_util"),
		row(of(collector.EngineUtilization, "ofa"), "%", by(100), "utilization/ofa_util"),

		row(of(collector.MemoryTotal, "vram"), "MiB", mul(mib), "fb_memory_usage/total"),
		row(of(collector.MemoryUsed, "vram"), "MiB", mul(mib), "fb_memory_usage/used"),
		row(of(collector.MemoryReserved, "vram"), "MiB", mul(mib), "fb_memory_usage/reserved"),
		row(of(collector.MemoryTotal, "bar1"), "MiB", mul(mib), "bar1_memory_usage/total"),
		row(of(collector.MemoryUsed, "bar1"), "MiB", mul(mib), "bar1_memory_usage/used"),

		row(of(collector.Temperature, "gpu"), "C", asTold, "temperature/gpu_temp"),
		row(of(collector.Temperature, "memory"), "C", above(asTold), "temperature/memory_temp"),
		row(of(collector.TemperatureMargin), "C", asTold, "temperature/gpu_temp_tlimit"),
		row(of(collector.TemperatureLimit, "gpu", "shutdown"), "C", asTold, "temperature/gpu_temp_max_threshold"),
		row(of(collector.TemperatureLimit, "gpu", "slowdown"), "C", asTold, "temperature/gpu_temp_slow_threshold"),
		row(of(collector.TemperatureLimit, "gpu", "max"), "C", asTold, "temperature/gpu_temp_max_gpu_threshold"),
		row(of(collector.TemperatureLimit, "memory", "max"), "C", asTold, "temperature/gpu_temp_max_mem_threshold"),
		row(of(collector.TemperatureLimit, "gpu", "target"), "C", asTold, "temperature/gpu_target_temperature"),
	}
	for _, p := range []struct {
		domain  string
		parents []string
		limits  bool
	}{
		{"board", []string{"gpu_power_readings/", "power_readings/"}, true},
		{"module", []string{"module_power_readings/"}, true},
		{"memory", []string{"gpu_memory_power_readings/"}, false},
	} {
		below := func(names ...string) (paths []string) {
			for _, parent := range p.parents {
				for _, name := range names {
					paths = append(paths, parent+name)
				}
			}
			return paths
		}
		rows = append(rows,
			row(of(collector.Power, p.domain), "W", asTold, below("instant_power_draw", "average_power_draw", "power_draw")...),
			row(of(collector.PowerAverage, p.domain), "W", asTold, below("average_power_draw")...))
		if p.limits {
			rows = append(rows,
				row(of(collector.PowerLimit, p.domain, "current"), "W", asTold, below("current_power_limit", "enforced_power_limit")...),
				row(of(collector.PowerLimit, p.domain, "default"), "W", asTold, below("default_power_limit")...),
				row(of(collector.PowerLimit, p.domain, "min"), "W", asTold, below("min_power_limit")...),
				row(of(collector.PowerLimit, p.domain, "max"), "W", asTold, below("max_power_limit")...))
		}
	}
	for _, c := range [...][2]string{{"graphics", "graphics_clock"}, {"sm", "sm_clock"}, {"memory", "mem_clock"}, {"video", "video_clock"}} {
		rows = append(rows,
			row(of(collector.Clock, c[0]), "MHz", mul(1e6), "clocks/"+c[1]),
			row(of(collector.ClockLimit, c[0], "max"), "MHz", mul(1e6), "max_clocks/"+c[1]))
	}
	rows = append(rows,
		row(of(collector.ClockLimit, "graphics", "boost"), "MHz", mul(1e6), "max_customer_boost_clocks/graphics_clock"),
		row(of(collector.Voltage, "graphics"), "mV", above(by(1000)), "voltage/graphics_volt"),
		row(of(collector.FanDuty, "1"), "%", by(100), "fan_speed"),

		row(of(collector.LinkWidth), "x", asTold, "pci/current_link_width"),
		row(of(collector.LinkMaxWidth), "x", asTold, "pci/max_link_width"),
		row(of(collector.LinkSpeed), "", transfers, "pci/current_link_gen"),
		row(of(collector.LinkMaxSpeed), "", transfers, "pci/max_link_gen"),
		row(of(collector.PCIeThroughput, "transmit"), "KB/s", mul(1000), "pci/tx_util"),
		row(of(collector.PCIeThroughput, "receive"), "KB/s", mul(1000), "pci/rx_util"),
		row(of(collector.PCIeReplays), "", asTold, "pci/replay_counter"),
		row(of(collector.PCIeErrors, "replay_rollover"), "", asTold, "pci/replay_rollover_counter"))
	for _, t := range [...][2]string{
		{"power", "sw_power_cap"}, {"thermal", "sw_therm_slowdown"}, {"sync_boost", "sync_boost"},
		{"hardware_thermal", "hw_therm_slowdown"}, {"power_brake", "hw_power_brake"},
	} {
		rows = append(rows, row(of(collector.ThrottleSeconds, t[0]), "us", by(1e6), "clocks_event_reasons_counters/clocks_event_reasons_counters_"+t[1]))
	}
	rows = append(rows,
		row(of(collector.ECCEnabled), yesNo, asTold, "ecc_mode/current_ecc"),
		row(of(collector.BadPages, "single_bit"), "", asTold, "retired_pages/multiple_single_bit_retirement/retired_count"),
		row(of(collector.BadPages, "double_bit"), "", asTold, "retired_pages/double_bit_retirement/retired_count"),
		row(of(collector.BadPages, "pending"), yesNo, asTold, "retired_pages/pending_retirement", "retired_pages/pending_blacklist"),
		row(of(collector.RowRemaps, "correctable"), "", asTold, "remapped_rows/remapped_row_corr"),
		row(of(collector.RowRemaps, "uncorrectable"), "", asTold, "remapped_rows/remapped_row_unc"),
		row(of(collector.RowRemapPending), yesNo, asTold, "remapped_rows/remapped_row_pending"),
		row(of(collector.RowRemapFailed), yesNo, asTold, "remapped_rows/remapped_row_failure"),
		row(of(collector.DisplayActive), yesNo, asTold, "display_active"),
		row(of(collector.EncoderSessions), "", asTold, "encoder_stats/session_count"),
		row(of(collector.EncoderFPS), "", asTold, "encoder_stats/average_fps"),
		row(of(collector.EncoderLatency), "", by(1e6), "encoder_stats/average_latency"),
		row(of(collector.CaptureSessions), "", asTold, "fbc_stats/session_count"))
	for _, a := range []string{"max", "high", "partial", "low", "none"} {
		rows = append(rows, row(of(collector.RowRemapBanks, a), "bank(s)", asTold, "remapped_rows/row_remapper_histogram_"+a, "row_remapper_histogram/row_remapper_histogram_"+a))
	}
	for _, at := range [...][2]string{{"volatile", "volatile"}, {"aggregate", "lifetime"}} {
		group, scope := "ecc_errors/"+at[0]+"/", at[1]
		for _, block := range []string{"sram", "dram"} { // Turing and later
			rows = append(rows,
				row(of(collector.ECCErrors, block, "corrected", scope), "", asTold, group+block+"_correctable"),
				row(of(collector.ECCErrors, block, "uncorrected", scope), "", asTold, group+block+"_uncorrectable"))
		}
		for _, kind := range [...][2]string{{"single_bit", "corrected"}, {"double_bit", "uncorrected"}} {
			for _, b := range eccBlocks {
				rows = append(rows, row(of(collector.ECCErrors, b.block, kind[1], scope), "", asTold, group+kind[0]+"/"+b.element))
			}
		}
	}
	return rows
}

// eccBlocks are the elements of the old form.
var eccBlocks = [...]struct{ block, element string }{
	{"dram", "device_memory"}, {"register_file", "register_file"}, {"l1", "l1_cache"}, {"l2", "l2_cache"},
	{"texture", "texture_memory"}, {"shared", "texture_shm"}, {"cbu", "cbu"},
}

// truths are the words for yes and no.
var truths = map[string]float64{
	"Yes": 1, "No": 0, "Enabled": 1, "Disabled": 0, "Active": 1, "Not Active": 0, "On": 1, "Off": 0,
}

// CardReader makes samples of what documents say of one GPU. One goroutine owns it.
type CardReader struct {
	log                  *slog.Logger
	firmware             bool
	set                  seriesSet
	modeInfo, fabricInfo info
	versions             map[string]*info // of firmware, by component
	partitions           partitions
	action               string // the last recovery action that is none of ours
	lost                 string // why the GPU is lost, which was logged
	dead                 int    // documents in a row in which everything failed
}

// NewCardReader returns a CardReader; firmware says whether versions are read too, log may be nil.
func NewCardReader(log *slog.Logger, firmware bool) *CardReader {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &CardReader{log: log, firmware: firmware, set: seriesSet{}, versions: map[string]*info{}}
}

// Add adds to r what a document says of the GPU; names are what `nvidia-smi -L` said of its MIG devices. The error is
// collector.ErrGone where the GPU is lost.
func (c *CardReader) Add(r *collector.Reading, card *Card, names Names) error {
	if card.Lost != c.lost {
		if c.lost = card.Lost; c.lost != "" {
			c.log.Warn("nvidia-smi says what is wrong with the GPU", "word", c.lost)
		}
	}
	if c.lost != "" {
		return collector.ErrGone
	}
	a := smiAdder{c, r, card.texts, false, false}
	for i := range smiTable {
		if card.Info.Type != collector.Integrated || !pcieQuantities[smiTable[i].to.q] {
			a.row(&smiTable[i])
		}
	}
	a.sumOfECC()
	a.totalOfECC()
	a.throttle()
	a.state()
	a.modes()
	a.recovery()
	a.fabric()
	if c.firmware {
		a.firmware()
	}
	c.partitions.add(r, c.set, names.of(card))
	if c.dead++; a.told || !a.failed {
		c.dead = 0
	}
	if c.dead >= lostAfter {
		return collector.ErrGone
	}
	return nil
}

// smiAdder is one Add.
type smiAdder struct {
	*CardReader
	r            *collector.Reading
	texts        texts
	told, failed bool
}

// number is the first number, truth or fault that paths have, and the path that has it.
func (a *smiAdder) number(unit string, paths []string) (v float64, is meaning, path string) {
	for _, path := range paths {
		text := a.texts[path]
		if unit == yesNo {
			is = meaningOf(text)
			if truth, known := truths[text]; known {
				v, is = truth, isNumber
			}
		} else {
			v, is = number(text, unit)
		}
		if is != isAbsent {
			return v, is, path
		}
	}
	return 0, isAbsent, ""
}

func (a *smiAdder) row(row *smiRow) {
	v, is, path := a.number(row.unit, row.paths)
	if is == isAbsent {
		return
	}
	s := a.set.of(row.to.q, row.to.labels...)
	switch is {
	case isError:
		a.fail(path, s)
	case isMalformed:
		a.r.Reject(s)
	case isNumber:
		v, ok := row.scale(v)
		if !ok {
			return
		}
		a.told = true
		switch row.to.q {
		case collector.MemoryUsed:
			addUsed(a.r, a.set.of(collector.MemoryTotal, row.to.labels...), s, v)
		case collector.LinkWidth, collector.LinkMaxWidth:
			addWidth(a.r, s, v)
		default:
			a.r.Add(s, v)
		}
	}
}

var errUntold = errors.New("the driver has an error for it")

// fail notes that the driver could not tell what it has.
func (a *smiAdder) fail(path string, closes ...*collector.Series) {
	a.failed = true
	a.r.Fail(collector.Failure{Kind: collector.IO, Source: "nvidia-smi " + path, Err: errUntold})
	for _, s := range closes {
		a.r.Close(s)
	}
}

// sumOfECC adds the uncorrected errors that some drivers tell in two parts: only where both are numbers.
func (a *smiAdder) sumOfECC() {
	for _, at := range [...][2]string{{"volatile", "volatile"}, {"aggregate", "lifetime"}} {
		for _, block := range []string{"sram", "dram"} {
			path := "ecc_errors/" + at[0] + "/" + block + "_uncorrectable_"
			parity, is1 := number(a.texts[path+"parity"], "")
			secded, is2 := number(a.texts[path+"secded"], "")
			s := a.set.of(collector.ECCErrors, block, "uncorrected", at[1])
			switch {
			case is1 == isNumber && is2 == isNumber:
				a.told = true
				a.r.Add(s, parity+secded)
			case is1 == isError || is2 == isError:
				a.fail(path+"parity", s)
			case is1 == isMalformed || is2 == isMalformed:
				a.r.Reject(s)
			}
		}
	}
}

// totalOfECC adds the total of the old form where no block is told.
func (a *smiAdder) totalOfECC() {
	for _, at := range [...][2]string{{"volatile", "volatile"}, {"aggregate", "lifetime"}} {
	kinds:
		for _, kind := range [...][2]string{{"single_bit", "corrected"}, {"double_bit", "uncorrected"}} {
			for _, b := range eccBlocks {
				if _, told := a.r.Value(a.set.of(collector.ECCErrors, b.block, kind[1], at[1])); told {
					continue kinds
				}
			}
			a.row(&smiRow{of(collector.ECCErrors, "total", kind[1], at[1]), "", asTold, []string{"ecc_errors/" + at[0] + "/" + kind[0] + "/total"}})
		}
	}
}

// throttle adds why clocks are held down. A reason that is not known counts as `other` when it holds.
func (a *smiAdder) throttle() {
	known := map[string]string{idleElement: ""}
	for _, t := range throttleReasons {
		known[t.element] = t.reason
	}
	for path, text := range a.texts {
		name, ok := strings.CutPrefix(path, "clocks_event_reasons/clocks_event_reason_")
		if !ok {
			name, ok = strings.CutPrefix(path, "clocks_throttle_reasons/clocks_throttle_reason_")
		}
		if !ok {
			continue
		}
		reason, isKnown := known[name]
		active, isTruth := truths[text]
		switch {
		case isKnown && reason == "":
		case !isKnown:
			if text == "Active" {
				a.r.Add(a.set.of(collector.ThrottleActive, "other"), 1)
			}
		case isTruth:
			a.told = true
			a.r.Add(a.set.of(collector.ThrottleActive, reason), active)
		case meaningOf(text) == isError:
			a.fail(path, a.set.of(collector.ThrottleActive, reason))
		case meaningOf(text) == isMalformed:
			a.r.Reject(a.set.of(collector.ThrottleActive, reason))
		}
	}
}

// state adds the P-state, P0 to P15.
func (a *smiAdder) state() {
	text := a.texts["performance_state"]
	s := a.set.of(collector.PerformanceState)
	if digits, ok := strings.CutPrefix(text, "P"); ok {
		if v, is := number(digits, ""); is == isNumber {
			a.told = true
			a.r.Add(s, v)
			return
		}
	}
	switch meaningOf(text) {
	case isError:
		a.fail("performance_state", s)
	case isMalformed:
		a.r.Reject(s)
	}
}

func (a *smiAdder) modes() {
	var labels [modeLabels]string
	for label, path := range map[int]string{
		modePersistence: "persistence_mode", modeCompute: "compute_mode", modeMIG: "mig_mode/current_mig", modeDriverModel: "driver_model/current_dm",
	} {
		switch text := a.texts[path]; meaningOf(text) {
		case isError:
			a.fail(path)
		case isMalformed: // any other word is the mode
			labels[label] = word(text)
		}
	}
	if labels != [modeLabels]string{} {
		a.modeInfo.add(a.r, collector.ModeInfo, labels[:]...)
	}
}

func (a *smiAdder) recovery() {
	const path = "gpu_recovery_action"
	text := a.texts[path]
	action, known := recoveryWords[text]
	switch is := meaningOf(text); {
	case !known && is == isError:
		a.fail(path)
		return
	case !known && is == isAbsent:
		return
	case !known && text != a.action:
		a.log.Warn("the driver asks for a recovery that this program does not know", "word", text)
	}
	a.action = text
	addOneOf(a.r, a.set, collector.RecoveryAction, recoveryActions, action)
}

func (a *smiAdder) fabric() {
	text := func(leaf string) string { return identityOf(a.texts["fabric/"+leaf]) }
	state := text("state")
	if meaningOf(a.texts["fabric/state"]) == isError {
		a.fail("fabric/state")
	}
	if state == "" {
		return
	}
	a.fabricInfo.add(a.r, collector.FabricInfo, word(state), word(text("status")), text("clusterUuid"), text("cliqueId"))
}

// firmware adds the versions of what runs on the board.
func (a *smiAdder) firmware() {
	for component, path := range map[string]string{
		"vbios": "vbios_version", "gsp": "gsp_firmware_version", "inforom_image": "inforom_version/img_version",
		"inforom_oem": "inforom_version/oem_object", "inforom_ecc": "inforom_version/ecc_object", "inforom_power": "inforom_version/pwr_object",
	} {
		version := identityOf(a.texts[path])
		if version == "" {
			continue
		}
		if a.versions[component] == nil {
			a.versions[component] = &info{}
		}
		a.versions[component].add(a.r, collector.FirmwareInfo, component, version)
	}
}

// pcieQuantities of a GPU that shares the memory of the system are of a link inside the chip.
var pcieQuantities = map[collector.QuantityID]bool{
	collector.LinkWidth: true, collector.LinkMaxWidth: true, collector.LinkSpeed: true, collector.LinkMaxSpeed: true,
	collector.PCIeThroughput: true, collector.PCIeReplays: true, collector.PCIeErrors: true,
}

// Persistence is the word for the persistence mode; empty: not told.
func (c *Card) Persistence() string { return word(identityOf(c.texts["persistence_mode"])) }

// idleState is the P-state from which on a GPU has nothing to do.
const idleState = 8

// Idle says that the GPU has nothing to do but, perhaps, to hold what is on a screen.
func (c *Card) Idle() bool {
	load, is := number(c.texts["utilization/gpu_util"], "%")
	state, isState := number(strings.TrimPrefix(c.texts["performance_state"], "P"), "")
	return is == isNumber && load == 0 && isState == isNumber && state >= idleState && c.computes == 0
}

// Unified says that the GPU has no memory of its own: it uses that of the system.
func (c *Card) Unified() bool {
	_, is := number(c.texts["fb_memory_usage/total"], "MiB")
	return c.Info.Type == collector.Integrated && is == isAbsent
}

// AddUnified adds the memory of the system, from the text of /proc/meminfo.
func (c *CardReader) AddUnified(r *collector.Reading, meminfo string) {
	amount := func(name string) (float64, bool) {
		for line := range strings.Lines(meminfo) {
			if rest, ok := strings.CutPrefix(line, name+":"); ok {
				v, is := number(strings.TrimSpace(rest), "kB")
				return v * 1024, is == isNumber
			}
		}
		return 0, false
	}
	total, ok1 := amount("MemTotal")
	free, ok2 := amount("MemAvailable")
	if ok1 {
		r.Add(c.set.of(collector.MemoryTotal, "unified"), total)
	}
	if ok1 && ok2 {
		r.Add(c.set.of(collector.MemoryUsed, "unified"), total-free)
	}
}
