package collector

import "testing"

func TestFind(t *testing.T) {
	s := &Snapshot{Default: 1, Devices: []Status{
		{Info: Info{GPU: "0000:03:00.0", UUID: "0xabcd"}, Index: 0},
		{Info: Info{GPU: "0000:0A:00.0"}, Index: 2},
		{Info: Info{GPU: "sim:0", UUID: "2"}, Index: 3},
		{Info: Info{GPU: "3", UUID: "0000:03:00.0"}, Index: 10},
	}}
	for _, c := range []struct {
		name  string
		index int // -1: none
	}{
		{"", 2},
		{"0000:03:00.0", 0}, // the identity goes before the uuid
		{"0000:0a:00.0", 2},
		{"0XABCD", 0},
		{"0", 0},
		{"2", 3},  // the uuid goes before the index
		{"3", 10}, // the identity goes before the index
		{"10", 10},
		{"sim:0", 3},
		{"1", -1},
		{"02", -1},
		{"-1", -1},
		{"0000:03:00", -1},
	} {
		d, err := s.Find(c.name)
		switch {
		case c.index < 0 && err == nil:
			t.Errorf("Find(%q) = %s, want none", c.name, d.GPU)
		case c.index >= 0 && (err != nil || d.Index != c.index):
			t.Errorf("Find(%q) = %v, %v; want index %d", c.name, d, err, c.index)
		}
	}
	if d, err := (&Snapshot{Default: -1}).Find(""); err == nil {
		t.Errorf("a default GPU %v where there is none", d)
	}
}

func TestStatesHaveWords(t *testing.T) {
	want := [...]string{"ok", "partial", "asleep", "hung", "gone"}
	for i, s := range States {
		if int(s) != i || s.String() != want[i] {
			t.Errorf("state %d at %d is %q, want %q", s, i, s, want[i])
		}
	}
}
