package windows

import (
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
)

// shared is where several projects have their hardware cases; a checkout may lack it.
const shared = "../../../shared/fixtures/windows"

// host is a Windows host of recorded answers: what its sources say is in its fields, which a test may change between
// cycles. hook, if it is set, is called first by every call, with the name of its source; an error is the answer.
type host struct {
	t testing.TB

	mu       sync.Mutex // guards what follows
	adapters []recordedAdapter
	counters *Counters // nil: pdh.dll has none of the objects
	present  []PnPDevice
	registry *Registry
	rows     []VideoController
	rowsErr  error
	entries  []ADLAdapter // nil: atiadlxx.dll is not there
	sensors  map[int32]ADLReading
	nvml     []NVMLDevice
	values   map[Address]NVMLReading
	program  func(ctx context.Context) (Output, error)
	dxdiag   func(ctx context.Context) ([]byte, error)
	hook     func(source string) error
	between  func()         // called after D3DKMT has read one adapter
	asked    map[string]int // calls by source
	usage    bool           // ADL was asked for memory in use
	renewed  int            // how often ADL was
	letGo    []string       // GPUs that were let go, by index or address
}

// recordedAdapter is an adapter as d3dkmt.json has it.
type recordedAdapter struct {
	LUID           string  `json:"luid"`
	AdapterString  string  `json:"adapter_string"`
	BIOSString     string  `json:"bios_string"`
	Address        *Place  `json:"address"`
	DeviceIDs      *PCIIDs `json:"device_ids"`
	TypeBits       *uint32 `json:"adapter_type_bits"`
	WDDM           uint32  `json:"wddm_version"`
	SchedulingBits *uint32 `json:"wddm_2_7_caps_bits"`
	SegmentSize    *struct {
		Dedicated uint64 `json:"dedicated_video"`
		Shared    uint64 `json:"shared_system"`
	} `json:"segment_size"`
	PowerState PowerState      `json:"power_state"`
	Perf       json.RawMessage `json:"perf"`
	PerfCaps   json.RawMessage `json:"perf_caps"`
	TDR        uint32          `json:"tdr_detected"`
	Segments   []struct {
		Aperture uint32 `json:"aperture"`
		Resident uint64 `json:"bytes_resident"`
	} `json:"segments"`
	Nodes []struct {
		Type    uint32 `json:"engine_type"`
		Name    string `json:"friendly_name"`
		Running int64  `json:"running_time_100ns"`
		Perf    struct {
			Hertz      uint64 `json:"frequency_hz"`
			MaxHertz   uint64 `json:"max_frequency_hz"`
			Millivolts uint32 `json:"voltage_mv"`
		} `json:"perf"`
	} `json:"nodes"`
	gone bool
}

// mustNotBeRead stands in place of an answer that would wake a GPU.
const mustNotBeRead = `"MUST_NOT_BE_READ"`

func (r *recordedAdapter) luid(t testing.TB) LUID {
	t.Helper()
	i, ok := parseInstance("luid_" + r.LUID + "_phys_0")
	if !ok {
		t.Fatalf("LUID %q", r.LUID)
	}
	return i.luid
}

// recorded is the host of a case, with the answers of one capture.
func recorded(t testing.TB, dir, capture string) *host {
	t.Helper()
	h := &host{t: t, asked: map[string]int{}}
	var kernel struct{ Adapters []recordedAdapter }
	if decode(t, filepath.Join(dir, "d3dkmt.json"), &kernel) {
		h.adapters = kernel.Adapters
	}
	if text, ok := content(t, filepath.Join(dir, "registry.reg")); ok {
		h.registry = parseReg(t, text)
		for _, k := range h.registry.Enum {
			h.present = append(h.present, PnPDevice{ID: k.Name, Place: k.place()})
		}
	}
	var rows []struct {
		Name, PNPDeviceID, DriverVersion string
		AdapterRAM                       int64
	}
	if decode(t, filepath.Join(dir, "wmi.json"), &rows) {
		for _, r := range rows {
			h.rows = append(h.rows, VideoController{r.Name, r.PNPDeviceID, r.AdapterRAM, r.DriverVersion})
		}
	}
	h.step(dir, capture)
	return h
}

