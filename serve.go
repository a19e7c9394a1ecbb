package main

import (
	"context"
	"time"

	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"

	"gpu_exporter/collector"
	"gpu_exporter/exporter"
	"gpu_exporter/internal/logging"
)

// drainTimeout is what running requests get at the end. With pollTimeout it stays below the 5 s of architecture.md.
const drainTimeout = 3 * time.Second

// serve answers scrapes until ctx is done.
func serve(ctx context.Context, o *options, p program) int {
	log := logging.New(p.err, o.logLevel)
	if file := *o.web.WebConfigFile; file != "" {
		if err := web.Validate(file); err != nil {
			return p.fail(2, "--web.config.file=%s: %v", file, err)
		}
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
	poller := collector.NewPoller(o.pace(o.interval, log, self), probes...)
	routes := []exporter.Route{exporter.MetricsRoute(poller, self, export)}
	handler, err := newHandler(append(routes, exporter.LandingRoute(routes)), self.CountRequests)
	if err != nil {
		return p.fail(2, "--web.telemetry-path=%s: %v, take another", o.telemetryPath, err)
	}

	listeners, err := listen(ctx, o.web)
	if err != nil {
		return p.fail(1, "%v", err)
	}
	// The port is open before anything of the hardware is touched: whoever waits for the service to be up must not wait
	// for a GPU that does not answer.
	servers := serveOn(listeners, handler, o.web, log)
	for _, l := range listeners {
		log.Info("listening", "address", l.Addr().String(), "version", version.Version, "revision", version.GetRevision())
	}
	checkPaths(o, log)
	stopPolling := poll(ctx, poller, log)

	status := 0
	select {
	case <-ctx.Done():
		log.Info("shutting down")
	case err := <-servers.done:
		log.Error("the server ended", "err", err)
		status = 1
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := servers.shutDown(drain); err != nil {
		log.Warn("requests were cut off", "err", err)
	}
	stopPolling()
	return status
}
