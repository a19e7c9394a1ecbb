package compat

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// counted is a connection to nowhere whose writes are counted, behind a handshake. Its client says nothing.
type counted struct {
	net.Conn // the near end of a pipe, to be read
	in       io.Reader
	writes   *atomic.Int64
	bytes    *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	if n, err := c.in.Read(p); err == nil {
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *counted) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	c.writes.Add(1)
	return len(p), nil
}

// SetWriteDeadline costs allocations on a pipe, but none on a socket.
func (c *counted) SetWriteDeadline(time.Time) error { return nil }

// One round of frames to 1,000 clients, from the reading to the last write; the kernel's part of the writes is missing.
func BenchmarkBroadcast(b *testing.B) {
	const clients = 1000
	for _, path := range []string{"/ws/gpu-stats", "/ws/gpus"} {
		for _, extension := range []string{"", "Sec-WebSocket-Extensions: permessage-deflate\r\n"} {
			b.Run(fmt.Sprintf("%s/deflate=%t", path[4:], extension != ""), func(b *testing.B) {
				var writes, size atomic.Int64
				source := &fakeSource{latest: snapshot(rx7800xt())}
				h := NewHub(HubOptions{
					Source: source, Interval: time.Hour, MaxClients: clients, Stats: fakeStats,
					GPUs: func(dst []byte, s *collector.Snapshot, now time.Time) []byte { return AppendGPUs(dst, s, "1", now) },
				})
				mux := http.NewServeMux()
				for _, route := range h.Routes() {
					mux.Handle(route.Pattern, route.Handler)
				}
				p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				server := &http.Server{Handler: mux}
				go func() { _ = server.Serve(p) }()
				handshake := "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + extension +
					"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
				for range clients {
					near, far := net.Pipe()
					defer far.Close()
					p.conns <- &counted{Conn: near, in: bytes.NewReader([]byte(handshake)), writes: &writes, bytes: &size}
				}
				for writes.Load() < 2*clients { // the answer to the handshake and the first frame
					time.Sleep(time.Millisecond)
				}
				runtime.GC()
				var memory runtime.MemStats
				runtime.ReadMemStats(&memory)
				writes.Store(0)
				size.Store(0)
				b.ReportAllocs()
				rounds := int64(0)
				for b.Loop() {
					rounds++
					h.round(h.newBatch(source.Latest()))
					for writes.Load() < rounds*clients {
						time.Sleep(10 * time.Microsecond)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rounds*clients), "ns/client")
				b.ReportMetric(float64(memory.HeapAlloc+memory.StackInuse)/clients, "B-resident/client") // program and pipes too
				b.ReportMetric(float64(size.Load())/float64(rounds*clients), "B/frame")
				b.StopTimer()
				h.Shutdown(b.Context())
				server.Close()
			})
		}
	}
}
