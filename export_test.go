package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/compat"
	"gpu_exporter/internal/await"
)

// fakePast is a store with two GPUs, which a running exporter may have too.
type fakePast struct {
	infos   []collector.Info
	entries []compat.Entry
	skipped int
	err     error // after the entries
}

func (p *fakePast) GPUs() []collector.Info      { return p.infos }
func (p *fakePast) Skipped() int                { return p.skipped }
func (p *fakePast) Close() error                { return nil }
func (p *fakePast) Append([]compat.Entry) error { return nil }
func (p *fakePast) Forget(string)               {}

func (p *fakePast) Range(gpu string, from, to time.Time) iter.Seq2[compat.Entry, error] {
	return func(yield func(compat.Entry, error) bool) {
		for _, e := range p.entries {
			if e.GPU == gpu && !e.At.Before(from) && e.At.Before(to) && !yield(e, nil) {
				return
			}
		}
		if p.err != nil {
			yield(compat.Entry{}, p.err)
		}
	}
}

func newFakePast() *fakePast {
	p := &fakePast{infos: []collector.Info{
		{GPU: "0000:0b:00.0", UUID: "GPU-bb", Name: `second, "new"`, Source: "nvml"}, {GPU: "0000:0a:00.0", Name: "first", DriverVersion: "6.1", Source: "sysfs"},
	}}
	for i := range 1000 { // more than one piece of an answer
		for g, info := range p.infos {
			e := compat.Entry{GPU: info.GPU, At: time.UnixMilli(1795633304_250 + int64(i)*1000), State: collector.StateOK}
			for c := range e.Values {
				e.Values[c] = float32((i+c+g)%100) / 10
			}
			e.Values[i%len(e.Values)] = float32(math.NaN())
			if i%10 == 0 {
				e.State = collector.StatePartial
			}
			p.entries = append(p.entries, e)
		}
	}
	return p
}

// fixed is a Source that has one snapshot, for ever.
type fixed struct{ *collector.Snapshot }

func (f fixed) Latest() *collector.Snapshot                          { return f.Snapshot }
func (f fixed) Fresh(context.Context) *collector.Snapshot            { return f.Snapshot }
func (f fixed) Subscribe(context.Context) <-chan *collector.Snapshot { return nil }

