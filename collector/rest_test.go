package collector

import (
	"testing"
	"time"
)

func TestRest(t *testing.T) {
	var r Rest
	now := time.Now()
	for _, c := range []struct {
		after time.Duration // since the step before
		idle  bool
		holds time.Duration // from then on; 0: not
	}{
		{0, true, 0}, {15 * time.Second, true, 0}, {5 * time.Second, false, 0}, {time.Second, true, 0}, {19 * time.Second, true, 0},
		{time.Second, true, 30 * time.Second}, {30 * time.Second, true, time.Minute}, {time.Minute, true, 2 * time.Minute},
		{2 * time.Minute, true, 4 * time.Minute}, {4 * time.Minute, true, 8 * time.Minute}, {8 * time.Minute, true, 10 * time.Minute},
		{10 * time.Minute, true, 10 * time.Minute}, {10 * time.Minute, false, 0}, {time.Second, true, 0}, {20 * time.Second, true, 30 * time.Second},
	} {
		now = now.Add(c.after)
		r.Observe(now, c.idle, UsualRest)
		if c.holds == 0 && r.Holds(now) || c.holds > 0 && (!r.Holds(now.Add(c.holds-1)) || r.Holds(now.Add(c.holds))) {
			t.Errorf("%+v: until %v", c, r.until.Sub(now))
		}
	}
}
