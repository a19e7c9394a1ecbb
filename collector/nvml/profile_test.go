package nvml

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"

	"gpu_exporter/collector"
)

// profile is a stand-in for NVML that answers from the YAML of a case, as the README of the case tells.
type profile struct {
	System  node   `yaml:"system"`
	Default node   `yaml:"device_defaults"`
	Devices []node `yaml:"devices"`
	NVLink  node   `yaml:"nvlink"`
}

type node map[any]any

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
var profileWords = map[string]int{
	"disabled": 0, "enabled": 1, "default": 0, "false": 0, "true": 1, "completed": 3, "auto": 3,
	"active": 1, "not_active": 0,
}

// profileCalls say where the answer of a call stands, by its name, arguments and out.
func profileCalls() map[string]string {
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
}

// answer is what the stand-in says of one row.
func (p *profile) answer(d node, calls map[string]string, n int) Answer {
	row := &Table[n]
	a := Answer{Row: uint16(n), Code: NotSupported, Type: Uint64}
	number := func(v uint64) Answer { a.Code, a.Raw = Success, v; return a }
	name := fmt.Sprintf("%s%v%d", row.Call, row.Args, row.Out)
	if row.Field != 0 && row.Group != NVLink {
		name = strconv.Itoa(int(row.Field))
		if len(row.Args) > 0 {
			return a
		}
	}
	links, _ := p.NVLink["links_per_gpu"].(int)
	if len(row.Args) > 0 && row.Group == NVLink && int(row.Args[0]) >= links {
		a.Code = InvalidArgument
		return a
	}
	switch {
	case row.Call == "GetNvLinkState":
		return number(1)
	case row.Field == 164 && row.Group == NVLink:
		return number(uint64(p.NVLink["bandwidth_per_link_mbps"].(int)))
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
		reasons, _ := d.at("clocks_throttle_reasons").(map[any]any)
		for reason, is := range reasons {
			if is == true || is == "active" || is == "Active" {
				mask |= profileReasons[fmt.Sprint(reason)]
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
	path := calls[name]
	if name == "mig" {
		path = "mig.mode_current"
	}
	switch v := d.at(path).(type) {
	case int:
		return number(uint64(v))
	case bool, string:
		if n, known := profileWords[fmt.Sprint(v)]; known {
			return number(uint64(n))
		}
	}
	return a
}

var profileReasons = map[string]uint64{
	"gpu_idle": 1, "applications_clocks_setting": 2, "sw_power_cap": 4, "hw_slowdown": 8, "sync_boost": 0x10,
	"sw_thermal_slowdown": 0x20, "hw_thermal_slowdown": 0x40, "hw_power_brake_slowdown": 0x80, "display_clock_setting": 0x100,
}

func TestCasesOfNVML(t *testing.T) {
	calls := profileCalls()
	for _, path := range matching(t, "nvml-profile-*/*.yaml") {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var p profile
			if err := yaml.Unmarshal(text, &p); err != nil {
				t.Fatal(err)
			}
			var all boards
			for _, over := range p.Devices {
				all = append(all, p.board(t, over, calls))
			}
			s, _ := firstReading(t, all)
			meets(t, filepath.Join(filepath.Dir(path), "expected.prom"), s)
		})
	}
}

// board is one device of the profile: what is said of it laid over what is said of all.
func (p *profile) board(t *testing.T, over node, calls map[string]string) board {
	t.Helper()
	d := node{}
	for k, v := range p.Default {
		d[k] = v
	}
	for k, v := range over {
		if k != "pci" {
			d[k] = v
		}
	}
	device, _ := d.at("pci.device_id").(int)
	info, err := Identity{
		BusID: over.text("pci.bus_id"), UUID: over.text("uuid"), Name: d.text("name"), PCIDeviceID: uint32(device),
		VBIOS: d.text("vbios_version"), DriverVersion: p.System.text("driver_version"),
	}.Info()
	if err != nil {
		t.Fatal(err)
	}
	c := NewConverter(nil)
	return board{info, func(r *collector.Reading) error {
		var content []byte // as it comes over the pipe
		for n := range Table {
			content = AppendAnswer(content, p.answer(d, calls, n))
		}
		answers, err := ParseAnswers(nil, content)
		if err != nil {
			return err
		}
		return c.Add(r, answers, nil)
	}}
}
