package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// What a first byte of a frame says (RFC 6455, 5.2).
const (
	fin, rsv1, rsv2, rsv3 = 0x80, 0x40, 0x20, 0x10

	opContinuation, opText, opBinary, opClose, opPing = 0x0, 0x1, 0x2, 0x8, 0x9
)

// masked is a frame of a client. Its mask is zero, which is one like any other and leaves the payload readable.
func masked(first byte, payload string) string {
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	return string(frame) + "\x00\x00\x00\x00" + payload
}

// endless is the head of a frame that claims to be that long.
func endless(length uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte{fin | opBinary, 0x80 | 127}, length)) + "\x00\x00\x00\x00"
}

func closeFrame(code uint16, reason string) string {
	return masked(fin|opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// fragments is one message in frames of 1 KiB.
func fragments(size int) string {
	const piece = 1 << 10
	var wire strings.Builder
	wire.WriteString(masked(opText, strings.Repeat("x", piece)))
	for range size/piece - 2 {
		wire.WriteString(masked(opContinuation, strings.Repeat("x", piece)))
	}
	wire.WriteString(masked(fin|opContinuation, strings.Repeat("x", piece)))
	return wire.String()
}

// deflated is a compressed frame (RFC 7692, 7.2.1) of that many zeros.
func deflated(zeros int) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = w.Write(make([]byte, zeros))
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		panic(err) // cannot be: it writes to memory
	}
	return masked(fin|rsv1|opBinary, strings.TrimSuffix(b.String(), "\x00\x00\xff\xff"))
}

// handshake is a proper one, with or without a field that is replaced.
func handshake(replace ...string) string {
	return strings.NewReplacer(replace...).Replace("GET /ws/gpus HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n" +
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
}

// abusers are clients that have said that after a proper handshake.
func abusers(t *testing.T, s *server, n int, wire string) (conns []*websocket.Conn) {
	t.Helper()
	d := websocket.Dialer{EnableCompression: true}
	for range n {
		c, _, err := d.Dial(strings.Replace(s.url, "http", "ws", 1)+"/ws/gpus", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.NetConn().SetDeadline(time.Now().Add(await.Patience)); err != nil {
			t.Fatal(err)
		}
		// What the server no longer takes cannot be written; what it has said is still there to be read.
		_, _ = c.NetConn().Write([]byte(wire))
		conns = append(conns, c)
	}
	return conns
}

// noCode stands for a connection that is closed without a close frame, as RFC 6455, 7.1.7 allows.
const noCode = websocket.CloseAbnormalClosure

// endsWith says that, and wants to be closed with one of the codes.
func endsWith(wire string, codes ...int) func(*testing.T, *server, int) {
	return func(t *testing.T, s *server, n int) {
		t.Helper()
		for _, c := range abusers(t, s, n, wire) {
			var err error
			for err == nil {
				_, _, err = c.ReadMessage()
			}
			got := noCode
			if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
				got = closed.Code
			}
			if !slices.Contains(codes, got) || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("it ended by %v, want one of the codes %v", err, codes)
			}
		}
	}
}

