package simulation

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
	"unsafe"
)

// truth is the state of a simulated GPU before it is rounded, written anew from the words of the package comment: phases
// and attenuations, no sums of sines and cosines.
func truth(seed uint64, gpu int, hot bool, t time.Time) State {
	mean, amplitude, card, memory := 0.50, [4]float64{0.05, 0.10, 0.18, 0.12}, 60.0, 42.0
	if hot {
		mean, amplitude, card, memory = 0.81, [4]float64{0.02, 0.02, 0.13, 0.01}, 77.5, 56
	}
	var phase [4]float64
	state := seed
	for n := range 4*gpu + 4 {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb
		z ^= z >> 31
		if n >= 4*gpu {
			phase[n-4*gpu] = 2 * math.Pi * float64(z>>11) / (1 << 53)
		}
	}
	period := [4]int64{47, 131, 601, 3607}
	// follows is the load through lags one after another, since is its integral.
	angle := func(k int) float64 {
		turns := t.Unix() / period[k]
		rest := float64(t.Unix()-turns*period[k]) + float64(t.Nanosecond())/1e9
		return 2 * math.Pi * rest / float64(period[k])
	}
	follows := func(lags ...float64) float64 {
		v := mean
		for k := range period {
			a, at := amplitude[k], angle(k)+phase[k]
			for _, tau := range lags {
				x := 2 * math.Pi * tau / float64(period[k])
				a /= math.Sqrt(1 + x*x)
				at -= math.Atan(x)
			}
			v += a * math.Sin(at)
		}
		return v
	}
	seconds := float64(t.Unix()) + float64(t.Nanosecond())/1e9
	since := mean * seconds
	for k := range period {
		since += amplitude[k] * float64(period[k]) / (2 * math.Pi) * (math.Cos(phase[k]) - math.Cos(angle(k)+phase[k]))
	}

	u, c, d, w, h, q, f := follows(), follows(3), follows(8), follows(20), follows(45), follows(75), follows(45, 6)
	s := State{
		Utilization: u, MemoryEngine: 0.02 + 0.60*c, MediaEngine: 0.05 + 0.30*w,
		Edge: 27 + card*h, Hotspot: 27 + card*h + 3 + 11*d, Memory: 42 + memory*q,
		VRGraphics: 32 + 46*w, VRMemory: 34 + 40*w, VRSoC: 31 + 30*w,
		VRAMUsed: (1 + 13*w) * 1073741824, GTTUsed: (96 + 400*w) * 1048576,
		MemoryClock: 96e6, SoCClock: (450 + 1000*c) * 1e6, VideoClock: (100 + 1500*w) * 1e6, DecoderClock: (90 + 1350*w) * 1e6,
		Power: 20 + 216*u, PowerAverage: 20 + 216*c, Energy: 20*seconds + 216*since,
		GraphicsVoltage: 0.700 + 0.380*c, SoCVoltage: 0.720 + 0.100*c, MemoryVoltage: 0.700 + 0.080*c,
		FanDuty: 0.15 + 0.01*card*h, FanTarget: 3300 * (0.15 + 0.01*card*h), FanSpeed: 3300 * (0.15 + 0.01*card*f),
	}
	s.GraphicsClock = (600 + 1600*c) * 1e6
	if s.Hotspot > 110 {
		s.GraphicsClock -= 50 * (s.Hotspot - 110) * 1e6
	}
	switch {
	case c >= 0.6:
		s.MemoryClock = 1218e6
	case c >= 0.3:
		s.MemoryClock = 772e6
	case c >= 0.1:
		s.MemoryClock = 456e6
	}
	return s
}

