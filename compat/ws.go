package compat

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	handshakeWait = 5 * time.Second  // to take the answer to the handshake
	writeWait     = 5 * time.Second  // to take a frame
	pingEvery     = 20 * time.Second // legacy-api.md 8
	pongWait      = 20 * time.Second
	closeWait     = time.Second // to answer a close frame
	readLimit     = 4 << 10     // of a message, which nobody reads
	lingerBytes   = 16 << 20    // of what is still taken from a client that was told to go
)

// Routes are the routes of the Hub. What is asked of them without an upgrade is not found (legacy-api.md 8).
func (h *Hub) Routes() []Route {
	return []Route{
		{Pattern: "/ws/gpu-stats", Methods: readOnly, Handler: http.HandlerFunc(h.ServeStats), CORS: true},
		{Pattern: "/ws/gpus", Methods: readOnly, Handler: http.HandlerFunc(h.ServeGPUs), CORS: true},
	}
}

// ServeStats is /ws/gpu-stats.
func (h *Hub) ServeStats(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		detail(w, http.StatusNotFound, "")
		return
	}
	var name string
	if names := r.URL.Query()["gpu"]; len(names) > 0 {
		name = names[len(names)-1]
	}
	gpu, known := h.identity(r.Context(), name)
	if !known {
		detail(w, http.StatusNotFound, "GPU not found")
		return
	}
	h.take(w, r, stream{gpu: gpu})
}

// ServeGPUs is /ws/gpus.
func (h *Hub) ServeGPUs(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		detail(w, http.StatusNotFound, "")
		return
	}
	h.take(w, r, stream{all: true})
}

// identity fixes the GPU that a client names. The default one needs not be known yet.
func (h *Hub) identity(ctx context.Context, name string) (gpu string, known bool) {
	if name == "" {
		return "", true
	}
	s := h.o.Source.Latest()
	if s == nil { // a client that is quicker than the first cycle
		ctx, cancel := context.WithTimeout(ctx, slowestPace)
		defer cancel()
		s = h.o.Source.Fresh(ctx)
	}
	if s == nil {
		return "", false
	}
	d, err := s.Find(name)
	if err != nil {
		return "", false
	}
	return d.GPU, true
}

// serves says whether a handshake may come from its page: browsers let every page open a WebSocket anywhere, so that here
// the server must do what CORS does elsewhere. A program sends no origin.
func (h *Hub) serves(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if h.o.Origin == "" || h.o.Origin == "*" || origin == "" || origin == h.o.Origin {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// take makes a client of a request. It does not stay until the client has left: net/http would keep the buffers and
// the request so long.
func (h *Hub) take(w http.ResponseWriter, r *http.Request, what stream) {
	if h.ending.Err() != nil {
		detail(w, http.StatusServiceUnavailable, "")
		return
	}
	if !h.reserve() {
		h.o.Dropped(DropLimit)
		detail(w, http.StatusServiceUnavailable, "Too many WebSocket clients")
		return
	}
	conn, err := h.upgrader.Upgrade(w, r, nil)
	if err != nil { // it has answered
		h.release()
		return
	}
	conn.SetReadLimit(readLimit)
	alive := func(string) error { return conn.SetReadDeadline(time.Now().Add(pingEvery + pongWait)) }
	_ = alive("") // what fails here fails at the first read
	conn.SetPongHandler(alive)
	c := &client{
		conn: conn, stream: what, frames: make(chan *websocket.PreparedMessage, 1), left: make(chan struct{}),
	}
	if !h.join(c) {
		c.sayRestart()
		conn.Close()
		h.release()
	}
}

// reserve takes one of the places.
func (h *Hub) reserve() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.taken >= h.o.MaxClients {
		return false
	}
	h.taken++
	return true
}

func (h *Hub) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken--
}

