package grafana

// noProcesses: the page is ready for the series of a later version.
const noProcesses = "this version reads no processes; a later one will."

// idleButHolding is what GpuIdleHoldingMemory asks.
const idleButHolding = `count(
  avg_over_time(gpu:utilization:ratio{S, source!="simulation", type!="integrated", gpu_memory_policy!="reserved"}[1h]) < 0.01
  and min_over_time(gpu:memory_used:ratio{S}[1h]) > 0.5
) or vector(0)`

func workloads() page {
	return page{
		uid: "gpu-workloads", title: "GPU workloads",
		about: "Who uses the GPUs: pods, containers, jobs, services, sessions, processes. Most of it is for a later version: " +
			"this one reads no processes.",
		variables: []variable{jobs, clusters, instances, kinds, spaces},
		simulated: `count(gpu_info{S, source="simulation"}) or vector(0)`,
		sections: []section{
			{"Now", []panel{
				{
					kind: statKind, title: "Workloads", width: 6, height: 5, of: explained,
					about: "Workloads that use a GPU now, or did in the last ten minutes. " +
						"0 here: this version reads no processes.",
					absent:  "the data source does not answer.",
					queries: []query{{`count(gpu_workload_processes{S}) or vector(0)`, ""}},
				},
				{
					kind: statKind, title: "Idle but holding memory", width: 6, height: 5, of: warning,
					about: "GPUs that were idle for an hour, with more than half of their memory in use: " +
						"a forgotten notebook, most often.",
					absent:  "the data source does not answer: no such GPU is 0.",
					queries: []query{{idleButHolding, ""}},
				},
				{
					kind: tableKind, title: "Top workloads", width: 12, height: 5, of: word, sortBy: "Memory",
					about:  "The twenty that hold the most memory.",
					absent: noProcesses,
					queries: []query{
						{expr: `topk(20, sum by (cluster, job, instance, gpu, workload, kind) (gpu_workload_memory_used_bytes{W}))`},
					},
					columns: []column{
						{field: "workload", title: "Workload"}, {field: "kind", title: "Kind"}, {field: "instance", title: "Host"},
						{field: "gpu", title: "GPU"}, {field: "Value", title: "Memory", of: size},
					},
				},
			}},
			{"Memory", []panel{
				{
					kind: curvesKind, title: "Memory by workload", width: 16, height: 9, of: size, stacked: true,
					about:   "Memory that each workload holds, what its processes share counted once.",
					absent:  noProcesses,
					queries: []query{{`gpu_workload_memory_used_bytes{W}`, "{{workload}} {{instance}} {{gpu}} {{memory}}"}},
				},
				{
					kind: curvesKind, title: "Memory not explained", width: 8, height: 9, of: size,
					about:  "In use, but held by no workload: the driver's own, or a process that may not be looked at.",
					absent: noProcesses,
					queries: []query{{`sum by (cluster, job, instance, gpu) (gpu_memory_used_bytes{S, memory=~"vram|unified"}) - ` +
						`sum by (cluster, job, instance, gpu) (gpu_workload_memory_used_bytes{S, memory=~"vram|unified"})`, "{{instance}} {{gpu}}"}},
				},
			}},
			{"Work", []panel{
				{
					kind: curvesKind, title: "Busy share by workload", width: 12, height: 8, of: busy, stacked: true,
					about:  "Time of engines that each workload took: 100 % is one engine all the time.",
					absent: noProcesses,
					queries: []query{{
						`sum by (workload, kind) (rate(gpu_workload_engine_busy_seconds_total{W}[$__rate_interval]))`,
						"{{kind}} {{workload}}",
					}},
				},
				{
					kind: curvesKind, title: "Processes by workload", width: 12, height: 8, of: number,
					about:   "Processes that have the GPU open.",
					absent:  noProcesses,
					queries: []query{{`sum by (workload, kind) (gpu_workload_processes{W})`, "{{kind}} {{workload}}"}},
				},
			}},
			{"Namespaces", []panel{
				{
					kind: curvesKind, title: "Memory by namespace", width: 12, height: 8, of: size, stacked: true,
					about:   "Pods alone have a namespace.",
					absent:  noProcesses,
					queries: []query{{`sum by (namespace) (gpu_workload_memory_used_bytes{W, namespace!=""})`, "{{namespace}}"}},
				},
				{
					kind: curvesKind, title: "Busy share by namespace", width: 12, height: 8, of: busy, stacked: true,
					about:  "Time of engines that the pods of each namespace took.",
					absent: noProcesses,
					queries: []query{{
						`sum by (namespace) (rate(gpu_workload_engine_busy_seconds_total{W, namespace!=""}[$__rate_interval]))`,
						"{{namespace}}",
					}},
				},
			}},
		},
	}
}
