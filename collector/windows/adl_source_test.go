//go:build !wine || !windows

// Under Wine the library is a DLL: adl_windows_test.go.

package windows

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gpu_exporter/collector/worker"
	"gpu_exporter/internal/await"
)

// standIn is a library in Go in the place of ADL: what the file says that standInFile names. Each call reads it anew, and
// writes a line into the file beside it.
type standIn struct {
	Hang, Crash bool // when it is loaded
	Found       any
	GPUs        map[string]standInGPU // by their id
}

type standInGPU struct {
	Opened   adlOpened
	Garbage  bool // in place of Opened
	NotOpen  bool
	HangOpen bool

	Hang, Crash bool // when it is read
	HangUsage   bool
	Result      int32
	Sensors     map[int]int32
	Usage       int32
	UsageResult int32
	Raw         map[uint8]int // in place of all else: rows by group, of so many bytes
	List        bool          // in place of all else: a list
}

const standInFile = "WINDOWS_TEST_ADL"

var standInRole = child("ADL in Go", func() {
	err := worker.Serve(adlHello, standInChild{})
	fmt.Fprintln(os.Stderr, err)
})

type standInChild struct{}

// look reads the file, and notes that it did.
func (standInChild) look(what string) (s standIn) {
	path := os.Getenv(standInFile)
	log, err := os.OpenFile(path+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		fmt.Fprintln(log, what)
		err = log.Close()
	}
	text, readErr := os.ReadFile(path)
	if err = errors.Join(err, readErr); err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		panic(err)
	}
	return s
}

func fall(hang, crash bool) {
	if crash {
		os.Exit(3)
	}
	for hang {
		time.Sleep(time.Hour)
	}
}

func (c standInChild) Load([]string) any {
	s := c.look("load")
	fall(s.Hang, s.Crash)
	return s.Found
}

func (c standInChild) Open(id string) (worker.GPU, any) {
	g := c.look("open " + id).GPUs[id]
	fall(g.HangOpen, false)
	switch {
	case g.Garbage:
		return standInReader(id), []int{1}
	case g.NotOpen:
		return nil, adlOpened{Err: "it has gone"}
	}
	return standInReader(id), g.Opened
}

type standInReader string

func (id standInReader) Read(groups uint16, t *worker.Teller) {
	g := standInChild{}.look(fmt.Sprintf("read %s %b", id, groups)).GPUs[string(id)]
	t.Begin(adlSensorsGroup)
	fall(g.Hang, g.Crash)
	if g.List {
		t.List(adlSensorsGroup, []int{1})
		return
	}
	if g.Raw != nil {
		for group, n := range g.Raw {
			t.Rows(group, make([]byte, n))
		}
		return
	}
	rows := binary.LittleEndian.AppendUint32(nil, uint32(g.Result))
	for _, s := range logOf(g.Sensors) {
		rows = binary.LittleEndian.AppendUint32(rows, uint32(s.Supported))
		rows = binary.LittleEndian.AppendUint32(rows, uint32(s.Value))
	}
	t.Rows(adlSensorsGroup, rows)
	if groups&(1<<adlUsageGroup) != 0 {
		t.Begin(adlUsageGroup)
		fall(g.HangUsage, false)
		rows = binary.LittleEndian.AppendUint32(nil, uint32(g.UsageResult))
		t.Rows(adlUsageGroup, binary.LittleEndian.AppendUint32(rows, uint32(g.Usage)))
	}
}

// library is ADL by way of children whose library is a stand-in.
type library struct {
	t testing.TB
	*adlSource
	says  standIn
	path  string
	there bool

	mu      sync.Mutex
	reasons []string // why children were replaced
}

func newLibrary(t testing.TB, says standIn) *library {
	t.Helper()
	l := &library{t: t, path: filepath.Join(t.TempDir(), "adl.json"), there: true}
	l.say(says)
	o := childOptions(t, standInRole, standInFile+"="+l.path)
	o.Restarted = func(r worker.Reason) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.reasons = append(l.reasons, string(r))
	}
	l.adlSource = newADL(func() bool { return l.there }, o)
	t.Cleanup(l.Close)
	return l
}

