//go:build wine && linux

package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// wineLimit is how long a program may run in Wine: what starts Wine's own services takes some seconds.
const wineLimit = time.Minute

// wineDeadline gives a command that reads once the time that Wine takes on a busy machine.
const wineDeadline = "--polling.deadline=15s"

// wined is a program of the machine that .ci/wine has made. Its environment has what is added.
func wined(ctx context.Context, t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	if os.Getenv("WINEPREFIX") == "" || os.Getenv("WINE") == "" {
		t.Fatal("WINEPREFIX or WINE is not set: run .ci/wine")
	}
	cmd := exec.CommandContext(ctx, os.Getenv("WINE"), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second
	return cmd
}

// onWindows runs a command of the Windows build of gpu_exporter to its end.
func onWindows(t *testing.T, env []string, args ...string) (out string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wineLimit)
	defer cancel()
	cmd := wined(ctx, t, env, append([]string{os.Getenv("PROGRAM")}, args...)...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	text, err := cmd.Output()
	if ctx.Err() != nil || cmd.ProcessState == nil {
		t.Fatalf("gpu_exporter %v: %v\n%s%s", args, err, text, &complaints)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

// windowsServer is the Windows build, serving.
type windowsServer struct {
	url  string
	cmd  *exec.Cmd
	log  *output
	done chan error
}

// startWindows starts it on loopback. It must end well when it is interrupted, at the end of the test at the latest.
func startWindows(t *testing.T, env []string, args ...string) *windowsServer {
	t.Helper()
	args = append([]string{os.Getenv("PROGRAM"), "--web.listen-address=127.0.0.1:0", "--history.path=" + t.TempDir()}, args...)
	s := &windowsServer{cmd: wined(t.Context(), t, env, args...), log: newOutput(), done: make(chan error, 1)}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(os.Interrupt) }
	s.cmd.WaitDelay = 10 * time.Second // the program takes 5 s at most
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		s.done <- s.cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() { <-ended }) // t.Context is done by now
	_, rest, _ := strings.Cut(s.log.line(t, "msg=listening address="), "address=")
	address, _, _ := strings.Cut(rest, " ")
	s.url = "http://" + address
	return s
}

// interrupt ends it as Ctrl-C does.
func (s *windowsServer) interrupt(t *testing.T) {
	t.Helper()
	begun := time.Now()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-s.done; err != nil || s.cmd.ProcessState.ExitCode() != 0 || !strings.Contains(s.log.String(), "shutting down") {
		t.Errorf("%v after %v:\n%s", err, time.Since(begun), s.log)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
}

func (s *windowsServer) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	answer, err := http.Get(s.url + path)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// holds checks what routes answer: the status, and words of the body.
func (s *windowsServer) holds(t *testing.T, rows []windowsRow) {
	t.Helper()
	for _, r := range rows {
		status, body := s.get(t, r.path)
		for _, word := range r.words {
			if !strings.Contains(body, word) {
				t.Errorf("%s has no %q:\n%s", r.path, word, body)
			}
		}
		if status != r.status {
			t.Errorf("%s: status %d, want %d", r.path, status, r.status)
		}
	}
}

type windowsRow struct {
	path   string
	status int
	words  []string
}

// lookedFor waits until the machine has been looked at.
func (s *windowsServer) lookedFor(t *testing.T) {
	t.Helper()
	await.Until(t, "a discovery", func() bool { return s.samples(t)[`gpu_exporter_rescans_total{result="ok"}`] > 0 })
}

// samples is what it tells.
func (s *windowsServer) samples(t *testing.T) hwcase.Samples {
	t.Helper()
	_, body := s.get(t, "/metrics")
	samples, err := hwcase.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

// tells waits until it tells all that is wanted at once.
func (s *windowsServer) tells(t *testing.T, want hwcase.Samples) {
	t.Helper()
	var lacks []string
	await.Until(t, "all values", func() bool {
		got := s.samples(t)
		lacks = nil
		for series, v := range want {
			if has, told := got[series]; !told || has != v {
				lacks = append(lacks, fmt.Sprintf("%s %v (it is %v)", series, v, has))
			}
		}
		return len(lacks) == 0
	}, func() string { return fmt.Sprintf("it lacks %q:\n%s", lacks, s.log) })
}

// A machine whose only adapter is Wine's own, which is no GPU (windows.md 8).
func TestWindowsWithoutAGPU(t *testing.T) {
	s := startWindows(t, nil, "--collector.simulation=off", "--rescan.interval=1s")
	s.lookedFor(t)
	s.holds(t, []windowsRow{
		{"/metrics", 200, []string{`goos="windows"`, `gpu_exporter_reads_total{result="ok",source="windows"} 0`}},
		{"/health", 200, []string{`"status":"healthy"`, `"gpu_available":false`}},
		{"/gpus", 200, []string{`"gpus":[]`}},
		{"/gpu/stats", 503, []string{`{"detail":"GPU stats unavailable"}`}},
		{"/gpu/info", 200, []string{`"name":"Unknown GPU"`, `"platform":"Windows"`}},
		{"/gpu/history", 200, []string{`{"history":[]}`}},
		{"/-/ready", 200, nil},
		{"/nothing", 404, []string{`{"detail":"Not Found"}`}},
		{"/", 200, nil},
	})
	if _, body := s.get(t, "/metrics"); strings.Contains(body, "\ngpu_info{") {
		t.Errorf("a GPU is told of:\n%s", body)
	}
	if out, status := onWindows(t, nil, "once", "--collector.simulation=off"); status != 1 || out != "" {
		t.Errorf("once: status %d\n%s", status, out)
	}
	// The server runs on: it holds Wine's desktop, whose start may take longer than WMI is waited for.
	out, status := onWindows(t, nil, "doctor", "--format=json", wineDeadline)
	var report struct {
		Findings []struct{ ID, Level, Subject, Text, Hint string }
		Exit     int
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := map[string]string{}
	for _, f := range report.Findings {
		got[f.Subject] = f.Level + " " + f.ID
		for _, foreign := range []string{"dmesg", "lspci", "/sys", "sysfs"} {
			if strings.Contains(f.Text+f.Hint, foreign) {
				t.Errorf("%s is no word of Windows: %+v", foreign, f)
			}
		}
	}
	for subject, want := range map[string]string{"D3DKMT": "note source-silent", "PDH": "note source-silent", "registry": "ok source-answers",
		"WMI": "ok source-answers", "cfgmgr32": "ok source-answers", "VideoController1": "note card-ignored"} {
		if got[subject] != want {
			t.Errorf("doctor says %q of %s, want %q", got[subject], subject, want)
		}
	}
	if status != 1 || report.Exit != 1 {
		t.Errorf("doctor: status %d, %d", status, report.Exit)
	}
	s.interrupt(t)
}

// cardOnWindows is a GPU as WMI, the registry and PDH tell of it: the card of a shared case, for the machine lacks D3DKMT.
// What is done to the machine is undone when the test ends.
func cardOnWindows(t *testing.T) (env []string) {
	t.Helper()
	dir := "../shared/fixtures/windows/synthetic-rx7800xt"
	reg, err := os.ReadFile(filepath.Join(dir, "registry.reg"))
	if err != nil {
		t.Fatal(err)
	}
	const id = `PCI\VEN_1002&DEV_747E&SUBSYS_78011EAE&REV_C8\4&1A2B3C4D&0&0008`
	if !strings.Contains(strings.ToUpper(string(reg)), strings.ToUpper(id)) {
		t.Fatalf("the case has no %s", id)
	}
	text := strings.ReplaceAll(string(reg), "\\0000]", "\\0777]") // Wine has a 0000 of its own
	// When Wine starts its desktop, it deletes the keys of the class. This one starts it, by asking WMI, and holds it.
	startWindows(t, nil, "--collector.simulation=off", "--rescan.interval=1s").lookedFor(t)
	registry := func(args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), wineLimit)
		defer cancel()
		out, err := wined(ctx, t, nil, append([]string{"reg"}, args...)...).CombinedOutput()
		if err != nil && !errors.Is(err, exec.ErrWaitDelay) { // Wine's services may hold the pipe
			t.Errorf("reg %v: %v\n%s", args, err, out)
		}
	}
	work := t.TempDir()
	for line := range strings.Lines(text) {
		if key, ok := strings.CutPrefix(strings.TrimSpace(line), "["); ok {
			t.Cleanup(func() { registry("delete", strings.TrimSuffix(key, "]"), "/f") })
		}
	}
	file := filepath.Join(work, "card.reg")
	write(t, file, strings.ReplaceAll(text, "\n", "\r\n"))
	registry("import", file)

	lines, err := os.Open(filepath.Join(dir, "pdh-first.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	rows, err := csv.NewReader(lines).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var feed strings.Builder
	for _, r := range rows[1:] {
		fmt.Fprintf(&feed, "item \\%s(*)\\%s\t%s\t0\t%s\t%s\n", r[0], r[1], r[2], r[3], r[4])
	}
	write(t, filepath.Join(work, "pdh"), feed.String())
	dll, err := os.ReadFile(filepath.Join(os.Getenv("FAKES"), "fake_pdh.dll"))
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(os.Getenv("WINEPREFIX"), "drive_c/windows/system32/pdh.dll")
	wines, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { write(t, at, string(wines)) })
	write(t, at, string(dll))
	return []string{"FAKE_WMI_ID=" + id, "FAKE_FEED=" + filepath.Join(work, "pdh")}
}

// The real program finds a card through WMI by COM, the registry and the counters, and serves it.
func TestWindowsWithAGPU(t *testing.T) {
	env := cardOnWindows(t)
	s := startWindows(t, env, "--rescan.interval=1s")
	s.lookedFor(t)
	const gpu = `gpu="0000:03:00.0"`
	s.tells(t, hwcase.Samples{
		`gpu_up{` + gpu + `}`: 1,
		`gpu_info{driver="amduw23g",driver_version="24.12.1",` + gpu + `,index="0",name="VideoController1",` +
			`pci_id="1002:747e",source="windows",type="discrete",vendor="amd"}`: 1,
		`gpu_state{` + gpu + `,state="ok"}`:                          1,
		`gpu_memory_total_bytes{` + gpu + `,memory="vram"}`:          17163091968,
		`gpu_engine_busy_seconds_total{engine="copy0",` + gpu + `}`:  91.8221004,
		`gpu_engine_busy_seconds_total{engine="decode",` + gpu + `}`: 8.81234,
		`gpu_memory_used_bytes{` + gpu + `,memory="vram"}`:           6543114240,
		`gpu_memory_used_bytes{` + gpu + `,memory="shared"}`:         214302720,
	})
	s.holds(t, []windowsRow{
		{"/health", 200, []string{`"gpu_detected":true`}},
		{"/gpus", 200, []string{`"0000:03:00.0"`}},
		{"/gpu/info", 200, []string{`"name":"VideoController1"`, `"memory_total":16368`, `"driver_version":"24.12.1"`}},
		{"/gpu/stats", 200, []string{`"memory_total":`}},
		{"/gpu/stats?gpu=9", 404, nil},
	})
	if out, status := onWindows(t, env, "once", "--format=prom"); status != 0 || !strings.Contains(out, `gpu_up{`+gpu+`} 1`) {
		t.Errorf("once: status %d\n%s", status, out)
	}
	out, status := onWindows(t, env, "doctor", wineDeadline)
	for _, words := range []string{"gpu-found", "listed by WMI", "size of its memory from registry", "gpu-ok"} {
		if !strings.Contains(out, words) {
			t.Errorf("doctor does not say %q:\n%s", words, out)
		}
	}
	if status != 0 {
		t.Errorf("doctor: status %d\n%s", status, out)
	}
	s.interrupt(t)
}

// libraryOnWindows puts a fake into System32 in the name of a vendor's library, and gives what changes what it says.
func libraryOnWindows(t *testing.T, fake, name, feed string) (say func(feed string)) {
	t.Helper()
	at := filepath.Join(os.Getenv("WINEPREFIX"), "drive_c/windows/system32", name)
	if _, err := os.Stat(at); err == nil {
		t.Fatalf("%s is there already", at)
	}
	dll, err := os.ReadFile(filepath.Join(os.Getenv("FAKES"), fake))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, file := range []string{at, at + ".feed"} {
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
	})
	say = func(feed string) {
		t.Helper()
		write(t, at+".new", feed)
		if err := os.Rename(at+".new", at+".feed"); err != nil {
			t.Fatal(err)
		}
	}
	say(feed)
	write(t, at, string(dll))
	return say
}

// workersOnWindows counts the children that call libraries.
func workersOnWindows(t *testing.T) int { t.Helper(); return onWindowsRun(t, "worker") }

// onWindowsRun counts the programs that run with arguments which begin so.
func onWindowsRun(t *testing.T, args ...string) (n int) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && bytes.Contains(line, []byte("gpu_exporter.exe\x00"+strings.Join(args, "\x00")+"\x00")) {
			n++
		}
	}
	return n
}

