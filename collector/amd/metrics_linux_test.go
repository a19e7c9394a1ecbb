package amd

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"gpu_exporter/collector"
)

// The rules of amd.md 6.1.
func TestTables(t *testing.T) {
	whole := table("v1_3", fields{"temperature_vrgfx": 34, "voltage_soc": 800, "indep_throttle_status": 0})
	const (
		vr    = `gpu_temperature_celsius{sensor="vr_graphics"} 34`
		volts = `gpu_voltage_volts{rail="soc"} 0.8`
	)
	with := func(g string) files { return files{"D/gpu_metrics": g} }
	zeros := string(bytes.Repeat([]byte{0}, 168-4))
	sockets := func(gfx, soc int64) string {
		return table("v3_0", fields{"temperature_gfx": gfx, "temperature_soc": soc, "average_socket_power": 5000})
	}
	const power = `gpu_power_average_watts{domain="package"} 5
		gpu_power_watts{domain="package"} 5`
	for _, c := range []chain{
		{name: "whole", files: with(whole), want: vr + "\n" + volts, of: "gpu_temperature gpu_voltage"},
		{name: "empty", files: with("")},
		{name: "blank is no table", files: with("\n\n\n"), failed: "malformed"},
		{name: "three bytes", files: with(whole[:3]), failed: "malformed"},
		{name: "size 0", files: with(sized(whole, 0)), failed: "malformed"},
		{name: "size below the header", files: with(sized(whole, 2)), failed: "malformed"},
		{name: "size above the bytes", files: with(sized(whole, 121)), failed: "malformed"},
		{name: "cut", files: with(whole[:100]), failed: "malformed"},
		{name: "longer", files: with(whole + "\x00\x00\x00\x00"), want: vr + "\n" + volts, of: "gpu_temperature gpu_voltage"},
		{name: "longer than its layout", files: with(sized(whole+"\x07\x07\x07\x07", 124)), want: vr + "\n" + volts, of: "gpu_temperature gpu_voltage"},
		{name: "as long as the buffer", files: with(whole + strings.Repeat("\x00", 1<<16-120)), failed: "malformed"},
		{name: "unknown content", files: with("\x08\x00\x01\x0a0000")},
		{name: "unknown format", files: with("\x08\x00\x04\x000000")},
		{name: "an older driver's table: what lies beyond is absent", files: with(sized(whole, 106)), want: vr + "\n" + volts},
		{name: "a field that is cut", files: with(sized(whole, 105)), want: vr},
		{name: "header alone", files: with(sized(whole, 4))},
		{name: "all sentinels", files: with(table("v1_3", nil))},
		{name: "an array that is cut", files: with(sized(table("v1_3", fields{"temperature_hbm[0]": 40}), 94))},

		// Formats 2 and 3: both temperatures 0 says that the firmware gave no table. Sentinels do not.
		{name: "v2_4 of zeros", files: with("\xa8\x00\x02\x04" + zeros)},
		{name: "v3_0 of zeros", files: with("\x08\x01\x03\x00" + zeros + strings.Repeat("\x00", 264-168))},
		{name: "v3, both temperatures 0", files: with(sockets(0, 0))},
		{name: "v3, one temperature 0", files: with(sockets(0, 3000)), want: `gpu_temperature_celsius{sensor="soc"} 30` + "\n" + power},
		{name: "v3, no temperatures", files: with(sockets(0xffff, 0xffff)), want: power},
		{name: "v3, one of them 0, the other none", files: with(sockets(0, 0xffff)), want: power},
		{name: "v2 that is cut before its temperatures", files: with(sized(table("v2_1", nil), 4))},
		{name: "v1 of zeros is a table", files: with("\x78\x00\x01\x03" + strings.Repeat("\x00", 116)), of: "gpu_util gpu_engine gpu_power_watts gpu_throttle_active", want: `gpu_utilization_ratio 0
			gpu_engine_utilization_ratio{engine="memory"} 0
			gpu_engine_utilization_ratio{engine="media"} 0
			gpu_power_watts{domain="package"} 0
			gpu_throttle_active{reason="power"} 0
			gpu_throttle_active{reason="current"} 0
			gpu_throttle_active{reason="thermal"} 0
			gpu_throttle_active{reason="voltage_regulator"} 0
			gpu_throttle_active{reason="prochot"} 0
			gpu_throttle_active{reason="reliability"} 0
			gpu_throttle_active{reason="other"} 0`},
	} {
		c.run(t)
	}
}

// A version that is not known is told once for each GPU.
func TestUnknownVersionIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	tr := card(t, files{"D/gpu_metrics": "\x08\x00\x09\x090000"})
	o := tr.options()
	o.Log = logTo(&log)
	g := tr.start(o, nil)
	for range 3 {
		g.look()
		tr.write(files{"D/new" + fmt.Sprint(log.Len()): "", "D/x" + fmt.Sprint(g.cycle().Seq): ""}) // the plan is made anew
		g.rescan()
	}
	if n := strings.Count(log.String(), "v9_9"); n != 1 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("%d lines name the version:\n%s", n, log.String())
	}
}

