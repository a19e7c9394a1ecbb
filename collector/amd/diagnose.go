package amd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

var _ collector.Diagnoser = (*Probe)(nil)

// guestDrivers keep a device for a virtual machine: of KVM now and in olden days, of Xen (kernel: vfio_pci.c, pci-stub.c,
// xen-pciback/pci_stub.c).
var guestDrivers = []string{"vfio-pci", "pci-stub", "pciback"}

// Diagnose implements collector.Diagnoser. It opens what Discover opens, and of devices on the PCI bus what the kernel
// keeps in memory.
func (p *Probe) Diagnose(ctx context.Context) []collector.Finding {
	if f, none := p.noSysfs(); none {
		return []collector.Finding{f}
	}
	list, err := p.Discover(ctx)
	v := view{p: p, whole: err == nil, cards: map[string]string{}, told: map[string]bool{}}
	for _, d := range list {
		v.devices = append(v.devices, d.(*device))
		v.cards[d.Info().GPU] = d.(*device).card
	}
	slices.SortFunc(v.devices, func(a, b *device) int { return strings.Compare(a.info.GPU, b.info.GPU) })

	if ctx.Err() == nil { // else some card hangs: nothing is opened but of those that answered
		v.bus()
		v.otherCards()
	}
	for _, d := range v.devices {
		v.device(d)
	}
	return v.findings
}

// noSysfs finds a sysfs that is not mounted.
func (p *Probe) noSysfs() (collector.Finding, bool) {
	f := collector.Finding{
		ID: collector.SysfsMissing, Level: collector.LevelFail, Subject: p.o.Sysfs,
		Hint: "mount it, in a container by -v /sys:/sys:ro, or say by --path.sysfs where it is",
	}
	names, err := sysfs.List(p.o.Sysfs)
	switch {
	case isMissing(err):
		f.Text = "sysfs is not there: without it no GPU can be found"
	case err == nil && len(names) == 0:
		f.Text = "the folder is empty: sysfs is not mounted there, and without it no GPU can be found"
	default:
		return f, false
	}
	return f, true
}

// view is what one Diagnose sees.
type view struct {
	p        *Probe
	devices  []*device
	whole    bool              // Discover had no error: devices are all
	cards    map[string]string // of the devices, by address
	told     map[string]bool   // addresses that bus has told of
	findings []collector.Finding
}

func (v *view) say(id collector.CheckID, level collector.Level, subject, text, hint string) {
	v.findings = append(v.findings, collector.Finding{ID: id, Level: level, Subject: subject, Text: text, Hint: hint})
}

// bus looks for AMD GPUs on the PCI bus that are no cards of ours.
func (v *view) bus() {
	dir := filepath.Join(v.p.o.Sysfs, "bus/pci/devices")
	names, err := sysfs.List(dir)
	if len(v.devices) == 0 && (isMissing(err) || err == nil && len(names) == 0) {
		v.say(collector.SysfsMissing, collector.LevelNote, dir, "no PCI device is shown: whether there is a GPU without a driver cannot be told", "")
	}
	for _, name := range names {
		address := strings.ToLower(name)
		at := filepath.Join(dir, name)
		if _, known := v.cards[address]; known || textOrEmpty(filepath.Join(at, "vendor")) != vendorAMD || !isGPU(textOrEmpty(filepath.Join(at, "class"))) {
			continue
		}
		v.idle(address, at)
	}
}

// idle is about a GPU that is not read; at is its folder.
func (v *view) idle(address, at string) {
	deviceID := strings.TrimPrefix(strings.ToLower(textOrEmpty(filepath.Join(at, "device"))), "0x")
	name, err := v.p.name(at, deviceID, "1002:"+deviceID)
	if err != nil {
		name = fmt.Sprintf("AMD GPU (1002:%s)", deviceID)
	}
	driver := driverOf(textOrEmpty(filepath.Join(at, "uevent")), at)
	switch {
	case driver == "amdgpu" || driver == "radeon":
		if v.whole { // else Discover has an error to tell
			v.say(collector.DRMMissing, collector.LevelWarn, address,
				fmt.Sprintf("%s: %s has it, but there is no card of it in %s", name, driver, filepath.Join(v.p.o.Sysfs, "class/drm")),
				"in a container, show it all of /sys; else look for the words of the driver in dmesg")
		}
		return
	case driver == "":
		state := "amdgpu is not loaded"
		if exists(filepath.Join(v.p.o.Sysfs, "module/amdgpu")) {
			state = "amdgpu is loaded, but has not taken it"
		}
		v.say(collector.DriverMissing, collector.LevelWarn, address, name+": it has no driver ("+state+")",
			"modprobe amdgpu; when that does not help, dmesg says why: a kernel too old for the GPU, firmware that is not installed, or nomodeset on the kernel's command line")
	case slices.Contains(guestDrivers, driver):
		v.say(collector.DriverVFIO, collector.LevelNote, address, name+": it is kept for a virtual machine by "+driver, "to read it, run the exporter in that machine")
	default:
		v.say(collector.DriverOther, collector.LevelWarn, address, name+": its driver "+driver+" tells nothing of it", "only amdgpu and radeon can be read: let one of them have it")
	}
	v.told[address] = true
}

