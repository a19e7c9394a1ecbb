// Command gpu_exporter tells Prometheus what the GPUs of this machine do.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/prometheus/common/version"

	"gpu_exporter/collector"
)

// program is what a command is given of the world beside its arguments.
type program struct {
	out, err io.Writer
	readers  func(*options, *slog.Logger) []reader
	// serving, if there is one, is called when serve listens, with the address of its page on this machine.
	serving func(page string)
}

// reader is a probe and the sources that its GPUs may name in gpu_info.
type reader struct {
	collector.Probe
	sources []string
}

// released is the version that this source leads to. A build may say it more exactly by
// -ldflags "-X github.com/prometheus/common/version.Version=...".
//
//go:embed VERSION
var released string

func main() {
	if version.Version == "" {
		version.Version = strings.TrimSpace(released)
	}
	for _, as := range []func([]string) (int, bool){asWorker, asService} {
		if status, is := as(os.Args[1:]); is {
			os.Exit(status)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	p := program{out: os.Stdout, err: os.Stderr, readers: readers}
	if filepath.Base(os.Args[0]) == curlName {
		os.Exit(curl(ctx, os.Args[1:], p))
	}
	if status, is := fromDesktop(ctx, os.Args[1:], p); is {
		os.Exit(status)
	}
	os.Exit(run(ctx, os.Args[1:], p))
}

// run is the whole program. It returns the exit status: 0, 1 where the work could not be done, 2 where something was
// asked for that cannot be, or where doctor found a GPU that is impaired.
func run(ctx context.Context, args []string, p program) int {
	command, o, err := parse(args, p)
	if err != nil {
		return p.fail(2, "%v, try --help", err)
	}
	switch command {
	case "serve":
		return serve(ctx, o, p)
	case "once":
		return once(ctx, o, p)
	case "export":
		return export(ctx, o, &o.export, openPastFile, p)
	case "doctor":
		return doctor(ctx, o, p)
	case "health":
		return health(ctx, o, p)
	case "": // help was asked for and given
		return 0
	}
	return systemCommand(ctx, command, o, p)
}

// fail prints one line and returns the exit status.
func (p program) fail(status int, format string, args ...any) int {
	fmt.Fprintf(p.err, "gpu_exporter: error: "+format+"\n", args...)
	return status
}

// probes are those of the readers, and sources what they may name.
func probes(readers []reader) (list []collector.Probe, sources []string) {
	for _, r := range readers {
		list = append(list, r.Probe)
		sources = append(sources, r.sources...)
	}
	return list, sources
}
