package worker

import (
	"context"
	"errors"
	"fmt"
	"gpu_exporter/internal/await"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// shelf is the library of the tests' child. A path or an id "WORD FILE" misbehaves as the word says while the file is
// there.
type shelf struct{ locked sync.Mutex }

type book struct {
	shelf      *shelf
	word, file string
}

var poolHello = Hello{1, "tests"}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func hang() {
	for {
		time.Sleep(time.Hour)
	}
}

func (s *shelf) Load(paths []string) any {
	for _, path := range paths {
		switch word, file, _ := strings.Cut(path, " "); {
		case word == "hang" && there(file):
			hang()
		case word == "slow":
			for there(file) {
				time.Sleep(time.Millisecond)
			}
		}
	}
	return paths
}

func (s *shelf) Open(id string) (GPU, any) {
	word, file, _ := strings.Cut(id, " ")
	if there(file) {
		switch word {
		case "refused":
			return nil, "no such GPU"
		case "unopenable":
			os.Exit(3)
		case "holds":
			s.locked.Lock()
			defer s.locked.Unlock()
			fallthrough
		case "slow":
			for there(file) {
				time.Sleep(time.Millisecond)
			}
		}
	}
	return &book{s, word, file}, "opened " + id
}

// Read tells the groups. All but "alone" need the library's lock.
func (b *book) Read(groups uint16, t *Teller) {
	for group := range uint8(3) {
		if groups>>group&1 == 0 {
			continue
		}
		t.Begin(group)
		if b.word == "late" && group == 2 && there(b.file) {
			hang()
		}
		if b.word != "alone" {
			b.shelf.locked.Lock()
		}
		if there(b.file) {
			switch b.word {
			case "hangs", "alone":
				hang()
			case "crash":
				os.Exit(3)
			}
		}
		if b.word != "alone" {
			b.shelf.locked.Unlock()
		}
		t.Rows(group, []byte{group})
		t.List(group, []string{b.word})
	}
}

// pool is a Pool with a child of the tests, and the file that has its GPUs misbehave.
func pool(t *testing.T, told *reasons, set ...func(*PoolOptions)) (p *Pool, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "misbehave")
	o := PoolOptions{Options: options(told), Hello: poolHello, Retries: []time.Duration{time.Millisecond}}
	o.Env = env("pool")
	for _, f := range set {
		f(&o)
	}
	p = NewPool(o)
	t.Cleanup(p.Close)
	return p, file
}

// misbehave makes the file, and gives what removes it.
func misbehave(t *testing.T, file string) (behave func()) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}

// reads reads GPUs for groups 0 and 2 and gives what each said, or why it said nothing.
func reads(ctx context.Context, p *Pool, ids ...string) []string {
	asks := make([]Ask, len(ids))
	said := make([]string, len(ids))
	for i, id := range ids {
		asks[i] = Ask{id, 1<<0 | 1<<2}
	}
	for i, err := range p.Read(ctx, asks, func(ask int, group uint8, list bool, content []byte) error {
		if list {
			said[ask] += fmt.Sprintf("%d%s ", group, content)
		} else {
			said[ask] += fmt.Sprintf("%d%v ", group, content)
		}
		return nil
	}) {
		if err != nil {
			said[i] = err.Error()
		}
	}
	return said
}

// whole is what a GPU says that answers.
func whole(id string) string {
	word, _, _ := strings.Cut(id, " ")
	return fmt.Sprintf(`0[0] 0["%s"] 2[2] 2["%[1]s"] `, word)
}

// well reads until all answer.
func well(t *testing.T, p *Pool, ids ...string) {
	t.Helper()
	var last []string
	defer func() {
		if t.Failed() {
			t.Log(last)
		}
	}()
	await.Until(t, "whole answers", func() bool {
		last = reads(await.Context(t), p, ids...)
		return slices.EqualFunc(last, ids, func(said, id string) bool { return said == whole(id) })
	})
}

// brief is a deadline that a GPU that answers makes, and that one that hangs is not waited for long with.
func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAPoolReadsItsGPUs(t *testing.T) {
	p, _ := pool(t, &reasons{}, func(o *PoolOptions) { o.Paths = []string{"a path"} })
	found, opened, err := p.Look(await.Context(t), []string{"a", "b"})
	if err != nil || string(found) != `["a path"]` || string(opened["a"]) != `"opened a"` || string(opened["b"]) != `"opened b"` {
		t.Errorf("%s, %s, %v", found, opened, err)
	}
	for range 3 {
		if said := reads(await.Context(t), p, "b", "c", "a"); !slices.Equal(said, []string{whole("b"), whole("c"), whole("a")}) {
			t.Error(said)
		}
	}
}

