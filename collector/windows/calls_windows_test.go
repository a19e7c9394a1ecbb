//go:build wine

package windows

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"gpu_exporter/collector"
	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// hosts are the shared cases that are whole hosts.
func hosts(t testing.TB) (list []string) {
	for _, name := range dirs(t, shared) {
		if dir := filepath.Join(shared, name); len(capturesOf(t, dir)) > 0 {
			list = append(list, dir)
		}
	}
	if len(list) == 0 {
		t.Fatalf("no cases in %s", shared)
	}
	return list
}

// The cases give their samples when D3DKMT, PDH and cfgmgr32 are DLLs which the program calls.
func TestHardwareCasesThroughTheCalls(t *testing.T) {
	for _, dir := range hosts(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			captures := capturesOf(t, dir)
			m := newMachine(t, dir, captures[0])
			g := m.start()
			for i, capture := range captures {
				name := "expected.prom"
				if capture != "" {
					name = "expected-" + capture + ".prom"
				}
				if i > 0 {
					m.step(dir, capture)
					m.feed()
				}
				text, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				want, err := hwcase.Parse(string(text))
				if err != nil {
					t.Fatal(err)
				}
				for _, line := range hwcase.Diff(want, exposed(t, g.cycle())) {
					t.Errorf("%s: %s", name, line)
				}
			}
			m.kernel.closed()
			if err := g.probe.Close(); err != nil {
				t.Error(err)
			}
			m.counters.closed()
		})
	}
}

// The offsets of the structures, by section 2. Their sizes are held by the compiler.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		field     string
		got, want uintptr
	}{
		{"D3DKMT_ADAPTERINFO.AdapterLuid", unsafe.Offsetof(dAdapterInfo{}.LUID), 4},
		{"D3DKMT_ENUMADAPTERS2.pAdapters", unsafe.Offsetof(dEnumAdapters2{}.Adapters), 8},
		{"D3DKMT_OPENADAPTERFROMLUID.hAdapter", unsafe.Offsetof(dOpenFromLUID{}.Adapter), 8},
		{"D3DKMT_QUERYADAPTERINFO.pPrivateDriverData", unsafe.Offsetof(dQueryAdapterInfo{}.Data), 8},
		{"D3DKMT_QUERYADAPTERINFO.PrivateDriverDataSize", unsafe.Offsetof(dQueryAdapterInfo{}.Size), 16},
		{"D3DKMT_ADAPTERREGISTRYINFO.BiosString", unsafe.Offsetof(dRegistry{}.BIOS), 520},
		{"D3DKMT_QUERY_DEVICE_IDS.VendorID", unsafe.Offsetof(dDeviceIDs{}.Vendor), 4},
		{"D3DKMT_NODEMETADATA.FriendlyName", unsafe.Offsetof(dNodeMetadata{}.Name), 8},
		{"D3DKMT_NODE_PERFDATA.Frequency", unsafe.Offsetof(dNodePerf{}.Hertz), 8},
		{"D3DKMT_NODE_PERFDATA.Voltage", unsafe.Offsetof(dNodePerf{}.Millivolts), 32},
		{"D3DKMT_ADAPTER_PERFDATA.MemoryFrequency", unsafe.Offsetof(dPerf{}.MemoryHertz), 8},
		{"D3DKMT_ADAPTER_PERFDATA.FanRPM", unsafe.Offsetof(dPerf{}.FanRPM), 48},
		{"D3DKMT_ADAPTER_PERFDATA.Temperature", unsafe.Offsetof(dPerf{}.DeciCelsius), 56},
		{"D3DKMT_ADAPTER_PERFDATACAPS.MaxFanRPM", unsafe.Offsetof(dPerfCaps{}.MaxFanRPM), 24},
		{"D3DKMT_ADAPTER_PERFDATACAPS.TemperatureWarning", unsafe.Offsetof(dPerfCaps{}.WarnDeciCelsius), 32},
		{"D3DKMT_QUERYSTATISTICS.hProcess", unsafe.Offsetof(dQueryStatistics{}.Process), 16},
		{"D3DKMT_QUERYSTATISTICS.QueryResult", unsafe.Offsetof(dQueryStatistics{}.Result), 24},
		{"D3DKMT_QUERYSTATISTICS.QueryNode", unsafe.Offsetof(dQueryStatistics{}.Index), 800},
		{"statistics of an adapter: TdrDetectedCount", unsafe.Offsetof(dAdapterStatistics{}.Resets), 16},
		{"statistics of a segment: BytesResident", unsafe.Offsetof(dSegmentStatistics{}.Resident), 16},
		{"statistics of a segment: Aperture", unsafe.Offsetof(dSegmentStatistics{}.Aperture), 40},
		{"PDH_RAW_COUNTER_ITEM.RawValue", unsafe.Offsetof(rawCounterItem{}.Status), 8},
		{"PDH_RAW_COUNTER_ITEM.RawValue.TimeStamp", unsafe.Offsetof(rawCounterItem{}.Time), 12},
		{"PDH_RAW_COUNTER_ITEM.RawValue.FirstValue", unsafe.Offsetof(rawCounterItem{}.First), 24},
	} {
		if c.got != c.want {
			t.Errorf("%s is at %d, want %d", c.field, c.got, c.want)
		}
	}
}

