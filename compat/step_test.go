package compat

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// entriesAt are those of cardA at these seconds of Unix time: temperatures, NaN where one was not known.
func entriesAt(seconds []float64, celsius ...float64) tape {
	var list []Entry
	for i, s := range seconds {
		e := recordedAs(cardA.GPU, time.UnixMicro(int64(math.Round(s*1e6))), collector.StateOK, nil)
		e.Values[Temperature] = float32(celsius[i])
		list = append(list, e)
	}
	return taped(list...)
}

var allTime = [2]time.Time{time.Unix(minUnix, 0), time.Unix(maxUnix, 0)}

// One row for each step that has an entry: its begin, and mean, min, max of what was known.
func TestSteps(t *testing.T) {
	unknown := math.NaN()
	for name, c := range map[string]struct {
		step  time.Duration
		store tape
		want  string
	}{
		"none":            {time.Minute, taped(), ""},
		"one":             {time.Minute, entriesAt([]float64{61}, 40.5), "60: 40.5 40.5..40.5"},
		"mean":            {time.Minute, entriesAt([]float64{60, 80, 119.999999}, 40, 41, 48), "60: 43 40..48"},
		"aligned":         {time.Minute, entriesAt([]float64{59.999999, 60, 119.999999, 120}, 1, 2, 3, 4), "0: 1 1..1; 60: 2.5 2..3; 120: 4 4..4"},
		"gap":             {10 * time.Second, entriesAt([]float64{1, 55, 3600}, 1, 2, 3), "0: 1 1..1; 50: 2 2..2; 3600: 3 3..3"},
		"not of a minute": {7 * time.Second, entriesAt([]float64{6, 7, 13.5, 14}, 1, 2, 3, 4), "0: 1 1..1; 7: 2.5 2..3; 14: 4 4..4"},
		"of a fraction":   {1500 * time.Millisecond, entriesAt([]float64{1.4, 1.5, 2.9, 3}, 1, 2, 3, 4), "0: 1 1..1; 1.5: 2.5 2..3; 3: 4 4..4"},
		"thirty days":     {maxStep, entriesAt([]float64{2591999, 2592000}, 1, 2), "0: 1 1..1; 2592000: 2 2..2"},
		"before 1970":     {time.Minute, entriesAt([]float64{-61, -60, -0.5, 0}, 1, 2, 3, 4), "-120: 1 1..1; -60: 2.5 2..3; 0: 4 4..4"},
		"shorter":         {time.Second, entriesAt([]float64{10, 15, 20}, 1, 2, 3), "10: 1 1..1; 15: 2 2..2; 20: 3 3..3"},

		// The mean is of what was known; a step of which nothing was known is there, since something was recorded.
		"partly unknown": {time.Minute, entriesAt([]float64{1, 2, 3, 4}, unknown, 40, unknown, 50), "0: 45 40..50"},
		"all unknown":    {time.Minute, entriesAt([]float64{1, 2, 60}, unknown, unknown, 7), "0: - -..-; 60: 7 7..7"},

		// Rounded as all values are: half away from zero, never -0, and no third part of a tenth.
		"half":          {time.Minute, entriesAt([]float64{1, 2}, 9.4, 9.5), "0: 9.5 9.4..9.5"},
		"negative half": {time.Minute, entriesAt([]float64{1, 2}, -9.4, -9.5), "0: -9.5 -9.5..-9.4"},
		"less":          {time.Minute, entriesAt([]float64{1, 2, 3}, 0.1, 0.1, 0.2), "0: 0.1 0.1..0.2"},
		"zero":          {time.Minute, entriesAt([]float64{1, 2, 3, 4}, -0.1, 0, 0, 0), "0: 0 -0.1..0"},
		"opposite":      {time.Minute, entriesAt([]float64{1, 2}, -0.1, 0.1), "0: 0 -0.1..0.1"},
	} {
		var got []string
		for r, err := range rows(c.store.Range(cardA.GPU, allTime[0], allTime[1]), c.step) {
			if err != nil {
				t.Fatal(err)
			}
			show := func(v collector.Value) string {
				if !v.OK {
					return "-"
				}
				return fmt.Sprint(v.V)
			}
			got = append(got, fmt.Sprintf("%s: %s %s..%s", strconv.FormatFloat(float64(r.at.UnixMicro())/1e6, 'f', -1, 64),
				show(r.values[Temperature]), show(r.least[Temperature]), show(r.most[Temperature])))
		}
		if got := strings.Join(got, "; "); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// The state of a step is the worst that it had, wherever in it that was.
func TestStateOfStep(t *testing.T) {
	const ok, partial, asleep, hung, gone = collector.StateOK, collector.StatePartial, collector.StateAsleep, collector.StateHung, collector.StateGone
	for _, c := range []struct {
		states []collector.State
		want   collector.State
	}{
		{[]collector.State{ok, ok, ok}, ok}, {[]collector.State{partial, ok, ok}, partial}, {[]collector.State{ok, ok, partial}, partial},
		{[]collector.State{asleep, ok}, asleep}, {[]collector.State{ok, hung, partial}, hung}, {[]collector.State{hung, gone, ok}, gone},
	} {
		var entries []Entry
		for i, state := range c.states {
			entries = append(entries, recordedAs(cardA.GPU, time.Unix(int64(60+i), 0), state, nil))
		}
		entries = append(entries, recordedAs(cardA.GPU, time.Unix(120, 0), ok, nil)) // a fault ends with its step
		var got []collector.State
		for r := range rows(taped(entries...).Range(cardA.GPU, allTime[0], allTime[1]), time.Minute) {
			got = append(got, r.state)
		}
		if !slices.Equal(got, []collector.State{c.want, ok}) {
			t.Errorf("%v: got %v, want %v", c.states, got, c.want)
		}
	}
}

func TestRowsOfABrokenStore(t *testing.T) {
	broken := errors.New("the disk is gone")
	for _, step := range []time.Duration{0, time.Minute} {
		store := entriesAt([]float64{1, 61}, 1, 2)
		store.err = broken
		var last error
		for r, err := range rows(store.Range(cardA.GPU, allTime[0], allTime[1]), step) {
			if last != nil || (r == nil) != (err != nil) {
				t.Errorf("step %v: %v, %v after %v", step, r, err, last)
			}
			last = err
		}
		if last != broken {
			t.Errorf("step %v: %v", step, last)
		}
		for range rows(store.Range(cardA.GPU, allTime[0], allTime[1]), step) {
			break // a reader may leave
		}
	}
}

// plainStep computes one step with fractions, out of the decimals that were recorded.
func plainStep(tenths []int64, whole bool) (mean, least, most string) {
	if len(tenths) == 0 {
		return "", "", ""
	}
	parts := int64(10)
	if whole {
		parts = 1
	}
	sum := new(big.Rat)
	for _, v := range tenths {
		sum.Add(sum, big.NewRat(v, 10))
	}
	sum.Quo(sum, big.NewRat(int64(len(tenths)), 1))
	// Half away from zero, by hand: the whole part of |x| times parts and a half.
	x := new(big.Rat).Abs(sum)
	x.Add(x.Mul(x, big.NewRat(parts, 1)), big.NewRat(1, 2))
	n := new(big.Int).Quo(x.Num(), x.Denom())
	if sum.Sign() < 0 {
		n.Neg(n)
	}
	text := func(r *big.Rat) string { return strings.TrimSuffix(r.FloatString(1), ".0") }
	return text(new(big.Rat).SetFrac(n, big.NewInt(parts))), text(big.NewRat(slices.Min(tenths), 10)), text(big.NewRat(slices.Max(tenths), 10))
}

// Each number of an export by steps against one that is computed with fractions; gaps, unknown values and all columns.
func TestStepsAgainstFractions(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type recorded struct {
		at     int64 // milliseconds
		state  collector.State
		tenths [len(columns)]int64
		known  [len(columns)]bool
	}
	var all []recorded
	for at := int64(1795633304_718); len(all) < 5000; at += 900 + random.Int64N(200) {
		if random.IntN(400) == 0 {
			at += random.Int64N(3600_000)
		}
		r := recorded{at: at, state: collector.State(random.IntN(2) * random.IntN(2))}
		for i := range columns {
			r.known[i] = random.IntN(5) > 0
			if r.tenths[i] = random.Int64N(4000) - 200; i == MemoryTotal || i == MemoryUsed {
				r.tenths[i] = random.Int64N(2_000_000) // 200,000 MiB, as the largest cards have
			}
			if columns[i].whole {
				r.tenths[i] -= r.tenths[i] % 10
			}
		}
		all = append(all, r)
	}
	store := tape{n: len(all), entry: func(i int) Entry {
		known := map[int]float32{}
		for c, ok := range all[i].known {
			if ok {
				known[c] = float32(float64(all[i].tenths[c]) / 10)
			}
		}
		return recordedAs(cardB.GPU, time.UnixMilli(all[i].at), all[i].state, known)
	}}
	from, to := time.UnixMilli(all[100].at+1), time.UnixMilli(all[4900].at) // within a step

	for _, step := range []time.Duration{time.Second, 7 * time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		var want []string
		millis := step.Milliseconds()
		for rest := all[101:4900]; len(rest) > 0; {
			begin := rest[0].at / millis * millis
			n := 0
			for n < len(rest) && rest[n].at < begin+millis {
				n++
			}
			fields := []string{fmt.Sprintf("%d.%03d", begin/1000, begin%1000), cardB.GPU, "", "ok"}
			if slices.ContainsFunc(rest[:n], func(r recorded) bool { return r.state == collector.StatePartial }) {
				fields[3] = "partial"
			}
			for c := range columns {
				var tenths []int64
				for _, r := range rest[:n] {
					if r.known[c] {
						tenths = append(tenths, r.tenths[c])
					}
				}
				mean, least, most := plainStep(tenths, columns[c].whole)
				fields = append(fields, mean)
				if step > time.Second {
					fields = append(fields, least, most)
				}
			}
			want = append(want, strings.Join(append(fields, "", ""), ","))
			rest = rest[n:]
		}
		var text strings.Builder
		o := ExportOptions{Format: FormatCSV, From: from, To: to, Step: step, Interval: time.Second}
		if err := Export(&text, store, []collector.Info{cardB}, o); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")[1:]
		if len(got) != len(want) {
			t.Errorf("step %v: %d rows, want %d", step, len(got), len(want))
		}
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("step %v, row %d:\n%s\nwant\n%s", step, i, got[i], want[i])
			}
		}
	}
}
