// Package amd reads AMD GPUs on Linux through the files of the amdgpu and radeon drivers below /sys, without any
// library. Facts about the hardware come from the kernel's sources, which comments name by file.
package amd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

// Options say where a Probe looks and what it reads beyond the default.
type Options struct {
	Sysfs    string // the folder that is /sys: a container may have it elsewhere, a test has its own
	Procfs   string // the folder that is /proc
	HostRoot string // where name lists of the host are looked for; empty: nowhere
	Firmware bool   // read firmware versions too
	Log      *slog.Logger
}

// Probe finds the cards of amdgpu and radeon.
type Probe struct {
	o Options

	mu    sync.Mutex
	stuck map[string]bool // cards whose identity is being read by a goroutine that was given up on
}

// New returns a Probe.
func New(o Options) *Probe { return &Probe{o: o, stuck: map[string]bool{}} }

// Name implements collector.Probe.
func (p *Probe) Name() string { return "amd" }

// Discover implements collector.Probe. A card whose driver does not even let its identity be read holds up nobody: it
// is given up on at the end of ctx, and not looked at again until that read has come back.
func (p *Probe) Discover(ctx context.Context) ([]collector.Device, error) {
	names, err := sysfs.List(filepath.Join(p.o.Sysfs, "class/drm"))
	if errors.Is(err, syscall.ENOENT) {
		return nil, nil // no DRM driver is loaded: no GPU, which is no error
	}
	if err != nil {
		return nil, fmt.Errorf("list the cards: %w", err)
	}
	type answer struct {
		card int
		dev  *device
		err  error
	}
	cards := cardNumbers(names)
	answers := make(chan answer, len(cards)) // nobody who was given up on blocks here
	var failed []error
	asked := 0
	for _, n := range cards {
		card := fmt.Sprintf("card%d", n)
		if !p.begin(card) {
			failed = append(failed, fmt.Errorf("%s: its identity is still being read", card))
			continue
		}
		asked++
		go func() {
			dev, err := p.identify(card)
			p.end(card) // before the answer, with which the next discovery may begin
			answers <- answer{n, dev, err}
		}()
	}
	found := map[string]*device{} // by address: two cards of one address are one GPU, and the lowest number has it
	number := map[string]int{}
	for range asked {
		select {
		case <-ctx.Done():
			return devices(found), errors.Join(append(failed, ctx.Err())...)
		case a := <-answers:
			if a.err != nil {
				failed = append(failed, fmt.Errorf("card%d: %w", a.card, a.err))
			}
			if a.dev == nil {
				continue
			}
			if n, taken := number[a.dev.info.GPU]; !taken || a.card < n {
				found[a.dev.info.GPU], number[a.dev.info.GPU] = a.dev, a.card
			}
		}
	}
	return devices(found), errors.Join(failed...)
}

func (p *Probe) begin(card string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stuck[card] {
		return false
	}
	p.stuck[card] = true
	return true
}

func (p *Probe) end(card string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.stuck, card)
}

func devices(found map[string]*device) []collector.Device {
	var list []collector.Device
	for _, d := range found {
		list = append(list, d)
	}
	return list
}

// cardNumbers picks the N of cardN (not of card1-DP-1, renderD128, version), sorted.
func cardNumbers(names []string) []int {
	var numbers []int
	for _, name := range names {
		digits, ok := strings.CutPrefix(name, "card")
		if n, err := strconv.Atoi(digits); ok && err == nil && n >= 0 && strconv.Itoa(n) == digits {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}
