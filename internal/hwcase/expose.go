package hwcase

import (
	"fmt"
	"strings"

	"gpu_exporter/collector"
)

// Exposed are the samples of a snapshot as the exporter shows them, by its text.
func Exposed(s *collector.Snapshot) (Samples, error) {
	var b strings.Builder
	line := func(q collector.QuantityID, gpu string, values []string, v float64) {
		fmt.Fprintf(&b, "%v{gpu=%q", q, gpu)
		for i, l := range collector.Quantities[q].Labels {
			fmt.Fprintf(&b, ",%s=%q", l, values[i])
		}
		fmt.Fprintf(&b, "} %v\n", v)
	}
	flag := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	for _, d := range s.Devices {
		i := d.Info
		line(collector.GPUInfo, d.GPU, []string{fmt.Sprint(d.Index), i.Vendor, i.Name, i.Type, i.UUID, i.PCIID, i.Driver,
			i.DriverVersion, i.VBIOS, i.Source}, 1)
		line(collector.Up, d.GPU, nil, flag(d.Up))
		for _, state := range collector.States {
			line(collector.GPUState, d.GPU, []string{state.String()}, flag(state == d.State))
		}
		for _, s := range d.Samples {
			line(s.S.Q, d.GPU, s.S.Values, s.V)
		}
	}
	return Parse(b.String())
}

// Compare says in lines how a snapshot differs from the file with what is expected of it.
func Compare(expected []byte, s *collector.Snapshot) ([]string, error) {
	want, err := Parse(string(expected))
	if err != nil {
		return nil, err
	}
	got, err := Exposed(s)
	if err != nil {
		return nil, err
	}
	return Diff(want, got), nil
}
