package amd

import (
	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

// planDevice plans load and memory.
func (p *plan) planDevice() {
	for _, busy := range [...]struct {
		file string
		s    *collector.Series
	}{
		{"gpu_busy_percent", p.load},
		{"mem_busy_percent", p.of(collector.EngineUtilization, "memory")},
		{"vcn_busy_percent", p.of(collector.EngineUtilization, "media")},
	} {
		if p.has(busy.file) {
			p.fast.Rows = append(p.fast.Rows, p.number(p.at(busy.file), percent, busy.s))
		}
	}
	p.planMemory("mem_info_vram", "vram")
	p.planMemory("mem_info_vis_vram", "visible_vram")
	p.planMemory("mem_info_gtt", "gtt")
}

// planMemory plans the two files of one memory. A total of 0 says that there is none; what is used cannot be more than
// there is.
func (p *plan) planMemory(prefix, memory string) {
	total, used := p.of(collector.MemoryTotal, memory), p.of(collector.MemoryUsed, memory)
	size := int64(used.Max)
	if p.has(prefix + "_total") {
		p.slow.Rows = append(p.slow.Rows, func(*collector.Reading) error {
			size = int64(used.Max) // until it is told
			return nil
		}, p.row(p.at(prefix+"_total"), func(r *collector.Reading, text []byte) error {
			n, err := sysfs.Int(text)
			if err != nil {
				return err
			}
			if n == 0 {
				r.Close(used)
				return nil
			}
			r.Add(total, float64(n))
			if n > 0 {
				size = min(size, n)
			}
			return nil
		}, total))
	}
	if p.has(prefix + "_used") {
		p.fast.Rows = append(p.fast.Rows, p.row(p.at(prefix+"_used"), func(r *collector.Reading, text []byte) error {
			n, err := sysfs.Int(text)
			switch {
			case err != nil:
				return err
			case n > size:
				return sysfs.ErrRange
			}
			r.Add(used, float64(n))
			return nil
		}, used))
	}
}
