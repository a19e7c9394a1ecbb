//go:build linux

package main

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// times are the timestamps of a history.
func times(t *testing.T, body string) (list []float64) {
	t.Helper()
	var h struct{ History []struct{ Timestamp float64 } }
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, e := range h.History {
		list = append(list, e.Timestamp)
	}
	return list
}

// recorded waits until some of the past is there.
func recorded(t *testing.T, s *subject) (body string) {
	t.Helper()
	await.Until(t, "three recorded readings", func() bool {
		body = s.get(t, "/gpu/history")
		return len(times(t, body)) >= 3
	})
	return body
}

func pastIsTold(t *testing.T, s *subject) {
	body := recorded(t, s)
	s.expect(t, "/gpu/history", bodyOf("/gpu/history"), body)
	list := times(t, body)
	oldest, newest := list[0], list[len(list)-1]
	if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Errorf("not oldest first, or one twice: %s", body)
	}
	// Not each step: a cycle may begin late, and the next one in time.
	if n := float64(len(list)); n > newest-oldest+2 {
		t.Errorf("%v entries in %v s, want one a second: %s", n, newest-oldest, body)
	}
	if end := float64(time.Now().UnixMicro()) / 1e6; newest > end {
		t.Errorf("an entry of the future: %f, now %f", newest, end)
	}
}

// takesMinutes checks values of minutes: the recorded past is told, which begins with the same entry in all answers.
func takesMinutes(queries ...string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		oldest := times(t, recorded(t, s))[0]
		for _, query := range queries {
			body := s.get(t, "/gpu/history"+query)
			s.expect(t, query, bodyOf("/gpu/history"), body)
			if list := times(t, body); len(list) < 3 || list[0] != oldest {
				t.Errorf("%s: not what was recorded since %f: %s", query, oldest, body)
			}
		}
	}
}

// noNumber is the body of a 422 about minutes.
func noNumber(kind, message, input string) string {
	return `{"detail":[{"type":"` + kind + `","loc":["query","minutes"],"msg":"` + message + `","input":"` + input +
		`","url":"https://errors.pydantic.dev/2.4/v/` + kind + `"}]}`
}

const (
	unparsable = "Input should be a valid integer, unable to parse string as an integer"
	tooLong    = "Unable to parse input string as an integer, exceeded maximum size"
)

// noMinutes are texts that are no number. Each is sent with all escaped that can be.
func noMinutes(inputs ...string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		for _, input := range inputs {
			s.exchange(t, exchange{"GET", "/gpu/history?minutes=" + escaped(input), []string{"Origin", "null"}, 422,
				noNumber("int_parsing", unparsable, input), []string{"Content-Type", "application/json", acaOrigin, "*"}})
		}
	}
}

// either are queries that may be answered in either way.
func either(queries ...string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		for _, query := range queries {
			if a := s.ask(t, http.MethodGet, "/gpu/history"+query); a.StatusCode != 200 && a.StatusCode != 422 {
				t.Errorf("%s: %s %s", query, a.Status, a.body)
			}
		}
	}
}

func pastPrints(t *testing.T, s *subject) {
	body := s.get(t, "/gpu/history?minutes=1")
	var h struct{ History []map[string]any }
	if err := json.Unmarshal([]byte(body), &h); err != nil || h.History == nil {
		t.Fatalf("%v in %s", err, body)
	}
	if n := len(h.History); n > 0 {
		if _, ok := h.History[n-1]["utilization"].(float64); !ok {
			t.Errorf("the last entry's utilization is no number: %s", body)
		}
	}
}

// pastAsCSV has the header and a line for each reading, also as `gpu_exporter export` writes them.
func pastAsCSV(t *testing.T, s *subject) {
	recorded(t, s)
	a := s.ask(t, http.MethodGet, "/gpu/history?format=csv")
	if kind := a.Header.Get("Content-Type"); a.StatusCode != http.StatusOK || kind != "text/csv; charset=utf-8" {
		t.Errorf("%s, %s", a.Status, kind)
	}
	header, lines, _ := strings.Cut(a.body, "\n")
	if header+"\n" != csvColumns || strings.Contains(a.body, "\r") {
		t.Errorf("the header is %q", header)
	}
	n := 0
	for line := range strings.Lines(lines) {
		s.expect(t, "a line", s.csvLine(), line)
		n++
	}
	if n < 3 {
		t.Errorf("%d readings: %s", n, a.body)
	}
}

// pastInFormats: json is the default, and what is neither json nor csv is refused.
func pastInFormats(t *testing.T, s *subject) {
	recorded(t, s)
	s.expect(t, "format=json", bodyOf("/gpu/history"), s.get(t, "/gpu/history?format=json"))
	for _, format := range []string{"xml", "", "CSV"} {
		a := s.ask(t, http.MethodGet, "/gpu/history?format="+format)
		if a.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("format=%s: %s", format, a.Status)
		}
		for key, want := range map[string]string{"loc": `["query","format"]`, "input": `"` + format + `"`, "type": `"literal_error"`} {
			var body struct{ Detail []map[string]json.RawMessage }
			if err := json.Unmarshal([]byte(a.body), &body); err != nil || len(body.Detail) != 1 || string(body.Detail[0][key]) != want {
				t.Errorf("format=%s: %s is not %s in %s", format, key, want, a.body)
			}
		}
	}
}

// exportReads: what a service has recorded is the same whether it is asked, has ended, or runs again.
func exportReads(t *testing.T, _ *subject) {
	folder := t.TempDir()
	run := func() *server {
		return startServer(t, ownCase(t, "discrete"), "--history.path="+folder, "--history.flush=1s")
	}
	s := run()
	s.until(t, "three recorded readings", func(m hwcase.Samples) bool { return m["gpu_exporter_history_entries"] >= 3 })
	export := func(url string) (out, complaint string) {
		cmd := exec.Command(realBinary(t), "export", "--history.path="+folder, "--url="+url)
		var told strings.Builder
		cmd.Stderr = &told
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("export: %v\n%s", err, told.String())
		}
		return string(text), told.String()
	}
	asked, complaint := export(s.url)
	if !strings.Contains(complaint, s.url) {
		t.Errorf("it does not say whom it asked: %q", complaint)
	}
	s.end()
	read, complaint := export("http://127.0.0.1:1")
	if complaint != "" || !strings.HasPrefix(read, asked) || strings.Count(asked, "\n") < 4 {
		t.Errorf("%s\nthe service that runs:\n%s\nits file:\n%s", complaint, asked, read)
	}
	s = run()
	s.until(t, "new readings", func(m hwcase.Samples) bool { return m["gpu_exporter_history_entries"] >= 1 })
	again, _ := export(s.url)
	if !strings.HasPrefix(again, read) || len(again) == len(read) {
		t.Errorf("a new service with the same file:\n%s\nbefore:\n%s", again, read)
	}
}
