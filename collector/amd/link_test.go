package amd

import "testing"

func TestParseLinkSpeed(t *testing.T) {
	for _, c := range []struct {
		in     string
		tenths int64
		state  linkState
	}{
		{"2.5 GT/s PCIe", 25, linkValid}, {"5.0 GT/s PCIe", 50, linkValid}, {"8.0 GT/s PCIe", 80, linkValid},
		{"16.0 GT/s PCIe", 160, linkValid}, {"32.0 GT/s PCIe", 320, linkValid}, {"64.0 GT/s PCIe", 640, linkValid},
		{"8 GT/s", 80, linkValid}, // old kernels
		{"16.0", 160, linkValid}, {"16", 160, linkValid}, {"16.00 GT/s", 160, linkValid}, {"16. GT/s", 160, linkValid},

		{"Unknown", 0, linkAbsent}, {"Unknown speed", 0, linkAbsent}, {"0", 0, linkAbsent}, {"0.0 GT/s", 0, linkAbsent}, {"255", 0, linkAbsent},

		{"0.5 GT/s", 0, linkImpossible}, {"2.0 GT/s", 0, linkImpossible}, {"2.55 GT/s", 0, linkImpossible},
		{"12 GT/s", 0, linkImpossible}, {"128.0 GT/s", 0, linkImpossible}, {"25.5 GT/s", 0, linkImpossible},
		{"99999999999999999999 GT/s", 0, linkImpossible}, {"922337203685477581 GT/s", 0, linkImpossible},

		{"", 0, linkMalformed}, {"GT/s", 0, linkMalformed}, {".5 GT/s", 0, linkMalformed}, {"fast", 0, linkMalformed},
		{"-8.0 GT/s", 0, linkMalformed},
	} {
		if got, state := parseLinkSpeed([]byte(c.in)); got != c.tenths || state != c.state {
			t.Errorf("parseLinkSpeed(%q) = %d, %d; want %d, %d", c.in, got, state, c.tenths, c.state)
		}
	}
}

func TestParseLinkWidth(t *testing.T) {
	for _, c := range []struct {
		in    string
		lanes int64
		state linkState
	}{
		{"1", 1, linkValid}, {"2", 2, linkValid}, {"4", 4, linkValid}, {"8", 8, linkValid}, {"12", 12, linkValid},
		{"16", 16, linkValid}, {"32", 32, linkValid},
		{"Unknown", 0, linkAbsent}, {"0", 0, linkAbsent}, {"255", 0, linkAbsent},
		{"3", 0, linkImpossible}, {"64", 0, linkImpossible}, {"-1", 0, linkImpossible}, {"254", 0, linkImpossible},
		{"99999999999999999999", 0, linkImpossible},
		{"", 0, linkMalformed}, {"x16", 0, linkMalformed}, {"16 lanes", 0, linkMalformed},
	} {
		if got, state := parseLinkWidth([]byte(c.in)); got != c.lanes || state != c.state {
			t.Errorf("parseLinkWidth(%q) = %d, %d; want %d, %d", c.in, got, state, c.lanes, c.state)
		}
	}
}
