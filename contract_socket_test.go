//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// handshakeOf is a handshake with headers name, value, ... of its own.
func (s *subject) handshakeOf(path string, dialer websocket.Dialer, header ...string) (*websocket.Conn, *http.Response, error) {
	h := http.Header{}
	for pair := range slices.Chunk(header, 2) {
		h.Add(pair[0], pair[1])
	}
	dialer.HandshakeTimeout = await.Patience
	return dialer.Dial("ws://"+s.host()+path, h)
}

// connect is a client that was taken.
func (s *subject) connect(t *testing.T, path string, header ...string) *websocket.Conn {
	t.Helper()
	c, _, err := s.handshakeOf(path, websocket.Dialer{}, header...)
	if err != nil {
		t.Fatalf("%s %v: %v", path, header, err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// refuses is a handshake that is answered otherwise; it returns what is said.
func (s *subject) refuses(t *testing.T, path string, code int, header ...string) string {
	t.Helper()
	c, a, err := s.handshakeOf(path, websocket.Dialer{}, header...)
	if err == nil {
		c.Close()
		t.Fatalf("%s %v was served", path, header)
	}
	if !errors.Is(err, websocket.ErrBadHandshake) {
		t.Fatalf("%s %v: %v", path, header, err)
	}
	body, _ := io.ReadAll(a.Body) // as much as gorilla keeps of it
	if a.StatusCode != code {
		t.Errorf("%s %v: %s %s, want %d", path, header, a.Status, body, code)
	}
	return string(body)
}

// frame is the next message, which must be text and, of what it carries, as the REST route has it.
func (s *subject) frame(t *testing.T, c *websocket.Conn, path string) (data string) {
	t.Helper()
	return s.frameAt(t, c, path, func() {})
}

// frameAt calls arrived before it looks at what has come.
func (s *subject) frameAt(t *testing.T, c *websocket.Conn, path string, arrived func()) (data string) {
	t.Helper()
	kind, text, err := c.ReadMessage()
	arrived()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var f struct {
		Type string
		Data json.RawMessage
	}
	if err := json.Unmarshal(text, &f); err != nil || kind != websocket.TextMessage {
		t.Fatalf("%s: message of kind %d, %v: %s", path, kind, err, text)
	}
	want, route := "gpu_stats", "/gpu/stats"
	if strings.HasPrefix(path, "/ws/gpus") {
		want, route = "gpus", "/gpus"
	}
	if f.Type != want {
		t.Errorf("%s: a frame of type %q, want %q", path, f.Type, want)
	}
	s.verifyFrame(t, route, f.Data)
	return string(f.Data)
}

// namedSocket is /ws/gpu-stats of a GPU by its name, or of none where that is empty.
func (s *subject) namedSocket(t *testing.T, path, name string) {
	t.Helper()
	if name == "" {
		if body := s.refuses(t, path, http.StatusNotFound); body != noSuchGPU {
			t.Errorf("%s: %s", path, body)
		}
		return
	}
	if got := tokenAt(t, s.frame(t, s.connect(t, path), path), "name"); got != name {
		t.Errorf("%s: a frame of %s, want %s", path, got, name)
	}
}

func anyOrigin(t *testing.T, s *subject) {
	for _, path := range ws {
		s.frame(t, s.connect(t, path), path)
		for _, origin := range []string{"null", "file://", uiOrigin, "https://evil.example", ":"} {
			s.frame(t, s.connect(t, path, "Origin", origin), path)
		}
	}
}

// choices is what a handshake chooses of what is offered.
func choices(t *testing.T, s *subject) {
	for _, path := range ws {
		for _, offered := range []string{"", "json", "v1.gpu, json"} {
			var header []string
			if offered != "" {
				header = []string{"Sec-WebSocket-Protocol", offered}
			}
			c, a, err := s.handshakeOf(path, websocket.Dialer{}, header...)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			if chosen, there := a.Header["Sec-Websocket-Protocol"]; there {
				t.Errorf("%s: of %q was chosen %q", path, offered, chosen)
			}
		}
	}
}

func deflates(t *testing.T, s *subject) {
	for _, path := range ws {
		for _, offered := range []bool{true, false} {
			c, a, err := s.handshakeOf(path, websocket.Dialer{EnableCompression: offered})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			if got := strings.HasPrefix(a.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"); got != offered {
				t.Errorf("%s: permessage-deflate offered: %v, taken: %v", path, offered, got)
			}
			if err := c.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
				t.Fatal(err)
			}
			s.frame(t, c, path)
		}
	}
}

// wholeFrames have the whole body of the REST route.
func wholeFrames(path, route string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		c := s.connect(t, path)
		for range 2 {
			data := s.frame(t, c, path)
			for _, b := range bodies {
				if b.route == route && (route != "/gpus" || s.gpus != "" || s.gpu == "") {
					s.expect(t, path, b.body, data)
				}
			}
		}
	}
}

// sameFrame: whoever has a frame of the same time has the same bytes.
func sameFrame(t *testing.T, s *subject) {
	a, b := s.connect(t, "/ws/gpu-stats"), s.connect(t, "/ws/gpu-stats?gpu="+s.gpu)
	seen := map[string]string{}
	shared := 0
	for range 4 {
		data := s.frame(t, a, "/ws/gpu-stats")
		seen[tokenAt(t, data, "timestamp")] = data
	}
	for range 4 {
		data := s.frame(t, b, "/ws/gpu-stats")
		if other, ok := seen[tokenAt(t, data, "timestamp")]; ok {
			shared++
			if other != data {
				t.Errorf("two frames of one time: %s and %s", other, data)
			}
		}
	}
	if shared == 0 {
		t.Error("no frame came to both")
	}
}

// paced: at least one frame within 5 s, three within 10 s.
func paced(path string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		for n, limit := range map[int]time.Duration{1: 5 * time.Second, 3: 10 * time.Second} {
			timely(t, fmt.Sprintf("%d frames of %s", n, path), limit, func(arrived func()) {
				c := s.connect(t, path)
				for range n {
					s.frameAt(t, c, path, arrived)
				}
			})
		}
	}
}

