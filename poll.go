package main

import (
	"context"
	"log/slog"
	"time"

	"gpu_exporter/collector"
)

// pollTimeout is how long the end of a Poller is waited for.
const pollTimeout = 1500 * time.Millisecond

// pace are the options of a Poller.
func (o *options) pace(interval time.Duration, log *slog.Logger, observer collector.Observer) collector.Options {
	return collector.Options{
		Interval:    interval,
		Deadline:    o.deadline,
		Rescan:      o.rescan,
		ForgetAfter: o.forgetAfter,
		Log:         log,
		Observer:    observer,
	}
}

// poll runs the Poller until stop is called, which waits for its end. It goes on when ctx is done: the last requests
// want their answers.
func poll(ctx context.Context, poller *collector.Poller, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		poller.Run(ctx)
	}()
	return func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(pollTimeout):
			log.Warn("the poller did not end in time", "timeout", pollTimeout)
		}
	}
}
