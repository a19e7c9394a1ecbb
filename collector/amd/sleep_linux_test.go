package amd

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
)

func TestRuntimeStatus(t *testing.T) {
	const awakeLook = `ok true gpu_utilization_ratio 0.07 []`
	for _, c := range []struct{ status, want string }{
		{"active\n", awakeLook}, {"unsupported\n", awakeLook}, {"error\n", awakeLook},
		{"", awakeLook}, {"\n", awakeLook}, {noFile, awakeLook},
		{"suspended\n", "asleep true  []"}, {"suspending\n", "asleep true  []"}, {"resuming\n", "asleep true  []"},
		// It may be asleep: nothing else is read.
		{"dozing\n", "partial false  [malformed]"}, {"ACTIVE", "partial false  [malformed]"},
		{strings.Repeat("active", 1000), "partial false  [malformed]"},
		{aFolder, "partial false  [io]"}, {aLoop, "partial false  [io]"},
	} {
		l := read(t, files{"D/power/runtime_status": c.status, "D/gpu_busy_percent": "7"})
		if got := fmt.Sprintf("%v %v %s %v", l.State, l.Up, l.samples(), l.failed); got != c.want {
			t.Errorf("runtime_status %.20q: %s, want %s", c.status, got, c.want)
		}
	}
}

// everything is a tree with all sorts of files that amd.md names, those that are never read too.
var everything = files{
	"D/device": "0x747e", "D/class": "0x030000", "D/subsystem_vendor": "0x1002", "D/subsystem_device": "0x0b31",
	"D/vbios_version": "113-EXT", "D/unique_id": "0123456789abcdef", "D/product_name": "", "D/product_number": "",
	"D/serial_number": "1", "D/gpu_metrics": table("v1_3", fields{"temperature_vrgfx": 34}),
	"D/power/runtime_status": "active", "D/power/control": "auto", "D/power/autosuspend_delay_ms": "5000",
	"D/gpu_busy_percent": "7", "D/mem_busy_percent": "8", "D/vcn_busy_percent": "9", "D/pcie_bw": "1 2 256",
	"D/mem_info_vram_total": "17163091968", "D/mem_info_vram_used": "1", "D/mem_info_vis_vram_total": "17163091968",
	"D/mem_info_vis_vram_used": "1", "D/mem_info_gtt_total": "17163091968", "D/mem_info_gtt_used": "1",
	"D/mem_info_preempt_used": "0", "D/mem_info_vram_vendor": "samsung",
	"D/pp_dpm_sclk": "0: 500Mhz *\n1: 2254Mhz", "D/pp_dpm_mclk": "0: 96Mhz *\n1: 1219Mhz", "D/pp_dpm_socclk": "0: 506Mhz *",
	"D/pp_dpm_fclk": "0: 800Mhz *", "D/pp_dpm_dcefclk": "0: 600Mhz *", "D/pp_dpm_vclk": "0: 500Mhz *", "D/pp_dpm_dclk": "0: 500Mhz *",
	"D/pp_dpm_pcie": "0: 16.0GT/s, x16 *", "D/pp_od_clk_voltage": "OD_SCLK:", "D/pp_features": "x", "D/pp_power_profile_mode": "0 VIDEO*:",
	"D/power_dpm_force_performance_level": "auto", "D/power_dpm_state": "performance",
	"D/current_link_speed": "16.0 GT/s PCIe", "D/current_link_width": "16", "D/max_link_speed": "16.0 GT/s PCIe", "D/max_link_width": "16",
	"D/pcie_replay_count": "0", "D/aer_dev_correctable": "TOTAL_ERR_COR 0", "D/aer_dev_nonfatal": "TOTAL_ERR_NONFATAL 0", "D/aer_dev_fatal": "TOTAL_ERR_FATAL 0",
	"D/ras/features": "feature mask: 0x1", "D/ras/umc_err_count": "ue: 0\nce: 0", "D/ras/gpu_vram_bad_pages": "",
	"D/fw_version/smc_fw_version": "0x00501d00", "D/current_compute_partition": "SPX", "D/current_memory_partition": "NPS1",
	"D/gpu_od/fan_ctrl/fan_curve": "x", "D/smartshift_apu_power": "1", "D/thermal_throttling_logging": "x", "D/board/x": "1",
	"H/temp1_input": "24000", "H/temp1_label": "edge", "H/temp1_crit": "100000", "H/temp1_crit_hyst": "-273150", "H/temp1_emergency": "105000",
	"H/in0_input": "985", "H/in0_label": "vddgfx", "H/freq1_input": "2011000000", "H/freq1_label": "sclk",
	"H/power1_average": "32000000", "H/power1_input": "33000000", "H/power1_cap": "236000000", "H/power1_label": "PPT",
	"H/fan1_input": "0", "H/fan1_max": "3300", "H/fan1_min": "0", "H/fan1_target": "0", "H/fan1_enable": "0",
	"H/pwm1": "0", "H/pwm1_max": "255", "H/pwm1_min": "0", "H/pwm1_enable": "2",
	"class/drm/card1-DP-1/enabled": "enabled", "class/drm/card1-DP-1/status": "disconnected", "class/drm/card1-DP-1/edid": "x",
	"class/drm/card1-Writeback-1/enabled": "enabled",
}

