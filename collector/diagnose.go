package collector

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Finding is one thing that doctor has to say. Findings are equal (==) when they say the same.
type Finding struct {
	ID      CheckID
	Level   Level
	Subject string // what it is about: a GPU by its identity, a path, a probe
	Text    string // what was found, in plain words
	Hint    string // what to do about it; empty: nothing
}

// Diagnoser is a Probe that can say what it sees of the machine besides its GPUs: what they lack, and what keeps others
// from being read. Like Discover it reads identities only and wakes nothing; what cannot even be looked at is left to
// the error of Discover.
type Diagnoser interface {
	Diagnose(ctx context.Context) []Finding
}

// Level says how much a Finding matters.
type Level uint8

// The levels, from good to bad.
const (
	LevelOK   Level = iota
	LevelNote       // worth knowing, nothing is wrong
	LevelWarn       // something is missing
	LevelFail       // a GPU, or all that a probe might find, cannot be read
)

// String is the word for l.
func (l Level) String() string { return [...]string{"ok", "note", "warn", "fail"}[l] }

// CheckID names what a Finding is about; it is an index into Checks.
type CheckID uint8

// The checks: first those of the machine, then those of one GPU as it was found, then what came of its reading.
const (
	SysfsMissing CheckID = iota
	DRMMissing
	DriverMissing
	DriverVFIO
	DriverOther
	SourceMissing
	CardIgnored
	SourceAnswers
	SourceSilent
	DiscoveryFailed
	GPUNone
	SimulationNote

	GPUFound
	NameUnknown
	HwmonMissing
	MetricsMissing

	GPUOK
	GPUPartial
	GPUAsleep
	GPUHung
	GPUGone
	GPUUnreadable
	FailedPermission
	FailedMissing
	FailedMalformed
	FailedIO
	FailedTimeout
)

// Check is an id, which scripts rely on: it never changes, and never comes to mean something else.
type Check struct{ ID, Meaning string }

// Checks is the one literal that says which findings there are.
var Checks = [...]Check{
	SysfsMissing:    {"sysfs-missing", "sysfs, or a part of it that tells of GPUs, is not there or empty, as in some containers"},
	DRMMissing:      {"drm-missing", "no graphics driver of the kernel shows a card, or the card of one GPU is missing"},
	DriverMissing:   {"driver-missing", "a GPU on the PCI bus has no driver"},
	DriverVFIO:      {"driver-vfio", "a GPU is kept for a virtual machine, which alone can read it"},
	DriverOther:     {"driver-other", "a GPU has a driver that cannot be read"},
	SourceMissing:   {"source-missing", "a GPU has its driver, but the program or library that reads it is not there"},
	CardIgnored:     {"card-ignored", "a card of the kernel is no GPU that can be read, or a second entry of one"},
	SourceAnswers:   {"source-answers", "a source of this system answers: what it gives"},
	SourceSilent:    {"source-silent", "a source of this system does not answer: what it would give"},
	DiscoveryFailed: {"discovery-failed", "a probe could not look for all GPUs"},
	GPUNone:         {"gpu-none", "no GPU was found"},
	SimulationNote:  {"simulation", "the exporter shows simulated GPUs on this machine"},

	GPUFound:       {"gpu-found", "a GPU was found: what it is, and by which path and driver"},
	NameUnknown:    {"name-unknown", "no list of names has the GPU"},
	HwmonMissing:   {"hwmon-missing", "a GPU has no sensors: temperature, power and fan are not told"},
	MetricsMissing: {"metrics-missing", "a GPU has no table of all its values (gpu_metrics), and so tells less"},

	GPUOK:            {"gpu-ok", "a GPU was read, and nothing failed"},
	GPUPartial:       {"gpu-partial", "a GPU was read, and a part of the readings failed"},
	GPUAsleep:        {"gpu-asleep", "a GPU is asleep and was left so"},
	GPUHung:          {"gpu-hung", "a GPU does not answer in time"},
	GPUGone:          {"gpu-gone", "a GPU or its driver left while it was looked at"},
	GPUUnreadable:    {"gpu-unreadable", "a GPU is awake, and no reading came of it"},
	FailedPermission: {"gpu-permission", "rights are missing to read something of a GPU"},
	FailedMissing:    {"gpu-missing", "something that a GPU must have is not there"},
	FailedMalformed:  {"gpu-malformed", "a GPU tells something that cannot be understood"},
	FailedIO:         {"gpu-io", "the driver or the host did not answer to a part of the readings"},
	FailedTimeout:    {"gpu-timeout", "a part of the readings had no answer in time"},
}

// String is the id that stands in what doctor prints.
func (c CheckID) String() string { return Checks[c].ID }

