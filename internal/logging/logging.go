// Package logging sets up the log of every command: log/slog in front, go-kit/log behind it, which also serves
// exporter-toolkit.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	kitlog "github.com/go-kit/log"
	sloggokit "github.com/tjhop/slog-gokit"
)

// The formats of lines.
const (
	Logfmt = "logfmt"
	JSON   = "json"
)

// New returns a logger that writes lines of a format to w, those of level and above. Their times are in UTC.
func New(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	encode := kitlog.NewLogfmtLogger
	if format == JSON {
		encode = kitlog.NewJSONLogger
	}
	// The bridge adds the time of the record itself, as the time.Time that it is: local time without this.
	return slog.New(utc{sloggokit.NewGoKitHandler(encode(kitlog.NewSyncWriter(w)), level)})
}

// Level is the level by a name in any letter case.
func Level(name string) (slog.Level, error) {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is no log level: take debug, info, warn or error", name)
}

// Quiet returns a logger that keeps to itself what a library thinks worth an info, unless all is to be seen.
func Quiet(log *slog.Logger) *slog.Logger { return slog.New(quiet{log.Handler()}) }
