package windows

import (
	"time"

	"gpu_exporter/collector"
)

// Adapter is what D3DKMT says of an adapter that does not change (2.2). A nil pointer or an empty text: the query
// failed, or had nothing to tell.
type Adapter struct {
	LUID       LUID
	Name       string  // ADAPTERREGISTRYINFO: adapter
	BIOS       string  // ADAPTERREGISTRYINFO: BIOS
	Place      *Place  // ADAPTERADDRESS
	IDs        *PCIIDs // PHYSICALADAPTERDEVICEIDS
	Type       *uint32 // ADAPTERTYPE: bits
	WDDM       uint32  // DRIVERVERSION: 3100 is WDDM 3.1; 0: not told
	Scheduling *uint32 // WDDM_2_7_CAPS: bits
	Segments   *Sizes  // GETSEGMENTSIZE
	Service    string  // SERVICENAME: of the driver
	Version    string  // KMD_DRIVER_VERSION, else UMD_DRIVER_VERSION: 32.0.21013.1000
	Nodes      []Node  // NODEMETADATA of each node, in order of its number; as many as QueryStatistics counts
}

// The bits of Adapter.Type that are looked at.
const (
	typeRender           = 1 << 0
	typeSoftware         = 1 << 2
	typeHybridDiscrete   = 1 << 4
	typeHybridIntegrated = 1 << 5
	typeIndirect         = 1 << 6
	typeParavirtual      = 1 << 7
	typeRuntimePower     = 1 << 13
)

// schedulingEnabled is the bit of Adapter.Scheduling that says that the hardware schedules: the running time of nodes
// stands still then.
const schedulingEnabled = 1 << 1

// PCIIDs are the ids of a PCI device.
type PCIIDs struct{ Vendor, Device uint32 }

// Sizes are the memories of an adapter, in bytes.
type Sizes struct{ Dedicated, Shared uint64 }

// Node is an engine as D3DKMT names it.
type Node struct {
	Type   uint32 // 0 other, 1 3D, 2 video decode, ...
	Name   string // of type 0
	Untold bool   // NODEMETADATA failed
}

// AdapterReading is what D3DKMT says of an adapter that changes (2.3, 2.4). A nil part was not asked or not told.
type AdapterReading struct {
	Gone     bool // no adapter has this LUID
	Time     time.Time
	Filled   bool   // QueryStatistics counts nodes: an answer of all zeros is none
	Resets   uint32 // TdrDetectedCount
	Segments []Segment
	Running  []int64 // RunningTime of each node, in 100 ns; nil: some node did not tell
	Perf     *AdapterPerf
	Caps     *AdapterCaps
	Node     *NodePerf // of Target.Node
}

// Segment is a part of the memory of an adapter.
type Segment struct {
	System   bool   // Aperture: it is system memory
	Resident uint64 // bytes
}

// AdapterPerf is ADAPTERPERFDATA as far as it means something. Every 0: not told.
type AdapterPerf struct {
	MemoryHertz, MaxMemoryHertz uint64
	FanRPM                      uint32
	DeciCelsius                 uint32
}

// AdapterCaps is ADAPTERPERFDATA_CAPS likewise.
type AdapterCaps struct {
	MaxFanRPM                       uint32
	MaxDeciCelsius, WarnDeciCelsius uint32
}

// NodePerf is NODEPERFDATA likewise.
type NodePerf struct {
	Hertz, MaxHertz uint64
	Millivolts      uint32
}

// Counters are one collection of the counters (3.1).
type Counters struct {
	// Time is when they were collected, by our own clock. The time stamps of instances are in local time, says Microsoft of
	// PDH_RAW_COUNTER, so they jump; and there may be no instance.
	Time        time.Time
	RunningTime CounterSet // GPU Engine
	Dedicated   CounterSet // GPU Adapter Memory, Dedicated Usage
	Shared      CounterSet // GPU Adapter Memory, Shared Usage
}

