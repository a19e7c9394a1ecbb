package windows

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/internal/hwcase"
)

// tables are the shared cases whose README tells in words or a table what is right. Text that the program does not parse
// is turned into answers here.
var tables map[string]func(t *testing.T, dir string)

func init() {
	tables = map[string]func(t *testing.T, dir string){
		"real-adl-reports":           adlReports,
		"real-dxdiag-text":           dxdiagText,
		"real-pdh-engine-names":      engineNames,
		"real-pdh-memory-8060s":      memory8060S,
		"real-typeperf-rx7900xt":     typeperf,
		"real-windows-exporter-2125": physMistake,
		"real-wmi-lists":             wmiLists,
		"reg-query":                  regQueries,
		"synthetic-dxdiag-xml":       dxdiagXML,
		"synthetic-powershell-json":  powershellJSON,
		"synthetic-virtual-adapters": virtualAdapters,
	}
}

func TestTablesOfCases(t *testing.T) {
	there := dirs(t, shared)
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if !slices.Contains(there, name) {
			continue
		}
		t.Run(name, func(t *testing.T) { tables[name](t, filepath.Join(shared, name)) })
	}
}

func file(t testing.TB, dir, name string) string {
	t.Helper()
	text, ok := content(t, filepath.Join(dir, name))
	if !ok {
		t.Fatalf("%s is missing in %s", name, dir)
	}
	return text
}

// card is a host with one AMD card that D3DKMT and ADL know, for sensors that are given.
func card(t testing.TB, log map[int]int32) *host {
	t.Helper()
	bits, vendor := uint32(typeRender), &PCIIDs{vendorAMD, 0x731f}
	at := Place{3, 0, 0}
	return &host{t: t, asked: map[string]int{},
		adapters: []recordedAdapter{{LUID: "0x00000000_0x0000c51e", AdapterString: "AMD Radeon RX 5700 XT", Address: &at, DeviceIDs: vendor, TypeBits: &bits}},
		entries:  []ADLAdapter{{Place: at, Vendor: 1002, Present: true}},
		sensors:  map[int32]ADLReading{0: {PMLog: logOf(log)}},
	}
}