// The real program reads GPUs of AMD and NVIDIA through the libraries of their drivers, in children of itself. One that
// crashes costs its own GPU some readings. No child outlives the program.
func TestWindowsWithTheLibrariesOfVendors(t *testing.T) {
	const amd = "adapter 0 3 0 0 1002 1\nname AMD Radeon RX 7800 XT\npnp PCI\\VEN_1002&DEV_747E&SUBSYS_1&REV_C8\\4&1&0&0008\nfamily 1 1\n" +
		"memory 17163091968\nversion 24.12.1\nsensor 8 1 51\nsensor 27 1 63\nsensor 73 1 187\nsensor 19 1 42\n"
	const nvidia = "driver 591.86\ndevice 0000:0C:00.0 GPU-1 0x1e8110de 90.04.7a.40.73 NVIDIA GeForce RTX 2080 SUPER\n" +
		"answer 0 GetTemperature 0 0 0 61\nanswer 0 GetUtilizationRates - 0 0 7\nanswer 0 GetPowerUsage - 0 0 250500\n"
	say := libraryOnWindows(t, "fake_adl.dll", "atiadlxx.dll", amd)
	libraryOnWindows(t, "fake_nvml.dll", "nvml.dll", nvidia)
	s := startWindows(t, nil, "--rescan.interval=1s")
	const theRadeon, theGeForce = `gpu="0000:03:00.0"`, `gpu="0000:0c:00.0"`
	want := hwcase.Samples{
		`gpu_temperature_celsius{` + theRadeon + `,sensor="edge"}`:    51,
		`gpu_temperature_celsius{` + theRadeon + `,sensor="hotspot"}`: 63,
		`gpu_power_watts{domain="board",` + theRadeon + `}`:           187,
		`gpu_utilization_ratio{` + theRadeon + `}`:                    0.42,
		`gpu_memory_total_bytes{` + theRadeon + `,memory="vram"}`:     17163091968,
		`gpu_temperature_celsius{` + theGeForce + `,sensor="gpu"}`:    61,
		`gpu_power_watts{domain="board",` + theGeForce + `}`:          250.5,
		`gpu_utilization_ratio{` + theGeForce + `}`:                   0.07,
	}
	s.tells(t, want)
	infos := map[string]bool{}
	for series := range s.samples(t) {
		if strings.HasPrefix(series, "gpu_info{") {
			infos[series] = true
		}
	}
	for _, words := range [][]string{{theRadeon, `source="windows"`, `driver_version="24.12.1"`, `name="AMD Radeon RX 7800 XT"`},
		{theGeForce, `source="nvml"`, `driver_version="591.86"`, `uuid="GPU-1"`, `pci_id="10de:1e81"`}} {
		found := false
		for info := range infos {
			has := true
			for _, w := range words {
				has = has && strings.Contains(info, w)
			}
			found = found || has
		}
		if !found {
			t.Errorf("no gpu_info has %v: %v", words, infos)
		}
	}
	if n := workersOnWindows(t); n != 2 {
		t.Errorf("%d children, want one for each library", n)
	}

	say("crash ADL2_New_QueryPMLogData_Get\n" + amd)
	await.Until(t, "a child that is replaced, and the other GPU as before", func() bool {
		got := s.samples(t)
		_, told := got[`gpu_temperature_celsius{`+theRadeon+`,sensor="edge"}`]
		return got[`gpu_exporter_worker_restarts_total{reason="crash",source="windows"}`] > 0 && !told &&
			got[`gpu_temperature_celsius{`+theGeForce+`,sensor="gpu"}`] == 61
	})
	say(amd)
	s.tells(t, want)

	out, status := onWindows(t, nil, "doctor", wineDeadline)
	for _, words := range []string{"sensors from ADL", "sensors from nvml"} {
		if !strings.Contains(out, words) {
			t.Errorf("doctor (status %d) does not say %q:\n%s", status, words, out)
		}
	}
	if out, _ := onWindows(t, nil, "doctor", "--no-collector.amd", "--no-collector.nvidia"); strings.Contains(out, "sensors from") {
		t.Errorf("the libraries are asked where that is turned off:\n%s", out)
	}
	s.interrupt(t)
	await.Until(t, "the end of all children", func() bool { return workersOnWindows(t) == 0 })
}

// A WMI service that hangs does not keep the program from serving, nor from its end.
func TestWindowsWithAHangingWMI(t *testing.T) {
	s := startWindows(t, []string{"FAKE_WMI=hang"}, "--collector.simulation=off", "--rescan.interval=1s")
	await.Until(t, "a discovery that fails", func() bool { return s.samples(t)[`gpu_exporter_rescans_total{result="error"}`] > 1 })
	s.holds(t, []windowsRow{{"/metrics", 200, nil}, {"/gpus", 200, []string{`"gpus":[]`}}, {"/-/healthy", 200, nil}})
	s.interrupt(t)
}