// shown is s rounded by the package comment.
func shown(s State) State {
	whole := func(steps float64, list ...*float64) {
		for _, v := range list {
			*v = math.Round(*v*steps) / steps
		}
	}
	whole(100, &s.Utilization, &s.MemoryEngine, &s.MediaEngine)
	whole(1, &s.Edge, &s.Hotspot, &s.Memory, &s.VRGraphics, &s.VRMemory, &s.VRSoC)
	whole(1./1e6, &s.GraphicsClock, &s.SoCClock, &s.VideoClock, &s.DecoderClock)
	whole(1, &s.Power, &s.PowerAverage, &s.FanTarget, &s.FanSpeed)
	whole(1000, &s.GraphicsVoltage, &s.SoCVoltage, &s.MemoryVoltage)
	whole(255, &s.FanDuty)
	s.VRAMUsed -= math.Mod(s.VRAMUsed, 4096)
	s.GTTUsed -= math.Mod(s.GTTUsed, 4096)
	s.Energy = math.Floor(s.Energy*100) / 100
	if s.Hotspot >= 110 {
		s.Throttled = 1
	}
	return s
}

// fields gives the numbers of a State by name.
func fields(s State) map[string]float64 {
	v, all := reflect.ValueOf(s), map[string]float64{}
	for i := range v.NumField() {
		all[v.Type().Field(i).Name] = v.Field(i).Float()
	}
	return all
}

// steps are the steps of rounding, by field.
var steps = map[string]float64{
	"Utilization": 0.01, "MemoryEngine": 0.01, "MediaEngine": 0.01,
	"Edge": 1, "Hotspot": 1, "Memory": 1, "VRGraphics": 1, "VRMemory": 1, "VRSoC": 1,
	"VRAMUsed": 4096, "GTTUsed": 4096,
	"GraphicsClock": 1e6, "MemoryClock": 446e6, "SoCClock": 1e6, "VideoClock": 1e6, "DecoderClock": 1e6,
	"Power": 1, "PowerAverage": 1, "Energy": 0.01,
	"GraphicsVoltage": 0.001, "SoCVoltage": 0.001, "MemoryVoltage": 0.001,
	"FanDuty": 1. / 255, "FanTarget": 1, "FanSpeed": 1, "Throttled": 1,
}

// agree compares a curve with the documented formulas. On the edge of rounding two right computations may differ in the
// last digit and so by a step: the value lies between those of a hair less and a hair more.
func agree(t *testing.T, seed uint64, gpu int, profile Profile, at time.Time) {
	t.Helper()
	c := NewCurve(seed, gpu, profile)
	want := truth(seed, gpu, profile == Hot, at)
	exact, got := fields(c.exact(at)), fields(c.At(at))
	up, down := want, want
	for i := range reflect.TypeFor[State]().NumField() {
		name := reflect.TypeFor[State]().Field(i).Name
		w := reflect.ValueOf(want).Field(i).Float()
		hair := max(1e-7*steps[name], 3e-15*w)
		if name == "MemoryClock" || name == "Throttled" {
			hair = 0
		}
		if g := exact[name]; math.Abs(g-w) > hair {
			t.Errorf("%s of %d %d %s at %v: %v before it is rounded, want %v", name, seed, gpu, profile, at, g, w)
		}
		reflect.ValueOf(&up).Elem().Field(i).SetFloat(w + hair)
		reflect.ValueOf(&down).Elem().Field(i).SetFloat(w - hair)
	}
	ups, downs := fields(shown(up)), fields(shown(down))
	for name, g := range got {
		if g < downs[name] || g > ups[name] {
			t.Errorf("%s of %d %d %s at %v: %v, want %v", name, seed, gpu, profile, at, g, ups[name])
		}
	}
}

var bothProfiles = []Profile{Normal, Hot}

