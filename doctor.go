package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/version"

	"gpu_exporter/collector"
)

// doctorGrace is what a probe may take beyond the deadline to say what it saw until then.
const doctorGrace = time.Second

// doctor says what there is, what is wrong and what to do. It returns 0 if all is well, 1 if no GPU can be read, 2 if one
// can but something is wrong.
//
// Scripts rely on the ids of what it says, whose meaning stands in collector.Checks. Of the machine: sysfs-missing,
// drm-missing, driver-missing, driver-vfio, driver-other, source-missing, card-ignored, source-answers, source-silent,
// discovery-failed, gpu-none, simulation. Of a GPU as it was found: gpu-found, name-unknown, hwmon-missing,
// metrics-missing. Of its reading: gpu-ok, gpu-partial, gpu-asleep, gpu-hung, gpu-gone, gpu-unreadable; of a part of it
// that failed: gpu-permission, gpu-missing, gpu-malformed, gpu-io, gpu-timeout.
func doctor(ctx context.Context, o *options, p program) int {
	real := *o
	real.simulation.mode = simulationOff            // what is made up is no GPU
	log, probes := p.atHand(&real, slog.LevelError) // what is wrong stands in the findings
	poller := collector.NewPoller(o.pace(0, log, nil), probes...)
	defer poll(ctx, poller, probes, log)()
	snap, err := firstReading(ctx, o, poller)
	if err != nil {
		return p.fail(1, "%v", err)
	}
	// The reading has waited for what starts slowly: what does not answer now is wrong.
	d := diagnosis{arrange(examine(ctx, probes, o.deadline), snap), snap}
	if len(snap.Devices) == 0 {
		d.findings = append(d.findings, collector.Finding{
			ID: collector.GPUNone, Level: collector.LevelFail, Subject: "gpu_exporter", Text: nothing(o, probes),
			Hint: hintHardware + "; gpu_exporter --help, which GPUs can be read (--collector.*)",
		})
	}
	d.findings = append(d.findings, simulated(o, snap)...)
	write := d.text
	if o.doctorFormat == "json" {
		write = d.json
	}
	if err := write(p.out); err != nil {
		return p.fail(1, "write the findings: %v", err)
	}
	return d.status()
}

// examine asks the probes what they see of the machine. One that does not come back is left alone: its GPUs tell.
func examine(ctx context.Context, probes []collector.Probe, deadline time.Duration) []collector.Finding {
	looking, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	waiting, cancel := context.WithTimeout(ctx, deadline+doctorGrace)
	defer cancel()
	type answer struct {
		probe int
		seen  []collector.Finding
	}
	answers := make(chan answer, len(probes))
	seen := make([][]collector.Finding, len(probes))
	asked := 0
	for i, probe := range probes {
		d, ok := probe.(collector.Diagnoser)
		if !ok {
			continue
		}
		asked++
		seen[i] = []collector.Finding{{ // until it answers
			ID: collector.DiscoveryFailed, Level: collector.LevelFail, Subject: probe.Name(),
			Text: "the machine could not be looked at in time: a file of a driver does not answer",
			Hint: "look for the words of the drivers in " + collector.DriverLog + "; raise --polling.deadline if the machine is only slow",
		}}
		go func() { answers <- answer{i, d.Diagnose(looking)} }()
	}
	for ; asked > 0 && waiting.Err() == nil; asked-- {
		select {
		case a := <-answers:
			seen[a.probe] = a.seen
		case <-waiting.Done():
		}
	}
	return slices.Concat(seen...)
}

// arrange puts what the probes saw and what came of the reading into one list: first what is about the machine, then
// each GPU. What two probes say alike stands there once.
func arrange(seen []collector.Finding, snap *collector.Snapshot) (list []collector.Finding) {
	place := func(f collector.Finding) int {
		return slices.IndexFunc(snap.Devices, func(d collector.Status) bool { return d.GPU == f.Subject })
	}
	for _, f := range append(seen, snap.Findings()...) {
		byAnother := f.ID == collector.CardIgnored && place(f) >= 0 // ignored by one probe and read by the next
		again := f.ID == collector.DiscoveryFailed && slices.ContainsFunc(list, func(g collector.Finding) bool {
			return g.ID == f.ID && g.Subject == f.Subject // a probe that hangs does so in all that it is asked
		})
		if !byAnother && !again && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	slices.SortStableFunc(list, func(a, b collector.Finding) int { return place(a) - place(b) })
	return list
}

// simulated says what the exporter would make up on this machine.
func simulated(o *options, snap *collector.Snapshot) []collector.Finding {
	failed := slices.ContainsFunc(snap.Probes, func(p collector.ProbeStatus) bool { return p.Err != nil })
	f := collector.Finding{ID: collector.SimulationNote, Level: collector.LevelNote, Subject: "gpu_exporter"}
	switch {
	case o.simulation.mode == simulationOn:
		f.Text = fmt.Sprintf("with these flags the exporter shows simulated GPUs, %d of them, beside what there is", o.simulation.gpus)
	case o.simulation.mode == simulationAuto && len(snap.Devices) == 0 && !failed:
		f.Text = fmt.Sprintf("until it finds a GPU the exporter shows simulated ones, %d of them: their values are made up", o.simulation.gpus)
	default:
		return nil
	}
	f.Hint = "--collector.simulation=off, to show none"
	return []collector.Finding{f}
}

// diagnosis is all that is told.
type diagnosis struct {
	findings []collector.Finding
	snap     *collector.Snapshot
}

func (d diagnosis) status() int {
	switch {
	case !slices.ContainsFunc(d.snap.Devices, func(s collector.Status) bool { return s.Readable() }):
		return 1
	case slices.ContainsFunc(d.findings, func(f collector.Finding) bool { return f.Level >= collector.LevelWarn }):
		return 2
	}
	return 0
}

// text writes a line for each finding, in columns, its hint below it, and what it comes to.
func (d diagnosis) text(w io.Writer) error {
	var ids, subjects int
	for _, f := range d.findings {
		ids = max(ids, len(f.ID.String()))
		subjects = max(subjects, utf8.RuneCountInString(cell(f.Subject)))
	}
	for _, f := range d.findings {
		if _, err := fmt.Fprintf(w, "%-4s  %-*s  %-*s  %s\n", f.Level, ids, f.ID, subjects, cell(f.Subject), cell(f.Text)); err != nil {
			return err
		}
		if f.Hint == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "      -> %s\n", cell(f.Hint)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, [...]string{
		"All is well.", "No GPU can be read.", "Not all is well: see what is marked warn or fail.",
	}[d.status()])
	return err
}

// json writes one object, in one line.
func (d diagnosis) json(w io.Writer) error {
	type finding struct {
		ID      string `json:"id"`
		Level   string `json:"level"`
		Subject string `json:"subject"`
		Text    string `json:"text"`
		Hint    string `json:"hint"`
	}
	report := struct {
		Schema   int       `json:"schema"`
		Version  string    `json:"version"`
		Findings []finding `json:"findings"`
		Exit     int       `json:"exit"`
	}{1, version.Version, []finding{}, d.status()}
	for _, f := range d.findings {
		report.Findings = append(report.Findings, finding{f.ID.String(), f.Level.String(), f.Subject, f.Text, f.Hint})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(report)
}