func TestGPUsThatHang(t *testing.T) {
	for _, c := range []struct {
		name, word string
		others     string // what is said of them in the cycle in which one begins to hang
	}{
		{"alone", "alone", whole("a")},
		{"and hold up the others", "hangs", context.DeadlineExceeded.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told reasons
			p, file := pool(t, &told, func(o *PoolOptions) { o.Retries = []time.Duration{time.Hour} })
			ids := []string{"a", c.word + " " + file, "b"}
			well(t, p, ids...)
			misbehave(t, file)
			said := reads(brief(t), p, ids[1], ids[0], ids[2])
			if said[0] != context.DeadlineExceeded.Error() || said[1] != whole("a") && said[1] != c.others {
				t.Errorf("the cycle in which it hangs: %q", said)
			}
			await.Until(t, "that it is found out, and the others are read", func() bool {
				return slices.Equal(reads(brief(t), p, ids...), []string{whole("a"), ErrHung.Error(), whole("b")})
			})
			if told.of(Timeout) == 0 || told.of(Timeout) > 2 {
				t.Errorf("%d children were replaced", told.of(Timeout))
			}
		})
	}
}

func TestAGPUThatHungIsTriedAgainAlone(t *testing.T) {
	p, file := pool(t, &reasons{})
	id := "alone " + file
	well(t, p, "a", id)
	behave := misbehave(t, file)
	await.Until(t, "that it hangs", func() bool { return reads(brief(t), p, "a", id)[1] == ErrHung.Error() })
	behave()
	well(t, p, "a", id)
}

// It is tried as it was read: what answers to less hangs all the same.
func TestAGPUThatHangsInALaterGroupStaysLeftOut(t *testing.T) {
	var told reasons
	p, file := pool(t, &told, func(o *PoolOptions) { o.Retries = []time.Duration{50 * time.Millisecond} })
	id := "late " + file
	well(t, p, id)
	misbehave(t, file)
	await.Until(t, "that it hangs", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		return reads(ctx, p, id)[0] == ErrHung.Error()
	})
	before := told.of(Timeout)
	await.Until(t, "that it is tried again and again", func() bool {
		if said := reads(await.Context(t), p, "a", id); said[1] != ErrHung.Error() {
			t.Fatalf("%q", said)
		}
		return told.of(Timeout) >= before+3
	})
}

func TestACrashCostsACycle(t *testing.T) {
	var told reasons
	p, file := pool(t, &told)
	id := "crash " + file
	well(t, p, "a", id)
	behave := misbehave(t, file)
	if said := reads(await.Context(t), p, "a", id); said[1] == whole(id) {
		t.Error(said)
	}
	behave()
	well(t, p, "a", id)
	if told.of(Crash) != 1 {
		t.Errorf("told of %v", told.n)
	}
}

func TestAGPUThatAlwaysCrashesIsLeftOut(t *testing.T) {
	p, file := pool(t, &reasons{}, func(o *PoolOptions) { o.Retries = []time.Duration{time.Hour} })
	id := "crash " + file
	well(t, p, "a", id)
	misbehave(t, file)
	await.Until(t, "that the other is read", func() bool {
		return slices.Equal(reads(await.Context(t), p, "a", id), []string{whole("a"), ErrHung.Error()})
	})
}

func TestAGPUThatCrashesWhenItIsOpenedIsLeftOut(t *testing.T) {
	for _, c := range []struct {
		name  string
		known bool // the other one is open by then
	}{{"beside one that is opened too", false}, {"beside one that is open", true}} {
		t.Run(c.name, func(t *testing.T) {
			p, file := pool(t, &reasons{}, func(o *PoolOptions) { o.Retries = []time.Duration{time.Hour} })
			misbehave(t, file)
			id := "unopenable " + file
			if c.known {
				well(t, p, "a")
			}
			await.Until(t, "that the other is read", func() bool {
				return slices.Equal(reads(await.Context(t), p, id, "a"), []string{ErrHung.Error(), whole("a")})
			})
		})
	}
}

func TestAGPUThatCrashesAloneIsReadAgainAtOnce(t *testing.T) {
	p, file := pool(t, &reasons{}, func(o *PoolOptions) { o.Retries = []time.Duration{time.Hour} })
	id := "crash " + file
	well(t, p, id)
	behave := misbehave(t, file)
	for range 3 {
		if said := reads(await.Context(t), p, id); said[0] == ErrHung.Error() || said[0] == whole(id) {
			t.Error(said)
		}
	}
	behave()
	well(t, p, id)
}