// join serves c from now on, unless the Hub is ending.
func (h *Hub) join(c *client) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ending.Err() != nil {
		return false
	}
	h.clients[c] = struct{}{}
	h.newcomers = append(h.newcomers, c)
	h.running.Add(2)
	go h.listenTo(c)
	go h.sendTo(c)
	select {
	case h.arrived <- struct{}{}:
	default:
	}
	return true
}

// leave ends the service of c. Only the first reason counts; after the end of the Hub none does.
func (h *Hub) leave(c *client, err error) {
	h.mu.Lock()
	_, served := h.clients[c]
	delete(h.clients, c)
	h.mu.Unlock()
	if why := reason(err); served && why != "" && h.ending.Err() == nil {
		h.o.Dropped(why)
		h.o.Log.Debug("websocket client dropped", "reason", string(why), "client", c.conn.RemoteAddr().String(), "err", err)
	}
}

// reason is empty where the client left of its own will.
func reason(err error) Drop {
	if _, closed := errors.AsType[*websocket.CloseError](err); closed || errors.Is(err, websocket.ErrCloseSent) {
		return ""
	}
	if broken, ok := errors.AsType[net.Error](err); ok && broken.Timeout() {
		return DropSlow
	}
	return DropError
}

// client is one connection. Two goroutines serve it: listenTo owns its reading side and its end, sendTo all writing but
// the answers to control frames.
type client struct {
	conn   *websocket.Conn
	stream stream
	frames chan *websocket.PreparedMessage // of depth one
	left   chan struct{}                   // closed when the connection is
}

// offer never blocks: who has not taken the last frame gets the newest in its place. Only the loop of the Hub calls it, so
// that there is room after one was thrown away.
func (c *client) offer(m *websocket.PreparedMessage) {
	if m == nil {
		return
	}
	select {
	case <-c.frames:
	default:
	}
	c.frames <- m
}

// sendTo sends what is offered, and pings. A client that does not take it in time is dropped.
func (h *Hub) sendTo(c *client) {
	defer h.running.Done()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		var err error
		select {
		case m := <-c.frames:
			_ = c.conn.SetWriteDeadline(time.Now().Add(writeWait)) // only keeps it
			err = c.conn.WritePreparedMessage(m)
		case <-ping.C:
			err = c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait))
		case <-h.ending.Done():
			c.sayRestart() // Shutdown waits for the answer
			return
		case <-c.left:
			return
		}
		if errors.Is(err, websocket.ErrCloseSent) {
			return // by listenTo, which may still wait for the client to see why
		}
		if err != nil {
			h.leave(c, err)
			c.conn.Close() // ends listenTo
			return
		}
	}
}

func (c *client) sayRestart() {
	text := websocket.FormatCloseMessage(websocket.CloseServiceRestart, "")
	_ = c.conn.WriteControl(websocket.CloseMessage, text, time.Now().Add(closeWait)) // it is closed anyway
}

// listenTo takes what the client says and throws it away, until it closes or breaks the connection.
func (h *Hub) listenTo(c *client) {
	defer h.running.Done()
	var err error
	for err == nil {
		var message io.Reader
		_, message, err = c.conn.NextReader() // skips the rest of the last message, unread
		if inflater, ok := message.(io.Closer); ok {
			// A compressed message holds 40 kB of inflater, until the next one comes. It is never inflated.
			inflater.Close()
			// What is not compressed can still be read. Fragments that are skipped would count against the next message.
			_, _ = io.Copy(io.Discard, message) // NextReader returns the same error
		}
	}
	h.leave(c, err)
	if _, broken := errors.AsType[net.Error](err); !broken && reason(err) == DropError {
		c.linger()
	}
	c.conn.Close()
	close(c.left)
	h.release()
}

// linger lets a close frame arrive that gorilla has sent (1002, 1009): the kernel resets a connection that is closed
// with bytes unread, and the client would see no code.
func (c *client) linger() {
	raw := c.conn.NetConn()
	if raw.SetReadDeadline(time.Now().Add(closeWait)) == nil {
		_, _ = io.CopyN(io.Discard, raw, lingerBytes)
	}
}