// isGPU says whether a PCI class is that of a GPU: a display, or an Instinct, which is a processing accelerator (1200) or
// a signal processor (1180).
func isGPU(class string) bool {
	return strings.HasPrefix(class, "0x03") || strings.HasPrefix(class, "0x1200") || strings.HasPrefix(class, "0x1180")
}

// otherCards says why the cards that are no devices are none.
func (v *view) otherCards() {
	dir := filepath.Join(v.p.o.Sysfs, "class/drm")
	names, err := sysfs.List(dir)
	numbers := cardNumbers(names)
	switch {
	case isMissing(err):
		v.say(collector.DRMMissing, collector.LevelNote, dir, "there is no such folder: no graphics driver of the kernel is loaded", "")
	case err == nil && len(numbers) == 0:
		v.say(collector.DRMMissing, collector.LevelNote, dir, "there is no card: no graphics driver of the kernel has one", "")
	}
	var partitions []string
	for _, n := range numbers {
		card := fmt.Sprintf("card%d", n)
		if slices.ContainsFunc(v.devices, func(d *device) bool { return d.card == card }) {
			continue
		}
		at := filepath.Join(dir, card, "device")
		_, noDevice := inode(at)
		text, err := sysfs.ReadText(filepath.Join(at, "uevent"))
		switch {
		case isMissing(noDevice):
			v.say(collector.CardIgnored, collector.LevelNote, card, card+" is not read: no device stands behind it", "")
		case err != nil: // it left just now, or Discover has an error to tell
		case isPartition(text):
			partitions = append(partitions, card)
		default:
			v.ignored(card, at, text)
		}
	}
	if len(partitions) > 0 {
		v.say(collector.CardIgnored, collector.LevelNote, "amdgpu_xcp", strings.Join(partitions, ", ")+": parts of a GPU, which is shown as one", "")
	}
}

func isPartition(uevent string) bool {
	return strings.HasPrefix(sysfs.Uevent(uevent, "DRIVER"), "amdgpu_xcp") || strings.Contains(sysfs.Uevent(uevent, "MODALIAS"), "amdgpu_xcp")
}

func (v *view) ignored(card, at, uevent string) {
	driver, address := driverOf(uevent, at), strings.ToLower(sysfs.Uevent(uevent, "PCI_SLOT_NAME"))
	if v.told[address] {
		return
	}
	subject, text := address, ""
	if address == "" {
		subject = card
	}
	first, taken := v.cards[address]
	switch {
	case taken:
		subject, text = card, "the GPU is that of "+first
	case driver == "":
		text = "it has no driver"
	case driver != "amdgpu" && driver != "radeon":
		text = "its driver is " + driver + ", none of AMD's"
	case !addressForm.MatchString(address):
		text = "it has no address on the PCI bus"
	default:
		vendor, err := sysfs.ReadText(filepath.Join(at, "vendor"))
		if err != nil || vendor == vendorAMD { // it came or went just now, or Discover has an error to tell
			return
		}
		text = fmt.Sprintf("its vendor is %q, not AMD", vendor)
	}
	v.say(collector.CardIgnored, collector.LevelNote, subject, card+" is not read as an AMD GPU: "+text, "")
}

// device says what d is and what it lacks.
func (v *view) device(d *device) {
	info := d.info
	driver := strings.TrimSpace(info.Driver + " " + info.DriverVersion)
	if exists(filepath.Join(v.p.o.Sysfs, "module", info.Driver, "version")) {
		driver += " (DKMS)"
	}
	text := fmt.Sprintf("%s, %s, driver %s, in %s", info.Name, info.Type, driver, d.dir)
	if d.hwmon != "" {
		text += ", sensors in hwmon/" + filepath.Base(d.hwmon)
	}
	v.say(collector.GPUFound, collector.LevelOK, info.GPU, text, "")

	identity := []string{"vbios_version", "unique_id"}
	if info.Name == fmt.Sprintf("AMD GPU (%s)", info.PCIID) {
		identity = append(identity, "product_name")
		v.say(collector.NameUnknown, collector.LevelNote, info.GPU, "no list of names has it",
			"report it with the line of lspci -nn; a newer list of the host is read where --path.rootfs has usr/share/libdrm/amdgpu.ids")
	}
	if d.hwmon == "" {
		level := collector.LevelWarn
		if info.Driver == "radeon" || info.Type == collector.Virtual { // has them for some chips only; leaves them to the host
			level = collector.LevelNote
		}
		v.say(collector.HwmonMissing, level, info.GPU, "it has no sensors (hwmon): temperature, power and fan are not told",
			"see whether amdgpu.dpm=0 stands on the kernel's command line, and whether dmesg says that power management did not start")
	}
	if info.Driver == "amdgpu" && !exists(filepath.Join(d.dir, "gpu_metrics")) {
		v.say(collector.MetricsMissing, collector.LevelNote, info.GPU, "it has no gpu_metrics, so that it tells less: GPUs up to Vega 10 never have it, nor have kernels before 5.9", "")
	}
	var forbidden []collector.Failure
	for _, name := range identity {
		path := filepath.Join(d.dir, name)
		if _, err := sysfs.ReadText(path); sysfs.Classify(err) == sysfs.Forbidden {
			forbidden = append(forbidden, failure(path, errors.Unwrap(err)))
		}
	}
	v.findings = append(v.findings, collector.FailureFindings(info.GPU, forbidden)...)
}
