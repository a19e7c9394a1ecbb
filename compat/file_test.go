package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"gpu_exporter/collector"
)

// entryOf is what the tests record of a GPU in a second: no two are alike, and here and there something is not known.
func entryOf(gpu string, second int) Entry {
	e := Entry{GPU: gpu, At: at.Add(time.Duration(second) * time.Second), State: collector.States[second%2]}
	for i := range e.Values {
		e.Values[i] = float32(len(gpu)*1000+second*7%1000+i) / 10
		if (second+i)%11 == 0 {
			e.Values[i] = float32(math.NaN())
		}
	}
	return e
}

// secondsOf are the entries of GPUs from a second on and before another.
func secondsOf(from, to int, gpus ...string) (entries []Entry) {
	for s := from; s < to; s++ {
		for _, gpu := range gpus {
			entries = append(entries, entryOf(gpu, s))
		}
	}
	return entries
}

// wantSeconds says what is not as it was recorded.
func wantSeconds(t *testing.T, what string, past Past, gpu string, from, to int) {
	t.Helper()
	next := from
	for e, err := range past.Range(gpu, at.AddDate(-10, 0, 0), at.AddDate(10, 0, 0)) {
		if err != nil {
			t.Errorf("%s: %s: %v", what, gpu, err)
			return
		}
		want := entryOf(gpu, next)
		same := e.GPU == gpu && e.At.Equal(want.At.Truncate(time.Microsecond)) && e.State == want.State
		for i, v := range e.Values {
			same = same && math.Float32bits(v) == math.Float32bits(want.Values[i])
		}
		if !same {
			t.Errorf("%s: second %d: got %v, want %v", what, next, e, want)
			return
		}
		next++
	}
	if next != to {
		t.Errorf("%s: %s: seconds %d to %d, want them to %d", what, gpu, from, next, to)
	}
}

// A lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// count is how many lines have a text.
func (b *lockedBuffer) count(text string) int { return strings.Count(b.String(), text) }

// manual is a File that writes when the test says so.
type manual struct {
	*File
	log *lockedBuffer
	now time.Time // of the next flush
}

