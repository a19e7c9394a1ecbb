package stack

import (
	"os/exec"
	"syscall"
)

// tie makes a child end when this process does, however that ends. A process group of its own keeps the Ctrl-C of a terminal
// from it, so that it is told to end once, by us. The kernel sends the signal when the thread that started the child ends;
// Go ends a thread only where a goroutine was locked to it.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
