package windows

import (
	"context"
	"sync"
	"time"
)

// lane lets one goroutine at a time into a DLL: who hangs there keeps the others out, and costs one thread for good.
type lane chan struct{}

func newLane() lane { return make(lane, 1) }

// source is a Shared source (architecture.md): it answers for all GPUs at once. It is asked in a goroutine of its own,
// never by two at a time; who asks waits for the answer no longer than its deadline. A source that is late is not waited
// for again until it has come back.
type source[Q, A any] struct {
	deadline time.Duration
	lane     lane
	ask      func(ctx context.Context, q Q) (A, error) // nil: the source is not there

	mu      sync.Mutex
	seq     uint64 // counts the answers
	answer  A      // the last one
	err     error
	at      time.Time     // when it came
	late    bool          // after its deadline
	running chan struct{} // closed when the present question is answered; nil: none is
	begun   time.Time
}

// had is what somebody has had of a source: the number of the last answer, and of the one that it waits for.
type had struct{ last, next uint64 }

// sameCycle is how far apart the GPUs of one cycle may ask: they share an answer.
const sameCycle = 100 * time.Millisecond

// begin asks q, unless a question runs or the last answer serves h, who has not had it: it came just now, for another GPU
// of the same cycle, or it was late, and the next one would be too.
func (s *source[Q, A]) begin(h *had, q Q) {
	if s.ask == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	age := time.Since(s.at)
	if s.seq > h.last && (age < sameCycle || s.late && age < s.deadline) {
		h.next = s.seq
		return
	}
	h.next = s.seq + 1
	if s.running != nil {
		return
	}
	done := make(chan struct{})
	s.running, s.begun = done, time.Now()
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), s.deadline)
		defer cancel()
		s.lane <- struct{}{}
		answer, err := s.ask(ctx, q)
		<-s.lane
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seq++
		s.answer, s.err, s.at, s.running = answer, err, time.Now(), nil
		s.late = s.at.Sub(s.begun) >= s.deadline
	}()
}

// wait waits for the answer that h began to wait for, up to the deadline of the question or the end of ctx. errLate: there
// is none.
func (s *source[Q, A]) wait(ctx context.Context, h *had) (answer A, err error) {
	if s.ask == nil {
		return answer, ErrUnsupported
	}
	s.mu.Lock()
	running, patience := s.running, s.deadline-time.Since(s.begun)
	there := s.seq >= h.next
	s.mu.Unlock()
	if !there && running != nil && patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-running:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seq < h.next {
		return answer, errLate
	}
	h.last = s.seq
	return s.answer, s.err
}

// later asks q for somebody who wants an answer of now, and returns what waits for it.
func (s *source[Q, A]) later(ctx context.Context, q Q) func() (A, error) {
	s.mu.Lock()
	h := had{last: s.seq}
	s.mu.Unlock()
	s.begin(&h, q)
	return func() (A, error) { return s.wait(ctx, &h) }
}

// answered says whether an answer has ever come.
func (s *source[Q, A]) answered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq > 0
}