// failureChecks are the findings that failures of one kind make.
var failureChecks = map[FailureKind]struct {
	id         CheckID
	text, hint string
}{
	Permission: {FailedPermission, "rights are missing for", hintPermission},
	Missing:    {FailedMissing, "there is no source for", "a driver that was updated may need a restart of the machine; else report it"},
	Malformed:  {FailedMalformed, "there is no sense in", "report it with the content of the file: the driver is at fault, or newer than this program"},
	IO:         {FailedIO, "no answer to", "look for the words of the driver in " + DriverLog + "; it may pass, or take a reset of the GPU or a restart"},
	Timeout:    {FailedTimeout, "no answer in time to", "raise --polling.deadline if the machine is only slow"},
}

// Findings are what a reading says of each probe that failed and of each GPU.
func (s *Snapshot) Findings() []Finding {
	var list []Finding
	for _, p := range s.Probes {
		if p.Err == nil {
			continue
		}
		f := Finding{ID: DiscoveryFailed, Level: LevelFail, Subject: p.Name,
			Text: "GPUs may be missing, for not all could be looked for: " + strings.ReplaceAll(p.Err.Error(), "\n", "; "),
			Hint: "look for the words of the driver in " + DriverLog}
		if errors.Is(p.Err, fs.ErrPermission) {
			f.Hint = hintPermission
		}
		list = append(list, f)
	}
	for i := range s.Devices {
		list = append(list, s.Devices[i].findings()...)
	}
	return list
}

// Readable says that d is read, or is asleep and would be.
func (d *Status) Readable() bool { return d.Up && (d.State == StateAsleep || len(d.Samples) > 0) }

func (d *Status) findings() []Finding {
	say := func(id CheckID, level Level, text, hint string) []Finding {
		return []Finding{{id, level, d.GPU, text, hint}}
	}
	switch {
	case d.State == StateAsleep:
		return say(GPUAsleep, LevelNote, "asleep, and left so: it has no readings until something uses it", "")
	case d.State == StateGone:
		return say(GPUGone, LevelFail, "it left while it was looked at: the GPU was removed, or its driver was", "look for the reason in "+DriverLog)
	case d.State == StateHung, d.State == StateOK && d.At.IsZero():
		return say(GPUHung, LevelFail, "it does not answer in time: a read hangs in its driver",
			"look for the words of the driver in "+DriverLog+"; mostly only a reset of the GPU or a restart helps. Raise --polling.deadline if the machine is only slow")
	case !d.Readable():
		level := LevelWarn // it may have nothing to tell
		if !d.Up {
			level = LevelFail
		}
		return append(say(GPUUnreadable, level, "awake, but nothing can be read of it", ""), FailureFindings(d.GPU, d.Failures)...)
	case d.State == StatePartial:
		text := amount(len(d.Samples), "reading") + " from " + d.Source + ", others fail"
		return append(say(GPUPartial, LevelWarn, text, ""), FailureFindings(d.GPU, d.Failures)...)
	}
	return say(GPUOK, LevelOK, amount(len(d.Samples), "reading")+" from "+d.Source, "")
}

// FailureFindings are what failures of one GPU say. Those that differ in their source only are one Finding.
func FailureFindings(gpu string, failures []Failure) []Finding {
	type cause struct {
		kind FailureKind
		err  string
	}
	var causes []cause // in order of their first failure
	sources := map[cause][]string{}
	for _, f := range failures {
		c := cause{f.Kind, reason(f.Err)}
		if sources[c] == nil {
			causes = append(causes, c)
		}
		sources[c] = append(sources[c], f.Source)
	}
	var list []Finding
	for _, c := range causes {
		check := failureChecks[c.kind]
		list = append(list, Finding{check.id, LevelWarn, gpu,
			fmt.Sprintf("%s %s (%s): %s", check.text, amount(len(sources[c]), "reading"), c.err, enumerate(sources[c])), check.hint})
	}
	return list
}

// reason is an error without the path that it may name, for a source names it too.
func reason(err error) string {
	if err == nil {
		return "no reason told"
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return err.Error()
}

func amount(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// enumerate lists paths for people: the folder that all are in is named once.
func enumerate(paths []string) string {
	dir := ""
	for i, p := range paths {
		if i == 0 {
			dir = path.Dir(p)
		}
		for dir != "." && dir != "/" && !strings.HasPrefix(p, dir+"/") {
			dir = path.Dir(dir)
		}
	}
	if len(paths) < 2 || dir == "." || dir == "/" {
		return strings.Join(paths, ", ")
	}
	var names []string
	for _, p := range paths {
		names = append(names, strings.TrimPrefix(p, dir+"/"))
	}
	return strings.Join(names, ", ") + " in " + dir
}
