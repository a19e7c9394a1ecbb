package amd

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// chain is a card and what must be read from it. All samples count, unless of names families.
type chain struct {
	name     string
	files    files
	want     string
	of       string // families, by their prefixes; empty: all
	failed   string // kinds, in brackets where any
	rejected string // quantities, likewise
}

func (c chain) run(t *testing.T) {
	t.Helper()
	l := read(t, c.files)
	if got, want := l.samples(strings.Fields(c.of)...), lines(c.want); got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, want)
	}
	for _, list := range []struct {
		what string
		got  []string
		want string
	}{{"failures", l.failed, c.failed}, {"rejections", l.rejected, c.rejected}} {
		if got := strings.Join(list.got, " "); got != list.want {
			t.Errorf("%s: %s %q, want %q (%v)", c.name, list.what, got, list.want, l.Failures)
		}
	}
	if state := l.State.String(); (state == "partial") != (c.failed != "") || state == "ok" != (c.failed == "") {
		t.Errorf("%s: state %s with failures %q", c.name, state, c.failed)
	}
}

func TestTemperatures(t *testing.T) {
	v1 := table("v1_3", fields{"temperature_edge": 41, "temperature_hotspot": 42, "temperature_mem": 43, "temperature_vrgfx": 44, "temperature_vrsoc": 45, "temperature_vrmem": 46, "temperature_hbm[0]": 47, "temperature_hbm[3]": 48})
	const edge = `gpu_temperature_celsius{sensor="edge"}`
	for _, c := range []chain{
		{name: "labels", files: files{
			"H/temp1_input": "24000", "H/temp1_label": "edge", "H/temp2_input": "31500", "H/temp2_label": "junction\n", "H/temp3_input": "50001", "H/temp3_label": "mem",
			"H/temp4_input": "60000", "H/temp4_label": "new",
		}, want: edge + ` 24
			gpu_temperature_celsius{sensor="hotspot"} 31.5
			gpu_temperature_celsius{sensor="memory"} 50.001`},
		{name: "the label counts, not the number", files: files{"H/temp1_input": "31000", "H/temp1_label": "junction", "H/temp11_input": "24000", "H/temp11_label": "edge"}, want: edge + ` 24
			gpu_temperature_celsius{sensor="hotspot"} 31`},
		{name: "without labels temp1 is edge", files: files{"H/temp1_input": "24000", "H/temp2_input": "31000"}, want: edge + " 24"},
		{name: "below zero", files: files{"H/temp1_input": "-5000"}, want: edge + " -5"},
		{name: "H before G", files: files{"H/temp1_input": "24000", "D/gpu_metrics": table("v1_3", fields{"temperature_edge": 41})}, want: edge + " 24"},
		{name: "H blank lets G in", files: files{"H/temp1_input": "\n", "D/gpu_metrics": table("v1_3", fields{"temperature_edge": 41})}, want: edge + " 41"},
		{name: "H 0 lets G in", files: files{"H/temp1_input": "0", "D/gpu_metrics": table("v1_3", fields{"temperature_edge": 41})}, want: edge + " 41"},
		{name: "both 0", files: files{"H/temp1_input": "0", "D/gpu_metrics": table("v1_3", fields{"temperature_edge": 0})}},
		{name: "H malformed hides G", files: files{"H/temp1_input": "N/A", "D/gpu_metrics": table("v1_3", fields{"temperature_edge": 41, "temperature_mem": 43})}, want: `gpu_temperature_celsius{sensor="memory"} 43`, failed: "malformed"},
		{name: "H out of bounds hides G", files: files{"H/temp1_input": "200000", "D/gpu_metrics": table("v1_3", fields{"temperature_edge": 41})}, rejected: "gpu_temperature_celsius"},
		{name: "a label that says nothing hides nothing", files: files{"H/temp1_input": "24000", "H/temp1_label": "\n", "D/gpu_metrics": table("v1_3", fields{"temperature_edge": 41})}, want: edge + " 41"},
		{name: "G v1", files: files{"D/gpu_metrics": v1}, want: edge + ` 41
			gpu_temperature_celsius{sensor="hotspot"} 42
			gpu_temperature_celsius{sensor="memory"} 43
			gpu_temperature_celsius{sensor="vr_graphics"} 44
			gpu_temperature_celsius{sensor="vr_soc"} 45
			gpu_temperature_celsius{sensor="vr_memory"} 46
			gpu_temperature_celsius{sensor="hbm0"} 47
			gpu_temperature_celsius{sensor="hbm3"} 48`},
		{name: "G v2", files: files{"D/gpu_metrics": table("v2_1", fields{"temperature_gfx": 2537, "temperature_soc": 3150, "temperature_core[0]": 9000})}, want: edge + ` 25.37
			gpu_temperature_celsius{sensor="soc"} 31.5`},
		{name: "G v3", files: files{"H/temp1_input": "24000", "D/gpu_metrics": table("v3_0", fields{"temperature_gfx": 2537, "temperature_soc": 3150, "temperature_skin": 2999})}, want: edge + ` 24
			gpu_temperature_celsius{sensor="soc"} 31.5
			gpu_temperature_celsius{sensor="skin"} 29.99`},
		{name: "limits", of: "gpu_temperature_limit", files: files{
			"H/temp1_input": "24000", "H/temp1_crit": "100000", "H/temp1_emergency": "105000", "H/temp1_crit_hyst": "-273150",
			"H/temp2_input": "31000", "H/temp2_label": "junction", "H/temp2_crit": "0", "H/temp2_emergency": "-273150",
		}, want: `gpu_temperature_limit_celsius{sensor="edge",limit="critical"} 100
			gpu_temperature_limit_celsius{sensor="edge",limit="emergency"} 105`},
	} {
		c.run(t)
	}
}

