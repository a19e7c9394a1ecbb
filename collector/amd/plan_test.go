package amd

import (
	"testing"

	"gpu_exporter/collector"
)

// Conversions are exact: the result is the number that a person would write.
func TestConversions(t *testing.T) {
	for _, c := range []struct {
		name string
		conversion
		in, want float64
	}{
		{"m°C", milli, 53300, 53.3}, {"m°C below zero", milli, -5100, -5.1}, {"mV", milli, 985, 0.985},
		{"0.01 °C", centi, 5537, 55.37}, {"0.01 %", hundredths, 8775, 0.8775}, {"%", percent, 37, 0.37}, {"% full", percent, 100, 1},
		{"µW", micro, 32123456, 32.123456}, {"µW, 0 is a value", micro, 0, 0}, {"mW", milliwatts, 3401, 3.401},
		{"MHz", mhz, 2254, 2254e6}, {"MB/s", megabytes, 1234, 1234e6}, {"GB/s", gigabytes, 5325, 5325e9},
		{"kB", kibibytes, 3, 3072}, {"2^-16 J", energyUnit, 65536 + 16384, 1.25},
		{"as it is", unit, 7, 7}, {"no unit", conversion{}, 2011000000, 2011000000},
	} {
		if got := c.of(c.in); got != c.want {
			t.Errorf("%s: %v becomes %v, want %v", c.name, c.in, got, c.want)
		}
	}
	for _, c := range []struct {
		name string
		conversion
		v    float64
		want bool
	}{
		{"temperature 0", milli, 0, true}, {"temperature below 0", milli, -1000, false}, {"limit 0", milliPositive, 0, true},
		{"limit below 0", milliPositive, -273150, true}, {"limit", milliPositive, 1, false}, {"cap 0", microPositive, 0, true},
		{"cap below 0", microPositive, -1, false}, {"power 0", micro, 0, false}, {"clock of a table 0", mhz, 0, true},
		{"load 0", percent, 0, false}, {"count 0", unit, 0, false}, {"energy 0", energyUnit, 0, true},
	} {
		if got := c.absent(c.v); got != c.want {
			t.Errorf("%s: absent is %v", c.name, got)
		}
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		q      collector.QuantityID
		value  string // of its first label
		lo, hi float64
	}{
		{collector.Temperature, "edge", -40, 150}, {collector.TemperatureLimit, "edge", 0, 200},
		{collector.Voltage, "graphics", 0, 3}, {collector.Voltage, "soc", 0, 3}, {collector.Voltage, "board", 0, 60},
		{collector.Power, "package", 0, 3000}, {collector.PowerAverage, "package", 0, 3000}, {collector.PowerLimit, "package", 0, 3000},
		{collector.Current, "soc", 0, 3000},
		{collector.Utilization, "", 0, 1}, {collector.EngineUtilization, "media", 0, 1}, {collector.PartitionUtilization, "0", 0, 1},
		{collector.Clock, "graphics", 0, 20e9}, {collector.ClockLimit, "graphics", 0, 20e9},
		{collector.FanSpeed, "1", 0, 30000}, {collector.FanMin, "1", 0, 30000}, {collector.FanMax, "1", 0, 30000},
		{collector.FanTarget, "1", 0, 30000}, {collector.FanDuty, "1", 0, 1},
		{collector.MemoryTotal, "vram", 0, 1 << 46}, {collector.MemoryUsed, "vram", 0, 1 << 46},
		{collector.MemoryBandwidth, "max", 0, 1e15},
		{collector.Energy, "package", 0, 1 << 63}, {collector.PCIeReplays, "", 0, 1 << 63}, {collector.PCIeErrors, "fatal", 0, 1 << 63},
		{collector.ECCErrors, "umc", 0, 1 << 63}, {collector.LinkBytes, "0", 0, 1 << 63},
		{collector.LinkWidth, "", 1, 32}, {collector.LinkMaxWidth, "", 1, 32},
		{collector.LinkSpeed, "", 2.5e9, 64e9}, {collector.LinkMaxSpeed, "", 2.5e9, 64e9},
		// Flags.
		{collector.ThrottleActive, "power", 0, 1}, {collector.ECCEnabled, "", 0, 1}, {collector.LinkUp, "0", 0, 1},
		{collector.DisplayActive, "", 0, 1}, {collector.PartitionInfo, "0", 0, 1},
	} {
		if lo, hi := boundsOf(c.q, []string{c.value}); lo != c.lo || hi != c.hi {
			t.Errorf("%v of %q is bound by %v and %v, want %v and %v", c.q, c.value, lo, hi, c.lo, c.hi)
		}
	}
}
