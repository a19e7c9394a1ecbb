package nvml

import (
	"math"
	"runtime"
	"strings"
)

// tellPartitions tells the MIG devices of a GPU (nvidia.md 2.3). Their handles are asked for anew each time: they become
// invalid when the layout changes.
func (d *device) tellPartitions() {
	if !d.mig {
		d.freeSamples()
		return
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	m := newMemory(40, &pin) // the largest that is asked here
	number := func(symbol string, handle uintptr) (uint32, bool) {
		clear(m.bytes)
		c := d.named(symbol, handle, m.at(0))
		return m.u32(0), c == Success
	}
	most, ok := number("nvmlDeviceGetMaxMigDeviceCount", d.handle)
	if !ok {
		return
	}
	list := []Partition{}
	for i := range min(most, maxPartitions) {
		clear(m.bytes)
		c := d.named("nvmlDeviceGetMigDeviceHandleByIndex", d.handle, uintptr(i), m.at(0))
		if c == InvalidArgument {
			break
		}
		if c != Success {
			continue // a gap, or one that this user may not see
		}
		handle := uintptr(m.u64(0))
		var p Partition
		if p.GPUInstance, ok = number("nvmlDeviceGetGpuInstanceId", handle); !ok {
			continue
		}
		if p.ComputeInstance, ok = number("nvmlDeviceGetComputeInstanceId", handle); !ok {
			continue
		}
		_, p.Profile, _ = strings.Cut(text(d.named, "nvmlDeviceGetName", bufferName, handle), " MIG ")
		p.UUID = text(d.named, "nvmlDeviceGetUUID", bufferUUID, handle)
		clear(m.bytes)
		if d.named("nvmlDeviceGetAttributes_v2", handle, m.at(0)) == Success {
			p.Multiprocessors = float(uint64(m.u32(0)))
		}
		clear(m.bytes)
		if d.named("nvmlDeviceGetMemoryInfo", handle, m.at(0)) == Success {
			p.MemoryTotal, p.MemoryUsed = float(m.u64(0)), float(m.u64(16))
		}
		p.Graphics = d.graphics(list, p.GPUInstance)
		list = append(list, p)
	}
	d.freeSamples()
	d.t.List(uint8(Processes), list)
}

func float(n uint64) *float64 {
	v := float64(n)
	return &v
}

// graphics is how busy a GPU instance was, which is taken once for all of its compute instances.
func (d *device) graphics(list []Partition, instance uint32) (v *float64) {
	for i := range list {
		if list[i].GPUInstance == instance {
			return list[i].Graphics
		}
	}
	if !d.hasGPM() {
		return nil
	}
	if p := d.sample(instance); p != nil {
		const graphicsEngine = 1
		d.metrics(p, []uint32{graphicsEngine}, func(_ int, bits uint64) {
			if told := math.Float64frombits(bits); !math.IsNaN(told) && !math.IsInf(told, 0) { // which JSON cannot tell
				v = &told
			}
		})
	}
	return v
}
