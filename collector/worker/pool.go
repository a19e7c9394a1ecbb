package worker

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// PoolOptions of a Pool. Times that are 0 have the value of nvidia.md 1.4.
type PoolOptions struct {
	Options // of the Supervisor; its Hello is made of this one
	Hello   Hello
	Paths   []string                 // of the library, for Library.Load
	Group   func(group uint8) string // the name of a group, for logs
	// OpenWait is how long the library may take to load, and each GPU to open; 0: 30 s.
	OpenWait time.Duration
	// Retries are how long a GPU that hung is left out, each time, the last one ever after; nil: 1, 2, 4, 8, 10 minutes.
	Retries []time.Duration
}

// Pool is a child with the GPUs that it has open, which it reads side by side. A GPU is named by an id of the caller's,
// which Library.Open understands. One that hangs is left out, so that it costs the others no more than the cycles in which
// it is found out, and tried again later, alone in a child of its own.
type Pool struct {
	o     PoolOptions
	life  context.Context
	close context.CancelFunc
	tries sync.WaitGroup // goroutines

	child  atomic.Uint64          // see Child
	leave  atomic.Pointer[Reason] // why the child is to end as soon as the lane is free; nil: it is not
	lane   chan struct{}          // is held by who talks to the child, and guards what follows
	s      *Supervisor
	last   time.Time // whoever has the lane asks nothing later: see take; zero: whenever it likes
	found  []byte    // nil: there is no child, or it has not loaded its library
	failed error     // why the last one was not started
	slots  []*slot   // by their number
	cycle  uint32
	inTurn bool // GPUs are read one after another: several did not answer, and one of them is why
	alone  bool // none is read while one is opened: that held up the library
	trying bool // one that hung is tried
}

// slot is a GPU.
type slot struct {
	id     string
	state  slotState
	began  time.Time     // when it began to be opened; zero: it has not yet
	opened []byte        // what was said when it was
	groups uint16        // what it was read for last
	budget time.Duration // and how long that might take; 0: for ever

	// Of one that hangs.
	times int       // in a row
	until time.Time // it is left out
}

type slotState uint8

const (
	closed slotState = iota
	opening
	open
	refused
	hung
)

// What Read says of a GPU that was not read.
var (
	ErrHung    = errors.New("it hangs in its driver, and is left alone for a while")
	ErrOpening = errors.New("it is being opened")
	ErrRefused = errors.New("it cannot be opened")
)

// NewPool returns a Pool. The child is started by the first call.
func NewPool(o PoolOptions) *Pool {
	if o.OpenWait <= 0 {
		o.OpenWait = 30 * time.Second
	}
	if o.Retries == nil {
		for _, minutes := range []time.Duration{1, 2, 4, 8, 10} {
			o.Retries = append(o.Retries, minutes*time.Minute)
		}
	}
	if o.Group == nil {
		o.Group = func(group uint8) string { return fmt.Sprint(group) }
	}
	o.Options.Hello = o.Hello.is
	p := &Pool{o: o, s: New(o.Options), lane: make(chan struct{}, 1)}
	p.o.Options = p.s.o // what was 0 has its value
	p.life, p.close = context.WithCancel(context.Background())
	return p
}

