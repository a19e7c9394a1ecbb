package exporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"gpu_exporter/collector"
)

const (
	acceptOpenMetrics = "application/openmetrics-text;version=1.0.0"
	acceptProtobuf    = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// get scrapes h once; headers are pairs.
func get(h http.Handler, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// decode reads delimited protobuf.
func decode(t *testing.T, body io.Reader) []*dto.MetricFamily {
	t.Helper()
	var families []*dto.MetricFamily
	for d := expfmt.NewDecoder(body, expfmt.NewFormat(expfmt.TypeProtoDelim)); ; {
		f := &dto.MetricFamily{}
		if err := d.Decode(f); errors.Is(err, io.EOF) {
			return families
		} else if err != nil {
			t.Fatal(err)
		}
		families = append(families, f)
	}
}

// numbers are the series of a text by name and labels. OpenMetrics writes some numbers in another way.
func numbers(t *testing.T, text string) map[string]float64 {
	t.Helper()
	m := map[string]float64{}
	for _, l := range lines(text) {
		at := strings.LastIndexByte(l, ' ')
		series := l[:at]
		v, err := strconv.ParseFloat(l[at+1:], 64)
		if _, twice := m[series]; err != nil || twice {
			t.Errorf("line %q: %v, seen before: %v", l, err, twice)
		}
		m[series] = v
	}
	return m
}

func TestFormatsAgree(t *testing.T) {
	self := NewSelf(Options{}, "sysfs")
	self.Rejected("sysfs", collector.Power)
	list := every()
	for _, s := range list {
		s.S.Created = 1e9
	}
	h := MetricsRoute(serving(snapshot(card(0, list...), card(1, samples(70)...))), self, Options{}).Handler

	plain := get(h, "/metrics")
	if got := plain.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", got)
	}
	want := numbers(t, plain.Body.String())

	open := get(h, "/metrics", "Accept", acceptOpenMetrics)
	if !strings.HasSuffix(open.Body.String(), "# EOF\n") {
		t.Error("OpenMetrics without its end")
	}
	if diff := cmp.Diff(want, numbers(t, plainBounds.Replace(open.Body.String()))); diff != "" {
		t.Errorf("OpenMetrics: -text +got:\n%s", diff)
	}

	var b bytes.Buffer
	for _, f := range decode(t, get(h, "/metrics", "Accept", acceptProtobuf).Body) {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Error(err)
		}
		if f.GetType() == dto.MetricType_COUNTER {
			process := strings.HasPrefix(f.GetName(), "gpu_exporter_")
			for _, q := range collector.Quantities {
				process = process || q.Name == f.GetName() && q.Epoch == collector.EpochProcess
			}
			if created := f.Metric[0].Counter.CreatedTimestamp != nil; created != process {
				t.Errorf("%s has a created timestamp: %v, want %v", f.GetName(), created, process)
			}
		}
		if f.GetType() == dto.MetricType_HISTOGRAM && f.Metric[0].Histogram.Schema == nil {
			t.Errorf("%s is no native histogram", f.GetName())
		}
	}
	if diff := cmp.Diff(want, numbers(t, b.String())); diff != "" {
		t.Errorf("protobuf: -text +got:\n%s", diff)
	}
}

// plainBounds turns the bounds of buckets as OpenMetrics writes them into those of the text format.
var plainBounds = strings.NewReplacer(`le="1.0"`, `le="1"`, `le="2.0"`, `le="2"`, `le="5.0"`, `le="5"`, `le="10.0"`, `le="10"`)

func TestNames(t *testing.T) {
	h := MetricsRoute(serving(snapshot(card(0, samples(70)...))), NewSelf(Options{}, "sysfs"), Options{}).Handler
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"?name[]=gpu_up", []string{"gpu_up"}},
		{"?name[]=gpu_power_watts&name[]=gpu_exporter_rescans_total&name[]=gpu_exporter_devices&name[]=gpu",
			[]string{"gpu_exporter_devices", "gpu_exporter_rescans_total", "gpu_power_watts"}},
		{"?name[]=no", nil},
	} {
		var got []string
		for name := range parse(t, get(h, "/metrics"+c.query).Body.String()) {
			got = append(got, name)
		}
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.query, diff)
		}
	}
}

