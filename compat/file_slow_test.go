//go:build history && linux

package compat

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// These take minutes, or strace: .ci/history runs them.

// children are what the test program does instead of tests where childEnv names it.
var children = map[string]func(args []string){"record": recordUntilKilled, "flushes": writeFlushes, "day": recordDay}

const childEnv = "GPU_EXPORTER_HISTORY_CHILD"

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childEnv)]; child != nil {
		child(os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is the command line of one, after that of a program that runs it.
func child(t *testing.T, under []string, name string, args ...any) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line := append(slices.Clone(under), self)
	for _, a := range args {
		line = append(line, fmt.Sprint(a))
	}
	cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func childFile(folder string) *File {
	return newFile(FileOptions{Path: folder, Retention: 30 * 24 * time.Hour, Flush: time.Millisecond})
}

// The second of --history.flush=1s in the test of kills: as many entries come in it, and 50 times as fast.
const (
	killFlush   = 20 * time.Millisecond
	killEntries = 20 // in that time
)

// recordUntilKilled records a second of two GPUs each millisecond, from a second on, and says so. It writes every 20 ms,
// and says what was recorded before a write that has ended.
func recordUntilKilled(args []string) {
	f := childFile(args[0])
	first := number(args[1])
	var recorded atomic.Int64
	recorded.Store(int64(first))
	var out sync.Mutex
	say := func(what string, n int64) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(what, n)
	}
	go func() {
		for range time.Tick(killFlush) {
			n := recorded.Load()
			f.flush(time.Now())
			say("written", n)
		}
	}()
	for range time.Tick(killFlush / killEntries) {
		s := int(recorded.Load())
		if err := f.Append(secondsOf(s, s+1, "a", "b")); err != nil {
			panic(err)
		}
		recorded.Add(1)
		say("recorded", int64(s+1))
	}
}

// Killed at 200 random instants, the file opens each time, and lacks no more than what was recorded after the beginning of
// the last write that had ended.
func TestFileKilled(t *testing.T) {
	folder := t.TempDir()
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	total, lostMost, longest := 0, 0, 0
	for range 200 {
		cmd := child(t, nil, "record", folder, total)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stdout)
		head, err := lines.ReadString('\n') // it records
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(random.IntN(300_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		rest, err := io.ReadAll(lines)
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		last := map[string]int{"written": total, "recorded": total}
		for line := range strings.Lines(head + string(rest)) {
			if word, n, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok && strings.HasSuffix(line, "\n") {
				last[word] = number(n)
			}
		}
		got := 0
		r, err := OpenReadOnly(folder)
		switch {
		case errors.Is(err, fs.ErrNotExist) && last["written"] == 0:
		case err != nil:
			t.Fatal(err)
		default:
			got = len(past(t, r))
			wantSeconds(t, "a", r, "a", 0, got)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if got < last["written"] || got > last["recorded"]+1 {
			t.Fatalf("%d entries; %d were written, %d recorded", got, last["written"], last["recorded"])
		}
		if list := names(t, folder); len(list) > 1 {
			t.Fatalf("something was set aside: %v", list)
		}
		lostMost = max(lostMost, last["recorded"]-got)
		longest = max(longest, last["recorded"]-total)
		total = got
	}
	t.Logf("200 kills, a write every %v: %d seconds recorded, at most %d in one life; lost at most %d at once, where %d come between two writes",
		killFlush, total, longest, lostMost, killEntries)
}

// writeFlushes makes so many flushes of 30 s, three of them after the file as it stood then was copied and the copy was
// touched.
func writeFlushes(args []string) {
	runtime.LockOSThread() // strace counts the calls of each thread
	f := childFile(args[0])
	n := number(args[2])
	now := time.Now()
	for i := range n {
		if i == n-3 && args[1] != "" {
			b, err := os.ReadFile(f.path)
			if err == nil {
				err = os.WriteFile(args[1], b, 0o600)
			}
			if err != nil {
				panic(err)
			}
		}
		if err := f.Append(secondsOf(30*i, 30*i+30, "a", "b")); err != nil {
			panic(err)
		}
		now = now.Add(maxPause)
		f.flush(now)
	}
	for range 10 { // what failed before
		now = now.Add(maxPause)
		f.flush(now)
	}
	fmt.Println(f.WriteErrors(), f.memory.waiting())
}

// A write is one that strace saw.
type write struct {
	sync   bool // none, but the end of those that may still be in any order
	data   []byte
	offset int64
	resize int64 // where it is not 0
}

// parseTrace reads the writes to a file after the first to another out of what strace -xx -y tells, where the names are in
// hexadecimal as well.
func parseTrace(t *testing.T, text, path, after string) (writes []write) {
	t.Helper()
	fd := func(path string) string {
		var b strings.Builder
		for _, c := range []byte(path) {
			fmt.Fprintf(&b, `\\x%02x`, c)
		}
		return `\(\d+<` + b.String() + `>`
	}
	_, text, found := strings.Cut(text, regexp.MustCompile(`write`+fd(after)).FindString(text))
	if !found {
		t.Fatal("no copy was made")
	}
	line := regexp.MustCompile(`(pwrite64|ftruncate|fdatasync|fsync)` + fd(path) + `(?:, "((?:\\x[0-9a-f]{2})*)", \d+)?(?:, (\d+))?`)
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		var w write
		switch m[1] {
		case "pwrite64":
			data, err := hex.DecodeString(strings.ReplaceAll(m[2], `\x`, ""))
			if err != nil {
				t.Fatal(err)
			}
			w.data, w.offset = data, int64(number(m[3]))
		case "ftruncate":
			w.resize = int64(number(m[3]))
		default:
			w.sync = true
		}
		writes = append(writes, w)
	}
	return writes
}

func straced(t *testing.T) []string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skip(err)
	}
	if out, err := exec.CommandContext(t.Context(), path, "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace: %v: %s", err, out)
	}
	return []string{path, "-f", "-y", "-xx", "-s", "10000000"}
}

