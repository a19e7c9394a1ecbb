package amd

import (
	"fmt"
	"path"
	"strings"
	"testing"
)

// function is one PCI function of a made tree of buses.
type function struct{ name, vendor, class, now, most string } // now, most: `speed width`, empty: no such files

// machine makes a tree as a real one has it: card1 leads by links to the last of the functions, each of which lies in the
// folder of the one before.
func machine(t *testing.T, more files, functions ...function) tree {
	t.Helper()
	dir := "devices/pci0000:00"
	all := files{}
	for _, f := range functions {
		dir = path.Join(dir, f.name)
		all[dir+"/vendor"], all[dir+"/class"] = f.vendor, f.class
		for which, text := range map[string]string{"current": f.now, "max": f.most} {
			if i := strings.LastIndex(text, " "); i >= 0 {
				all[dir+"/"+which+"_link_speed"], all[dir+"/"+which+"_link_width"] = text[:i], text[i+1:]
			}
		}
	}
	gpu := functions[len(functions)-1].name
	all[dir+"/uevent"] = "DRIVER=amdgpu\nPCI_ID=1002:747E\nPCI_SLOT_NAME=" + gpu + "\n"
	all[dir+"/drm/card1/device"] = "-> ../../../" + gpu
	all["class/drm/card1"] = "-> ../../" + dir + "/drm/card1"
	for name, content := range more {
		all[dir+"/"+name] = content
	}
	tr := tree{t, t.TempDir()}
	tr.write(all)
	return tr
}