func TestVoltagesAndCurrents(t *testing.T) {
	for _, c := range []chain{
		{name: "H", files: files{
			"H/in0_input": "985", "H/in0_label": "vddgfx", "H/in1_input": "700", "H/in1_label": "vddnb", "H/in2_input": "12050", "H/in2_label": "vddboard",
			"H/in3_input": "1", "H/in3_label": "new", "H/in4_input": "1",
		}, want: `gpu_voltage_volts{rail="graphics"} 0.985
			gpu_voltage_volts{rail="northbridge"} 0.7
			gpu_voltage_volts{rail="board"} 12.05`},
		{name: "H 0 is absence, G has it", files: files{"H/in0_input": "0", "H/in0_label": "vddgfx", "D/gpu_metrics": table("v1_3", fields{"voltage_gfx": 900, "voltage_soc": 800, "voltage_mem": 1350})}, want: `gpu_voltage_volts{rail="graphics"} 0.9
			gpu_voltage_volts{rail="soc"} 0.8
			gpu_voltage_volts{rail="memory"} 1.35`},
		{name: "H before G", files: files{"H/in0_input": "985", "H/in0_label": "vddgfx", "D/gpu_metrics": table("v1_3", fields{"voltage_gfx": 900, "voltage_soc": 0})}, want: `gpu_voltage_volts{rail="graphics"} 0.985`},
		{name: "v2_4", files: files{"D/gpu_metrics": table("v2_4", fields{
			"average_gfx_voltage": 900, "average_soc_voltage": 800, "average_cpu_voltage": 1100,
			"average_gfx_current": 2500, "average_soc_current": 0, "average_cpu_current": 12345,
		})}, want: `gpu_voltage_volts{rail="graphics"} 0.9
			gpu_voltage_volts{rail="soc"} 0.8
			gpu_voltage_volts{rail="cpu"} 1.1
			gpu_current_amperes{rail="graphics"} 2.5
			gpu_current_amperes{rail="cpu"} 12.345`},
	} {
		c.run(t)
	}
}

