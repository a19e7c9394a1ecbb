package compat

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"gpu_exporter/collector"
	"gpu_exporter/internal/await"
)

// tap keeps what was read from a connection.
type tap struct {
	net.Conn
	mu   sync.Mutex // guards read
	read []byte
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = append(c.read, p[:n]...)
	return n, err
}

// frames are the frames on the wire after the handshake.
func (c *tap) frames() (frames [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, rest, _ := bytes.Cut(c.read, []byte("\r\n\r\n"))
	for len(rest) >= 4 {
		n := 2 + int(rest[1])
		if rest[1] == 126 {
			n = 4 + int(binary.BigEndian.Uint16(rest[2:]))
		}
		if len(rest) < n {
			break
		}
		frames, rest = append(frames, rest[:n]), rest[n:]
	}
	return frames
}

// All clients of a stream get the same bytes, made once.
func TestHundredClientsGetTheSameBytes(t *testing.T) {
	var made atomic.Int64
	r := newRig(t, setUp{
		interval: 200 * time.Millisecond,
		gpus: func(dst []byte, _ *collector.Snapshot, _ time.Time) []byte {
			return fmt.Appendf(dst, "[%d,%q]", made.Add(1), strings.Repeat("all the same ", 100))
		},
	})
	var (
		peers []*peer
		taps  []*tap
	)
	for i := range 100 {
		peers = append(peers, r.connect("/ws/gpus", func(d *websocket.Dialer, _ http.Header) {
			d.EnableCompression = i%2 == 0
			d.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				taps = append(taps, &tap{Conn: conn})
				return taps[i], err
			}
		}))
	}
	// What is made from now on is for all. The first of it may be made already.
	begin := made.Load() + 2
	wire := [2]map[int64][]byte{{}, {}} // by whether it is compressed
	same := 0
	for i, p := range peers {
		for n, number := 0, int64(0); number < begin+3; n++ {
			if _, err := fmt.Sscanf(p.next().text, `{"type":"gpus","data":[%d`, &number); err != nil {
				t.Fatal(err)
			}
			if number < begin {
				continue
			}
			frame := taps[i].frames()[n]
			first, met := wire[i%2][number]
			switch {
			case !met:
				wire[i%2][number] = frame
			case bytes.Equal(first, frame):
				same++
			default:
				t.Errorf("client %d got other bytes", i)
			}
		}
	}
	if same < len(peers) { // of some four times as many; who is late gets the newest alone
		t.Errorf("only %d frames came to more than one client", same)
	}
	for number, small := range wire[0] {
		if large, both := wire[1][number]; both && len(small) > len(large)/4 {
			t.Errorf("frame %d: %d bytes compressed, %d not", number, len(small), len(large))
		}
	}
}

// Who does not take a frame is dropped in its time, and nobody else is late for it.
func TestSlowClientsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, setUp{interval: time.Second, pipes: true})
		r.every(time.Second, func(now time.Time) *collector.Snapshot { return twoGPUs(now) })
		synctest.Wait()
		begun := time.Now()
		var slow, quick []*peer
		for i := range 20 {
			path := []string{"/ws/gpu-stats", "/ws/gpus"}[i%2]
			slow, quick = append(slow, r.dial(path)), append(quick, r.connect(path))
		}
		time.Sleep(writeWait - time.Millisecond)
		synctest.Wait()
		if got := r.dropped(); len(got) > 0 {
			t.Errorf("dropped %q too early", got)
		}
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		if got := r.dropped(); len(got) != len(slow) || slices.ContainsFunc(got, func(d Drop) bool { return d != DropSlow }) {
			t.Errorf("dropped %q", got)
		}
		if r.Clients() != len(quick) {
			t.Errorf("%d clients", r.Clients())
		}
		for _, p := range quick {
			wantTimes(t, p, begun, 0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000)
		}
		for _, p := range slow {
			if _, err := p.conn.NetConn().Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the connection of a slow client: %v", err)
			}
		}
	})
}

// Who comes back to reading in time gets the newest frame, not a queue of old ones.
func TestLateClientGetsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, setUp{interval: time.Second, pipes: true})
		begun := time.Now()
		r.every(time.Second, func(now time.Time) *collector.Snapshot { return twoGPUs(now) })
		p := r.dial("/ws/gpu-stats")
		time.Sleep(4500 * time.Millisecond)
		for _, second := range []time.Duration{0, 4, 5} { // the first was on its way
			_, text, err := p.conn.ReadMessage()
			if want := statsFrame(gpuB, begun.Add(second*time.Second)); err != nil || string(text) != want {
				t.Errorf("%s, %v; want %s", text, err, want)
			}
		}
	})
}

// The same over sockets, whose buffers hold megabytes.
func TestSlowSocketIsDropped(t *testing.T) {
	t.Parallel()
	random := rand.NewChaCha8([32]byte{})
	body := make([]byte, 1<<20)
	_, _ = random.Read(body)
	for i := range body {
		body[i] = 'a' + body[i]%16
	}
	r := newRig(t, setUp{
		interval: 200 * time.Millisecond,
		gpus: func(dst []byte, _ *collector.Snapshot, _ time.Time) []byte {
			return append(append(append(dst, '"'), body...), '"')
		},
	})
	quick := r.connect("/ws/gpus")
	for range 3 {
		r.dial("/ws/gpus")
	}
	await.Until(t, "those that do not read are dropped", func() bool { return r.Clients() == 1 && len(r.dropped()) == 3 })
	if got := r.dropped(); !slices.Equal(got, []Drop{DropSlow, DropSlow, DropSlow}) {
		t.Errorf("dropped %q", got)
	}
	came := len(quick.heard)
	for range came {
		if h := <-quick.heard; h.err != nil {
			t.Fatal(h.err)
		}
	}
	if came < 5 { // of 20 and more; who waited for the others got none for 5 s
		t.Errorf("who reads got %d frames until the others were dropped", came)
	}
}

