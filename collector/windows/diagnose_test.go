package windows

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"

	"gpu_exporter/collector"
)

func TestDiagnose(t *testing.T) {
	for name, c := range map[string]struct {
		host func(t testing.TB) *host
		want string
	}{
		"all there": {func(t testing.TB) *host {
			h := pair(t)
			h.adapters = append(h.adapters[:1], recordedAdapter{LUID: "0x00000000_0x00010e2a", AdapterString: "Microsoft Basic Render Driver", DeviceIDs: &PCIIDs{vendorMicrosoft, 0x8c}})
			h.entries = h.entries[:1]
			return h
		}, `
			ok source-answers D3DKMT: it answers: the list of GPUs, memory, resets of the driver and, of some cards, temperature, fan and clocks
			ok source-answers PDH: it answers: busy time of engines, utilization and memory in use
			ok source-answers cfgmgr32: it answers: places on PCI and whether a GPU sleeps
			ok source-answers registry: it answers: names, driver versions and sizes of memory
			ok source-answers ADL: it answers: all sensors of AMD's GPUs
			note source-silent NVML: it is not there, which gives all sensors of NVIDIA's GPUs (it comes with NVIDIA's driver)
			ok gpu-found 0000:03:00.0: AMD Radeon RX 7800 XT, discrete, listed by D3DKMT, size of its memory from D3DKMT, sensors from ADL
			note card-ignored Microsoft Basic Render Driver: listed by D3DKMT, and no GPU: it is Microsoft's own`},
		"rights are missing": {func(t testing.TB) *host {
			h := pair(t)
			h.entries, h.adapters, h.registry = nil, h.adapters[:1], nil
			h.hook = func(source string) error {
				if source == sourcePDH {
					return fmt.Errorf("PdhCollectQueryData: %w", fs.ErrPermission)
				}
				return nil
			}
			return h
		}, `
			ok source-answers D3DKMT: it answers: the list of GPUs, memory, resets of the driver and, of some cards, temperature, fan and clocks
			warn source-silent PDH: rights are missing, for busy time of engines, utilization and memory in use: PdhCollectQueryData: permission denied (make the account a member of the group Performance Monitor Users; where counters are damaged, run lodctr /R as an administrator)
			note source-silent cfgmgr32: it is not there, which gives places on PCI and whether a GPU sleeps
			note source-silent registry: it is not there, which gives names, driver versions and sizes of memory
			note source-silent ADL: it is not there, which gives all sensors of AMD's GPUs (it comes with AMD's driver)
			note source-silent NVML: it is not there, which gives all sensors of NVIDIA's GPUs (it comes with NVIDIA's driver)
			ok gpu-found 0000:03:00.0: AMD Radeon RX 7800 XT, discrete, listed by D3DKMT, size of its memory from D3DKMT`},
		"only dxdiag": {func(t testing.TB) *host { return bare(t).prints("", errors.New("broken")).writes(oneDevice, nil) }, `
			note source-silent D3DKMT: it is not there, which gives the list of GPUs, memory, resets of the driver and, of some cards, temperature, fan and clocks (Windows 10 1803 or later has it)
			note source-silent PDH: it is not there, which gives busy time of engines, utilization and memory in use (make the account a member of the group Performance Monitor Users; where counters are damaged, run lodctr /R as an administrator)
			note source-silent cfgmgr32: it is not there, which gives places on PCI and whether a GPU sleeps
			note source-silent registry: it is not there, which gives names, driver versions and sizes of memory
			note source-silent ADL: it is not there, which gives all sensors of AMD's GPUs (it comes with AMD's driver)
			note source-silent NVML: it is not there, which gives all sensors of NVIDIA's GPUs (it comes with NVIDIA's driver)
			warn source-silent WMI: rights are missing, for the list of GPUs where D3DKMT has none: permission denied (see whether the service Winmgmt runs, and winmgmt /verifyrepository)
			warn source-silent PowerShell: it fails, which gives the same where WMI refuses: PowerShell: broken
			ok source-answers dxdiag: it answers: the same where all others fail
			ok gpu-found pnp:PCI\VEN_1002&DEV_747E&SUBSYS_1&REV_C8: AMD Radeon RX 7800 XT, discrete, listed by dxdiag, size of its memory from dxdiag, without a LUID, so that no counter can be told to be its own`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(Options{Sources: c.host(t).sources()})
				discovered(t, p)
				synctest.Wait()
				var got []string
				for _, f := range p.Diagnose(t.Context()) {
					line := fmt.Sprintf("%v %v %s: %s", f.Level, f.ID, f.Subject, f.Text)
					if f.Hint != "" {
						line += " (" + f.Hint + ")"
					}
					got = append(got, line)
				}
				var right []string
				for line := range strings.Lines(c.want) {
					if line = strings.TrimSpace(line); line != "" {
						right = append(right, line)
					}
				}
				if a, b := strings.Join(got, "\n"), strings.Join(right, "\n"); a != b {
					t.Errorf("got\n%s\nwant\n%s", a, b)
				}
			})
		})
	}
}

var _ collector.Probe = (*Probe)(nil)
