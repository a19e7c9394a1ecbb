// Package nvmlcase makes the answers of NVML out of a YAML profile of NVIDIA's own stand-in for that library, as the README
// of such a case tells. It is a test kit: for the conversion of answers, and for a fake library that gives them.
package nvmlcase

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v2"

	"gpu_exporter/collector/nvml"
)

// Host is the GPUs of a profile.
type Host struct {
	Driver string // its version
	GPUs   []GPU
}

// GPU is one of them.
type GPU struct {
	Identity nvml.Identity
	node     node
	links    node
}

type node map[any]any

// Load reads a profile.
func Load(path string) (*Host, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var p struct {
		System  node   `yaml:"system"`
		Default node   `yaml:"device_defaults"`
		Devices []node `yaml:"devices"`
		NVLink  node   `yaml:"nvlink"`
	}
	if err := yaml.Unmarshal(text, &p); err != nil {
		return nil, err
	}
	h := &Host{Driver: p.System.text("driver_version")}
	for _, over := range p.Devices { // what is said of it is laid over what is said of all
		d := maps.Clone(p.Default)
		maps.DeleteFunc(over, func(k, v any) bool {
			if k != "pci" {
				d[k] = v
			}
			return k != "pci" && k != "uuid"
		})
		device, _ := d.at("pci.device_id").(int)
		h.GPUs = append(h.GPUs, GPU{nvml.Identity{
			BusID: over.text("pci.bus_id"), UUID: over.text("uuid"), Name: d.text("name"), PCIDeviceID: uint32(device),
			VBIOS: d.text("vbios_version"), DriverVersion: h.Driver,
		}, d, p.NVLink})
	}
	return h, nil
}

// at is what stands at a path; nil where it is missing or not available.
func (n node) at(path string) any {
	var v any = n
	for _, step := range strings.Split(path, ".") {
		m, ok := v.(node)
		if !ok {
			raw, ok := v.(map[any]any)
			if !ok {
				return nil
			}
			m = raw
		}
		v = m[step]
	}
	if v == "N/A" {
		return nil
	}
	return v
}

