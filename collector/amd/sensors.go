package amd

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

// What the labels of hwmon mean. A channel without a label file is that of radeon, or of amdgpu before 5.3.
var (
	temperatureLabels = map[string]string{"edge": "edge", "junction": "hotspot", "mem": "memory"}
	voltageLabels     = map[string]string{"vddgfx": "graphics", "vddnb": "northbridge", "vddboard": "board"}
	clockLabels       = map[string]string{"sclk": "graphics", "mclk": "memory"}

	unlabelledTemperatures = map[int]string{1: "edge"}
	unlabelledClocks       = map[int]string{1: "graphics", 2: "memory"}
)

var (
	milli         = conversion{by: 1e3, zeroAbsent: true}
	milliPositive = conversion{by: 1e3, lowAbsent: true}
	micro         = conversion{by: 1e6}
	microPositive = conversion{by: 1e6, zeroAbsent: true}
	percent       = conversion{by: 100}
)

// planSensors plans the files of hwmon. The power that amdgpu tells is that of the package as the firmware limits it.
func (p *plan) planSensors() {
	for _, n := range p.channels("temp") {
		sensor, ok := p.label("temp", n, temperatureLabels, unlabelledTemperatures)
		if !ok {
			continue
		}
		name := fmt.Sprintf("temp%d", n)
		p.sense(&p.fast, name+"_input", milli, p.of(collector.Temperature, sensor))
		p.sense(&p.slow, name+"_crit", milliPositive, p.of(collector.TemperatureLimit, sensor, "critical"))
		p.sense(&p.slow, name+"_emergency", milliPositive, p.of(collector.TemperatureLimit, sensor, "emergency"))
	}
	for _, n := range p.channels("in") {
		if rail, ok := p.label("in", n, voltageLabels, nil); ok {
			p.sense(&p.fast, fmt.Sprintf("in%d_input", n), milli, p.of(collector.Voltage, rail))
		}
	}
	for _, n := range p.channels("freq") {
		if clock, ok := p.label("freq", n, clockLabels, unlabelledClocks); ok {
			p.sense(&p.fast, fmt.Sprintf("freq%d_input", n), conversion{}, p.of(collector.Clock, clock)) // 0: GFXOFF
		}
	}
	average, now := p.of(collector.PowerAverage, "package"), p.of(collector.Power, "package")
	p.sense(&p.fast, "power1_input", micro, now)
	p.sense(&p.fast, "power1_average", micro, average, now)
	limit := func(which string) *collector.Series { return p.of(collector.PowerLimit, "package", which) }
	p.sense(&p.slow, "power1_cap", microPositive, limit("current"))
	p.sense(&p.slow, "power1_cap_default", microPositive, limit("default"))
	p.sense(&p.slow, "power1_cap_min", micro, limit("min"))
	p.sense(&p.slow, "power1_cap_max", microPositive, limit("max"))
	p.sense(&p.slow, "power2_cap", microPositive, limit("burst")) // Van Gogh's fastPPT

	p.sense(&p.fast, "fan1_input", conversion{}, p.of(collector.FanSpeed, "1"))
	p.sense(&p.fast, "fan1_target", conversion{}, p.of(collector.FanTarget, "1"))
	p.sense(&p.slow, "fan1_min", conversion{}, p.of(collector.FanMin, "1"))
	p.sense(&p.slow, "fan1_max", conversion{}, p.of(collector.FanMax, "1"))
	p.planDuty()
}

// sense plans a file of hwmon that is there.
func (p *plan) sense(g *collector.Group, name string, c conversion, tells ...*collector.Series) {
	if slices.Contains(p.sensor, name) {
		g.Rows = append(g.Rows, p.number(filepath.Join(p.d.hwmon, name), c, tells...))
		for _, s := range tells {
			p.sensed[s] = true
		}
	}
}

// planDuty plans the one value that two files make.
func (p *plan) planDuty() {
	if !slices.Contains(p.sensor, "pwm1") {
		return
	}
	const usualFull = 255
	full := int64(usualFull)
	duty := p.of(collector.FanDuty, "1")
	if slices.Contains(p.sensor, "pwm1_max") {
		p.slow.Rows = append(p.slow.Rows, func(*collector.Reading) error {
			full = usualFull // until it is told
			return nil
		}, p.row(filepath.Join(p.d.hwmon, "pwm1_max"), func(r *collector.Reading, text []byte) error {
			n, err := sysfs.Int(text)
			if err == nil && n <= 0 {
				err = sysfs.ErrRange
			}
			full = n
			return err
		}, duty))
	}
	p.fast.Rows = append(p.fast.Rows, p.row(filepath.Join(p.d.hwmon, "pwm1"), func(r *collector.Reading, text []byte) error {
		n, err := sysfs.Int(text)
		if err == nil {
			r.Add(duty, float64(n)/float64(full))
		}
		return err
	}, duty))
}

// channels are the numbers N of a kind of hwmon files: kindN_input.
func (p *plan) channels(kind string) []int {
	var numbers []int
	for _, name := range p.sensor {
		rest, ok := strings.CutPrefix(name, kind)
		if !ok {
			continue
		}
		digits, ok := strings.CutSuffix(rest, "_input")
		if n, err := strconv.Atoi(digits); ok && err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// label says what channel N of a kind measures. A label that cannot be read costs its channel.
func (p *plan) label(kind string, n int, known map[string]string, unlabelled map[int]string) (string, bool) {
	name := fmt.Sprintf("%s%d_label", kind, n)
	if !slices.Contains(p.sensor, name) {
		what, ok := unlabelled[n]
		return what, ok
	}
	path := filepath.Join(p.d.hwmon, name)
	text, err := sysfs.ReadText(path)
	if err != nil {
		p.retry(path, func() error { _, err := sysfs.ReadText(path); return err })
		return "", false
	}
	what, ok := known[text]
	return what, ok
}
