package nvml

import (
	"errors"
	"math"
	"testing"

	"gpu_exporter/collector"
)

// rowOf is the number of a row, by how it is named.
func rowOf(t testing.TB, name string, out uint8) uint16 {
	t.Helper()
	for n := range Table {
		if Table[n].String() == name && Table[n].Out == out {
			return uint16(n)
		}
	}
	t.Fatalf("no row %s, out %d", name, out)
	return 0
}

// said is an answer by the name of its row.
type said struct {
	row  string
	out  uint8
	code Return
	kind Type
	raw  uint64
}

// converted is what a Converter makes of answers in one cycle.
type converted struct {
	samples  map[string]float64
	rejected int
	failed   int
	state    collector.State
	up       bool
}

func convert(t *testing.T, c *Converter, answers ...said) (got converted) {
	t.Helper()
	info, err := Identity{BusID: "0000:01:00.0"}.Info()
	if err != nil {
		t.Fatal(err)
	}
	var list []Answer
	for _, a := range answers {
		list = append(list, Answer{rowOf(t, a.row, a.out), a.code, a.kind, a.raw})
	}
	s, o := firstReading(t, boards{{info, func(r *collector.Reading) error { return c.Add(r, list, nil) }}})
	d := s.Devices[0]
	got = converted{map[string]float64{}, 0, o.failed, d.State, d.Up}
	for _, n := range o.rejected {
		got.rejected += n
	}
	for _, sample := range d.Samples {
		got.samples[sample.S.String()] = sample.V
	}
	return got
}

func same(t *testing.T, got map[string]float64, want map[string]float64) {
	t.Helper()
	for name, v := range want {
		if g, ok := got[name]; !ok || g != v {
			t.Errorf("%s is %v (%v), want %v", name, g, ok, v)
		}
	}
	for name, v := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s %v is too much", name, v)
		}
	}
}

func minus(n int32) uint64 { return uint64(uint32(n)) }

