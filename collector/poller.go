package collector

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Options set the pace of a Poller.
type Options struct {
	Interval    time.Duration // between cycles; 0: after the first, a cycle only when Fresh asks for one
	Deadline    time.Duration // a device that has not answered by then is hung; 0: 2 s. A discovery has 2 s at least
	Rescan      time.Duration // between discoveries; 0: 30 s
	ForgetAfter time.Duration // how long a lost GPU is told of; 0: 1 h
	Log         *slog.Logger  // nil: none
	Observer    Observer      // nil: none
}

// Poller reads all GPUs and publishes what it read.
type Poller struct {
	o      Options
	probes []Probe

	latest      atomic.Pointer[Snapshot]
	first       chan struct{}      // closed when latest has its first snapshot
	ended       chan struct{}      // closed when Run ends
	rescan      chan struct{}      // of depth one: a discovery is wanted
	reload      chan struct{}      // likewise, and everything is to be opened anew
	pings       chan chan struct{} // Alive asks by a channel that is closed when the loop has its turn
	cycles      chan chan struct{} // Fresh asks for a cycle by a channel that is closed when it has published
	subscribers subscribers
}

// NewPoller returns a Poller that finds GPUs by the probes: where two find the same GPU, the first has it.
func NewPoller(o Options, probes ...Probe) *Poller {
	o.Interval = max(o.Interval, 0)
	if o.Deadline <= 0 {
		o.Deadline = 2 * time.Second
	}
	if o.Rescan <= 0 {
		o.Rescan = 30 * time.Second
	}
	if o.ForgetAfter <= 0 {
		o.ForgetAfter = time.Hour
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = noObserver{}
	}
	p := &Poller{
		o:      o,
		probes: probes,
		first:  make(chan struct{}),
		ended:  make(chan struct{}),
		rescan: make(chan struct{}, 1),
		reload: make(chan struct{}, 1),
		pings:  make(chan chan struct{}),
		cycles: make(chan chan struct{}),
	}
	for _, probe := range probes {
		if n, ok := probe.(Notifier); ok {
			n.Notify(p.Rescan)
		}
	}
	return p
}

// Run polls until ctx is done, once in the life of a Poller. All that it started has ended when it returns, but for
// reads and discoveries that are stuck: those close their devices when they come back.
func (p *Poller) Run(ctx context.Context) {
	defer close(p.ended)
	defer p.subscribers.end()
	l := newLoop(ctx, p)
	wake := time.NewTimer(0) // one timer for everything that has its time, see loop.next
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			l.shutDown()
			return
		case <-wake.C:
		case a := <-l.answers:
			l.answered(a)
		case li := <-l.lists:
			l.found(ctx, li, time.Now())
		case <-p.rescan:
			l.rescanWanted = true
		case <-p.reload:
			l.rescanWanted = true
			l.renewPlans()
		case ping := <-p.pings:
			close(ping)
		case waiter := <-p.cycles:
			l.waiters = append(l.waiters, waiter)
		}
		l.drain() // an answer that waits may be in time, however late this goroutine got its turn
		l.step(ctx, time.Now())
		wake.Reset(time.Until(l.next()))
	}
}

// Latest is the newest snapshot; nil before the first cycle has ended.
func (p *Poller) Latest() *Snapshot { return p.serve(p.latest.Load()) }

// Fresh is the snapshot to serve now: the latest one, for which only the first caller ever has to wait; where cycles
// are made on demand, that of the running cycle or of a new one. When ctx ends before, it is what there is: nil
// before the first cycle has ended.
func (p *Poller) Fresh(ctx context.Context) *Snapshot {
	if p.o.Interval > 0 {
		if p.latest.Load() == nil {
			p.wait(ctx, p.first)
		}
		return p.Latest()
	}
	published := make(chan struct{})
	select {
	case p.cycles <- published:
		p.wait(ctx, published)
	case <-ctx.Done():
	case <-p.ended:
	}
	return p.Latest()
}

func (p *Poller) wait(ctx context.Context, c <-chan struct{}) {
	select {
	case <-c:
	case <-ctx.Done():
	case <-p.ended:
	}
}

// Rescan asks for a discovery soon. It never blocks; what is asked for more than once before it begins is done once.
func (p *Poller) Rescan() {
	select {
	case p.rescan <- struct{}{}:
	default:
	}
}

// Reload has every GPU looked for, and every plan made anew: whatever was opened is opened again. It never blocks.
func (p *Poller) Reload() {
	select {
	case p.reload <- struct{}{}:
	default:
	}
}

// Alive says whether the loop of Run has a turn before ctx ends: a watchdog asks this.
func (p *Poller) Alive(ctx context.Context) bool {
	turn := make(chan struct{})
	select {
	case p.pings <- turn:
	case <-ctx.Done():
		return false
	case <-p.ended:
		return false
	}
	<-turn // closed at once by whoever took it
	return true
}

// Subscribe gives each new snapshot, the newest only where the receiver is slow. The channel is closed when ctx is done
// or Run has ended.
func (p *Poller) Subscribe(ctx context.Context) <-chan *Snapshot { return p.subscribers.add(ctx) }

// maxAge is how old a reading may be when it is served (metrics.md rule 9).
func (p *Poller) maxAge() time.Duration {
	if p.o.Interval == 0 {
		return 3 * time.Second
	}
	return 3 * p.o.Interval
}

// serve leaves out the samples that have become too old since s was published.
func (p *Poller) serve(s *Snapshot) *Snapshot {
	if s == nil {
		return nil
	}
	now, limit := time.Now(), p.maxAge()
	var served *Snapshot
	for i := range s.Devices {
		if !s.Devices[i].stale(now, limit) {
			continue
		}
		if served == nil {
			c := *s
			c.Devices = append([]Status(nil), s.Devices...)
			served = &c
		}
		served.Devices[i].Samples = nil
	}
	if served == nil {
		return s
	}
	return served
}

// stale compares by the monotonic clock, which both times have: a clock that is set makes nothing old or young.
func (d *Status) stale(now time.Time, limit time.Duration) bool {
	return d.Samples != nil && now.Sub(d.At) > limit
}

type noObserver struct{}

func (noObserver) Read(string, Result, time.Duration) {}
func (noObserver) Failed(string, FailureKind)         {}
func (noObserver) Rejected(string, QuantityID)        {}
func (noObserver) Restarted(string, RestartReason)    {}
func (noObserver) Rescanned(bool)                     {}
