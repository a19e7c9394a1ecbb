package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Way is one way to start the child.
type Way struct {
	Name string // as a person would say it: memfd, installed
	Path string
	Args []string
}

// Options of a Supervisor. Times that are 0 have the value of nvidia.md 1.4.
type Options struct {
	Name string   // of the child, in logs
	Ways []Way    // tried in this order until one starts and says hello
	Env  []string // all of it: no secret of the exporter is passed on
	// Hello checks the first frame of a child. Where it fails the child is of another build, and the next way is tried.
	Hello func(Frame) error

	HelloWait time.Duration // for the first frame; 0: 5 s
	Backoff   time.Duration // before the second restart in a row, then twice that and so on; 0: 1 s
	MaxBack   time.Duration // the longest of them; 0: 60 s
	Grace     time.Duration // for a child that was told to end; 0: 1 s
	KillWait  time.Duration // for one that was killed, until it counts as stuck; 0: 2 s

	Log       *slog.Logger // nil: none
	Restarted func(Reason) // is told of each child that is replaced; nil: nobody is. It must not block
}

// lastWords is how long the end of the output of a child that crashed is waited for.
const lastWords = 100 * time.Millisecond

// goodCycles is how many exchanges in a row make a child a well one, whose next crash is the first again.
const goodCycles = 10

// What an exchange that did not even begin fails with, beside ErrStuck.
var (
	ErrBackOff = errors.New("the child failed, and is not started again yet")
	ErrNoWay   = errors.New("the child cannot be started")
	ErrClosed  = errors.New("closed")
)

// Supervisor keeps one child. Its methods may be called at any time; exchanges take their turn.
type Supervisor struct {
	o     Options
	life  context.Context
	close context.CancelFunc
	dying *dying

	mu       sync.Mutex // is held during an exchange
	child    *child     // nil: none runs
	way      int        // of o.Ways, to be tried first
	failures int        // in a row
	good     int        // exchanges since the last failure
	next     time.Time  // no start before
	failing  bool       // was logged
}

// child is a process with its pipes.
type child struct {
	*process
	requests io.WriteCloser
	answers  io.ReadCloser
	frames   frames
	log      *tail
	buf      []byte // of what is written
	cut      func() // kills it and unblocks whoever reads or writes; more than once does no harm
}

