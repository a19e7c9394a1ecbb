package grafana

import "fmt"

// nameOfTarget tells two exporters of a host apart, which have jobs of their own.
const nameOfTarget = "{{job}} {{instance}}"

// Prometheus has the same series of everything that it scrapes. A job is ours while one of its targets tells that it is an
// exporter, or did within a day: when all are down, that is to be seen.
const (
	ofOurs    = ` and on (job) group by (job) (gpu_exporter_build_info{S})`
	ofOurJobs = ` and on (job) group by (job) (last_over_time(gpu_exporter_build_info{S}[1d]))`
)

const notScraped = "the exporter was not scraped then."

// readDuration is a quantile of the time that a reading took: by the native histogram where Prometheus stores that, else by
// the classic one.
func readDuration(quantile float64) string {
	const expr = "histogram_quantile(%[1]v,\n" +
		"  sum by (source) (rate(gpu_exporter_read_duration_seconds{S}[$__rate_interval])))\n" +
		"or histogram_quantile(%[1]v,\n" +
		"  sum by (le, source) (rate(gpu_exporter_read_duration_seconds_bucket{S}[$__rate_interval])))"
	return fmt.Sprintf(expr, quantile)
}

func health() page {
	return page{
		uid: "gpu-exporter", title: "GPU exporter",
		about:     "Health of gpu_exporter itself, and of its scrapes.",
		variables: []variable{jobs, clusters, instances},
		simulated: `count(gpu_info{S, source="simulation"}) or vector(0)`,
		sections: []section{
			{"Exporters", []panel{
				{
					kind: statKind, title: "Up", width: 18, height: 5, of: answers,
					about:   "Does the exporter answer Prometheus?",
					absent:  "no target of these jobs was an exporter within a day.",
					queries: []query{{`up{S}` + ofOurJobs, nameOfTarget}},
				},
				{
					kind: statKind, title: "Devices", width: 6, height: 5, of: number,
					about:   "GPUs found, by vendor and source.",
					absent:  "the exporter is down.",
					queries: []query{{`sum by (vendor, source) (gpu_exporter_devices{S})`, "{{vendor}} {{source}}"}},
				},
				{
					kind: tableKind, title: "Build", width: 12, height: 6, of: word,
					about:   "Versions that run.",
					absent:  "the exporter is down.",
					queries: []query{{expr: `gpu_exporter_build_info{S}`}},
					columns: []column{
						{field: "instance", title: "Host"}, {field: "version", title: "Version", width: 100},
						{field: "revision", title: "Revision"}, {field: "goversion", title: "Go", width: 100},
						{field: "goos", title: "OS", width: 90}, {field: "goarch", title: "Architecture", width: 115},
					},
				},
				{
					kind: statKind, title: "Configuration loaded", width: 5, height: 6, of: yes,
					about:   "Was the last load of the configuration a success?",
					absent:  "the exporter is down.",
					queries: []query{{`gpu_exporter_config_last_reload_successful{S}`, "{{instance}}"}},
				},
				{
					kind: curvesKind, title: "Age of the configuration", width: 7, height: 6, of: seconds,
					about:   "Time since the last successful load.",
					absent:  notScraped,
					queries: []query{{`time() - gpu_exporter_config_last_reload_success_timestamp_seconds{S}`, "{{instance}}"}},
				},
			}},
			{"Readings", []panel{
				{
					kind: curvesKind, title: "Age of the reading", width: 12, height: 8, of: seconds, aside: true,
					about:   "Of the reading that is served; of the last look at a GPU that sleeps.",
					absent:  "the exporter was not scraped then, or has forgotten the GPU.",
					queries: []query{{`time() - gpu_exporter_reading_timestamp_seconds{S}`, "{{instance}} {{gpu}}"}},
				},
				{
					kind: curvesKind, title: "Readings by result", width: 12, height: 8, of: rate, aside: true,
					looks: []look{
						{match: ` ok$`, colour: green}, {match: ` partial$`, colour: orange}, {match: ` asleep$`, colour: cyan},
						{match: ` (error|timeout)$`, colour: red},
					},
					about:  "One a GPU and cycle.",
					absent: notScraped,
					queries: []query{{
						`sum by (source, result) (rate(gpu_exporter_reads_total{S}[$__rate_interval]))`,
						"{{source}} {{result}}",
					}},
				},
				{
					kind: curvesKind, title: "Time that a reading takes", width: 12, height: 8, of: seconds,
					about:  "Half of the readings, and 99 of 100, took no longer.",
					absent: "nothing was read then.",
					queries: []query{
						{readDuration(0.5), "{{source}} p50"},
						{readDuration(0.99), "{{source}} p99"},
					},
				},
				{
					kind: curvesKind, title: "Failed reads by kind", width: 12, height: 8, of: rate, aside: true,
					about: "permission: the exporter may not; missing: gone since it was found; malformed: not understood; " +
						"io: the driver failed; timeout: it did not answer.",
					absent: notScraped,
					queries: []query{{
						`sum by (source, kind) (rate(gpu_exporter_read_errors_total{S}[$__rate_interval]))`,
						"{{source}} {{kind}}",
					}},
				},
				{
					kind: curvesKind, title: "Rejected readings by quantity", width: 6, height: 8, of: rate,
					about:  "Values that physics does not allow; they are left out.",
					absent: "no such value was ever read.",
					queries: []query{{
						`sum by (source, quantity) (rate(gpu_exporter_rejected_readings_total{S}[$__rate_interval]))`,
						"{{source}} {{quantity}}",
					}},
				},
				{
					kind: curvesKind, title: "Workers started anew", width: 12, height: 8, of: rate, aside: true,
					about:  "Workers and child processes that crashed, hung, or had to be replaced.",
					absent: notScraped,
					queries: []query{{
						`sum by (source, reason) (rate(gpu_exporter_worker_restarts_total{S}[$__rate_interval]))`,
						"{{source}} {{reason}}",
					}},
				},
				{
					kind: curvesKind, title: "Searches for GPUs", width: 6, height: 8, of: rate,
					about:   "By result.",
					absent:  notScraped,
					queries: []query{{`sum by (result) (rate(gpu_exporter_rescans_total{S}[$__rate_interval]))`, "{{result}}"}},
				},
			}},
			{"Clients", []panel{
				{
					kind: curvesKind, title: "HTTP requests", width: 12, height: 8, of: requests,
					about:  "By route and status.",
					absent: "no such request was made.",
					queries: []query{{
						`sum by (route, code) (rate(gpu_exporter_http_requests_total{S}[$__rate_interval]))`,
						"{{route}} {{code}}",
					}},
				},
				{
					kind: curvesKind, title: "Rejected scrapes", width: 12, height: 8, of: rate,
					about:   "More scrapes at once than --web.max-requests allows.",
					absent:  notScraped,
					queries: []query{{`rate(gpu_exporter_scrapes_rejected_total{S}[$__rate_interval])`, "{{instance}}"}},
				},
				{
					kind: curvesKind, title: "WebSocket clients", width: 12, height: 8, of: number,
					about:   "Pages that are open, most often.",
					absent:  notScraped,
					queries: []query{{`gpu_exporter_websocket_clients{S}`, "{{instance}}"}},
				},
				{
					kind: curvesKind, title: "WebSocket clients dropped", width: 12, height: 8, of: rate,
					about:  "slow: did not read; error: connection broke; limit: more than --web.max-websockets.",
					absent: notScraped,
					queries: []query{{
						`sum by (reason) (rate(gpu_exporter_websocket_dropped_total{S}[$__rate_interval]))`,
						"{{reason}}",
					}},
				},
			}},
			{"History", []panel{
				{
					kind: curvesKind, title: "Entries in memory", width: 8, height: 8, of: number,
					about:   "One a GPU and reading of the last hour.",
					absent:  notScraped,
					queries: []query{{`gpu_exporter_history_entries{S}`, "{{instance}}"}},
				},
				{
					kind: curvesKind, title: "Memory of the history", width: 8, height: 8, of: size,
					about:   "Bounded, whatever happens.",
					absent:  notScraped,
					queries: []query{{`gpu_exporter_history_bytes{S}`, "{{instance}}"}},
				},
				{
					kind: curvesKind, title: "Failed writes of the history", width: 8, height: 8, of: rate,
					about:   "The file could not be opened or written: a full disk, most often.",
					absent:  notScraped,
					queries: []query{{`rate(gpu_exporter_history_write_errors_total{S}[$__rate_interval])`, "{{instance}}"}},
				},
			}},
			{"Scrapes", []panel{
				{
					kind: curvesKind, title: "Time that a scrape takes", width: 8, height: 8, of: seconds,
					about:   "As Prometheus measures it.",
					absent:  "no exporter of that job answered then.",
					queries: []query{{`scrape_duration_seconds{S}` + ofOurs, nameOfTarget}},
				},
				{
					kind: curvesKind, title: "Samples of a scrape", width: 8, height: 8, of: number,
					about:   "What the exporter costs Prometheus.",
					absent:  "no exporter of that job answered then.",
					queries: []query{{`scrape_samples_scraped{S}` + ofOurs, nameOfTarget}},
				},
				{
					kind: curvesKind, title: "New series of a scrape", width: 8, height: 8, of: number,
					about:   "Series that the scrape before did not have: cards that wake, above all.",
					absent:  "no exporter of that job answered then.",
					queries: []query{{`scrape_series_added{S}` + ofOurs, nameOfTarget}},
				},
			}},
		},
	}
}
