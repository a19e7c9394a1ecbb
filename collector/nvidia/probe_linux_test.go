package nvidia

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/smi"
	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

const (
	first  = "0000:01:00.0"
	second = "0000:02:00.0"
)

// readCase is the first reading of a case that has a document; nil where it has none.
func readCase(t *testing.T, c hwcase.Case, firmware bool) *collector.Snapshot {
	t.Helper()
	root, err := c.Tree(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program, err := c.SMI(root)
	if err != nil {
		t.Fatal(err)
	}
	if program == "" {
		return nil
	}
	h := host{t, root}
	o := h.options()
	o.Firmware = firmware
	l := h.start(o, smi.Usual)
	s := l.sees("all GPUs are read", func(s *collector.Snapshot) bool {
		return len(s.Devices) > 0 && !slices.ContainsFunc(s.Devices, func(d collector.Status) bool { return d.State == collector.StateOK && len(d.Samples) == 0 })
	})
	l.end()
	return s
}

func hardwareCases(t *testing.T) (own, shared []hwcase.Case) {
	t.Helper()
	own, _, err := hwcase.Find("../../testdata/cases/nvidia")
	if err != nil {
		t.Fatal(err)
	}
	const root = "../../../shared/fixtures/nvidia"
	if _, err := os.Stat(root); err != nil {
		t.Logf("%s is not here", root)
		return own, nil
	}
	if shared, _, err = hwcase.Find(root); err != nil {
		t.Fatal(err)
	}
	return own, shared
}

func TestHardwareCases(t *testing.T) {
	own, shared := hardwareCases(t)
	for _, c := range append(own, shared...) {
		t.Run(c.Name, func(t *testing.T) {
			s := readCase(t, c, false)
			if s == nil {
				t.Skip("it has no output of nvidia-smi")
			}
			text, err := os.ReadFile(c.Expected)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := hwcase.Compare(text, s)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range lines {
				t.Error(line)
			}
		})
	}
}

// What the table of quantities says of this probe is so: each that it is named for is in a case of our own, no other in any.
func TestQuantitiesOfThisProbe(t *testing.T) {
	given := map[collector.QuantityID]bool{}
	own, _ := hardwareCases(t)
	for _, c := range own {
		for _, d := range readCase(t, c, true).Devices {
			for _, s := range d.Samples {
				given[s.S.Q] = true
			}
		}
	}
	for q := range collector.Quantities {
		q := collector.QuantityID(q)
		if named := slices.Contains(collector.Quantities[q].Sources, "nvidia"); named != given[q] {
			t.Errorf("%v: named for nvidia %v, in a case of our own %v", q, named, given[q])
		}
	}
}

func TestOneCallForAllGPUs(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.gpu(second)
	h.prints(first, second)
	slow := quick
	slow.Shortest = time.Hour
	l := h.start(h.options(), slow)
	for range 20 {
		l.state(first, collector.StateOK)
		l.state(second, collector.StateOK)
	}
	if calls := h.calls(); !slices.Equal(calls, []string{"-q -x"}) {
		t.Errorf("calls: %q", calls)
	}
}

func TestWhichDevicesAreGPUsOfTheDriver(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.pci("0000:01:00.1", "0x040300", "nvidia", "on", "active")   // its sound
	h.pci("0000:02:00.0", "0x030200", "vfio-pci", "on", "active") // of a guest
	h.pci("0000:03:00.0", "0x030000", "nouveau", "on", "active")
	h.pci("0000:04:00.0", "0x068000", "nvidia", "on", "active") // NVSwitch
	h.pci("0000:05:00.0", "0x030200", "nvidia", "on", "active") // 3D
	h.prints(first, "0000:05:00.0")
	s := h.start(h.options(), quick).sees("a reading", func(s *collector.Snapshot) bool { return len(s.Devices) > 0 })
	var got []string
	for _, d := range s.Devices {
		got = append(got, d.GPU)
	}
	if !slices.Equal(got, []string{first, "0000:05:00.0"}) {
		t.Errorf("found %v", got)
	}
}

func TestSleepingGPUs(t *testing.T) {
	for _, c := range []struct {
		name            string
		control, status string
		other           bool // another GPU is awake
		wake            bool
		state           collector.State
		calls           string // the first; empty: none
	}{
		{name: "it sleeps", control: "auto", status: "suspended", state: collector.StateAsleep},
		{name: "it falls asleep", control: "auto", status: "suspending", state: collector.StateAsleep},
		{name: "it wakes up", control: "auto", status: "resuming", state: collector.StateAsleep},
		{name: "it may sleep and does not", control: "auto", status: "active", state: collector.StateOK, calls: "-q -x"},
		{name: "it may not sleep", control: "on", status: "suspended", state: collector.StateOK, calls: "-q -x"},
		{name: "it sleeps and another does not", control: "auto", status: "suspended", other: true, state: collector.StateAsleep, calls: "-q -x -i " + second},
		{name: "it is to be woken", control: "auto", status: "suspended", wake: true, state: collector.StateOK, calls: "-q -x"},
		{name: "a state that nobody knows", control: "auto", status: "dreaming", state: collector.StatePartial},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			h.pci(first, "0x030000", "nvidia", c.control, c.status)
			if c.other {
				h.gpu(second)
			}
			h.prints(first, second)
			o := h.options()
			o.Wake = c.wake
			l := h.start(o, quick)
			d := l.state(first, c.state)
			if c.other {
				l.state(second, collector.StateOK)
			}
			for range 5 { // and it stays so
				l.state(first, c.state)
			}
			calls := h.calls()
			if c.calls == "" && len(calls) > 0 || c.calls != "" && (len(calls) == 0 || slices.ContainsFunc(calls, func(s string) bool { return s != c.calls })) {
				t.Errorf("calls: %q, want %q", calls, c.calls)
			}
			if c.state == collector.StateAsleep && (d.Name != "" || d.PCIID != "10de:2216" || len(d.Samples) > 0) {
				t.Errorf("it is told of as %+v", d)
			}
		})
	}
}