// serves is a running exporter with that past.
func serves(t *testing.T, p *fakePast) (base string) {
	t.Helper()
	s := &collector.Snapshot{Default: len(p.infos) - 1}
	for i, info := range p.infos {
		s.Devices = append(s.Devices, collector.Status{Info: info, Index: i, Up: true})
	}
	var routes []compat.Route
	routes = append(routes, compat.New(compat.Options{Source: fixed{s}, Interval: time.Second, Store: p}).Routes()...)
	handler, err := compat.Front(routes, compat.FrontOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func opens(p *fakePast) openPast { return func(string) (pastFile, error) { return p, nil } }

func fails(err error) openPast { return func(string) (pastFile, error) { return nil, err } }

// nowhere is where nobody listens.
const nowhere = "http://127.0.0.1:1"

// exported runs the command.
func exported(t *testing.T, e exportOptions, open openPast, args ...string) (out, complaint string, status int) {
	t.Helper()
	if e.format == "" {
		e.format = compat.FormatCSV
	}
	if e.url == "" {
		e.url = nowhere
	}
	_, o := parsed(t, args...)
	stdout, stderr := newOutput(), newOutput()
	status = export(t.Context(), o, &e, open, program{out: stdout, err: stderr})
	return stdout.String(), stderr.String(), status
}

// The store says the same as the exporter that has locked it, whatever is asked for.
func TestExportOfStoreAndOfRunningExporter(t *testing.T) {
	past := newFakePast()
	base := serves(t, past)
	const csvHead = "timestamp,gpu,name,state,temperature,"
	for name, c := range map[string]struct {
		e     exportOptions
		lines int
		begin string
	}{
		"all":        {exportOptions{}, 2001, csvHead + "utilization,"},
		"all, json":  {exportOptions{format: "json"}, 2000, `{"timestamp":1795633304.25,"gpu":"0000:0b:00.0","name":"second, \"new\"","state":"partial","temperature":null,`},
		"one":        {exportOptions{gpu: "gpu-BB", format: "json"}, 1000, `{"timestamp":1795633304.25,"gpu":"0000:0b:00.0",`},
		"by index":   {exportOptions{gpu: "1", format: "json"}, 1000, `{"timestamp":1795633304.25,"gpu":"0000:0a:00.0",`},
		"from":       {exportOptions{from: time.UnixMilli(1795633314_250), format: "json"}, 2 * 990, `{"timestamp":1795633314.25,`},
		"from to":    {exportOptions{from: time.UnixMicro(1795633314_250_001), to: time.Unix(1795633324, 0)}, 1 + 2*9, csvHead + "utilization,"},
		"reversed":   {exportOptions{from: time.Unix(1795633324, 0), to: time.Unix(1795633314, 0)}, 1, csvHead + "utilization,"},
		"to":         {exportOptions{to: time.Unix(0, 0), format: "json"}, 0, ""},
		"step":       {exportOptions{step: time.Minute}, 1 + 2*18, csvHead + "temperature_min,temperature_max,utilization,"},
		"short step": {exportOptions{step: time.Second}, 1 + 2*1000, csvHead + "utilization,"},
		"step, json": {exportOptions{step: 90 * time.Second, format: "json"}, 2 * 12, `{"timestamp":1795633290,"gpu":"0000:0b:00.0","name":"second, \"new\"","state":"partial","temperature":`},
	} {
		out, complaint, status := exported(t, c.e, opens(past))
		if status != 0 || complaint != "" || strings.Count(out, "\n") != c.lines || !strings.HasPrefix(out, c.begin) {
			t.Errorf("%s: status %d, error %q, %d lines\n%.300s", name, status, complaint, strings.Count(out, "\n"), out)
		}
		c.e.url = base
		asked, complaint, status := exported(t, c.e, fails(compat.ErrLocked))
		if status != 0 || !oneLine(complaint) || !strings.Contains(complaint, compat.ErrLocked.Error()) || !strings.Contains(complaint, "asking "+base) {
			t.Errorf("%s: asked: status %d, error %q", name, status, complaint)
		}
		if asked != out {
			t.Errorf("%s: the running exporter says\n%.300s\nand the store\n%.300s", name, asked, out)
		}
	}
}

// A step that is no longer than the time between readings has no spread.
func TestExportHeedsTheInterval(t *testing.T) {
	for interval, spread := range map[string]bool{"1s": true, "5s": false, "0": true} {
		out, _, status := exported(t, exportOptions{step: 5 * time.Second}, opens(newFakePast()), "--polling.interval="+interval)
		if status != 0 || strings.Contains(out, ",temperature_min,") != spread {
			t.Errorf("interval %s: status %d, %.100s", interval, status, out)
		}
	}
}

func TestExportWithoutGPUs(t *testing.T) {
	base := serves(t, &fakePast{})
	for format, want := range map[string]string{"csv": string(compat.AppendCSVHeader(nil)), "json": ""} {
		if out, complaint, status := exported(t, exportOptions{format: format}, opens(&fakePast{})); status != 0 || complaint != "" || out != want {
			t.Errorf("%s: status %d, error %q, output %q", format, status, complaint, out)
		}
		if out, complaint, status := exported(t, exportOptions{format: format, url: base}, fails(compat.ErrLocked)); status != 0 || out != want {
			t.Errorf("%s: asked: status %d, error %q, output %q", format, status, complaint, out)
		}
	}
}

// When a running exporter is asked, and what is said where there is none.
func TestExportAsksOnlyWhoCanKnow(t *testing.T) {
	missing := &fs.PathError{Op: "open", Path: "history.db", Err: fs.ErrNotExist}
	denied := &fs.PathError{Op: "open", Path: "history.db", Err: fs.ErrPermission}
	damaged := errors.New("is damaged")
	const given, memory = "--history.path=/backup", "--history.store=memory"
	base := serves(t, newFakePast())
	for name, c := range map[string]struct {
		err  error
		args []string
		asks bool
		say  string
	}{
		"locked":               {fmt.Errorf("history.db: %w", compat.ErrLocked), nil, true, compat.ErrLocked.Error()},
		"locked, named":        {compat.ErrLocked, []string{given}, true, compat.ErrLocked.Error()},
		"none by default":      {missing, nil, true, "not exist"},
		"another's by default": {denied, nil, true, "permission denied"},
		"none, named":          {missing, []string{given}, false, "open history.db: file does not exist"},
		"another's, named":     {denied, []string{given}, false, "permission denied"},
		"damaged":              {damaged, nil, false, "is damaged"},
		"in memory":            {nil, []string{memory}, true, "--history.store"},
		"in memory, named":     {nil, []string{memory, given}, true, "--history.store"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CACHE_DIRECTORY", t.TempDir())
			out, complaint, status := exported(t, exportOptions{}, fails(c.err), c.args...)
			lines := strings.Split(strings.TrimSuffix(complaint, "\n"), "\n")
			last := lines[len(lines)-1]
			if status != 1 || out != "" || !strings.HasPrefix(last, "gpu_exporter: error: ") || !strings.Contains(last, c.say) ||
				strings.Contains(last, nowhere) != c.asks || (len(lines) == 2) != c.asks {
				t.Errorf("nobody there: status %d, error %q, output %q", status, complaint, out)
			}
			_, complaint, status = exported(t, exportOptions{url: base}, fails(c.err), c.args...)
			if (status == 0) != c.asks || !oneLine(complaint) || !strings.Contains(complaint, c.say) {
				t.Errorf("running: status %d, error %q", status, complaint)
			}
		})
	}
}

func TestExportFails(t *testing.T) {
	past := newFakePast()
	broken := &fakePast{infos: past.infos, entries: past.entries, err: errors.New("the disk is gone")}
	for name, c := range map[string]struct {
		e    exportOptions
		open openPast
		say  string
	}{
		"unknown GPU":             {exportOptions{gpu: "7"}, opens(past), `no GPU "7"`},
		"unknown GPU, asked":      {exportOptions{gpu: "7", url: serves(t, past)}, fails(compat.ErrLocked), `404 Not Found: {"detail":"GPU not found"}`},
		"broken store":            {exportOptions{}, opens(broken), "the disk is gone"},
		"broken store, asked":     {exportOptions{url: serves(t, broken)}, fails(compat.ErrLocked), "unexpected EOF"},
		"broken store, json":      {exportOptions{url: serves(t, broken), format: "json"}, fails(compat.ErrLocked), "unexpected EOF"},
		"no URL":                  {exportOptions{url: "localhost:5009"}, fails(compat.ErrLocked), "--url=localhost:5009: write a URL such as http://localhost:5009"},
		"no folder for the file":  {exportOptions{out: "/nonexistent/x.csv"}, opens(past), "--out"},
		"two reasons in one line": {exportOptions{}, fails(errors.Join(errors.New("one"), errors.New("two"))), "one; two"},
	} {
		_, complaint, status := exported(t, c.e, c.open)
		lines := strings.Split(strings.TrimSuffix(complaint, "\n"), "\n")
		if last := lines[len(lines)-1]; status != 1 || !strings.Contains(last, c.say) || !strings.HasPrefix(last, "gpu_exporter: error: ") {
			t.Errorf("%s: status %d, error %q; want %q", name, status, complaint, c.say)
		}
	}
}

// What answers at --url need not be an exporter, or not one of this version.
func TestExportOfForeignAnswers(t *testing.T) {
	const list = `{"gpus":[{"gpu":"a"},{"gpu":"b"}]}`
	text := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		gpus, history http.HandlerFunc
		format        string
		say           string
	}{
		"the old service":          {text(404, `{"detail":"Not Found"}`), nil, "csv", `/gpus: answers 404 Not Found: {"detail":"Not Found"}`},
		"a password":               {text(401, "Unauthorized\n"), nil, "csv", "answers 401 Unauthorized, write the name and the password into --url"},
		"a page":                   {text(200, "<html>"), nil, "csv", "invalid character"},
		"no CSV":                   {text(200, list), text(200, `{"history":[]}`), "csv", "answers no CSV of a gpu_exporter"},
		"an empty CSV":             {text(200, list), text(200, ""), "csv", "answers no CSV"},
		"an endless line":          {text(200, list), text(200, "timestamp,gpu,"+strings.Repeat("x", 1<<20)), "csv", "answers no CSV"},
		"no JSON":                  {text(200, list), text(200, "timestamp,gpu\n"), "json", "invalid character"},
		"no history":               {text(200, list), text(200, `{"other":[]}`), "json", "answers no history"},
		"no list":                  {text(200, list), text(200, `{"history":5}`), "json", "answers no history"},
		"half a list":              {text(200, list), text(200, `{"history":[{"a":1},`), "json", "EOF"},
		"a list that does not end": {text(200, list), text(200, `{"history":[{"a":1}]`), "json", "EOF"},
		"other columns": {text(200, list), func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "timestamp,gpu,"+r.URL.Query().Get("gpu")+"\n")
		}, "csv", "changed its columns meanwhile"},
		"an old exporter": {text(200, list), text(422, `{"detail":[]}`), "csv", `answers 422 Unprocessable Entity: {"detail":[]}`},
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("/gpus", c.gpus)
		if c.history != nil {
			mux.HandleFunc("/gpu/history", c.history)
		}
		server := httptest.NewServer(mux)
		_, complaint, status := exported(t, exportOptions{url: server.URL, format: c.format}, fails(compat.ErrLocked))
		if status != 1 || !strings.Contains(complaint, c.say) || strings.Count(complaint, "\n") != 2 {
			t.Errorf("%s: status %d, error %q; want %q", name, status, complaint, c.say)
		}
		server.Close()
	}
}

