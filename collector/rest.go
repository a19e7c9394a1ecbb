package collector

import "time"

// Rest decides when an idle GPU that may sleep is left alone, so that it can: whatever looks at its sensors would keep it
// awake (nvidia.md 9 rule 4). The zero value is a GPU that was just seen for the first time.
type Rest struct {
	idleSince time.Time // of no load in a row; zero: there was load
	until     time.Time // end of the pause; zero: none
	pause     time.Duration
}

// RestTimes are how long a GPU is idle until it is left alone, and how long the first pause is and the longest.
type RestTimes struct{ Idle, First, Longest time.Duration }

// UsualRest are the times of nvidia.md 9 rule 4.
var UsualRest = RestTimes{Idle: 20 * time.Second, First: 30 * time.Second, Longest: 10 * time.Minute}

// Observe takes note of what a reading of the GPU saw. Each pause in which it did not fall asleep is twice the last.
func (r *Rest) Observe(now time.Time, idle bool, t RestTimes) {
	switch {
	case !idle:
		*r = Rest{}
	case r.idleSince.IsZero():
		r.idleSince = now
	case now.Sub(r.idleSince) >= t.Idle:
		r.pause = min(max(2*r.pause, t.First), t.Longest)
		r.until = now.Add(r.pause)
	}
}

// Holds says whether the GPU is to be left alone.
func (r *Rest) Holds(now time.Time) bool { return now.Before(r.until) }
