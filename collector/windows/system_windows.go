package windows

import (
	"log/slog"

	"golang.org/x/sys/windows"
)

// System is what there is on this Windows. A DLL that cannot be loaded is one without functions: each question to it is
// answered by the first that is missing.
func System(log *slog.Logger) Sources {
	load := func(name string) windows.Handle {
		dll, err := systemDLL(name)
		if err != nil {
			log.Debug("a DLL of Windows is missing", "err", err)
		}
		return dll
	}
	return Sources{
		D3DKMT:     &d3dkmtDLL{findD3DKMT(load("gdi32.dll")), log},
		PDH:        &pdhDLL{functions: findPDH(load("pdh.dll"))},
		PnP:        cfgmgr32{findCfgmgr32(load("cfgmgr32.dll"))},
		Registry:   func() (Registry, error) { return readRegistry(log) },
		WMI:        videoControllers,
		PowerShell: powershell,
		DxDiag:     dxdiag,
	}
}
