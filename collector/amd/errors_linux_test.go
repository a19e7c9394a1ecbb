package amd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

var errnos = map[string]syscall.Errno{
	"EPERM": syscall.EPERM, "EBUSY": syscall.EBUSY, "EIO": syscall.EIO, "EACCES": syscall.EACCES, "EINVAL": syscall.EINVAL, "ENOENT": syscall.ENOENT,
}

// fileThatFails is the path of a file that exists on Linux and whose read gives an errno; the test is skipped where none does.
func fileThatFails(t *testing.T, errno syscall.Errno) string {
	t.Helper()
	for _, path := range []string{"/proc/self/mem", "/sys/class/net/lo/speed", "/proc/self/attr/current", "/dev/fuse"} {
		f := sysfs.NewFile(path)
		_, err := f.ReadRaw(make([]byte, sysfs.TextSize))
		f.Close()
		if err == errno {
			return path
		}
	}
	t.Skipf("no file here gives %v", errno)
	return ""
}

// What an error of a read means: for the reading, and for the sources further down.
func TestErrorsOfAFile(t *testing.T) {
	const fallback = "gpu_utilization_ratio 0.24"
	for _, c := range []struct {
		name, content string
		errno         syscall.Errno // of a file that is linked in place of content
		state, failed string
		samples       string
	}{
		{"missing", noFile, 0, "ok", "[]", fallback},
		{"blank", "\n", 0, "ok", "[]", fallback},
		{"NUL bytes", "\x00\x00\n", 0, "ok", "[]", fallback},
		{"EINVAL: the chip does not tell it", "", syscall.EINVAL, "ok", "[]", fallback},
		// An error hides what comes after it: a value of less trust is not to stand in for a fault.
		{"EIO", "", syscall.EIO, "partial", "[io]", ""},
		{"EPERM while awake", "", syscall.EPERM, "partial", "[io]", ""},
		{"EISDIR, as any other", aFolder, 0, "partial", "[io]", ""},
		{"ELOOP, as any other", aLoop, 0, "partial", "[io]", ""},
		{"malformed", "N/A", 0, "partial", "[malformed]", ""},
		{"too long", strings.Repeat("1", sysfs.TextSize), 0, "partial", "[malformed]", ""},
		{"out of bounds", "655", 0, "ok", "[]", ""},
		{"too large for 64 bits", "18446744073709551616", 0, "ok", "[]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.errno != 0 {
				c.content = "-> " + fileThatFails(t, c.errno)
			}
			l := read(t, files{"D/gpu_busy_percent": c.content, "D/gpu_metrics": table("v1_3", fields{"average_gfx_activity": 24}), "H/temp1_input": "24000"})
			want := lines(c.samples + "\n" + `gpu_temperature_celsius{sensor="edge"} 24`)
			if got := fmt.Sprint(l.failed); l.State.String() != c.state || !l.Up || got != c.failed || l.samples() != want {
				t.Errorf("state %v, up %v, failures %s, samples %q; want %s, %s, %q", l.State, l.Up, got, l.samples(), c.state, c.failed, want)
			}
			if rejected := c.state == "ok" && c.samples == ""; slices.Equal(l.rejected, []string{"gpu_utilization_ratio"}) != rejected {
				t.Errorf("rejected %q", l.rejected)
			}
			if c.failed != "[]" && (len(l.Failures) != 1 || !strings.HasSuffix(l.Failures[0].Source, "/gpu_busy_percent")) {
				t.Errorf("failures %v do not name the file", l.Failures)
			}
		})
	}
}

// withoutRights reads as who has no special rights, as permission bits do not bind root. (Rights of files go by the
// thread.)
type withoutRights struct{ collector.Device }

