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

func TestWhatACrashIs(t *testing.T) {
	exit := func(status uint32) int { return int(status) } // as Windows has it: of 32 bits without a sign
	for name, c := range map[string]struct {
		code int
		want bool
	}{
		"well":                      {0, false},
		"no driver":                 {exitNoDriver, false},
		"the last of Unix":          {255, false},
		"a signal":                  {-1, true},
		"an access violation":       {exit(0xC0000005), true},
		"a DLL that is not there":   {exit(0xC0000135), true},
		"a status that is no error": {exit(0x40010004), false},
	} {
		if got := crashed(c.code); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
