package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"gpu_exporter/collector"
)

// tellSystemd says that the service is up, and, where the unit has a watchdog, that it is alive until ctx is done: as long
// as the loop of the poller has its turns, since all that is served comes from there. What it returns says that the
// service ends. Without systemd it does nothing.
func tellSystemd(ctx context.Context, poller *collector.Poller, log *slog.Logger) (stopping func()) {
	notify := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn("systemd cannot be told", "state", state, "err", err)
		}
	}
	notify(daemon.SdNotifyReady)
	stopping = func() { notify(daemon.SdNotifyStopping) }
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the watchdog of systemd has no time", "err", err)
	}
	if every <= 0 {
		return stopping
	}
	go func() {
		beat := time.NewTicker(every / 2)
		defer beat.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-beat.C:
			}
			turn, cancel := context.WithTimeout(ctx, every/4)
			if poller.Alive(turn) {
				notify(daemon.SdNotifyWatchdog)
			}
			cancel()
		}
	}()
	return stopping
}
