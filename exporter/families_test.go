package exporter

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gpu_exporter/collector"
)

func text(t *testing.T, snap *collector.Snapshot, o Options) string {
	t.Helper()
	var b strings.Builder
	if err := WriteText(&b, snap, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// lines are the series of a text, without the comments.
func lines(text string) []string {
	var list []string
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, "#") {
			list = append(list, strings.TrimSuffix(l, "\n"))
		}
	}
	return list
}

func TestWriteText(t *testing.T) {
	asleep := card(1)
	asleep.State, asleep.UUID, asleep.Name, asleep.DriverVersion = collector.StateAsleep, "0x00000000000000ff", "", "6.12"
	hung := card(2)
	hung.State, hung.Up, hung.At = collector.StateHung, false, time.Time{}
	snap := snapshot(card(0,
		sample(collector.Power, 53.3, "board"),
		sample(collector.Temperature, 41, "edge"),
		sample(collector.TemperatureLimit, 100, "edge", "critical"),
		sample(collector.Temperature, 50.5, "hotspot"),
		sample(collector.ECCErrors, 0, "umc", "corrected", "volatile"),
		sample(collector.ModeInfo, 1, "", "", "", "", "auto", ""),
		sample(collector.PCIeReplays, 7),
	), asleep, hung)
	want := `# HELP gpu_info Who the GPU is: what identifies it and where its readings come from.
# TYPE gpu_info gauge
gpu_info{gpu="0000:03:00.0",index="0",vendor="amd",name="RX 7800 XT",type="discrete",pci_id="1002:747e",driver="amdgpu",source="sysfs"} 1
gpu_info{gpu="0000:04:00.0",index="1",vendor="amd",type="discrete",uuid="0x00000000000000ff",pci_id="1002:747e",driver="amdgpu",driver_version="6.12",source="sysfs"} 1
gpu_info{gpu="0000:05:00.0",index="2",vendor="amd",name="RX 7800 XT",type="discrete",pci_id="1002:747e",driver="amdgpu",source="sysfs"} 1
# HELP gpu_up 1: the GPU answered the last cycle, or is asleep. 0: it is hung, gone, or awake with every reading failing.
# TYPE gpu_up gauge
gpu_up{gpu="0000:03:00.0"} 1
gpu_up{gpu="0000:04:00.0"} 1
gpu_up{gpu="0000:05:00.0"} 0
# HELP gpu_state State of the GPU, one series per state: ok, partial, asleep, hung, gone.
# TYPE gpu_state gauge
gpu_state{gpu="0000:03:00.0",state="ok"} 1
gpu_state{gpu="0000:03:00.0",state="partial"} 0
gpu_state{gpu="0000:03:00.0",state="asleep"} 0
gpu_state{gpu="0000:03:00.0",state="hung"} 0
gpu_state{gpu="0000:03:00.0",state="gone"} 0
gpu_state{gpu="0000:04:00.0",state="ok"} 0
gpu_state{gpu="0000:04:00.0",state="partial"} 0
gpu_state{gpu="0000:04:00.0",state="asleep"} 1
gpu_state{gpu="0000:04:00.0",state="hung"} 0
gpu_state{gpu="0000:04:00.0",state="gone"} 0
gpu_state{gpu="0000:05:00.0",state="ok"} 0
gpu_state{gpu="0000:05:00.0",state="partial"} 0
gpu_state{gpu="0000:05:00.0",state="asleep"} 0
gpu_state{gpu="0000:05:00.0",state="hung"} 1
gpu_state{gpu="0000:05:00.0",state="gone"} 0
# HELP gpu_mode_info Settings of the GPU.
# TYPE gpu_mode_info gauge
gpu_mode_info{gpu="0000:03:00.0",performance_level="auto"} 1
# HELP gpu_temperature_celsius Temperature by sensor.
# TYPE gpu_temperature_celsius gauge
gpu_temperature_celsius{gpu="0000:03:00.0",sensor="edge"} 41
gpu_temperature_celsius{gpu="0000:03:00.0",sensor="hotspot"} 50.5
# HELP gpu_temperature_limit_celsius Temperature limit of a sensor.
# TYPE gpu_temperature_limit_celsius gauge
gpu_temperature_limit_celsius{gpu="0000:03:00.0",sensor="edge",limit="critical"} 100
# HELP gpu_power_watts Power draw now, or on average where only that is told.
# TYPE gpu_power_watts gauge
gpu_power_watts{gpu="0000:03:00.0",domain="board"} 53.3
# HELP gpu_pcie_replays_total PCIe packets that were sent again.
# TYPE gpu_pcie_replays_total counter
gpu_pcie_replays_total{gpu="0000:03:00.0"} 7
# HELP gpu_ecc_errors_total Memory and logic errors that were detected, by hardware block.
# TYPE gpu_ecc_errors_total counter
gpu_ecc_errors_total{gpu="0000:03:00.0",block="umc",severity="corrected",scope="volatile"} 0
`
	if diff := cmp.Diff(want, text(t, snap, Options{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := text(t, nil, Options{}); got != "" {
		t.Errorf("without a snapshot: %q", got)
	}
}

// The values of gpu_info and the labels of its row in the contract must stand in the same order.
func TestInfoLabels(t *testing.T) {
	d := card(7)
	d.Info = collector.Info{GPU: "gpu", Vendor: "vendor", Name: "name", Type: "type", UUID: "uuid", PCIID: "pci_id",
		Driver: "driver", DriverVersion: "driver_version", VBIOS: "vbios", Source: "source"}
	s := newSet(&Options{})
	s.fill(snapshot(d))
	labels := s.families[collector.GPUInfo].Metric[0].Label
	if want := 1 + len(collector.Quantities[collector.GPUInfo].Labels); len(labels) != want {
		t.Errorf("%d labels, want %d", len(labels), want)
	}
	for _, l := range labels {
		want := l.GetName()
		if want == "index" {
			want = "7"
		}
		if l.GetValue() != want {
			t.Errorf("label %s has %q", l.GetName(), l.GetValue())
		}
	}
}

func TestOddLabelValues(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`a "quoted" name`, `a "quoted" name`},
		{`back\slash`, `back\slash`},
		{"two\nlines", "two\nlines"},
		{`ends with \`, `ends with \`},
		{"tab\tand \x01 and \x00", "tab\tand \x01 and \x00"},
		{"Radeon™ 显卡 🎮", "Radeon™ 显卡 🎮"},
		{"broken \xff\xfe utf-8", "broken \uFFFD utf-8"},
		{`{} 1 # "} 2`, `{} 1 # "} 2`},
	} {
		d := card(0, sample(collector.Temperature, 1, c.in))
		d.Name = c.in
		families := parse(t, text(t, snapshot(d), Options{}))
		for family, name := range map[string]string{"gpu_info": "name", "gpu_temperature_celsius": "sensor"} {
			if got := labelOf(families[family].Metric[0], name); got != c.want {
				t.Errorf("%s of %q = %q, want %q", family, c.in, got, c.want)
			}
		}
	}
}

func parse(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return families
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.Label {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func TestEveryQuantity(t *testing.T) {
	s := newSet(&Options{})
	s.fill(snapshot(card(0, every()...)))
	if len(s.gpu) != len(collector.Quantities) {
		t.Fatalf("%d families, want %d", len(s.gpu), len(collector.Quantities))
	}
	for id, q := range collector.Quantities {
		if f := s.gpu[id]; f.GetName() != q.Name || f.GetHelp() != q.Help || f.GetType() != typeOf(&q) {
			t.Errorf("family %d is %s, %s, want %s", id, f.GetName(), f.GetType(), q.Name)
		}
	}
	problems, err := testutil.GatherAndLint(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		return append(slices.Clone(s.gpu), s.about...), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
}

func TestFilter(t *testing.T) {
	all := []string{"gpu_energy_joules_total", "gpu_info", "gpu_power_watts", "gpu_state", "gpu_temperature_celsius",
		"gpu_temperature_limit_celsius", "gpu_up"}
	presence := []string{"gpu_info", "gpu_state", "gpu_up"}
	snap := snapshot(card(0, sample(collector.Energy, 1, "board"), sample(collector.Power, 1, "board"),
		sample(collector.Temperature, 1, "edge"), sample(collector.TemperatureLimit, 1, "edge", "max")))
	for _, c := range []struct {
		include, exclude []string
		want             []string
	}{
		{nil, nil, all},
		{[]string{""}, []string{""}, all},
		{[]string{".*"}, nil, all},
		{[]string{"gpu_power_watts"}, nil, append([]string{"gpu_power_watts"}, presence...)},
		{[]string{"gpu_power", "watts", "nothing"}, nil, presence}, // anchored
		{[]string{"gpu_power_watts|x", "gpu_energy.*"}, nil, append([]string{"gpu_power_watts", "gpu_energy_joules_total"}, presence...)},
		{nil, []string{".*"}, presence},
		{nil, []string{"gpu_info|gpu_up|gpu_state"}, all},
		{nil, []string{"gpu_temperature"}, all},
		{[]string{"gpu_temperature.*"}, []string{".*_limit_.*"}, append([]string{"gpu_temperature_celsius"}, presence...)},
	} {
		var o Options
		var err error
		if o.Include, err = CompileFilter(c.include...); err != nil {
			t.Fatal(err)
		}
		if o.Exclude, err = CompileFilter(c.exclude...); err != nil {
			t.Fatal(err)
		}
		got := slices.Sorted(maps.Keys(parse(t, text(t, snap, o))))
		slices.Sort(c.want)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("include %q, exclude %q: -want +got:\n%s", c.include, c.exclude, diff)
		}
	}
}

func TestCompileFilterErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"(", `metric filter "(":`},
		{"a)|(b", `metric filter "a)|(b":`},
		{"*", `metric filter "*":`},
		{`\Qa`, `metric filters ["gpu_up" "\\Qa"]:`},
	} {
		if _, err := CompileFilter("gpu_up", c.in); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("CompileFilter(%q) = %v, want %s", c.in, err, c.want)
		}
	}
}

