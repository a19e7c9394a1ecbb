package windows

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gpu_exporter/collector"
)

func TestNamesOfInstances(t *testing.T) {
	const luid = "luid_0x00000001_0x0000ABcd"
	for name, want := range map[string]*instance{
		luid + "_phys_0": {luid: 0x1_0000abcd},
		"pid_4_" + luid + "_phys_2_eng_11_engtype_Video Decode 1": {luid: 0x1_0000abcd, phys: 2, engine: 11, name: "Video Decode 1", isEngine: true},
		"PID_4_LUID_0X00000001_0X0000ABCD_PHYS_0_ENG_0_ENGTYPE_":  {luid: 0x1_0000abcd, isEngine: true},
		luid + "_phys_0_eng_3_engtype_a_b_1":                      {luid: 0x1_0000abcd, engine: 3, name: "a_b_1", isEngine: true},
		luid + "_phys_0_part_1":                                   {luid: 0x1_0000abcd},
		"pid_1_" + luid + "_phys_0":                               {luid: 0x1_0000abcd},
		"_Total":                                                  nil,
		"":                                                        nil,
		luid:                                                      nil,
		luid + "_phys_":                                           nil,
		luid + "_phys_x":                                          nil,
		luid + "_phys_-1":                                         nil,
		luid + "_phys_4294967296":                                 nil,
		luid + "_phys_0_eng_0":                                    nil,
		luid + "_phys_0_eng__engtype_3D":                          nil,
		luid + "_phys_0_part_":                                    nil,
		luid + "_phys_0 ":                                         nil,
		"pid__" + luid + "_phys_0":                                nil,
		"luid_0x0000001_0x0000abcd_phys_0":                        nil,
		"luid_0x0000_001_0x0000abcd_phys_0":                       nil,
		"luid_0x+0000001_0x0000abcd_phys_0":                       nil,
		"luid_0x00000001_0x0000abc":                               nil,
	} {
		got, ok := parseInstance(name)
		if ok != (want != nil) || ok && got != *want {
			t.Errorf("%q: %+v, %v", name, got, ok)
		}
	}
}