// What never wakes a card (amd.md section 3). Of a sleeping one nothing else may even be opened.
func neverWakes(path string) bool {
	const dir = "sys/class/drm/card1/device/"
	name := strings.TrimPrefix(path, dir)
	return strings.HasPrefix(name, "power/") || strings.HasPrefix(name, "subsystem_") || strings.HasPrefix(path, "proc/") ||
		strings.HasPrefix(path, "sys/module/") || slices.Contains([]string{
		"uevent", "vendor", "device", "revision", "class", "vbios_version", "unique_id", "product_name", "product_number", "hwmon/hwmon4/name",
	}, name)
}

func TestASleepingCardIsLeftAlone(t *testing.T) {
	for _, status := range []string{"suspended", "suspending", "resuming", "dozing"} {
		tr := card(t, everything.with(files{"D/power/runtime_status": status, "module/amdgpu/version": "6", "proc/sys/kernel/osrelease": "6"}))
		w := watchTree(t, tr.root)
		o := tr.options()
		o.Firmware = true
		g := tr.start(o, nil)
		for range 3 {
			g.look()
			g.rescan()
		}
		opened, _ := w.take()
		for _, path := range opened {
			if !neverWakes(path) {
				t.Errorf("%s: %s was opened", status, path)
			}
		}
		if !slices.Contains(opened, "sys/class/drm/card1/device/power/runtime_status") {
			t.Errorf("%s: runtime_status was not read: the watch does not work", status)
		}
	}
}

// Falling asleep closes nothing and reads nothing; waking up reads on.
func TestACardThatFallsAsleep(t *testing.T) {
	tr := card(t, everything)
	g := tr.start(tr.options(), nil)
	awake := g.look()
	if awake.State != collector.StateOK || len(awake.Samples) == 0 {
		t.Fatalf("awake: %v", awake.State)
	}
	w := watchTree(t, tr.root)
	tr.write(files{"D/power/runtime_status": "suspended"})
	w.take()
	l := g.look()
	_, read := w.take()
	if l.State != collector.StateAsleep || !l.Up || l.samples() != "" || !slices.Equal(read, []string{"sys/class/drm/card1/device/power/runtime_status"}) {
		t.Errorf("asleep: state %v, up %v, samples %q, read %q", l.State, l.Up, l.samples(), read)
	}
	tr.write(files{"D/power/runtime_status": "active"})
	if l := g.look(); l.State != collector.StateOK || l.samples() != awake.samples() {
		t.Errorf("awake again: %v, samples\n%s\nwant\n%s", l.State, l.samples(), awake.samples())
	}
}

// Before anything else runtime_status is read, then gpu_metrics, then the others; what amd.md names as not read is not.
func TestOrderOfReads(t *testing.T) {
	tr := card(t, everything)
	o := tr.options()
	o.Firmware = true
	w := watchTree(t, tr.root)
	g := tr.start(o, nil)
	g.look()
	opened, first := w.take()
	first = first[max(0, slices.Index(first, "sys/class/drm/card1/device/power/runtime_status")):] // after the discovery
	g.look()
	opened2, second := w.take()
	const dir = "sys/class/drm/card1/device/"
	for _, read := range [][]string{first, second} {
		if len(read) < 3 || read[0] != dir+"power/runtime_status" || read[1] != dir+"gpu_metrics" {
			t.Fatalf("read first %q, want runtime_status and gpu_metrics", read[:min(3, len(read))])
		}
		if n := count(read, dir+"gpu_metrics"); n != 1 {
			t.Errorf("gpu_metrics was read %d times in one cycle: twice in a row, Van Gogh gives zeros", n)
		}
	}
	for _, never := range []string{
		"pcie_bw", "serial_number", "pp_od_clk_voltage", "pp_features", "mem_info_preempt_used", "mem_info_vram_vendor", "gpu_od/fan_ctrl/fan_curve",
		"smartshift_apu_power", "thermal_throttling_logging", "board/x", "power_dpm_state",
		"hwmon/hwmon4/temp1_crit_hyst", "hwmon/hwmon4/pwm1_enable", "hwmon/hwmon4/fan1_enable", "hwmon/hwmon4/power1_label", "hwmon/hwmon4/pwm1_min",
		"current_link_speed", "max_link_width", // the link inside the card
	} {
		if slices.Contains(opened, dir+never) {
			t.Errorf("%s was opened", never)
		}
	}
	if len(opened2) > 0 {
		t.Errorf("the second cycle opens %q: files are to stay open", opened2)
	}
	for _, path := range second {
		if n := count(second, path); n != 1 {
			t.Errorf("%s was read %d times in one cycle", path, n)
		}
	}
	for path := range everything {
		name := filepath.Join("sys", strings.TrimPrefix(tr.path(path), tr.sys()))
		if slow(path) && slices.Contains(second, name) {
			t.Errorf("%s, a limit or setting, was read in the second cycle", path)
		}
	}
}