func adlReports(t *testing.T, dir string) {
	var report struct {
		PMLog map[int]int32 `json:"pmlog"`
	}
	if err := json.Unmarshal([]byte(file(t, dir, "pmlog-5700xt.json")), &report); err != nil {
		t.Fatal(err)
	}
	t.Run("pmlog-5700xt.json", func(t *testing.T) {
		want(t, samples(card(t, report.PMLog).start().read()), `
			gpu_clock_hertz{clock="graphics"} 1.68e+08
			gpu_clock_hertz{clock="memory"} 1.744e+09
			gpu_clock_hertz{clock="soc"} 6.89e+08
			gpu_temperature_celsius{sensor="edge"} 57
			gpu_temperature_celsius{sensor="memory"} 64
			gpu_temperature_celsius{sensor="vr_graphics"} 49
			gpu_temperature_celsius{sensor="hotspot"} 58
			gpu_fan_speed_rpm{fan="1"} 843
			gpu_fan_duty_ratio{fan="1"} 0.24
			gpu_voltage_volts{rail="graphics"} 0.725
			gpu_voltage_volts{rail="memory"} 0.85
			gpu_voltage_volts{rail="soc"} 0.793
			gpu_utilization_ratio 0.07
			gpu_engine_utilization_ratio{engine="memory"} 0.02
			gpu_power_watts{domain="package"} 38`)
	})
	t.Run("a Radeon 890M has sensor 28 in place of 8", func(t *testing.T) {
		want(t, samples(card(t, map[int]int32{28: 33}).start().read()), `gpu_temperature_celsius{sensor="edge"} 33`)
	})
	t.Run("sensor 11 tells better than 25 and 26", func(t *testing.T) {
		want(t, samples(card(t, map[int]int32{11: 50, 25: 51, 26: 52}).start().read()), `gpu_temperature_celsius{sensor="vr_memory"} 50`)
		want(t, samples(card(t, map[int]int32{25: 51, 26: 52}).start().read()), `
			gpu_temperature_celsius{sensor="vr_memory0"} 51
			gpu_temperature_celsius{sensor="vr_memory1"} 52`)
	})
	t.Run("lhm-5700xt-not-supported.txt", func(t *testing.T) {
		if !strings.Contains(file(t, dir, "lhm-5700xt-not-supported.txt"), "Status: ADL_ERR_NOT_SUPPORTED") {
			t.Fatal("the case has changed")
		}
		h := card(t, nil)
		h.sensors[0] = ADLReading{Result: adlNotSupported}
		bits := uint32(0)
		h.adapters[0].SchedulingBits = &bits
		h.adapters[0].Perf = []byte(`{"temperature_tenth_celsius": 470}`)
		h.counters = &Counters{
			RunningTime: CounterSet{Err: ErrUnsupported}, Shared: CounterSet{Err: ErrUnsupported},
			Dedicated: CounterSet{Items: []Counter{{Instance: "luid_0x00000000_0x0000c51e_phys_0", Value: 5}}},
		}
		d := h.start().read()
		if d.State != collector.StateOK || !d.Up {
			t.Errorf("state %v, up %v", d.State, d.Up)
		}
		want(t, samples(d), `
			gpu_temperature_celsius{sensor="edge"} 47
			gpu_memory_used_bytes{memory="vram"} 5`)
	})
	t.Run("lhm-apu-overdrive5.txt", func(t *testing.T) {
		if !strings.Contains(file(t, dir, "lhm-apu-overdrive5.txt"), "Status: -100") {
			t.Fatal("the case has changed")
		}
		if err := adlError(-100); err == nil || errors.Is(err, ErrUnsupported) {
			t.Errorf("-100 is %v, want a failure", err)
		}
		h := card(t, nil)
		h.sensors[0] = ADLReading{Result: -100}
		want(t, samples(h.start().read()), "")
	})
	t.Run("rx550-pmlog-head.txt", func(t *testing.T) {
		line := regexp.MustCompile(`j=(\d+) +\S+ +suport=(-?\d+) +vaue=(-?\d+) +newSupprt=(-?\d+) +newaue=(-?\d+)`)
		for column, text := range map[int]string{
			2: "gpu_clock_hertz{clock=\"graphics\"} 6.67e+08\ngpu_clock_hertz{clock=\"memory\"} 2.238e+09",
			4: "gpu_clock_hertz{clock=\"graphics\"} 4.9e+08\ngpu_clock_hertz{clock=\"memory\"} 2.23e+09",
		} {
			h := card(t, nil)
			r := h.sensors[0]
			for _, m := range line.FindAllStringSubmatch(file(t, dir, "rx550-pmlog-head.txt"), -1) {
				number := func(i int) int32 { v, _ := strconv.Atoi(m[i]); return int32(v) }
				r.PMLog[number(1)] = PMLogSensor{number(column), number(column + 1)}
			}
			h.sensors[0] = r
			want(t, samples(h.start().read()), text)
		}
	})
	for name, used := range map[string]string{"fastfetch-rx550.txt": "2.03423744e+08", "fastfetch-rx6500xt.txt": "2.440036352e+09"} {
		t.Run(name, func(t *testing.T) {
			text := file(t, dir, name)
			found := regexp.MustCompile(`found (\d+) adapters`).FindStringSubmatch(text)
			usage := regexp.MustCompile(`DedicatedVRAMUsage_Get returned ADL_OK \(0\), usage: (\d+) MB`).FindStringSubmatch(text)
			if found == nil || usage == nil {
				t.Fatal("the case has changed")
			}
			n, _ := strconv.Atoi(found[1])
			mib, _ := strconv.ParseInt(usage[1], 10, 64)
			h := card(t, nil)
			for i := range n {
				h.entries = append(h.entries[:i], ADLAdapter{Index: int32(i), Place: Place{3, 0, 0}, Vendor: vendorAMD, Present: true})
				h.sensors[int32(i)] = ADLReading{Usage: &mib}
			}
			want(t, samples(h.start().read()), fmt.Sprintf(`gpu_memory_used_bytes{memory="vram"} %s`, used))
		})
	}
}

// found is what a test says of GPUs, a line each.
func found(gpus []*gpu) string {
	var b strings.Builder
	for _, g := range gpus {
		size := "unknown"
		if g.vram > 0 {
			size = fmt.Sprint(g.vram)
			if g.vram%(1<<20) == 0 {
				size = fmt.Sprint(g.vram>>20, " MiB")
			}
		}
		fmt.Fprintf(&b, "%s, %s, %s, %s\n", g.info.PCIID, g.info.Type, size, g.info.DriverVersion)
	}
	return b.String()
}