func (n node) text(path string) string {
	if v := n.at(path); v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// words of the profile that are numbers in NVML.
var words = map[string]int{
	"disabled": 0, "enabled": 1, "default": 0, "false": 0, "true": 1, "completed": 3, "auto": 3,
	"active": 1, "not_active": 0,
}

// places are where the answer of a call stands, by its name, arguments and out.
var places = func() map[string]string {
	calls := map[string]string{
		"GetUtilizationRates[]0": "utilization.gpu", "GetUtilizationRates[]1": "utilization.memory",
		"GetEncoderUtilization[]0": "utilization.encoder", "GetDecoderUtilization[]0": "utilization.decoder",
		"GetJpgUtilization[]0": "utilization.jpeg", "GetOfaUtilization[]0": "utilization.ofa",
		"GetMemoryInfo_v2[]0": "memory.total_bytes", "GetMemoryInfo_v2[]1": "memory.reserved_bytes", "GetMemoryInfo_v2[]3": "memory.used_bytes",
		"GetBAR1MemoryInfo[]0": "bar1_memory.total_bytes", "GetBAR1MemoryInfo[]2": "bar1_memory.used_bytes",
		"GetTemperature[0]0": "thermal.temperature_gpu_c", "82": "thermal.temperature_memory_c",
		"GetTemperatureThreshold[0]0": "thermal.shutdown_threshold_c", "GetTemperatureThreshold[1]0": "thermal.slowdown_threshold_c",
		"GetTemperatureThreshold[3]0": "thermal.max_operating_c", "GetTemperatureThreshold[5]0": "thermal.target_temperature_c",
		"GetPowerUsage[]0": "power.current_draw_mw", "83": "power.total_energy_consumption_mj",
		"GetEnforcedPowerLimit[]0": "power.enforced_limit_mw", "GetPowerManagementDefaultLimit[]0": "power.default_limit_mw",
		"GetPowerManagementLimitConstraints[]0": "power.min_limit_mw", "GetPowerManagementLimitConstraints[]1": "power.max_limit_mw",
		"GetCurrPcieLinkWidth[]0": "pcie.current_link_width", "GetMaxPcieLinkWidth[]0": "pcie.max_link_width",
		"GetCurrPcieLinkGeneration[]0": "pcie.current_link_gen", "GetMaxPcieLinkGeneration[]0": "pcie.max_link_gen",
		"94": "pcie.replay_counter", "GetPcieThroughput[0]0": "pcie.tx_throughput_kbps", "GetPcieThroughput[1]0": "pcie.rx_throughput_kbps",
		"GetPersistenceMode[]0": "persistence_mode", "GetComputeMode[]0": "compute_mode", "GetDisplayActive[]0": "display.active",
		"GetEncoderStats[]0": "encoder_stats.session_count", "GetEncoderStats[]1": "encoder_stats.average_fps",
		"GetEncoderStats[]2": "encoder_stats.average_latency_us", "GetFBCStats[]0": "fbc_stats.session_count",
		"GetEccMode[]0": "ecc.mode_current", "29": "retired_pages.single_bit_retirement.count",
		"30": "retired_pages.double_bit_retirement.count", "31": "retired_pages.pending_retirement",
		"GetRemappedRows[]0": "remapped_rows.correctable", "GetRemappedRows[]1": "remapped_rows.uncorrectable",
		"GetRemappedRows[]2": "remapped_rows.pending", "GetRemappedRows[]3": "remapped_rows.failure_occurred",
		"GetGpuFabricInfoV[]2": "fabric.clique_id",
	}
	for i, clock := range []string{"graphics", "sm", "memory", "video"} {
		calls[fmt.Sprintf("GetClockInfo[%d]0", i)] = "clocks." + clock + "_current"
		calls[fmt.Sprintf("GetMaxClockInfo[%d]0", i)] = "clocks." + clock + "_max"
	}
	for i, bank := range []string{"max", "high", "partial", "low", "none"} {
		calls[fmt.Sprintf("GetRowRemapperHistogram[]%d", i)] = "remapped_rows.availability_histogram." + bank
	}
	for kind, bits := range []string{"single_bit", "double_bit"} {
		for counter, scope := range []string{"volatile", "aggregate"} {
			for location, memory := range []string{"l1_cache", "l2_cache", "device_memory", "register_file", "texture_memory"} {
				calls[fmt.Sprintf("GetMemoryErrorCounter[%d %d %d]0", kind, counter, location)] = fmt.Sprintf("ecc.errors.%s.%s.%s", scope, bits, memory)
			}
		}
	}
	return calls
}()

// The numbers of GetGpuFabricInfoV, by Row.Out.
const (
	fabricState = iota
	fabricStatus
	_
	fabricUUID
)

// Answer is what the stand-in says of one row of nvml.Table.
func (g GPU) Answer(n int) nvml.Answer {
	d, row := g.node, &nvml.Table[n]
	a := nvml.Answer{Row: uint16(n), Code: nvml.NotSupported, Type: nvml.Uint64}
	number := func(v uint64) nvml.Answer { a.Code, a.Raw = nvml.Success, v; return a }
	name := fmt.Sprintf("%s%v%d", row.Call, row.Args, row.Out)
	if row.Field != 0 && row.Group != nvml.NVLink {
		name = strconv.Itoa(int(row.Field))
		if len(row.Args) > 0 {
			return a
		}
	}
	links, _ := g.links["links_per_gpu"].(int)
	if len(row.Args) > 0 && row.Group == nvml.NVLink && int(row.Args[0]) >= links {
		a.Code = nvml.InvalidArgument
		return a
	}
	switch {
	case row.Call == "GetNvLinkState":
		return number(1)
	case row.Field == 164 && row.Group == nvml.NVLink:
		return number(uint64(g.links["bandwidth_per_link_mbps"].(int)))
	case row.Call == "GetMigMode":
		if instances, _ := d.at("mig.max_gpu_instances").(int); instances == 0 {
			return a
		}
		name = "mig"
	case row.Call == "GetPerformanceState":
		state, err := strconv.Atoi(strings.TrimPrefix(d.text("performance_state"), "P"))
		if err != nil {
			return a
		}
		return number(uint64(state))
	case row.Call == "GetSupportedClocksEventReasons":
		return number(0x1ff)
	case row.Call == "GetCurrentClocksEventReasons":
		mask := uint64(0)
		said, _ := d.at("clocks_throttle_reasons").(map[any]any)
		for reason, is := range said {
			if is == true || is == "active" || is == "Active" {
				mask |= reasons[fmt.Sprint(reason)]
			}
		}
		return number(mask)
	case row.Call == "GetGpuFabricInfoV" && d.at("fabric") == nil:
		return number(0)
	case row.Call == "GetGpuFabricInfoV" && row.Out == fabricState:
		return number(3)
	case row.Call == "GetGpuFabricInfoV" && row.Out == fabricStatus:
		return number(0)
	case row.Call == "GetGpuFabricInfoV" && row.Out >= fabricUUID:
		digits := strings.ReplaceAll(d.text("fabric.cluster_uuid"), "-", "")[16*(row.Out-fabricUUID):][:16]
		half, err := strconv.ParseUint(digits, 16, 64)
		if err != nil {
			return a
		}
		return number(half)
	}
	path := places[name]
	if name == "mig" {
		path = "mig.mode_current"
	}
	switch v := d.at(path).(type) {
	case int:
		return number(uint64(v))
	case bool, string:
		if n, known := words[fmt.Sprint(v)]; known {
			return number(uint64(n))
		}
	}
	return a
}

var reasons = map[string]uint64{
	"gpu_idle": 1, "applications_clocks_setting": 2, "sw_power_cap": 4, "hw_slowdown": 8, "sync_boost": 0x10,
	"sw_thermal_slowdown": 0x20, "hw_thermal_slowdown": 0x40, "hw_power_brake_slowdown": 0x80, "display_clock_setting": 0x100,
}
