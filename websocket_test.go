package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// socket connects to a running exporter.
func socket(t *testing.T, s *server, path string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(strings.Replace(s.url, "http", "ws", 1)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// frame reads the next frame.
func frame(t *testing.T, c *websocket.Conn) (kind string, data json.RawMessage) {
	t.Helper()
	var f struct {
		Type string
		Data json.RawMessage
	}
	if err := c.ReadJSON(&f); err != nil {
		t.Fatal(err)
	}
	return f.Type, f.Data
}

func TestWebSocketsOfTheRealBinary(t *testing.T) {
	s := startServer(t, ownCase(t, "discrete"), "--polling.interval=200ms", "--web.max-websockets=3")
	s.until(t, "the card", func(m hwcase.Samples) bool { return m[edge(first)] != 0 })

	stats := socket(t, s, "/ws/gpu-stats")
	for range 3 {
		kind, data := frame(t, stats)
		var v struct {
			Name        string
			Temperature float64
			Method      string `json:"monitoring_method"`
		}
		if err := json.Unmarshal(data, &v); err != nil || kind != "gpu_stats" || v.Temperature != 45 || v.Method != "sysfs" {
			t.Errorf("%s %s, %v", kind, data, err)
		}
		if !strings.HasPrefix(string(data), `{"name":"AMD Radeon RX 7900 XTX","temperature":45.0,"utilization":63.0,`) {
			t.Errorf("keys, order or numbers: %s", data)
		}
	}
	gpus := socket(t, s, "/ws/gpus")
	if kind, data := frame(t, gpus); kind != "gpus" || !strings.Contains(string(data), `"gpu":"`+first+`"`) {
		t.Errorf("%s %s", kind, data)
	}
	socket(t, s, "/ws/gpu-stats?gpu=0")
	const clients, dropped = "gpu_exporter_websocket_clients", `gpu_exporter_websocket_dropped_total{reason="limit"}`
	s.until(t, "three clients", func(m hwcase.Samples) bool { return m[clients] == 3 })

	for path, want := range map[string]struct {
		code int
		body string
	}{
		"/ws/gpu-stats":       {503, `{"detail":"Too many WebSocket clients"}`},
		"/ws/gpu-stats?gpu=9": {404, `{"detail":"GPU not found"}`},
		"/ws/gpu-stats/":      {307, ""},
		"/ws/nothing":         {404, `{"detail":"Not Found"}`},
	} {
		_, answer, err := websocket.DefaultDialer.Dial(strings.Replace(s.url, "http", "ws", 1)+path, http.Header{"Origin": {"null"}})
		if err == nil {
			t.Fatalf("%s was served", path)
		}
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != want.code || string(body) != want.body {
			t.Errorf("%s: %d %s, want %d %s", path, answer.StatusCode, body, want.code, want.body)
		}
	}
	if v := s.scrape(t)[dropped]; v != 1 {
		t.Errorf("%s is %v, want 1", dropped, v)
	}

	s.end()
	for {
		if _, _, err := gpus.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
				t.Errorf("at the end: %v, want 1012", err)
			}
			break
		}
	}
}
