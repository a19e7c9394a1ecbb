package nvml

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a call is given and where its numbers lie, by nvml.h (nvidia.md 3.13).
func TestWhereNumbersLie(t *testing.T) {
	type answers map[string]Answer
	u32 := func(v uint64) Answer { return Answer{Type: Uint32, Raw: v} }
	u64 := func(v uint64) Answer { return Answer{Type: Uint64, Raw: v} }
	for symbol, c := range map[string]struct {
		args  []uintptr // between the device and the pointers; of one call of several
		in    map[int]byte
		out   []map[int]any // by pointer
		tells answers
	}{
		"GetUtilizationRates": {out: []map[int]any{{0: uint32(3), 4: uint32(5)}},
			tells: answers{"nvmlDeviceGetUtilizationRates": u32(3), "nvmlDeviceGetUtilizationRates.1": u32(5)}},
		"GetEncoderUtilization": {out: []map[int]any{{0: uint32(3)}, {0: uint32(9)}}, tells: answers{"nvmlDeviceGetEncoderUtilization": u32(3)}},
		"GetMemoryInfo_v2": {in: map[int]byte{0: 40, 3: 2}, out: []map[int]any{{8: uint64(1), 16: uint64(2), 24: uint64(3), 32: uint64(4)}},
			tells: answers{"nvmlDeviceGetMemoryInfo_v2": u64(1), "nvmlDeviceGetMemoryInfo_v2.1": u64(2), "nvmlDeviceGetMemoryInfo_v2.3": u64(4)}},
		"GetMemoryInfo": {out: []map[int]any{{0: uint64(1), 8: uint64(2), 16: uint64(3)}},
			tells: answers{"nvmlDeviceGetMemoryInfo": u64(1), "nvmlDeviceGetMemoryInfo.2": u64(3)}},
		"GetBAR1MemoryInfo": {out: []map[int]any{{0: uint64(1), 8: uint64(2), 16: uint64(3)}},
			tells: answers{"nvmlDeviceGetBAR1MemoryInfo": u64(1), "nvmlDeviceGetBAR1MemoryInfo.2": u64(3)}},
		"GetTemperatureV": {in: map[int]byte{0: 12, 3: 1, 4: 0}, out: []map[int]any{{8: int32(-3)}},
			tells: answers{"nvmlDeviceGetTemperatureV": {Type: Int32, Raw: minus(-3)}}},
		"GetTemperature": {args: []uintptr{0}, out: []map[int]any{{0: uint32(61)}}, tells: answers{"nvmlDeviceGetTemperature 0": u32(61)}},
		"GetMarginTemperature": {in: map[int]byte{0: 8, 3: 1}, out: []map[int]any{{4: int32(-7)}},
			tells: answers{"nvmlDeviceGetMarginTemperature": {Type: Int32, Raw: minus(-7)}}},
		"GetFanSpeedRPM":                     {in: map[int]byte{0: 12, 3: 1, 4: 7}, out: []map[int]any{{8: uint32(900)}}, tells: answers{"nvmlDeviceGetFanSpeedRPM 7": u32(900)}},
		"GetFanSpeed_v2":                     {args: []uintptr{7}, out: []map[int]any{{0: uint32(33)}}, tells: answers{"nvmlDeviceGetFanSpeed_v2 7": u32(33)}},
		"GetPowerManagementLimitConstraints": {out: []map[int]any{{0: uint32(1)}, {0: uint32(2)}}, tells: answers{"nvmlDeviceGetPowerManagementLimitConstraints": u32(1), "nvmlDeviceGetPowerManagementLimitConstraints.1": u32(2)}},
		"GetTotalEnergyConsumption":          {out: []map[int]any{{0: uint64(1 << 40)}}, tells: answers{"nvmlDeviceGetTotalEnergyConsumption": u64(1 << 40)}},
		"GetCurrentClocksThrottleReasons":    {out: []map[int]any{{0: uint64(1 << 33)}}, tells: answers{"nvmlDeviceGetCurrentClocksThrottleReasons": u64(1 << 33)}},
		"GetViolationStatus":                 {args: []uintptr{5}, out: []map[int]any{{0: uint64(1), 8: uint64(2)}}, tells: answers{"nvmlDeviceGetViolationStatus 5.1": u64(2)}},
		"GetMigMode":                         {out: []map[int]any{{0: uint32(0)}, {0: uint32(1)}}, tells: answers{"nvmlDeviceGetMigMode": u32(0)}},
		"GetDriverModel_v2":                  {out: []map[int]any{{0: uint32(1)}, {0: uint32(0)}}, tells: answers{"nvmlDeviceGetDriverModel_v2": u32(1)}},
		"GetEncoderStats": {out: []map[int]any{{0: uint32(1)}, {0: uint32(2)}, {0: uint32(3)}},
			tells: answers{"nvmlDeviceGetEncoderStats": u32(1), "nvmlDeviceGetEncoderStats.1": u32(2), "nvmlDeviceGetEncoderStats.2": u32(3)}},
		"GetFBCStats":           {out: []map[int]any{{0: uint32(1), 4: uint32(2), 8: uint32(3)}}, tells: answers{"nvmlDeviceGetFBCStats": u32(1)}},
		"GetEccMode":            {out: []map[int]any{{0: uint32(1)}, {0: uint32(0)}}, tells: answers{"nvmlDeviceGetEccMode": u32(1)}},
		"GetMemoryErrorCounter": {args: []uintptr{1, 1, 7}, out: []map[int]any{{0: uint64(8)}}, tells: answers{"nvmlDeviceGetMemoryErrorCounter 1 1 7": u64(8)}},
		"GetTotalEccErrors":     {args: []uintptr{1, 1}, out: []map[int]any{{0: uint64(8)}}, tells: answers{"nvmlDeviceGetTotalEccErrors 1 1": u64(8)}},
		"GetRemappedRows": {out: []map[int]any{{0: uint32(1)}, {0: uint32(2)}, {0: uint32(3)}, {0: uint32(4)}},
			tells: answers{"nvmlDeviceGetRemappedRows": u32(1), "nvmlDeviceGetRemappedRows.1": u32(2), "nvmlDeviceGetRemappedRows.2": u32(3), "nvmlDeviceGetRemappedRows.3": u32(4)}},
		"GetRowRemapperHistogram": {out: []map[int]any{{0: uint32(1), 4: uint32(2), 8: uint32(3), 12: uint32(4), 16: uint32(5)}},
			tells: answers{"nvmlDeviceGetRowRemapperHistogram": u32(1), "nvmlDeviceGetRowRemapperHistogram.1": u32(2), "nvmlDeviceGetRowRemapperHistogram.2": u32(3),
				"nvmlDeviceGetRowRemapperHistogram.3": u32(4), "nvmlDeviceGetRowRemapperHistogram.4": u32(5)}},
		"GetNvLinkState": {args: []uintptr{35}, out: []map[int]any{{0: uint32(1)}}, tells: answers{"nvmlDeviceGetNvLinkState 35": u32(1)}},
		"GetGpuFabricInfoV": {in: map[int]byte{0: 40, 3: 3}, out: []map[int]any{{4: "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", 20: uint32(9), 24: uint32(5), 28: byte(3), 29: byte(0xff)}},
			tells: answers{"nvmlDeviceGetGpuFabricInfoV": {Type: Uint16, Raw: 3}, "nvmlDeviceGetGpuFabricInfoV.1": u32(9), "nvmlDeviceGetGpuFabricInfoV.2": u32(5),
				"nvmlDeviceGetGpuFabricInfoV.3": u64(0x0102030405060708), "nvmlDeviceGetGpuFabricInfoV.4": u64(0x090a0b0c0d0e0f10)}},
		"GetGpuFabricInfo": {out: []map[int]any{{0: "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", 16: uint32(9), 20: uint32(5), 24: byte(3)}},
			tells: answers{"nvmlDeviceGetGpuFabricInfo": {Type: Uint16, Raw: 3}, "nvmlDeviceGetGpuFabricInfo.1": u32(9), "nvmlDeviceGetGpuFabricInfo.2": u32(5),
				"nvmlDeviceGetGpuFabricInfo.3": u64(0x0102030405060708), "nvmlDeviceGetGpuFabricInfo.4": u64(0x090a0b0c0d0e0f10)}},
	} {
		t.Run(symbol, func(t *testing.T) {
			seen := false
			r := newReader(map[string]function{"nvmlDevice" + symbol: func(a arguments) Return {
				if a[0] != handleOfTests || len(a) != 1+len(c.args)+len(c.out) {
					t.Fatalf("called with %d arguments, the device %d", len(a), a[0])
				}
				if !slices.Equal(a[1:1+len(c.args)], c.args) {
					return NotSupported
				}
				size := 40
				if len(c.out) > 1 {
					size = 4
				}
				before := a.at(1+len(c.args), size)
				for at, want := range c.in {
					if before[at] != want {
						return NotSupported
					}
				}
				for n, v := range before {
					if _, said := c.in[n]; !said && v != 0 {
						t.Errorf("byte %d is %d before the call", n, v)
					}
				}
				seen = true
				for n, numbers := range c.out {
					for _, at := range slices.Sorted(maps.Keys(numbers)) { // a text ends in a 0 that the next number is on
						a.put(1+len(c.args)+n, map[int]any{at: numbers[at]})
					}
				}
				return Success
			}})
			got := r.look(AllGroups)
			if !seen {
				t.Fatal("it was never called as it should be")
			}
			for name, want := range c.tells {
				a, ok := got[name]
				if a.Row = 0; !ok || a != want {
					t.Errorf("%s is %+v, want %+v", name, a, want)
				}
			}
		})
	}
}

