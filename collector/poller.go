package collector

import (
	"context"
	"log/slog"
	"time"
)

// Options set the pace of a Poller.
type Options struct {
	Interval    time.Duration // between cycles; 0: a cycle only when Fresh asks for one
	Deadline    time.Duration // a device that has not answered by then is hung
	Rescan      time.Duration // between discoveries
	ForgetAfter time.Duration // how long a lost GPU is told of
	Log         *slog.Logger
	Observer    Observer
}

// Poller reads all GPUs and publishes what it read.
type Poller struct{ o Options }

// NewPoller returns a Poller that finds GPUs by the probes: where two find the same GPU, the first has it.
func NewPoller(o Options, probes ...Probe) *Poller { return &Poller{o: o} }

// Run polls until ctx is done.
func (p *Poller) Run(ctx context.Context) {}

// Latest is the newest snapshot; nil before the first cycle has ended.
func (p *Poller) Latest() *Snapshot { return nil }

// Fresh is the snapshot to serve now.
func (p *Poller) Fresh(ctx context.Context) *Snapshot { return nil }

// Rescan asks for a discovery soon.
func (p *Poller) Rescan() {}

// Subscribe gives each new snapshot, the newest only where the receiver is slow, until ctx is done.
func (p *Poller) Subscribe(ctx context.Context) <-chan *Snapshot { return nil }