func TestValuesAreAsDocumented(t *testing.T) {
	for _, at := range []time.Time{
		time.Unix(0, 0), time.Unix(1, 0), time.Unix(47*131*601, 0), time.Unix(1700000000, 250000000),
		time.Unix(1795633304, 718677500), time.Date(2038, 1, 19, 3, 14, 8, 1, time.UTC), time.Date(2199, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		for gpu := range 3 {
			for _, seed := range []uint64{0, 1, 1234567, math.MaxUint64} {
				for _, p := range bothProfiles {
					agree(t, seed, gpu, p, at)
				}
			}
		}
	}
	if a, b := NewCurve(1, 0, "").At(time.Unix(1e9, 0)), NewCurve(1, 0, Normal).At(time.Unix(1e9, 0)); a != b {
		t.Error("the profile is not normal where none is told")
	}
}

// The outputs that everybody's SplitMix64 gives for this seed.
func TestSplitMix64(t *testing.T) {
	for n, want := range []uint64{
		6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
	} {
		if got := splitMix64(1234567, n); got != want {
			t.Errorf("output %d is %d, want %d", n, got, want)
		}
	}
}

// spread is how far a signal can be from its mean, and how much it can change in a second.
func (x signal) spread() (most, slope float64) {
	for k, w := range x.waves {
		most += math.Hypot(w.sin, w.cos)
		slope += math.Hypot(w.sin, w.cos) * omega(k)
	}
	return most, slope
}

// What no time, seed or number of the GPU can exceed.
func TestLimitsOfTheSignals(t *testing.T) {
	for _, c := range []struct {
		profile      Profile
		lo, hi       float64 // load
		coolest      float64 // edge
		hottest      float64
		fanLo, fanHi float64 // duty
		slope        float64 // load, in a second
		heatSlope    float64 // edge, in a second
	}{
		{Normal, 0.05, 0.95, 37, 77.0, 0.25, 0.65, 0.014, 0.31},
		{Hot, 0.63, 0.99, 78.9, 100.6, 0.67, 0.89, 0.0051, 0.165},
	} {
		x := NewCurve(5, 0, c.profile)
		near := func(what string, got, want float64) {
			if math.Abs(got-want) > 0.05*math.Abs(want) && math.Abs(got-want) > 0.1 {
				t.Errorf("%s: %s is %v, want about %v", c.profile, what, got, want)
			}
		}
		most, slope := x.load.spread()
		if lo, hi := x.load.mean-most, x.load.mean+most; math.Abs(lo-c.lo) > 1e-9 || math.Abs(hi-c.hi) > 1e-9 {
			t.Errorf("%s: load from %v to %v, want %v to %v", c.profile, lo, hi, c.lo, c.hi)
		}
		near("slope of load", slope, c.slope)
		heat, heatSlope := x.heat.spread()
		near("coolest", 27+x.card*(x.heat.mean-heat), c.coolest)
		near("hottest", 27+x.card*(x.heat.mean+heat), c.hottest)
		near("slope of heat", x.card*heatSlope, c.heatSlope)
		near("least duty", 0.15+0.01*x.card*(x.heat.mean-heat), c.fanLo)
		near("most duty", 0.15+0.01*x.card*(x.heat.mean+heat), c.fanHi)
		if slope > c.slope || x.card*heatSlope > c.heatSlope || 27+x.card*(x.heat.mean+heat) > c.hottest {
			t.Errorf("%s: %v, %v, %v exceed what is promised", c.profile, slope, x.card*heatSlope, 27+x.card*(x.heat.mean+heat))
		}
	}
}

// Every 11th second of a week.
func TestBoundsOverAWeek(t *testing.T) {
	for _, p := range bothProfiles {
		for gpu := range 2 {
			c := NewCurve(7, gpu, p)
			for second := int64(0); second < 7*24*3600 && !t.Failed(); second += 11 {
				checkBounds(t, p, c.At(time.Unix(1795600000+second, 0)))
			}
		}
	}
}

func checkBounds(t *testing.T, p Profile, s State) {
	t.Helper()
	for _, row := range table {
		if v := row.value(&s); !(v >= row.lo && v <= row.hi) {
			t.Errorf("%s %v%q: %v", p, row.q, row.labels, v)
		}
	}
	for _, c := range []struct {
		ok   bool
		what string
	}{
		{p == Hot || s.Edge < 80 && s.Throttled == 0, "normal keeps cool"},
		{s.Utilization >= 0.05 && s.Utilization <= 0.99, "load is never cut off"},
		{s.Edge < 105 && s.Hotspot < 115 && s.Memory < 108, "no emergency"},
		{s.Edge < 100 || s.Throttled == 1, "the hotspot throttles before the edge is at its limit"},
		{s.GraphicsClock >= 500e6 && s.GraphicsClock <= 2254e6 && s.SoCClock >= 300e6 && s.SoCClock <= 1500e6, "clocks within their limits"},
		{s.Power <= 236 && s.PowerAverage <= 236, "power within its cap"},
		{s.VRAMUsed < 0.9*vram && s.GTTUsed < 16638816256, "memory is not full"},
		{s.FanSpeed <= fanMax && s.FanTarget <= fanMax && s.FanSpeed > 0, "fan within its limits"},
	} {
		if !c.ok {
			t.Errorf("%s: %s, but %+v", p, c.what, s)
		}
	}
}

// The crest of the long wave, when all others are at their worst, is hot enough, and its trough, when all others are at
// their best, is cool enough.
func TestHotIsHotInEveryPeriod(t *testing.T) {
	c := NewCurve(0, 0, Hot)
	hotspot := signal{mean: 27 + c.card*c.heat.mean + 3 + 11*c.die.mean}
	edge := signal{mean: 27 + c.card*c.heat.mean}
	for k := range periods {
		edge.waves[k] = wave{c.card * c.heat.waves[k].sin, c.card * c.heat.waves[k].cos}
		hotspot.waves[k] = wave{edge.waves[k].sin + 11*c.die.waves[k].sin, edge.waves[k].cos + 11*c.die.waves[k].cos}
	}
	for _, x := range []struct {
		name        string
		s           signal
		crest, base float64
	}{{"edge", edge, 97, 84}, {"hotspot", hotspot, 110, 97}} {
		all, _ := x.s.spread()
		long := math.Hypot(x.s.waves[2].sin, x.s.waves[2].cos)
		if crest, base := x.s.mean+2*long-all, x.s.mean-2*long+all; crest <= x.crest || base >= x.base {
			t.Errorf("%s may come up to %v and down to %v only, want %v and %v", x.name, crest, base, x.crest, x.base)
		}
	}
}

func TestHotIsHotAgainAndAgain(t *testing.T) {
	for gpu := range 8 {
		c := NewCurve(99, gpu, Hot)
		for begin := int64(1795600000); begin < 1795600000+86400; begin += 601 {
			var edge, coolest, hotspot float64 = 0, 1000, 0
			throttled := map[float64]int{}
			for s := range int64(601) {
				now := c.At(time.Unix(begin+s, 0))
				edge, coolest, hotspot = max(edge, now.Edge), min(coolest, now.Edge), max(hotspot, now.Hotspot)
				throttled[now.Throttled]++
			}
			if edge < 97 || coolest > 84 || hotspot < 110 || throttled[0] == 0 || throttled[1] == 0 {
				t.Fatalf("gpu %d from %d on: edge %v to %v, hotspot up to %v, throttled %v", gpu, begin, coolest, edge, hotspot, throttled)
			}
		}
	}
}

// most is how much each value may change in a second beside a step of rounding; the memory clock steps.
var most = map[string]float64{
	"Utilization": 0.014, "MemoryEngine": 0.009, "MediaEngine": 0.003,
	"Edge": 0.3, "Hotspot": 0.45, "Memory": 0.2, "VRGraphics": 0.35, "VRMemory": 0.35, "VRSoC": 0.25,
	"VRAMUsed": 110 << 20, "GTTUsed": 4 << 20,
	"GraphicsClock": 40e6, "MemoryClock": 0, "SoCClock": 14e6, "VideoClock": 12e6, "DecoderClock": 12e6,
	"Power": 3, "PowerAverage": 3, "Energy": 236,
	"GraphicsVoltage": 0.006, "SoCVoltage": 0.002, "MemoryVoltage": 0.0015,
	"FanDuty": 0.003, "FanTarget": 10, "FanSpeed": 10, "Throttled": 0,
}

func TestSmooth(t *testing.T) {
	largest := map[string]float64{}
	for _, p := range bothProfiles {
		c := NewCurve(3, 1, p)
		before := fields(c.At(time.Unix(1795600000, 0)))
		for s := range int64(8 * 3600) {
			now := fields(c.At(time.Unix(1795600001+s, 0)))
			for name, v := range now {
				change := math.Abs(v - before[name])
				largest[name] = max(largest[name], change)
				if change > most[name]+steps[name]*1.001 {
					t.Fatalf("%s %s changes by %v at %d", p, name, change, s)
				}
			}
			before = now
		}
	}
	for name, v := range largest {
		if v == 0 {
			t.Errorf("%s never changes", name)
		}
	}
}

// lagOf is by how many seconds y follows x: where their correlation is greatest.
func lagOf(x, y func(s State) float64, c *Curve) (seconds int, r float64) {
	const n, reach = 4 * 3607, 90
	var xs, ys [n + 2*reach]float64
	for i := range xs {
		s := c.exact(time.Unix(1795600000+int64(i), 0))
		xs[i], ys[i] = x(s), y(s)
	}
	r = -1
	for late := -reach; late <= reach; late++ {
		if v := correlation(xs[reach:reach+n], ys[reach+late:reach+late+n]); v > r {
			seconds, r = late, v
		}
	}
	return seconds, r
}

func correlation(x, y []float64) float64 {
	var mx, my float64
	for i := range x {
		mx, my = mx+x[i]/float64(len(x)), my+y[i]/float64(len(x))
	}
	var xy, xx, yy float64
	for i := range x {
		a, b := x[i]-mx, y[i]-my
		xy, xx, yy = xy+a*b, xx+a*a, yy+b*b
	}
	return xy / math.Sqrt(xx*yy)
}

// Power and clocks go with the load, memory and heat come after it, and the fan comes after the heat.
func TestOneFollowsTheOther(t *testing.T) {
	load := func(s State) float64 { return s.Utilization }
	edge := func(s State) float64 { return s.Edge }
	for _, c := range []struct {
		name   string
		x, y   func(s State) float64
		lo, hi int
	}{
		{"power after load", load, func(s State) float64 { return s.Power }, 0, 0},
		{"clock after load", load, func(s State) float64 { return s.GraphicsClock }, 1, 4},
		{"memory clock after load", load, func(s State) float64 { return s.MemoryClock }, 1, 8},
		{"memory after load", load, func(s State) float64 { return s.VRAMUsed }, 8, 25},
		{"hotspot after load", load, func(s State) float64 { return s.Hotspot }, 10, 45},
		{"edge after load", load, edge, 20, 55},
		{"edge after hotspot", func(s State) float64 { return s.Hotspot }, edge, 1, 20},
		{"memory temperature after edge", edge, func(s State) float64 { return s.Memory }, 2, 40},
		{"fan target with edge", edge, func(s State) float64 { return s.FanTarget }, 0, 0},
		{"fan after edge", edge, func(s State) float64 { return s.FanSpeed }, 4, 8},
	} {
		seconds, r := lagOf(c.x, c.y, NewCurve(11, 0, Normal))
		if seconds < c.lo || seconds > c.hi || r < 0.85 {
			t.Errorf("%s: by %d s, correlation %v; want %d to %d s", c.name, seconds, r, c.lo, c.hi)
		}
	}
}

func TestSeedAndNumberDecide(t *testing.T) {
	at := time.Unix(1795633304, 0)
	seen := map[State]string{}
	for _, p := range bothProfiles {
		for seed := range uint64(20) {
			for gpu := range 8 {
				s := NewCurve(seed, gpu, p).At(at)
				if again := NewCurve(seed, gpu, p).At(at); again != s {
					t.Errorf("seed %d, gpu %d: %+v, and then %+v", seed, gpu, s, again)
				}
				name := string(p) + string(rune('a'+gpu)) + string(rune('a'+seed))
				if other, taken := seen[s]; taken {
					t.Errorf("%s is the same as %s", name, other)
				}
				seen[s] = name
			}
		}
	}
}

// The energy is the integral of the power before rounding, never falls, and a span of it does not depend on when it is.
func TestEnergyIsTheIntegralOfPower(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		p := bothProfiles[random.IntN(2)]
		c := NewCurve(random.Uint64(), random.IntN(16), p)
		begin := time.Unix(random.Int64N(1<<32), random.Int64N(1e9))
		length := 1 + random.Float64()*3000
		const n = 4000 // even: Simpson's rule
		var sum float64
		for i := range n + 1 {
			weight := 2 + 2*float64(i%2)
			if i == 0 || i == n {
				weight = 1
			}
			sum += weight * c.exact(begin.Add(time.Duration(length*float64(i)/n*1e9))).Power
		}
		want := sum * length / n / 3
		got := c.exact(begin.Add(time.Duration(length*1e9))).Energy - c.exact(begin).Energy
		if math.Abs(got-want) > 0.001+1e-7*want {
			t.Errorf("%s, %v s from %v: %v J, want %v", p, length, begin, got, want)
		}
	}
	c := NewCurve(1, 0, Normal)
	if c.At(time.Unix(0, 0)).Energy != 0 {
		t.Error("the energy does not begin with 0")
	}
	before, at := 0., time.Unix(1795600000, 0)
	for range 100000 {
		at = at.Add(time.Duration(random.Int64N(int64(20*time.Millisecond))) + time.Millisecond)
		if now := c.At(at).Energy; now <= before {
			t.Fatalf("at %v: %v after %v", at, now, before)
		} else {
			before = now
		}
	}
}

