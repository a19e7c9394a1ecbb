package collector

import (
	"context"
	"time"
)

// instance is one GPU as one probe finds it under one loaded driver.
type instance struct {
	probe    int // position in the list of probes
	gpu, key string
}

// worker owns one Device and reads it in a goroutine of its own, since a read may block in the kernel for ever. Turns
// are taken by channel: the loop looks into reading only after an answer and before the next ask.
type worker struct {
	id      instance
	device  Device
	reading Reading
	asks    chan ask           // one read each; closed: end. Depth one: asking never blocks
	cancel  context.CancelFunc // ends a read that heeds its context
	done    chan struct{}      // closed when the Device is closed and the goroutine ends

	// What the loop notes of it. The goroutine does not look at these.
	gpu     *gpu      // that it works for; nil: told to end
	asked   time.Time // when it was asked last or told to end
	busy    bool      // asked and not back
	hung    bool      // busy for longer than the deadline
	suspect bool      // made beside a stuck one and has not answered yet
	rescan  bool      // the next read is the first one after a rescan
	rescans bool      // the present read is
	reload  bool      // likewise after a reload
	reloads bool
}

// ask is what a read is to know.
type ask struct{ rescan, reload bool }

// answer is what a worker says when a read has ended, or its Device is closed.
type answer struct {
	worker     *worker
	err        error
	begun, end time.Time
	closed     bool
}

// startWorker starts the goroutine. ctx is that of Run: when it is done, nobody waits for answers any more.
func startWorker(ctx context.Context, id instance, d Device, deadline time.Duration, answers chan<- answer) *worker {
	w := &worker{id: id, device: d, asks: make(chan ask, 1), done: make(chan struct{})}
	var life context.Context
	life, w.cancel = context.WithCancel(ctx)
	go w.run(life, ctx.Done(), deadline, answers)
	return w
}

func (w *worker) run(ctx context.Context, stopped <-chan struct{}, deadline time.Duration, answers chan<- answer) {
	defer close(w.done)
	tell := func(a answer) {
		select {
		case answers <- a:
		case <-stopped:
		}
	}
	for a := range w.asks {
		w.reading.Reset()
		w.reading.Rescan, w.reading.Reload = a.rescan, a.reload
		begun := time.Now()
		err := w.read(ctx, deadline)
		tell(answer{worker: w, err: err, begun: begun, end: time.Now()})
	}
	tell(answer{worker: w, err: w.device.Close(), closed: true})
}

// read gives the Device a context that ends at the deadline. A read that blocks in the kernel does not heed it; one
// that waits for a child or a socket can, and then stops in time to be asked again.
func (w *worker) read(ctx context.Context, deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	return w.device.Read(ctx, &w.reading)
}

// ask has the Device read. Only an idle worker may be asked.
func (w *worker) ask(now time.Time) {
	w.asked, w.busy = now, true
	w.rescans, w.rescan = w.rescan, false
	w.reloads, w.reload = w.reload, false
	w.asks <- ask{w.rescans, w.reloads}
}

// dismiss tells the worker to close its Device and end, at once or when its read comes back.
func (w *worker) dismiss(now time.Time) {
	if !w.busy {
		w.asked = now
	}
	w.gpu = nil
	w.cancel()
	close(w.asks)
}

// stuck says whether a dismissed worker counts as stuck: in a read, however young, or long in Close.
func (w *worker) stuck(now time.Time, deadline time.Duration) bool {
	return w.busy || now.Sub(w.asked) >= deadline
}
