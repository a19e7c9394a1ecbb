package worker

import (
	"context"
	"errors"
	"gpu_exporter/internal/await"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func shell(script string, limit int) Program {
	return Program{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, MaxOutput: limit}
}

func TestRun(t *testing.T) {
	t.Setenv("SECRET", "a password")
	for _, c := range []struct {
		name   string
		script string
		stdout string
		stderr string
		code   int
		err    error
	}{
		{"output and complaints apart", "echo good; echo bad >&2", "good\n", "bad\n", 0, nil},
		{"an exit status", "echo text; exit 9", "text\n", "", 9, nil},
		{"a signal", "kill -9 $$", "", "", -1, nil},
		{"nothing of our environment", `echo "[$SECRET]"`, "[]\n", "", 0, nil},
		{"nothing to read", "cat", "", "", 0, nil},
		{"too much output", "while :; do echo 0123456789; done", "", "", 0, ErrTooLong},
		{"too much at the end", "head -c 2000 /dev/zero", "", "", 0, ErrTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Runner
			o, err := r.Run(await.Context(t), shell(c.script, 1000))
			if !errors.Is(err, c.err) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if err == nil && (string(o.Stdout) != c.stdout || o.Stderr != c.stderr || o.Code != c.code) {
				t.Errorf("%q, %q, %d", o.Stdout, o.Stderr, o.Code)
			}
			await.Until(t, "no child", func() bool { _, n, _ := used(t); return n == 0 })
		})
	}
}

func TestRunOfWhatIsNotThere(t *testing.T) {
	var r Runner
	if _, err := r.Run(await.Context(t), Program{Path: "/nonexistent/nvidia-smi"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// What a program started is killed with it: it may hold the driver open.
func TestRunKillsTheWholeGroup(t *testing.T) {
	at := filepath.Join(t.TempDir(), "pid")
	for _, c := range []struct {
		name, script string
		cancelled    bool
		want         error
	}{
		{"at the deadline", "sleep 1000 & echo $! >" + at + "; wait", true, context.Canceled},
		{"at its end", "sleep 1000 & echo $! >" + at, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(await.Context(t))
			defer cancel()
			var r Runner
			ended := make(chan error, 1)
			go func() {
				_, err := r.Run(ctx, shell(c.script, 1000))
				ended <- err
			}()
			started := func() bool { text, _ := os.ReadFile(at); return strings.HasSuffix(string(text), "\n") }
			await.Until(t, "the program that it starts", started)
			if c.cancelled {
				cancel()
			}
			if err := <-ended; !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			text, err := os.ReadFile(at)
			if err != nil {
				t.Fatal(err)
			}
			await.Until(t, "its end", func() bool { return !alive(strings.TrimSpace(string(text))) })
			if err := os.Remove(at); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRunDoesNotAddToThoseThatDoNotDie(t *testing.T) {
	var r Runner
	r.dying.add(maxDying)
	if _, err := r.Run(await.Context(t), shell("echo", 10)); !errors.Is(err, ErrStuck) {
		t.Error(err)
	}
}
