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
	"time"

	"gpu_exporter/collector"
)

// said are lines `level id subject: text` of findings, with SYS in place of the folder that is /sys.
func said(tr tree, list []collector.Finding) string {
	var lines []string
	for _, f := range list {
		lines = append(lines, fmt.Sprintf("%v %v %s: %s", f.Level, f.ID, f.Subject, f.Text))
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), tr.sys(), "SYS")
}

// onBus puts a device on the PCI bus. An empty driver is none.
func onBus(address, id, class, driver string) files {
	dir := "bus/pci/devices/" + address + "/"
	f := files{dir + "vendor": "0x1002\n", dir + "device": "0x" + id + "\n", dir + "revision": "0xc8\n", dir + "class": class + "\n", dir + "uevent": "PCI_CLASS=30000\n"}
	if driver != "" {
		f[dir+"driver"] = "-> ../../../bus/pci/drivers/" + driver
	}
	return f
}

// wellCard is a card that lacks nothing.
var wellCard = files{
	"D/power/runtime_status": "active", "D/gpu_metrics": "", "D/vbios_version": "113-EXT", "D/unique_id": "0123456789abcdef", "H/temp1_input": "24000",
	"module/amdgpu/initstate": "live", "proc/sys/kernel/osrelease": "6.12.1",
	"bus/pci/devices/0000:03:00.0": "-> ../../../class/drm/card1/device", "D/class": "0x030000",
}

