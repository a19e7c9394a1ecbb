package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Program is what a Runner runs.
type Program struct {
	Path      string
	Args      []string
	Env       []string // all of it: nothing of the exporter's own is passed on
	MaxOutput int      // bytes of standard output; more is an error
}

// Output is what came of a Program that ended.
type Output struct {
	Stdout []byte
	Stderr string // the end of it
	Code   int    // exit status, -1 where a signal ended it
}

// ErrTooLong says that a program printed more than it may.
var ErrTooLong = errors.New("its output is too long")

// Runner runs programs that print and end.
type Runner struct {
	Stuck    func()        // is called, from a goroutine of its own, for each that does not die; may be nil
	KillWait time.Duration // how long a killed one may take to end until it counts as such; 0: 2 s
	dying    dying
}

// Run starts p and waits for its end, but not longer than ctx: then it is killed, with all that it started, and the error
// is that of ctx. Run never blocks for a child that does not die; ErrStuck says that there are too many of those.
func (r *Runner) Run(ctx context.Context, p Program) (Output, error) {
	if err := ctx.Err(); err != nil {
		return Output{}, err
	}
	if r.dying.full() {
		return Output{}, ErrStuck
	}
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env = p.Env
	out := &bounded{max: p.MaxOutput, full: make(chan struct{})}
	var complaints tail
	// Pipes for all three: where there is no /dev/null, os/exec could not start it otherwise.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(""), out, &complaints
	child, err := start(cmd)
	if err != nil {
		return Output{}, err
	}
	select {
	case <-child.ended:
	case <-ctx.Done():
		r.bury(child)
		return Output{Stderr: complaints.String()}, ctx.Err()
	case <-out.full:
		r.bury(child)
		return Output{Stderr: complaints.String()}, fmt.Errorf("%w: more than %d bytes", ErrTooLong, p.MaxOutput)
	}
	o := Output{Stdout: out.text.Bytes(), Stderr: complaints.String(), Code: child.cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if child.err != nil && !errors.As(child.err, &exit) && !errors.Is(child.err, exec.ErrWaitDelay) {
		if errors.Is(child.err, errFull) {
			return o, fmt.Errorf("%w: more than %d bytes", ErrTooLong, p.MaxOutput)
		}
		return o, child.err
	}
	return o, nil
}

func (r *Runner) bury(child *process) {
	wait := r.KillWait
	if wait <= 0 {
		wait = killWait
	}
	r.dying.bury(child, 0, wait, func() {
		if r.Stuck != nil {
			r.Stuck()
		}
	})
}

// bounded takes output up to a limit. One goroutine writes to it.
type bounded struct {
	text bytes.Buffer
	max  int
	full chan struct{} // closed when there was more
	over bool
}

var errFull = errors.New("full")

// Write implements io.Writer. Once it fails, nothing more is read from the pipe.
func (b *bounded) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > b.max {
		if !b.over {
			b.over = true
			close(b.full)
		}
		return 0, errFull
	}
	return b.text.Write(p)
}
