package main

import (
	"log/slog"

	"gpu_exporter/collector"
	"gpu_exporter/collector/simulation"
)

// When there are simulated GPUs.
const (
	simulationAuto = "auto" // while there is no other
	simulationOn   = "on"   // beside what there is
	simulationOff  = "off"
)

// readers are all probes that the flags leave on, the simulation last.
func readers(o *options, log *slog.Logger) []reader {
	list := systemReaders(o, log)
	if o.simulation.mode == simulationOff {
		return list
	}
	sim := simulation.New(simulation.Options{
		GPUs: o.simulation.gpus, Seed: o.simulation.seed, Profile: simulation.Profile(o.simulation.profile), Log: log,
	})
	if o.simulation.mode == simulationOn {
		return append(list, reader{sim, []string{"simulation"}})
	}
	var real []collector.Probe
	for _, r := range list {
		real = append(real, r.Probe)
	}
	watched := simulation.Auto(sim, real...)
	list = append(list, reader{Probe: sim}) // its source counts when it begins, which may be never
	for i := range list {
		list[i].Probe = watched[i]
	}
	return list
}
