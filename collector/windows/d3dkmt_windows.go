package windows

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// The functions of gdi32.dll that D3DKMT is (section 2).
const (
	enumAdapters2      = "D3DKMTEnumAdapters2"
	openFromLUID       = "D3DKMTOpenAdapterFromLuid"
	closeAdapter       = "D3DKMTCloseAdapter"
	queryAdapterInfo   = "D3DKMTQueryAdapterInfo"
	queryStatistics    = "D3DKMTQueryStatistics"
	maxAdapters        = maxRows
	maxNodes           = 256 // of an adapter, and of its segments: real ones have 30 at most
	statisticsAdapter  = 0   // D3DKMT_QUERYSTATISTICS_TYPE
	statisticsSegment  = 3
	statisticsNode     = 5
	aperture           = 1 // of a segment in system memory
	firstPhysical      = 0 // adapter of linked ones: whose sensors are told
	nodeMetadataLength = 78
)

// The types of D3DKMTQueryAdapterInfo (2.2).
const (
	infoSegmentSize  = 3
	infoAddress      = 6
	infoRegistry     = 8
	infoWDDM         = 13
	infoType         = 15
	infoUMDVersion   = 18
	infoNodeMetadata = 25
	infoDeviceIDs    = 31
	infoKMDVersion   = 49
	infoNodePerf     = 61
	infoPerf         = 62
	infoPerfCaps     = 63
	infoServiceName  = 69
	infoScheduling   = 70
)

// The structures of the calls, as d3dkmthk.h lays them out for 64 bits. The arrays below do not compile where a size is
// another; a test holds the offsets.
type (
	dAdapterInfo struct {
		Adapter uint32
		LUID    dLUID
		Sources uint32
		Present uint32
	}
	dEnumAdapters2 struct {
		Count    uint32
		Adapters *dAdapterInfo
	}
	dOpenFromLUID struct {
		LUID    dLUID
		Adapter uint32
	}
	dCloseAdapter struct {
		Adapter uint32
	}
	dQueryAdapterInfo struct {
		Adapter, Type uint32
		Data          unsafe.Pointer
		Size          uint32
	}
	dQueryStatistics struct {
		Type    uint32
		LUID    dLUID
		Process uintptr
		Result  [97]uint64 // a union
		Index   uint32     // of the node or segment
	}
)

// The answers of D3DKMTQueryAdapterInfo.
type (
	dSegmentSize struct{ DedicatedVideo, DedicatedSystem, SharedSystem uint64 }
	dAddress     struct{ Bus, Device, Function uint32 }
	dRegistry    struct{ Adapter, BIOS, DAC, Chip [260]uint16 }
	dVersion     uint64
	dDeviceIDs   struct {
		Physical                                           uint32 // asked for
		Vendor, Device, SubVendor, SubSystem, Rev, BusType uint32
	}
	dNodeMetadata struct {
		Node uint32 // asked for; the physical adapter stands in the upper half
		Type uint32
		Name [32]uint16
		_    [6]byte
	}
	dPerf struct {
		Physical                                                                      uint32 // asked for
		MemoryHertz, MaxMemoryHertz, MaxMemoryHertzOC, MemoryBandwidth, PCIEBandwidth uint64
		FanRPM, Power, DeciCelsius                                                    uint32
		PowerStateOverride                                                            uint8
	}
	dPerfCaps struct {
		Physical                                   uint32 // asked for
		MaxMemoryBandwidth, MaxPCIEBandwidth       uint64
		MaxFanRPM, MaxDeciCelsius, WarnDeciCelsius uint32
	}
	dNodePerf struct {
		Node, Physical                             uint32 // asked for
		Hertz, MaxHertz, MaxHertzOC                uint64
		Millivolts, MaxMillivolts, MaxMillivoltsOC uint32
		MaxTransitionLatency                       uint64
	}
	dServiceName [260]uint16
)

// The results of D3DKMTQueryStatistics (2.4), which begin the union.
type (
	dAdapterStatistics struct{ Segments, Nodes, Sources, _, Resets uint32 }
	dSegmentStatistics struct {
		CommitLimit, Committed, Resident uint64
		_                                [16]byte
		Aperture                         uint32
	}
	dNodeStatistics struct{ Running int64 }
)

// dLUID has alignment 4 in all structures.
type dLUID struct {
	Low  uint32
	High int32
}

func (l dLUID) luid() LUID { return LUID(uint32(l.High))<<32 | LUID(l.Low) }

func newLUID(l LUID) dLUID { return dLUID{uint32(l), int32(uint32(l >> 32))} }

