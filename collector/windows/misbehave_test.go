package windows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// pair is a host with two GPUs of all sources: a well-behaved one at 0000:03:00.0, and another at 0000:04:00.0 that a
// test spoils. Each has a temperature, engines and memory of its own.
func pair(t testing.TB) *host {
	h := &host{t: t, asked: map[string]int{}, counters: &Counters{}, registry: &Registry{}, sensors: map[int32]ADLReading{}}
	for i, luid := range []string{goodLUID, badLUID} {
		at := Place{uint32(3 + i), 0, 0}
		a := recordedAdapter{LUID: luid, AdapterString: "AMD Radeon RX 7800 XT", Address: &at, DeviceIDs: &PCIIDs{vendorAMD, 0x747e},
			TypeBits: ptr(uint32(typeRender)), WDDM: 3100, SchedulingBits: ptr(uint32(0)), TDR: 1}
		a.SegmentSize = &struct {
			Dedicated uint64 `json:"dedicated_video"`
			Shared    uint64 `json:"shared_system"`
		}{1 << 34, 1 << 33}
		a.Perf = []byte(`{"temperature_tenth_celsius": 400}`)
		h.adapters = append(h.adapters, a)
		h.entries = append(h.entries, ADLAdapter{Index: int32(i), Place: at, Vendor: vendorAMD, Present: true, Family: familyDiscrete})
		h.sensors[int32(i)] = ADLReading{PMLog: logOf(map[int]int32{8: 50 + int32(i), 19: 10})}
		id := fmt.Sprintf(`PCI\VEN_1002&DEV_747E&SUBSYS_1&REV_C8\%d`, i)
		h.present = append(h.present, PnPDevice{id, &at})
		c := h.counters
		c.RunningTime.Items = append(c.RunningTime.Items, Counter{Instance: "pid_1_luid_" + luid + "_phys_0_eng_0_engtype_3D", Value: 1e7})
		c.Dedicated.Items = append(c.Dedicated.Items, Counter{Instance: "luid_" + luid + "_phys_0", Value: 4096})
		c.Shared.Items = append(c.Shared.Items, Counter{Instance: "luid_" + luid + "_phys_0", Value: 1024})
	}
	return h
}

const goodLUID, badLUID = "0x00000000_0x0000aaaa", "0x00000000_0x0000bbbb"

func ptr[T any](v T) *T { return &v }

// without drops the items of an instance.
func without(items []Counter, word string) []Counter {
	return slices.DeleteFunc(slices.Clone(items), func(c Counter) bool { return strings.Contains(c.Instance, word) })
}