func TestConversions(t *testing.T) {
	const (
		draw, drawOld = "field 186", "nvmlDeviceGetPowerUsage"
		board         = `gpu_power_watts{domain="board"}`
	)
	for _, c := range []struct {
		name     string
		answers  []said
		want     map[string]float64
		rejected int
	}{
		{"the exact quotient", []said{{draw, 0, 0, Uint32, 53300}}, map[string]float64{board: 53.3}, 0},
		{"the first that tells", []said{{draw, 0, 0, Uint32, 2000}, {drawOld, 0, 0, Uint32, 1000}}, map[string]float64{board: 2}, 0},
		{"the next where the first is not supported", []said{{draw, 0, NotSupported, 0, 9}, {drawOld, 0, 0, Uint32, 1000}}, map[string]float64{board: 1}, 0},
		{"likewise where its id is unknown", []said{{draw, 0, InvalidArgument, 0, 9}, {drawOld, 0, 0, Uint32, 1000}}, map[string]float64{board: 1}, 0},
		{"one average for now and on average", []said{{"field 185 2", 0, 0, Uint32, 8000}},
			map[string]float64{`gpu_power_watts{domain="memory"}`: 8, `gpu_power_average_watts{domain="memory"}`: 8}, 0},
		{"an average of the board is none of now", []said{{"field 185", 0, 0, Uint32, 8000}}, map[string]float64{`gpu_power_average_watts{domain="board"}`: 8}, 0},
		{"a module may draw more than a board", []said{{"field 186 1", 0, 0, Uint32, 5000e3}, {draw, 0, 0, Uint32, 5000e3}},
			map[string]float64{`gpu_power_watts{domain="module"}`: 5000}, 1},
		{"101 % is not made 100", []said{{"nvmlDeviceGetUtilizationRates", 0, 0, Uint32, 101}}, nil, 1},
		{"sentinels", []said{
			{draw, 0, 0, Uint32, math.MaxUint32}, {"field 83", 0, 0, Uint64, math.MaxUint64}, {"nvmlDeviceGetTemperature 0", 0, 0, Int32, minus(-1)},
			{"nvmlDeviceGetPerformanceState", 0, 0, Uint32, 32}, {"nvmlDeviceGetFanSpeedRPM 0", 0, 0, Uint32, math.MaxInt32}, {"field 82", 0, 0, Uint32, 0},
		}, nil, 0},
		{"types", []said{
			{"nvmlDeviceGetMarginTemperature", 0, 0, Int32, minus(-4)}, {"field 29", 0, 0, Uint16, 0xffff0003}, {"field 94", 0, 0, Uint32, 0xffffffff00000007},
			{"nvmlDeviceGpmMetricsGet 5", 0, 0, Double, math.Float64bits(37.5)}, {"field 30", 0, 0, Int64, 5},
		}, map[string]float64{
			"gpu_temperature_margin_celsius": -4, `gpu_bad_pages{kind="single_bit"}`: 3, "gpu_pcie_replays_total": 7,
			`gpu_activity_ratio{activity="tensor"}`: 0.375, `gpu_bad_pages{kind="double_bit"}`: 5,
		}, 0},
		{"a limit that is a negative number", []said{{"nvmlDeviceGetTemperatureThreshold 0", 0, 0, Uint32, minus(-7)}}, nil, 0},
		{"more in use than there is", []said{
			{"nvmlDeviceGetMemoryInfo_v2", 0, 0, Uint64, 1 << 30}, {"nvmlDeviceGetMemoryInfo_v2", 3, 0, Uint64, 1<<30 + 1<<20 + 1},
		}, map[string]float64{`gpu_memory_total_bytes{memory="vram"}`: 1 << 30}, 1},
		{"the older memory call", []said{
			{"nvmlDeviceGetMemoryInfo_v2", 0, FunctionNotFound, 0, 0}, {"nvmlDeviceGetMemoryInfo", 0, 0, Uint64, 1 << 30}, {"nvmlDeviceGetMemoryInfo", 2, 0, Uint64, 1 << 20},
		}, map[string]float64{`gpu_memory_total_bytes{memory="vram"}`: 1 << 30, `gpu_memory_used_bytes{memory="vram"}`: 1 << 20}, 0},
		{"generations and widths that do not exist", []said{
			{"nvmlDeviceGetCurrPcieLinkGeneration", 0, 0, Uint32, 9}, {"nvmlDeviceGetCurrPcieLinkWidth", 0, 0, Uint32, 3}, {"nvmlDeviceGetMaxPcieLinkGeneration", 0, 0, Uint32, 7},
		}, map[string]float64{"gpu_pcie_link_max_transfers_per_second": 128e9}, 1},
		{"one counter of PCIe is none", []said{{"field 197", 0, 0, Uint64, 5}, {"nvmlDeviceGetPcieThroughput 0", 0, 0, Uint32, 3}},
			map[string]float64{`gpu_pcie_throughput_bytes_per_second{direction="transmit"}`: 3000}, 0},
		{"both take the place of the rate", []said{
			{"field 197", 0, 0, Uint64, 5}, {"field 198", 0, 0, Uint64, 6}, {"nvmlDeviceGetPcieThroughput 0", 0, 0, Uint32, 3},
		}, map[string]float64{`gpu_pcie_bytes_total{direction="transmit"}`: 5, `gpu_pcie_bytes_total{direction="receive"}`: 6}, 0},
		{"reasons that can be told", []said{
			{"nvmlDeviceGetSupportedClocksEventReasons", 0, 0, Uint64, 0x5}, {"nvmlDeviceGetCurrentClocksEventReasons", 0, 0, Uint64, 0x1005},
		}, map[string]float64{`gpu_throttle_active{reason="power"}`: 1, `gpu_throttle_active{reason="other"}`: 1}, 0},
		{"a total only where no block tells", []said{
			{"nvmlDeviceGetMemoryErrorCounter 0 0 2", 0, 0, Uint64, 1}, {"nvmlDeviceGetTotalEccErrors 0 0", 0, 0, Uint64, 1}, {"nvmlDeviceGetTotalEccErrors 1 0", 0, 0, Uint64, 2},
		}, map[string]float64{
			`gpu_ecc_errors_total{block="dram",severity="corrected",scope="volatile"}`:    1,
			`gpu_ecc_errors_total{block="total",severity="uncorrected",scope="volatile"}`: 2,
		}, 0},
		{"a link that is down has no speed", []said{
			{"nvmlDeviceGetNvLinkState 0", 0, 0, Uint32, 0}, {"field 164 0", 0, 0, Uint32, 25000}, {"nvmlDeviceGetNvLinkState 7", 0, 0, Uint32, 1}, {"field 133", 0, 0, Uint32, 25000},
		}, map[string]float64{
			`gpu_link_up{link="0",kind="nvlink"}`: 0, `gpu_link_up{link="7",kind="nvlink"}`: 1, `gpu_link_speed_bytes_per_second{link="7",kind="nvlink"}`: 25e9,
		}, 0},
		{"bytes of links in KiB and in bytes", []said{{"field 138 3", 0, 0, Uint64, 2}, {"field 204 3", 0, 0, Uint64, 7}}, map[string]float64{
			`gpu_link_bytes_total{link="3",kind="nvlink",direction="transmit"}`: 2048, `gpu_link_bytes_total{link="3",kind="nvlink",direction="receive"}`: 7,
		}, 0},
		{"a recovery that is none of ours", []said{{"field 230", 0, 0, Uint32, 5}}, map[string]float64{
			`gpu_recovery_action{action="none"}`: 0, `gpu_recovery_action{action="reset"}`: 0, `gpu_recovery_action{action="reboot"}`: 0,
			`gpu_recovery_action{action="drain"}`: 0, `gpu_recovery_action{action="drain_and_reset"}`: 0,
		}, 0},
		{"modes", []said{{"nvmlDeviceGetPersistenceMode", 0, 0, Uint32, 1}, {"nvmlDeviceGetComputeMode", 0, 0, Uint32, 3}, {"nvmlDeviceGetDriverModel_v2", 0, 0, Uint32, 2}},
			map[string]float64{`gpu_mode_info{persistence="enabled",compute="exclusive_process",driver_model="mcdm"}`: 1}, 0},
		{"a fabric that is not there", []said{{"nvmlDeviceGetGpuFabricInfoV", 0, 0, Uint32, 0}}, nil, 0},
		{"a fabric by the older call", []said{
			{"nvmlDeviceGetGpuFabricInfoV", 0, VersionMismatch, 0, 0}, {"nvmlDeviceGetGpuFabricInfo", 0, 0, Uint32, 2},
			{"nvmlDeviceGetGpuFabricInfo", 1, 0, Uint32, 3}, {"nvmlDeviceGetGpuFabricInfo", 2, 0, Uint32, 9},
			{"nvmlDeviceGetGpuFabricInfo", 3, 0, Uint64, 0x0123456789abcdef}, {"nvmlDeviceGetGpuFabricInfo", 4, 0, Uint64, 0x42},
		}, map[string]float64{`gpu_fabric_info{state="in_progress",status="not_supported",cluster_uuid="01234567-89ab-cdef-0000-000000000042",clique_id="9"}`: 1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := convert(t, NewConverter(nil), c.answers...)
			same(t, got.samples, c.want)
			if got.rejected != c.rejected || got.state != collector.StateOK {
				t.Errorf("%d rejected, want %d; state %v", got.rejected, c.rejected, got.state)
			}
		})
	}
}

