//go:build history

package main

import (
	"encoding/csv"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Whoever is killed at any instant has lost no more than was recorded since the write before, at the shortest interval that
// the flag takes. The tests of compat do the same fifty times as fast.
func TestHistoryOfTheKilled(t *testing.T) {
	const (
		kills = 200
		flush = time.Second
		// What a write and a busy machine may add.
		late = 500 * time.Millisecond
	)
	var mu sync.Mutex
	var worst time.Duration // the age of the oldest entry that was lost
	recorded, lost := 0, 0
	t.Run("lives", func(t *testing.T) {
		for range kills {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				folder := t.TempDir()
				s := startServer(t, t.TempDir(), "--history.path="+folder, "--history.flush="+flush.String(), "--polling.interval=200ms")
				<-time.After(1500*time.Millisecond + rand.N(3*time.Second)) // the instant is the matter of this test
				told := toldPast(t, s)
				at := time.Now()
				s.kill()
				kept := keptPast(t, folder)
				mu.Lock()
				defer mu.Unlock()
				recorded += len(told)
				for _, entry := range told {
					if !kept[entry] {
						lost++
						worst = max(worst, at.Sub(time.UnixMilli(entry)))
					}
				}
			})
		}
	})
	t.Logf("%d kills at --history.flush=%v: %d entries recorded, %d lost, the oldest of these %.2f s before the kill",
		kills, flush, recorded, lost, worst.Seconds())
	if worst > flush+late {
		t.Errorf("an entry was lost that was recorded %v before the kill", worst)
	}
	if lost == 0 || lost == recorded {
		t.Errorf("%d of %d entries lost: this test proves nothing", lost, recorded)
	}
}

// kill ends the server as the kernel does that has no memory left.
func (s *server) kill() {
	s.killed = true
	_ = s.process.Kill()
	s.end()
}

// toldPast are the entries that a server tells of, by their times in Unix milliseconds.
func toldPast(t *testing.T, s *server) (entries []int64) {
	t.Helper()
	var past struct {
		History []struct{ Timestamp json.Number }
	}
	if err := json.Unmarshal([]byte(get(t, s.url+"/gpu/history", http.StatusOK)), &past); err != nil {
		t.Fatal(err)
	}
	for _, e := range past.History {
		entries = append(entries, milliseconds(t, e.Timestamp.String()))
	}
	return entries
}

// keptPast are those in the file.
func keptPast(t *testing.T, folder string) map[int64]bool {
	t.Helper()
	out, err := exec.Command(realBinary(t), "export", "--history.path="+folder, "--url=http://127.0.0.1:1").Output()
	if err != nil {
		t.Fatalf("the file does not open: %v", err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	kept := map[int64]bool{}
	for _, row := range rows[1:] {
		kept[milliseconds(t, row[0])] = true
	}
	return kept
}

// milliseconds cuts Unix seconds as CSV has them.
func milliseconds(t *testing.T, seconds string) int64 {
	t.Helper()
	whole, fraction, _ := strings.Cut(seconds, ".")
	n, err := strconv.ParseInt(whole+(fraction + "000")[:3], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
