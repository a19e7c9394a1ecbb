package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxFrame is the largest frame, its type and content together.
const MaxFrame = 4 << 20

// Frame is one message over the pipe: 32 bits of length of what follows, 8 bits of type, the content; little-endian.
type Frame struct {
	Type    byte
	Content []byte
}

// ErrFrame says that what came over a pipe is no frame.
var ErrFrame = errors.New("not a frame")

// AppendFrame adds a frame to what is to be written.
func AppendFrame(to []byte, f Frame) ([]byte, error) {
	if len(f.Content)+1 > MaxFrame {
		return to, fmt.Errorf("%w: %d bytes, at most %d may be sent", ErrFrame, len(f.Content)+1, MaxFrame)
	}
	to = binary.LittleEndian.AppendUint32(to, uint32(len(f.Content)+1))
	return append(append(to, f.Type), f.Content...), nil
}

// frames reads frames.
type frames struct {
	from io.Reader
	head [5]byte
	buf  []byte
}

// next is the next frame; its content is good until the frame after it is read, so that a steady cycle allocates nothing.
// io.EOF says that there are no more.
func (r *frames) next() (Frame, error) {
	if _, err := io.ReadFull(r.from, r.head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return Frame{}, fmt.Errorf("%w: cut off: %w", ErrFrame, err)
		}
		return Frame{}, err
	}
	n := binary.LittleEndian.Uint32(r.head[:])
	if n == 0 || n > MaxFrame {
		return Frame{}, fmt.Errorf("%w: a length of %d bytes", ErrFrame, n)
	}
	// What comes is what makes the buffer grow, not the length that is said.
	r.buf = r.buf[:0]
	for left := int(n) - 1; left > 0; {
		part := min(left, 64<<10)
		have := len(r.buf)
		r.buf = grow(r.buf, part)
		if _, err := io.ReadFull(r.from, r.buf[have:]); err != nil {
			return Frame{}, fmt.Errorf("%w: cut off: %w", ErrFrame, err)
		}
		left -= part
	}
	return Frame{r.head[4], r.buf}, nil
}

func grow(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		b = append(b, make([]byte, n)...)
		return b
	}
	return b[:len(b)+n]
}

// isFrameError says that an error is about what was sent, not about the pipe.
func isFrameError(err error) bool { return errors.Is(err, ErrFrame) }
