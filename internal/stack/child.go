package stack

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is a part that runs.
type child struct {
	name, log string
	ended     chan struct{}
	err       error // why it ended; read after ended is closed
}

// killAfter is what a part gets to end, after which it is killed.
const killAfter = 15 * time.Second

// startChild starts a program that writes to a log and ends with ctx.
func startChild(ctx context.Context, name, log, program string, args ...string) (*child, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = killAfter
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return cmd.Process.Kill() // Windows has no such signal
		}
		return nil
	}
	tie(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, log: log, ended: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

func (c *child) hasEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// obituary says why a part ended, with the end of its log. It is called when it has.
func (c *child) obituary() error {
	const most = 2000 // bytes
	text, err := os.ReadFile(c.log)
	if err != nil {
		text = []byte(err.Error())
	}
	text = bytes.TrimSpace(text[max(0, len(text)-most):])
	return fmt.Errorf("%s has ended: %v\n%s", c.name, c.err, text)
}

// awaitReady waits until the part answers that it is ready.
func (c *child) awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("%s is not ready within %v, see %s", c.name, startTimeout, c.log))
	defer cancel()
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for !isReady(ctx, url+"/-/ready") {
		select {
		case <-pause.C:
		case <-c.ended:
			return c.obituary()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func isReady(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