// Every call of the Table has a form that has its numbers, in its memory, aligned.
func TestFormsAreWellFormed(t *testing.T) {
	for n := range Table {
		r := &Table[n]
		if r.Field != 0 || r.Call == gpmMetrics {
			continue
		}
		list := formsOf(r.Call)
		for _, f := range list {
			if int(r.Out) >= len(f.out) || f.arg > 0 && len(r.Args) != 1 || f.size > list[0].size {
				t.Errorf("%s, out %d: %+v", r, r.Out, f)
			}
			for _, d := range f.out {
				if d.at+d.size > f.size || d.order == nil || d.size == 8 && d.is != Uint64 {
					t.Errorf("%s: %+v of %d bytes", r, d, f.size)
				}
			}
		}
	}
	for call := range forms {
		if !slices.ContainsFunc(Table, func(r Row) bool { return r.Call == call }) {
			t.Errorf("no row asks %s", call)
		}
	}
}

// fieldsOf answers fields by their id.
func fieldsOf(t *testing.T, values map[uint32]Answer) function {
	return func(a arguments) Return {
		n := int(a[1])
		for i, b := range slices.Collect(slices.Chunk(a.at(2, n*fieldSize), fieldSize)) {
			if !bytes.Equal(b[8:], make([]byte, fieldSize-8)) {
				t.Errorf("field %d is not zeroed", i)
			}
			id := uint32(b[0]) | uint32(b[1])<<8
			v, known := values[id]
			if !known {
				v.Code = NotSupported
			}
			if id == 164 && b[4] > 1 { // scope
				v.Code = InvalidArgument
			}
			a.put(2, map[int]any{i*fieldSize + 24: uint32(v.Type), i*fieldSize + 28: uint32(v.Code), i*fieldSize + 32: v.Raw})
		}
		return Success
	}
}