// dxText makes devices of dxdiag's text form, `Label: value` lines, a Card name each.
func dxText(text string) (list []dxDevice) {
	fields := map[string]string{}
	flush := func() {
		if fields["CardName"] != "" {
			list = append(list, newDxDevice(fields))
		}
		fields = map[string]string{}
	}
	for line := range strings.Lines(text) {
		label, value, _ := strings.Cut(line, ": ")
		label = strings.ReplaceAll(strings.TrimSpace(label), " ", "")
		label = map[string]string{"Cardname": "CardName"}[label] + strings.TrimPrefix(label, "Cardname")
		if label == "CardName" {
			flush()
		}
		fields[label] = strings.TrimSpace(value)
	}
	flush()
	return list
}

func dxdiagText(t *testing.T, dir string) {
	for name, right := range map[string]string{
		"r9-200.txt":           "1002:6939, discrete, 4070 MiB, \n",
		"rx570-no-display.txt": "1002:67df, discrete, 8139 MiB, 22.19.659.0\n",
		"apu-1638.txt":         "1002:1638, integrated, 496 MiB, \n",
		"arc-rtx3050.txt":      "10de:25ab, discrete, 3965 MiB, 555.99\n8086:7d55, integrated, 128 MiB, 101.5768\n",
	} {
		gpus, _ := identify(&facts{dx: dxText(file(t, dir, name))})
		if got := found(gpus); got != right {
			t.Errorf("%s: got\n%swant\n%s", name, got, right)
		}
	}
}

func engineNames(t *testing.T, dir string) {
	for name, right := range map[string]string{
		"nvidia.txt": "0 graphics0, 1 compute0, 2 other0, 3 decode, 4 other1, 5 copy0, 6 copy1, 7 encode, 8 graphics1, 9 compute1, " +
			"10 compute2, 11 graphics2, 12 copy2, 13 copy3, 14 copy4, 15 copy5",
		"amd.txt": "0 graphics0, 1 graphics1, 2 compute0, 3 other0, 4 other1, 5 compute1, 6 compute2, 7 compute3, 8 copy0, 9 copy1, " +
			"10 other2, 11 other3, 12 decode, 13 encode, 14 media",
	} {
		var first, second []Counter
		for line := range strings.Lines(file(t, dir, name)) {
			instance, cooked, _ := strings.Cut(strings.TrimSpace(line), " - ")
			percent, _ := strconv.ParseFloat(cooked, 64)
			first = append(first, Counter{Instance: instance})
			second = append(second, Counter{Instance: instance, Value: int64(percent * 1e8)}) // of 1000 s
		}
		luid, _ := parseInstance(first[0].Instance)
		p := newPlan(&gpu{})
		var r collector.Reading
		var reader pdhReader
		for i, items := range [][]Counter{first, second} {
			a := reader.read(Counters{Time: time.Unix(int64(1000*i), 0), RunningTime: CounterSet{Items: items}}, func(LUID) bool { return true })
			r.Reset()
			p.read(&r, &heard{now: time.Now(), pdh: a.gpus[luid.luid], err: onlyPDH})
		}
		var got []string
		for _, e := range p.engines {
			got = append(got, fmt.Sprintf("%d %s", e.id.engine, e.busy.Values[0]))
		}
		if got := strings.Join(got, ", "); got != right {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, right)
		}
		if u, ok := r.Value(p.of(collector.Utilization)); name == "amd.txt" && (!ok || fmt.Sprintf("%.6f", u) != "0.257208") {
			t.Errorf("utilization %v, %v; Task Manager shows 25.7208 %%", u, ok)
		}
	}
	for line := range strings.Lines(file(t, dir, "odd.txt")) {
		i, ok := parseInstance(strings.TrimSpace(line))
		if !ok || i.luid == 0 || i.isEngine != strings.HasPrefix(line, "pid") || !strings.Contains(strings.ToLower(line), i.luid.String()) {
			t.Errorf("%q: %+v, %v", line, i, ok)
		}
	}
}

var onlyPDH = [tellers]error{byNVML: ErrUnsupported, byADL: ErrUnsupported, byD3DKMT: ErrUnsupported}

// memoryCounters are counters of memory by the name of their instance.
func memoryCounters(dedicated, shared map[string]int64) *Counters {
	set := func(values map[string]int64) (s CounterSet) {
		for instance, v := range values {
			s.Items = append(s.Items, Counter{Instance: instance, Value: v})
		}
		return s
	}
	return &Counters{RunningTime: CounterSet{Err: ErrUnsupported}, Dedicated: set(dedicated), Shared: set(shared)}
}