func TestFans(t *testing.T) {
	for _, c := range []chain{
		{name: "0 is a value", files: files{"H/fan1_input": "0", "H/fan1_min": "0", "H/fan1_max": "3300", "H/fan1_target": "0", "H/pwm1": "0", "H/pwm1_max": "255"}, want: `gpu_fan_speed_rpm{fan="1"} 0
			gpu_fan_min_rpm{fan="1"} 0
			gpu_fan_max_rpm{fan="1"} 3300
			gpu_fan_target_rpm{fan="1"} 0
			gpu_fan_duty_ratio{fan="1"} 0`},
		{name: "duty", files: files{"H/pwm1": "89", "H/pwm1_max": "255"}, want: `gpu_fan_duty_ratio{fan="1"} 0.34901960784313724`},
		{name: "of another full", files: files{"H/pwm1": "25", "H/pwm1_max": "100"}, want: `gpu_fan_duty_ratio{fan="1"} 0.25`},
		{name: "full missing: 255", files: files{"H/pwm1": "51"}, want: `gpu_fan_duty_ratio{fan="1"} 0.2`},
		{name: "full blank: 255", files: files{"H/pwm1": "51", "H/pwm1_max": "\n"}, want: `gpu_fan_duty_ratio{fan="1"} 0.2`},
		{name: "full malformed", files: files{"H/pwm1": "51", "H/pwm1_max": "full"}, failed: "malformed"},
		{name: "full 0", files: files{"H/pwm1": "51", "H/pwm1_max": "0"}, rejected: "gpu_fan_duty_ratio"},
		{name: "full alone", files: files{"H/pwm1_max": "255"}},
		{name: "more than full", files: files{"H/pwm1": "300", "H/pwm1_max": "255"}, rejected: "gpu_fan_duty_ratio"},
		{name: "all of it", files: files{"H/pwm1": "255", "H/pwm1_max": "255"}, want: `gpu_fan_duty_ratio{fan="1"} 1`},
		{name: "pwm1 without fan1, as SI cards", files: files{"H/pwm1": "255"}, want: `gpu_fan_duty_ratio{fan="1"} 1`},
		{name: "fan of G is not shown", files: files{"D/gpu_metrics": table("v1_3", fields{"current_fan_speed": 1000})}},
	} {
		c.run(t)
	}
}