// say changes what the stand-in says.
func (l *library) say(s standIn) {
	l.t.Helper()
	l.says = s
	text, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(l.path, text, 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// change changes what it says of one GPU.
func (l *library) change(id string, f func(g *standInGPU)) {
	l.t.Helper()
	s := l.says
	s.GPUs = maps.Clone(s.GPUs)
	g := s.GPUs[id]
	f(&g)
	s.GPUs[id] = g
	l.say(s)
}

// calls are what the stand-in was called for since they were asked for last.
func (l *library) calls() string {
	l.t.Helper()
	text, err := os.ReadFile(l.path + ".log")
	if err != nil && !os.IsNotExist(err) {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(l.path+".log", nil, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return strings.Join(strings.Split(strings.TrimSpace(string(text)), "\n"), ", ")
}

// replaced are the reasons why children were replaced since they were asked for last.
func (l *library) replaced() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.reasons = nil }()
	return strings.Join(l.reasons, " ")
}

func always(Place) bool { return true }

func (l *library) list(maySleep func(Place) bool) []ADLAdapter {
	l.t.Helper()
	list, err := l.Adapters(await.Context(l.t), maySleep)
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

func (l *library) one(target ADLTarget) ADLReading {
	l.t.Helper()
	readings, err := l.Read(await.Context(l.t), []ADLTarget{target})
	if err != nil || len(readings) != 1 {
		l.t.Fatalf("%d readings, %v", len(readings), err)
	}
	return readings[0]
}

// cards are two cards: the first has three entries, of which the first is not there.
func cards() standIn {
	entries := []ADLAdapter{
		{Index: 0, Place: Place{3, 0, 0}, Vendor: 1002, Name: "first"},
		{Index: 1, Place: Place{3, 0, 0}, Vendor: 1002, Name: "first", Present: true, Version: "24.12.1"},
		{Index: 2, Place: Place{3, 0, 0}, Vendor: 1002, Name: "first", Present: true},
		{Index: 3, Place: Place{0, 2, 0}, Vendor: vendorIntel, Name: "not AMD's", Present: true},
		{Index: 4, Place: Place{4, 0, 0}, Vendor: vendorAMD, Name: "second", Present: true},
	}
	gpu := func(i int, memory int64, celsius int32) standInGPU {
		a := entries[i]
		a.Family, a.Memory, a.BIOSPart = 1, memory, "113-"+a.Name
		return standInGPU{Opened: adlOpened{Adapter: &a}, Sensors: map[int]int32{8: celsius}, Usage: celsius + 1000}
	}
	found := adlFound{Entries: entries}
	return standIn{Found: found, GPUs: map[string]standInGPU{firstID: gpu(1, 16<<30, 50), secondID: gpu(4, 8<<30, 60)}}
}

func TestADLList(t *testing.T) {
	l := newLibrary(t, cards())
	want := func() []ADLAdapter {
		list := slices.Clone(cards().Found.(adlFound).Entries)
		list[1], list[4] = *cards().GPUs[firstID].Opened.Adapter, *cards().GPUs[secondID].Opened.Adapter
		return list
	}()
	for range 2 { // the second time from the same child
		if list := l.list(never); !slices.Equal(list, want) {
			t.Errorf("got %+v\nwant %+v", list, want)
		}
	}
	// Of the entries of one card the first that is there is asked, of those of other vendors none, and each once.
	if got, want := l.calls(), "load, open "+firstID+", open "+secondID; got != want {
		t.Errorf("calls %q, want %q", got, want)
	}
	// What was known of a card stands while it does not answer.
	l.End(worker.DriverChanged)
	l.change(firstID, func(g *standInGPU) { g.NotOpen = true })
	if list := l.list(never); !slices.Equal(list, want) {
		t.Errorf("a card does not answer: got %+v\nwant %+v", list, want)
	}
	if r := l.one(ADLTarget{Place: firstPlace}); !errors.Is(r.Err, worker.ErrRefused) || !strings.Contains(r.Err.Error(), "it has gone") {
		t.Errorf("its reading: %v", r.Err)
	}
}

func (l *library) End(reason worker.Reason) { l.end(reason); l.replaced() }

func TestADLWithoutAList(t *testing.T) {
	many := make([]ADLAdapter, maxRows+1)
	entries := cards().Found.(adlFound).Entries
	for name, c := range map[string]struct {
		found    any
		want     error
		text     string
		replaced string
		again    bool // the next call asks again
	}{
		"no library":       {adlFound{Err: "atiadlxx.dll: not found", Unsupported: true}, ErrUnsupported, "atiadlxx.dll: not found", "sleep", false},
		"no entry":         {adlFound{}, ErrUnsupported, "no GPU of AMD", "sleep", false},
		"none of AMD":      {adlFound{Entries: entries[3:4]}, ErrUnsupported, "no GPU of AMD", "sleep", false},
		"none is there":    {adlFound{Entries: entries[:1]}, ErrUnsupported, "no GPU of AMD", "sleep", false},
		"the driver fails": {adlFound{Err: "ADL answers -22"}, nil, "ADL answers -22", "driver_changed", true},
		"not an object":    {[]int{1}, ErrMalformed, "", "protocol", true},
		"too many entries": {adlFound{Entries: many}, ErrMalformed, "", "protocol", true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLibrary(t, standIn{Found: c.found})
			for i, calls := range []string{"load", map[bool]string{true: "load"}[c.again]} {
				list, err := l.Adapters(await.Context(t), never)
				if err == nil || list != nil || errors.Is(err, ErrUnsupported) != (c.want == ErrUnsupported) ||
					c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("%v, %v", list, err)
				}
				if got := l.calls(); got != calls {
					t.Errorf("call %d: %q, want %q", i, got, calls)
				}
				if got := l.replaced(); got != c.replaced && calls != "" {
					t.Errorf("call %d: replaced for %q, want %q", i, got, c.replaced)
				}
			}
			// What has come since is found.
			l.say(cards())
			l.until = time.Time{}
			await.Until(t, "a list", func() bool { list, err := l.Adapters(await.Context(t), never); return err == nil && len(list) == 5 })
		})
	}
}

func TestADLIsNotInstalled(t *testing.T) {
	l := newLibrary(t, cards())
	l.list(never)
	l.calls()
	l.there = false
	if list, err := l.Adapters(await.Context(t), never); list != nil || !errors.Is(err, ErrUnsupported) {
		t.Errorf("%v, %v", list, err)
	}
	if got := l.calls() + l.replaced(); got != "driver_changed" {
		t.Errorf("%s: the child is ended, and none started", got)
	}
	if r := l.one(ADLTarget{Place: firstPlace}); !errors.Is(r.Err, errUnasked) {
		t.Errorf("a reading: %v", r.Err)
	}
}

func TestADLThatLoadsForLong(t *testing.T) {
	says := cards()
	says.Hang = true
	l := newLibrary(t, says)
	if list, err := l.Adapters(within(t, 300*time.Millisecond), never); list != nil || !errors.Is(err, errLate) {
		t.Errorf("%v, %v", list, err)
	}
}

// The driver may number its adapters anew, as when a card has come: each reading stays with its card.
func TestADLThatCountsAnew(t *testing.T) {
	l := newLibrary(t, cards())
	l.list(never)
	anew := cards()
	entries := anew.Found.(adlFound).Entries
	entries[1].Index, entries[4].Index = 4, 1
	gpus := map[string]standInGPU{}
	for i, was := range map[int]string{1: firstID, 4: secondID} {
		g := anew.GPUs[was]
		a := *g.Opened.Adapter
		a.Index = entries[i].Index
		g.Opened.Adapter = &a
		gpus[adlID(&a)] = g
	}
	anew.GPUs = gpus
	l.say(anew)
	l.Renew()
	for range 2 { // before the list is made anew, and after
		r, err := l.Read(await.Context(t), []ADLTarget{{Place: firstPlace}, {Place: secondPlace}})
		if err != nil || len(r) != 2 {
			t.Fatal(r, err)
		}
		for i, celsius := range []int32{50, 60} {
			if s := r[i].PMLog[8]; s.Supported != 0 && s.Value != celsius {
				t.Errorf("card %d has %d degrees, want %d", i, s.Value, celsius)
			}
		}
		l.list(never)
	}
	if r := l.one(ADLTarget{Place: firstPlace}); r.Err != nil || r.PMLog[8].Value != 50 {
		t.Errorf("%v, %v", r.Err, r.PMLog[8])
	}
}

func TestADLReadings(t *testing.T) {
	l := newLibrary(t, cards())
	l.list(never)
	l.calls()
	l.change(secondID, func(g *standInGPU) { g.UsageResult = -8 })
	for range 2 {
		r, err := l.Read(await.Context(t), []ADLTarget{{Place: secondPlace, Usage: true}, {Place: firstPlace, Usage: true}, {Place: Place{9, 0, 0}}})
		if err != nil || len(r) != 3 {
			t.Fatal(r, err)
		}
		if r[0].Err != nil || r[0].Result != 0 || r[0].PMLog != logOf(map[int]int32{8: 60}) || r[0].Usage != nil {
			t.Errorf("the second card: %+v", r[0])
		}
		if r[1].Err != nil || r[1].PMLog != logOf(map[int]int32{8: 50}) || r[1].Usage == nil || *r[1].Usage != 1050 {
			t.Errorf("the first card: %+v", r[1])
		}
		if !errors.Is(r[2].Err, errUnasked) {
			t.Errorf("an entry that is not asked: %+v", r[2])
		}
	}
	l.calls()
	if r := l.one(ADLTarget{Place: firstPlace}); r.Err != nil || r.Usage != nil {
		t.Errorf("%+v", r)
	}
	if got, want := l.calls(), "read "+firstID+" 1"; got != want {
		t.Errorf("calls %q, want %q: memory in use is asked for only when it is wanted", got, want)
	}
}

// What no child of ours says.
func TestADLFrames(t *testing.T) {
	well := map[uint8]int{adlSensorsGroup: 2052, adlUsageGroup: 8}
	for name, c := range map[string]struct {
		raw      map[uint8]int
		list     bool
		replaced string
	}{
		"as they are":         {raw: well},
		"one byte too few":    {raw: map[uint8]int{adlSensorsGroup: 2051}, replaced: "protocol"},
		"one byte too many":   {raw: map[uint8]int{adlSensorsGroup: 2053}, replaced: "protocol"},
		"empty":               {raw: map[uint8]int{adlSensorsGroup: 0}, replaced: "protocol"},
		"usage of 4 bytes":    {raw: map[uint8]int{adlUsageGroup: 4}, replaced: "protocol"},
		"a group of none":     {raw: map[uint8]int{adlGroups: 8}, replaced: "protocol"},
		"a list":              {list: true, replaced: "protocol"},
		"one group is not":    {raw: map[uint8]int{adlUsageGroup: 8}},
		"none of what it was": {raw: map[uint8]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLibrary(t, cards())
			l.list(never)
			l.change(firstID, func(g *standInGPU) { g.Raw, g.List = c.raw, c.list })
			r := l.one(ADLTarget{Place: firstPlace, Usage: true})
			good := maps.Equal(c.raw, well)
			if good != (r.Err == nil) || !good && (!errors.Is(r.Err, ErrMalformed) || r.Usage != nil) {
				t.Errorf("%+v", r)
			}
			if got := l.replaced(); got != c.replaced {
				t.Errorf("replaced for %q, want %q", got, c.replaced)
			}
			l.change(firstID, func(g *standInGPU) { g.Raw, g.List = nil, false })
			await.Until(t, "a reading", func() bool { return l.one(ADLTarget{Place: firstPlace}).Err == nil })
		})
	}
	t.Run("of a GPU that is opened", func(t *testing.T) {
		l := newLibrary(t, cards())
		l.change(firstID, func(g *standInGPU) { g.Garbage = true })
		l.list(never)
		if got := l.replaced(); got != "protocol" {
			t.Errorf("replaced for %q", got)
		}
	})
}