// All fields of a group are asked by one call, those that the GPU does not have only once, and then again when GPUs were
// looked for.
func TestFieldsAreAskedTogether(t *testing.T) {
	r := newReader(map[string]function{fieldValues: fieldsOf(t, map[uint32]Answer{
		186: {Type: Uint32, Raw: 1000}, 83: {Type: Uint64, Raw: 5}, 94: {Type: Type(9), Raw: 1}, 30: {Code: Unknown}})})
	got := r.look(AllGroups)
	if n := r.called(fieldValues); n != 2 { // no link is there, so none of its fields
		t.Errorf("%d calls at first, want one for basic and one for ECC", n)
	}
	if a := got["field 186 1"]; a.Code != Success || a.Raw != 1000 {
		t.Errorf("%+v", a)
	}
	if got["field 94"].Code != NoData || got["field 30"].Code != Unknown || got["field 82"].Code != NotSupported {
		t.Errorf("of an unknown type: %+v; failed: %+v; not there: %+v", got["field 94"], got["field 30"], got["field 82"])
	}
	got = r.look(AllGroups)
	if _, asked := got["field 82"]; asked || len(got) != 6 {
		t.Errorf("later: %v", got)
	}
	if _, asked := r.look(AllGroups | Anew)["field 82"]; !asked {
		t.Error("what is not there is not asked anew")
	}
}

