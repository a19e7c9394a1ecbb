package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gpu_exporter/internal/hwcase"
)

// ownCase lays one of the project's own cases into a tree that may be changed.
func ownCase(t testing.TB, name string) string {
	t.Helper()
	c := hwcase.Case{Name: name, Dir: filepath.Join("testdata/cases/amd", name)}
	tree, err := c.Tree(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// cardIn is the folder of the one card of a tree.
func cardIn(t testing.TB, tree string) string {
	t.Helper()
	cards, err := filepath.Glob(filepath.Join(tree, "sys/class/drm/card[0-9]"))
	if err != nil || len(cards) != 1 {
		t.Fatalf("%s has the cards %v, want one", tree, cards)
	}
	return cards[0]
}

// addCard copies a card under another name and address, made elsewhere first and moved into place: a driver does not show
// a card in parts either.
func addCard(t testing.TB, from, to, address string) {
	t.Helper()
	made := filepath.Join(t.TempDir(), "card")
	if err := hwcase.CopyTree(from, made); err != nil {
		t.Fatal(err)
	}
	setAddress(t, made, address)
	move(t, made, to)
}

func setAddress(t testing.TB, card, address string) {
	t.Helper()
	path := filepath.Join(card, "device/uevent")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "PCI_SLOT_NAME=") {
			line = "PCI_SLOT_NAME=" + address + "\n"
		}
		lines = append(lines, line)
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
}

func move(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// quickly makes changes of the tree seen soon.
var quickly = []string{"--rescan.interval=200ms", "--polling.interval=200ms"}

func state(gpu, state string) string {
	return fmt.Sprintf("gpu_state{gpu=%q,state=%q}", gpu, state)
}

func up(gpu string) string { return fmt.Sprintf("gpu_up{gpu=%q}", gpu) }

func edge(gpu string) string {
	return fmt.Sprintf("gpu_temperature_celsius{gpu=%q,sensor=\"edge\"}", gpu)
}

// seriesOf counts the series of a family.
func seriesOf(samples hwcase.Samples, family string, contains ...string) int {
	n := 0
	for key := range samples {
		ok := strings.HasPrefix(key, family+"{")
		for _, c := range contains {
			ok = ok && strings.Contains(key, c)
		}
		if ok {
			n++
		}
	}
	return n
}

const (
	first  = "0000:03:00.0" // the card of the case `discrete`
	second = "0000:0b:00.0"
)

func TestHotPlug(t *testing.T) {
	tree := ownCase(t, "discrete")
	card := cardIn(t, tree)
	s := startServer(t, tree, quickly...)
	s.until(t, "the first card", func(m hwcase.Samples) bool { return m[state(first, "ok")] == 1 })

	addCard(t, card, filepath.Join(filepath.Dir(card), "card10"), second)
	m := s.until(t, "card10, which comes later", func(m hwcase.Samples) bool { return m[state(second, "ok")] == 1 && m[edge(second)] != 0 })
	if seriesOf(m, "gpu_info", `gpu="`+second+`"`, `index="1"`) != 1 {
		t.Errorf("the second card has not index 1: %v", m)
	}
	if m[edge(first)] != m[edge(second)] {
		t.Errorf("edge of the second card %v, want that of the first, %v", m[edge(second)], m[edge(first)])
	}

	// Unbound: its folder is gone, though files that are open go on giving their old content here.
	away := filepath.Join(t.TempDir(), "away")
	move(t, filepath.Join(filepath.Dir(card), "card10"), away)
	m = s.until(t, "the second card gone", func(m hwcase.Samples) bool { return m[state(second, "gone")] == 1 })
	if v, told := m[up(second)]; !told || v != 0 {
		t.Errorf("gpu_up of a card that is gone is %v, told %v, want 0", v, told)
	}
	if seriesOf(m, "gpu_info", second) != 1 || seriesOf(m, "gpu_temperature_celsius", second) != 0 {
		t.Errorf("a card that is gone keeps gpu_info and no reading: %v", m)
	}
	if m[state(first, "ok")] != 1 || m[edge(first)] == 0 {
		t.Errorf("the other card suffers: %v", m)
	}

	// Back under another number.
	move(t, away, filepath.Join(filepath.Dir(card), "card2"))
	m = s.until(t, "the second card back", func(m hwcase.Samples) bool { return m[state(second, "ok")] == 1 && m[edge(second)] != 0 })
	if seriesOf(m, "gpu_info", second) != 1 || seriesOf(m, "gpu_info", `gpu="`+second+`"`, `index="1"`) != 1 {
		t.Errorf("the second card is not what it was: %v", m)
	}
}

func TestDriverReloadedUnderNewSensorNumbers(t *testing.T) {
	tree := ownCase(t, "discrete")
	card := cardIn(t, tree)
	s := startServer(t, tree, quickly...)
	before := s.until(t, "the card", func(m hwcase.Samples) bool { return m[state(first, "ok")] == 1 && m[edge(first)] != 0 })

	hwmons, err := filepath.Glob(filepath.Join(card, "device/hwmon/hwmon*"))
	if err != nil || len(hwmons) != 1 {
		t.Fatalf("%v, %v: want one folder of sensors", hwmons, err)
	}
	made := filepath.Join(t.TempDir(), "hwmon")
	if err := hwcase.CopyTree(hwmons[0], made); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(made, "temp1_input"), []byte("77000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	move(t, hwmons[0], filepath.Join(t.TempDir(), "old"))
	move(t, made, filepath.Join(card, "device/hwmon/hwmon9"))

	after := s.until(t, "the new sensors", func(m hwcase.Samples) bool { return m[edge(first)] == 77 })
	if a, b := seriesOf(after, "gpu_temperature_celsius"), seriesOf(before, "gpu_temperature_celsius"); a != b {
		t.Errorf("%d temperatures after the reload, %d before: want one set of series", a, b)
	}
	if seriesOf(after, "gpu_info") != 1 {
		t.Errorf("one card has become several: %v", after)
	}
	if n := after[`gpu_exporter_worker_restarts_total{reason="driver_changed",source="sysfs"}`]; n != 1 {
		t.Errorf("driver changes counted: %v, want 1", n)
	}
}

func TestTwoCardsOnOneAddressAreOneGPU(t *testing.T) {
	tree := ownCase(t, "discrete")
	card := cardIn(t, tree)
	if err := os.WriteFile(filepath.Join(card, "device/gpu_busy_percent"), []byte("11\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	twin := filepath.Join(filepath.Dir(card), "card7")
	addCard(t, card, twin, first)
	if err := os.WriteFile(filepath.Join(twin, "device/gpu_busy_percent"), []byte("22\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := hwcase.Parse(onceProm(t, tree))
	if err != nil {
		t.Fatal(err)
	}
	if n := seriesOf(got, "gpu_info"); n != 1 {
		t.Errorf("%d GPUs, want 1", n)
	}
	if v := got[fmt.Sprintf("gpu_utilization_ratio{gpu=%q}", first)]; v != 0.11 {
		t.Errorf("load %v, want that of the lower number, 0.11", v)
	}
}

func TestCard10(t *testing.T) {
	tree := ownCase(t, "discrete")
	card := cardIn(t, tree)
	move(t, card, filepath.Join(filepath.Dir(card), "card10"))
	got, err := hwcase.Parse(onceProm(t, tree))
	if err != nil {
		t.Fatal(err)
	}
	if got[state(first, "ok")] != 1 || got[edge(first)] == 0 {
		t.Errorf("card10 is not read: %v", got)
	}
}

func TestValuesFollowTheFiles(t *testing.T) {
	tree := ownCase(t, "discrete")
	s := startServer(t, tree, "--polling.interval=0")
	load := fmt.Sprintf("gpu_utilization_ratio{gpu=%q}", first)
	for _, want := range []string{"37", "5", "99"} {
		overwrite(t, filepath.Join(cardIn(t, tree), "device/gpu_busy_percent"), want)
		if got := s.scrape(t)[load]; fmt.Sprintf("%.0f", got*100) != want {
			t.Errorf("load %v on demand, want %s percent", got, want)
		}
	}
}

func TestSimulationEndsWhenAGPUAppearsAndStandsInForNone(t *testing.T) {
	source := ownCase(t, "discrete")
	tree := t.TempDir()
	if err := os.MkdirAll(filepath.Join(tree, "sys/class/drm"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, tree, quickly...)
	m := s.until(t, "the simulation", func(m hwcase.Samples) bool { return m[state("sim:0", "ok")] == 1 && m[edge("sim:0")] > 0 })
	if seriesOf(m, "gpu_info", `source="simulation"`) != 1 {
		t.Errorf("the simulation is not told as such: %v", m)
	}
	get(t, s.url+"/", 200)
	card := filepath.Join(tree, "sys/class/drm/card1")
	move(t, cardIn(t, source), card)
	m = s.until(t, "the real card", func(m hwcase.Samples) bool { return m[state(first, "ok")] == 1 })
	if seriesOf(m, "gpu_info", "sim:") != 0 {
		t.Errorf("the simulation has not ended at once: %v", m)
	}
	move(t, card, filepath.Join(t.TempDir(), "away"))
	rescans := m[`gpu_exporter_rescans_total{result="ok"}`]
	m = s.until(t, "the card gone, and five searches after that", func(m hwcase.Samples) bool {
		return m[state(first, "gone")] == 1 && m[`gpu_exporter_rescans_total{result="ok"}`] > rescans+5
	})
	if seriesOf(m, "gpu_info", "sim:") != 0 {
		t.Errorf("a simulated GPU stands in for one that was lost: %v", m)
	}
}