// both reads both cards.
func (l *library) both(ctx context.Context, sleep bool) (first, second ADLReading) {
	l.t.Helper()
	r, err := l.Read(ctx, []ADLTarget{{Place: firstPlace}, {Place: secondPlace, MaySleep: sleep}})
	if err != nil || len(r) != 2 {
		l.t.Fatal(r, err)
	}
	return r[0], r[1]
}

// A card that hangs is found out and left alone, and the other goes on.
func TestADLCallThatHangs(t *testing.T) {
	l := newLibrary(t, cards())
	l.list(never)
	l.change(secondID, func(g *standInGPU) { g.Hang = true })
	await.Until(t, "the first card alone", func() bool {
		first, second := l.both(within(t, time.Second), false)
		return first.Err == nil && errors.Is(second.Err, worker.ErrHung) && errors.Is(second.Err, errLate)
	})
	if got := l.replaced(); !strings.HasPrefix(got, "timeout") {
		t.Errorf("replaced for %q", got)
	}
	if list := l.list(never); len(list) != 5 || list[4].Memory != 8<<30 {
		t.Errorf("it is listed nevertheless: %+v", list)
	}
}

// Memory in use that takes too long costs neither the sensors that came with it nor, once it is not asked for, those after.
func TestADLMemoryInUseThatTakesTooLong(t *testing.T) {
	l := newLibrary(t, cards())
	l.list(never)
	l.change(firstID, func(g *standInGPU) { g.HangUsage = true })
	read := func(usage bool) ADLReading {
		r, err := l.Read(within(t, 2*time.Second), []ADLTarget{{Place: firstPlace, Usage: usage}})
		if err != nil || len(r) != 1 {
			t.Fatal(r, err)
		}
		return r[0]
	}
	if r := read(true); r.Err != nil || !r.Heavy || r.PMLog[8].Value != 50 || r.Usage != nil {
		t.Errorf("asked for all: %v, %v, too long: %v", r.Err, r.PMLog[8], r.Heavy)
	}
	await.Until(t, "the sensors alone", func() bool { r := read(false); return r.Err == nil && !r.Heavy && r.PMLog[8].Value == 50 })
}