var (
	_ = [unsafe.Sizeof(dAdapterInfo{})]byte([20]byte{})
	_ = [unsafe.Sizeof(dEnumAdapters2{})]byte([16]byte{})
	_ = [unsafe.Sizeof(dOpenFromLUID{})]byte([12]byte{})
	_ = [unsafe.Sizeof(dCloseAdapter{})]byte([4]byte{})
	_ = [unsafe.Sizeof(dQueryAdapterInfo{})]byte([24]byte{})
	_ = [unsafe.Sizeof(dQueryStatistics{})]byte([808]byte{})
	_ = [unsafe.Sizeof(dSegmentSize{})]byte([24]byte{})
	_ = [unsafe.Sizeof(dAddress{})]byte([12]byte{})
	_ = [unsafe.Sizeof(dRegistry{})]byte([2080]byte{})
	_ = [unsafe.Sizeof(dDeviceIDs{})]byte([28]byte{})
	_ = [unsafe.Sizeof(dNodeMetadata{})]byte([nodeMetadataLength + 2]byte{}) // the real one is packed
	_ = [unsafe.Sizeof(dPerf{})]byte([64]byte{})
	_ = [unsafe.Sizeof(dPerfCaps{})]byte([40]byte{})
	_ = [unsafe.Sizeof(dNodePerf{})]byte([56]byte{})
	_ = [unsafe.Sizeof(dServiceName{})]byte([520]byte{})
)

// d3dkmtDLL is D3DKMT by its functions.
type d3dkmtDLL struct {
	functions
	log *slog.Logger
}

func findD3DKMT(dll windows.Handle) functions {
	return find(dll, enumAdapters2, openFromLUID, closeAdapter, queryAdapterInfo, queryStatistics)
}

// Adapters implements D3DKMT.
func (d *d3dkmtDLL) Adapters() ([]Adapter, error) {
	if err := d.lacking(enumAdapters2, closeAdapter, queryAdapterInfo); err != nil {
		return nil, err
	}
	found, err := d.enumerate()
	if err != nil {
		return nil, err
	}
	// Each is a kernel object which, kept open, keeps alive an adapter that was removed.
	defer func() {
		for _, a := range found {
			d.close(a.Adapter)
		}
	}()
	var list []Adapter
	for _, a := range found {
		list = append(list, d.adapter(a.Adapter, a.LUID))
	}
	return list, nil
}

// enumerate opens all adapters. Between the question how many there are and that for them, their number may grow.
func (d *d3dkmtDLL) enumerate() ([]dAdapterInfo, error) {
	const tries = 5
	var status windows.NTStatus
	for range tries {
		var e dEnumAdapters2
		if status = d.status(enumAdapters2, unsafe.Pointer(&e)); failed(status) {
			break
		}
		if e.Count > maxAdapters {
			return nil, fmt.Errorf("%s: %w: %d adapters", enumAdapters2, ErrMalformed, e.Count)
		}
		if e.Count == 0 {
			return nil, nil
		}
		list := make([]dAdapterInfo, e.Count)
		e.Adapters = &list[0]
		status = d.status(enumAdapters2, unsafe.Pointer(&e))
		if status == windows.STATUS_BUFFER_TOO_SMALL {
			continue
		}
		if failed(status) {
			break
		}
		return list[:min(int(e.Count), len(list))], nil
	}
	return nil, told(enumAdapters2, status)
}

// close closes a handle. That this fails is a fault of ours or of Windows, which nothing here can mend.
func (d *d3dkmtDLL) close(adapter uint32) {
	c := dCloseAdapter{adapter}
	if status := d.status(closeAdapter, unsafe.Pointer(&c)); failed(status) {
		d.log.Warn("a handle of an adapter was not closed", "err", told(closeAdapter, status))
	}
}

// info asks an adapter for one thing. What the question needs stands in answer before.
func info[T any](d *d3dkmtDLL, adapter, kind uint32, answer T) *T {
	return infoOf(d, adapter, kind, answer, unsafe.Sizeof(answer))
}

func infoOf[T any](d *d3dkmtDLL, adapter, kind uint32, answer T, size uintptr) *T {
	q := dQueryAdapterInfo{adapter, kind, unsafe.Pointer(&answer), uint32(size)}
	if status := d.status(queryAdapterInfo, unsafe.Pointer(&q)); failed(status) {
		d.log.Debug("an adapter does not tell", "type", kind, "err", told(queryAdapterInfo, status))
		return nil
	}
	return &answer
}

// statistics asks for one thing of the statistics, of an index where the type has one.
func statistics[T any](d *d3dkmtDLL, luid LUID, kind, index uint32) (*T, error) {
	q := dQueryStatistics{Type: kind, LUID: newLUID(luid), Index: index}
	if status := d.status(queryStatistics, unsafe.Pointer(&q)); failed(status) {
		return nil, told(queryStatistics, status)
	}
	return (*T)(unsafe.Pointer(&q.Result)), nil
}