// Number 4 of what is to be shown: an adapter that misbehaves costs only its own series.
func TestAnAdapterThatMisbehavesCostsOnlyItsOwnSeries(t *testing.T) {
	const good = `
		gpu_temperature_celsius{sensor="edge"} 50
		gpu_utilization_ratio 0.1
		gpu_engine_busy_seconds_total{engine="graphics"} 1
		gpu_memory_used_bytes{memory="vram"} 4096
		gpu_memory_used_bytes{memory="shared"} 1024
		gpu_memory_total_bytes{memory="vram"} 1.7179869184e+10
		gpu_memory_total_bytes{memory="shared"} 8.589934592e+09`
	whole := strings.ReplaceAll(good, "} 50", "} 51")
	const (
		temperature = "\ngpu_temperature_celsius{sensor=\"edge\"} 51"
		load        = "\ngpu_utilization_ratio 0.1"
		busy        = "\ngpu_engine_busy_seconds_total{engine=\"graphics\"} 1"
		used        = "\ngpu_memory_used_bytes{memory=\"vram\"} 4096"
		usedShared  = "\ngpu_memory_used_bytes{memory=\"shared\"} 1024"
		totals      = "\ngpu_memory_total_bytes{memory=\"vram\"} 1.7179869184e+10\ngpu_memory_total_bytes{memory=\"shared\"} 8.589934592e+09"
	)
	bad := func(h *host) *recordedAdapter { return &h.adapters[1] }
	for name, c := range map[string]struct {
		spoil    func(h *host)
		later    func(h *host) // after a first cycle, without a discovery; the second cycle counts
		gpu      string        // the label of the bad one, if it is another; "none": it is no GPU
		name     string        // of the bad one
		state    collector.State
		down     bool
		samples  string
		rejected []string
	}{
		"nothing is wrong":       {samples: whole},
		"a name of garbage":      {spoil: func(h *host) { bad(h).AdapterString = "\x01\xff\x00Radeon\u0085\n" }, name: "\uFFFD Radeon", samples: whole},
		"a name without an end":  {spoil: func(h *host) { bad(h).AdapterString = strings.Repeat("ä", 5000) }, name: strings.Repeat("ä", maxText/2), samples: whole},
		"a name that shows none": {spoil: func(h *host) { bad(h).AdapterString = "\x00\x01\t"; h.entries = h.entries[:1] }, gpu: "none"},
		"a name that ADL knows":  {spoil: func(h *host) { bad(h).AdapterString = ""; h.entries[1].Name = "Radeon" }, name: "Radeon", samples: temperature + load},
		"no LUID":                {spoil: func(h *host) { bad(h).LUID = "0x00000000_0x00000000" }, samples: temperature + load + totals},
		"no address":             {spoil: func(h *host) { bad(h).Address = nil; h.present = nil }, gpu: "luid:" + badLUID, samples: "gpu_temperature_celsius{sensor=\"edge\"} 40" + busy + used + usedShared + totals},
		"an address of all ones": {spoil: func(h *host) { bad(h).Address = &Place{^uint32(0), ^uint32(0), ^uint32(0)}; h.present = nil }, gpu: "luid:" + badLUID, samples: "gpu_temperature_celsius{sensor=\"edge\"} 40" + busy + used + usedShared + totals},
		"no answer to any query": {spoil: func(h *host) { *bad(h) = recordedAdapter{LUID: badLUID}; h.entries = h.entries[:1] }, gpu: "none"},
		"ids only": {spoil: func(h *host) {
			a := bad(h)
			*a = recordedAdapter{LUID: badLUID, AdapterString: a.AdapterString, Address: a.Address, DeviceIDs: a.DeviceIDs}
		}, samples: temperature + load + busy + used + usedShared},
		"instances that vanish": {later: func(h *host) {
			c := h.counters
			c.RunningTime.Items, c.Dedicated.Items = without(c.RunningTime.Items, "bbbb"), without(c.Dedicated.Items, "bbbb")
		}, samples: temperature + load + busy + usedShared + totals},
		"no instance from the start": {spoil: func(h *host) {
			c := h.counters
			c.RunningTime.Items, c.Dedicated.Items, c.Shared.Items = without(c.RunningTime.Items, "bbbb"), without(c.Dedicated.Items, "bbbb"), without(c.Shared.Items, "bbbb")
		}, samples: temperature + load + totals},
		"an instance that dies while it is read": {spoil: func(h *host) { h.counters.Dedicated.Items[1].Bad = true }, samples: temperature + load + busy + usedShared + totals},
		"memory below nothing":                   {spoil: func(h *host) { h.counters.Dedicated.Items[1].Value = -1 }, samples: temperature + load + busy + usedShared + totals},
		"more memory than there is": {spoil: func(h *host) { h.counters.Dedicated.Items[1].Value = 1 << 50 }, samples: temperature + load + busy + usedShared + totals,
			rejected: []string{"gpu_memory_used_bytes"}},
		"54000 degrees": {spoil: func(h *host) { h.sensors[1] = ADLReading{PMLog: logOf(map[int]int32{8: 54000, 19: 10})} }, samples: load + busy + used + usedShared + totals,
			rejected: []string{"gpu_temperature_celsius"}},
		"ADL does not know the card": {spoil: func(h *host) { h.sensors[1] = ADLReading{Result: adlNotSupported} },
			samples: "gpu_temperature_celsius{sensor=\"edge\"} 40" + busy + used + usedShared + totals},
		"ADL fails from the start": {spoil: func(h *host) { h.sensors[1] = ADLReading{Result: -1} },
			samples: "gpu_temperature_celsius{sensor=\"edge\"} 40" + busy + used + usedShared + totals},
		"ADL fails later": {later: func(h *host) { h.sensors[1] = ADLReading{Result: -1} }, state: collector.StatePartial,
			samples: busy + used + usedShared + totals},
		"the adapter vanishes": {later: func(h *host) { bad(h).gone = true }, state: collector.StateGone, down: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := pair(t)
			if c.spoil != nil {
				c.spoil(h)
			}
			g := h.start()
			s := g.cycle()
			if c.later != nil {
				h.change(func() { c.later(h) })
				s = g.cycle()
			}
			find := func(gpu string) *collector.Status {
				d, err := s.Find(gpu)
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			d := find("0000:03:00.0")
			if d.State != collector.StateOK || !d.Up {
				t.Errorf("the good one: %v, %v", d.State, d.Failures)
			}
			want(t, steady(*d), good)
			if c.gpu == "none" {
				if len(s.Devices) != 1 {
					t.Errorf("%d GPUs", len(s.Devices))
				}
				return
			}
			d = find(firstOf(c.gpu, "0000:04:00.0"))
			if d.State != c.state || d.Up == c.down || d.Name != firstOf(c.name, "AMD Radeon RX 7800 XT") {
				t.Errorf("%q is %v, up %v: %v", d.Name, d.State, d.Up, d.Failures)
			}
			want(t, steady(*d), c.samples)
			g.notes.mu.Lock()
			defer g.notes.mu.Unlock()
			if !slices.Equal(g.notes.rejected, c.rejected) {
				t.Errorf("rejected %q", g.notes.rejected)
			}
		})
	}
}

