package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"

	"gpu_exporter/collector"
	"gpu_exporter/compat"
	"gpu_exporter/exporter"
)

// The end takes less than the 5 s of architecture.md: so much for running requests, then pollTimeout for the poller, and
// what is left for the last write of the history.
const (
	endTimeout   = 4900 * time.Millisecond
	drainTimeout = 3 * time.Second
)

// serve answers scrapes until ctx is done.
func serve(ctx context.Context, o *options, p program) int {
	log, file := o.logger(p.err, o.logLevel)
	if err := checkWebConfig(o.web); err != nil {
		return p.fail(2, "%v", err)
	}
	probes, sources := probes(p.readers(o, log))
	export := exporter.Options{
		TelemetryPath:  o.telemetryPath,
		Include:        o.include,
		Exclude:        o.exclude,
		MaxRequests:    o.maxRequests,
		TimeoutOffset:  o.timeoutOffset,
		RuntimeMetrics: o.runtimeMetrics,
		Log:            log,
	}
	self := exporter.NewSelf(export, sources...)
	o.restarted = self.Restarted
	poller := collector.NewPoller(o.pace(o.interval, log, self), probes...)
	reloader := exporter.NewReloader(self, log,
		func(context.Context) error { return checkWebConfig(o.web) },
		func(context.Context) error { return file.Reopen() },
		func(context.Context) error { poller.Reload(); return nil })
	var ending atomic.Bool
	operations := exporter.Operations{
		Ready:  func() bool { return poller.Latest() != nil && !ending.Load() },
		Latest: poller.Latest,
		Hosts:  o.hosts,
		Pprof:  o.pprof,
	}
	if o.lifecycle {
		operations.Reload = reloader
	}
	history, closeHistory := o.openHistory(log)
	api := compat.New(compat.Options{
		Source: poller, Interval: o.interval, Version: version.Version, TelemetryPath: o.telemetryPath, Store: history, Log: log,
	})
	hub := compat.NewHub(compat.HubOptions{
		Source: poller, Interval: o.interval, MaxClients: o.maxWebSockets, Origin: o.corsOrigin,
		Stats: api.AppendStats, GPUs: api.AppendGPUs, Dropped: func(d compat.Drop) { self.Dropped(string(d)) }, Log: log,
	})
	self.Tell(about(hub, history))
	routes := append([]exporter.Route{exporter.MetricsRoute(poller, self, export)}, operations.Routes()...)
	for _, r := range append(api.Routes(), hub.Routes()...) {
		routes = append(routes, exporter.Route(r))
	}
	routes = append(routes, o.panel(api)...)
	handler, err := front(routes, o.corsOrigin, self, log)
	if err != nil {
		return p.fail(2, "--web.telemetry-path=%s: %v, take another", o.telemetryPath, err)
	}

	listeners, err := listen(ctx, o.web, o.maxConnections)
	if err != nil {
		return p.fail(1, "%v", err)
	}
	// The port is open before anything of the hardware is touched: whoever waits for the service to be up must not wait
	// for a GPU that does not answer.
	servers := serveOn(listeners, handler, o.web, log)
	log.Info("listening", "address", addresses(listeners), "access", access(o.web),
		"version", version.Version, "revision", version.GetRevision())
	if p.serving != nil {
		p.serving(ownURL(o, "/"))
	}
	checkPaths(o, log)
	stopPolling := poll(ctx, poller, probes, log)
	record(ctx, poller, api, log)
	stopReloading := reloadOnHangup(ctx, reloader)
	stopping := tellSystemd(ctx, poller, log)

	status := 0
	select {
	case <-ctx.Done():
		log.Info("shutting down")
	case err := <-servers.done:
		log.Error("the server ended", "err", err)
		status = 1
	}
	stopping()
	ending.Store(true)
	stopReloading()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	drain, cancelDrain := context.WithTimeout(end, drainTimeout)
	defer cancelDrain()
	hub.Shutdown(drain) // the servers do not know of connections that became sockets
	if err := servers.shutDown(drain); err != nil {
		log.Warn("requests were cut off", "err", err)
	}
	stopPolling()
	closeHistory(end)
	return status
}

// checkWebConfig says what is wrong with the web config file, if there is one.
func checkWebConfig(c *web.FlagConfig) error {
	if *c.WebConfigFile == "" {
		return nil
	}
	if err := web.Validate(*c.WebConfigFile); err != nil {
		return told("web.config.file", *c.WebConfigFile, err)
	}
	return nil
}

// reloadOnHangup reloads at each SIGHUP until stop is called.
func reloadOnHangup(ctx context.Context, r *exporter.Reloader) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-hangups:
				_ = r.Reload(ctx) // it logs what went wrong
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		cancel()
		<-ended
	}
}
