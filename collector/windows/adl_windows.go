package windows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"gpu_exporter/collector/worker"
)

// The functions of atiadlxx.dll that are called (section 4).
const (
	adlCreate   = "ADL2_Main_Control_Create"
	adlDestroy  = "ADL2_Main_Control_Destroy"
	adlNumber   = "ADL2_Adapter_NumberOfAdapters_Get"
	adlInfo     = "ADL2_Adapter_AdapterInfo_Get"
	adlVersions = "ADL2_Graphics_VersionsX2_Get"
	adlFamily   = "ADL2_Adapter_ASICFamilyType_Get"
	adlMemory4  = "ADL2_Adapter_MemoryInfoX4_Get"
	adlMemory2  = "ADL2_Adapter_MemoryInfo2_Get"
	adlBIOS     = "ADL2_Adapter_VideoBiosInfo_Get"
	adlUsage    = "ADL2_Adapter_DedicatedVRAMUsage_Get"
	adlQuery    = "ADL2_New_QueryPMLogData_Get"
)

// The structures of the calls, as adl_structures.h lays them out for 64 bits; texts end with a 0.
type (
	adlText        [256]byte
	adlAdapterInfo struct {
		Size, Index                   int32
		UDID                          adlText
		Bus, Device, Function, Vendor int32
		Name, Display                 adlText
		Present, Exist                int32
		Path, PathExt, PNP            adlText
		OSDisplay                     int32
	}
	adlMemoryInfo struct { // MemoryInfoX4, of which MemoryInfo2 is the first 296 bytes
		Size int64
		Type adlText
		_    [7]int64
	}
	adlVersionsInfo struct{ Package, Catalyst, Adrenalin, Link adlText }
	adlBIOSInfo     struct{ Part, Version, Date adlText }
	adlLog          struct {
		Size    int32
		Sensors PMLog
	}
)

var (
	_ = [unsafe.Sizeof(adlAdapterInfo{})]byte([1572]byte{})
	_ = [unsafe.Sizeof(adlMemoryInfo{})]byte([320]byte{})
	_ = [unsafe.Sizeof(adlVersionsInfo{})]byte([1024]byte{})
	_ = [unsafe.Sizeof(adlBIOSInfo{})]byte([768]byte{})
	_ = [unsafe.Sizeof(adlLog{})]byte([2052]byte{})
)

// adlNoGPU is Create's answer where the library is, but no GPU of AMD.
const adlNoGPU = -1

// adlMemory is the callback by which ADL takes memory: of the process heap, for ADL keeps and frees it. There is one for
// the whole process, since callbacks are never freed (section 9).
var adlMemory = sync.OnceValues(func() (uintptr, error) {
	const getHeap, allocate, zeroed = "GetProcessHeap", "HeapAlloc", 8
	dll, err := systemDLL("kernel32.dll")
	if err != nil {
		return 0, err
	}
	kernel := find(dll, getHeap, allocate)
	if err := kernel.lacking(getHeap, allocate); err != nil {
		return 0, err
	}
	heap := kernel.call(getHeap)
	return syscall.NewCallback(func(size int32) uintptr {
		if size < 0 {
			return 0
		}
		return kernel.call(allocate, heap, zeroed, uintptr(size))
	}), nil
})

// adlLibrary is ADL in its child.
type adlLibrary struct {
	load func() (windows.Handle, error)
	functions
	context uintptr
	entries []ADLAdapter

	// turn is held during a call. ADL has no locks of its own ("the client has to provide its own mechanism for
	// serialization", ADLThreadingModel): a call that hangs holds up those for other GPUs, until the child is replaced.
	turn sync.Mutex
}

// newADLLibrary returns the library that is loaded from System32. No path is taken from anywhere (section 9).
func newADLLibrary() *adlLibrary {
	return &adlLibrary{load: func() (windows.Handle, error) { return systemDLL(adlFile) }}
}

// adlInstalled says whether System32 has the library: where it does not, no child is started.
func adlInstalled() bool {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(system, adlFile))
	return err == nil
}

// Load implements worker.Library.
func (l *adlLibrary) Load([]string) any {
	err := l.open()
	if err == nil {
		l.entries, err = l.list()
	}
	if err != nil {
		l.close()
		return adlFound{Err: err.Error(), Unsupported: errors.Is(err, ErrUnsupported)}
	}
	return adlFound{Entries: l.entries}
}

func (l *adlLibrary) open() error {
	dll, err := l.load()
	if err != nil {
		return err
	}
	l.functions = find(dll, adlCreate, adlDestroy, adlNumber, adlInfo, adlVersions, adlFamily, adlMemory4, adlMemory2, adlBIOS,
		adlUsage, adlQuery)
	if err := l.lacking(adlCreate, adlDestroy, adlNumber, adlInfo); err != nil {
		return err
	}
	memory, err := adlMemory()
	if err != nil {
		return err
	}
	const connected = 1 // only adapters that are there
	result := int32(l.call(adlCreate, memory, connected, uintptr(unsafe.Pointer(&l.context))))
	if result == adlNoGPU {
		return fmt.Errorf("%s answers %d, which means that no GPU of AMD is there: %w", adlCreate, result, ErrUnsupported)
	}
	return adlFailed(adlCreate, result)
}

