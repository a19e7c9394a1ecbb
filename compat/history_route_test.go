package compat

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
)

// tape is a Store whose entries are given, in their order.
type tape struct {
	n     int
	entry func(i int) Entry
	err   error // after the entries
}

func (tape) Append([]Entry) error { return nil }
func (tape) Forget(string)        {}

func (s tape) Range(gpu string, from, to time.Time) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for i := range s.n {
			if e := s.entry(i); e.GPU == gpu && !e.At.Before(from) && e.At.Before(to) && !yield(e, nil) {
				return
			}
		}
		if s.err != nil {
			yield(Entry{}, s.err)
		}
	}
}

func taped(entries ...Entry) tape {
	return tape{n: len(entries), entry: func(i int) Entry { return entries[i] }}
}

// recordedAs is an entry; what is not named was not known.
func recordedAs(gpu string, at time.Time, state collector.State, known map[int]float32) Entry {
	e := Entry{GPU: gpu, At: at, State: state}
	for i := range e.Values {
		e.Values[i] = float32(math.NaN())
	}
	for i, v := range known {
		e.Values[i] = v
	}
	return e
}

// The GPUs of these tests, the first of which is the default one.
var (
	cardA = collector.Info{GPU: "0000:0a:00.0", Name: `Card "A", 16 GB`, DriverVersion: "6.1", Source: "sysfs"}
	cardB = collector.Info{GPU: "0000:0b:00.0", UUID: "GPU-bb"}
)

// atBubble is when the time of a bubble begins.
const atBubble = 946684800 // 2000-01-01T00:00:00Z

