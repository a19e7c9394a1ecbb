package worker

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// Library is what a child calls. Load is called once, first; Open for one GPU after another; both by one thread.
type Library interface {
	// Load opens the library, by the first of paths that works; none: by the name that it has. What it returns is told to
	// the main program as JSON.
	Load(paths []string) (found any)
	// Open opens the GPU that id names. Where gpu is nil it cannot be opened, and opened says why. opened is told as JSON.
	Open(id string) (gpu GPU, opened any)
}

// GPU is one that is open in a child. It is read by a thread of its own; several GPUs are read side by side.
type GPU interface {
	// Read reads the groups of a bit mask, of which bits 0 to 14 are used, and tells what they say.
	Read(groups uint16, t *Teller)
}

// Teller tells the main program what one reading brings.
type Teller struct {
	server *server
	message
	buf []byte
}

// Begin says that a group is about to be read. It names who hangs.
func (t *Teller) Begin(group uint8) { t.tell(frameBegin, uint16(group), nil) }

// Rows tells what a group says. The content may be used again when Rows has returned.
func (t *Teller) Rows(group uint8, content []byte) { t.tell(frameRows, uint16(group), content) }

// List tells a list of a group, as JSON.
func (t *Teller) List(group uint8, list any) { t.tell(frameList, uint16(group), asJSON(list)) }

func (t *Teller) tell(kind byte, group uint16, content []byte) {
	t.group = group
	t.buf = append(t.append(t.buf[:0]), content...)
	t.server.send(Frame{kind, t.buf})
}

// asJSON is for what the children themselves tell, which are types that have a form in JSON.
func asJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// server is the life of a child.
type server struct {
	parent *Parent
	lib    Library
	gpus   map[uint16]*served
	turn   sync.Mutex // held by a reading that has to be alone

	jobs    chan func()   // for the thread that loads and opens
	mu      sync.Mutex    // guards what follows
	pending int           // jobs that are not done
	idle    chan struct{} // closed when pending is 0
}

// served is a GPU that was asked for.
type served struct {
	mu    sync.Mutex // guards gpu: it is opened by one goroutine and read by another
	gpu   GPU
	reads chan message
}

// Serve is what a child does from its start to its end, which comes with that of the main program. It returns only when
// nobody started it as a child.
func Serve(h Hello, lib Library) error {
	p, err := Attach()
	if err != nil {
		return err
	}
	s := &server{parent: p, lib: lib, gpus: map[uint16]*served{}, jobs: make(chan func(), maxRequests), idle: make(chan struct{})}
	close(s.idle)
	go func() {
		runtime.LockOSThread() // a library may keep something by thread
		for job := range s.jobs {
			job()
			s.ended()
		}
	}()
	s.send(Frame{frameHello, asJSON(h)})
	for f := range p.Requests() {
		if err := s.handle(f); err != nil {
			fmt.Fprintln(os.Stderr, "a request:", err)
			os.Exit(exitProtocol)
		}
	}
	return nil
}

// send sends a frame. When that fails there is nobody to serve any more.
func (s *server) send(f Frame) {
	if err := s.parent.Send(f); err != nil {
		fmt.Fprintln(os.Stderr, "an answer:", err)
		os.Exit(exitProtocol)
	}
}

func (s *server) handle(f Frame) error {
	switch f.Type {
	case frameLibrary:
		var paths []string
		if err := json.Unmarshal(f.Content, &paths); err != nil {
			return err
		}
		s.job(func() { s.send(Frame{frameFound, asJSON(s.lib.Load(paths))}) })
	case frameOpen:
		slot, id, err := parseNumbered(f)
		if err != nil {
			return err
		}
		g := s.gpus[slot]
		if g == nil {
			g = &served{reads: make(chan message, 1)}
			s.gpus[slot] = g
			go s.serve(g)
		}
		s.job(func() { s.open(g, slot, string(id)) })
	case frameRead:
		m, err := parseMessage(f)
		if err != nil {
			return err
		}
		g := s.gpus[m.slot]
		if g == nil {
			return fmt.Errorf("%w: to read slot %d, which was never opened", ErrFrame, m.slot)
		}
		select {
		case g.reads <- m:
		default:
			return fmt.Errorf("%w: slot %d is read already", ErrFrame, m.slot)
		}
	case frameWait:
		if len(f.Content) != 4 {
			return fmt.Errorf("%w: a wait of %d bytes", ErrFrame, len(f.Content))
		}
		go s.wait(time.Duration(binary.LittleEndian.Uint32(f.Content)) * time.Millisecond)
	default:
		return fmt.Errorf("%w: of the unknown type %d", ErrFrame, f.Type)
	}
	return nil
}

// job has the thread that loads and opens do something.
func (s *server) job(do func()) {
	s.mu.Lock()
	if s.pending++; s.pending == 1 {
		s.idle = make(chan struct{})
	}
	s.mu.Unlock()
	s.jobs <- do
}

func (s *server) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending--; s.pending == 0 {
		close(s.idle)
	}
}

// wait answers when no job is left, or at the end of patience.
func (s *server) wait(patience time.Duration) {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
	s.send(Frame{Type: frameWaited})
}

func (s *server) open(g *served, slot uint16, id string) {
	s.send(Frame{frameBegin, message{slot: slot, group: groupOpen}.append(nil)})
	gpu, said := s.lib.Open(id)
	g.mu.Lock()
	g.gpu = gpu
	g.mu.Unlock()
	open := uint16(0)
	if gpu != nil {
		open = 1
	}
	s.send(Frame{frameOpened, numbered(slot, numbered(open, asJSON(said)))})
}

// serve reads one GPU whenever it is asked to.
func (s *server) serve(g *served) {
	runtime.LockOSThread()
	t := Teller{server: s}
	for m := range g.reads {
		s.read(g, m, &t)
	}
}

func (s *server) read(g *served, m message, t *Teller) {
	if m.group&groupsInTurn != 0 {
		s.turn.Lock()
		defer s.turn.Unlock()
	}
	g.mu.Lock()
	gpu := g.gpu
	g.mu.Unlock()
	t.message = m
	if gpu != nil {
		gpu.Read(m.group&^groupsInTurn, t)
	}
	t.tell(frameDone, 0, nil)
}
