package compat

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"gpu_exporter/collector"
	"gpu_exporter/internal/await"
)

const (
	gpuA, gpuB = "0000:0a:00.0", "0000:0b:00.0"
	minute     = time.Minute
)

// webSocketRows are the rules of legacy-api.md 8 and 15.3, in their order. Those about time run in a bubble over pipes.
var webSocketRows = []struct {
	name  string
	timed bool
	set   setUp
	run   func(*testing.T, *rig)
}{
	{"any origin", false, setUp{interval: time.Second, first: twoGPUs(at)}, anyOrigin},
	{"one origin, where a flag names it", false, setUp{interval: time.Second, first: twoGPUs(at), origin: "https://jarvis.example"}, oneOrigin},
	{"no subprotocol", false, setUp{interval: time.Second}, noSubprotocol},
	{"permessage-deflate when offered", false, setUp{interval: minute, first: twoGPUs(at)}, deflateWhenOffered},
	{"text frame with the object of /gpu/stats", false, setUp{interval: minute, first: twoGPUs(at)}, statsInTextFrame},
	{"first frame at once", true, setUp{interval: time.Second}, firstAtOnce},
	{"a frame each interval, of the new reading", true, setUp{interval: time.Second}, eachInterval},
	{"a short interval", true, setUp{interval: 200 * time.Millisecond}, shortInterval},
	{"a longer interval repeats the reading", true, setUp{interval: minute}, longInterval},
	{"readings that stop are repeated", true, setUp{interval: time.Second}, silentSource},
	{"a reading out of turn does not double the pace", true, setUp{interval: time.Second}, outOfTurn},
	{"on demand every 3 s while a client is there", true, setUp{interval: 0}, onDemand},
	{"the GPU is fixed at the handshake", false, setUp{interval: minute, first: twoGPUs(at)}, fixedGPU},
	{"a GPU that moves keeps its client", true, setUp{interval: time.Second}, movedGPU},
	{"unknown GPU", false, setUp{interval: time.Second, first: twoGPUs(at)}, unknownGPU},
	{"one frame for the default GPU and its name", false, setUp{interval: time.Second, first: twoGPUs(at)}, oneFrameAGPU},
	{"lost: no frame, connection open", true, setUp{interval: time.Second}, lostGPU},
	{"asleep: frames", true, setUp{interval: time.Second}, asleepGPU},
	{"before the first cycle", true, setUp{interval: time.Second}, beforeFirstCycle},
	{"at most so many clients, both paths together", false, setUp{interval: minute, max: 2, first: twoGPUs(at)}, limit},
	{"text and binary of clients are ignored", false, setUp{interval: time.Second, first: twoGPUs(at)}, ignored},
	{"1 MiB message: 1009", false, setUp{interval: minute, first: twoGPUs(at)}, tooBig},
	{"bad frame: 1002", false, setUp{interval: minute, first: twoGPUs(at)}, badFrame},
	{"ping every 20 s, given up 20 s later", true, setUp{interval: minute}, pings},
	{"client close is echoed", false, setUp{interval: minute, first: twoGPUs(at)}, closeEchoed},
	{"shutdown: 1012", false, setUp{interval: minute, first: twoGPUs(at)}, shutdown},
	{"not a WebSocket request", false, setUp{interval: minute}, notWebSocket},
	{"broken handshake", false, setUp{interval: minute}, brokenHandshake},
	{"/ws/gpus: the body of /gpus", true, setUp{interval: time.Second}, gpusFrames},
	{"/ws/gpus goes on with all lost", true, setUp{interval: time.Second}, gpusLost},
	{"/ws/gpus without GPUs and readings", true, setUp{interval: time.Second}, gpusNone},
}

func TestWebSocketRows(t *testing.T) {
	if len(webSocketRows) != 31 {
		t.Errorf("%d rows", len(webSocketRows))
	}
	for _, row := range webSocketRows {
		t.Run(row.name, func(t *testing.T) {
			if !row.timed {
				row.run(t, newRig(t, row.set))
				return
			}
			synctest.Test(t, func(t *testing.T) {
				row.set.pipes = true
				row.run(t, newRig(t, row.set))
			})
		})
	}
}

