package amd

import (
	"bytes"
	"path/filepath"
	"strings"

	"gpu_exporter/collector"
)

// planSettings plans modes, connectors, firmware and whether the card may sleep.
func (p *plan) planSettings() {
	p.planModes()
	p.planDisplay()
	p.planSleep()
	if p.d.o.Firmware {
		p.planFirmware()
	}
}

// info holds the one series of an info family whose values change: it is made anew only then.
type info struct {
	q    collector.QuantityID
	last *collector.Series
}

// of is the series of these values.
func (i *info) of(values ...string) *collector.Series {
	if i.last != nil {
		same := true
		for n, v := range values {
			same = same && i.last.Values[n] == v
		}
		if same {
			return i.last
		}
	}
	i.last = &collector.Series{Q: i.q, Values: append([]string(nil), values...), Min: 1, Max: 1}
	return i.last
}

// planModes plans gpu_mode_info, which two files make.
func (p *plan) planModes() {
	var level, profile string
	mode := info{q: collector.ModeInfo}
	word := func(file string, into *string, parse func([]byte) string) {
		if !p.has(file) {
			return
		}
		row := p.listRow(p.at(file), func(_ *collector.Reading, text []byte) error {
			*into = parse(text)
			return nil
		})
		p.slow.Rows = append(p.slow.Rows, func(r *collector.Reading) error {
			*into = "" // stays so when the file fails or is blank
			return row(r)
		})
	}
	word("power_dpm_force_performance_level", &level, func(text []byte) string { return wordOf(performanceLevels, text) })
	word("pp_power_profile_mode", &profile, parseProfile)
	p.slow.Rows = append(p.slow.Rows, func(r *collector.Reading) error {
		if level != "" || profile != "" {
			r.Add(mode.of("", "", "", "", level, profile), 1)
		}
		return nil
	})
}

// planDisplay plans gpu_display_active: 1 if a connector is enabled, 0 if all are disabled.
func (p *plan) planDisplay() {
	if len(p.connectors) == 0 {
		return
	}
	active := p.of(collector.DisplayActive)
	enabled, disabled := 0, 0
	p.slow.Rows = append(p.slow.Rows, func(*collector.Reading) error {
		enabled, disabled = 0, 0
		return nil
	})
	for _, c := range p.connectors {
		p.slow.Rows = append(p.slow.Rows, p.row(filepath.Join(c, "enabled"), func(_ *collector.Reading, text []byte) error {
			switch string(text) {
			case "enabled":
				enabled++
			case "disabled":
				disabled++
			}
			return nil
		}))
	}
	p.slow.Rows = append(p.slow.Rows, func(r *collector.Reading) error {
		switch {
		case enabled > 0:
			r.Add(active, 1)
		case disabled == len(p.connectors):
			r.Add(active, 0)
		}
		return nil
	})
}

// planSleep finds out whether the driver would suspend the card if nobody touched it: power/control is auto, and no
// display is connected, which keeps the driver from it (kernel: amdgpu_drv.c, amdgpu_runtime_idle_check_display).
func (p *plan) planSleep() {
	auto, connected := false, false
	p.slow.Rows = append(p.slow.Rows, func(*collector.Reading) error {
		auto, connected = false, false
		return nil
	}, p.row(p.at("power/control"), func(_ *collector.Reading, text []byte) error {
		auto = string(text) == "auto"
		return nil
	}))
	for _, c := range p.connectors {
		p.slow.Rows = append(p.slow.Rows, p.row(filepath.Join(c, "status"), func(_ *collector.Reading, text []byte) error {
			connected = connected || string(text) == "connected"
			return nil
		}))
	}
	p.slow.Rows = append(p.slow.Rows, func(*collector.Reading) error {
		p.maySleep = auto && !connected
		return nil
	})
}

// noFirmware is what a component that is not loaded says.
var noFirmware = []byte("0x00000000")

// planFirmware plans the versions of the firmware, which change when the driver loads only.
func (p *plan) planFirmware() {
	for _, name := range p.firmware {
		component, ok := strings.CutSuffix(name, "_fw_version")
		if !ok || component == "" {
			continue
		}
		version := info{q: collector.FirmwareInfo}
		p.slow.Rows = append(p.slow.Rows, p.row(p.at("fw_version/"+name), func(r *collector.Reading, text []byte) error {
			if !bytes.Equal(text, noFirmware) {
				r.Add(version.of(component, string(text)), 1)
			}
			return nil
		}))
	}
}

// partitionCounts are the modes of current_compute_partition and how many partitions they have; 0: not known.
var partitionCounts = []struct {
	mode  string
	count int
}{{"SPX", 1}, {"DPX", 2}, {"TPX", 3}, {"QPX", 4}, {"CPX", 0}}

// planPartitions plans gpu_partition_info: the mode by text files, the number of partitions by gpu_metrics where that
// tells it.
func (p *plan) planPartitions() {
	if !p.has("current_compute_partition") {
		return
	}
	var (
		memory string
		count  int
		mode   string
		series []*collector.Series // of profile
		of     string
	)
	compute := p.row(p.at("current_compute_partition"), func(_ *collector.Reading, text []byte) error {
		for _, c := range partitionCounts {
			if string(text) == c.mode {
				mode, count = c.mode, c.count
			}
		}
		return nil
	})
	p.slow.Rows = append(p.slow.Rows, func(r *collector.Reading) error {
		mode, count, memory = "", 0, ""
		return compute(r)
	})
	if p.has("current_memory_partition") {
		p.slow.Rows = append(p.slow.Rows, p.row(p.at("current_memory_partition"), func(_ *collector.Reading, text []byte) error {
			if string(text) != "UNKNOWN" && len(text) <= 16 {
				memory = string(text)
			}
			return nil
		}))
	}
	p.slow.Rows = append(p.slow.Rows, func(*collector.Reading) error {
		profile := mode
		if memory != "" {
			profile += "/" + memory
		}
		if profile != of {
			of, series = profile, nil
		}
		return nil
	})
	p.last.Rows = append(p.last.Rows, func(r *collector.Reading) error {
		n, told := p.metrics.partitions()
		if !told {
			n = count
		}
		if mode == "" {
			return nil
		}
		for i := range n {
			if i == len(series) {
				series = append(series, p.of(collector.PartitionInfo, itoa(i), "xcp", of, ""))
			}
			r.Add(series[i], 1)
		}
		return nil
	})
}
