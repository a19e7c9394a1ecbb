package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
func past(t *testing.T, s Store) (seconds []float64) {
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
	if got := past(t, a.o.Store); got != nil || len(a.history.gpus) != 0 || len(a.o.Store.(*Memory).rings) != 0 {
		t.Errorf("not forgotten: %v", got)
	}
}

// Memory holds an hour, and 3600 entries.
func TestMemoryIsBounded(t *testing.T) {
	for step, want := range map[time.Duration]int{time.Second: 3600, 10 * time.Second: 361, 900 * time.Millisecond: 3600} {
		m := NewMemory()
		const n = 10_000
		for i := range n {
			if err := m.Append([]Entry{{GPU: "a", At: at.Add(time.Duration(i) * step)}}); err != nil {
				t.Fatal(err)
			}
		}
		got := past(t, m)
		if len(got) != want || got[len(got)-1] != ((n-1)*step).Seconds() || !slices.IsSorted(got) {
			t.Errorf("step %v: %d entries from %v to %v, want %d", step, len(got), got[0], got[len(got)-1], want)
		}
		if r := m.rings["a"]; len(r.records) > memoryEntries {
			t.Errorf("step %v: %d records", step, len(r.records))
		}
	}
}

func TestMemoryRange(t *testing.T) {
	m := NewMemory()
	for i := range 300 {
		if err := m.Append([]Entry{{GPU: "a", At: at.Add(time.Duration(i) * time.Second), State: collector.StatePartial}}); err != nil {
			t.Fatal(err)
		}
	}
	var got []int
	for e, err := range m.Range("a", at.Add(126*time.Second), at.Add(130*time.Second)) {
		if err != nil || e.GPU != "a" || e.State != collector.StatePartial {
			t.Errorf("%+v, %v", e, err)
		}
		got = append(got, int(e.At.Sub(at)/time.Second))
	}
	if fmt.Sprint(got) != "[126 127 128 129]" {
		t.Errorf("got %v", got)
	}
	for range m.Range("b", time.Time{}, at) {
		t.Error("an entry of an unknown GPU")
	}
	for range m.Range("a", time.Time{}, at.AddDate(1, 0, 0)) {
		break // a reader may leave
	}
}

// Readers and the recorder do not disturb one another, and a reader may forget the GPU that it reads.
func TestMemoryIsShared(t *testing.T) {
	m := NewMemory()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 50 {
				last := time.Time{}
				for e := range m.Range("a", time.Time{}, at.AddDate(1, 0, 0)) {
					if !e.At.After(last) {
						t.Errorf("%v after %v", e.At, last)
					}
					last = e.At
				}
			}
		})
	}
	for i := range 8000 {
		_ = m.Append([]Entry{{GPU: "a", At: at.Add(time.Duration(i) * time.Second)}})
	}
	for range m.Range("a", time.Time{}, at.AddDate(1, 0, 0)) {
		m.Forget("a")
	}
	readers.Wait()
}

