package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gpu_exporter/collector"
)

func TestOnceFormats(t *testing.T) {
	const csvHead = "timestamp,gpu,name,state,temperature,"
	for _, c := range []struct {
		args  []string
		check func(out string) bool
	}{
		{[]string{"--format=json"}, func(out string) bool {
			return oneLine(out) && json.Valid([]byte(out)) && strings.HasPrefix(out, `{"schema":1,`) && strings.Contains(out, `"celsius":42.25`)
		}},
		{[]string{"--format=json", "--samples=3", "--interval=0"}, func(out string) bool {
			return strings.Count(out, "\n") == 3 && strings.Count(out, `"schema":1`) == 3
		}},
		{[]string{"--format=csv", "--samples=2", "--interval=1ms"}, func(out string) bool {
			return strings.HasPrefix(out, csvHead) && strings.Count(out, csvHead) == 1 && strings.Count(out, ",sim:0,Fake,ok,42.3,") == 2
		}},
		{[]string{"--format=prom", "--samples=2", "--interval=0"}, func(out string) bool {
			return strings.Count(out, `gpu_temperature_celsius{gpu="sim:0",sensor="edge"} 42.25`) == 1 && !strings.Contains(out, "gpu_exporter_")
		}},
		{[]string{"--format=prom", "--metrics.exclude=.*"}, func(out string) bool { return strings.Contains(out, "gpu_temperature_celsius{") }},
		{nil, func(out string) bool { return strings.Count(out, "\n") == 2 && strings.Contains(out, "  42.3  ") }},
		{[]string{"--samples=2", "--interval=0"}, func(out string) bool { return strings.Count(out, "\n") == 5 }},
	} {
		out, complaint, status := finish(t, fakes(newFakeGPU("sim:0", nil)), append([]string{"once", "--path.procfs=/"}, c.args...)...)
		if status != 0 || complaint != "" || !c.check(out) {
			t.Errorf("%q: status %d, error %q, output\n%s", c.args, status, complaint, out)
		}
	}
}

// Whatever its state, a GPU is there.
func TestOnceStates(t *testing.T) {
	forever := make(chan struct{})
	defer close(forever)
	for name, c := range map[string]struct {
		read     func(context.Context) error
		deadline string
		want     string
	}{
		"asleep": {func(context.Context) error { return collector.ErrAsleep }, "1m", `"state":"asleep"`},
		"gone":   {func(context.Context) error { return collector.ErrGone }, "1m", `"state":"gone"`},
		"hung":   {func(context.Context) error { <-forever; return nil }, "20ms", `"state":"hung"`},
	} {
		out, _, status := finish(t, fakes(newFakeGPU("sim:0", c.read)), "once", "--format=json", "--polling.deadline="+c.deadline)
		if status != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%s: status %d, output %s", name, status, out)
		}
	}
}

