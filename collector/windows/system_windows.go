package windows

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/windows"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/smi"
	"gpu_exporter/collector/worker"
)

// SystemOptions say how this Windows is asked.
type SystemOptions struct {
	ADL    bool // AMD's library is asked
	NVIDIA NVIDIAOptions
	Log    *slog.Logger
	// Restarted is told of each child that was replaced, from any goroutine; nil: nobody is.
	Restarted func(source string, reason collector.RestartReason)
}

// NVIDIAOptions say how NVIDIA's GPUs are read beside what Windows itself tells of them.
type NVIDIAOptions struct {
	NVML, SMI bool          // the ways that may be taken, NVML first
	SMIPath   string        // the nvidia-smi to call, also where no NVIDIA GPU is seen; empty: it is looked for
	Interval  time.Duration // between two calls of nvidia-smi, at least
	Firmware  bool          // read firmware versions too
}

// System is what there is on this Windows. A DLL that cannot be loaded is one without functions: each question to it is
// answered by the first that is missing.
func System(o SystemOptions) Sources {
	load := func(name string) windows.Handle {
		dll, err := systemDLL(name)
		if err != nil {
			o.Log.Debug("a DLL of Windows is missing", "err", err)
		}
		return dll
	}
	if o.Restarted == nil {
		o.Restarted = func(string, collector.RestartReason) {}
	}
	s := Sources{
		D3DKMT:     &d3dkmtDLL{findD3DKMT(load("gdi32.dll")), o.Log},
		PDH:        &pdhDLL{functions: findPDH(load("pdh.dll"))},
		PnP:        cfgmgr32{findCfgmgr32(load("cfgmgr32.dll"))},
		Registry:   func() (Registry, error) { return readRegistry(o.Log) },
		WMI:        videoControllers,
		PowerShell: powershell,
		DxDiag:     dxdiag,
	}
	if o.ADL {
		s.ADL = newADL(adlInstalled, itself(nameADL, probeName, o))
	}
	var ways []NVML
	if o.NVIDIA.NVML {
		ways = append(ways, newNVML(itself(nameNVML, nvml.SourceNVML, o)))
	}
	if o.NVIDIA.SMI {
		ways = append(ways, newSMIReader(func(seen bool) string { return findSMI(o.NVIDIA.SMIPath, seen) }, o.NVIDIA.Firmware, smi.Options{
			Interval: o.NVIDIA.Interval, Env: environment(), Log: o.Log,
			Restarted: func(reason collector.RestartReason) { o.Restarted(nvml.SourceSMI, reason) },
		}, smi.Usual))
	}
	if len(ways) > 0 {
		s.NVML = &firstOfNVML{ways: ways}
	}
	return s
}

// itself says how the program itself is started to serve a library (see Worker), and in whose name it is counted.
func itself(name, source string, o SystemOptions) worker.PoolOptions {
	options := worker.Options{
		Name: name, Env: environment(), Log: o.Log,
		Restarted: func(reason worker.Reason) { o.Restarted(source, collector.RestartReason(reason)) },
	}
	if path, err := os.Executable(); err != nil {
		o.Log.Error("this program does not know its own file: no library of a GPU vendor can be asked", "err", err)
	} else {
		options.Ways = []worker.Way{{Name: "this program", Path: path, Args: []string{"worker", name}}}
	}
	return worker.PoolOptions{Options: options}
}

// childVariables are what a child gets of the environment: what Windows and its libraries need, and nothing of the
// exporter's own.
var childVariables = map[string]bool{
	"PATH": true, "SYSTEMROOT": true, "SYSTEMDRIVE": true, "WINDIR": true, "TEMP": true, "TMP": true,
	"PROGRAMFILES": true, "PROGRAMDATA": true, "ALLUSERSPROFILE": true,
}

func environment() []string {
	env := []string{"GOMAXPROCS=2"}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if name = strings.ToUpper(name); childVariables[name] || strings.HasPrefix(name, "NVIDIA_") {
			env = append(env, pair)
		}
	}
	return env
}

// findSMI finds nvidia-smi: where it is said to be, else where drivers put it, once an NVIDIA GPU is seen. Empty: it is
// not there.
func findSMI(path string, seen bool) string {
	if path != "" {
		if absolute, err := filepath.Abs(path); err == nil && smi.IsProgram(absolute) {
			return absolute
		}
		return ""
	}
	if !seen {
		return ""
	}
	var folders []string
	if system, err := windows.GetSystemDirectory(); err == nil {
		folders = append(folders, system)
	}
	if programs := os.Getenv("ProgramFiles"); programs != "" {
		folders = append(folders, filepath.Join(programs, "NVIDIA Corporation", "NVSMI"))
	}
	for _, dir := range append(folders, filepath.SplitList(os.Getenv("PATH"))...) {
		if at := filepath.Join(dir, "nvidia-smi.exe"); filepath.IsAbs(at) && smi.IsProgram(at) {
			return at
		}
	}
	return ""
}
