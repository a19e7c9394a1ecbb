//go:build wine

package windows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"gpu_exporter/collector/worker"
	"gpu_exporter/internal/await"
)

// The offsets of the structures, by section 4. Their sizes are held by the compiler.
func TestADLLayouts(t *testing.T) {
	for _, c := range []struct {
		field     string
		got, want uintptr
	}{
		{"AdapterInfo.iAdapterIndex", unsafe.Offsetof(adlAdapterInfo{}.Index), 4},
		{"AdapterInfo.iBusNumber", unsafe.Offsetof(adlAdapterInfo{}.Bus), 264},
		{"AdapterInfo.iVendorID", unsafe.Offsetof(adlAdapterInfo{}.Vendor), 276},
		{"AdapterInfo.strAdapterName", unsafe.Offsetof(adlAdapterInfo{}.Name), 280},
		{"AdapterInfo.iPresent", unsafe.Offsetof(adlAdapterInfo{}.Present), 792},
		{"AdapterInfo.strPNPString", unsafe.Offsetof(adlAdapterInfo{}.PNP), 1312},
		{"AdapterInfo.iOSDisplayIndex", unsafe.Offsetof(adlAdapterInfo{}.OSDisplay), 1568},
		{"ADLVersionsInfoX2.strCrimsonVersion", unsafe.Offsetof(adlVersionsInfo{}.Adrenalin), 512},
		{"ADLBiosInfo.strVersion", unsafe.Offsetof(adlBIOSInfo{}.Version), 256},
		{"ADLPMLogDataOutput.sensors", unsafe.Offsetof(adlLog{}.Sensors), 4},
		{"ADLSingleSensorData.value", unsafe.Offsetof(PMLogSensor{}.Value), 4},
	} {
		if c.got != c.want {
			t.Errorf("%s is at %d, want %d", c.field, c.got, c.want)
		}
	}
}

// twoCards is the feed of two cards: the first has three entries, of which the first is not there.
const twoCards = `version 24.12.1
adapter 0 3 0 0 1002 0
name first
adapter 1 3 0 0 1002 1
name first
pnp PCI\VEN_1002&DEV_747E
family 1 0xffff
memory 17179869184
bios 113-first
usage 1050
sensor 1 0 77
sensor 8 1 50
sensor 255 1 -3
adapter 2 3 0 0 1002 1
name first
adapter 3 0 2 0 0x8086 1
name not AMD's
adapter 4 4 0 0 0x1002 1
name second
family 0xf3 0x22
memory 8589934592
sensor 8 1 60
`

// loadADL loads a fake library as a child does. At the end of the test it has given back all that it took.
func loadADL(t *testing.T, name, feed string) (*adlLibrary, *fake, adlFound) {
	t.Helper()
	dll := loadFake(t, name, feed)
	l := &adlLibrary{load: func() (windows.Handle, error) { return dll.Handle, nil }}
	found := l.Load(nil).(adlFound)
	t.Cleanup(func() {
		l.close()
		dll.closed()
	})
	return l, dll, found
}

// openADL opens a GPU, which the test can read.
func openADL(t *testing.T, l *adlLibrary, id string) (*adlGPU, ADLAdapter) {
	t.Helper()
	gpu, said := l.Open(id)
	opened, ok := said.(adlOpened)
	if gpu == nil || !ok || opened.Adapter == nil {
		t.Fatalf("%s is not opened: %+v", id, said)
	}
	return gpu.(*adlGPU), *opened.Adapter
}

// reading is what the main program makes of all groups.
func (g *adlGPU) reading() (r ADLReading) {
	for group := range uint8(adlGroups) {
		r.take(group, g.read(group, func(uint8) {}))
	}
	return r
}