// CounterSet is all instances of one counter. No items without an error: no instance just now, as on an idle host.
type CounterSet struct {
	Items []Counter
	Err   error // ErrUnsupported: this Windows has no such object or counter
}

// Counter is one instance of a counter, raw.
type Counter struct {
	Instance string
	Value    int64
	Bad      bool // its own status is an error: it died while it was read
}

// PnPDevice is a device that is there.
type PnPDevice struct {
	ID    string // device instance id: PCI\VEN_...
	Place *Place // by DEVPKEY_Device_BusNumber and _Address; nil: not told
}

// PowerState is the state of power of a device, as DEVPKEY_Device_PowerData numbers them.
type PowerState uint32

// The states that matter: everything between runs.
const (
	PowerUnknown PowerState = 0
	PowerD0      PowerState = 1
	PowerD3      PowerState = 4
)

// VideoController is a row of Win32_VideoController, whoever asked for it. An empty field was null or not told.
type VideoController struct {
	Name          string
	PNPDeviceID   string
	AdapterRAM    int64 // bytes; see vramOfRow
	DriverVersion string
}

// Output is what a program printed.
type Output struct {
	Text []byte
	Exit int
}

// ADLAdapter is an entry of AdapterInfo with what ADL says of its GPU that does not change (section 4). Several entries
// are of one GPU.
type ADLAdapter struct {
	Index    int32
	Place    Place
	Vendor   int32 // 1002 in decimal or in hexadecimal
	Name     string
	PNP      string // AdapterInfo's own form of the device instance id: with & for the last backslash
	Present  bool
	Family   uint32 // bits of ASICFamilyType that are valid
	Memory   int64  // MemoryInfoX4, else MemoryInfo2: bytes; 0: not told
	Version  string // VersionsX2: the Adrenalin version 24.12.1
	BIOSPart string // VideoBiosInfo: part number
}

// isGPU says whether the entry is of a GPU of AMD that is there.
func (a *ADLAdapter) isGPU() bool {
	return a.Present && (a.Vendor == 1002 || a.Vendor == vendorAMD) && a.Place.address() != ""
}

// ADLTarget is an adapter that ADL.Read is to ask.
type ADLTarget struct {
	Place Place
	// Usage: ask for DedicatedVRAMUsage too, which takes up to a second: only where the performance counters tell none.
	Usage    bool
	MaySleep bool // a child of its own reads it
}

// ADLReading is what the sensors of one GPU say.
type ADLReading struct {
	Err    error // the GPU did not answer
	Result int32 // of QueryPMLogData: 0 to 4 is good
	PMLog  PMLog
	Usage  *int64 // DedicatedVRAMUsage in MiB; nil: not asked or not told
	// Heavy: the sensors came, and DedicatedVRAMUsage took longer than there was time, or ended the child.
	Heavy bool
}

// PMLog is ADLPMLogDataOutput: sensors by their number.
type PMLog [256]PMLogSensor

// PMLogSensor is one sensor of PMLog. Its value means something only where Supported is not 0.
type PMLogSensor struct{ Supported, Value int32 }

// NVMLDevice is a GPU that NVML or nvidia-smi can read.
type NVMLDevice struct {
	Address Address
	Source  string // nvml or nvidia-smi, for gpu_info
	Type    string // as Info.Type; empty: not told
	UUID    string
	Name    string
	PCIID   string // 10de:220a
	Version string // of the driver
	VBIOS   string
}

// NVMLTarget is a GPU that NVML is to ask.
type NVMLTarget struct {
	Address  Address
	MaySleep bool
}

// NVMLReading is what NVML says of one GPU.
type NVMLReading struct {
	Err      error              // the GPU did not answer; collector.ErrGone: it is lost
	Samples  []collector.Sample // of series that are the source's: they say what a series is, and are not to be added
	Failures []collector.Failure
	Rejected []collector.QuantityID // of values outside the bounds
	// Call numbers the call of nvidia-smi that said so, which may be read more than once; 0: it was said just now.
	Call uint64
}
