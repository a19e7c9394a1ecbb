package worker

import (
	"context"
	"errors"
	"gpu_exporter/internal/await"
	"os"
	"strings"
	"testing"
	"time"
)

func command(line string, limit int) Program {
	return Program{Path: os.Getenv("COMSPEC"), Args: []string{"/c", line}, Env: os.Environ(), MaxOutput: limit}
}

func TestRun(t *testing.T) {
	var r Runner
	o, err := r.Run(await.Context(t), command("echo good& exit 9", 1000))
	if err != nil || strings.TrimSpace(string(o.Stdout)) != "good" || o.Code != 9 {
		t.Errorf("%q, %d, %v", o.Stdout, o.Code, err)
	}
	if _, err := r.Run(await.Context(t), command("echo 0123456789", 5)); !errors.Is(err, ErrTooLong) {
		t.Errorf("too much output: %v", err)
	}
}

func TestRunEndsAtItsDeadline(t *testing.T) {
	var r Runner
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	hangs := Program{Path: path, Env: env("hang"), MaxOutput: 1000}
	if _, err := r.Run(ctx, hangs); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	await.Until(t, "its end", func() bool { r.dying.mu.Lock(); defer r.dying.mu.Unlock(); return r.dying.n == 0 })
}