func offerDeflate(d *websocket.Dialer, _ http.Header) { d.EnableCompression = true }

func anyOrigin(_ *testing.T, r *rig) {
	for _, origin := range []string{"", "null", "file://", "http://localhost:3000", "https://elsewhere.example"} {
		r.connect("/ws/gpu-stats", func(_ *websocket.Dialer, h http.Header) {
			if origin != "" {
				h.Set("Origin", origin)
			}
		}).wants(statsFrame(gpuB, at))
	}
}

func oneOrigin(t *testing.T, r *rig) {
	from := func(origin string) func(*websocket.Dialer, http.Header) {
		return func(_ *websocket.Dialer, h http.Header) {
			if origin != "" {
				h.Set("Origin", origin)
			}
		}
	}
	for _, origin := range []string{"", "https://jarvis.example", "http://" + r.host} {
		r.connect("/ws/gpu-stats", from(origin)).wants(statsFrame(gpuB, at))
	}
	for _, origin := range []string{"null", "file://", "http://jarvis.example", "https://elsewhere.example"} {
		if code, body := r.refused("/ws/gpu-stats", from(origin)); code != http.StatusForbidden || body != `{"detail":"Forbidden"}` {
			t.Errorf("%s: %d %s", origin, code, body)
		}
	}
}

func noSubprotocol(t *testing.T, r *rig) {
	p := r.dial("/ws/gpu-stats", func(d *websocket.Dialer, _ http.Header) { d.Subprotocols = []string{"graphql-ws", "mqtt"} })
	if got := p.answer.Header.Values("Sec-WebSocket-Protocol"); len(got) > 0 {
		t.Errorf("it chose %q", got)
	}
}

func deflateWhenOffered(t *testing.T, r *rig) {
	with, without := r.connect("/ws/gpu-stats", offerDeflate), r.connect("/ws/gpu-stats")
	if got := with.answer.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
		t.Errorf("offered: %q", got)
	}
	if got := without.answer.Header.Values("Sec-WebSocket-Extensions"); len(got) > 0 {
		t.Errorf("not offered: %q", got)
	}
	with.wants(statsFrame(gpuB, at))
	without.wants(statsFrame(gpuB, at))
}

func statsInTextFrame(t *testing.T, r *rig) {
	h := r.connect("/ws/gpu-stats").next()
	var frame struct {
		Type string
		Data struct{ Name string }
	}
	if err := json.Unmarshal([]byte(h.text), &frame); err != nil || h.kind != websocket.TextMessage {
		t.Errorf("%d %s %v", h.kind, h.text, err)
	}
	if frame.Type != "gpu_stats" || frame.Data.Name != gpuB {
		t.Errorf("%s", h.text)
	}
}

func firstAtOnce(t *testing.T, r *rig) {
	read := time.Now()
	r.source.publish(twoGPUs(read))
	for range 3 { // with and without frames that exist already
		asked := time.Now()
		p := r.connect("/ws/gpu-stats")
		h := p.next()
		if h.text != statsFrame(gpuB, read) || !h.at.Equal(asked) {
			t.Errorf("after %v: %s", h.at.Sub(asked), h.text)
		}
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		if len(p.heard) > 0 {
			t.Error("a second frame")
		}
	}
}

// wantTimes compares when frames came, as milliseconds after begun.
func wantTimes(t *testing.T, p *peer, begun time.Time, want ...int64) {
	t.Helper()
	synctest.Wait()
	var got []int64
	for range len(p.heard) {
		h := <-p.heard
		if h.err != nil {
			t.Errorf("it ended by %v", h.err)
		}
		got = append(got, h.at.Sub(begun).Milliseconds())
	}
	if !slices.Equal(got, want) {
		t.Errorf("frames at %v ms, want %v", got, want)
	}
}

