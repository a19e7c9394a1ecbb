package nvml

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/worker"
	"gpu_exporter/internal/await"
)

// scenario is the file of which a child of the tests makes its library.
const scenario = "NVML_TEST_SCENARIO"

func TestMain(m *testing.M) {
	if path := os.Getenv(scenario); path != "" {
		err := worker.Serve(Hello(), NewLibrary(func(name string) (Binding, error) { return standIn(path, name) }))
		fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
	os.Exit(m.Run())
}

// played is a library and its GPUs, which a test may change while a child reads them.
type played struct {
	Missing bool
	Init    Return
	GPUs    []gpu
}

// gpu is one of them. It tells its power, in watts.
type gpu struct {
	Bus   string
	UUID  string
	Open  Return // code of the handle
	Power uint32
	Sent  uint32 // bytes over PCIe; 0: it has no fields
	Code  Return // of all its readings
	Hangs bool
	Dies  bool
}

// standIn is the library of a scenario.
func standIn(path, name string) (Binding, error) {
	now := func() (d played) {
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &d)
		}
		if err != nil {
			panic(err)
		}
		return d
	}
	if now().Missing {
		return nil, fmt.Errorf("%q: %w", name, errNoLibrary)
	}
	lists := func(a arguments) (g gpu, is bool) {
		all := now().GPUs
		if n := int(a[0]) - 1; n < len(all) {
			return all[n], true
		}
		return g, false
	}
	handle := func(a arguments, n int) Return {
		all := now().GPUs
		if n < 0 || n >= len(all) {
			return NotFound
		}
		if all[n].Open != Success {
			return all[n].Open
		}
		a.put(1, map[int]any{0: uint64(n + 1)})
		return Success
	}
	return newMadeOfGo(map[string]function{
		"nvmlInit_v2":                   func(arguments) Return { return now().Init },
		"nvmlDeviceGetCount_v2":         func(a arguments) Return { a.put(0, map[int]any{0: uint32(len(now().GPUs))}); return Success },
		"nvmlSystemGetDriverVersion":    func(a arguments) Return { a.put(0, map[int]any{0: "560.94"}); return Success },
		"nvmlDeviceGetHandleByIndex_v2": func(a arguments) Return { return handle(a, int(a[0])) },
		"nvmlDeviceGetHandleByPciBusId_v2": func(a arguments) Return {
			id, _, _ := strings.Cut(string(a.at(0, 12)), "\x00")
			return handle(a, slices.IndexFunc(now().GPUs, func(g gpu) bool { return strings.HasPrefix(g.Bus, id) }))
		},
		"nvmlDeviceGetPciInfo_v3": func(a arguments) Return {
			g, _ := lists(a)
			var domain, bus, device uint32
			if _, err := fmt.Sscanf(g.Bus, "%x:%x:%x", &domain, &bus, &device); err != nil {
				panic(err)
			}
			a.put(1, map[int]any{16: domain, 20: bus, 24: device, 28: uint32(0x220a10de)})
			return Success
		},
		"nvmlDeviceGetUUID": func(a arguments) Return {
			g, _ := lists(a)
			a.put(1, map[int]any{0: g.UUID})
			return Success
		},
		"nvmlDeviceGetPowerUsage": func(a arguments) Return {
			g, is := lists(a)
			switch {
			case !is:
				return GPUIsLost
			case g.Hangs:
				select {}
			case g.Dies:
				os.Exit(3)
			}
			a.put(1, map[int]any{0: g.Power * 1000})
			return g.Code
		},
		fieldValues: func(a arguments) Return {
			g, _ := lists(a)
			if g.Sent == 0 {
				return FunctionNotFound
			}
			for i, b := range slices.Collect(slices.Chunk(a.at(2, int(a[1])*fieldSize), fieldSize)) {
				code := NotSupported
				if field := binary.LittleEndian.Uint32(b); field == fieldSent || field == fieldReceived {
					code = Success
				}
				a.put(2, map[int]any{i*fieldSize + 24: uint32(Uint32), i*fieldSize + 28: uint32(code), i*fieldSize + 32: uint64(g.Sent)})
			}
			return Success
		},
	}), nil
}

// site is a Fleet on a scenario.
type site struct {
	t    *testing.T
	path string
	*Fleet
	mu       sync.Mutex
	restarts map[worker.Reason]int
}

