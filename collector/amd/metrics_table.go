package amd

import (
	"slices"
	"strconv"
	"strings"

	"gpu_exporter/collector"
)

// versions is a range of content revisions of one format.
type versions struct{ format, from, to byte }

func (v versions) hold(w version) bool {
	return w.format == v.format && w.content >= v.from && w.content <= v.to
}

var (
	v1    = versions{1, 0, 9}
	v1Old = versions{1, 0, 3} // cards before MI300
	v1New = versions{1, 4, 9} // MI300 and later
	v1_9  = versions{1, 9, 9}
	v2    = versions{2, 0, 255} // APUs
	v3    = versions{3, 0, 255}
)

// told is a quantity and the values of its labels; # in one is the index within the field.
type told struct {
	q      collector.QuantityID
	values []string
}

func tell(q collector.QuantityID, values ...string) told { return told{q, values} }

// power is both families of a power that is an average.
func averagePower(domain string) []told {
	return []told{tell(collector.Power, domain), tell(collector.PowerAverage, domain)}
}

func one(q collector.QuantityID, values ...string) []told { return []told{tell(q, values...)} }

// Units of the tables.
var (
	unit       = conversion{}
	positive   = conversion{zeroAbsent: true}
	centi      = conversion{by: 1e2, zeroAbsent: true}     // 0.01 of a degree
	hundredths = conversion{by: 1e4}                       // 0.01 percent
	milliwatts = conversion{by: 1e3}                       // 0 is a value
	mhz        = conversion{times: 1e6, zeroAbsent: true}  // 0: not told
	megabytes  = conversion{times: 1e6}                    // a second
	gigabytes  = conversion{times: 1e9}                    // a second
	kibibytes  = conversion{times: 1 << 10}                // XGMI: kB
	energyUnit = conversion{by: 1 << 16, zeroAbsent: true} // 2^-16 J
)

