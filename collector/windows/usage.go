package windows

import (
	"maps"
	"time"
)

// usagePause is how often ADL is asked for memory in use where no counter tells it. That takes 0.27 to 0.9 s (section 4),
// during which nobody else has the library.
const usagePause = 10 * time.Second

// usage is what ADL said of memory in use, by GPU.
type usage map[Place]*lastUse

type lastUse struct {
	asked time.Time
	mib   *int64 // what was said then
	heavy bool   // it took too long, or ended the child: it is not asked for again
}

// plan says of whom to ask for memory in use in this cycle: of those whose turn it is.
func (u *usage) plan(targets []ADLTarget, now time.Time) {
	if *u == nil {
		*u = usage{}
	}
	asked := map[Place]bool{}
	for i, t := range targets {
		if !t.Usage {
			continue
		}
		asked[t.Place] = true
		known := (*u)[t.Place]
		if known == nil {
			known = &lastUse{}
			(*u)[t.Place] = known
		}
		targets[i].Usage = !known.heavy && (known.asked.IsZero() || now.Sub(known.asked) >= usagePause)
	}
	// What was said of a GPU before it slept is not said again.
	maps.DeleteFunc(*u, func(at Place, known *lastUse) bool { return !asked[at] && !known.heavy })
}

// take notes what was said, and says it again where it was not asked for.
func (u usage) take(targets []ADLTarget, readings []ADLReading, now time.Time) {
	for i := range min(len(targets), len(readings)) {
		known, r := u[targets[i].Place], &readings[i]
		switch {
		case known == nil, r.Err != nil:
		case targets[i].Usage:
			known.asked, known.mib, known.heavy = now, r.Usage, r.Heavy
		default:
			r.Usage = known.mib
		}
	}
}
