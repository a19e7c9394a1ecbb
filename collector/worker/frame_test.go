package worker

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestFrames(t *testing.T) {
	long := bytes.Repeat([]byte("x"), MaxFrame-1)
	var wire []byte
	for _, f := range []Frame{{1, nil}, {2, []byte("content")}, {3, long}, {4, []byte("short")}} {
		var err error
		if wire, err = AppendFrame(wire, f); err != nil {
			t.Fatal(err)
		}
	}
	r := frames{from: bytes.NewReader(wire)}
	for _, want := range []Frame{{1, nil}, {2, []byte("content")}, {3, long}, {4, []byte("short")}} {
		if f, err := r.next(); err != nil || f.Type != want.Type || !bytes.Equal(f.Content, want.Content) {
			t.Errorf("%d, %d bytes, %v; want %d", f.Type, len(f.Content), err, want.Type)
		}
	}
	if _, err := r.next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if _, err := AppendFrame(nil, Frame{1, append(long, 'x')}); !errors.Is(err, ErrFrame) {
		t.Errorf("too long: %v", err)
	}
}

func FuzzFrames(f *testing.F) {
	for _, seed := range [][]byte{nil, {1, 0, 0, 0, 7}, {0, 0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff, 1}, {3, 0, 0, 0, 7, 1}, {3, 0, 0, 0, 7, 1, 2, 1, 0, 0, 0, 9}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		var again []byte
		r := frames{from: bytes.NewReader(wire)}
		for {
			frame, err := r.next()
			if err != nil {
				if err != io.EOF && !errors.Is(err, ErrFrame) {
					t.Fatal(err)
				}
				break
			}
			if again, err = AppendFrame(again, frame); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(wire, again) {
			t.Errorf("what was read is not what stands there")
		}
		if cap(r.buf) > 2*len(wire)+128<<10 {
			t.Errorf("%d bytes of memory for %d", cap(r.buf), len(wire))
		}
	})
}