func TestAGPUThatWakesUpIsReadAndNamed(t *testing.T) {
	h := newHost(t)
	h.pci(first, "0x030000", "nvidia", "auto", "suspended")
	h.prints(first)
	l := h.start(h.options(), quick)
	l.state(first, collector.StateAsleep)
	status := "sys/bus/pci/devices/" + first + "/power/runtime_status"
	h.write(status, "active\n")
	if d := l.state(first, collector.StateOK); d.Name != "X900" {
		t.Errorf("its first values are those of %q", d.Name)
	}
	h.write(status, "suspended\n")
	if d := l.state(first, collector.StateAsleep); d.Name != "X900" || len(d.Samples) > 0 {
		t.Errorf("asleep again it is %+v", d)
	}
	before := -1
	await.Until(t, "the end of the last call", func() bool { // which may not have begun when it was seen asleep
		last := before
		before = len(h.calls())
		l.state(first, collector.StateAsleep)
		return before == last && len(children()) == 0
	})
	for range 5 {
		l.state(first, collector.StateAsleep)
	}
	if n := len(h.calls()); n != before {
		t.Errorf("%d calls while it sleeps", n-before)
	}
}

func TestAnIdleGPUIsLeftAloneSoThatItCanSleep(t *testing.T) {
	const idle = "<utilization><gpu_util>0 %</gpu_util></utilization><performance_state>P8</performance_state>"
	for _, c := range []struct {
		name, control, more string
		rests               bool
	}{
		{"idle", "auto", idle, true},
		{"idle, with something on the screen", "auto", idle + "<processes><process_info><type>G</type></process_info></processes>", true},
		{"a process computes", "auto", idle + "<processes><process_info><type>C+G</type></process_info></processes>", false},
		{"load", "auto", strings.Replace(idle, "0 %", "1 %", 1), false},
		{"a high clock", "auto", strings.Replace(idle, "P8", "P2", 1), false},
		{"it may not sleep", "on", idle, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			h.pci(first, "0x030000", "nvidia", c.control, "active")
			h.write("document", strings.Replace(document(1, first), "</gpu>", c.more+"</gpu>", 1))
			h.smi("cat '" + h.root + "/document'")
			short := quick
			short.Rest.Idle = time.Nanosecond
			l := h.start(h.options(), short)
			if !c.rests {
				await.Until(t, "five calls", func() bool { return len(h.calls()) >= 5 })
				return
			}
			l.state(first, collector.StateOK)
			await.Until(t, "the second call, which finds it idle still", func() bool { return len(h.calls()) == 2 && len(children()) == 0 })
			for range 10 {
				if d := l.state(first, collector.StateOK); !d.Up {
					t.Errorf("it is %+v", d)
				}
			}
			if n := len(h.calls()); n != 2 {
				t.Errorf("%d calls", n)
			}
			h.write("sys/bus/pci/devices/"+first+"/power/runtime_status", "suspended\n")
			l.state(first, collector.StateAsleep)
			h.write("sys/bus/pci/devices/"+first+"/power/runtime_status", "active\n")
			l.state(first, collector.StateOK)
		})
	}
}

