// Package nvidia reads NVIDIA GPUs on Linux. It finds them on the PCI bus without touching the driver, and reads them by
// nvidia-smi, one call for all of them; what its output means is in collector/nvml.
package nvidia

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/smi"
	"gpu_exporter/collector/sysfs"
)

// The values of Options.Source.
const (
	SourceAuto = "auto"
	SourceSMI  = "nvidia-smi"
	SourceNVML = "nvml" // on Windows (see collector/windows)
)

// Options say where a Probe looks and how it reads.
type Options struct {
	Sysfs    string // the folder that is /sys: a container may have it elsewhere, a test has its own
	Procfs   string // the folder that is /proc
	Devfs    string // the folder that is /dev, for the device of WSL; empty: there is none
	SMI      string // the nvidia-smi to call, wherever an NVIDIA GPU is seen or not; empty: it is looked for
	Wake     bool   // read GPUs that sleep too, which wakes them
	Interval time.Duration
	Firmware bool // read firmware versions too
	Log      *slog.Logger
	// Restarted is told of each call that had to be ended, from any goroutine; nil: nobody is.
	Restarted func(source string, reason collector.RestartReason)
}

// Probe finds the GPUs that the driver nvidia has.
type Probe struct {
	o      Options
	source *smi.Caller
	dirs   atomic.Pointer[map[string]string] // of the PCI devices, by GPU

	mu        sync.Mutex
	known     map[string]collector.Info // what documents said of each GPU, for those that sleep now
	instances map[string]*instance      // by path
	silent    bool                      // it was logged that nvidia-smi is missing
}

// instance tells one folder from another that takes its place.
type instance struct {
	info os.FileInfo
	n    int
}

// New returns a Probe.
func New(o Options) *Probe { return newProbe(o, smi.Usual) }

func newProbe(o Options, t smi.Times) *Probe {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Restarted == nil {
		o.Restarted = func(string, collector.RestartReason) {}
	}
	p := &Probe{o: o, known: map[string]collector.Info{}, instances: map[string]*instance{}}
	p.source = smi.New(smi.Options{
		Interval: o.Interval, Power: p.power, Env: environment(), Log: o.Log,
		Restarted: func(reason collector.RestartReason) { o.Restarted(nvml.SourceSMI, reason) },
	}, t)
	return p
}

// power says whether nvidia-smi may be asked about a GPU.
func (p *Probe) power(gpu string) smi.Power {
	if p.o.Wake {
		return smi.Awake
	}
	switch state, err := powerOf((*p.dirs.Load())[gpu]); {
	case err != nil || state == sysfs.Suspended: // or may be
		return smi.Asleep
	case state == sysfs.Active:
		return smi.Active
	}
	return smi.Awake
}

// Name implements collector.Probe.
func (p *Probe) Name() string { return "nvidia" }

// Close ends the call of nvidia-smi that runs. Nothing is asked of the Probe afterwards.
func (p *Probe) Close() error {
	p.source.End()
	return nil
}

// Discover implements collector.Probe. The first time it waits for nvidia-smi, which alone has the names, but not longer
// than ctx lets it: a GPU whose name comes later is listed without it until then.
func (p *Probe) Discover(ctx context.Context) ([]collector.Device, error) {
	cards, err := p.bus()
	if err != nil {
		return nil, err
	}
	path, err := p.locate(len(cards) > 0)
	if err != nil {
		return nil, err
	}
	if path == "" {
		p.tellMissing(cards)
		return nil, nil // as a driver without its library: no fault, and looked for again at each rescan
	}
	var gpus []string
	dirs := map[string]string{}
	for _, c := range cards {
		dirs[c.gpu] = c.dir
		gpus = append(gpus, c.gpu)
	}
	p.dirs.Store(&dirs)
	p.source.Serve(path, gpus)
	last, _ := p.source.Latest(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = false
	return p.devices(cards, last)
}

// tellMissing logs once that GPUs cannot be read.
func (p *Probe) tellMissing(cards []card) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(cards) > 0 && !p.silent {
		p.o.Log.Info("there are NVIDIA GPUs, but no nvidia-smi to read them with", "gpus", len(cards))
		p.silent = true
	}
}

// devices are the GPUs on the bus and those that nvidia-smi alone knows of, as under WSL.
func (p *Probe) devices(cards []card, last smi.Result) ([]collector.Device, error) {
	var list []collector.Device
	seen := map[string]bool{}
	if last.Doc != nil {
		for _, c := range last.Doc.Cards {
			if last.About(c.Info.GPU) {
				p.known[c.Info.GPU] = c.Info
			}
		}
	}
	version := p.driverVersion()
	for _, c := range cards {
		seen[c.gpu] = true
		info, told := p.known[c.gpu]
		if !told {
			if last.Hides(c.gpu) {
				continue // from this container
			}
			info = collector.Info{
				GPU: c.gpu, Vendor: "nvidia", Type: collector.Discrete, PCIID: c.pciID,
				Driver: "nvidia", DriverVersion: version, Source: nvml.SourceSMI,
			}
		}
		list = append(list, newDevice(p, info, c.dir, fmt.Sprintf("%d %d", p.instance(filepath.Join(p.o.Sysfs, "module/nvidia")), p.instance(c.dir))))
	}
	if last.Doc == nil {
		if last.Err != nil && len(cards) == 0 && !last.Silent {
			return list, last.Err // those that are known already are kept
		}
		return list, nil
	}
	for _, c := range last.Doc.Cards {
		if !seen[c.Info.GPU] {
			list = append(list, newDevice(p, c.Info, "", c.Info.UUID))
		}
	}
	return list, nil
}