// The password of a URL is used, and shown nowhere.
func TestExportWithAPassword(t *testing.T) {
	inner := serves(t, newFakePast())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != "jarvis" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer, err := http.Get(inner + r.URL.RequestURI())
		if err != nil {
			t.Error(err)
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(w, answer.Body)
	}))
	defer server.Close()
	for password, want := range map[string]int{"secret": 0, "hunter2": 1} {
		url := strings.Replace(server.URL, "://", "://jarvis:"+password+"@", 1)
		_, complaint, status := exported(t, exportOptions{url: url}, fails(compat.ErrLocked))
		if status != want || strings.Contains(complaint, password) {
			t.Errorf("status %d, error %q", status, complaint)
		}
	}
}

// An exporter that stops in the middle of its answer is not waited for.
func TestExportOfASilentExporter(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "timestamp,gpu,\n1,")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	r, err := newRunning(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	r.silence = 20 * time.Millisecond
	if err := r.export(t.Context(), io.Discard, &exportOptions{format: "csv", gpu: "0"}); err == nil || !strings.Contains(err.Error(), "nothing came for 20ms") {
		t.Errorf("got %v", err)
	}
}

// The file is whole or as it was.
func TestExportOut(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "day.csv")
	write(t, path, "old")
	past := newFakePast()
	broken := &fakePast{infos: past.infos, entries: past.entries, err: errors.New("the disk is gone")}
	for _, c := range []struct {
		open   openPast
		url    string
		status int
		begin  string
	}{
		{opens(broken), nowhere, 1, "old"}, {fails(compat.ErrLocked), serves(t, broken), 1, "old"}, {opens(past), nowhere, 0, "timestamp,"},
		{fails(compat.ErrLocked), serves(t, past), 0, "timestamp,"},
	} {
		out, complaint, status := exported(t, exportOptions{out: path, url: c.url}, c.open)
		got, err := os.ReadFile(path)
		if err != nil || status != c.status || out != "" || !strings.HasPrefix(string(got), c.begin) {
			t.Errorf("status %d, error %q, output %q, file %.20q, %v", status, complaint, out, got, err)
		}
		if names := files(t, dir); !slices.Equal(names, []string{"day.csv"}) {
			t.Errorf("left %q", names)
		}
	}
}

