//go:build wine

package windows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/worker"
	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
	"gpu_exporter/internal/nvmlcase"
)

// nvmlPath is the variable with the path of the DLL that a child of the tests calls.
const nvmlPath = "NVML_TEST_DLL"

// Children that call the fake, and the DLL of System32 as the program does.
var (
	fakeNVML = child("fake nvml", func() {
		serveNVML(nvml.NewLibrary(func(string) (nvml.Binding, error) {
			dll, err := windows.LoadLibraryEx(os.Getenv(nvmlPath), 0, 0)
			return newOldDLL(nvmlDLL(dll)), err
		}))
	})
	ownNVML = child("nvml", func() { serveNVML(newNVMLLibrary()) })
)

func serveNVML(library *nvml.Library) { fmt.Fprintln(os.Stderr, worker.Serve(nvml.Hello(), library)) }

// oldDLL is a DLL that lacks functions, as its feed says: it counts who calls them all the same.
type oldDLL struct {
	nvmlDLL
	missing, only map[string]bool
}

func newOldDLL(dll nvmlDLL) oldDLL {
	o := oldDLL{dll, map[string]bool{}, map[string]bool{}}
	text, err := os.ReadFile(os.Getenv("FAKE_FEED"))
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(text)) {
		switch word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "missing":
			o.missing[rest] = true
		case "only":
			o.only[rest] = true
		}
	}
	return o
}

// Find implements nvml.Binding.
func (o oldDLL) Find(symbol string) uintptr {
	if o.missing[symbol] || len(o.only) > 0 && !o.only[symbol] {
		return 0
	}
	return o.nvmlDLL.Find(symbol)
}

// site is NVML through children whose DLL is the fake.
type site struct {
	t    testing.TB
	feed string // the file of it, which a child reads when it starts
	*nvmlChildren

	o worker.PoolOptions

	mu       sync.Mutex
	restarts map[worker.Reason]int
}

// newSite starts no child yet. set may change the options.
func newSite(t testing.TB, feed string, set ...func(*worker.PoolOptions)) *site {
	t.Helper()
	s := &site{t: t, feed: filepath.Join(t.TempDir(), "feed"), restarts: map[worker.Reason]int{}}
	s.write(feed)
	o := childOptions(t, fakeNVML, nvmlPath+"="+filepath.Join(fakes(t), "fake_nvml.dll"), "FAKE_FEED="+s.feed)
	o.Restarted = s.count
	for _, f := range set {
		f(&o)
	}
	s.o = o
	s.nvmlChildren = &nvmlChildren{Fleet: nvml.NewFleet(o), there: func() bool { return true }}
	t.Cleanup(s.Close)
	return s
}

// another is one with children of its own, which answer the same.
func (s *site) another() *site {
	n := &site{t: s.t, feed: s.feed, o: s.o, restarts: map[worker.Reason]int{}}
	n.o.Restarted = n.count
	n.nvmlChildren = &nvmlChildren{Fleet: nvml.NewFleet(n.o), there: s.there}
	return n
}

func (s *site) count(r worker.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restarts[r]++
}

// write says what children answer that start from now on.
func (s *site) write(feed string) {
	s.t.Helper()
	if err := os.WriteFile(s.feed, []byte(feed), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) restarted(reasons ...worker.Reason) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range reasons {
		n += s.restarts[r]
	}
	return n
}

// well says that no call was wrong: such a call ends its child.
func (s *site) well() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.restarts) > 0 {
		s.t.Errorf("children were replaced: %v", s.restarts)
	}
}

func (s *site) soon(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	s.t.Cleanup(cancel)
	return ctx
}

// patient is longer than anything takes that works.
const patient = 60 * time.Second