func TestLinkOfTheSlot(t *testing.T) {
	const (
		bridge = "0x060400"
		amd    = "0x1002"
	)
	root := func(most string) function { return function{"0000:00:01.1", "0x1022", bridge, "x y", most} }
	up := func(now, most string) function { return function{"0000:01:00.0", amd, bridge, now, most} }
	down := function{"0000:02:00.0", amd, "0x060400\n", "32.0 GT/s PCIe 16", "32.0 GT/s PCIe 16"}
	gpu := function{"0000:03:00.0", amd, "0x030000", "64.0 GT/s PCIe 32", "64.0 GT/s PCIe 32"} // the link inside the card
	modern := files{"pp_dpm_socclk": ""}
	told := func(speed float64, width int, maxSpeed float64, maxWidth int) string {
		var b strings.Builder
		for _, s := range []struct {
			name string
			v    float64
		}{{"transfers_per_second", speed * 1e9}, {"width", float64(width)}, {"max_transfers_per_second", maxSpeed * 1e9}, {"max_width", float64(maxWidth)}} {
			if s.v != 0 {
				fmt.Fprintf(&b, "gpu_pcie_link_%s %v\n", s.name, s.v)
			}
		}
		return b.String()
	}
	g := table("v1_3", fields{"pcie_link_speed": 25, "pcie_link_width": 1})
	for _, c := range []struct {
		name             string
		files            files
		functions        []function
		want             string
		failed, rejected string
	}{
		{"the upper end of the card's switch", modern, []function{root("32.0 GT/s PCIe 16"), up("16.0 GT/s PCIe 8", "16.0 GT/s PCIe 16"), down, gpu}, told(16, 8, 16, 16), "", ""},
		{"a slot slower than the card", modern, []function{root("8.0 GT/s PCIe 8"), up("8.0 GT/s PCIe 8", "16.0 GT/s PCIe 16"), down, gpu}, told(8, 8, 8, 8), "", ""},
		{"a slot narrower, but faster", modern, []function{root("32.0 GT/s PCIe 4"), up("16.0 GT/s PCIe 4", "16.0 GT/s PCIe 16"), down, gpu}, told(16, 4, 16, 4), "", ""},
		{"a slot that does not tell", modern, []function{root(""), up("16.0 GT/s PCIe 16", "16.0 GT/s PCIe 16"), down, gpu}, told(16, 16, 16, 16), "", ""},
		{"a slot that tells nonsense", modern, []function{root("0.5 GT/s PCIe 3"), up("16.0 GT/s PCIe 16", "16.0 GT/s PCIe 16"), down, gpu}, told(16, 16, 16, 16), "", ""},
		{"a slot that is unknown", modern, []function{root("Unknown 255"), up("16.0 GT/s PCIe 16", "16.0 GT/s PCIe 16"), down, gpu}, told(16, 16, 16, 16), "", ""},
		{"a switch of the board in between", modern, []function{
			root("32.0 GT/s PCIe 16"), {"0000:0a:00.0", "0x10b5", bridge, "8.0 GT/s PCIe 16", "8.0 GT/s PCIe 16"},
			up("8.0 GT/s PCIe 16", "16.0 GT/s PCIe 16"), down, gpu,
		}, told(8, 16, 8, 16), "", ""},
		{"several bridges of AMD: the last counts", modern, []function{
			root("32.0 GT/s PCIe 16"), {"0000:0a:00.0", amd, bridge, "2.5 GT/s PCIe 2", "5.0 GT/s PCIe 4"}, up("8.0 GT/s PCIe 16", "16.0 GT/s PCIe 16"), down, gpu,
		}, told(2.5, 2, 5, 4), "", ""},
		{"a parent of AMD that is no bridge", modern, []function{
			{"0000:0a:00.0", amd, "0x120000", "2.5 GT/s PCIe 2", "5.0 GT/s PCIe 4"}, up("8.0 GT/s PCIe 16", "16.0 GT/s PCIe 16"), down, gpu,
		}, told(8, 16, 5, 4), "", ""},
		{"bridge before gpu_metrics and pp_dpm_pcie", modern.with(files{"gpu_metrics": g, "pp_dpm_pcie": "0: 5.0GT/s, x2 *"}),
			[]function{root("32.0 GT/s PCIe 16"), up("16.0 GT/s PCIe 8", "16.0 GT/s PCIe 16"), down, gpu}, told(16, 8, 16, 16), "", ""},
		{"the port says nothing: no other source", modern.with(files{"gpu_metrics": g}), []function{root("8.0 GT/s PCIe 8"), up("Unknown 0", "Unknown 255"), down, gpu}, "", "", ""},
		{"the port says nonsense", modern, []function{root(""), up("1.0 GT/s PCIe 3", "fast x"), down, gpu}, "", "malformed malformed", "gpu_pcie_link_transfers_per_second gpu_pcie_link_width"},
		{"the port has no files", modern, []function{root(""), up("", ""), down, gpu}, "", "", ""},

		{"no switch, an old chip: its own", nil, []function{root("8.0 GT/s PCIe 16"), {"0000:03:00.0", amd, "0x030000", "2.5 GT/s PCIe 8", "16.0 GT/s PCIe 16"}}, told(2.5, 8, 8, 16), "", ""},
		{"no switch, an old chip: Polaris tells x16 in pp_dpm_pcie", files{"pp_dpm_pcie": "0: 8.0GT/s, x16 *"}, []function{root("8.0 GT/s PCIe 16"), {"0000:03:00.0", amd, "0x030000", "2.5 GT/s PCIe 1", "8.0 GT/s PCIe 16"}}, told(2.5, 1, 8, 16), "", ""},
		{"no switch, a new chip: never its own", modern, []function{root("8.0 GT/s PCIe 16"), gpu}, "", "", ""},
		{"no switch, gpu_metrics alone makes it new", files{"gpu_metrics": ""}, []function{root("8.0 GT/s PCIe 16"), gpu}, "", "", ""},
		{"no switch, a new chip: gpu_metrics", modern.with(files{"gpu_metrics": g, "pp_dpm_pcie": "0: 5.0GT/s, x2 *"}), []function{root("8.0 GT/s PCIe 16"), gpu}, told(2.5, 1, 0, 0), "", ""},
		{"no switch, a new chip: pp_dpm_pcie", modern.with(files{"pp_dpm_pcie": "0: 5.0GT/s, x2 *"}), []function{root("8.0 GT/s PCIe 16"), gpu}, told(5, 2, 0, 0), "", ""},

		{"integrated: none", modern.with(files{"hwmon/hwmon4/name": "amdgpu", "hwmon/hwmon4/in1_input": "0", "gpu_metrics": g, "pp_dpm_pcie": "0: 5.0GT/s, x2 *"}),
			[]function{root("32.0 GT/s PCIe 16"), up("16.0 GT/s PCIe 8", "16.0 GT/s PCIe 16"), down, gpu}, "", "", ""},
	} {
		tr := machine(t, c.files, c.functions...)
		l := tr.start(tr.options(), nil).look()
		if got, want := l.samples("gpu_pcie_link"), lines(c.want); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, want)
		}
		if got, rejected := strings.Join(l.failed, " "), strings.Join(l.rejected, " "); got != c.failed || rejected != c.rejected {
			t.Errorf("%s: failures %q, rejections %q; want %q, %q (%v)", c.name, got, rejected, c.failed, c.rejected, l.Failures)
		}
	}
}