func eachInterval(t *testing.T, r *rig) {
	begun := time.Now()
	r.every(time.Second, func(now time.Time) *collector.Snapshot { return twoGPUs(now) })
	time.Sleep(700 * time.Millisecond)
	p := r.connect("/ws/gpu-stats")
	p.wants(statsFrame(gpuB, begun))
	time.Sleep(800 * time.Millisecond) // the first reading came too soon after the first frame
	p.wants(statsFrame(gpuB, begun.Add(time.Second)))
	for i := range 5 {
		h := p.next()
		read := begun.Add(time.Duration(i+2) * time.Second)
		if h.text != statsFrame(gpuB, read) || !h.at.Equal(read) {
			t.Errorf("at %v: %s", h.at.Sub(begun), h.text)
		}
	}
}

func shortInterval(t *testing.T, r *rig) {
	begun := time.Now()
	r.every(200*time.Millisecond, func(now time.Time) *collector.Snapshot { return twoGPUs(now) })
	synctest.Wait()
	p := r.connect("/ws/gpu-stats")
	time.Sleep(time.Second)
	wantTimes(t, p, begun, 0, 200, 400, 600, 800, 1000)
}

func longInterval(t *testing.T, r *rig) {
	begun := time.Now()
	r.source.publish(twoGPUs(begun))
	p := r.connect("/ws/gpu-stats")
	for i := range 10 {
		h := p.next()
		if h.text != statsFrame(gpuB, begun) || h.at.Sub(begun) != time.Duration(i)*3*time.Second {
			t.Errorf("after %v: %s", h.at.Sub(begun), h.text)
		}
	}
}

func silentSource(t *testing.T, r *rig) {
	begun := time.Now()
	r.source.publish(twoGPUs(begun))
	p := r.connect("/ws/gpu-stats")
	time.Sleep(5 * time.Second)
	wantTimes(t, p, begun, 0, 1250, 2500, 3750, 5000)
}

func outOfTurn(t *testing.T, r *rig) {
	begun := time.Now()
	r.source.publish(twoGPUs(begun))
	synctest.Wait()
	p := r.connect("/ws/gpu-stats")
	for range 20 {
		time.Sleep(100 * time.Millisecond)
		r.source.publish(twoGPUs(time.Now()))
	}
	wantTimes(t, p, begun, 0, 500, 1000, 1500, 2000)
}

func onDemand(t *testing.T, r *rig) {
	r.source.fresh = func() *collector.Snapshot { return twoGPUs(time.Now()) }
	r.source.publish(twoGPUs(time.Now()))
	time.Sleep(time.Hour)
	if n := r.source.askedFor(); n > 0 {
		t.Errorf("asked %d times without a client", n)
	}
	begun := time.Now()
	p := r.connect("/ws/gpu-stats")
	for i := range 4 {
		h := p.next()
		read := begun.Add(time.Duration(i) * 3 * time.Second)
		if h.text != statsFrame(gpuB, read) || !h.at.Equal(read) {
			t.Errorf("after %v: %s", h.at.Sub(begun), h.text)
		}
	}
	time.Sleep(time.Second)
	second := r.connect("/ws/gpus") // is shown the last reading
	second.next()
	if n := r.source.askedFor(); n != 4 {
		t.Errorf("asked %d times for 4 rounds and a newcomer", n)
	}
	p.conn.Close()
	second.conn.Close()
	time.Sleep(time.Hour)
	if n := r.source.askedFor(); n != 4 {
		t.Errorf("asked %d times after the clients have left", n)
	}
}

func fixedGPU(_ *testing.T, r *rig) {
	for query, gpu := range map[string]string{
		"": gpuB, "?gpu=": gpuB, "?gpu=0": gpuA, "?gpu=gpu-AA": gpuA, "?gpu=0000:0A:00.0": gpuA, "?gpu=9&gpu=1": gpuB,
		"?gpu=0&gpu=": gpuB, "?GPU=0": gpuB,
	} {
		r.connect("/ws/gpu-stats" + query).wants(statsFrame(gpu, at))
	}
}

func movedGPU(_ *testing.T, r *rig) {
	begun := time.Now()
	r.source.publish(twoGPUs(begun))
	byIndex, standard := r.connect("/ws/gpu-stats?gpu=0"), r.connect("/ws/gpu-stats")
	byIndex.wants(statsFrame(gpuA, begun))
	standard.wants(statsFrame(gpuB, begun))
	s := twoGPUs(begun)
	slices.Reverse(s.Devices) // the second GPU is the first now, and the default one another
	s.Devices[0].Index, s.Devices[1].Index = 0, 1
	r.source.publish(s)
	byIndex.wants(statsFrame(gpuA, begun))
	standard.wants(statsFrame(gpuA, begun))
}

