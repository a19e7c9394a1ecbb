package windows

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// rig reads a host as the program does: a Poller that makes a cycle when it is asked to.
type rig struct {
	*host
	probe  *Probe
	poller *collector.Poller
	first  <-chan *collector.Snapshot // of the first cycle, which nobody has to ask for
	notes  *notes
}

// start starts a Poller on a host. Deadlines are long: a busy machine must not fail a test.
func (h *host) start(set ...func(*Options, *Probe)) *rig {
	h.t.Helper()
	o := Options{Sources: h.sources(), Deadline: 20 * time.Second}
	for _, f := range set {
		f(&o, nil)
	}
	g := &rig{host: h, notes: &notes{rescans: make(chan bool, 100)}}
	g.probe = New(o)
	for _, f := range set {
		f(&o, g.probe)
	}
	// The probe alone, without its Notify: tests look for GPUs when they say so.
	probe := struct{ collector.Probe }{g.probe}
	g.poller = collector.NewPoller(collector.Options{Rescan: 1000 * time.Hour, Deadline: o.Deadline, Observer: g.notes}, probe)
	ctx, cancel := context.WithCancel(context.Background())
	g.first = g.poller.Subscribe(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.poller.Run(ctx)
	}()
	h.t.Cleanup(func() {
		cancel()
		<-ended
	})
	<-g.notes.rescans
	return g
}

func (g *rig) rescan() (ok bool) {
	g.poller.Rescan()
	return <-g.notes.rescans
}

// cycle reads all GPUs once. Its window is a second: late answers, as on a busy machine, are in a later snapshot.
func (g *rig) cycle() (s *collector.Snapshot) {
	g.t.Helper()
	var begun time.Time
	if first := g.first; first != nil {
		g.first = nil
		s = <-first
	} else {
		begun = time.Now()
		s = g.poller.Fresh(g.t.Context())
	}
	waits := func(d collector.Status) bool {
		return d.State != collector.StateHung && d.State != collector.StateGone && (d.At.IsZero() || d.At.Before(begun))
	}
	await.Until(g.t, "an answer on each GPU", func() bool {
		if !slices.ContainsFunc(s.Devices, waits) {
			return true
		}
		s = g.poller.Latest()
		return false
	})
	return s
}

// read is a cycle of a host with one GPU.
func (g *rig) read() collector.Status {
	g.t.Helper()
	s := g.cycle()
	if len(s.Devices) != 1 {
		g.t.Fatalf("the snapshot has %d GPUs, want one", len(s.Devices))
	}
	return s.Devices[0]
}

// notes is an Observer that takes notes.
type notes struct {
	rescans chan bool

	mu       sync.Mutex // guards what follows
	rejected []string
	failed   []string
	restarts int
}

func (n *notes) Read(string, collector.Result, time.Duration) {}
func (n *notes) Failed(_ string, kind collector.FailureKind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failed = append(n.failed, string(kind))
}
func (n *notes) Rejected(_ string, q collector.QuantityID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rejected = append(n.rejected, q.String())
}
func (n *notes) Restarted(string, collector.RestartReason) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.restarts++
}
func (n *notes) Rescanned(ok bool) { n.rescans <- ok }

