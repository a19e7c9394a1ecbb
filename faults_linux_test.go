//go:build faults

package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/faultfs"
	"gpu_exporter/internal/hwcase"
)

// broken is the card that the faults are injected into; it is `first`. The other, `second`, is well.
const (
	broken = "sys/class/drm/card1/device"
	sensor = broken + "/hwmon/hwmon4/temp1_input"
	busy   = broken + "/gpu_busy_percent"
	fan    = broken + "/hwmon/hwmon4/fan1_input" // which no other source tells
)

// pace makes faults seen soon. The deadline leaves room for a busy machine.
var pace = []string{"--polling.interval=200ms", "--polling.deadline=1s", "--rescan.interval=500ms"}

// twoCards mounts a tree of the case `discrete`, twice.
func twoCards(t *testing.T) *faultfs.FS {
	t.Helper()
	tree := ownCase(t, "discrete")
	card := cardIn(t, tree)
	addCard(t, card, filepath.Join(filepath.Dir(card), "card2"), second)
	return faultfs.Mount(t, tree)
}

// faults are what is done to the broken card, by the name that it has in testdata/faults.csv. before is done before the
// server starts; inject while it runs; heal ends it, nil where there is nothing to end.
var faults = map[string]struct {
	flags  []string
	env    []string
	before func(t *testing.T, fs *faultfs.FS)
	inject func(t *testing.T, fs *faultfs.FS)
	heal   func(t *testing.T, fs *faultfs.FS)
}{
	"open blocks for ever":   {before: injects(sensor, faultfs.Fault{On: faultfs.Open, Block: true}), heal: clears},
	"read blocks for ever":   {inject: injects(sensor, faultfs.Fault{Block: true}), heal: clears},
	"one read of 3 s":        {inject: injects(sensor, faultfs.Fault{Times: 1, Delay: 3 * time.Second}), heal: func(*testing.T, *faultfs.FS) {}},
	"garbage":                {inject: injects(busy, faultfs.Fault{Change: faultfs.Text("\xff\x00%$garbage\n")}), heal: clears},
	"empty file":             {inject: injects(fan, faultfs.Fault{Change: faultfs.Text("")}), heal: clears},
	"1 MB of digits":         {inject: injects(busy, faultfs.Fault{Change: faultfs.Text(strings.Repeat("7", 1<<20))}), heal: clears},
	"EIO on one sensor file": {inject: injects(sensor, faultfs.Fault{Errno: syscall.EIO}), heal: clears},
	"EACCES on one":          {inject: injects(sensor, faultfs.Fault{Errno: syscall.EACCES}), heal: clears},
	"EIO on all":             {inject: injects(broken, faultfs.Fault{Errno: syscall.EIO}), heal: clears},
	"ENODEV in mid-run":      {inject: injects(broken, faultfs.Fault{Errno: syscall.ENODEV}), heal: clears},
	"card folder away and back": {
		inject: func(_ *testing.T, fs *faultfs.FS) { fs.Remove("sys/class/drm/card1") },
		heal:   func(_ *testing.T, fs *faultfs.FS) { fs.Restore("sys/class/drm/card1") },
	},
	"driver reload": {inject: func(_ *testing.T, fs *faultfs.FS) {
		fs.Rename(broken+"/hwmon/hwmon4", broken+"/hwmon/hwmon7")
	}},
	"value out of bounds":   {inject: injects(sensor, faultfs.Fault{Change: faultfs.Text("999000\n")}), heal: clears},
	"truncated gpu_metrics": {inject: injects(broken+"/gpu_metrics", faultfs.Fault{Change: faultfs.Cut(64)}), heal: clears},
	"no /proc":              {flags: []string{"--path.procfs=/nonexistent"}},
	"clock by +1 h and -1 h": {inject: func(t *testing.T, _ *faultfs.FS) {
		setClock(t, time.Hour)
	}, heal: func(t *testing.T, _ *faultfs.FS) { setClock(t, -time.Hour) }},
}