func TestSection7(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(nil)
		begin := time.Now()
		var latest *collector.Snapshot
		for i := range 1200 {
			latest = awake(time.Now(), 40+float64(i%100)/10)
			if err := a.Record(latest); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		a.o.Source = always(latest)
		h := serve(t, a)
		entry := func(i int) string {
			return fmt.Sprintf(`{"timestamp":%d.000000,"utilization":45.5,"temperature":%.1f,"memory_utilization":12.5}`,
				begin.Unix()+int64(i), 40+float64(i%100)/10)
		}
		last := func(n int) string {
			var list []string
			for i := 1200 - n; i < 1200; i++ {
				list = append(list, entry(i))
			}
			return `{"history":[` + strings.Join(list, ",") + `]}`
		}
		fault := func(kind, text, input string) string {
			return `{"detail":[{"type":"` + kind + `","loc":["query","minutes"],"msg":"` + text + `","input":"` + input +
				`","url":"https://errors.pydantic.dev/2.4/v/` + kind + `"}]}`
		}
		refuses := func(input string) string {
			return fault("int_parsing", "Input should be a valid integer, unable to parse string as an integer", input)
		}
		// 60 x minutes entries, the last of them one second old.
		for _, c := range []struct {
			row, query string
			code       int
			want       string
		}{
			{"row 1", "", 200, last(600)}, {"row 1", "?Minutes=5", 200, last(600)}, {"row 1", "?x=y", 200, last(600)},
			{"row 2", "?minutes=5", 200, last(300)}, {"row 2", "?minutes=05", 200, last(300)}, {"row 2", "?minutes=%2B5", 200, last(300)},
			{"row 2", "?minutes=5.0", 200, last(300)}, {"row 2", "?minutes=5.000", 200, last(300)}, {"row 2", "?minutes=1_0", 200, last(600)},
			{"row 3", "?minutes=0", 200, last(0)}, {"row 3", "?minutes=-3", 200, last(0)},
			{"row 4", "?minutes=", 422, refuses("")}, {"row 4", "?minutes", 422, refuses("")}, {"row 4", "?minutes=abc", 422, refuses("abc")},
			{"row 4", "?minutes=1.5", 422, refuses("1.5")}, {"row 4", "?minutes=1e1", 422, refuses("1e1")},
			{"row 4", "?minutes=0x10", 422, refuses("0x10")}, {"row 4", "?minutes=true", 422, refuses("true")},
			{"row 4", "?minutes=null", 422, refuses("null")}, {"row 4", "?minutes=1__0", 422, refuses("1__0")},
			{"row 4", "?minutes=%D9%A5", 422, refuses("٥")}, {"row 4", "?minutes=%22%3C%0a", 422, refuses(`\"<\n`)},
			{"row 5", "?minutes=+5", 422, refuses(" 5")}, {"row 5", "?minutes=5.", 200, last(300)},
			{"row 6", "?minutes=abc&minutes=5", 200, last(300)}, {"row 6", "?minutes=5&minutes=abc", 422, refuses("abc")},
			{"row 7", "?minutes=99999999", 200, last(1200)}, {"row 7", "?minutes=" + strings.Repeat("9", 4300), 200, last(1200)},
			{"row 8", "?minutes=" + strings.Repeat("9", 4301), 422, fault("int_parsing_size",
				"Unable to parse input string as an integer, exceeded maximum size", strings.Repeat("9", 4301))},
			{"both wrong", "?minutes=x&gpu=x", 422, refuses("x")},
			{"format", "?minutes=5&format=json", 200, last(300)},
		} {
			r := httptest.NewRequest("GET", "/gpu/history"+c.query, nil)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Body.String(); w.Code != c.code || got != c.want || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("section 7, %s, %.40s: got %d\n%.300s\nwant %d\n%.300s", c.row, c.query, w.Code, got, c.code, c.want)
			}
		}
	})
	if code, got := getJSON(t, serve(t, newAPI(always(nil))), "/gpu/history"); code != 200 || got != `{"history":[]}` {
		t.Errorf("section 7, empty: %d %s", code, got)
	}
}

// A value that was not known is 0 in the old form.
func TestHistoryOfUnknownValues(t *testing.T) {
	var r reading
	r.add(collector.Temperature, 50, "edge")
	d := collector.Status{Info: collector.Info{GPU: "a"}, Up: true, At: time.Now(), Samples: r}
	a := newAPI(always(fleet(d)))
	if err := a.Record(fleet(d)); err != nil {
		t.Fatal(err)
	}
	if _, got := getJSON(t, serve(t, a), "/gpu/history"); !strings.HasSuffix(got, `"utilization":0.0,"temperature":50.0,"memory_utilization":0.0}]}`) {
		t.Errorf("got %s", got)
	}
}

// broken is a Store that fails after an entry.
type broken struct{ *Memory }

func (broken) Range(string, time.Time, time.Time) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		_ = yield(Entry{}, nil) && yield(Entry{}, errors.New("the disk is gone"))
	}
}

func TestHistoryOfABrokenStoreIsCutOff(t *testing.T) {
	h := serve(t, New(Options{Source: always(fleet(rx7800xt())), Store: broken{NewMemory()}}))
	server := httptest.NewServer(h)
	defer server.Close()
	answer, err := http.Get(server.URL + "/gpu/history")
	if err == nil {
		answer.Body.Close()
		t.Errorf("got %s", answer.Status)
	}
}

func BenchmarkHistory(b *testing.B) {
	a := newAPI(nil)
	begin := time.Now().Add(-time.Hour)
	var latest *collector.Snapshot
	for i := range 3600 {
		latest = awake(begin.Add(time.Duration(i)*time.Second), 50)
		if err := a.Record(latest); err != nil {
			b.Fatal(err)
		}
	}
	a.o.Source = always(latest)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		a.serveHistory(w, httptest.NewRequest("GET", "/gpu/history?minutes=60", nil))
		if !json.Valid(w.Body.Bytes()) {
			b.Fatal("no JSON")
		}
	}
}
