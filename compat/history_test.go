package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
)

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
	d := collector.Status{Info: collector.Info{GPU: "a"}, Up: true, At: time.Now().Add(-time.Second), Samples: r} // clocks may stand still for 16 ms
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
