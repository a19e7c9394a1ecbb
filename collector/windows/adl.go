package windows

import (
	"fmt"

	"gpu_exporter/collector"
)

// adlSensor is a row of the table of section 4: what a sensor of PMLog becomes.
type adlSensor struct {
	number int
	q      collector.QuantityID
	label  string // of the one label that the quantity has, empty: it has none
	by     float64
	times  float64 // in place of by
	// unless is the number of a sensor that tells the same better, where it is supported.
	unless int
	// positive: 0 is no reading. RDNA 3 says that it supports sensor 23, with 0 W (LibreHardwareMonitor issue 1074); a
	// rail that is on has a voltage (amd.md 11).
	positive bool
}

const (
	mega    = 1e6
	milli   = 1e3
	percent = 1e2
)

var adlSensors = [...]adlSensor{
	{number: 1, q: collector.Clock, label: "graphics", times: mega},
	{number: 2, q: collector.Clock, label: "memory", times: mega},
	{number: 3, q: collector.Clock, label: "soc", times: mega},
	{number: 4, q: collector.Clock, label: "decoder0", times: mega},
	{number: 5, q: collector.Clock, label: "decoder1", times: mega},
	{number: 7, q: collector.Clock, label: "video", times: mega},
	{number: 44, q: collector.Clock, label: "fabric", times: mega},
	{number: 71, q: collector.Clock, label: "npu", times: mega},
	{number: 8, q: collector.Temperature, label: "edge"},
	{number: 28, q: collector.Temperature, label: "edge", unless: 8},
	{number: 9, q: collector.Temperature, label: "memory"},
	{number: 10, q: collector.Temperature, label: "vr_graphics"},
	{number: 11, q: collector.Temperature, label: "vr_memory"},
	{number: 25, q: collector.Temperature, label: "vr_memory0", unless: 11},
	{number: 26, q: collector.Temperature, label: "vr_memory1", unless: 11},
	{number: 24, q: collector.Temperature, label: "vr_soc"},
	{number: 12, q: collector.Temperature, label: "liquid"},
	{number: 42, q: collector.Temperature, label: "liquid0"},
	{number: 43, q: collector.Temperature, label: "liquid1"},
	{number: 13, q: collector.Temperature, label: "plx"},
	{number: 27, q: collector.Temperature, label: "hotspot"},
	{number: 29, q: collector.Temperature, label: "soc"},
	{number: 32, q: collector.Temperature, label: "cpu"},
	{number: 14, q: collector.FanSpeed, label: "1"},
	{number: 15, q: collector.FanDuty, label: "1", by: percent},
	{number: 21, q: collector.Voltage, label: "graphics", by: milli, positive: true},
	{number: 16, q: collector.Voltage, label: "soc", by: milli, positive: true},
	{number: 22, q: collector.Voltage, label: "memory", by: milli, positive: true},
	{number: 73, q: collector.Power, label: "board"},
	{number: 23, q: collector.Power, label: "package", positive: true},
	{number: 30, q: collector.Power, label: "graphics"},
	{number: 17, q: collector.Power, label: "soc"},
	{number: 33, q: collector.Power, label: "cpu"},
	{number: 19, q: collector.Utilization, by: percent},
	{number: 20, q: collector.EngineUtilization, label: "memory", by: percent},
	{number: 72, q: collector.EngineUtilization, label: "npu", by: percent},
	{number: 41, q: collector.LinkWidth},
}

// adlThrottler is the sensor whose bits are reasons to be slow, in this order.
const adlThrottler = 35

var adlReasons = [...]string{"power", "thermal", "current"}

// value is what the sensor says in the unit of its quantity, ok whether it says something.
func (s *adlSensor) value(log *PMLog) (v float64, ok bool) {
	sensor := log[s.number]
	if sensor.Supported == 0 || s.positive && sensor.Value == 0 || s.unless != 0 && log[s.unless].Supported != 0 {
		return 0, false
	}
	v = float64(sensor.Value)
	switch {
	case s.by != 0:
		v /= s.by
	case s.times != 0:
		v *= s.times
	}
	return v, true
}

// adlNotSupported is the result of a call that this card or driver does not know.
const adlNotSupported = -8

// adlError is the error that a result of ADL is; 1 to 4 are good with a remark.
func adlError(result int32) error {
	switch {
	case result >= 0 && result <= 4:
		return nil
	case result == adlNotSupported:
		return ErrUnsupported
	}
	return fmt.Errorf("ADL answers %d", result)
}