func TestPower(t *testing.T) {
	const (
		now     = `gpu_power_watts{domain="package"} `
		average = `gpu_power_average_watts{domain="package"} `
	)
	g1 := table("v1_3", fields{"average_socket_power": 40})
	for _, c := range []chain{
		{name: "input alone", files: files{"H/power1_input": "32500000"}, want: now + "32.5"},
		{name: "average alone fills both", files: files{"H/power1_average": "32000000"}, want: now + "32\n" + average + "32"},
		{name: "both", files: files{"H/power1_input": "33000000", "H/power1_average": "32000000"}, want: now + "33\n" + average + "32"},
		{name: "both the same", files: files{"H/power1_input": "32000000", "H/power1_average": "32000000"}, want: now + "32\n" + average + "32"},
		{name: "0 is a value", files: files{"H/power1_input": "0", "H/power1_average": "0"}, want: now + "0\n" + average + "0"},
		{name: "input blank", files: files{"H/power1_input": "\n", "H/power1_average": "32000000"}, want: now + "32\n" + average + "32"},
		{name: "average blank", files: files{"H/power1_input": "33000000", "H/power1_average": "\n", "D/gpu_metrics": g1}, want: now + "33"},
		{name: "input malformed", files: files{"H/power1_input": "x", "H/power1_average": "32000000", "D/gpu_metrics": g1}, want: average + "32", failed: "malformed"},
		{name: "average malformed", files: files{"H/power1_input": "33000000", "H/power1_average": "x", "D/gpu_metrics": g1}, want: now + "33", failed: "malformed"},
		{name: "average malformed, alone", files: files{"H/power1_average": "x", "D/gpu_metrics": g1}, failed: "malformed"},
		{name: "input out of bounds", files: files{"H/power1_input": "3000000001", "H/power1_average": "32000000"}, want: average + "32", rejected: "gpu_power_watts"},
		{name: "average out of bounds, alone", files: files{"H/power1_average": "-1", "D/gpu_metrics": g1}, rejected: "gpu_power_average_watts gpu_power_watts"},

		{name: "G v1_3 where H lacks both", files: files{"D/gpu_metrics": g1}, want: now + "40\n" + average + "40"},
		{name: "G v1_3, both files blank", files: files{"H/power1_input": "", "H/power1_average": "\n", "D/gpu_metrics": g1}, want: now + "40\n" + average + "40"},
		{name: "G v1_3 beside input", files: files{"H/power1_input": "33000000", "D/gpu_metrics": g1}, want: now + "33"},
		{name: "G v1_3 0 is a value", files: files{"D/gpu_metrics": table("v1_3", fields{"average_socket_power": 0})}, want: now + "0\n" + average + "0"},
		{name: "G v1_4", files: files{"D/gpu_metrics": table("v1_4", fields{"curr_socket_power": 750})}, want: now + "750"},
		{name: "G v1_4 beside average", files: files{"H/power1_average": "32000000", "D/gpu_metrics": table("v1_4", fields{"curr_socket_power": 750})}, want: now + "32\n" + average + "32"},
		{name: "G v2: socket power is W or mW by chip", files: files{"D/gpu_metrics": table("v2_1", fields{
			"average_socket_power": 18, "average_gfx_power": 1234, "average_soc_power": 0, "average_cpu_power": 13412,
		})}, want: `gpu_power_watts{domain="graphics"} 1.234
			gpu_power_watts{domain="soc"} 0
			gpu_power_watts{domain="cpu"} 13.412
			gpu_power_average_watts{domain="graphics"} 1.234
			gpu_power_average_watts{domain="soc"} 0
			gpu_power_average_watts{domain="cpu"} 13.412`},
		{name: "G v3", files: files{"D/gpu_metrics": table("v3_0", fields{
			"average_socket_power": 15500, "average_gfx_power": 1234, "average_all_core_power": 2345, "average_ipu_power": 77,
			"average_sys_power": 63500, "average_apu_power": 1, "average_dgpu_power": 2,
			"current_stapm_power_limit": 25000, "stapm_power_limit": 30000,
		})}, want: now + "15.5\n" + average + `15.5
			gpu_power_watts{domain="graphics"} 1.234
			gpu_power_watts{domain="cpu"} 2.345
			gpu_power_watts{domain="npu"} 0.077
			gpu_power_average_watts{domain="graphics"} 1.234
			gpu_power_average_watts{domain="cpu"} 2.345
			gpu_power_average_watts{domain="npu"} 0.077
			gpu_power_limit_watts{domain="package",limit="current"} 25
			gpu_power_limit_watts{domain="package",limit="max"} 30`},
		{name: "G v3 limits, each where H lacks it", of: "gpu_power_limit", files: files{
			"H/power1_cap": "20000000", "D/gpu_metrics": table("v3_0", fields{"current_stapm_power_limit": 25000, "stapm_power_limit": 30000}),
		}, want: `gpu_power_limit_watts{domain="package",limit="current"} 20
			gpu_power_limit_watts{domain="package",limit="max"} 30`},
		{name: "G v3 limits of 0", files: files{"D/gpu_metrics": table("v3_0", fields{"current_stapm_power_limit": 0, "stapm_power_limit": 0})}},

		{name: "limits", files: files{"H/power1_cap": "236000000", "H/power1_cap_default": "230000000", "H/power1_cap_min": "0", "H/power1_cap_max": "271000000", "H/power2_cap": "300000000", "H/power2_average": "1", "H/power2_cap_max": "1"}, want: `gpu_power_limit_watts{domain="package",limit="current"} 236
			gpu_power_limit_watts{domain="package",limit="default"} 230
			gpu_power_limit_watts{domain="package",limit="min"} 0
			gpu_power_limit_watts{domain="package",limit="max"} 271
			gpu_power_limit_watts{domain="package",limit="burst"} 300`},
		{name: "limits of 0", files: files{"H/power1_cap": "0", "H/power1_cap_default": "0", "H/power1_cap_min": "0", "H/power1_cap_max": "0", "H/power2_cap": "0"}, want: `gpu_power_limit_watts{domain="package",limit="min"} 0`},
	} {
		c.run(t)
	}
}