// meaning says what a field of gpu_metrics becomes. A field may stand in several rows: the first that holds its version
// and whose series is still open wins, so that average_ fills what current_ does not tell.
var meanings = []struct {
	in    versions
	field string
	conversion
	as []told
}{
	{v1, "temperature_edge", positive, one(collector.Temperature, "edge")},
	{v1, "temperature_hotspot", positive, one(collector.Temperature, "hotspot")},
	{v1, "temperature_mem", positive, one(collector.Temperature, "memory")},
	{v1, "temperature_vrgfx", positive, one(collector.Temperature, "vr_graphics")},
	{v1, "temperature_vrsoc", positive, one(collector.Temperature, "vr_soc")},
	{v1, "temperature_vrmem", positive, one(collector.Temperature, "vr_memory")},
	{v1, "temperature_hbm", positive, one(collector.Temperature, "hbm#")},
	{v2, "temperature_gfx", centi, one(collector.Temperature, "edge")},
	{v2, "temperature_soc", centi, one(collector.Temperature, "soc")},
	{v3, "temperature_gfx", centi, one(collector.Temperature, "edge")},
	{v3, "temperature_soc", centi, one(collector.Temperature, "soc")},
	{v3, "temperature_skin", centi, one(collector.Temperature, "skin")},

	{v1, "voltage_gfx", milli, one(collector.Voltage, "graphics")},
	{v1, "voltage_soc", milli, one(collector.Voltage, "soc")},
	{v1, "voltage_mem", milli, one(collector.Voltage, "memory")},
	{v2, "average_gfx_voltage", milli, one(collector.Voltage, "graphics")},
	{v2, "average_soc_voltage", milli, one(collector.Voltage, "soc")},
	{v2, "average_cpu_voltage", milli, one(collector.Voltage, "cpu")},
	{v2, "average_gfx_current", milli, one(collector.Current, "graphics")},
	{v2, "average_soc_current", milli, one(collector.Current, "soc")},
	{v2, "average_cpu_current", milli, one(collector.Current, "cpu")},

	// average_socket_power of v2 is in W or mW, by chip, and so not used.
	{v1Old, "average_socket_power", unit, averagePower("package")},
	{v1New, "curr_socket_power", unit, one(collector.Power, "package")},
	{v3, "average_socket_power", milliwatts, averagePower("package")},
	{v2, "average_gfx_power", milliwatts, averagePower("graphics")},
	{v2, "average_soc_power", milliwatts, averagePower("soc")},
	{v2, "average_cpu_power", milliwatts, averagePower("cpu")},
	{v3, "average_gfx_power", milliwatts, averagePower("graphics")},
	{v3, "average_all_core_power", milliwatts, averagePower("cpu")},
	{v3, "average_ipu_power", milliwatts, averagePower("npu")},
	{v3, "current_stapm_power_limit", conversion{by: 1e3, zeroAbsent: true}, one(collector.PowerLimit, "package", "current")},
	{v3, "stapm_power_limit", conversion{by: 1e3, zeroAbsent: true}, one(collector.PowerLimit, "package", "max")},
	{v1Old, "energy_accumulator", energyUnit, one(collector.Energy, "package")}, // of some chips only: energyChips
	{v1New, "energy_accumulator", energyUnit, one(collector.Energy, "package")},

	{v1, "average_gfx_activity", percent, one(collector.Utilization)},
	{v2, "average_gfx_activity", hundredths, one(collector.Utilization)},
	{v3, "average_gfx_activity", percent, one(collector.Utilization)},
	{v1, "average_umc_activity", percent, one(collector.EngineUtilization, "memory")},
	{v1Old, "average_mm_activity", percent, one(collector.EngineUtilization, "media")},
	{v2, "average_mm_activity", hundredths, one(collector.EngineUtilization, "media")},
	{v3, "average_vcn_activity", percent, one(collector.EngineUtilization, "media")},
	{v1New, "vcn_activity", percent, one(collector.EngineUtilization, "media#")},
	{v1New, "jpeg_activity", percent, one(collector.EngineUtilization, "jpeg#")},
	{v1_9, "gfx_busy_inst", percent, one(collector.EngineUtilization, "graphics#")},
	{v1_9, "vcn_busy", percent, one(collector.EngineUtilization, "media#")},
	{v1_9, "jpeg_busy", percent, one(collector.EngineUtilization, "jpeg#")},
	{v3, "average_ipu_activity", percent, one(collector.EngineUtilization, "npu#")},

	{v1, "mem_max_bandwidth", gigabytes, one(collector.MemoryBandwidth, "max")},
	{v3, "average_dram_reads", megabytes, one(collector.MemoryBandwidth, "read")},
	{v3, "average_dram_writes", megabytes, one(collector.MemoryBandwidth, "write")},

	{v1Old, "current_gfxclk", mhz, one(collector.Clock, "graphics")},
	{v1Old, "average_gfxclk_frequency", mhz, one(collector.Clock, "graphics")},
	{v1Old, "current_socclk", mhz, one(collector.Clock, "soc")},
	{v1Old, "average_socclk_frequency", mhz, one(collector.Clock, "soc")},
	{v1Old, "current_uclk", mhz, one(collector.Clock, "memory")},
	{v1Old, "average_uclk_frequency", mhz, one(collector.Clock, "memory")},
	{v1Old, "current_vclk0", mhz, one(collector.Clock, "video0")},
	{v1Old, "average_vclk0_frequency", mhz, one(collector.Clock, "video0")},
	{v1Old, "current_vclk1", mhz, one(collector.Clock, "video1")},
	{v1Old, "average_vclk1_frequency", mhz, one(collector.Clock, "video1")},
	{v1Old, "current_dclk0", mhz, one(collector.Clock, "decoder0")},
	{v1Old, "average_dclk0_frequency", mhz, one(collector.Clock, "decoder0")},
	{v1Old, "current_dclk1", mhz, one(collector.Clock, "decoder1")},
	{v1Old, "average_dclk1_frequency", mhz, one(collector.Clock, "decoder1")},
	{v1New, "current_gfxclk", mhz, one(collector.Clock, "graphics#")},
	{v1New, "current_socclk", mhz, one(collector.Clock, "soc#")},
	{v1New, "current_uclk", mhz, one(collector.Clock, "memory")},
	{v1New, "current_vclk0", mhz, one(collector.Clock, "video#")},
	{v1New, "current_dclk0", mhz, one(collector.Clock, "decoder#")},
	{v2, "current_gfxclk", mhz, one(collector.Clock, "graphics")},
	{v2, "average_gfxclk_frequency", mhz, one(collector.Clock, "graphics")},
	{v2, "current_socclk", mhz, one(collector.Clock, "soc")},
	{v2, "average_socclk_frequency", mhz, one(collector.Clock, "soc")},
	{v2, "current_uclk", mhz, one(collector.Clock, "memory")},
	{v2, "average_uclk_frequency", mhz, one(collector.Clock, "memory")},
	{v2, "current_fclk", mhz, one(collector.Clock, "fabric")},
	{v2, "average_fclk_frequency", mhz, one(collector.Clock, "fabric")},
	{v2, "current_vclk", mhz, one(collector.Clock, "video")},
	{v2, "average_vclk_frequency", mhz, one(collector.Clock, "video")},
	{v2, "current_dclk", mhz, one(collector.Clock, "decoder")},
	{v2, "average_dclk_frequency", mhz, one(collector.Clock, "decoder")},
	{v3, "average_gfxclk_frequency", mhz, one(collector.Clock, "graphics")},
	{v3, "average_socclk_frequency", mhz, one(collector.Clock, "soc")},
	{v3, "average_uclk_frequency", mhz, one(collector.Clock, "memory")},
	{v3, "average_fclk_frequency", mhz, one(collector.Clock, "fabric")},
	{v3, "average_vclk_frequency", mhz, one(collector.Clock, "video")},
	{v3, "average_vpeclk_frequency", mhz, one(collector.Clock, "vpe")},
	{v3, "average_ipuclk_frequency", mhz, one(collector.Clock, "npu")},
	{v3, "current_gfx_maxfreq", mhz, one(collector.ClockLimit, "graphics", "soft_max")},

	{v1, "pcie_replay_count_acc", unit, one(collector.PCIeReplays)},
	{v1, "pcie_nak_sent_count_acc", unit, one(collector.PCIeErrors, "nak_sent")},
	{v1, "pcie_nak_rcvd_count_acc", unit, one(collector.PCIeErrors, "nak_received")},
	{v1, "pcie_l0_to_recov_count_acc", unit, one(collector.PCIeErrors, "l0_to_recovery")},
	{v1, "pcie_replay_rover_count_acc", unit, one(collector.PCIeErrors, "replay_rollover")},
	{v1, "pcie_lc_perf_other_end_recovery", unit, one(collector.PCIeErrors, "other_end_recovery")},
	{v1, "xgmi_read_data_acc", kibibytes, one(collector.LinkBytes, "#", "xgmi", "read")},
	{v1, "xgmi_write_data_acc", kibibytes, one(collector.LinkBytes, "#", "xgmi", "write")},
}