func unknownGPU(t *testing.T, r *rig) {
	for _, query := range []string{"2", "x", "0&gpu=x"} {
		if code, body := r.refused("/ws/gpu-stats?gpu=" + query); code != 404 || body != `{"detail":"GPU not found"}` {
			t.Errorf("%s: %d %s", query, code, body)
		}
	}
	r.source.publish(nil)
	if code, body := r.refused("/ws/gpu-stats?gpu=0"); code != 404 || body != `{"detail":"GPU not found"}` {
		t.Errorf("before the first cycle: %d %s", code, body)
	}
	if n := r.source.askedFor(); n != 1 {
		t.Errorf("a first cycle was waited for %d times", n)
	}
}

func oneFrameAGPU(t *testing.T, r *rig) {
	b := r.newBatch(twoGPUs(at))
	standard, named, other := b.frame(stream{}), b.frame(stream{gpu: gpuB}), b.frame(stream{gpu: gpuA})
	if standard == nil || standard != named || other == named {
		t.Errorf("%p, %p and %p", standard, named, other)
	}
}

func lostGPU(t *testing.T, r *rig) {
	begun := time.Now()
	state := collector.StateOK
	r.source.publish(twoGPUs(begun))
	lost, other := r.connect("/ws/gpu-stats?gpu=0"), r.connect("/ws/gpu-stats?gpu=1")
	for range 4 {
		synctest.Wait()
		time.Sleep(time.Second)
		r.source.publish(twoGPUs(time.Now(), state))
		state = (state + 3) % 6 // ok, hung, ok again
	}
	wantTimes(t, lost, begun, 0, 1000, 3000)
	wantTimes(t, other, begun, 0, 1000, 2000, 3000, 4000)
	gone := twoGPUs(time.Now(), collector.StateGone)
	r.source.publish(gone)
	late := r.connect("/ws/gpu-stats?gpu=0") // it is known still
	forgotten := twoGPUs(time.Now())
	forgotten.Devices = forgotten.Devices[1:]
	forgotten.Default = 0
	r.source.publish(forgotten)
	time.Sleep(30 * time.Second)
	wantTimes(t, lost, begun)
	wantTimes(t, late, begun)
	back := time.Now()
	r.source.publish(twoGPUs(back))
	for _, p := range []*peer{lost, late} {
		p.wants(statsFrame(gpuA, back))
	}
}

func asleepGPU(_ *testing.T, r *rig) {
	begun := time.Now()
	r.source.publish(twoGPUs(begun, collector.StateAsleep))
	p := r.connect("/ws/gpu-stats?gpu=0")
	p.wants(statsFrame(gpuA, begun))
	p.wants(statsFrame(gpuA, begun.Add(1250*time.Millisecond)))
}

func beforeFirstCycle(t *testing.T, r *rig) {
	begun := time.Now()
	p := r.connect("/ws/gpu-stats")
	time.Sleep(10 * time.Second)
	wantTimes(t, p, begun)
	r.source.publish(twoGPUs(begun))
	p.wants(statsFrame(gpuB, begun))
}

