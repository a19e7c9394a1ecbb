package panel

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ask is the answer to a request of the page, or of a part of it.
func ask(method, target string, header ...string) *http.Response {
	mux := http.NewServeMux()
	mux.Handle("/{$}", Page(Options{TelemetryPath: "/data", GrafanaURL: `https://g/"><b>`, FrameAncestors: "*", Version: "1.2.3"}))
	mux.Handle(AssetsPattern, Assets())
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// served are all targets, with the file that each is made of.
func served(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"/": "page/index.html"}
	files, err := filepath.Glob("page/panel/*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v: %q", err, files)
	}
	for _, f := range files {
		all["/panel/"+filepath.Base(f)] = f
	}
	return all
}

func TestHeaders(t *testing.T) {
	always := map[string]string{"X-Content-Type-Options": "nosniff"}
	page := map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; " +
			"img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors *",
	}
	part := map[string]string{"Cache-Control": "public, max-age=31536000, immutable"}
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".woff2": "font/woff2", ".svg": "image/svg+xml", ".css": "text/css; charset=utf-8"}
	for target, file := range served(t) {
		want := []map[string]string{always, page}
		if target != "/" {
			want = []map[string]string{always, part, {"Content-Type": types[filepath.Ext(file)]}}
		}
		r := ask("GET", target)
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", target, r.Status)
		}
		for _, headers := range want {
			for name, value := range headers {
				if got := r.Header.Get(name); got != value {
					t.Errorf("%s: %s: %s, want %s", target, name, got, value)
				}
			}
		}
	}
}

func TestBothForms(t *testing.T) {
	for target, file := range served(t) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		etags := map[string]bool{}
		for _, encoding := range []string{"identity", "gzip", "br, gzip;q=0", "gzip, deflate, br, zstd"} {
			r := ask("GET", target, "Accept-Encoding", encoding)
			got := body(t, r)
			if r.ContentLength != int64(len(got)) || r.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s %s: Content-Length %d of %d, Vary %q", target, encoding, r.ContentLength, len(got), r.Header.Get("Vary"))
			}
			packed := r.Header.Get("Content-Encoding") == "gzip"
			if packed != (strings.HasPrefix(encoding, "gzip") && filepath.Ext(file) != ".woff2") {
				t.Errorf("%s %s: packed %v", target, encoding, packed)
			}
			if packed {
				z, err := gzip.NewReader(bytes.NewReader(got))
				if err == nil {
					got, err = io.ReadAll(z)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if target != "/" && !bytes.Equal(got, content) {
				t.Errorf("%s %s: %d bytes that are not those of %s", target, encoding, len(got), file)
			}
			etag := r.Header.Get("ETag")
			etags[etag] = true
			if !regexp.MustCompile(`^"[0-9a-f]{64}"$`).MatchString(etag) {
				t.Errorf("%s: ETag %s", target, etag)
			}
			for _, known := range []string{etag, `"other", W/` + etag, "*"} {
				again := ask("GET", target, "Accept-Encoding", encoding, "If-None-Match", known)
				if again.StatusCode != http.StatusNotModified || len(body(t, again)) > 0 || again.Header.Get("ETag") != etag ||
					again.Header.Get("Cache-Control") == "" || again.Header.Get("Vary") == "" {
					t.Errorf("%s %s with %s: %s %v", target, encoding, known, again.Status, again.Header)
				}
			}
			head := ask("HEAD", target, "Accept-Encoding", encoding)
			if head.StatusCode != http.StatusOK || head.Header.Get("ETag") != etag || len(body(t, head)) > 0 ||
				head.Header.Get("Content-Length") != r.Header.Get("Content-Length") {
				t.Errorf("HEAD %s %s: %s %v", target, encoding, head.Status, head.Header)
			}
		}
		if want := 2 - strings.Count(file, ".woff2"); len(etags) != want {
			t.Errorf("%s has the ETags %v, want %d: the forms are not the same bytes", target, etags, want)
		}
	}
}

func TestThePageIsTold(t *testing.T) {
	html := string(body(t, ask("GET", "/")))
	for _, want := range []string{`data-metrics="./data"`, `data-version="1.2.3"`, `data-grafana="https://g/&#34;&gt;&lt;b&gt;"`} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in\n%s", want, html)
		}
	}
	if strings.Contains(html, "{{") {
		t.Errorf("something was not filled in:\n%s", html)
	}
}

// Without a script there are links.
func TestWithoutScripts(t *testing.T) {
	html := string(body(t, ask("GET", "/")))
	_, without, _ := strings.Cut(html, "<noscript>")
	without, _, _ = strings.Cut(without, "</noscript>")
	for _, link := range []string{`href="./data"`, `href="./docs"`, `href="./gpus"`} {
		if !strings.Contains(without, link) {
			t.Errorf("no %s in %q", link, without)
		}
	}
}

// What the page names is there, relative to it, and on no other host.
func TestEveryPartIsThere(t *testing.T) {
	html := string(body(t, ask("GET", "/")))
	links := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1)
	for _, l := range links {
		target, relative := strings.CutPrefix(l[1], ".")
		switch {
		case !relative:
			t.Errorf("%s is not relative", l[1])
		case strings.HasPrefix(target, "/panel/"):
			if r := ask("GET", target); r.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", l[1], r.Status)
			}
		}
	}
	if len(links) == 0 {
		t.Error("the page names nothing")
	}
}

// A name without a hash would be kept for a year whatever becomes of the file, and what lies beside the folder is not served.
func TestNamesOfParts(t *testing.T) {
	hashed := regexp.MustCompile(`-[A-Za-z0-9_-]{8}\.[a-z0-9]+$`)
	for target := range served(t) {
		if target != "/" && !hashed.MatchString(target) {
			t.Errorf("%s has no hash in its name", target)
		}
	}
	beside, err := filepath.Glob("page/*")
	if err != nil || len(beside) != 2 {
		t.Errorf("page has %q, %v; want index.html and panel", beside, err)
	}
}

func TestUnknown(t *testing.T) {
	for _, target := range []string{"/panel/x.js", "/panel/index.html", "/panel/..%2findex.html", "/panel/%2e%2e"} {
		r := ask("GET", target)
		if got := string(body(t, r)); r.StatusCode != http.StatusNotFound || got != `{"detail":"Not Found"}` ||
			r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %q %v", target, r.Status, got, r.Header)
		}
	}
}

// What the first browser costs: all that it fetches, packed.
func BenchmarkPack(b *testing.B) {
	files, _ := filepath.Glob("page/panel/*.js")
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(filepath.Base(f), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				pack(content)
			}
		})
	}
}

// What starting costs.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Page(Options{TelemetryPath: "/metrics"})
		Assets()
	}
}