// New returns a Supervisor. The child is started by the first exchange.
func New(o Options) *Supervisor {
	for _, d := range []struct {
		set       *time.Duration
		otherwise time.Duration
	}{
		{&o.HelloWait, 5 * time.Second}, {&o.Backoff, time.Second}, {&o.MaxBack, time.Minute}, {&o.Grace, time.Second}, {&o.KillWait, killWait},
	} {
		if *d.set <= 0 {
			*d.set = d.otherwise
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Restarted == nil {
		o.Restarted = func(Reason) {}
	}
	s := &Supervisor{o: o, dying: &dying{}}
	s.life, s.close = context.WithCancel(context.Background())
	return s
}

// Exchange sends requests to the child, which it starts if there is none, and hands each frame that comes to receive
// until that says done. The content of a frame is good during the call only. When ctx ends, when the child ends or sends
// no frame, or when receive has an error, the child is killed and the exchange fails; what receive was given is true
// nevertheless. It never blocks longer than ctx says.
func (s *Supervisor) Exchange(ctx context.Context, requests []Frame, receive func(Frame) (done bool, err error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.child == nil {
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	c := s.child
	reason, err := s.talk(ctx, c, requests, receive)
	if err != nil {
		s.failed(ctx, c, reason, err)
		return err
	}
	s.succeeded()
	return nil
}

// talk is an exchange with a child that runs.
func (s *Supervisor) talk(ctx context.Context, c *child, requests []Frame, receive func(Frame) (bool, error)) (reason Reason, err error) {
	stop := context.AfterFunc(ctx, c.cut)
	defer func() {
		if !stop() && err == nil { // all has come, but the child is killed
			reason, err = s.cause(ctx, nil)
		}
	}()
	defer context.AfterFunc(s.life, c.cut)()
	c.buf = c.buf[:0]
	for _, f := range requests {
		if c.buf, err = AppendFrame(c.buf, f); err != nil {
			return Protocol, err
		}
	}
	if len(c.buf) > 0 {
		if _, err := c.requests.Write(c.buf); err != nil {
			return s.cause(ctx, err)
		}
	}
	for done := false; !done; {
		f, err := c.frames.next()
		if err != nil {
			return s.cause(ctx, err)
		}
		if done, err = receive(f); err != nil {
			return Protocol, err
		}
	}
	return "", nil
}

// cause says why the pipe of a child failed.
func (s *Supervisor) cause(ctx context.Context, err error) (Reason, error) {
	switch {
	case s.life.Err() != nil:
		return "", ErrClosed
	case ctx.Err() != nil:
		return Timeout, ctx.Err()
	case errors.Is(err, ErrFrame) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return Protocol, err
	}
	return Crash, fmt.Errorf("%w: %w", errEnded, err)
}

// start starts a child, by the first way that works.
func (s *Supervisor) start(ctx context.Context) error {
	if s.dying.full() {
		return ErrStuck
	}
	if time.Now().Before(s.next) {
		return ErrBackOff
	}
	var failed []error
	for range s.o.Ways {
		way := s.o.Ways[s.way]
		c, err := launch(way, s.o.Env)
		if err == nil {
			if err = s.greet(ctx, c); err == nil {
				s.child = c
				return nil
			}
			if ctx.Err() != nil || s.life.Err() != nil || !errors.Is(err, errHello) {
				return err // this way works, but not now
			}
		}
		failed = append(failed, fmt.Errorf("%s: %w", way.Name, err))
		s.way = (s.way + 1) % len(s.o.Ways)
	}
	err := fmt.Errorf("%w: %w", ErrNoWay, errors.Join(failed...))
	s.delay()
	s.complain("", err, "")
	return err
}

var (
	errHello = errors.New("it is of another build")
	errEnded = errors.New("the child ended")
)

// greet takes the first frame.
func (s *Supervisor) greet(ctx context.Context, c *child) error {
	if s.o.Hello == nil {
		return nil
	}
	hello, cancel := context.WithTimeout(ctx, s.o.HelloWait)
	defer cancel()
	reason, err := s.talk(hello, c, nil, func(f Frame) (bool, error) {
		if err := s.o.Hello(f); err != nil {
			return false, fmt.Errorf("%w: %w", errHello, err)
		}
		return true, nil
	})
	if err != nil {
		s.failed(ctx, c, reason, err)
	}
	return err
}

// failed takes leave of a child that cannot be used any more.
func (s *Supervisor) failed(ctx context.Context, c *child, reason Reason, err error) {
	s.leave(c, 0)
	if errors.Is(ctx.Err(), context.Canceled) || s.life.Err() != nil {
		return // nobody wants the answer any more: that is no fault of the child
	}
	s.delay()
	s.o.Restarted(reason)
	if reason == Crash && endsWithin(c.process, lastWords) { // else its last words are still on their way
		err = fmt.Errorf("%w: %v", err, c.cmd.ProcessState)
	}
	s.complain(reason, err, c.log.String())
}

// leave has a child end: by itself within grace, then by force.
func (s *Supervisor) leave(c *child, grace time.Duration) {
	s.child = nil
	if grace <= 0 {
		c.cut()
	} else {
		_ = c.requests.Close() // it ends when it sees this
		_ = c.answers.Close()
	}
	s.dying.bury(c.process, grace, s.o.KillWait, func() { s.o.Restarted(Stuck) })
}

// delay puts off the next start: 0, then o.Backoff, twice that and so on.
func (s *Supervisor) delay() {
	wait := time.Duration(0)
	for i := range s.failures {
		if wait = s.o.Backoff << i; wait >= s.o.MaxBack {
			wait = s.o.MaxBack
			break
		}
	}
	s.failures++
	s.good = 0
	s.next = time.Now().Add(wait)
}

// complain logs a change of state, not each attempt.
func (s *Supervisor) complain(reason Reason, err error, said string) {
	level := slog.LevelWarn
	if s.failing {
		level = slog.LevelDebug
	}
	s.failing = true
	s.o.Log.Log(context.Background(), level, "a child process fails", "child", s.o.Name, "reason", string(reason), "err", err,
		"said", strings.TrimSpace(said))
}

func (s *Supervisor) succeeded() {
	if s.good++; s.good < goodCycles {
		return
	}
	s.failures = 0
	if s.failing {
		s.failing = false
		s.o.Log.Info("a child process works again", "child", s.o.Name)
	}
}

// End has the child end, if one runs, for a reason that is no fault of its. The next exchange starts another at once.
func (s *Supervisor) End(reason Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child != nil {
		s.leave(s.child, s.o.Grace)
		s.o.Restarted(reason)
	}
}

// Running says whether there is a child. It waits for an exchange that runs.
func (s *Supervisor) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child != nil
}

// Close ends the child and all exchanges. It waits for neither a stuck child nor, longer than a moment, for any other.
func (s *Supervisor) Close() {
	s.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.child; c != nil {
		s.leave(c, s.o.Grace)
		endsWithin(c.process, s.o.Grace)
	}
}

// launch starts a child with its pipes.
func launch(way Way, env []string) (c *child, err error) {
	var files [4]*os.File
	defer func() {
		for i, f := range files {
			if f != nil && (err != nil || i%2 == 0) { // the ends of the child are its own
				f.Close()
			}
		}
	}()
	if files[0], files[1], err = os.Pipe(); err != nil { // read by the child, written by us
		return nil, err
	}
	if files[3], files[2], err = os.Pipe(); err != nil { // read by us, written by the child
		return nil, err
	}
	c = &child{requests: files[1], answers: files[3], frames: frames{from: files[3]}, log: &tail{}}
	cmd := exec.Command(way.Path, way.Args...)
	cmd.Env = env
	wire(cmd, files[0], files[2], c.log)
	if c.process, err = start(cmd); err != nil {
		return nil, err
	}
	c.cut = sync.OnceFunc(func() {
		c.kill()
		_ = c.requests.Close() // a killed child that does not die holds its ends open
		_ = c.answers.Close()
	})
	return c, nil
}