func limit(t *testing.T, r *rig) {
	p, _ := r.connect("/ws/gpu-stats"), r.connect("/ws/gpus")
	for _, path := range []string{"/ws/gpu-stats", "/ws/gpus"} {
		if code, body := r.refused(path); code != 503 || body != `{"detail":"Too many WebSocket clients"}` {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if got := r.dropped(); !slices.Equal(got, []Drop{DropLimit, DropLimit}) {
		t.Errorf("dropped %q", got)
	}
	await.Until(t, "both are counted", func() bool { return r.Clients() == 2 }) // after their handshake
	p.conn.Close()
	await.Until(t, "the place of a client that left is free", func() bool {
		r.Hub.mu.Lock()
		defer r.Hub.mu.Unlock()
		return r.taken == 1
	})
	r.connect("/ws/gpu-stats").wants(statsFrame(gpuB, at))
	if got := r.dropped(); len(got) != 2 {
		t.Errorf("dropped %q", got)
	}
}

func ignored(t *testing.T, r *rig) {
	for _, p := range []*peer{r.connect("/ws/gpu-stats"), r.connect("/ws/gpu-stats", offerDeflate)} {
		p.wants(statsFrame(gpuB, at))
		for range 100 {
			for _, m := range []struct {
				kind int
				text string
			}{
				{websocket.TextMessage, "ping"}, {websocket.TextMessage, `{"type": "ping"}`}, {websocket.TextMessage, ""},
				{websocket.BinaryMessage, "\x00\xff"}, {websocket.TextMessage, strings.Repeat("x", 4096)},
			} {
				if err := p.conn.WriteMessage(m.kind, []byte(m.text)); err != nil {
					t.Fatal(err)
				}
			}
		}
		p.wants(statsFrame(gpuB, at))
	}
	if got := r.dropped(); len(got) > 0 {
		t.Errorf("dropped %q", got)
	}
}

func tooBig(t *testing.T, r *rig) {
	other := r.connect("/ws/gpu-stats")
	for _, size := range []int{readLimit + 1, 1 << 20} { // in one frame and in many
		p := r.connect("/ws/gpu-stats", func(d *websocket.Dialer, _ http.Header) { d.WriteBufferSize = 2 * readLimit })
		_ = p.conn.WriteMessage(websocket.TextMessage, make([]byte, size)) // is cut off by the answer
		if code := p.end(); code != websocket.CloseMessageTooBig {
			t.Errorf("%d bytes: closed with %d", size, code)
		}
	}
	await.Until(t, "both are dropped", func() bool { return slices.Equal(r.dropped(), []Drop{DropError, DropError}) })
	if r.Clients() != 1 {
		t.Errorf("%d clients", r.Clients())
	}
	other.wants(statsFrame(gpuB, at))
}

func badFrame(t *testing.T, r *rig) {
	for name, wire := range map[string]string{
		"unmasked": "\x81\x02hi", "reserved bits": "\xf1\x80....", "opcode": "\x83\x80....", "long ping": "\x89\xff....",
	} {
		p := r.connect("/ws/gpu-stats")
		if _, err := p.conn.NetConn().Write([]byte(wire)); err != nil {
			t.Fatal(err)
		}
		if code := p.end(); code != websocket.CloseProtocolError {
			t.Errorf("%s: closed with %d", name, code)
		}
	}
	await.Until(t, "all are dropped", func() bool {
		return slices.Equal(r.dropped(), []Drop{DropError, DropError, DropError, DropError})
	})
}

func pings(t *testing.T, r *rig) {
	r.source.publish(twoGPUs(time.Now()))
	begun := time.Now()
	healthy, deaf := r.connect("/ws/gpu-stats"), r.dial("/ws/gpu-stats")
	var pinged []time.Duration
	deaf.conn.SetPingHandler(func(string) error {
		pinged = append(pinged, time.Since(begun))
		return nil
	})
	var err error
	for err == nil {
		_, _, err = deaf.conn.ReadMessage()
	}
	if want := []time.Duration{20 * time.Second, 40 * time.Second}; time.Since(begun) != want[1] || len(pinged) == 0 || pinged[0] != want[0] {
		t.Errorf("pings after %v, the end after %v: %v", pinged, time.Since(begun), err)
	}
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	if got := r.dropped(); !slices.Equal(got, []Drop{DropSlow}) || r.Clients() != 1 {
		t.Errorf("dropped %q, %d clients", got, r.Clients())
	}
	if n := len(healthy.heard); n != 214 { // every 3 s for 10 min 40 s
		t.Errorf("who answers had %d frames", n)
	}
}

func closeEchoed(t *testing.T, r *rig) {
	for _, code := range []int{websocket.CloseNormalClosure, websocket.CloseGoingAway, 4321} {
		p := r.connect("/ws/gpu-stats")
		if err := p.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, "bye")); err != nil {
			t.Fatal(err)
		}
		if got := p.end(); got != code {
			t.Errorf("%d was answered by %d", code, got)
		}
	}
	await.Until(t, "all have left", func() bool { return r.Clients() == 0 })
	if got := r.dropped(); len(got) > 0 {
		t.Errorf("dropped %q", got)
	}
}

