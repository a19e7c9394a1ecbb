package logging

import (
	"context"
	"log/slog"
	"time"
)

// utc is a handler that puts the times of its records into UTC, to the millisecond.
type utc struct{ slog.Handler }

func (h utc) Handle(ctx context.Context, r slog.Record) error {
	r.Time = r.Time.UTC().Truncate(time.Millisecond)
	return h.Handler.Handle(ctx, r)
}

func (h utc) WithAttrs(attrs []slog.Attr) slog.Handler { return utc{h.Handler.WithAttrs(attrs)} }

func (h utc) WithGroup(name string) slog.Handler { return utc{h.Handler.WithGroup(name)} }