func injects(pattern string, f faultfs.Fault) func(*testing.T, *faultfs.FS) {
	return func(_ *testing.T, fs *faultfs.FS) { fs.Inject(pattern, f) }
}

func clears(_ *testing.T, fs *faultfs.FS) { fs.Clear() }

// row is a line of testdata/faults.csv: what is told while a fault lasts.
type row struct{ fault, up, state, counted, result string }

func faultTable(t *testing.T) []row {
	t.Helper()
	f, err := os.Open("testdata/faults.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for _, l := range lines[1:] {
		rows = append(rows, row{l[0], l[1], l[2], l[3], l[4]})
	}
	return rows
}

// counter is the series of a count in the table: errors:io.
func (r row) counter() string {
	kind, value, _ := strings.Cut(r.counted, ":")
	switch kind {
	case "errors":
		return fmt.Sprintf("gpu_exporter_read_errors_total{kind=%q,source=\"sysfs\"}", value)
	case "rejected":
		return fmt.Sprintf("gpu_exporter_rejected_readings_total{quantity=%q,source=\"sysfs\"}", value)
	case "restarts":
		return fmt.Sprintf("gpu_exporter_worker_restarts_total{reason=%q,source=\"sysfs\"}", value)
	}
	return ""
}

// seriesOfGPU are the names of the series of one GPU.
func seriesOfGPU(m hwcase.Samples, gpu string) []string {
	var names []string
	for key := range m {
		if strings.Contains(key, fmt.Sprintf("gpu=%q", gpu)) {
			names = append(names, strings.ReplaceAll(key, gpu, "GPU"))
		}
	}
	slices.Sort(names)
	return names
}

// readingTime tells the clock of the exporter.
var readingTime = fmt.Sprintf("gpu_exporter_reading_timestamp_seconds{gpu=%q}", first)

func TestFaults(t *testing.T) {
	table := faultTable(t)
	if len(table) != len(faults) {
		t.Errorf("%d faults in the table, %d known", len(table), len(faults))
	}
	skewed := buildSkewed(t) // now: it takes both cores for a while
	for _, want := range table {
		t.Run(want.fault, func(t *testing.T) {
			t.Parallel()
			fault, known := faults[want.fault]
			if !known {
				t.Fatal("not known")
			}
			fs := twoCards(t)
			if fault.before != nil {
				fault.before(t, fs)
			}
			var s *server
			if want.fault == "clock by +1 h and -1 h" {
				s = startProgram(t, skewed, fs.Path, pace...)
			} else {
				s = startServer(t, fs.Path, append(pace, fault.flags...)...)
			}
			m := s.until(t, "the other card", func(m hwcase.Samples) bool { return m[state(second, "ok")] == 1 && m[edge(second)] != 0 })
			whole := seriesOfGPU(m, second)
			var wholeFirst []string // of the broken card, where it was seen well
			if fault.before == nil {
				m = s.until(t, "the card before the fault", func(m hwcase.Samples) bool { return m[state(first, "ok")] == 1 && m[edge(first)] != 0 })
				wholeFirst = seriesOfGPU(m, first)
			}
			well := func(m hwcase.Samples) bool {
				return m[state(first, "ok")] == 1 && m[up(first)] == 1 && m[edge(first)] != 0 &&
					(wholeFirst == nil || slices.Equal(seriesOfGPU(m, first), wholeFirst))
			}
			counted, clock := m[want.counter()], m[readingTime]
			result := fmt.Sprintf("gpu_exporter_reads_total{result=%q,source=\"sysfs\"}", want.result)
			reads := m[result]
			if fault.inject != nil {
				fault.inject(t, fs)
			}
			m = s.until(t, fmt.Sprintf("%+v", want), func(m hwcase.Samples) bool {
				v, told := m[up(first)]
				ok := told && fmt.Sprint(v) == want.up && m[state(first, want.state)] == 1
				if c := want.counter(); c != "" {
					ok = ok && m[c] > counted
				}
				if want.fault == "empty file" { // the cycle that runs may have read it before
					_, told := m[fmt.Sprintf("gpu_fan_speed_rpm{fan=\"1\",gpu=%q}", first)]
					ok = ok && !told
				}
				if want.fault == "clock by +1 h and -1 h" { // the proof that the clock was set
					ok = ok && m[readingTime] > clock+3500
				}
				return ok && (want.result == "" || m[result] > reads)
			})
			if n := seriesOf(m, "gpu_state", first); n != 5 {
				t.Errorf("%d series of gpu_state, want 5", n)
			}
			if got := seriesOfGPU(m, second); !slices.Equal(got, whole) || m[state(second, "ok")] != 1 || m[up(second)] != 1 {
				t.Errorf("the other card suffers: %v, want %v", got, whole)
			}
			switch want.state {
			case "hung", "gone":
				if n := seriesOf(m, "gpu_temperature_celsius", first); n != 0 {
					t.Errorf("%d readings of a card that is lost", n)
				}
			}
			if want.fault == "driver reload" {
				s.until(t, "one set of series after the reload", well)
			}
			if fault.heal != nil {
				fault.heal(t, fs)
				s.until(t, "the card well again", well)
			}
		})
	}
}

