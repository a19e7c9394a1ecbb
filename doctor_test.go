package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
)

// patient is a GPU of this machine, as far as a test can have one.
type patient struct {
	*fakeGPU
	failures []collector.Failure
}

func newPatient(gpu string, read func(context.Context) error, failures ...collector.Failure) patient {
	return patient{newFakeGPU(gpu, read), failures}
}

func (p patient) Info() collector.Info {
	i := p.fakeGPU.Info()
	i.Source = "sysfs"
	return i
}

func (p patient) Read(ctx context.Context, r *collector.Reading) error {
	for _, f := range p.failures {
		r.Fail(f)
	}
	return p.fakeGPU.Read(ctx, r)
}

// witness is a probe that sees something of the machine.
type witness struct {
	fakeProbe
	seen func(context.Context) []collector.Finding
}

func (w witness) Diagnose(ctx context.Context) []collector.Finding { return w.seen(ctx) }

func sees(list ...collector.Finding) func(context.Context) []collector.Finding {
	return func(context.Context) []collector.Finding { return list }
}

// report is what --format=json prints.
type report struct {
	Schema   int    `json:"schema"`
	Version  string `json:"version"`
	Findings []struct{ ID, Level, Subject, Text, Hint string }
	Exit     int `json:"exit"`
}

// brief is `level id` of each finding.
func (r report) brief() string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, f.Level+" "+f.ID)
	}
	return strings.Join(list, ", ")
}

func reported(t *testing.T, out string) report {
	t.Helper()
	var r report
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || !oneLine(out) || r.Schema != 1 {
		t.Fatalf("%v, output %q", err, out)
	}
	return r
}

func TestDoctorStatus(t *testing.T) {
	forever := make(chan struct{})
	defer close(forever)
	var (
		well   = func() collector.Device { return newPatient("a", nil) }
		asleep = func() collector.Device {
			return newPatient("b", func(context.Context) error { return collector.ErrAsleep })
		}
		gone = func() collector.Device {
			return newPatient("c", func(context.Context) error { return collector.ErrGone })
		}
		hung = func() collector.Device { return newPatient("d", func(context.Context) error { <-forever; return nil }) }
		down = func() collector.Device {
			return newPatient("e", func(context.Context) error { return errors.New("broken") })
		}
		ill = func() collector.Device {
			return newPatient("f", nil, collector.Failure{Kind: collector.IO, Source: "/f/x", Err: syscall.EIO})
		}
		locked = func() collector.Device {
			return newPatient("g", nil, collector.Failure{Kind: collector.Permission, Source: "/g/x", Err: syscall.EACCES})
		}
		note  = collector.Finding{ID: collector.DriverVFIO, Level: collector.LevelNote, Subject: "v", Text: "kept"}
		warn  = collector.Finding{ID: collector.HwmonMissing, Level: collector.LevelWarn, Subject: "a", Text: "no sensors"}
		other = collector.Finding{ID: collector.CardIgnored, Level: collector.LevelNote, Subject: "a", Text: "not read"}
	)
	list := func(gpus ...func() collector.Device) fakeProbe {
		return func(context.Context) (found []collector.Device, err error) {
			for _, gpu := range gpus {
				found = append(found, gpu())
			}
			return found, nil
		}
	}
	failing := func(p fakeProbe) fakeProbe {
		return func(ctx context.Context) ([]collector.Device, error) {
			found, _ := p(ctx)
			return found, errors.New("card1: broken")
		}
	}
	for name, c := range map[string]struct {
		probe  collector.Probe
		args   []string
		status int
		want   string
	}{
		"well":                    {list(well), nil, 0, "ok gpu-ok"},
		"asleep":                  {list(asleep), nil, 0, "note gpu-asleep"},
		"a note":                  {witness{list(well), sees(note)}, nil, 0, "note driver-vfio, ok gpu-ok"},
		"two":                     {list(well, asleep), nil, 0, "ok gpu-ok, note gpu-asleep"},
		"read by another probe":   {witness{list(well), sees(other, note)}, nil, 0, "note driver-vfio, ok gpu-ok"},
		"simulation beside it":    {list(well), []string{"--collector.simulation=on"}, 0, "ok gpu-ok, note simulation"},
		"partial":                 {list(ill), nil, 2, "warn gpu-partial, warn gpu-io"},
		"rights":                  {list(locked), nil, 2, "warn gpu-partial, warn gpu-permission"},
		"a lack":                  {witness{list(well), sees(warn)}, nil, 2, "warn hwmon-missing, ok gpu-ok"},
		"one of two is hung":      {list(well, hung), nil, 2, "ok gpu-ok, fail gpu-hung"},
		"one of two is gone":      {list(asleep, gone), nil, 2, "note gpu-asleep, fail gpu-gone"},
		"half a discovery":        {failing(list(well)), nil, 2, "fail discovery-failed, ok gpu-ok"},
		"hung":                    {list(hung), nil, 1, "fail gpu-hung"},
		"gone":                    {list(gone), nil, 1, "fail gpu-gone"},
		"down":                    {list(down), nil, 1, "fail gpu-unreadable, warn gpu-io"},
		"no GPU":                  {list(), nil, 1, "fail gpu-none, note simulation"},
		"no GPU, no simulation":   {list(), []string{"--collector.simulation=off"}, 1, "fail gpu-none"},
		"no GPU but simulated":    {list(), []string{"--collector.simulation=on"}, 1, "fail gpu-none, note simulation"},
		"no discovery":            {failing(list()), nil, 1, "fail discovery-failed, fail gpu-none"}, // nobody knows, so nothing is simulated
		"a GPU of a virtual host": {witness{fakes(), sees(note, note)}, nil, 1, "note driver-vfio, fail gpu-none, note simulation"},
	} {
		deadline := "1m"
		if strings.Contains(c.want, "gpu-hung") {
			deadline = "100ms"
		}
		out, complaint, status := finish(t, c.probe, append([]string{"doctor", "--format=json", "--polling.deadline=" + deadline}, c.args...)...)
		r := reported(t, out)
		if status != c.status || r.Exit != status || r.brief() != c.want || complaint != "" {
			t.Errorf("%s: status %d, error %q, exit %d, %s; want %d, %s", name, status, complaint, r.Exit, r.brief(), c.status, c.want)
		}
	}
}