func (w withoutRights) Read(ctx context.Context, r *collector.Reading) error {
	const nobody = 65534
	if os.Getuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(nobody); err != nil {
			return err
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	return w.Device.Read(ctx, r)
}

// A right that is missing costs its own samples, and only as long as it is missing.
func TestMissingRights(t *testing.T) {
	tr := card(t, files{
		"D/gpu_busy_percent": noRights, "H/temp1_input": "24000", "H/power1_cap": noRights, "D/gpu_metrics": noRights,
		"H/temp2_input": "31000", "H/temp2_label": noRights, "D/ras/umc_err_count": noRights,
	})
	tr.must(os.Chmod(filepath.Dir(tr.root), 0o755))
	g := tr.start(tr.options(), func(d collector.Device) collector.Device { return withoutRights{d} })
	l := g.look()
	if want := strings.Repeat(" permission", 5); fmt.Sprint(l.failed) != "["+want[1:]+"]" || l.State != collector.StatePartial || !l.Up {
		t.Errorf("state %v, up %v, failures %v: %v", l.State, l.Up, l.failed, l.Failures)
	}
	if got, want := l.samples(), `gpu_temperature_celsius{sensor="edge"} 24`; got != want {
		t.Errorf("samples %q, want %q", got, want)
	}
}

// A reading of which nothing came though it was tried is no sign of life.
func TestNothingCanBeRead(t *testing.T) {
	l := read(t, files{"D/gpu_busy_percent": aFolder, "H/power1_cap": "N/A"})
	if l.State != collector.StatePartial || l.Up || fmt.Sprint(l.failed) != "[io malformed]" || l.result != collector.ResultError {
		t.Errorf("state %v, up %v, failures %v, result %v", l.State, l.Up, l.failed, l.result)
	}
	// A card that has nothing to tell is well.
	if l := read(t, nil); l.State != collector.StateOK || !l.Up || l.samples() != "" || l.result != collector.ResultOK {
		t.Errorf("state %v, up %v, samples %q, result %v", l.State, l.Up, l.samples(), l.result)
	}
}

// Limits and settings are read every 10 s; between, their samples and failures stand. A failure is counted when it
// happens, not at each repeat.
func TestSlowGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := card(t, files{
			"H/temp1_input": "24000", "H/temp1_crit": "100000", "H/power1_cap": "N/A", "H/power1_cap_max": "9000000000",
			"D/ras/umc_err_count": "ue: 0\nce: 1",
		})
		w := watchTree(t, tr.root)
		g := tr.start(tr.options(), nil)
		const told = `gpu_temperature_celsius{sensor="edge"} 24
			gpu_temperature_limit_celsius{sensor="edge",limit="critical"} 100
			gpu_ecc_errors_total{block="umc",severity="corrected",scope="volatile"} 1
			gpu_ecc_errors_total{block="umc",severity="uncorrected",scope="volatile"} 0`
		for second := range 31 {
			if second == 12 {
				tr.write(files{"H/temp1_crit": "90000", "H/power1_cap": "200000000"})
			}
			l := g.look()
			_, read := w.take()
			slowRead := slices.Contains(read, "sys/class/drm/card1/device/hwmon/hwmon4/temp1_crit")
			if slowRead != (second%10 == 0) || count(read, "sys/class/drm/card1/device/ras/umc_err_count") != btoi(slowRead) {
				t.Errorf("second %d: read %q", second, read)
			}
			want, state, failed, rejected := told, "partial", "[]", "[]"
			if second%10 == 0 {
				rejected = "[gpu_power_limit_watts]"
			}
			switch {
			case second >= 20:
				want = strings.Replace(told, "100", "90", 1) + "\n" + `gpu_power_limit_watts{domain="package",limit="current"} 200`
				state = "ok"
			case second%10 == 0:
				failed = "[malformed]"
			}
			if l.samples() != lines(want) || l.State.String() != state || fmt.Sprint(l.failed) != failed || fmt.Sprint(l.rejected) != rejected {
				t.Errorf("second %d: state %v, failed %v, rejected %v, samples\n%s", second, l.State, l.failed, l.rejected, l.samples())
			}
			if state == "partial" && (len(l.Failures) != 1 || !strings.HasSuffix(l.Failures[0].Source, "/power1_cap")) {
				t.Errorf("second %d: failures %v", second, l.Failures)
			}
			time.Sleep(time.Second)
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Samples that are only kept prove no life.
func TestKeptSamplesAreNoSignOfLife(t *testing.T) {
	tr := card(t, files{"H/temp1_input": "24000", "H/temp1_crit": "100000"})
	g := tr.start(tr.options(), nil)
	if l := g.look(); !l.Up || len(l.Samples) != 2 {
		t.Fatalf("at first: up %v, samples %q", l.Up, l.samples())
	}
	tr.write(files{"H/temp1_input": "N/A"})
	if l := g.look(); l.State != collector.StatePartial || l.Up || l.samples() != "" {
		t.Errorf("state %v, up %v, samples %q; want partial, down, none", l.State, l.Up, l.samples())
	}
	tr.write(files{"H/temp1_input": "25000"})
	if l := g.look(); l.State != collector.StateOK || !l.Up || len(l.Samples) != 2 {
		t.Errorf("after it: state %v, up %v, samples %q", l.State, l.Up, l.samples())
	}
}

// A read that failed once costs its samples once.
func TestFailOnceThenSucceed(t *testing.T) {
	tr := card(t, files{"H/power1_average": "32000000", "H/temp1_input": "24000"})
	g := tr.start(tr.options(), nil)
	want := g.look().samples()
	for _, broken := range []string{"N/A", strings.Repeat("0", 5000)} {
		tr.write(files{"H/power1_average": broken})
		if l := g.look(); l.State != collector.StatePartial || l.samples("gpu_power") != "" {
			t.Errorf("broken: state %v, samples %q", l.State, l.samples())
		}
		tr.write(files{"H/power1_average": "32000000"})
		if l := g.look(); l.State != collector.StateOK || l.samples() != want {
			t.Errorf("after it: state %v, samples %q", l.State, l.samples())
		}
	}
}

// A file that could not be opened for another reason than its absence is tried again at its next turn, in whatever role
// it stands: value, limit, label, table or folder. None of them waits for a rescan.
func TestAShortageThatEnds(t *testing.T) {
	whole := files{
		"D/gpu_busy_percent": "7", "H/temp1_input": "24000", "H/temp2_input": "31000", "H/temp2_label": "junction",
		"D/gpu_metrics": table("v1_3", fields{"temperature_vrgfx": 34}), "D/ras/umc_err_count": "ue: 0", "H/temp1_crit": "100000",
	}
	want := read(t, whole).samples()
	for _, file := range []string{"D/gpu_busy_percent", "H/temp1_crit", "H/temp2_label", "D/gpu_metrics", "D/ras"} {
		t.Run(file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := card(t, whole)
				tr.must(os.Rename(tr.path(file), tr.path("aside")))
				tr.write(files{file: aLoop})
				g := tr.start(tr.options(), nil)
				first := g.look()
				if first.State != collector.StatePartial || !first.Up || len(first.failed) == 0 || first.samples() == want {
					t.Errorf("state %v, up %v, failures %v %v", first.State, first.Up, first.failed, first.Failures)
				}
				time.Sleep(time.Second)
				if l := g.look(); l.State != collector.StatePartial || l.samples() != first.samples() {
					t.Errorf("state %v a second later", l.State)
				}
				tr.must(os.Remove(tr.path(file)))
				tr.must(os.Rename(tr.path("aside"), tr.path(file)))
				for range 11 { // the pace of the slow group, and the new plan
					time.Sleep(time.Second)
					g.look()
				}
				if l := g.look(); l.State != collector.StateOK || l.samples() != want {
					t.Errorf("state %v, failures %v, samples\n%s\nwant\n%s", l.State, l.Failures, l.samples(), want)
				}
			})
		})
	}
}

