package nvml

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"gpu_exporter/collector/worker"
)

// Binding is a library that is loaded.
type Binding interface {
	// Find is the address of a function that it exports; 0: it has none of this name.
	Find(symbol string) uintptr
	// Call calls a function. The arguments are good during the call only.
	Call(at uintptr, args []uintptr) int32
}

// Library is NVML in the child that calls it.
type Library struct {
	load  func(path string) (Binding, error)
	now   func() time.Time // replaced by tests
	b     Binding          // nil: it could not be loaded, or does not start
	found found

	mu sync.Mutex // guards at: GPUs are read side by side
	at map[string]uintptr
}

var _ worker.Library = (*Library)(nil)

// NewLibrary returns a Library that is loaded by a function; an empty path is the name that NVML has on this system.
func NewLibrary(load func(path string) (Binding, error)) *Library {
	return &Library{load: load, now: time.Now, at: map[string]uintptr{}}
}

// Hello is what a child that calls NVML says first.
func Hello() worker.Hello { return worker.Hello{Protocol: Protocol, Table: Hash()} }

// found is what a child says of the library.
type found struct {
	Library string `json:"library,omitempty"` // the one that opened
	Error   string `json:"error,omitempty"`   // why none did
	Init    Return `json:"init"`              // code of nvmlInit
	Driver  string `json:"driver,omitempty"`
	Count   uint32 `json:"count"` // of GPUs
}

// opened is what a child says of a GPU.
type opened struct {
	Code     Return   `json:"code"` // of the call that gives a handle
	Identity Identity `json:"identity"`
	Rows     []int    `json:"rows,omitempty"` // those that the library has functions for
}

// Load implements worker.Library.
func (l *Library) Load(paths []string) any {
	if len(paths) == 0 {
		paths = []string{""}
	}
	l.found = found{Init: LibraryNotFound}
	var failed []string
	for _, path := range paths {
		b, err := l.load(path)
		if err != nil {
			failed = append(failed, err.Error())
			continue
		}
		l.b, l.found.Library = b, path
		break
	}
	if l.b == nil {
		l.found.Error = strings.Join(failed, "; ")
		return l.found
	}
	l.found.Init = l.call("nvmlInit_v2")
	if l.found.Init != Success {
		l.b = nil
		return l.found
	}
	l.found.Driver = text(l.call, "nvmlSystemGetDriverVersion", bufferDriver)
	var pin runtime.Pinner
	defer pin.Unpin()
	m := newMemory(4, &pin)
	if l.call("nvmlDeviceGetCount_v2", m.at(0)) == Success {
		l.found.Count = m.u32(0)
	}
	return l.found
}

// find is the address of a function, looked up once.
func (l *Library) find(symbol string) uintptr {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, known := l.at[symbol]
	if !known {
		at = l.b.Find(symbol)
		l.at[symbol] = at
	}
	return at
}

// call calls a function that may be missing.
func (l *Library) call(symbol string, args ...uintptr) Return {
	at := l.find(symbol)
	if at == 0 {
		return FunctionNotFound
	}
	return code(l.b.Call(at, args))
}

// code is what a function returned. None returns what is no code of a few digits.
func code(c int32) Return {
	if c < 0 || c > math.MaxUint16 {
		return Unknown
	}
	return Return(c)
}

// text is what a function writes into a buffer of a size that nvml.h fixes, empty where it fails.
func text(call func(symbol string, args ...uintptr) Return, symbol string, size int, handle ...uintptr) string {
	var pin runtime.Pinner
	defer pin.Unpin()
	m := newMemory(size, &pin)
	if call(symbol, append(handle, m.at(0), uintptr(size))...) != Success {
		return ""
	}
	return m.text(0, size)
}

// memory is given to the library by its address, and so must neither move nor go away.
type memory struct{ bytes []byte }

// newMemory makes memory that stays where it is until pin lets it go.
func newMemory(size int, pin *runtime.Pinner) memory {
	words := make([]uint64, (size+7)/8) // so that each number in it is aligned
	pin.Pin(&words[0])
	return memory{unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)}
}

func (m memory) at(offset int) uintptr { return uintptr(unsafe.Pointer(&m.bytes[offset])) }

func (m memory) u32(at int) uint32 { return binary.LittleEndian.Uint32(m.bytes[at:]) }
func (m memory) u64(at int) uint64 { return binary.LittleEndian.Uint64(m.bytes[at:]) }

func (m memory) put32(at int, v uint32) { binary.LittleEndian.PutUint32(m.bytes[at:], v) }
func (m memory) put64(at int, v uint64) { binary.LittleEndian.PutUint64(m.bytes[at:], v) }

