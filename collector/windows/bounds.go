package windows

import (
	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
)

// bounds are what physics and the drivers allow, in the unit of the quantity (amd.md 11). A 0 that stands for "not told"
// is absence before it gets here. What is not listed is a flag or a share: 0 to 1.
var bounds = map[collector.QuantityID][2]float64{
	collector.Temperature:      {-40, 150},
	collector.TemperatureLimit: {0, 200},
	collector.Voltage:          {0, 3},
	collector.Power:            {0, 3000},
	collector.Clock:            {0, 20e9},
	collector.ClockLimit:       {0, 20e9},
	collector.FanSpeed:         {0, 30000},
	collector.FanMax:           {0, 30000},
	collector.MemoryTotal:      {0, 1 << 46},
	collector.MemoryUsed:       {0, 1 << 46},
	collector.LinkWidth:        {1, 32},
	collector.EngineBusy:       {0, 1 << 63},
	collector.Resets:           {0, 1 << 63},
}

// vendorBounds are where a vendor's page says otherwise (intel.md 10). Those of NVIDIA are collector/nvml's.
var vendorBounds = map[string]map[collector.QuantityID][2]float64{
	"intel": {
		collector.Temperature:      {-40, 130},
		collector.TemperatureLimit: {0, 150},
		collector.Voltage:          {0, 2.5},
		collector.Clock:            {0, 6e9},
		collector.FanSpeed:         {0, 10000},
		collector.MemoryTotal:      {0, 1 << 40},
		collector.MemoryUsed:       {0, 1 << 40},
	},
}

func boundsOf(vendor string, q collector.QuantityID) (lo, hi float64) {
	if vendor == "nvidia" {
		if lo, hi, ok := nvml.Bounds(q); ok {
			return lo, hi
		}
	}
	b, ok := vendorBounds[vendor][q]
	if !ok {
		b, ok = bounds[q]
	}
	if !ok {
		return 0, 1
	}
	return b[0], b[1]
}
