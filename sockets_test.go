//go:build sockets

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

const (
	frameEvery = time.Second        // --polling.interval
	mostAge    = frameEvery * 3 / 2 // p99 of the age of frames stays below
	watched    = 35                 // frames of each client are measured
	longest    = 4 * time.Minute    // that may take on a machine that is too busy
)

// crowd is many WebSocket clients, all in this process; the server is another one.
type crowd struct {
	t      *testing.T
	url    string
	dialer websocket.Dialer

	bytes    atomic.Int64 // that have come over all connections, above TCP
	watching atomic.Bool  // what comes now is measured
	enough   sync.WaitGroup
	readers  sync.WaitGroup

	mu      sync.Mutex // guards all below
	conns   []*websocket.Conn
	ages    []time.Duration // of the frames that were measured, of clients that have left
	leaving bool            // connections end of our own will
	cutOff  []error         // how those of clients that read ended before
}

// countedConn counts what comes over a connection.
type countedConn struct {
	*net.TCPConn
	bytes *atomic.Int64
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func newCrowd(t *testing.T, s *server, path string) *crowd {
	c := &crowd{t: t, url: strings.Replace(s.url, "http", "ws", 1) + path}
	c.dialer = websocket.Dialer{
		EnableCompression: true, // as browsers offer it
		ReadBufferSize:    1 << 10,
		WriteBufferPool:   &sync.Pool{},
		HandshakeTimeout:  await.Patience,
		NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return countedConn{conn.(*net.TCPConn), &c.bytes}, nil
		},
	}
	t.Cleanup(func() { c.leave() })
	return c
}

// join is one more client that has shaken hands.
func (c *crowd) join() (*websocket.Conn, error) {
	conn, _, err := c.dialer.Dial(c.url, nil)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return conn, nil
}

// connect adds clients that read all the time, a few of them at once.
func (c *crowd) connect(n int) {
	c.t.Helper()
	c.enough.Add(n)
	places := make(chan struct{}, 50)
	var handshakes sync.WaitGroup
	for range n {
		places <- struct{}{}
		handshakes.Go(func() {
			defer func() { <-places }()
			conn, err := c.join()
			if err != nil {
				c.ended(err)
				c.enough.Done()
				return
			}
			c.readers.Go(func() { c.read(conn) })
		})
	}
	handshakes.Wait()
}