// slowPace is an interval in which no new reading comes while a test looks.
const slowPace = "--polling.interval=5m"

func slowCard(t *testing.T) *subject {
	t.Helper()
	s := own(t, &setting{gpu: first, tell: rx7900xtx, gpus: discreteGPU}, ownCase(t, "discrete"), slowPace)
	s.until(t, "the card", is(first, "ok"))
	return s
}

// atOnce: who had to wait for the next frame would wait 3 s, from the second client on.
func atOnce(path string) func(*testing.T, *subject) {
	return func(t *testing.T, _ *subject) {
		s := slowCard(t)
		timely(t, "the first frames of five clients, one after the other", 9*time.Second, func(arrived func()) {
			for range 5 {
				s.frameAt(t, s.connect(t, path), path, arrived)
			}
		})
	}
}

func repeated(t *testing.T, _ *subject) {
	s := slowCard(t)
	paced("/ws/gpu-stats")(t, s)
	c := s.connect(t, "/ws/gpu-stats")
	first, second := s.frame(t, c, "/ws/gpu-stats"), s.frame(t, c, "/ws/gpu-stats")
	if first != second {
		t.Errorf("no new reading, but after %s came %s", first, second)
	}
}

func madeAnew(t *testing.T, _ *subject) {
	s := slowCard(t)
	c := s.connect(t, "/ws/gpus")
	a, b := s.frame(t, c, "/ws/gpus"), s.frame(t, c, "/ws/gpus")
	before, after := gpuIn(t, a, s.gpu), gpuIn(t, b, s.gpu)
	if tokenAt(t, before, "timestamp") != tokenAt(t, after, "timestamp") {
		t.Errorf("a new reading: %s, then %s", a, b)
	}
	if numberAt(t, b, "timestamp") <= numberAt(t, a, "timestamp") {
		t.Errorf("the time of the body stands still: %s, then %s", a, b)
	}
	if numberAt(t, after, "age_seconds") <= numberAt(t, before, "age_seconds") {
		t.Errorf("the age stands still: %s, then %s", a, b)
	}
}