// find opens GPUs.
func (s *site) find(targets ...NVMLTarget) []NVMLDevice {
	s.t.Helper()
	list, err := s.Devices(s.soon(patient), targets)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// read reads GPUs within a time.
func (s *site) read(within time.Duration, targets ...NVMLTarget) []NVMLReading {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	list, err := s.Read(ctx, targets)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// value is what a reading says of a series, as it is written.
func (r NVMLReading) value(series string) (v float64, told bool) {
	for _, s := range r.Samples {
		if s.S.String() == series {
			return s.V, true
		}
	}
	return 0, false
}

// power is what a GPU draws, or why that is not known.
func (r NVMLReading) power() string {
	if r.Err != nil {
		return r.Err.Error()
	}
	v, told := r.value(`gpu_power_watts{domain="board"}`)
	if !told {
		return "absent"
	}
	return fmt.Sprint(v)
}

func at(n int) NVMLTarget { return NVMLTarget{Address: Address(fmt.Sprintf("0000:%02x:00.0", n+1))} }

// gpus is a feed of GPUs that draw 11, 22 and so on watts.
func gpus(n int) string {
	var l lines
	l.add("driver 560.94")
	for i := range n {
		l.add("device 00000000:%02X:00.0 GPU-%d 0x220a10de 94.02.42.00.9F NVIDIA GeForce RTX 3080", i+1, i)
		l.add("answer %d GetPowerUsage - 0 0 %d", i, 11000*(i+1))
	}
	return l.String()
}

// profileFeed is what a profile answers.
func profileFeed(h *nvmlcase.Host) string {
	var l lines
	l.add("driver %s", h.Driver)
	for _, g := range h.GPUs {
		l.add("device %s %s %#x %s %s", g.Identity.BusID, g.Identity.UUID, g.Identity.PCIDeviceID, g.Identity.VBIOS, g.Identity.Name)
	}
	add := func(device string, a nvml.Answer) {
		r := &nvml.Table[a.Row]
		scope, args := uint32(0), "-"
		if len(r.Args) > 0 {
			scope, args = r.Args[0], strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Args), " ", ","), "[]")
		}
		if r.Field != 0 {
			l.add("field %s %d %d %d %d %d", device, r.Field, scope, a.Code, a.Type, a.Raw)
		} else {
			l.add("answer %s %s %s %d %d %d", device, r.Call, args, r.Out, a.Code, a.Raw)
		}
	}
	for n := range nvml.Table { // the first line that fits counts: what one GPU says comes before what all say
		all := h.GPUs[0].Answer(n)
		for i, g := range h.GPUs {
			if a := g.Answer(n); a != all {
				add(strconv.Itoa(i), a)
			}
		}
		if all.Code != nvml.NotSupported {
			add("*", all)
		}
	}
	return l.String()
}

// kernelOf is what D3DKMT says of the GPUs of a profile: identity, and readings that NVML tells too, as other numbers.
func kernelOf(t *testing.T, h *nvmlcase.Host) string {
	var l lines
	for i, g := range h.GPUs {
		info, err := g.Identity.Info()
		if err != nil {
			t.Fatal(err)
		}
		var bus, device uint32
		if _, err := fmt.Sscanf(info.GPU, "0000:%x:%x", &bus, &device); err != nil {
			t.Fatal(err)
		}
		l.add("adapter 0 %d", 1000+i)
		l.add("name %s", info.Name)
		l.add("address %d %d 0", bus, device)
		l.add("ids %d %d 1 2 3", g.Identity.PCIDeviceID&0xffff, g.Identity.PCIDeviceID>>16)
		l.add("type 1")
		l.add("wddm 3100")
		l.add("scheduling 3")
		l.add("physical 1")
		l.add("sizes 1234567 0 %d", sharedSize)
		l.add("service nvlddmkm")
		l.add("perf 405000000 7001000000 0 123 999")
		l.add("caps 0 1000 900")
		l.add("tdr %d", tdrs)
		l.add("segment 0 1 1 7777")
		l.add("segment 1 1 1 %d", sharedUsed)
		l.add("node 1 5000 222000000 333000000 444 3D")
	}
	return l.String()
}

const (
	sharedSize = 8 << 30
	sharedUsed = 4096
	tdrs       = 2
)

