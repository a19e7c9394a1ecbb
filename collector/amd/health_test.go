package amd

import "testing"

func TestParseHex(t *testing.T) {
	for _, c := range []struct {
		in   string
		want uint64
		ok   bool
	}{
		{"0", 0, true}, {"7fff", 0x7fff, true}, {"DeadBeef", 0xdeadbeef, true}, {"00000001", 1, true},
		{"ffffffffffffffff", 1<<64 - 1, true},
		{"", 0, false}, {"0x1", 0, false}, {"g", 0, false}, {" 1", 0, false}, {"-1", 0, false}, {"10000000000000000", 0, false},
		{"@", 0, false}, {"`", 0, false}, {"G", 0, false},
	} {
		if got, ok := parseHex([]byte(c.in)); got != c.want || ok != c.ok {
			t.Errorf("parseHex(%q) = %x, %v; want %x, %v", c.in, got, ok, c.want, c.ok)
		}
	}
}
