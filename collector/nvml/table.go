package nvml

import (
	"fmt"
	"hash/fnv"
	"strconv"

	"gpu_exporter/collector"
)

// Protocol is the number of the form of the frames between the main program and the child.
const Protocol = 1

// Group is the part of the Table that is read together. A child reads the groups in this order, the cheapest first.
type Group uint8

// The groups. Those of lists (MIG devices, processes) have no rows.
const (
	Basic Group = iota
	ECC
	NVLink
	Processes
	GPM
	PCIe
	Groups
)

// String is the name of g as logs have it.
func (g Group) String() string {
	return [...]string{"basic", "ecc", "nvlink", "processes", "gpm", "pcie"}[g]
}

// Row is one reading: what a child asks, and what the main program makes of the answer. Its place in the Table is its
// number in the frames.
type Row struct {
	Group Group
	// Call is the exported symbol, without the prefix nvmlDevice; Field, where it is not 0, the id to ask
	// nvmlDeviceGetFieldValues for.
	Call  string
	Field uint16
	// Args are what the call is given after the device, of a field its scope.
	Args []uint32
	// Out is which of the numbers that the call answers, in their order in nvml.h.
	Out uint8

	to   []target
	take conversion
}

// target is a series that a row may tell.
type target struct {
	q      collector.QuantityID
	labels []string
}

// String names the reading, for logs and failures.
func (r *Row) String() string {
	name := "nvmlDevice" + r.Call
	if r.Field != 0 {
		name = fmt.Sprintf("field %d", r.Field)
	}
	for _, a := range r.Args {
		name += fmt.Sprintf(" %d", a)
	}
	return name
}

// field is a row of a field id; scope 0 is the whole GPU.
func field(g Group, id uint16, scope uint32, take conversion, to ...target) Row {
	r := Row{Group: g, Field: id, take: take, to: to}
	if scope != 0 {
		r.Args = []uint32{scope}
	}
	return r
}

// call is a row of the number out of a function.
func call(g Group, name string, out uint8, args []uint32, take conversion, to ...target) Row {
	return Row{Group: g, Call: name, Args: args, Out: out, take: take, to: to}
}

// of is a series of a row.
func of(q collector.QuantityID, labels ...string) target { return target{q, labels} }

func args(a ...uint32) []uint32 { return a }

// Scopes of the power fields.
const (
	scopeBoard  = 0
	scopeModule = 1
	scopeMemory = 2
)

// The counters of PCIe bytes, which are told together.
const (
	fieldSent     = 197
	fieldReceived = 198
)

const (
	maxFans  = 8
	maxLinks = 36
)

// Table is what is read of a GPU (nvidia.md section 3). Rows of one series stand in the order of trust: the first that
// tells, or fails to, has the word on it. So `a -> b` of that text is a row below another.
var Table = table()