func TestFaultsOfNvidiaSMI(t *testing.T) {
	whole := document(1, first)
	for _, c := range []struct {
		name, script string
		state        collector.State
		up           bool
		source       string // of the failure
	}{
		{"its driver cannot be reached", "echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'; exit 9", collector.StatePartial, false, "nvidia-smi"},
		{"it says nothing", "exit 255", collector.StatePartial, false, "nvidia-smi"},
		{"it is killed", "kill -9 $$", collector.StatePartial, false, "nvidia-smi"},
		{"half a document", "head -c 200 DOCUMENT", collector.StatePartial, false, "nvidia-smi"},
		{"no end of output", "while :; do echo '<gpu>0123456789012345678901234567890123456789012345678901234567890123456789'; done", collector.StatePartial, false, "nvidia-smi"},
		{"a corrupted infoROM, with a whole document", "cat DOCUMENT; exit 14", collector.StateOK, true, ""},
		{"another error, with a whole document", "cat DOCUMENT; echo complaint >&2; exit 255", collector.StateOK, true, ""},
		{"a list without a GPU that the driver counts", "sed -e 's/<gpu .*//' -e 's/s>1</s>2</' DOCUMENT", collector.StateGone, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			h.gpu(first)
			h.write("document", whole)
			h.smi(strings.ReplaceAll(c.script, "DOCUMENT", h.root+"/document"))
			l := h.start(h.options(), quick)
			d := l.state(first, c.state)
			if d.Up != c.up || c.source != "" && (len(d.Failures) == 0 || d.Failures[0].Source != c.source) {
				t.Errorf("up %v, failures %v", d.Up, d.Failures)
			}
			h.prints(first)
			l.state(first, collector.StateOK)
		})
	}
}

// As in a container image that has nothing but this program.
func TestNoLoader(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.write("nvidia-smi", "#!/nonexistent/ld-linux.so\n")
	d := h.start(h.options(), quick).state(first, collector.StatePartial)
	if d.Up || len(d.Failures) == 0 || !strings.Contains(d.Failures[0].Err.Error(), "no glibc") {
		t.Errorf("up %v, failures %v", d.Up, d.Failures)
	}
}

func TestACallThatHangs(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.prints(first)
	var told restarts
	o := h.options()
	o.Restarted = told.add
	short := quick
	short.Call = 300 * time.Millisecond
	l := h.start(o, short)
	l.state(first, collector.StateOK)
	h.smi("sleep 1000 & wait")
	if d := l.state(first, collector.StateHung); d.Up || len(d.Samples) > 0 {
		t.Errorf("it is %+v", d)
	}
	if told.of(collector.RestartTimeout) == 0 {
		t.Errorf("told of %v", told.n)
	}
	h.prints(first)
	l.state(first, collector.StateOK)
	l.end()
	await.Until(t, "no child", func() bool { return len(children()) == 0 })
}