// A file that is missing is not asked for again until a rescan, which finds what has come.
func TestWhatAppears(t *testing.T) {
	for _, c := range []struct {
		name  string
		files files
		want  string
	}{
		{"a value", files{"D/vcn_busy_percent": "9"}, `gpu_engine_utilization_ratio{engine="media"} 0.09`},
		{"a sensor", files{"H/temp2_input": "31000", "H/temp2_label": "junction"}, `gpu_temperature_celsius{sensor="hotspot"} 31`},
		{"a table", files{"D/gpu_metrics": table("v1_3", fields{"temperature_vrgfx": 34})}, `gpu_temperature_celsius{sensor="vr_graphics"} 34`},
		{"the folder of errors", files{"D/ras/features": "feature mask: 0x1"}, `gpu_ecc_enabled 1
			gpu_ecc_errors_total{block="umc",severity="uncorrected",scope="volatile"} 0`},
		{"errors of a block", files{"D/ras/gfx_err_count": "ue: 1"}, `gpu_ecc_errors_total{block="gfx",severity="uncorrected",scope="volatile"} 1
			gpu_ecc_errors_total{block="umc",severity="uncorrected",scope="volatile"} 0`},
		{"a list of bad pages", files{"D/ras/gpu_vram_bad_pages": ""}, `gpu_bad_pages{kind="retired"} 0
			gpu_bad_pages{kind="pending"} 0
			gpu_bad_pages{kind="unreservable"} 0
			gpu_ecc_errors_total{block="umc",severity="uncorrected",scope="volatile"} 0`},
		{"a connector", files{"class/drm/card1-DP-1/enabled": "enabled"}, `gpu_display_active 1`},
		{"a connector of another card", files{"class/drm/card10-DP-1/enabled": "enabled"}, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := files{"H/temp1_input": "24000"}
			if strings.Contains(c.want, "umc") {
				before["D/ras/umc_err_count"] = "ue: 0"
			}
			if c.name == "the folder of errors" {
				before["D/ras/umc_err_count"] = noFile
				c.files["D/ras/umc_err_count"] = "ue: 0"
			}
			tr := card(t, before)
			g := tr.start(tr.options(), nil)
			g.look()
			old := g.look().samples()
			tr.write(c.files)
			w := watchTree(t, tr.root)
			if l := g.look(); l.samples() != old {
				t.Errorf("before the rescan: %q", l.samples())
			}
			if opened, _ := w.take(); len(opened) > 0 {
				t.Errorf("before the rescan %q were opened", opened)
			}
			g.rescan()
			if got, want := g.look().samples(), lines(c.want+"\n"+`gpu_temperature_celsius{sensor="edge"} 24`); got != want {
				t.Errorf("after the rescan:\n%s\nwant\n%s", got, want)
			}
		})
	}
	// runtime_status too: until it is there the card counts as awake.
	tr := card(t, files{"D/gpu_busy_percent": "7"})
	g := tr.start(tr.options(), nil)
	g.look()
	tr.write(files{"D/power/runtime_status": "suspended"})
	if l := g.look(); l.State != collector.StateOK {
		t.Errorf("before the rescan: %v", l.State)
	}
	g.rescan()
	if l := g.look(); l.State != collector.StateAsleep {
		t.Errorf("after the rescan: %v", l.State)
	}
}