func onDemand(t *testing.T, _ *subject) {
	s := own(t, &setting{tell: rx7900xtx}, ownCase(t, "discrete"), "--polling.interval=0")
	c := s.connect(t, "/ws/gpu-stats")
	last := 0.0
	for range 3 {
		at := numberAt(t, s.frame(t, c, "/ws/gpu-stats"), "timestamp")
		if at <= last {
			t.Errorf("no new reading: %f after %f", at, last)
		}
		last = at
	}
}

func fixedGPU(t *testing.T, s *subject) {
	for path, name := range map[string]string{
		"/ws/gpu-stats": rx7900xtx.name, "/ws/gpu-stats?gpu=0": apuName, "/ws/gpu-stats?gpu=1": rx7900xtx.name,
	} {
		c := s.connect(t, path)
		for range 3 {
			if got := tokenAt(t, s.frame(t, c, path), "name"); got != name {
				t.Errorf("%s: a frame of %s, want %s", path, got, name)
			}
		}
	}
}

// lostHasNoFrame: who comes while the GPU is lost hears nothing until it is back; who was there stays.
func lostHasNoFrame(t *testing.T, _ *subject) {
	c := newComesAndGoes(t)
	path := "/ws/gpu-stats?gpu=" + first
	before := c.connect(t, path)
	c.frame(t, before, path)
	c.goes(t)
	meanwhile := c.connect(t, path)
	rescans := func(m hwcase.Samples) float64 { return m[`gpu_exporter_rescans_total{result="ok"}`] }
	begin := rescans(c.scrape(t))
	c.until(t, "some time without the card", func(m hwcase.Samples) bool { return rescans(m) > begin+5 })
	back := float64(time.Now().UnixMicro()) / 1e6
	c.comes(t)
	if at := numberAt(t, c.frame(t, meanwhile, path), "timestamp"); at < back {
		t.Errorf("a frame of %f while the card was lost, until %f", at, back)
	}
	for {
		if at := numberAt(t, c.frame(t, before, path), "timestamp"); at >= back {
			return // what was sent before the card was lost may lie before it
		}
	}
}