// connectDeaf adds clients that never read a byte after the handshake.
func (c *crowd) connectDeaf(n int) {
	c.t.Helper()
	for range n {
		conn, err := c.join()
		if err == nil {
			err = conn.NetConn().(countedConn).SetReadBuffer(4 << 10)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// read notes how old frames are, and answers pings.
func (c *crowd) read(conn *websocket.Conn) {
	var ages []time.Duration
	defer func() {
		if len(ages) < watched {
			c.enough.Done() // there will be no more
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ages = append(c.ages, ages...)
	}()
	for {
		_, text, err := conn.ReadMessage()
		arrived := time.Now()
		if err != nil {
			c.ended(err)
			return
		}
		if !c.watching.Load() || len(ages) == watched {
			continue
		}
		made, err := timestamp(text)
		if err != nil {
			c.t.Error(err)
			return
		}
		if ages = append(ages, arrived.Sub(made)); len(ages) == watched {
			c.enough.Done()
		}
	}
}

// ended notes a client that reads and yet was cut off, or not taken.
func (c *crowd) ended(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.leaving {
		c.cutOff = append(c.cutOff, err)
	}
}

// timestamp is the first one of a frame: of the reading in /ws/gpu-stats, of the frame itself in /ws/gpus. A decoder of
// JSON would need more time than the server does.
func timestamp(frame []byte) (time.Time, error) {
	_, rest, _ := bytes.Cut(frame, []byte(`"timestamp":`))
	number, _, _ := bytes.Cut(rest, []byte(","))
	seconds, err := strconv.ParseFloat(string(number), 64)
	return time.UnixMicro(int64(seconds * 1e6)), err
}

// watch waits until each client that reads has had enough frames, and is how many bytes came to all meanwhile.
func (c *crowd) watch() int64 {
	c.t.Helper()
	before := c.bytes.Load()
	c.watching.Store(true)
	done := make(chan struct{})
	go func() {
		c.enough.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(longest):
		c.t.Fatalf("not all clients had %d frames within %v", watched, longest)
	}
	return c.bytes.Load() - before
}

// leave ends all connections, and is how old frames were, the youngest first.
func (c *crowd) leave() []time.Duration {
	c.mu.Lock()
	c.leaving = true
	for _, conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.readers.Wait()
	slices.Sort(c.ages)
	return c.ages
}

// roomFor skips a test of so many clients where this process or the server may not have so many descriptors.
func roomFor(t *testing.T, clients int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// Programs in Go raise their own soft limit to the hard one when they start.
	if need := uint64(clients + 200); limit.Max < need {
		t.Skipf("%d clients want %d descriptors, the hard limit is %d", clients, need, limit.Max)
	}
}

func startForSockets(t *testing.T, clients int) (s *server, before hwcase.Samples) {
	t.Helper()
	roomFor(t, clients)
	s = startServer(t, ownCase(t, "discrete"), fmt.Sprintf("--polling.interval=%v", frameEvery), "--web.runtime-metrics",
		fmt.Sprintf("--web.max-websockets=%d", clients), fmt.Sprintf("--web.max-connections=%d", clients*6/5))
	return s, s.until(t, "the card", func(m hwcase.Samples) bool { return m[up(first)] == 1 })
}

// untilLeft waits until nothing is left of the clients.
func (s *server) untilLeft(t *testing.T, before hwcase.Samples) hwcase.Samples {
	t.Helper()
	const goroutines, files = "go_goroutines", "process_open_fds"
	return s.untilUnhurried(t, "all as it was before the clients came", func(m hwcase.Samples) bool {
		return m[webSocketClients] == 0 && m[goroutines] <= before[goroutines]+inACycle && m[files] <= before[files]
	})
}

func (s *server) untilUnhurried(t *testing.T, what string, holds func(hwcase.Samples) bool) (last hwcase.Samples) {
	t.Helper()
	await.Until(t, what, func() bool {
		last = s.unhurried(t)
		return holds(last)
	}, func() string { return fmt.Sprint("last scrape: ", last) }, s.logged)
	return last
}

// unhurried is a scrape that may last: ten thousand clients leave little of a machine that is busy anyway.
func (s *server) unhurried(t *testing.T) hwcase.Samples {
	t.Helper()
	samples, err := hwcase.Parse(get(t, s.url+"/metrics", http.StatusOK))
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

func droppedFor(reason string) string {
	return fmt.Sprintf("gpu_exporter_websocket_dropped_total{reason=%q}", reason)
}

// heldIn is what a server has of the machine.
func heldIn(m hwcase.Samples) string {
	const mb = 1e6
	return fmt.Sprintf("%.1f MB resident (heap %.1f, stacks %.1f), %v goroutines, %v descriptors",
		m["process_resident_memory_bytes"]/mb, m["go_memstats_heap_inuse_bytes"]/mb, m["go_memstats_stack_inuse_bytes"]/mb,
		m["go_goroutines"], m["process_open_fds"])
}

// measureCrowd serves that many clients, of which some never read, and tells all about it. What it returns may be bad on a
// machine that is too busy: the p99 of the age of frames, and how many clients were cut off although they read.
func measureCrowd(t *testing.T, path string, readers, deaf int) (p99 time.Duration, cutOff int) {
	t.Helper()
	s, before := startForSockets(t, readers+deaf)
	defer s.end()
	c := newCrowd(t, s, path)
	opened := time.Now()
	c.connectDeaf(deaf)
	c.connect(readers)
	connected := time.Since(opened)
	full := isFull(t, s, path)

	start, begin := s.unhurried(t), time.Now()
	came := float64(c.watch())
	seconds := time.Since(begin).Seconds()
	during := s.unhurried(t)
	rate := func(key string) float64 { return (during[key] - start[key]) / seconds }

	m := during
	if deaf > 0 {
		m = s.untilUnhurried(t, "the end of those who never read", func(m hwcase.Samples) bool {
			return m[droppedFor("slow")] >= float64(deaf) && m[webSocketClients] <= float64(readers)
		})
	}
	dropped := fmt.Sprintf("%v as slow and %v by an error, seen %.1f s after the first came",
		m[droppedFor("slow")], m[droppedFor("error")], time.Since(opened).Seconds())
	c.mu.Lock()
	lost := c.cutOff
	c.mu.Unlock()
	if len(lost) == 0 && (!full || m[droppedFor("slow")] != float64(deaf) || m[droppedFor("error")] != 0) {
		t.Errorf("one too many was refused: %v; dropped: %s; want %d as slow", full, dropped, deaf)
	}
	ages := c.leave()
	after := s.untilLeft(t, before)
	if len(ages) == 0 {
		t.Fatal("no frame came")
	}
	age := func(share float64) time.Duration {
		return ages[int(share*float64(len(ages)-1))].Round(100 * time.Microsecond)
	}
	t.Logf("%d clients of %s, %d of which never read: all connected in %.2f s, then measured for %.1f s\n"+
		"age of %d frames: p50 %v, p99 %v, worst %v (an interval is %v)\n"+
		"CPU of the server: %.1f ms/s, %.1f %% of a core; %.0f allocations/s of %.0f kB/s\n"+
		"to each client that reads: %.0f bytes/s, above TCP\n"+
		"before: %s\nduring: %s\nafter:  %s\n"+
		"one too many was refused: %v; dropped: %s; cut off although they read: %d %v",
		readers+deaf, path, deaf, connected.Seconds(), seconds,
		len(ages), age(0.5), age(0.99), age(1), frameEvery,
		rate("process_cpu_seconds_total")*1e3, rate("process_cpu_seconds_total")*1e2,
		rate("go_memstats_mallocs_total"), rate("go_memstats_alloc_bytes_total")/1e3,
		came/seconds/float64(readers), heldIn(before), heldIn(during), heldIn(after),
		full, dropped, len(lost), lost[:min(3, len(lost))])
	return age(0.99), len(lost)
}

// isFull says whether one more client is refused as it should be.
func isFull(t *testing.T, s *server, path string) bool {
	t.Helper()
	c, answer, err := websocket.DefaultDialer.Dial(strings.Replace(s.url, "http", "ws", 1)+path, nil)
	if err == nil {
		c.Close()
		return false
	}
	if answer == nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode == http.StatusServiceUnavailable && string(body) == `{"detail":"Too many WebSocket clients"}`
}

func TestSocketsThousand(t *testing.T) {
	for _, path := range []string{"/ws/gpu-stats", "/ws/gpus"} {
		t.Run(path, func(t *testing.T) {
			p99, cutOff := measureCrowd(t, path, 990, 10)
			if p99 >= mostAge || cutOff > 0 {
				t.Logf("p99 %v, %d cut off: once more, since the machine may have been busy", p99, cutOff)
				p99, cutOff = measureCrowd(t, path, 990, 10)
			}
			if p99 >= mostAge || cutOff > 0 {
				t.Errorf("p99 of the age of frames %v, %d clients cut off; want less than %v, and none", p99, cutOff, mostAge)
			}
		})
	}
}

// Ten thousand are more than two busy cores may bear: what becomes of them is reported, and that all of it ends.
func TestSocketsTenThousand(t *testing.T) {
	measureCrowd(t, "/ws/gpu-stats", 10_000, 0)
}

// A client whose system still takes what is sent, but that answers no ping, is given up 40 s after its last sign of life.
func TestSocketsHalfOpen(t *testing.T) {
	const clients, life = 100, 40 * time.Second
	s, before := startForSockets(t, clients+1)
	good := newCrowd(t, s, "/ws/gpu-stats")
	good.connect(1)
	mute := newCrowd(t, s, "/ws/gpu-stats")
	for range clients {
		begin := time.Now()
		conn, err := mute.join()
		if err != nil {
			t.Fatal(err)
		}
		conn.SetPingHandler(func(string) error { return nil })
		if err := conn.SetReadDeadline(begin.Add(life + await.Patience)); err != nil {
			t.Fatal(err)
		}
		mute.readers.Go(func() {
			var err error
			for err == nil {
				_, _, err = conn.ReadMessage()
			}
			if lasted := time.Since(begin); lasted < life || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a client that answers no ping ended after %v by %v", lasted, err)
			}
		})
	}
	mute.readers.Wait()
	s.until(t, "their end", func(m hwcase.Samples) bool {
		return m[webSocketClients] == 1 && m[droppedFor("slow")] == clients
	})
	good.leave()
	mute.leave()
	t.Logf("%d clients that answer no ping: before %s; after %s", clients, heldIn(before), heldIn(s.untilLeft(t, before)))
}