func TestEngineWords(t *testing.T) {
	for name, want := range map[string]string{
		"3D": "graphics", "High Priority 3D": "graphics", "Graphics_1": "graphics", "GDI Render": "graphics", "VR": "graphics",
		"Compute_0": "compute", "Compute 3": "compute", "Compute": "compute", "High Priority Compute": "compute", "Cuda": "compute",
		"VideoDecode": "decode", "Video Decode 1": "decode", "VideoEncode": "encode", "Video Encode 0": "encode",
		"Video Codec 0": "media", "VideoProcessing": "video_enhance", "Video JPEG": "jpeg", "JPEG_Decode_0": "jpeg", "OFA_0": "ofa",
		"Copy": "copy", "Neural": "npu", "NPU 0": "npu",
		"": "other", "Security": "other", "Crypto": "other", "Timer 0": "other", "True Audio 1": "other", "LegacyOverlay": "other", "Overlay": "other", "999": "other",
	} {
		if got := engineWord(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
	for kind, want := range []string{"other", "graphics", "decode", "encode", "video_enhance", "graphics", "copy", "other", "other", "media", "other"} {
		if got := engineWord(Node{Type: uint32(kind)}.name()); got != want {
			t.Errorf("a node of type %d is %s, want %s", kind, got, want)
		}
	}
}

func TestLabelsOfEngines(t *testing.T) {
	var l engineLabels
	add := func(names map[uint32]string, ids ...uint32) {
		var list []engineID
		for _, id := range ids {
			list = append(list, engineID{engine: id})
		}
		l.add(list, func(i int) string { return names[ids[i]] })
	}
	check := func(when string, want map[uint32]string) {
		t.Helper()
		for id, label := range want {
			if got := l.labels[engineID{engine: id}]; got != label {
				t.Errorf("%s: engine %d is %s, want %s", when, id, got, label)
			}
		}
	}
	add(map[uint32]string{1: "3D", 4: "Copy", 7: "Compute 0", 9: "Compute 1"}, 1, 4, 7, 9)
	check("at first", map[uint32]string{1: "graphics", 4: "copy", 7: "compute0", 9: "compute1"})
	add(map[uint32]string{2: "Compute 2"}, 2)
	check("a third comes", map[uint32]string{2: "compute2", 7: "compute0", 9: "compute1"}) // nobody takes the label of another
	add(map[uint32]string{3: "Copy"}, 3)
	check("a second comes", map[uint32]string{3: "copy1", 4: "copy0"})
	if l.add([]engineID{{engine: 3}}, func(int) string { return "3D" }) || len(l.labels) != 6 {
		t.Error("an engine that is known was added again")
	}
}

// seconds make a tick count.
const seconds = int64(time.Second / tick)

func TestBusyTimeOfEngines(t *testing.T) {
	type item struct {
		pid   string
		value int64
		bad   bool
	}
	type step struct {
		at    int64
		items []item
		busy  float64
		ratio float64 // -1: none
	}
	for name, steps := range map[string][]step{
		"processes come and go": {
			{1 * seconds, []item{{"1", 5 * seconds, false}, {"2", 1 * seconds, false}}, 6, -1},
			{2 * seconds, []item{{"1", 5*seconds + seconds/2, false}}, 6.5, 0.5},
			{3 * seconds, []item{{"1", 5*seconds + seconds/2, false}, {"3", seconds / 4, false}}, 6.75, 0.25},
			{4 * seconds, []item{{"3", seconds / 2, false}}, 7, 0.25},
		},
		"a pid that is used again": {
			{1 * seconds, []item{{"1", 5 * seconds, false}}, 5, -1},
			{2 * seconds, []item{{"1", seconds / 2, false}}, 5.5, 0.5},
		},
		"more than the time": { // the two clocks differ
			{1 * seconds, []item{{"1", 0, false}}, 0, -1},
			{2 * seconds, []item{{"1", 103 * seconds / 100, false}}, 1.03, 1},
		},
		"an instance that was not shown for a while": { // its whole value is not new
			{1 * seconds, []item{{"1", 500 * seconds, false}}, 500, -1},
			{2 * seconds, []item{{"2", 0, false}}, 500, 0},
			{3 * seconds, []item{{"1", 500*seconds + seconds/2, false}}, 500, 0},
			{4 * seconds, []item{{"1", 501 * seconds, false}}, 500.5, 0.5},
		},
		"an instance that could not be read once": {
			{1 * seconds, []item{{"1", 5 * seconds, false}}, 5, -1},
			{2 * seconds, []item{{"1", 0, true}}, 5, 0},
			{3 * seconds, []item{{"1", 6 * seconds, false}}, 6, 1},
		},
		"a counter that jumps": {
			{1 * seconds, []item{{"1", 5 * seconds, false}}, 5, -1},
			{2 * seconds, []item{{"1", 1 << 62, false}}, 5, 0},
			{3 * seconds, []item{{"1", 1<<62 + seconds/2, false}}, 5.5, 0.5},
		},
		"a value below nothing": {
			{1 * seconds, []item{{"1", -5, false}}, 0, -1},
			{2 * seconds, []item{{"1", seconds / 2, false}}, 0.5, 0.5},
		},
		"no instance at all": {
			{1 * seconds, []item{{"1", 5 * seconds, false}}, 5, -1},
			{2 * seconds, nil, 5, 0},
			{3 * seconds, []item{{"9", seconds / 2, false}}, 5.5, 0.5},
		},
		"two at the same time": {
			{1 * seconds, []item{{"1", 5 * seconds, false}}, 5, -1},
			{1 * seconds, []item{{"1", 5*seconds + seconds/2, false}}, 5.5, -1},
			{2 * seconds, []item{{"1", 6 * seconds, false}}, 6, 0.5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p pdhReader
			for i, s := range steps {
				c := Counters{Time: time.Unix(0, 100*s.at)}
				for _, it := range s.items {
					c.RunningTime.Items = append(c.RunningTime.Items, Counter{"pid_" + it.pid + "_luid_" + goodLUID + "_phys_0_eng_0_engtype_3D", it.value, it.bad})
				}
				a := p.read(c, func(LUID) bool { return true })
				l := a.gpus[0xaaaa].loads[0]
				if ratio := l.ratio; l.busy != s.busy || l.rated != (s.ratio >= 0) || l.rated && ratio != s.ratio {
					t.Errorf("step %d: %v s, ratio %v (%v); want %v s, %v", i, l.busy, ratio, l.rated, s.busy, s.ratio)
				}
				if len(p.seen) != len(s.items) {
					t.Errorf("step %d: %d instances are remembered, %d are there", i, len(p.seen), len(s.items))
				}
			}
		})
	}
}

// A counter set that fails costs what it tells; where there is none at all, that is said.
func TestCounterSetsOnTheirOwn(t *testing.T) {
	engine := CounterSet{Items: []Counter{{Instance: "pid_1_luid_" + goodLUID + "_phys_0_eng_0_engtype_3D", Value: 2}}}
	memory := func(v ...int64) (s CounterSet) {
		for i, v := range v {
			s.Items = append(s.Items, Counter{Instance: "luid_" + goodLUID + "_phys_" + string(rune('0'+i)), Value: v})
		}
		return s
	}
	lacking, broken := CounterSet{Err: ErrUnsupported}, CounterSet{Err: errors.New("broken")}
	for name, c := range map[string]struct {
		c                          Counters
		engines, dedicated, shared bool
		err, none                  bool
	}{
		"all":         {Counters{RunningTime: engine, Dedicated: memory(1), Shared: memory(2)}, true, true, true, false, false},
		"no engines":  {Counters{RunningTime: lacking, Dedicated: memory(1), Shared: memory(2)}, false, true, true, false, false},
		"no memory":   {Counters{RunningTime: engine, Dedicated: lacking, Shared: broken}, true, false, false, true, false},
		"none":        {Counters{RunningTime: lacking, Dedicated: lacking, Shared: lacking}, false, false, false, false, true},
		"one is left": {Counters{RunningTime: lacking, Dedicated: lacking, Shared: memory(2)}, false, false, true, false, false},
	} {
		var p pdhReader
		probe := New(Options{})
		if err := probe.lack(nil, c.c); errors.Is(err, ErrUnsupported) != c.none || probe.noCounters.Load() != c.none {
			t.Errorf("%s: %v", name, err)
		}
		if c.none {
			continue
		}
		a := p.read(c.c, func(LUID) bool { return true })
		g := a.gpus[0xaaaa]
		if g.engines != c.engines || (g.dedicated != nil) != c.dedicated || (g.shared != nil) != c.shared || (a.err != nil) != c.err {
			t.Errorf("%s: %+v, %v", name, g, a.err)
		}
	}
	var p pdhReader
	a := p.read(Counters{RunningTime: lacking, Dedicated: memory(3, 4), Shared: lacking}, func(LUID) bool { return true })
	if got := *a.gpus[0xaaaa].dedicated; got != 7 {
		t.Errorf("linked adapters use %v together, want 7", got)
	}
}

// What is kept of LUIDs and instances is bounded by what is there.
func TestCountersOfAdaptersThatLeftAreForgotten(t *testing.T) {
	var p pdhReader
	for i := range 1000 {
		name := strings.ReplaceAll("pid_1_luid_"+LUID(i+1).String()+"_phys_0_eng_0_engtype_3D", " ", "")
		p.read(Counters{RunningTime: CounterSet{Items: []Counter{{Instance: name, Value: 1}}}}, func(l LUID) bool { return l == 1 })
	}
	if len(p.meters) != 2 || len(p.seen) != 1 {
		t.Errorf("%d meters and %d instances are kept, want 2 and 1", len(p.meters), len(p.seen))
	}
}

func TestWhatPowerShellPrints(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		exit int
		rows int
		kind collector.FailureKind // of the failure, empty: none
	}{
		"one":                    {`{"Name":"x"}`, 0, 1, ""},
		"two":                    {`[{"Name":"x"},{"Name":"y"}]`, 0, 2, ""},
		"none":                   {`[]`, 0, 0, ""},
		"UTF-16":                 {"\xff\xfe{\x00}\x00", 0, 1, ""},
		"fields of other types":  {`{"Name":7,"AdapterRAM":"x","PNPDeviceID":null,"DriverDate":{"a":1}}`, 0, 1, ""},
		"blanks":                 {" \r\n\t", 0, 0, collector.Malformed},
		"a text":                 {`"x"`, 0, 0, collector.Malformed},
		"rows that are none":     {`[1,2]`, 0, 0, collector.Malformed},
		"text behind":            {`{"Name":"x"} y`, 0, 0, collector.Malformed},
		"a policy forbids":       {"powershell.exe : This program is blocked by group policy.", 1, 0, collector.IO},
		"WBEM_E_ACCESS_DENIED":   {"0x80041003", 1, 0, collector.Permission},
		"JSON, but it failed":    {`{"Name":"x"}`, 1, 0, collector.IO},
		"nested without an end":  {strings.Repeat("[", 100000), 0, 0, collector.Malformed},
		"more rows than allowed": {"[" + strings.Repeat("{},", 1000) + "{}]", 0, maxRows, ""},
	} {
		rows, err := parseCIM(Output{[]byte(c.text), c.exit})
		if len(rows) != c.rows || (err == nil) != (c.kind == "") || err != nil && kindOf(err) != c.kind {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
		if err != nil && (len(err.Error()) > 600 || !utf8.ValidString(err.Error())) {
			t.Errorf("%s: the error is no text for a person: %q", name, err)
		}
	}
}

func TestWhatDxDiagWrites(t *testing.T) {
	device := func(fields string) string {
		return "<DxDiag><DisplayDevices><DisplayDevice>" + fields + "</DisplayDevice></DisplayDevices></DxDiag>"
	}
	for name, c := range map[string]struct {
		text string
		want dxDevice
		n    int
		bad  bool
	}{
		"empty":                  {"", dxDevice{}, 0, true},
		"no displays":            {"<DxDiag><SystemInformation/></DxDiag>", dxDevice{}, 0, false}, // as Wine writes it
		"one":                    {device("<CardName>x</CardName><DedicatedMemory>16 MB</DedicatedMemory>"), dxDevice{Name: "x", Dedicated: 16 << 20}, 1, false},
		"a decimal comma":        {device("<DedicatedMemory>16,5 MB</DedicatedMemory>"), dxDevice{}, 1, false},
		"another unit":           {device("<DedicatedMemory>16 GB</DedicatedMemory>"), dxDevice{}, 1, false},
		"too much":               {device("<DedicatedMemory>9999999999 MB</DedicatedMemory>"), dxDevice{}, 1, false},
		"elements below":         {device("<CardName>a<b>c</b>d</CardName>"), dxDevice{Name: "ad"}, 1, false},
		"ids":                    {device("<VendorID>0x10DE</VendorID><DeviceID>0x25AB</DeviceID>"), dxDevice{Vendor: 0x10de, Device: 0x25ab}, 1, false},
		"ids by the key":         {device(`<DeviceKey>Enum\PCI\VEN_1002&amp;DEV_6939</DeviceKey>`), dxDevice{Key: `Enum\PCI\VEN_1002&DEV_6939`, Vendor: 0x1002, Device: 0x6939}, 1, false},
		"the sum is not read":    {device("<DisplayMemory>32 MB</DisplayMemory>"), dxDevice{}, 1, false},
		"another code page":      {"<?xml version=\"1.0\" encoding=\"windows-1251\"?>" + device("<CardName>\xd0</CardName>"), dxDevice{Name: "\uFFFD"}, 1, false},
		"UTF-16":                 {utf16File(device("<CardName>é</CardName>")), dxDevice{Name: "é"}, 1, false},
		"tags that do not match": {"<DxDiag><a></b></DxDiag>", dxDevice{}, 0, true},
		"too deep":               {"<DxDiag>" + strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100) + "</DxDiag>", dxDevice{}, 0, true},
		"too long":               {strings.Repeat(" ", maxDocument) + device(""), dxDevice{}, 0, true},
		"an entity of its own":   {`<!DOCTYPE x [<!ENTITY a "b">]>` + device("<CardName>&a;</CardName>"), dxDevice{}, 0, true},
		"not whole":              {"<DxDiag><DisplayDevices>", dxDevice{}, 0, true},
	} {
		list, err := parseDxDiag([]byte(c.text))
		if len(list) != c.n || (err != nil) != c.bad || err != nil && !errors.Is(err, ErrMalformed) || c.n == 1 && list[0] != c.want {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
	}
}

// utf16File is a text as Windows writes "Unicode".
func utf16File(s string) string {
	data := sz(s).Data
	return "\xff\xfe" + string(data[:len(data)-2])
}

func TestTextsOfTheRegistry(t *testing.T) {
	for name, c := range map[string]struct {
		v    RegistryValue
		want string
	}{
		"a text":             {sz("Radeon™"), "Radeon™"},
		"in BINARY":          {RegistryValue{RegBinary, sz("Radeon").Data}, "Radeon"},
		"without an end":     {RegistryValue{RegSZ, sz("Radeon").Data[:12]}, "Radeon"},
		"half a unit":        {RegistryValue{RegSZ, sz("Radeon").Data[:11]}, "Radeo"},
		"text behind an end": {RegistryValue{RegSZ, append(sz("Radeon").Data, 'x', 0)}, "Radeon"},
		"half a pair":        {RegistryValue{RegSZ, []byte{0x00, 0xd8}}, "\uFFFD"},
		"a number":           {dword(0x610061), ""},
		"very long":          {sz(strings.Repeat("x", 1<<16)), strings.Repeat("x", maxText)},
		"none":               {RegistryValue{}, ""},
	} {
		if got := regKey("", map[string]RegistryValue{"A": c.v}).text("a"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestKindsOfFailures(t *testing.T) {
	for err, want := range map[error]collector.FailureKind{
		errLate: collector.Timeout, fs.ErrPermission: collector.Permission, ErrMalformed: collector.Malformed,
		ErrUnsupported: collector.Missing, errors.New("x"): collector.IO,
	} {
		if got := kindOf(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