func count(list []string, s string) (n int) {
	for _, e := range list {
		if e == s {
			n++
		}
	}
	return n
}

// slow says whether a file is of the slow group.
func slow(path string) bool {
	name := filepath.Base(path)
	for _, pattern := range []string{
		"temp*_crit", "temp*_emergency", "power*_cap*", "fan1_min", "fan1_max", "pwm1_max", "mem_info_*_total", "max_link_*",
		"power_dpm_force_performance_level", "pp_power_profile_mode", "pcie_replay_count", "aer_dev_*", "current_compute_partition",
		"current_memory_partition", "enabled", "status", "control",
		"pp_dpm_sclk", "pp_dpm_mclk", "pp_dpm_socclk", "pp_dpm_vclk", "pp_dpm_dclk", // gpu_metrics has their clock
	} {
		if ok, _ := filepath.Match(pattern, name); ok {
			return true
		}
	}
	return strings.HasPrefix(path, "D/ras/") || strings.HasPrefix(path, "D/fw_version/")
}

// The example of amd.md 5.4: 16 files a cycle.
func TestFilesOfACycle(t *testing.T) {
	tr := card(t, navi32)
	g := tr.start(tr.options(), nil)
	g.look()
	w := watchTree(t, tr.root)
	g.look()
	if _, read := w.take(); len(read) != 16 {
		t.Errorf("a cycle reads %d files, want 16: %q", len(read), read)
	}
}

// navi32 has the files of a Radeon RX 7800 XT that are read.
var navi32 = files{
	"D/power/runtime_status": "active\n", "D/power/control": "on\n",
	"D/gpu_metrics": table("v1_3", fields{
		"temperature_edge": 24, "temperature_hotspot": 31, "temperature_mem": 50, "temperature_vrgfx": 34, "temperature_vrsoc": 35, "temperature_vrmem": 36,
		"average_gfx_activity": 24, "average_umc_activity": 3, "average_mm_activity": 0, "average_socket_power": 32, "energy_accumulator": 0,
		"average_gfxclk_frequency": 70, "average_uclk_frequency": 96, "average_vclk0_frequency": 20, "average_dclk0_frequency": 20,
		"current_gfxclk": 77, "current_socclk": 506, "current_uclk": 97, "current_vclk0": 25, "current_dclk0": 25, "current_vclk1": 26, "current_dclk1": 26,
		"pcie_link_width": 16, "pcie_link_speed": 160, "voltage_soc": 0, "voltage_gfx": 985, "voltage_mem": 0, "indep_throttle_status": 0,
	}),
	"D/gpu_busy_percent": "2\n", "D/mem_info_vram_total": "17163091968\n", "D/mem_info_vram_used": "1048576000\n",
	"D/mem_info_vis_vram_total": "17163091968\n", "D/mem_info_vis_vram_used": "1048576000\n",
	"D/mem_info_gtt_total": "16699949056\n", "D/mem_info_gtt_used": "62914560\n",
	"D/pp_dpm_sclk": "0: 500Mhz \n1: 77Mhz *\n2: 2254Mhz \n", "D/pp_dpm_mclk": "0: 96Mhz *\n1: 456Mhz \n2: 772Mhz \n3: 1219Mhz \n",
	"D/pp_dpm_socclk": "0: 506Mhz *\n1: 1132Mhz \n", "D/pp_dpm_pcie": "0: 2.5GT/s, x8 310Mhz \n1: 16.0GT/s, x16 619Mhz *\n",
	"D/pp_power_profile_mode":             "PROFILE_INDEX(NAME) CLOCK_TYPE(NAME) FPS\n 0 BOOTUP_DEFAULT*:\n",
	"D/power_dpm_force_performance_level": "auto\n", "D/pcie_replay_count": "0\n",
	"H/temp1_input": "24000\n", "H/temp1_label": "edge\n", "H/temp1_crit": "100000\n", "H/temp1_emergency": "105000\n",
	"H/temp2_input": "31000\n", "H/temp2_label": "junction\n", "H/temp2_crit": "110000\n", "H/temp2_emergency": "115000\n",
	"H/temp3_input": "50000\n", "H/temp3_label": "mem\n", "H/temp3_crit": "108000\n", "H/temp3_emergency": "113000\n",
	"H/in0_input": "985\n", "H/in0_label": "vddgfx\n",
	"H/freq1_input": "2011000000\n", "H/freq1_label": "sclk\n", "H/freq2_input": "97000000\n", "H/freq2_label": "mclk\n",
	"H/power1_average": "32000000\n", "H/power1_cap": "236000000\n", "H/power1_cap_max": "271000000\n", "H/power1_cap_min": "0\n", "H/power1_cap_default": "236000000\n",
	"H/fan1_input": "1000\n", "H/fan1_max": "3300\n", "H/fan1_min": "0\n", "H/fan1_target": "1000\n", "H/pwm1": "89\n", "H/pwm1_max": "255\n",
}

