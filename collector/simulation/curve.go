package simulation

import (
	"math"
	"time"
)

// Profile says how the simulated GPUs fare.
type Profile string

// The profiles.
const (
	Normal Profile = "normal" // well cooled, its load goes up and down
	Hot    Profile = "hot"    // passes 95 °C on edge and hotspot again and again
)

// waves is how many waves a signal has.
const waves = 4

// periods are those of the waves, in seconds. Primes: the pattern as a whole does not come back within a lifetime.
var periods = [waves]int64{47, 131, 601, 3607}

// cooling says what differs by profile, see the package comment.
type cooling struct {
	mean       float64
	amplitudes [waves]float64
	card       float64 // R
	memory     float64 // M
}

var profiles = map[Profile]cooling{
	Normal: {mean: 0.50, amplitudes: [waves]float64{0.05, 0.10, 0.18, 0.12}, card: 60, memory: 42},
	Hot:    {mean: 0.81, amplitudes: [waves]float64{0.02, 0.02, 0.13, 0.01}, card: 77.5, memory: 56},
}

// orNormal is p, or Normal where there is no such profile.
func (p Profile) orNormal() Profile {
	if _, known := profiles[p]; !known {
		return Normal
	}
	return p
}

// hotspotLimit is the temperature above which the clock is taken back.
const hotspotLimit = 110

// State is all that changes of a simulated GPU, rounded as its series show it.
type State struct {
	Utilization, MemoryEngine, MediaEngine             float64 // ratios
	Edge, Hotspot, Memory, VRGraphics, VRMemory, VRSoC float64 // degrees Celsius
	VRAMUsed, GTTUsed                                  float64 // bytes
	GraphicsClock, MemoryClock, SoCClock               float64 // hertz
	VideoClock, DecoderClock                           float64 // hertz
	Power, PowerAverage                                float64 // watts
	Energy                                             float64 // joules
	GraphicsVoltage, SoCVoltage, MemoryVoltage         float64 // volts
	FanDuty                                            float64 // ratio
	FanTarget, FanSpeed                                float64 // rpm
	Throttled                                          float64 // thermal: 0 or 1
}

// Curve is what one simulated GPU does. It does not change: any number of goroutines may ask it.
type Curve struct {
	start time.Time // what time is counted from; with a monotonic reading, a clock that is set changes nothing

	load, clocks, die, work, heat, memoryHeat, fan signal

	card, memory float64 // R and M
}

// NewCurve returns the curve of a GPU, from 0, by the time that it is asked for. An unknown profile is Normal.
func NewCurve(seed uint64, gpu int, profile Profile) *Curve {
	return newCurve(seed, gpu, profile, time.Unix(0, 0))
}

func newCurve(seed uint64, gpu int, profile Profile, start time.Time) *Curve {
	p := profiles[profile.orNormal()]
	load := signal{mean: p.mean}
	for k := range load.waves {
		const turn = 2 * math.Pi / (1 << 53)
		sin, cos := math.Sincos(turn * float64(splitMix64(seed, waves*gpu+k)>>11))
		load.waves[k] = wave{sin: p.amplitudes[k] * cos, cos: p.amplitudes[k] * sin}
	}
	heat := load.lag(45)
	return &Curve{
		start: start,
		load:  load, clocks: load.lag(3), die: load.lag(8), work: load.lag(20),
		heat: heat, memoryHeat: load.lag(75), fan: heat.lag(6),
		card: p.card, memory: p.memory,
	}
}

// At is the state at a time.
func (c *Curve) At(t time.Time) State { return c.exact(t).rounded() }

// exact is the state before it is rounded.
func (c *Curve) exact(t time.Time) State {
	elapsed := t.Sub(c.start) // by the monotonic clock where both have it
	i := instantOf(c.start.UnixNano() + int64(elapsed))
	load, clocks, work := c.load.at(&i), c.clocks.at(&i), c.work.at(&i)
	risen := c.card * c.heat.at(&i)
	s := State{
		Utilization:     load,
		MemoryEngine:    0.02 + 0.60*clocks,
		MediaEngine:     0.05 + 0.30*work,
		Edge:            27 + risen,
		Hotspot:         27 + risen + 3 + 11*c.die.at(&i),
		Memory:          42 + c.memory*c.memoryHeat.at(&i),
		VRGraphics:      32 + 46*work,
		VRMemory:        34 + 40*work,
		VRSoC:           31 + 30*work,
		VRAMUsed:        (1 + 13*work) * (1 << 30),
		GTTUsed:         (96 + 400*work) * (1 << 20),
		MemoryClock:     memoryClock(clocks),
		SoCClock:        (450 + 1000*clocks) * 1e6,
		VideoClock:      (100 + 1500*work) * 1e6,
		DecoderClock:    (90 + 1350*work) * 1e6,
		Power:           20 + 216*load,
		PowerAverage:    20 + 216*clocks,
		Energy:          20*i.seconds + 216*c.load.integral(&i),
		GraphicsVoltage: 0.700 + 0.380*clocks,
		SoCVoltage:      0.720 + 0.100*clocks,
		MemoryVoltage:   0.700 + 0.080*clocks,
		FanDuty:         0.15 + 0.01*risen,
		FanTarget:       fanMax * (0.15 + 0.01*risen),
		FanSpeed:        fanMax * (0.15 + 0.01*c.card*c.fan.at(&i)),
	}
	s.GraphicsClock = (600 + 1600*clocks - 50*max(0, s.Hotspot-hotspotLimit)) * 1e6
	return s
}

// memoryClocks are the levels of the memory clock, in hertz, and the load from which on each is taken.
var memoryClocks = [...]struct{ from, hertz float64 }{{0, memoryClockMin}, {0.1, 456e6}, {0.3, 772e6}, {0.6, memoryClockMax}}

func memoryClock(load float64) (hertz float64) {
	for _, level := range memoryClocks {
		if load >= level.from {
			hertz = level.hertz
		}
	}
	return hertz
}

// rounded is s in the steps in which a real card tells it.
func (s State) rounded() State {
	for _, v := range [...]*float64{&s.Utilization, &s.MemoryEngine, &s.MediaEngine} {
		*v = math.Round(*v*100) / 100
	}
	for _, v := range [...]*float64{
		&s.Edge, &s.Hotspot, &s.Memory, &s.VRGraphics, &s.VRMemory, &s.VRSoC,
		&s.Power, &s.PowerAverage, &s.FanTarget, &s.FanSpeed,
	} {
		*v = math.Round(*v)
	}
	for _, v := range [...]*float64{&s.VRAMUsed, &s.GTTUsed} {
		*v = math.Floor(*v/4096) * 4096
	}
	for _, v := range [...]*float64{&s.GraphicsClock, &s.SoCClock, &s.VideoClock, &s.DecoderClock} {
		*v = math.Round(*v/1e6) * 1e6
	}
	for _, v := range [...]*float64{&s.GraphicsVoltage, &s.SoCVoltage, &s.MemoryVoltage} {
		*v = math.Round(*v*1000) / 1000
	}
	s.FanDuty = math.Round(s.FanDuty*255) / 255
	s.Energy = math.Floor(s.Energy*100) / 100
	if s.Hotspot >= hotspotLimit {
		s.Throttled = 1
	}
	return s
}

// splitMix64 is one output, from 0, of the generator of that name (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, 2014).
func splitMix64(seed uint64, n int) uint64 {
	z := seed + uint64(n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