// beside is what D3DKMT adds to what NVML tells of a GPU, and what it has the word on.
func beside(t *testing.T, want hwcase.Samples) hwcase.Samples {
	t.Helper()
	var b strings.Builder
	for key, v := range want {
		// The labels of gpu_info come from D3DKMT (windows.md 6.2): the driver is the name of its service.
		fmt.Fprintln(&b, strings.Replace(key, `driver="nvidia"`, `driver="nvlddmkm"`, 1), v)
	}
	for key := range want {
		if !strings.HasPrefix(key, "gpu_up") {
			continue
		}
		gpu := strings.TrimSuffix(strings.TrimPrefix(key, "gpu_up{"), "}")
		// Memory of the system (windows.md 1): of its size and use NVML says nothing. Resets (2.4), and the voltage of the
		// node that is the core (2.3), which NVML does not tell either.
		fmt.Fprintf(&b, "gpu_memory_total_bytes{%s,memory=\"shared\"} %d\n", gpu, sharedSize)
		fmt.Fprintf(&b, "gpu_memory_used_bytes{%s,memory=\"shared\"} %d\n", gpu, sharedUsed)
		fmt.Fprintf(&b, "gpu_resets_total{%s} %d\n", gpu, tdrs)
		fmt.Fprintf(&b, "gpu_voltage_volts{%s,rail=\"graphics\"} 0.444\n", gpu)
	}
	all, err := hwcase.Parse(b.String())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// onKernel starts a Poller on a host of NVML's GPUs, which D3DKMT lists too.
func (s *site) onKernel(t *testing.T, kernel string) *rig {
	t.Helper()
	fake := loadFake(t, "fake_d3dkmt.dll", kernel)
	t.Cleanup(fake.closed)
	h := &host{t: t, asked: map[string]int{}}
	g := h.start(func(o *Options, p *Probe) {
		if p == nil {
			o.Sources.D3DKMT, o.Sources.NVML = &d3dkmtDLL{findD3DKMT(fake.Handle), slog.New(slog.DiscardHandler)}, s
		}
	})
	return g
}

// The profiles give their samples when NVML and D3DKMT are DLLs: through the fake, the child, the Pool and the Probe.
func TestProfilesThroughNVML(t *testing.T) {
	profiles, err := filepath.Glob("../../../shared/fixtures/nvidia/nvml-profile-*/*.yaml")
	if err != nil || len(profiles) == 0 {
		t.Fatalf("no profiles: %v", err)
	}
	for _, path := range profiles {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			profile, err := nvmlcase.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "expected.prom"))
			if err != nil {
				t.Fatal(err)
			}
			want, err := hwcase.Parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			want = beside(t, want)
			s := newSite(t, profileFeed(profile))
			s.find(mapped(profile.GPUs, func(g nvmlcase.GPU) NVMLTarget { return NVMLTarget{Address: Address(g.Identity.BusID)} })...)
			g := s.onKernel(t, kernelOf(t, profile))
			// The window of a cycle is a second: what is late is in a later one. Afterwards nothing changes, though what was
			// found not to be there is not asked again.
			var diff []string
			for again := 2; again > 0; again-- {
				for tries := 20; tries > 0; tries-- {
					if diff = hwcase.Diff(want, exposed(t, g.cycle())); len(diff) == 0 {
						break
					}
				}
			}
			for _, line := range diff {
				t.Error(line)
			}
			s.well()
		})
	}
}