func tooMany(t *testing.T, _ *subject) {
	s := own(t, &setting{}, ownCase(t, "discrete"), append(slices.Clone(quickly), "--web.max-websockets=2")...)
	s.until(t, "the card", is(first, "ok"))
	one, two := s.connect(t, "/ws/gpu-stats"), s.connect(t, "/ws/gpus")
	s.frame(t, two, "/ws/gpus")
	for i, path := range ws {
		if body := s.refuses(t, path, http.StatusServiceUnavailable); body != `{"detail":"Too many WebSocket clients"}` {
			t.Errorf("%s: %s", path, body)
		}
		if n := s.scrape(t)[`gpu_exporter_websocket_dropped_total{reason="limit"}`]; n != float64(i+1) {
			t.Errorf("%d refused, %v counted", i+1, n)
		}
	}
	one.Close()
	s.until(t, "a free place", func(m hwcase.Samples) bool { return m["gpu_exporter_websocket_clients"] == 1 })
	await.Until(t, "that the place is taken again", func() bool { // it is free when the connection has ended, a little later
		c, _, err := s.handshakeOf("/ws/gpu-stats", websocket.Dialer{})
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// ignores sends messages, and wants frames and nothing else.
func ignores(kind int, messages ...string) func(*testing.T, *subject) {
	return func(t *testing.T, s *subject) {
		for _, path := range ws {
			c := s.connect(t, path)
			for _, m := range messages {
				if err := c.WriteMessage(kind, []byte(m)); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				s.frame(t, c, path)
			}
		}
	}
}

// closes reads on until the connection is closed, and says by which code.
func closes(t *testing.T, c *websocket.Conn) int {
	t.Helper()
	for n := 0; ; n++ {
		_, _, err := c.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			return closed.Code
		}
		if err != nil {
			t.Fatalf("after %d frames: %v", n, err)
		}
	}
}

func tooLarge(t *testing.T, s *subject) {
	for _, path := range ws {
		for kind, size := range map[int]int{websocket.TextMessage: 5 << 10, websocket.BinaryMessage: 1 << 20} {
			c := s.connect(t, path)
			_ = c.WriteMessage(kind, make([]byte, size)) // it may be cut off before it has all
			if code := closes(t, c); code != websocket.CloseMessageTooBig {
				t.Errorf("%s: %d bytes are answered by close %d", path, size, code)
			}
		}
	}
}

func closeEchoed(t *testing.T, s *subject) {
	for _, path := range ws {
		for _, code := range []int{websocket.CloseNormalClosure, websocket.CloseGoingAway, 3000} {
			c := s.connect(t, path)
			c.SetCloseHandler(func(int, string) error { return nil })
			if err := c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, "bye")); err != nil {
				t.Fatal(err)
			}
			if got := closes(t, c); got != code {
				t.Errorf("%s: close %d is answered by %d", path, code, got)
			}
		}
	}
}

func closeAtTheEnd(t *testing.T, _ *subject) {
	s := own(t, &setting{}, ownCase(t, "discrete"))
	s.until(t, "the card", is(first, "ok"))
	var clients []*websocket.Conn
	for _, path := range ws {
		c := s.connect(t, path)
		s.frame(t, c, path)
		clients = append(clients, c)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.end()
	}()
	for i, c := range clients {
		if code := closes(t, c); code != websocket.CloseServiceRestart {
			t.Errorf("%s: close %d, want 1012", ws[i], code)
		}
	}
	<-ended
}

func noUpgrade(t *testing.T, s *subject) {
	for _, path := range ws {
		s.exchange(t, at(path, 404, notFound, "Content-Type", "application/json"))
	}
}

func upgradeElsewhere(t *testing.T, s *subject) {
	for _, path := range []string{"/ws/nothing", "/ws", "/ws/", "/WS/gpu-stats", "/ws/gpu-stats/x", "/nothing"} {
		if body := s.refuses(t, path, http.StatusNotFound, "Origin", "null"); body != notFound {
			t.Errorf("%s: %s", path, body)
		}
	}
	for _, path := range ws {
		c, a, err := s.handshakeOf(path+"/", websocket.Dialer{})
		if err == nil {
			c.Close()
			t.Errorf("%s/ was served", path)
			continue
		}
		if a == nil || !slices.Contains([]int{403, 404, 307}, a.StatusCode) { // 307 as for every path with a / too many
			t.Errorf("%s/: %v, %v", path, a, err)
		}
	}
}

// oldPanel does what the old panel does: one fetch of another origin, frames, and again after a restart of the service.
func oldPanel(t *testing.T, _ *subject) {
	tree := ownCase(t, "discrete")
	w := &setting{tell: rx7900xtx}
	s := own(t, w, tree, "--web.listen-address=127.0.0.77:0") // where no port is lent to anybody between end and start
	s.until(t, "the card", is(first, "ok"))
	look := func(s *subject) {
		t.Helper()
		s.exchange(t, exchange{"GET", "/gpu/stats", []string{"Origin", uiOrigin}, 200, bodyOf("/gpu/stats"), []string{acaOrigin, "*"}})
		data := s.frame(t, s.connect(t, "/ws/gpu-stats", "Origin", uiOrigin), "/ws/gpu-stats")
		s.expect(t, "a frame", bodyOf("/gpu/stats"), data)
		if since := time.Since(time.UnixMilli(int64(numberAt(t, data, "timestamp") * 1000))); since < 0 || since > time.Hour {
			t.Errorf("timestamp x 1000 is %v ago: %s", since, data)
		}
	}
	look(s)
	address := s.host()
	s.end()
	again := own(t, w, tree, "--web.listen-address="+address)
	again.until(t, "the card again", is(first, "ok"))
	look(again)
}