func TestADLCalls(t *testing.T) {
	sensors := func(l *adlLibrary, id string) (r ADLReading) { g, _ := openADL(t, l, id); return g.reading() }
	for name, c := range map[string]struct {
		dll    string
		result int32 // of the sensors
	}{
		"of today":         {"fake_adl.dll", 0},
		"of an old driver": {"fake_adl_old.dll", adlNotSupported},
	} {
		t.Run(name, func(t *testing.T) {
			l, _, found := loadADL(t, c.dll, twoCards)
			if found.Err != "" || len(found.Entries) != 5 {
				t.Fatalf("%+v", found)
			}
			want := ADLAdapter{Index: 1, Place: Place{3, 0, 0}, Vendor: 1002, Name: "first", PNP: `PCI\VEN_1002&DEV_747E`,
				Present: true, Version: "24.12.1"}
			if found.Entries[1] != want {
				t.Errorf("an entry: %+v", found.Entries[1])
			}
			if a := found.Entries[0]; a.Present || a.Index != 0 {
				t.Errorf("an entry that is not there: %+v", a)
			}
			if a := found.Entries[4]; a.Vendor != vendorAMD || a.Place != (Place{4, 0, 0}) {
				t.Errorf("the second card: %+v", a)
			}
			_, first := openADL(t, l, firstID)
			want.Family, want.Memory, want.BIOSPart = 1, 16<<30, "113-first"
			if first != want {
				t.Errorf("the first card: %+v", first)
			}
			// A driver may not tell, and not all bits of the family count.
			if _, second := openADL(t, l, secondID); second.Family != 0x22 || second.Memory != 8<<30 || second.BIOSPart != "" {
				t.Errorf("the second card: %+v", second)
			}
			if r := sensors(l, secondID); r.Result != c.result || r.Usage != nil {
				t.Errorf("its reading: %+v", r)
			}
			r := sensors(l, firstID)
			if r.Result != c.result || r.Usage == nil || *r.Usage != 1050 {
				t.Errorf("a reading: %+v", r)
			}
			for n, want := range map[int]PMLogSensor{0: {0, -1}, 1: {0, 77}, 8: {1, 50}, 255: {1, -3}} {
				if c.result == 0 && r.PMLog[n] != want {
					t.Errorf("sensor %d: %+v, want %+v", n, r.PMLog[n], want)
				}
			}
			for _, id := range []string{"1 at 0000:04:00.0", "9 at 0000:03:00.0", "", "1"} {
				if gpu, said := l.Open(id); gpu != nil || said.(adlOpened).Err == "" {
					t.Errorf("%q is opened: %+v", id, said)
				}
			}
		})
	}
}

// A name comes in the code page of the system, and its garbage harms nobody.
func TestADLTexts(t *testing.T) {
	_, _, found := loadADL(t, "fake_adl.dll", "adapter 0 3 0 0 1002 1\nname Radeon \xae\x99\xff\npnp "+strings.Repeat("x", 300)+"\n")
	if len(found.Entries) != 1 || !strings.HasPrefix(found.Entries[0].Name, "Radeon ®™") || len(found.Entries[0].PNP) != 255 {
		t.Errorf("%+v", found)
	}
	var full adlText
	for i := range full {
		full[i] = 'x'
	}
	if got := full.text(); got != strings.Repeat("x", 256) {
		t.Errorf("a text without an end: %q", got)
	}
}

// What each function may answer, and a library that has none of them.
func TestADLCodes(t *testing.T) {
	bad := []int32{-1, -2, -3, -5, -8, -9, -10, -22, -23, -25, -26, -28, -100}
	all := slices.Concat(bad, []int32{0, 1, 2, 3, 4})
	withoutList := func(t *testing.T, function string, code int32, l *adlLibrary, found adlFound) {
		unsupported := code == adlNotSupported || function == adlCreate && code == adlNoGPU
		if found.Unsupported != unsupported || len(found.Entries) > 0 || !strings.Contains(found.Err, function) || l.context != 0 {
			t.Errorf("%+v", found)
		}
	}
	lacking := func(t *testing.T, function string, _ int32, l *adlLibrary, found adlFound) {
		if len(found.Entries) != 5 || (found.Entries[1].Version == "") != (function == adlVersions) {
			t.Fatalf("%+v", found)
		}
		_, a := openADL(t, l, firstID)
		if (a.Family == 0) != (function == adlFamily) || (a.BIOSPart == "") != (function == adlBIOS) || a.Memory != 16<<30 {
			t.Errorf("%+v", a)
		}
	}
	for _, c := range []struct {
		function string
		codes    []int32
		check    func(t *testing.T, function string, code int32, l *adlLibrary, found adlFound)
	}{
		{adlCreate, bad, withoutList},
		{adlNumber, bad, withoutList},
		{adlInfo, bad, withoutList},
		{adlVersions, bad, lacking},
		{adlFamily, bad, lacking},
		{adlMemory4, bad, lacking}, // the other one tells it
		{adlMemory2, bad, lacking},
		{adlBIOS, bad, lacking},
		{adlQuery, all, func(t *testing.T, _ string, code int32, l *adlLibrary, _ adlFound) {
			g, _ := openADL(t, l, firstID)
			if r := g.reading(); r.Result != code || *r.Usage != 1050 {
				t.Errorf("%+v", r)
			}
		}},
		{adlUsage, all, func(t *testing.T, _ string, code int32, l *adlLibrary, _ adlFound) {
			g, _ := openADL(t, l, firstID)
			if r := g.reading(); (r.Usage == nil) != (code < 0) || r.Result != 0 {
				t.Errorf("%+v", r)
			}
		}},
	} {
		for _, code := range c.codes {
			t.Run(fmt.Sprint(c.function, " ", code), func(t *testing.T) {
				l, _, found := loadADL(t, "fake_adl.dll", fmt.Sprintf("status %s %d\n", c.function, code)+twoCards)
				c.check(t, c.function, code, l, found)
			})
		}
	}
}

