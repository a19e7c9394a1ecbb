package collector

// QuantityID names a row of Quantities.
type QuantityID int

// Kind is the sort of a metric.
type Kind uint8

// The kinds. An info is a gauge of value 1 whose labels are what it says.
const (
	Gauge Kind = iota
	Counter
	InfoGauge
)

// Epoch is where the zero of a counter lies.
type Epoch uint8

// A counter of the device or its driver has no created timestamp: with one, Prometheus would count its whole value as an
// increase at each restart of the exporter. One whose zero lies in this process may have one (Series.Created).
const (
	EpochDevice Epoch = iota
	EpochProcess
)

// Quantity is one row of the metric contract (metrics.md 2a to 2d).
type Quantity struct {
	Part    string   // of the contract: 2a identity and state, 2b any GPU, 2c data centre, 2d processes
	Name    string   // of the metric family; the unit is in it
	Help    string   // one sentence
	Kind    Kind     // what the family is
	Labels  []string // beside gpu
	Flag    string   // the option that turns it on; empty: always on
	Epoch   Epoch    // of a counter
	Sources []string // the probes that fill it; gpu_info, gpu_up and gpu_state are of every GPU
}

// The rows of the contract, in its order.
const (
	GPUInfo QuantityID = iota
	Up
	GPUState
	ModeInfo
	FirmwareInfo
	Temperature
	TemperatureLimit
	TemperatureMargin
	Utilization
	EngineUtilization
	EngineBusy
	Idle
	MemoryTotal
	MemoryUsed
	MemoryReserved
	MemoryBandwidth
	Clock
	ClockLimit
	Power
	PowerAverage
	PowerLimit
	Energy
	Voltage
	Current
	FanSpeed
	FanMax
	FanMin
	FanTarget
	FanDuty
	LinkWidth
	LinkMaxWidth
	LinkSpeed
	LinkMaxSpeed
	PCIeBytes
	PCIeThroughput
	PCIeReplays
	PCIeErrors
	ThrottleActive
	ThrottleSeconds
	PerformanceState
	ECCEnabled
	ECCErrors
	BadPages
	RowRemaps
	RowRemapPending
	RowRemapFailed
	RowRemapBanks
	RecoveryAction
	XIDErrors
	XIDLast
	LinkUp
	LinkBytes
	LinkErrors
	LinkRate
	LinkLanes
	FabricInfo
	Resets
	DisplayActive
	EncoderSessions
	CaptureSessions
	EncoderFPS
	EncoderLatency
	Activity
	PartitionInfo
	PartitionMemoryTotal
	PartitionMemoryUsed
	PartitionUtilization
	PartitionMultiprocessors
	WorkloadMemory
	WorkloadEngineBusy
	WorkloadProcesses
	ProcessMemory
	ProcessEngineBusy
)