// skewed builds the program with a clock that is ahead by as many seconds as the file CLOCK has bytes: nobody else on the
// machine is to notice. Only the wall clock is; the monotonic one goes on, as when a clock is set.
func skewed(t *testing.T, file string) string {
	t.Helper()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	original := filepath.Join(strings.TrimSpace(string(goroot)), "src/time/time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if !strings.Contains(string(source), now) {
		t.Fatal("time.Now of this Go is written otherwise: mend the test")
	}
	text := strings.Replace(string(source), now, now+"\tsec += Skew\n", 1) + "\n// Skew is how far the clock is ahead, in seconds.\nvar Skew int64\n"
	// The file is looked at by a goroutine of its own: time.Now is called where nothing may block.
	follow := fmt.Sprintf(`package main

import (
	"os"
	"time"
)

func init() {
	look := func() {
		if info, err := os.Stat(%q); err == nil {
			time.Skew = info.Size()
		}
	}
	look()
	go func() {
		for range time.Tick(10 * time.Millisecond) {
			look()
		}
	}()
}
`, file)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed, added := filepath.Join(dir, "time.go"), filepath.Join(dir, "skew.go")
	overlay, path := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "gpu_exporter")
	for name, content := range map[string]string{changed: text, added: follow,
		overlay: fmt.Sprintf(`{"Replace":{%q:%q,%q:%q}}`, original, changed, filepath.Join(here, "zz_skew.go"), added)} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// clockFile is the file whose size is how far the clock of a skewed program is ahead. It begins at 2 h.
var clockFile string

