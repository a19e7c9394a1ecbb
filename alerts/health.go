package alerts

// XIDs of NVIDIA by what they ask for, from nvidia.md 6. Those of the application (13, 31, 43, 45, 68, 69) are no alert, and
// 154 says that gpu_recovery_action changed, which has an alert of its own. 61 is the firmware's breakpoint: judgement.
const (
	xidCritical = "48|62|64|74|79|95|119|120|140|143"           // reset, reboot or exchange
	xidWarning  = "61|63|92|94|121|144|145|146|147|148|149|150" // to be looked at: contained memory faults, links
)

// xid fires on a count that grows, and on a series that was not there before: a counter that is born with the value 1 has
// no increase. One that is back after a restart of the exporter is not new.
func xid(codes string) string {
	const family = `gpu_xid_errors_total{xid=~"`
	return `(
  increase(` + family + codes + `"}[15m]) > 0
  or
  ` + family + codes + `"}
    unless max_over_time(gpu_xid_errors_total[1h] offset 15m)
)` + joinReal
}

// health are the alerts on faults of the hardware, and on GPUs that are not there.
var health = []topic{
	{"errors", []alert{
		{
			// The second arm is for a count that was there at the first scrape, which has no increase.
			name: "GpuEccUncorrected", keep: "1h", severity: critical, quantity: "ecc",
			expr: `(
  max without (scope) (
    sum without (block) (increase(gpu_ecc_errors_total{severity="uncorrected"}[1h])) > 0
    or
    sum without (block) (gpu_ecc_errors_total{severity="uncorrected", scope="volatile"}
      unless max_over_time(gpu_ecc_errors_total[1h] offset 1h)) > 0
  )
)` + joinReal,
			summary: "memory errors that could not be corrected",
			meaning: "Data was wrong: what was computed in the last hour may be too.",
			value:   whole + " in an hour", threshold: "none",
		},
		{
			name: "GpuEccCorrectedRate", wait: "15m", keep: "1h", severity: info, quantity: "ecc",
			expr: `(
  max without (scope) (sum without (block) (increase(gpu_ecc_errors_total{severity="corrected"}[1h]))) > 100
)` + joinReal,
			summary: "many corrected memory errors",
			meaning: "Nothing was lost, but the memory is ageing.",
			value:   whole + " in an hour", threshold: "100 in an hour",
		},
		{
			name: "GpuMemoryPagesPending", wait: "5m", keep: "15m", severity: warning, quantity: "memory_repair",
			expr: `(
  (gpu_bad_pages{kind=~"pending|unreservable"} > 0)
  or
  label_replace(gpu_row_remap_pending == 1, "kind", "row_remap", "", "")
)` + joinReal,
			summary: "bad memory waits to be taken out of use ({{ $labels.kind }})",
			meaning: "Pages or rows are known to be bad, and stay in use until the GPU is reset.",
			value:   whole, threshold: "none",
		},
		{
			name: "GpuRowRemapFailed", keep: "15m", severity: critical, quantity: "memory_repair",
			expr:    `(gpu_row_remap_failed == 1)` + joinReal,
			summary: "no spare row is left for bad memory",
			meaning: "It is the vendor's own criterion for exchanging the card.",
			value:   "failed", threshold: "none",
		},
		{
			name: "GpuMemoryPagesRetired", keep: "1h", severity: warning, quantity: "memory_repair_new",
			expr: `(
  sum without (kind) (
    (gpu_bad_pages{kind=~"retired|double_bit"} - gpu_bad_pages{kind=~"retired|double_bit"} offset 1d > 0)
  )
)` + joinReal,
			summary: "bad memory was taken out of use",
			meaning: "Pages were retired since yesterday. One is no harm; if they go on coming, the memory is dying.",
			value:   whole + " since yesterday", threshold: "none",
		},
		{
			name: "GpuXidCritical", keep: "15m", severity: critical, quantity: "xid",
			expr:    xid(xidCritical),
			summary: "XID {{ $labels.xid }}",
			meaning: "The driver reports a fault of hardware, bus or firmware: the card needs a reset, a reboot or to be exchanged.",
			value:   whole + " in 15 minutes", threshold: "none",
		},
		{
			name: "GpuXidWarning", keep: "15m", severity: warning, quantity: "xid",
			expr:    xid(xidWarning),
			summary: "XID {{ $labels.xid }}",
			meaning: "The driver reports a contained memory fault, or trouble of firmware or link: plan to take the card out of work.",
			value:   whole + " in 15 minutes", threshold: "none",
		},
		{
			name: "GpuRecoveryActionNeeded", wait: "1m", keep: "5m", severity: critical, quantity: "recovery",
			expr:    `(gpu_recovery_action{action!="none"} == 1)` + joinReal,
			summary: "needs {{ $labels.action }}",
			meaning: "The driver itself asks for it before the card can be relied on again.",
			value:   "{{ $labels.action }}", threshold: "none",
		},
		{
			name: "GpuLinkDown", wait: "5m", keep: "5m", severity: warning, quantity: "link",
			expr:    `(gpu_link_up == 0 and max_over_time(gpu_link_up[1d]) == 1)` + joinReal,
			summary: "{{ $labels.kind }} link {{ $labels.link }} is down",
			meaning: "A link between GPUs that was up within a day is down: jobs that span GPUs stop or slow down.",
			value:   "down", threshold: "up",
		},
	}},
	{"presence", []alert{
		{
			// Keeps firing until --forget-after drops the GPU and GpuMissing takes over.
			name: "GpuLost", wait: "1m", keep: "10m", severity: critical, quantity: "presence",
			expr: `(
  gpu_state{state=~"hung|gone"} == 1
  or on (cluster, job, instance, gpu)
  gpu_up == 0
)` + joinReal,
			summary: "lost ({{ or $labels.state \"no reading works\" }})",
			meaning: "It hangs, is gone, or answers nothing. Its readings are no longer there, so that no other alert can see it.",
			value:   `{{ with $labels.state }}state {{ . }}{{ else }}no reading works{{ end }}`, threshold: "it answers",
		},
		{
			// topk keeps it one alert when the index changed in those hours.
			name: "GpuMissing", wait: "5m", severity: critical, quantity: "presence",
			expr: `topk by (cluster, job, instance, gpu) (1,
  max without (uuid, pci_id, driver, driver_version, vbios) (
    last_over_time(gpu_info{source!="simulation"}[6h]) unless on (cluster, job, instance, gpu) gpu_info
  )
)
and on (cluster, job, instance) up == 1`,
			summary: "no longer there",
			meaning: "It was there within six hours, and the exporter tells of it no more: forgotten after it was lost, or gone since a reboot.",
			value:   "not told of", threshold: "told of within 6 hours",
		},
		{
			name: "GpuSimulatedOnRealHost", wait: "10m", severity: warning, quantity: "simulated",
			expr: `(
  gpu:info:one{source="simulation"}
  and on (cluster, job, instance) (
    last_over_time(gpu_info{source!="simulation"}[1d])
    or
    up{environment=~"prod(uction)?"}
  )
)
unless on (cluster, job, instance) gpu_info{source!="simulation"}`,
			summary: "is invented, on a host that should have a real one",
			meaning: "The host had a real GPU within a day, or is labelled as production: its dashboards show simulated numbers.",
			value:   "simulation", threshold: "a real GPU",
		},
	}},
}