func TestADLCallThatCrashes(t *testing.T) {
	l := newLibrary(t, cards())
	l.list(never)
	l.change(secondID, func(g *standInGPU) { g.Crash = true })
	if _, second := l.both(await.Context(t), false); !errors.Is(second.Err, errChild) {
		t.Errorf("%v", second.Err)
	}
	l.change(secondID, func(g *standInGPU) { g.Crash = false })
	await.Until(t, "both cards", func() bool {
		first, second := l.both(await.Context(t), false)
		return first.Err == nil && second.Err == nil
	})
	if got := l.replaced(); got != "crash" {
		t.Errorf("replaced for %q", got)
	}
}

// A card that may sleep has a child of its own: what happens to it is nothing to the others.
func TestADLThatMaySleep(t *testing.T) {
	second := func(p Place) bool { return p == Place{4, 0, 0} }
	l := newLibrary(t, cards())
	l.list(second)
	if r1, r2 := l.both(await.Context(t), true); r1.Err != nil || r2.Err != nil || r2.PMLog[8].Value != 60 {
		t.Errorf("%v, %v", r1.Err, r2.Err)
	}
	l.calls()
	l.list(second) // of the child that is there
	if got := l.calls() + l.replaced(); got != "" {
		t.Errorf("%q: nobody had to be called", got)
	}
	l.LetGo(secondPlace)
	if got := l.replaced(); got != "sleep" {
		t.Errorf("replaced for %q", got)
	}
	l.LetGo(firstPlace) // it never sleeps
	if r := l.one(ADLTarget{Place: firstPlace}); r.Err != nil {
		t.Error(r.Err)
	}
	if got, want := l.calls()+l.replaced(), "read "+firstID+" 1"; got != want {
		t.Errorf("%q, want %q: the other one goes on", got, want)
	}
	if r := l.one(ADLTarget{Place: secondPlace, MaySleep: true}); r.Err != nil { // it woke by itself
		t.Error(r.Err)
	}
	if got, want := l.calls(), "load, open "+secondID+", read "+secondID+" 1"; got != want {
		t.Errorf("calls %q, want %q", got, want)
	}
	l.change(secondID, func(g *standInGPU) { g.Crash = true })
	if r1, r2 := l.both(await.Context(t), true); r1.Err != nil || !errors.Is(r2.Err, errChild) {
		t.Errorf("%v, %v", r1.Err, r2.Err)
	}
	// It has gone, and with it its child.
	l.change(secondID, func(g *standInGPU) { g.Crash = false })
	await.Until(t, "it again", func() bool { _, r := l.both(await.Context(t), true); return r.Err == nil })
	l.replaced()
	l.list(never)
	if len(l.pools()) != 1 {
		t.Errorf("%d children may be there", len(l.pools()))
	}
}