// A driver of another age exports other functions: what it lacks is not called, and where there is an older one, that is.
func TestFunctionsOfOldDrivers(t *testing.T) {
	const older = `
answer * GetMemoryInfo_v2 - 0 0 10000000
answer * GetMemoryInfo_v2 - 1 0 100
answer * GetMemoryInfo_v2 - 3 0 2
answer * GetMemoryInfo - 0 0 20000000
answer * GetMemoryInfo - 2 0 3
answer * GetTemperatureV - 0 0 41
answer * GetTemperature 0 0 0 42
answer * GetCurrentClocksEventReasons - 0 0 4
answer * GetCurrentClocksThrottleReasons - 0 0 0x20
field * 94 0 0 1 5
answer * GetPcieReplayCounter - 0 0 6
`
	lists, err := filepath.Glob("../../../shared/fixtures/nvidia/nvml-symbols-*/nvml-symbols-*.txt")
	if err != nil || len(lists) != 3 {
		t.Fatalf("%d lists: %v", len(lists), err)
	}
	only := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var l lines
		for _, name := range strings.Fields(string(text)) {
			l.add("only %s", name)
		}
		return l.String()
	}
	for name, c := range map[string]struct {
		feed string
		want map[string]float64 // -1: absent
	}{
		"390": {only(lists[0]), map[string]float64{`gpu_memory_total_bytes{memory="vram"}`: 20000000, `gpu_memory_reserved_bytes{memory="vram"}`: -1, `gpu_temperature_celsius{sensor="gpu"}`: 42,
			`gpu_throttle_active{reason="thermal"}`: 1, "gpu_pcie_replays_total": 5}},
		"470": {only(lists[1]), map[string]float64{`gpu_memory_total_bytes{memory="vram"}`: 20000000, `gpu_temperature_celsius{sensor="gpu"}`: 42, `gpu_throttle_active{reason="power"}`: 0}},
		"550": {only(lists[2]), map[string]float64{`gpu_memory_total_bytes{memory="vram"}`: 10000000, `gpu_memory_reserved_bytes{memory="vram"}`: 100, `gpu_temperature_celsius{sensor="gpu"}`: 42,
			`gpu_throttle_active{reason="power"}`: 1}},
		"newest":                {"", map[string]float64{`gpu_temperature_celsius{sensor="gpu"}`: 41}},
		"no fields":             {"missing nvmlDeviceGetFieldValues\n", map[string]float64{"gpu_pcie_replays_total": 6}},
		"fields of an old age":  {"many 95\n", map[string]float64{"gpu_pcie_replays_total": 5}},
		"no name":               {"missing nvmlDeviceGetName\nmissing nvmlDeviceGetVbiosVersion\n", map[string]float64{`gpu_temperature_celsius{sensor="gpu"}`: 41}},
		"structs of an old age": {"struct GetMemoryInfo_v2 1\nstruct GetTemperatureV 0\n", map[string]float64{`gpu_temperature_celsius{sensor="gpu"}`: 42, `gpu_memory_total_bytes{memory="vram"}`: 20000000}},
		"a fabric of an old age": {"struct GetGpuFabricInfoV 2\nanswer * GetGpuFabricInfoV - 0 0 3\nanswer * GetGpuFabricInfoV - 1 0 0\nanswer * GetGpuFabricInfoV - 2 0 9\nanswer * GetGpuFabricInfoV - 3 0 0x0102030405060708\nanswer * GetGpuFabricInfoV - 4 0 0x1112131415161718\n",
			map[string]float64{`gpu_fabric_info{state="completed",status="success",cluster_uuid="01020304-0506-0708-1112-131415161718",clique_id="9"}`: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, c.feed+gpus(1)+older)
			if list := s.find(at(0)); len(list) != 1 || list[0].Address != "0000:01:00.0" || list[0].UUID != "GPU-0" || list[0].PCIID != "10de:220a" || list[0].Version != "560.94" {
				t.Fatalf("%+v", list)
			}
			for range 2 {
				r := s.read(patient, at(0))[0]
				for series, want := range c.want {
					if v, told := r.value(series); told != (want >= 0) || told && v != want {
						t.Errorf("%s is %v (%v), want %v; %v", series, v, told, want, r.Err)
					}
				}
			}
			s.well()
		})
	}
}