// The file as it stood after each write of three flushes, with the write torn in its middle, and with any one of those
// missing that no sync had followed, as when the power fails: it opens, and has what had been written before that flush, or
// after it.
func TestFileAfterEachWrite(t *testing.T) {
	trace := straced(t)
	for _, flushes := range []int{4, 27, 60} {
		t.Run(fmt.Sprint(flushes), func(t *testing.T) { afterEachWrite(t, trace, flushes) })
	}
}

func afterEachWrite(t *testing.T, trace []string, flushes int) {
	folder := t.TempDir()
	base, log := filepath.Join(folder, "base"), filepath.Join(folder, "strace")
	cmd := child(t, append(trace, "-e", "trace=pwrite64,write,ftruncate,fdatasync,fsync", "-o", log), "flushes", folder, base, flushes)
	if out, err := cmd.Output(); err != nil || string(out) != "0 0\n" {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	writes := parseTrace(t, string(text), filepath.Join(folder, fileName), base)
	before, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(folder, fileName))
	if err != nil {
		t.Fatal(err)
	}
	if all := replay(before, writes); !bytes.Equal(all, after) {
		t.Fatal("the writes do not lead from the one file to the other")
	}

	states, least := 0, 30*(flushes-3)
	open := func(what string, b []byte) (seconds int) {
		t.Helper()
		states++
		folder := stands(t, b)
		r := reader(t, folder)
		seconds = len(past(t, r))
		wantSeconds(t, what, r, "b", 0, seconds)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		f := manualFile(t, folder)
		f.step()
		f.record(t, secondsOf(seconds, seconds+30, "a", "b"))
		f.step()
		wantSeconds(t, what+", gone on", f, "b", 0, seconds+30)
		if err := f.end(); err != nil || f.log.String() != "" {
			t.Errorf("%s: %v, log:\n%s", what, err, f.log)
		}
		if seconds%30 != 0 || seconds < least || seconds > least+30 {
			t.Errorf("%s: %d seconds, want %d or 30 more", what, seconds, least)
		}
		return seconds
	}
	segment := 0 // where the writes begin that may come in any order
	for i, w := range writes {
		what := fmt.Sprintf("write %d of %d", i+1, len(writes))
		open(what, replay(before, writes[:i+1]))
		for _, n := range []int{16, 40, 64, 512, len(w.data) / 2} {
			if n < len(w.data) {
				torn := w
				torn.data = w.data[:n]
				open(what+", torn", replay(before, append(slices.Clone(writes[:i]), torn)))
			}
		}
		for missing := segment; missing < i; missing++ {
			open(what+", one before it missing", replay(before, slices.Delete(slices.Clone(writes[:i+1]), missing, missing+1)))
		}
		if w.sync { // what a sync has seen stays
			segment = i + 1
			least = max(least, open(what, replay(before, writes[:i+1])))
		}
	}
	if least != 30*flushes {
		t.Errorf("%d seconds after the last sync, want %d", least, 30*flushes)
	}
	grown := slices.ContainsFunc(writes, func(w write) bool { return w.resize > 0 })
	t.Logf("%d writes and syncs of three flushes, grown: %v, %d states of the file opened", len(writes), grown, states)
}

