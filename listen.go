package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2"
	"golang.org/x/net/netutil"

	"gpu_exporter/internal/logging"
)

// listen opens what is to be listened on: all of it or nothing. Each listener has at most so many connections, the next
// one waits.
func listen(ctx context.Context, c *web.FlagConfig, most int) ([]net.Listener, error) {
	listeners, err := open(ctx, c)
	for i, l := range listeners {
		listeners[i] = netutil.LimitListener(l, most)
	}
	return listeners, err
}

func open(ctx context.Context, c *web.FlagConfig) ([]net.Listener, error) {
	if *c.WebSystemdSocket {
		listeners, err := activation.Listeners()
		listeners = slices.DeleteFunc(listeners, func(l net.Listener) bool { return l == nil }) // sockets without streams
		if err == nil && len(listeners) == 0 {
			err = errors.New("systemd passed no socket: start the socket unit, or leave out --web.systemd-socket")
		}
		return listeners, err
	}
	var listeners []net.Listener
	for _, address := range *c.WebListenAddresses {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, fmt.Errorf("%w: choose another --web.listen-address, or end the program that has this one", err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// addresses are the addresses that are listened on.
func addresses(listeners []net.Listener) string {
	var list []string
	for _, l := range listeners {
		list = append(list, l.Addr().String())
	}
	return strings.Join(list, ",")
}

// webConfig is the content of the web config file, empty where there is none.
func webConfig(c *web.FlagConfig) (config web.Config, err error) {
	if *c.WebConfigFile == "" {
		return config, nil
	}
	text, err := os.ReadFile(*c.WebConfigFile)
	if err != nil {
		return config, err
	}
	return config, yaml.Unmarshal(text, &config)
}

// access says for the log who may read.
func access(c *web.FlagConfig) string {
	var demands []string
	config, err := webConfig(c)
	if auth := config.TLSConfig.ClientAuth; auth != "" && auth != "NoClientCert" {
		demands = append(demands, "a client certificate ("+auth+")")
	}
	if len(config.Users) > 0 {
		demands = append(demands, "a password")
	}
	if err != nil || len(demands) == 0 {
		return "everybody who reaches the port may read (--web.config.file turns on TLS and passwords)"
	}
	return "with " + strings.Join(demands, " and ")
}

// servers serve one handler on several listeners. Each listener has a server of its own: exporter-toolkit changes the
// server that it is given, and would do so from several goroutines.
type servers struct {
	list []*http.Server
	done chan error // one from each
}

// maxBody bounds what a request may bring along. Nothing here reads more than a few bytes of it.
const maxBody = 64 << 10

// serveOn begins to serve. The web config file is read by exporter-toolkit, anew with each connection.
func serveOn(listeners []net.Listener, handler http.Handler, c *web.FlagConfig, log *slog.Logger) *servers {
	s := &servers{done: make(chan error, len(listeners))}
	for _, l := range listeners {
		server := &http.Server{
			Handler:           http.MaxBytesHandler(handler, maxBody),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			// A scrape may wait for a reading as long as its own timeout, which is a minute at most in common set-ups.
			WriteTimeout:   2 * time.Minute,
			IdleTimeout:    2 * time.Minute,
			MaxHeaderBytes: 16 << 10,
			ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		}
		s.list = append(s.list, server)
		go func() { s.done <- web.Serve(l, server, c, logging.Quiet(log)) }()
	}
	return s
}

// shutDown stops accepting at once and gives running requests until ctx is done.
func (s *servers) shutDown(ctx context.Context) error {
	var errs []error
	for _, server := range s.list {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, err, server.Close())
		}
	}
	return errors.Join(errs...)
}