// A counter of 32 bits goes on where it wraps around; one of 64 that falls began anew.
func TestCountersThatWrapAround(t *testing.T) {
	c := NewConverter(nil)
	for _, step := range []struct {
		kind          Type
		sent, want, _ uint64
	}{
		{Uint32, 0xfffffff0, 0xfffffff0, 0}, {Uint32, 0x10, 0x100000010, 0}, {Uint32, 0x20, 0x100000020, 0},
		{Uint64, 0x30, 0x100000030, 0}, {Uint64, 0x5, 0x5, 0}, {Uint64, 0x15, 0x15, 0},
	} {
		got := convert(t, c, said{"field 197", 0, 0, step.kind, step.sent}, said{"field 198", 0, 0, Uint64, 1})
		if v := got.samples[`gpu_pcie_bytes_total{direction="transmit"}`]; v != float64(step.want) {
			t.Errorf("at %#x it is %#x, want %#x", step.sent, uint64(v), step.want)
		}
	}
}

func TestReturnCodes(t *testing.T) {
	for _, c := range []struct {
		codes  []Return
		state  collector.State
		failed int
	}{
		{[]Return{0, InvalidArgument, NotSupported, NoPermission, NotFound, InsufficientSize, LibraryNotFound, FunctionNotFound,
			OperatingSystem, NoData, 22, 24, VersionMismatch, Deprecated, NotReady, 28, 30}, collector.StateOK, 0},
		{[]Return{10, 14, 19, 20, 23, 29, Unknown, 12345}, collector.StatePartial, 1},
		{[]Return{InsufficientPower, IRQIssue, GPUIsLost, ResetRequired}, collector.StateGone, 0},
	} {
		for _, code := range c.codes {
			got := convert(t, NewConverter(nil), said{"field 186", 0, code, Uint32, 1000}, said{"field 29", 0, 0, Uint32, 0})
			if got.state != c.state || got.failed != c.failed || got.up != (c.state != collector.StateGone) {
				t.Errorf("code %d: state %v, up %v, %d failures", code, got.state, got.up, got.failed)
			}
		}
	}
	for code, want := range map[Return]error{Uninitialized: ErrChild, DriverNotLoaded: ErrDriver, LibRMMismatch: ErrDriver} {
		var r collector.Reading
		if err := NewConverter(nil).Add(&r, []Answer{{0, code, Uint32, 1}}, nil); !errors.Is(err, want) {
			t.Errorf("code %d: %v, want %v", code, err, want)
		}
	}
}