// step puts the answers of another capture in place.
func (h *host) step(dir, capture string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if capture != "" {
		capture = "-" + capture
	}
	if text, ok := content(h.t, filepath.Join(dir, "pdh"+capture+".csv")); ok {
		h.counters = parseCounters(h.t, text)
	}
	var amd struct {
		Adapters []struct {
			Index    int32  `json:"adapter_index"`
			Bus      uint32 `json:"bus"`
			Device   uint32 `json:"device"`
			Function uint32 `json:"function"`
			Vendor   int32  `json:"vendor_id"`
			Name     string `json:"adapter_name"`
			Present  int32  `json:"present"`
			PNP      string `json:"pnp_string"`
		}
		By map[int32]struct {
			Family uint32 `json:"asic_types"`
			Memory struct {
				Size int64 `json:"memory_size"`
			} `json:"memory_info_x4"`
			Usage    *int64 `json:"dedicated_vram_usage_mib"`
			Versions struct {
				Adrenalin string `json:"crimson"`
			} `json:"versions"`
			BIOS struct {
				Part string `json:"part_number"`
			} `json:"bios"`
			PMLog map[int]int32 `json:"pmlog"`
		} `json:"by_index"`
	}
	if !decode(h.t, filepath.Join(dir, "adl"+capture+".json"), &amd) {
		return
	}
	h.entries, h.sensors = []ADLAdapter{}, map[int32]ADLReading{}
	for _, a := range amd.Adapters {
		of := amd.By[a.Index]
		h.entries = append(h.entries, ADLAdapter{Index: a.Index, Place: Place{a.Bus, a.Device, a.Function}, Vendor: a.Vendor,
			Name: a.Name, PNP: a.PNP, Present: a.Present != 0, Family: of.Family, Memory: of.Memory.Size,
			Version: of.Versions.Adrenalin, BIOSPart: of.BIOS.Part})
		h.sensors[a.Index] = ADLReading{PMLog: logOf(of.PMLog), Usage: of.Usage}
	}
}

// logOf is a PMLog in which the listed sensors are supported.
func logOf(values map[int]int32) (log PMLog) {
	for n, v := range values {
		log[n] = PMLogSensor{1, v}
	}
	return log
}

func content(t testing.TB, path string) (string, bool) {
	t.Helper()
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text), true
}