func TestADLWithoutEntries(t *testing.T) {
	for name, c := range map[string]struct {
		dll, feed   string
		text        string
		unsupported bool
	}{
		"none":            {"fake_adl.dll", "", "", false}, // what that means is for the main program to say
		"without end":     {"fake_adl.dll", "endless\n", adlNumber, false},
		"another library": {"fake_cfgmgr32.dll", "", adlCreate, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, found := loadADL(t, c.dll, c.feed)
			if found.Unsupported != c.unsupported || len(found.Entries) > 0 ||
				!strings.Contains(found.Err, c.text) || (found.Err == "") != (c.text == "") {
				t.Errorf("%+v", found)
			}
		})
	}
	if found := newADLLibrary().Load(nil).(adlFound); !found.Unsupported || !strings.Contains(found.Err, adlFile) || adlInstalled() {
		t.Errorf("no library: %+v", found)
	}
}

// The library has no locks of its own: GPUs are read side by side, and their calls one after another.
func TestADLCallsTakeTurns(t *testing.T) {
	l, _, _ := loadADL(t, "fake_adl.dll", twoCards)
	var all sync.WaitGroup
	for id, celsius := range map[string]int32{firstID: 50, secondID: 60} {
		g, _ := openADL(t, l, id)
		all.Go(func() {
			for range 300 {
				if r := g.reading(); r.PMLog[8].Value != celsius {
					t.Errorf("%s: %+v", id, r.PMLog[8])
				}
			}
		})
	}
	all.Wait() // loadFake counts two calls at once
}

const fakeLibrary = "WINDOWS_TEST_ADL_DLL"

var fakeADLRole = child("ADL by a fake", func() {
	load := func() (windows.Handle, error) {
		dll, err := windows.LoadLibraryEx(os.Getenv(fakeLibrary), 0, 0)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return dll, err
	}
	fmt.Fprintln(os.Stderr, worker.Serve(adlHello, &adlLibrary{load: load}))
})

// dllADL is ADL by way of children whose library is a fake.
type dllADL struct {
	*adlSource
	t    testing.TB
	path string // of the feed
	fed  string

	mu      sync.Mutex
	reasons map[worker.Reason]int // why children were replaced
}

func newDLLADL(t testing.TB, name, feed string, set ...func(*worker.PoolOptions)) *dllADL {
	t.Helper()
	d := &dllADL{t: t, path: filepath.Join(t.TempDir(), "feed"), reasons: map[worker.Reason]int{}}
	d.write(feed)
	o := childOptions(t, fakeADLRole, fakeLibrary+"="+filepath.Join(fakes(t), name), "FAKE_FEED="+d.path)
	o.Restarted = func(r worker.Reason) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.reasons[r]++
	}
	for _, f := range set {
		f(&o)
	}
	d.adlSource = newADL(func() bool { return true }, o)
	t.Cleanup(d.Close)
	return d
}

func (d *dllADL) write(feed string) {
	d.t.Helper()
	if err := os.WriteFile(d.path, []byte(feed), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.fed = feed
}

func (d *dllADL) replaced(r worker.Reason) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reasons[r]
}

// listed waits until the library has told its entries.
func (d *dllADL) listed() *dllADL {
	d.t.Helper()
	if _, err := d.Adapters(await.Context(d.t), never); err != nil {
		d.t.Fatal(err)
	}
	return d
}

// both reads both cards within a second.
func (d *dllADL) both() (first, second ADLReading) {
	d.t.Helper()
	r, err := d.Read(within(d.t, time.Second), []ADLTarget{{Place: firstPlace}, {Place: secondPlace}})
	if err != nil || len(r) != 2 {
		d.t.Fatal(r, err)
	}
	return r[0], r[1]
}

