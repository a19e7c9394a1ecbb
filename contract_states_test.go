//go:build linux

package main

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gpu_exporter/internal/await"
	"gpu_exporter/internal/hwcase"
)

// warm is a card whose readings can be set: temperature, in millidegrees, and power, in microwatts.
type warm struct {
	*subject
	hwmon string
}

func newWarm(t *testing.T) warm {
	t.Helper()
	tree := ownCase(t, "discrete")
	w := warm{hwmon: filepath.Join(cardIn(t, tree), "device/hwmon/hwmon4")}
	write(t, filepath.Join(w.hwmon, "temp1_input"), "45000     \n") // room for longer numbers
	w.subject = own(t, &setting{tell: rx7900xtx}, tree, quickly...)
	w.until(t, "the card", is(first, "ok"))
	return w
}

// shows sets a file and waits until /gpu/stats has a reading of that; it returns a value of it.
func (w warm) shows(t *testing.T, file, text, key string) (value, body string) {
	t.Helper()
	overwrite(t, filepath.Join(w.hwmon, file), text)
	last, newer := float64(time.Now().UnixMicro())/1e6, 0
	// The cycle that runs may have read the file before; the one that begins after it has not.
	await.Until(t, "a reading of "+text, func() bool {
		body = w.get(t, "/gpu/stats")
		if at := numberAt(t, body, "timestamp"); at > last {
			last = at
			newer++
		}
		return newer == 2
	})
	return tokenAt(t, body, key), body
}

func rounding(t *testing.T, _ *subject) {
	w := newWarm(t)
	for _, c := range []struct{ file, text, key, want string }{
		{"power1_average", "12250000", "power_usage", "12.3"}, {"power1_average", "12350000", "power_usage", "12.4"},
		{"power1_average", "40000", "power_usage", "0.0"}, {"power1_average", "50000", "power_usage", "0.1"},
		{"power1_average", "212000000", "power_usage", "212.0"}, {"temp1_input", "53300", "temperature", "53.3"},
		{"temp1_input", "-40", "temperature", "0.0"},
	} {
		if got, _ := w.shows(t, c.file, c.text, c.key); got != c.want {
			t.Errorf("%s of %s: %s is %s, want %s", c.text, c.file, c.key, got, c.want)
		}
	}
}

func statusAt85(t *testing.T, _ *subject) {
	w := newWarm(t)
	for _, c := range []struct{ text, want string }{
		{"84000", `"healthy"`}, {"84900", `"healthy"`}, {"85000", `"warning"`}, {"85100", `"warning"`}, {"109000", `"warning"`},
		{"45000", `"healthy"`},
	} {
		if got, body := w.shows(t, "temp1_input", c.text, "status"); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, body, c.want)
		}
	}
}

// asleepAfter is a card that was awake before: its memory is still known.
func asleepAfter(t *testing.T, _ *subject) {
	tree := ownCase(t, "discrete")
	status := filepath.Join(cardIn(t, tree), "device/power/runtime_status")
	write(t, status, "active    \n") // room for the longer word
	w := &setting{tell: rx7900xtx}
	s := own(t, w, tree, quickly...)
	s.until(t, "the card awake", func(m hwcase.Samples) bool { return m[edge(first)] != 0 })
	overwrite(t, status, "suspended\n")
	s.until(t, "the card asleep", is(first, "asleep"))
	w.tell = rx7600s
	w.tell.name, w.tell.memoryTotal = rx7900xtx.name, rx7900xtx.memoryTotal
	s.exchange(t, at("/gpu/stats", 200, bodyOf("/gpu/stats")))
	isNow("/gpu/stats", "timestamp")(t, s)
	if got := tokenAt(t, gpuIn(t, s.get(t, "/gpus"), first), "state"); got != `"asleep"` {
		t.Errorf("/gpus tells the state %s", got)
	}
}

// comesAndGoes is a server whose only card can be taken away.
type comesAndGoes struct {
	*subject
	card, away string
}

