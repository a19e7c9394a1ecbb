package winservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

const (
	// account is the least that Windows has (section 10 of windows.md): what is lost by it says the README.
	account = `NT AUTHORITY\LocalService`
	// recovery is after what time Windows starts a service again that failed, and quiet the time without a failure after
	// which it forgets those before.
	recovery = 5 * time.Second
	quiet    = 24 * time.Hour
	// patience is how long a start or a stop may take. The program takes 5 s to stop.
	patience = 30 * time.Second
	pause    = 100 * time.Millisecond
)

var (
	errInstalled = errors.New("the service " + Name + " is installed already: " +
		"gpu_exporter service uninstall removes it, and leaves its flags and its history")
	errAbsent = errors.New("there is no service " + Name + ": gpu_exporter service install makes it")
)

// Setup is what an install is told.
type Setup struct {
	Flags []string // what the service is to be started with, as lines of a flags file
	// Check says what is wrong with the arguments of a service, and on which addresses it will listen.
	Check func(args []string) (addresses []string, err error)
	// Say and Warn take lines for people.
	Say, Warn io.Writer
}

// Install makes the service: its folders, its copy of the program, its flags file, and its firewall rule.
func Install(ctx context.Context, s Setup) error {
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	if service, err := m.OpenService(Name); err == nil {
		service.Close()
		return errInstalled
	}
	at, err := findPlaces()
	if err != nil {
		return err
	}
	if err := at.make(); err != nil {
		return explain(err)
	}
	addresses, err := writeFlags(at, s)
	if err != nil {
		return explain(err)
	}
	if err := at.copyProgram(); err != nil {
		return explain(err)
	}
	if err := create(m, at, s.Warn); err != nil {
		return err
	}
	fmt.Fprintf(s.Say, "The service %s is installed and will start with Windows: %s\nIts flags are in %s, its history and its log below %s.\n"+
		"It runs as %s. On servers the performance counters may be closed to that: README, Windows, says what to do.\n",
		Name, at.program, at.flags, at.state, account)
	if open := ports(addresses); len(open) > 0 {
		rule := addRule(at.program, open)
		if err := runNetsh(ctx, rule); err != nil {
			fmt.Fprintf(s.Warn, "Other hosts cannot reach it, for the firewall rule could not be made (%v). "+
				"Make it in a console of an administrator:\n  %s\n", err, commandLine(netsh, rule))
		}
	}
	fmt.Fprintln(s.Say, "Start it now: gpu_exporter service start")
	return nil
}

// create makes the service, or nothing.
func create(m *mgr.Mgr, at places, warn io.Writer) (err error) {
	service, err := m.CreateService(Name, at.program, mgr.Config{
		StartType:        mgr.StartAutomatic,
		ErrorControl:     mgr.ErrorNormal,
		ServiceStartName: account,
		DisplayName:      "GPU exporter",
		Description:      "Tells Prometheus what the GPUs of this machine do.",
	}, "service", "run", "@"+at.flags)
	if errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE) {
		return fmt.Errorf("the last service %s is not quite gone: close the windows that show services, or restart Windows", Name)
	}
	if err != nil {
		return fmt.Errorf("make the service: %w", err)
	}
	defer service.Close()
	defer func() {
		if err != nil {
			err = errors.Join(err, service.Delete())
		}
	}()
	again := mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: recovery}
	for _, setting := range [...]struct {
		set  func() error
		lost string // where Windows does not know the setting, as Wine does not know some
	}{
		{func() error { return setSID(service) }, "it may not be able to write its history and its log"},
		{func() error {
			return service.SetRecoveryActions([]mgr.RecoveryAction{again, again, again}, uint32(quiet/time.Second))
		}, "it is not restarted when it fails"},
		{func() error { return service.SetRecoveryActionsOnNonCrashFailures(true) },
			"it is not restarted when it ends with an error, only when it crashes"},
	} {
		err := setting.set()
		if errors.Is(err, windows.ERROR_INVALID_LEVEL) {
			fmt.Fprintf(warn, "This Windows lacks a setting of services: %s.\n", setting.lost)
		} else if err != nil {
			return fmt.Errorf("set up the service: %w", err)
		}
	}
	if err := eventlog.Remove(Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove an old source of the event log: %w", err)
	}
	if err := eventlog.InstallAsEventCreate(Name, eventlog.Error); err != nil {
		return fmt.Errorf("make the source of the event log: %w", err)
	}
	return nil
}

// setSID gives the processes of the service the SID that its folders are open to.
func setSID(service *mgr.Service) error {
	kind := uint32(windows.SERVICE_SID_TYPE_UNRESTRICTED)
	return windows.ChangeServiceConfig2(service.Handle, windows.SERVICE_CONFIG_SERVICE_SID_INFO, (*byte)(unsafe.Pointer(&kind)))
}