func decode(t testing.TB, path string, into any) bool {
	t.Helper()
	text, ok := content(t, path)
	if !ok {
		return false
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return true
}

func table(t testing.TB, text string) [][]string {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return lines[1:]
}

// parseCounters reads pdh.csv. An object that no line names is not there.
func parseCounters(t testing.TB, text string) *Counters {
	t.Helper()
	lacking := CounterSet{Err: ErrUnsupported}
	c := &Counters{RunningTime: lacking, Dedicated: lacking, Shared: lacking}
	sets := map[string]*CounterSet{
		"GPU Engine/Running Time":            &c.RunningTime,
		"GPU Adapter Memory/Dedicated Usage": &c.Dedicated,
		"GPU Adapter Memory/Shared Usage":    &c.Shared,
	}
	for _, f := range table(t, text) {
		stamp, err := strconv.ParseInt(f[3], 10, 64)
		value, err2 := strconv.ParseInt(f[4], 10, 64)
		if err != nil || err2 != nil {
			t.Fatalf("%q", f)
		}
		c.Time = time.Unix(stamp/1e7, stamp%1e7*100)
		if set := sets[f[0]+"/"+f[1]]; set != nil {
			set.Err = nil
			set.Items = append(set.Items, Counter{Instance: f[2], Value: value})
		}
	}
	return c
}

// parseReg reads an export of the registry.
func parseReg(t testing.TB, text string) *Registry {
	t.Helper()
	r := &Registry{}
	var key *RegistryKey
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if path, ok := strings.CutPrefix(line, `[HKEY_LOCAL_MACHINE\`); ok {
			key = r.add(strings.TrimSuffix(path, "]"))
			continue
		}
		name, data, ok := strings.Cut(strings.TrimPrefix(line, `"`), `"=`)
		if !ok || key == nil {
			continue
		}
		key.Values[strings.ToLower(name)] = regValue(t, data)
	}
	return r
}

// add adds a key by its path below HKEY_LOCAL_MACHINE; nil: it is in none of the places.
func (r *Registry) add(path string) *RegistryKey {
	for place, list := range map[string]*[]RegistryKey{
		`SYSTEM\CurrentControlSet\Control\Class\` + DisplayClass + `\`: &r.Class,
		`SYSTEM\CurrentControlSet\Enum\`:                               &r.Enum,
		`SOFTWARE\Microsoft\DirectX\`:                                  &r.DirectX,
	} {
		if name, ok := strings.CutPrefix(path, place); ok {
			*list = append(*list, RegistryKey{name, map[string]RegistryValue{}})
			return &(*list)[len(*list)-1]
		}
	}
	return nil
}

func regValue(t testing.TB, data string) RegistryValue {
	t.Helper()
	bytesOf := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, ",", ""))
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		return b
	}
	switch kind, rest, _ := strings.Cut(data, ":"); {
	case strings.HasPrefix(data, `"`):
		return sz(strings.ReplaceAll(strings.Trim(data, `"`), `\\`, `\`))
	case kind == "dword":
		v, err := strconv.ParseUint(rest, 16, 32)
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		return dword(uint32(v))
	case kind == "hex(b)":
		return RegistryValue{RegQWORD, bytesOf(rest)}
	case kind == "hex":
		return RegistryValue{RegBinary, bytesOf(rest)}
	}
	t.Fatalf("a value %q", data)
	return RegistryValue{}
}

func sz(s string) RegistryValue {
	var data []byte
	for _, u := range append(utf16.Encode([]rune(s)), 0) {
		data = binary.LittleEndian.AppendUint16(data, u)
	}
	return RegistryValue{RegSZ, data}
}

func dword(v uint32) RegistryValue {
	return RegistryValue{RegDWORD, binary.LittleEndian.AppendUint32(nil, v)}
}

func qword(v uint64) RegistryValue {
	return RegistryValue{RegQWORD, binary.LittleEndian.AppendUint64(nil, v)}
}

// regKey is a key with values.
func regKey(name string, values map[string]RegistryValue) RegistryKey {
	k := RegistryKey{name, map[string]RegistryValue{}}
	for n, v := range values {
		k.Values[strings.ToLower(n)] = v
	}
	return k
}

// sources are those that the host has.
func (h *host) sources() Sources {
	s := Sources{PDH: recordedPDH{h}}
	if h.adapters != nil {
		s.D3DKMT = recordedKernel{h}
	}
	if h.registry != nil {
		s.Registry = func() (Registry, error) {
			return call(h, sourceRegistry, func() (Registry, error) { return *h.registry, nil })
		}
		s.PnP = recordedPnP{h}
	}
	if h.rows != nil || h.rowsErr != nil {
		s.WMI = func(context.Context) ([]VideoController, error) {
			return call(h, sourceWMI, func() ([]VideoController, error) { return h.rows, h.rowsErr })
		}
	}
	if h.entries != nil {
		s.ADL = adlOf(h)
	}
	if h.nvml != nil {
		s.NVML = recordedNVML{h}
	}
	s.PowerShell, s.DxDiag = h.program, h.dxdiag
	return s
}

// call answers in the name of a source.
func call[A any](h *host, source string, answer func() (A, error)) (a A, err error) {
	h.mu.Lock()
	h.asked[source]++
	hook := h.hook
	h.mu.Unlock()
	if hook != nil {
		if err := hook(source); err != nil {
			return a, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return answer()
}

// change changes the answers.
func (h *host) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *host) calls(source string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[source]
}

type recordedKernel struct{ h *host }

func (k recordedKernel) Adapters() ([]Adapter, error) {
	return call(k.h, sourceD3DKMT+" list", func() (list []Adapter, err error) {
		for _, r := range k.h.adapters {
			a := Adapter{LUID: r.luid(k.h.t), Name: r.AdapterString, BIOS: r.BIOSString, Place: r.Address, IDs: r.DeviceIDs,
				Type: r.TypeBits, WDDM: r.WDDM, Scheduling: r.SchedulingBits}
			if s := r.SegmentSize; s != nil {
				a.Segments = &Sizes{s.Dedicated, s.Shared}
			}
			for _, n := range r.Nodes {
				a.Nodes = append(a.Nodes, Node{Type: n.Type, Name: n.Name})
			}
			list = append(list, a)
		}
		return list, nil
	})
}

func (k recordedKernel) Read(targets []Target) ([]AdapterReading, error) {
	return call(k.h, sourceD3DKMT, func() (list []AdapterReading, err error) {
		for _, target := range targets {
			i := slices.IndexFunc(k.h.adapters, func(r recordedAdapter) bool { return r.luid(k.h.t) == target.LUID })
			if i < 0 || k.h.adapters[i].gone {
				list = append(list, AdapterReading{Gone: true, Time: time.Now()})
				continue
			}
			list = append(list, k.h.adapters[i].reading(k.h.t, target))
			if k.h.between != nil {
				k.h.between()
			}
		}
		return list, nil
	})
}

func (r *recordedAdapter) reading(t testing.TB, target Target) AdapterReading {
	a := AdapterReading{Time: time.Now(), Filled: len(r.Nodes) > 0, Resets: r.TDR}
	for _, s := range r.Segments {
		a.Segments = append(a.Segments, Segment{s.Aperture == 1, s.Resident})
	}
	for _, n := range r.Nodes {
		a.Running = append(a.Running, n.Running)
	}
	if !target.Sensors {
		return a
	}
	if string(r.Perf) == mustNotBeRead {
		t.Errorf("%s sleeps, and its sensors were asked", r.AdapterString)
	}
	var perf *struct {
		MemoryHertz uint64 `json:"memory_frequency_hz"`
		MaxHertz    uint64 `json:"max_memory_frequency_hz"`
		Fan         uint32 `json:"fan_rpm"`
		Temperature uint32 `json:"temperature_tenth_celsius"`
	}
	var caps *struct {
		Fan     uint32 `json:"max_fan_rpm"`
		Max     uint32 `json:"temperature_max_tenth_celsius"`
		Warning uint32 `json:"temperature_warning_tenth_celsius"`
	}
	if json.Unmarshal(r.Perf, &perf) == nil && perf != nil {
		a.Perf = &AdapterPerf{perf.MemoryHertz, perf.MaxHertz, perf.Fan, perf.Temperature}
	}
	if json.Unmarshal(r.PerfCaps, &caps) == nil && caps != nil {
		a.Caps = &AdapterCaps{caps.Fan, caps.Max, caps.Warning}
	}
	if target.Node != nil && int(*target.Node) < len(r.Nodes) {
		n := *target.Node
		a.Node = &NodePerf{r.Nodes[n].Perf.Hertz, r.Nodes[n].Perf.MaxHertz, r.Nodes[n].Perf.Millivolts}
	}
	return a
}

type recordedPDH struct{ h *host }

func (p recordedPDH) Collect() (Counters, error) {
	return call(p.h, sourcePDH, func() (Counters, error) {
		if p.h.counters == nil {
			return Counters{}, ErrUnsupported
		}
		return *p.h.counters, nil
	})
}

func (p recordedPDH) Close() error { return nil }

type recordedPnP struct{ h *host }

func (p recordedPnP) Present() ([]PnPDevice, error) {
	return call(p.h, sourcePnP+" list", func() ([]PnPDevice, error) { return p.h.present, nil })
}

// Power answers by the adapter at the place of the device.
func (p recordedPnP) Power(ids []string) ([]PowerState, error) {
	return call(p.h, sourcePnP, func() ([]PowerState, error) {
		states := make([]PowerState, len(ids))
		for i, id := range ids {
			for _, d := range p.h.present {
				for _, r := range p.h.adapters {
					if strings.EqualFold(d.ID, id) && r.Address.address() != "" && r.Address.address() == d.Place.address() {
						states[i] = r.PowerState
					}
				}
			}
		}
		return states, nil
	})
}

// adlOf is a host's ADL; tests under Wine have it be a DLL.
var adlOf = func(h *host) ADL { return recordedADL{h} }

type recordedADL struct{ h *host }

func (a recordedADL) Adapters(context.Context, func(Place) bool) ([]ADLAdapter, error) {
	return call(a.h, sourceADL+" list", func() ([]ADLAdapter, error) { return a.h.entries, nil })
}

func (a recordedADL) LetGo(at Place) {
	a.h.change(func() { a.h.letGo = append(a.h.letGo, string(at.address())) })
}

func (a recordedADL) Renew() { a.h.change(func() { a.h.renewed++ }) }
func (a recordedADL) Close() {}

func (a recordedADL) Read(_ context.Context, targets []ADLTarget) ([]ADLReading, error) {
	return call(a.h, sourceADL, func() (list []ADLReading, err error) {
		for _, target := range targets {
			i := slices.IndexFunc(a.h.entries, func(e ADLAdapter) bool { return e.isGPU() && e.Place == target.Place })
			r := a.h.sensors[a.h.entries[i].Index]
			a.h.usage = a.h.usage || target.Usage
			if !target.Usage {
				r.Usage = nil
			}
			list = append(list, r)
		}
		return list, nil
	})
}

type recordedNVML struct{ h *host }

// Devices tells of those that are asked for, which must be awake.
func (n recordedNVML) Devices(_ context.Context, targets []NVMLTarget) ([]NVMLDevice, error) {
	return call(n.h, sourceNVML+" list", func() (list []NVMLDevice, err error) {
		for _, d := range n.h.nvml {
			if targets == nil || slices.ContainsFunc(targets, func(t NVMLTarget) bool { return t.Address == shortAddress(d.Address) }) {
				list = append(list, d)
			}
		}
		return list, nil
	})
}

func (n recordedNVML) Read(_ context.Context, targets []NVMLTarget) ([]NVMLReading, error) {
	return call(n.h, sourceNVML, func() (list []NVMLReading, err error) {
		for _, t := range targets {
			r, ok := n.h.values[t.Address]
			if !ok {
				r.Err = fmt.Errorf("no answer for %s", t.Address)
			}
			list = append(list, r)
		}
		return list, nil
	})
}

func (n recordedNVML) LetGo(a Address) {
	n.h.change(func() { n.h.letGo = append(n.h.letGo, string(a)) })
}

func (n recordedNVML) Close() {}

// dirs are the folders of cases below root, none where it is missing.
func dirs(t testing.TB, root string) []string {
	t.Helper()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Logf("%s is not here", root)
	}
	all := map[string]bool{}
	for _, e := range entries {
		if e.IsDir() {
			all[e.Name()] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
