package alerts

// watching are the alerts on the watching itself: silence proves nothing where nobody looks.
func watching(o Options) []topic {
	jobs := ofJobs(o)
	return []topic{
		{"exporter", []alert{
			{
				name: "GpuExporterDown", wait: "3m", keep: "1m", severity: warning, quantity: "exporter", about: anExporter,
				expr:    "up" + jobs + " == 0",
				summary: "does not answer",
				meaning: "Nobody sees the GPUs of this host until it does.",
				value:   `{{ printf "up %.0f" $value }}`, threshold: "up 1",
			},
			{
				name: "GpuExporterAbsent", wait: "10m", severity: warning, quantity: "exporter", about: allExporters,
				expr:    "absent(up" + jobs + ")",
				summary: "none is scraped",
				meaning: "Prometheus has no target in a job of the name " + o.Jobs + ": service discovery, or the name of the job, is wrong.",
				value:   "no target", threshold: "one target",
			},
			{
				name: "GpuExporterNoGpus", wait: "15m", severity: info, quantity: "exporter", about: anExporter,
				expr: "up" + jobs + ` == 1
unless on (cluster, job, instance) gpu_info`,
				summary: "has no GPU",
				meaning: "It answers, but found no GPU: no driver is loaded, or it may not see the hardware.",
				value:   "no GPU", threshold: "one GPU",
			},
			{
				name: "GpuReadingStale", wait: "3m", severity: warning, quantity: "reading",
				expr: `(
(
  (timestamp(gpu_exporter_reading_timestamp_seconds) - gpu_exporter_reading_timestamp_seconds > 120)
  or on (cluster, job, instance, gpu)
  (gpu_up == 1 unless on (cluster, job, instance, gpu) gpu_exporter_reading_timestamp_seconds)
)
unless on (cluster, job, instance, gpu) (gpu_state{state="asleep"} == 1)
unless on (cluster, job, instance, gpu) (gpu_up == 0)
)` + joinReal,
				summary: "its readings are old",
				meaning: "It counts as up, but nothing was read of it for minutes; or the clocks of this host and of Prometheus are apart.",
				// The second arm has the 1 of gpu_up, the first no less than 120.
				value: `{{ if gt $value 1.0 }}{{ printf "%.0f s old" $value }}{{ else }}no reading{{ end }}`, threshold: "120 s",
			},
			{
				name: "GpuExporterReadErrors", wait: "15m", keep: "5m", severity: warning, quantity: "reading_errors", about: anExporter,
				expr: `sum without (result) (rate(gpu_exporter_reads_total{result=~"error|timeout", source!="simulation"}[10m]))
/ (sum without (result) (rate(gpu_exporter_reads_total{source!="simulation"}[10m])) > 0)
> 0.1`,
				summary: "many reads by {{ $labels.source }} fail",
				meaning: "Rights, the driver or the hardware keep it from reading.",
				value:   percent + " of the reads", threshold: "10 % of the reads",
			},
			{
				name: "GpuExporterRejectedReadings", wait: "5m", keep: "1h", severity: info, quantity: "rejected", about: anExporter,
				expr:    `sum without (quantity) (increase(gpu_exporter_rejected_readings_total{source!="simulation"}[1h])) > 10`,
				summary: "many readings by {{ $labels.source }} are impossible",
				meaning: "The driver tells values that physics does not allow: a bug of the driver, or of ours, that wants reporting.",
				value:   whole + " in an hour", threshold: "10 in an hour",
			},
			{
				name: "GpuExporterConfigReloadFailed", wait: "5m", severity: warning, quantity: "config", about: anExporter,
				expr:    `gpu_exporter_config_last_reload_successful == 0`,
				summary: "could not reload its configuration",
				meaning: "It goes on with the old one.",
				value:   "failed", threshold: "successful",
			},
		}},
		{"rules", []alert{
			{
				name: "GpuRulesNoData", wait: "15m", severity: warning, quantity: "rules", about: theRules,
				expr: `absent(gpu_info)
or
label_replace(count(gpu_temperature_celsius)
  unless count(gpu:temperature_celsius:primary), "missing", "gpu:temperature_celsius:primary", "", "")`,
				summary: "they see nothing",
				meaning: "No GPU is known at all, or the recorded names that the alerts rest on are not there: that no alert fires proves nothing.",
				value:   `no {{ or $labels.missing "gpu_info" }}`, threshold: "some",
			},
			{
				// Prometheus must scrape itself. rule_group is the file and the group.
				name: "GpuRuleEvaluationFailing", wait: "5m", keep: "15m", severity: warning, quantity: "rules", about: theRules,
				expr:    `increase(prometheus_rule_evaluation_failures_total{rule_group=~".*;gpu-.*"}[15m]) > 0`,
				summary: "a rule of {{ $labels.rule_group }} fails",
				meaning: "Its alerts are dead, and those that rest on it.",
				value:   whole + " failures in 15 minutes", threshold: "none",
			},
			{
				name: "GpuWatchdog", severity: none, quantity: "watchdog", about: theRules,
				expr:    `vector(1)`,
				summary: "they work",
				meaning: "It always fires: who does not receive it any more knows that the way from Prometheus to him is broken.",
				value:   "firing", threshold: "firing",
			},
		}},
	}
}

// optional is the topic of alerts that only some want.
var optional = []topic{
	{"optional", []alert{
		{
			name: "GpuIdleHoldingMemory", wait: "1h", keep: "15m", severity: info, quantity: "waste",
			// A server that waits for users is taken out as in GpuMemoryHigh.
			expr: `avg_over_time(
  gpu:utilization:ratio{source!="simulation", type!="integrated", gpu_memory_policy!="reserved"}[1h]
) < 0.01
and min_over_time(gpu:memory_used:ratio[1h]) > 0.5`,
			summary: "holds memory and computes nothing",
			meaning: "More than half of its memory has been in use for hours while it was idle: a forgotten notebook, most often.",
			value:   percent + " busy", threshold: "1 % busy, with more than 50 % of the memory in use",
		},
	}},
}

// fleet are the alerts on many GPUs at once. They need 50 of them, so that one dead card of eight is no event of a fleet.
var fleet = []alert{
	{
		name: "GpuFleetManyLost", wait: "5m", severity: critical, quantity: "fleet", about: aCluster,
		expr: `cluster:gpu_lost:ratio > 0.02
and on (cluster) count by (cluster) (gpu:info:one{source!="simulation"}) >= 50`,
		summary: "more than 2 % are lost",
		meaning: "So many at once have one cause: power, a driver upgrade, a switch.",
		value:   percent, threshold: "2 %",
	},
	{
		name: "GpuFleetHot", wait: "10m", severity: warning, quantity: "fleet", about: aCluster,
		expr: `sum by (cluster) (cluster:gpu_band:count{band="3"})
  / on (cluster) sum by (cluster) (cluster:gpu_band:count)
  > 0.05
and on (cluster) sum by (cluster) (cluster:gpu_band:count) >= 50`,
		summary: "more than 5 % are above 80 °C",
		meaning: "So many at once have one cause: the cooling of the room.",
		value:   percent, threshold: "5 %",
	},
}
