package main

import (
	"fmt"
	"io"
	"time"

	"github.com/prometheus/common/version"

	"gpu_exporter/collector"
	"gpu_exporter/compat"
	"gpu_exporter/exporter"
)

// formats are the names of the writers.
var formats = []string{"prom", "json", "csv", "table"}

// writers write the n-th reading, from 1, in one format each. last says that no further one follows.
var writers = map[string]func(w io.Writer, s *collector.Snapshot, n int, last bool) error{
	"prom": func(w io.Writer, s *collector.Snapshot, _ int, last bool) error {
		if !last {
			return nil
		}
		return exporter.WriteText(w, s, exporter.Options{})
	},
	"json": func(w io.Writer, s *collector.Snapshot, _ int, _ bool) error {
		_, err := w.Write(append(compat.GPUs(s, version.Version, time.Now()), '\n'))
		return err
	},
	"csv": func(w io.Writer, s *collector.Snapshot, n int, _ bool) error {
		var text []byte
		if n == 1 {
			text = compat.AppendCSVHeader(text)
		}
		_, err := w.Write(compat.AppendCSV(text, s))
		return err
	},
	"table": func(w io.Writer, s *collector.Snapshot, n int, _ bool) error {
		if n > 1 {
			fmt.Fprintln(w)
		}
		return writeTable(w, s)
	},
}