func replay(b []byte, writes []write) []byte {
	b = slices.Clone(b)
	for _, w := range writes {
		if w.resize > 0 {
			b = append(b, make([]byte, max(0, int(w.resize)-len(b)))...)[:w.resize]
		}
		if end := int(w.offset) + len(w.data); end > len(b) {
			b = append(b, make([]byte, end-len(b))...)
		}
		copy(b[w.offset:], w.data)
	}
	return b
}

// A system call that fails once or a few times is counted, and costs nothing: what was not written is written later.
func TestFileOnADiskThatFails(t *testing.T) {
	trace := straced(t)
	for _, c := range []struct {
		call, when string
		errors     int
	}{
		{"openat", "1", 1},
		{"flock", "1", 1},
		{"mmap", "1", 1},
		{"ftruncate", "1", 1},
		{"ftruncate", "2", 1},
		{"pwrite64", "1", 1}, // of the new file
		{"pwrite64", "2", 1},
		{"pwrite64", "9", 1},
		{"pwrite64", "20..24", 5},
		{"fdatasync", "1", 1},
		{"fdatasync", "2", 1}, // of pages
		{"fdatasync", "9", 1}, // of a meta page
		{"fdatasync", "20..24", 5},
	} {
		for _, errno := range []string{"EIO", "ENOSPC"} {
			folder := t.TempDir()
			inject := fmt.Sprintf("inject=%s:error=%s:when=%s", c.call, errno, c.when)
			under := append(slices.Clone(trace), "-P", filepath.Join(folder, fileName), "-e", "trace="+c.call, "-e", inject, "-o", os.DevNull)
			out, err := child(t, under, "flushes", folder, "", 30).Output()
			if want := fmt.Sprintf("%d 0\n", c.errors); err != nil || string(out) != want {
				t.Errorf("%s: %v, %q; want %q", inject, err, out, want)
				continue
			}
			wantSeconds(t, inject, reader(t, folder), "a", 0, 900)
			if list := names(t, folder); len(list) > 1 {
				t.Errorf("%s: set aside: %v", inject, list)
			}
		}
	}
}

// procOf is what a line of /proc/self/status or /proc/self/io says.
func procOf(file, name string) int {
	b, err := os.ReadFile("/proc/self/" + file)
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name+":" {
			return number(f[1])
		}
	}
	panic("no " + name)
}

