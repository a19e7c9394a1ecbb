package exporter

import (
	"net/http"

	"github.com/klauspost/compress/gzip"
)

// packed is an answer that goes out by gzip. promhttp could do that, but by compress/gzip at its default level, which
// takes four times as long (77 us for one card, more than the rest of the scrape) for 200 bytes less.
type packed struct {
	http.ResponseWriter
	gz *gzip.Writer
}

func (p packed) Write(b []byte) (int, error) { return p.gz.Write(b) }
