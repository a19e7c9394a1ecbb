package exporter

import (
	"bufio"
	"fmt"
	"io"

	"github.com/prometheus/common/expfmt"

	"gpu_exporter/collector"
)

// WriteText writes the GPU families of snap, filtered by o, in the text format. What the exporter tells about itself is
// not among them.
func WriteText(w io.Writer, snap *collector.Snapshot, o Options) error {
	s := newSet(&o)
	s.fill(snap)
	buf := bufio.NewWriter(w)
	for _, f := range s.gpu {
		if _, err := expfmt.MetricFamilyToText(buf, f); err != nil {
			return fmt.Errorf("write %s: %w", f.GetName(), err)
		}
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}