// Without a bridge that can be seen: the pair of gpu_metrics, else the active line of pp_dpm_pcie.
func TestLinkWithoutBridge(t *testing.T) {
	g := func(speed, width int64) string {
		return table("v1_3", fields{"pcie_link_speed": speed, "pcie_link_width": width})
	}
	link := func(speed float64, width int) string {
		return fmt.Sprintf("gpu_pcie_link_transfers_per_second %v\ngpu_pcie_link_width %d", speed*1e9, width)
	}
	const list = "0: 2.5GT/s, x8 *\n1: 16.0GT/s, x16"
	of := "gpu_pcie_link"
	with := func(g, list string) files { return files{"D/gpu_metrics": g, "D/pp_dpm_pcie": list} }
	for _, c := range []chain{
		{name: "gpu_metrics", of: of, files: with(g(160, 16), list), want: link(16, 16)},
		{name: "v1_9", of: of, files: with(attributeTable(attr("pcie_link_speed", u16, 320), attr("pcie_link_width", u16, 12)), list), want: link(32, 12)},
		{name: "v1_0: bytes", of: of, files: with(table("v1_0", fields{"pcie_link_speed": 80, "pcie_link_width": 4}), list), want: link(8, 4)},
		{name: "speed 0 lets the list in", of: of, files: with(g(0, 16), list), want: link(2.5, 8)},
		{name: "width 0 lets the list in", of: of, files: with(g(160, 0), list), want: link(2.5, 8)},
		{name: "a sentinel lets the list in", of: of, files: with(g(0xffff, 16), list), want: link(2.5, 8)},
		{name: "of format 2", of: of, files: with(table("v2_4", nil), list), want: link(2.5, 8)},
		{name: "an impossible speed takes the width with it", of: of, files: with(g(4, 16), list), rejected: "gpu_pcie_link_transfers_per_second"},
		{name: "an impossible width takes the speed with it", of: of, files: with(g(160, 6), list), rejected: "gpu_pcie_link_width"},
		{name: "both impossible", of: of, files: with(g(4, 6), list), rejected: "gpu_pcie_link_transfers_per_second gpu_pcie_link_width"},
		{name: "a malformed table hides the list", of: of, files: with(g(160, 16)[:50], list), failed: "malformed"},
		{name: "a table that cannot be read hides it", of: of, files: with(aFolder, list), failed: "io"},
		{name: "an unknown table does not", of: of, files: with("\x08\x00\x09\x090000", list), want: link(2.5, 8)},
		{name: "nor an empty one", of: of, files: with("", list), want: link(2.5, 8)},

		{name: "the list: none active", of: of, files: with("", "0: 2.5GT/s, x8"), want: ""},
		{name: "the list: each value for itself, speed", of: of, files: with("", "0: 3.0GT/s, x8 *"), want: "gpu_pcie_link_width 8", rejected: "gpu_pcie_link_transfers_per_second"},
		{name: "the list: each value for itself, width", of: of, files: with("", "0: 8.0GT/s, x9 *"), want: "gpu_pcie_link_transfers_per_second 8e+09", rejected: "gpu_pcie_link_width"},
		{name: "the list: 255 and 0 are absent", of: of, files: with("", "0: 0.0GT/s, x255 *"), want: ""},
		{name: "the list: no number", of: of, files: with("", "0: fastGT/s, x8 *"), failed: "malformed"},
	} {
		c.run(t)
	}
}