func TestThrottling(t *testing.T) {
	told := func(active string, reasons ...string) string {
		var b strings.Builder
		for _, r := range reasons {
			fmt.Fprintf(&b, "gpu_throttle_active{reason=%q} %d\n", r, btoi(slices.Contains(strings.Fields(active), r)))
		}
		return b.String()
	}
	seven := []string{"power", "current", "thermal", "voltage_regulator", "prochot", "reliability", "other"}
	five := []string{"power", "thermal", "voltage_regulator", "prochot", "other"}
	const of = "gpu_throttle"
	with := func(name string, f fields) files { return files{"D/gpu_metrics": table(name, f)} }
	for _, c := range []chain{
		{name: "nothing", of: of, files: with("v1_3", fields{"indep_throttle_status": 0}), want: told("", seven...)},
		{name: "PPT3 and hotspot", of: of, files: with("v1_3", fields{"indep_throttle_status": 1<<3 | 1<<36}), want: told("power thermal", seven...)},
		{name: "bits of all", of: of, files: with("v2_2", fields{"indep_throttle_status": 1<<7 | 1<<23 | 1<<43 | 1<<45 | 1<<47 | 1<<57 | 1<<8}), want: told(strings.Join(seven, " "), seven...)},
		{name: "bit 56 and the sign", of: of, files: with("v2_3", fields{"indep_throttle_status": -1<<63 | 1<<56}), want: told("other", seven...)},
		{name: "v2_4", of: of, files: with("v2_4", fields{"indep_throttle_status": 1 << 57}), want: told("reliability", seven...)},
		{name: "not told", of: of, files: with("v1_3", fields{"throttle_status": 1})},
		{name: "bits that differ by chip", of: of, files: with("v1_2", fields{"throttle_status": 1})},
		{name: "likewise of APUs", of: of, files: with("v2_1", fields{"throttle_status": 1})},
		{name: "MI300: prochot", of: of, files: with("v1_4", fields{"throttle_status": 1}), want: told("prochot", five...)},
		{name: "MI300: HBM and VR", of: of, files: with("v1_5", fields{"throttle_status": 1<<4 | 1<<3}), want: told("thermal voltage_regulator", five...)},
		{name: "MI300: power, socket, another", of: of, files: with("v1_5", fields{"throttle_status": 1<<1 | 1<<2 | 1<<20}), want: told("power thermal other", five...)},
		{name: "counters: nothing at the first reading", of: of, files: with("v1_6", fields{"accumulation_counter": 1, "ppt_residency_acc": 1})},
	} {
		c.run(t)
	}
}

// series of readings: the table of each, and what it gave of the families.
type step struct {
	table string
	want  string
}

func follow(t *testing.T, name, of string, steps []step) {
	t.Helper()
	tr := card(t, files{"D/gpu_metrics": steps[0].table})
	g := tr.start(tr.options(), nil)
	for i, s := range steps {
		if i > 0 {
			tr.write(files{"D/gpu_metrics": s.table})
		}
		if got, want := g.look().samples(strings.Fields(of)...), lines(s.want); got != want {
			t.Errorf("%s, reading %d: got\n%s\nwant\n%s", name, i, got, want)
		}
	}
}