// steady are the samples that are not of a second cycle only.
func steady(d collector.Status) []string {
	return slices.DeleteFunc(samples(d), func(s string) bool { return strings.HasPrefix(s, "gpu_engine_utilization") })
}

func TestADriverUpdateGivesANewLUID(t *testing.T) {
	h := pair(t)
	wanted := make(chan struct{}, 10)
	g := h.start()
	g.probe.Notify(func() { wanted <- struct{}{} })
	g.cycle()
	const newLUID = "0x00000000_0x0000cccc"
	h.change(func() {
		h.adapters[1].LUID = newLUID
		for _, items := range [][]Counter{h.counters.RunningTime.Items, h.counters.Dedicated.Items, h.counters.Shared.Items} {
			items[1].Instance = strings.ReplaceAll(items[1].Instance, badLUID, newLUID)
			items[1].Value += 7e6
		}
	})
	s := g.cycle()
	if a, b := s.Devices[0].State, s.Devices[1].State; a != collector.StateOK || b != collector.StateGone {
		t.Errorf("after the update: %v and %v, want ok and gone", a, b)
	}
	<-wanted // the counters name a LUID that nobody has
	<-g.notes.rescans
	s = g.cycle()
	d := s.Devices[1]
	if d.GPU != "0000:04:00.0" || d.State != collector.StateOK || d.Index != 1 {
		t.Errorf("after the discovery: %+v, %v", d.Info, d.State)
	}
	want(t, samples(d, "gpu_memory_used", "gpu_engine_busy"), `
		gpu_memory_used_bytes{memory="vram"} 7.004096e+06
		gpu_memory_used_bytes{memory="shared"} 7.001024e+06
		gpu_engine_busy_seconds_total{engine="graphics"} 1.7`)
	g.notes.mu.Lock()
	defer g.notes.mu.Unlock()
	if g.notes.restarts != 1 {
		t.Errorf("%d GPUs were made anew, want the one", g.notes.restarts)
	}
	if len(wanted) > 0 {
		t.Error("a discovery was asked for twice")
	}
}

func TestAnUnknownLUIDAsksForADiscoveryOnceAndNotTooOften(t *testing.T) {
	p := New(Options{})
	asked := 0
	p.Notify(func() { asked++ })
	now := time.Now()
	p.now = func() time.Time { return now }
	known := map[LUID]bool{1: true}
	for i, step := range []struct {
		after time.Duration
		luid  LUID
		asked int
	}{
		{0, 1, 0},
		{0, 2, 1},
		{0, 3, 1},               // too soon
		{rescanPause, 2, 1},     // it stayed unknown
		{0, 3, 2},               // its turn
		{rescanPause - 1, 4, 2}, // too soon again
		{1, 4, 3},
	} {
		now = now.Add(step.after)
		p.seek(&pdhAnswer{gpus: map[LUID]*pdhGPU{1: {}, step.luid: {}}}, known)
		if asked != step.asked {
			t.Errorf("step %d: asked %d times, want %d", i, asked, step.asked)
		}
	}
}

func TestDiscoveryWithoutASource(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		fails string
		ok    bool // of the rescan
		gpus  int
	}{
		"D3DKMT":   {sourceD3DKMT + " list", false, 2}, // what it had listed stays
		"registry": {sourceRegistry, false, 2},
		"cfgmgr32": {sourcePnP + " list", false, 2},
		"ADL":      {sourceADL + " list", false, 2},
		"none":     {"", true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			h := pair(t)
			g := h.start()
			before := g.cycle()
			h.change(func() {
				h.hook = func(source string) error {
					if source == c.fails {
						return broken
					}
					return nil
				}
			})
			if ok := g.rescan(); ok != c.ok {
				t.Errorf("the rescan: %v", ok)
			}
			s := g.cycle()
			if len(s.Devices) != c.gpus {
				t.Fatalf("%d GPUs", len(s.Devices))
			}
			for i, d := range s.Devices {
				if d.Info != before.Devices[i].Info || d.State != collector.StateOK {
					t.Errorf("%+v, %v", d.Info, d.State)
				}
			}
			g.notes.mu.Lock()
			defer g.notes.mu.Unlock()
			if g.notes.restarts != 0 {
				t.Errorf("%d GPUs were made anew", g.notes.restarts)
			}
		})
	}
}

