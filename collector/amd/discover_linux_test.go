package amd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/internal/await"
)

// uevent is that of a card by its address.
func uevent(address string) string {
	return "DRIVER=amdgpu\nPCI_ID=1002:747E\nPCI_SLOT_NAME=" + address + "\n"
}

// at puts the folder of another card before the paths of files.
func at(folder string, f files) files {
	moved := files{}
	for path, content := range f {
		moved["class/drm/"+folder+"/device/"+path] = content
	}
	return moved
}

func TestDiscovery(t *testing.T) {
	const address = "0000:03:00.0"
	one := []string{"card1 " + address}
	for _, c := range []struct {
		name  string
		files files
		want  []string // card and address
	}{
		{"a card", nil, one},
		{"no cards", files{"class/drm/version": "drm 1.1.0", "class/drm/card1": noFile}, nil},
		{"no DRM driver", files{"class": noFile}, nil},
		{"connectors, render nodes and others are no cards", files{
			"class/drm/card1-DP-1/device/uevent":    uevent("0000:04:00.0"),
			"class/drm/card1-DP-1/device/vendor":    "0x1002",
			"class/drm/renderD128/device/uevent":    uevent("0000:05:00.0"),
			"class/drm/renderD128/device/vendor":    "0x1002",
			"class/drm/controlD64/device/uevent":    uevent("0000:06:00.0"),
			"class/drm/card/device/uevent":          uevent("0000:07:00.0"),
			"class/drm/card/device/vendor":          "0x1002",
			"class/drm/card-1/device/uevent":        uevent("0000:08:00.0"),
			"class/drm/card-1/device/vendor":        "0x1002",
			"class/drm/version":                     "drm",
			"class/drm/ttm/uevent":                  "",
			"class/drm/card1x/device/uevent":        uevent("0000:09:00.0"),
			"class/drm/card1x/device/vendor":        "0x1002",
			"class/drm/simple/card2/device/uevent":  uevent("0000:0a:00.0"),
			"class/drm/simple/card2/device/vendor":  "0x1002",
			"class/drm/renderD128/device/hwmon/.gi": "",
		}, one},
		{"numbers of two digits", at("card10", files{"uevent": uevent("0000:0A:00.0"), "vendor": "0x1002"}), []string{"card1 " + address, "card10 0000:0a:00.0"}},
		{"two entries of one address: the lowest number", files{
			"class/drm/card10/device/uevent": uevent(address), "class/drm/card10/device/vendor": "0x1002",
			"class/drm/card2/device/uevent": uevent(address), "class/drm/card2/device/vendor": "0x1002",
		}, one},
		{"the address in lower case", files{"D/uevent": uevent("0000:C3:00.0")}, []string{"card1 0000:c3:00.0"}},
		{"a long PCI domain", files{"D/uevent": uevent("10000:01:00.0")}, []string{"card1 10000:01:00.0"}},
		{"no address", files{"D/uevent": "DRIVER=amdgpu\n"}, nil},
		{"an address that is none", files{"D/uevent": uevent("vga0")}, nil},
		{"radeon", files{"D/uevent": "DRIVER=radeon\nPCI_SLOT_NAME=" + address + "\n"}, one},
		{"driver by its link", files{"D/uevent": "PCI_SLOT_NAME=" + address + "\n", "D/driver": "-> ../bus/pci/drivers/amdgpu", "class/drm/card1/bus/pci/drivers/amdgpu/x": ""}, one},
		{"driver by a link of which only the name is here", files{"D/uevent": "PCI_SLOT_NAME=" + address + "\n", "D/driver": "-> ../../../../bus/pci/drivers/radeon"}, one},
		{"the link is not asked where uevent tells", files{"D/uevent": "DRIVER=vfio-pci\nPCI_SLOT_NAME=" + address + "\n", "D/driver": "-> amdgpu"}, nil},
		{"given to a guest", files{"D/uevent": "DRIVER=vfio-pci\nPCI_SLOT_NAME=" + address + "\n"}, nil},
		{"no driver", files{"D/uevent": "PCI_SLOT_NAME=" + address + "\n"}, nil},
		{"another driver", files{"D/uevent": "DRIVER=nouveau\nPCI_SLOT_NAME=" + address + "\n"}, nil},
		{"another vendor", files{"D/vendor": "0x10de\n"}, nil},
		{"vendor missing", files{"D/vendor": noFile}, nil},
		{"vendor blank", files{"D/vendor": "\n"}, nil},
		{"no device", files{"class/drm/card1": noFile, "class/drm/card1/uevent": ""}, nil},
		{"a partition of a PCI card", at("card2", files{"uevent": "DRIVER=amdgpu_xcp_drv\nMODALIAS=platform:amdgpu_xcp\n", "vendor": "0x1002"}), one},
		{"frame buffer of the firmware", at("card0", files{"uevent": "DRIVER=simple-framebuffer\nMODALIAS=platform:simple-framebuffer\n"}), one},
		{"virtual cards", at("card0", files{"uevent": "DRIVER=vkms\n"}).with(at("card2", files{"uevent": "DRIVER=vgem\n"})).with(at("card3", files{"uevent": "DRIVER=simpledrm\n"})), one},
		{"any class", files{"D/class": "0x118000\n"}, one},
	} {
		tr := card(t, c.files)
		list, err := tr.devices()
		var got []string
		for _, d := range list {
			got = append(got, d.card+" "+d.info.GPU)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: Discover = %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

// A card of which something cannot be read for another reason than its absence may be there: the error says that the
// list is not whole, so that a known card is kept as it is.
func TestDiscoveryThatIsNotWhole(t *testing.T) {
	other := at("card2", files{"uevent": uevent("0000:04:00.0"), "vendor": "0x1002"})
	for _, c := range []struct {
		name  string
		files files
	}{
		{"uevent unreadable", files{"D/uevent": aFolder}},
		{"uevent cannot be opened", files{"D/uevent": aLoop}},
		{"uevent missing in a folder that is there", files{"D/uevent": noFile}},
		{"vendor unreadable", files{"D/vendor": aFolder}},
		{"revision unreadable", files{"D/revision": aFolder}},
		{"name of the sensors unreadable", files{"H/name": aFolder}},
	} {
		list, err := card(t, other.with(c.files)).devices()
		if err == nil || !strings.Contains(err.Error(), "card1: ") || len(list) != 1 || list[0].card != "card2" {
			t.Errorf("%s: Discover = %d devices, %v; want card2 and an error on card1", c.name, len(list), err)
		}
	}
	for _, c := range []struct {
		name  string
		files files
	}{
		{"folder gone", files{"class/drm/card1": noFile}},
		{"device gone", files{"D/uevent": aSocket}}, // ENXIO
		{"folder of the device gone", files{"D": noFile}},
		{"link to a device that is gone", files{"D": noFile, "class/drm/card1/device": "-> ../../../devices/gone"}},
		{"driver unbound", files{"D/uevent": "PCI_SLOT_NAME=0000:03:00.0\n"}},
	} {
		list, err := card(t, other.with(c.files)).devices()
		if err != nil || len(list) != 1 || list[0].card != "card2" {
			t.Errorf("%s: Discover = %d devices, %v; want card2 alone, no error", c.name, len(list), err)
		}
	}
	tr := card(t, files{"class/drm": aLoop})
	if list, err := tr.devices(); err == nil || len(list) != 0 {
		t.Errorf("cards that cannot be listed: %d devices, %v; want an error", len(list), err)
	}
}

// One discovery may follow another at once.
func TestDiscoveriesInARow(t *testing.T) {
	tr := card(t, nil)
	p := New(tr.options())
	for range 1000 {
		if list, err := p.Discover(t.Context()); err != nil || len(list) != 1 {
			t.Fatalf("Discover = %d devices, %v", len(list), err)
		}
	}
}

// A card whose identity cannot be read to the end holds up nobody, and is not looked at a second time meanwhile.
func TestDiscoveryThatBlocks(t *testing.T) {
	tr := card(t, at("card2", files{"uevent": uevent("0000:04:00.0"), "vendor": "0x1002"}).with(files{"D/uevent": aPipe}))
	p := New(tr.options())
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		list, err := p.Discover(ctx)
		cancel()
		if len(list) != 1 || err == nil {
			t.Fatalf("Discover = %d devices, %v; want the other card and an error", len(list), err)
		}
	}
	var other *os.File
	await.Until(t, "somebody who reads the pipe", func() (is bool) { // nobody: ENXIO
		file, err := os.OpenFile(tr.path("D/uevent"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		other = file
		return err == nil
	})
	tr.must(os.Rename(tr.path("D/uevent"), tr.path("D/pipe")))
	tr.write(files{"D/uevent": uevent("0000:03:00.0")})
	tr.must(other.Close()) // whoever is stuck goes on now
	await.Until(t, "both cards", func() bool {
		list, err := p.Discover(t.Context())
		return err == nil && len(list) == 2
	})
}

func TestIdentity(t *testing.T) {
	want := collector.Info{
		GPU: "0000:03:00.0", Vendor: "amd", Name: "AMD Radeon RX 7800 XT", Type: "discrete", PCIID: "1002:747e",
		Driver: "amdgpu", Source: "sysfs",
	}
	pci := func(id string) string { return "DRIVER=amdgpu\nPCI_ID=" + id + "\nPCI_SLOT_NAME=0000:03:00.0\n" }
	for _, c := range []struct {
		name  string
		files files
		edit  func(*collector.Info)
	}{
		{"plain", nil, func(*collector.Info) {}},

		{"name by revision", files{"D/revision": "0xff\n"}, func(i *collector.Info) { i.Name = "AMD Radeon RX 7700 XT" }},
		{"revision in capitals", files{"D/revision": "0xC8"}, func(*collector.Info) {}},
		{"revision of one digit", files{"D/uevent": pci("1002:74A1"), "D/revision": "0x0"}, func(i *collector.Info) { i.Name, i.PCIID = "AMD Instinct MI300X", "1002:74a1" }},
		{"revision that is not listed", files{"D/revision": "0x01"}, func(i *collector.Info) { i.Name = "AMD GPU (1002:747e)" }},
		{"revision that is none", files{"D/revision": "200"}, func(i *collector.Info) { i.Name = "AMD GPU (1002:747e)" }},
		{"revision blank", files{"D/revision": "\n"}, func(i *collector.Info) { i.Name = "AMD GPU (1002:747e)" }},
		{"no revision, several names", files{"D/revision": noFile}, func(i *collector.Info) { i.Name = "AMD GPU (1002:747e)" }},
		{"no revision, one name", files{"D/revision": noFile, "D/uevent": pci("1002:74A1")}, func(i *collector.Info) { i.Name, i.PCIID = "AMD Instinct MI300X", "1002:74a1" }},
		{"the list before product_name", files{"D/product_name": "Board"}, func(*collector.Info) {}},
		{"product_name", files{"D/revision": "0x01", "D/product_name": " A board \n"}, func(i *collector.Info) { i.Name = "A board" }},
		{"product_name blank", files{"D/revision": "0x01", "D/product_name": "\n"}, func(i *collector.Info) { i.Name = "AMD GPU (1002:747e)" }},
		{"product_name unreadable", files{"D/revision": "0x01", "D/product_name": aFolder}, func(i *collector.Info) { i.Name = "AMD GPU (1002:747e)" }},
		{"no PCI id", files{"D/uevent": "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\n"}, func(i *collector.Info) { i.Name, i.PCIID = "AMD GPU ()", "" }},

		{"integrated by in1", files{"H/in1_input": "1000"}, func(i *collector.Info) { i.Type = "integrated" }},
		{"integrated by in1 that says 0", files{"H/in1_input": "0"}, func(i *collector.Info) { i.Type = "integrated" }},
		{"integrated by in1 that cannot be read", files{"H/in1_input": aFolder}, func(i *collector.Info) { i.Type = "integrated" }},
		{"discrete with in0", files{"H/in0_input": "1000"}, func(*collector.Info) {}},
		{"MI300A", files{"D/uevent": pci("1002:74A0"), "D/revision": "0x00"}, func(i *collector.Info) {
			i.Name, i.Type, i.PCIID = "AMD Instinct MI300A", "integrated", "1002:74a0"
		}},
		{"virtual by physfn", files{"D/physfn": "-> ../0000:03:00.1"}, func(i *collector.Info) { i.Type = "virtual" }},
		{"virtual before integrated", files{"D/physfn": "-> ../0000:03:00.1", "H/in1_input": "1"}, func(i *collector.Info) { i.Type = "virtual" }},
		{"virtual by name", files{"D/revision": "0x01", "D/product_name": "AMD Instinct VF"}, func(i *collector.Info) { i.Name, i.Type = "AMD Instinct VF", "virtual" }},
		{"a name that only holds VF", files{"D/revision": "0x01", "D/product_name": "AMD MVF"}, func(i *collector.Info) { i.Name = "AMD MVF" }},

		{"uuid", files{"D/unique_id": "7A1B2C3D4E5F6071\n"}, func(i *collector.Info) { i.UUID = "0x7a1b2c3d4e5f6071" }},
		{"uuid of zeros", files{"D/unique_id": "0000000000000000"}, func(*collector.Info) {}},
		{"uuid too short", files{"D/unique_id": "7a1b2c3d4e5f607"}, func(*collector.Info) {}},
		{"uuid too long", files{"D/unique_id": "7a1b2c3d4e5f60711"}, func(*collector.Info) {}},
		{"uuid with a prefix", files{"D/unique_id": "0x7a1b2c3d4e5f6071"}, func(*collector.Info) {}},
		{"uuid that is none", files{"D/unique_id": "not available..."}, func(*collector.Info) {}},

		{"vbios", files{"D/vbios_version": " 13-C86901_216\n"}, func(i *collector.Info) { i.VBIOS = "13-C86901_216" }},
		{"vbios as it is", files{"D/vbios_version": "xxx-xxx-xxx\n"}, func(i *collector.Info) { i.VBIOS = "xxx-xxx-xxx" }},
		{"vbios unreadable", files{"D/vbios_version": aFolder}, func(*collector.Info) {}},

		{"version of the kernel", files{"proc/sys/kernel/osrelease": "6.12.1\n"}, func(i *collector.Info) { i.DriverVersion = "6.12.1" }},
		{"version of the driver", files{"proc/sys/kernel/osrelease": "6.12.1\n", "module/amdgpu/version": "6.10.5\n"}, func(i *collector.Info) { i.DriverVersion = "6.10.5" }},
		{"version of another driver", files{"module/radeon/version": "2.50.0\n"}, func(*collector.Info) {}},
		{"the serial number is never shown", files{"D/serial_number": "123456"}, func(*collector.Info) {}},
	} {
		info := want
		c.edit(&info)
		if got := card(t, c.files).device().Info(); got != info {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, info)
		}
	}
}

// The first folder, by its number, that is the card's own counts.
func TestHwmonFolder(t *testing.T) {
	const dir = "D/hwmon/"
	for _, c := range []struct {
		name  string
		files files
		want  string
	}{
		{"none", nil, ""},
		{"one", files{dir + "hwmon7/name": "amdgpu\n"}, "hwmon7"},
		{"radeon", files{dir + "hwmon7/name": "radeon"}, "hwmon7"},
		{"by number, not by letter", files{dir + "hwmon10/name": "amdgpu", dir + "hwmon9/name": "amdgpu"}, "hwmon9"},
		{"of another driver", files{dir + "hwmon2/name": "nvme", dir + "hwmon3/name": "amdgpu"}, "hwmon3"},
		{"without a name", files{dir + "hwmon2/temp1_input": "1", dir + "hwmon3/name": "amdgpu"}, "hwmon3"},
		{"nothing of it", files{dir + "hwmon2/name": "nvme", dir + "power/control": "auto"}, ""},
	} {
		d := card(t, c.files).device()
		if got := strings.TrimPrefix(d.hwmon, d.dir+"/hwmon/"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The key tells one load of the driver from the next, and a card number is no identity.
func TestKey(t *testing.T) {
	tr := card(t, files{"H/temp1_input": "24000"})
	d := tr.device()
	if again := tr.device(); again.Key() != d.Key() || again.Info() != d.Info() {
		t.Errorf("the same card is %q and %q", d.Key(), again.Key())
	}
	tr.must(os.Rename(tr.path("H"), tr.path("D/hwmon/hwmon5")))
	reloaded := tr.device()
	if reloaded.Key() == d.Key() || reloaded.Info() != d.Info() {
		t.Errorf("with new sensors: key %q, was %q; info %+v", reloaded.Key(), d.Key(), reloaded.Info())
	}
	tr.must(os.Rename(tr.path("class/drm/card1"), tr.path("class/drm/card0")))
	if moved := tr.device(); moved.Key() == reloaded.Key() || moved.Info() != d.Info() {
		t.Errorf("as card0: key %q, was %q; info %+v", moved.Key(), reloaded.Key(), moved.Info())
	}
}

// A driver that is loaded anew makes new folders: the readings go on, under the same label.
func TestReload(t *testing.T) {
	tr := card(t, files{"H/temp1_input": "24000"})
	g := tr.start(tr.options(), nil)
	before := g.look().samples()
	tr.must(os.Rename(tr.path("H"), tr.path("D/hwmon/hwmon5")))
	tr.write(files{"D/hwmon/hwmon5/temp1_input": "25000"})
	g.rescan()
	if got, want := before+" "+g.look().samples(), `gpu_temperature_celsius{sensor="edge"} 24 gpu_temperature_celsius{sensor="edge"} 25`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A card that is gone is lost; one that only cannot be looked at is kept.
func TestLostAndFound(t *testing.T) {
	tr := card(t, files{"H/temp1_input": "24000"})
	g := tr.start(tr.options(), nil)
	state := func() string {
		l := g.look()
		return fmt.Sprintf("%v %v %s", l.State, l.Up, l.samples())
	}
	const well = `ok true gpu_temperature_celsius{sensor="edge"} 24`
	if got := state(); got != well {
		t.Fatalf("at first: %s", got)
	}
	tr.write(files{"D/uevent": aFolder})
	if ok := g.rescan(); ok || state() != well {
		t.Errorf("while its uevent cannot be read: %s, rescan ok %v; want it kept and the rescan failed", state(), ok)
	}
	tr.must(os.Rename(tr.path("class/drm/card1"), tr.path("away")))
	if ok := g.rescan(); !ok || state() != "gone false " {
		t.Errorf("without its folder: %s, rescan ok %v", state(), ok)
	}
	tr.must(os.Rename(tr.path("away"), tr.path("class/drm/card1")))
	tr.write(files{"D/uevent": uevent("0000:03:00.0")})
	for tries := 0; state() != well; tries++ { // the one that was let go may still be closing its files
		if ok := g.rescan(); !ok || tries == 100 {
			t.Fatalf("back again: %s, rescan ok %v", state(), ok)
		}
	}
}

// ENXIO says that the device is gone, in whatever file it stands, and so does the lack of its folder.
func TestGone(t *testing.T) {
	for _, file := range []string{"D/power/runtime_status", "D/gpu_metrics", "D/gpu_busy_percent", "H/temp1_input", "D/pp_dpm_sclk", "D/ras/gpu_vram_bad_pages"} {
		l := read(t, files{"H/temp2_input": "1", file: aSocket})
		if l.State != collector.StateGone || l.Up || l.samples() != "" {
			t.Errorf("%s: state %v, up %v, samples %q", file, l.State, l.Up, l.samples())
		}
	}
	tr := card(t, nil)
	d := tr.device()
	tr.write(files{"class/drm/card1": noFile})
	var r collector.Reading
	if err := d.Read(t.Context(), &r); !errors.Is(err, collector.ErrGone) || r.Failed() {
		t.Errorf("without its folder: %v, want ErrGone", err)
	}
	// It is read again when it is back, by files of its own.
	tr.write(files{"D/vendor": "0x1002", "D/gpu_busy_percent": "7"})
	r.Reset()
	if err := d.Read(t.Context(), &r); err != nil {
		t.Errorf("back again: %v", err)
	}
	if v, ok := r.Value(d.plan.load); v != 0.07 || !ok {
		t.Errorf("back again: load %v, %v", v, ok)
	}
}
