//go:build !windows

package main

import (
	"context"

	"github.com/alecthomas/kingpin/v2"
)

func asWorker([]string) (int, bool) { return 0, false }

func asService([]string) (int, bool) { return 0, false }

func fromDesktop(context.Context, []string, program) (int, bool) { return 0, false }

func systemCommands(*kingpin.Application) {}

func systemCommand(context.Context, string, *options, program) int { return 0 }
