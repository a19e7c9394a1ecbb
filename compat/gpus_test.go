package compat

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// The example of legacy-api.md 15.2 on one line.
func TestGPUsExample(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "gpus_rx7800xt.json"))
	if err != nil {
		t.Fatal(err)
	}
	got := GPUs(snapshot(rx7800xt()), "1.0.0", now)
	if string(got)+"\n" != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

const (
	nothingPrimary = `"primary":{"temperature":null,"utilization":null,"memory_used":null,"memory_total":null,` +
		`"memory_utilization":null,"core_clock":null,"memory_clock":null,"power_usage":null,"fan_speed":null,"driver_version":null}`
	nothingRead = `"sensors":{},"margin_celsius":null,"memory":{},"power":{},"clocks":{},"fans":[],"throttle":null,"pcie":{}}`
)

func TestGPUsWithoutReading(t *testing.T) {
	info := rx7800xt().Info
	nameless := collector.Info{GPU: "platform:17000000.gpu", Source: "simulation", DriverVersion: "6.1"}
	const identity = `{"gpu":"0000:03:00.0","index":0,"name":"AMD Radeon RX 7800 XT","vendor":"amd","type":"discrete","uuid":null,` +
		`"pci_id":"1002:747e","driver":"amdgpu","driver_version":null,"vbios":"113-EXT90249-100","source":"sysfs","simulated":false,`
	for name, c := range map[string]struct {
		s    *collector.Snapshot
		want string // of the array
	}{
		"before the first cycle": {nil, ``},
		"no GPU":                 {snapshot(), ``},
		"asleep": {
			snapshot(collector.Status{Info: info, State: collector.StateAsleep, Up: true, At: at}),
			identity + `"state":"asleep","up":true,"timestamp":1795633304.718,"age_seconds":0.412,` + nothingPrimary + `,` + nothingRead,
		},
		"hung": {
			snapshot(collector.Status{Info: info, State: collector.StateHung, At: at.Add(-time.Hour)}),
			identity + `"state":"hung","up":false,"timestamp":1795629704.718,"age_seconds":3600.412,` + nothingPrimary + `,` + nothingRead,
		},
		"gone": {
			snapshot(collector.Status{Info: info, State: collector.StateGone, At: at}),
			identity + `"state":"gone","up":false,"timestamp":1795633304.718,"age_seconds":0.412,` + nothingPrimary + `,` + nothingRead,
		},
		"never read": {
			snapshot(collector.Status{Info: info, State: collector.StateHung}),
			identity + `"state":"hung","up":false,"timestamp":null,"age_seconds":null,` + nothingPrimary + `,` + nothingRead,
		},
		"made after the body": {
			snapshot(collector.Status{Info: info, State: collector.StateAsleep, Up: true, At: now.Add(time.Second)}),
			identity + `"state":"asleep","up":true,"timestamp":1795633306.13,"age_seconds":0,` + nothingPrimary + `,` + nothingRead,
		},
		"all that may be missing is": {
			snapshot(collector.Status{Info: nameless, State: collector.StatePartial, At: at}),
			`{"gpu":"platform:17000000.gpu","index":0,"name":null,"vendor":null,"type":null,"uuid":null,"pci_id":null,"driver":null,` +
				`"driver_version":"6.1","vbios":null,"source":"simulation","simulated":true,"state":"partial","up":false,` +
				`"timestamp":1795633304.718,"age_seconds":0.412,` +
				strings.Replace(nothingPrimary, `"driver_version":null`, `"driver_version":"6.1"`, 1) + `,` + nothingRead,
		},
	} {
		got := string(GPUs(c.s, "", now))
		if want := `{"schema":1,"version":"","timestamp":1795633305.13,"gpus":[` + c.want + `]}`; got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestGPUsSeveral(t *testing.T) {
	a, b := rx7800xt(), rx7800xt()
	b.GPU = "0000:0a:00.0"
	got := GPUs(snapshot(a, b), "1.0.0", now)
	var body struct {
		GPUs []struct {
			GPU   string
			Index int
		}
	}
	if err := json.Unmarshal(got, &body); err != nil {
		t.Fatalf("%v in\n%s", err, got)
	}
	if len(body.GPUs) != 2 || body.GPUs[0].GPU != a.GPU || body.GPUs[1].GPU != b.GPU || body.GPUs[1].Index != 1 {
		t.Errorf("got %+v", body.GPUs)
	}
}

// Sections hold only what was read, in byte order of their names.
func TestGPUsSections(t *testing.T) {
	for name, c := range map[string]struct {
		add  func(*reading)
		want string // a part of the body
	}{
		"sensors in byte order": {func(r *reading) {
			for _, s := range []string{"hbm2", "memory", "hbm10", "edge"} {
				r.add(collector.Temperature, 40, s)
			}
		}, `"sensors":{"edge":{"celsius":40},"hbm10":{"celsius":40},"hbm2":{"celsius":40},"memory":{"celsius":40}}`},
		"limits only": {func(r *reading) {
			r.add(collector.TemperatureLimit, 90, "gpu", "slowdown")
			r.add(collector.TemperatureLimit, -273.15, "gpu", "critical")
		}, `"sensors":{"gpu":{"limits_celsius":{"critical":-273.15,"slowdown":90}}}`},
		"margin": {func(r *reading) { r.add(collector.TemperatureMargin, 41.5) }, `},"margin_celsius":41.5,"memory":{`},
		"keys of a memory": {func(r *reading) {
			r.add(collector.MemoryReserved, 3, "vram")
			r.add(collector.MemoryTotal, 2, "vram")
			r.add(collector.MemoryUsed, 1, "vram")
		}, `"memory":{"vram":{"used_bytes":1,"total_bytes":2,"reserved_bytes":3}}`},
		"keys of a power domain": {func(r *reading) {
			r.add(collector.Energy, 1e9, "board")
			r.add(collector.PowerAverage, 31.5, "board")
			r.add(collector.PowerLimit, 300, "board", "max")
			r.add(collector.Power, 0, "board")
		}, `"power":{"board":{"watts":0,"average_watts":31.5,"energy_joules":1000000000,"limits_watts":{"max":300}}}`},
		"samples unchanged": {func(r *reading) { r.add(collector.Energy, 123456789012345.67, "board") },
			`"power":{"board":{"energy_joules":123456789012345.67}}`},
		"no exponents": {func(r *reading) { r.add(collector.Energy, 1e22, "board"); r.add(collector.Power, 1e-7, "board") },
			`"power":{"board":{"watts":0.0000001,"energy_joules":10000000000000000000000}}`},
		"fans by number": {func(r *reading) {
			for _, f := range []string{"10", "2", "1"} {
				r.add(collector.FanSpeed, 900, f)
			}
			r.add(collector.FanDuty, 0.5, "2")
		}, `"fans":[{"fan":1,"rpm":900},{"fan":2,"rpm":900,"duty_ratio":0.5},{"fan":10,"rpm":900}]`},
		"throttle": {func(r *reading) {
			r.add(collector.ThrottleActive, 1, "thermal")
			r.add(collector.ThrottleActive, 0, "current")
			r.add(collector.ThrottleActive, 1, "power")
		}, `"throttle":["power","thermal"]`},
		"pcie": {func(r *reading) {
			r.add(collector.LinkMaxSpeed, 32e9)
			r.add(collector.LinkMaxWidth, 16)
			r.add(collector.LinkSpeed, 2.5e9)
			r.add(collector.LinkWidth, 8)
		}, `"pcie":{"width":8,"max_width":16,"transfers_per_second":2500000000,"max_transfers_per_second":32000000000}`},
		"no NaN, no Inf": {func(r *reading) {
			r.add(collector.Temperature, math.NaN(), "edge")
			r.add(collector.Power, math.Inf(1), "board")
			r.add(collector.TemperatureMargin, math.NaN())
			r.add(collector.LinkWidth, math.NaN())
		}, nothingPrimary + `,` + nothingRead},
	} {
		var r reading
		c.add(&r)
		got := string(GPUs(snapshot(collector.Status{Info: collector.Info{GPU: "sim:0"}, Up: true, At: at, Samples: r}), "", now))
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: want %s in\n%s", name, c.want, got)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: no JSON: %s", name, got)
		}
	}
}

func TestStrings(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                     `"plain"`,
		`a "b" \ c`:                 `"a \"b\" \\ c"`,
		"<&> / é \u2028 \U0001f3ae": "\"<&> / é \u2028 \U0001f3ae\"",
		"\x00\x1f\n\r\t\b\f\x7f":    "\"\\u0000\\u001f\\n\\r\\t\\b\\f\x7f\"",
		"a\xffb":                    "\"a\ufffdb\"",
	} {
		got := string(appendString(nil, in))
		if got != want {
			t.Errorf("appendString(%q) = %s, want %s", in, got, want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("appendString(%q) = %s: no JSON", in, got)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		t    time.Time
		want string
	}{
		{time.Time{}, "null"},
		{time.Unix(1795633305, 0), "1795633305"},
		{time.UnixMilli(1795633305130), "1795633305.13"},
		{time.UnixMicro(1795633304718999), "1795633304.718"},
	} {
		if got := string(appendUnix(nil, c.t)); got != c.want {
			t.Errorf("appendUnix(%v) = %s, want %s", c.t, got, c.want)
		}
	}
}

func BenchmarkGPUs(b *testing.B) {
	s := snapshot(rx7800xt())
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendGPUs(dst[:0], s, "1.0.0", now)
	}
}
