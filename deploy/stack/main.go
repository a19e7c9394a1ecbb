// Command stack runs gpu_exporter, Prometheus and Alertmanager on free ports of loopback until it is interrupted, without
// containers: for looking at alerts, rules and messages. Run it from the checkout: go run ./deploy/stack --help
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"

	"gpu_exporter/internal/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stack: error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var o stack.Options
	app := kingpin.New("stack", "Run gpu_exporter, Prometheus and Alertmanager on free ports of loopback until interrupted. Flags of the exporter come after --, as in: go run ./deploy/stack -- --collector.simulation=on")
	app.Flag("exporter", "Program; unless it is given, it is built from the checkout.").PlaceHolder("FILE").StringVar(&o.Exporter)
	app.Flag("prometheus", "Program; unless it is given, the one that .ci/tools builds.").PlaceHolder("FILE").StringVar(&o.Prometheus)
	app.Flag("alertmanager", "Likewise.").PlaceHolder("FILE").StringVar(&o.Alertmanager)
	app.Flag("prometheus.config", "Configuration of Prometheus, into which the addresses are put; unless it is given, deploy/prometheus/prometheus.yml.").
		PlaceHolder("FILE").StringVar(&o.PrometheusConfig)
	app.Flag("alertmanager.config", "Configuration of Alertmanager, which says where messages go; unless it is given, alerts/alertmanager/alertmanager.yml.").
		PlaceHolder("FILE").StringVar(&o.AlertmanagerConfig)
	app.Flag("rules", "Rule file, or several by a pattern, instead of those in the configuration of Prometheus; may be repeated.").
		PlaceHolder("FILE").StringsVar(&o.Rules)
	app.Flag("hurry", "Factor that all durations of rules and configurations are divided by, 1 to 30, so that alerts come in seconds.").
		Default("1").Float64Var(&o.Factor)
	app.Flag("host", "Name of this host in alerts; unless it is given, the one that the system has.").PlaceHolder("NAME").StringVar(&o.Host)
	app.Flag("dir", "Empty folder for configurations, data and logs, which are kept then.").PlaceHolder("FOLDER").ExistingDirVar(&o.Dir)
	app.Arg("flags", "Flags of the exporter.").StringsVar(&o.ExporterFlags)
	if _, err := app.Parse(args); err != nil {
		return err
	}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "gpu_stack"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	s, err := stack.Start(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "exporter      %s\nprometheus    %s\nalertmanager  %s\nlogs          %s\nCtrl-C ends it.\n",
		s.Exporter, s.Prometheus, s.Alertmanager, o.Dir)
	return errors.Join(s.Wait(ctx), s.Stop())
}