func manualFile(t testing.TB, folder string) *manual {
	t.Helper()
	log := &lockedBuffer{}
	f := newFile(FileOptions{
		Path: folder, Retention: 24 * time.Hour, Flush: 30 * time.Second, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	t.Cleanup(func() { _ = f.disk.close() })
	return &manual{f, log, time.Now()}
}

// step has as much time pass as is between two flushes, and more than any wait for another attempt, and writes.
func (m *manual) step() {
	m.now = m.now.Add(maxPause)
	m.flush(m.now)
}

func (m *manual) record(t testing.TB, entries []Entry) {
	t.Helper()
	if err := m.Append(entries); err != nil {
		t.Fatal(err)
	}
}

// filled makes a file of so many seconds of GPUs, written every 30 s, and closes it.
func filled(t testing.TB, folder string, n int, gpus ...string) {
	t.Helper()
	f := manualFile(t, folder)
	for s := 0; s < n; s += 30 {
		f.record(t, secondsOf(s, min(s+30, n), gpus...))
		f.step()
	}
	if err := f.disk.close(); err != nil {
		t.Fatal(err)
	}
	if n := f.WriteErrors(); n > 0 {
		t.Fatalf("%d errors: %s", n, f.log)
	}
}

func reader(t testing.TB, folder string) *FileReader {
	t.Helper()
	r, err := OpenReadOnly(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// Two hours of which memory has the last one, and a file that others open later: all of it comes, once, in the order of
// time.
func TestFileKeepsWhatWasRecorded(t *testing.T) {
	const n = 2*3600 + 17
	folder := filepath.Join(t.TempDir(), "made", "as", "well")
	f := manualFile(t, folder)
	for s := range n {
		f.record(t, secondsOf(s, s+1, "a", "other"))
		if s%30 == 0 {
			f.step()
		}
	}
	wantSeconds(t, "the rest in memory", f, "a", 0, n)
	if entries, bytes := f.Size(); entries > 2*(3600+2*chunkEntries) || bytes > 300_000 {
		t.Errorf("%d entries and %d bytes in memory", entries, bytes)
	}
	if err := f.end(); err != nil {
		t.Error(err)
	}

	again := manualFile(t, folder)
	again.step()
	wantSeconds(t, "opened again", again, "a", 0, n)
	again.record(t, secondsOf(n, n+40, "a", "other"))
	wantSeconds(t, "and gone on", again, "a", 0, n+40)
	again.step()
	wantSeconds(t, "and written", again, "other", 0, n+40)
	if err := again.end(); err != nil {
		t.Error(err)
	}

	r := reader(t, folder)
	for _, gpu := range []string{"a", "other"} {
		wantSeconds(t, "read only", r, gpu, 0, n+40)
	}
	wantSeconds(t, "not known", r, "b", 0, 0)
	if n := r.Skipped(); n != 0 {
		t.Errorf("%d skipped", n)
	}
}

// The goroutine writes at each interval, and at the end what is left.
func TestFileWritesByItself(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := NewFile(FileOptions{Path: folder, Retention: time.Hour, Flush: 30 * time.Second})
		if err := f.Append(secondsOf(0, 10, "a")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if n := f.memory.waiting(); n != 10 {
			t.Errorf("%d entries wait before the first interval has ended, want 10", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := f.memory.waiting(); n != 0 {
			t.Errorf("%d entries wait after the first interval, want none", n)
		}
		if err := f.Append(secondsOf(10, 20, "a")); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := f.Close(t.Context()); err != nil {
			t.Errorf("closed twice: %v", err)
		}
		if err := f.Append(secondsOf(20, 30, "a")); err != nil {
			t.Errorf("after its end: %v", err)
		}
		wantSeconds(t, "after its end", f, "a", 0, 30)
	})
	wantSeconds(t, "what it left", reader(t, folder), "a", 0, 20)
}

// A disk that hangs holds up neither who records nor who asks nor who ends.
func TestFileOnADiskThatHangs(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := NewFile(FileOptions{Path: folder, Retention: time.Hour, Flush: 30 * time.Second})
		synctest.Wait()
		f.disk.turn <- struct{}{} // a write that does not end
		if err := f.Append(secondsOf(0, 1000, "a")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Second)
		begin := time.Now()
		wantSeconds(t, "memory alone", f, "a", 0, 1000)
		if d := time.Since(begin); d > readPatience {
			t.Errorf("an answer took %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended: %v", err)
		}
		<-f.disk.turn
		if err := f.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	wantSeconds(t, "what it left", reader(t, folder), "a", 0, 1000)
}

// The clock is set back and forward between writes: what is in the file comes in the order of time, and nothing is lost.
func TestFileOfAClockThatJumps(t *testing.T) {
	for name, c := range clockJumps {
		folder := t.TempDir()
		f := manualFile(t, folder)
		for _, second := range c.seconds {
			f.record(t, []Entry{{GPU: "a", At: at.Add(time.Duration(second) * time.Second)}})
			f.step()
		}
		want := fmt.Sprint(slices.Sorted(slices.Values(c.seconds)))
		if got := fmt.Sprint(past(t, f)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(past(t, reader(t, folder))); got != want {
			t.Errorf("%s, opened again: got %s, want %s", name, got, want)
		}
	}
}

// What is older than the retention goes, but never much at once.
func TestFileRetention(t *testing.T) {
	f := manualFile(t, t.TempDir())
	f.o.Retention = 3 * time.Hour
	gpus := strings.Split("abcdefghij", "")
	count := func() (n int) {
		for _, gpu := range gpus {
			for _, err := range f.Range(gpu, at.AddDate(-1, 0, 0), at.AddDate(10, 0, 0)) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
		}
		return n
	}
	const n, flush, year = 5 * 3600, 100, 365 * 24 * 3600
	for s := 0; s < n; s += flush {
		f.record(t, secondsOf(s, s+flush, gpus...))
		f.step()
	}
	oldest := n - int(f.o.Retention/time.Second)
	if s := int(past(t, f)[0]); s > oldest || s < oldest-int(chunkSpan/time.Second)-flush {
		t.Errorf("second %d is the first, want about %d", s, oldest)
	}
	before := count()
	f.record(t, []Entry{entryOf("a", year)})
	f.step()
	f.record(t, secondsOf(n, n+flush, gpus...))
	f.step()
	if lost := before + 1 + len(gpus)*flush - count(); lost != maxDeleted*flush {
		t.Errorf("a clock that was ahead for a moment cost %d entries, want %d", lost, maxDeleted*flush)
	}
}

// An export has the GPUs that have entries, as they were last, by index; a GPU that was forgotten is there with what it
// had.
func TestFileKnowsItsGPUs(t *testing.T) {
	folder := t.TempDir()
	f := manualFile(t, folder)
	info := func(gpu, driver string) collector.Info {
		return collector.Info{GPU: gpu, UUID: "u-" + gpu, Name: "Card " + gpu, DriverVersion: driver, Source: "sysfs"}
	}
	f.Describe(info("b", "1"), 1)
	f.Describe(info("a", "1"), 0)
	f.Describe(info("asleep", "1"), 2)
	f.record(t, secondsOf(0, 10, "b"))
	f.step()
	f.Describe(info("b", "2"), 3)
	f.record(t, secondsOf(0, 10, "a"))
	f.Forget("a") // before it was written
	f.step()
	if got := len(f.memory.shelves); got != 2 {
		t.Errorf("%d GPUs in memory, want 2", got)
	}
	f.record(t, secondsOf(0, 1, "nameless"))
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	r := reader(t, folder)
	want := []collector.Info{info("a", "1"), {GPU: "nameless"}, info("b", "2")}
	if got := r.GPUs(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	wantSeconds(t, "forgotten", r, "a", 0, 10)
	wantSeconds(t, "described anew", r, "b", 0, 10)
}

// As long as there is no file what is recorded waits for an hour, and it is told how much was lost.
func TestFileThatComesLate(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a file in the way")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := manualFile(t, folder)
	const n = 2 * 3600
	for s := 0; s < n; s += 30 {
		f.record(t, secondsOf(s, s+30, "a"))
		f.step()
	}
	if got := past(t, f); len(got) < 3600 || len(got) > 3600+2*chunkEntries {
		t.Errorf("%d entries in memory", len(got))
	}
	if f.log.count("the history is not written") != 1 || f.WriteErrors() != n/30 {
		t.Errorf("%d errors, log:\n%s", f.WriteErrors(), f.log)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	f.step()
	waited := len(past(t, f))
	if want := fmt.Sprintf("lost_entries=%d\n", n-waited); f.log.count("the history is written again") != 1 || f.log.count(want) != 1 {
		t.Errorf("want %s, log:\n%s", want, f.log)
	}
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	wantSeconds(t, "the last hour", reader(t, folder), "a", n-waited, n)
}

// GPUs that are forgotten wait for the file as well, but no longer than an hour.
func TestFileThatDoesNotComeForForgottenGPUs(t *testing.T) {
	f := manualFile(t, t.TempDir())
	const n = 10_000
	for s := range n {
		gpu := fmt.Sprint(s)
		f.record(t, secondsOf(s, s+1, gpu))
		f.Forget(gpu)
	}
	if entries, _ := f.Size(); entries != 3601 || f.memory.waiting() != n {
		t.Errorf("%d entries in memory, %d wait or are lost", entries, f.memory.waiting())
	}
	f.step()
	if entries, _ := f.Size(); entries != 0 {
		t.Errorf("%d entries in memory when all are written", entries)
	}
}

// Attempts to open the file get rarer, up to one in five minutes.
func TestFileIsTriedAgain(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a file in the way")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := manualFile(t, folder)
	var attempts []int
	for s := 0; s <= 1500; s += 30 {
		before := f.WriteErrors()
		f.flush(f.now.Add(time.Duration(s) * time.Second))
		if f.WriteErrors() > before {
			attempts = append(attempts, s)
		}
	}
	if got, want := fmt.Sprint(attempts), "[0 30 90 210 450 750 1050 1350]"; got != want {
		t.Errorf("tried at %s, want %s", got, want)
	}
}

// A chunk that is damaged is left out and told of once; what lies around it comes.
func TestFileWithADamagedChunk(t *testing.T) {
	folder := t.TempDir()
	filled(t, folder, 300, "a")
	damageChunk(t, folder, 60, 90)
	for range 2 {
		f := manualFile(t, folder)
		f.step()
		for range 2 {
			if got := past(t, f); len(got) != 240 || got[59] != 59 || got[60] != 120 {
				t.Errorf("%d entries: %v", len(got), got)
			}
		}
		if f.log.count("cannot be read and is left out") != 1 {
			t.Errorf("log:\n%s", f.log)
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
	}
	r := reader(t, folder)
	if got := past(t, r); len(got) != 240 || r.Skipped() != 2 {
		t.Errorf("read only: %d entries, %d skipped", len(got), r.Skipped())
	}
}

// damageChunk damages the chunks that begin at these seconds.
func damageChunk(t *testing.T, folder string, seconds ...int) {
	t.Helper()
	d, err := openDatabase(filepath.Join(folder, fileName), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.transact(true, func(tx *bbolt.Tx) error {
		b := tx.Bucket(chunkBucket)
		return b.ForEach(func(k, v []byte) error {
			second := int(time.UnixMicro(place(k).key().start).Sub(at.Truncate(time.Microsecond)) / time.Second)
			if !slices.Contains(seconds, second) {
				return nil
			}
			damaged := slices.Clone(v)
			damaged[len(v)/2] ^= 4
			return b.Put(slices.Clone(k), damaged)
		})
	}); err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
}

// Only one process has the file. A second exporter keeps its past in memory and says so; an export says so and waits no
// longer than a second. When the first has ended it is the turn of the next.
func TestFileThatIsLocked(t *testing.T) {
	folder := t.TempDir()
	first, second := manualFile(t, folder), manualFile(t, folder)
	first.record(t, secondsOf(0, 10, "a"))
	first.step()
	second.record(t, secondsOf(0, 20, "b"))
	second.step()
	second.step()
	wantSeconds(t, "in memory", second, "b", 0, 20)
	if second.log.count("the history is not written") != 1 || second.log.count(first.path) != 1 || second.log.count("a folder of its own") != 1 {
		t.Errorf("log:\n%s", second.log)
	}
	begin := time.Now()
	if _, err := OpenReadOnly(folder); !errors.Is(err, ErrLocked) {
		t.Errorf("read only: %v", err)
	} else if d := time.Since(begin); d < lockTimeout/2 {
		t.Errorf("it waited only %v", d)
	}
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	second.step()
	wantSeconds(t, "of the first", second, "a", 0, 10)
	if second.log.count("the history is written again") != 1 {
		t.Errorf("log:\n%s", second.log)
	}
	if err := second.end(); err != nil {
		t.Fatal(err)
	}
	one, other := reader(t, folder), reader(t, folder) // these get along
	wantSeconds(t, "one reader", one, "b", 0, 20)
	wantSeconds(t, "another", other, "a", 0, 10)
}

func TestOpenReadOnlyOfNothing(t *testing.T) {
	folder := t.TempDir()
	if _, err := OpenReadOnly(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(filepath.Join(folder, fileName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReadOnly(folder); !errors.Is(err, errDamaged) {
		t.Errorf("an empty file: %v", err)
	}
	f := manualFile(t, folder)
	f.record(t, secondsOf(0, 10, "a"))
	f.step()
	if err := f.end(); err != nil || f.log.String() != "" {
		t.Errorf("an empty file is begun: %v, %s", err, f.log)
	}
	wantSeconds(t, "begun", reader(t, folder), "a", 0, 10)
}

// Recording, writing and reading disturb one another neither in what comes nor in its order.
func TestFileIsShared(t *testing.T) {
	f := NewFile(FileOptions{Path: t.TempDir(), Retention: time.Hour, Flush: time.Millisecond})
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				next := 0
				for e, err := range f.Range("a", at.AddDate(-1, 0, 0), at.AddDate(1, 0, 0)) {
					if want := entryOf("a", next); err != nil || !e.At.Equal(want.At.Truncate(time.Microsecond)) {
						t.Errorf("entry %d: %v, %v", next, e.At, err)
						return
					}
					next++
				}
			}
		})
	}
	for s := range 3000 {
		if err := f.Append(secondsOf(s, s+1, "a", "b")); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	readers.Wait()
	if err := f.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func BenchmarkFileAppend(b *testing.B) {
	f := manualFile(b, b.TempDir())
	entries := secondsOf(0, 1, "0", "1", "2", "3", "4", "5", "6", "7")
	b.ReportAllocs()
	for b.Loop() {
		for i := range entries {
			entries[i].At = entries[i].At.Add(time.Second)
		}
		if err := f.Append(entries); err != nil {
			b.Fatal(err)
		}
	}
}

// A flush of eight GPUs, 30 s each.
func BenchmarkFileFlush(b *testing.B) {
	f := manualFile(b, b.TempDir())
	s := 0
	b.ReportAllocs()
	for b.Loop() {
		f.record(b, secondsOf(s, s+30, "0", "1", "2", "3", "4", "5", "6", "7"))
		f.step()
		s += 30
	}
}

// Ten minutes, an hour and a day of one of eight GPUs.
func BenchmarkFileRange(b *testing.B) {
	f := manualFile(b, b.TempDir())
	const n = 24 * 3600
	for s := 0; s < n; s += 30 {
		f.record(b, secondsOf(s, s+30, "0", "1", "2", "3", "4", "5", "6", "7"))
		f.step()
	}
	for _, seconds := range []int{600, 3600, n} {
		b.Run(fmt.Sprintf("%ds", seconds), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				got := 0
				for _, err := range f.Range("3", at.Add(time.Duration(n-seconds)*time.Second), at.AddDate(1, 0, 0)) {
					if err != nil {
						b.Fatal(err)
					}
					got++
				}
				if got != seconds {
					b.Fatalf("%d entries", got)
				}
			}
		})
	}
}

// Where bbolt ended by a panic with its locks held, the file is let go of without waiting for them.
func TestFileThatIsStuck(t *testing.T) {
	f := manualFile(t, t.TempDir())
	f.record(t, secondsOf(0, 10, "a"))
	f.step()
	d := f.disk.file
	if _, err := f.disk.use(nil, func(d *database) error {
		return guarded(func() error {
			d.stuck = true
			panic("within bbolt")
		})
	}); !errors.Is(err, errCaught) {
		t.Errorf("got %v", err)
	}
	if _, err := d.file.Seek(0, io.SeekCurrent); !errors.Is(err, fs.ErrClosed) { // Stat says something else on Windows
		t.Errorf("the descriptor is open: %v", err)
	}
	f.record(t, secondsOf(10, 20, "a"))
	f.step() // whether it can be opened again is up to the system
	wantSeconds(t, "memory alone", f, "a", 0, 20)
	if err := d.bolt.Close(); err == nil { // which it could after all, here
		t.Error("closed once more without an error")
	}
}

// What was set aside before is not overwritten.
func TestSetAside(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, fileName)
	for i := range 3 {
		if err := os.WriteFile(path, []byte{byte(i)}, 0o600); err != nil {
			t.Fatal(err)
		}
		aside, err := setAside(path, time.Date(2026, 11, 25, 19, 1, 44, 0, time.FixedZone("", 3600)))
		if err != nil {
			t.Fatal(err)
		}
		want := path + ".damaged-20261125T180144Z" + []string{"", "-2", "-3"}[i]
		if b, err := os.ReadFile(aside); aside != want || err != nil || !bytes.Equal(b, []byte{byte(i)}) {
			t.Errorf("got %s with %v, %v; want %s", aside, b, err, want)
		}
	}
}

// Who ends without a file says what is lost.
func TestFileThatNeverCame(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a file in the way")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := manualFile(t, folder)
	f.record(t, secondsOf(0, 10, "a", "b"))
	if err := f.end(); err == nil || !strings.Contains(err.Error(), "20 entries of the history were not written to "+f.path) {
		t.Errorf("got %v", err)
	}
}