func TestGPUsAreOpenedWhileOthersAreRead(t *testing.T) {
	p, file := pool(t, &reasons{})
	id := "slow " + file
	behave := misbehave(t, file)
	for range 2 { // the first of which starts the child
		await.Until(t, "an answer of the other", func() bool {
			return slices.Equal(reads(brief(t), p, "a", id), []string{whole("a"), ErrOpening.Error()})
		})
	}
	if _, opened, err := p.Look(brief(t), []string{id}); err != nil || len(opened) != 0 {
		t.Errorf("%s, %v", opened, err)
	}
	behave()
	well(t, p, "a", id)
}

func TestAGPUThatCannotBeOpenedInTimeHangs(t *testing.T) {
	p, file := pool(t, &reasons{}, func(o *PoolOptions) { o.OpenWait, o.Retries = 100*time.Millisecond, []time.Duration{time.Hour} })
	misbehave(t, file)
	id := "slow " + file
	await.Until(t, "that it hangs", func() bool {
		return slices.Equal(reads(brief(t), p, "a", id), []string{whole("a"), ErrHung.Error()})
	})
}

func TestOpeningThatHoldsUpTheLibrary(t *testing.T) {
	for _, c := range []struct {
		name string
		ends bool // within the time that it may take
		wait time.Duration
	}{
		{"and ends", true, 20 * time.Second},
		{"and does not", false, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, file := pool(t, &reasons{}, func(o *PoolOptions) { o.OpenWait, o.Retries = c.wait, []time.Duration{time.Hour} })
			id := "holds " + file
			well(t, p, "a")
			behave := misbehave(t, file)
			await.Until(t, "that others are left alone meanwhile", func() bool {
				return slices.Equal(reads(brief(t), p, "a", id), []string{ErrOpening.Error(), ErrOpening.Error()})
			})
			if c.ends {
				behave()
				well(t, p, "a", id)
				return
			}
			await.Until(t, "that it hangs", func() bool {
				return slices.Equal(reads(brief(t), p, "a", id), []string{whole("a"), ErrHung.Error()})
			})
		})
	}
}

func TestARefusedGPUIsOpenedByTheNextLook(t *testing.T) {
	p, file := pool(t, &reasons{})
	id := "refused " + file
	behave := misbehave(t, file)
	want := ErrRefused.Error() + `: "no such GPU"`
	for range 2 {
		if said := reads(await.Context(t), p, "a", id); !slices.Equal(said, []string{whole("a"), want}) {
			t.Error(said)
		}
	}
	behave()
	if said := reads(await.Context(t), p, id); said[0] != want {
		t.Error(said)
	}
	if _, opened, err := p.Look(await.Context(t), []string{id}); err != nil || string(opened[id]) == `"no such GPU"` {
		t.Errorf("%s, %v", opened, err)
	}
	well(t, p, "a", id)
}

func TestALibraryThatTakesLongHoldsUpNobody(t *testing.T) {
	var told reasons
	file := filepath.Join(t.TempDir(), "hang")
	behave := misbehave(t, file)
	p, _ := pool(t, &told, func(o *PoolOptions) { o.Paths, o.OpenWait = []string{"hang " + file}, time.Second })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if said := reads(ctx, p, "a"); said[0] != ErrOpening.Error() {
		t.Error(said)
	}
	if found, _, err := p.Look(ctx, nil); found != nil || err != nil {
		t.Errorf("%s, %v", found, err)
	}
	await.Until(t, "that its child is replaced", func() bool { _ = reads(brief(t), p, "a"); return told.of(Timeout) > 0 })
	behave()
	well(t, p, "a")
}

func TestAnotherBuildIsNoChildOfThisOne(t *testing.T) {
	p, _ := pool(t, &reasons{}, func(o *PoolOptions) { o.Hello = Hello{1, "another"} })
	if _, _, err := p.Look(await.Context(t), nil); !errors.Is(err, ErrNoWay) {
		t.Error(err)
	}
}

func TestACallWithoutTimeLeavesTheChildAsItIs(t *testing.T) {
	var told reasons
	p, _ := pool(t, &told)
	well(t, p, "a")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		_ = reads(over, p, "a", "b")
	}
	if said := reads(await.Context(t), p, "a"); said[0] != whole("a") || len(told.n) > 0 {
		t.Errorf("%q, told of %v", said, told.n)
	}
	well(t, p, "a", "b")
}

