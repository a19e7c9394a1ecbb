//go:build compare

package amd

import (
	"slices"
	"testing"
	"time"
)

// TestCompareReadWithBarePreads compares in turns. It fails only beyond twice the aim: machines are busy.
func TestCompareReadWithBarePreads(t *testing.T) {
	const aim, tolerance, turns, reads = 1.3, 2, 15, 300
	for _, c := range cards {
		read, bare := reading(t, c.files), barePreads(t, c.files)
		timed := func(step func()) float64 {
			begin := time.Now()
			for range reads {
				step()
			}
			return time.Since(begin).Seconds()
		}
		var ratios []float64
		for range turns {
			ratios = append(ratios, timed(read)/timed(bare))
		}
		slices.Sort(ratios)
		ratio := ratios[turns/2]
		t.Logf("%s: a read costs %.2f times the bare preads of its files (aim %.1f; %.2f to %.2f)", c.name, ratio, aim, ratios[0], ratios[turns-1])
		if c.name == "navi32" && ratio > tolerance*aim {
			t.Errorf("%s: %.2f is beyond twice the aim", c.name, ratio)
		}
	}
}
