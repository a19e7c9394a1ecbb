package worker

import (
	"fmt"
	"os"
	"sync"
)

// Parent is the child's side: the pipes to the program that started it.
type Parent struct {
	requests chan Frame
	mu       sync.Mutex
	out      *os.File
	buf      []byte
}

// maxRequests is more than a main program sends before it waits for answers.
const maxRequests = 1024

// Exit statuses of a child whose main program is no good.
const (
	exitProtocol = 4
	exitFlood    = 5
)

// Attach takes the pipes of a child. When the main program closes its end, or dies, the whole process ends at once, even
// while a thread of it hangs in a library: nobody would ever end it otherwise.
func Attach() (*Parent, error) {
	in, out, err := inherited()
	if err != nil {
		return nil, err
	}
	p := &Parent{requests: make(chan Frame, maxRequests), out: out}
	go func() {
		for r := (frames{from: in}); ; {
			f, err := r.next()
			switch {
			case err == nil:
			case isFrameError(err):
				fmt.Fprintln(os.Stderr, "a request:", err)
				os.Exit(exitProtocol)
			default:
				os.Exit(0)
			}
			select {
			case p.requests <- Frame{f.Type, append([]byte(nil), f.Content...)}:
			default:
				os.Exit(exitFlood)
			}
		}
	}()
	return p, nil
}

// Requests are the frames from the main program, in their order. The channel is never closed: the process ends before.
func (p *Parent) Requests() <-chan Frame { return p.requests }

// Send sends one frame. It may be called from several goroutines.
func (p *Parent) Send(f Frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.buf, err = AppendFrame(p.buf[:0], f); err != nil {
		return err
	}
	_, err = p.out.Write(p.buf)
	return err
}