// partitionMeanings says what the fields of a partition's sub-table become; p is its number.
var partitionMeanings = []struct{ field, engine string }{
	{"gfx_busy_inst", "graphics#"}, {"vcn_busy", "media#"}, {"jpeg_busy", "jpeg#"},
}

// energyChips are the device ids whose v1_0 to v1_3 tables count energy in 2^-16 J (MI100, MI200). Navi 2x counts in
// about mJ (17691682 after 533 s at 33 W), RDNA 3 and 4 give 0.
var energyChips = []string{"7388", "738c", "738e", "7390", "7408", "740c", "740f", "7410"}

// hasClock says whether the tables have a field for a clock, whatever it holds: then a pp_dpm list does not tell it.
func (m *metrics) hasClock(clock string) bool {
	if m == nil || !m.planned {
		return m != nil && m.unclear && clock != "display" // which no table has
	}
	for _, row := range meanings {
		if row.in.hold(m.version) && row.as[0].q == collector.Clock && strings.TrimRight(row.as[0].values[0], "0123456789#") == clock {
			return true
		}
	}
	return false
}

// plan makes the rows for a table. Only a v1_9 table is looked into: it lists its fields itself.
func (m *metrics) plan(raw []byte) {
	var fields []tableField
	if m.version == attributeVersion {
		table, err := cut(raw)
		if err == nil {
			fields, err = attributeLayout(table)
		}
		if err != nil { // a broken list names no fields; load says what is wrong with it
			m.unclear, m.p.incomplete = true, true
			return
		}
		m.list, _ = attributeShape(table)
	} else {
		fields = layouts()[m.version.String()].fields
	}
	m.planned = true
	m.rows, m.checks, m.tells = m.rows[:0], nil, nil
	byName := map[string]tableField{}
	for _, f := range fields {
		if f.sub != "" {
			m.planSubTables(f)
			continue
		}
		byName[f.name] = f
	}
	for _, row := range meanings {
		f, ok := byName[row.field]
		if !ok || !row.in.hold(m.version) {
			continue
		}
		if row.field == "energy_accumulator" && v1Old.hold(m.version) && !slices.Contains(energyChips, m.p.d.deviceID) {
			continue
		}
		m.addRows(f, row.conversion, 0, row.as)
	}
	m.planChecks(byName)
	for _, row := range m.rows {
		m.tells = append(m.tells, row.tells...)
	}
}

// addRows makes the rows of a field: one for each element where a label has an index, else of the first element.
func (m *metrics) addRows(f tableField, c conversion, partition int, as []told) {
	indexed := slices.ContainsFunc(as[0].values, func(v string) bool { return strings.Contains(v, "#") })
	for i := range f.count {
		if i > 0 && !indexed {
			break
		}
		row := fieldRow{field: f.element(i), conversion: c, partition: partition}
		for _, t := range as {
			values := make([]string, len(t.values))
			for n, v := range t.values {
				values[n] = strings.Replace(v, "#", itoa(i), 1)
			}
			row.tells = append(row.tells, m.p.of(t.q, values...))
		}
		m.rows = append(m.rows, row)
	}
}

// element is one number of a field. The whole field must be in the table.
func (f tableField) element(i int) field {
	return field{typ: f.typ, offset: f.offset + i*f.typ.width(), end: f.need}
}

// planSubTables makes the rows of the partitions.
func (m *metrics) planSubTables(f tableField) {
	sub, ok := layouts()[f.sub]
	if !ok || f.name != "xcp_stats" {
		return
	}
	for p := range f.count {
		for _, meaning := range partitionMeanings {
			i := slices.IndexFunc(sub.fields, func(s tableField) bool { return s.name == meaning.field })
			if i < 0 {
				continue
			}
			inner := sub.fields[i]
			inner.offset += f.offset + p*sub.size
			inner.need = f.need
			m.addRows(inner, percent, p+1, one(collector.PartitionUtilization, itoa(p), meaning.engine))
		}
	}
}

func itoa(i int) string { return strconv.Itoa(i) }