// exposed are the samples of a snapshot as the exporter shows them.
func exposed(t testing.TB, s *collector.Snapshot) hwcase.Samples {
	t.Helper()
	var b strings.Builder
	line := func(name, gpu string, labels []string, values []string, v float64) {
		fmt.Fprintf(&b, "%s{gpu=%q", name, gpu)
		for i, l := range labels {
			fmt.Fprintf(&b, ",%s=%q", l, values[i])
		}
		fmt.Fprintf(&b, "} %v\n", v)
	}
	flag := map[bool]float64{true: 1}
	for _, d := range s.Devices {
		i := d.Info
		line("gpu_info", d.GPU, collector.Quantities[collector.GPUInfo].Labels,
			[]string{fmt.Sprint(d.Index), i.Vendor, i.Name, i.Type, i.UUID, i.PCIID, i.Driver, i.DriverVersion, i.VBIOS, i.Source}, 1)
		line("gpu_up", d.GPU, nil, nil, flag[d.Up])
		for _, state := range collector.States {
			line("gpu_state", d.GPU, []string{"state"}, []string{state.String()}, flag[state == d.State])
		}
		for _, s := range d.Samples {
			line(s.S.Q.String(), d.GPU, collector.Quantities[s.S.Q].Labels, s.S.Values, s.V)
		}
	}
	samples, err := hwcase.Parse(b.String())
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

// samples are lines `name{label="value"} value`, sorted, of the families whose name begins with one of prefixes (none:
// of all), without the label gpu.
func samples(d collector.Status, prefixes ...string) []string {
	var lines []string
	for _, s := range d.Samples {
		name := s.S.String()
		if len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			lines = append(lines, fmt.Sprintf("%s %v", name, s.V))
		}
	}
	slices.Sort(lines)
	return lines
}

// want compares samples with lines of a text.
func want(t testing.TB, got []string, text string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	if !slices.Equal(got, lines) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

// caseRoots are the folders of hardware cases: the project's own, and the shared ones.
var caseRoots = []string{"../../testdata/cases/windows", shared}

// capturesOf are the captures of a case that have expected samples, in their order; the empty one is of expected.prom.
func capturesOf(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "expected*.prom"))
	if err != nil {
		t.Fatal(err)
	}
	var captures []string
	for _, f := range files {
		captures = append(captures, strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(filepath.Base(f), ".prom"), "expected"), "-"))
	}
	slices.Sort(captures)
	return captures
}

// eachReading reads every capture of every case below root, those of one case one after another.
func eachReading(t *testing.T, root string, do func(t *testing.T, expected string, s *collector.Snapshot)) {
	for _, name := range dirs(t, root) {
		dir := filepath.Join(root, name)
		captures := capturesOf(t, dir)
		if len(captures) == 0 {
			if root != shared || tables[name] == nil {
				t.Errorf("%s has no expected.prom, and no other test is known for it", dir)
			}
			continue
		}
		g := recorded(t, dir, captures[0]).start()
		for i, capture := range captures {
			if i > 0 {
				g.step(dir, capture)
			}
			s := g.cycle()
			expected := "expected.prom"
			if capture != "" {
				expected = "expected-" + capture + ".prom"
			}
			t.Run(name+"/"+expected, func(t *testing.T) { do(t, filepath.Join(dir, expected), s) })
		}
	}
}

func TestHardwareCases(t *testing.T) {
	for _, root := range caseRoots {
		eachReading(t, root, func(t *testing.T, expected string, s *collector.Snapshot) {
			text, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			want, err := hwcase.Parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range hwcase.Diff(want, exposed(t, s)) {
				t.Error(line)
			}
		})
	}
}

// What the table of quantities says of this probe is so: each that it is named for is in a case of our own or told by NVML,
// whose cases are in collector/nvml, no other in any.
func TestQuantitiesOfThisProbe(t *testing.T) {
	given := map[collector.QuantityID]bool{}
	for i, root := range caseRoots {
		eachReading(t, root, func(t *testing.T, _ string, s *collector.Snapshot) {
			for _, d := range s.Devices {
				for _, s := range d.Samples {
					q := s.S.Q
					if !slices.Contains(collector.Quantities[q].Sources, probeName) && !given[q] {
						t.Errorf("%v is given, of which the table does not say that this probe fills it", q)
					}
					given[q] = given[q] || i == 0
				}
			}
		})
	}
	for q := range collector.Quantities {
		q := collector.QuantityID(q)
		if named := slices.Contains(collector.Quantities[q].Sources, probeName); named != (given[q] || nvml.Tells()[q]) {
			t.Errorf("%v is named for this probe: %v", q, named)
		}
	}
}