// Look starts the child if none runs, has it open those of ids that are not open, and waits until that is done. It
// returns in time before ctx ends: what takes longer goes on and is in a later answer. found is what Library.Load returned,
// nil while it has not; opened are the answers of Library.Open of those that were asked for, open or refused.
func (p *Pool) Look(ctx context.Context, ids []string) (found []byte, opened map[string][]byte, err error) {
	ctx, cancel := early(ctx)
	defer cancel()
	switch err := p.take(ctx); {
	case errors.Is(err, ErrOpening):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	defer p.give()
	slots, err := p.find(ids)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range slots {
		if s.state == refused {
			s.state = closed // it may be different now
		}
	}
	if err := p.open(ctx, slots); err != nil && !errors.Is(err, ErrOpening) {
		return nil, nil, err
	}
	opened = map[string][]byte{}
	for _, s := range slots {
		if s.state == open || s.state == refused {
			opened[s.id] = s.opened
		}
	}
	return p.found, opened, nil
}

// Ask is what a GPU is read for.
type Ask struct {
	ID     string
	Groups uint16 // bit n: group n
}

// Read reads GPUs, after opening those that are not open. take is given what comes, whose content is good during the call
// only; an error of it is a fault of the child, which is then replaced. The errors stand in the order of asks: nil where
// all has come, and only then what take was given of that GPU counts; ErrHung, ErrOpening, ErrRefused;
// context.DeadlineExceeded where it did not answer in time, or why there is no child.
func (p *Pool) Read(ctx context.Context, asks []Ask, take func(ask int, group uint8, list bool, content []byte) error) []error {
	errs := make([]error, len(asks))
	fail := func(err error) []error {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	ctx, cancel := early(ctx)
	defer cancel()
	if err := p.take(ctx); err != nil {
		return fail(err)
	}
	defer p.give()
	ids := make([]string, len(asks))
	for i, a := range asks {
		ids[i] = a.ID
	}
	slots, err := p.find(ids)
	if err != nil {
		return fail(err)
	}
	if err := p.open(ctx, slots); err != nil {
		return fail(err)
	}
	busy := slices.ContainsFunc(p.slots, func(s *slot) bool { return s.state == opening })
	if p.alone = p.alone && busy; p.alone {
		return fail(ErrOpening)
	}
	left := time.Duration(0)
	if end, limited := ctx.Deadline(); limited {
		left = time.Until(end)
	}
	p.cycle++
	r := reading{p: p, take: take, waits: map[uint16]int{}, groups: map[uint16]uint8{}}
	var requests []Frame
	for i, s := range slots {
		switch s.state {
		case open:
			n := p.number(s)
			m := message{p.cycle, n, asks[i].Groups &^ groupsInTurn, nil}
			if p.inTurn {
				m.group |= groupsInTurn
			}
			requests = append(requests, Frame{frameRead, m.append(nil)})
			r.waits[n] = i
			s.groups, s.budget = asks[i].Groups, left
		case hung:
			if fewer := s.groups & asks[i].Groups; fewer != s.groups { // it may hang in what nobody wants of it any more
				s.groups, s.until = fewer, time.Now()
			}
			errs[i] = ErrHung
		case refused:
			errs[i] = fmt.Errorf("%w: %s", ErrRefused, s.opened)
		default:
			errs[i] = ErrOpening
		}
	}
	if len(requests) == 0 {
		return errs
	}
	err = p.exchange(ctx, requests, &r)
	for _, i := range r.waits {
		errs[i] = err
	}
	switch {
	case len(r.waits) == 0: // all have answered
		p.inTurn = false
	case p.found != nil: // nobody was asked
	case busy: // who is opened is to blame, if anybody is: those that are read did well before
		p.alone = errors.Is(err, context.DeadlineExceeded)
	case !r.began:
	case errors.Is(err, context.DeadlineExceeded):
		p.accuse(&r, slots, len(r.waits) == 1, left)
	case errors.Is(err, errEnded) && len(requests) > 1: // one that is alone makes nobody suffer: the back-off is enough
		p.accuse(&r, slots, false, 0)
	}
	return errs
}

// Child is a number of the child that was started last, which no other of this program has. After a Read it is that of the
// child that answered.
func (p *Pool) Child() uint64 { return p.child.Load() }

// End has the child end, for a reason that is no fault of its; the next call starts another. It does not wait: false says
// that the child is busy just now, and ends as soon as it is not.
func (p *Pool) End(reason Reason) bool {
	p.leave.Store(&reason)
	select {
	case p.lane <- struct{}{}:
		p.give()
		return true
	default: // who has the lane now sees it
		return false
	}
}

// Close ends the child and all calls.
func (p *Pool) Close() {
	p.close()
	p.s.Close()
	p.tries.Wait()
}

// early ends a tenth of its time before ctx: what has come is of use only to somebody who still waits for it.
func early(ctx context.Context) (context.Context, context.CancelFunc) {
	const share = 10
	if end, limited := ctx.Deadline(); limited {
		return context.WithDeadline(ctx, end.Add(-time.Until(end)/share))
	}
	return ctx, func() {}
}

// take takes the lane, with a child that has loaded its library. ErrOpening says that one will be there later: it is
// started in the background, which may take longer than whoever wants it can wait. In the last quarter of the time that
// there was nothing is asked: too little is left for anybody to be blamed.
func (p *Pool) take(ctx context.Context) error {
	late := ErrOpening
	last, limited := ctx.Deadline()
	if limited {
		last = last.Add(-time.Until(last) / 4)
	}
	for started := false; ; {
		select {
		case p.lane <- struct{}{}:
		case <-ctx.Done():
			return late
		case <-p.life.Done():
			return ErrClosed
		}
		switch {
		case p.life.Err() != nil:
			p.give()
			return ErrClosed
		case p.found != nil:
			p.last = last
			return nil
		case started:
			err := cmp.Or(p.failed, late)
			p.give()
			return err
		}
		started = true
		p.tries.Go(p.start) // which has the lane now
	}
}

// give gives the lane back, after the end of a child that is to end.
func (p *Pool) give() {
	for {
		if why := p.leave.Swap(nil); why != nil {
			p.s.End(*why)
			p.reset()
		}
		<-p.lane
		if p.leave.Load() == nil {
			return
		}
		select { // it was told just now
		case p.lane <- struct{}{}:
		default: // who has the lane now sees it
			return
		}
	}
}

// start starts a child and has it load its library. It gives the lane back.
func (p *Pool) start() {
	defer p.give()
	ctx, cancel := context.WithTimeout(p.life, p.o.HelloWait+p.o.OpenWait)
	defer cancel()
	paths := p.o.Paths
	if paths == nil {
		paths = []string{}
	}
	p.last = time.Time{}
	p.child.Store(children.Add(1))
	p.failed = p.exchange(ctx, []Frame{{frameLibrary, asJSON(paths)}, wait(p.o.OpenWait)}, &reading{p: p})
	if p.failed == nil && p.found == nil {
		p.s.End(Timeout)
		p.failed = fmt.Errorf("the library is not loaded after %v: %w", p.o.OpenWait, context.DeadlineExceeded)
	}
}

// children counts those of all pools.
var children atomic.Uint64

func wait(patience time.Duration) Frame {
	return Frame{frameWait, binary.LittleEndian.AppendUint32(nil, uint32(max(0, patience.Milliseconds())))}
}

// find are the slots of ids, new ones for those that have none.
func (p *Pool) find(ids []string) (list []*slot, err error) {
	for _, id := range ids {
		i := slices.IndexFunc(p.slots, func(s *slot) bool { return s.id == id })
		if i < 0 {
			if i = len(p.slots); i == maxSlots {
				return nil, fmt.Errorf("more than %d GPUs", maxSlots)
			}
			p.slots = append(p.slots, &slot{id: id})
		}
		list = append(list, p.slots[i])
	}
	p.retry(list)
	return list, nil
}

// open has those of slots opened that are closed, and waits for them half of the time that there is: what is open is read
// in the other.
func (p *Pool) open(ctx context.Context, slots []*slot) error {
	var requests []Frame
	var asked []*slot
	reads := false
	for _, s := range slots {
		if s.state == closed {
			s.state, s.began = opening, time.Time{}
			asked = append(asked, s)
			requests = append(requests, Frame{frameOpen, numbered(p.number(s), []byte(s.id))})
		}
		reads = reads || s.state == open
	}
	waits := slices.ContainsFunc(p.slots, func(s *slot) bool { return s.state == opening })
	if !waits {
		return nil
	}
	patience := p.o.OpenWait
	if end, limited := ctx.Deadline(); limited {
		patience = min(patience, time.Until(end)/2)
	}
	if reads && len(requests) == 0 {
		patience = 0 // it takes long, as is known by now: those that are open are not held up
	}
	if err := p.exchange(ctx, append(requests, wait(patience)), &reading{p: p}); err != nil {
		for _, s := range asked {
			if s.state == opening { // and nobody was asked
				s.state = closed
			}
		}
		return err
	}
	for _, s := range p.slots {
		if s.state == opening && !s.began.IsZero() && time.Since(s.began) > p.o.OpenWait {
			p.hangs(s, "opening it")
			p.s.End(Timeout)
			p.reset()
			return fmt.Errorf("%s is not open after %v: %w", s.id, p.o.OpenWait, context.DeadlineExceeded)
		}
	}
	return nil
}

// number is the number of a slot.
func (p *Pool) number(s *slot) uint16 { return uint16(slices.Index(p.slots, s)) }

// exchange talks to the child. When that fails there is no child any more and nothing is open, except where nobody was
// asked, for lack of time: then all is as it was.
func (p *Pool) exchange(ctx context.Context, requests []Frame, r *reading) error {
	if !p.last.IsZero() && time.Now().After(p.last) {
		return ErrOpening
	}
	err := p.s.Exchange(ctx, requests, r.frame)
	if err != nil && !p.s.Running() {
		if errors.Is(err, errEnded) {
			p.accuseOpened()
		}
		p.reset()
	}
	return err
}

// accuseOpened leaves out the GPU that was being opened when the child ended by itself. One that is alone makes nobody
// suffer: the back-off is enough.
func (p *Pool) accuseOpened() {
	share := 0
	var opened *slot
	for _, s := range p.slots {
		if s.state == open || s.state == opening {
			share++
		}
		if s.state == opening && !s.began.IsZero() {
			opened = s
		}
	}
	if opened != nil && share > 1 {
		p.hangs(opened, "opening it")
	}
}

// reset notes that there is no child.
func (p *Pool) reset() {
	p.found = nil
	for _, s := range p.slots {
		if s.state != hung {
			s.state, s.began, s.opened = closed, time.Time{}, nil
		}
	}
}

// accuse finds who hangs, or has the child end, among those that did not answer. Unless it is known, they are read one
// after another the next time: it may be one that holds up the others, since libraries have locks of their own.
func (p *Pool) accuse(r *reading, slots []*slot, known bool, budget time.Duration) {
	if !known && !p.inTurn {
		p.inTurn = true
		return
	}
	if !known && time.Since(r.at) < budget/2 { // they are many, and not slow because of one: side by side is better
		p.inTurn = false
		return
	}
	for n, i := range r.waits {
		if known || n == r.slot {
			p.hangs(slots[i], "group "+p.o.Group(r.groups[n]))
		}
	}
}

// hangs leaves a GPU out for a while.
func (p *Pool) hangs(s *slot, where string) {
	pause := p.o.Retries[min(s.times, len(p.o.Retries)-1)]
	level := slog.LevelWarn
	if s.times > 0 {
		level = slog.LevelDebug
	}
	s.state, s.times, s.until = hung, s.times+1, time.Now().Add(pause)
	p.o.Log.Log(context.Background(), level, "a GPU hangs in its driver, or ends its child", "child", p.o.Name, "gpu", s.id, "in", where, "left_alone_for", pause)
}

// retry tries one of those that hang, when its time has come.
func (p *Pool) retry(slots []*slot) {
	for _, s := range slots {
		if s.state != hung || p.trying || time.Now().Before(s.until) {
			continue
		}
		p.trying = true
		id, groups, budget := s.id, s.groups, s.budget
		p.tries.Go(func() {
			err := p.try(id, groups, budget)
			select {
			case p.lane <- struct{}{}:
				defer p.give()
			case <-p.life.Done():
				return
			}
			p.trying = false
			if err != nil && !errors.Is(err, ErrRefused) { // one that has gone does not hang either
				p.hangs(s, err.Error())
				return
			}
			s.state, s.times = closed, 0
			p.o.Log.Info("a GPU does not hang any more", "child", p.o.Name, "gpu", s.id)
		})
	}
}

// try reads a GPU in a child of its own, as it was read when it hung.
func (p *Pool) try(id string, groups uint16, budget time.Duration) error {
	ctx, cancel := context.WithTimeout(p.life, p.o.HelloWait+3*p.o.OpenWait)
	defer cancel()
	alone := p.o
	alone.Log = slog.New(slog.DiscardHandler)
	own := NewPool(alone)
	own.s.dying = p.s.dying
	defer own.Close()
	nothing := func(int, uint8, bool, []byte) error { return nil }
	if err := own.Read(ctx, []Ask{{id, 0}}, nothing)[0]; err != nil { // which opens it
		return err
	}
	if budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, budget)
		defer cancel()
	}
	return own.Read(ctx, []Ask{{id, groups}}, nothing)[0]
}

