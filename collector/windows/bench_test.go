package windows

import (
	"fmt"
	"testing"
	"time"

	"gpu_exporter/collector"
)

// desktop are the counters of a busy desktop: 100 processes, each with 16 engines.
func desktop(processes int) Counters {
	var c Counters
	for pid := range processes {
		for engine := range 16 {
			c.RunningTime.Items = append(c.RunningTime.Items, Counter{Value: 5,
				Instance: fmt.Sprintf("pid_%d_luid_%s_phys_0_eng_%d_engtype_Compute %d", 4*pid, goodLUID, engine, engine)})
		}
	}
	c.Dedicated.Items = []Counter{{Instance: "luid_" + goodLUID + "_phys_0", Value: 5}}
	return c
}

func BenchmarkCounters(b *testing.B) {
	c := desktop(100)
	var p pdhReader
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Time = c.Time.Add(time.Second)
		for j := range c.RunningTime.Items {
			c.RunningTime.Items[j].Value = int64(i + 5)
		}
		p.read(c, func(LUID) bool { return true })
	}
}

// BenchmarkMapping is what becomes of one GPU's answers.
func BenchmarkMapping(b *testing.B) {
	a := an(func(a *Adapter) {
		for range 16 {
			a.Nodes = append(a.Nodes, Node{Type: node3D})
		}
	})
	p := newPlan(&gpu{adapter: &a, vram: 1 << 34, shared: 1 << 33})
	log := map[int]int32{}
	for _, s := range adlSensors {
		log[s.number] = 50
	}
	var reader pdhReader
	answer := reader.read(desktop(1), func(LUID) bool { return true })
	h := &heard{adl: ADLReading{PMLog: logOf(log)}, pdh: answer.gpus[0xaaaa], d3dkmt: AdapterReading{Filled: true}, err: [tellers]error{byNVML: ErrUnsupported}}
	var r collector.Reading
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		p.read(&r, h)
	}
}
