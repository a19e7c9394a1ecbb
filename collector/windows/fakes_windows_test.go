//go:build wine

package windows

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// fake is a DLL of testdata/fakes, which answers in the place of one of Windows. What it is fed is written by its source.
type fake struct {
	t testing.TB
	windows.Handle
	functions
	fed string // the feed
}

// fakes is the folder where .ci/wine has built them.
func fakes(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("FAKES")
	if dir == "" {
		t.Fatal("FAKES is not set: run .ci/wine")
	}
	return dir
}

// loadFake loads a fake. At the end of the test each handle that it gave out must have come back, and no call may have
// been one that no sound program makes.
func loadFake(t testing.TB, name, feed string) *fake {
	t.Helper()
	dll, err := windows.LoadLibraryEx(filepath.Join(fakes(t), name), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, Handle: dll, functions: find(dll, "Feed", "Release", "Handles", "Wrong")}
	f.call("Wrong") // of a test before
	f.feed(feed)
	t.Cleanup(func() {
		f.call("Release")
		if n := f.call("Wrong"); n != 0 {
			t.Errorf("%s: %d calls are wrong", name, n)
		}
	})
	return f
}

// feed says what the fake answers from now on.
func (f *fake) feed(text string) {
	f.t.Helper()
	at, err := windows.BytePtrFromString(text)
	if err != nil {
		f.t.Fatal(err)
	}
	f.fed = text
	f.call("Feed", uintptr(unsafe.Pointer(at)))
}

// handles says how many are out.
func (f *fake) handles() int { return int(f.call("Handles")) }

// release has the calls that hang come back.
func (f *fake) release() { f.call("Release") }

// closed checks that all handles are back.
func (f *fake) closed() {
	f.t.Helper()
	if n := f.handles(); n != 0 {
		f.t.Errorf("%d handles have not come back", n)
	}
}

// lines makes a feed.
type lines struct{ strings.Builder }

func (l *lines) add(format string, args ...any) { fmt.Fprintf(l, format+"\n", args...) }

// optional adds a line where v is told.
func optional[T any](l *lines, word string, v *T) {
	if v != nil {
		l.add("%s %v", word, *v)
	}
}

// kernelFeed is what D3DKMT answers of the adapters of a host.
func kernelFeed(t testing.TB, h *host) string {
	var l lines
	for _, r := range h.adapters {
		luid := r.luid(t)
		l.add("adapter %d %d", luid>>32, uint32(luid))
		l.add("name %s", r.AdapterString)
		l.add("bios %s", r.BIOSString)
		if p := r.Address; p != nil {
			l.add("address %d %d %d", p.Bus, p.Device, p.Function)
		}
		if i := r.DeviceIDs; i != nil {
			l.add("ids %d %d 1 2 3", i.Vendor, i.Device)
		}
		optional(&l, "type", r.TypeBits)
		l.add("wddm %d", r.WDDM)
		optional(&l, "scheduling", r.SchedulingBits)
		if s := r.SegmentSize; s != nil {
			l.add("sizes %d 12345 %d", s.Dedicated, s.Shared)
		}
		if string(r.Perf) == mustNotBeRead {
			l.add("asleep")
		}
		var perf, caps map[string]uint64
		if json.Unmarshal(r.Perf, &perf) == nil && perf != nil {
			l.add("perf %d %d %d %d %d", perf["memory_frequency_hz"], perf["max_memory_frequency_hz"], perf["fan_rpm"],
				perf["power_tenth_percent"], perf["temperature_tenth_celsius"])
		}
		if json.Unmarshal(r.PerfCaps, &caps) == nil && caps != nil {
			l.add("caps %d %d %d", caps["max_fan_rpm"], caps["temperature_max_tenth_celsius"], caps["temperature_warning_tenth_celsius"])
		}
		l.add("tdr %d", r.TDR)
		for _, s := range r.Segments {
			l.add("segment %d 12345 12345 %d", s.Aperture, s.Resident)
		}
		for _, n := range r.Nodes {
			l.add("node %d %d %d %d %d %s", n.Type, n.Running, n.Perf.Hertz, n.Perf.MaxHertz, n.Perf.Millivolts, n.Name)
		}
	}
	return l.String()
}

// pdhFeed is what pdh.dll answers: the counters of a host.
func pdhFeed(h *host) string {
	var l lines
	if h.counters == nil {
		return ""
	}
	for i, set := range []CounterSet{h.counters.RunningTime, h.counters.Dedicated, h.counters.Shared} {
		for _, c := range set.Items {
			l.add("item %s\t%s\t%d\t%d\t%d", counterPaths[i], c.Instance, 0, 0, c.Value)
		}
	}
	return l.String()
}

// plugFeed is what cfgmgr32.dll answers: the devices of a host, with the power states of their adapters.
func plugFeed(h *host) string {
	var l lines
	states, _ := recordedPnP{h}.Power(mapped(h.present, func(d PnPDevice) string { return d.ID }))
	for i, d := range h.present {
		if p := d.Place; p != nil {
			l.add("device %s\t%d\t%d\t%d", d.ID, p.Bus, p.Device<<16|p.Function, states[i])
		} else {
			l.add("device %s\t-\t-\t%d", d.ID, states[i])
		}
	}
	return l.String()
}

// machine is a host whose D3DKMT, PDH and cfgmgr32 are fakes behind the calls of the program itself.
type machine struct {
	*host
	kernel, counters, plug *fake
	d3dkmt                 *d3dkmtDLL
	pdh                    *pdhDLL
	pnp                    cfgmgr32
}

func newMachine(t testing.TB, dir, capture string) *machine {
	t.Helper()
	h := recorded(t, dir, capture)
	m := &machine{host: h, kernel: loadFake(t, "fake_d3dkmt.dll", kernelFeed(t, h)), counters: loadFake(t, "fake_pdh.dll", pdhFeed(h)),
		plug: loadFake(t, "fake_cfgmgr32.dll", plugFeed(h))}
	m.d3dkmt = &d3dkmtDLL{findD3DKMT(m.kernel.Handle), slog.New(slog.DiscardHandler)}
	m.pdh = &pdhDLL{functions: findPDH(m.counters.Handle)}
	m.pnp = cfgmgr32{findCfgmgr32(m.plug.Handle)}
	return m
}

// timed is a PDH that takes its time from the host, whose collections are further apart than those of a test.
type timed struct {
	PDH
	h *host
}

func (p timed) Collect() (Counters, error) {
	c, err := p.PDH.Collect()
	p.h.change(func() {
		if p.h.counters != nil {
			c.Time = p.h.counters.Time
		}
	})
	return c, err
}

// start starts a Poller on the machine.
func (m *machine) start(set ...func(*Options, *Probe)) *rig {
	return m.host.start(append([]func(*Options, *Probe){func(o *Options, p *Probe) {
		if p == nil {
			o.Sources.D3DKMT, o.Sources.PDH, o.Sources.PnP = m.d3dkmt, timed{m.pdh, m.host}, m.pnp
		}
	}}, set...)...)
}

// feed has the fakes answer what another capture of the case says.
func (m *machine) feed() {
	m.kernel.feed(kernelFeed(m.t, m.host))
	m.counters.feed(pdhFeed(m.host))
	m.plug.feed(plugFeed(m.host))
}