// A driver that does not take a call with fields which it does not know is asked by the age of the fields, and it is
// remembered what it does not take.
func TestFieldsOfAnOldDriver(t *testing.T) {
	fields := fieldsOf(t, map[uint32]Answer{83: {Type: Uint64, Raw: 5}})
	r := newReader(map[string]function{fieldValues: func(a arguments) Return {
		for _, b := range slices.Collect(slices.Chunk(a.at(2, int(a[1])*fieldSize), fieldSize)) {
			if id := int(b[0]) | int(b[1])<<8; id > 95 {
				return InvalidArgument
			}
		}
		return fields(a)
	}})
	got := r.look(1 << Basic)
	if got["field 83"].Raw != 5 || got["field 186"].Code != InvalidArgument || r.called(fieldValues) != 4 { // all; to 95, to 196, the rest
		t.Errorf("%+v, %+v", got["field 83"], got["field 186"])
	}
	if got = r.look(1 << Basic); len(got) != 1 || r.called(fieldValues) != 1 {
		t.Errorf("later: %v", got)
	}
	r.functions[fieldValues] = always(GPUIsLost)
	if got = r.look(1<<Basic | Anew); got["field 83"].Code != GPUIsLost || r.called(fieldValues) != 1 {
		t.Errorf("a GPU that is lost is lost for all fields: %v", got["field 83"])
	}
}

func TestOlderStructs(t *testing.T) {
	var words []uint32
	r := newReader(map[string]function{"nvmlDeviceGetGpuFabricInfoV": func(a arguments) Return {
		word := uint32(a.at(1, 4)[3])
		words = append(words, word)
		if word == 3 {
			return VersionMismatch
		}
		a.put(1, map[int]any{28: byte(2)})
		return Success
	}, "nvmlDeviceGetMemoryInfo_v2": always(VersionMismatch), "nvmlDeviceGetMemoryInfo": func(a arguments) Return {
		a.put(1, map[int]any{0: uint64(6)})
		return Success
	}})
	for range 2 {
		got := r.look(AllGroups)
		if a := got["nvmlDeviceGetGpuFabricInfoV"]; a.Code != Success || a.Raw != 2 {
			t.Errorf("%+v", a)
		}
		if a := got["nvmlDeviceGetMemoryInfo"]; a.Raw != 6 {
			t.Errorf("%+v", a)
		}
	}
	if !slices.Equal(words, []uint32{3, 2, 2}) || r.called("nvmlDeviceGetMemoryInfo_v2") != 1 {
		t.Errorf("asked with versions %v; memory v2 is asked again", words)
	}
}

// Which codes have a reading left alone until GPUs are looked for.
func TestWhatIsNotThereIsNotAskedAgain(t *testing.T) {
	for c := range Return(31) {
		r := newReader(map[string]function{"nvmlDeviceGetPowerUsage": always(c)})
		again := 0
		for range 3 {
			r.look(AllGroups)
		}
		switch c {
		case InvalidArgument, NotSupported, LibraryNotFound, FunctionNotFound, VersionMismatch, Deprecated:
			again = 1
		default:
			again = 3
		}
		if n := r.called("nvmlDeviceGetPowerUsage"); n != again {
			t.Errorf("code %d: asked %d times of 3, want %d", c, n, again)
		}
		r.look(AllGroups | Anew)
		if n := r.called("nvmlDeviceGetPowerUsage"); n != 1 {
			t.Errorf("code %d: asked %d times anew", c, n)
		}
	}
	r := newReader(nil)
	if a := r.look(AllGroups)["nvmlDeviceGetPowerUsage"]; a.Code != FunctionNotFound {
		t.Errorf("a missing function: %+v", a)
	}
	if len(r.begun) > 0 || len(r.look(AllGroups)) > 0 {
		t.Error("a library without functions is asked something")
	}
}