// A GPU that takes longer than the Poller holds a snapshot up is waited for: here it answers only after the quick one has
// been read again.
func TestOnceWaitsForTheFirstReading(t *testing.T) {
	reads, again := 0, make(chan struct{})
	quick := newFakeGPU("sim:0", func(context.Context) error {
		if reads++; reads == 2 {
			close(again)
		}
		return nil
	})
	slow := newFakeGPU("sim:1", func(ctx context.Context) error {
		select {
		case <-again:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	out, complaint, status := finish(t, fakes(quick, slow), "once", "--format=prom", "--polling.deadline=1m")
	if status != 0 || strings.Count(out, "gpu_temperature_celsius{") != 2 {
		t.Errorf("status %d, error %q, output\n%s", status, complaint, out)
	}
}

func TestOnceFindsNothing(t *testing.T) {
	sysfs := t.TempDir()
	for name, c := range map[string]struct {
		probe     collector.Probe
		args      []string
		want, out string
	}{
		"no GPU":           {nil, nil, "no GPU found: looked below " + sysfs + " (--path.sysfs) for amd, nvidia", ""},
		"no collector":     {nil, []string{"--no-collector.amd", "--no-collector.nvidia"}, "no GPU found: all collectors are off", ""},
		"csv":              {fakes(), []string{"--format=csv"}, "no GPU found", "timestamp,"},
		"json":             {fakes(), []string{"--format=json"}, "no GPU found", `{"schema":1,`},
		"prom":             {fakes(), []string{"--format=prom"}, "no GPU found", ""},
		"failed discovery": {fakeProbe(func(context.Context) ([]collector.Device, error) { return nil, errors.New("broken") }), []string{"--log.level=error"}, "no GPU found", ""},
	} {
		out, complaint, status := finish(t, c.probe, append([]string{"once", "--collector.simulation=off", "--path.sysfs=" + sysfs, "--path.procfs=" + sysfs}, c.args...)...)
		if status != 1 || !oneLine(complaint) || !strings.Contains(complaint, c.want) || !strings.HasPrefix(out, c.out) || c.out == "" && out != "" {
			t.Errorf("%s: status %d, error %q, output %q; want 1, one line with %q, and %q", name, status, complaint, out, c.want, c.out)
		}
	}
}

func TestOnceOnAnEmptyHostPrintsTheSimulation(t *testing.T) {
	out, complaint, status := finish(t, nil, "once", "--format=csv", "--path.sysfs="+t.TempDir(), "--simulation.gpus=2")
	if status != 0 || !strings.Contains(out, ",sim:1,") || !strings.HasSuffix(strings.TrimSpace(out), ",simulation") ||
		!oneLine(complaint) || !strings.Contains(complaint, "simulated") {
		t.Errorf("status %d, error %q, output %q", status, complaint, out)
	}
}

func TestOnceMissingFolderIsALine(t *testing.T) {
	_, complaint, status := finish(t, fakes(newFakeGPU("sim:0", nil)), "once", "--path.sysfs=/nonexistent", "--path.procfs=/")
	if status != 0 || !oneLine(complaint) || !strings.Contains(complaint, "flag=--path.sysfs") {
		t.Errorf("status %d, error %q", status, complaint)
	}
}

func TestOnceInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out, complaint, status := start(ctx, fakes(newFakeGPU("sim:0", nil)), "once", "--format=csv", "--samples=2", "--interval=1h")
	out.line(t, "sim:0")
	cancel()
	if s := end(t, status, complaint); s != 1 || !strings.Contains(complaint.String(), "interrupted") {
		t.Errorf("status %d, error %q", s, complaint)
	}
}

// files are the names in a folder.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestOnceOut(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gpu.prom")
	write(t, path, "old")
	kept, err := os.Open(path) // as a reader that is in the middle of it
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()

	out, complaint, status := finish(t, fakes(newFakeGPU("sim:0", nil)), "once", "--format=prom", "--out="+path)
	if status != 0 || out != "" || complaint != "" {
		t.Fatalf("status %d, output %q, error %q", status, out, complaint)
	}
	got, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(got), "gpu_temperature_celsius{") {
		t.Errorf("%v, %q", err, got)
	}
	if at, err := os.Stat(path); err != nil || at.Mode() != 0o644 {
		t.Errorf("%v, %v; want 0644", at.Mode(), err)
	}
	if old, err := io.ReadAll(kept); err != nil || string(old) != "old" {
		t.Errorf("a reader saw %q, %v: the file was not renamed into place", old, err)
	}
	if names := files(t, dir); len(names) != 1 {
		t.Errorf("left %q", names)
	}
}

func TestOnceOutFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gpu.prom")
	write(t, path, "old")

	ctx, cancel := context.WithCancel(t.Context())
	reading := make(chan struct{}, 1)
	gpu := newFakeGPU("sim:0", func(ctx context.Context) error {
		reading <- struct{}{}
		<-ctx.Done()
		return nil
	})
	_, complaint, status := start(ctx, fakes(gpu), "once", "--out="+path, "--polling.deadline=1m")
	<-reading
	cancel()
	if s := end(t, status, complaint); s != 1 {
		t.Errorf("interrupted: status %d, error %q", s, complaint)
	}
	if names := files(t, dir); len(names) != 1 {
		t.Errorf("interrupted: left %q", names)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("interrupted: %q, %v", got, err)
	}

	for _, to := range []string{dir, os.DevNull, filepath.Join(dir, "nothing", "gpu.prom")} {
		_, complaint, status := finish(t, fakes(newFakeGPU("sim:0", nil)), "once", "--out="+to)
		if status != 1 || !oneLine(complaint) || !strings.Contains(complaint, "--out") {
			t.Errorf("--out=%s: status %d, error %q", to, status, complaint)
		}
	}
}