// Sections 7 and 15.4, /gpu/history. The numbers in the names say how many seconds ago an entry was made.
func TestHistoryQueries(t *testing.T) {
	ago := func(seconds float64) time.Time { return time.UnixMicro(atBubble*1e6 - int64(seconds*1e6)) }
	store := taped(
		recordedAs(cardA.GPU, ago(3600), collector.StateOK, map[int]float32{Temperature: 39.9}),
		recordedAs(cardB.GPU, ago(95), collector.StateOK, map[int]float32{Temperature: 71}),
		recordedAs(cardA.GPU, ago(90), collector.StateOK, map[int]float32{Temperature: 41, Utilization: 99.9, MemoryUsed: 1536.1, MemoryTotal: 16368,
			MemoryUtilization: 9.4, CoreClock: 2011, MemoryClock: 456, PowerUsage: 32.7, FanSpeed: 0}),
		recordedAs(cardA.GPU, ago(60.5), collector.StatePartial, map[int]float32{Temperature: -1.5, PowerUsage: 33.2}),
		recordedAs(cardA.GPU, ago(1), collector.StateOK, map[int]float32{Temperature: 42.2, Utilization: 0}),
	)
	const (
		head       = "timestamp,gpu,name,state,temperature,utilization,memory_used,memory_total,memory_utilization,core_clock,memory_clock,power_usage,fan_speed,driver_version,monitoring_method\n"
		spreadHead = "timestamp,gpu,name,state,temperature,temperature_min,temperature_max,utilization,utilization_min,utilization_max," +
			"memory_used,memory_used_min,memory_used_max,memory_total,memory_total_min,memory_total_max," +
			"memory_utilization,memory_utilization_min,memory_utilization_max,core_clock,core_clock_min,core_clock_max," +
			"memory_clock,memory_clock_min,memory_clock_max,power_usage,power_usage_min,power_usage_max,fan_speed,fan_speed_min,fan_speed_max," +
			"driver_version,monitoring_method\n"
		whoA = `0000:0a:00.0,"Card ""A"", 16 GB",`

		csv3600 = "946681200.000," + whoA + "ok,39.9,,,,,,,,,6.1,sysfs\n"
		csv90   = "946684710.000," + whoA + "ok,41,99.9,1536.1,16368,9.4,2011,456,32.7,0,6.1,sysfs\n"
		csv60   = "946684739.500," + whoA + "partial,-1.5,,,,,,,33.2,,6.1,sysfs\n"
		csv1    = "946684799.000," + whoA + "ok,42.2,0,,,,,,,,6.1,sysfs\n"
		csvB    = "946684705.000,0000:0b:00.0,,ok,71,,,,,,,,,,\n"

		jsonWho  = `"gpu":"0000:0a:00.0","name":"Card \"A\", 16 GB","state":`
		jsonEnd  = `,"driver_version":"6.1","monitoring_method":"sysfs"}`
		json3600 = `{"timestamp":946681200,` + jsonWho + `"ok","temperature":39.9,"utilization":null,"memory_used":null,"memory_total":null,` +
			`"memory_utilization":null,"core_clock":null,"memory_clock":null,"power_usage":null,"fan_speed":null` + jsonEnd
		json90 = `{"timestamp":946684710,` + jsonWho + `"ok","temperature":41,"utilization":99.9,"memory_used":1536.1,"memory_total":16368,` +
			`"memory_utilization":9.4,"core_clock":2011,"memory_clock":456,"power_usage":32.7,"fan_speed":0` + jsonEnd
		json60 = `{"timestamp":946684739.5,` + jsonWho + `"partial","temperature":-1.5,"utilization":null,"memory_used":null,"memory_total":null,` +
			`"memory_utilization":null,"core_clock":null,"memory_clock":null,"power_usage":33.2,"fan_speed":null` + jsonEnd
		json1 = `{"timestamp":946684799,` + jsonWho + `"ok","temperature":42.2,"utilization":0,"memory_used":null,"memory_total":null,` +
			`"memory_utilization":null,"core_clock":null,"memory_clock":null,"power_usage":null,"fan_speed":null` + jsonEnd
		jsonB = `{"timestamp":946684705,"gpu":"0000:0b:00.0","name":null,"state":"ok","temperature":71,"utilization":null,"memory_used":null,` +
			`"memory_total":null,"memory_utilization":null,"core_clock":null,"memory_clock":null,"power_usage":null,"fan_speed":null,` +
			`"driver_version":null,"monitoring_method":null}`

		legacy90 = `{"timestamp":946684710.000000,"utilization":99.9,"temperature":41.0,"memory_utilization":9.4}`
		legacy60 = `{"timestamp":946684739.500000,"utilization":0.0,"temperature":-1.5,"memory_utilization":0.0}`
		legacy1  = `{"timestamp":946684799.000000,"utilization":0.0,"temperature":42.2,"memory_utilization":0.0}`
	)
	list := func(objects ...string) string { return `{"history":[` + strings.Join(objects, ",") + `]}` }
	fault := func(kind, parameter, text, input string) string {
		return `{"type":"` + kind + `","loc":["query","` + parameter + `"],"msg":"` + text + `","input":"` + input +
			`","url":"https://errors.pydantic.dev/2.4/v/` + kind + `"}`
	}
	refused := func(faults ...string) string { return `{"detail":[` + strings.Join(faults, ",") + `]}` }
	format := func(input string) string {
		return fault("literal_error", "format", "Input should be 'csv' or 'json'", input)
	}
	datetime := func(parameter, input string) string {
		return fault("datetime_parsing", parameter, "Input should be a valid datetime, in Unix seconds or as 2026-11-25T19:00:00Z", input)
	}
	delta := func(input string) string {
		return fault("time_delta_parsing", "step", "Input should be a valid timedelta, in seconds or as 1m30s", input)
	}

	s := fleet(status(cardA, collector.StateOK, true, at), status(cardB, collector.StateOK, true, at))
	h := serve(t, New(Options{Source: always(s), Store: store, Interval: time.Second}))
	for _, c := range []struct {
		query string
		want  string // the body; its first sign says of which type it is
	}{
		// The old form, as long as neither a time nor a step is named.
		{"", list(legacy90, legacy60, legacy1)}, {"minutes=1", list(legacy1)}, {"minutes=0", list()}, {"format=json", list(legacy90, legacy60, legacy1)},
		{"From=1&STEP=x", list(legacy90, legacy60, legacy1)},

		// CSV: all columns.
		{"format=csv", head + csv90 + csv60 + csv1}, {"format=csv&minutes=60", head + csv3600 + csv90 + csv60 + csv1},
		{"format=csv&minutes=1", head + csv1}, {"format=csv&minutes=0", head}, {"format=csv&minutes=-3", head},
		{"format=json&format=csv&minutes=1", head + csv1}, {"format=csv&gpu=1", head + csvB}, {"format=csv&gpu=gpu-BB", head + csvB},

		// From is in it, to is not. What is not named: ten minutes, or as many as are said, before to; to is now.
		{"from=946684710", list(json90, json60, json1)}, {"from=946684710.000001", list(json60, json1)},
		{"from=946684710&to=946684799", list(json90, json60)}, {"to=946684799", list(json90, json60)}, {"to=946684799.5", list(json90, json60, json1)},
		{"to=946684799&minutes=1", list(json60)}, {"to=946684800&minutes=0", list()}, {"from=946684739.5&minutes=0", list(json60, json1)},
		{"from=1999-12-31T23:58:30Z&to=1999-12-31T23:58:59Z", list(json90)},
		{"from=2000-01-01T00:58:30%2B01:00&to=2000-01-01T00:58:59+01:00", list(json90)}, // escaped and not
		{"from=0&format=csv", head + csv3600 + csv90 + csv60 + csv1}, {"from=-5&to=946684710", list(json3600)},
		{"from=946684700&gpu=1", list(jsonB)}, {"from=946684799&from=946684739", list(json60, json1)},
		{"from=0000-01-01T00:00:00Z&to=9999-12-31T23:59:59Z&format=csv", head + csv3600 + csv90 + csv60 + csv1},

		// Reversed, equal, nothing there.
		{"from=946684799&to=946684710", list()}, {"from=946684710&to=946684710", list()}, {"from=946684799&to=946684710&format=csv", head},
		{"from=946684801", list()}, {"from=946684740&to=946684790&format=csv", head}, {"from=946684710&to=946684710&format=csv&step=1m", spreadHead},

		// The interval is 1 s: a step of it has no spread, a longer one has. Ends that lie within a step.
		{"step=1", list(json90, strings.Replace(json60, "739.5", "739", 1), json1)},
		{"step=60s&format=csv", spreadHead +
			"946684680.000," + whoA + "partial,19.8,-1.5,41,99.9,99.9,99.9,1536.1,1536.1,1536.1,16368,16368,16368,9.4,9.4,9.4,2011,2011,2011,456,456,456,33,32.7,33.2,0,0,0,6.1,sysfs\n" +
			"946684740.000," + whoA + "ok,42.2,42.2,42.2,0,0,0,,,,,,,,,,,,,,,,,,,,,,6.1,sysfs\n"},
		{"step=1m&from=946684711&to=946684740", list(`{"timestamp":946684680,` + jsonWho + `"partial","temperature":-1.5,"temperature_min":-1.5,"temperature_max":-1.5,` +
			`"utilization":null,"utilization_min":null,"utilization_max":null,"memory_used":null,"memory_used_min":null,"memory_used_max":null,` +
			`"memory_total":null,"memory_total_min":null,"memory_total_max":null,` +
			`"memory_utilization":null,"memory_utilization_min":null,"memory_utilization_max":null,` +
			`"core_clock":null,"core_clock_min":null,"core_clock_max":null,"memory_clock":null,"memory_clock_min":null,"memory_clock_max":null,` +
			`"power_usage":33.2,"power_usage_min":33.2,"power_usage_max":33.2,"fan_speed":null,"fan_speed_min":null,"fan_speed_max":null` + jsonEnd)},

		// What is wrong is told, all of it, in this order, before anything else is looked at.
		{"format=xml", refused(format("xml"))}, {"format=", refused(format(""))}, {"format=CSV", refused(format("CSV"))}, {"format", refused(format(""))},
		{"format=csv&format=%22%0a", refused(format(`\"\n`))}, {"from=", refused(datetime("from", ""))}, {"from=yesterday", refused(datetime("from", "yesterday"))},
		{"to=1e9", refused(datetime("to", "1e9"))}, {"to=2026-11-25", refused(datetime("to", "2026-11-25"))},
		{"from=1&from=x", refused(datetime("from", "x"))}, {"step=", refused(delta(""))}, {"step=day", refused(delta("day"))},
		{"step=0", refused(fault("greater_than_equal", "step", "Input should be greater than or equal to 1 second", "0"))},
		{"step=-5s", refused(fault("greater_than_equal", "step", "Input should be greater than or equal to 1 second", "-5s"))},
		{"step=721h", refused(fault("less_than_equal", "step", "Input should be less than or equal to 30 days", "721h"))},
		{"step=x&to=x&from=x&format=x&minutes=x&gpu=x", refused(
			fault("int_parsing", "minutes", "Input should be a valid integer, unable to parse string as an integer", "x"),
			format("x"), datetime("from", "x"), datetime("to", "x"), delta("x"))},
		{"format=csv&gpu=x", noGPU}, {"from=1&gpu=2", noGPU},
	} {
		code, kind := 200, "application/json"
		switch {
		case strings.HasPrefix(c.want, "timestamp,"):
			kind = "text/csv; charset=utf-8"
		case strings.HasPrefix(c.want, `{"detail":[`):
			code = 422
		case strings.HasPrefix(c.want, `{"detail":`):
			code = 404
		}
		w := httptest.NewRecorder()
		synctest.Test(t, func(*testing.T) { h.ServeHTTP(w, httptest.NewRequest("GET", "/gpu/history?"+c.query, nil)) })
		if got := w.Body.String(); w.Code != code || w.Header().Get("Content-Type") != kind || w.Header().Get("Cache-Control") != "no-store" || got != c.want {
			t.Errorf("?%s: got %d %v\n%s\nwant %d %s\n%s", c.query, w.Code, w.Header(), got, code, kind, c.want)
		}
	}
}