// Where the GPU is lost, or the library, nothing more is asked in that reading.
func TestNothingIsAskedOfTheLost(t *testing.T) {
	for _, c := range []Return{Uninitialized, InsufficientPower, DriverNotLoaded, IRQIssue, GPUIsLost, ResetRequired, LibRMMismatch} {
		r := newReader(map[string]function{"nvmlDeviceGetUtilizationRates": always(c), "nvmlDeviceGetPowerUsage": one(1), "nvmlDeviceGetEccMode": one(1),
			"nvmlGpmQueryDeviceSupport": one(1), "nvmlDeviceGetPcieThroughput": one(1)})
		for range 2 {
			got := r.look(AllGroups)
			if a := got["nvmlDeviceGetUtilizationRates"]; a.Code != c || len(r.counts) != 1 {
				t.Errorf("code %d: %+v; called: %v", c, a, r.counts)
			}
		}
	}
}

// What depends on MIG is asked again when that is switched.
func TestMIGSwitched(t *testing.T) {
	mig := uint32(0)
	r := newReader(map[string]function{"nvmlDeviceGetMigMode": func(a arguments) Return {
		a.put(1, map[int]any{0: mig})
		return Success
	}, "nvmlDeviceGetUtilizationRates": always(NotSupported)})
	for _, mig = range []uint32{1, 1, 1, 0, 0, 0} {
		r.look(AllGroups)
	}
	if n := r.called("nvmlDeviceGetUtilizationRates"); n != 3 { // at first, and after each switch
		t.Errorf("asked %d times", n)
	}
}

// Of two readings of one series the one of less trust is asked only where the other does not tell.
func TestLessTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		better, worse string
		answer        function
		asked         bool
	}{
		"told":              {"nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature", func(a arguments) Return { a.put(1, map[int]any{8: int32(5)}); return Success }, false},
		"a sentinel":        {"nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature", func(a arguments) Return { a.put(1, map[int]any{8: int32(-1)}); return Success }, true},
		"not supported":     {"nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature", always(NotSupported), true},
		"failed":            {"nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature", always(Unknown), false},
		"by a field":        {fieldValues, "nvmlDeviceGetPowerUsage", fieldsOf(t, map[uint32]Answer{186: {Type: Uint32, Raw: 1}}), false},
		"not by a field":    {fieldValues, "nvmlDeviceGetPowerUsage", fieldsOf(t, nil), true},
		"a part":            {"nvmlDeviceGetFanSpeed_v2", "nvmlDeviceGetFanSpeed", one(50), false},
		"bytes over PCIe":   {fieldValues, "nvmlDeviceGetPcieThroughput", fieldsOf(t, map[uint32]Answer{197: {Type: Uint64}, 198: {Type: Uint64}}), false},
		"only in one way":   {fieldValues, "nvmlDeviceGetPcieThroughput", fieldsOf(t, map[uint32]Answer{197: {Type: Uint64}}), true},
		"reasons":           {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons", one(0), false},
		"another's reading": {"nvmlDeviceGetMarginTemperature", "nvmlDeviceGetTemperature", func(a arguments) Return { a.put(1, map[int]any{4: int32(5)}); return Success }, true},
	} {
		r := newReader(map[string]function{c.better: c.answer, c.worse: one(1)})
		r.look(AllGroups)
		if n := r.called(c.worse); n > 0 != c.asked {
			t.Errorf("%s: %s is asked %d times", name, c.worse, n)
		}
	}
}