func TestLoadAndMemory(t *testing.T) {
	const engine = `gpu_engine_utilization_ratio{engine=`
	g1 := table("v1_3", fields{"average_gfx_activity": 24, "average_umc_activity": 0, "average_mm_activity": 7})
	for _, c := range []chain{
		{name: "D", files: files{"D/gpu_busy_percent": "100", "D/mem_busy_percent": "0", "D/vcn_busy_percent": "33", "D/gpu_metrics": g1}, want: `gpu_utilization_ratio 1
			` + engine + `"memory"} 0
			` + engine + `"media"} 0.33`},
		{name: "G v1", files: files{"D/gpu_metrics": g1}, want: `gpu_utilization_ratio 0.24
			` + engine + `"memory"} 0
			` + engine + `"media"} 0.07`},
		{name: "G v2: 0.01 %", files: files{"D/gpu_metrics": table("v2_2", fields{"average_gfx_activity": 8775, "average_mm_activity": 79})}, want: `gpu_utilization_ratio 0.8775
			` + engine + `"media"} 0.0079`},
		{name: "G v2, all of it", files: files{"D/gpu_metrics": table("v2_2", fields{"average_gfx_activity": 10000, "average_mm_activity": 10001})}, want: `gpu_utilization_ratio 1`, rejected: "gpu_engine_utilization_ratio"},
		{name: "G v3: %", files: files{"D/gpu_metrics": table("v3_0", fields{"average_gfx_activity": 42, "average_vcn_activity": 8, "average_ipu_activity[0]": 1, "average_ipu_activity[7]": 2})}, want: `gpu_utilization_ratio 0.42
			` + engine + `"media"} 0.08
			` + engine + `"npu0"} 0.01
			` + engine + `"npu7"} 0.02`},
		{name: "G v1_5", files: files{"D/gpu_metrics": table("v1_5", fields{"vcn_activity[0]": 1, "vcn_activity[3]": 2, "jpeg_activity[31]": 3})}, want: engine + `"media0"} 0.01
			` + engine + `"media3"} 0.02
			` + engine + `"jpeg31"} 0.03`},

		{name: "memory", files: files{
			"D/mem_info_vram_total": "1000", "D/mem_info_vram_used": "1000", "D/mem_info_vis_vram_total": "500", "D/mem_info_vis_vram_used": "0",
			"D/mem_info_gtt_total": "2000", "D/mem_info_gtt_used": "20", "D/mem_info_preempt_used": "1",
		}, want: `gpu_memory_total_bytes{memory="vram"} 1000
			gpu_memory_used_bytes{memory="vram"} 1000
			gpu_memory_total_bytes{memory="visible_vram"} 500
			gpu_memory_used_bytes{memory="visible_vram"} 0
			gpu_memory_total_bytes{memory="gtt"} 2000
			gpu_memory_used_bytes{memory="gtt"} 20`},
		{name: "more used than there is", files: files{"D/mem_info_vram_total": "1000", "D/mem_info_vram_used": "1001"}, want: `gpu_memory_total_bytes{memory="vram"} 1000`, rejected: "gpu_memory_used_bytes"},
		{name: "total 0: both absent", files: files{"D/mem_info_gtt_total": "0", "D/mem_info_gtt_used": "7", "D/mem_info_vram_total": "0", "D/mem_info_vram_used": "0"}},
		{name: "total missing", files: files{"D/mem_info_vram_used": "70368744177664"}, want: `gpu_memory_used_bytes{memory="vram"} 7.0368744177664e+13`},
		{name: "total missing, too much used", files: files{"D/mem_info_vram_used": "70368744177665"}, rejected: "gpu_memory_used_bytes"},
		{name: "total blank", files: files{"D/mem_info_vram_total": "\n", "D/mem_info_vram_used": "7"}, want: `gpu_memory_used_bytes{memory="vram"} 7`},
		{name: "total malformed", files: files{"D/mem_info_vram_total": "x", "D/mem_info_vram_used": "7"}, want: `gpu_memory_used_bytes{memory="vram"} 7`, failed: "malformed"},
		{name: "total below zero", files: files{"D/mem_info_vram_total": "-1", "D/mem_info_vram_used": "7"}, want: `gpu_memory_used_bytes{memory="vram"} 7`, rejected: "gpu_memory_total_bytes"},
		{name: "used below zero", files: files{"D/mem_info_vram_total": "10", "D/mem_info_vram_used": "-7"}, want: `gpu_memory_total_bytes{memory="vram"} 10`, rejected: "gpu_memory_used_bytes"},

		{name: "bandwidth v1_7", files: files{"D/gpu_metrics": table("v1_7", fields{"mem_max_bandwidth": 5325})}, want: `gpu_memory_bandwidth_bytes_per_second{direction="max"} 5.325e+12`},
		{name: "bandwidth v3", files: files{"D/gpu_metrics": table("v3_0", fields{"average_dram_reads": 1234, "average_dram_writes": 0, "average_ipu_reads": 1})}, want: `gpu_memory_bandwidth_bytes_per_second{direction="read"} 1.234e+09
			gpu_memory_bandwidth_bytes_per_second{direction="write"} 0`},
	} {
		c.run(t)
	}
}