// A first call that takes longer than a read may is no fault of the GPU: it is known, and its values come later.
func TestASlowFirstCall(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.write("document", document(1, first))
	h.smi("while ! [ -e '" + h.root + "/go' ]; do sleep 0.01; done; cat '" + h.root + "/document'")
	l := h.start(h.options(), quick)
	seen := uint64(0)
	for begin := time.Now(); time.Since(begin) < deadline+deadline/4; {
		s := l.sees("the GPU", func(s *collector.Snapshot) bool { return len(s.Devices) == 1 && s.Seq > seen })
		seen = s.Seq
		if d := s.Devices[0]; d.State != collector.StateOK || !d.Up || len(d.Samples) > 0 {
			t.Fatalf("it is %+v", d)
		}
	}
	h.write("go", "")
	if d := l.state(first, collector.StateOK); d.Name != "X900" {
		t.Errorf("its first values are those of %q", d.Name)
	}
}

func TestTheEndLeavesNoChild(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.smi("sleep 1000 & wait")
	l := h.start(h.options(), quick)
	l.sees("the GPU", func(s *collector.Snapshot) bool { return len(s.Devices) == 1 })
	await.Until(t, "the call", func() bool { return len(children()) > 0 })
	l.end()
	await.Until(t, "no child", func() bool { return len(children()) == 0 })
}

// Where no GPU is on the bus nobody reads, and the call of the discovery is ended nevertheless.
func TestCloseLeavesNoChildOfADiscovery(t *testing.T) {
	h := newHost(t)
	h.smi("sleep 1000 & wait")
	p := newProbe(h.options(), quick)
	ctx, cancel := context.WithCancel(t.Context())
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		_, _ = p.Discover(ctx) // it is given up
	}()
	await.Until(t, "the call", func() bool { return len(children()) > 0 })
	cancel()
	<-looked
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	await.Until(t, "no child", func() bool { return len(children()) == 0 })
}

func TestAGPUThatIsKeptFromThisContainer(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.gpu(second)
	h.prints(second)
	s := h.start(h.options(), quick).sees("a reading", func(s *collector.Snapshot) bool { return len(s.Devices) > 0 })
	if len(s.Devices) != 1 || s.Devices[0].GPU != second {
		t.Errorf("found %+v", s.Devices)
	}
}

func TestAGPUThatLeaves(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.gpu(second)
	h.prints(first, second)
	l := h.start(h.options(), quick)
	l.state(second, collector.StateOK)
	h.prints(first)
	h.must(os.RemoveAll(filepath.Join(h.root, "sys/bus/pci/devices", second)))
	l.state(second, collector.StateGone)
	l.state(first, collector.StateOK)
}

