package amd

import (
	"fmt"
	"strings"
	"testing"
)

func TestErrorCounts(t *testing.T) {
	ecc := func(block, severity string, n int) string {
		return fmt.Sprintf("gpu_ecc_errors_total{block=%q,severity=%q,scope=\"volatile\"} %d\n", block, severity, n)
	}
	pcie := func(kind string, n int) string {
		return fmt.Sprintf("gpu_pcie_errors_total{kind=%q} %d\n", kind, n)
	}
	for _, c := range []chain{
		{name: "two lines", files: files{"D/ras/umc_err_count": "ue: 1\nce: 2\n"}, want: ecc("umc", "uncorrected", 1) + ecc("umc", "corrected", 2)},
		{name: "three lines, in any order", files: files{"D/ras/gfx_err_count": "de: 3\n ce: 0\nue:4"}, want: ecc("gfx", "uncorrected", 4) + ecc("gfx", "corrected", 0) + ecc("gfx", "deferred", 3)},
		{name: "one line", files: files{"D/ras/sdma_err_count": "ce: 5"}, want: ecc("sdma", "corrected", 5)},
		{name: "blocks in lower case", files: files{"D/ras/PCIE_BIF_err_count": "ue: 6", "D/ras/xgmi_wafl_err_count": "ue: 0"}, want: ecc("pcie_bif", "uncorrected", 6) + ecc("xgmi_wafl", "uncorrected", 0)},
		{name: "a reset runs", files: files{"D/ras/umc_err_count": "Query currently inaccessible\n"}},
		{name: "blank", files: files{"D/ras/umc_err_count": "\n"}},
		{name: "nothing that is known", files: files{"D/ras/umc_err_count": "errors: 5"}, failed: "malformed"},
		{name: "no number", files: files{"D/ras/umc_err_count": "ue: 1\nce: many"}, want: ecc("umc", "uncorrected", 1), failed: "malformed"},
		{name: "out of bounds, that line alone", files: files{"D/ras/umc_err_count": "ue: 1\nce: -2\nde: 3"}, want: ecc("umc", "uncorrected", 1) + ecc("umc", "deferred", 3), rejected: "gpu_ecc_errors_total"},
		{name: "beyond 64 bits, that line alone", files: files{"D/ras/umc_err_count": "ue: 18446744073709551616\nce: 2\nde: 3"}, want: ecc("umc", "corrected", 2) + ecc("umc", "deferred", 3), rejected: "gpu_ecc_errors_total"},
		{name: "beyond 64 bits, alone", files: files{"D/ras/umc_err_count": "ue: 18446744073709551616"}, rejected: "gpu_ecc_errors_total"},
		{name: "other files of the folder", files: files{"D/ras/umc_err_inject": "ue: 1", "D/ras/_err_count": "ue: 1", "D/ras/version": "1", "D/ras/schema": "1", "D/ras/event_state": "x"}},

		{name: "ECC on", files: files{"D/ras/features": "feature mask: 0x7fff\n"}, want: "gpu_ecc_enabled 1"},
		{name: "ECC off", files: files{"D/ras/features": "feature mask: 0x7ffe"}, want: "gpu_ecc_enabled 0"},
		{name: "features with more lines", files: files{"D/ras/features": "feature mask: 0x1\numc: multi_uncorrectable\n"}, want: "gpu_ecc_enabled 1"},
		{name: "features blank", files: files{"D/ras/features": "\n"}},
		{name: "features in another form", files: files{"D/ras/features": "mask 7fff"}, failed: "malformed"},
		{name: "features without a number", files: files{"D/ras/features": "feature mask: 0x"}, failed: "malformed"},
		{name: "no folder", files: files{"D/vbios_version": "x"}},

		{name: "PCIe", files: files{
			"D/pcie_replay_count": "7\n", "D/aer_dev_correctable": "RxErr 1\nBadTLP 2\nTOTAL_ERR_COR 3\n",
			"D/aer_dev_nonfatal": "Undefined 0\nTOTAL_ERR_NONFATAL 0\n", "D/aer_dev_fatal": "TOTAL_ERR_FATAL 1",
		}, want: "gpu_pcie_replays_total 7\n" + pcie("correctable", 3) + pcie("nonfatal", 0) + pcie("fatal", 1)},
		{name: "another line that begins so", files: files{"D/aer_dev_correctable": "TOTAL_ERR_CORRECTED 3\n"}},
		{name: "blank counts", files: files{"D/pcie_replay_count": "\n", "D/aer_dev_correctable": "\n"}},
		{name: "count that is none", files: files{"D/aer_dev_fatal": "TOTAL_ERR_FATAL x", "D/aer_dev_nonfatal": "TOTAL_ERR_NONFATAL 0"}, want: pcie("nonfatal", 0), failed: "malformed"},
	} {
		c.run(t)
	}
}