func newComesAndGoes(t *testing.T, flags ...string) comesAndGoes {
	t.Helper()
	tree := ownCase(t, "discrete")
	c := comesAndGoes{
		subject: own(t, &setting{tell: rx7900xtx}, tree, slices.Concat(quickly, flags)...),
		card:    cardIn(t, tree), away: filepath.Join(t.TempDir(), "away"),
	}
	c.until(t, "the card", func(m hwcase.Samples) bool { return m[edge(first)] != 0 })
	return c
}

func (c comesAndGoes) goes(t *testing.T) {
	t.Helper()
	move(t, c.card, c.away)
	c.until(t, "the card gone", is(first, "gone"))
}

func (c comesAndGoes) comes(t *testing.T) {
	t.Helper()
	move(t, c.away, c.card)
	c.until(t, "the card back", func(m hwcase.Samples) bool { return is(first, "ok")(m) && m[edge(first)] != 0 })
}

func lostIs503(t *testing.T, s *subject) {
	for _, route := range []string{"/gpu/stats", "/gpu/temperature", "/gpu/memory", "/gpu/utilization"} {
		s.exchange(t, exchange{"GET", route, []string{"Origin", "null"}, 503, unavailable,
			[]string{acaOrigin, "*", "Content-Type", "application/json"}})
	}
}

func goneIs503(t *testing.T, _ *subject) {
	c := newComesAndGoes(t)
	c.goes(t)
	lostIs503(t, c.subject)
	for _, name := range []string{"0", first} {
		c.exchange(t, at("/gpu/stats?gpu="+name, 503, unavailable))
	}
	c.exchange(t, at("/health", 200, "*"))
	c.exchange(t, at("/gpu/info", 200, "*"))
	c.comes(t)
	c.exchange(t, at("/gpu/stats", 200, bodyOf("/gpu/stats")))
}

// namedGPU checks every route that takes gpu=. name is what one GPU says of itself in /gpu/stats.
func namedGPU(t *testing.T, s *subject, query, name string) {
	t.Helper()
	for _, route := range []string{"/gpu/info", "/gpu/stats", "/gpu/history", "/gpu/temperature", "/gpu/memory", "/gpu/utilization"} {
		if name == "" {
			s.exchange(t, at(route+query, 404, noSuchGPU, "Content-Type", "application/json"))
			continue
		}
		body := s.get(t, route+query)
		switch route {
		case "/gpu/info":
			if got := tokenAt(t, body, "gpu_info", "name"); got != name {
				t.Errorf("%s%s: %s, want %s", route, query, got, name)
			}
		case "/gpu/stats":
			if got := tokenAt(t, body, "name"); got != name {
				t.Errorf("%s%s: %s, want %s", route, query, got, name)
			}
		case "/gpu/utilization":
			want := map[string]string{rx7900xtx.name: rx7900xtx.utilization, apuName: "81.2"}[name]
			if got := tokenAt(t, body, "utilization"); got != want {
				t.Errorf("%s%s: %s, want %s", route, query, got, want)
			}
		}
	}
	s.namedSocket(t, "/ws/gpu-stats"+query, name)
}

const apuName = `"AMD Custom GPU 0405"`

func byName(t *testing.T, s *subject) {
	for query, name := range map[string]string{
		"?gpu=" + second: rx7900xtx.name, "?gpu=0000:0B:00.0": rx7900xtx.name, "?gpu=0000%3A04%3A00.0": apuName,
		"?gpu=0x1f2e3d4c5b6a7988": rx7900xtx.name, "?gpu=0X1F2E3D4C5B6A7988": rx7900xtx.name,
		"?gpu=1": rx7900xtx.name, "?gpu=0": apuName,
	} {
		namedGPU(t, s, query, name)
	}
}

func byWrongName(t *testing.T, s *subject) {
	for _, query := range []string{"?gpu=2", "?gpu=-1", "?gpu=00", "?gpu=x", "?gpu=0000:0b:00", "?gpu=%20"} {
		namedGPU(t, s, query, "")
	}
}

