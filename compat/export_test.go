package compat

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// Which GPUs and times are in an export, in which order and form.
func TestExport(t *testing.T) {
	gpus := []collector.Info{cardB, cardA} // by index
	store := taped(
		recordedAs(cardA.GPU, time.Unix(10, 0), collector.StateOK, map[int]float32{Temperature: 1}),
		recordedAs(cardB.GPU, time.Unix(11, 0), collector.StateOK, map[int]float32{Temperature: 2}),
		recordedAs(cardA.GPU, time.Unix(12, 0), collector.StatePartial, map[int]float32{FanSpeed: 30}),
		recordedAs("0000:0c:00.0", time.Unix(13, 0), collector.StateOK, nil), // of no GPU that is named
		recordedAs(cardB.GPU, time.Unix(14, 0), collector.StateOK, nil),
	)
	head := string(AppendCSVHeader(nil))
	const (
		a10 = "10.000,0000:0a:00.0,\"Card \"\"A\"\", 16 GB\",ok,1,,,,,,,,,6.1,sysfs\n"
		a12 = "12.000,0000:0a:00.0,\"Card \"\"A\"\", 16 GB\",partial,,,,,,,,,30,6.1,sysfs\n"
		b11 = "11.000,0000:0b:00.0,,ok,2,,,,,,,,,,\n"
		b14 = "14.000,0000:0b:00.0,,ok,,,,,,,,,,,\n"

		unknown = `"utilization":null,"memory_used":null,"memory_total":null,"memory_utilization":null,"core_clock":null,"memory_clock":null,"power_usage":null,`
		lineB   = `{"timestamp":11,"gpu":"0000:0b:00.0","name":null,"state":"ok","temperature":2,` + unknown +
			`"fan_speed":null,"driver_version":null,"monitoring_method":null}` + "\n"
		lineA = `{"timestamp":12,"gpu":"0000:0a:00.0","name":"Card \"A\", 16 GB","state":"partial","temperature":null,` + unknown +
			`"fan_speed":30,"driver_version":"6.1","monitoring_method":"sysfs"}` + "\n"
	)
	for name, c := range map[string]struct {
		gpus []collector.Info
		o    ExportOptions
		want string
	}{
		"all":          {gpus, ExportOptions{Format: FormatCSV}, head + b11 + b14 + a10 + a12},
		"nothing":      {nil, ExportOptions{Format: FormatCSV}, head},
		"nothing json": {nil, ExportOptions{Format: FormatJSON}, ""},
		"by address":   {gpus, ExportOptions{Format: FormatCSV, GPU: "0000:0A:00.0"}, head + a10 + a12},
		"by uuid":      {gpus, ExportOptions{Format: FormatCSV, GPU: "gpu-bb"}, head + b11 + b14},
		"by index":     {gpus, ExportOptions{Format: FormatCSV, GPU: "1"}, head + a10 + a12},
		"from":         {gpus, ExportOptions{Format: FormatCSV, From: time.Unix(12, 0)}, head + b14 + a12},
		"to":           {gpus, ExportOptions{Format: FormatCSV, To: time.Unix(12, 0)}, head + b11 + a10},
		"reversed":     {gpus, ExportOptions{Format: FormatCSV, From: time.Unix(14, 0), To: time.Unix(10, 0)}, head},
		"json":         {gpus, ExportOptions{Format: FormatJSON, From: time.Unix(11, 0), To: time.Unix(13, 0)}, lineB + lineA},
		"short step":   {gpus, ExportOptions{Format: FormatCSV, Step: 2 * time.Second, Interval: 2 * time.Second, To: time.Unix(12, 0)}, head + strings.Replace(b11, "11.", "10.", 1) + a10},
		"long step": {gpus, ExportOptions{Format: FormatCSV, GPU: "0", Step: time.Minute, Interval: time.Second},
			strings.NewReplacer(",temperature", ",temperature,temperature_min,temperature_max", ",utilization", ",utilization,utilization_min,utilization_max",
				",memory_used", ",memory_used,memory_used_min,memory_used_max", ",memory_total", ",memory_total,memory_total_min,memory_total_max",
				",memory_utilization", ",memory_utilization,memory_utilization_min,memory_utilization_max", ",core_clock", ",core_clock,core_clock_min,core_clock_max",
				",memory_clock", ",memory_clock,memory_clock_min,memory_clock_max", ",power_usage", ",power_usage,power_usage_min,power_usage_max",
				",fan_speed", ",fan_speed,fan_speed_min,fan_speed_max").Replace(head) + "0.000,0000:0b:00.0,,ok,2,2,2" + strings.Repeat(",", 26) + "\n"},
	} {
		var text strings.Builder
		if err := Export(&text, store, c.gpus, c.o); err != nil || text.String() != c.want {
			t.Errorf("%s: %v, got\n%swant\n%s", name, err, &text, c.want)
		}
	}
}

