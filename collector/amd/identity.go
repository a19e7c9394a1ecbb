package amd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

const (
	vendorAMD = "0x1002"
	// deviceMI300A is the one APU without in1_input (kernel: amdgpu_pm.c, hwmon_attributes_visible).
	deviceMI300A = "74a0"
)

var (
	uniqueIDForm = regexp.MustCompile(`^[0-9a-f]{16}$`)
	pciIDForm    = regexp.MustCompile(`^[0-9a-f]{4}:([0-9a-f]{4})$`)
	addressForm  = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)
	revisionForm = regexp.MustCompile(`^0x[0-9a-f]{1,2}$`)
)

// identify looks at one card. It reads only files that the kernel answers from memory, so that it wakes no sleeping
// GPU. nil without an error: no GPU of this probe.
func (p *Probe) identify(card string) (*device, error) {
	cardDir := filepath.Join(p.o.Sysfs, "class/drm", card)
	dir := filepath.Join(cardDir, "device")
	uevent, err := sysfs.ReadText(filepath.Join(dir, "uevent"))
	if err != nil {
		// Only a folder that is not there, or ENODEV, says that there is no card (any more).
		if _, noDir := inode(dir); sysfs.Classify(err) == sysfs.Gone || noDir != nil && unlessAbsent(noDir) == nil {
			return nil, nil
		}
		return nil, err
	}
	driver := driverOf(uevent, dir)
	address := strings.ToLower(sysfs.Uevent(uevent, "PCI_SLOT_NAME"))
	if driver != "amdgpu" && driver != "radeon" || !addressForm.MatchString(address) {
		return nil, nil
	}
	vendor, err := sysfs.ReadText(filepath.Join(dir, "vendor"))
	if err != nil || vendor != vendorAMD {
		return nil, unlessAbsent(err)
	}
	files, err := sysfs.List(dir)
	if err != nil {
		return nil, unlessAbsent(err)
	}
	hwmon, err := findHwmon(dir)
	if err != nil {
		return nil, unlessAbsent(err)
	}
	key, err := instanceKey(cardDir, hwmon)
	if err != nil {
		return nil, unlessAbsent(err)
	}

	info := collector.Info{
		GPU: address, Vendor: "amd", Driver: driver, Source: "sysfs",
		PCIID: strings.ToLower(sysfs.Uevent(uevent, "PCI_ID")),
		VBIOS: textOrEmpty(filepath.Join(dir, "vbios_version")),
	}
	deviceID := ""
	if m := pciIDForm.FindStringSubmatch(info.PCIID); m != nil {
		deviceID = m[1]
	}
	if id := strings.ToLower(textOrEmpty(filepath.Join(dir, "unique_id"))); uniqueIDForm.MatchString(id) && strings.Trim(id, "0") != "" {
		info.UUID = "0x" + id
	}
	info.DriverVersion = textOrEmpty(filepath.Join(p.o.Sysfs, "module", driver, "version")) // DKMS builds only
	if info.DriverVersion == "" {
		info.DriverVersion = textOrEmpty(filepath.Join(p.o.Procfs, "sys/kernel/osrelease"))
	}
	if info.Name, err = p.name(dir, deviceID, info.PCIID); err != nil {
		return nil, unlessAbsent(err)
	}

	info.Type = collector.Discrete
	switch {
	case slices.Contains(files, "physfn") || strings.HasSuffix(info.Name, " VF"):
		info.Type = collector.Virtual
	case hwmon != "" && exists(filepath.Join(hwmon, "in1_input")) || deviceID == deviceMI300A:
		// in1 (vddnb) is made for APUs only. Its being there counts, not its value, which may be 0.
		info.Type = collector.Integrated
	}
	return &device{
		o: p.o, info: info, key: key, deviceID: deviceID,
		card: card, dir: dir, hwmon: hwmon,
	}, nil
}

// driverOf is the driver of a device whose uevent says text.
func driverOf(text, dir string) string {
	if driver := sysfs.Uevent(text, "DRIVER"); driver != "" {
		return driver
	}
	target, err := os.Readlink(filepath.Join(dir, "driver"))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// name is the entry of amdgpu.ids, else what the board says of itself, else the PCI id.
func (p *Probe) name(dir, deviceID, pciID string) (string, error) {
	revision, err := sysfs.ReadText(filepath.Join(dir, "revision"))
	switch {
	case err == nil && !revisionForm.MatchString(strings.ToLower(revision)):
		revision = "?" // exists but is none: not listed, and no other revision's name may stand in
	case err == nil:
		n, _ := strconv.ParseUint(revision[2:], 16, 8)
		revision = fmt.Sprintf("%02X", n)
	case unlessAbsent(err) == nil:
		revision = ""
	default:
		return "", err
	}
	if name := lookupName(deviceID, revision, p.o.HostRoot); name != "" {
		return name, nil
	}
	if name := textOrEmpty(filepath.Join(dir, "product_name")); name != "" {
		return name, nil
	}
	return fmt.Sprintf("AMD GPU (%s)", pciID), nil
}

// findHwmon is the folder of the card's sensors, empty where there are none. Its number changes at each load of the
// driver.
func findHwmon(dir string) (string, error) {
	names, err := sysfs.List(filepath.Join(dir, "hwmon"))
	if err != nil {
		return "", unlessAbsent(err)
	}
	best, bestNumber := "", 0
	for _, name := range names {
		n, err := strconv.Atoi(strings.TrimPrefix(name, "hwmon"))
		if err != nil || best != "" && n > bestNumber {
			continue
		}
		path := filepath.Join(dir, "hwmon", name)
		text, err := sysfs.ReadText(filepath.Join(path, "name"))
		if err != nil && unlessAbsent(err) != nil {
			return "", err
		}
		if text == "amdgpu" || text == "radeon" {
			best, bestNumber = path, n
		}
	}
	return best, nil
}

// instanceKey tells one load of the driver from the next: it makes the card and its hwmon folder anew, under new inode
// numbers and mostly under a new N.
func instanceKey(cardDir, hwmon string) (string, error) {
	card, err := inode(cardDir)
	if err != nil {
		return "", err
	}
	key := fmt.Sprintf("%s:%d", filepath.Base(cardDir), card)
	if hwmon == "" {
		return key, nil
	}
	n, err := inode(hwmon)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s:%d", key, filepath.Base(hwmon), n), nil
}

// connectors are the folders of the card's display connectors. A writeback connector is memory, no display.
func connectors(sys, card string, entries []string) []string {
	var found []string
	for _, name := range entries {
		if rest, ok := strings.CutPrefix(name, card+"-"); ok && !strings.HasPrefix(rest, "Writeback-") {
			found = append(found, filepath.Join(sys, "class/drm", name))
		}
	}
	return found
}

// textOrEmpty is an attribute that says nothing when it cannot be read.
func textOrEmpty(path string) string {
	text, err := sysfs.ReadText(path)
	if err != nil {
		return ""
	}
	return text
}

// unlessAbsent drops an error that only says that something is not there (any more).
func unlessAbsent(err error) error {
	switch sysfs.Classify(err) {
	case sysfs.Absent, sysfs.Gone:
		return nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}
