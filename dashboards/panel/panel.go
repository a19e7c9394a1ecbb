// Package panel is the page at /: the panel of src, as Vite has built it into page. Building the exporter needs no Node.
package panel

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"gpu_exporter/internal/accept"
)

//go:embed all:page
var built embed.FS

// AssetsPattern is where the page looks for its parts, for http.ServeMux.
const AssetsPattern = "/panel/{file}"

// Options are what the page is told.
type Options struct {
	TelemetryPath  string // of the metrics
	GrafanaURL     string // to link to; empty: no link
	FrameAncestors string // of the Content-Security-Policy: whose pages may frame this one; empty: nobody's
	Version        string // of the exporter
}

// policy is that of panel.md 8. Styles may be inline since Emotion makes them at run time, scripts may not. Older browsers
// do not count WebSockets of the same origin as 'self'.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; " +
	"img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors "

// Page serves the page. Its links are relative ones, so that they work behind a proxy that serves the exporter below a path.
func Page(o Options) http.Handler {
	var html bytes.Buffer
	err := template.Must(template.ParseFS(built, "page/index.html")).Execute(&html, struct{ Metrics, Grafana, Version string }{
		"." + o.TelemetryPath, o.GrafanaURL, o.Version,
	})
	if err != nil {
		panic(err) // the template is embedded, and takes any text
	}
	page := newFile("index.html", "no-cache", html.Bytes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy+o.FrameAncestors)
		h.Set("Referrer-Policy", "no-referrer")
		page.ServeHTTP(w, r)
	})
}

// Assets serves the parts of the page at AssetsPattern. Their names change with what is in them, so that a browser asks for
// each only once.
func Assets() http.Handler {
	parts, err := fs.Sub(built, "page/panel")
	if err != nil {
		panic(err) // it is a path
	}
	names, err := fs.Glob(parts, "*")
	if err != nil {
		panic(err) // it is a pattern
	}
	files := map[string]*file{}
	for _, name := range names {
		files[name] = newFile(name, "public, max-age=31536000, immutable", func() []byte {
			content, err := fs.ReadFile(parts, name)
			if err != nil {
				panic(err) // it is embedded
			}
			return content
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := files[r.PathValue("file")]; f != nil {
			f.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"detail":"Not Found"}`) // as for any path that is none; a client that is gone is told nothing
	})
}

// kinds are the Content-Types by the end of the name. mime.TypeByExtension asks the registry of Windows, where .js may be
// anything.
var kinds = map[string]string{
	".css":   "text/css; charset=utf-8",
	".html":  "text/html; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".svg":   "image/svg+xml",
	".woff2": "font/woff2",
}

// file is served in two forms, each with a strong ETag of its own. They are made when somebody first asks, and kept: most
// exporters never have a browser, and none has many.
type file struct {
	kind, cache   string
	plain, packed func() form
}

type form struct {
	content []byte
	etag    string
}

func newFile(name, cache string, content func() []byte) *file {
	kind := kinds[path.Ext(name)]
	if kind == "" {
		panic("of which Content-Type is " + name + "?") // a test has each embedded file pass here
	}
	f := &file{kind: kind, cache: cache}
	f.plain = sync.OnceValue(func() form { return newForm(content()) })
	f.packed = sync.OnceValue(func() form { return newForm(pack(content())) })
	return f
}

func newForm(content []byte) form { return form{content, fmt.Sprintf(`"%x"`, sha256.Sum256(content))} }

// ServeHTTP implements http.Handler.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, serve := w.Header(), f.plain
	h.Add("Vary", "Accept-Encoding")
	if f.packs() && accept.Gzip(r.Header) {
		serve = f.packed
		h.Set("Content-Encoding", "gzip")
	}
	served := serve()
	h.Set("Content-Type", f.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", f.cache)
	h.Set("ETag", served.etag)
	h.Set("Content-Length", strconv.Itoa(len(served.content))) // ServeContent does not where there is an encoding
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(served.content))
}

// packs says whether gzip makes the file smaller: fonts are packed as they are.
func (f *file) packs() bool { return !strings.HasPrefix(f.kind, "font/") }

func pack(content []byte) []byte {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // the level is one, and a Buffer takes all
	}
	return packed.Bytes()
}
