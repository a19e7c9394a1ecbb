//go:build linux

package main

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The headers of CORS.
const (
	acaOrigin      = "Access-Control-Allow-Origin"
	acaCredentials = "Access-Control-Allow-Credentials"
	acaMethods     = "Access-Control-Allow-Methods"
	acaHeaders     = "Access-Control-Allow-Headers"
	acaNetwork     = "Access-Control-Allow-Private-Network"
	acaAge         = "Access-Control-Max-Age"
	acaExpose      = "Access-Control-Expose-Headers"
	acrMethod      = "Access-Control-Request-Method"
	acrHeaders     = "Access-Control-Request-Headers"
	acrNetwork     = "Access-Control-Request-Private-Network"

	uiOrigin = "http://localhost:3000" // of the panel
)

// corsTargets are all that pages of other origins may read, and what is at none of the routes.
func corsTargets() map[string]int {
	targets := map[string]int{
		"/nothing": 404, "/gpu": 404, "/gpu/stats/": 307, "/gpu/history?minutes=x": 422, "/gpu/info?gpu=9": 404,
	}
	for _, route := range slices.Concat(jsonRoutes, pages) {
		targets[route] = 200
	}
	for _, route := range ws {
		targets[route] = 404 // no upgrade
	}
	return targets
}

// neverShared are what no page of another origin sees anything of, whatever the status.
var neverShared = []string{
	"/metrics", "/metrics/", "/metrics/x", "/-/healthy", "/-/ready", "/-/reload", "/-/nothing", "/-/", "/debug/probes", "/debug/",
	"/debug/pprof/",
}

// crossOrigin checks what an answer says to a page; want is as in exchange.
func crossOrigin(t *testing.T, s *subject, header []string, want func(route string) []string) {
	t.Helper()
	for target, code := range corsTargets() {
		s.exchange(t, exchange{"GET", target, header, code, "*", want(target)})
		if route, _, _ := strings.Cut(target, "?"); slices.Contains(jsonRoutes, route) {
			s.exchange(t, exchange{"POST", target, header, 405, notAllowed, want("")})
		}
	}
}

// vary is what Vary says beside the origin: at / the form depends on Accept too (section 9).
func vary(route, origin string) string {
	if route == "/" {
		return strings.TrimPrefix(origin+"|Accept", "|")
	}
	return origin
}

func corsOnlyThere(t *testing.T, s *subject) {
	crossOrigin(t, s, []string{"Origin", uiOrigin}, func(string) []string { return []string{acaOrigin, "*"} })
	for _, path := range neverShared {
		for _, x := range []struct {
			method string
			header []string
		}{{"GET", nil}, {"GET", []string{"Cookie", "a=b"}}, {"POST", nil}, {"OPTIONS", []string{acrMethod, "GET"}}} {
			a := s.ask(t, x.method, path, append([]string{"Origin", uiOrigin}, x.header...)...)
			for name, values := range a.Header {
				if strings.HasPrefix(name, "Access-Control-") || name == "Vary" && strings.Contains(strings.Join(values, ","), "Origin") {
					t.Errorf("%s %s: %s: %s %q", x.method, path, a.Status, name, values)
				}
			}
			if x.method == "OPTIONS" && a.StatusCode < 400 {
				t.Errorf("a preflight of %s: %s", path, a.Status)
			}
		}
	}
}

func corsNoOrigin(t *testing.T, s *subject) {
	for _, header := range [][]string{nil, {"Cookie", "a=b"}} {
		crossOrigin(t, s, header, func(route string) []string {
			return []string{acaOrigin, "", acaCredentials, "", acaMethods, "", acaHeaders, "", acaExpose, "", "Vary", vary(route, "")}
		})
	}
}

func corsNoCookie(t *testing.T, s *subject) {
	for _, origin := range []string{uiOrigin, "null", "file://"} {
		crossOrigin(t, s, []string{"Origin", origin}, func(route string) []string {
			return []string{acaOrigin, "*", acaCredentials, "true", "Vary", vary(route, "")}
		})
	}
}

func corsCookie(t *testing.T, s *subject) {
	for _, origin := range []string{uiOrigin, "null"} {
		crossOrigin(t, s, []string{"Origin", origin, "Cookie", "a=b"}, func(route string) []string {
			return []string{acaOrigin, origin, acaCredentials, "true", "Vary", vary(route, "Origin")}
		})
	}
}

// everyPath are paths of all kinds, known or not.
func everyPath() []string {
	return append(slices.Collect(maps.Keys(corsTargets())), "/gpu//stats", "//gpu/stats", "/GPU/stats")
}