// A rescan that finds nothing new keeps the plan, and with it open files and what was counted.
func TestRescanWithoutNews(t *testing.T) {
	tr := card(t, everything)
	g := tr.start(tr.options(), nil)
	g.look()
	w := watchTree(t, tr.root)
	g.rescan()
	w.take()
	g.look()
	if opened, _ := w.take(); len(opened) > 0 {
		t.Errorf("%q were opened", opened)
	}
}

// A reload opens everything anew, whatever a rescan would find.
func TestReloadOpensAnew(t *testing.T) {
	tr := card(t, files{"D/power/runtime_status": "active", "H/temp1_input": "24000", "H/temp1_crit": "100000"})
	g := tr.start(tr.options(), nil)
	before := g.look().samples()
	w := watchTree(t, tr.root)
	g.poller.Reload()
	<-g.notes.rescans
	w.take()
	l := g.look()
	opened, _ := w.take()
	for _, file := range []string{"power/runtime_status", "hwmon/hwmon4/temp1_input", "hwmon/hwmon4/temp1_crit"} {
		if !slices.Contains(opened, "sys/class/drm/card1/device/"+file) {
			t.Errorf("%s was not opened anew", file)
		}
	}
	if l.samples() != before {
		t.Errorf("got %q, want %q", l.samples(), before)
	}
}
