package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/smi"
)

// once prints readings and exits.
func once(ctx context.Context, o *options, p program) int {
	log, probes := p.atHand(o, slog.LevelWarn) // beside a printed reading stands only what is wrong
	poller := collector.NewPoller(o.pace(0, log, nil), probes...)
	defer poll(ctx, poller, probes, log)()

	found := false
	write := func(w io.Writer) (err error) {
		found, err = writeSamples(ctx, w, o, poller)
		return err
	}
	var err error
	if o.once.out == "" {
		err = write(p.out)
	} else {
		err = replaceFile(o.once.out, write)
	}
	if err != nil {
		return p.fail(1, "%v", err)
	}
	if !found {
		return p.fail(1, "%s", nothing(o, probes))
	}
	return 0
}

// atHand is what a command has that reads for itself and ends. It logs from level on, unless a flag says otherwise.
func (p program) atHand(o *options, level slog.Level) (*slog.Logger, []collector.Probe) {
	if o.logLevelSet {
		level = o.logLevel
	}
	log, _ := o.logger(p.err, level)
	checkPaths(o, log)
	list, _ := probes(p.readers(o, log))
	return log, list
}

// writeSamples writes as many readings as were asked for, and says whether the last one has a GPU.
func writeSamples(ctx context.Context, w io.Writer, o *options, poller *collector.Poller) (found bool, err error) {
	write := writers[o.once.format]
	snap, err := firstReading(ctx, o, poller)
	for n := 1; err == nil; n++ {
		last := n == o.once.samples
		if err := write(w, snap, n, last); err != nil {
			return false, fmt.Errorf("write a reading: %w", err)
		}
		if last {
			return len(snap.Devices) > 0, nil
		}
		snap, err = nextReading(ctx, o, poller)
	}
	return false, err
}

// firstReading asks until all GPUs are found and each has answered, or is known not to: the Poller does not hold up its
// snapshots for what is slow, but nobody else waits for this one.
func firstReading(ctx context.Context, o *options, poller *collector.Poller) (*collector.Snapshot, error) {
	// A discovery, a read and some, and what nvidia-smi or the library of a vendor may take to start. Until then a GPU is
	// known and unread, or the discovery says that somebody has not answered yet.
	limit := 2*o.deadline + time.Second + smi.FirstAnswer
	reading, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		snap := poller.Fresh(reading)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("interrupted")
		case snap != nil && (reading.Err() != nil || !slices.ContainsFunc(snap.Devices, unread) && !slices.ContainsFunc(snap.Probes, unfinished)):
			return snap, nil
		case reading.Err() != nil:
			return nil, fmt.Errorf("no answer within %v: raise --polling.deadline", limit)
		}
		wait(reading, 10*time.Millisecond) // each turn costs a cycle
	}
}

// unread says that d is in its first read still: what was read of it before it was found anew does not count.
func unread(d collector.Status) bool {
	return d.Samples == nil && (d.State == collector.StateOK || d.State == collector.StatePartial && d.Up)
}

// unfinished says that p may find more soon.
func unfinished(p collector.ProbeStatus) bool { return errors.Is(p.Err, collector.ErrNotYet) }

func nextReading(ctx context.Context, o *options, poller *collector.Poller) (*collector.Snapshot, error) {
	wait(ctx, o.once.interval)
	reading, cancel := context.WithTimeout(ctx, o.deadline+time.Second)
	defer cancel()
	snap := poller.Fresh(reading)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("interrupted")
	}
	return snap, nil
}

// wait waits for d, or until ctx is done.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// nothing says where GPUs were looked for in vain.
func nothing(o *options, probes []collector.Probe) string {
	if len(probes) == 0 {
		return "no GPU found: all collectors are off, or there is none for this system"
	}
	var names []string
	for _, probe := range probes {
		names = append(names, probe.Name())
	}
	return "no GPU found: " + sought(o, strings.Join(names, ", "))
}