// The codes of nvidia.md section 7, each of one GPU of the same child.
func TestCodesOfNVML(t *testing.T) {
	var l lines
	var targets []NVMLTarget
	want := map[int]string{0: "11"}
	for code := range 32 {
		switch code {
		case 1, 9, 18: // about the library, and all GPUs
			code = 3
		case 5, 10, 14, 19, 20, 23, 29, 31:
			want[code] = "failed"
		case 8, 11, 15, 16:
			want[code] = collector.ErrGone.Error()
		}
		l.add("answer %d GetPowerUsage - 0 %d 1", len(targets), code)
		if code == 0 {
			l.Reset()
		}
		targets = append(targets, at(len(targets)))
	}
	s := newSite(t, l.String()+gpus(len(targets)))
	s.find(targets...)
	for code, r := range s.read(patient, targets...) {
		got := r.power()
		if len(r.Failures) > 0 {
			got = "failed"
		}
		if w := firstOf(want[code], "absent"); got != w {
			t.Errorf("code %d: %s, want %s", code, got, w)
		}
	}
	if n := s.restarted(worker.DriverChanged); n != 1 { // a GPU that is lost stays lost in one process
		t.Errorf("%d children were ended", n)
	}
	for code, want := range map[int]error{9: nvml.ErrMissing, 18: nvml.ErrMissing, 4: nvml.ErrMissing, 999: nvml.ErrMissing} {
		s := newSite(t, fmt.Sprintf("status nvmlInit_v2 %d\n", code)+gpus(1))
		if _, err := s.Devices(s.soon(patient), []NVMLTarget{at(0)}); !errors.Is(err, want) || !errors.Is(err, ErrUnsupported) {
			t.Errorf("nvmlInit: code %d is %v", code, err)
		}
		s.write(gpus(1))
		if list := s.find(at(0)); len(list) != 1 { // another look, another child
			t.Errorf("afterwards: %v", list)
		}
	}
	for _, code := range []int{4, 6, 15, 17} {
		s := newSite(t, fmt.Sprintf("status nvmlDeviceGetHandleByPciBusId_v2 %d\n", code)+gpus(1))
		if list := s.find(at(0)); len(list) != 0 {
			t.Errorf("a handle with code %d: %v", code, list)
		}
	}
}

// MIG devices and the profiling counters of their instances; those of the whole GPU where it is not divided.
func TestPartitionsThroughNVML(t *testing.T) {
	s := newSite(t, gpus(2)+`
answer 0 GetMigMode - 0 0 1
mig 0 2 0 16 1000000 500 MIG-a NVIDIA H200 MIG 1c.3g.71gb
mig 0 2 1 16 1000000 500 MIG-b NVIDIA H200 MIG 1c.3g.71gb
gpm *
answer 0 GpmMigMetricsGet 2,1 0 0 25
answer 1 GpmMetricsGet 5 0 0 12.5
`)
	targets := []NVMLTarget{at(0), at(1)}
	s.find(targets...)
	s.read(patient, targets...)
	await.Until(t, "two samples of each", func() bool {
		r := s.read(patient, targets...)
		_, first := r[0].value(`gpu_partition_utilization_ratio{partition="2",engine="graphics"}`)
		_, second := r[1].value(`gpu_activity_ratio{activity="tensor"}`)
		return first && second
	})
	await.Until(t, "what they say", func() bool {
		r := s.read(patient, targets...)
		busy, _ := r[0].value(`gpu_partition_utilization_ratio{partition="2",engine="graphics"}`)
		used, _ := r[0].value(`gpu_partition_memory_used_bytes{partition="2"}`)
		info, _ := r[0].value(`gpu_partition_info{partition="2/1",kind="mig",profile="1c.3g.71gb",uuid="MIG-b"}`)
		tensor, _ := r[1].value(`gpu_activity_ratio{activity="tensor"}`)
		return busy == 0.25 && used == 500 && info == 1 && tensor == 0.125
	})
	s.well()
}

