//go:build !linux

package main

import "log/slog"

func systemReaders(*options, *slog.Logger) []reader { return nil }

func checkPaths(*options, *slog.Logger) {}
