package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"gpu_exporter/collector"
)

// pollTimeout is how long the end of a Poller, and of what its probes have started, is waited for.
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

// poll runs the Poller until stop is called, which waits for its end and closes the probes: no program that they have
// started outlives this one. It goes on when ctx is done: the last requests want their answers.
func poll(ctx context.Context, poller *collector.Poller, probes []collector.Probe, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		poller.Run(ctx)
	}()
	return func() {
		end, patience := context.WithTimeout(context.Background(), pollTimeout)
		defer patience()
		cancel()
		select {
		case <-ended:
		case <-end.Done():
			log.Warn("the poller did not end in time", "timeout", pollTimeout)
		}
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			closeProbes(probes, log)
		}()
		select {
		case <-closed:
		case <-end.Done():
			log.Warn("what reads the GPUs was not closed in time", "timeout", pollTimeout)
		}
	}
}

// closeProbes closes those that have something to close, side by side.
func closeProbes(probes []collector.Probe, log *slog.Logger) {
	var all sync.WaitGroup
	for _, p := range probes {
		if c, ok := p.(io.Closer); ok {
			all.Go(func() {
				if err := c.Close(); err != nil {
					log.Warn("a probe cannot be closed", "probe", p.Name(), "err", err)
				}
			})
		}
	}
	all.Wait()
}