// adapter asks for all that does not change.
func (d *d3dkmtDLL) adapter(handle uint32, luid dLUID) Adapter {
	a := Adapter{LUID: luid.luid()}
	if r := info(d, handle, infoRegistry, dRegistry{}); r != nil {
		a.Name, a.BIOS = windows.UTF16ToString(r.Adapter[:]), windows.UTF16ToString(r.BIOS[:])
	}
	if p := info(d, handle, infoAddress, dAddress{}); p != nil {
		a.Place = &Place{p.Bus, p.Device, p.Function}
	}
	if i := info(d, handle, infoDeviceIDs, dDeviceIDs{Physical: firstPhysical}); i != nil {
		a.IDs = &PCIIDs{i.Vendor, i.Device}
	}
	a.Type = info(d, handle, infoType, uint32(0))
	if v := info(d, handle, infoWDDM, uint32(0)); v != nil {
		a.WDDM = *v
	}
	a.Scheduling = info(d, handle, infoScheduling, uint32(0))
	if s := info(d, handle, infoSegmentSize, dSegmentSize{}); s != nil {
		a.Segments = &Sizes{Dedicated: s.DedicatedVideo, Shared: s.SharedSystem}
	}
	if s := info(d, handle, infoServiceName, dServiceName{}); s != nil {
		a.Service = windows.UTF16ToString(s[:])
	}
	for _, kind := range [...]uint32{infoKMDVersion, infoUMDVersion} {
		if v := info(d, handle, kind, dVersion(0)); v != nil && *v != 0 {
			a.Version = fmt.Sprintf("%d.%d.%d.%d", *v>>48, *v>>32&0xffff, *v>>16&0xffff, *v&0xffff)
			break
		}
	}
	s, err := statistics[dAdapterStatistics](d, a.LUID, statisticsAdapter, 0)
	if err != nil {
		d.log.Debug("an adapter has no statistics", "luid", a.LUID, "err", err)
		return a
	}
	for n := range min(s.Nodes, maxNodes) {
		m := infoOf(d, handle, infoNodeMetadata, dNodeMetadata{Node: n | firstPhysical<<16}, nodeMetadataLength)
		if m == nil {
			a.Nodes = append(a.Nodes, Node{Untold: true})
			continue
		}
		a.Nodes = append(a.Nodes, Node{Type: m.Type, Name: windows.UTF16ToString(m.Name[:])})
	}
	return a
}

// Read implements D3DKMT.
func (d *d3dkmtDLL) Read(targets []Target) ([]AdapterReading, error) {
	if err := d.lacking(queryStatistics); err != nil {
		return nil, err
	}
	var list []AdapterReading
	for _, t := range targets {
		list = append(list, d.read(t))
	}
	return list, nil
}

func (d *d3dkmtDLL) read(t Target) (r AdapterReading) {
	r.Time = time.Now()
	s, err := statistics[dAdapterStatistics](d, t.LUID, statisticsAdapter, 0)
	if err != nil {
		d.log.Debug("an adapter has no statistics", "luid", t.LUID, "err", err)
	}
	// Which code says that no adapter has the LUID is told nowhere: it is gone when it cannot be opened either.
	if err != nil || t.Sensors {
		handle, err := d.open(t.LUID)
		switch {
		case err == nil:
			defer d.close(handle)
			if t.Sensors {
				d.sensors(&r, handle, t.Node)
			}
		case s == nil:
			r.Gone = !errors.Is(err, ErrUnsupported)
		}
	}
	if s == nil || s.Nodes == 0 {
		return r
	}
	r.Filled, r.Resets = true, s.Resets
	for i := range min(s.Segments, maxNodes) {
		segment, err := statistics[dSegmentStatistics](d, t.LUID, statisticsSegment, i)
		if err != nil {
			d.log.Debug("a segment has no statistics", "luid", t.LUID, "segment", i, "err", err)
			r.Segments = nil // a sum that lacks one is none
			break
		}
		r.Segments = append(r.Segments, Segment{segment.Aperture == aperture, segment.Resident})
	}
	for i := range min(s.Nodes, maxNodes) {
		node, err := statistics[dNodeStatistics](d, t.LUID, statisticsNode, i)
		if err != nil {
			d.log.Debug("a node has no statistics", "luid", t.LUID, "node", i, "err", err)
			r.Running = nil
			break
		}
		r.Running = append(r.Running, node.Running)
	}
	return r
}

func (d *d3dkmtDLL) open(luid LUID) (handle uint32, err error) {
	if err := d.lacking(openFromLUID, closeAdapter); err != nil { // what cannot be closed is not opened
		return 0, err
	}
	o := dOpenFromLUID{LUID: newLUID(luid)}
	if status := d.status(openFromLUID, unsafe.Pointer(&o)); failed(status) {
		return 0, told(openFromLUID, status)
	}
	return o.Adapter, nil
}

func (d *d3dkmtDLL) sensors(r *AdapterReading, handle uint32, node *uint32) {
	if p := info(d, handle, infoPerf, dPerf{Physical: firstPhysical}); p != nil {
		r.Perf = &AdapterPerf{p.MemoryHertz, p.MaxMemoryHertz, p.FanRPM, p.DeciCelsius}
	}
	if c := info(d, handle, infoPerfCaps, dPerfCaps{Physical: firstPhysical}); c != nil {
		r.Caps = &AdapterCaps{c.MaxFanRPM, c.MaxDeciCelsius, c.WarnDeciCelsius}
	}
	if node == nil {
		return
	}
	if n := info(d, handle, infoNodePerf, dNodePerf{Node: *node, Physical: firstPhysical}); n != nil {
		r.Node = &NodePerf{n.Hertz, n.MaxHertz, n.Millivolts}
	}
}