func rx7800xt(t testing.TB) *machine {
	t.Helper()
	return newMachine(t, filepath.Join(shared, "synthetic-rx7800xt"), "first")
}

// Of the fakes' functions some are missing, fail or grow: what comes of it at the seam.
func TestD3DKMTThatMisbehaves(t *testing.T) {
	const card = LUID(0xc51e)
	denied := fmt.Sprintf("status %s 0xC0000022\n", enumAdapters2)
	for name, c := range map[string]struct {
		feed    string // before that of the case
		more    string // after it, so of its last adapter
		missing string
		list    int // adapters
		listErr error
		readErr error
		check   func(t *testing.T, list []Adapter, r AdapterReading)
	}{
		"the list grows":     {feed: "grow\n", list: 2},
		"the list is denied": {feed: denied, listErr: fs.ErrPermission},
		"no list":            {missing: enumAdapters2, listErr: ErrUnsupported},
		"no questions":       {missing: queryAdapterInfo, listErr: ErrUnsupported},
		"handles stay":       {missing: closeAdapter, listErr: ErrUnsupported},
		"the list fails":     {feed: "status D3DKMTEnumAdapters2 0xC00000E5\n", listErr: windows.ERROR_INTERNAL_ERROR},
		"no statistics":      {missing: queryStatistics, list: 2, readErr: ErrUnsupported},
		"questions fail": {feed: "status D3DKMTQueryAdapterInfo 0xC00000BB\n", list: 2,
			check: func(t *testing.T, list []Adapter, r AdapterReading) {
				a := list[0]
				if a.Name != "" || a.Place != nil || a.Type != nil || a.LUID != card || len(a.Nodes) != 15 || !a.Nodes[14].Untold {
					t.Errorf("%+v", a)
				}
				if r.Perf != nil || !r.Filled || len(r.Running) != 15 {
					t.Errorf("%+v", r)
				}
			}},
		"statistics fail": {feed: "status D3DKMTQueryStatistics 0xC00000BB\n", list: 2,
			check: func(t *testing.T, list []Adapter, r AdapterReading) {
				if r.Gone || r.Filled || r.Perf == nil || r.Running != nil {
					t.Errorf("%+v", r)
				}
			}},
		"an adapter that is not opened": {feed: "status D3DKMTOpenAdapterFromLuid 0xC000000D\n", list: 2,
			check: func(t *testing.T, _ []Adapter, r AdapterReading) {
				if r.Gone || !r.Filled || r.Perf != nil {
					t.Errorf("%+v", r)
				}
			}},
		"an adapter is gone": {feed: "adapter 0 1\nname another\n", more: "shut", list: 3,
			check: func(t *testing.T, list []Adapter, r AdapterReading) {
				if len(list[0].Nodes) != 0 || !r.Filled {
					t.Errorf("%+v %+v", list[0], r)
				}
			}},
		"an adapter of garbage": {feed: "adapter -1 0xffffffff\nname \xff\xfe\x01\naddress 0xffffffff 0xffffffff 0xffffffff\n", list: 3,
			check: func(t *testing.T, list []Adapter, r AdapterReading) {
				if list[0].LUID != 0xffffffffffffffff || list[0].Place.address() != "" ||
					list[1].Name != "AMD Radeon RX 7800 XT" || !r.Filled {
					t.Errorf("%+v", list)
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			m := rx7800xt(t)
			m.kernel.feed(c.feed + kernelFeed(t, m.host) + c.more)
			delete(m.d3dkmt.functions, c.missing)
			list, err := m.d3dkmt.Adapters()
			if !errors.Is(err, c.listErr) || len(list) != c.list {
				t.Errorf("%d adapters, error %v; want %d, %v", len(list), err, c.list, c.listErr)
			}
			readings, err := m.d3dkmt.Read([]Target{{LUID: card, Sensors: true, Node: new(uint32)}})
			if c.readErr != nil && !errors.Is(err, c.readErr) {
				t.Errorf("error %v, want %v", err, c.readErr)
			}
			if c.check != nil && !t.Failed() {
				c.check(t, list, readings[0])
			}
			m.kernel.closed()
		})
	}
}

// A LUID that no adapter has, as after an update of the driver: the reading says so, and no handle is lost.
func TestAdapterThatIsGone(t *testing.T) {
	m := rx7800xt(t)
	for _, sensors := range []bool{false, true} {
		r, err := m.d3dkmt.Read([]Target{{LUID: 0xabcdef, Sensors: sensors}, {LUID: 0xc51e, Sensors: sensors}})
		if err != nil || !r[0].Gone || r[1].Gone || !r[1].Filled || (r[1].Perf != nil) != sensors {
			t.Errorf("sensors %v: %+v, %v", sensors, r, err)
		}
	}
	m.kernel.closed()
}

// One node whose time is not told must not let the others stand for the whole.
func TestNodeWithoutStatistics(t *testing.T) {
	m := rx7800xt(t)
	feed, rest, _ := strings.Cut(kernelFeed(t, m.host), "\nadapter 0 69162")
	m.kernel.feed(feed + "\nunstable 3\nadapter 0 69162" + rest)
	r, err := m.d3dkmt.Read([]Target{{LUID: 0xc51e}})
	if err != nil || r[0].Running != nil || len(r[0].Segments) != 2 || !r[0].Filled {
		t.Errorf("%+v, %v", r, err)
	}
}

const (
	item    = "item %s\tpid_1_luid_0x00000000_0x0000C51E_phys_0_eng_%d_engtype_3D\t%s\t133770000000000000\t%d\n"
	invalid = "0xC0000BBA" // PDH_CSTATUS_INVALID_DATA
)

func TestPDHThatMisbehaves(t *testing.T) {
	one := fmt.Sprintf(item, counterPaths[0], 0, "0", 7)
	var many strings.Builder
	for i := range 3000 { // 3000 x (48 + 2 x 60) bytes: more than the first buffer
		fmt.Fprintf(&many, item, counterPaths[0], i, "0", i)
	}
	for name, c := range map[string]struct {
		feed    string
		missing string
		err     error
		items   int
		bad     int
		setErr  error // of Running Time
		open    int   // handles that stay: the query is kept
	}{
		"one":                     {feed: one, items: 1, open: 1},
		"grows":                   {feed: "grow\n" + one, items: 1, open: 1},
		"many":                    {feed: many.String(), items: 3000, open: 1},
		"one died":                {feed: one + fmt.Sprintf(item, counterPaths[0], 1, invalid, 0), items: 2, bad: 1, open: 1},
		"a name in another form":  {feed: fmt.Sprintf("item %s\tPid_é_漢\t1\t5\t6\n", counterPaths[0]), items: 1, open: 1},
		"no object":               {err: ErrUnsupported},
		"no such object for one":  {feed: fmt.Sprintf(item, counterPaths[1], 0, "0", 7), setErr: ErrUnsupported, open: 1},
		"no function":             {feed: one, missing: pdhGetRawCounters, err: ErrUnsupported},
		"does not open":           {feed: "status PdhOpenQueryW 0x5\n" + one, err: fs.ErrPermission},
		"denied":                  {feed: "status PdhCollectQueryData 0xC0000BDB\n" + one, err: fs.ErrPermission},
		"no data":                 {feed: "status PdhCollectQueryData 0x800007D5\n" + one, items: 1, open: 1},
		"no instance":             {feed: "status PdhGetRawCounterArrayW 0x800007D1\n" + one, open: 1},
		"all died":                {feed: "status PdhGetRawCounterArrayW 0xC0000BC6\n" + one, setErr: pdhStatus(0xC0000BC6), open: 1},
		"all have invalid data":   {feed: "status PdhGetRawCounterArrayW 0xC0000BBA\n" + one, setErr: pdhStatus(0xC0000BBA), open: 1},
		"never large enough":      {feed: "status PdhGetRawCounterArrayW 0x800007D2\n" + one, setErr: pdhMoreData, open: 1},
		"counters cannot be read": {feed: "status PdhGetRawCounterArrayW 0xC0000BBC\n" + one, setErr: pdhStatus(0xC0000BBC), open: 1},
	} {
		t.Run(name, func(t *testing.T) {
			dll := loadFake(t, "fake_pdh.dll", c.feed)
			p := &pdhDLL{functions: findPDH(dll.Handle)}
			delete(p.functions, c.missing)
			for range 3 { // the query is opened once
				counters, err := p.Collect()
				set := counters.RunningTime
				bad := 0
				for _, item := range set.Items {
					if item.Bad {
						bad++
					}
				}
				if !errors.Is(err, c.err) || (err != nil) != (c.err != nil) || !errors.Is(set.Err, c.setErr) ||
					len(set.Items) != c.items || bad != c.bad {
					t.Errorf("%d items, %d bad, their error %v, error %v", len(set.Items), bad, set.Err, err)
				}
				if n := dll.handles(); n != c.open {
					t.Errorf("%d handles are out, want %d", n, c.open)
				}
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			dll.closed()
		})
	}
}

// An instance vanishes with its process, and the next collection has it not; its name and value are those it had.
func TestInstanceThatVanishes(t *testing.T) {
	first := fmt.Sprintf(item, counterPaths[0], 0, "0", 7)
	dll := loadFake(t, "fake_pdh.dll", first+fmt.Sprintf(item, counterPaths[0], 1, "0", 8))
	p := &pdhDLL{functions: findPDH(dll.Handle)}
	names := func() (list []string) {
		c, err := p.Collect()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range c.RunningTime.Items {
			list = append(list, fmt.Sprint(i.Instance, " ", i.Value))
		}
		return list
	}
	zero := "pid_1_luid_0x00000000_0x0000C51E_phys_0_eng_0_engtype_3D 7"
	one := "pid_1_luid_0x00000000_0x0000C51E_phys_0_eng_1_engtype_3D 8"
	if got := names(); !slices.Equal(got, []string{zero, one}) {
		t.Errorf("%q", got)
	}
	dll.feed(first)
	if got := names(); !slices.Equal(got, []string{zero}) {
		t.Errorf("%q", got)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	dll.closed()
}

func TestPnPThatMisbehaves(t *testing.T) {
	const (
		card  = `PCI\VEN_1002&DEV_747E\4`
		other = `PCI\VEN_8086&DEV_1234\3`
		feed  = "device " + card + "\t3\t0x10002\t4\ndevice ROOT\\X\t-\t-\t1\ndevice " + other + "\t-\t5\t-\n"
	)
	devices := []PnPDevice{{card, &Place{3, 1, 2}}, {other, nil}}
	for name, c := range map[string]struct {
		feed    string
		missing string
		devices []PnPDevice
		err     error
		states  []PowerState // of card, of other, and of one that is not there
	}{
		"well":        {feed: feed, devices: devices, states: []PowerState{PowerD3, PowerUnknown, PowerUnknown}},
		"grows":       {feed: "grow\n" + feed, devices: devices, states: []PowerState{PowerD3, PowerUnknown, PowerUnknown}},
		"none":        {states: make([]PowerState, 3)},
		"no function": {feed: feed, missing: cmProperty, err: ErrUnsupported},
		"list fails":  {feed: "status CM_Get_Device_ID_ListW 0x33\n" + feed, err: fs.ErrPermission, states: []PowerState{PowerD3, 0, 0}},
		"no property": {feed: "status CM_Get_DevNode_PropertyW 0x25\n" + feed, devices: []PnPDevice{{card, nil}, {other, nil}}, states: make([]PowerState, 3)},
		"not located": {feed: "status CM_Locate_DevNodeW 0x0D\n" + feed, states: make([]PowerState, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			dll := loadFake(t, "fake_cfgmgr32.dll", c.feed)
			p := cfgmgr32{findCfgmgr32(dll.Handle)}
			delete(p.functions, c.missing)
			got, err := p.Present()
			if !errors.Is(err, c.err) || (err != nil) != (c.err != nil) || fmt.Sprint(tell(got)) != fmt.Sprint(tell(c.devices)) {
				t.Errorf("%v, %v; want %v, %v", tell(got), err, tell(c.devices), c.err)
			}
			states, err := p.Power([]string{strings.ToLower(card), other, "PCI\\GONE"})
			if !slices.Equal(states, c.states) || (err != nil) != (c.states == nil) {
				t.Errorf("%v, %v; want %v", states, err, c.states)
			}
		})
	}
}

// tell is a list without its pointers.
func tell(list []PnPDevice) []string {
	return mapped(list, func(d PnPDevice) string { return d.ID + " " + string(d.Place.address()) })
}

// A call that hangs costs what its source alone would tell; the rest goes on, within the deadline, and after the call has
// come back all is as before.
func TestCallThatHangs(t *testing.T) {
	const deadline = 2 * time.Second
	for name, c := range map[string]struct {
		dll      func(m *machine) *fake
		function string
		state    collector.State
		lost     string // a family that is not told meanwhile
		kept     string
	}{
		"D3DKMT": {func(m *machine) *fake { return m.kernel }, queryStatistics, collector.StatePartial,
			"gpu_resets_total", "gpu_engine_busy_seconds_total"},
		"PDH": {func(m *machine) *fake { return m.counters }, pdhCollect, collector.StatePartial,
			"gpu_engine_busy_seconds_total", "gpu_resets_total"},
		// A GPU whose power state is not told is awake.
		"cfgmgr32": {func(m *machine) *fake { return m.plug }, cmProperty, collector.StateOK,
			"none", "gpu_engine_busy_seconds_total"},
	} {
		t.Run(name, func(t *testing.T) {
			m := rx7800xt(t)
			g := m.start(func(o *Options, _ *Probe) { o.Deadline = deadline })
			if s := g.read(); s.State != collector.StateOK {
				t.Fatalf("%v %v", s.State, s.Failures)
			}
			dll := c.dll(m)
			dll.feed("hang " + c.function + "\n" + dll.fed)
			g.read() // it may have been asked before
			begun := time.Now()
			s := g.read()
			if took := time.Since(begun); took > deadline {
				t.Errorf("a cycle took %v", took)
			}
			if s.State != c.state || len(samples(s, c.lost)) > 0 || len(samples(s, c.kept)) == 0 ||
				len(samples(s, "gpu_temperature_celsius")) == 0 {
				t.Errorf("%v %v\n%s", s.State, s.Failures, strings.Join(samples(s), "\n"))
			}
			dll.feed(dll.fed[strings.Index(dll.fed, "\n")+1:])
			dll.release()
			await.Until(t, "all as before", func() bool {
				s := g.read()
				return s.State == collector.StateOK && len(samples(s, c.kept)) > 0 && (c.lost == "none" || len(samples(s, c.lost)) > 0)
			})
			m.kernel.closed()
		})
	}
}
