package alerts

// Parts of expressions. A GPU is one by onGPU: cluster may be absent, which is the same as empty; without job, a host that
// two jobs scrape would give doubles. The info stands on the right and is one for each GPU, since a rule fails altogether
// where two series of gpu_info overlap (a driver upgrade with remote write).
const (
	onGPU    = `on (cluster, job, instance, gpu)`
	joinInfo = "\n* " + onGPU + ` group_left (index, name, vendor, type, source) gpu:info:one`
	joinReal = joinInfo + `{source!="simulation"}` // which leaves simulated GPUs out
)

// recording are the recorded names of metrics.md part 5. Band edges are the panel's: 50 and 70 degrees belong to the upper
// band, 80 to the lower.
var recording = []Rule{
	{Record: "gpu:info:one", Expr: `max without (uuid, pci_id, driver, driver_version, vbios) (
  topk by (cluster, job, instance, gpu) (1, gpu_info)
)`},
	{Record: "gpu:temperature_celsius:primary", Expr: `(
     gpu_temperature_celsius{sensor="edge"}
  or on (cluster, job, instance, gpu) gpu_temperature_celsius{sensor="gpu"}
  or on (cluster, job, instance, gpu) gpu_temperature_celsius{sensor="package"}
  or on (cluster, job, instance, gpu) gpu_temperature_celsius{sensor="soc"}
  or on (cluster, job, instance, gpu) gpu_temperature_celsius{sensor="hotspot"}
)` + joinInfo},
	// An integrated GPU works in system memory too: its carve-out alone says nothing, so that it has a ratio only where
	// gtt (Linux) or shared (Windows) is known.
	{Record: "gpu:memory_used:ratio", Expr: `(
    sum without (memory) (gpu_memory_used_bytes{memory=~"unified"} and (gpu_memory_total_bytes > 0))
    / sum without (memory) ((gpu_memory_total_bytes{memory=~"unified"} > 0) and gpu_memory_used_bytes)
  or on (cluster, job, instance, gpu)
    (sum without (memory) (gpu_memory_used_bytes{memory=~"vram|gtt|shared"} and (gpu_memory_total_bytes > 0))
    / sum without (memory) ((gpu_memory_total_bytes{memory=~"vram|gtt|shared"} > 0) and gpu_memory_used_bytes)
      and on (cluster, job, instance, gpu) gpu:info:one{type="integrated"}
      and on (cluster, job, instance, gpu) gpu_memory_used_bytes{memory=~"gtt|shared"})
  or on (cluster, job, instance, gpu)
    (sum without (memory) (gpu_memory_used_bytes{memory=~"vram"} and (gpu_memory_total_bytes > 0))
    / sum without (memory) ((gpu_memory_total_bytes{memory=~"vram"} > 0) and gpu_memory_used_bytes)
      unless on (cluster, job, instance, gpu) gpu:info:one{type="integrated"})
)` + joinInfo},
	{Record: "gpu:utilization:ratio", Expr: `(
  gpu_utilization_ratio
  or on (cluster, job, instance, gpu) max without (engine) (gpu_engine_utilization_ratio)
)` + joinInfo},
	{Record: "gpu:power_watts:primary", Expr: `(
     gpu_power_watts{domain="board"}
  or on (cluster, job, instance, gpu) gpu_power_watts{domain="package"}
  or on (cluster, job, instance, gpu) gpu_power_watts{domain="graphics"}
  or on (cluster, job, instance, gpu) gpu_power_watts{domain="soc"}
)` + joinInfo},
	{Record: "gpu:temperature:band", Expr: `(gpu:temperature_celsius:primary >= bool 50)
+ (gpu:temperature_celsius:primary >= bool 70)
+ (gpu:temperature_celsius:primary > bool 80)`},
	{Record: "gpu:utilization:band", Expr: `(gpu:utilization:ratio >= bool 0.3)
+ (gpu:utilization:ratio >= bool 0.7)
+ (gpu:utilization:ratio > bool 0.95)`},
	{Record: "gpu:throttled:ratio5m", Expr: `avg_over_time(gpu_throttle_active[5m])
or clamp_max(rate(gpu_throttle_seconds_total[5m]), 1)`},
	{Record: "gpu:memory:band", Expr: `(gpu:memory_used:ratio >= bool 0.7) + (gpu:memory_used:ratio > bool 0.9)`},
}

// rollUps are what a fleet keeps for long.
var rollUps = []Rule{
	{Record: "instance:gpu_temperature_celsius:max",
		Expr: `max by (cluster, job, instance) (gpu:temperature_celsius:primary{source!="simulation"})`},
	{Record: "cluster_name:gpu:count",
		Expr: `count by (cluster, vendor, name) (gpu:info:one{source!="simulation"})`},
	{Record: "cluster_name:gpu_utilization:avg",
		Expr: `avg by (cluster, vendor, name) (gpu:utilization:ratio{source!="simulation"})`},
	{Record: "cluster_name:gpu_memory_used:avg",
		Expr: `avg by (cluster, vendor, name) (gpu:memory_used:ratio{source!="simulation"})`},
	{Record: "cluster_name:gpu_temperature_celsius:q99",
		Expr: `quantile by (cluster, vendor, name) (0.99, gpu:temperature_celsius:primary{source!="simulation"})`},
	{Record: "cluster:gpu_power_watts:sum",
		Expr: `sum by (cluster) (gpu:power_watts:primary{source!="simulation"})`},
	{Record: "cluster:gpu_band:count",
		Expr: `count_values by (cluster) ("band", gpu:temperature:band{source!="simulation"})`},
	{Record: "cluster:gpu_lost:ratio", Expr: `sum by (cluster) (
  (gpu_up == bool 0) and on (cluster, job, instance, gpu) gpu:info:one{source!="simulation"}
)
/ count by (cluster) (gpu:info:one{source!="simulation"})`},
}
