package simulation

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gpu_exporter/collector"
)

// Auto is for a program that simulates only where there is no GPU. It returns the real probes, in their order and under
// their names, and after them the simulation, which from then on finds its GPUs
//
//   - only when every real probe has ended a discovery without error and none of them has found a GPU. As long as one fails
//     or has not come back, nobody knows whether there is a GPU, and numbers that are made up would hide one that is broken;
//   - never again once a real GPU was found, whatever becomes of that: a simulated one is no stand-in. Devices that were
//     handed out answer ErrGone from then on.
//
// The probes that it returns belong to one Poller: a discovery of the simulation waits for those of the others that begin
// at the same time, so that in the list where the first real GPU stands no simulated one does. A collector.Diagnoser must
// be asked itself, not what stands for it here.
func Auto(sim *Probe, real ...collector.Probe) []collector.Probe {
	a := &auto{sim: sim, changed: make(chan struct{})}
	var list []collector.Probe
	for _, p := range real {
		w := &watched{Probe: p, auto: a}
		a.real = append(a.real, w)
		list = append(list, w)
	}
	return append(list, a)
}

// auto is the Probe of a simulation that ends.
type auto struct {
	sim  *Probe
	real []*watched
	over atomic.Bool // a real GPU was found; never taken back

	mu      sync.Mutex    // guards all below and what watched notes
	on      bool          // the simulation has begun; never taken back
	changed chan struct{} // closed, and made anew, when a real probe has begun or ended a discovery
}

// watched is a real Probe, and what is known of its discoveries.
type watched struct {
	collector.Probe
	auto *auto

	begun   int  // how many
	running int  // how many of them have not come back
	heard   int  // how many had begun when the simulation gave its last answer
	none    bool // the last one that came back had no error and no GPU
}

// Discover implements collector.Probe.
func (w *watched) Discover(ctx context.Context) ([]collector.Device, error) {
	w.auto.note(func() { w.begun++; w.running++ })
	devices, err := w.Probe.Discover(ctx)
	w.auto.note(func() {
		w.running--
		w.none = err == nil && len(devices) == 0
		if len(devices) > 0 {
			w.auto.end()
		}
	})
	return devices, err
}

// Notify implements collector.Notifier, for a probe that does.
func (w *watched) Notify(rescan func()) {
	if n, ok := w.Probe.(collector.Notifier); ok {
		n.Notify(rescan)
	}
}

// Close implements io.Closer, for a probe that does.
func (w *watched) Close() error {
	if c, ok := w.Probe.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// answered says whether the probe has done its part in the present round of discoveries. One that is still at an older
// discovery has no part in it.
func (w *watched) answered() bool { return (w.begun > w.heard) == (w.running == 0) }

// foundNone says whether all that the probe could find was looked for, and there is none.
func (w *watched) foundNone() bool { return w.none && w.running == 0 }

func (a *auto) note(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	close(a.changed)
	a.changed = make(chan struct{})
}

// end ends the simulation for good. Whoever calls it holds mu.
func (a *auto) end() {
	if !a.over.Swap(true) && a.on {
		a.sim.o.Log.Info("the simulation has ended: a real GPU was found")
	}
}

// Name implements collector.Probe.
func (a *auto) Name() string { return a.sim.Name() }

// Discover implements collector.Probe.
func (a *auto) Discover(ctx context.Context) ([]collector.Device, error) {
	a.await(ctx)
	if !a.decide() {
		return nil, nil
	}
	devices, err := a.sim.Discover(ctx)
	for i, d := range devices {
		devices[i] = ending{d, &a.over}
	}
	return devices, err
}

// await waits for the discoveries of the real probes in the present round. It gives up a little before the end of ctx:
// an answer that comes too late counts as a failure of the simulation, which has none.
func (a *auto) await(ctx context.Context) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)*9/10)
		defer cancel()
	}
	for !a.over.Load() {
		a.mu.Lock()
		changed := a.changed
		waits := slices.ContainsFunc(a.real, func(w *watched) bool { return !w.answered() })
		a.mu.Unlock()
		if !waits {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// decide says whether there are simulated GPUs now.
func (a *auto) decide() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.real {
		w.heard = w.begun
	}
	if a.over.Load() {
		return false
	}
	a.on = a.on || !slices.ContainsFunc(a.real, func(w *watched) bool { return !w.foundNone() })
	return a.on
}

// ending is a simulated GPU until there is a real one.
type ending struct {
	collector.Device
	over *atomic.Bool
}

// Read implements collector.Device.
func (e ending) Read(ctx context.Context, r *collector.Reading) error {
	if e.over.Load() {
		return collector.ErrGone
	}
	return e.Device.Read(ctx, r)
}