func TestClocks(t *testing.T) {
	now := func(clock string, mhz float64) string {
		return fmt.Sprintf("gpu_clock_hertz{clock=%q} %v\n", clock, mhz*1e6)
	}
	limit := func(clock, which string, mhz float64) string {
		return fmt.Sprintf("gpu_clock_limit_hertz{clock=%q,limit=%q} %v\n", clock, which, mhz*1e6)
	}
	limits := func(clock string, lo, hi float64) string { return limit(clock, "min", lo) + limit(clock, "max", hi) }
	lists := files{}
	for i, f := range []string{"sclk", "mclk", "socclk", "fclk", "vclk", "dclk", "dcefclk"} {
		lists["D/pp_dpm_"+f] = fmt.Sprintf("0: %dMhz *\n1: %dMhz\n", i+1, 100*(i+1))
	}
	allLimits := func(video, decoder string) string {
		return limits("graphics", 1, 100) + limits("memory", 2, 200) + limits("soc", 3, 300) + limits("fabric", 4, 400) +
			limits(video, 5, 500) + limits(decoder, 6, 600) + limits("display", 7, 700)
	}
	for _, c := range []chain{
		{name: "H", files: files{"H/freq1_input": "2011000000", "H/freq1_label": "sclk", "H/freq2_input": "0", "H/freq2_label": "mclk", "H/freq3_input": "1", "H/freq3_label": "x"}, want: now("graphics", 2011) + now("memory", 0)},
		{name: "H without labels", files: files{"H/freq1_input": "1000000", "H/freq2_input": "2000000", "H/freq3_input": "3000000"}, want: now("graphics", 1) + now("memory", 2)},
		{name: "lists alone", files: lists, want: allLimits("video", "decoder") +
			now("graphics", 1) + now("memory", 2) + now("soc", 3) + now("fabric", 4) + now("video", 5) + now("decoder", 6) + now("display", 7)},
		{name: "a second instance gives the first an index", files: lists.with(files{"D/pp_dpm_dclk1": "0: 8Mhz *"}), want: allLimits("video0", "decoder0") + limits("decoder1", 8, 8) +
			now("graphics", 1) + now("memory", 2) + now("soc", 3) + now("fabric", 4) + now("video0", 5) + now("decoder0", 6) + now("decoder1", 8) + now("display", 7)},
		{name: "both second instances", files: files{"D/pp_dpm_vclk": "0: 5Mhz *", "D/pp_dpm_vclk1": "0: 6Mhz", "D/pp_dpm_dclk": "0: 7Mhz"}, want: limits("video0", 5, 5) + limits("video1", 6, 6) + limits("decoder0", 7, 7) + now("video0", 5)},
		{name: "H before the list", files: files{"H/freq1_input": "9000000", "D/pp_dpm_sclk": "0: 1Mhz *\n1: 100Mhz"}, want: limits("graphics", 1, 100) + now("graphics", 9)},
		{name: "H 0 before the list: GFXOFF", files: files{"H/freq1_input": "0", "D/pp_dpm_sclk": "0: 1Mhz *\n1: 100Mhz"}, want: limits("graphics", 1, 100) + now("graphics", 0)},
		{name: "H blank lets the list in", files: files{"H/freq1_input": "\n", "D/pp_dpm_sclk": "0: 1Mhz *\n1: 100Mhz"}, want: limits("graphics", 1, 100) + now("graphics", 1)},
		{name: "H malformed does not", files: files{"H/freq1_input": "x", "D/pp_dpm_sclk": "0: 1Mhz *\n1: 100Mhz"}, want: limits("graphics", 1, 100), failed: "malformed"},
		{name: "H out of bounds does not", files: files{"H/freq1_input": "20000000001", "D/pp_dpm_sclk": "0: 1Mhz *\n1: 100Mhz"}, want: limits("graphics", 1, 100), rejected: "gpu_clock_hertz"},
		{name: "H beyond 64 bits does not", files: files{"H/freq1_input": "9223372036854775808", "D/pp_dpm_sclk": "0: 1Mhz *\n1: 100Mhz"}, want: limits("graphics", 1, 100), rejected: "gpu_clock_hertz"},
		{name: "0 in a list", files: files{"D/pp_dpm_sclk": "0: 0Mhz *\n1: 100Mhz"}, want: limit("graphics", "max", 100)},
		{name: "deep sleep", files: files{"D/pp_dpm_sclk": "S: 19Mhz *\n1: 100Mhz"}, want: limit("graphics", "max", 100) + now("graphics", 19)},
		{name: "a list that is blank", files: files{"D/pp_dpm_sclk": "\n"}},
		{name: "a list without a line that fits", files: files{"D/pp_dpm_sclk": "off"}},
		{name: "a list out of bounds", files: files{"D/pp_dpm_sclk": "0: 1Mhz\n1: 20001Mhz *"}, want: limit("graphics", "min", 1), rejected: "gpu_clock_hertz gpu_clock_limit_hertz"},

		{name: "G v1: current before average", files: files{"D/gpu_metrics": table("v1_3", fields{
			"current_gfxclk": 10, "average_gfxclk_frequency": 11, "current_socclk": 0, "average_socclk_frequency": 12, "average_uclk_frequency": 13,
			"current_vclk0": 14, "current_vclk1": 0, "average_vclk1_frequency": 15, "average_dclk0_frequency": 16, "current_dclk1": 17, "average_dclk1_frequency": 18,
		})}, want: now("graphics", 10) + now("soc", 12) + now("memory", 13) + now("video0", 14) + now("video1", 15) + now("decoder0", 16) + now("decoder1", 17)},
		{name: "G v1: both 0", files: files{"D/gpu_metrics": table("v1_3", fields{"current_gfxclk": 0, "average_gfxclk_frequency": 0})}},
		{name: "G v1: current out of bounds hides average", files: files{"D/gpu_metrics": table("v1_3", fields{"current_gfxclk": 60000, "average_gfxclk_frequency": 11})}, rejected: "gpu_clock_hertz"},
		{name: "H before G", files: files{"H/freq1_input": "9000000", "D/gpu_metrics": table("v1_3", fields{"current_gfxclk": 10})}, want: now("graphics", 9)},
		{name: "G v1_4", files: files{"H/freq1_input": "9000000", "D/gpu_metrics": table("v1_4", fields{
			"current_gfxclk[0]": 10, "current_gfxclk[7]": 11, "current_socclk[1]": 12, "current_vclk0[0]": 13, "current_dclk0[3]": 14, "current_uclk": 15,
		})}, want: now("graphics", 9) + now("graphics0", 10) + now("graphics7", 11) + now("soc1", 12) + now("video0", 13) + now("decoder3", 14) + now("memory", 15)},
		{name: "G v2", files: files{"D/gpu_metrics": table("v2_1", fields{
			"current_gfxclk": 10, "average_socclk_frequency": 11, "current_uclk": 0, "average_uclk_frequency": 12, "current_fclk": 13, "average_vclk_frequency": 14, "current_dclk": 15, "current_coreclk[0]": 99,
		})}, want: now("graphics", 10) + now("soc", 11) + now("memory", 12) + now("fabric", 13) + now("video", 14) + now("decoder", 15)},
		{name: "G v3", files: files{"D/gpu_metrics": table("v3_0", fields{
			"average_gfxclk_frequency": 10, "average_socclk_frequency": 11, "average_uclk_frequency": 12, "average_fclk_frequency": 13, "average_vclk_frequency": 14,
			"average_vpeclk_frequency": 15, "average_ipuclk_frequency": 16, "average_mpipu_frequency": 17, "current_gfx_maxfreq": 18, "current_core_maxfreq": 19,
		})}, want: now("graphics", 10) + now("soc", 11) + now("memory", 12) + now("fabric", 13) + now("video", 14) + now("vpe", 15) + now("npu", 16) + limit("graphics", "soft_max", 18)},

		// A field that is there but 0 or a sentinel keeps the list out: a gated clock does not run at the rate of the list.
		{name: "lists beside G v1: fabric and display only", files: lists.with(files{"D/gpu_metrics": table("v1_3", fields{"current_gfxclk": 0})}), want: allLimits("video0", "decoder0") + now("fabric", 4) + now("display", 7)},
		{name: "lists beside G v1_4", files: lists.with(files{"D/gpu_metrics": table("v1_4", nil)}), want: allLimits("video0", "decoder0") + now("fabric", 4) + now("display", 7)},
		{name: "lists beside G v2", files: lists.with(files{"D/gpu_metrics": table("v2_4", nil)}), want: allLimits("video", "decoder") + now("display", 7)},
		{name: "lists beside G v3", files: lists.with(files{"D/gpu_metrics": table("v3_0", nil)}), want: allLimits("video", "decoder") + now("decoder", 6) + now("display", 7)},
		{name: "lists beside G v1_9", files: lists.with(files{"D/gpu_metrics": attributeTable(attr("temperature_mem", u16, 0))}), want: allLimits("video0", "decoder0") + now("fabric", 4) + now("display", 7)},
		{name: "lists beside an empty G", files: lists.with(files{"D/gpu_metrics": ""}), want: allLimits("video", "decoder") +
			now("graphics", 1) + now("memory", 2) + now("soc", 3) + now("fabric", 4) + now("video", 5) + now("decoder", 6) + now("display", 7)},
		{name: "lists beside an unknown G", files: lists.with(files{"D/gpu_metrics": "\x08\x00\x09\x090000"}), want: allLimits("video", "decoder") +
			now("graphics", 1) + now("memory", 2) + now("soc", 3) + now("fabric", 4) + now("video", 5) + now("decoder", 6) + now("display", 7)},
		{name: "a malformed G hides them", files: lists.with(files{"D/gpu_metrics": "\x08\x00"}), want: allLimits("video", "decoder") + now("display", 7), failed: "malformed"},
		{name: "a G that cannot be read does too", files: lists.with(files{"D/gpu_metrics": aFolder}), want: allLimits("video", "decoder") + now("display", 7), failed: "io"},
		{name: "a G that is cut knows its version", files: lists.with(files{"D/gpu_metrics": table("v1_3", nil)[:60]}), want: allLimits("video0", "decoder0") + now("fabric", 4) + now("display", 7), failed: "malformed"},
	} {
		c.run(t)
	}
}