// A restart goes on where the curve would have been.
func TestRestartContinues(t *testing.T) {
	at := time.Unix(1795633304, 718677500)
	want := NewCurve(4, 2, Hot).At(at)
	for _, before := range []time.Duration{0, time.Second, 1000 * time.Hour} {
		if got := newCurve(4, 2, Hot, at.Add(-before)).At(at); got != want {
			t.Errorf("begun %v before: %+v, want %+v", before, got, want)
		}
	}
}

// set is a time as it is told by a clock that was set by a difference after another time was taken. The seconds of a
// time with a monotonic reading stand from bit 30 on of its first word (package time).
func set(t time.Time, by time.Duration) time.Time {
	word := (*uint64)(unsafe.Pointer(&t))
	*word += uint64(int64(by/time.Second)) << 30
	return t
}

func TestAClockThatIsSetChangesNothing(t *testing.T) {
	start := time.Now()
	now := start.Add(90 * time.Second)
	c := newCurve(8, 0, Normal, start)
	want := c.At(now)
	for _, by := range []time.Duration{time.Hour, -time.Hour, -20 * 365 * 24 * time.Hour} {
		wrong := set(now, by)
		if wrong.Sub(start) != 90*time.Second || wrong.Unix()-now.Unix() != int64(by/time.Second) {
			t.Fatal("package time keeps its readings in another way now: mend set")
		}
		if got := c.At(wrong); got != want {
			t.Errorf("set by %v: %+v, want %+v", by, got, want)
		}
	}
}

