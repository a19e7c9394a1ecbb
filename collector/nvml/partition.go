package nvml

import (
	"fmt"
	"slices"

	"gpu_exporter/collector"
)

// Partition is a MIG device: one compute instance of a GPU instance. What is not known is nil or empty. A child tells a
// list of them as JSON.
type Partition struct {
	GPUInstance     uint32   `json:"gi"`
	ComputeInstance uint32   `json:"ci"`
	Profile         string   `json:"profile,omitempty"` // 1c.3g.71gb
	UUID            string   `json:"uuid,omitempty"`
	Multiprocessors *float64 `json:"sm,omitempty"`
	MemoryTotal     *float64 `json:"total,omitempty"` // bytes, of the GPU instance
	MemoryUsed      *float64 `json:"used,omitempty"`
	Graphics        *float64 `json:"graphics,omitempty"` // GPM metric 1 of the GPU instance, percent
}

// maxPartitions is more than any GPU can have.
const maxPartitions = 64

// partitions keep the info series of the MIG devices of one GPU.
type partitions map[string]*info

// add adds what a list says. Memory and activity belong to the GPU instance, however many compute instances it has.
func (p *partitions) add(r *collector.Reading, set seriesSet, list []Partition) {
	if *p == nil {
		*p = partitions{}
	}
	for n, m := range list[:min(len(list), maxPartitions)] {
		gi := fmt.Sprint(m.GPUInstance)
		name := fmt.Sprintf("%s/%d", gi, m.ComputeInstance)
		if slices.ContainsFunc(list[:n], func(o Partition) bool {
			return o.GPUInstance == m.GPUInstance && o.ComputeInstance == m.ComputeInstance
		}) {
			continue // told twice, in a moment in which the layout changes
		}
		if (*p)[name] == nil {
			(*p)[name] = &info{}
		}
		(*p)[name].add(r, collector.PartitionInfo, name, "mig", m.Profile, m.UUID)
		if m.Multiprocessors != nil {
			r.Add(set.of(collector.PartitionMultiprocessors, name), *m.Multiprocessors)
		}
		total, used := set.of(collector.PartitionMemoryTotal, gi), set.of(collector.PartitionMemoryUsed, gi)
		if m.MemoryTotal != nil {
			r.Add(total, *m.MemoryTotal)
		}
		if m.MemoryUsed != nil {
			addUsed(r, total, used, *m.MemoryUsed)
		}
		if m.Graphics != nil {
			r.Add(set.of(collector.PartitionUtilization, gi, "graphics"), *m.Graphics/100)
		}
	}
}
