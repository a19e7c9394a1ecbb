//go:build linux

package amd

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// cards are trees of which a read is measured.
var cards = []struct {
	name  string
	files files
}{
	{"navi32", navi32},
	{"everything", everything},
	{"apu", apu},
	{"instinct", instinct},
	{"attributes", files{"D/gpu_metrics": attributeTable(
		attr("temperature_hotspot", u16, 45), attr("accumulation_counter", u32, 1), attr("ppt_residency_acc", u32, 1),
		attr("current_gfxclk", u16, 100, 200, 300, 400, 500, 600, 700, 800), attr("xgmi_link_status", u16, 1, 1, 1, 1, 1, 1, 1, 0),
		attr("xgmi_link_width", u16, 16), attr("xgmi_link_speed", u16, 32), attr("num_partition", u16, 1),
	)}},
}

// apu has the files of a laptop's APU.
var apu = files{
	"D/power/runtime_status": "active", "D/power/control": "on", "D/gpu_busy_percent": "7", "D/vcn_busy_percent": "0",
	"D/gpu_metrics": table("v3_0", fields{
		"temperature_gfx": 4537, "temperature_soc": 4400, "temperature_skin": 3700, "average_gfx_activity": 7, "average_vcn_activity": 0,
		"average_dram_reads": 100, "average_dram_writes": 50, "average_socket_power": 9000, "average_gfx_power": 1000, "average_all_core_power": 3000,
		"average_gfxclk_frequency": 800, "average_socclk_frequency": 1000, "average_uclk_frequency": 1000, "average_fclk_frequency": 1800,
		"throttle_residency_prochot": 1, "throttle_residency_spl": 1, "throttle_residency_fppt": 1, "throttle_residency_sppt": 1,
		"throttle_residency_thm_core": 1, "throttle_residency_thm_gfx": 1, "throttle_residency_thm_soc": 1,
	}),
	"D/mem_info_vram_total": "536870912", "D/mem_info_vram_used": "400000000", "D/mem_info_gtt_total": "16699949056", "D/mem_info_gtt_used": "1000000000",
	"D/pp_dpm_sclk": "0: 800Mhz *\n1: 2900Mhz", "D/pp_dpm_dclk": "0: 400Mhz *\n1: 1000Mhz", "D/power_dpm_force_performance_level": "auto",
	"H/temp1_input": "45000", "H/temp1_label": "edge", "H/in0_input": "800", "H/in0_label": "vddgfx", "H/in1_input": "700", "H/in1_label": "vddnb",
	"H/power1_input": "9000000", "H/freq1_input": "800000000", "H/freq1_label": "sclk",
	"class/drm/card1-eDP-1/enabled": "enabled", "class/drm/card1-eDP-1/status": "connected",
}

// instinct has the files of an MI300X.
var instinct = files{
	"D/uevent": "DRIVER=amdgpu\nPCI_ID=1002:74A1\nPCI_SLOT_NAME=0000:05:00.0\n", "D/power/runtime_status": "unsupported",
	"D/gpu_metrics": table("v1_8", fields{
		"temperature_hotspot": 45, "temperature_mem": 40, "temperature_vrsoc": 42, "curr_socket_power": 140, "average_gfx_activity": 0, "average_umc_activity": 0,
		"mem_max_bandwidth": 5325, "energy_accumulator": 123456789, "accumulation_counter": 5, "ppt_residency_acc": 5, "prochot_residency_acc": 0,
		"pcie_link_width": 16, "pcie_link_speed": 320, "xgmi_link_width": 16, "xgmi_link_speed": 32, "xgmi_link_status[0]": 1, "xgmi_link_status[1]": 0,
		"xgmi_read_data_acc[0]": 1, "xgmi_write_data_acc[0]": 2, "current_gfxclk[0]": 132, "current_socclk[0]": 28, "current_uclk": 900,
		"num_partition": 1, "xcp_stats[0].gfx_busy_inst[0]": 0, "xcp_stats[0].vcn_busy[0]": 0,
	}),
	"D/mem_info_vram_total": "206141652992", "D/mem_info_vram_used": "300000000", "D/current_compute_partition": "SPX", "D/current_memory_partition": "NPS1",
	"D/ras/features": "feature mask: 0x7fff", "D/ras/umc_err_count": "ue: 0\nce: 0\nde: 0", "D/ras/gfx_err_count": "ue: 0\nce: 0", "D/ras/gpu_vram_bad_pages": "",
	"H/temp2_input": "45000", "H/temp2_label": "junction", "H/temp3_input": "40000", "H/temp3_label": "mem", "H/power1_input": "140000000", "H/power1_cap": "750000000",
}

// settled is a device in its steady state.
func settled(tb testing.TB, f files) (tree, *device, *collector.Reading) {
	tb.Helper()
	tr := card(tb, f)
	d, r := tr.device(), &collector.Reading{}
	for range 3 { // the third reading is like all that follow
		r.Reset()
		tr.must(d.Read(tb.Context(), r))
	}
	return tr, d, r
}

// An awake card is read without allocation, limits and settings too.
func TestReadAllocatesNothing(t *testing.T) {
	for _, c := range cards {
		_, d, r := settled(t, c.files)
		for _, slow := range []bool{false, true} {
			if slow {
				d.plan.slow.Every = time.Nanosecond // due at each read
				for range 2 {
					r.Reset()
					if err := d.Read(t.Context(), r); err != nil {
						t.Fatal(err)
					}
				}
			}
			if n := testing.AllocsPerRun(100, func() {
				r.Reset()
				if err := d.Read(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s, slow group each time %v: a read allocates %v times", c.name, slow, n)
			}
		}
	}
}

// reading is one read of a settled card.
func reading(tb testing.TB, f files) func() {
	_, d, r := settled(tb, f)
	return func() {
		r.Reset()
		if err := d.Read(tb.Context(), r); err != nil {
			tb.Fatal(err)
		}
	}
}

// barePreads reads the files that one cycle reads, and does nothing with them.
func barePreads(tb testing.TB, f files) func() {
	tr, d, r := settled(tb, f)
	w := watchTree(tb, tr.root)
	r.Reset()
	tr.must(d.Read(tb.Context(), r))
	_, read := w.take()
	tr.must(syscall.Close(w.fd)) // whoever watches slows down reads
	w.fd = -1
	var open []int
	for _, path := range read {
		fd, err := syscall.Open(filepath.Join(tr.root, path), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		tr.must(err)
		tb.Cleanup(func() { _ = syscall.Close(fd) })
		open = append(open, fd)
	}
	buf := make([]byte, 64<<10)
	return func() {
		for _, fd := range open {
			if n, err := syscall.Pread(fd, buf, 0); n < 0 || err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// What a read costs beyond the system calls that it makes is BenchmarkRead against BenchmarkBarePread.
func BenchmarkRead(b *testing.B) { eachCard(b, reading) }

func BenchmarkBarePread(b *testing.B) { eachCard(b, barePreads) }

func eachCard(b *testing.B, step func(testing.TB, files) func()) {
	for _, c := range cards {
		b.Run(c.name, func(b *testing.B) {
			once := step(b, c.files)
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}