func TestAtAllocatesNothing(t *testing.T) {
	c, at := NewCurve(1, 0, Normal), time.Unix(1795633304, 0)
	if n := testing.AllocsPerRun(100, func() { c.At(at) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// At any time, for any seed: as documented, finite and within the bounds of its series.
func FuzzCurve(f *testing.F) {
	f.Add(uint64(0), uint8(0), false, int64(0))
	f.Add(uint64(1), uint8(3), true, int64(1795633304718677500))
	f.Add(uint64(math.MaxUint64), uint8(255), true, int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, seed uint64, gpu uint8, hot bool, unixNano int64) {
		if unixNano < 0 {
			return // before 1970
		}
		p := Normal
		if hot {
			p = Hot
		}
		at := time.Unix(0, unixNano)
		agree(t, seed, int(gpu), p, at)
		s := NewCurve(seed, int(gpu), p).At(at)
		for _, row := range table {
			if v := row.value(&s); !(v >= row.lo && v <= row.hi) {
				t.Errorf("%v%q of %d %d %s at %v: %v", row.q, row.labels, seed, gpu, p, at, v)
			}
		}
	})
}

// The same over times of a wide span, without a fuzzer.
func TestRandomTimes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		agree(t, random.Uint64(), random.IntN(64), bothProfiles[random.IntN(2)], time.Unix(random.Int64N(7e9), random.Int64N(1e9)))
	}
}
