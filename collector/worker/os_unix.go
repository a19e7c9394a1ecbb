//go:build unix

package worker

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// group is a process group: a child and all that it starts.
type group int

// separate gives a command a group of its own, so that it can be killed with all that it starts, and so that a Ctrl-C in
// a terminal does not reach it. No signal is asked for at the death of this process: the kernel would send it when the
// thread that started the child ends, which Go ends as it likes.
func separate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func groupOf(p *os.Process) group { return group(p.Pid) }

func (g group) kill() { _ = syscall.Kill(-int(g), syscall.SIGKILL) }

func (group) release() {}

// The numbers of the pipes in the child: 0 to 2 belong to whatever a library prints.
const (
	requestFD = 3
	answerFD  = 4
)

// wire gives a child its pipes: requests at 3, answers at 4. What it prints is kept for the log.
func wire(cmd *exec.Cmd, requests, answers *os.File, log io.Writer) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(""), log, log
	cmd.ExtraFiles = []*os.File{requests, answers}
}

// inherited are the pipes in the child.
func inherited() (in, out *os.File, err error) {
	for _, fd := range []int{requestFD, answerFD} {
		var s syscall.Stat_t
		if err := syscall.Fstat(fd, &s); err != nil || s.Mode&syscall.S_IFMT != syscall.S_IFIFO {
			return nil, nil, errors.New("this command is started by gpu_exporter itself, with pipes at 3 and 4")
		}
		syscall.CloseOnExec(fd)
	}
	return os.NewFile(requestFD, "requests"), os.NewFile(answerFD, "answers"), nil
}
