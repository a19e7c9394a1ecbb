package nvidia

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/smi"
	"gpu_exporter/internal/await"
)

// host is a made machine: a tree with sys and proc, and a stand-in for nvidia-smi that notes each of its calls.
type host struct {
	t    testing.TB
	root string
}

func newHost(t testing.TB) host {
	h := host{t, t.TempDir()}
	t.Cleanup(func() {
		await.Until(t, "the end of all calls, which note themselves in that folder", func() bool { return len(children()) == 0 })
	})
	return h
}

func (h host) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h host) write(at, content string) {
	h.t.Helper()
	path := filepath.Join(h.root, at)
	h.must(os.MkdirAll(filepath.Dir(path), 0o755))
	h.must(os.WriteFile(path+".new", []byte(content), 0o755))
	h.must(os.Rename(path+".new", path)) // nobody runs or reads half of it
}

// pci makes a device on the bus. control and status are those of its power folder.
func (h host) pci(address, class, driver, control, status string) {
	h.t.Helper()
	dir := "sys/bus/pci/devices/" + address + "/"
	for name, content := range map[string]string{
		"vendor": "0x10de\n", "class": class + "\n", "device": "0x2216\n", "uevent": "DRIVER=" + driver + "\n",
		"power/control": control + "\n", "power/runtime_status": status + "\n",
	} {
		h.write(dir+name, content)
	}
}

// gpu makes a GPU that the driver has and that never sleeps.
func (h host) gpu(address string) { h.t.Helper(); h.pci(address, "0x030000", "nvidia", "on", "active") }

// smi makes the stand-in from a script, which has the arguments.
func (h host) smi(script string) {
	h.t.Helper()
	h.write("nvidia-smi", "#!/bin/sh\necho \"$*\" >> '"+h.root+"/calls'\n"+script+"\n")
}

// prints makes the stand-in print a document of GPUs, by their addresses, whatever it is asked for.
func (h host) prints(gpus ...string) {
	h.t.Helper()
	h.write("document", document(len(gpus), gpus...))
	h.smi("cat '" + h.root + "/document'")
}

// document is one of GPUs, of which the driver counts attached.
func document(attached int, gpus ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<?xml version=\"1.0\" ?>\n<nvidia_smi_log>\n<driver_version>580.1</driver_version>\n<attached_gpus>%d</attached_gpus>\n", attached)
	for _, gpu := range gpus {
		fmt.Fprintf(&b, "<gpu id=\"0000%s\"><product_name>X900</product_name><uuid>GPU-%s</uuid>"+
			"<temperature><gpu_temp>50 C</gpu_temp></temperature></gpu>\n", strings.ToUpper(gpu), gpu)
	}
	b.WriteString("</nvidia_smi_log>\n")
	return b.String()
}

// calls are the arguments of the calls so far.
func (h host) calls() []string {
	text, err := os.ReadFile(filepath.Join(h.root, "calls"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func (h host) options() Options {
	return Options{
		Sysfs: filepath.Join(h.root, "sys"), Procfs: filepath.Join(h.root, "proc"), SMI: filepath.Join(h.root, "nvidia-smi"),
		Log: slog.New(slog.DiscardHandler),
	}
}

// quick are times for tests: calls follow each other fast, and may take long on a busy machine.
var quick = smi.Times{
	Shortest: time.Millisecond, Longest: time.Second, First: 30 * time.Second, Call: 30 * time.Second,
	Rest: collector.RestTimes{Idle: time.Hour, First: time.Hour, Longest: time.Hour},
}

// deadline is that of a read: a tenth of it must be enough to say that there is no answer yet, on a busy machine too.
const deadline = 4 * time.Second

// lab runs a probe.
type lab struct {
	t      testing.TB
	poller *collector.Poller
	ended  chan struct{}
	stop   context.CancelFunc
}

func (h host) start(o Options, t smi.Times) *lab {
	h.t.Helper()
	l := &lab{h.t, collector.NewPoller(collector.Options{
		Interval: 20 * time.Millisecond, Deadline: deadline, Rescan: 50 * time.Millisecond,
	}, newProbe(o, t)), make(chan struct{}), nil}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	go func() { defer close(l.ended); l.poller.Run(ctx) }()
	h.t.Cleanup(l.end)
	return l
}

func (l *lab) end() {
	l.stop()
	<-l.ended
}

// sees waits for a snapshot of which something is so, and returns it.
func (l *lab) sees(what string, is func(*collector.Snapshot) bool) *collector.Snapshot {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	for s := range l.poller.Subscribe(ctx) {
		if is(s) {
			return s
		}
	}
	l.t.Fatalf("in vain: %s; last: %+v", what, l.poller.Latest())
	return nil
}

// state waits for a GPU in a state.
func (l *lab) state(gpu string, state collector.State) collector.Status {
	l.t.Helper()
	s := l.sees(fmt.Sprint(gpu, " is ", state), func(s *collector.Snapshot) bool {
		d, err := s.Find(gpu)
		return err == nil && d.State == state && (state != collector.StateOK || len(d.Samples) > 0)
	})
	d, _ := s.Find(gpu)
	return *d
}

// children are the processes that this one has started and that have not ended.
func children() (list []string) {
	paths, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is good
	for _, path := range paths {
		text, _ := os.ReadFile(path) // the thread may have ended
		list = append(list, strings.Fields(string(text))...)
	}
	return list
}

// restarts counts what a probe tells.
type restarts struct {
	mu sync.Mutex
	n  map[collector.RestartReason]int
}

func (r *restarts) add(_ string, reason collector.RestartReason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = map[collector.RestartReason]int{}
	}
	r.n[reason]++
}

func (r *restarts) of(reason collector.RestartReason) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n[reason]
}