func newSite(t *testing.T, d played) *site {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, path: filepath.Join(t.TempDir(), "scenario"), restarts: map[worker.Reason]int{}}
	s.set(d)
	var o worker.PoolOptions
	o.Ways = []worker.Way{{Name: "self", Path: self}}
	o.Env = []string{scenario + "=" + s.path, "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}
	o.Backoff, o.MaxBack = time.Millisecond, 10*time.Millisecond
	o.Retries = []time.Duration{50 * time.Millisecond} // soon: on a busy machine a sound one may seem to hang
	o.Restarted = func(r worker.Reason) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.restarts[r]++
	}
	s.Fleet = NewFleet(o)
	t.Cleanup(s.Close)
	return s
}

// set changes the scenario.
func (s *site) set(d played) {
	s.t.Helper()
	text, err := json.Marshal(d)
	if err == nil {
		next := s.path + ".next"
		if err = os.WriteFile(next, text, 0o600); err == nil {
			err = os.Rename(next, s.path)
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) restarted(r worker.Reason) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restarts[r]
}

// within is how long a call may take.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

const enough = 20 * time.Second

// find looks for GPUs.
func (s *site) find(targets ...Target) []string {
	s.t.Helper()
	list, err := s.Devices(within(s.t, enough), targets)
	if err != nil {
		s.t.Fatal(err)
	}
	return named(list)
}

func named(list []Identity) (names []string) {
	for _, id := range list {
		names = append(names, id.BusID+" "+id.UUID)
	}
	slices.Sort(names)
	return names
}

// power reads the GPUs: watts, or the error.
func (s *site) power(ctx context.Context, targets ...Target) (list []string) {
	for _, r := range s.Read(ctx, targets) {
		text := fmt.Sprint(r.Err)
		if r.Err == nil {
			text = ""
			for _, sample := range r.Samples {
				text += fmt.Sprint(sample.V)
			}
			for _, f := range r.Failures {
				text += f.Source
			}
		}
		list = append(list, text)
	}
	return list
}

var (
	first  = Target{Address: "0000:01:00.0"}
	second = Target{Address: "0000:02:00.0"}
)

func two() played {
	return played{GPUs: []gpu{{Bus: "0000:01:00.0", UUID: "GPU-1", Power: 11}, {Bus: "0000:02:00.0", UUID: "GPU-2", Power: 22}}}
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestFleet(t *testing.T) {
	s := newSite(t, two())
	expect(t, "by address", s.find(first, second), "00000000:01:00.0 GPU-1", "00000000:02:00.0 GPU-2")
	expect(t, "one that is not there", s.find(Target{Address: "0000:03:00.0"}, second), "00000000:02:00.0 GPU-2")
	expect(t, "read", s.power(within(t, enough), second, first), "22", "11")
	all, err := s.Devices(within(t, enough), nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "where nobody tells addresses", named(all), "00000000:01:00.0 GPU-1", "00000000:02:00.0 GPU-2")
	if all[0].DriverVersion != "560.94" || all[0].PCIDeviceID != 0x220a10de {
		t.Errorf("%+v", all[0])
	}
	expect(t, "read as NVML writes addresses", s.power(within(t, enough), Target{Address: "0000:02:00.0"}), "22")
	if len(s.restarts) > 0 {
		t.Errorf("children were replaced: %v", s.restarts)
	}
	d := two()
	d.GPUs[0].UUID = "GPU-3"
	s.set(d)
	c := s.card("0000:01:00.0").c
	s.steady.end(worker.DriverChanged)
	s.find(first)
	if s.card("0000:01:00.0").c == c {
		t.Error("the sums of one GPU go on with those of another in its place")
	}
}

// Where there is nothing to read through, the child is ended; each look for GPUs tries again.
func TestFleetWithoutNVML(t *testing.T) {
	for name, d := range map[string]played{
		"no library":       {Missing: true},
		"no driver":        {Init: DriverNotLoaded},
		"another's driver": {Init: LibRMMismatch},
		"unknown error":    {Init: Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, d)
			for n := range 2 {
				if _, err := s.Devices(within(t, enough), []Target{first}); !errors.Is(err, ErrMissing) {
					t.Fatal(err)
				}
				if r := s.Read(within(t, enough), []Target{first}); !errors.Is(r[0].Err, ErrMissing) {
					t.Error(r[0].Err)
				}
				if got := s.restarted(worker.DriverChanged); got != n+1 {
					t.Errorf("%d children were ended after %d looks", got, n+1)
				}
			}
			s.set(two())
			expect(t, "with a driver", s.find(first), "00000000:01:00.0 GPU-1")
			expect(t, "read", s.power(within(t, enough), first), "11")
		})
	}
}

