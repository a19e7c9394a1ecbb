package collector

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever happens to a fleet, its snapshots make sense. The rig checks besides that no Device is used by two, closed
// twice or never.
func TestAnythingMayHappen(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1))
			o := Options{Interval: time.Second, Deadline: 2 * time.Second, Rescan: 10 * time.Second, ForgetAfter: 20 * time.Second}
			if seed%2 == 1 {
				o.Interval = 200 * time.Millisecond
			}
			racks := []*rack{newRack(), newRack()}
			valves, answers := make([]valve, 5), make([]answering, 5)
			keys := make([]int, 5)
			r := start(t, o, racks...)
			snapshots := r.Subscribe(t.Context())
			errs := []error{nil, nil, ErrAsleep, ErrResting, ErrGone, errBroken}
			for range 500 {
				i := dice.IntN(5)
				switch dice.IntN(8) {
				case 0:
					valves[i].open()
					valves[i].shut()
				case 1, 2:
					valves[i].open()
				case 3:
					answers[i].err(errs[dice.IntN(len(errs))])
				case 4:
					keys[i] = dice.IntN(4)
					fallthrough
				case 5:
					var cards []card
					for j := range keys {
						if dice.IntN(4) > 0 {
							cards = append(cards, card{gpu: fmt.Sprint(j), key: fmt.Sprint(keys[j]), read: func(ctx context.Context, x *Reading) error {
								valves[j].pass()
								return answers[j].read(ctx, x)
							}})
						}
					}
					racks[dice.IntN(2)].set(cards...)
				case 6:
					racks[0].fail(errs[dice.IntN(2)*5])
				default:
					r.Rescan()
				}
				pass(time.Duration(dice.IntN(1500)) * time.Millisecond)
				select {
				case s := <-snapshots:
					sensible(t, s)
				default:
				}
				stuck := map[string]int{}
				for _, d := range slices.Concat(racks[0].all(), racks[1].all()) {
					if stuck[d.gpu] += int(d.inside.Load()); stuck[d.gpu] > maxStuckPerGPU {
						t.Fatalf("seed %d: GPU %s has %d reads", seed, d.gpu, stuck[d.gpu])
					}
				}
			}
			r.stop()
			for i := range valves {
				valves[i].open()
			}
		})
	}
}

func sensible(t *testing.T, s *Snapshot) {
	t.Helper()
	if n := len(s.Devices); s.Default >= n || s.Default < 0 && n > 0 {
		t.Fatalf("default GPU at %d of %d", s.Default, n)
	}
	for i := range s.Devices {
		d := &s.Devices[i]
		lost := d.State == StateHung || d.State == StateGone
		switch {
		case i > 0 && d.Index <= s.Devices[i-1].Index:
			t.Fatalf("index %d after %d", d.Index, s.Devices[i-1].Index)
		case d.Up && lost, !d.Up && (d.State == StateOK || d.State == StateAsleep):
			t.Fatalf("%s is %v, up %v", d.GPU, d.State, d.Up)
		case len(d.Samples) > 0 && (lost || !d.Up || d.State == StateAsleep):
			t.Fatalf("%s is %v, up %v, with samples", d.GPU, d.State, d.Up)
		case d.stale(s.At, 3*time.Second):
			t.Fatalf("%s has samples of %v ago", d.GPU, s.At.Sub(d.At))
		case (d.State == StatePartial) != (len(d.Failures) > 0) && d.State != StateHung:
			t.Fatalf("%s is %v with %d failures", d.GPU, d.State, len(d.Failures))
		}
	}
}