func TestADriverThatIsLoadedAnew(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.write("sys/module/nvidia/version", "580.1\n")
	p := newProbe(h.options(), quick)
	h.prints(first)
	key := func() string {
		list, err := p.Discover(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		defer list[0].Close()
		return list[0].Key()
	}
	before := key()
	if key() != before {
		t.Error("another key, and nothing happened")
	}
	h.must(os.Rename(filepath.Join(h.root, "sys/module/nvidia"), filepath.Join(h.root, "old")))
	h.write("sys/module/nvidia/version", "581.2\n")
	if key() == before {
		t.Error("the same key")
	}
}

func TestWhereNvidiaSMIIsLookedFor(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.prints(first)
	o := h.options()
	o.SMI = ""
	t.Setenv("PATH", "relative:/nonexistent:"+h.root+":/usr/bin:/bin")
	t.Chdir(t.TempDir())
	h.start(o, quick).state(first, collector.StateOK)
	path, err := newProbe(o, quick).locate(false)
	if path != "" || err != nil {
		t.Errorf("without a GPU: %q, %v", path, err)
	}
	o.SMI = "/nonexistent/nvidia-smi"
	if _, err := newProbe(o, quick).Discover(t.Context()); err == nil || !strings.Contains(err.Error(), "--collector.nvidia.smi-path=/nonexistent/nvidia-smi") {
		t.Errorf("a path that is none: %v", err)
	}
}

// Under WSL the bus shows no GPU.
func TestWSL(t *testing.T) {
	h := newHost(t)
	h.prints(first)
	h.write("dev/dxg", "")
	o := h.options()
	o.SMI, o.Devfs = "", filepath.Join(h.root, "dev")
	t.Setenv("PATH", h.root+":/usr/bin:/bin")
	h.start(o, quick).state(first, collector.StateOK)
}

func TestEnvironmentOfTheCall(t *testing.T) {
	t.Setenv("GPU_EXPORTER_WEB_CONFIG_FILE", "secret")
	t.Setenv("NVIDIA_VISIBLE_DEVICES", "all")
	t.Setenv("LANG", "de_DE.UTF-8")
	env := environment()
	if !slices.Contains(env, "NVIDIA_VISIBLE_DEVICES=all") || !slices.Contains(env, "LANG=C") {
		t.Errorf("%q lacks something", env)
	}
	if slices.ContainsFunc(env, func(s string) bool { return strings.Contains(s, "secret") || strings.Contains(s, "de_DE") }) {
		t.Errorf("%q has too much", env)
	}
}

func TestMemoryOfTheSystem(t *testing.T) {
	h := newHost(t)
	h.write("proc/meminfo", "MemTotal:       131072000 kB\nMemFree:        1000 kB\nMemAvailable:   100000000 kB\n")
	h.write("document", strings.Replace(document(1, first), "X900", "NVIDIA GB10", 1))
	h.smi("cat '" + h.root + "/document'")
	d := h.start(h.options(), quick).state(first, collector.StateOK)
	got := map[string]float64{}
	for _, s := range d.Samples {
		got[s.S.String()] = s.V
	}
	if d.Type != collector.Integrated || got[`gpu_memory_total_bytes{memory="unified"}`] != 131072000*1024 || got[`gpu_memory_used_bytes{memory="unified"}`] != 31072000*1024 {
		t.Errorf("%s: %v", d.Type, got)
	}
}

func TestDiagnose(t *testing.T) {
	h := newHost(t)
	h.gpu(first)
	h.pci("0000:02:00.0", "0x030200", "vfio-pci", "on", "active")
	h.pci("0000:03:00.0", "0x030000", "nouveau", "on", "active")
	h.pci("0000:04:00.0", "0x030000", "", "on", "active")
	h.pci("0000:05:00.0", "0x030000", "nvidia", "auto", "suspended")
	h.prints(first)
	ids := func(o Options) (list []string) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for _, f := range newProbe(o, quick).Diagnose(ctx) {
			list = append(list, fmt.Sprintf("%v %v %s", f.Level, f.ID, f.Subject))
		}
		slices.Sort(list)
		return list
	}
	others := []string{"note driver-vfio 0000:02:00.0", "warn driver-missing 0000:04:00.0", "warn driver-other 0000:03:00.0"}
	o := h.options()
	want := append(slices.Clone(others), "ok gpu-found 0000:01:00.0", "ok gpu-found 0000:05:00.0")
	slices.Sort(want)
	if got := ids(o); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if calls := h.calls(); !slices.Equal(calls, []string{"-q -x -i " + first}) {
		t.Errorf("calls: %q", calls)
	}
	o.SMI = ""
	t.Setenv("PATH", "/nonexistent")
	want = append(slices.Clone(others), "fail source-missing 0000:01:00.0", "fail source-missing 0000:05:00.0")
	slices.Sort(want)
	if got := ids(o); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}