// Residencies count firmware cycles: throttled is what rose since the last reading.
func TestResidencies(t *testing.T) {
	mi := func(clock, ppt, socket, hbm, vr, prochot int64) string {
		return table("v1_8", fields{
			"accumulation_counter": clock, "ppt_residency_acc": ppt, "socket_thm_residency_acc": socket, "hbm_thm_residency_acc": hbm,
			"vr_thm_residency_acc": vr, "prochot_residency_acc": prochot,
		})
	}
	told := func(power, thermal, vr, prochot int) string {
		return fmt.Sprintf(`gpu_throttle_active{reason="power"} %d
			gpu_throttle_active{reason="thermal"} %d
			gpu_throttle_active{reason="voltage_regulator"} %d
			gpu_throttle_active{reason="prochot"} %d`, power, thermal, vr, prochot)
	}
	butPower := func(told string) string { return strings.SplitN(told, "\n", 2)[1] }
	follow(t, "v1_8", "gpu_throttle", []step{
		{mi(100, 10, 10, 10, 10, 10), ""}, // needs two
		{mi(200, 10, 10, 10, 10, 10), told(0, 0, 0, 0)},
		{mi(300, 11, 10, 10, 10, 10), told(1, 0, 0, 0)},
		{mi(400, 11, 10, 12, 10, 10), told(0, 1, 0, 0)}, // one of two thermal ones
		{mi(500, 11, 13, 12, 11, 12), told(0, 1, 1, 1)},
		{mi(500, 99, 99, 99, 99, 99), ""},               // the clock stood still
		{mi(600, 99, 99, 99, 99, 99), told(0, 0, 0, 0)}, // since the last reading, not the last one that told
		{mi(50, 100, 100, 100, 100, 100), ""},           // went back
		{mi(60, 101, 100, 100, 100, 100), told(1, 0, 0, 0)},
		{mi(70, 5, 5, 5, 5, 5), told(0, 0, 0, 0)},                    // counters that fall did not rise
		{mi(80, 0xffffffff, 6, 6, 6, 6), butPower(told(0, 1, 1, 1))}, // one is not told
		{mi(90, 6, 6, 6, 6, 6), butPower(told(0, 0, 0, 0))},          // needs two again
		{mi(100, 7, 6, 6, 6, 6), told(1, 0, 0, 0)},
		{mi(0xffffffff, 8, 8, 8, 8, 8), ""}, // the clock is not told
		{mi(120, 9, 9, 9, 9, 9), ""},
		{mi(130, 9, 9, 9, 9, 10), told(0, 0, 0, 1)},
	})

	apu := func(temperature, prochot, spl, fppt, sppt, core, gfx, soc int64) string {
		return table("v3_0", fields{
			"temperature_gfx": temperature, "temperature_soc": temperature,
			"throttle_residency_prochot": prochot, "throttle_residency_spl": spl, "throttle_residency_fppt": fppt, "throttle_residency_sppt": sppt,
			"throttle_residency_thm_core": core, "throttle_residency_thm_gfx": gfx, "throttle_residency_thm_soc": soc,
		})
	}
	three := func(power, thermal, prochot int) string {
		return fmt.Sprintf(`gpu_throttle_active{reason="power"} %d
			gpu_throttle_active{reason="thermal"} %d
			gpu_throttle_active{reason="prochot"} %d`, power, thermal, prochot)
	}
	follow(t, "v3_0, which has no clock", "gpu_throttle", []step{
		{apu(3000, 1, 1, 1, 1, 1, 1, 1), ""},
		{apu(3000, 1, 1, 1, 1, 1, 1, 1), three(0, 0, 0)},
		{apu(3000, 1, 2, 1, 1, 1, 1, 1), three(1, 0, 0)},
		{apu(3000, 1, 2, 2, 1, 1, 1, 1), three(1, 0, 0)},
		{apu(3000, 1, 2, 2, 2, 1, 1, 2), three(1, 1, 0)},
		{apu(3000, 2, 2, 2, 2, 1, 2, 2), three(0, 1, 1)},
		{apu(3000, 2, 2, 2, 2, 2, 2, 2), three(0, 1, 0)},
		{apu(0, 9, 9, 9, 9, 9, 9, 9), ""}, // no table this time
		{apu(3000, 2, 2, 2, 2, 2, 2, 2), three(0, 0, 0)},
	})
}

func TestEnergy(t *testing.T) {
	const joules = `gpu_energy_joules_total{domain="package"} `
	pci := func(id string) string { return "DRIVER=amdgpu\nPCI_ID=1002:" + id + "\nPCI_SLOT_NAME=0000:03:00.0\n" }
	for _, c := range []struct {
		id, table string
		energy    int64
		want      string
	}{
		{"747E", "v1_3", 17691682, ""}, {"73BF", "v1_3", 17691682, ""}, {"73BF", "v1_1", 17691682, ""},
		{"7388", "v1_3", 98304, joules + "1.5"}, {"738C", "v1_1", 98304, joules + "1.5"}, {"738E", "v1_2", 98304, joules + "1.5"}, {"7390", "v1_3", 98304, joules + "1.5"},
		{"7408", "v1_3", 98304, joules + "1.5"}, {"740C", "v1_3", 98304, joules + "1.5"}, {"740F", "v1_3", 98304, joules + "1.5"}, {"7410", "v1_3", 98304, joules + "1.5"},
		{"740F", "v1_3", 0, ""}, {"738C", "v1_0", 98304, joules + "1.5"},
		{"747E", "v1_4", 98304, joules + "1.5"}, {"74A1", "v1_8", 98304, joules + "1.5"}, {"74A1", "v1_6", 0, ""},
	} {
		chain{name: c.id + " " + c.table, of: "gpu_energy", files: files{"D/uevent": pci(c.id), "D/gpu_metrics": table(c.table, fields{"energy_accumulator": c.energy})}, want: c.want}.run(t)
	}
}

