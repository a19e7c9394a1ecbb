package simulation

import "math"

// signal is a mean and its waves. What follows it, and its integral, are of the same form: nothing needs its past.
type signal struct {
	mean  float64
	waves [waves]wave
}

// wave is sin·sin(ω t) + cos·cos(ω t).
type wave struct{ sin, cos float64 }

// omega is the angular frequency of wave k.
func omega(k int) float64 { return 2 * math.Pi / float64(periods[k]) }

// lag is the signal that follows x through a first-order lag of tau seconds.
func (x signal) lag(tau float64) signal {
	for k, w := range x.waves {
		late := omega(k) * tau
		x.waves[k] = wave{sin: (w.sin + late*w.cos) / (1 + late*late), cos: (w.cos - late*w.sin) / (1 + late*late)}
	}
	return x
}

// instant is a time, and where the waves are in their periods then.
type instant struct {
	seconds float64 // Unix time
	phases  [waves]wave
}

// instantOf takes Unix time in nanoseconds. Whole periods are taken off as integers: an angle of 2^28 would cost digits.
func instantOf(unixNano int64) instant {
	i := instant{seconds: float64(unixNano) / 1e9}
	for k := range i.phases {
		period := periods[k] * 1e9
		i.phases[k].sin, i.phases[k].cos = math.Sincos(2 * math.Pi * float64(unixNano%period) / float64(period))
	}
	return i
}

// at is the value of the signal.
func (x *signal) at(i *instant) float64 {
	v := x.mean
	for k, w := range x.waves {
		v += w.sin*i.phases[k].sin + w.cos*i.phases[k].cos
	}
	return v
}

// integral is that of the signal since Unix time 0.
func (x *signal) integral(i *instant) float64 {
	v := x.mean * i.seconds
	for k, w := range x.waves {
		v += (w.sin*(1-i.phases[k].cos) + w.cos*i.phases[k].sin) / omega(k)
	}
	return v
}