// Uninstall stops and removes the service and what was made with it, but for what people may have put there.
func Uninstall(ctx context.Context, say io.Writer) error {
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	service, err := open(m)
	if err != nil {
		return err
	}
	defer service.Close()
	if err := stop(ctx, service); err != nil {
		return err
	}
	if err := service.Delete(); err != nil {
		return fmt.Errorf("remove the service: %w", err)
	}
	var errs []error
	if err := eventlog.Remove(Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, fmt.Errorf("remove the source of the event log: %w", err))
	}
	// netsh fails the same whether there is no rule or it cannot be deleted; there is none where only this host may ask.
	rule := "is removed"
	if err := runNetsh(ctx, deleteRule()); err != nil {
		rule = fmt.Sprintf("was not there or could not be deleted (%v)", err)
	}
	fmt.Fprintf(say, "The service %s and its source of the event log are removed. The firewall rule %s.\n", Name, rule)
	at, err := findPlaces()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	if left := at.removeProgram(); left != nil {
		fmt.Fprintf(say, "Left: the program (%v).\n", left)
	}
	fmt.Fprintf(say, "Left: %s, with the flags, the history and the log. Delete it if you do not want the service again.\n", at.config)
	return errors.Join(errs...)
}

// Start starts the service and waits until it serves.
func Start(ctx context.Context, say io.Writer) error {
	return with(func(service *mgr.Service) error {
		err := service.Start()
		if errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
			fmt.Fprintln(say, "It runs already.")
			return nil
		}
		if err != nil {
			return fmt.Errorf("start the service: %w", err)
		}
		status, err := await(ctx, service, svc.Running, svc.Stopped)
		if err != nil {
			return err
		}
		if status.State == svc.Stopped {
			return fmt.Errorf("it ended with status %d: the event log says why (Event Viewer, Windows Logs, Application, source %s)",
				status.ServiceSpecificExitCode, Name)
		}
		fmt.Fprintln(say, "It runs.")
		return nil
	})
}

// Stop stops the service and waits until it has ended.
func Stop(ctx context.Context, say io.Writer) error {
	return with(func(service *mgr.Service) error {
		if err := stop(ctx, service); err != nil {
			return err
		}
		fmt.Fprintln(say, "It is stopped.")
		return nil
	})
}

// stop stops the service and waits for the end of its process, which comes after that of the service: until then nobody
// can delete the program.
func stop(ctx context.Context, service *mgr.Service) error {
	running, err := service.Query()
	if err != nil {
		return fmt.Errorf("ask for the state of the service: %w", err)
	}
	process, err := windows.OpenProcess(windows.SYNCHRONIZE, false, running.ProcessId)
	if there := running.ProcessId != 0 && err == nil; there {
		defer windows.CloseHandle(process)
	} else {
		process = 0
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for stopped := false; !stopped; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stop the service: %w", err)
		}
		_, err := service.Control(svc.Stop)
		wanted := []svc.State{svc.Stopped}
		switch {
		case errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE):
		case errors.Is(err, windows.ERROR_SERVICE_CANNOT_ACCEPT_CTRL): // it stops already, or starts still
			wanted = append(wanted, svc.Running)
		case err != nil:
			return fmt.Errorf("stop the service: %w", err)
		}
		status, err := await(ctx, service, wanted...)
		if err != nil {
			return err
		}
		stopped = status.State == svc.Stopped
	}
	for process != 0 && ctx.Err() == nil { // it is stopped, whatever becomes of that
		const ended = windows.WAIT_OBJECT_0
		if event, err := windows.WaitForSingleObject(process, uint32(pause.Milliseconds())); event == ended || err != nil {
			break
		}
	}
	return nil
}

// with does something to the service.
func with(do func(*mgr.Service) error) error {
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	service, err := open(m)
	if err != nil {
		return err
	}
	defer service.Close()
	return do(service)
}

func connect() (*mgr.Mgr, error) {
	m, err := mgr.Connect()
	if err != nil {
		return nil, explain(fmt.Errorf("ask for the services of Windows: %w", err))
	}
	return m, nil
}

func open(m *mgr.Mgr) (*mgr.Service, error) {
	service, err := m.OpenService(Name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, fmt.Errorf("open the service: %w", err)
	}
	return service, nil
}

// await waits until the service is in one of the states.
func await(ctx context.Context, service *mgr.Service, states ...svc.State) (svc.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	turns := time.NewTicker(pause)
	defer turns.Stop()
	for {
		status, err := service.Query()
		if err != nil {
			return status, fmt.Errorf("ask for the state of the service: %w", err)
		}
		for _, s := range states {
			if status.State == s {
				return status, nil
			}
		}
		select {
		case <-turns.C:
		case <-ctx.Done():
			return status, fmt.Errorf("wait for the service, which is in state %d: %w", status.State, ctx.Err())
		}
	}
}