func TestDoctorText(t *testing.T) {
	found := func(gpu, text string) collector.Finding {
		return collector.Finding{ID: collector.GPUFound, Subject: gpu, Text: text}
	}
	for _, c := range []struct {
		probe collector.Probe
		want  string
	}{
		{witness{fakes(newPatient("0000:03:00.0", nil)), sees(found("0000:03:00.0", "Fake, in /sys"))}, `
ok    gpu-found  0000:03:00.0  Fake, in /sys
ok    gpu-ok     0000:03:00.0  1 reading from sysfs
All is well.
`},
		{witness{
			fakes(newPatient("0000:03:00.0", nil, collector.Failure{Kind: collector.Malformed, Source: "/sys/x", Err: errors.New("malformed")}),
				newPatient("0000:0a:00.0", func(context.Context) error { return collector.ErrAsleep })),
			sees(found("0000:0a:00.0", "a GPU"), found("0000:03:00.0", "two\nlines\té\x1b[31m"),
				collector.Finding{ID: collector.DriverMissing, Level: collector.LevelWarn, Subject: "0000:10:00.0", Text: "no driver", Hint: "load one"}),
		}, `
warn  driver-missing  0000:10:00.0  no driver
      -> load one
ok    gpu-found       0000:03:00.0  two?lines?é?[31m
warn  gpu-partial     0000:03:00.0  1 reading from sysfs, others fail
warn  gpu-malformed   0000:03:00.0  there is no sense in 1 reading (malformed): /sys/x
      -> report it with the content of the file: the driver is at fault, or newer than this program
ok    gpu-found       0000:0a:00.0  a GPU
note  gpu-asleep      0000:0a:00.0  asleep, and left so: it has no readings until something uses it
Not all is well: see what is marked warn or fail.
`},
		{fakes(), `
fail  gpu-none    gpu_exporter  no GPU found: looked below /sys (--path.sysfs) for fake
      -> lspci -nn shows what the machine has; gpu_exporter --help, which GPUs can be read (--collector.*)
note  simulation  gpu_exporter  until it finds a GPU the exporter shows simulated ones, 1 of them: their values are made up
      -> --collector.simulation=off, to show none
No GPU can be read.
`},
	} {
		if out, complaint, _ := finish(t, c.probe, "doctor"); "\n"+out != c.want || complaint != "" {
			t.Errorf("error %q, got\n%swant%s", complaint, out, c.want)
		}
	}
}