// What a GPU answers that the library itself is to blame for.
func TestFleetWhoseDriverChanges(t *testing.T) {
	for name, c := range map[string]struct {
		code  Return
		first string // what the first cycle says
		ends  []int  // children that were ended after each cycle
		later string // what the last cycle says
	}{
		"not initialised": {Uninitialized, ErrChild.Error(), []int{1, 1, 1, 1, 1, 1, 2}, ErrChild.Error()},
		"no driver":       {DriverNotLoaded, ErrDriver.Error(), []int{1, 1, 1}, ErrDriver.Error()},
		"exchanged":       {LibRMMismatch, ErrDriver.Error(), []int{1, 1, 1}, ErrDriver.Error()},
		"all fail":        {Unknown, "nvmlDeviceGetPowerUsage", []int{0, 0, 1, 1}, collector.ErrGone.Error()},
		"lost":            {GPUIsLost, collector.ErrGone.Error(), []int{1, 1, 1}, collector.ErrGone.Error()},
		"reset needed":    {ResetRequired, collector.ErrGone.Error(), []int{1, 1, 1}, collector.ErrGone.Error()},
		"failed":          {timedOut, "nvmlDeviceGetPowerUsage", []int{0}, "nvmlDeviceGetPowerUsage"},
		"absent":          {NotSupported, "", []int{0, 0, 0, 0}, ""},
		"no permission":   {NoPermission, "", []int{0, 0, 0, 0}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := two()
			d.GPUs = d.GPUs[:1]
			d.GPUs[0].Code = c.code
			s := newSite(t, d)
			s.find(first)
			var got []string
			for n, want := range c.ends {
				got = s.power(within(t, enough), first)
				if n == 0 {
					expect(t, "at first", got, c.first)
				}
				if ends := s.restarted(worker.DriverChanged); ends != want {
					t.Errorf("%d children were ended after %d cycles, want %d", ends, n+1, want)
				}
			}
			expect(t, "at last", got, c.later)
			s.set(two())
			s.find(first)
			expect(t, "afterwards", s.power(within(t, enough), first), "11")
		})
	}
}

// timedOut is a code that fails one reading.
const timedOut Return = 10

// A GPU that is lost is not opened again by a new child: it is gone all the same, and the other one goes on.
func TestGPUThatIsLost(t *testing.T) {
	s := newSite(t, two())
	s.find(first, second)
	d := two()
	d.GPUs[0].Code, d.GPUs[0].Open = GPUIsLost, GPUIsLost
	s.set(d)
	for n := range 3 {
		expect(t, fmt.Sprint("cycle ", n), s.power(within(t, enough), first, second), collector.ErrGone.Error(), "22")
	}
	if n := s.restarted(worker.DriverChanged); n != 1 {
		t.Errorf("%d children were ended", n)
	}
	s.set(two())
	s.find(first, second)
	expect(t, "it is back", s.power(within(t, enough), first, second), "11", "22")
}

// Where NVML opens none of those that are asked for, a look costs one child, and readings cost none.
func TestGPUThatIsRefused(t *testing.T) {
	d := two()
	d.GPUs[0].Open = NoPermission
	s := newSite(t, d)
	for looks := 1; looks <= 2; looks++ {
		expect(t, "found", s.find(first))
		for range 2 {
			if r := s.Read(within(t, enough), []Target{first}); !errors.Is(r[0].Err, worker.ErrRefused) || !errors.Is(r[0].Err, NoPermission) {
				t.Error(r[0].Err)
			}
		}
		if ends := s.restarted(worker.DriverChanged) + s.restarted(worker.Sleep); ends != looks {
			t.Errorf("%d children were ended after %d looks", ends, looks)
		}
	}
	expect(t, "beside one that is opened", s.find(first, second), "00000000:02:00.0 GPU-2")
	expect(t, "which is read", s.power(within(t, enough), second), "22")
	s.set(two())
	expect(t, "when NVML opens it", s.find(first), "00000000:01:00.0 GPU-1")
	expect(t, "read", s.power(within(t, enough), first), "11")
}

// A GPU that hangs costs the others a cycle or two, and is left alone then.
func TestGPUThatHangs(t *testing.T) {
	s := newSite(t, two())
	s.find(first, second)
	d := two()
	d.GPUs[0].Hangs = true
	s.set(d)
	const deadline = 500 * time.Millisecond
	await.Until(t, "that it is left out, and the other one is read", func() bool {
		got := s.power(within(t, deadline), first, second)
		if got[0] == "11" {
			t.Fatal("what hangs answers")
		}
		return slices.Equal(got, []string{worker.ErrHung.Error(), "22"})
	})
	if s.restarted(worker.Timeout) == 0 {
		t.Error("no child missed its deadline")
	}
}