func table() []Row {
	rows := []Row{
		call(Basic, "GetUtilizationRates", 0, nil, over(100), of(collector.Utilization)),
		call(Basic, "GetUtilizationRates", 1, nil, over(100), of(collector.EngineUtilization, "memory")),
		call(Basic, "GetEncoderUtilization", 0, nil, over(100), of(collector.EngineUtilization, "encode")),
		call(Basic, "GetDecoderUtilization", 0, nil, over(100), of(collector.EngineUtilization, "decode")),
		call(Basic, "GetJpgUtilization", 0, nil, over(100), of(collector.EngineUtilization, "jpeg")),
		call(Basic, "GetOfaUtilization", 0, nil, over(100), of(collector.EngineUtilization, "ofa")),

		// The first version counts what is reserved as used: it is told as it is.
		call(Basic, "GetMemoryInfo_v2", 0, nil, plain, of(collector.MemoryTotal, "vram")),
		call(Basic, "GetMemoryInfo_v2", 1, nil, plain, of(collector.MemoryReserved, "vram")),
		call(Basic, "GetMemoryInfo_v2", 3, nil, used, of(collector.MemoryUsed, "vram")),
		call(Basic, "GetMemoryInfo", 0, nil, plain, of(collector.MemoryTotal, "vram")),
		call(Basic, "GetMemoryInfo", 2, nil, used, of(collector.MemoryUsed, "vram")),
		call(Basic, "GetBAR1MemoryInfo", 0, nil, plain, of(collector.MemoryTotal, "bar1")),
		call(Basic, "GetBAR1MemoryInfo", 2, nil, used, of(collector.MemoryUsed, "bar1")),

		call(Basic, "GetTemperatureV", 0, nil, plain, of(collector.Temperature, "gpu")),
		call(Basic, "GetTemperature", 0, args(0), plain, of(collector.Temperature, "gpu")),
		field(Basic, 82, 0, nonZero(plain), of(collector.Temperature, "memory")), // 0: GDDR has no sensor
		call(Basic, "GetMarginTemperature", 0, nil, plain, of(collector.TemperatureMargin)),
		call(Basic, "GetTemperatureThreshold", 0, args(0), threshold, of(collector.TemperatureLimit, "gpu", "shutdown")),
		call(Basic, "GetTemperatureThreshold", 0, args(1), threshold, of(collector.TemperatureLimit, "gpu", "slowdown")),
		call(Basic, "GetTemperatureThreshold", 0, args(3), threshold, of(collector.TemperatureLimit, "gpu", "max")),
		call(Basic, "GetTemperatureThreshold", 0, args(2), threshold, of(collector.TemperatureLimit, "memory", "max")),
		call(Basic, "GetTemperatureThreshold", 0, args(5), threshold, of(collector.TemperatureLimit, "gpu", "target")),

		// An average stands in for what is drawn now only where there is no such reading. GetPowerUsage is either of them,
		// by the age of the chip, so that it is never told as an average.
		field(Basic, 186, scopeBoard, over(1000), of(collector.Power, "board")),
		call(Basic, "GetPowerUsage", 0, nil, over(1000), of(collector.Power, "board")),
		field(Basic, 185, scopeBoard, over(1000), of(collector.PowerAverage, "board")),
		field(Basic, 186, scopeModule, over(1000), of(collector.Power, "module")),
		field(Basic, 185, scopeModule, over(1000), of(collector.Power, "module"), of(collector.PowerAverage, "module")),
		field(Basic, 186, scopeMemory, over(1000), of(collector.Power, "memory")),
		field(Basic, 185, scopeMemory, over(1000), of(collector.Power, "memory"), of(collector.PowerAverage, "memory")),
		call(Basic, "GetEnforcedPowerLimit", 0, nil, over(1000), of(collector.PowerLimit, "board", "current")),
		call(Basic, "GetPowerManagementDefaultLimit", 0, nil, over(1000), of(collector.PowerLimit, "board", "default")),
		call(Basic, "GetPowerManagementLimitConstraints", 0, nil, over(1000), of(collector.PowerLimit, "board", "min")),
		call(Basic, "GetPowerManagementLimitConstraints", 1, nil, over(1000), of(collector.PowerLimit, "board", "max")),
		field(Basic, 190, scopeModule, over(1000), of(collector.PowerLimit, "module", "current")),
		field(Basic, 189, scopeModule, over(1000), of(collector.PowerLimit, "module", "default")),
		field(Basic, 187, scopeModule, over(1000), of(collector.PowerLimit, "module", "min")),
		field(Basic, 188, scopeModule, over(1000), of(collector.PowerLimit, "module", "max")),
		field(Basic, 83, scopeBoard, over(1000), of(collector.Energy, "board")),
		call(Basic, "GetTotalEnergyConsumption", 0, nil, over(1000), of(collector.Energy, "board")),
		field(Basic, 191, scopeModule, over(1000), of(collector.Energy, "module")),
	}
	for i, clock := range []string{"graphics", "sm", "memory", "video"} {
		rows = append(rows,
			call(Basic, "GetClockInfo", 0, args(uint32(i)), times(1e6), of(collector.Clock, clock)),
			call(Basic, "GetMaxClockInfo", 0, args(uint32(i)), times(1e6), of(collector.ClockLimit, clock, "max")))
	}
	rows = append(rows,
		call(Basic, "GetMaxCustomerBoostClock", 0, args(0), times(1e6), of(collector.ClockLimit, "graphics", "boost")),
		call(Basic, "GetPerformanceState", 0, nil, unless(32, plain), of(collector.PerformanceState)))
	for i := range uint32(maxFans) {
		fan := strconv.Itoa(int(i) + 1)
		rows = append(rows,
			call(Basic, "GetFanSpeed_v2", 0, args(i), over(100), of(collector.FanDuty, fan)),
			call(Basic, "GetFanSpeedRPM", 0, args(i), plain, of(collector.FanSpeed, fan)))
	}
	rows = append(rows,
		call(Basic, "GetFanSpeed", 0, nil, over(100), of(collector.FanDuty, "1")),

		call(Basic, "GetCurrPcieLinkWidth", 0, nil, lanes, of(collector.LinkWidth)),
		call(Basic, "GetMaxPcieLinkWidth", 0, nil, lanes, of(collector.LinkMaxWidth)),
		call(Basic, "GetCurrPcieLinkGeneration", 0, nil, generation, of(collector.LinkSpeed)),
		call(Basic, "GetMaxPcieLinkGeneration", 0, nil, generation, of(collector.LinkMaxSpeed)),
		field(Basic, fieldSent, 0, pcieBytes, of(collector.PCIeBytes, "transmit")),
		field(Basic, fieldReceived, 0, pcieBytes, of(collector.PCIeBytes, "receive")),
		field(Basic, 94, 0, plain, of(collector.PCIeReplays)),
		call(Basic, "GetPcieReplayCounter", 0, nil, plain, of(collector.PCIeReplays)))
	for _, e := range []struct {
		id   uint16
		kind string
	}{
		{95, "replay_rollover"}, {169, "l0_to_recovery"}, {173, "correctable"}, {174, "nak_received"},
		{177, "nak_sent"}, {179, "nonfatal"}, {180, "fatal"},
	} {
		rows = append(rows, field(Basic, e.id, 0, plain, of(collector.PCIeErrors, e.kind)))
	}

	rows = append(rows, // what can be told comes before what is
		call(Basic, "GetSupportedClocksEventReasons", 0, nil, supportedReasons),
		call(Basic, "GetSupportedClocksThrottleReasons", 0, nil, supportedReasons),
		call(Basic, "GetCurrentClocksEventReasons", 0, nil, reasons, of(collector.ThrottleActive, "power")),
		call(Basic, "GetCurrentClocksThrottleReasons", 0, nil, reasons, of(collector.ThrottleActive, "power")))
	for _, t := range []struct {
		reason    string
		fields    []uint16
		violation int // -1: none
	}{
		{"power", []uint16{74}, 0}, {"thermal", []uint16{269, 75}, 1}, {"sync_boost", []uint16{76}, 2},
		{"hardware_thermal", []uint16{270}, -1}, {"power_brake", []uint16{271}, -1},
		{"board_limit", []uint16{77}, 3}, {"reliability", []uint16{79}, 5},
	} {
		for _, id := range t.fields {
			rows = append(rows, field(Basic, id, 0, over(1e9), of(collector.ThrottleSeconds, t.reason)))
		}
		if t.violation >= 0 {
			rows = append(rows, call(Basic, "GetViolationStatus", 1, args(uint32(t.violation)), over(1e9), of(collector.ThrottleSeconds, t.reason)))
		}
	}
	rows = append(rows,
		call(Basic, "GetPersistenceMode", 0, nil, mode(modePersistence, onOff)),
		call(Basic, "GetComputeMode", 0, nil, mode(modeCompute, computeModes)),
		call(Basic, "GetMigMode", 0, nil, mode(modeMIG, onOff)),
		call(Basic, "GetDriverModel_v2", 0, nil, mode(modeDriverModel, driverModels)),
		call(Basic, "GetDisplayActive", 0, nil, plain, of(collector.DisplayActive)),
		call(Basic, "GetEncoderStats", 0, nil, plain, of(collector.EncoderSessions)),
		call(Basic, "GetEncoderStats", 1, nil, plain, of(collector.EncoderFPS)),
		call(Basic, "GetEncoderStats", 2, nil, over(1e6), of(collector.EncoderLatency)),
		call(Basic, "GetFBCStats", 0, nil, plain, of(collector.CaptureSessions)),

		call(ECC, "GetEccMode", 0, nil, plain, of(collector.ECCEnabled)))
	for kind, severity := range []string{"corrected", "uncorrected"} {
		for counter, scope := range []string{"volatile", "lifetime"} {
			for location, block := range []string{"l1", "l2", "dram", "register_file", "texture", "shared", "cbu", "sram"} {
				rows = append(rows, call(ECC, "GetMemoryErrorCounter", 0, args(uint32(kind), uint32(counter), uint32(location)),
					eccBlock, of(collector.ECCErrors, block, severity, scope)))
			}
			rows = append(rows, call(ECC, "GetTotalEccErrors", 0, args(uint32(kind), uint32(counter)),
				eccTotal, of(collector.ECCErrors, "total", severity, scope)))
		}
	}
	rows = append(rows,
		field(ECC, 29, 0, plain, of(collector.BadPages, "single_bit")),
		field(ECC, 30, 0, plain, of(collector.BadPages, "double_bit")),
		field(ECC, 31, 0, flag, of(collector.BadPages, "pending")))
	for out, to := range []target{
		of(collector.RowRemaps, "correctable"), of(collector.RowRemaps, "uncorrectable"),
		of(collector.RowRemapPending), of(collector.RowRemapFailed),
	} {
		rows = append(rows,
			call(ECC, "GetRemappedRows", uint8(out), nil, plain, to),
			field(ECC, 142+uint16(out), 0, plain, to))
	}
	for out, availability := range []string{"max", "high", "partial", "low", "none"} {
		rows = append(rows, call(ECC, "GetRowRemapperHistogram", uint8(out), nil, plain, of(collector.RowRemapBanks, availability)))
	}
	rows = append(rows, field(ECC, 230, 0, recovery, of(collector.RecoveryAction, "none")))

	for link := range uint32(maxLinks) {
		n := strconv.Itoa(int(link))
		speed := of(collector.LinkRate, n, "nvlink")
		sent, received := of(collector.LinkBytes, n, "nvlink", "transmit"), of(collector.LinkBytes, n, "nvlink", "receive")
		rows = append(rows,
			call(NVLink, "GetNvLinkState", 0, args(link), plain, of(collector.LinkUp, n, "nvlink")),
			linkField(164, link, ifUp(link, times(1e6)), speed))
		switch { // ids of their own for the first links
		case link < 6:
			rows = append(rows, field(NVLink, uint16(84+link), 0, ifUp(link, times(1e6)), speed))
		case link < 12:
			rows = append(rows, field(NVLink, uint16(132+link-6), 0, ifUp(link, times(1e6)), speed))
		}
		rows = append(rows,
			linkField(138, link, times(1024), sent), linkField(202, link, plain, sent),
			linkField(139, link, times(1024), received), linkField(204, link, plain, received))
		for counter, name := range []string{"replay", "recovery", "crc_flit", "crc_data"} {
			rows = append(rows, call(NVLink, "GetNvLinkErrorCounter", 0, args(link, uint32(counter)), plain, of(collector.LinkErrors, n, "nvlink", name)))
		}
		for _, e := range []struct { // Blackwell
			id   uint16
			name string
		}{{208, "receive"}, {213, "recovery_ok"}, {214, "recovery_failed"}, {219, "effective"}, {221, "symbol"}} {
			rows = append(rows, linkField(e.id, link, plain, of(collector.LinkErrors, n, "nvlink", e.name)))
		}
	}
	for _, name := range []string{"GetGpuFabricInfoV", "GetGpuFabricInfo"} {
		for out := range uint8(fabricParts) { // state, status, clique, and the two halves of the uuid, big-endian
			rows = append(rows, call(NVLink, name, out, nil, fabric(name, out)))
		}
	}

	for _, m := range []struct {
		id       uint32
		activity string
	}{
		{1, "graphics_engine"}, {2, "sm_active"}, {3, "sm_occupancy"}, {4, "integer"}, {5, "tensor"}, {10, "dram"},
		{11, "fp64"}, {12, "fp32"}, {13, "fp16"},
	} {
		rows = append(rows, call(GPM, "GpmMetricsGet", 0, args(m.id), over(100), of(collector.Activity, m.activity)))
	}
	return append(rows, // each waits for 20 ms in the driver
		call(PCIe, "GetPcieThroughput", 0, args(0), throughput, of(collector.PCIeThroughput, "transmit")),
		call(PCIe, "GetPcieThroughput", 0, args(1), throughput, of(collector.PCIeThroughput, "receive")))
}

// linkField is a field whose scope is a link. Unlike that of the power fields it is told also where it is 0.
func linkField(id uint16, link uint32, take conversion, to target) Row {
	return Row{Group: NVLink, Field: id, Args: args(link), take: take, to: []target{to}}
}

// Hash tells one Table from another: a child and a main program that differ in it do not understand each other.
func Hash() string {
	h := fnv.New64a()
	for i := range Table {
		r := &Table[i]
		fmt.Fprintln(h, r.Group, r.Call, r.Field, r.Args, r.Out)
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

// Tells are the quantities that the rows of the Table tell.
func Tells() map[collector.QuantityID]bool {
	all := map[collector.QuantityID]bool{collector.ModeInfo: true, collector.FabricInfo: true} // made of several rows
	for i := range Table {
		for _, t := range Table[i].to {
			all[t.q] = true
		}
	}
	return all
}
