package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
)

// closing is a probe that has something to close.
type closing struct {
	fakeProbe
	close func() error
}

func (c closing) Close() error { return c.close() }

// Whatever the command, what a probe has started is ended with it.
func TestProbesAreClosedAtTheEnd(t *testing.T) {
	var closed atomic.Int32
	probe := closing{fakes(newFakeGPU("sim:0", nil)), func() error { closed.Add(1); return nil }}
	for name, run := range map[string]func(t *testing.T) int{
		"once":   func(t *testing.T) int { _, _, status := finish(t, probe, "once", "--path.procfs=/"); return status },
		"doctor": func(t *testing.T) int { _, _, status := finish(t, probe, "doctor", "--path.procfs=/"); return status },
		"serve":  func(t *testing.T) int { _, _, stop := serving(t, probe); return stop() },
	} {
		t.Run(name, func(t *testing.T) {
			closed.Store(0)
			if status := run(t); status != 0 || closed.Load() != 1 {
				t.Errorf("status %d, closed %d times", status, closed.Load())
			}
		})
	}
}

// One that cannot be closed does not keep the program.
func TestAProbeThatCannotBeClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		defer close(forever)
		probes := []collector.Probe{closing{fakes(), func() error { <-forever; return nil }}}
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		stop := poll(t.Context(), collector.NewPoller(collector.Options{}, probes...), probes, log)
		begun := time.Now()
		stop()
		if took := time.Since(begun); took != pollTimeout || !strings.Contains(said.String(), "not closed in time") {
			t.Errorf("after %v: %s", took, &said)
		}
	})
}