// What a damaged file has left is exported, and that it is not all is said.
func TestExportOfADamagedFile(t *testing.T) {
	past := newFakePast()
	past.skipped = 3
	out, complaint, status := exported(t, exportOptions{}, opens(past))
	if status != 0 || strings.Count(out, "\n") != 2001 || complaint != "gpu_exporter: 3 parts of the history cannot be read and are left out\n" {
		t.Errorf("status %d, error %q, %d lines", status, complaint, strings.Count(out, "\n"))
	}
}

// The real file: what was recorded into it, while an exporter has it open and after.
func TestExportOfARealFile(t *testing.T) {
	want, folder := newFakePast(), t.TempDir()
	for i, e := range want.entries { // a file forgets what is old
		want.entries[i].At = e.At.Add(time.Since(time.Unix(1795633304, 0)).Truncate(time.Second) - time.Hour)
	}
	file := compat.NewFile(compat.FileOptions{Path: folder, Retention: 24 * time.Hour, Flush: time.Hour})
	for i, info := range want.infos {
		file.Describe(info, i)
	}
	if err := file.Append(want.entries); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(await.Patience); ; {
		r, err := compat.OpenReadOnly(folder)
		if errors.Is(err, compat.ErrLocked) {
			break
		}
		if err == nil {
			err = r.Close()
		}
		if time.Now().After(late) {
			t.Fatalf("the file is not opened: %v", err)
		}
	}
	all, _, _ := exported(t, exportOptions{}, opens(want))
	args := []string{"--history.path=" + folder}
	for _, base := range []string{serves(t, want), nowhere} {
		out, complaint, status := exported(t, exportOptions{url: base}, openPastFile, args...)
		if served := base != nowhere; served != (status == 0) || served != (out == all) || !strings.Contains(complaint, "history.db: "+compat.ErrLocked.Error()) {
			t.Errorf("open: status %d, error %q, output %.300q", status, complaint, out)
		}
	}
	if err := file.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, complaint, status := exported(t, exportOptions{}, openPastFile, args...)
	if status != 0 || complaint != "" || out != all {
		t.Errorf("closed: status %d, error %q, output\n%.300s\nwant\n%.300s", status, complaint, out, all)
	}
	_, complaint, status = exported(t, exportOptions{}, openPastFile, "--history.path="+t.TempDir())
	if status != 1 || !oneLine(complaint) || !strings.Contains(complaint, "history.db") {
		t.Errorf("nothing there: status %d, error %q", status, complaint)
	}
}

func TestExportInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	past := newFakePast()
	for name, open := range map[string]openPast{"store": opens(past), "asked": fails(compat.ErrLocked)} {
		stderr := newOutput()
		_, o := parsed(t)
		status := export(ctx, o, &exportOptions{format: "csv", url: serves(t, past)}, open, program{out: io.Discard, err: stderr})
		if status != 1 || !strings.HasSuffix(stderr.String(), "gpu_exporter: error: interrupted\n") {
			t.Errorf("%s: status %d, error %q", name, status, stderr)
		}
	}
}