// preflights asks before it asks.
func preflights(t *testing.T, s *subject, code int, body, origin string, more, want []string, targets ...string) {
	t.Helper()
	for _, target := range targets {
		s.exchange(t, exchange{"OPTIONS", target, append([]string{"Origin", origin}, more...), code, body, append([]string{
			acaOrigin, origin, acaCredentials, "true", acaMethods, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT", acaAge, "600",
			"Vary", "Origin", acaExpose, "", "Content-Type", "text/plain; charset=utf-8",
		}, want...)})
	}
}

func preflight(t *testing.T, s *subject) {
	preflights(t, s, 200, "OK", uiOrigin, []string{acrMethod, "GET"}, nil, everyPath()...)
	for _, method := range []string{"DELETE", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} {
		preflights(t, s, 200, "OK", uiOrigin, []string{acrMethod, method}, nil, "/gpu/stats", "/nothing")
	}
}

func preflightHeaders(t *testing.T, s *subject) {
	preflights(t, s, 200, "OK", "null", []string{acrMethod, "GET"}, []string{acaHeaders, "", acaNetwork, ""}, everyPath()...)
	const asked = "x-a, X-B,content-type"
	preflights(t, s, 200, "OK", uiOrigin, []string{acrMethod, "GET", acrHeaders, asked}, []string{acaHeaders, asked}, "/gpu/stats", "/nothing")
}

func preflightRefused(t *testing.T, s *subject) {
	const refused = "Disallowed CORS method"
	preflights(t, s, 400, refused, uiOrigin, []string{acrMethod, "BREW"}, []string{acaHeaders, ""}, everyPath()...)
	for _, method := range []string{"get", "TRACE", "CONNECT"} {
		preflights(t, s, 400, refused, uiOrigin, []string{acrMethod, method, acrHeaders, "x-a"}, []string{acaHeaders, "x-a"}, "/gpus")
	}
}

func preflightNetwork(t *testing.T, s *subject) {
	preflights(t, s, 200, "OK", uiOrigin, []string{acrMethod, "GET", acrNetwork, "true"}, []string{acaNetwork, "true"}, ws...)
}

func corsFlag(t *testing.T, _ *subject) {
	s := own(t, &setting{}, emptyTree(t), "--web.cors-origin="+uiOrigin)
	elsewhere := []string{"Origin", "http://elsewhere"}
	answers(
		exchange{"GET", "/health", []string{"Origin", uiOrigin}, 200, "*", []string{acaOrigin, uiOrigin, acaCredentials, "true", "Vary", "Origin"}},
		exchange{"GET", "/health", elsewhere, 200, "*", []string{acaOrigin, "", acaCredentials, ""}},
		exchange{"OPTIONS", "/health", append(elsewhere, acrMethod, "GET"), 400, "*", []string{acaOrigin, ""}},
	)(t, s)
	s.refuses(t, "/ws/gpus", http.StatusForbidden, "Origin", "http://elsewhere")
	s.connect(t, "/ws/gpus", "Origin", uiOrigin)
}

// With a password nothing is answered before it is given, and a page cannot give it to another origin.
func corsAndPasswords(t *testing.T, _ *subject) {
	config, client := secured(t)
	s := startServer(t, emptyTree(t), "--web.config.file="+config)
	base := strings.Replace(s.url, "http:", "https:", 1)
	password := "Basic " + base64.StdEncoding.EncodeToString([]byte("operator:secret"))
	upgrade := []string{
		"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==",
	}
	for _, x := range []exchange{
		{"GET", "/gpu/stats", []string{"Origin", uiOrigin}, 401, "", nil},
		{"OPTIONS", "/gpu/stats", []string{"Origin", uiOrigin, acrMethod, "GET", acrHeaders, "authorization"}, 401, "", nil},
		{"GET", "/ws/gpu-stats", append([]string{"Origin", uiOrigin}, upgrade...), 401, "", nil},
		{"GET", "/health", []string{"Authorization", password}, 200, "", nil},
	} {
		request, err := http.NewRequestWithContext(t.Context(), x.method, base+x.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		for pair := range slices.Chunk(x.header, 2) {
			request.Header.Add(pair[0], pair[1])
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != x.code || x.code == 401 && answer.Header.Get(acaOrigin) != "" {
			t.Errorf("%s %s %v: %s, %v", x.method, x.target, x.header, answer.Status, answer.Header)
		}
	}
	client.CloseIdleConnections()
}
