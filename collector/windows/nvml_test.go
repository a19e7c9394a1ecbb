package windows

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/worker"
)

func TestErrorsOfNVMLsChildren(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{worker.ErrHung, errLate},
		{context.DeadlineExceeded, errLate},
		{worker.ErrOpening, errUnasked},
		{fmt.Errorf("%w: EOF", errors.New("the child ended")), errChild},
		{worker.ErrBackOff, errChild},
		{worker.ErrStuck, errChild},
		{worker.ErrNoWay, errChild},
		{nvml.ErrDriver, errChild},
		{fmt.Errorf("%w: no library", nvml.ErrMissing), ErrUnsupported},
		{collector.ErrGone, collector.ErrGone},
		{worker.ErrRefused, worker.ErrRefused},
	} {
		if got := nvmlError(c.err); !errors.Is(got, c.want) || !errors.Is(got, c.err) {
			t.Errorf("%v becomes %v, want %v", c.err, got, c.want)
		}
	}
	if err := nvmlError(nil); err != nil {
		t.Error(err)
	}
}