// A child that dies is replaced.
func TestChildThatDies(t *testing.T) {
	s := newSite(t, two())
	s.find(first, second)
	d := two()
	d.GPUs[0].Dies = true
	s.set(d)
	if got := s.Read(within(t, enough), []Target{first, second}); got[0].Err == nil {
		t.Error(got)
	}
	s.set(two())
	var got []string
	for end := time.Now().Add(enough); time.Now().Before(end) && !slices.Equal(got, []string{"11", "22"}); {
		got = s.power(within(t, enough), first, second)
	}
	expect(t, "afterwards", got, "11", "22")
	if s.restarted(worker.Crash) == 0 {
		t.Error("no child crashed")
	}
}

// A counter that is lower in another child began anew, one that is lower in the same has wrapped around.
func TestBytesOfSeveralChildren(t *testing.T) {
	d := two()
	s := newSite(t, d)
	for _, step := range []struct {
		sent    uint32
		another bool // child
		want    float64
	}{
		{3e9, false, 3e9}, {31e8, false, 31e8},
		{5e6, true, 31e8}, {6e6, false, 3101e6},
		{8e6, true, 3103e6}, {7e6, false, 3102e6 + 1<<32},
	} {
		if d.GPUs[0].Sent = step.sent; step.another {
			s.steady.end(worker.Sleep)
		}
		s.set(d)
		var got float64
		for _, r := range s.Read(within(t, enough), []Target{first}) {
			for _, sample := range r.Samples {
				if sample.S.Q == collector.PCIeBytes && sample.S.Values[0] == "transmit" {
					got = sample.V
				}
			}
		}
		if got != step.want {
			t.Errorf("at %d it is %.0f, want %.0f", step.sent, got, step.want)
		}
	}
}

// When the library has gone no child keeps it, and none is started until GPUs are looked for.
func TestFleetWhoseLibraryGoes(t *testing.T) {
	s := newSite(t, two())
	asleep := first
	asleep.MaySleep = true
	s.find(asleep, second)
	s.Leave()
	if n := s.restarted(worker.DriverChanged); n != 2 {
		t.Errorf("%d children were ended, want two", n)
	}
	for _, r := range s.Read(within(t, enough), []Target{asleep, second}) {
		if !errors.Is(r.Err, ErrMissing) {
			t.Error(r.Err)
		}
	}
	s.Leave()
	if n := s.restarted(worker.DriverChanged); n != 2 {
		t.Errorf("%d children were ended, want two: none was started", n)
	}
	s.find(asleep, second)
	expect(t, "when it is back", s.power(within(t, enough), asleep, second), "11", "22")
}

// A GPU that may sleep has a child of its own, which ends when the GPU is let go.
func TestGPUThatMaySleep(t *testing.T) {
	s := newSite(t, two())
	asleep := first
	asleep.MaySleep = true
	expect(t, "found", s.find(asleep, second), "00000000:01:00.0 GPU-1", "00000000:02:00.0 GPU-2")
	expect(t, "read", s.power(within(t, enough), asleep, second), "11", "22")
	s.LetGo(asleep.Address)
	s.LetGo(second.Address)
	if n := s.restarted(worker.Sleep); n != 1 {
		t.Errorf("%d children were ended, want one", n)
	}
	expect(t, "the other one", s.power(within(t, enough), second), "22")
	expect(t, "it is awake", s.power(within(t, enough), asleep, second), "11", "22")

	expect(t, "nothing is left for the common child", s.power(within(t, enough), asleep), "11")
	if n := s.restarted(worker.Sleep); n != 2 {
		t.Errorf("%d children were ended, want two", n)
	}
	expect(t, "both share a child", s.power(within(t, enough), first, second), "11", "22")
	expect(t, "the first one may sleep again", s.power(within(t, enough), asleep, second), "11", "22")
	if n := s.restarted(worker.Sleep); n != 4 { // its own child, which it left, and the common one, that had it open
		t.Errorf("%d children were ended, want four", n)
	}
}

// Frames that no child sends end the child.
func TestWhatACardTakes(t *testing.T) {
	row := AppendAnswer(nil, Answer{})
	c := card{}
	for range len(Table) {
		if err := c.take(Basic, false, row); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{
		"too many rows":           c.take(Basic, false, row),
		"half a row":              (&card{}).take(Basic, false, row[1:]),
		"a list of another group": (&card{}).take(Basic, true, []byte("[]")),
		"a list of something":     (&card{}).take(Processes, true, []byte(`{"gi":1}`)),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
