package compat

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"gpu_exporter/collector"
)

// fakeSource is a Poller whose cycles are the test's.
type fakeSource struct {
	mu          sync.Mutex // guards all below
	latest      *collector.Snapshot
	subscribers []chan *collector.Snapshot
	asked       int                        // how often Fresh was
	fresh       func() *collector.Snapshot // nil: the latest
}

func (f *fakeSource) Latest() *collector.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest
}

func (f *fakeSource) Fresh(context.Context) *collector.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.fresh != nil {
		f.latest = f.fresh()
	}
	return f.latest
}

func (f *fakeSource) Subscribe(context.Context) <-chan *collector.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan *collector.Snapshot, 1)
	f.subscribers = append(f.subscribers, c)
	return c
}

func (f *fakeSource) publish(s *collector.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest = s
	for _, c := range f.subscribers {
		select {
		case <-c:
		default:
		}
		c <- s
	}
}

func (f *fakeSource) askedFor() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// Two GPUs of which the second is the default, read at that time.
func twoGPUs(at time.Time, states ...collector.State) *collector.Snapshot {
	s := snapshot(
		collector.Status{Info: collector.Info{GPU: "0000:0a:00.0", UUID: "GPU-aa"}, Up: true, At: at},
		collector.Status{Info: collector.Info{GPU: "0000:0b:00.0", UUID: "GPU-bb"}, Up: true, At: at},
	)
	s.Default = 1
	for i, state := range states {
		s.Devices[i].State = state
	}
	return s
}

// fakeStats stands for the body of /gpu/stats.
func fakeStats(dst []byte, _ *collector.Snapshot, gpu *collector.Status, now time.Time) []byte {
	at := gpu.At
	switch gpu.State {
	case collector.StateHung, collector.StateGone:
		return dst
	case collector.StateAsleep:
		at = now
	}
	dst = appendString(append(dst, `{"name":`...), gpu.GPU)
	return append(appendUnix(append(dst, `,"timestamp":`...), at), '}')
}

// statsFrame is the frame that fakeStats makes.
func statsFrame(gpu string, at time.Time) string {
	s := collector.Status{Info: collector.Info{GPU: gpu}, At: at}
	return string(append(fakeStats([]byte(`{"type":"gpu_stats","data":`), nil, &s, at), '}'))
}

// rig is a Hub behind a server: over loopback, or over pipes whose time is that of a bubble.
type rig struct {
	*Hub
	t      *testing.T
	source *fakeSource
	server *http.Server
	dialer websocket.Dialer
	host   string
	served chan struct{} // closed when the server has ended

	mu    sync.Mutex // guards drops
	drops []Drop
}

type setUp struct {
	interval time.Duration
	max      int // 0: 1000
	origin   string
	pipes    bool
	first    *collector.Snapshot
	gpus     func([]byte, *collector.Snapshot, time.Time) []byte // nil: AppendGPUs
}

func newRig(t *testing.T, s setUp) *rig {
	t.Helper()
	r := &rig{t: t, source: &fakeSource{latest: s.first}, served: make(chan struct{})}
	if s.max == 0 {
		s.max = 1000
	}
	if s.gpus == nil {
		s.gpus = func(dst []byte, s *collector.Snapshot, now time.Time) []byte { return AppendGPUs(dst, s, "1", now) }
	}
	r.Hub = NewHub(HubOptions{
		Source: r.source, Interval: s.interval, MaxClients: s.max, Origin: s.origin, Stats: fakeStats, GPUs: s.gpus,
		Dropped: func(why Drop) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.drops = append(r.drops, why)
		},
	})
	mux := http.NewServeMux()
	for _, route := range r.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	var listener net.Listener
	if s.pipes {
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		listener, r.host = p, "pipe"
		r.dialer.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return p.dial() }
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener, r.host = l, l.Addr().String()
	}
	go func() {
		defer close(r.served)
		_ = r.server.Serve(listener) // ErrServerClosed
	}()
	t.Cleanup(r.stop)
	return r
}

// stop ends all but the peers.
func (r *rig) stop() {
	r.Shutdown(context.Background())
	r.server.Close()
	<-r.served
}

func (r *rig) dropped() []Drop {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.drops)
}

// every publishes what is read, now and so often, until the test ends.
func (r *rig) every(d time.Duration, read func(time.Time) *collector.Snapshot) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	r.source.publish(read(time.Now()))
	go func() {
		defer close(ended)
		ticker := time.NewTicker(d)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				r.source.publish(read(time.Now()))
			case <-ctx.Done():
				return
			}
		}
	}()
	r.t.Cleanup(func() { cancel(); <-ended })
}

// heard is a message that came to a peer, or the error that ended its connection.
type heard struct {
	at   time.Time
	kind int
	text string
	err  error
}

// peer is a client that reads all the time.
type peer struct {
	t      *testing.T
	conn   *websocket.Conn
	answer *http.Response
	heard  chan heard
}

// dial shakes hands without reading.
func (r *rig) dial(path string, with ...func(*websocket.Dialer, http.Header)) *peer {
	r.t.Helper()
	d, head := r.dialer, http.Header{}
	for _, w := range with {
		w(&d, head)
	}
	conn, answer, err := d.Dial("ws://"+r.host+path, head)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return &peer{t: r.t, conn: conn, answer: answer}
}

func (r *rig) connect(path string, with ...func(*websocket.Dialer, http.Header)) *peer {
	r.t.Helper()
	if r.host == "pipe" {
		synctest.Wait() // a reading that was published before has been heard of: it is no new one to whoever comes now
	}
	p := r.dial(path, with...)
	p.heard = make(chan heard, 1000)
	go func() {
		for {
			kind, text, err := p.conn.ReadMessage()
			p.heard <- heard{time.Now(), kind, string(text), err}
			if err != nil {
				return
			}
		}
	}()
	return p
}

// refused asks for an upgrade that must not happen.
func (r *rig) refused(path string, with ...func(*websocket.Dialer, http.Header)) (code int, body string) {
	r.t.Helper()
	d, head := r.dialer, http.Header{}
	for _, w := range with {
		w(&d, head)
	}
	conn, answer, err := d.Dial("ws://"+r.host+path, head)
	if err == nil {
		conn.Close()
		r.t.Fatalf("%s was served", path)
	}
	if answer == nil {
		r.t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

// next waits for a message.
func (p *peer) next() heard {
	p.t.Helper()
	select {
	case h := <-p.heard:
		return h
	case <-time.After(time.Minute):
		p.t.Fatal("nothing came within a minute")
		panic("unreachable")
	}
}

// wants waits for that frame.
func (p *peer) wants(frame string) {
	p.t.Helper()
	if h := p.next(); h.kind != websocket.TextMessage || h.text != frame {
		p.t.Errorf("got %d %s %v, want %s", h.kind, h.text, h.err, frame)
	}
}

// end skips frames until the connection ends, and is the close code.
func (p *peer) end() int {
	p.t.Helper()
	for begun := time.Now(); time.Since(begun) < time.Minute; {
		if h := p.next(); h.err != nil {
			closed, ok := h.err.(*websocket.CloseError)
			if !ok {
				p.t.Errorf("it ended by %v", h.err)
				return 0
			}
			return closed.Code
		}
	}
	p.t.Fatal("it did not end within a minute")
	panic("unreachable")
}

// pipes is a listener without sockets.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) dial() (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
