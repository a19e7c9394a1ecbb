package collector

import (
	"context"
	"sync"
)

// subscribers hands each new snapshot on. It has a lock, which the rest of the Poller has not, since one may subscribe
// before Run and leave at any time.
type subscribers struct {
	mu    sync.Mutex // guards all below; nothing blocks while it is held
	leave map[chan *Snapshot]func() bool
	ended bool
}

// add makes a subscription; it ends with ctx.
func (s *subscribers) add(ctx context.Context) <-chan *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan *Snapshot, 1)
	if s.ended {
		close(c)
		return c
	}
	if s.leave == nil {
		s.leave = map[chan *Snapshot]func() bool{}
	}
	s.leave[c] = context.AfterFunc(ctx, func() { s.remove(c) })
	return c
}

func (s *subscribers) remove(c chan *Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.leave[c]; ok {
		delete(s.leave, c)
		close(c)
	}
}

// send gives x to all. An older snapshot that was not fetched yet is dropped for it; then there is room, since nobody
// else sends.
func (s *subscribers) send(x *Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.leave {
		select {
		case <-c:
		default:
		}
		c <- x
	}
}

// end closes all subscriptions, and those to come.
func (s *subscribers) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for c, stop := range s.leave {
		stop()
		close(c)
	}
	s.leave = nil
}
