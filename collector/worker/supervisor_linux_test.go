package worker

import (
	"bufio"
	"context"
	"errors"
	"gpu_exporter/internal/await"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCloseEndsAnExchange(t *testing.T) {
	var told reasons
	s := New(options(&told))
	pid, err := request(await.Context(t), s, Frame{Type: askPID})
	if err != nil {
		t.Fatal(err)
	}
	hangs := make(chan error, 1)
	go func() {
		_, err := request(context.Background(), s, Frame{Type: askHang})
		hangs <- err
	}()
	await.Until(t, "the exchange", func() bool { return !s.mu.TryLock() || func() bool { s.mu.Unlock(); return false }() })
	s.Close()
	if err := <-hangs; !errors.Is(err, ErrClosed) {
		t.Errorf("the exchange ends with %v", err)
	}
	await.Until(t, "the end of the child", func() bool { return !alive(pid) })
	if _, err := request(await.Context(t), s, Frame{Type: ask}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if len(told.n) != 0 {
		t.Errorf("told of %v", told.n)
	}
}

// The main program is killed while its child hangs in a call: nobody is left to end the child but itself.
func TestNoOrphans(t *testing.T) {
	patron := exec.CommandContext(t.Context(), "/proc/self/exe")
	patron.Env = env("parent")
	out, err := patron.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := patron.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid := strings.TrimSpace(line)
	if err != nil || !alive(pid) {
		t.Fatalf("the child %q: %v", line, err)
	}
	if err := patron.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = patron.Wait() // killed
	await.Until(t, "the end of the orphan", func() bool { return !alive(pid) })
}

// Whoever has the lane when hardly any time is left asks nothing: a child would be blamed that others have kept busy.
func TestWhoComesLateAsksNothing(t *testing.T) {
	for name, call := range map[string]func(context.Context, *Pool){
		"a look": func(ctx context.Context, p *Pool) {
			if found, opened, err := p.Look(ctx, []string{"a", "b"}); err != nil || len(opened) > 1 {
				t.Errorf("%s, %s, %v", found, opened, err)
			}
		},
		"a reading": func(ctx context.Context, p *Pool) {
			if said := reads(ctx, p, "a", "b"); !slices.Equal(said, []string{ErrOpening.Error(), ErrOpening.Error()}) {
				t.Errorf("%q", said)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var told reasons
			p, _ := pool(t, &told)
			well(t, p, "a")
			signal := func(s syscall.Signal) {
				if err := p.s.child.cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			p.lane <- struct{}{}
			signal(syscall.SIGSTOP) // what is asked is not answered
			const long = 2 * time.Second
			ctx, cancel := context.WithTimeout(t.Context(), long)
			defer cancel()
			most, cancel := context.WithTimeout(ctx, long*8/10)
			defer cancel()
			context.AfterFunc(most, p.give)
			call(ctx, p)
			if !p.s.Running() || len(told.n) > 0 {
				t.Fatalf("told of %v", told.n)
			}
			signal(syscall.SIGCONT)
			well(t, p, "a", "b")
		})
	}
}

func TestManyRoundsLeakNothing(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 50
	}
	var told reasons
	o := options(&told)
	o.Backoff, o.MaxBack = time.Microsecond, time.Millisecond
	s := New(o)
	answers(t, s)
	descriptors, children, goroutines := used(t)
	faults := []byte{askHang, askExit, askCrash, askGarbage, askTooLong}
	for round := range rounds {
		limit, asked := await.Patience, faults[round%len(faults)]
		if asked == askHang {
			limit = 2 * time.Millisecond
		}
		await.Until(t, "a fault", func() bool { // one that is asked too late commits none
			before := told.all()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			if _, err := request(ctx, s, Frame{Type: asked}); err == nil {
				t.Fatalf("round %d: no error", round)
			}
			return told.all() > before
		})
		answers(t, s)
	}
	for _, reason := range []Reason{Timeout, Crash, Protocol} {
		if told.of(reason) < rounds/len(faults) {
			t.Errorf("%d times %s", told.of(reason), reason)
		}
	}
	await.Until(t, "as few descriptors, children and goroutines as before", func() bool {
		d, c, g := used(t)
		return d <= descriptors && c <= children && g <= goroutines+2
	})
	s.Close()
	await.Until(t, "no child", func() bool { _, c, _ := used(t); return c == 0 })
}

func TestManyRoundsOfAPoolLeakNothing(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	var told reasons
	p, file := pool(t, &told, func(o *PoolOptions) { o.Backoff, o.MaxBack = time.Microsecond, time.Millisecond })
	faults := []string{"alone " + file, "crash " + file}
	well(t, p, "a", faults[0], faults[1])
	descriptors, children, goroutines := used(t)
	for round := range rounds {
		behave := misbehave(t, file)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_ = reads(ctx, p, "a", faults[round%len(faults)])
		cancel()
		behave()
		well(t, p, "a", faults[0], faults[1])
	}
	if told.of(Timeout)+told.of(Crash) < rounds/2 {
		t.Errorf("told of %v in %d rounds", told.n, rounds)
	}
	await.Until(t, "as few descriptors, children and goroutines as before", func() bool {
		d, c, g := used(t)
		return d <= descriptors && c <= children && g <= goroutines+2
	})
	p.Close()
	await.Until(t, "no child", func() bool { _, c, _ := used(t); return c == 0 })
}