// Quantities is the metric contract: families, the README's table and the names that dashboards and alerts may use come
// from it. Nothing changes it.
var Quantities = [...]Quantity{
	GPUInfo: {Part: "2a", Name: "gpu_info", Kind: InfoGauge, Labels: []string{"index", "vendor", "name", "type", "uuid", "pci_id", "driver", "driver_version", "vbios", "source"},
		Help: "Who the GPU is: what identifies it and where its readings come from."},
	Up: {Part: "2a", Name: "gpu_up",
		Help: "1: the GPU answered the last cycle, or is asleep. 0: it is hung, gone, or awake with every reading failing."},
	GPUState: {Part: "2a", Name: "gpu_state", Labels: []string{"state"},
		Help: "State of the GPU, one series per state: ok, partial, asleep, hung, gone."},
	ModeInfo: {Part: "2a", Name: "gpu_mode_info", Kind: InfoGauge, Labels: []string{"persistence", "compute", "mig", "driver_model", "performance_level", "power_profile"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Settings of the GPU."},
	FirmwareInfo: {Part: "2a", Name: "gpu_firmware_info", Kind: InfoGauge, Labels: []string{"component", "version"}, Flag: "collector.firmware", Sources: []string{"amd", "nvidia"},
		Help: "Version of a firmware component."},
	Temperature: {Part: "2b", Name: "gpu_temperature_celsius", Labels: []string{"sensor"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Temperature by sensor."},
	TemperatureLimit: {Part: "2b", Name: "gpu_temperature_limit_celsius", Labels: []string{"sensor", "limit"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Temperature limit of a sensor."},
	TemperatureMargin: {Part: "2b", Name: "gpu_temperature_margin_celsius", Sources: []string{"nvidia", "windows"},
		Help: "Distance to the temperature at which the GPU slows down."},
	Utilization: {Part: "2b", Name: "gpu_utilization_ratio", Sources: []string{"amd", "nvidia", "windows"},
		Help: "Share of time that the GPU was busy, as the driver tells it."},
	EngineUtilization: {Part: "2b", Name: "gpu_engine_utilization_ratio", Labels: []string{"engine"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Share of time that an engine was busy."},
	EngineBusy: {Part: "2b", Name: "gpu_engine_busy_seconds_total", Kind: Counter, Labels: []string{"engine"}, Sources: []string{"windows"},
		Help: "Time that an engine was busy."},
	Idle: {Part: "2b", Name: "gpu_idle_seconds_total", Kind: Counter, Labels: []string{"unit"},
		Help: "Time in the deepest idle state."},
	MemoryTotal: {Part: "2b", Name: "gpu_memory_total_bytes", Labels: []string{"memory"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Size of a memory."},
	MemoryUsed: {Part: "2b", Name: "gpu_memory_used_bytes", Labels: []string{"memory"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Memory in use."},
	MemoryReserved: {Part: "2b", Name: "gpu_memory_reserved_bytes", Labels: []string{"memory"}, Sources: []string{"nvidia", "windows"},
		Help: "Memory that the driver keeps for itself."},
	MemoryBandwidth: {Part: "2b", Name: "gpu_memory_bandwidth_bytes_per_second", Labels: []string{"direction"}, Sources: []string{"amd"},
		Help: "Memory traffic by direction; max is the limit."},
	Clock: {Part: "2b", Name: "gpu_clock_hertz", Labels: []string{"clock"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Present clock."},
	ClockLimit: {Part: "2b", Name: "gpu_clock_limit_hertz", Labels: []string{"clock", "limit"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Limit of a clock."},
	Power: {Part: "2b", Name: "gpu_power_watts", Labels: []string{"domain"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Power draw now, or on average where only that is told."},
	PowerAverage: {Part: "2b", Name: "gpu_power_average_watts", Labels: []string{"domain"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Power draw where the driver gives an average as such."},
	PowerLimit: {Part: "2b", Name: "gpu_power_limit_watts", Labels: []string{"domain", "limit"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Power limit; current is the enforced one."},
	Energy: {Part: "2b", Name: "gpu_energy_joules_total", Kind: Counter, Labels: []string{"domain"}, Sources: []string{"amd", "windows"},
		Help: "Energy since the driver loaded or the device was reset."},
	Voltage: {Part: "2b", Name: "gpu_voltage_volts", Labels: []string{"rail"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Voltage of a rail."},
	Current: {Part: "2b", Name: "gpu_current_amperes", Labels: []string{"rail"}, Sources: []string{"amd"},
		Help: "Current of a rail."},
	FanSpeed: {Part: "2b", Name: "gpu_fan_speed_rpm", Labels: []string{"fan"}, Sources: []string{"amd", "windows"},
		Help: "Fan speed as measured."},
	FanMax: {Part: "2b", Name: "gpu_fan_max_rpm", Labels: []string{"fan"}, Sources: []string{"amd", "windows"},
		Help: "Highest fan speed."},
	FanMin: {Part: "2b", Name: "gpu_fan_min_rpm", Labels: []string{"fan"}, Sources: []string{"amd"},
		Help: "Lowest fan speed."},
	FanTarget: {Part: "2b", Name: "gpu_fan_target_rpm", Labels: []string{"fan"}, Sources: []string{"amd"},
		Help: "Fan speed that is aimed at."},
	FanDuty: {Part: "2b", Name: "gpu_fan_duty_ratio", Labels: []string{"fan"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Commanded share of full fan speed."},
	LinkWidth: {Part: "2b", Name: "gpu_pcie_link_width", Sources: []string{"amd", "nvidia", "windows"},
		Help: "PCIe lanes in use at the slot."},
	LinkMaxWidth: {Part: "2b", Name: "gpu_pcie_link_max_width", Sources: []string{"amd", "nvidia", "windows"},
		Help: "PCIe lanes that card and slot can use together."},
	LinkSpeed: {Part: "2b", Name: "gpu_pcie_link_transfers_per_second", Sources: []string{"amd", "nvidia", "windows"},
		Help: "PCIe transfer rate of a lane at the slot; 16 GT/s is 1.6e10."},
	LinkMaxSpeed: {Part: "2b", Name: "gpu_pcie_link_max_transfers_per_second", Sources: []string{"amd", "nvidia", "windows"},
		Help: "PCIe transfer rate of a lane that card and slot can do together."},
	PCIeBytes: {Part: "2b", Name: "gpu_pcie_bytes_total", Kind: Counter, Labels: []string{"direction"}, Sources: []string{"windows"},
		Help: "PCIe traffic as the GPU sees it."},
	PCIeThroughput: {Part: "2b", Name: "gpu_pcie_throughput_bytes_per_second", Labels: []string{"direction"}, Sources: []string{"nvidia", "windows"},
		Help: "PCIe traffic where the driver gives only a rate."},
	PCIeReplays: {Part: "2b", Name: "gpu_pcie_replays_total", Kind: Counter, Sources: []string{"amd", "nvidia", "windows"},
		Help: "PCIe packets that were sent again."},
	PCIeErrors: {Part: "2b", Name: "gpu_pcie_errors_total", Kind: Counter, Labels: []string{"kind"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "PCIe errors by kind."},
	ThrottleActive: {Part: "2b", Name: "gpu_throttle_active", Labels: []string{"reason"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Whether the GPU is slowed for that reason now, for every reason that the source can tell."},
	ThrottleSeconds: {Part: "2b", Name: "gpu_throttle_seconds_total", Kind: Counter, Labels: []string{"reason"}, Sources: []string{"nvidia", "windows"},
		Help: "Time slowed for that reason."},
	PerformanceState: {Part: "2b", Name: "gpu_performance_state", Sources: []string{"nvidia", "windows"},
		Help: "NVIDIA P-state number, 0 is fastest."},
	ECCEnabled: {Part: "2c", Name: "gpu_ecc_enabled", Sources: []string{"amd", "nvidia", "windows"},
		Help: "Whether memory errors are corrected."},
	ECCErrors: {Part: "2c", Name: "gpu_ecc_errors_total", Kind: Counter, Labels: []string{"block", "severity", "scope"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Memory and logic errors that were detected, by hardware block."},
	BadPages: {Part: "2c", Name: "gpu_bad_pages", Labels: []string{"kind"}, Sources: []string{"amd", "nvidia", "windows"},
		Help: "Memory pages that are taken out of use."},
	RowRemaps: {Part: "2c", Name: "gpu_row_remaps", Labels: []string{"kind"}, Sources: []string{"nvidia", "windows"},
		Help: "Memory rows that were remapped."},
	RowRemapPending: {Part: "2c", Name: "gpu_row_remap_pending", Sources: []string{"nvidia", "windows"},
		Help: "Whether a row remap waits for a reset."},
	RowRemapFailed: {Part: "2c", Name: "gpu_row_remap_failed", Sources: []string{"nvidia", "windows"},
		Help: "Whether a row remap failed."},
	RowRemapBanks: {Part: "2c", Name: "gpu_row_remap_banks", Labels: []string{"availability"}, Sources: []string{"nvidia", "windows"},
		Help: "Memory banks by remaining spare rows."},
	RecoveryAction: {Part: "2c", Name: "gpu_recovery_action", Labels: []string{"action"}, Sources: []string{"nvidia", "windows"},
		Help: "What the GPU needs to recover, one series per action."},
	XIDErrors: {Part: "2c", Name: "gpu_xid_errors_total", Kind: Counter, Epoch: EpochProcess, Labels: []string{"xid"},
		Help: "XID errors that were seen."},
	XIDLast: {Part: "2c", Name: "gpu_xid_last_timestamp_seconds", Labels: []string{"xid"},
		Help: "When an XID error was last seen, in Unix time."},
	LinkUp: {Part: "2c", Name: "gpu_link_up", Labels: []string{"link", "kind"}, Sources: []string{"amd", "windows"},
		Help: "Whether a link between GPUs is up."},
	LinkBytes: {Part: "2c", Name: "gpu_link_bytes_total", Kind: Counter, Labels: []string{"link", "kind", "direction"}, Sources: []string{"amd", "windows"},
		Help: "Traffic of a link between GPUs."},
	LinkErrors: {Part: "2c", Name: "gpu_link_errors_total", Kind: Counter, Labels: []string{"link", "kind", "error"}, Sources: []string{"windows"},
		Help: "Errors of a link between GPUs."},
	LinkRate: {Part: "2c", Name: "gpu_link_speed_bytes_per_second", Labels: []string{"link", "kind"}, Sources: []string{"amd", "windows"},
		Help: "Speed of a link between GPUs."},
	LinkLanes: {Part: "2c", Name: "gpu_link_width", Labels: []string{"link", "kind"}, Sources: []string{"amd"},
		Help: "Lanes of a link between GPUs."},
	FabricInfo: {Part: "2c", Name: "gpu_fabric_info", Kind: InfoGauge, Labels: []string{"state", "status", "cluster_uuid", "clique_id"}, Sources: []string{"nvidia", "windows"},
		Help: "Registration of the GPU with its fabric."},
	Resets: {Part: "2c", Name: "gpu_resets_total", Kind: Counter, Sources: []string{"windows"},
		Help: "Resets of the GPU by the system."},
	DisplayActive: {Part: "2c", Name: "gpu_display_active", Sources: []string{"amd", "nvidia", "windows"},
		Help: "Whether the GPU drives a display."},
	EncoderSessions: {Part: "2c", Name: "gpu_encoder_sessions", Sources: []string{"nvidia", "windows"},
		Help: "Video encoder sessions."},
	CaptureSessions: {Part: "2c", Name: "gpu_capture_sessions", Sources: []string{"nvidia", "windows"},
		Help: "Frame buffer capture sessions."},
	EncoderFPS: {Part: "2c", Name: "gpu_encoder_average_fps", Sources: []string{"nvidia", "windows"},
		Help: "Average frame rate of the encoder sessions."},
	EncoderLatency: {Part: "2c", Name: "gpu_encoder_average_latency_seconds", Sources: []string{"nvidia", "windows"},
		Help: "Average latency of the encoder sessions."},
	Activity: {Part: "2c", Name: "gpu_activity_ratio", Labels: []string{"activity"}, Sources: []string{"windows"},
		Help: "Activity as hardware profiling counts it."},
	PartitionInfo: {Part: "2c", Name: "gpu_partition_info", Kind: InfoGauge, Labels: []string{"partition", "kind", "profile", "uuid"}, Sources: []string{"amd", "nvidia"},
		Help: "A partition of the GPU."},
	PartitionMemoryTotal: {Part: "2c", Name: "gpu_partition_memory_total_bytes", Labels: []string{"partition"}, Sources: []string{"nvidia"},
		Help: "Size of the memory of a partition."},
	PartitionMemoryUsed: {Part: "2c", Name: "gpu_partition_memory_used_bytes", Labels: []string{"partition"}, Sources: []string{"nvidia"},
		Help: "Memory of a partition in use."},
	PartitionUtilization: {Part: "2c", Name: "gpu_partition_utilization_ratio", Labels: []string{"partition", "engine"}, Sources: []string{"amd"},
		Help: "Share of time that an engine of a partition was busy."},
	PartitionMultiprocessors: {Part: "2c", Name: "gpu_partition_multiprocessors", Labels: []string{"partition"}, Sources: []string{"nvidia"},
		Help: "Multiprocessors of a partition."},
	WorkloadMemory: {Part: "2d", Name: "gpu_workload_memory_used_bytes", Labels: []string{"workload", "kind", "namespace", "pod", "container", "memory"}, Flag: "collector.process",
		Help: "Memory in use by a workload, shared memory counted once."},
	WorkloadEngineBusy: {Part: "2d", Name: "gpu_workload_engine_busy_seconds_total", Kind: Counter, Epoch: EpochProcess, Labels: []string{"workload", "kind", "namespace", "pod", "container", "engine"}, Flag: "collector.process",
		Help: "Time that a workload kept an engine busy."},
	WorkloadProcesses: {Part: "2d", Name: "gpu_workload_processes", Labels: []string{"workload", "kind", "namespace", "pod", "container"}, Flag: "collector.process",
		Help: "Processes of a workload."},
	ProcessMemory: {Part: "2d", Name: "gpu_process_memory_used_bytes", Labels: []string{"pid", "command", "memory"}, Flag: "collector.process.pid",
		Help: "Memory in use by a process."},
	ProcessEngineBusy: {Part: "2d", Name: "gpu_process_engine_busy_seconds_total", Kind: Counter, Epoch: EpochProcess, Labels: []string{"pid", "command", "engine"}, Flag: "collector.process.pid",
		Help: "Time that a process kept an engine busy."},
}

// String is the name of the metric family.
func (q QuantityID) String() string { return Quantities[q].Name }
