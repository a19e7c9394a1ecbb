package compat

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gpu_exporter/collector"
)

var somewhere = []byte("where it stands")

// chunkOf is a chunk of records, which must fit into one.
func chunkOf(t testing.TB, records ...record) chunk {
	t.Helper()
	start := records[0].unixMicro
	c := chunk{key: key{start, 7}, end: start}
	p := packing{at: start}
	for _, r := range records {
		if !c.takes(r.unixMicro) {
			t.Fatalf("record %d does not fit", c.entries)
		}
		c.packed = p.append(c.packed, &r)
		c.end = r.unixMicro
		c.entries++
	}
	return c
}

// wantRecords compares bit by bit: NaN is NaN, and no value may change in the least.
func wantRecords(t *testing.T, got, want []record) {
	t.Helper()
	same := func(a, b record) bool {
		for i := range a.values {
			if math.Float32bits(a.values[i]) != math.Float32bits(b.values[i]) {
				return false
			}
		}
		return a.unixMicro == b.unixMicro && a.state == b.state
	}
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// nothing is a record without a value.
func nothing(at time.Time) record {
	r := record{unixMicro: at.UnixMicro()}
	for i := range r.values {
		r.values[i] = float32(math.NaN())
	}
	return r
}

// What goes into a chunk comes out of the file again, to the last bit.
func TestChunk(t *testing.T) {
	values := func(v ...float32) (r record) {
		r = nothing(at)
		copy(r.values[:], v)
		return r
	}
	later := func(r record, d time.Duration) record {
		r.unixMicro += d.Microseconds()
		return r
	}
	state := func(r record, s collector.State) record {
		r.state = s
		return r
	}
	full := values(54.5, 99.9, 1536.2, 16368, 9.4, 2011, 456, 236.7, 35)
	for name, records := range map[string][]record{
		"nothing known":    {nothing(at)},
		"one":              {full},
		"the same":         {full, later(full, time.Second), later(full, 2*time.Second)},
		"at the same time": {full, full},
		"values come and go": {full, later(nothing(at), time.Second), later(full, 2*time.Second),
			later(values(54.6), 3*time.Second), later(values(54.4, 0.1), 4*time.Second)},
		"states": {state(full, collector.StatePartial), later(full, time.Second), state(later(full, 2*time.Second), collector.StateGone)},
		"jitter": {full, later(full, 1001234), later(full, 1999999*time.Microsecond), later(full, 1999999*time.Microsecond),
			later(full, chunkSpan)},
		"negative and large": {values(-40.5, 0, 0.1, 8<<20, 4294967.2), later(values(127.5, 100, 0, 0.1), time.Second)},
		"before 1970":        {later(full, -60*365*24*time.Hour)},
	} {
		c := chunkOf(t, records...)
		parsed, err := parseChunk(c.key, somewhere, c.marshal(somewhere))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := parsed.records(nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		t.Run(name, func(t *testing.T) { wantRecords(t, got, records) })
	}
}

// Every value with one decimal that a float32 can tell comes back as it was.
func TestChunkKeepsEveryValue(t *testing.T) {
	for tenths := 0; tenths < 40_000_000; tenths += 1 + tenths/50_000 {
		v := float32(float64(tenths) / 10)
		if got, ok := tenthsOf(v); !ok || float32(float64(got)/10) != v {
			t.Fatalf("%v: %d tenths", v, got)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e30} {
		if got, ok := tenthsOf(float32(v)); ok {
			t.Errorf("%v: %d tenths", v, got)
		}
	}
}

// A chunk is full at 128 records, and no search has to begin more than five minutes earlier.
func TestChunkIsBounded(t *testing.T) {
	c := chunk{key: key{start: 1e15}, end: 1e15 + 10, entries: 1}
	for name, x := range map[string]struct {
		entries int
		at      int64
		want    bool
	}{
		"next":       {127, 1e15 + 11, true},
		"same time":  {127, 1e15 + 10, true},
		"set back":   {127, 1e15 + 9, false},
		"full":       {128, 1e15 + 11, false},
		"span's end": {1, 1e15 + 300e6, true},
		"too late":   {1, 1e15 + 300e6 + 1, false},
	} {
		c.entries = x.entries
		if got := c.takes(x.at); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A real reading takes about 13 bytes.
func TestChunkIsSmall(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var records []record
	for i := range chunkEntries {
		r := nothing(at.Add(time.Duration(i)*time.Second + time.Duration(random.IntN(2000))*time.Microsecond))
		for j := range r.values {
			r.values[j] = float32(500+random.IntN(60)) / 10
		}
		records = append(records, r)
	}
	c := chunkOf(t, records...)
	if n := len(c.marshal(somewhere)); n > chunkEntries*14 {
		t.Errorf("%d bytes for %d records", n, chunkEntries)
	}
}

// One wrong bit, a byte less or more, or another place, and it is no chunk.
func TestChunkThatIsDamaged(t *testing.T) {
	c := chunkOf(t, nothing(at), nothing(at.Add(time.Second)))
	b := c.marshal(somewhere)
	refused := func(what string, place, b []byte) {
		t.Helper()
		if _, err := parseChunk(c.key, place, b); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	for i := range len(b) * 8 {
		damaged := slices.Clone(b)
		damaged[i/8] ^= 1 << (i % 8)
		refused("a wrong bit", somewhere, damaged)
	}
	for i := range b {
		refused("a part", somewhere, b[:i])
	}
	refused("a byte more", somewhere, append(slices.Clone(b), 0))
	refused("another place", somewhere[1:], b)
	if _, err := parseChunk(c.key, somewhere, b); err != nil {
		t.Error(err)
	}
}

// Whatever bytes there are: no panic, no more than a chunk, in the order of time, and the same again when it is written
// anew.
func FuzzChunk(f *testing.F) {
	full := nothing(at)
	full.values = [len(columns)]float32{54.5, 99.9, 1536.2, 16368, 9.4, 2011, 456, 236.7, 35}
	c := chunkOf(f, full, nothing(at.Add(time.Second)), nothing(at.Add(2*time.Second)))
	f.Add(c.start, c.marshal(somewhere), true)
	f.Add(int64(0), c.marshal(somewhere), false)
	f.Add(int64(math.MaxInt64), []byte{chunkVersion, chunkEntries, 0, 0}, true)
	f.Fuzz(func(t *testing.T, start int64, b []byte, sealed bool) {
		if sealed && len(b) >= crc32.Size { // as if the file were made by somebody who means harm
			b = b[:len(b)-crc32.Size]
			b = binary.BigEndian.AppendUint32(b, chunkSum(somewhere, b))
		}
		parsed, err := parseChunk(key{start, 7}, somewhere, b)
		if err != nil {
			return
		}
		records, err := parsed.records(nil)
		if err != nil {
			return
		}
		if len(records) > chunkEntries {
			t.Fatalf("%d records", len(records))
		}
		if len(records) == 0 {
			return
		}
		again := chunkOf(t, records...)
		got, err := again.records(nil)
		if err != nil {
			t.Fatal(err)
		}
		wantRecords(t, got, records)
	})
}
