package windows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/smi"
	"gpu_exporter/internal/await"
)

// standInSMI is nvidia-smi: it notes what it was asked for, prints a document, and exits as it is told to.
var standInSMI = child("nvidia-smi", func() {
	root := os.Getenv("SMI_ROOT")
	calls, err := os.OpenFile(filepath.Join(root, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(calls, strings.Join(os.Args[1:], " "))
	}
	text, reading := os.ReadFile(filepath.Join(root, "document"))
	if string(text) == hanging {
		err = os.WriteFile(filepath.Join(root, "hangs"), nil, 0o600)
		for err == nil {
			time.Sleep(time.Hour)
		}
	}
	fmt.Print(string(text))
	if err != nil || reading != nil {
		os.Exit(9) // as without a driver
	}
	os.Exit(0)
})

// hanging, in place of a document, has it hang.
const hanging = "hanging"

// smiBench is a smiReader that calls the stand-in.
type smiBench struct {
	*smiReader
	t    testing.TB
	root string
}

func newSMIBench(t testing.TB, document string) *smiBench {
	t.Helper()
	b := &smiBench{t: t, root: t.TempDir()}
	if document != "" {
		b.print(document)
	}
	o := smi.Options{
		Env:       []string{role + "=" + standInSMI, "SMI_ROOT=" + b.root, "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")},
		Log:       slog.New(slog.DiscardHandler),
		Restarted: func(collector.RestartReason) {},
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	times := smi.Usual
	times.Shortest = time.Nanosecond
	b.smiReader = newSMIReader(func(bool) string { return self }, false, o, times)
	t.Cleanup(b.Close)
	return b
}

func (b *smiBench) print(document string) {
	b.t.Helper()
	path := filepath.Join(b.root, "document")
	err := os.WriteFile(path+".new", []byte(document), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path) // no call reads half of it
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// hang has the next call hang, and hangs says that it does: no other begins.
func (b *smiBench) hang() { b.t.Helper(); b.print(hanging) }

func (b *smiBench) hangs() bool {
	_, err := os.Stat(filepath.Join(b.root, "hangs"))
	return err == nil
}

// calls are what the stand-in was asked for so far.
func (b *smiBench) calls() []string {
	text, err := os.ReadFile(filepath.Join(b.root, "calls"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n")
}

// reading reads one GPU until a call has answered.
func (b *smiBench) reading(at Address) NVMLReading {
	b.t.Helper()
	var r NVMLReading
	await.Until(b.t, "an answer about "+string(at), func() bool {
		list, err := b.Read(await.Context(b.t), []NVMLTarget{{Address: at}})
		if err != nil || len(list) != 1 {
			b.t.Fatal(list, err)
		}
		r = list[0]
		return !errors.Is(r.Err, errUnasked)
	})
	return r
}

// smiDocument is one of GPUs, of which the driver counts attached.
func smiDocument(attached int, gpus ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<nvidia_smi_log><driver_version>591.86</driver_version><attached_gpus>%d</attached_gpus>", attached)
	for _, gpu := range gpus {
		fmt.Fprintf(&b, `<gpu id="0000%s"><product_name>X900</product_name><uuid>GPU-%s</uuid>`+
			"<temperature><gpu_temp>50 C</gpu_temp></temperature></gpu>", gpu, gpu)
	}
	return b.String() + "</nvidia_smi_log>"
}

// host is a laptop whose only GPU of NVIDIA, the first one, is read by the stand-in, which takes long to start on a busy
// machine.
func (b *smiBench) host() *rig {
	h := laptop(b.t)
	h.entries = nil
	h.adapters[0].DeviceIDs = &PCIIDs{vendorNVIDIA, 0x220a}
	h.present[0].ID = `PCI\VEN_10DE&DEV_220A&SUBSYS_1&REV_A1\0`
	g := h.start(func(o *Options, _ *Probe) { o.Sources.NVML = b.smiReader })
	g.next("a reading", func(d *collector.Status) bool {
		if d.Source != "nvidia-smi" {
			g.rescan()
		}
		return toldBySMI(d)
	})
	return g
}

// next is the first reading of a host of the GPU that nvidia-smi reads which is as it is said to be.
func (g *rig) next(what string, is func(d *collector.Status) bool) (d *collector.Status) {
	g.t.Helper()
	await.Until(g.t, what, func() (ok bool) {
		var err error
		if d, err = g.cycle().Find(goodGPU); err != nil {
			g.t.Fatal(err)
		}
		return is(d)
	})
	return d
}

func toldBySMI(d *collector.Status) bool {
	return slices.Contains(samples(*d), `gpu_temperature_celsius{sensor="gpu"} 50`)
}

// What nvidia-smi said before the GPU slept is not said when it wakes: the first values are of a call since then.
func TestWhatNVIDIASMISaidBeforeSleepIsNotSaidAgain(t *testing.T) {
	b := newSMIBench(t, smiDocument(1, goodGPU))
	g := b.host()
	g.change(func() { g.adapters[0].PowerState = PowerD3 })
	g.next("sleep", func(d *collector.Status) bool { return d.State == collector.StateAsleep })
	b.print("") // no call ends with a document from now on
	calls := len(b.calls())
	g.change(func() { g.adapters[0].PowerState = PowerD0 })
	d := g.next("another call", func(d *collector.Status) bool {
		if toldBySMI(d) {
			t.Error("it says what it was before it slept")
		}
		return len(b.calls()) > calls
	})
	if d.State == collector.StateAsleep {
		t.Errorf("%v", d.State)
	}
}

// What went wrong in one call is counted once, though it is so until the next one.
func TestAFailureOfNVIDIASMIIsCountedOnce(t *testing.T) {
	for name, document := range map[string]string{
		"a document without the GPU": smiDocument(1, secondSMI),
		"a value that is none":       strings.Replace(smiDocument(1, goodGPU), "50 C", "ERR!", 1),
	} {
		t.Run(name, func(t *testing.T) {
			b := newSMIBench(t, smiDocument(1, goodGPU))
			g := b.host()
			b.print(document)
			g.next("a failure", func(d *collector.Status) bool { return d.State == collector.StatePartial })
			b.hang()
			g.next("a call that does not end", func(*collector.Status) bool { return b.hangs() })
			counted := func() int {
				g.notes.mu.Lock()
				defer g.notes.mu.Unlock()
				return len(g.notes.failed)
			}
			g.cycle()
			before := counted()
			for range 5 {
				if d := g.next("a cycle", func(*collector.Status) bool { return true }); d.State != collector.StatePartial || len(d.Failures) != 1 {
					t.Errorf("%v, %s", d.State, failures(*d))
				}
			}
			if n := counted() - before; n != 0 {
				t.Errorf("%d failures were counted of a call that was counted already", n)
			}
		})
	}
}

const firstSMI, secondSMI = "0000:0c:00.0", "0000:0d:00.0"

func TestNVIDIASMI(t *testing.T) {
	b := newSMIBench(t, smiDocument(2, firstSMI, secondSMI))
	list, err := b.Devices(await.Context(t), []NVMLTarget{{Address: firstSMI}})
	want := []NVMLDevice{{Address: firstSMI, Source: "nvidia-smi", Type: collector.Discrete, UUID: "GPU-" + firstSMI, Name: "X900", Version: "591.86"}}
	if err != nil || !slices.Equal(list, want) {
		t.Errorf("got %+v, %v\nwant %+v", list, err, want)
	}
	r := b.reading(firstSMI)
	if r.Err != nil || len(r.Samples) != 1 || r.Samples[0].S.String() != `gpu_temperature_celsius{sensor="gpu"}` || r.Samples[0].V != 50 {
		t.Errorf("%+v", r)
	}
	for _, call := range b.calls() {
		if call != "-q -x -i "+firstSMI { // the other one may be asleep
			t.Errorf("it is asked for %q", call)
		}
	}
}

func TestNVIDIASMIIsAskedAboutAllWhereNobodyTellsWhoIsThere(t *testing.T) {
	b := newSMIBench(t, smiDocument(2, firstSMI, secondSMI))
	list, err := b.Devices(await.Context(t), nil)
	if err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if calls := b.calls(); !slices.Equal(calls, []string{"-q -x"}) {
		t.Errorf("it is asked for %q", calls)
	}
}

func TestGPUsThatNVIDIASMIDoesNotTellOf(t *testing.T) {
	for name, c := range map[string]struct {
		document string
		want     error
		text     string
	}{
		"it does not list it":                  {smiDocument(1, secondSMI), nil, "does not list"},
		"the driver counts it and has lost it": {smiDocument(2, secondSMI), collector.ErrGone, ""},
		"no document":                          {"Failed to initialize NVML", nil, "Failed to initialize"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newSMIBench(t, c.document)
			_, _ = b.Devices(await.Context(t), []NVMLTarget{{Address: firstSMI}})
			r := b.reading(firstSMI)
			if r.Err == nil || c.want != nil && !errors.Is(r.Err, c.want) || !strings.Contains(r.Err.Error(), c.text) {
				t.Errorf("%v", r.Err)
			}
		})
	}
}

func TestNVIDIASMIThatIsNoUse(t *testing.T) {
	b := newSMIBench(t, "") // it exits as without a driver
	if _, err := b.Devices(await.Context(t), []NVMLTarget{{Address: firstSMI}}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("without a driver: %v", err)
	}
	b.locate = func(seen bool) string {
		if !seen {
			t.Error("a GPU is seen")
		}
		return ""
	}
	if _, err := b.Devices(await.Context(t), []NVMLTarget{{Address: firstSMI}}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("not there: %v", err)
	}
}

// way is a way to read that answers in its name, or is not there.
type way struct {
	name  string
	there bool
}

func (w *way) Devices(context.Context, []NVMLTarget) ([]NVMLDevice, error) {
	if !w.there {
		return nil, fmt.Errorf("%s: %w", w.name, ErrUnsupported)
	}
	return []NVMLDevice{{Address: firstSMI, Source: w.name}}, nil
}

func (w *way) Read(context.Context, []NVMLTarget) ([]NVMLReading, error) {
	return []NVMLReading{{Err: errors.New(w.name)}}, nil
}
func (*way) LetGo(Address) {}
func (*way) Close()        {}

func TestTheFirstWayThatIsThereReads(t *testing.T) {
	library, program := &way{"nvml", false}, &way{"nvidia-smi", true}
	f := &firstOfNVML{ways: []NVML{library, program}}
	for _, c := range []struct {
		library, program bool
		want             string
	}{{false, true, "nvidia-smi"}, {true, true, "nvml"}, {false, true, "nvidia-smi"}, {true, false, "nvml"}, {false, false, ""}} {
		library.there, program.there = c.library, c.program
		list, err := f.Devices(t.Context(), nil)
		if c.want == "" {
			if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "nvml") || !strings.Contains(err.Error(), "nvidia-smi") {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		r, _ := f.Read(t.Context(), nil)
		if err != nil || list[0].Source != c.want || r[0].Err.Error() != c.want {
			t.Errorf("%+v: %+v, %+v, %v", c, list, r, err)
		}
	}
}
