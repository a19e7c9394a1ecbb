package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// awake is a snapshot of one GPU that was read at t.
func awake(t time.Time, celsius float64) *collector.Snapshot {
	var r reading
	r.add(collector.Temperature, celsius, "edge")
	r.add(collector.Utilization, 0.455)
	r.add(collector.MemoryUsed, 1<<30, "vram")
	r.add(collector.MemoryTotal, 8<<30, "vram")
	return fleet(collector.Status{Info: collector.Info{GPU: "a"}, Up: true, At: t, Samples: r})
}

// past is what a store has of GPU a in all time: the seconds since the readings of the tests.
func past(t *testing.T, s Past) (seconds []float64) {
	t.Helper()
	for e, err := range s.Range("a", time.Time{}, at.AddDate(10, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		seconds = append(seconds, e.At.Sub(at).Seconds())
	}
	return seconds
}

// One entry per new reading, at most one a second.
func TestRecorderPace(t *testing.T) {
	steps := func(n int, step time.Duration) (list []time.Duration) {
		for i := range n {
			list = append(list, time.Duration(i)*step)
		}
		return list
	}
	for name, c := range map[string]struct {
		readings []time.Duration
		want     string
	}{
		"every second":       {steps(4, time.Second), "[0 1 2 3]"},
		"every two":          {steps(3, 2*time.Second), "[0 2 4]"},
		"the same":           {[]time.Duration{0, 0, 0, time.Second, time.Second}, "[0 1]"},
		"uneven":             {[]time.Duration{0, 990 * time.Millisecond, 2010 * time.Millisecond, 2990 * time.Millisecond, 4 * time.Second}, "[0 0.99 2.01 2.99 4]"},
		"five a second":      {steps(21, 200*time.Millisecond), "[0 0.8 1.8 2.8 3.8]"},
		"set back an hour":   {[]time.Duration{0, time.Second, -time.Hour, -time.Hour + 500*time.Millisecond, -time.Hour + time.Second}, "[-3600 -3599 0 1]"},
		"after a long sleep": {[]time.Duration{0, time.Minute, time.Minute + 500*time.Millisecond, time.Minute + time.Second}, "[0 60 61]"},
	} {
		a := newAPI(always(nil))
		for _, offset := range c.readings {
			if err := a.Record(awake(at.Add(offset), 50)); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(past(t, a.o.Store)); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// No stand-ins: what is not a reading is not recorded. A GPU that is told of no more is forgotten.
func TestRecorderKeepsOnlyReadings(t *testing.T) {
	a := newAPI(always(nil))
	record := func(s *collector.Snapshot) {
		t.Helper()
		if err := a.Record(s); err != nil {
			t.Fatal(err)
		}
	}
	info := collector.Info{GPU: "a"}
	record(awake(at, 50))
	record(fleet(status(info, collector.StateAsleep, true, at.Add(time.Second))))
	record(fleet(status(info, collector.StateHung, false, at.Add(2*time.Second))))
	if got := fmt.Sprint(past(t, a.o.Store)); got != "[0]" {
		t.Errorf("got %s", got)
	}
	if v := a.history.total("a"); v.V != 8192 {
		t.Errorf("memory_total %v", v)
	}
	record(fleet())
	if got := past(t, a.o.Store); got != nil || len(a.history.gpus) != 0 || len(a.o.Store.(*Memory).shelves) != 0 {
		t.Errorf("not forgotten: %v", got)
	}
}

// described is a Store that writes down what it is told of GPUs.
type described struct {
	*Memory
	told []string
}

func (d *described) Describe(gpu collector.Info, index int) {
	d.told = append(d.told, fmt.Sprintf("%d %s %s", index, gpu.GPU, gpu.DriverVersion))
}

// A GPU is described when it comes, asleep or not, and when something about it changes.
func TestRecorderDescribes(t *testing.T) {
	store := &described{Memory: NewMemory()}
	a := New(Options{Source: always(nil), Store: store})
	asleep := func(gpu, driver string) collector.Status {
		return status(collector.Info{GPU: gpu, DriverVersion: driver}, collector.StateAsleep, true, at)
	}
	for _, s := range []*collector.Snapshot{
		fleet(asleep("a", "1")), fleet(asleep("a", "1")), fleet(asleep("a", "2")), fleet(asleep("b", "1"), asleep("a", "2")),
	} {
		if err := a.Record(s); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(store.told, ", "); got != "0 a 1, 0 a 2, 0 b 1, 1 a 2" {
		t.Errorf("told %s", got)
	}
}