// A hint, a path or a name may hold anything.
func TestDoctorJSON(t *testing.T) {
	f := collector.Finding{ID: collector.NameUnknown, Level: collector.LevelNote, Subject: "<&>", Text: "two\nlines \"é\"", Hint: "a -> b"}
	t.Setenv("GPU_EXPORTER_DOCTOR_FORMAT", "json")
	out, _, _ := finish(t, witness{fakes(newPatient("a", nil)), sees(f)}, "doctor")
	r := reported(t, out)
	if got := r.Findings[0]; got.ID != "name-unknown" || got.Level != "note" || got.Subject != f.Subject || got.Text != f.Text || got.Hint != f.Hint ||
		!strings.Contains(out, `"<&>"`) || !strings.HasPrefix(out, `{"schema":1,"version":"`) || !strings.HasSuffix(out, `],"exit":0}`+"\n") {
		t.Errorf("%+v, output %s", got, out)
	}
}

// Numbers that are made up are no GPU, whatever the flags say of them.
func TestDoctorNeverCountsTheSimulation(t *testing.T) {
	for _, mode := range []string{simulationAuto, simulationOn} {
		dir := t.TempDir()
		out, complaint, status := finish(t, nil, "doctor", "--format=json", "--path.sysfs="+dir, "--path.procfs="+dir, "--collector.simulation="+mode, "--simulation.gpus=3")
		if r := reported(t, out); status != 1 || complaint != "" || r.Findings[len(r.Findings)-1].ID != "simulation" || !strings.Contains(out, "simulated") ||
			!strings.Contains(out, "3 of them") || strings.Contains(out, "sim:0") || !strings.Contains(r.brief(), "fail gpu-none") {
			t.Errorf("%s: status %d, error %q, %s", mode, status, complaint, out)
		}
	}
}

func TestDoctorMisused(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--format=xml", "--format=xml: take one of text, json"},
		{"now", "unexpected now"},
		{"--samples=1", "unknown long flag '--samples'"},
	} {
		out, complaint, status := finish(t, fakes(), "doctor", c.args)
		if status != 2 || out != "" || !oneLine(complaint) || !strings.Contains(complaint, c.want) {
			t.Errorf("%s: status %d, output %q, error %q", c.args, status, out, complaint)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out, complaint, status := start(ctx, witness{fakes(), func(ctx context.Context) []collector.Finding { <-ctx.Done(); return nil }}, "doctor", "--polling.deadline=1m")
	if s := end(t, status, complaint); s != 1 || out.String() != "" || !strings.Contains(complaint.String(), "interrupted") {
		t.Errorf("interrupted: status %d, output %q, error %q", s, out, complaint)
	}
}

// Two probes that do not come back cost the deadline once, and nothing of the third.
func TestDoctorGivesUpOnAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		defer close(forever)
		stuck := witness{fakes(), func(context.Context) []collector.Finding { <-forever; return nil }}
		seen := collector.Finding{ID: collector.GPUFound, Subject: "a"}
		began := time.Now()
		list := examine(t.Context(), []collector.Probe{stuck, stuck, witness{fakes(), sees(seen)}, fakes()}, 2*time.Second)
		var ids []string
		for _, f := range list {
			ids = append(ids, f.ID.String())
		}
		if got := fmt.Sprint(ids, time.Since(began)); got != "[discovery-failed discovery-failed gpu-found] 3s" {
			t.Errorf("got %s", got)
		}
	})
}

// Scripts rely on the ids: what is used stands in the table, by its type; what stands there is told to who reads the code.
func TestDoctorTellsItsIDs(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doctor.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var doc string
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "doctor" {
			doc = f.Doc.Text()
		}
	}
	told := regexp.MustCompile(`\b[a-z]+(-[a-z]+)+|simulation`).FindAllString(doc, -1)
	var ids []string
	for _, c := range collector.Checks {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	slices.Sort(told)
	if !slices.Equal(ids, told) {
		t.Errorf("the comment on doctor has %q, collector.Checks %q", told, ids)
	}
}