// Where all cards may sleep no child stays that has nothing to read, and the list is made by one that has.
func TestADLWhereAllMaySleep(t *testing.T) {
	l := newLibrary(t, cards())
	l.list(always)
	if got := l.replaced(); got != "sleep" {
		t.Errorf("replaced for %q: the child that made the list is ended", got)
	}
	l.calls()
	for range 2 {
		if r := l.one(ADLTarget{Place: secondPlace, MaySleep: true}); r.Err != nil {
			t.Fatal(r.Err)
		}
		if list := l.list(always); list[1].Memory != 16<<30 || list[4].Memory != 8<<30 {
			t.Errorf("%+v", list)
		}
	}
	want := "load, open " + secondID + ", read " + secondID + " 1, open " + firstID + ", read " + secondID + " 1"
	if got := l.calls() + l.replaced(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// After an update of the driver the library in memory fails: another child loads the new one. When that does no better
// it is not tried as often.
func TestADLAfterAnUpdateOfTheDriver(t *testing.T) {
	for name, c := range map[string]struct {
		first, second int32 // results
		want          []int // cycles after which the child is replaced
	}{
		"both fail":               {-1, -28, []int{3, 9, 21}},
		"one works":               {0, -1, nil},
		"one works with a remark": {-1, 3, nil},
		"one has no sensors":      {-8, -1, []int{3, 9, 21}},
		"none has sensors":        {-8, -8, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLibrary(t, cards())
			l.list(never)
			l.change(firstID, func(g *standInGPU) { g.Result = c.first })
			l.change(secondID, func(g *standInGPU) { g.Result = c.second })
			var got []int
			for cycle := range 22 {
				first, second := l.both(await.Context(t), false)
				if first.Err != nil || second.Err != nil || first.Result != c.first || second.Result != c.second {
					t.Fatalf("cycle %d: %+v %+v", cycle, first, second)
				}
				if why := l.replaced(); why == "driver_changed" {
					got = append(got, cycle+1)
				} else if why != "" {
					t.Errorf("replaced for %q", why)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("replaced after the cycles %v, want %v", got, c.want)
			}
		})
	}
}

// A child that is busy when its GPU is to be let go ends when it is not any more.
func TestADLLetGoOfABusyChild(t *testing.T) {
	l := newLibrary(t, cards())
	l.list(always)
	l.one(ADLTarget{Place: secondPlace, MaySleep: true})
	l.replaced()
	p := l.own[secondPlace]
	p.read(await.Context(t), []worker.Ask{{ID: secondID, Groups: 1}}, func(int) *ADLReading {
		l.LetGo(secondPlace) // in the midst
		return &ADLReading{}
	})
	if got := l.replaced(); got != "sleep" {
		t.Errorf("replaced for %q", got)
	}
}