func TestBadPages(t *testing.T) {
	pages := func(retired, pending, unreservable int) string {
		return fmt.Sprintf(`gpu_bad_pages{kind="retired"} %d
			gpu_bad_pages{kind="pending"} %d
			gpu_bad_pages{kind="unreservable"} %d`, retired, pending, unreservable)
	}
	list := func(n int, letters string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "0x%08x : 0x00001000 : %c\n", i, letters[i%len(letters)])
		}
		return b.String()
	}
	for _, c := range []chain{
		{name: "none", files: files{"D/ras/gpu_vram_bad_pages": ""}, want: pages(0, 0, 0)},
		{name: "each kind", files: files{"D/ras/gpu_vram_bad_pages": list(6, "RRRPPF")}, want: pages(3, 2, 1)},
		{name: "longer than a page of memory", files: files{"D/ras/gpu_vram_bad_pages": list(300, "RP")}, want: pages(150, 150, 0)},
		{name: "longer than the buffer", files: files{"D/ras/gpu_vram_bad_pages": list(30000, "RPF")}, want: pages(10000, 10000, 10000)},
		{name: "last line without an end", files: files{"D/ras/gpu_vram_bad_pages": strings.TrimSuffix(list(3, "R"), "\n")}, want: pages(3, 0, 0)},
		{name: "spaces and NUL at the end of lines", files: files{"D/ras/gpu_vram_bad_pages": "0x1 : 0x1000 : R \n0x2 : 0x1000 : P\x00\t\n\n\x00"}, want: pages(1, 1, 0)},
		{name: "another letter", files: files{"D/ras/gpu_vram_bad_pages": "0x1 : 0x1000 : X\n"}, want: pages(0, 0, 0)},
		{name: "longer than any", files: files{"D/ras/gpu_vram_bad_pages": list(180000, "R")}, failed: "malformed"},
		{name: "missing", files: files{"D/ras/features": "feature mask: 0x1"}, want: "gpu_ecc_enabled 1"},
		{name: "unreadable", files: files{"D/ras/gpu_vram_bad_pages": aFolder}, failed: "io"},
	} {
		c.run(t)
	}
}

func TestModes(t *testing.T) {
	for _, c := range []chain{
		{name: "both", files: files{"D/power_dpm_force_performance_level": "manual\n", "D/pp_power_profile_mode": " 1 3D_FULL_SCREEN *:\n"}, want: `gpu_mode_info{performance_level="manual",power_profile="3d_full_screen"} 1`},
		{name: "level", files: files{"D/power_dpm_force_performance_level": "auto", "D/pp_power_profile_mode": " 1 3D_FULL_SCREEN \n"}, want: `gpu_mode_info{performance_level="auto"} 1`},
		{name: "profile", files: files{"D/power_dpm_force_performance_level": "unknown", "D/pp_power_profile_mode": "0 CUSTOM*:"}, want: `gpu_mode_info{power_profile="custom"} 1`},
		{name: "neither", files: files{"D/power_dpm_force_performance_level": "unknown", "D/pp_power_profile_mode": "\n"}},
		{name: "no files", files: files{"D/vbios_version": "x"}},
		{name: "one fails", files: files{"D/power_dpm_force_performance_level": aFolder, "D/pp_power_profile_mode": "0 CUSTOM*:"}, want: `gpu_mode_info{power_profile="custom"} 1`, failed: "io"},
	} {
		c.run(t)
	}
}

func TestDisplay(t *testing.T) {
	enabled := func(list files) files {
		all := files{}
		for name, text := range list {
			all["class/drm/"+name+"/enabled"] = text
		}
		return all
	}
	for _, c := range []chain{
		{name: "one enabled", files: enabled(files{"card1-DP-1": "disabled\n", "card1-HDMI-A-1": "enabled\n"}), want: "gpu_display_active 1"},
		{name: "all disabled", files: enabled(files{"card1-DP-1": "disabled", "card1-DP-2": "disabled"}), want: "gpu_display_active 0"},
		{name: "no connectors", files: files{"D/vbios_version": "x"}},
		{name: "of another card", files: enabled(files{"card10-DP-1": "enabled", "card2-DP-1": "enabled", "card1-DP-1": "disabled"}), want: "gpu_display_active 0"},
		{name: "of another card alone", files: enabled(files{"card10-DP-1": "enabled"})},
		{name: "Writeback does not count", files: enabled(files{"card1-Writeback-1": "enabled", "card1-DP-1": "disabled"}), want: "gpu_display_active 0"},
		{name: "Writeback alone", files: enabled(files{"card1-Writeback-1": "disabled"})},
		{name: "a word that is not known", files: enabled(files{"card1-DP-1": "maybe", "card1-DP-2": "disabled"})},
		{name: "one fails, another is enabled", files: enabled(files{"card1-DP-1": aFolder, "card1-DP-2": "enabled"}), want: "gpu_display_active 1", failed: "io"},
		{name: "one fails, the others are disabled", files: enabled(files{"card1-DP-1": aFolder, "card1-DP-2": "disabled"}), failed: "io"},
	} {
		c.run(t)
	}
}

func TestFirmware(t *testing.T) {
	tr := card(t, files{
		"D/fw_version/smc_fw_version": "0x00501d00\n", "D/fw_version/vcn_fw_version": "0x00000000\n", "D/fw_version/mec_fw_version": "\n",
		"D/fw_version/me_fw_version": "33", "D/fw_version/_fw_version": "1", "D/fw_version/other": "1", "D/gpu_busy_percent": "1",
	})
	if l := tr.start(tr.options(), nil).look(); l.samples() != "gpu_utilization_ratio 0.01" {
		t.Errorf("without the flag: %s", l.samples())
	}
	o := tr.options()
	o.Firmware = true
	if got, want := tr.start(o, nil).look().samples("gpu_firmware"), lines(`gpu_firmware_info{component="me",version="33"} 1
		gpu_firmware_info{component="smc",version="0x00501d00"} 1`); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A mode that changes makes another series, one that does not keeps it.
func TestInfosThatChange(t *testing.T) {
	i := info{}
	a, b := i.of("x", "y"), i.of("x", "y")
	if a != b {
		t.Error("the same values make another series")
	}
	if c := i.of("x", "z"); c == a || c.Values[1] != "z" || a.Values[1] != "y" {
		t.Errorf("other values: %v, was %v", c, a)
	}
}