// A GPU that hangs costs the others a few cycles at most, and is left alone then; also when all hang, nobody is blocked.
func TestNVMLThatHangs(t *testing.T) {
	const deadline = 2 * time.Second
	for name, c := range map[string]struct {
		feed string
		hung []int
	}{
		"one": {"hang nvmlDeviceGetPowerUsage 1\n", []int{1}},
		"all": {"hang nvmlDeviceGetPowerUsage\n", []int{0, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, c.feed+gpus(3))
			targets := []NVMLTarget{at(0), at(1), at(2)}
			s.find(targets...)
			var got []NVMLReading
			await.Until(t, "those that hang are known", func() bool {
				begun := time.Now()
				got = s.read(deadline, targets...)
				if took := time.Since(begun); took > 2*deadline {
					t.Fatalf("a reading with a deadline of %v took %v", deadline, took)
				}
				for i := range targets {
					if hangs := slices.Contains(c.hung, i); errors.Is(got[i].Err, worker.ErrHung) != hangs || !hangs && got[i].Err != nil {
						return false
					}
				}
				return true
			})
			for i, r := range got {
				if want := fmt.Sprint(11 * (i + 1)); slices.Contains(c.hung, i) != (r.power() != want) || r.Err != nil && !errors.Is(r.Err, errLate) {
					t.Errorf("GPU %d: %s", i, r.power())
				}
			}
			if s.restarted(worker.Timeout) == 0 {
				t.Error("no child missed its deadline")
			}
		})
	}
}

// A crash in the library costs the child, which is replaced; what others tell of the GPU goes on meanwhile.
func TestNVMLThatCrashes(t *testing.T) {
	profile := &nvmlcase.Host{GPUs: []nvmlcase.GPU{
		{Identity: nvml.Identity{BusID: "00000000:01:00.0", PCIDeviceID: 0x220a10de, Name: "NVIDIA GeForce RTX 3080"}},
		{Identity: nvml.Identity{BusID: "00000000:02:00.0", PCIDeviceID: 0x220a10de, Name: "NVIDIA GeForce RTX 3080"}},
	}}
	s := newSite(t, "crash nvmlDeviceGetPowerUsage 1\n"+gpus(2), func(o *worker.PoolOptions) {
		o.Retries = []time.Duration{10 * time.Millisecond} // one that ends its child is left alone
	})
	s.find(at(0), at(1))
	g := s.onKernel(t, kernelOf(t, profile))
	const resets = "gpu_resets_total"
	for range 3 {
		for _, d := range g.cycle().Devices {
			if !d.Up || len(samples(d, resets)) != 1 {
				t.Errorf("%s: %v, %v", d.GPU, d.State, samples(d))
			}
		}
	}
	if s.restarted(worker.Crash) == 0 {
		t.Error("no child crashed")
	}
	s.write(gpus(2))
	await.Until(t, "NVML again", func() bool {
		for i, d := range g.cycle().Devices {
			power := samples(d, "gpu_power_watts")
			if d.State != collector.StateOK || !slices.Equal(power, []string{fmt.Sprintf(`gpu_power_watts{domain="board"} %d`, 11*(i+1))}) {
				return false
			}
		}
		return true
	})
}