// v1_6 exists without partitions too: what would be their number is padding then.
func TestShortV1_6(t *testing.T) {
	long := table("v1_6", fields{"num_partition": 2, "xcp_stats[0].gfx_busy_inst[0]": 10, "xcp_stats[1].vcn_busy[3]": 20, "pcie_lc_perf_other_end_recovery": 3, "curr_socket_power": 100})
	const power = `gpu_power_watts{domain="package"} 100
		`
	of := "gpu_power_watts gpu_partition gpu_pcie_errors"
	more := files{"D/current_compute_partition": "TPX"}
	for _, c := range []chain{
		{name: "with partitions", of: of, files: more.with(files{"D/gpu_metrics": long}), want: power + `gpu_partition_info{partition="0",kind="xcp",profile="TPX"} 1
			gpu_partition_info{partition="1",kind="xcp",profile="TPX"} 1
			gpu_partition_utilization_ratio{partition="0",engine="graphics0"} 0.1
			gpu_partition_utilization_ratio{partition="1",engine="media3"} 0.2
			gpu_pcie_errors_total{kind="other_end_recovery"} 3`},
		{name: "312 bytes", of: of, files: more.with(files{"D/gpu_metrics": sized(long, 312)}), want: power + `gpu_partition_info{partition="0",kind="xcp",profile="TPX"} 1
			gpu_partition_info{partition="1",kind="xcp",profile="TPX"} 1
			gpu_partition_info{partition="2",kind="xcp",profile="TPX"} 1`},
		{name: "cut within the partitions", of: of, files: more.with(files{"D/gpu_metrics": sized(long, 1655)}), want: power + `gpu_partition_info{partition="0",kind="xcp",profile="TPX"} 1
			gpu_partition_info{partition="1",kind="xcp",profile="TPX"} 1
			gpu_partition_info{partition="2",kind="xcp",profile="TPX"} 1`},
	} {
		c.run(t)
	}
}

func TestPartitions(t *testing.T) {
	info := func(n int, profile string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "gpu_partition_info{partition=\"%d\",kind=\"xcp\",profile=%q} 1\n", i, profile)
		}
		return b.String()
	}
	const of = "gpu_partition"
	mode := func(compute, memory string) files {
		return files{"D/current_compute_partition": compute, "D/current_memory_partition": memory}
	}
	g := func(n int64) files { return files{"D/gpu_metrics": table("v1_8", fields{"num_partition": n})} }
	for _, c := range []chain{
		{name: "SPX", of: of, files: mode("SPX\n", "NPS1\n"), want: info(1, "SPX/NPS1")},
		{name: "DPX", of: of, files: mode("DPX", "NPS2"), want: info(2, "DPX/NPS2")},
		{name: "TPX", of: of, files: mode("TPX", noFile), want: info(3, "TPX")},
		{name: "QPX", of: of, files: mode("QPX", "\n"), want: info(4, "QPX")},
		{name: "CPX alone: number not known", of: of, files: mode("CPX", "NPS4")},
		{name: "CPX", of: of, files: mode("CPX", "NPS4").with(g(8)), want: info(8, "CPX/NPS4")},
		{name: "the number of G before that of the mode", of: of, files: mode("QPX", "NPS1").with(g(2)), want: info(2, "QPX/NPS1")},
		{name: "G does not tell it", of: of, files: mode("DPX", "NPS1").with(g(0xffff)), want: info(2, "DPX/NPS1")},
		{name: "a malformed G hides it", of: of, files: mode("DPX", "NPS1").with(files{"D/gpu_metrics": "\x01"}), failed: "malformed"},
		{name: "unknown mode", of: of, files: mode("UNKNOWN", "NPS1").with(g(2))},
		{name: "unknown memory mode", of: of, files: mode("SPX", "UNKNOWN"), want: info(1, "SPX")},
		{name: "memory mode alone", of: of, files: mode(noFile, "NPS1").with(g(2))},
		{name: "mode unreadable", of: of, files: mode(aFolder, "NPS1").with(g(2)), failed: "io"},
		{name: "load, of partitions that there are", of: of, files: mode("SPX", noFile).with(files{"D/gpu_metrics": table("v1_8", fields{
			"num_partition": 2, "xcp_stats[0].gfx_busy_inst[0]": 1, "xcp_stats[1].jpeg_busy[39]": 2, "xcp_stats[1].vcn_busy[1]": 3, "xcp_stats[2].gfx_busy_inst[0]": 4,
		})}), want: info(2, "SPX") + `gpu_partition_utilization_ratio{partition="0",engine="graphics0"} 0.01
			gpu_partition_utilization_ratio{partition="1",engine="jpeg39"} 0.02
			gpu_partition_utilization_ratio{partition="1",engine="media1"} 0.03`},
	} {
		c.run(t)
	}
}

