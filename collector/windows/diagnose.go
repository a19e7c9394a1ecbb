package windows

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"gpu_exporter/collector"
)

var _ collector.Diagnoser = (*Probe)(nil)

// account is what doctor says of a source.
type account struct {
	source, gives string
	without       string // what to do where it does not answer; empty: nothing
}

// accounts are the sources in their order of trust.
var accounts = [...]account{
	{sourceD3DKMT, "the list of GPUs, memory, resets of the driver and, of some cards, temperature, fan and clocks", "Windows 10 1803 or later has it"},
	{sourcePDH, "busy time of engines, utilization and memory in use",
		"make the account a member of the group Performance Monitor Users; where counters are damaged, run lodctr /R as an administrator"},
	{sourcePnP, "places on PCI and whether a GPU sleeps", ""},
	{sourceRegistry, "names, driver versions and sizes of memory", ""},
	{sourceADL, "all sensors of AMD's GPUs", "it comes with AMD's driver"},
	{sourceNVML, "all sensors of NVIDIA's GPUs", "it comes with NVIDIA's driver"},
	{sourceWMI, "the list of GPUs where D3DKMT has none", "see whether the service Winmgmt runs, and winmgmt /verifyrepository"},
	{sourcePowerShell, "the same where WMI refuses", ""},
	{sourceDxDiag, "the same where all others fail", ""},
}

// Diagnose implements collector.Diagnoser: which source answers and what it gives, what rights would give more, and which
// adapters are no GPUs.
func (p *Probe) Diagnose(ctx context.Context) []collector.Finding {
	f, _ := p.look(ctx) // what it could not look at is in the error of Discover
	if f == nil {
		f = p.found()
	}
	said := map[string]error{}
	for source, err := range f.said {
		said[source] = err
	}
	_, said[sourcePDH] = p.pdh.later(ctx, struct{}{})()
	p.last.tell(said)

	var list []collector.Finding
	for _, a := range accounts {
		err, asked := said[a.source]
		if asked {
			list = append(list, a.finding(err))
		}
	}
	for _, g := range f.gpus {
		list = append(list, collector.Finding{ID: collector.GPUFound, Level: collector.LevelOK, Subject: g.info.GPU, Text: g.describe()})
	}
	for _, l := range f.left {
		list = append(list, collector.Finding{ID: collector.CardIgnored, Level: collector.LevelNote, Subject: firstOf(l.name, l.luid.String()),
			Text: fmt.Sprintf("listed by %s, and no GPU: %s", l.from, l.why)})
	}
	return list
}

func (a account) finding(err error) collector.Finding {
	f := collector.Finding{ID: collector.SourceSilent, Level: collector.LevelWarn, Subject: a.source, Hint: a.without}
	switch {
	case err == nil:
		return collector.Finding{ID: collector.SourceAnswers, Level: collector.LevelOK, Subject: a.source, Text: "it answers: " + a.gives}
	case errors.Is(err, ErrUnsupported):
		f.Level = collector.LevelNote
		f.Text = fmt.Sprintf("it is not there, which gives %s", a.gives)
	case errors.Is(err, fs.ErrPermission):
		f.Text = fmt.Sprintf("rights are missing, for %s: %v", a.gives, err)
	default:
		f.Text = fmt.Sprintf("it fails, which gives %s: %v", a.gives, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return f
}

// describe says what a GPU is and who told it.
func (g *gpu) describe() string {
	i := g.info
	parts := []string{firstOf(i.Name, "a GPU without a name"), i.Type}
	if driver := strings.TrimSpace(i.Driver + " " + i.DriverVersion); driver != "" {
		parts = append(parts, "driver "+driver)
	}
	parts = append(parts, "listed by "+g.listed)
	if g.vramFrom != "" {
		parts = append(parts, "size of its memory from "+g.vramFrom)
	}
	if g.adl != nil {
		parts = append(parts, "sensors from "+sourceADL)
	}
	if g.nvml != nil {
		parts = append(parts, "sensors from "+g.nvml.Source)
	}
	if g.luid == 0 {
		parts = append(parts, "without a LUID, so that no counter can be told to be its own")
	}
	return strings.Join(parts, ", ")
}

// tell adds what became of the programs, where they were tried.
func (l *lastResorts) tell(said map[string]error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.said.PowerShell.Tried.IsZero() {
		said[sourcePowerShell] = l.failed[0]
	}
	if !l.said.DxDiag.Tried.IsZero() {
		said[sourceDxDiag] = l.failed[1]
	}
}