// shell is the Electron shell: two origins that are none.
func shell(t *testing.T, s *subject) {
	for _, origin := range []string{"null", "file://", uiOrigin} {
		for _, b := range bodies {
			a := s.ask(t, http.MethodGet, b.route, "Origin", origin)
			if got := a.Header.Get(acaOrigin); got != "*" || a.StatusCode != 200 {
				t.Errorf("%s from %s: %s, %s %q", b.route, origin, a.Status, acaOrigin, got)
			}
		}
		for _, path := range ws {
			s.frame(t, s.connect(t, path, "Origin", origin), path)
		}
	}
}

// pings sends the text `ping`, and reads up to three frames in 10 s, each within 5 s.
func pings(t *testing.T, s *subject) {
	c := s.connect(t, "/ws/gpu-stats")
	if err := c.WriteMessage(websocket.TextMessage, []byte("ping")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		timely(t, "the next frame after a ping", 5*time.Second, func(arrived func()) { s.frameAt(t, c, "/ws/gpu-stats", arrived) })
	}
}

func hundredClients(t *testing.T, _ *subject) {
	s := own(t, &setting{}, ownCase(t, "discrete"), "--polling.interval=200ms")
	s.until(t, "the card", is(first, "ok"))
	var reading sync.WaitGroup
	for i := range 100 {
		c, _, err := s.handshakeOf(ws[i%2], websocket.Dialer{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if i%10 == 0 {
			continue // never reads
		}
		reading.Go(func() {
			if err := c.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
				t.Error(err)
				return
			}
			for range 10 {
				if _, _, err := c.ReadMessage(); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	reading.Wait()
}

// rude are clients that do not keep to the rules; the service goes on for the others.
func rude(t *testing.T, _ *subject) {
	s := own(t, &setting{}, ownCase(t, "discrete"), "--polling.interval=200ms")
	s.until(t, "the card", is(first, "ok"))
	good := s.connect(t, "/ws/gpu-stats")
	binary := s.connect(t, "/ws/gpu-stats")
	if err := binary.WriteMessage(websocket.BinaryMessage, []byte{0, 1, 2}); err != nil {
		t.Fatal(err)
	}
	s.frame(t, binary, "/ws/gpu-stats")
	tooLarge(t, s)
	abrupt := s.connect(t, "/ws/gpu-stats")
	abrupt.NetConn().Close() // without a close frame
	s.until(t, "two clients", func(m hwcase.Samples) bool { return m["gpu_exporter_websocket_clients"] == 2 })
	for range 3 {
		s.frame(t, good, "/ws/gpu-stats")
	}
	s.exchange(t, at("/gpu/stats", 200, "*"))
}

// quietWhileLost: no frame of /ws/gpu-stats, while those of /ws/gpus go on.
func quietWhileLost(t *testing.T, s *subject) {
	stats, gpus := s.connect(t, "/ws/gpu-stats"), s.connect(t, "/ws/gpus")
	for range 3 {
		s.frame(t, gpus, "/ws/gpus")
	}
	// What was sent before the answer to a close frame arrives before it.
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := stats.WriteMessage(websocket.CloseMessage, bye); err != nil {
		t.Fatal(err)
	}
	if kind, text, err := stats.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("a message of kind %d while no GPU can be read: %s, %v", kind, text, err)
	}
}
