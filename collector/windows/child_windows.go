package windows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// getCimInstance is what PowerShell runs (section 7). Without the first statement it prints in the code page of the
// console.
const getCimInstance = `[Console]::OutputEncoding=[Text.Encoding]::UTF8; ` +
	`@(Get-CimInstance Win32_VideoController | Select-Object Name,PNPDeviceID,AdapterRAM,DriverVersion) | ` +
	`ConvertTo-Json -Compress`

const (
	// childGrace is how long a child that was killed may keep its pipes open by way of others that have them.
	childGrace = time.Second
	// dxdiagPause is how often dxdiag's file is looked at.
	dxdiagPause = 250 * time.Millisecond
)

// powershell runs Get-CimInstance.
func powershell(ctx context.Context) (Output, error) {
	return run(ctx, `WindowsPowerShell\v1.0\powershell.exe`,
		"-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-Command", getCimInstance)
}

// dxdiag has dxdiag write its file. It may return at once and write later, in a process of its own: the file tells when
// it is whole.
func dxdiag(ctx context.Context) (text []byte, err error) {
	folder, err := os.MkdirTemp("", "gpu_exporter-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	file := filepath.Join(folder, "dxdiag.xml")
	job, err := newJob()
	if err != nil {
		return nil, err
	}
	defer job.end() // before the folder is removed
	// No signatures are looked up in the net. At the end of ctx there may be a file, of a dxdiag that hung afterwards.
	out, err := job.run(ctx, "dxdiag.exe", "/whql:off", "/x", file)
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	pause := time.NewTicker(dxdiagPause)
	defer pause.Stop()
	for {
		text, err := readFile(file)
		if err != nil || DxDiagWhole(text) || ctx.Err() != nil {
			return text, err
		}
		if out.Exit != 0 {
			return nil, fmt.Errorf("it ended with code %d and wrote no whole file", out.Exit)
		}
		select {
		case <-pause.C:
		case <-ctx.Done(): // what there is then is looked at once more
		}
	}
}

// readFile reads a file that may not be there yet, or still be held by who writes it.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDocument+1))
}

// run runs a program of Windows in a job of its own.
func run(ctx context.Context, program string, args ...string) (Output, error) {
	job, err := newJob()
	if err != nil {
		return Output{}, err
	}
	defer job.end()
	return job.run(ctx, program, args...)
}

// job is a job object: all that its programs start ends with it.
type job windows.Handle

func newJob() (job, error) {
	h, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, fmt.Errorf("make a job: %w", err)
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE // should this process die first
	_, err = windows.SetInformationJobObject(h, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		windows.CloseHandle(h)
		return 0, fmt.Errorf("make a job: %w", err)
	}
	return job(h), nil
}

// end kills whatever runs in the job.
func (j job) end() {
	_ = windows.TerminateJobObject(windows.Handle(j), 1) // that nothing runs in it any more is no matter
	windows.CloseHandle(windows.Handle(j))
}

// run runs a program, by its path below System32, until it ends or ctx does.
func (j job) run(ctx context.Context, program string, args ...string) (Output, error) {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return Output{}, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(system, program), args...)
	var out, complaints bounded
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.WaitDelay = childGrace
	cmd.Cancel = func() error { return windows.TerminateJobObject(windows.Handle(j), 1) }
	// It waits in the job before it runs: what it starts cannot be outside.
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NO_WINDOW | windows.CREATE_SUSPENDED}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return Output{}, err
	}
	if err := j.take(uint32(cmd.Process.Pid)); err != nil {
		return Output{}, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return Output{}, fmt.Errorf("%s: %w", program, ctx.Err())
	}
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return Output{}, fmt.Errorf("%s: %w", program, err)
	}
	o := Output{Text: out.Bytes(), Exit: cmd.ProcessState.ExitCode()}
	if o.Exit != 0 {
		o.Text = append(o.Text, complaints.Bytes()...)
	}
	return o, nil
}

// take takes a suspended process into the job and has it run.
func (j job) take(pid uint32) error {
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, pid)
	if err != nil {
		return fmt.Errorf("open a child: %w", err)
	}
	defer windows.CloseHandle(process)
	if err := windows.AssignProcessToJobObject(windows.Handle(j), process); err != nil {
		return fmt.Errorf("take a child into a job: %w", err)
	}
	return resume(pid)
}

// resume has the threads of a suspended process run: it has one.
func resume(pid uint32) error {
	list, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return fmt.Errorf("list threads: %w", err)
	}
	defer windows.CloseHandle(list)
	entry := windows.ThreadEntry32{}
	entry.Size = uint32(unsafe.Sizeof(entry))
	resumed := false
	for err = windows.Thread32First(list, &entry); err == nil; err = windows.Thread32Next(list, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, entry.ThreadID)
		if err != nil {
			return fmt.Errorf("open the thread of a child: %w", err)
		}
		_, err = windows.ResumeThread(thread)
		windows.CloseHandle(thread)
		if err != nil {
			return fmt.Errorf("resume a child: %w", err)
		}
		resumed = true
	}
	if !resumed {
		return fmt.Errorf("resume a child: it has no thread (%w)", err)
	}
	return nil
}

// bounded keeps the begin of what is written to it.
type bounded struct{ bytes.Buffer }

// Write implements io.Writer. The writer is told that all was taken: it is not to fail for what nobody reads.
func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), maxDocument-b.Len())])
	return len(p), nil
}