// close gives the context back. A child does not: it ends in the midst of a call, if need be.
func (l *adlLibrary) close() {
	if l.context != 0 {
		l.call(adlDestroy, l.context)
		l.context = 0
	}
}

// ask makes a call, whose first argument is the context.
//
//go:uintptrescapes
func (l *adlLibrary) ask(name string, args ...uintptr) int32 {
	if l.functions[name] == 0 {
		return adlNotSupported
	}
	return int32(l.call(name, append([]uintptr{l.context}, args...)...))
}

func adlFailed(name string, result int32) error {
	if err := adlError(result); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// list lists the entries.
func (l *adlLibrary) list() ([]ADLAdapter, error) {
	var n int32
	if err := adlFailed(adlNumber, l.ask(adlNumber, uintptr(unsafe.Pointer(&n)))); err != nil {
		return nil, err
	}
	if n < 0 || n > maxRows {
		return nil, fmt.Errorf("%s: %w: %d entries", adlNumber, ErrMalformed, n)
	}
	if n == 0 {
		return nil, nil
	}
	info := make([]adlAdapterInfo, n)
	size := uintptr(n) * unsafe.Sizeof(info[0])
	if err := adlFailed(adlInfo, l.ask(adlInfo, uintptr(unsafe.Pointer(&info[0])), size)); err != nil {
		return nil, err
	}
	var v adlVersionsInfo
	if adlError(l.ask(adlVersions, uintptr(unsafe.Pointer(&v)))) != nil {
		v = adlVersionsInfo{} // it is not told
	}
	list := make([]ADLAdapter, n)
	for i := range info {
		a := &info[i]
		list[i] = ADLAdapter{Index: a.Index, Place: Place{uint32(a.Bus), uint32(a.Device), uint32(a.Function)}, Vendor: a.Vendor,
			Name: a.Name.text(), PNP: a.PNP.text(), Present: a.Present != 0, Version: v.Adrenalin.text()}
	}
	return list, nil
}

// text is what stands before the first 0, in UTF-8: drivers write in the code page of the system.
func (t *adlText) text() string {
	n := slices.Index(t[:], 0)
	if n < 0 {
		n = len(t)
	}
	if n == 0 {
		return ""
	}
	const ansi = 0 // CP_ACP
	var units [len(t)]uint16
	have, err := windows.MultiByteToWideChar(ansi, 0, &t[0], int32(n), &units[0], int32(len(units)))
	if err != nil {
		return string(t[:n])
	}
	return windows.UTF16ToString(units[:have])
}

// Open implements worker.Library: it asks for what does not change.
func (l *adlLibrary) Open(id string) (worker.GPU, any) {
	i := slices.IndexFunc(l.entries, func(a ADLAdapter) bool { return adlID(&a) == id })
	if i < 0 {
		return nil, adlOpened{Err: "no adapter has this number at this place"}
	}
	l.turn.Lock()
	defer l.turn.Unlock()
	a := l.entries[i]
	index := uintptr(a.Index)
	var types, valid int32
	if adlError(l.ask(adlFamily, index, uintptr(unsafe.Pointer(&types)), uintptr(unsafe.Pointer(&valid)))) == nil {
		a.Family = uint32(types & valid)
	}
	for _, call := range [...]string{adlMemory4, adlMemory2} {
		var m adlMemoryInfo
		if adlError(l.ask(call, index, uintptr(unsafe.Pointer(&m)))) == nil {
			a.Memory = m.Size
			break
		}
	}
	var b adlBIOSInfo
	if adlError(l.ask(adlBIOS, index, uintptr(unsafe.Pointer(&b)))) == nil {
		a.BIOSPart = b.Part.text()
	}
	return &adlGPU{lib: l, index: index}, adlOpened{Adapter: &a}
}

// adlGPU is a GPU in the child.
type adlGPU struct {
	lib   *adlLibrary
	index uintptr
	rows  []byte
}

// Read implements worker.GPU.
func (g *adlGPU) Read(groups uint16, t *worker.Teller) {
	for group := range uint8(adlGroups) {
		if groups&(1<<group) != 0 {
			t.Rows(group, g.read(group, t.Begin))
		}
	}
}

// read makes the call of a group. It begins when the call has its turn: who waits for it does not hang.
func (g *adlGPU) read(group uint8, begin func(uint8)) []byte {
	g.lib.turn.Lock()
	defer g.lib.turn.Unlock()
	begin(group)
	put := func(v int32) { g.rows = binary.LittleEndian.AppendUint32(g.rows, uint32(v)) }
	g.rows = g.rows[:0]
	switch group {
	case adlSensorsGroup:
		log := adlLog{Size: int32(unsafe.Sizeof(adlLog{}))}
		put(g.lib.ask(adlQuery, g.index, uintptr(unsafe.Pointer(&log))))
		for _, s := range log.Sensors {
			put(s.Supported)
			put(s.Value)
		}
	case adlUsageGroup:
		var mib int32
		put(g.lib.ask(adlUsage, g.index, uintptr(unsafe.Pointer(&mib))))
		put(mib)
	}
	return g.rows
}
