package compat

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"gpu_exporter/collector"
)

// slowestPace is the longest time between two frames (legacy-api.md 8), and on demand the time between two readings.
const slowestPace = 3 * time.Second

// Source is where a Hub has its readings from: a collector.Poller.
type Source interface {
	Latest() *collector.Snapshot
	Fresh(ctx context.Context) *collector.Snapshot
	Subscribe(ctx context.Context) <-chan *collector.Snapshot
}

// HubOptions say what a Hub sends to whom. Source, Stats and GPUs must be there.
type HubOptions struct {
	Source     Source
	Interval   time.Duration // of polling; 0: a reading is asked for every 3 s while a client is there
	MaxClients int           // of both paths together; 0: nobody is served
	Origin     string        // the only one whose pages are served, beside those of this server; empty or *: any

	// Stats appends the body of GET /gpu/stats?gpu=, and nothing where that answers 503: then no frame is sent.
	Stats func(dst []byte, s *collector.Snapshot, gpu *collector.Status, now time.Time) []byte
	// GPUs appends the body of GET /gpus; s is nil before the first cycle has ended.
	GPUs func(dst []byte, s *collector.Snapshot, now time.Time) []byte

	Dropped func(Drop)   // nil: not told. Called by many goroutines
	Log     *slog.Logger // nil: none
}

// Drop is a value of the label reason of gpu_exporter_websocket_dropped_total.
type Drop string

// Why a client was dropped or not taken.
const (
	DropSlow  Drop = "slow"  // it did not take a frame, or not answer a ping, in time
	DropError Drop = "error" // the connection broke, or it broke the protocol
	DropLimit Drop = "limit" // there were too many already
)

// Drops lists every Drop.
var Drops = [...]Drop{DropSlow, DropError, DropLimit}

// Hub sends frames to WebSocket clients. Each frame is made, and compressed, once for all clients of its stream.
type Hub struct {
	o        HubOptions
	upgrader websocket.Upgrader
	pace     time.Duration // between frames
	patience time.Duration // how long a frame waits for a new reading

	arrived chan struct{}   // of depth one: there are newcomers
	ending  context.Context // done when Shutdown begins
	end     context.CancelFunc
	running sync.WaitGroup // the loop, and two goroutines a client

	mu        sync.Mutex // guards all below; nothing blocks while it is held
	taken     int        // connections: clients, handshakes, and who is being closed
	clients   map[*client]struct{}
	newcomers []*client // have not had a frame yet
}

// NewHub returns a Hub, which works until Shutdown.
func NewHub(o HubOptions) *Hub {
	if o.Dropped == nil {
		o.Dropped = func(Drop) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hub{
		o:       o,
		arrived: make(chan struct{}, 1),
		clients: map[*client]struct{}{},
		pace:    slowestPace,
	}
	h.upgrader = websocket.Upgrader{
		HandshakeTimeout: handshakeWait,
		// Frames are sent as they were prepared, and what clients say is short.
		ReadBufferSize:    256,
		WriteBufferSize:   256,
		WriteBufferPool:   &sync.Pool{},
		EnableCompression: true,
		CheckOrigin:       h.serves,
		Error: func(w http.ResponseWriter, _ *http.Request, code int, _ error) {
			w.Header().Set("Sec-WebSocket-Version", "13")
			if code == http.StatusMethodNotAllowed { // a HEAD that wants an upgrade
				w.Header().Set("Allow", strings.Join(readOnly, ", "))
			}
			detail(w, code, "")
		},
	}
	h.ending, h.end = context.WithCancel(context.Background())
	var readings <-chan *collector.Snapshot
	if o.Interval > 0 && o.Interval <= slowestPace {
		h.pace = o.Interval
		readings = o.Source.Subscribe(h.ending)
	}
	h.patience = h.pace
	if readings != nil {
		h.patience += h.pace / 4
	}
	h.running.Add(1)
	go h.run(readings)
	return h
}

// Clients is the number of clients that are served.
func (h *Hub) Clients() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clients)
}