// Links that do not answer are not asked on.
func TestLinksThatAreNotThere(t *testing.T) {
	counters := map[uintptr]int{}
	r := newReader(map[string]function{"nvmlDeviceGetNvLinkState": func(a arguments) Return {
		if a[1] >= 2 {
			return InvalidArgument
		}
		a.put(2, map[int]any{0: uint32(1)})
		return Success
	}, "nvmlDeviceGetNvLinkErrorCounter": func(a arguments) Return {
		counters[a[1]]++
		return Success
	}, fieldValues: fieldsOf(t, map[uint32]Answer{164: {Type: Uint32, Raw: 25000}, 84: {Type: Uint32, Raw: 1}, 85: {Type: Uint32, Raw: 1}})})
	got := r.look(1 << NVLink)
	if fmt.Sprint(counters) != "map[0:4 1:4]" || r.called("nvmlDeviceGetNvLinkState") != maxLinks {
		t.Errorf("counters of links %v", counters)
	}
	if got["field 164 1"].Raw != 25000 || got["field 84"].Raw != 1 {
		t.Errorf("%v", got)
	}
	if _, asked := got["field 164 2"]; asked {
		t.Error("a field of a link that is not there is asked")
	}
	r.look(1 << NVLink)
	if n := r.called("nvmlDeviceGetNvLinkState"); n != 2 {
		t.Errorf("%d states are asked again", n)
	}
}

// A guest of a vGPU is not asked for what has its driver write warnings.
func TestGuest(t *testing.T) {
	r := newReader(map[string]function{"nvmlDeviceGetPcieThroughput": one(1), "nvmlDeviceGetRowRemapperHistogram": one(1), "nvmlDeviceGetRemappedRows": one(1),
		"nvmlGpmQueryDeviceSupport": one(1), "nvmlDeviceGetPowerUsage": one(1)})
	r.guest = true
	got := r.look(AllGroups | Anew)
	if len(r.counts) != 1 || got["nvmlDeviceGetPowerUsage"].Raw != 1 {
		t.Errorf("%v", r.counts)
	}
}

// withGPM are the functions of a GPU that has profiling counters: samples are numbered, and the graphics engine was busy
// for as many percent as the later sample has.
func withGPM(t *testing.T) map[string]function {
	samples, taken := uint64(0), map[uintptr]float64{}
	return map[string]function{
		"nvmlGpmQueryDeviceSupport": func(a arguments) Return {
			if b := a.at(1, 8); b[0] != 1 || b[3] != 0 {
				t.Errorf("the version is % x", b)
			}
			a.put(1, map[int]any{4: uint32(1)})
			return Success
		},
		"nvmlGpmSampleAlloc":  func(a arguments) Return { samples++; a.put(0, map[int]any{0: samples}); return Success },
		"nvmlGpmSampleFree":   func(a arguments) Return { delete(taken, a[0]); return Success },
		"nvmlGpmSampleGet":    func(a arguments) Return { taken[a[1]]++; return Success },
		"nvmlGpmMigSampleGet": func(a arguments) Return { taken[a[2]] += float64(a[1]); return Success },
		"nvmlGpmMetricsGet": func(a arguments) Return {
			head := a.at(0, 24)
			if head[0] != 1 || head[3] != 0 {
				t.Errorf("the version is % x", head[:4])
			}
			for i := range int(head[4]) {
				id := a.at(0, 24+40*i+4)[24+40*i:][0]
				v := map[int]any{24 + 40*i + 4: uint32(NotSupported)}
				if id == 1 {
					v = map[int]any{24 + 40*i + 8: taken[uintptr(head[16])] * 10, 24 + 40*i + 16: uint64(0xdeadbeef)}
				}
				a.put(0, v)
			}
			return Success
		},
	}
}

func TestProfilingCounters(t *testing.T) {
	r := newReader(withGPM(t))
	for i, c := range []struct {
		after time.Duration
		want  float64 // 0: nothing
	}{
		{0, 0}, {time.Second, 10}, {time.Second, 20}, {50 * time.Millisecond, 0}, {time.Second, 20},
		{11 * time.Second, 0}, // more than ten cycles
		{time.Second, 30}, {61 * time.Second, 0}, {time.Second, 40},
	} {
		r.clock = r.clock.Add(c.after)
		got := r.look(1 << GPM)
		a, told := got["nvmlDeviceGpmMetricsGet 1"]
		if told != (c.want > 0) || told && (a.Type != Double || math.Float64frombits(a.Raw) != c.want) {
			t.Errorf("look %d: %v, want %v", i, math.Float64frombits(a.Raw), c.want)
		}
		if len(got) > 1 {
			t.Errorf("look %d: %v", i, got)
		}
	}
	r.functions["nvmlGpmSampleGet"] = always(Unknown)
	for range 3 {
		r.clock = r.clock.Add(time.Second)
		if got := r.look(1 << GPM); len(got) > 0 {
			t.Errorf("what fails is absent, not a failure: %v", got)
		}
	}
	if n := r.called("nvmlGpmSampleGet"); n != 9 {
		t.Errorf("%d samples: what fails is left alone", n)
	}
}

