// Package worker runs other programs for calls that can crash or hang for ever, so that such a call costs a child
// process and never the exporter. A Supervisor keeps a child that answers requests in frames over pipes (a vendor's
// library), a Runner starts a program that prints and ends (nvidia-smi). Both kill what misses its deadline with all that
// it started, and both stop starting anew while two children are there that cannot even be killed: a process that hangs
// in a driver stays until the driver lets it go.
package worker

import (
	"errors"
	"os/exec"
	"sync"
	"time"
)

// Reason says why a child was replaced, a value of the label reason of gpu_exporter_worker_restarts_total.
type Reason string

// The reasons.
const (
	Crash         Reason = "crash"          // it ended by itself
	Timeout       Reason = "timeout"        // it missed a deadline
	Stuck         Reason = "stuck"          // it did not die; counted beside the reason why it was killed
	Protocol      Reason = "protocol"       // what it said is nothing that a child says
	Sleep         Reason = "sleep"          // it was ended so that a GPU can fall asleep
	DriverChanged Reason = "driver_changed" // it was ended because its library is not that of the driver any more
)

const (
	// maxDying is how many children may be on their way out until no other is started.
	maxDying = 2
	// killWait is how long a killed child may take to end until it counts as stuck.
	killWait = 2 * time.Second
	// pipeWait is how long the output of a child that ended is waited for: a program that it started may hold the pipe.
	pipeWait = time.Second
)

// ErrStuck says that no child is started because two are there that do not die.
var ErrStuck = errors.New("two child processes hang in the driver and cannot be killed")

// process is a child that was started. Its end is awaited in a goroutine of its own.
type process struct {
	cmd   *exec.Cmd
	group group
	ended chan struct{} // closed when it has ended and its output was read
	err   error         // of exec.Cmd.Wait; read after ended is closed

	mu     sync.Mutex
	reaped bool // its number may be another's by now
}

// start starts a command in a group of its own.
func start(cmd *exec.Cmd) (*process, error) {
	cmd.WaitDelay = pipeWait
	separate(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	p.group = groupOf(cmd.Process)
	go func() {
		defer close(p.ended)
		if awaitExit(cmd.Process.Pid) {
			p.sweep() // what it started and left behind, before another process may have its number
			p.err = cmd.Wait()
		} else {
			p.err = cmd.Wait()
			p.sweep()
		}
		p.group.release()
	}()
	return p, nil
}

// sweep ends what the child has left behind, the last time that its group may be touched.
func (p *process) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.group.sweep()
	p.reaped = true
}

// kill ends the child and all that it started, as far as the kernel can.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.group.kill()
	}
}

// dying counts the children that were killed and have not ended.
type dying struct {
	mu sync.Mutex
	n  int
}

// full says that no further child may be started.
func (d *dying) full() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n >= maxDying
}

func (d *dying) add(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n += n
}

// bury sees a child to its end: it is killed when grace has passed, and stuck is called when it then does not die within
// wait. It does not block. Who has grace is not counted: it does what it was told, most likely.
func (d *dying) bury(p *process, grace, wait time.Duration, stuck func()) {
	if grace <= 0 {
		p.kill()
		d.add(1)
	}
	go func() {
		if grace > 0 {
			if endsWithin(p, grace) {
				return
			}
			p.kill()
			d.add(1)
		}
		defer d.add(-1)
		if !endsWithin(p, wait) {
			stuck()
			<-p.ended
		}
	}()
}

func endsWithin(p *process, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
		return false
	}
}

// tail keeps the end of what is written to it, for the log.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[max(0, len(p)-tailSize):]...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

// String is what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
