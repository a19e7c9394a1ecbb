package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kingpin/v2"

	"gpu_exporter/internal/winservice"
)

// asService runs as the service, if Windows started the program as such: svc.IsWindowsService says no in Wine, so the
// command line says it (windows.md 13). It comes before all handling of signals: a service is told to end by requests, and
// gets a signal whenever anybody logs off.
func asService(args []string) (status int, is bool) {
	if len(args) < 2 || !slices.Equal(args[:2], []string{"service", "run"}) {
		return 0, false
	}
	status, err := winservice.Run(func(ctx context.Context, up func(), complaints io.Writer) int {
		p := program{out: io.Discard, err: complaints, readers: readers, serving: func(string) { up() }}
		o, err := serviceOptions(args[2:])
		if err != nil {
			return p.fail(2, "%v", err)
		}
		return serve(ctx, o, p)
	})
	if err != nil {
		return program{err: os.Stderr}.fail(1, "%v", err), true
	}
	return status, true
}

// serviceOptions are the flags of a service, which must not depend on the folder that it runs in.
func serviceOptions(args []string) (*options, error) {
	_, o, err := parse(append([]string{"serve"}, args...), program{out: io.Discard, err: io.Discard})
	if err != nil {
		return nil, err
	}
	if o == nil {
		return nil, errors.New("the flags ask for help, not for a service")
	}
	return o, errors.Join(o.relative(), checkWebConfig(o.web))
}

// systemCommands are those that there are on Windows alone.
func systemCommands(app *kingpin.Application) {
	service := app.Command("service", "Install or remove the exporter as a service of Windows, start or stop it. It wants an administrator.")
	service.Command("install", "Make the service, which starts with Windows. "+
		"Further flags, such as --web.listen-address, become those of the service.")
	service.Command("uninstall", "Stop and remove the service, and say what is left.")
	service.Command("start", "Start the service, and wait until it serves.")
	service.Command("stop", "Stop the service, and wait until it has ended.")
}

// systemCommand carries one out.
func systemCommand(ctx context.Context, command string, o *options, p program) int {
	var err error
	switch command {
	case "service install":
		err = winservice.Install(ctx, winservice.Setup{
			Flags: o.given,
			Check: func(args []string) ([]string, error) {
				o, err := serviceOptions(args)
				if err != nil {
					return nil, err
				}
				return *o.web.WebListenAddresses, nil
			},
			Say: p.out, Warn: p.err,
		})
	case "service uninstall":
		err = winservice.Uninstall(ctx, p.out)
	case "service start":
		err = winservice.Start(ctx, p.out)
	case "service stop":
		err = winservice.Stop(ctx, p.out)
	}
	if err != nil {
		return p.fail(1, "%v", err)
	}
	return 0
}