func TestCreatedTimestamps(t *testing.T) {
	created := 1_699_999_000.5
	for id, q := range collector.Quantities {
		if q.Kind != collector.Counter {
			continue
		}
		for _, c := range []struct{ created, want float64 }{{0, 0}, {created, created}} {
			if q.Epoch == collector.EpochDevice {
				c.want = 0
			}
			smp := sample(collector.QuantityID(id), 3, make([]string, len(q.Labels))...)
			smp.S.Created = c.created
			m := newSeries("gpu", smp.S)
			var got float64
			if ts := m.Counter.CreatedTimestamp; ts != nil {
				got = float64(ts.AsTime().UnixMicro()) / 1e6
			}
			if got != c.want {
				t.Errorf("%s created at %v: timestamp %v, want %v", q.Name, c.created, got, c.want)
			}
		}
	}
}

// A set that was filled before must show nothing of that.
func TestRefill(t *testing.T) {
	s := newSet(&Options{})
	one, two := sample(collector.Power, 10, "board"), sample(collector.Temperature, 40, "edge")
	check := func(snap *collector.Snapshot, want ...string) {
		t.Helper()
		s.fill(snap)
		var b strings.Builder
		for _, f := range append(slices.Clone(s.gpu), s.about...) {
			if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
				t.Fatal(err)
			}
		}
		got := slices.DeleteFunc(lines(b.String()), func(l string) bool {
			return strings.HasPrefix(l, "gpu_info") || strings.HasPrefix(l, "gpu_state") && strings.HasSuffix(l, "0")
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	check(snapshot(card(0, one, two)),
		`gpu_up{gpu="0000:03:00.0"} 1`, `gpu_state{gpu="0000:03:00.0",state="ok"} 1`,
		`gpu_temperature_celsius{gpu="0000:03:00.0",sensor="edge"} 40`, `gpu_power_watts{gpu="0000:03:00.0",domain="board"} 10`,
		`gpu_exporter_devices{vendor="amd",source="sysfs"} 1`,
		`gpu_exporter_reading_timestamp_seconds{gpu="0000:03:00.0"} 1.70000000025e+09`)
	one.V = 11
	gone, other := card(0), card(1, one)
	gone.State, gone.Up, gone.At = collector.StateGone, false, time.Time{}
	other.Vendor = "nvidia"
	check(snapshot(other, gone, gone),
		`gpu_up{gpu="0000:04:00.0"} 1`, `gpu_up{gpu="0000:03:00.0"} 0`, `gpu_up{gpu="0000:03:00.0"} 0`,
		`gpu_state{gpu="0000:04:00.0",state="ok"} 1`, `gpu_state{gpu="0000:03:00.0",state="gone"} 1`,
		`gpu_state{gpu="0000:03:00.0",state="gone"} 1`,
		`gpu_power_watts{gpu="0000:03:00.0",domain="board"} 11`, // learnt for the card that had it first
		`gpu_exporter_devices{vendor="nvidia",source="sysfs"} 1`, `gpu_exporter_devices{vendor="amd",source="sysfs"} 2`,
		`gpu_exporter_reading_timestamp_seconds{gpu="0000:04:00.0"} 1.70000000025e+09`)
	check(nil)
}

// The identity of a GPU may change under the same address: another card, a driver that tells its version now.
func TestChangedIdentity(t *testing.T) {
	s := newSet(&Options{})
	for _, version := range []string{"", "1", "2"} {
		d := card(len(version))
		d.GPU, d.DriverVersion = "same", version
		s.fill(snapshot(d))
		m := s.families[collector.GPUInfo].Metric[0]
		if got := labelOf(m, "driver_version"); got != version || labelOf(m, "index") != fmt.Sprint(len(version)) {
			t.Errorf("gpu_info{driver_version=%q}, want %q", got, version)
		}
	}
}

func TestFillDoesNotAllocate(t *testing.T) {
	s, snaps := newSet(&Options{}), [2]*collector.Snapshot{cards(600), cards(70)}
	for _, snap := range snaps {
		s.fill(snap)
	}
	i := 0
	if n := testing.AllocsPerRun(100, func() { s.fill(snaps[i%2]); i++ }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// Series of plans that were replaced must not pile up.
func TestWorn(t *testing.T) {
	h := MetricsRoute(serving(nil), NewSelf(Options{}), Options{}).Handler.(*metricsHandler)
	known := 0
	for range 100 {
		s := h.take()
		s.fill(cards(600)) // new pointers each time
		known = max(known, len(s.series))
		h.give(s)
	}
	if known > 3*600+slack {
		t.Errorf("a set knew %d series of 600", known)
	}
}

func TestWriteTextError(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	if err := WriteText(w, cards(600), Options{}); err == nil {
		t.Error("no error from a closed pipe")
	}
}
