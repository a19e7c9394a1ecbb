package collector

import (
	"fmt"
	"strings"
)

// Series is one time series of one GPU: a quantity and the values of its labels beside gpu. A device makes its Series
// when it plans its reads and keeps them; the pointer is the identity. The exported fields are fixed from then on.
type Series struct {
	Q      QuantityID
	Values []string // one for each of Quantities[Q].Labels, in that order; an empty one is as good as not there
	// Min and Max are the bounds of physics (both allowed), in the unit of the quantity.
	Min, Max float64
	// Created is when a counter of EpochProcess stood at zero, in Unix seconds. Zero: not told.
	Created float64

	// The Reading, and which of its readings, in which s has had its say; owned by the worker of the device.
	closedBy *Reading
	closed   uint64
}

// Sample is one value of one series.
type Sample struct {
	S *Series
	V float64
}

// String is the series as people write it, without gpu: gpu_temperature_celsius{sensor="edge"}.
func (s *Series) String() string {
	var labels []string
	for i, name := range Quantities[s.Q].Labels {
		if s.Values[i] != "" {
			labels = append(labels, fmt.Sprintf("%s=%q", name, s.Values[i]))
		}
	}
	if len(labels) == 0 {
		return s.Q.String()
	}
	return s.Q.String() + "{" + strings.Join(labels, ",") + "}"
}
