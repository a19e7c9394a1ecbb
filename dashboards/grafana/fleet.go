package grafana

import "fmt"

// vendorOnly keeps the series of GPUs of the chosen vendor, which readings do not tell.
const vendorOnly = " and " + onGPU + " gpu:info:one{V}"

// perCard makes one row of a card, with the labels that the table shows, also for one that has no such reading now: its row
// would vanish.
func perCard(reading string) string {
	return "max by (cluster, job, instance, gpu, name) (\n" + reading + "\nor " + onGPU + " gpu:info:one{V} * 0 - 1)"
}

// fastestFan is the fastest fan of each GPU as share of full speed, as metrics.md 4 has it.
func fastestFan(selection string) string {
	const expr = "max without (fan) (gpu_fan_duty_ratio%[1]s or %[2]s gpu_fan_speed_rpm%[1]s / (gpu_fan_max_rpm%[1]s > 0))"
	return fmt.Sprintf(expr, selection, onGPU)
}

// drivers has a version in each row: Grafana makes no column of a label that no series has.
const drivers = `label_replace(count by (vendor, driver, driver_version) (gpu_info{V}), ` +
	`"driver_version", "—", "driver_version", "")`

func fleet() page {
	return page{
		uid: "gpu-fleet", title: "GPU fleet",
		about:     "All GPUs of all hosts: how many, how hot, how busy, how much power. A click on a card leads to its page.",
		variables: []variable{jobs, clusters, instances, vendors},
		simulated: `count(gpu_info{V, source="simulation"}) or vector(0)`,
		sections: []section{
			{"Now", []panel{
				{
					kind: statKind, title: "GPUs", width: 3, height: 4, of: number,
					about:   "GPUs that the exporters know, lost and sleeping ones included.",
					absent:  "no exporter is scraped, or the recording rules are not loaded.",
					queries: []query{{`count(gpu:info:one{V})`, ""}},
				},
				{
					kind: statKind, title: "Lost", width: 3, height: 4, of: trouble,
					about:   "GPUs that hang, have gone, or fail altogether.",
					absent:  "no exporter is scraped.",
					queries: []query{{`sum((gpu_up{S} == bool 0)` + vendorOnly + `)`, ""}},
				},
				{
					kind: statKind, title: "Asleep", width: 3, height: 4, of: number,
					about:   "GPUs that sleep and are left asleep. That is no trouble.",
					absent:  "no exporter is scraped.",
					queries: []query{{`sum(gpu_state{S, state="asleep"}` + vendorOnly + `)`, ""}},
				},
				{
					kind: statKind, title: "Hot", width: 3, height: 4, of: trouble,
					about:   "GPUs above 80 °C.",
					absent:  "the data source does not answer: no hot GPU is 0.",
					queries: []query{{`count(gpu:temperature:band{V} == 3) or vector(0)`, ""}},
				},
				{
					kind: statKind, title: "Firing alerts", width: 3, height: 4, of: warning,
					about:   "Alerts of severity warning and critical that fire.",
					absent:  "the data source does not answer: no alert is 0.",
					queries: []query{{`count(ALERTS{A, severity=~"warning|critical"}) or vector(0)`, ""}},
				},
				{
					kind: statKind, title: "Power", width: 3, height: 4, of: watts,
					about:   "Draw of all GPUs that tell it.",
					absent:  "no GPU tells its power, or all sleep.",
					queries: []query{{`sum(gpu:power_watts:primary{V})`, ""}},
				},
				{
					kind: statKind, title: "VRAM used", width: 3, height: 4, of: size,
					about:   "Memory in use on all GPUs, without what they borrow from the host.",
					absent:  "no GPU tells its memory, or all sleep.",
					queries: []query{{`sum(gpu_memory_used_bytes{S, memory=~"vram|unified"}` + vendorOnly + `)`, ""}},
				},
				{
					kind: statKind, title: "Energy, last 24 h", width: 3, height: 4, of: energy,
					about:  "Energy of the last 24 hours, of the GPUs that count it.",
					absent: "no GPU counts its energy: of AMD only Instinct cards and a few others do.",
					queries: []query{{
						`sum(increase(gpu_energy_joules_total{S, domain=~"board|package"}[1d])` + vendorOnly + `) / 3.6e6`,
						"",
					}},
				},
			}},
			{"Cards", []panel{{
				kind: tableKind, title: "All GPUs", width: 24, height: 10, of: word, sortBy: "Temperature",
				about:  "One row a card. A dash is a reading that it does not have now: it sleeps, is lost, or never tells it.",
				absent: "no exporter is scraped, or the recording rules are not loaded.",
				queries: []query{
					{expr: `max by (cluster, job, instance, gpu, name, state) ((gpu_state{S} == 1)` + named + `{V})`},
					{expr: perCard(`gpu:temperature_celsius:primary{V}`)},
					{expr: perCard(`gpu:utilization:ratio{V}`)},
					{expr: perCard(`gpu:memory_used:ratio{V}`)},
					{expr: perCard(`round(gpu:power_watts:primary{V})`)},
					{expr: perCard(fastestFan("{S}") + named + `{V}`)},
				},
				columns: []column{
					{field: "name", title: "Name", width: 260},
					{field: "instance", title: "Host"},
					{field: "gpu", title: "GPU"},
					{field: "state", title: "State", of: state, coloured: true},
					{field: "Value #B", title: "Temperature", of: orDash(temperature), coloured: true},
					{field: "Value #C", title: "Load", of: orDash(load), coloured: true},
					{field: "Value #D", title: "Memory", of: orDash(filling), coloured: true},
					{field: "Value #E", title: "Power", of: orDash(watts)},
					{field: "Value #F", title: "Fan", of: orDash(share)},
				},
			}}},
			{"Bands", []panel{
				{
					kind: curvesKind, title: "GPUs by temperature band", width: 12, height: 8, of: number, stacked: true, looks: bands,
					about:   "Optimal is below 50 °C, normal from 50, attention from 70, critical above 80.",
					absent:  "no GPU is in that band; sleeping and lost ones are in none.",
					queries: []query{{`count_values("band", gpu:temperature:band{V})`, "{{band}}"}},
				},
				{
					kind: statesKind, title: "States", width: 12, height: 8, of: word, looks: states,
					about:   "Each GPU in the states that it had, at most 50 rows: choose hosts where there are more.",
					absent:  "the exporter of the GPU was not scraped then.",
					queries: []query{{`topk(50, (gpu_state{S} == 1)` + vendorOnly + `)`, "{{instance}} {{gpu}} {{state}}"}},
				},
			}},
			{"Trends", []panel{
				{
					kind: curvesKind, title: "Hottest 10", width: 12, height: 8, of: temperature,
					about:   "The ten hottest GPUs at each moment.",
					absent:  "the GPU was not among them, slept, or was lost.",
					queries: []query{{`topk(10, gpu:temperature_celsius:primary{V})`, "{{instance}} {{gpu}}"}},
				},
				{
					kind: curvesKind, title: "Mean utilization by model", width: 12, height: 8, of: share,
					about:   "Mean over all awake GPUs of a model.",
					absent:  "all GPUs of that model slept, or none of them tells how busy it is.",
					queries: []query{{`avg by (name) (gpu:utilization:ratio{V})`, "{{name}}"}},
				},
				{
					kind: curvesKind, title: "Power by host", width: 24, height: 8, of: watts, stacked: true,
					about:   "Draw of all GPUs of a host that tell it.",
					absent:  "no GPU of that host tells its power, or all slept.",
					queries: []query{{`sum by (cluster, instance) (gpu:power_watts:primary{V})`, "{{instance}} {{cluster}}"}},
				},
			}},
			{"Versions", []panel{{
				kind: tableKind, title: "Drivers", width: 24, height: 6, of: word,
				about:   "GPUs by driver: hosts that an upgrade left out stand out.",
				absent:  "no exporter is scraped. A dash is a version that the driver does not tell.",
				queries: []query{{expr: drivers}},
				columns: []column{
					{field: "vendor", title: "Vendor"}, {field: "driver", title: "Driver"},
					{field: "driver_version", title: "Version"}, {field: "Value", title: "GPUs", of: number},
				},
			}}},
		},
	}
}