func TestGzip(t *testing.T) {
	server := httptest.NewServer(MetricsRoute(serving(cards(600)), NewSelf(Options{}), Options{}).Handler)
	defer server.Close()
	for _, c := range []struct {
		accept string
		packed bool
	}{
		{"gzip", true}, {"deflate, *", true}, {"identity", false}, {"gzip;q=0", false},
	} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		r.Header.Set("Accept-Encoding", c.accept)
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		packed := resp.Header.Get("Content-Encoding") == "gzip"
		if magic := bytes.HasPrefix(body, []byte("\x1f\x8b")); packed != c.packed || magic != c.packed {
			t.Errorf("Accept-Encoding %q: packed %v, %v, want %v", c.accept, packed, magic, c.packed)
		}
		if vary := resp.Header.Values("Vary"); !slices.Contains(vary, "Accept-Encoding") || !slices.Contains(vary, "Accept") {
			t.Errorf("Vary: %q", vary)
		}
	}
	// The client of net/http asks for gzip and unpacks by itself.
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !resp.Uncompressed {
		t.Fatalf("unpacked %v, %v", resp.Uncompressed, err)
	}
	parse(t, string(body))
}

func TestWithoutSnapshot(t *testing.T) {
	h := MetricsRoute(serving(nil), NewSelf(Options{}, "sysfs"), Options{}).Handler
	for name := range parse(t, get(h, "/metrics").Body.String()) {
		if !strings.HasPrefix(name, "gpu_exporter_") || name == "gpu_exporter_devices" {
			t.Errorf("%s without a snapshot", name)
		}
	}
}

func TestScrapeTimeout(t *testing.T) {
	for _, c := range []struct {
		header string
		offset time.Duration
		want   time.Duration
	}{
		{"10", DefaultTimeoutOffset, 9750 * time.Millisecond},
		{"0.5", DefaultTimeoutOffset, 250 * time.Millisecond},
		{"0.25", DefaultTimeoutOffset, 250 * time.Millisecond},
		{"0.1", DefaultTimeoutOffset, 100 * time.Millisecond},
		{"3", 0, 3 * time.Second},
		{"1e300", 0, time.Hour},
		{"", DefaultTimeoutOffset, askerTimeout},
		{"0", DefaultTimeoutOffset, askerTimeout},
		{"-1", DefaultTimeoutOffset, askerTimeout},
		{"NaN", DefaultTimeoutOffset, askerTimeout},
		{"1e999", DefaultTimeoutOffset, askerTimeout},
		{"10s", DefaultTimeoutOffset, askerTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			source := serving(nil)
			source.ask = func(ctx context.Context) {
				deadline, ok := ctx.Deadline()
				if got := time.Until(deadline); !ok || got != c.want {
					t.Errorf("header %q, offset %v: %v, want %v", c.header, c.offset, got, c.want)
				}
			}
			h := MetricsRoute(source, NewSelf(Options{}), Options{TimeoutOffset: c.offset}).Handler
			get(h, "/metrics", timeoutHeader, c.header)
		})
	}
}

func TestLimit(t *testing.T) {
	const limit = 3
	asked, answer := make(chan bool), make(chan bool)
	source := serving(nil)
	source.ask = func(context.Context) { asked <- true; <-answer }
	self := NewSelf(Options{})
	h := MetricsRoute(source, self, Options{MaxRequests: limit}).Handler
	var scrapes sync.WaitGroup
	for range limit {
		scrapes.Go(func() {
			if w := get(h, "/metrics"); w.Code != http.StatusOK {
				t.Errorf("within the limit: %d", w.Code)
			}
		})
		<-asked
	}
	for range 2 {
		w := get(h, "/metrics")
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "--web.max-requests") ||
			!strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
			t.Errorf("over the limit: %d %q", w.Code, w.Body)
		}
	}
	close(answer)
	scrapes.Wait()
	go func() { <-asked }()
	w := get(h, "/metrics?name[]=gpu_exporter_scrapes_rejected_total")
	if got := lines(w.Body.String()); !slices.Equal(got, []string{"gpu_exporter_scrapes_rejected_total 2"}) {
		t.Errorf("afterwards: %d %q", w.Code, got)
	}
}