// ignored says that, and wants to be served on. The answer to a ping says that all before it was taken.
func ignored(wire string) func(*testing.T, *server, int) {
	return func(t *testing.T, s *server, n int) {
		t.Helper()
		for _, c := range abusers(t, s, n, wire+masked(fin|opPing, "still there?")) {
			answered := false
			c.SetPongHandler(func(said string) error {
				answered = answered || said == "still there?"
				return nil
			})
			for was := false; !was; { // and a frame after it
				was = answered
				if _, _, err := c.ReadMessage(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// says opens connections and says that.
func says(t *testing.T, s *server, n int, request string) (conns []net.Conn) {
	t.Helper()
	for range n {
		c := dial(t, s)
		if err := c.SetDeadline(time.Now().Add(await.Patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprint(c, request); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	return conns
}

// turnedDown asks for that, and wants that status.
func turnedDown(request string, status int) func(*testing.T, *server, int) {
	return func(t *testing.T, s *server, n int) {
		t.Helper()
		for _, c := range says(t, s, n, request) {
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != status {
				t.Errorf("%s, want %d", answer.Status, status)
			}
		}
	}
}

// shutOut says that, and wants to be closed without having become a client.
func shutOut(request string) func(*testing.T, *server, int) {
	return func(t *testing.T, s *server, n int) {
		t.Helper()
		for _, c := range says(t, s, n, request) {
			if said := expectClosed(t, c); strings.Contains(said, " 101 ") {
				t.Errorf("it was served: %q", said)
			}
		}
	}
}

// vanishes says that after the handshake, and is gone with a reset.
func vanishes(wire string) func(*testing.T, *server, int) {
	return func(t *testing.T, s *server, n int) {
		t.Helper()
		for _, c := range abusers(t, s, n, wire) {
			reset(t, c.NetConn())
		}
	}
}

// flees says that instead of a handshake, or as one, and is gone with a reset.
func flees(request string) func(*testing.T, *server, int) {
	return func(t *testing.T, s *server, n int) {
		t.Helper()
		for _, c := range says(t, s, n, request) {
			reset(t, c)
		}
	}
}

func reset(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// floods pings, and reads nothing, until the server no longer takes it.
func floods(t *testing.T, s *server, n int) {
	t.Helper()
	pings := []byte(strings.Repeat(masked(fin|opPing, strings.Repeat("x", 125)), 500))
	var ended sync.WaitGroup
	for _, c := range abusers(t, s, n, "") {
		ended.Go(func() {
			var err error
			for err == nil {
				_, err = c.NetConn().Write(pings)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("it is served still: %v", err)
			}
		})
	}
	ended.Wait()
}

// abuses are done by so many clients at once. What must come of it is that of RFC 6455 and legacy-api.md 8.
var abuses = []struct {
	name    string
	clients int
	do      func(t *testing.T, s *server, clients int)
}{
	{"frame without a mask", 10, endsWith("\x81\x02hi", 1002)},
	{"reserved bit 2", 10, endsWith(masked(fin|rsv2|opText, "x"), 1002)},
	{"reserved bit 3", 10, endsWith(masked(fin|rsv3|opText, "x"), 1002)},
	{"unknown kind of message", 10, endsWith(masked(fin|0x3, "x"), 1002)},
	{"unknown kind of control", 10, endsWith(masked(fin|0xb, "x"), 1002)},
	{"ping in fragments", 10, endsWith(masked(opPing, "x"), 1002)},
	{"ping of 126 bytes", 10, endsWith(masked(fin|opPing, strings.Repeat("x", 126)), 1002)},
	{"continuation of nothing", 10, endsWith(masked(fin|opContinuation, "x"), 1002)},
	{"message within a message", 10, endsWith(masked(opText, "x")+masked(fin|opText, "x"), 1002)},
	{"HTTP after the handshake", 10, endsWith("GET /gpus HTTP/1.1\r\nHost: localhost\r\n\r\n", 1002)},
	// Nobody reads what clients say.
	{"text that is not UTF-8", 10, ignored(masked(fin|opText, "\xc3\x28\xff"))},
	{"compressed nonsense", 10, ignored(masked(fin|rsv1|opText, "\xff\xff\xff\xff"))},
	{"message in fragments, and one more", 10, ignored(masked(opText, strings.Repeat("x", 1000)) +
		masked(fin|opContinuation, strings.Repeat("x", 2000)) + masked(fin|opText, strings.Repeat("x", 3000)))},
	{"3 MiB of zeros in 3 KiB", 10, ignored(deflated(3 << 20))},
	{"16 MiB of zeros in 16 KiB", 10, endsWith(deflated(16<<20), 1009)},
	{"1 MiB in one frame", 10, endsWith(masked(fin|opBinary, strings.Repeat("x", 1<<20)), 1009)},
	{"1 MiB in fragments", 10, endsWith(fragments(1<<20), 1009)},
	{"length of 2^63-1", 10, endsWith(endless(1<<63-1), 1009)},
	{"length of 2^63, which no frame has", 10, endsWith(endless(1<<63), 1002, 1009, noCode)},
	{"close frame with the code 999", 10, endsWith(closeFrame(999, ""), 1002)},
	{"close frame with the code 1005", 10, endsWith(closeFrame(1005, ""), 1002)},
	{"close frame with the code 1015", 10, endsWith(closeFrame(1015, ""), 1002)},
	{"close frame with the code 5000", 10, endsWith(closeFrame(5000, ""), 1002)},
	{"close frame with a reason that is not UTF-8", 10, endsWith(closeFrame(1000, "\xff"), 1002, 1007)},
	{"close frame of one byte", 10, endsWith(masked(fin|opClose, "x"), 1002, websocket.CloseNoStatusReceived)},
	{"pings without end by one who reads nothing", 5, floods},
	{"gone in the middle of a frame", 10, vanishes("\x81\xfe\x01")},
	{"gone in the middle of a message", 10, vanishes(masked(opText, "x"))},
	{"gone after the handshake", 200, vanishes("")},
	{"gone before the handshake", 200, flees("")},
	{"gone in the middle of the handshake", 200, flees(handshake()[:80])},
	{"gone without reading the answer to the handshake", 10, flees(handshake())},
	{"frame ahead of the answer to the handshake", 10, shutOut(handshake() + masked(fin|opText, "x"))},
	{"handshake that is never finished", 50, shutOut(handshake()[:80])},
	{"handshake of version 8", 10, turnedDown(handshake("Version: 13", "Version: 8"), 400)},
	{"handshake without a key", 10, turnedDown(handshake("Sec-WebSocket-Key", "X-Key"), 400)},
	{"handshake with a short key", 10, turnedDown(handshake("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400)},
	{"handshake by POST", 10, turnedDown(handshake("GET", "POST"), 405)},
}

const webSocketClients = "gpu_exporter_websocket_clients"

// inACycle are goroutines that a scrape meets or not: those of a cycle of readings.
const inACycle = 2

// Whatever clients do, those who behave get their frames, and nothing of the others stays: no place among the clients or
// the connections (both have fewer than there are clients in this test), no descriptor, no goroutine.
func TestWebSocketAbuse(t *testing.T) {
	s := startServer(t, ownCase(t, "discrete"), "--polling.interval=200ms", "--web.runtime-metrics",
		"--web.max-websockets=210", "--web.max-connections=220")
	s.until(t, "the card", func(m hwcase.Samples) bool { return m[up(first)] == 1 })
	good := socket(t, s, "/ws/gpu-stats")
	before := s.until(t, "the good client", func(m hwcase.Samples) bool { return m[webSocketClients] == 1 })
	files := descriptors(t, s.pid)
	cutOff, frames := make(chan error, 1), make(chan int, 1)
	go func() {
		n := 0
		for {
			err := good.SetReadDeadline(time.Now().Add(longestSilence))
			if err == nil {
				_, _, err = good.ReadMessage()
			}
			if err != nil {
				cutOff <- err
				frames <- n
				return
			}
			n++
		}
	}()
	for _, a := range abuses {
		t.Run(a.name, func(t *testing.T) { a.do(t, s, a.clients) })
		s.until(t, "the end of what this began: "+a.name, func(m hwcase.Samples) bool {
			return m[webSocketClients] == 1 && m["go_goroutines"] <= before["go_goroutines"]+inACycle && descriptors(t, s.pid) <= files
		})
		select {
		case err := <-cutOff:
			t.Fatalf("%s: the good client: %v", a.name, err)
		default:
		}
	}
	good.Close()
	<-cutOff
	t.Logf("the good client had %d frames", <-frames)
}

// longestSilence is what the clients of the old service bear between two frames (legacy-api.md 8).
const longestSilence = 5 * time.Second