func TestADLChild(t *testing.T) {
	d := newDLLADL(t, "fake_adl.dll", twoCards)
	list, err := d.Adapters(await.Context(t), never)
	if err != nil || len(list) != 5 || list[1].Memory != 16<<30 || list[4].Memory != 8<<30 {
		t.Fatalf("%+v, %v", list, err)
	}
	r, err := d.Read(await.Context(t), []ADLTarget{{Place: secondPlace}, {Place: firstPlace, Usage: true}})
	if err != nil || r[0].Err != nil || r[1].Err != nil || r[0].PMLog[8].Value != 60 || r[1].PMLog[8].Value != 50 ||
		*r[1].Usage != 1050 {
		t.Errorf("%+v, %v", r, err)
	}
	for name, want := range map[string]error{"none.dll": ErrUnsupported, "fake_pdh.dll": ErrUnsupported} {
		d := newDLLADL(t, name, "")
		if list, err := d.Adapters(await.Context(t), never); list != nil || !errors.Is(err, want) || d.replaced(worker.Sleep) != 1 {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

// A call that hangs or crashes costs what it was for. The child is replaced, and when the driver is well again all is as
// before.
func TestADLChildThatMisbehaves(t *testing.T) {
	for _, c := range []struct {
		order  string // of the feed
		reason worker.Reason
		others bool // the first card is read meanwhile
	}{
		{"hang " + adlQuery + "#4", worker.Timeout, true},
		{"crash " + adlQuery + "#4", worker.Crash, false},
		{"hang " + adlCreate, worker.Timeout, false},
		{"crash " + adlCreate, worker.Crash, false},
		{"hang " + adlBIOS + "#4", worker.Timeout, true},
		{"crash " + adlFamily + "#4", worker.Crash, false},
	} {
		t.Run(c.order, func(t *testing.T) {
			d := newDLLADL(t, "fake_adl.dll", twoCards, func(o *worker.PoolOptions) {
				o.OpenWait, o.Retries = time.Second, []time.Duration{500 * time.Millisecond}
			}).listed()
			d.write(c.order + "\n" + twoCards)
			d.end(worker.DriverChanged)
			lost, others := false, false
			await.Until(t, "what is to come of it", func() bool {
				first, second := d.both()
				others = others || first.Err == nil && second.Err != nil
				lost = lost || second.Err != nil
				return lost && d.replaced(c.reason) > 0 && (others || !c.others)
			})
			d.write(twoCards)
			await.Until(t, "all as before", func() bool {
				first, second := d.both()
				return first.Err == nil && second.Err == nil && first.PMLog[8].Value == 50 && second.PMLog[8].Value == 60
			})
		})
	}
}

// used counts what this process holds: handles, children, goroutines.
func used(t *testing.T) (handles, children, goroutines int) {
	t.Helper()
	self := os.Getpid()
	// GetProcessHandleCount is 0 in Wine. This is SYSTEM_HANDLE_INFORMATION_EX: the count, and then 40 bytes for each
	// handle, of which the second 8 are the number of the process.
	table := make([]uint64, 1<<20)
	size := uint32(len(table) * 8)
	err := windows.NtQuerySystemInformation(windows.SystemExtendedHandleInformation, unsafe.Pointer(&table[0]), size, &size)
	if err != nil {
		t.Fatal(err)
	}
	for i := range table[0] {
		if table[2+5*i+1] == uint64(self) {
			handles++
		}
	}
	list, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(list)
	entry := windows.ProcessEntry32{}
	entry.Size = uint32(unsafe.Sizeof(entry))
	for err = windows.Process32First(list, &entry); err == nil; err = windows.Process32Next(list, &entry) {
		if entry.ParentProcessID == uint32(self) {
			children++
		}
	}
	return handles, children, runtime.NumGoroutine()
}

// 200 children that hang or crash, with waits of milliseconds, leave nothing behind.
func TestADLChildrenLeakNothing(t *testing.T) {
	newDLLADL(t, "fake_adl.dll", twoCards).listed() // makes what is made once, and goes on
	handles, children, goroutines := used(t)
	if handles == 0 || children == 0 {
		t.Fatalf("%d handles and %d children are seen of those that are there", handles, children)
	}
	var all sync.WaitGroup
	for _, c := range []struct {
		order  string
		reason worker.Reason
		rounds int
		wait   time.Duration // for the library
		round  func(d *dllADL)
	}{
		{"hang " + adlCreate, worker.Timeout, 60, 50 * time.Millisecond, func(d *dllADL) {
			_, _, _ = d.steady.Look(await.Context(t), nil)
		}},
		{"crash " + adlQuery + "#4", worker.Crash, 80, 0, func(d *dllADL) {
			_, _ = d.Read(await.Context(t), []ADLTarget{{Place: secondPlace}})
		}},
		{"hang " + adlQuery + "#4", worker.Timeout, 60, 0, func(d *dllADL) { // in a child of its own, which is then done with
			target := ADLTarget{Place: secondPlace, MaySleep: true}
			_, _, _ = d.of(target).Look(await.Context(t), []string{secondID})
			_, _ = d.Read(within(t, 50*time.Millisecond), []ADLTarget{target})
			_, _ = d.Adapters(await.Context(t), never)
		}},
	} {
		all.Go(func() {
			d := newDLLADL(t, "fake_adl.dll", twoCards, func(o *worker.PoolOptions) { o.OpenWait = c.wait })
			defer d.Close()
			for c.wait == 0 && d.ids == nil { // else there never is a list
				_, _ = d.Adapters(await.Context(t), never)
			}
			d.write(c.order + "\n" + twoCards)
			d.end(worker.DriverChanged) // the child of the list was well
			replaced, grown := 0, time.Now()
			for ; replaced < c.rounds; c.round(d) {
				if n := d.replaced(c.reason); n > replaced {
					replaced, grown = n, time.Now()
				} else if time.Since(grown) > await.Patience {
					t.Errorf("%s: %d children were replaced of %d, and no more", c.order, replaced, c.rounds)
					return
				}
			}
		})
	}
	all.Wait()
	// Go keeps the threads that have blocked, each with some handles: fewer than children were there.
	await.Until(t, "all given back", func() bool {
		h, c, g := used(t)
		return h < handles+100 && c <= children && g <= goroutines
	})
	h, _, _ := used(t)
	t.Logf("%d handles before, %d afterwards", handles, h)
}

// adlFeed is what ADL answers of a host.
func adlFeed(h *host) string {
	var l lines
	for _, a := range h.entries {
		if a.Version != "" {
			l.add("version %s", a.Version)
			break
		}
	}
	for _, a := range h.entries {
		present := map[bool]int{true: 1}[a.Present]
		l.add("adapter %d %d %d %d %d %d", a.Index, a.Place.Bus, a.Place.Device, a.Place.Function, a.Vendor, present)
		l.add("name %s", a.Name)
		l.add("pnp %s", a.PNP)
		if a.Family != 0 {
			l.add("family %d %d", a.Family, a.Family)
		}
		if a.Memory != 0 {
			l.add("memory %d", a.Memory)
		}
		if a.BIOSPart != "" {
			l.add("bios %s", a.BIOSPart)
		}
		r := h.sensors[a.Index]
		optional(&l, "usage", r.Usage)
		for n, s := range r.PMLog {
			if s != (PMLogSensor{}) {
				l.add("sensor %d %d %d", n, s.Supported, s.Value)
			}
		}
		if r.Result != 0 {
			l.add("status %s#%d %d", adlQuery, a.Index, r.Result)
		}
	}
	return l.String()
}

// hostADL is a host's ADL through a fake: what the host says is what the library answers.
type hostADL struct {
	*dllADL
	h *host
}

// follow has the library answer what the host says now.
func (a hostADL) follow() {
	a.h.mu.Lock()
	feed := adlFeed(a.h)
	a.h.mu.Unlock()
	if feed != a.fed {
		a.write(feed)
	}
}

func (a hostADL) Read(ctx context.Context, targets []ADLTarget) ([]ADLReading, error) {
	a.follow()
	return a.dllADL.Read(ctx, targets)
}

// The cases give their samples when ADL is a DLL that a child calls.
func TestHardwareCasesThroughADL(t *testing.T) {
	recorded := adlOf
	defer func() { adlOf = recorded }()
	used := 0
	adlOf = func(h *host) ADL {
		used++
		return hostADL{newDLLADL(h.t, "fake_adl.dll", adlFeed(h)).listed(), h} // there when it is looked for
	}
	TestHardwareCases(t)
	t.Run("real-adl-reports", func(t *testing.T) { adlReports(t, filepath.Join(shared, "real-adl-reports")) })
	if used < 10 {
		t.Errorf("%d hosts have ADL", used)
	}
}