// numbered is a snapshot with the same value everywhere.
func numbered(n int, list []collector.Sample) *collector.Snapshot {
	list = slices.Clone(list)
	for i := range list {
		list[i].V = float64(n)
	}
	return snapshot(card(0, list...))
}

// uniform checks that all samples of an answer are there, and of one snapshot.
func uniform(t *testing.T, body string, list []collector.Sample) {
	t.Helper()
	seen, count := map[float64]bool{}, 0
	for series, v := range numbers(t, body) {
		if strings.Contains(series, `="unit`) {
			seen[v] = true
			count++
		}
	}
	if len(seen) != 1 || count != len(list) {
		t.Errorf("%d samples of snapshots %v, want %d of one", count, seen, len(list))
	}
}

func TestParallelScrapes(t *testing.T) {
	list := samples(70)
	source, self := serving(numbered(0, list)), NewSelf(Options{}, "sysfs")
	h := MetricsRoute(source, self, Options{}).Handler
	var scrapes sync.WaitGroup
	for i := range 100 {
		scrapes.Go(func() {
			for j := range 3 {
				source.snap.Store(numbered(i*3+j, list))
				self.Read("sysfs", collector.ResultOK, time.Millisecond)
				self.Rejected(fmt.Sprint("source", i), collector.Power) // a series that is new to all of them
				var body string
				if i%2 == 0 {
					body = get(h, "/metrics").Body.String()
				} else {
					var b strings.Builder
					for _, f := range decode(t, get(h, "/metrics", "Accept", acceptProtobuf).Body) {
						_, _ = expfmt.MetricFamilyToText(&b, f)
					}
					body = b.String()
				}
				uniform(t, body, list)
			}
		})
	}
	scrapes.Wait()
	if got := testutil.ToFloat64(self.reads.with("ok", "sysfs").(prometheus.Collector)); got != 300 {
		t.Errorf("%v reads were counted, want 300", got)
	}
}

// slowWriter takes nothing until it is let go.
type slowWriter struct {
	*httptest.ResponseRecorder
	reached, released chan bool
	once              sync.Once
}

func (s *slowWriter) Write(b []byte) (int, error) {
	s.once.Do(func() { close(s.reached); <-s.released })
	return s.ResponseRecorder.Write(b)
}

func TestSlowReader(t *testing.T) {
	list := samples(70)
	source := serving(numbered(1, list))
	h := MetricsRoute(source, NewSelf(Options{}), Options{}).Handler
	var slow []*slowWriter
	var scrapes sync.WaitGroup
	for range 2 * idleSets {
		w := &slowWriter{ResponseRecorder: httptest.NewRecorder(), reached: make(chan bool), released: make(chan bool)}
		slow = append(slow, w)
		scrapes.Go(func() { h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil)) })
		<-w.reached
	}
	for n := 2; n < 5; n++ {
		source.snap.Store(numbered(n, list))
		body := get(h, "/metrics").Body.String()
		if uniform(t, body, list); !strings.Contains(body, fmt.Sprintf(`sensor="unit0"} %d`, n)) {
			t.Errorf("snapshot %d was not served", n)
		}
	}
	for _, w := range slow {
		close(w.released)
	}
	scrapes.Wait()
	for _, w := range slow {
		body := w.Body.String()
		if uniform(t, body, list); !strings.Contains(body, `sensor="unit0"} 1`) {
			t.Error("a slow reader got another snapshot than his own")
		}
	}
}