// Radeon and cards before GFX 9 have no labels and little else.
func TestRadeon(t *testing.T) {
	chain{name: "radeon", files: files{
		"D/uevent": "DRIVER=radeon\nPCI_ID=1002:6818\nPCI_SLOT_NAME=0000:03:00.0\n", "D/revision": "0x00",
		"H/name": "radeon", "H/temp1_input": "40000", "H/temp1_crit": "120000", "H/temp1_crit_hyst": "90000", "H/pwm1": "51", "H/pwm1_max": "255", "H/freq1_input": "300000000",
		"D/power_dpm_force_performance_level": "auto", "D/power_dpm_state": "balanced", "D/power_method": "dpm",
		"D/current_link_speed": "5.0 GT/s PCIe", "D/current_link_width": "16", "D/max_link_speed": "8.0 GT/s PCIe", "D/max_link_width": "16",
	}, want: `gpu_temperature_celsius{sensor="edge"} 40
		gpu_temperature_limit_celsius{sensor="edge",limit="critical"} 120
		gpu_fan_duty_ratio{fan="1"} 0.2
		gpu_clock_hertz{clock="graphics"} 3e+08
		gpu_mode_info{performance_level="auto"} 1
		gpu_pcie_link_transfers_per_second 5e+09
		gpu_pcie_link_width 16
		gpu_pcie_link_max_transfers_per_second 8e+09
		gpu_pcie_link_max_width 16`}.run(t)
}

// A limit that is told no more bounds nothing: what it was is forgotten with the read that does not tell it.
func TestLimitsThatAreToldNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := card(t, files{"D/mem_info_vram_total": "1000", "D/mem_info_vram_used": "900", "H/pwm1": "50", "H/pwm1_max": "100"})
		g := tr.start(tr.options(), nil)
		if got, want := g.look().samples(), lines(`gpu_memory_total_bytes{memory="vram"} 1000
			gpu_memory_used_bytes{memory="vram"} 900
			gpu_fan_duty_ratio{fan="1"} 0.5`); got != want {
			t.Errorf("at first:\n%s\nwant\n%s", got, want)
		}
		tr.write(files{"D/mem_info_vram_total": "\n", "D/mem_info_vram_used": "1100", "H/pwm1": "51", "H/pwm1_max": "\n"})
		time.Sleep(slowPace)
		l := g.look()
		if got, want := l.samples(), lines(`gpu_memory_used_bytes{memory="vram"} 1100
			gpu_fan_duty_ratio{fan="1"} 0.2`); got != want || len(l.rejected) > 0 {
			t.Errorf("later:\n%s\nrejected %q, want\n%s", got, l.rejected, want)
		}
	})
}
