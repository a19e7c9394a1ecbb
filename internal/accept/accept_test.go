package accept

import (
	"net/http"
	"testing"
)

func TestGzip(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  bool
	}{
		{[]string{"gzip"}, true}, {[]string{"GZIP;q=0.5, identity"}, true}, {[]string{"deflate, *"}, true},
		{[]string{"zstd;q=1, gzip;q=0.1"}, true}, {[]string{"gzip;q=x"}, true}, {[]string{"br", "gzip"}, true},
		{nil, false}, {[]string{""}, false}, {[]string{"identity"}, false}, {[]string{"gzip;q=0"}, false}, {[]string{"*;q=0"}, false},
		{[]string{"*, gzip; q=0.0"}, false}, {[]string{"gzipped"}, false},
	} {
		if got := Gzip(http.Header{"Accept-Encoding": c.lines}); got != c.want {
			t.Errorf("Accept-Encoding %q: %v, want %v", c.lines, got, c.want)
		}
	}
}