// text is a string of C in a fixed buffer.
func (m memory) text(at, size int) string {
	b := m.bytes[at : at+size]
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return strings.ToValidUTF8(string(b), "\ufffd")
}

// raw is a number of a struct, as it goes over the pipe.
func (m memory) raw(n datum) uint64 {
	b := m.bytes[n.at:]
	switch n.size {
	case 1:
		return uint64(b[0])
	case 4:
		return uint64(n.order.Uint32(b))
	}
	return n.order.Uint64(b)
}

// The buffers of nvml.h for texts.
const (
	bufferUUID   = 96
	bufferName   = 96
	bufferVBIOS  = 32
	bufferDriver = 80
)

// pciSize is that of PciInfo. Its domain, bus, device and ids are where they were in older ones.
const pciSize = 68

// Open implements worker.Library. id is a bus id, or in decimal an index, which is only for where nobody tells addresses.
func (l *Library) Open(id string) (worker.GPU, any) {
	if l.b == nil {
		return nil, opened{Code: l.found.Init}
	}
	handle, c := l.handle(id)
	if c != Success {
		return nil, opened{Code: c}
	}
	o := opened{Identity: l.identify(handle, id)}
	for n := range Table {
		if l.find(symbolOf(&Table[n])) != 0 {
			o.Rows = append(o.Rows, n)
		}
	}
	return newDevice(l, handle, o.Identity.Virtualization == vGPU), o
}

// symbolOf is the function that answers a row.
func symbolOf(r *Row) string {
	switch {
	case r.Field != 0:
		return fieldValues
	case r.Call == gpmMetrics:
		return "nvml" + gpmMetrics
	}
	return prefix + r.Call
}

func (l *Library) handle(id string) (uintptr, Return) {
	var pin runtime.Pinner
	defer pin.Unpin()
	m := newMemory(8+len(id)+1, &pin)
	var c Return
	if index, err := strconv.ParseUint(id, 10, 32); err == nil {
		c = l.call("nvmlDeviceGetHandleByIndex_v2", uintptr(index), m.at(0))
	} else {
		copy(m.bytes[8:], id) // what follows is 0
		c = l.call("nvmlDeviceGetHandleByPciBusId_v2", m.at(8), m.at(0))
	}
	if c != Success {
		return 0, c
	}
	return uintptr(m.u64(0)), Success
}

// identify asks for what does not change. What is not told stays empty.
func (l *Library) identify(handle uintptr, id string) (i Identity) {
	i.BusID, i.DriverVersion = id, l.found.Driver
	var pin runtime.Pinner
	defer pin.Unpin()
	m := newMemory(pciSize, &pin)
	c := l.call("nvmlDeviceGetPciInfo_v3", handle, m.at(0))
	if c != Success {
		c = l.call("nvmlDeviceGetPciInfo_v2", handle, m.at(0))
	}
	if c == Success { // the text is 0 in some guests, the numbers are not
		i.BusID = fmt.Sprintf("%08X:%02X:%02X.0", m.u32(16), m.u32(20), m.u32(24))
		i.PCIDeviceID = m.u32(28)
	}
	i.UUID = text(l.call, "nvmlDeviceGetUUID", bufferUUID, handle)
	i.Name = text(l.call, "nvmlDeviceGetName", bufferName, handle)
	i.VBIOS = text(l.call, "nvmlDeviceGetVbiosVersion", bufferVBIOS, handle)
	if l.call("nvmlDeviceGetVirtualizationMode", handle, m.at(0)) == Success {
		i.Virtualization = m.u32(0)
	}
	i.Unified = l.unified(handle)
	return i
}

// addressingATS is the mode of a GPU that may share the memory of the system.
const addressingATS = 2

// unified says that the GPU shares the memory of the system (nvidia.md 2.2).
func (l *Library) unified(handle uintptr) bool {
	var pin runtime.Pinner
	defer pin.Unpin()
	m := newMemory(40, &pin)
	for _, call := range []string{"GetMemoryInfo_v2", "GetMemoryInfo", "GetBAR1MemoryInfo"} {
		clear(m.bytes)
		m.put32(0, formsOf(call)[0].version)
		c := l.call(prefix+call, handle, m.at(0))
		if c != NotSupported && c != FunctionNotFound {
			return false
		}
	}
	clear(m.bytes)
	m.put32(0, wordOf(8, 1))
	return l.call("nvmlDeviceGetAddressingMode", handle, m.at(0)) == Success && m.u32(4) == addressingATS
}