// Without a GPU there is nothing, in the form that was asked for.
func TestHistoryWithoutGPU(t *testing.T) {
	for query, want := range map[string]string{
		"": `{"history":[]}`, "?from=0": `{"history":[]}`, "?format=csv": string(AppendCSVHeader(nil)), "?gpu=0": noGPU,
	} {
		for _, s := range []*collector.Snapshot{nil, fleet()} {
			w := httptest.NewRecorder()
			serve(t, newAPI(always(s))).ServeHTTP(w, httptest.NewRequest("GET", "/gpu/history"+query, nil))
			if got := w.Body.String(); got != want {
				t.Errorf("%q: got %s, want %s", query, got, want)
			}
		}
	}
}

// A step that is no longer than the time between entries has one each: min and max would only repeat the mean.
func TestHistorySpread(t *testing.T) {
	for _, c := range []struct {
		interval time.Duration // 0: on demand
		step     string
		spread   bool
	}{
		{time.Second, "1s", false}, {time.Second, "1001ms", true}, {500 * time.Millisecond, "1s", true}, {0, "1s", false}, {0, "1500ms", true},
		{5 * time.Second, "5s", false}, {5 * time.Second, "2s", false}, {5 * time.Second, "6s", true}, {5 * time.Minute, "1m", false},
	} {
		s := fleet(status(cardA, collector.StateOK, true, at))
		h := serve(t, New(Options{Source: still{latest: s, fresh: s}, Store: taped(), Interval: c.interval}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/gpu/history?format=csv&step="+c.step, nil))
		if got := strings.Contains(w.Body.String(), "temperature,temperature_min,temperature_max,utilization,"); got != c.spread {
			t.Errorf("interval %v, step %s: %v", c.interval, c.step, got)
		}
	}
}

// seconds is a tape of cardA, an entry a second up to now, all with these values.
func seconds(n int, err error) tape {
	begin := time.Now().Add(-time.Duration(n) * time.Second)
	e := recordedAs(cardA.GPU, begin, collector.StateOK, map[int]float32{Temperature: 41.5, PowerUsage: 99.9})
	return tape{n: n, err: err, entry: func(i int) Entry {
		e := e
		e.At = begin.Add(time.Duration(i) * time.Second)
		return e
	}}
}

// A store that breaks in the middle must not look like the end, in any form.
func TestHistoryThatBreaksIsCutOff(t *testing.T) {
	for _, query := range []string{"?minutes=99999999", "?format=csv&minutes=99999999", "?from=0", "?from=0&step=1m"} {
		h := serve(t, New(Options{Source: always(fleet(status(cardA, collector.StateOK, true, at))), Interval: time.Second,
			Store: seconds(10_000, errors.New("the disk is gone"))}))
		server := httptest.NewServer(h)
		answer, err := http.Get(server.URL + "/gpu/history" + query)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(text) == 0 {
			t.Errorf("%s: %v after %d bytes", query, err, len(text))
		}
		server.Close()
	}
}

// slowConn gives at most a KiB at a time, and rests after it.
type slowConn struct {
	net.Conn
	rest time.Duration
}

func (c slowConn) Read(b []byte) (int, error) {
	time.Sleep(c.rest)
	return c.Conn.Read(b[:min(len(b), 1024)])
}

// onPipes serves a long history with the limit that the server has in listen.go, and connects a client that has asked for it.
func onPipes(t *testing.T) (client net.Conn, ended <-chan struct{}) {
	t.Helper()
	h := serve(t, New(Options{Source: always(fleet(status(cardA, collector.StateOK, true, time.Now()))), Interval: time.Second, Store: seconds(5_000, nil)}))
	done := make(chan struct{})
	server := &http.Server{WriteTimeout: 2 * time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		h.ServeHTTP(w, r)
	})}
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(p) // ErrServerClosed
	}()
	client, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close(); <-served })
	if _, err := io.WriteString(client, "GET /gpu/history?format=csv&from=0 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return client, done
}

func TestSlowReaderGetsAllOfTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := onPipes(t)
		begun := time.Now()
		answer, err := http.ReadResponse(bufio.NewReaderSize(slowConn{client, 3 * time.Second}, 1024), nil)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := csv.NewReader(answer.Body).ReadAll()
		took := time.Since(begun)
		if err != nil || len(lines) != 5001 || took < 10*time.Minute {
			t.Errorf("%d lines in %v, %v", len(lines), took, err)
		}
	})
}

func TestReaderThatStopsIsCutOff(t *testing.T) {
	for _, pieces := range []int{0, 1, 5} {
		synctest.Test(t, func(t *testing.T) {
			client, ended := onPipes(t)
			if _, err := io.CopyN(io.Discard, client, int64(1000+pieces*flushAt)); err != nil {
				t.Fatal(err)
			}
			stopped := time.Now()
			select {
			case <-ended:
			case <-time.After(time.Hour):
				t.Fatal("it waits for ever")
			}
			if waited := time.Since(stopped); waited != time.Minute {
				t.Errorf("after %d pieces: waited %v", pieces, waited)
			}
			if _, err := io.Copy(io.Discard, client); err != nil {
				t.Errorf("after %d pieces: the connection was not closed: %v", pieces, err)
			}
		})
	}
}