// Of several entries of ADL for one card the first that is present is asked, and no other.
func TestTheFirstEntryOfACardIsAsked(t *testing.T) {
	h := card(t, map[int]int32{8: 1})
	h.entries = nil
	for i := range int32(3) {
		h.entries = append(h.entries, ADLAdapter{Index: i, Place: Place{3, 0, 0}, Vendor: vendorAMD, Present: i > 0})
		h.sensors[i] = ADLReading{PMLog: logOf(map[int]int32{8: 40 + i})}
	}
	want(t, samples(h.start().read()), `gpu_temperature_celsius{sensor="edge"} 41`)
}

// The registry answers after the first discovery: its driver and the size of its memory are known from then on.
func TestFactsThatAreToldLater(t *testing.T) {
	h := pair(t)
	h.adapters, h.entries = h.adapters[:1], nil
	h.present = nil
	registry := Registry{
		Class: []RegistryKey{regKey("0000", map[string]RegistryValue{"HardwareInformation.qwMemorySize": qword(1 << 35)})},
		Enum:  []RegistryKey{enumerated(`PCI\VEN_1002&DEV_747E&REV_C8\1`, "0000", "(3,0,0)")},
	}
	g := h.start()
	before := g.read().Info
	h.change(func() { h.registry = &registry; h.counters.Dedicated.Items[0].Value = 1<<34 + 1 })
	g.rescan()
	g.read() // by an answer of the cycle before, which was just now
	d := g.read()
	before.Driver = "service0000"
	if d.Info != before {
		t.Errorf("%+v, want %+v", d.Info, before)
	}
	want(t, samples(d, "gpu_memory_total_bytes", "gpu_memory_used"), `
		gpu_memory_total_bytes{memory="vram"} 3.4359738368e+10
		gpu_memory_total_bytes{memory="shared"} 8.589934592e+09
		gpu_memory_used_bytes{memory="vram"} 1.7179869185e+10
		gpu_memory_used_bytes{memory="shared"} 1024`)
	g.poller.Reload()
	<-g.notes.rescans
	if again := g.read(); again.State != collector.StateOK || len(again.Samples) < len(d.Samples)-1 {
		t.Errorf("after a reload: %v, %d samples", again.State, len(again.Samples))
	}
	g.notes.mu.Lock()
	defer g.notes.mu.Unlock()
	if g.notes.restarts != 0 {
		t.Errorf("its driver was loaded anew %d times", g.notes.restarts)
	}
}

// Of a GPU that sleeps is shown what others tell. That D3DKMT knows its LUID late does not make it another either.
func TestFactsThatAreToldLaterOfASleepingGPU(t *testing.T) {
	h := laptop(t)
	h.entries, h.registry.Enum = nil, []RegistryKey{enumerated(h.present[0].ID, "0000", "(3,0,0)")}
	h.adapters[0].PowerState = PowerD3
	adapters := h.adapters
	h.adapters = adapters[:0]
	g := h.start()
	if d := g.read(); d.Driver != "service0000" || d.State != collector.StateOK {
		t.Errorf("%+v is %v", d.Info, d.State)
	}
	h.change(func() { h.adapters = adapters[:1] })
	g.rescan()
	if d := g.read(); d.Name != "AMD Radeon RX 7800 XT" || d.State != collector.StateAsleep {
		t.Errorf("%+v is %v", d.Info, d.State)
	}
	g.notes.mu.Lock()
	defer g.notes.mu.Unlock()
	if g.notes.restarts != 0 {
		t.Errorf("its driver was loaded anew %d times", g.notes.restarts)
	}
}

// A source that answers something else than it was asked is at fault, and costs its own series.
func TestAnswersThatDoNotFitTheQuestions(t *testing.T) {
	m, err := byKey([]int{1, 2}, []string{"a"}, nil)
	if m != nil || !errors.Is(err, ErrMalformed) {
		t.Errorf("%v, %v", m, err)
	}
}
