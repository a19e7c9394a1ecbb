package worker

import (
	"bytes"
	"context"
	"errors"
	"gpu_exporter/internal/await"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func options(told *reasons) Options {
	return Options{
		Name: "test", Ways: []Way{self("itself")}, Env: env("child"), Hello: wellHello,
		Backoff: time.Millisecond, MaxBack: 4 * time.Millisecond, Restarted: told.add,
	}
}

// answers asks until the child of s does so again: it may be backing off.
func answers(t *testing.T, s *Supervisor) {
	t.Helper()
	await.Until(t, "an answer of a new child", func() bool {
		text, err := request(await.Context(t), s, Frame{ask, []byte("again")})
		return err == nil && text == "again"
	})
}

func TestFaultsOfAChild(t *testing.T) {
	for _, c := range []struct {
		name   string
		asked  byte
		reason Reason
		err    error
	}{
		{"a call that hangs", askHang, Timeout, context.DeadlineExceeded},
		{"an exit", askExit, Crash, nil},
		{"a crash", askCrash, Crash, nil},
		{"garbage", askGarbage, Protocol, ErrFrame},
		{"a frame that is too long", askTooLong, Protocol, ErrFrame},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told reasons
			s := New(options(&told))
			defer s.Close()
			answers(t, s)
			ctx := await.Context(t)
			if c.reason == Timeout {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
			}
			if _, err := request(ctx, s, Frame{Type: c.asked}); err == nil || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("the exchange ends with %v, want %v", err, c.err)
			}
			if told.of(c.reason) != 1 {
				t.Errorf("told of %v, want one %s", told.n, c.reason)
			}
			answers(t, s)
		})
	}
}

func TestAnAnswerThatIsRefusedIsAFaultOfTheProtocol(t *testing.T) {
	var told reasons
	s := New(options(&told))
	defer s.Close()
	refused := errors.New("a row that is not in the table")
	err := s.Exchange(await.Context(t), []Frame{{ask, nil}}, func(Frame) (bool, error) { return false, refused })
	if !errors.Is(err, refused) || told.of(Protocol) != 1 {
		t.Errorf("%v, told of %v", err, told.n)
	}
}

// The child is killed then, which is no crash of its.
func TestAnAnswerThatComesAsTheTimeEnds(t *testing.T) {
	var told reasons
	s := New(options(&told))
	defer s.Close()
	answers(t, s)
	ctx, cancel := context.WithCancel(await.Context(t))
	err := s.Exchange(ctx, []Frame{{ask, nil}}, func(Frame) (bool, error) {
		cancel()
		return true, nil
	})
	if !errors.Is(err, context.Canceled) || s.Running() {
		t.Errorf("%v, running: %v", err, s.Running())
	}
	answers(t, s)
	if told.of(Crash) > 0 {
		t.Errorf("told of %v", told.n)
	}
}

func TestWhatALibraryPrintsDoesNoHarm(t *testing.T) {
	s := New(options(&reasons{}))
	defer s.Close()
	if text, err := request(await.Context(t), s, Frame{askNoise, []byte("x")}); err != nil || text != "x" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestWaysToStart(t *testing.T) {
	for _, c := range []struct {
		name string
		ways []Way
		env  []string
		want error
	}{
		{"the second, where the first is not there", []Way{{Name: "installed", Path: "/nonexistent/worker"}, self("itself")}, env("child"), nil},
		{"none is there", []Way{{Name: "installed", Path: "/nonexistent/worker"}}, env("child"), ErrNoWay},
		{"none is of this build", []Way{self("itself"), self("again")}, env("old"), errOld},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(&reasons{})
			o.Ways, o.Env = c.ways, c.env
			s := New(o)
			defer s.Close()
			if _, err := request(await.Context(t), s, Frame{Type: ask}); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestBackOff(t *testing.T) {
	s := New(Options{})
	var waits []time.Duration
	for range 9 {
		s.delay()
		waits = append(waits, time.Until(s.next).Round(time.Second))
	}
	want := []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60}
	for i, w := range want {
		if waits[i] != w*time.Second {
			t.Errorf("before start %d: %v, want %v", i+1, waits[i], w*time.Second)
		}
	}
	for range goodCycles {
		s.succeeded()
	}
	s.delay()
	if wait := time.Until(s.next); wait > 0 {
		t.Errorf("after %d good exchanges: %v", goodCycles, wait)
	}
}

func TestNoStartBeforeItsTime(t *testing.T) {
	o := options(&reasons{})
	o.Backoff, o.MaxBack = time.Hour, time.Hour
	s := New(o)
	defer s.Close()
	for range 2 { // the first restart is at once
		if _, err := request(await.Context(t), s, Frame{Type: askExit}); errors.Is(err, ErrBackOff) || err == nil {
			t.Fatalf("an exit: %v", err)
		}
	}
	if _, err := request(await.Context(t), s, Frame{Type: ask}); !errors.Is(err, ErrBackOff) {
		t.Errorf("%v, want %v", err, ErrBackOff)
	}
}

func TestChildrenThatDoNotDie(t *testing.T) {
	var told reasons
	o := options(&told)
	o.KillWait = time.Millisecond
	s := New(o)
	defer s.Close()
	hanging := &process{ended: make(chan struct{}), reaped: true} // no signal reaches it
	for range maxDying {
		s.leave(&child{process: hanging, cut: func() {}}, 0)
	}
	await.Until(t, "the word stuck for each", func() bool { return told.of(Stuck) == maxDying })
	if _, err := request(await.Context(t), s, Frame{Type: ask}); !errors.Is(err, ErrStuck) {
		t.Errorf("%v, want %v", err, ErrStuck)
	}
	close(hanging.ended) // the driver has let them go
	await.Until(t, "their end", func() bool { return !s.dying.full() })
	answers(t, s)
}

func TestEndIsNoFault(t *testing.T) {
	var told reasons
	o := options(&told)
	o.Backoff, o.MaxBack = time.Hour, time.Hour
	s := New(o)
	defer s.Close()
	for range 3 { // more than a fault may happen without a pause
		if _, err := request(await.Context(t), s, Frame{Type: ask}); err != nil {
			t.Fatal(err)
		}
		s.End(Sleep)
		if s.Running() {
			t.Error("it runs")
		}
	}
	if told.of(Sleep) != 3 {
		t.Errorf("told of %v", told.n)
	}
}

func TestOneLogLineForEachChangeOfState(t *testing.T) {
	var log bytes.Buffer
	o := options(&reasons{})
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	s := New(o)
	defer s.Close()
	for range 4 {
		answers(t, s)
		if _, err := request(await.Context(t), s, Frame{Type: askExit}); err == nil {
			t.Fatal("no error")
		}
	}
	for range goodCycles {
		answers(t, s)
	}
	if fails, works := strings.Count(log.String(), "a child process fails"), strings.Count(log.String(), "works again"); fails != 1 || works != 1 {
		t.Errorf("%d lines that it fails and %d that it works again\n%s", fails, works, &log)
	}
}
