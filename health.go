package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// healthTimeout bounds the whole question: a health check of a container has some seconds.
const healthTimeout = 5 * time.Second

// health asks a running exporter whether it is alive.
func health(ctx context.Context, o *options, p program) int {
	target := o.healthURL
	if target == "" {
		target = ownHealthURL(o)
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	text, err := alive(ctx, target)
	if err != nil {
		return p.fail(1, "%s: %v", target, err)
	}
	fmt.Fprintf(p.out, "%s: %s\n", target, text)
	return 0
}

// ownHealthURL is where an exporter with these flags answers on this machine.
func ownHealthURL(o *options) string {
	scheme, host, port := "http", "localhost", "5009"
	if config, err := webConfig(o.web); err == nil && config.TLSConfig.IsEnabled() {
		scheme = "https"
	}
	if h, p, err := net.SplitHostPort((*o.web.WebListenAddresses)[0]); err == nil {
		port = p
		if ip := net.ParseIP(h); h != "" && (ip == nil || !ip.IsUnspecified()) {
			host = h
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/-/healthy"
}

// alive asks, and says what the answer means. 401 is one of an exporter that is alive and wants a password.
func alive(ctx context.Context, target string) (string, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("write a URL such as http://localhost:5009/-/healthy")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{
		// A proxy of the environment knows nothing of this machine.
		Transport:     &http.Transport{Proxy: nil, TLSClientConfig: &tls.Config{InsecureSkipVerify: isLoopback(u.Hostname())}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	answer, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("no answer: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 1<<16) // only the status counts
	switch answer.StatusCode {
	case http.StatusOK:
		return "healthy", nil
	case http.StatusUnauthorized:
		return "alive, it wants a password", nil
	}
	return "", fmt.Errorf("answers %s", answer.Status)
}

// isLoopback says whether a name is this machine for sure: nobody else can answer there, so that the certificate, which
// is made for other names, need not be verified.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