// Two hundred children that hang or crash leave nothing behind.
func TestNothingIsLeftOfChildren(t *testing.T) {
	const sides, rounds = 4, 50
	settled := func(n int) func() bool { return func() bool { return len(childrenOf(t, os.Getpid())) == n } }
	well := newSite(t, gpus(1))
	works := func() bool { return well.read(patient, at(0))[0].power() == "11" }
	await.Until(t, "a reading", works)
	failing(t, sides, 1) // so that there are the threads that this takes
	await.Until(t, "one child", settled(1))
	handles, goroutines := handleCount(t), runtime.NumGoroutine()

	failing(t, sides, rounds)
	await.Until(t, "one child", settled(1))
	await.Until(t, "a reading afterwards", works)
	// The runtime keeps the threads that have blocked, each with some handles: more where more children end at a time, but
	// far from one for each child.
	const slack = sides * rounds / 2
	await.Until(t, "no more goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
	if n := handleCount(t); n > handles+slack {
		t.Errorf("%d handles, %d before", n, handles)
	}
	t.Logf("%d handles, %d before; %d goroutines, %d before", handleCount(t), handles, runtime.NumGoroutine(), goroutines)
	well.Close()
	await.Until(t, "no child", settled(0))
}

// failing has children replaced that crash and that hang, so many on each of some sides at once.
func failing(t *testing.T, sides, rounds int) {
	t.Helper()
	ended := make(chan string, sides)
	for side := range sides {
		fault, reason, within := "crash", worker.Crash, patient
		if side%2 == 1 {
			fault, reason, within = "hang", worker.Timeout, 100*time.Millisecond
		}
		s := newSite(t, fault+" nvmlDeviceGetPowerUsage\n"+gpus(1), quietly)
		go func() {
			failed := ""
			for n := range rounds {
				one := s
				if reason == worker.Timeout { // a GPU that hangs is left alone: each is the first of another Fleet
					one, n = s.another(), 0
				}
				ctx, cancel := context.WithTimeout(context.Background(), patient)
				for one.restarted(reason) <= n && ctx.Err() == nil {
					_, _ = one.Devices(ctx, []NVMLTarget{at(0)}) // opens it: what is timed is the reading
					soon, cancel := context.WithTimeout(ctx, within)
					_, _ = one.Read(soon, []NVMLTarget{at(0)})
					cancel()
				}
				cancel()
				if one.restarted(reason) <= n {
					failed = fmt.Sprintf("round %d of %s: %v", n, fault, one.restarts)
				}
				if one != s {
					one.Close()
				}
			}
			s.Close()
			ended <- failed
		}()
	}
	for range sides {
		if failed := <-ended; failed != "" {
			t.Error(failed)
		}
	}
}

// quietly has the runtime of Go say nothing of a crash, which takes it long.
func quietly(o *worker.PoolOptions) { o.Env = append(o.Env, "GOTRACEBACK=none") }

// handleCount is how many handles this process has. GetProcessHandleCount says 0 in Wine.
func handleCount(t testing.TB) (n int) {
	t.Helper()
	const extendedHandleInformation = 64
	type entry struct { // SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX
		object, pid, handle uintptr
		_                   [16]byte
	}
	const head = 16 // how many there are, and a reserved word
	buf := make([]uint64, 1<<20)
	size := uint32(len(buf) * 8)
	if err := windows.NtQuerySystemInformation(extendedHandleInformation, unsafe.Pointer(&buf[0]), size, &size); err != nil {
		t.Fatal(err)
	}
	all := unsafe.Slice((*entry)(unsafe.Add(unsafe.Pointer(&buf[0]), head)), buf[0])
	for i := range all {
		if all[i].pid == uintptr(os.Getpid()) {
			n++
		}
	}
	if n == 0 {
		t.Fatal("this process has no handle")
	}
	return n
}

// childrenOf are the processes that one has started and that run.
func childrenOf(t testing.TB, pid int) (list []uint32) {
	t.Helper()
	all, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(all)
	e := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(all, &e); err == nil; err = windows.Process32Next(all, &e) {
		if int(e.ParentProcessID) == pid {
			list = append(list, e.ProcessID)
		}
	}
	return list
}

// The product loads from System32, and starts no child where nothing is there.
func TestNVMLOfSystem32(t *testing.T) {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(system, nvmlName)
	s := newSite(t, gpus(1), func(o *worker.PoolOptions) { o.Env[0] = role + "=" + ownNVML })
	s.there = nvmlIsThere
	if _, err := s.Devices(s.soon(patient), []NVMLTarget{at(0)}); !errors.Is(err, ErrUnsupported) || len(childrenOf(t, os.Getpid())) != 0 {
		t.Errorf("%v, with %d children", err, len(childrenOf(t, os.Getpid())))
	}
	dll, err := os.ReadFile(filepath.Join(fakes(t), "fake_nvml.dll"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, dll, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		await.Until(t, "the DLL is removed", func() bool { return os.Remove(path) == nil })
	})
	if list := s.find(at(0)); len(list) != 1 {
		t.Errorf("%+v", list)
	}
	if got := s.read(patient, at(0))[0].power(); got != "11" {
		t.Error(got)
	}
	s.well()
}
