package simulation

import "gpu_exporter/collector"

// What stands both in the table and in a formula.
const (
	fanMax         = 3300 // rpm
	memoryClockMin = 96e6
	memoryClockMax = 1218e6
	vram           = 17163091968 // bytes
)

// row is one series of a simulated GPU.
type row struct {
	q      collector.QuantityID
	labels []string
	lo, hi float64 // bounds of physics
	value  func(s *State) float64
}

// fixed is a value that never changes.
func fixed(v float64) func(*State) float64 { return func(*State) float64 { return v } }

// table is what is told of a simulated GPU: what a real RX 7800 XT tells, and the energy, which that does not.
var table = []row{
	{collector.ModeInfo, []string{"", "", "", "", "auto", "bootup_default"}, 0, 1, fixed(1)},

	{collector.Temperature, []string{"edge"}, -40, 150, func(s *State) float64 { return s.Edge }},
	{collector.Temperature, []string{"hotspot"}, -40, 150, func(s *State) float64 { return s.Hotspot }},
	{collector.Temperature, []string{"memory"}, -40, 150, func(s *State) float64 { return s.Memory }},
	{collector.Temperature, []string{"vr_graphics"}, -40, 150, func(s *State) float64 { return s.VRGraphics }},
	{collector.Temperature, []string{"vr_memory"}, -40, 150, func(s *State) float64 { return s.VRMemory }},
	{collector.Temperature, []string{"vr_soc"}, -40, 150, func(s *State) float64 { return s.VRSoC }},
	{collector.TemperatureLimit, []string{"edge", "critical"}, 0, 200, fixed(100)},
	{collector.TemperatureLimit, []string{"edge", "emergency"}, 0, 200, fixed(105)},
	{collector.TemperatureLimit, []string{"hotspot", "critical"}, 0, 200, fixed(hotspotLimit)},
	{collector.TemperatureLimit, []string{"hotspot", "emergency"}, 0, 200, fixed(115)},
	{collector.TemperatureLimit, []string{"memory", "critical"}, 0, 200, fixed(108)},
	{collector.TemperatureLimit, []string{"memory", "emergency"}, 0, 200, fixed(113)},

	{collector.Utilization, nil, 0, 1, func(s *State) float64 { return s.Utilization }},
	{collector.EngineUtilization, []string{"memory"}, 0, 1, func(s *State) float64 { return s.MemoryEngine }},
	{collector.EngineUtilization, []string{"media"}, 0, 1, func(s *State) float64 { return s.MediaEngine }},

	{collector.MemoryTotal, []string{"vram"}, 0, 1 << 46, fixed(vram)},
	{collector.MemoryTotal, []string{"visible_vram"}, 0, 1 << 46, fixed(vram)},
	{collector.MemoryTotal, []string{"gtt"}, 0, 1 << 46, fixed(16638816256)},
	{collector.MemoryUsed, []string{"vram"}, 0, vram, func(s *State) float64 { return s.VRAMUsed }},
	{collector.MemoryUsed, []string{"visible_vram"}, 0, vram, func(s *State) float64 { return s.VRAMUsed }},
	{collector.MemoryUsed, []string{"gtt"}, 0, 16638816256, func(s *State) float64 { return s.GTTUsed }},

	{collector.Clock, []string{"graphics"}, 0, 20e9, func(s *State) float64 { return s.GraphicsClock }},
	{collector.Clock, []string{"memory"}, 0, 20e9, func(s *State) float64 { return s.MemoryClock }},
	{collector.Clock, []string{"soc"}, 0, 20e9, func(s *State) float64 { return s.SoCClock }},
	{collector.Clock, []string{"video0"}, 0, 20e9, func(s *State) float64 { return s.VideoClock }},
	{collector.Clock, []string{"video1"}, 0, 20e9, fixed(25e6)},
	{collector.Clock, []string{"decoder0"}, 0, 20e9, func(s *State) float64 { return s.DecoderClock }},
	{collector.Clock, []string{"decoder1"}, 0, 20e9, fixed(25e6)},
	{collector.ClockLimit, []string{"graphics", "min"}, 0, 20e9, fixed(500e6)},
	{collector.ClockLimit, []string{"graphics", "max"}, 0, 20e9, fixed(2254e6)},
	{collector.ClockLimit, []string{"memory", "min"}, 0, 20e9, fixed(memoryClockMin)},
	{collector.ClockLimit, []string{"memory", "max"}, 0, 20e9, fixed(memoryClockMax)},
	{collector.ClockLimit, []string{"soc", "min"}, 0, 20e9, fixed(300e6)},
	{collector.ClockLimit, []string{"soc", "max"}, 0, 20e9, fixed(1500e6)},

	{collector.Power, []string{"package"}, 0, 3000, func(s *State) float64 { return s.Power }},
	{collector.PowerAverage, []string{"package"}, 0, 3000, func(s *State) float64 { return s.PowerAverage }},
	{collector.PowerLimit, []string{"package", "current"}, 0, 3000, fixed(236)},
	{collector.PowerLimit, []string{"package", "default"}, 0, 3000, fixed(236)},
	{collector.PowerLimit, []string{"package", "min"}, 0, 3000, fixed(212)},
	{collector.PowerLimit, []string{"package", "max"}, 0, 3000, fixed(280)},
	{collector.Energy, []string{"package"}, 0, 1 << 63, func(s *State) float64 { return s.Energy }},
	{collector.Voltage, []string{"graphics"}, 0, 3, func(s *State) float64 { return s.GraphicsVoltage }},
	{collector.Voltage, []string{"soc"}, 0, 3, func(s *State) float64 { return s.SoCVoltage }},
	{collector.Voltage, []string{"memory"}, 0, 3, func(s *State) float64 { return s.MemoryVoltage }},

	{collector.FanSpeed, []string{"1"}, 0, 30000, func(s *State) float64 { return s.FanSpeed }},
	{collector.FanMax, []string{"1"}, 0, 30000, fixed(fanMax)},
	{collector.FanMin, []string{"1"}, 0, 30000, fixed(0)},
	{collector.FanTarget, []string{"1"}, 0, 30000, func(s *State) float64 { return s.FanTarget }},
	{collector.FanDuty, []string{"1"}, 0, 1, func(s *State) float64 { return s.FanDuty }},

	{collector.LinkWidth, nil, 1, 32, fixed(16)},
	{collector.LinkMaxWidth, nil, 1, 32, fixed(16)},
	{collector.LinkSpeed, nil, 2.5e9, 64e9, fixed(16e9)},
	{collector.LinkMaxSpeed, nil, 2.5e9, 64e9, fixed(16e9)},

	{collector.ThrottleActive, []string{"thermal"}, 0, 1, func(s *State) float64 { return s.Throttled }},
	{collector.ThrottleActive, []string{"power"}, 0, 1, fixed(0)},
	{collector.ThrottleActive, []string{"current"}, 0, 1, fixed(0)},
	{collector.ThrottleActive, []string{"voltage_regulator"}, 0, 1, fixed(0)},
	{collector.ThrottleActive, []string{"prochot"}, 0, 1, fixed(0)},
	{collector.ThrottleActive, []string{"reliability"}, 0, 1, fixed(0)},
	{collector.ThrottleActive, []string{"other"}, 0, 1, fixed(0)},

	{collector.DisplayActive, nil, 0, 1, fixed(1)},
}