// event is what a device answered from a second on.
func events(t *testing.T, d collector.Device, seconds int, each func(second int)) (list []string) {
	t.Helper()
	var r collector.Reading
	last := ""
	for second := range seconds {
		if each != nil {
			each(second)
		}
		r.Reset()
		now := "read"
		switch err := d.Read(t.Context(), &r); {
		case errors.Is(err, collector.ErrResting):
			now = "pause"
		case errors.Is(err, collector.ErrAsleep):
			now = "asleep"
		case err != nil:
			t.Fatal(err)
		}
		if now != last {
			list = append(list, fmt.Sprintf("%d %s", second, now))
		}
		last = now
		time.Sleep(time.Second)
	}
	return list
}

// laptop is an idle card that the driver may suspend.
var laptop = files{
	"D/power/runtime_status": "active", "D/power/control": "auto", "D/power/autosuspend_delay_ms": "5000",
	"D/gpu_busy_percent": "0", "class/drm/card1-eDP-1/status": "disconnected",
}

func TestAnIdleCardIsLeftAlone(t *testing.T) {
	const never = "0 read"
	// 30 s without load, then a pause of 5 + 2 s; the next ones 60, 120, 240, 480, 480 s after the end of the last. The read
	// with which a pause begins is a second before the first cycle in it.
	for _, c := range []struct {
		name    string
		files   files
		seconds int
		each    func(tr tree, second int)
		want    string
	}{
		{"no load", nil, 1900, nil, "0 read,31 pause,37 read,98 pause,104 read,225 pause,231 read,472 pause,478 read,959 pause,965 read,1446 pause,1452 read"},
		{"load not told", files{"D/gpu_busy_percent": noFile}, 40, nil, "0 read,31 pause,37 read"},
		{"load blank", files{"D/gpu_busy_percent": "\n"}, 40, nil, "0 read,31 pause,37 read"},
		{"load by gpu_metrics", files{"D/gpu_busy_percent": noFile, "D/gpu_metrics": table("v1_3", fields{"average_gfx_activity": 1})}, 200, nil, never},
		{"no load by gpu_metrics", files{"D/gpu_busy_percent": noFile, "D/gpu_metrics": table("v1_3", fields{"average_gfx_activity": 0})}, 40, nil, "0 read,31 pause,37 read"},
		{"a short delay of the driver", files{"D/power/autosuspend_delay_ms": "1000"}, 40, nil, "0 read,31 pause,33 read"},
		{"delay unknown", files{"D/power/autosuspend_delay_ms": noFile}, 40, nil, "0 read,31 pause,37 read"},
		{"the driver never suspends by a delay", files{"D/power/autosuspend_delay_ms": "-1"}, 200, nil, never},

		{"load", files{"D/gpu_busy_percent": "1"}, 200, nil, never},
		{"load from time to time", nil, 200, func(tr tree, second int) {
			if second%25 == 0 {
				tr.write(files{"D/gpu_busy_percent": "3"})
			} else if second%25 == 1 {
				tr.write(files{"D/gpu_busy_percent": "0"})
			}
		}, never},
		{"a load begins the steps anew", nil, 420, func(tr tree, second int) {
			switch second {
			case 240:
				tr.write(files{"D/gpu_busy_percent": "3"})
			case 241:
				tr.write(files{"D/gpu_busy_percent": "0"})
			}
		}, "0 read,31 pause,37 read,98 pause,104 read,225 pause,231 read,272 pause,278 read,339 pause,345 read"},
		{"it falls asleep in a pause", nil, 120, func(tr tree, second int) {
			switch second {
			case 35:
				tr.write(files{"D/power/runtime_status": "suspended"})
			case 60:
				tr.write(files{"D/power/runtime_status": "active"})
			}
		}, "0 read,31 pause,35 asleep,60 read,91 pause,97 read"},

		{"control on", files{"D/power/control": "on"}, 200, nil, never},
		{"no control", files{"D/power/control": noFile}, 200, nil, never},
		{"runtime power management unsupported", files{"D/power/runtime_status": "unsupported"}, 200, nil, never},
		{"status error", files{"D/power/runtime_status": "error"}, 200, nil, never},
		{"status missing", files{"D/power/runtime_status": noFile}, 200, nil, never},
		{"display connected", files{"class/drm/card1-DP-1/status": "connected"}, 200, nil, never},
		{"display of another card connected", files{"class/drm/card10-DP-1/status": "connected", "class/drm/card2-DP-1/status": "connected"}, 40, nil, "0 read,31 pause,37 read"},
		{"connectors unknown", files{"class/drm/card1-DP-1/status": "unknown"}, 40, nil, "0 read,31 pause,37 read"},
		{"no connectors", files{"class/drm/card1-eDP-1/status": noFile}, 40, nil, "0 read,31 pause,37 read"},
		{"display connected later", nil, 200, func(tr tree, second int) {
			if second == 15 {
				tr.write(files{"class/drm/card1-eDP-1/status": "connected"})
			}
		}, never},
		{"control set to on later", nil, 200, func(tr tree, second int) {
			if second == 40 {
				tr.write(files{"D/power/control": "on"})
			}
		}, "0 read,31 pause,37 read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := card(t, laptop.with(c.files))
				var each func(int)
				if c.each != nil {
					each = func(second int) { c.each(tr, second) }
				}
				if got := strings.Join(events(t, tr.device(), c.seconds, each), ","); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// In a pause nothing but runtime_status is read, and the last reading is served as long as its age allows.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := card(t, laptop.with(files{"D/power/autosuspend_delay_ms": "20000", "H/temp1_input": "24000"}))
		g := tr.start(tr.options(), nil)
		w := watchTree(t, tr.root)
		for range 31 {
			g.look()
			time.Sleep(time.Second)
		}
		w.take()
		for second := range 4 {
			l := g.look()
			opened, read := w.take()
			if len(opened) > 0 || !slices.Equal(read, []string{"sys/class/drm/card1/device/power/runtime_status"}) {
				t.Errorf("in the pause %q were opened and %q read", opened, read)
			}
			// The last reading was made a second before the first of these.
			if old := second >= 3; l.State != collector.StateOK || !l.Up || old != (l.samples() == "") || len(l.failed) > 0 {
				t.Errorf("second %d of the pause: state %v, up %v, samples %q", second, l.State, l.Up, l.samples())
			}
			time.Sleep(time.Second)
		}
	})
}