func buildSkewed(t *testing.T) (program string) {
	t.Helper()
	clockFile = filepath.Join(t.TempDir(), "clock")
	if err := os.WriteFile(clockFile, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	setClock(t, 2*time.Hour)
	return skewed(t, clockFile)
}

func setClock(t *testing.T, by time.Duration) {
	t.Helper()
	info, err := os.Stat(clockFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(clockFile, info.Size()+int64(by.Seconds())); err != nil {
		t.Fatal(err)
	}
}

func TestDescriptorsUsedUp(t *testing.T) {
	fs := twoCards(t)
	s := startServer(t, fs.Path, pace...)
	connection := dial(t, s) // opened before: there will be no descriptor for another
	in := bufio.NewReader(connection)
	scrape := func() hwcase.Samples {
		t.Helper()
		fmt.Fprint(connection, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		m, err := hwcase.Parse(string(body))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	until := func(what string, holds func(hwcase.Samples) bool) {
		t.Helper()
		await.Until(t, what, func() bool { return holds(scrape()) }, func() string { return fmt.Sprint(scrape()) }, s.logged)
	}
	well := func(m hwcase.Samples) bool {
		return m[state(first, "ok")] == 1 && m[state(second, "ok")] == 1 && m[edge(second)] != 0
	}
	until("two cards", well)
	limit := func(n uint64) {
		t.Helper()
		if err := unix.Prlimit(s.pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: 4096}, nil); err != nil {
			t.Fatal(err)
		}
	}
	limit(uint64(20))
	if err := syscall.Kill(s.pid, syscall.SIGHUP); err != nil { // the plans are made anew: everything is to be opened
		t.Fatal(err)
	}
	until("the shortage", func(m hwcase.Samples) bool {
		return m[`gpu_exporter_read_errors_total{kind="io",source="sysfs"}`] > 0
	})
	if m := scrape(); seriesOf(m, "gpu_info") != 2 {
		t.Errorf("%d GPUs are told of in the shortage, want 2", seriesOf(m, "gpu_info"))
	}
	limit(4096)
	until("both cards well again", well)
}

func TestEightHungCards(t *testing.T) {
	tree := ownCase(t, "discrete")
	card := cardIn(t, tree)
	for n := 2; n <= 8; n++ {
		addCard(t, card, filepath.Join(filepath.Dir(card), fmt.Sprintf("card%d", n)), fmt.Sprintf("0000:%02x:00.0", 0x10+n))
	}
	fs := faultfs.Mount(t, tree)
	for _, interval := range []string{"0", "1s"} {
		s := startServer(t, fs.Path, "--polling.interval="+interval)
		s.until(t, "eight cards", func(m hwcase.Samples) bool {
			return seriesOf(m, "gpu_state", `state="ok"`) == 8 && seriesOf(m, "gpu_temperature_celsius") >= 8
		})
		fs.Inject("sys/class/drm/*/device/hwmon/*/temp1_input", faultfs.Fault{Block: true})
		slowest := time.Duration(0)
		s.until(t, "eight hung cards", func(hwcase.Samples) bool {
			begin := time.Now()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "2")
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			slowest = max(slowest, time.Since(begin))
			return strings.Count(string(body), `state="hung"} 1`) == 8
		})
		if slowest > 2*time.Second {
			t.Errorf("interval %s: a scrape took %v, its timeout is 2 s", interval, slowest)
		}
		t.Logf("interval %s: eight cards hung, slowest scrape %v", interval, slowest)
		fs.Clear()
	}
}

func TestHangsLeakNothing(t *testing.T) {
	const rounds = 1000
	fs := twoCards(t)
	s := startServer(t, fs.Path, "--polling.interval=0", "--polling.deadline=50ms", "--web.runtime-metrics")
	healthy := func(m hwcase.Samples) bool { return m[state(first, "ok")] == 1 && m[edge(first)] != 0 }
	before := s.until(t, "both cards", func(m hwcase.Samples) bool { return healthy(m) && m[edge(second)] != 0 })
	files := descriptors(t, s.pid)
	most := 0.0
	for range rounds {
		hang := fs.Inject(sensor, faultfs.Fault{Block: true})
		m := s.until(t, "the hang", func(m hwcase.Samples) bool { return m[state(first, "hung")] == 1 })
		most = max(most, m["go_goroutines"])
		if n := hang.Waiting(); n > 2 {
			t.Fatalf("%d reads of one card are stuck", n)
		}
		hang.Clear()
		s.until(t, "the recovery", healthy)
	}
	after := s.until(t, "the end of what the rounds began", func(m hwcase.Samples) bool {
		return m["go_goroutines"] <= before["go_goroutines"]+5 && descriptors(t, s.pid) <= files+5
	})
	t.Logf("%d rounds of hang and recovery: goroutines %v before, %v at most, %v after; descriptors %d before, %d after",
		rounds, before["go_goroutines"], most, after["go_goroutines"], files, descriptors(t, s.pid))
}

// whileAsleep are the files of a card that never wake it (amd.md 3), below its device folder or its connectors.
var whileAsleep = []string{"uevent", "vendor", "device", "revision", "class", "vbios_version", "unique_id", "product_name", "product_number"}

// mayBeTouched says whether a file of a sleeping card may be opened.
func mayBeTouched(path string) bool {
	if !strings.HasPrefix(path, "sys/class/drm/card1") {
		return true
	}
	rest, ok := strings.CutPrefix(path, broken+"/")
	if !ok {
		base := filepath.Base(path)
		return base == "enabled" || base == "status"
	}
	return slices.Contains(whileAsleep, rest) || strings.HasPrefix(rest, "power/") || strings.HasPrefix(rest, "subsystem_") ||
		strings.HasPrefix(rest, "hwmon/") && filepath.Base(rest) == "name"
}

func touched(fs *faultfs.FS) (wrong []string) {
	for _, record := range []map[string]int{fs.Opens(), fs.Reads()} {
		for path := range maps.Keys(record) {
			if !mayBeTouched(path) && !slices.Contains(wrong, path) {
				wrong = append(wrong, path)
			}
		}
	}
	return wrong
}

func TestSleepIsNotDisturbed(t *testing.T) {
	const runtimeStatus = broken + "/power/runtime_status"
	for name, awakeFirst := range map[string]bool{"suspended from the start": false, "active, suspended, active": true} {
		t.Run(name, func(t *testing.T) {
			fs := twoCards(t)
			if !awakeFirst {
				fs.Set(runtimeStatus, "suspended\n")
			}
			s := startServer(t, fs.Path, append(pace, "--web.enable-lifecycle")...)
			if awakeFirst {
				s.until(t, "the card awake", func(m hwcase.Samples) bool { return m[edge(first)] != 0 })
				fs.Set(runtimeStatus, "suspended\n")
			}
			asleep := func(m hwcase.Samples) bool { return m[state(first, "asleep")] == 1 }
			s.until(t, "the card asleep", asleep)
			fs.Reset()

			scans := func(m hwcase.Samples) float64 { return m[`gpu_exporter_rescans_total{result="ok"}`] }
			begin := scans(s.scrape(t))
			s.until(t, "rescans", func(m hwcase.Samples) bool { return scans(m) >= begin+3 })
			answer, err := http.Post(s.url+"/-/reload", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			begin = scans(s.scrape(t))
			m := s.until(t, "the reload and after it", func(m hwcase.Samples) bool { return scans(m) >= begin+2 })
			get(t, s.url+"/debug/probes", http.StatusOK)
			onceProm(t, fs.Path)
			doctor := exec.Command(realBinary(t), "doctor", "--path.sysfs="+filepath.Join(fs.Path, "sys"), "--path.procfs="+filepath.Join(fs.Path, "proc"))
			if out, err := doctor.CombinedOutput(); !strings.Contains(string(out), first) {
				t.Errorf("doctor: %v\n%s", err, out)
			}
			if wrong := touched(fs); len(wrong) > 0 {
				t.Errorf("touched while the card sleeps: %v", wrong)
			}
			if fs.Reads()[runtimeStatus] == 0 {
				t.Error("nobody looked whether the card sleeps: this test proves nothing")
			}
			if !asleep(m) || m[up(first)] != 1 || seriesOf(m, "gpu_temperature_celsius", first) != 0 || seriesOf(m, "gpu_info", first) != 1 {
				t.Errorf("a sleeping card is told as %v", seriesOfGPU(m, first))
			}
			fs.Set(runtimeStatus, "active\n")
			s.until(t, "the card awake again", func(m hwcase.Samples) bool { return m[state(first, "ok")] == 1 && m[edge(first)] != 0 })
		})
	}
}