// What failed is not filled in by a call of less trust, which would hide the fault.
func TestAFailureIsNotHidden(t *testing.T) {
	got := convert(t, NewConverter(nil), said{"field 186", 0, Unknown, 0, 0}, said{"nvmlDeviceGetPowerUsage", 0, 0, Uint32, 1000}, said{"field 29", 0, 0, Uint32, 0})
	same(t, got.samples, map[string]float64{`gpu_bad_pages{kind="single_bit"}`: 0})
}

func TestAGPUOfWhichAllFailsIsGoneAtTheThirdTime(t *testing.T) {
	c := NewConverter(nil)
	for i, want := range []collector.State{collector.StatePartial, collector.StatePartial, collector.StateGone} {
		if got := convert(t, c, said{"field 186", 0, Unknown, 0, 0}); got.state != want || got.up {
			t.Errorf("cycle %d: %v, up %v", i+1, got.state, got.up)
		}
	}
}

func TestPartitions(t *testing.T) {
	v := func(f float64) *float64 { return &f }
	info, err := Identity{BusID: "0000:01:00.0"}.Info()
	if err != nil {
		t.Fatal(err)
	}
	c := NewConverter(nil)
	s, _ := firstReading(t, boards{{info, func(r *collector.Reading) error {
		return c.Add(r, nil, []Partition{
			{GPUInstance: 2, ComputeInstance: 0, Profile: "1c.3g.71gb", UUID: "MIG-a", Multiprocessors: v(16), MemoryTotal: v(1000), MemoryUsed: v(10), Graphics: v(50)},
			{GPUInstance: 2, ComputeInstance: 1, MemoryTotal: v(1000), MemoryUsed: v(10)},
			{GPUInstance: 2, ComputeInstance: 1, Profile: "told twice"},
		})
	}}})
	got := map[string]float64{}
	for _, sample := range s.Devices[0].Samples {
		got[sample.S.String()] = sample.V
	}
	same(t, got, map[string]float64{
		`gpu_partition_info{partition="2/0",kind="mig",profile="1c.3g.71gb",uuid="MIG-a"}`: 1, `gpu_partition_info{partition="2/1",kind="mig"}`: 1,
		`gpu_partition_multiprocessors{partition="2/0"}`: 16, `gpu_partition_memory_total_bytes{partition="2"}`: 1000,
		`gpu_partition_memory_used_bytes{partition="2"}`: 10, `gpu_partition_utilization_ratio{partition="2",engine="graphics"}`: 0.5,
	})
}

func TestIdentity(t *testing.T) {
	for _, c := range []struct {
		id               Identity
		gpu, pciID, form string
	}{
		{Identity{BusID: "00000000:0C:00.0", PCIDeviceID: 0x221610de}, "0000:0c:00.0", "10de:2216", collector.Discrete},
		{Identity{BusID: "0000:0C:00.0", PCIDeviceID: 0x10de}, "0000:0c:00.0", "", collector.Discrete},
		{Identity{BusID: "00010000:03:00.0"}, "10000:03:00.0", "", collector.Discrete},
		{Identity{BusID: "0000000F:01:00.0", Name: "NVIDIA GB10"}, "000f:01:00.0", "", collector.Integrated},
		{Identity{BusID: "0:1:2", Name: "NVIDIA GB100"}, "0000:01:02.0", "", collector.Discrete},
		{Identity{BusID: "0:1:2", Unified: true}, "0000:01:02.0", "", collector.Integrated},
		{Identity{BusID: "0:1:2", Virtualization: 2}, "0000:01:02.0", "", collector.Virtual},
		{Identity{BusID: "0:1:2", Virtualization: 1}, "0000:01:02.0", "", collector.Discrete},
	} {
		info, err := c.id.Info()
		if err != nil || info.GPU != c.gpu || info.PCIID != c.pciID || info.Type != c.form || info.Source != SourceNVML {
			t.Errorf("%+v: %+v, %v", c.id, info, err)
		}
	}
	for _, wrong := range []string{"", "0", "0:1", "x:1:2.0", "0:1:2.9", "123456789:1:2.0", "0:100:2.0"} {
		if gpu, err := Address(wrong); err == nil {
			t.Errorf("%q is %q", wrong, gpu)
		}
	}
}

func TestTableIsWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for n := range Table {
		r := &Table[n]
		name := r.String() + " " + string('0'+rune(r.Out))
		if seen[name] {
			t.Errorf("%s is asked for twice", name)
		}
		seen[name] = true
		if (r.Call == "") == (r.Field == 0) || r.take == nil || r.Group >= Groups || n > 0 && r.Group < Table[n-1].Group {
			t.Errorf("row %d, %s, is not well formed", n, name)
		}
	}
	if Hash() == "" || len(Table) > math.MaxUint16 {
		t.Errorf("hash %q, %d rows", Hash(), len(Table))
	}
}
