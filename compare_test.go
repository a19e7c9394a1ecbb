//go:build compare

package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gpu_exporter/internal/hwcase"
)

// What a scrape and a poll should cost. The run fails only beyond twice the aim: machines are busy.
const (
	aimScrapeRatio   = 1.0 / 6 // CPU of a scrape, to that of node_exporter's drm and hwmon collectors
	aimResidentBytes = 20e6    // with eight cards
	tolerance        = 2
)

const turns = 5

// cards makes a tree of n cards of the case rx7800xt, with the links that node_exporter's hwmon collector wants.
func cards(t *testing.T, n int) string {
	t.Helper()
	tree := t.TempDir()
	from := "../shared/fixtures/amd/rx7800xt/sys/class/drm/card1"
	for i := range n {
		card := filepath.Join(tree, fmt.Sprintf("sys/class/drm/card%d", i))
		if err := hwcase.CopyTree(from, card); err != nil {
			t.Fatal(err)
		}
		setAddress(t, card, fmt.Sprintf("0000:%02x:00.0", 3+i))
		hwmon := filepath.Join(card, "device/hwmon")
		move(t, filepath.Join(hwmon, "hwmon4"), filepath.Join(hwmon, "renamed"))
		move(t, filepath.Join(hwmon, "renamed"), filepath.Join(hwmon, fmt.Sprintf("hwmon%d", i)))
		class := filepath.Join(tree, "sys/class/hwmon")
		if err := os.MkdirAll(class, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(fmt.Sprintf("../drm/card%d/device/hwmon/hwmon%d", i, i), filepath.Join(class, fmt.Sprintf("hwmon%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// cpu is the time that a process has had of the processors. The kernel counts it exactly, and tells it in ticks.
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const utime, stime, tick = 11, 12, 10 * time.Millisecond // proc(5), counted from behind the name
	var sum int64
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return time.Duration(sum) * tick
}

// resident is the memory of a process that is in RAM, and the part of it that is not its file.
func resident(t *testing.T, pid int) (all, anonymous float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	find := func(key string) float64 {
		_, rest, _ := strings.Cut(string(text), key+":")
		n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		return n * 1024
	}
	return find("VmRSS"), find("RssAnon")
}

// scrapes scrapes as Prometheus does, compressed and over one connection, and counts the series of the last answer.
func scrapes(t *testing.T, url string, n int) (series int) {
	t.Helper()
	for range n {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "5")
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := gzip.NewReader(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		series = 0
		for line := range strings.Lines(string(body)) {
			if !strings.HasPrefix(line, "#") {
				series++
			}
		}
	}
	return series
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// scraped is an exporter that is measured.
type scraped struct {
	url          string
	pid          int
	series       int       // of the last answer
	milliseconds []float64 // of CPU for one scrape, by turn
}

// nodeExporter runs node_exporter as its documentation says for drm and hwmon alone.
func nodeExporter(t *testing.T, tree string, flags ...string) *scraped {
	t.Helper()
	address := freeAddress(t)
	s := &scraped{url: "http://" + address + "/metrics"}
	s.pid = startTool(t, "node_exporter", append(flags, "--collector.disable-defaults", "--collector.drm", "--collector.hwmon",
		"--path.sysfs="+filepath.Join(tree, "sys"), "--web.listen-address="+address)...)
	awaitOK(t, s.url)
	return s
}

func (s *scraped) measure(t *testing.T, n int) {
	t.Helper()
	before := cpu(t, s.pid)
	s.series = scrapes(t, s.url, n)
	s.milliseconds = append(s.milliseconds, (cpu(t, s.pid)-before).Seconds()*1e3/float64(n))
}

// ratio compares turn by turn, since a machine that is busy is so for all of a turn.
func (s *scraped) ratio(to *scraped) float64 {
	var list []float64
	for i, ms := range s.milliseconds {
		list = append(list, ms/to.milliseconds[i])
	}
	return median(list)
}

func TestCompareScrapesWithNodeExporter(t *testing.T) {
	for _, c := range []struct{ cards, scrapes int }{{1, 1000}, {8, 250}} {
		tree := cards(t, c.cards)
		s := startServer(t, tree, "--polling.interval=0")
		ours := &scraped{url: s.url + "/metrics", pid: s.pid}
		theirs := nodeExporter(t, tree) // with its metrics of itself, as ours has them
		bare := nodeExporter(t, tree, "--web.disable-exporter-metrics")
		for range turns {
			for _, s := range []*scraped{ours, theirs, bare} {
				s.measure(t, c.scrapes)
			}
		}
		ratio, strict := ours.ratio(theirs), ours.ratio(bare)
		t.Logf("%d card(s), CPU of a scrape on demand: %.3f ms for %d series, node_exporter %.3f ms for %d series: ratio %.3f (aim %.3f); "+
			"without metrics of its own %.3f ms for %d series: ratio %.3f",
			c.cards, median(ours.milliseconds), ours.series, median(theirs.milliseconds), theirs.series, ratio, aimScrapeRatio,
			median(bare.milliseconds), bare.series, strict)
		if ratio > tolerance*aimScrapeRatio {
			t.Errorf("%d card(s): ratio %.3f is beyond %v times the aim of %.3f", c.cards, ratio, tolerance, aimScrapeRatio)
		}
	}
}

func TestCompareMemoryAndPolling(t *testing.T) {
	s := startServer(t, cards(t, 8))
	scrapes(t, s.url+"/metrics", 200)
	const watched = 10 * time.Second
	before, begin := cpu(t, s.pid), time.Now()
	<-time.After(watched) // what is measured is what it costs to be left alone
	used := cpu(t, s.pid) - before
	all, anonymous := resident(t, s.pid)
	t.Logf("eight cards: %.1f MB resident (aim %.0f MB), %.1f MB of it not the program file; polling each second: %.2f ms CPU a second",
		all/1e6, aimResidentBytes/1e6, anonymous/1e6, used.Seconds()*1e3/time.Since(begin).Seconds())
	if all > tolerance*aimResidentBytes {
		t.Errorf("%.1f MB resident is beyond %v times the aim", all/1e6, tolerance)
	}
}