// A read that is refused because the card fell asleep since the cycle began is no failure.
func TestRefusedRead(t *testing.T) {
	for _, c := range []struct {
		errno, status string
		asleep        bool
		failure       bool
	}{
		{"EPERM", "suspended", true, false}, {"EPERM", "suspending", true, false}, {"EPERM", "active", false, true},
		{"EBUSY", "suspended", true, false}, {"EBUSY", "active", false, true}, {"EPERM", "unsupported", false, true},
		{"EPERM", aFolder, false, true}, {"EIO", "suspended", false, true}, {"EACCES", "suspended", false, true},
		{"EINVAL", "suspended", false, false}, {"ENOENT", "suspended", false, false},
	} {
		tr := card(t, files{"D/power/runtime_status": "active", "D/gpu_busy_percent": "7"})
		d := tr.device()
		var r collector.Reading
		tr.must(d.Read(t.Context(), &r))
		tr.write(files{"D/power/runtime_status": c.status})
		d.status.Close()
		r.Reset()
		err := d.plan.failed(&r, "gpu_busy_percent", errnos[c.errno], []*collector.Series{d.plan.load})
		if errors.Is(err, collector.ErrAsleep) != c.asleep || err != nil && !c.asleep || r.Failed() != c.failure || r.Closed(d.plan.load) != c.failure {
			t.Errorf("%s while %.10q: %v, failed %v, closed %v", c.errno, c.status, err, r.Failed(), r.Closed(d.plan.load))
		}
	}
}
