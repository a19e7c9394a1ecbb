// Package stack starts an exporter, a Prometheus and an Alertmanager that know one another, on free ports of loopback, and
// ends them together. Developers look at alerts with it, tests prove them with it; it needs no container.
package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Options say what is started. Programs and configurations that are empty are those of the checkout.
type Options struct {
	Checkout string // of gpu_exporter, empty: the working folder
	Dir      string // for configurations, data and logs; must be there
	Host     string // name of this host in alerts, empty: what the system says

	Exporter, Prometheus, Alertmanager string   // programs
	ExporterFlags                      []string // beside the address
	PrometheusConfig                   string   // file; addresses are put in
	AlertmanagerConfig                 string   // file
	Rules                              []string // files, nil: those that PrometheusConfig names
	Factor                             float64  // that durations of rules and configurations are divided by, see Hurry; 0: 1
}

// Stack is a running stack. Its fields are the URLs that its parts answer at.
type Stack struct {
	Exporter, Prometheus, Alertmanager string

	children []*child
	stop     context.CancelFunc
}

// Scrape jobs of the parts.
const (
	exporterJob     = "gpu-stats-service"
	prometheusJob   = "prometheus"
	alertmanagerJob = "alertmanager"
)

const (
	startTimeout = time.Minute // for each part: a busy machine has many
	startTries   = 3
)

// Start starts a stack and waits until all of it answers. It ends when ctx does, or by Stop, which must be called.
func Start(ctx context.Context, o Options) (*Stack, error) {
	ctx, stop := context.WithCancel(ctx)
	s := &Stack{stop: stop}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context, o Options) error {
	if err := o.complete(ctx); err != nil {
		return err
	}
	var err error
	addresses := map[string]string{}
	if addresses[exporterJob], err = s.add(ctx, o, "exporter", o.Exporter, func(address string) ([]string, error) {
		return append([]string{"--web.listen-address=" + address}, o.ExporterFlags...), nil
	}); err != nil {
		return err
	}
	if addresses[alertmanagerJob], err = s.add(ctx, o, "alertmanager", o.Alertmanager, func(address string) ([]string, error) {
		config, err := o.alertmanagerConfig()
		return []string{
			"--config.file=" + config,
			"--storage.path=" + filepath.Join(o.Dir, "alertmanager"),
			"--web.listen-address=" + address,
			"--web.external-url=" + url(address), // links begin with it
			"--cluster.listen-address=",          // no gossip: it would open a port of its own
		}, err
	}); err != nil {
		return err
	}
	addresses[prometheusJob], err = s.add(ctx, o, "prometheus", o.Prometheus, func(address string) ([]string, error) {
		addresses[prometheusJob] = address
		config, err := o.prometheusConfig(addresses)
		return append([]string{
			"--config.file=" + config,
			"--storage.tsdb.path=" + filepath.Join(o.Dir, "prometheus"),
			"--web.listen-address=" + address,
			"--web.external-url=" + url(address),
			"--enable-feature=created-timestamp-zero-ingestion",
		}, hurriedFlags(o.Factor)...), err
	})
	s.Exporter, s.Prometheus, s.Alertmanager = url(addresses[exporterJob]), url(addresses[prometheusJob]), url(addresses[alertmanagerJob])
	return err
}

// complete puts in what is empty.
func (o *Options) complete(ctx context.Context) error {
	if o.Factor == 0 {
		o.Factor = 1
	}
	if o.Factor < 1 {
		return fmt.Errorf("factor %v: take 1 or more", o.Factor)
	}
	if o.Host == "" {
		var err error
		if o.Host, err = os.Hostname(); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		value *string
		path  string
	}{
		{&o.Prometheus, ".tools/prometheus"},
		{&o.Alertmanager, ".tools/alertmanager"},
		{&o.PrometheusConfig, "deploy/prometheus/prometheus.yml"},
		{&o.AlertmanagerConfig, "alerts/alertmanager/alertmanager.yml"},
	} {
		if *f.value == "" {
			*f.value = filepath.Join(o.Checkout, f.path)
		}
	}
	for _, program := range []string{o.Prometheus, o.Alertmanager} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: run .ci/tools, which builds it, or name another", err)
		}
	}
	if o.Exporter == "" {
		o.Exporter = filepath.Join(o.Dir, "gpu_exporter")
		build := exec.CommandContext(ctx, "go", "build", "-o", o.Exporter, ".")
		build.Dir = o.Checkout
		if said, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build the exporter: %w\n%s", err, said)
		}
	}
	return nil
}

// add starts a part on a free port and gives its address. Another program may take the port before the part does, so that it is
// tried again.
func (s *Stack) add(ctx context.Context, o Options, name, program string, args func(address string) ([]string, error)) (string, error) {
	for try := 1; ; try++ {
		address, err := freeAddress()
		if err != nil {
			return "", err
		}
		flags, err := args(address)
		if err != nil {
			return "", err
		}
		c, err := startChild(ctx, name, filepath.Join(o.Dir, name+".log"), program, flags...)
		if err != nil {
			return "", err
		}
		err = c.awaitReady(ctx, url(address))
		if err == nil || !c.hasEnded() {
			s.children = append(s.children, c)
			return address, err
		}
		if try == startTries {
			return "", err
		}
	}
}

func url(address string) string { return "http://" + address }

// freeAddress is an address of loopback that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Wait waits until ctx is done, or returns an error when a part has ended by itself before that.
func (s *Stack) Wait(ctx context.Context) error {
	first := make(chan *child, len(s.children))
	enough := make(chan struct{})
	defer close(enough)
	for _, c := range s.children {
		go func() {
			select {
			case <-c.ended:
				first <- c
			case <-enough:
			}
		}()
	}
	select {
	case <-ctx.Done():
	case c := <-first:
		if ctx.Err() == nil { // else it was told to end
			return c.obituary()
		}
	}
	return nil
}

// Stop ends all parts and returns what went wrong with it.
func (s *Stack) Stop() error {
	s.stop()
	var all []error
	for _, c := range s.children {
		<-c.ended
		if c.err != nil && !errors.Is(c.err, context.Canceled) {
			all = append(all, c.obituary())
		}
	}
	return errors.Join(all...)
}