// withMIG are the functions of a GPU with two compute instances in GPU instance 2, a gap, and one in 5.
func withMIG(t *testing.T) map[string]function {
	all := withGPM(t)
	of := func(values map[uintptr]uint32) function {
		return func(a arguments) Return {
			v, ok := values[a[0]]
			if !ok {
				return InvalidArgument
			}
			a.put(1, map[int]any{0: v})
			return Success
		}
	}
	texts := func(values map[uintptr]string) function {
		return func(a arguments) Return {
			if a[2] != 96 {
				t.Errorf("a buffer of %d bytes", a[2])
			}
			a.put(1, map[int]any{0: values[a[0]]})
			return Success
		}
	}
	maps.Copy(all, map[string]function{
		"nvmlDeviceGetMigMode":           func(a arguments) Return { a.put(1, map[int]any{0: uint32(1)}); return Success },
		"nvmlDeviceGetMaxMigDeviceCount": one(7),
		"nvmlDeviceGetMigDeviceHandleByIndex": func(a arguments) Return {
			switch a[1] {
			case 0, 1, 3:
				a.put(2, map[int]any{0: uint64(100 + a[1])})
				return Success
			case 2:
				return NotFound
			}
			return InvalidArgument
		},
		"nvmlDeviceGetGpuInstanceId":     of(map[uintptr]uint32{100: 2, 101: 2, 103: 5}),
		"nvmlDeviceGetComputeInstanceId": of(map[uintptr]uint32{100: 0, 101: 1, 103: 0}),
		"nvmlDeviceGetName":              texts(map[uintptr]string{100: "NVIDIA H200 MIG 1c.3g.71gb", 101: "NVIDIA H200 MIG 1c.3g.71gb", 103: "?"}),
		"nvmlDeviceGetUUID":              texts(map[uintptr]string{100: "MIG-a", 101: "MIG-b", 103: "MIG-c"}),
		"nvmlDeviceGetAttributes_v2":     of(map[uintptr]uint32{100: 16, 101: 16}),
		"nvmlDeviceGetMemoryInfo": func(a arguments) Return {
			if a[0] < 100 {
				return NotSupported
			}
			a.put(1, map[int]any{0: uint64(1000), 16: uint64(a[0])})
			return Success
		},
	})
	return all
}

