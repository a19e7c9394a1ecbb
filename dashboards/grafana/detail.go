package grafana

func detail() page {
	return page{
		uid: "gpu-detail", title: "GPU in detail",
		about:     "Everything that one GPU tells.",
		variables: []variable{jobs, clusters, instance, gpu},
		simulated: `count(gpu_info{O, source="simulation"}) or vector(0)`,
		sections: []section{
			{"Who", []panel{
				{
					kind: tableKind, title: "Identity", width: 24, height: 4, of: word,
					about:   "What the GPU is, and where its readings come from.",
					absent:  "the GPU is unknown: its exporter is down, or has forgotten it.",
					queries: []query{{expr: `gpu_info{O}`}},
					columns: []column{
						{field: "name", title: "Name", width: 280}, {field: "source", title: "Source"}, {field: "vendor", title: "Vendor"},
						{field: "type", title: "Type"}, {field: "driver", title: "Driver"}, {field: "driver_version", title: "Version"},
						{field: "vbios", title: "VBIOS"}, {field: "pci_id", title: "PCI id"}, {field: "uuid", title: "UUID", width: 340},
					},
				},
				{
					kind: statKind, title: "State", width: 6, height: 4, of: quantity{unit: "none", steps: base(plain), background: true},
					looks: states, name: true,
					about: "ok: all was read. partial: some readings failed. asleep: it is left asleep. " +
						"hung: it does not answer. gone: it is no longer there.",
					absent:  "the exporter is down, or has forgotten the GPU.",
					queries: []query{{`gpu_state{O} == 1`, "{{state}}"}},
				},
				{
					kind: tableKind, title: "Mode", width: 18, height: 4, of: word,
					about:   "Settings of the driver.",
					absent:  "the driver tells none of its settings, or the GPU sleeps.",
					queries: []query{{expr: `gpu_mode_info{O}`}},
					columns: []column{
						{field: "performance_level", title: "Performance level"}, {field: "power_profile", title: "Power profile"},
						{field: "persistence", title: "Persistence"}, {field: "compute", title: "Compute"}, {field: "mig", title: "MIG"},
						{field: "driver_model", title: "Driver model"},
					},
				},
			}},
			{"Now", []panel{
				{
					kind: statKind, title: "Temperature", width: 5, height: 4, of: temperature,
					about:   "Of the first sensor that there is: edge, core, package, SoC, hotspot.",
					absent:  "the GPU sleeps, is lost, or has no sensor.",
					queries: []query{{`gpu:temperature_celsius:primary{O}`, "{{sensor}}"}},
				},
				{
					kind: statKind, title: "Utilization", width: 5, height: 4, of: load,
					about:   "Share of time in which the GPU was busy, of the busiest engine where only engines are told.",
					absent:  "the GPU sleeps, is lost, or does not tell it.",
					queries: []query{{`gpu:utilization:ratio{O}`, ""}},
				},
				{
					kind: statKind, title: "Memory", width: 5, height: 4, of: filling,
					about:   "Share of its memory that is in use; of an integrated GPU with what it borrows from the host.",
					absent:  "the GPU sleeps, is lost, or does not tell it.",
					queries: []query{{`gpu:memory_used:ratio{O}`, ""}},
				},
				{
					kind: statKind, title: "Power", width: 5, height: 4, of: watts,
					about:   "Draw of the board, else of the package, graphics part or SoC.",
					absent:  "the GPU sleeps, is lost, or does not tell it.",
					queries: []query{{`gpu:power_watts:primary{O}`, "{{domain}}"}},
				},
				{
					kind: statKind, title: "Fan", width: 4, height: 4, of: share,
					about:   "The fastest fan, as share of full speed.",
					absent:  "the GPU has no fan, does not tell of it, or sleeps.",
					queries: []query{{`max(` + fastestFan("{O}") + `)`, ""}},
				},
			}},
			{"Heat", []panel{
				{
					kind: curvesKind, title: "Temperatures", width: 12, height: 9, of: degrees,
					// Each sensor that may have a limit has a colour, which is the limit's too.
					looks: []look{
						{match: ".", colour: plain, shades: true}, {match: "^(edge|gpu|package)\\b", colour: orange},
						{match: "^hotspot\\b", colour: red}, {match: "^memory", colour: green}, {match: "^(pcie|vr_graphics)\\b", colour: cyan},
						{match: "critical|slowdown", dashed: true},
					},
					about: "All sensors; dashed, the limits at which the GPU slows down or is in danger. " +
						"Where the driver tells only how far it is to them, that is the margin.",
					absent: "the GPU slept or was lost, or has no such sensor or limit.",
					queries: []query{
						{`gpu_temperature_celsius{O}`, "{{sensor}}"},
						{`gpu_temperature_limit_celsius{O, limit=~"critical|slowdown"}`, "{{sensor}} {{limit}}"},
						{`gpu_temperature_margin_celsius{O}`, "margin"},
					},
				},
				{
					kind: curvesKind, title: "Hotspot above edge", width: 12, height: 9, of: degrees,
					looks:  []look{{match: ".", colour: orange}},
					about:  "A difference that grows over months is thermal paste that dries out.",
					absent: "the GPU has no hotspot sensor, or slept.",
					queries: []query{{
						`gpu_temperature_celsius{O, sensor="hotspot"} - ignoring (sensor) gpu_temperature_celsius{O, sensor=~"edge|gpu"}`,
						"difference",
					}},
				},
				{
					kind: curvesKind, title: "Fan speed", width: 12, height: 7, of: rpm,
					looks:   []look{{match: ".", colour: cyan, shades: true}},
					about:   "Revolutions of each fan; 0 is a fan that stands, as many do while the card is cool.",
					absent:  "the GPU has no fan, does not tell its speed, or slept.",
					queries: []query{{`gpu_fan_speed_rpm{O}`, "fan {{fan}}"}},
				},
				{
					kind: curvesKind, title: "Fan duty", width: 12, height: 7, of: share,
					looks:   []look{{match: ".", colour: cyan, shades: true}},
					about:   "Share of full speed that is commanded.",
					absent:  "the GPU has no fan, does not tell it, or slept.",
					queries: []query{{`gpu_fan_duty_ratio{O}`, "fan {{fan}}"}},
				},
			}},
			{"Load", []panel{
				{
					kind: curvesKind, title: "Utilization and engines", width: 24, height: 8, of: share,
					looks:  []look{{match: "^GPU$", colour: cyan}},
					about:  "Share of time in which the GPU, and each of its engines, was busy.",
					absent: "the GPU slept, or does not tell of that engine.",
					queries: []query{
						{`gpu_utilization_ratio{O}`, "GPU"},
						{`gpu_engine_utilization_ratio{O}`, "{{engine}}"},
					},
				},
			}},
			{"Memory", []panel{{
				kind: curvesKind, title: "Memory by kind", width: 24, height: 8, of: size,
				looks: []look{
					{match: "^(vram|unified)\\b", colour: green}, {match: "^(visible_vram|bar1)\\b", colour: orange},
					{match: "^(gtt|shared)\\b", colour: cyan}, {match: " total$", dashed: true},
				},
				about:  "In use; dashed, what there is. gtt and shared are memory of the host.",
				absent: "the GPU slept, or has no such memory.",
				queries: []query{
					{`gpu_memory_used_bytes{O}`, "{{memory}}"},
					{`gpu_memory_total_bytes{O}`, "{{memory}} total"},
				},
			}}},
			{"Power", []panel{
				{
					kind: curvesKind, title: "Power by part", width: 16, height: 8, of: watts,
					looks:  []look{{match: "^(board|package)\\b", colour: cyan}, {match: " limit$", dashed: true}},
					about:  "Draw by part; dashed, the limit that is enforced.",
					absent: "the GPU slept, or does not tell it of that part.",
					queries: []query{
						{`gpu_power_watts{O}`, "{{domain}}"},
						{`gpu_power_limit_watts{O, limit="current"}`, "{{domain}} limit"},
					},
				},
				{
					kind: curvesKind, title: "Voltage", width: 8, height: 8, of: volts,
					looks: []look{
						{match: "^graphics$", colour: cyan}, {match: "^memory$", colour: green}, {match: "^soc$", colour: orange},
					},
					about:   "By rail.",
					absent:  "the GPU slept, or does not tell of that rail.",
					queries: []query{{`gpu_voltage_volts{O}`, "{{rail}}"}},
				},
			}},
			{"Clocks", []panel{
				{
					kind: curvesKind, title: "Clocks", width: 12, height: 10, of: hertz, aside: true,
					looks: []look{
						{match: "^graphics", colour: cyan, shades: true}, {match: "^(soc|sm)", colour: orange, shades: true},
						{match: "^(video|decoder)", colour: plain, shades: true}, {match: "^graphics( max)?$", colour: cyan},
						{match: "^memory", colour: green}, {match: "^(soc|sm)( max)?$", colour: orange},
						{match: "^(fabric|video)( max)?$", colour: plain}, {match: " max$", dashed: true},
					},
					about:  "Rates now; dashed, the highest that each may have.",
					absent: "the GPU slept, that part stood still, or it is not told.",
					queries: []query{
						{`gpu_clock_hertz{O}`, "{{clock}}"},
						{`gpu_clock_limit_hertz{O, limit="max"}`, "{{clock}} max"},
					},
				},
				{
					kind: statesKind, title: "Throttled, by reason", width: 12, height: 10, of: active,
					about:   "Reasons that slowed the GPU, over five minutes: orange for less than half of the time, red for more.",
					absent:  "nothing slowed it then, it slept, or it tells no reasons.",
					queries: []query{{`gpu:throttled:ratio5m{O} > 0`, "{{reason}}"}},
				},
			}},
			{"Bus", []panel{
				{
					kind: curvesKind, title: "PCIe lanes", width: 12, height: 7, of: lanes,
					looks: []look{{match: ".", colour: cyan}, {match: "^max$", dashed: true}},
					about: "Lanes in use; dashed, what card and slot can do together. " +
						"Fewer under load: a bad contact, or a slot that is shared.",
					absent: "the GPU slept, is not on PCIe, or does not tell its link.",
					queries: []query{
						{`gpu_pcie_link_width{O}`, "now"},
						{`gpu_pcie_link_max_width{O}`, "max"},
					},
				},
				{
					kind: curvesKind, title: "PCIe speed", width: 12, height: 7, of: transfer,
					looks:  []look{{match: ".", colour: cyan}, {match: "^max$", dashed: true}},
					about:  "Transfers a second and lane; dashed, what card and slot can do together. An idle link may well be slow.",
					absent: "the GPU slept, is not on PCIe, or does not tell its link.",
					queries: []query{
						{`gpu_pcie_link_transfers_per_second{O} / 1e9`, "now"},
						{`gpu_pcie_link_max_transfers_per_second{O} / 1e9`, "max"},
					},
				},
			}},
		},
		// Closed is what a Radeon tells nothing of.
		closed: []section{
			{"Links and traffic", []panel{
				{
					kind: statKind, title: "Links up", width: 8, height: 8, of: yes,
					about:   "Links to other GPUs: XGMI or NVLink.",
					absent:  "the GPU has no such link, or does not tell of it.",
					queries: []query{{`gpu_link_up{O}`, "{{kind}} {{link}}"}},
				},
				{
					kind: curvesKind, title: "Link traffic", width: 16, height: 8, of: byteRate, aside: true,
					about:   "By link and direction.",
					absent:  "the GPU has no such link, or does not count its bytes.",
					queries: []query{{`rate(gpu_link_bytes_total{O}[$__rate_interval])`, "{{kind}} {{link}} {{direction}}"}},
				},
				{
					kind: curvesKind, title: "Link errors", width: 12, height: 8, of: rate, aside: true,
					about:   "By link and kind of error.",
					absent:  "the GPU has no such link, or does not count its errors. AMD's driver does not.",
					queries: []query{{`rate(gpu_link_errors_total{O}[$__rate_interval])`, "{{kind}} {{link}} {{error}}"}},
				},
				{
					kind: curvesKind, title: "PCIe traffic", width: 6, height: 8, of: byteRate,
					about:  "As the GPU sees it.",
					absent: "the driver does not tell it. AMD's does not.",
					queries: []query{{
						`rate(gpu_pcie_bytes_total{O}[$__rate_interval]) or gpu_pcie_throughput_bytes_per_second{O}`,
						"{{direction}}",
					}},
				},
				{
					kind: curvesKind, title: "PCIe replays", width: 6, height: 8, of: rate,
					about:   "Packets that had to be sent again. Many are a bad riser or slot.",
					absent:  "the driver does not count them, or the GPU slept.",
					queries: []query{{`rate(gpu_pcie_replays_total{O}[$__rate_interval])`, "replays"}},
				},
			}},
			{"Engines and units", []panel{
				{
					kind: curvesKind, title: "Busy time of engines", width: 12, height: 8, of: share,
					about:   "Share of time in which each engine was busy, from counters of time.",
					absent:  "the driver counts no time of engines. AMD's does not.",
					queries: []query{{`rate(gpu_engine_busy_seconds_total{O}[$__rate_interval])`, "{{engine}}"}},
				},
				{
					kind: curvesKind, title: "Activity of units", width: 12, height: 8, of: share,
					about:   "Hardware profiling: what part of the units of a kind worked.",
					absent:  "no profiling here: only some data-centre GPUs have it, AMD's driver tells none.",
					queries: []query{{`gpu_activity_ratio{O}`, "{{activity}}"}},
				},
			}},
			{"Health", []panel{
				{
					kind: tableKind, title: "Memory errors (ECC)", width: 12, height: 8, of: word, sortBy: "Errors",
					about:   "Counted since the driver was loaded (volatile), or ever (lifetime).",
					absent:  "the GPU has no ECC, or it is off.",
					queries: []query{{expr: `gpu_ecc_errors_total{O}`}},
					columns: []column{
						{field: "block", title: "Block"}, {field: "severity", title: "Severity"}, {field: "scope", title: "Scope"},
						{field: "Value", title: "Errors", of: number},
					},
				},
				{
					kind: tableKind, title: "XID errors", width: 12, height: 8, of: word, sortBy: "Times",
					about:   "Errors that NVIDIA's driver logged, by its number of them.",
					absent:  "this version reads no XIDs; a later one will, of NVIDIA GPUs.",
					queries: []query{{expr: `gpu_xid_errors_total{O}`}},
					columns: []column{{field: "xid", title: "XID"}, {field: "Value", title: "Times", of: number}},
				},
				{
					kind: statKind, title: "Pages set aside", width: 8, height: 5, of: warning,
					about:   "Pages of memory that are no longer used since they had errors.",
					absent:  "the GPU does not tell of them: most cards without ECC do not.",
					queries: []query{{`gpu_bad_pages{O}`, "{{kind}}"}},
				},
				{
					kind: statKind, title: "Rows remapped", width: 8, height: 5, of: warning,
					about:   "Rows of memory for which a spare one is used.",
					absent:  "the GPU cannot remap rows: of those known here only NVIDIA's from Ampere on can.",
					queries: []query{{`gpu_row_remaps{O}`, "{{kind}}"}},
				},
				{
					kind: statKind, title: "Recovery wanted", width: 8, height: 5,
					of: quantity{unit: "none", steps: base(orange)}, name: true,
					looks:   []look{{match: "^none$", colour: green}},
					about:   "What the driver asks the operator to do.",
					absent:  "the driver does not tell. AMD's does not.",
					queries: []query{{`gpu_recovery_action{O} == 1`, "{{action}}"}},
				},
			}},
			{"Parts", []panel{
				{
					kind: tableKind, title: "Partitions", width: 12, height: 7, of: word,
					about:   "Parts that the GPU is divided in: MIG of NVIDIA, XCP of AMD.",
					absent:  "the GPU is not divided, or cannot be.",
					queries: []query{{expr: `gpu_partition_info{O}`}},
					columns: []column{
						{field: "partition", title: "Partition"}, {field: "kind", title: "Kind"}, {field: "profile", title: "Profile"},
						{field: "uuid", title: "UUID"},
					},
				},
				{
					kind: curvesKind, title: "Memory of partitions", width: 12, height: 7, of: size,
					looks:  []look{{match: " total$", dashed: true}},
					about:  "In use; dashed, what each has.",
					absent: "the GPU is not divided, or its memory is not told by part. AMD's driver does not tell it.",
					queries: []query{
						{`gpu_partition_memory_used_bytes{O}`, "{{partition}}"},
						{`gpu_partition_memory_total_bytes{O}`, "{{partition}} total"},
					},
				},
				{
					kind: curvesKind, title: "Utilization of partitions", width: 24, height: 10, of: share, aside: true,
					about:   "By part and engine.",
					absent:  "the GPU is not divided, does not tell it by part, or slept.",
					queries: []query{{`gpu_partition_utilization_ratio{O}`, "{{partition}} {{engine}}"}},
				},
			}},
		},
	}
}