// A change of the mode makes other series, at the pace of the slow group.
func TestPartitionsThatChange(t *testing.T) {
	tr := card(t, files{"D/current_compute_partition": "SPX", "D/gpu_metrics": table("v1_8", fields{"num_partition": 1})})
	g := tr.start(tr.options(), nil)
	g.look()
	tr.write(files{"D/gpu_metrics": table("v1_8", fields{"num_partition": 2})})
	if got, want := g.look().samples("gpu_partition"), lines(`gpu_partition_info{partition="0",kind="xcp",profile="SPX"} 1
		gpu_partition_info{partition="1",kind="xcp",profile="SPX"} 1`); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestXGMI(t *testing.T) {
	const of = "gpu_link"
	f := fields{
		"xgmi_link_width": 16, "xgmi_link_speed": 32,
		"xgmi_link_status[0]": 1, "xgmi_link_status[1]": 0, "xgmi_link_status[2]": 2, "xgmi_link_status[3]": 1,
		"xgmi_read_data_acc[0]": 3, "xgmi_write_data_acc[0]": 0, "xgmi_read_data_acc[7]": 1 << 50,
	}
	const links = `gpu_link_up{link="0",kind="xgmi"} 1
		gpu_link_up{link="1",kind="xgmi"} 0
		gpu_link_up{link="3",kind="xgmi"} 1
		`
	const data = `gpu_link_bytes_total{link="0",kind="xgmi",direction="read"} 3072
		gpu_link_bytes_total{link="0",kind="xgmi",direction="write"} 0
		gpu_link_bytes_total{link="7",kind="xgmi",direction="read"} 1.152921504606847e+18
		`
	const width = `gpu_link_width{link="0",kind="xgmi"} 16
		gpu_link_width{link="3",kind="xgmi"} 16
		`
	const speed = `gpu_link_speed_bytes_per_second{link="0",kind="xgmi"} 6.4e+10
		gpu_link_speed_bytes_per_second{link="3",kind="xgmi"} 6.4e+10`
	without := func(name string, v int64) string {
		g := maps.Clone(f)
		g[name] = v
		return table("v1_7", g)
	}
	plain := maps.Clone(f)
	maps.DeleteFunc(plain, func(name string, _ int64) bool { return strings.HasPrefix(name, "xgmi_link_status") })
	for _, c := range []chain{
		{name: "v1_7", of: of, files: files{"D/gpu_metrics": table("v1_7", f)}, want: links + data + width + speed},
		{name: "no speed", of: of, files: files{"D/gpu_metrics": without("xgmi_link_speed", 0)}, want: links + data + width},
		{name: "no width: no speed either", of: of, files: files{"D/gpu_metrics": without("xgmi_link_width", 0xffff)}, want: links + data},
		{name: "before v1_7 there is no status", of: of, files: files{"D/gpu_metrics": table("v1_5", plain)}, want: data},
		{name: "out of bounds", of: of, files: files{"D/gpu_metrics": table("v1_7", fields{"xgmi_read_data_acc[0]": 1 << 54, "xgmi_write_data_acc[0]": -2})}, rejected: "gpu_link_bytes_total gpu_link_bytes_total"},
	} {
		c.run(t)
	}
}

func TestPCIeCountersOfTables(t *testing.T) {
	f := fields{
		"pcie_replay_count_acc": 1, "pcie_nak_sent_count_acc": 2, "pcie_nak_rcvd_count_acc": 3, "pcie_l0_to_recov_count_acc": 4,
		"pcie_replay_rover_count_acc": 0, "pcie_lc_perf_other_end_recovery": 5,
	}
	errs := `gpu_pcie_errors_total{kind="nak_sent"} 2
		gpu_pcie_errors_total{kind="nak_received"} 3
		gpu_pcie_errors_total{kind="l0_to_recovery"} 4
		gpu_pcie_errors_total{kind="replay_rollover"} 0
		gpu_pcie_errors_total{kind="other_end_recovery"} 5
		`
	const of = "gpu_pcie_errors gpu_pcie_replays"
	for _, c := range []chain{
		{name: "G", of: of, files: files{"D/gpu_metrics": table("v1_7", f)}, want: errs + "gpu_pcie_replays_total 1"},
		{name: "D before G", of: of, files: files{"D/gpu_metrics": table("v1_7", f), "D/pcie_replay_count": "9"}, want: errs + "gpu_pcie_replays_total 9"},
		{name: "D blank", of: of, files: files{"D/gpu_metrics": table("v1_7", f), "D/pcie_replay_count": ""}, want: errs + "gpu_pcie_replays_total 1"},
		{name: "D malformed", of: of, files: files{"D/gpu_metrics": table("v1_7", f), "D/pcie_replay_count": "x"}, want: errs, failed: "malformed"},
		{name: "beyond 63 bits", of: of, files: files{"D/gpu_metrics": table("v1_7", fields{"pcie_replay_count_acc": -2})}, rejected: "gpu_pcie_replays_total"},
	} {
		c.run(t)
	}
}

// Attribute lists (v1_9).
func TestAttributeTables(t *testing.T) {
	const of = "gpu_temperature gpu_clock gpu_engine gpu_power_watts gpu_memory gpu_energy gpu_link_up"
	for _, c := range []chain{
		{name: "numbers and arrays", of: of, files: files{"D/gpu_metrics": attributeTable(
			attr("temperature_hotspot", u16, 45), attr("temperature_mem", u16, 0xffff), attr("temperature_vrsoc", s16, -5), attr("curr_socket_power", u16, 750),
			attr("mem_max_bandwidth", u64, 5325), attr("energy_accumulator", u64, 98304), attr("current_gfxclk", u16, 100, 0xffff, 0, 400), attr("current_uclk", u16, 1300, 1400),
			attr("gfx_busy_inst", u32, 1, 2), attr("vcn_busy", u16, 3), attr("jpeg_busy", u16, 4, 0xffff, 6), attr("temperature_hbm", u16, 50, 51),
		)}, want: `gpu_temperature_celsius{sensor="hotspot"} 45
			gpu_temperature_celsius{sensor="vr_soc"} -5
			gpu_temperature_celsius{sensor="hbm0"} 50
			gpu_temperature_celsius{sensor="hbm1"} 51
			gpu_power_watts{domain="package"} 750
			gpu_memory_bandwidth_bytes_per_second{direction="max"} 5.325e+12
			gpu_energy_joules_total{domain="package"} 1.5
			gpu_clock_hertz{clock="graphics0"} 1e+08
			gpu_clock_hertz{clock="graphics3"} 4e+08
			gpu_clock_hertz{clock="memory"} 1.3e+09
			gpu_engine_utilization_ratio{engine="graphics0"} 0.01
			gpu_engine_utilization_ratio{engine="graphics1"} 0.02
			gpu_engine_utilization_ratio{engine="media0"} 0.03
			gpu_engine_utilization_ratio{engine="jpeg0"} 0.04
			gpu_engine_utilization_ratio{engine="jpeg2"} 0.06`},
		{name: "ids that are not known", of: of, files: files{"D/gpu_metrics": attributeTable(attribute{49, u64, []int64{1, 2}}, attribute{1023, u8, []int64{3}}, attr("temperature_hotspot", u8, 45))}, want: `gpu_temperature_celsius{sensor="hotspot"} 45`},
		{name: "a type above 7 ends it", of: of, files: files{"D/gpu_metrics": attributeTable(attr("temperature_hotspot", u8, 45), attribute{1, 9, nil}, attr("curr_socket_power", u16, 1))}, want: `gpu_temperature_celsius{sensor="hotspot"} 45`},
		{name: "cut", of: of, files: files{"D/gpu_metrics": sized(attributeTable(attr("temperature_hotspot", u8, 45), attr("current_gfxclk", u16, 1, 2)), 20)}, failed: "malformed"},
		{name: "no list", of: of, files: files{"D/gpu_metrics": "\x04\x00\x01\x09"}, failed: "malformed"},
		{name: "an empty list", of: of, files: files{"D/gpu_metrics": attributeTable()}},
		{name: "widths", of: of, files: files{"D/gpu_metrics": attributeTable(attr("temperature_hotspot", u8, 45), attr("temperature_mem", s32, 46), attr("temperature_vrsoc", s64, 47), attr("average_gfx_activity", s8, 1), attr("curr_socket_power", u64, -1))}, want: `gpu_temperature_celsius{sensor="hotspot"} 45
			gpu_temperature_celsius{sensor="memory"} 46
			gpu_temperature_celsius{sensor="vr_soc"} 47`},
		{name: "less than no partitions", of: of, files: files{"D/gpu_metrics": attributeTable(attr("num_partition", s16, -1), attr("temperature_hotspot", u8, 45))}, want: `gpu_temperature_celsius{sensor="hotspot"} 45`},
		{name: "link states", of: of, files: files{"D/gpu_metrics": attributeTable(attr("xgmi_link_status", s16, 1, 0, 2, -1))}, want: `gpu_link_up{link="0",kind="xgmi"} 1
			gpu_link_up{link="1",kind="xgmi"} 0`, rejected: "gpu_link_up"},
	} {
		c.run(t)
	}
}

// Offsets may move from one reading to the next; the series stay the same.
func TestAttributesThatMove(t *testing.T) {
	first := attributeTable(attr("temperature_hotspot", u16, 45), attr("current_gfxclk", u16, 100, 200))
	moved := attributeTable(attr("curr_socket_power", u32, 700), attr("current_gfxclk", u16, 101, 201), attr("temperature_hotspot", u64, 46))
	tr := card(t, files{"D/gpu_metrics": first})
	g := tr.start(tr.options(), nil)
	pointers := func(samples []collector.Sample) map[string]*collector.Series {
		m := map[string]*collector.Series{}
		for _, s := range samples {
			m[seriesName(s.S)] = s.S
		}
		return m
	}
	before := pointers(g.look().Samples)
	tr.write(files{"D/gpu_metrics": moved})
	l := g.look()
	if got, want := l.samples(), lines(`gpu_power_watts{domain="package"} 700
		gpu_clock_hertz{clock="graphics0"} 1.01e+08
		gpu_clock_hertz{clock="graphics1"} 2.01e+08
		gpu_temperature_celsius{sensor="hotspot"} 46`); got != want {
		t.Errorf("after the move:\n%s\nwant\n%s", got, want)
	}
	for name, s := range pointers(l.Samples) {
		if was, ok := before[name]; ok && was != s {
			t.Errorf("%s is another series than before", name)
		}
	}
	tr.write(files{"D/gpu_metrics": first[:len(first)-1]})
	if l := g.look(); l.State != collector.StatePartial || l.samples() != "" {
		t.Errorf("cut: state %v, samples %q", l.State, l.samples())
	}
	tr.write(files{"D/gpu_metrics": first})
	if l := g.look(); l.State != collector.StateOK || len(l.Samples) != 3 {
		t.Errorf("whole again: state %v, samples %q", l.State, l.samples())
	}
}

// What the plan settled stands until the next rescan: one bad table renames no series.
func TestOneBadTableRenamesNothing(t *testing.T) {
	lists := files{"D/pp_dpm_vclk": "0: 5Mhz *\n1: 50Mhz", "D/pp_dpm_fclk": "0: 4Mhz *\n1: 40Mhz"}
	const limits = `gpu_clock_limit_hertz{clock="video0",limit="min"} 5e+06
		gpu_clock_limit_hertz{clock="video0",limit="max"} 5e+07
		gpu_clock_limit_hertz{clock="fabric",limit="min"} 4e+06
		gpu_clock_limit_hertz{clock="fabric",limit="max"} 4e+07
		gpu_clock_hertz{clock="fabric"} 4e+06`
	tr := card(t, lists.with(files{"D/gpu_metrics": table("v1_3", nil)}))
	g := tr.start(tr.options(), nil)
	g.look()
	for _, g1 := range []string{table("v1_3", nil), "", "\x01", table("v2_4", fields{"current_fclk": 7}), "\x08\x00\x09\x090000", table("v1_3", nil)} {
		tr.write(files{"D/gpu_metrics": g1})
		if got, want := g.look().samples(), lines(limits); got != want {
			t.Errorf("table %.4q: got\n%s\nwant\n%s", g1, got, want)
		}
	}
	tr.write(files{"D/gpu_metrics": table("v2_4", fields{"current_fclk": 7, "temperature_soc": 3000})})
	g.look()
	g.rescan()
	if got, want := g.look().samples(), lines(strings.NewReplacer("video0", "video", "4e+06", "4e+06").Replace(strings.Replace(limits, `gpu_clock_hertz{clock="fabric"} 4e+06`, `gpu_clock_hertz{clock="fabric"} 7e+06`, 1))+"\n"+`gpu_temperature_celsius{sensor="soc"} 30`); got != want {
		t.Errorf("after the rescan: got\n%s\nwant\n%s", got, want)
	}

	// A table that comes after the plan waits for the rescan too.
	tr = card(t, lists.with(files{"D/gpu_metrics": ""}))
	g = tr.start(tr.options(), nil)
	before := g.look().samples()
	tr.write(files{"D/gpu_metrics": table("v1_3", fields{"temperature_vrgfx": 34})})
	if got := g.look().samples(); got != before {
		t.Errorf("before the rescan: %s", got)
	}
	g.rescan()
	if got, want := g.look().samples(), lines(limits+"\n"+`gpu_temperature_celsius{sensor="vr_graphics"} 34`); got != want {
		t.Errorf("after the rescan: got\n%s\nwant\n%s", got, want)
	}
}

// Every quantity at its bound and just beyond it.
func TestBoundsOfReadings(t *testing.T) {
	g := func(name string, f fields) files { return files{"D/gpu_metrics": table(name, f)} }
	h := func(name, value string) files { return files{"H/" + name: value} }
	d := func(name, value string) files { return files{"D/" + name: value} }
	in := func(label, value string) files { return files{"H/in0_input": value, "H/in0_label": label} }
	for _, c := range []struct {
		quantity       string
		inside, beyond files
	}{
		{"gpu_temperature_celsius", h("temp1_input", "150000"), h("temp1_input", "150001")},
		{"gpu_temperature_celsius", h("temp1_input", "-40000"), h("temp1_input", "-40001")},
		{"gpu_temperature_celsius", g("v1_3", fields{"temperature_mem": 150}), g("v1_3", fields{"temperature_mem": 151})},
		{"gpu_temperature_limit_celsius", files{"H/temp1_input": "0", "H/temp1_crit": "200000"}, files{"H/temp1_input": "0", "H/temp1_crit": "200001"}},
		{"gpu_voltage_volts", in("vddgfx", "3000"), in("vddgfx", "3001")},
		{"gpu_voltage_volts", in("vddgfx", "1"), in("vddgfx", "-1")},
		{"gpu_voltage_volts", in("vddboard", "60000"), in("vddboard", "60001")},
		{"gpu_power_watts", h("power1_input", "3000000000"), h("power1_input", "3000000001")},
		{"gpu_power_watts", h("power1_input", "0"), h("power1_input", "-1")},
		{"gpu_power_limit_watts", h("power1_cap", "3000000000"), h("power1_cap", "3000000001")},
		{"gpu_power_limit_watts", h("power1_cap_min", "0"), h("power1_cap_min", "-1")},
		{"gpu_power_limit_watts", h("power1_cap", "1"), h("power1_cap", "-1")},
		{"gpu_utilization_ratio", d("gpu_busy_percent", "100"), d("gpu_busy_percent", "101")},
		{"gpu_utilization_ratio", d("gpu_busy_percent", "0"), d("gpu_busy_percent", "-1")},
		{"gpu_engine_utilization_ratio", d("mem_busy_percent", "100"), d("mem_busy_percent", "101")},
		{"gpu_engine_utilization_ratio", g("v1_4", fields{"vcn_activity[2]": 100}), g("v1_4", fields{"vcn_activity[2]": 101})},
		{"gpu_clock_hertz", h("freq1_input", "20000000000"), h("freq1_input", "20000000001")},
		{"gpu_clock_hertz", h("freq1_input", "0"), h("freq1_input", "-1")},
		{"gpu_clock_hertz", g("v1_3", fields{"current_uclk": 20000}), g("v1_3", fields{"current_uclk": 20001})},
		{"gpu_fan_speed_rpm", h("fan1_input", "30000"), h("fan1_input", "30001")},
		{"gpu_fan_min_rpm", h("fan1_min", "0"), h("fan1_min", "-1")},
		{"gpu_fan_max_rpm", h("fan1_max", "30000"), h("fan1_max", "30001")},
		{"gpu_fan_target_rpm", h("fan1_target", "30000"), h("fan1_target", "30001")},
		{"gpu_fan_duty_ratio", h("pwm1", "255"), h("pwm1", "256")},
		{"gpu_fan_duty_ratio", h("pwm1", "0"), h("pwm1", "-1")},
		{"gpu_memory_total_bytes", d("mem_info_vram_total", "70368744177664"), d("mem_info_vram_total", "70368744177665")},
		{"gpu_memory_used_bytes", d("mem_info_vram_used", "70368744177664"), d("mem_info_vram_used", "70368744177665")},
		{"gpu_memory_used_bytes", d("mem_info_vram_used", "0"), d("mem_info_vram_used", "-1")},
		{"gpu_memory_bandwidth_bytes_per_second", g("v1_7", fields{"mem_max_bandwidth": 1000000}), g("v1_7", fields{"mem_max_bandwidth": 1000001})},
		{"gpu_pcie_replays_total", d("pcie_replay_count", "9223372036854775807"), d("pcie_replay_count", "9223372036854775808")},
		{"gpu_pcie_replays_total", d("pcie_replay_count", "0"), d("pcie_replay_count", "-1")},
		{"gpu_pcie_errors_total", d("aer_dev_fatal", "TOTAL_ERR_FATAL 9223372036854775807"), d("aer_dev_fatal", "TOTAL_ERR_FATAL 9223372036854775808")},
		{"gpu_ecc_errors_total", d("ras/umc_err_count", "ue: 9223372036854775807"), d("ras/umc_err_count", "ue: 9223372036854775808")},
		{"gpu_ecc_errors_total", d("ras/umc_err_count", "ue: 0"), d("ras/umc_err_count", "ue: -1")},
		{"gpu_energy_joules_total", g("v1_4", fields{"energy_accumulator": 1<<63 - 1}), g("v1_4", fields{"energy_accumulator": -2})},
	} {
		if l := read(t, c.inside); l.samples(c.quantity) == "" || len(l.rejected) > 0 || l.State != collector.StateOK {
			t.Errorf("%s of %q: samples %q, rejected %q", c.quantity, c.inside, l.samples(), l.rejected)
		}
		if l := read(t, c.beyond); l.samples() != "" || fmt.Sprint(l.rejected) != "["+c.quantity+"]" || l.State != collector.StateOK || !l.Up {
			t.Errorf("%s of %q: samples %q, rejected %q, state %v", c.quantity, c.beyond, l.samples(), l.rejected, l.State)
		}
	}
}