func shutdown(t *testing.T, r *rig) {
	var peers []*peer
	for i := range 50 {
		peers = append(peers, r.connect([]string{"/ws/gpu-stats", "/ws/gpus"}[i%2], offerDeflate))
	}
	r.Shutdown(t.Context())
	for _, p := range peers {
		if code := p.end(); code != websocket.CloseServiceRestart {
			t.Errorf("closed with %d", code)
		}
	}
	if code, body := r.refused("/ws/gpu-stats"); code != 503 || body != `{"detail":"Service Unavailable"}` {
		t.Errorf("afterwards: %d %s", code, body)
	}
	if got := r.dropped(); len(got) > 0 || r.Clients() != 0 {
		t.Errorf("dropped %q, %d clients", got, r.Clients())
	}
}

// get asks with these headers and no more.
func get(t *testing.T, r *rig, path string, head map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range head {
		req.Header.Set(k, v)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func notWebSocket(t *testing.T, r *rig) {
	for _, path := range []string{"/ws/gpu-stats", "/ws/gpu-stats?gpu=9", "/ws/gpus"} {
		answer, body := get(t, r, path, nil)
		if answer.StatusCode != 404 || body != `{"detail":"Not Found"}` || answer.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", path, answer.StatusCode, body)
		}
	}
}

func brokenHandshake(t *testing.T, r *rig) {
	for _, head := range []map[string]string{
		{"Sec-WebSocket-Version": "8", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="},
		{"Sec-WebSocket-Version": "13"},
		{"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "short"},
	} {
		head["Connection"], head["Upgrade"] = "Upgrade", "websocket"
		answer, body := get(t, r, "/ws/gpus", head)
		if answer.StatusCode != 400 || body != `{"detail":"Bad Request"}` || answer.Header.Get("Sec-WebSocket-Version") != "13" {
			t.Errorf("%v: %d %s", head, answer.StatusCode, body)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+r.host+"/ws/gpus", nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"} {
		request.Header.Set(key, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if allow := answer.Header.Get("Allow"); answer.StatusCode != http.StatusMethodNotAllowed || allow != "GET, HEAD" {
		t.Errorf("HEAD that wants an upgrade: %s, Allow %q", answer.Status, allow)
	}
	r.Hub.mu.Lock()
	defer r.Hub.mu.Unlock()
	if r.taken != 0 {
		t.Errorf("%d places are lost", r.taken)
	}
}

// gpusFrame is the frame of /ws/gpus.
func gpusFrame(s *collector.Snapshot, now time.Time) string {
	return fmt.Sprintf(`{"type":"gpus","data":%s}`, GPUs(s, "1", now))
}

func gpusFrames(t *testing.T, r *rig) {
	begun := time.Now()
	s := twoGPUs(begun)
	r.source.publish(s)
	p := r.connect("/ws/gpus")
	for i := range 4 { // made anew, though there is no new reading
		h := p.next()
		if h.text != gpusFrame(s, h.at) || h.at.Sub(begun) != time.Duration(i)*1250*time.Millisecond {
			t.Errorf("after %v: %s", h.at.Sub(begun), h.text)
		}
	}
}

func gpusLost(_ *testing.T, r *rig) {
	begun := time.Now()
	s := twoGPUs(begun, collector.StateGone, collector.StateHung)
	r.source.publish(s)
	p := r.connect("/ws/gpus")
	p.wants(gpusFrame(s, begun))
	p.wants(gpusFrame(s, begun.Add(1250*time.Millisecond)))
}

func gpusNone(_ *testing.T, r *rig) {
	begun := time.Now()
	p := r.connect("/ws/gpus")
	p.wants(gpusFrame(nil, begun))
	p.wants(gpusFrame(nil, begun.Add(1250*time.Millisecond)))
	r.source.publish(snapshot())
	p.wants(gpusFrame(snapshot(), begun.Add(1750*time.Millisecond)))
}