func TestDiagnose(t *testing.T) {
	const (
		address = "0000:03:00.0"
		found   = "ok gpu-found " + address + ": AMD Radeon RX 7800 XT, discrete, driver amdgpu 6.12.1, in SYS/class/drm/card1/device, sensors in hwmon/hwmon4"
		xt      = "0000:0a:00.0: AMD Radeon RX 7800 XT: "
	)
	unnamed := strings.Replace(uevent(address), "747E", "FFFF", 1)
	for _, c := range []struct {
		name  string
		files files // beside those of wellCard
		want  string
	}{
		{"all is well", nil, found},
		{"a driver of AMD's own", files{"module/amdgpu/version": "6.10.5"}, strings.Replace(found, "6.12.1", "6.10.5 (DKMS)", 1)},

		{"no sysfs", files{"../sys": noFile}, "fail sysfs-missing SYS: sysfs is not there: without it no GPU can be found"},
		{"an empty sysfs", files{"../sys": aFolder}, "fail sysfs-missing SYS: the folder is empty: sysfs is not mounted there, and without it no GPU can be found"},
		{"no PCI bus, but a card", files{"bus": noFile}, found},
		{"neither", files{"bus": noFile, "class": noFile}, "note sysfs-missing SYS/bus/pci/devices: no PCI device is shown: whether there is a GPU without a driver cannot be told\n" +
			"note drm-missing SYS/class/drm: there is no such folder: no graphics driver of the kernel is loaded"},
		{"no card", files{"bus/pci/devices/" + address: noFile, "class/drm/card1": noFile, "class/drm/version": "drm", "bus/pci/devices/0000:00:00.0/vendor": "0x8086"},
			"note drm-missing SYS/class/drm: there is no card: no graphics driver of the kernel has one"},

		{"no driver", onBus("0000:0a:00.0", "747e", "0x030000", ""), "warn driver-missing " + xt + "it has no driver (amdgpu is loaded, but has not taken it)\n" + found},
		{"no driver is loaded", onBus("0000:0A:00.0", "747e", "0x038000", "").with(files{"module": noFile}), "warn driver-missing " + xt + "it has no driver (amdgpu is not loaded)\n" + found},
		{"no driver, a GPU without a name", onBus("0000:0a:00.0", "ffff", "0x120000", ""), "warn driver-missing 0000:0a:00.0: AMD GPU (1002:ffff): it has no driver (amdgpu is loaded, but has not taken it)\n" + found},
		{"vfio", onBus("0000:0a:00.0", "747e", "0x118000", "vfio-pci"), "note driver-vfio " + xt + "it is kept for a virtual machine by vfio-pci\n" + found},
		{"Xen", onBus("0000:0a:00.0", "747e", "0x030000", "pciback"), "note driver-vfio " + xt + "it is kept for a virtual machine by pciback\n" + found},
		{"another driver, by uevent", onBus("0000:0a:00.0", "747e", "0x030000", "").with(files{"bus/pci/devices/0000:0a:00.0/uevent": "DRIVER=fglrx_pci"}),
			"warn driver-other " + xt + "its driver fglrx_pci tells nothing of it\n" + found},
		{"another driver, with a card", onBus("0000:0a:00.0", "747e", "0x030000", "fglrx_pci").with(at("card0", files{"uevent": "DRIVER=fglrx_pci\nPCI_SLOT_NAME=0000:0a:00.0"})),
			"warn driver-other " + xt + "its driver fglrx_pci tells nothing of it\n" + found},
		{"a driver without a card", onBus("0000:0a:00.0", "747e", "0x030000", "amdgpu"), "warn drm-missing " + xt + "amdgpu has it, but there is no card of it in SYS/class/drm\n" + found},
		{"sound of a GPU", onBus("0000:03:00.1", "ab30", "0x040300", ""), found},
		{"a GPU of another maker", onBus("0000:0a:00.0", "2684", "0x030000", "").with(files{"bus/pci/devices/0000:0a:00.0/vendor": "0x10de"}), found},

		{"a card of another driver", at("card0", files{"uevent": "DRIVER=i915\nPCI_SLOT_NAME=0000:00:02.0"}), "note card-ignored 0000:00:02.0: card0 is not read as an AMD GPU: its driver is i915, none of AMD's\n" + found},
		{"a screen without a GPU", at("card0", files{"uevent": "DRIVER=simple-framebuffer\nMODALIAS=platform:simple-framebuffer"}), "note card-ignored card0: card0 is not read as an AMD GPU: its driver is simple-framebuffer, none of AMD's\n" + found},
		{"a card without a device", files{"class/drm/card0/dev": "226:0"}, "note card-ignored card0: card0 is not read: no device stands behind it\n" + found},
		{"a card without a driver", at("card0", files{"uevent": "PCI_SLOT_NAME=0000:0b:00.0"}), "note card-ignored 0000:0b:00.0: card0 is not read as an AMD GPU: it has no driver\n" + found},
		{"a card without an address", at("card0", files{"uevent": "DRIVER=amdgpu"}), "note card-ignored card0: card0 is not read as an AMD GPU: it has no address on the PCI bus\n" + found},
		{"a card of another maker", at("card0", files{"uevent": uevent("0000:0a:00.0"), "vendor": "0x10de"}), "note card-ignored 0000:0a:00.0: card0 is not read as an AMD GPU: its vendor is \"0x10de\", not AMD\n" + found},
		{"a second entry", at("card2", files{"uevent": uevent(address), "vendor": "0x1002"}), "note card-ignored card2: card2 is not read as an AMD GPU: the GPU is that of card1\n" + found},
		{"partitions", at("card2", files{"uevent": "DRIVER=amdgpu_xcp_drv"}).with(at("card10", files{"uevent": "MODALIAS=platform:amdgpu_xcp"})),
			"note card-ignored amdgpu_xcp: card2, card10: parts of a GPU, which is shown as one\n" + found},
		{"what Discover tells", at("card0", files{"uevent": aFolder}).with(onBus("0000:0a:00.0", "747e", "0x030000", "amdgpu")), found},

		{"no sensors", files{"D/hwmon": noFile}, strings.Replace(found, ", sensors in hwmon/hwmon4", "", 1) + "\nwarn hwmon-missing " + address + ": it has no sensors (hwmon): temperature, power and fan are not told"},
		{"no sensors of a virtual GPU", files{"D/hwmon": noFile, "D/physfn": aFolder}, strings.Replace(strings.Replace(found, ", sensors in hwmon/hwmon4", "", 1), "discrete", "virtual", 1) +
			"\nnote hwmon-missing " + address + ": it has no sensors (hwmon): temperature, power and fan are not told"},
		{"no table", files{"D/gpu_metrics": noFile}, found + "\nnote metrics-missing " + address + ": it has no gpu_metrics, so that it tells less: GPUs up to Vega 10 never have it, nor have kernels before 5.9"},
		{"no table, but no driver that has one", files{"D/gpu_metrics": noFile, "D/uevent": strings.Replace(uevent(address), "amdgpu", "radeon", 1)}, strings.Replace(found, "amdgpu", "radeon", 1)},
		{"no name", files{"D/uevent": unnamed}, strings.Replace(found, "AMD Radeon RX 7800 XT", "AMD GPU (1002:ffff)", 1) + "\nnote name-unknown " + address + ": no list of names has it"},
		{"a name of the board", files{"D/uevent": unnamed, "D/product_name": "Board"}, strings.Replace(found, "AMD Radeon RX 7800 XT", "Board", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := card(t, wellCard)
			tr.write(c.files)
			if got := said(tr, New(tr.options()).Diagnose(t.Context())); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// What identify can do without is missed all the same when a right is missing. (Rights of files go by the thread: that
// of Diagnose has none here, those of the discovery have all.)
func TestDiagnoseMissesRights(t *testing.T) {
	tr := card(t, wellCard.with(files{"D/vbios_version": noRights, "D/unique_id": noRights}))
	tr.must(os.Chmod(filepath.Dir(tr.root), 0o755))
	if os.Getuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tr.must(syscall.Setfsuid(65534))
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	const want = "\nwarn gpu-permission 0000:03:00.0: rights are missing for 2 readings (permission denied): vbios_version, unique_id in SYS/class/drm/card1/device"
	if got := said(tr, New(tr.options()).Diagnose(t.Context())); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant at its end%s", got, want)
	}
}

// A card that hangs costs what could be said of it, no more.
func TestDiagnoseOfAHungCard(t *testing.T) {
	tr := card(t, wellCard.with(at("card0", files{"uevent": aPipe, "vendor": "0x1002"})))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	got := said(tr, New(tr.options()).Diagnose(ctx))
	if !strings.HasPrefix(got, "ok gpu-found 0000:03:00.0: ") || strings.Contains(got, "card0") {
		t.Errorf("got\n%s", got)
	}
	// Its identity is being read still: let it end.
	pipe, err := os.OpenFile(tr.path("class/drm/card0/device/uevent"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
	tr.must(err)
	tr.must(pipe.Close())
}

func TestDiagnoseLeavesASleepingCardAlone(t *testing.T) {
	tr := card(t, everything.with(wellCard).with(files{
		"D/power/runtime_status": "suspended", "D/uevent": strings.Replace(uevent("0000:03:00.0"), "747E", "FFFF", 1), "module/amdgpu/version": "6",
		// Another one sleeps in a virtual machine.
		"bus/pci/devices/0000:0a:00.0": "-> ../../../devices/0000:0a:00.0", "devices/0000:0a:00.0/vendor": "0x1002", "devices/0000:0a:00.0/class": "0x030000",
		"devices/0000:0a:00.0/uevent": "DRIVER=vfio-pci", "devices/0000:0a:00.0/device": "0x747e", "devices/0000:0a:00.0/revision": "0xc8",
		"devices/0000:0a:00.0/current_link_speed": "16.0 GT/s PCIe", "devices/0000:0a:00.0/config": "", "devices/0000:0a:00.0/power/runtime_status": "suspended",
	}))
	w := watchTree(t, tr.root)
	New(tr.options()).Diagnose(t.Context())
	opened, _ := w.take()
	for _, path := range opened {
		name, other := strings.CutPrefix(path, "sys/devices/0000:0a:00.0/")
		if allowed := slices.Contains([]string{"uevent", "vendor", "device", "revision", "class", "product_name"}, name); !neverWakes(path) && !(other && allowed) {
			t.Errorf("%s was opened", path)
		}
	}
	for _, path := range []string{"class/drm/card1/device/uevent", "devices/0000:0a:00.0/class"} {
		if !slices.Contains(opened, "sys/"+path) {
			t.Errorf("%s was not read: the watch does not work", path)
		}
	}
}
