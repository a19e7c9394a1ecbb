package alerts

// readings are the alerts on what a GPU reads. 70, 80 and 90 degrees and 90 % of memory are the thresholds of JARVIS's panel
// (legacy-api.md 10); all other numbers, and all durations, are judgement, not measured on real fleets.
var readings = []topic{
	{"temperature", []alert{
		{
			name: "GpuTemperatureAttention", wait: "10m", keep: "5m", severity: info, quantity: "temperature",
			expr:    `avg_over_time(gpu:temperature_celsius:primary{source!="simulation"}[2m]) >= 70`,
			summary: "70 °C or more",
			meaning: "The orange band of the panel has begun. Nothing is wrong yet: this is for dashboards and the record.",
			value:   celsius, threshold: "70 °C",
		},
		{
			name: "GpuTemperatureHigh", wait: "3m", keep: "5m", severity: warning, quantity: "temperature",
			expr:    `avg_over_time(gpu:temperature_celsius:primary{source!="simulation"}[2m]) > 80`,
			summary: "above 80 °C",
			meaning: "The red band of the panel has begun. The GPU gets louder, and will slow down if it gets much hotter.",
			value:   celsius, threshold: "80 °C",
		},
		{
			name: "GpuTemperatureCritical", wait: "1m", keep: "5m", severity: critical, quantity: "temperature",
			expr:    `avg_over_time(gpu:temperature_celsius:primary{source!="simulation"}[1m]) > 90`,
			summary: "above 90 °C",
			meaning: "Hardly any GPU is made to run so hot at its edge. It slows down or switches itself off.",
			value:   celsius, threshold: "90 °C",
		},
		{
			// Each sensor against the card's own limit: 85 degrees are fine for one card and the end for another. target and
			// max are left out: a card regulates to its target by design.
			name: "GpuTemperatureNearLimit", wait: "5m", keep: "5m", severity: warning, quantity: "temperature_limit",
			expr: `(
  gpu_temperature_celsius
    >= min without (limit) (gpu_temperature_limit_celsius{limit=~"critical|slowdown"} > 0) - 5
  or
  label_replace(gpu_temperature_margin_celsius < 5, "sensor", "margin", "", "")
)` + joinReal,
			summary: "less than 5 °C below its own limit ({{ $labels.sensor }})",
			meaning: "A sensor is about to reach the temperature at which this very card slows down or stops.",
			value:   celsius + `{{ if eq $labels.sensor "margin" }} left{{ end }}`, threshold: "5 °C below the limit of the card",
		},
		{
			name: "GpuTemperatureAtLimit", wait: "1m", keep: "5m", severity: critical, quantity: "temperature_limit",
			expr: `(
  gpu_temperature_celsius
    >= min without (limit) (gpu_temperature_limit_celsius{limit=~"critical|slowdown"} > 0)
)` + joinReal,
			summary: "at its own limit ({{ $labels.sensor }})",
			meaning: "A sensor has reached the temperature at which this very card must slow down or stop.",
			value:   celsius, threshold: "the limit of the card",
		},
		{
			name: "GpuHotspotDelta", wait: "15m", keep: "15m", severity: info, quantity: "hotspot",
			expr: `(
    max without (sensor) (avg_over_time(gpu_temperature_celsius{sensor="hotspot"}[10m]))
  - max without (sensor) (avg_over_time(gpu_temperature_celsius{sensor=~"edge|gpu"}[10m]))
  > 30
  and max without (sensor) (gpu_temperature_celsius{sensor="hotspot"}) > 90
)` + joinReal,
			summary: "hotspot more than 30 °C above the edge",
			meaning: "The cooler does not take the heat from all of the chip: the paste is pumped out, or it does not sit flat.",
			value:   celsius + " above the edge", threshold: "30 °C, with a hotspot above 90 °C",
		},
	}},
	{"memory", []alert{
		{
			// A target label gpu_memory_policy="reserved" in the scrape configuration takes out a server that takes all
			// memory by design, as vLLM does; GpuMemoryFillingUp stays on, since it needs growth.
			name: "GpuMemoryHigh", wait: "5m", keep: "5m", severity: warning, quantity: "memory",
			expr:    `gpu:memory_used:ratio{source!="simulation", gpu_memory_policy!="reserved"} > 0.9`,
			summary: "more than 90 % of its memory in use",
			meaning: "The next allocation may fail, and the program that makes it with it.",
			value:   percent, threshold: "90 %",
		},
		{
			name: "GpuMemoryFillingUp", wait: "10m", keep: "15m", severity: warning, quantity: "memory_growth",
			expr: `gpu:memory_used:ratio{source!="simulation"} > 0.6
and predict_linear(gpu:memory_used:ratio{source!="simulation"}[1h], 3600) > 1
and gpu:memory_used:ratio - gpu:memory_used:ratio offset 15m > 0.01
and gpu:memory_used:ratio offset 15m - gpu:memory_used:ratio offset 30m > 0.01
and gpu:memory_used:ratio offset 30m - gpu:memory_used:ratio offset 45m > 0.01`,
			summary: "its memory will be full within the hour",
			meaning: "It has grown in each of the last three quarters of an hour, as a leak does.",
			value:   percent, threshold: "60 %, growing towards 100 % within the hour",
		},
	}},
	{"throttling", []alert{
		{
			name: "GpuThermalThrottling", wait: "10m", keep: "5m", severity: warning, quantity: "throttle",
			expr:    `(max without (reason) (gpu:throttled:ratio5m{reason=~"thermal|hardware_thermal|prochot"}) > 0.3)` + joinReal,
			summary: "slowed down for heat",
			meaning: "Heat costs speed: for the share of the last five minutes that the value tells, the clocks were held down for it.",
			value:   percent + " of the time", threshold: "30 % of the time",
		},
		{
			name: "GpuHardwareSlowdown", wait: "10m", keep: "5m", severity: warning, quantity: "throttle",
			expr: `(
  max without (reason) (
    gpu:throttled:ratio5m{reason=~"hardware_slowdown|power_brake|voltage_regulator|reliability"}) > 0.3
  unless on (cluster, job, instance, gpu) max without (reason) (
    gpu:throttled:ratio5m{reason=~"thermal|hardware_thermal|prochot"}) > 0.3
)` + joinReal,
			summary: "slowed down by its board or its supply",
			meaning: "Power brake, voltage regulator or another protection of the hardware holds the clocks down, without heat of the chip.",
			value:   percent + " of the time", threshold: "30 % of the time",
		},
		{
			name: "GpuPowerThrottledBelowLimit", wait: "15m", keep: "15m", severity: warning, quantity: "power",
			expr: `(
  max without (reason) (gpu:throttled:ratio5m{reason="power"}) > 0.8
  and on (cluster, job, instance, gpu)
    avg_over_time(gpu_power_watts[5m])
      / on (cluster, job, instance, gpu, domain) max without (limit) (gpu_power_limit_watts{limit="current"}) < 0.7
)` + joinReal,
			summary: "slowed down for power, far below its limit",
			meaning: "It is held back for power nearly all the time but draws less than 70 % of its limit: cable, supply, or a stuck limit.",
			value:   percent + " of the time", threshold: "80 % of the time, below 70 % of the power limit",
		},
		{
			name: "GpuPowerAboveLimit", wait: "5m", keep: "5m", severity: warning, quantity: "power",
			expr: `(
  avg_over_time(gpu_power_watts[5m])
  / max without (limit) (gpu_power_limit_watts{limit="current"} > 0)
  > 1.1
)` + joinReal,
			summary: "draws more than 110 % of its power limit ({{ $labels.domain }})",
			meaning: "The average of five minutes is above the limit that should be enforced: supply and cooling may not be made for it.",
			value:   percent + " of the limit", threshold: "110 % of the limit",
		},
	}},
	{"fans", []alert{
		{
			name: "GpuFanStopped", wait: "3m", keep: "5m", severity: critical, quantity: "fan",
			expr: `(
  (gpu_fan_speed_rpm == 0 and gpu_fan_duty_ratio > 0.3)
  or
  (gpu_fan_speed_rpm == 0
    and on (cluster, job, instance, gpu) avg_over_time(gpu:temperature_celsius:primary[2m]) > 75)
  or
  (gpu_fan_duty_ratio == 0 unless gpu_fan_speed_rpm)
    and on (cluster, job, instance, gpu) avg_over_time(gpu:temperature_celsius:primary[2m]) > 75
)` + joinReal,
			summary: "fan {{ $labels.fan }} stands",
			meaning: "A fan does not turn although it is told to, or although the GPU is above 75 °C.",
			value:   `{{ printf "%.0f rpm" $value }}`, threshold: "turning, above 30 % duty or 75 °C",
		},
		{
			name: "GpuFanAtFullSpeed", wait: "30m", keep: "15m", severity: info, quantity: "fan_full",
			expr:    `(min_over_time(gpu_fan_duty_ratio[10m]) >= 0.98)` + joinReal,
			summary: "fan {{ $labels.fan }} at full speed for long",
			meaning: "Dust, a dead fan of the case, or somebody has pinned it.",
			value:   percent + " duty", threshold: "98 % duty",
		},
	}},
	{"pcie", []alert{
		{
			// Idle links slow down to save power: only a card that works is looked at.
			name: "GpuPcieLinkDegraded", wait: "5m", keep: "15m", severity: warning, quantity: "pcie",
			expr: `(
  (
    label_replace(max_over_time(gpu_pcie_link_width[10m]) < max_over_time(gpu_pcie_link_width[7d]),
      "part", "width", "", "")
  or
    label_replace(max_over_time(gpu_pcie_link_transfers_per_second[10m])
      < max_over_time(gpu_pcie_link_transfers_per_second[7d]), "part", "speed", "", "")
  )
  and on (cluster, job, instance, gpu) min_over_time(gpu:utilization:ratio[10m]) > 0.5
)` + joinReal,
			summary: "{{ $labels.part }} of its PCIe link is less than it was",
			meaning: "The link trained worse than at its best in the last 7 days: a bad riser or slot, or a card that wants reseating.",
			value:   linkPart, threshold: "its best of the last 7 days",
		},
		{
			name: "GpuPcieLinkBelowMax", wait: "30m", keep: "15m", severity: info, quantity: "pcie",
			expr: `(
  (
    label_replace(max_over_time(gpu_pcie_link_width[10m]) < gpu_pcie_link_max_width,
      "part", "width", "", "")
  or
    label_replace(max_over_time(gpu_pcie_link_transfers_per_second[10m])
      < gpu_pcie_link_max_transfers_per_second, "part", "speed", "", "")
  )
  and on (cluster, job, instance, gpu) min_over_time(gpu:utilization:ratio[10m]) > 0.5
)` + joinReal,
			summary: "{{ $labels.part }} of its PCIe link is less than it could be",
			meaning: "Card and slot claim more than they use while working. Often a choice of the board's maker: silence it then.",
			value:   linkPart, threshold: "what card and slot claim",
		},
		{
			name: "GpuPcieReplays", wait: "10m", keep: "10m", severity: warning, quantity: "pcie_replay",
			expr:    `(rate(gpu_pcie_replays_total[10m]) * 60 > 8)` + joinReal,
			summary: "PCIe packets are sent again and again",
			meaning: "The signal on the link is bad: riser, slot or dirt on the contacts.",
			value:   `{{ printf "%.1f" $value }} a minute`, threshold: "8 a minute",
		},
	}},
}

const linkPart = `{{ if eq $labels.part "width" }}x{{ printf "%.0f" $value }}{{ else }}{{ humanize $value }}T/s{{ end }}`
