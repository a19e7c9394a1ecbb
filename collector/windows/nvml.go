package windows

import (
	"context"
	"errors"
	"time"

	"gpu_exporter/collector/nvml"
)

// nvmlChildren are NVML through children that call it.
type nvmlChildren struct {
	*nvml.Fleet
	there func() bool // the library is on this system: else no child is started

	none  error     // nobody knows a GPU of NVIDIA, nor did NVML
	until time.Time // and is not asked again before
}

// nvmlPause is how long it stands that a library which a driver left behind knows no GPU.
const nvmlPause = 5 * time.Minute

var _ NVML = (*nvmlChildren)(nil)

func nvmlTargets(targets []NVMLTarget) (list []nvml.Target) {
	for _, t := range targets {
		list = append(list, nvml.Target{Address: string(t.Address), MaySleep: t.MaySleep})
	}
	return list
}

// Devices implements NVML.
func (n *nvmlChildren) Devices(ctx context.Context, targets []NVMLTarget) (list []NVMLDevice, err error) {
	if !n.there() {
		n.Leave()
		return nil, ErrUnsupported
	}
	if targets == nil && time.Now().Before(n.until) {
		return nil, n.none
	}
	ids, err := n.Fleet.Devices(ctx, nvmlTargets(targets))
	err = noAnswer(err)
	if targets == nil && len(ids) == 0 && (err == nil || errors.Is(err, ErrUnsupported)) {
		n.none, n.until = err, time.Now().Add(nvmlPause)
	}
	if err != nil {
		return nil, err
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
func (n *nvmlChildren) Read(ctx context.Context, targets []NVMLTarget) ([]NVMLReading, error) {
	list := make([]NVMLReading, len(targets))
	for i, r := range n.Fleet.Read(ctx, nvmlTargets(targets)) {
		list[i] = NVMLReading{Err: noAnswer(r.Err), Samples: r.Samples, Failures: r.Failures, Rejected: r.Rejected}
	}
	return list, nil
}

// LetGo implements NVML.
func (n *nvmlChildren) LetGo(a Address) { n.Fleet.LetGo(string(a)) }
