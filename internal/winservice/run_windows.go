package winservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
)

// Work is what a service does: it calls up when it serves, complains to complaints, and returns its exit status soon
// after ctx is done.
type Work func(ctx context.Context, up func(), complaints io.Writer) int

// How long Windows is told to wait for a start and for a stop, which takes 5 s at most.
const (
	startHint = 30 * time.Second
	stopHint  = 10 * time.Second
)

// eventID is that of all events: EventCreate.exe, which holds their text for the Event Viewer, knows 1 to 1000.
const eventID = 1

// Run is the service. It returns when that has ended, with its exit status.
//
// The event log is told of an end that was not asked for, since a service has neither console nor standard error.
func Run(work Work) (status int, err error) {
	h := &handler{work: work}
	if err := svc.Run(Name, h); err != nil {
		if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
			return 1, errors.New("only Windows can run the service: say gpu_exporter service start")
		}
		return 1, fmt.Errorf("run as a service: %w", err)
	}
	return h.status, h.err
}

// handler implements svc.Handler.
type handler struct {
	work   Work
	status int
	err    error
}

// Execute implements svc.Handler. The status is one of the service itself, not of Windows.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, states chan<- svc.Status) (own bool, status uint32) {
	states <- svc.Status{State: svc.StartPending, WaitHint: uint32(startHint.Milliseconds())}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var complaints tail
	up, ended := make(chan struct{}), make(chan int, 1)
	go func() { ended <- h.work(ctx, func() { close(up) }, &complaints) }()
	for {
		select {
		case <-up:
			up = nil
			states <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				states <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				up = nil
				states <- svc.Status{State: svc.StopPending, WaitHint: uint32(stopHint.Milliseconds())}
				cancel()
			}
		case h.status = <-ended:
			if h.status != 0 {
				h.err = writeEvent(complaints.report(h.status))
			}
			return true, uint32(h.status)
		}
	}
}

// writeEvent writes an error to the event log.
func writeEvent(text string) error {
	log, err := eventlog.Open(Name)
	if err != nil {
		return fmt.Errorf("open the event log: %w", err)
	}
	return errors.Join(log.Error(eventID, text), log.Close())
}
