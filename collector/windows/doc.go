// Package windows finds and reads the GPUs of a Windows host: what D3DKMT, the performance counters (PDH), the Plug and
// Play manager, the registry, WMI and the vendors' libraries say of them, put together. Facts come from
// windows.md of the reference texts, whose sections comments name by their number.
//
// The package has two halves, and Sources is the seam between them. On the far side stand the calls themselves: they
// give answers, as they were told, in the types of answers.go. On this side stands everything that such answers mean:
// which adapters are GPUs, who they are, which source wins, what becomes a sample. This side has no call of Windows in
// it, so that recorded answers go through it on every platform. The far side is in files whose names end in _windows.go.
//
// Who asks what, and when:
//
//   - Probe.Discover, at every rescan: D3DKMT.Adapters, Registry and PnP.Present side by side, then PnP.Power, then
//     ADL.Adapters and NVML.Devices, as far as they wake nothing. WMI only where D3DKMT lists no GPU, at most every five
//     minutes; PowerShell, then DxDiag only where D3DKMT and WMI failed and the registry lists none, in the background
//     and at most once an hour (see static.go). PDH.Collect at the first one, which opens it, and where the last one found
//     no counters.
//   - Every cycle, once for all GPUs: PDH.Collect and PnP.Power; when power is told, D3DKMT.Read, ADL.Read and NVML.Read
//     side by side. What could wake a GPU is not asked of one that sleeps, nor of one that is given the time to fall
//     asleep (see Probe.moods).
//
// Each source is asked in a goroutine of its own, and never by two at a time (see shared.go): one that hangs costs that
// goroutine, and what it alone would have told.
package windows
