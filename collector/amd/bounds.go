package amd

import "gpu_exporter/collector"

// bounds are what physics and the drivers allow, in the unit of the quantity; the driver's 0 for "not measured" is
// absence before it gets here. What is not listed is a flag or an info: 0 or 1.
var bounds = map[collector.QuantityID][2]float64{
	collector.Temperature:          {-40, 150},
	collector.TemperatureLimit:     {0, 200},
	collector.Voltage:              {0, 3},
	collector.Power:                {0, 3000},
	collector.PowerAverage:         {0, 3000},
	collector.PowerLimit:           {0, 3000},
	collector.Current:              {0, 3000},
	collector.Utilization:          {0, 1},
	collector.EngineUtilization:    {0, 1},
	collector.PartitionUtilization: {0, 1},
	collector.Clock:                {0, 20e9},
	collector.ClockLimit:           {0, 20e9},
	collector.FanSpeed:             {0, 30000},
	collector.FanMin:               {0, 30000},
	collector.FanMax:               {0, 30000},
	collector.FanTarget:            {0, 30000},
	collector.FanDuty:              {0, 1},
	collector.MemoryTotal:          {0, 1 << 46},
	collector.MemoryUsed:           {0, 1 << 46},
	collector.MemoryBandwidth:      {0, 1e15},
	collector.LinkWidth:            {1, 32},
	collector.LinkMaxWidth:         {1, 32},
	collector.LinkSpeed:            {2.5e9, 64e9},
	collector.LinkMaxSpeed:         {2.5e9, 64e9},
	collector.LinkRate:             {1, 1e15},
	collector.LinkLanes:            {1, 1 << 16},
	collector.Energy:               {0, 1 << 63},
	collector.PCIeReplays:          {0, 1 << 63},
	collector.PCIeErrors:           {0, 1 << 63},
	collector.ECCErrors:            {0, 1 << 63},
	collector.LinkBytes:            {0, 1 << 63},
	collector.BadPages:             {0, 1 << 46},
}

// maxBoardVolts bounds the one rail that is not on the chip.
const maxBoardVolts = 60

func boundsOf(q collector.QuantityID, values []string) (lo, hi float64) {
	b, ok := bounds[q]
	if !ok {
		return 0, 1
	}
	if q == collector.Voltage && values[0] == "board" {
		return b[0], maxBoardVolts
	}
	return b[0], b[1]
}
