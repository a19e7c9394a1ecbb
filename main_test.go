package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/internal/await"
)

// output is a standard output or error that can be waited on.
type output struct {
	mu    sync.Mutex // guards all below
	text  bytes.Buffer
	grown chan struct{} // closed when text grows
}

func newOutput() *output { return &output{grown: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	close(o.grown)
	o.grown = make(chan struct{})
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// line waits for a line with that in it.
func (o *output) line(t *testing.T, part string) string {
	t.Helper()
	late := time.After(await.Patience)
	for {
		o.mu.Lock()
		text, grown := o.text.String(), o.grown
		o.mu.Unlock()
		for l := range strings.Lines(text) {
			if strings.Contains(l, part) && strings.HasSuffix(l, "\n") {
				return strings.TrimSuffix(l, "\n")
			}
		}
		select {
		case <-grown:
		case <-late:
			t.Fatalf("no line with %q in %q", part, text)
		}
	}
}

// fakeProbe finds what its function says.
type fakeProbe func(context.Context) ([]collector.Device, error)

func (fakeProbe) Name() string { return "fake" }

func (f fakeProbe) Discover(ctx context.Context) ([]collector.Device, error) { return f(ctx) }

// fakeGPU is a GPU with a temperature.
type fakeGPU struct {
	gpu  string
	read func(context.Context) error // before each reading; nil: nothing
	edge collector.Series
}

func newFakeGPU(gpu string, read func(context.Context) error) *fakeGPU {
	return &fakeGPU{gpu: gpu, read: read, edge: collector.Series{Q: collector.Temperature, Values: []string{"edge"}, Max: math.Inf(1)}}
}

func (g *fakeGPU) Info() collector.Info {
	return collector.Info{GPU: g.gpu, Name: "Fake", Type: collector.Discrete, Source: "simulation"}
}

func (g *fakeGPU) Key() string { return "1" }

func (g *fakeGPU) Read(ctx context.Context, r *collector.Reading) error {
	if g.read != nil {
		if err := g.read(ctx); err != nil {
			return err
		}
	}
	r.Add(&g.edge, 42.25)
	return nil
}

func (g *fakeGPU) Close() error { return nil }

// fakes is a probe that finds these GPUs.
func fakes(gpus ...collector.Device) fakeProbe {
	return func(context.Context) ([]collector.Device, error) { return gpus, nil }
}

// start runs the program with one probe, or with its own where probe is nil.
func start(ctx context.Context, probe collector.Probe, args ...string) (out, err *output, status <-chan int) {
	out, err = newOutput(), newOutput()
	p := program{out: out, err: err, readers: readers}
	if probe != nil {
		p.readers = func(*options, *slog.Logger) []reader { return []reader{{probe, []string{"simulation"}}} }
	}
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, p) }()
	return out, err, ended
}

// finish runs the program to its end.
func finish(t *testing.T, probe collector.Probe, args ...string) (out, err string, status int) {
	t.Helper()
	o, e, ended := start(t.Context(), probe, args...)
	status = end(t, ended, e)
	return o.String(), e.String(), status
}

func end(t *testing.T, status <-chan int, err fmt.Stringer) int {
	t.Helper()
	select {
	case s := <-status:
		return s
	case <-time.After(await.Patience):
		t.Fatalf("the program does not end: %q", err.String())
		return 0
	}
}

// oneLine says that s is one whole line.
func oneLine(s string) bool { return strings.Count(s, "\n") == 1 && strings.HasSuffix(s, "\n") }

func TestHelp(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string // in the output
	}{
		{[]string{"--version"}, "gpu_exporter, version "},
		{[]string{"--version", "once"}, "  go version:       go"},
		{[]string{"--help"}, "Commands:"},
		{[]string{"-h"}, "$GPU_EXPORTER_POLLING_INTERVAL"},
		{[]string{"help", "once"}, "--samples"},
		{[]string{"once", "--help"}, "--samples"},
		{[]string{"--help-long"}, "--samples"},
		{[]string{"--help-man"}, ".SH \"SYNOPSIS\""},
		{[]string{"--completion-script-bash"}, "complete "},
		{[]string{"--completion-script-zsh"}, "#compdef"},
	} {
		out, err, status := finish(t, nil, c.args...)
		if !strings.Contains(out, c.want) || err != "" || status != 0 {
			t.Errorf("%q: status %d, error %q, want %q in\n%s", c.args, status, err, c.want, out)
		}
	}
}
