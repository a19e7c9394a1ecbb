package smi

import (
	"log/slog"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	c := New(Options{Log: slog.New(slog.DiscardHandler)}, Usual)
	after := func(calls int, took time.Duration) time.Duration {
		for range calls {
			c.pace(took)
		}
		return c.interval
	}
	for _, step := range []struct {
		calls      int
		took, want time.Duration
	}{
		{2, 3 * time.Second, 5 * time.Second}, {1, 3 * time.Second, 10 * time.Second}, {3, 6 * time.Second, 20 * time.Second},
		{3, 11 * time.Second, 40 * time.Second}, {6, 31 * time.Second, time.Minute}, {9, time.Second, time.Minute},
		{1, time.Second, 30 * time.Second}, {60, time.Second, 5 * time.Second},
	} {
		if got := after(step.calls, step.took); got != step.want {
			t.Errorf("after %d calls of %v: %v, want %v", step.calls, step.took, got, step.want)
		}
	}
}