// reading is what is waited for in one exchange.
type reading struct {
	p     *Pool
	take  func(ask int, group uint8, list bool, content []byte) error
	waits map[uint16]int // the asks that are not answered, by slot; nil: a frameWaited is waited for
	// The last one that began.
	began  bool // there is one
	slot   uint16
	at     time.Time
	groups map[uint16]uint8 // by slot, the last one of each
}

// frame takes one frame of the child.
func (r *reading) frame(f Frame) (done bool, err error) {
	switch f.Type {
	case frameFound:
		r.p.found = slices.Clone(f.Content)
		return false, nil
	case frameOpened:
		return false, r.opened(f)
	case frameWaited:
		return r.waits == nil, nil
	case frameBegin, frameRows, frameList, frameDone:
	default:
		return false, fmt.Errorf("%w: of the unknown type %d", ErrFrame, f.Type)
	}
	m, err := parseMessage(f)
	if err != nil {
		return false, err
	}
	if f.Type == frameBegin && m.group == groupOpen {
		return false, r.opens(m.slot)
	}
	if m.cycle != r.p.cycle {
		return false, nil // of a past cycle
	}
	ask, waited := r.waits[m.slot]
	if !waited {
		return false, fmt.Errorf("%w: of slot %d, which is not read", ErrFrame, m.slot)
	}
	switch {
	case f.Type == frameDone:
		delete(r.waits, m.slot)
		return len(r.waits) == 0, nil
	case m.group > 0xff:
		return false, fmt.Errorf("%w: of group %d", ErrFrame, m.group)
	case f.Type == frameBegin:
		r.began, r.slot, r.at, r.groups[m.slot] = true, m.slot, time.Now(), uint8(m.group)
		return false, nil
	}
	return false, r.take(ask, uint8(m.group), f.Type == frameList, m.rest)
}

// opens notes when a slot begins to be opened.
func (r *reading) opens(slot uint16) error {
	if int(slot) >= len(r.p.slots) {
		return fmt.Errorf("%w: of the unknown slot %d", ErrFrame, slot)
	}
	r.p.slots[slot].began = time.Now()
	return nil
}

func (r *reading) opened(f Frame) error {
	n, rest, err := parseNumbered(f)
	if err != nil {
		return err
	}
	is, said, err := parseNumbered(Frame{f.Type, rest})
	if err != nil {
		return err
	}
	if int(n) >= len(r.p.slots) || r.p.slots[n].state != opening {
		return fmt.Errorf("%w: slot %d was not to be opened", ErrFrame, n)
	}
	s := r.p.slots[n]
	s.state, s.began, s.opened = refused, time.Time{}, slices.Clone(said)
	if is != 0 {
		s.state = open
	}
	return nil
}