// recordDay records eight GPUs for 24 hours and two more, as they are recorded, but faster, and then asks for all of it. It
// says what that took.
func recordDay(args []string) {
	f := newFile(FileOptions{Path: args[0], Retention: 24 * time.Hour, Flush: 30 * time.Second})
	gpus := strings.Split("0 1 2 3 4 5 6 7", " ")
	random := rand.New(rand.NewPCG(1, 2))
	tell := func(what string, v int) { fmt.Println(what, v) }
	size := func() int {
		info, err := os.Stat(f.path)
		if err != nil {
			panic(err)
		}
		return int(info.Size())
	}
	f.flush(time.Now())
	runtime.GC()
	anon, most := procOf("status", "RssAnon"), 0
	written := procOf("io", "wchar")
	begin, flushing := time.Now(), time.Duration(0)
	const hour = 3600
	for s := range 26 * hour {
		entries := secondsOf(s, s+1, gpus...)
		for i := range entries { // as real values move
			entries[i].At = entries[i].At.Add(time.Duration(random.IntN(2000)) * time.Microsecond)
			for j := range entries[i].Values {
				entries[i].Values[j] = float32(500+random.IntN(100)) / 10
			}
		}
		if err := f.Append(entries); err != nil {
			panic(err)
		}
		if s%30 == 29 {
			b := time.Now()
			f.flush(b)
			flushing += time.Since(b)
			most = max(most, procOf("status", "RssAnon"))
		}
		if s == 24*hour-1 {
			tell("file_bytes", size())
			tell("written_bytes", procOf("io", "wchar")-written)
			tell("flush_microseconds", int(flushing.Microseconds())/(24*hour/30))
		}
	}
	tell("file_bytes_after_26_h", size())
	tell("anon_kib_before", anon)
	tell("anon_kib_most", most)
	entries, bytes := f.Size()
	tell("memory_entries", entries)
	tell("memory_bytes", bytes)
	tell("errors", int(f.WriteErrors()))
	tell("milliseconds", int(time.Since(begin).Milliseconds()))

	runtime.GC()
	anon, most = procOf("status", "RssAnon"), 0
	begin = time.Now()
	n := 0
	for _, gpu := range gpus {
		for _, err := range f.Range(gpu, at, at.AddDate(1, 0, 0)) {
			if err != nil {
				panic(err)
			}
			if n++; n%1000 == 0 {
				most = max(most, procOf("status", "RssAnon"))
			}
		}
	}
	tell("query_entries", n)
	tell("query_milliseconds", int(time.Since(begin).Milliseconds()))
	tell("query_anon_kib_before", anon)
	tell("query_anon_kib_most", most)
	b := time.Now()
	if err := f.end(); err != nil {
		panic(err)
	}
	d, err := openDatabase(f.path, false)
	if err != nil {
		panic(err)
	}
	tell("open_milliseconds", int(time.Since(b).Milliseconds()))
	_ = d.close()
}

// Eight GPUs for a day.
func TestFileOfADay(t *testing.T) {
	cmd := child(t, nil, "day", t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", out)
	said := map[string]int{}
	for line := range strings.Lines(string(out)) {
		what, n, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		said[what] = number(n)
	}
	const mib = 1 << 10 // in KiB
	if grown := said["anon_kib_most"] - said["anon_kib_before"]; grown >= 64*mib {
		t.Errorf("recording took %d KiB", grown)
	}
	if grown := said["query_anon_kib_most"] - said["query_anon_kib_before"]; grown >= 4*mib {
		t.Errorf("a query of 24 hours took %d KiB", grown)
	}
	if n := said["query_entries"]; n < 8*24*3600 || n > 8*(24*3600+int(chunkSpan/time.Second)+60) || said["errors"] != 0 {
		t.Errorf("%d entries, %d errors", n, said["errors"])
	}
	if a, b := said["file_bytes"], said["file_bytes_after_26_h"]; b > a+a/10 {
		t.Errorf("the file still grows after a day: %d, then %d bytes", a, b)
	}
}

// Noise in each page of a file of some size, and cuts at every 4 KiB of it: see TestFileThatIsDamaged.
func TestFileThatIsDamagedAnywhere(t *testing.T) {
	folder := t.TempDir()
	filled(t, folder, 2*3600, strings.Split("a b c d e f g h", " ")...)
	b, err := os.ReadFile(filepath.Join(folder, fileName))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	aside, pages := 0, len(b)/pageSize
	for page := range pages {
		noisy := slices.Clone(b)
		for i := range noisy[page*pageSize:][:pageSize] {
			noisy[page*pageSize+i] = byte(random.Uint32())
		}
		if goesOn(t, fmt.Sprintf("noise in page %d", page), noisy) {
			aside++
		}
		if page > 0 && !goesOn(t, "cut", b[:page*pageSize]) && page < int(pagesOf(t, b)) {
			t.Errorf("cut to %d pages, and not set aside", page)
		}
	}
	t.Logf("%d pages; noise: set aside %d times", pages, aside)
}