func memory8060S(t *testing.T, dir string) {
	h := &host{t: t, asked: map[string]int{}, registry: &Registry{}}
	for _, f := range table(t, file(t, dir, "directx-registry.csv")) {
		vendor, _ := strconv.ParseUint(f[1], 10, 32)
		luid, _ := strconv.ParseUint(f[2], 10, 64)
		h.registry.DirectX = append(h.registry.DirectX, regKey("{"+f[0]+"}", map[string]RegistryValue{
			"Description": sz(f[0]), "VendorId": dword(uint32(vendor)), "AdapterLuid": qword(luid)}))
	}
	dedicated, shared := map[string]int64{}, map[string]int64{}
	for _, f := range table(t, file(t, dir, "adapter-memory.csv")) {
		bytes := func(s string) int64 { v, _ := strconv.ParseFloat(s, 64); return int64(v * 1e9) }
		dedicated[f[0]], shared[f[0]] = bytes(f[1]), bytes(f[2])
	}
	h.counters = memoryCounters(dedicated, shared)
	d := h.start().read()
	if d.GPU != "luid:0x00000000_0x0001532a" || d.Name != "AMD Radeon(TM) 8060S Graphics" || d.Vendor != "amd" || d.Type != collector.Integrated {
		t.Errorf("%+v", d.Info)
	}
	want(t, samples(d), "gpu_memory_used_bytes{memory=\"vram\"} 9.47e+08\ngpu_memory_used_bytes{memory=\"shared\"} 1.41e+08")
}

// regQuery makes class keys of what reg query printed.
func regQuery(t testing.TB, text string) *Registry {
	t.Helper()
	r := &Registry{}
	byName := map[string]*RegistryKey{}
	var key *RegistryKey
	line := regexp.MustCompile(`^    (\S+)    REG_(\w+)    (.*)$`)
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		if path, ok := strings.CutPrefix(l, `HKEY_LOCAL_MACHINE\`); ok {
			if key = byName[path]; key == nil {
				key = r.add(path)
				byName[path] = key
			}
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		v := RegistryValue{}
		switch m[2] {
		case "SZ":
			v = sz(m[3])
		case "DWORD", "QWORD":
			n, err := strconv.ParseUint(strings.TrimPrefix(m[3], "0x"), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			if v = qword(n); m[2] == "DWORD" {
				v = dword(uint32(n))
			}
		case "BINARY":
			data, err := hex.DecodeString(m[3])
			if err != nil {
				t.Fatal(err)
			}
			v = RegistryValue{RegBinary, data}
		}
		key.Values[strings.ToLower(m[1])] = v
	}
	return r
}

func regQueries(t *testing.T, dir string) {
	for name, right := range map[string]string{
		"arc-b60-rx6800xt-desc.txt":   "0000 Intel(R) Arc(TM) Pro B60 Graphics 0, 0001 AMD Radeon RX 6800 XT 0",
		"arc-b60-rx6800xt-memory.txt": "0000  25769803776, 0001  17179869184",
		"french-rtx4080s-apu.txt":     "0000 NVIDIA GeForce RTX 4080 SUPER 17171480576, 0001 AMD Radeon(TM) Graphics 536870912",
		"made-binary-and-capped.txt": "0000 AMD Radeon RX 7900 XTX 25769803776, 0001 Microsoft Basic Display Adapter 0, " +
			"0002 NVIDIA GeForce RTX 3060 12884901888, 0003 AMD Radeon RX 480 0",
	} {
		j := joiner{facts: &facts{registry: *regQuery(t, file(t, dir, name))}, class: map[string]RegistryKey{}}
		j.index()
		var got []string
		for _, number := range slices.Sorted(maps.Keys(j.class)) {
			k := j.class[number]
			got = append(got, fmt.Sprintf("%s %s %d", number, k.text("DriverDesc"), k.vram()))
		}
		if got := strings.Join(got, ", "); got != right {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, right)
		}
	}
}

// rendering are the bits of an ordinary adapter.
var rendering = uint32(typeRender)

func typeperf(t *testing.T, dir string) {
	h := &host{t: t, asked: map[string]int{}, registry: regQuery(t, file(t, dir, "reg-query.txt"))}
	lines := strings.SplitN(file(t, dir, "typeperf.csv"), "\n", 3)
	instance := regexp.MustCompile(`\((luid_[^)]*)\)`)
	values := strings.Split(strings.TrimSpace(lines[1]), ",")[1:]
	dedicated := map[string]int64{}
	for i, m := range instance.FindAllStringSubmatch(lines[0], -1) {
		v, err := strconv.ParseFloat(strings.Trim(values[i], `"`), 64)
		if err != nil {
			t.Fatal(err)
		}
		dedicated[m[1]] = int64(v)
	}
	h.counters = memoryCounters(dedicated, nil)
	// What the case does not hold: who has these LUIDs, and that the card is that of the key 0001.
	software := uint32(typeRender | typeSoftware)
	const id = `PCI\VEN_1002&DEV_744C&SUBSYS_0E3A1002&REV_CC\6&1&0&00000019`
	h.registry.Enum = []RegistryKey{regKey(id, map[string]RegistryValue{"Driver": sz(DisplayClass + `\0001`), "LocationInformation": sz("(3,0,0)")})}
	h.adapters = []recordedAdapter{
		{LUID: "0x00000000_0x679bdd95", AdapterString: "AMD Radeon RX 7900 XT", Address: &Place{3, 0, 0}, DeviceIDs: &PCIIDs{vendorAMD, 0x744c}, TypeBits: &rendering},
		{LUID: "0x00000000_0x00017e08", AdapterString: "Microsoft Basic Render Driver", DeviceIDs: &PCIIDs{vendorMicrosoft, 0x8c}, TypeBits: &software},
	}
	want(t, samples(h.start().read()), "gpu_memory_used_bytes{memory=\"vram\"} 5.764141056e+09\ngpu_memory_total_bytes{memory=\"vram\"} 2.1458059264e+10")
}