func TestWhatTheCallerRefusesIsAFaultOfTheChild(t *testing.T) {
	var told reasons
	p, _ := pool(t, &told)
	well(t, p, "a")
	refused := errors.New("no such row")
	errs := p.Read(await.Context(t), []Ask{{"a", 1}}, func(int, uint8, bool, []byte) error { return refused })
	if !errors.Is(errs[0], refused) || told.of(Protocol) != 1 {
		t.Errorf("%v, told of %v", errs, told.n)
	}
	well(t, p, "a")
}

func TestAPoolEndsItsChildWhenItIsTold(t *testing.T) {
	var told reasons
	p, _ := pool(t, &told)
	well(t, p, "a")
	if !p.End(Sleep) || p.s.Running() || told.of(Sleep) != 1 {
		t.Errorf("running: %v, told of %v", p.s.Running(), told.n)
	}
	well(t, p, "a")
}

func TestAPoolEndsABusyChildAsSoonAsItIsIdle(t *testing.T) {
	t.Run("one that reads", func(t *testing.T) {
		var told reasons
		p, _ := pool(t, &told)
		well(t, p, "a")
		errs := p.Read(await.Context(t), []Ask{{"a", 1}}, func(int, uint8, bool, []byte) error {
			if p.End(Sleep) || told.of(Sleep) > 0 {
				t.Error("it ends in the midst of a reading")
			}
			return nil
		})
		if errs[0] != nil || p.s.Running() || told.of(Sleep) != 1 {
			t.Errorf("%v, running: %v, told of %v", errs, p.s.Running(), told.n)
		}
		well(t, p, "a")
	})
	t.Run("one that loads its library", func(t *testing.T) {
		var told reasons
		file := filepath.Join(t.TempDir(), "slow")
		p, _ := pool(t, &told, func(o *PoolOptions) { o.Paths = []string{"slow " + file} })
		behave := misbehave(t, file)
		looks := make(chan error, 1)
		go func() {
			_, _, err := p.Look(await.Context(t), nil)
			looks <- err
		}()
		await.Until(t, "the start", func() bool { return len(p.lane) == 1 })
		if p.End(Sleep) || told.of(Sleep) > 0 {
			t.Error("it ends while it loads")
		}
		behave()
		if err := <-looks; err != nil || told.of(Sleep) != 1 {
			t.Errorf("%v, told of %v", err, told.n)
		}
		well(t, p, "a")
	})
}

func TestClosingAPoolEndsWhatHangs(t *testing.T) {
	p, file := pool(t, &reasons{})
	id := "alone " + file
	well(t, p, id)
	misbehave(t, file)
	hangs := make(chan []string, 1)
	go func() { hangs <- reads(context.Background(), p, id) }()
	await.Until(t, "the call", func() bool { return len(p.lane) == 1 })
	p.Close()
	if said := <-hangs; said[0] == whole(id) {
		t.Error(said)
	}
	if said := reads(await.Context(t), p, id); said[0] != ErrClosed.Error() {
		t.Error(said)
	}
}

// Each frame that no sound child sends ends it.
func TestFramesThatNoChildSends(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame Frame
	}{
		{"an unknown type", Frame{Type: 99}},
		{"hello again", Frame{frameHello, asJSON(poolHello)}},
		{"rows that are cut off", Frame{frameRows, []byte{1, 2}}},
		{"rows of a slot that is not read", Frame{frameRows, message{cycle: 1, slot: 5}.append(nil)}},
		{"a group beyond all", Frame{frameRows, message{cycle: 1, group: 300}.append(nil)}},
		{"a slot that was not to be opened", Frame{frameOpened, numbered(0, numbered(1, nil))}},
		{"an unknown slot that begins", Frame{frameBegin, message{slot: 7, group: groupOpen}.append(nil)}},
		{"opened, cut off", Frame{frameOpened, []byte{0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := reading{p: &Pool{cycle: 1, slots: []*slot{{state: open}}}, waits: map[uint16]int{0: 0}}
			if _, err := r.frame(c.frame); !errors.Is(err, ErrFrame) {
				t.Errorf("%v, want %v", err, ErrFrame)
			}
		})
	}
	r := reading{p: &Pool{cycle: 2, slots: []*slot{{state: open}}}, waits: map[uint16]int{0: 0}}
	if done, err := r.frame(Frame{frameDone, message{cycle: 1}.append(nil)}); done || err != nil {
		t.Errorf("a frame of a past cycle: %v, %v", done, err)
	}
}
