package logging

import (
	"bytes"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestLines(t *testing.T) {
	var out bytes.Buffer
	log := New(&out, Logfmt, slog.LevelInfo)
	log.Debug("not shown")
	log.With("gpu", "0000:03:00.0").WithGroup("read").Warn("read missed its deadline",
		"deadline", 2*time.Second, "err", errors.New(`a "b"`))
	want := regexp.MustCompile(`^level=warn caller=logging_test\.go:\d+ time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z ` +
		`msg="read missed its deadline" gpu=0000:03:00.0 read.deadline=2s read.err="a \\"b\\""` + "\n$")
	if !want.MatchString(out.String()) {
		t.Errorf("got %q", out.String())
	}
}

func TestTimesAreUTC(t *testing.T) {
	var out bytes.Buffer
	h := New(&out, Logfmt, slog.LevelInfo).Handler()
	at := time.Date(2026, 11, 25, 23, 0, 0, 123456789, time.FixedZone("", 2*60*60))
	if err := h.Handle(t.Context(), slog.NewRecord(at, slog.LevelInfo, "x", 0)); err != nil {
		t.Fatal(err)
	}
	if want := "level=info time=2026-11-25T21:00:00.123Z msg=x\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestLevel(t *testing.T) {
	for name, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "INFO": slog.LevelInfo, "Warn": slog.LevelWarn, "WARNING": slog.LevelWarn, "error": slog.LevelError,
	} {
		if got, err := Level(name); got != want || err != nil {
			t.Errorf("Level(%q) = %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "verbose", "info "} {
		if got, err := Level(name); err == nil || !strings.Contains(err.Error(), "debug, info, warn or error") {
			t.Errorf("Level(%q) = %v, %v; want an error that says what to take", name, got, err)
		}
	}
}

func TestQuiet(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "debug info warn ", slog.LevelInfo: "warn ", slog.LevelWarn: "warn ", slog.LevelError: "",
	} {
		var out bytes.Buffer
		log := Quiet(New(&out, Logfmt, level)).With("a", 1).WithGroup("g")
		log.Debug("debug")
		log.Info("info")
		log.Warn("warn")
		var got strings.Builder
		for line := range strings.Lines(out.String()) {
			_, rest, _ := strings.Cut(line, "msg=")
			msg, _, _ := strings.Cut(rest, " ")
			got.WriteString(msg + " ")
		}
		if got.String() != want {
			t.Errorf("at %v: got %q, want %q", level, got.String(), want)
		}
	}
}
