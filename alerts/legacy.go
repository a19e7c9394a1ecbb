package alerts

import "strings"

const legacyRemark = `Names that JARVIS's own dashboards and alerts wait for. Only a JARVIS installation loads this file, beside recording.yml;
nothing else of ours uses these names. gpu_id is the index of the GPU.

Two alerts of JARVIS's devops/monitoring/rules/jarvis-alerts.yml ask for names that gpu_exporter itself has, with more
labels. They see every sensor and every memory, and want these expressions instead:
  GPUHighTemperature  gpu_temperature_celsius{sensor=~"edge|gpu|package"} > 85
  GPUMemoryHigh       gpu_memory_used_bytes{memory="vram"} / gpu_memory_total_bytes{memory="vram"} > 0.9
`

// legacy are the names of legacy-api.md 11. Never record into a family of ours: gpu_temperature_celsius,
// gpu_memory_used_bytes and gpu_memory_total_bytes are waited for too, and are there already.
func legacy() []Rule {
	rules := []Rule{
		{Record: "gpu_stats_gpu_utilization_percent", Expr: byID(`gpu:utilization:ratio{source!="simulation"} * 100`)},
		{Record: "gpu_stats_gpu_temperature_celsius", Expr: byID(`gpu:temperature_celsius:primary{source!="simulation"}`)},
		{Record: "gpu_stats_gpu_memory_usage_bytes", Expr: byID(primaryMemory("gpu_memory_used_bytes"))},
		{Record: "gpu_stats_gpu_memory_total_bytes", Expr: byID(primaryMemory("gpu_memory_total_bytes"))},
		{Record: "gpu_stats_gpu_power_draw_watts", Expr: byID(`gpu:power_watts:primary{source!="simulation"}`)},
		// The gpt-oss dashboard divides it by our gpu_memory_total_bytes: it finds its partner by having exactly its labels.
		{Record: "gpu_memory_usage_bytes", Expr: `gpu_memory_used_bytes{memory="vram"}
and on (cluster, job, instance, gpu) gpu:info:one{source!="simulation"}`},
		{Record: "gpu_memory_usage_percent", Expr: byID(`gpu:memory_used:ratio{source!="simulation"} * 100`)},
	}
	for _, same := range [][2]string{
		{"gpu_utilization_percent", "gpu_stats_gpu_utilization_percent"},
		{"gpu_power_draw_watts", "gpu_stats_gpu_power_draw_watts"},
		{"gpu_stats_service_gpu_utilization_percent", "gpu_stats_gpu_utilization_percent"},
		{"gpu_stats_service_gpu_memory_usage_bytes", "gpu_stats_gpu_memory_usage_bytes"},
		{"gpu_stats_service_gpu_temperature_celsius", "gpu_stats_gpu_temperature_celsius"},
		{"gpu_stats_service_gpu_power_draw_watts", "gpu_stats_gpu_power_draw_watts"},
	} {
		rules = append(rules, Rule{Record: same[0], Expr: same[1]})
	}
	return rules
}

func byID(expr string) string {
	return "label_replace(\n  " + strings.ReplaceAll(expr, "\n", "\n  ") + `,
  "gpu_id", "$1", "index", "(.*)"
)`
}

// primaryMemory is what gpu:memory_used:ratio divides: the same choice of memory, in bytes.
func primaryMemory(family string) string {
	return strings.ReplaceAll(`(
  sum without (memory) (FAMILY{memory="unified"})
  or on (cluster, job, instance, gpu)
    (sum without (memory) (FAMILY{memory=~"vram|gtt|shared"})
      and on (cluster, job, instance, gpu) gpu:info:one{type="integrated"}
      and on (cluster, job, instance, gpu) FAMILY{memory=~"gtt|shared"})
  or on (cluster, job, instance, gpu)
    (sum without (memory) (FAMILY{memory="vram"})
      unless on (cluster, job, instance, gpu) gpu:info:one{type="integrated"})
)`, "FAMILY", family) + joinReal
}