// Half a handshake, an answer that nobody takes, and sockets whose client is gone without a word.
func TestUnfinishedBusinessEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, setUp{interval: time.Second, pipes: true})
		const handshake = "GET /ws/gpu-stats HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
		var conns []net.Conn
		for _, text := range []string{"", handshake[:5], handshake[:len(handshake)-1], handshake} {
			conn, err := r.dialer.NetDialContext(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conns = append(conns, conn)
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
		}
		r.dial("/ws/gpu-stats") // there is no reading, so that the first word to it is a ping
		time.Sleep(6 * time.Second)
		synctest.Wait()
		for i, conn := range conns {
			_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
			if answer, err := io.ReadAll(conn); err != nil || strings.Contains(string(answer), " 101 ") {
				t.Errorf("handshake %d: %v after %q", i, err, answer)
			}
		}
		if r.taken != 1 || r.Clients() != 1 {
			t.Errorf("%d places taken, %d clients", r.taken, r.Clients())
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := r.dropped(); r.taken != 0 || !slices.Equal(got, []Drop{DropSlow}) {
			t.Errorf("%d places taken, dropped %q", r.taken, got)
		}
	})
}

// Shutdown waits for nobody longer than a second, and not at all where everybody answers.
func TestShutdownCutsOff(t *testing.T) {
	for name, c := range map[string]struct {
		stuck   bool
		timeout time.Duration
		want    time.Duration
	}{
		"all answer":      {false, time.Minute, 0},
		"one does not":    {true, time.Minute, closeWait},
		"no time is left": {true, 10 * time.Millisecond, 10 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, setUp{interval: time.Second, pipes: true, first: twoGPUs(at)})
			r.connect("/ws/gpu-stats")
			if c.stuck {
				r.dial("/ws/gpu-stats")
			}
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
			defer cancel()
			begun := time.Now()
			r.Shutdown(ctx)
			if took := time.Since(begun); took != c.want || r.taken != 0 {
				t.Errorf("%s: it took %v, %d places taken", name, took, r.taken)
			}
			r.Shutdown(ctx) // again
		})
	}
}

func files(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err) // not on this system
	}
	return len(list)
}

// Whatever way clients go, nothing of them stays.
func TestHubLeaksNothing(t *testing.T) {
	goroutines, open := runtime.NumGoroutine(), files(t)
	var after [3]int // goroutines of the program, and files of it, while it goes on serving
	r := newRig(t, setUp{interval: 200 * time.Millisecond, first: twoGPUs(at)})
	steady := r.connect("/ws/gpu-stats")
	for round := range after {
		for i := range 60 {
			p := r.connect([]string{"/ws/gpu-stats", "/ws/gpus"}[i%2], offerDeflate)
			p.next()
			conn := p.conn.NetConn()
			switch i % 6 {
			case 0:
				_ = p.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
			case 1:
				_ = conn.(*net.TCPConn).SetLinger(0) // a reset
				conn.Close()
			case 2:
				conn.Close()
			case 3:
				p.conn.EnableWriteCompression(false) // zeros would come to less than the limit
				_ = p.conn.WriteMessage(websocket.TextMessage, make([]byte, 1<<20))
			case 4:
				_, _ = conn.Write([]byte("\x81\xfe\x01")) // half a frame
				_ = conn.(*net.TCPConn).CloseWrite()
			case 5:
				_, _ = conn.Write([]byte("no frame at all"))
			}
			for h := range p.heard {
				if h.err != nil {
					break
				}
			}
			p.conn.Close()
		}
		await.Until(t, "all but one have left", func() bool { return r.Clients() == 1 })
		await.Until(t, "their sockets are closed", func() bool { return files(t) <= open+5 })
		await.Until(t, "their goroutines have ended", func() bool {
			after[round] = runtime.NumGoroutine()
			return after[round] <= goroutines+6
		})
	}
	if got := r.dropped(); slices.Contains(got, DropLimit) || slices.Contains(got, DropSlow) {
		t.Errorf("dropped %q", got)
	}
	r.stop()
	if code := steady.end(); code != websocket.CloseServiceRestart {
		t.Errorf("who stayed was closed with %d", code)
	}
	steady.conn.Close()
	await.Until(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
	await.Until(t, "all files are closed", func() bool { return files(t) <= open })
}

func TestReason(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Drop
	}{
		{&websocket.CloseError{Code: websocket.CloseGoingAway}, ""},
		{&websocket.CloseError{Code: websocket.CloseAbnormalClosure}, ""},
		{websocket.ErrCloseSent, ""},
		{websocket.ErrReadLimit, DropError},
		{os.ErrDeadlineExceeded, DropSlow},
		{&net.OpError{Op: "write", Err: os.ErrDeadlineExceeded}, DropSlow},
		{&net.OpError{Op: "write", Err: io.ErrClosedPipe}, DropError},
	} {
		if got := reason(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