func byLastName(t *testing.T, s *subject) {
	for query, name := range map[string]string{
		"?gpu=1&gpu=0": apuName, "?gpu=x&gpu=0": apuName, "?gpu=0&gpu=x": "", "?gpu=0&gpu=": rx7900xtx.name,
	} {
		namedGPU(t, s, query, name)
	}
}

// The default GPU stays what it is while it sleeps, is lost, and while others come.
func defaultStays(t *testing.T, _ *subject) {
	tree := twoGPUs(t)
	card := filepath.Join(tree, "sys/class/drm/card1")
	status := filepath.Join(card, "device/power/runtime_status")
	write(t, status, "active    \n")
	s := own(t, &setting{gpu: second, tell: withDriver(rx7900xtx)}, tree, quickly...)
	s.until(t, "both", func(m hwcase.Samples) bool { return is(apu, "ok")(m) && is(second, "ok")(m) })
	shows := func(when, key, want string) {
		t.Helper()
		if got := tokenAt(t, s.get(t, "/gpu/stats"), key); got != want {
			t.Errorf("%s: %s is %s, want %s", when, key, got, want)
		}
	}
	shows("at first", "name", rx7900xtx.name)

	third := ownCase(t, "discrete")
	write(t, filepath.Join(cardIn(t, third), "device/gpu_busy_percent"), "11\n")
	addCard(t, cardIn(t, third), filepath.Join(tree, "sys/class/drm/card2"), first) // before the others by its address
	s.until(t, "the third", is(first, "ok"))
	shows("when another has come", "utilization", rx7900xtx.utilization)

	overwrite(t, status, "suspended\n")
	s.until(t, "the default one asleep", is(second, "asleep"))
	shows("asleep", "utilization", "0.0")
	overwrite(t, status, "active")
	s.until(t, "the default one awake", is(second, "ok"))

	move(t, card, filepath.Join(t.TempDir(), "away"))
	s.until(t, "the default one gone", is(second, "gone"))
	s.exchange(t, at("/gpu/stats", 503, unavailable))
}

func defaultForgotten(t *testing.T, _ *subject) {
	tree := twoGPUs(t)
	s := own(t, &setting{tell: withDriver(rx7900xtx)}, tree, append(slices.Clone(quickly), "--forget-after=1s")...)
	s.until(t, "both", func(m hwcase.Samples) bool { return is(apu, "ok")(m) && is(second, "ok")(m) })
	move(t, filepath.Join(tree, "sys/class/drm/card1"), filepath.Join(t.TempDir(), "away"))
	s.until(t, "the default one forgotten", func(m hwcase.Samples) bool { return seriesOf(m, "gpu_info", second) == 0 })
	if got := tokenAt(t, s.get(t, "/gpu/stats"), "name"); got != apuName {
		t.Errorf("the default GPU is forgotten: %s", got)
	}
}

func defaultIsReal(t *testing.T, _ *subject) {
	source, tree := ownCase(t, "discrete"), emptyTree(t)
	s := own(t, &setting{}, tree, quickly...)
	s.until(t, "the simulation", is("sim:0", "ok"))
	if got := tokenAt(t, s.get(t, "/gpu/stats"), "monitoring_method"); got != `"simulation"` {
		t.Errorf("before: %s", got)
	}
	move(t, cardIn(t, source), filepath.Join(tree, "sys/class/drm/card1"))
	s.until(t, "the card", func(m hwcase.Samples) bool { return is(first, "ok")(m) && m[edge(first)] != 0 })
	if got := tokenAt(t, s.get(t, "/gpu/stats"), "name"); got != rx7900xtx.name {
		t.Errorf("after: %s", got)
	}
}

// restIsUntouched: a GPU that does not answer for a minute holds nobody up who asks whether the service lives.
func restIsUntouched(t *testing.T, _ *subject) {
	s := own(t, &setting{}, unknownCard(t), "--polling.deadline=1m")
	for range 3 {
		s.exchange(t, at("/health", 200, "*"))
	}
	s.exchange(t, at("/-/ready", 503, "*")) // the proof that it hangs still
}