func TestPartitionsOfALibrary(t *testing.T) {
	r := newReader(withMIG(t))
	r.look(AllGroups)
	if len(r.lists) != 1 || !slices.Contains(r.begun, Processes) || slices.Contains(r.begun, GPM) {
		t.Fatalf("%d lists; began %v", len(r.lists), r.begun)
	}
	r.clock = r.clock.Add(time.Second)
	r.look(AllGroups)
	var got []string
	for _, p := range r.lists[0].([]Partition) {
		text := fmt.Sprintf("%d/%d %s %s %v %v", p.GPUInstance, p.ComputeInstance, p.Profile, p.UUID, *p.MemoryUsed, *p.Graphics)
		if p.Multiprocessors != nil {
			text += fmt.Sprintf(" %v", *p.Multiprocessors)
		}
		got = append(got, text)
	}
	want := []string{"2/0 1c.3g.71gb MIG-a 100 20 16", "2/1 1c.3g.71gb MIG-b 101 20 16", "5/0  MIG-c 103 50"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	r.functions["nvmlDeviceGetMaxMigDeviceCount"] = one(2) // an instance goes: its samples are given back
	r.look(AllGroups)
	r.look(AllGroups)
	if n := r.called("nvmlGpmSampleFree"); n != 2 {
		t.Errorf("%d samples are given back", n)
	}
	r.functions["nvmlDeviceGetMigMode"] = one(0)
	r.look(AllGroups)
	if n := r.called("nvmlGpmSampleFree"); n != 2 || len(r.lists) != 0 {
		t.Errorf("%d samples are given back, %d lists", n, len(r.lists))
	}
}

// A steady cycle allocates nothing, and asks each call once.
func TestSteadyCycle(t *testing.T) {
	functions := map[string]function{fieldValues: func(a arguments) Return {
		for i := range int(a[1]) {
			*(*uint64)(ptr(a[2] + uintptr(i)*fieldSize + 24)) = uint64(Uint64)
		}
		return Success
	}}
	for n := range Table {
		if r := &Table[n]; r.Field == 0 && r.Call != gpmMetrics {
			functions[symbolOf(r)] = always(Success)
		}
	}
	r := newReader(functions)
	var q quiet
	r.read(AllGroups, q)
	for _, name := range []string{"nvmlDeviceGetUtilizationRates", "nvmlDeviceGetRemappedRows", "nvmlDeviceGetEncoderStats"} {
		if n := r.called(name); n != 1 {
			t.Errorf("%s is called %d times", name, n)
		}
	}
	if n := testing.AllocsPerRun(10, func() { r.read(AllGroups, q) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type quiet struct{}

func (quiet) Begin(uint8)        {}
func (quiet) Rows(uint8, []byte) {}
func (quiet) List(uint8, any)    {}

// What the drivers of three ages can be asked for, by the functions that they export.
func TestFunctionsOfDrivers(t *testing.T) {
	lists := matching(t, "nvml-symbols-*/nvml-symbols-*.txt")
	if len(lists) == 0 {
		t.Skip("no lists are here")
	}
	for _, path := range lists {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		version := strings.Split(strings.TrimPrefix(filepath.Base(path), "nvml-symbols-"), ".")[0]
		functions := map[string]function{}
		for _, name := range strings.Fields(string(text)) {
			functions[name] = always(Success)
		}
		want, known := map[string][]string{
			"390": {"GetMemoryInfo", "GetTemperature", "GetCurrentClocksThrottleReasons", "GetFanSpeed", "GetPcieReplayCounter"},
			"470": {"GetMemoryInfo", "GetTemperature", "GetCurrentClocksThrottleReasons", "GetFanSpeed_v2", "GetRemappedRows", "GetMigMode"},
			"550": {"GetMemoryInfo_v2", "GetTemperature", "GetCurrentClocksEventReasons", "GetFanSpeed_v2", "GetRemappedRows", "GetMigMode", "GetGpuFabricInfoV", "GpmMetricsGet"},
		}[version]
		lacks := map[string][]string{
			"390": {"GetMemoryInfo_v2", "GetTemperatureV", "GetCurrentClocksEventReasons", "GetRemappedRows", "GetMigMode", "GetJpgUtilization", "GpmMetricsGet"},
			"470": {"GetMemoryInfo_v2", "GetTemperatureV", "GetCurrentClocksEventReasons", "GetJpgUtilization", "GpmMetricsGet"},
			"550": {"GetTemperatureV", "GetFanSpeedRPM", "GetMarginTemperature"},
		}[version]
		if !known {
			t.Errorf("what is driver %s like?", version)
		}
		l := NewLibrary(func(string) (Binding, error) { return newMadeOfGo(functions), nil })
		if f := l.Load(nil).(found); f.err() != nil {
			t.Fatal(f)
		}
		gpu, said := l.Open("0000:01:00.0")
		if gpu == nil {
			t.Fatalf("driver %s: %+v", version, said)
		}
		has := map[string]bool{}
		for _, n := range said.(opened).Rows {
			has[Table[n].Call] = true
		}
		for _, call := range want {
			if !has[call] {
				t.Errorf("driver %s lacks %s", version, call)
			}
		}
		for _, call := range lacks {
			if has[call] {
				t.Errorf("driver %s has %s", version, call)
			}
		}
		gpu.(*device).read(AllGroups|Anew, quiet{}) // calls no function that is not there
	}
}
