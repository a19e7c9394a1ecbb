//go:build !linux

package main

import "log/slog"

func readers(*options, *slog.Logger) []reader { return nil }

func checkPaths(*options, *slog.Logger) {}