// nobody takes an answer and keeps nothing of it.
type nobody struct{ bytes int }

func (*nobody) Header() http.Header           { return http.Header{} }
func (*nobody) WriteHeader(int)               {}
func (n *nobody) Write(b []byte) (int, error) { n.bytes += len(b); return len(b), nil }

// However long the range: what lives at each hour of it is what lived at the first.
func TestHistoryOfADayTakesTheMemoryOfAnHour(t *testing.T) {
	const hour, limit = 3600, 128 << 10
	for _, query := range []string{"minutes=1500", "minutes=1500&format=csv", "from=0", "from=0&step=10s", "from=0&step=7s&format=csv"} {
		var live []uint64
		store := seconds(24*hour, nil)
		entry := store.entry
		store.entry = func(i int) Entry {
			if i%hour == hour-1 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				live = append(live, m.HeapAlloc)
			}
			return entry(i)
		}
		a := New(Options{Source: always(fleet(status(cardA, collector.StateOK, true, at))), Interval: time.Second, Store: store})
		var w nobody
		a.serveHistory(&w, httptest.NewRequest("GET", "/gpu/history?"+query, nil))
		if len(live) != 24 || w.bytes < 10*limit {
			t.Fatalf("%s: %d hours, %d bytes", query, len(live), w.bytes)
		}
		for i, bytes := range live {
			if bytes > live[0]+limit {
				t.Errorf("%s: %d bytes live in hour %d, %d in the first", query, bytes, i+1, live[0])
			}
		}
	}
}

func BenchmarkHistoryRoute(b *testing.B) {
	for _, query := range []string{"minutes=60", "minutes=60&format=csv", "from=0", "from=0&step=1m"} {
		for _, hours := range []int{1, 24} {
			b.Run(fmt.Sprintf("%s/%dh", query, hours), func(b *testing.B) {
				a := New(Options{Source: always(fleet(status(cardA, collector.StateOK, true, at))), Interval: time.Second, Store: seconds(3600*hours, nil)})
				r := httptest.NewRequest("GET", "/gpu/history?"+strings.Replace(query, "60", fmt.Sprint(60*hours), 1), nil)
				b.ReportAllocs()
				for b.Loop() {
					a.serveHistory(&nobody{}, r)
				}
			})
		}
	}
}