// full is a writer that takes so many bytes.
type full struct{ left int }

var errFull = errors.New("no space left")

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestExportFails(t *testing.T) {
	gone := errors.New("the disk is gone")
	gpus := []collector.Info{cardA}
	for name, c := range map[string]struct {
		w     io.Writer
		store tape
		gpu   string
		want  error
		say   string
	}{
		"unknown GPU":      {io.Discard, taped(), "5", nil, `no GPU "5"`},
		"broken store":     {io.Discard, seconds(1000, gone), "", gone, cardA.GPU},
		"full at once":     {&full{0}, taped(), "", errFull, ""},
		"full in between":  {&full{20_000}, seconds(1000, nil), "", errFull, ""},
		"broken and short": {&full{20_000}, seconds(1, gone), "", gone, ""},
	} {
		err := Export(c.w, c.store, gpus, ExportOptions{Format: FormatCSV, GPU: c.gpu})
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A day of a card that is read once a second, as tenths. Each column has its own course, and some hours of which nothing is known.
const daySeconds = 24 * 3600

var dayBegin = time.UnixMilli(1795633304_718)

func dayTenths(second, column int) (tenths int, known bool) {
	if second/3600%7 == column%7 {
		return 0, false
	}
	tenths = (second*(column+3) + second/100) % 9999
	if column == MemoryTotal || column == MemoryUsed {
		tenths += 1_960_000 // 196,000 MiB
	}
	if columns[column].whole {
		tenths -= tenths % 10
	}
	return tenths, true
}

func dayState(second int) collector.State {
	if second%1000 < 3 {
		return collector.StatePartial
	}
	return collector.StateOK
}

func dayEntry(second int) Entry {
	e := recordedAs(cardA.GPU, dayBegin.Add(time.Duration(second)*time.Second), dayState(second), nil)
	for c := range columns {
		if tenths, ok := dayTenths(second, c); ok {
			e.Values[c] = float32(float64(tenths) / 10)
		}
	}
	return e
}

// dayFields are the keys of legacy-api.md 15.4 and what they are in a second of the day, as text; empty: not known.
var dayFields = func() []dayField {
	constant := func(s string) func(int) string { return func(int) string { return s } }
	fields := []dayField{
		{"timestamp", func(second int) string { return strconv.Itoa(1795633304+second) + ".718" }},
		{"gpu", constant(cardA.GPU)}, {"name", constant(cardA.Name)}, {"state", func(second int) string { return dayState(second).String() }},
	}
	for i, key := range [...]string{"temperature", "utilization", "memory_used", "memory_total", "memory_utilization", "core_clock",
		"memory_clock", "power_usage", "fan_speed"} {
		fields = append(fields, dayField{key, func(second int) string {
			tenths, ok := dayTenths(second, i)
			switch {
			case !ok:
				return ""
			case tenths%10 == 0:
				return strconv.Itoa(tenths / 10)
			}
			return strconv.Itoa(tenths/10) + "." + strconv.Itoa(tenths%10)
		}})
	}
	return append(fields, dayField{"driver_version", constant(cardA.DriverVersion)}, dayField{"monitoring_method", constant(cardA.Source)})
}()

type dayField struct {
	key  string
	want func(second int) string
}

// wantDay holds the day against what is read back, second by second; read gives the fields of one, up to io.EOF.
func wantDay(t *testing.T, name string, read func() ([]string, error)) {
	t.Helper()
	for second := 0; ; second++ {
		got, err := read()
		if err == io.EOF {
			if second != daySeconds {
				t.Errorf("%s: %d rows, want %d", name, second, daySeconds)
			}
			return
		}
		if err != nil || len(got) != len(dayFields) {
			t.Fatalf("%s: second %d: %v, %q", name, second, err, got)
		}
		for i, f := range dayFields {
			if want := f.want(second); got[i] != want {
				t.Fatalf("%s: %s of second %d is %q, want %q", name, f.key, second, got[i], want)
			}
		}
	}
}

// What was recorded in a day is what readers of CSV and of JSON find, from the command and from the route.
func TestExportOfADay(t *testing.T) {
	store := tape{n: daySeconds, entry: dayEntry}
	h := serve(t, New(Options{Source: always(fleet(status(cardA, collector.StateOK, true, at))), Interval: time.Second, Store: store}))
	ask := func(query string) []byte {
		w := httptest.NewRecorder()
		w.Body.Grow(daySeconds * 400)
		h.ServeHTTP(w, httptest.NewRequest("GET", "/gpu/history?from=0&to=9999999999&"+query, nil))
		return w.Body.Bytes()
	}
	export := func(format string) []byte {
		var text bytes.Buffer
		text.Grow(daySeconds * 400)
		if err := Export(&text, store, []collector.Info{cardA}, ExportOptions{Format: format}); err != nil {
			t.Fatal(err)
		}
		return text.Bytes()
	}

	text := export(FormatCSV)
	if !bytes.Equal(text, ask("format=csv")) {
		t.Error("the CSV of the route is another")
	}
	lines := csv.NewReader(bytes.NewReader(text))
	head, err := lines.Read()
	if err != nil || len(head) != len(dayFields) {
		t.Fatalf("%q, %v", head, err)
	}
	for i, f := range dayFields {
		if head[i] != f.key {
			t.Errorf("column %d is %s, want %s", i, head[i], f.key)
		}
	}
	lines.ReuseRecord = true
	wantDay(t, "csv", lines.Read)

	text = export(FormatJSON)
	list := bytes.ReplaceAll(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"), []byte(","))
	if !bytes.Equal(ask("format=json"), slices.Concat([]byte(`{"history":[`), list, []byte(`]}`))) {
		t.Error("the objects of the route are others")
	}
	objects := json.NewDecoder(bytes.NewReader(text))
	objects.UseNumber()
	wantDay(t, "json", func() ([]string, error) {
		var object map[string]any
		if err := objects.Decode(&object); err != nil {
			return nil, err
		}
		fields := make([]string, len(object))
		for i := range min(len(fields), len(dayFields)) {
			switch v, ok := object[dayFields[i].key]; {
			case !ok:
				fields[i] = "missing"
			case v != nil:
				fields[i] = fmt.Sprint(v)
			}
		}
		return fields, nil
	})
}

// A day costs as many allocations as an hour.
func TestExportAllocatesNothingARow(t *testing.T) {
	allocs := func(hours int, o ExportOptions) float64 {
		store := seconds(hours*3600, nil)
		return testing.AllocsPerRun(3, func() {
			if err := Export(io.Discard, store, []collector.Info{cardB, cardA}, o); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, o := range []ExportOptions{
		{Format: FormatCSV}, {Format: FormatJSON}, {Format: FormatCSV, Step: 10 * time.Second}, {Format: FormatJSON, Step: 10 * time.Second},
	} {
		if hour, day := allocs(1, o), allocs(24, o); day > hour+10 || day > 60 {
			t.Errorf("%s, step %v: %v allocations for an hour, %v for a day", o.Format, o.Step, hour, day)
		}
	}
}

func BenchmarkExport(b *testing.B) {
	for _, o := range []ExportOptions{{Format: FormatCSV}, {Format: FormatJSON}, {Format: FormatCSV, Step: time.Minute}} {
		for _, hours := range []int{1, 24} {
			b.Run(fmt.Sprintf("%s-%v/%dh", o.Format, o.Step, hours), func(b *testing.B) {
				store := seconds(hours*3600, nil)
				b.ReportAllocs()
				for b.Loop() {
					if err := Export(io.Discard, store, []collector.Info{cardA}, o); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