// instance numbers the folders that were found at a path, one after the other.
func (p *Probe) instance(path string) int {
	i := p.instances[path]
	if i == nil {
		i = &instance{}
		p.instances[path] = i
	}
	now, err := os.Stat(path)
	if err != nil {
		return i.n
	}
	if i.info != nil && !os.SameFile(i.info, now) {
		i.n++
	}
	i.info = now
	return i.n
}

// driverVersion is that of the driver without asking it: a sleeping GPU is not woken.
func (p *Probe) driverVersion() string {
	if text, err := sysfs.ReadText(filepath.Join(p.o.Sysfs, "module/nvidia/version")); err == nil {
		return text
	}
	text, err := sysfs.ReadText(filepath.Join(p.o.Procfs, "driver/nvidia/version"))
	if err != nil {
		return ""
	}
	// NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6 22:20:39 UTC 2023
	for _, word := range strings.Fields(text) {
		if word[0] >= '0' && word[0] <= '9' && strings.Contains(word, ".") {
			return word
		}
	}
	return ""
}

const vendorNVIDIA = "0x10de"

// card is a GPU on the PCI bus.
type card struct {
	gpu    string // as the label has it
	dir    string // its folder
	pciID  string // 10de:2216
	driver string // empty: none
}

// bus lists the GPUs on the PCI bus that the driver nvidia has. It reads only what the kernel keeps in memory, which wakes
// none.
func (p *Probe) bus() ([]card, error) {
	all, err := p.pci()
	return slices.DeleteFunc(all, func(c card) bool { return c.driver != "nvidia" }), err
}

// pci lists all GPUs of NVIDIA on the bus.
func (p *Probe) pci() (cards []card, _ error) {
	dir := filepath.Join(p.o.Sysfs, "bus/pci/devices")
	names, err := sysfs.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the PCI devices: %w", err)
	}
	for _, name := range names {
		at := filepath.Join(dir, name)
		gpu, err := nvml.Address(name)
		if err != nil || textOf(at, "vendor") != vendorNVIDIA || !isGPU(textOf(at, "class")) {
			continue
		}
		cards = append(cards, card{gpu, at, pciID(textOf(at, "device")), driverOf(at)})
	}
	return cards, nil
}

// isGPU says whether a PCI class is VGA or 3D. The card's sound and USB are functions of their own, NVSwitch a bridge.
func isGPU(class string) bool {
	return strings.HasPrefix(class, "0x0300") || strings.HasPrefix(class, "0x0302")
}

func pciID(device string) string {
	digits, ok := strings.CutPrefix(strings.ToLower(device), "0x")
	if !ok || len(digits) != 4 {
		return ""
	}
	return "10de:" + digits
}

func driverOf(dir string) string {
	if target, err := os.Readlink(filepath.Join(dir, "driver")); err == nil {
		return filepath.Base(target)
	}
	return sysfs.Uevent(textOf(dir, "uevent"), "DRIVER")
}

// textOf is an attribute, empty where it cannot be read.
func textOf(dir, name string) string {
	text, err := sysfs.ReadText(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return text
}

// smiFolders are where nvidia-smi may be beside the folders of PATH: of distributions, WSL, NixOS, GKE.
var smiFolders = []string{"/usr/bin", "/usr/lib/wsl/lib", "/run/current-system/sw/bin", "/usr/local/nvidia/bin", "/opt/bin"}

// locate finds nvidia-smi, where there is a reason to look for it; empty: there is none.
func (p *Probe) locate(seen bool) (string, error) {
	if p.o.SMI != "" {
		path, err := filepath.Abs(p.o.SMI)
		if err != nil {
			return "", err
		}
		if !smi.IsProgram(path) {
			return "", fmt.Errorf("--collector.nvidia.smi-path=%s is no program", p.o.SMI)
		}
		return path, nil
	}
	if !seen && !p.wsl() {
		return "", nil
	}
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), smiFolders...) {
		if path := filepath.Join(dir, "nvidia-smi"); filepath.IsAbs(path) && smi.IsProgram(path) {
			return path, nil
		}
	}
	return "", nil
}

// wsl says whether this is Linux on Windows, whose PCI bus does not show the GPU.
func (p *Probe) wsl() bool {
	if p.o.Devfs == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(p.o.Devfs, "dxg"))
	return err == nil
}

// environment is what nvidia-smi gets: what finds libraries and what the container runtime says, and nothing else of the
// exporter's.
func environment() []string {
	env := []string{"LANG=C", "LC_ALL=C"}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if name == "PATH" || name == "LD_LIBRARY_PATH" || strings.HasPrefix(name, "NVIDIA_") {
			env = append(env, pair)
		}
	}
	return env
}
