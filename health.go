package main

import (
	"context"
	"crypto/tls"
	"errors"
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
		target = ownURL(o, "/-/healthy")
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

// ownURL is where an exporter with these flags answers on this machine.
func ownURL(o *options, path string) string {
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
	return scheme + "://" + net.JoinHostPort(host, port) + path
}

// alive asks, and says what the answer means. 401 is one of an exporter that is alive and wants a password.
func alive(ctx context.Context, target string) (string, error) {
	answer, err := ask(ctx, target, false)
	switch {
	case turnedAway(err):
		return "alive, it wants a client certificate", nil
	case err != nil:
		return "", err
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

// errURL is what ask says of a target that it cannot ask.
var errURL = errors.New("write a URL such as http://localhost:5009/-/healthy")

// ask gets what is at target, redirections as they are. Certificates are verified, unless nobody but this machine can answer
// or insecure says that they need not be.
func ask(ctx context.Context, target string, insecure bool) (*http.Response, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errURL
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport: &http.Transport{
			Proxy:             nil, // a proxy of the environment knows nothing of this machine
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: insecure || isLoopback(u.Hostname())},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	return answer, nil
}

// turnedAway says whether a TLS server refused the handshake, as one does that wants a client certificate: a health check
// has none. crypto/tls marks what the other end says by this operation; the reason has no type that is exported.
func turnedAway(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "remote error"
}

// isLoopback says whether a name is this machine for sure: nobody else can answer there, so that the certificate, which
// is made for other names, need not be verified.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