func physMistake(t *testing.T, dir string) {
	text := file(t, dir, "metrics.prom")
	given, err := hwcase.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, asked: map[string]int{}, registry: &Registry{}}
	info := regexp.MustCompile(`windows_gpu_info\{description="([^"]*)",.*hardware_id="([^"]*)"`)
	for _, m := range info.FindAllStringSubmatch(text, -1) {
		h.rows = append(h.rows, VideoController{Name: m[1], PNPDeviceID: strings.ReplaceAll(m[2], `\\`, `\`) + `\4&1&0&0008`})
	}
	// What windows_exporter left out: the LUID of the counters, by which DirectX knows the card.
	const luid, instance = 0xc51e, "luid_0x00000000_0x0000c51e_phys_0"
	h.registry.DirectX = []RegistryKey{regKey("{1}", map[string]RegistryValue{
		"Description": sz("NVIDIA GeForce RTX 3080"), "VendorId": dword(vendorNVIDIA), "DeviceId": dword(0x220a), "AdapterLuid": qword(luid)})}
	h.counters = memoryCounters(
		map[string]int64{instance: int64(given[`windows_gpu_adapter_memory_dedicated_bytes{phys="0"}`])},
		map[string]int64{instance: int64(given[`windows_gpu_adapter_memory_shared_bytes{phys="0"}`])})
	h.counters.RunningTime.Err = nil
	var raw []int64
	for _, pid := range []string{"10840", "11944", "1256"} {
		seconds := given[`windows_gpu_engine_time_seconds{eng="0",engtype="3D",phys="0",process_id="`+pid+`"}`]
		raw = append(raw, int64(seconds*1e7+0.5))
		h.counters.RunningTime.Items = append(h.counters.RunningTime.Items,
			Counter{Instance: "pid_" + pid + "_" + instance + "_eng_0_engtype_3D", Value: raw[len(raw)-1]})
	}
	if !slices.Equal(raw, []int64{26896067917, 3889211, 13505971597}) {
		t.Errorf("raw values %v", raw)
	}
	d := h.start().read()
	if d.PCIID != "10de:220a" || d.Name != "NVIDIA GeForce RTX 3080" {
		t.Errorf("%+v", d.Info)
	}
	want(t, samples(d), `
		gpu_memory_used_bytes{memory="vram"} 2.941394944e+09
		gpu_memory_used_bytes{memory="shared"} 2.26312192e+08
		gpu_engine_busy_seconds_total{engine="graphics"} 4040.5928725`)
}

// listRow makes a row of what Format-List printed: `Name   : value`.
func listRow(text string) VideoController {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	ram, _ := strconv.ParseInt(fields["AdapterRAM"], 10, 64)
	return VideoController{fields["Name"], fields["PNPDeviceID"], ram, fields["DriverVersion"]}
}

func wmiLists(t *testing.T, dir string) {
	for name, right := range map[string]string{
		"w7900.txt":            "AMD Radeon PRO W7900, 1002:7448, discrete, unknown, 32.0.21037.1004\n",
		"rx580-no-display.txt": "Radeon RX 580 Series, 1002:67df, discrete, unknown, \n",
	} {
		row := listRow(file(t, dir, name))
		gpus, _ := identify(&facts{rows: []VideoController{row}, rowsFrom: sourceWMI})
		if got := gpus[0].info.Name + ", " + found(gpus); got != right {
			t.Errorf("%s: got\n%swant\n%s", name, got, right)
		}
	}
	if _, err := parseCIM(Output{Text: []byte(file(t, dir, "table-two-radeons.txt"))}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a table that people read was parsed: %v", err)
	}
}

func dxdiagXML(t *testing.T, dir string) {
	for name, right := range map[string]string{
		"two-outputs.xml":                  "1002:164e, integrated, 482 MiB, 32.0.12033.1030\n1002:747e, discrete, 16304 MiB, 32.0.12033.1030\n",
		"french-basic.xml":                 "1002:747e, discrete, 16304 MiB, 32.0.12033.1030\n",
		"french-cp1252-no-declaration.xml": "1002:747e, discrete, 16304 MiB, 32.0.12033.1030\n",
		"group-mark.xml":                   "1002:747e, discrete, unknown, 32.0.12033.1030\n",
	} {
		devices, err := parseDxDiag([]byte(file(t, dir, name)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		gpus, _ := identify(&facts{dx: devices})
		if got := found(gpus); got != right {
			t.Errorf("%s: got\n%swant\n%s", name, got, right)
		}
	}
	unfinished := []byte(file(t, dir, "still-being-written.xml"))
	if _, err := parseDxDiag(unfinished); !errors.Is(err, ErrMalformed) || DxDiagWhole(unfinished) {
		t.Errorf("a file without its end: whole %v, %v", DxDiagWhole(unfinished), err)
	}
}

func powershellJSON(t *testing.T, dir string) {
	for name, right := range map[string]string{
		"ps5-one-object.json":  "1002:747e, discrete, unknown, 32.0.12033.1030\n",
		"ps5-array-bom.json":   "1002:747e, discrete, unknown, 32.0.12033.1030\n",
		"ps7-array.json":       "1002:747e, discrete, unknown, 32.0.12033.1030\n",
		"negative-ram.json":    "1002:747e, discrete, unknown, 32.0.12033.1030\n",
		"oem-codepage-fr.json": "1002:747e, discrete, unknown, 10.0.22621.1\n",
	} {
		rows, err := parseCIM(Output{Text: []byte(file(t, dir, name))})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		gpus, _ := identify(&facts{rows: rows, rowsFrom: sourcePowerShell})
		if got := found(gpus); got != right {
			t.Errorf("%s: got\n%swant\n%s", name, got, right)
		}
		if name == "oem-codepage-fr.json" && gpus[0].info.Name != "Carte vid\uFFFDo de base Microsoft" {
			t.Errorf("%s: %q", name, gpus[0].info.Name)
		}
	}
	for name, right := range map[string]struct {
		exit int
		kind collector.FailureKind
	}{
		"error-de.txt":   {1, collector.Permission},
		"empty.json":     {0, collector.Malformed},
		"truncated.json": {0, collector.Malformed},
	} {
		rows, err := parseCIM(Output{Text: []byte(file(t, dir, name)), Exit: right.exit})
		if rows != nil || err == nil || kindOf(err) != right.kind || right.kind == collector.Permission && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v, %v", name, rows, err)
		}
	}
}

func virtualAdapters(t *testing.T, dir string) {
	for _, f := range table(t, file(t, dir, "adapters.csv")) {
		ram, _ := strconv.ParseInt(f[3], 10, 64)
		gpus, left := identify(&facts{rows: []VideoController{{Name: f[0], PNPDeviceID: f[1], AdapterRAM: ram}}, rowsFrom: sourceWMI})
		if kept := len(gpus) == 1; kept != (f[4] == "yes") || kept == (len(left) == 1) {
			t.Errorf("%s: kept %v, left out %v", f[0], kept, left)
		}
	}
}
