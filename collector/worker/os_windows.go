package worker

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// group is a job object: a child and all that it starts. It ends with its last handle, so with this process however that
// ends. 0 where there could be none: then the child alone is killed.
type group struct {
	job     windows.Handle
	process *os.Process
}

// separate starts a command without a window, which would flash on the desktop of the user.
func separate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
}

func groupOf(p *os.Process) group {
	g := group{process: p}
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return g
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err == nil {
		var h windows.Handle
		if h, err = windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(p.Pid)); err == nil {
			err = windows.AssignProcessToJobObject(job, h)
			_ = windows.CloseHandle(h)
		}
	}
	if err != nil {
		_ = windows.CloseHandle(job)
		return g
	}
	g.job = job
	return g
}

func (g group) kill() {
	if g.job != 0 {
		_ = windows.TerminateJobObject(g.job, 1)
		return
	}
	_ = g.process.Kill()
}

// awaitExit says that nobody needs to wait before the child is waited for: a job is no number that another may get.
func awaitExit(int) bool { return false }

func (g group) sweep() {
	if g.job != 0 {
		g.kill()
	}
}

func (g group) release() {
	if g.job != 0 {
		_ = windows.CloseHandle(g.job)
	}
}

// wire gives a child its pipes: os/exec gives no others than the three on Windows.
func wire(cmd *exec.Cmd, requests, answers *os.File, log io.Writer) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = requests, answers, log
}

// inherited are the pipes in the child: its standard input, and a duplicate of its standard output. That one is set to NUL
// then, so that a library that prints does no harm.
func inherited() (in, out *os.File, err error) {
	kind, err := windows.GetFileType(windows.Handle(os.Stdin.Fd()))
	if err != nil || kind != windows.FILE_TYPE_PIPE {
		return nil, nil, fmt.Errorf("this command is started by gpu_exporter itself, with pipes")
	}
	var answers windows.Handle
	self := windows.CurrentProcess()
	err = windows.DuplicateHandle(self, windows.Handle(os.Stdout.Fd()), self, &answers, 0, false, windows.DUPLICATE_SAME_ACCESS)
	if err != nil {
		return nil, nil, fmt.Errorf("duplicate the pipe of answers: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := windows.SetStdHandle(windows.STD_OUTPUT_HANDLE, windows.Handle(null.Fd())); err != nil {
		return nil, nil, fmt.Errorf("set the standard output aside: %w", err)
	}
	in, out = os.Stdin, os.NewFile(uintptr(answers), "answers")
	os.Stdout = null
	return in, out, nil
}