// Shutdown tells all clients to come back later (1012) and waits until they have left. Who has not after a second, or
// when ctx is done, is cut off. Nobody is taken any more.
func (h *Hub) Shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	h.mu.Lock() // a client is either there now, or sees the end
	h.end()
	h.mu.Unlock()
	left := make(chan struct{})
	go func() {
		h.running.Wait()
		close(left)
	}()
	select {
	case <-left:
		return
	case <-ctx.Done():
	}
	h.mu.Lock()
	for c := range h.clients {
		c.conn.Close()
	}
	h.mu.Unlock()
	<-left
}

// run sends a round of frames when a new reading is there, or when none has come for too long, and welcomes newcomers.
// Without clients it does nothing.
func (h *Hub) run(readings <-chan *collector.Snapshot) {
	defer h.running.Done()
	var (
		b         batch
		last, due time.Time // of a round
		wake      = time.NewTimer(0)
	)
	defer wake.Stop()
	for {
		select {
		case <-h.ending.Done():
			return
		case _, open := <-readings:
			if !open {
				readings = nil
			}
			// A reading out of turn, as when a GPU is lost, must not double the pace.
			if turn := last.Add(h.pace / 2); turn.Before(due) {
				due = turn
			}
		case <-h.arrived:
		case <-wake.C:
		}
		if h.Clients() == 0 {
			continue
		}
		if !time.Now().Before(due) {
			b = h.newBatch(h.reading())
			h.round(b)
			last = b.at
			due = last.Add(h.patience)
		} else {
			if s := h.o.Source.Latest(); s != b.s || time.Since(b.at) >= h.pace {
				b = h.newBatch(s)
			}
			h.welcome(b)
		}
		wake.Reset(time.Until(due))
	}
}

// reading is what a round is about.
func (h *Hub) reading() *collector.Snapshot {
	if h.o.Interval > 0 {
		return h.o.Source.Latest()
	}
	ctx, cancel := context.WithTimeout(h.ending, slowestPace)
	defer cancel()
	return h.o.Source.Fresh(ctx)
}

func (h *Hub) round(b batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		c.offer(b.frame(c.stream))
	}
	h.newcomers = nil
}

func (h *Hub) welcome(b batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.newcomers {
		c.offer(b.frame(c.stream)) // one that has left already does no harm
	}
	h.newcomers = nil
}

// stream is what a client wants to have.
type stream struct {
	all bool   // /ws/gpus
	gpu string // else the identity of a GPU; empty: the default GPU, whichever that is at the time
}

// batch is the frames that were made of one snapshot at one time, each when it is first asked for.
type batch struct {
	o    *HubOptions
	s    *collector.Snapshot
	at   time.Time
	made map[stream]*websocket.PreparedMessage
}

func (h *Hub) newBatch(s *collector.Snapshot) batch {
	return batch{o: &h.o, s: s, at: time.Now(), made: map[stream]*websocket.PreparedMessage{}}
}

// frame is nil where there is nothing to tell.
func (b batch) frame(of stream) *websocket.PreparedMessage {
	if m, ok := b.made[of]; ok {
		return m
	}
	var m *websocket.PreparedMessage
	switch {
	case of.all:
		m = prepare(b.o.GPUs([]byte(`{"type":"gpus","data":`), b.s, b.at))
	case b.s != nil:
		m = b.stats(of)
	}
	b.made[of] = m
	return m
}

func (b batch) stats(of stream) *websocket.PreparedMessage {
	gpu, err := b.s.Find(of.gpu)
	if err != nil {
		return nil // it was forgotten, or there is none yet
	}
	if gpu.GPU != of.gpu { // the default GPU: who named it has the same frame
		return b.frame(stream{gpu: gpu.GPU})
	}
	const head = `{"type":"gpu_stats","data":`
	text := b.o.Stats([]byte(head), b.s, gpu, b.at)
	if len(text) == len(head) {
		return nil
	}
	return prepare(text)
}

// prepare ends the JSON of a frame.
func prepare(text []byte) *websocket.PreparedMessage {
	m, err := websocket.NewPreparedMessage(websocket.TextMessage, append(text, '}'))
	if err != nil {
		return nil // cannot be: it writes to memory
	}
	return m
}
