package windows

import (
	"context"
	"errors"
	"fmt"

	"gpu_exporter/collector/nvml"
	"gpu_exporter/collector/worker"
)

// nvmlChildren are NVML through children that call it.
type nvmlChildren struct {
	*nvml.Fleet
	there func() bool // the library is on this system: else no child is started
}

var _ NVML = nvmlChildren{}

func nvmlTargets(targets []NVMLTarget) (list []nvml.Target) {
	for _, t := range targets {
		list = append(list, nvml.Target{Address: string(t.Address), MaySleep: t.MaySleep})
	}
	return list
}

// Devices implements NVML.
func (n nvmlChildren) Devices(ctx context.Context, targets []NVMLTarget) (list []NVMLDevice, err error) {
	if !n.there() {
		return nil, ErrUnsupported
	}
	ids, err := n.Fleet.Devices(ctx, nvmlTargets(targets))
	if err != nil {
		return nil, nvmlError(err)
	}
	for _, id := range ids {
		i, err := id.Info()
		if err != nil {
			continue // it cannot be found again
		}
		list = append(list, NVMLDevice{
			Address: Address(i.GPU), Source: i.Source, Type: i.Type, UUID: i.UUID, Name: i.Name, PCIID: i.PCIID, Version: i.DriverVersion, VBIOS: i.VBIOS,
		})
	}
	return list, nil
}

// Read implements NVML.
func (n nvmlChildren) Read(ctx context.Context, targets []NVMLTarget) ([]NVMLReading, error) {
	list := make([]NVMLReading, len(targets))
	for i, r := range n.Fleet.Read(ctx, nvmlTargets(targets)) {
		list[i] = NVMLReading{Err: nvmlError(r.Err), Samples: r.Samples, Failures: r.Failures, Rejected: r.Rejected}
	}
	return list, nil
}

// LetGo implements NVML.
func (n nvmlChildren) LetGo(a Address) { n.Fleet.LetGo(string(a)) }

// nvmlError is an error of a Fleet as one of a source.
func nvmlError(err error) error {
	for _, late := range []error{worker.ErrHung, worker.ErrOpening, context.DeadlineExceeded} {
		if errors.Is(err, late) {
			return fmt.Errorf("%w: %w", errLate, err)
		}
	}
	if errors.Is(err, nvml.ErrMissing) {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return err
}
