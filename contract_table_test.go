//go:build linux

package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// from makes the source of a measured key that is one sample.
func from(divisor float64, family string, labels ...string) func(sampler) float64 {
	return func(of sampler) float64 { return of(family, labels...) / divisor }
}

// ratio is a share as percent.
func ratio(family string, labels ...string) func(sampler) float64 {
	return func(of sampler) float64 { return of(family, labels...) * 100 }
}

func usedShare(of sampler) float64 {
	return of("gpu_memory_used_bytes", "memory", "vram") / of("gpu_memory_total_bytes", "memory", "vram") * 100
}

var contract = []clause{
	{"2", "JSON body", everywhere, each(func(t *testing.T, target string, a answer) {
		if !compact(a.body) {
			t.Errorf("%s: %q", target, a.body)
		}
	})},
	{"2", "UTF-8 not escaped", both, answers(exchange{"GET", "/gpu/history?minutes=" + escaped("<é&日>"), nil, 422,
		noNumber("int_parsing", unparsable, "<é&日>"), nil})},
	{"2", "Content-Type of JSON", everywhere, each(func(t *testing.T, target string, a answer) {
		if got := a.Header["Content-Type"]; len(got) != 1 || got[0] != "application/json" {
			t.Errorf("%s: %q", target, got)
		}
	})},
	{"2", "other headers", both, each(func(t *testing.T, target string, a answer) {
		h := a.Header
		if h.Get("Date") == "" || h.Get("Server") == "uvicorn" || h.Get("Cache-Control") != "no-store" || h.Get("ETag") != "" {
			t.Errorf("%s: %v", target, h)
		}
	})},
	{"2", "unknown path", both, answers(
		at("/nothing", 404, notFound, "Content-Type", "application/json", "Cache-Control", "no-store"),
		exchange{"POST", "/nothing", nil, 404, notFound, []string{"Allow", ""}}, at("/gpu", 404, notFound),
		at("/gpu/stats/x", 404, notFound), at("/nothing/", 404, notFound),
		exchange{"OPTIONS", "/nothing", nil, 404, notFound, nil}, at("/favicon.ico", 404, notFound),
	)},
	{"2", "wrong method on a known path", both, wrongMethods},
	{"2", "HEAD | 405", both, heads},
	{"2", "OPTIONS that is no preflight", both, answers(
		exchange{"OPTIONS", "/gpu/stats", nil, 405, notAllowed, []string{"Allow", "GET, HEAD"}},
		exchange{"OPTIONS", "/health", []string{"Origin", uiOrigin}, 405, notAllowed, []string{"Allow", "GET, HEAD"}},
		exchange{"OPTIONS", "/", []string{acrMethod, "GET"}, 405, notAllowed, []string{"Allow", "GET, HEAD"}},
	)},
	{"2", "path with a / too many at the end", both, slashes},
	{"2", "letter case, doubled slashes", both, answers(
		at("/GPU/stats", 404, notFound, "Location", ""), at("//gpu/stats", 404, notFound, "Location", ""),
		at("/gpu//stats", 404, notFound, "Location", ""), at("/gpu/./stats", 404, notFound, "Location", ""),
		at("/x/../health", 404, notFound, "Location", ""),
	)},
	{"2", "Accept | never looked at", both, answers(
		exchange{"GET", "/health", []string{"Accept", "image/png"}, 200, bodyOf("/health"), nil},
		exchange{"GET", "/gpu/stats", []string{"Accept", "text/html"}, 200, bodyOf("/gpu/stats"), nil},
		exchange{"GET", "/gpu/stats", []string{"Accept-Encoding", "gzip"}, 200, bodyOf("/gpu/stats"), []string{"Content-Encoding", ""}},
	)},
	{"2", "Python kept integers and floats apart", awake | sleeping, oldNumbers},
	{"2", "rounded to one decimal, half away from zero", apart, rounding},

	{"3", "only the routes of sections 4 to 9", both, corsOnlyThere},
	{"3", "no Origin header", both, corsNoOrigin},
	{"3", "Origin, no Cookie", both, corsNoCookie},
	{"3", "Origin and Cookie", both, corsCookie},
	{"3", "preflight: OPTIONS with Origin and Access-Control-Request-Method", both, preflight},
	{"3", "Preflight headers", both, preflightHeaders},
	{"3", "Disallowed CORS method", both, preflightRefused},
	{"3", "read the JSON and open the WebSocket", both, shell},
	{"3", "Access-Control-Request-Private-Network: true", both, preflightNetwork},
	{"3", "make it a flag", apart, corsFlag},
	{"3", "cross-origin browsers are not served", apart, corsAndPasswords},

	{"4", "status | string", everywhere, tells("/health", `"healthy"`, "status")},
	{"4", "service | string", everywhere, tells("/health", `"gpu-stats-service"`, "service")},
	{"4", "timestamp | float", everywhere, isNow("/health", "timestamp")},
	{"4", "gpu_detected | bool", everywhere, tells("/health", "«detected»", "gpu_detected")},
	{"4", "monitoring_method | string", everywhere, tells("/health", "«method»", "monitoring_method")},
	{"4", "gpu_available | bool", everywhere, tells("/health", "«detected»", "gpu_available")},
	{"4", "It answers without touching the GPU", apart, restIsUntouched},
	{"4", "200 also when no GPU is there or one hangs", hanging | without, whole("/health")},

	{"5", "gpu_info.name | string", awake, labelled("/gpu/info", "name", "", "gpu_info", "name")},
	{"5", "v2 Unknown GPU until then", without, tells("/gpu/info", `"Unknown GPU"`, "gpu_info", "name")},
	{"5", "gpu_info.memory_total | int", everywhere, tells("/gpu/info", "«mib»", "gpu_info", "memory_total")},
	{"5", "gpu_info.driver_version | string", awake,
		labelled("/gpu/info", "driver_version", "Unknown", "gpu_info", "driver_version")},
	{"5", "gpu_info.gpu_type | string", everywhere, tells("/gpu/info", "«kind»", "gpu_info", "gpu_type")},
	{"5", "gpu_info.monitoring_method | string", awake, labelled("/gpu/info", "source", "", "gpu_info", "monitoring_method")},
	{"5", "platform | string", everywhere, tells("/gpu/info", `"Linux"`, "platform")},
	{"5", "last_update | float or null", everywhere, tells("/gpu/info", "«lastUpdate»", "last_update")},
	{"5", "capabilities | object", everywhere, tells("/gpu/info",
		`{"nvml_available":false,"gputil_available":false,"distro_available":false}`, "capabilities")},
	{"5", "The integration script prints", everywhere, printed("/gpu/info", [][]string{{"gpu_info", "memory_total"}},
		[][]string{{"gpu_info", "name"}, {"gpu_info", "driver_version"}})},

	{"6", "One flat object, keys in this order", awake | sleeping, everyKeyThere},
	{"6", "name | string", awake, labelled("/gpu/stats", "name", "", "name")},
	{"6", "temperature | float", both, measured("temperature", "/gpu/temperature", 1, 150,
		from(1, "gpu_temperature_celsius", "sensor", "edge"))},
	{"6", "utilization | float", both, measured("utilization", "/gpu/utilization", 1, 100, ratio("gpu_utilization_ratio"))},
	{"6", "memory_used | float", both, measured("memory_used", "/gpu/memory", 1, 1e6,
		from(mib, "gpu_memory_used_bytes", "memory", "vram"))},
	{"6", "memory_total | float", both, measured("memory_total", "/gpu/memory", 1, 1e6,
		from(mib, "gpu_memory_total_bytes", "memory", "vram"))},
	{"6", "memory_utilization | float", both, measured("memory_utilization", "/gpu/memory", 1, 100, usedShare)},
	{"6", "core_clock | int", both, measured("core_clock", "", 0, 1e4,
		from(1e6, "gpu_clock_hertz", "clock", "graphics"))},
	{"6", "memory_clock | int", both, measured("memory_clock", "", 0, 1e4,
		from(1e6, "gpu_clock_hertz", "clock", "memory"))},
	{"6", "power_usage | float", both, measured("power_usage", "", 1, 1e3,
		from(1, "gpu_power_watts", "domain", "package"))},
	{"6", "fan_speed | int", both, measured("fan_speed", "", 0, 100, ratio("gpu_fan_duty_ratio", "fan", "1"))},
	{"6", "driver_version | string", awake, labelled("/gpu/stats", "driver_version", "Unknown", "driver_version")},
	{"6", "timestamp | float", awake, readingTimes},
	{"6", "status | string", awake | sleeping, tells("/gpu/stats", `"healthy"`, "status")},
	{"6", "gpu_type | string", awake | sleeping, tells("/gpu/stats", "«kind»", "gpu_type")},
	{"6", "monitoring_method | string", awake, labelled("/gpu/stats", "source", "", "monitoring_method")},
	{"6", "A value that the hardware does not offer is 0 here", sparse, whole("/gpu/stats")},
	{"6", "Further GPUs must not change this object's shape", pair, answers(at("/gpu/stats", 200, bodyOf("/gpu/stats")),
		at("/gpu/stats?gpu=0", 200, `{"name":`+apuName+`,"temperature":48.0,"utilization":81.2,"memory_used":2288.8,`+
			`"memory_total":8653.4,"memory_utilization":26.4,"core_clock":1040,"memory_clock":800,"power_usage":6.1,"fan_speed":0,`+
			`"driver_version":"6.12.0-made-up","timestamp":«unix»,"status":"healthy","gpu_type":"amd","monitoring_method":"sysfs"}`))},
	{"6", "The GPU is asleep", sleeping, whole("/gpu/stats")},
	{"6", "memory_total as last known", apart, asleepAfter},
	{"6", "timestamp now", sleeping, isNow("/gpu/stats", "timestamp")},
	{"6", "A client takes an equal timestamp for", both, latest},
	{"6", "ten requests in a row", both | sleeping | pair, tenInARow},
	{"6", "when there is no GPU at all and simulation is off", without, lostIs503},
	{"6", "when the chosen GPU is lost", apart, goneIs503},
	{"6", "the simulation is marked as such by monitoring_method simulation and gpu_detected false", simulating,
		func(t *testing.T, s *subject) {
			tells("/gpu/stats", `"simulation"`, "monitoring_method")(t, s)
			tells("/health", "false", "gpu_detected")(t, s)
		}},

	{"7", "keys in this order, oldest first, one entry a second", both, pastIsTold},
	{"7", "may be empty", without | sleeping | hanging, answers(at("/gpu/history", 200, `{"history":[]}`))},
	{"7", "absent; other or differently cased names", both,
		takesMinutes("", "?Minutes=abc", "?MINUTES=0", "?x=1&y", "?minute=0", "?minutes%20=0")},
	{"7", "5, 05, %2B5 (+5), 5.0, 5.000, 1_0", both, takesMinutes(
		"?minutes=5", "?minutes=05", "?minutes=%2B5", "?minutes=5.0", "?minutes=5.000", "?minutes=1_0", "?m%69nutes=5",
		"?x=1&minutes=10&y=2",
	)},
	{"7", "0, -3", both, answers(
		at("/gpu/history?minutes=0", 200, `{"history":[]}`), at("/gpu/history?minutes=-3", 200, `{"history":[]}`),
		at("/gpu/history?minutes=-0", 200, `{"history":[]}`), at("/gpu/history?minutes=-3.0", 200, `{"history":[]}`),
	)},
	{"7", "empty (minutes=, also ?minutes), abc, 1.5, 1e1", both,
		noMinutes("", "abc", "1.5", "1e1", "0x10", "true", "null", "1__0", "_1", "1_", "--5", "+")},
	{"7", "also ?minutes", both, answers(at("/gpu/history?minutes", 422, noNumber("int_parsing", unparsable, "")))},
	{"7", "other digits than ASCII", both, noMinutes("٥", "５", "1٠", "²")},
	{"7", "blanks around the number", both, either("?minutes=+5", "?minutes=%205", "?minutes=5%20", "?minutes=5.")},
	{"7", "minutes=abc&minutes=5 is 5", both, takesMinutes("?minutes=abc&minutes=5", "?minutes=0&minutes=&minutes=5")},
	{"7", "minutes=5&minutes=abc is 422", both, answers(
		at("/gpu/history?minutes=5&minutes=abc", 422, noNumber("int_parsing", unparsable, "abc")),
		at("/gpu/history?minutes=5&minutes=", 422, noNumber("int_parsing", unparsable, "")))},
	{"7", "huge (99999999)", both,
		takesMinutes("?minutes=99999999", "?minutes=9223372036854775808", "?minutes="+strings.Repeat("9", 4300))},
	{"7", "more than 4300 characters", both, func(t *testing.T, s *subject) {
		for _, digit := range []string{"1", "a"} {
			long := strings.Repeat(digit, 4301)
			s.exchange(t, at("/gpu/history?minutes="+long, 422, noNumber("int_parsing_size", tooLong, long)))
		}
	}},
	{"7", "422 body", both, answers(at("/gpu/history?minutes=abc", 422, `{"detail":[{"type":"int_parsing","loc":["query","minutes"],`+
		`"msg":"Input should be a valid integer, unable to parse string as an integer","input":"abc",`+
		`"url":"https://errors.pydantic.dev/2.4/v/int_parsing"}]}`, "Content-Type", "application/json", "Cache-Control", "no-store"))},
	{"7", "input is the string as decoded", both, noMinutes("a b", "a/b?c", "<5>")},
	{"7", "Unprocessable Entity", both, func(t *testing.T, s *subject) {
		if a := s.ask(t, "GET", "/gpu/history?minutes=abc"); a.Status != "422 Unprocessable Entity" {
			t.Errorf("status %q", a.Status)
		}
	}},

	{"8", "Any Origin is accepted", both, anyOrigin},
	{"8", "No subprotocol is chosen", both, choices},
	{"8", "permessage-deflate was negotiated when offered", both, deflates},
	{"8", "The server sends one text frame a second", awake | sleeping, wholeFrames("/ws/gpu-stats", "/gpu/stats")},
	{"8", "All clients get the same frame", both | pair, sameFrame},
	{"8", "send the latest reading at once after the handshake", apart, atOnce("/ws/gpu-stats")},
	{"8", "with a longer interval the last reading is repeated, its timestamp unchanged", apart, repeated},
	{"8", "at least one within 5 s and three within 10 s", both | sleeping, paced("/ws/gpu-stats")},
	{"8", "With interval 0 (on demand) a reading is asked for every 3 s", apart, onDemand},
	{"8", "fixed at the handshake; without it the default GPU", pair, fixedGPU},
	{"8", "no frame is sent and the connection stays open", apart, lostHasNoFrame},
	{"8", "One more: 503", apart, tooMany},
	{"8", "it is read and ignored, never answered", both, ignores(websocket.TextMessage, "ping", `{"type": "ping"}`, "", "é")},
	{"8", "ignore it instead", both, ignores(websocket.BinaryMessage, "ping", "", "\x00\xff")},
	{"8", "a limit of a few KiB is enough here, likewise 1009", both, tooLarge},
	{"8", "client close is echoed", both, closeEchoed},
	{"8", "at shutdown 1012", apart, closeAtTheEnd},
	{"8", "Not a WebSocket request at this path", both, noUpgrade},
	{"8", "Upgrade at another path, or with a trailing slash", both, upgradeElsewhere},

	{"9", "/openapi.json 200", both | without, describesItself},
	{"9", "BETTER: a page that works without internet", both, showsDocs},
	{"9", "give the JSON to everyone whose Accept does not name text/html", everywhere, home},
	{"9", "One part of the stats each", awake | sleeping, whole("/gpu/temperature", "/gpu/memory", "/gpu/utilization")},
	{"9", "503 as /gpu/stats", without | hanging, lostIs503},
	{"9", "404 it is", both, answers(
		at("/api/gpu/info", 404, notFound), at("/api/gpu/stats", 404, notFound),
		at("/api/gpu/temperature", 404, notFound), at("/api/gpu/memory", 404, notFound),
		at("/api/gpu/utilization", 404, notFound))},
	{"9", "/metrics: both Prometheus configurations of JARVIS scrape it", everywhere, func(t *testing.T, s *subject) {
		if seriesOf(s.scrape(t), "gpu_exporter_build_info") != 1 {
			t.Error("no gpu_exporter_build_info in /metrics")
		}
	}},

	{"10", "status turns to warning at 85", apart, statusAt85},

	{"12", "panel, ui/src/components/GPUStats.jsx", apart, oldPanel},
	{"12", "Electron shell, ui/electron/main.js", both, shell},
	{"12", "the JSON reader insists on application/json", both, each(func(t *testing.T, target string, a answer) {
		if !strings.Contains(a.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %s", target, a.Header.Get("Content-Type"))
		}
	})},
	{"12", "time from start to first 200 and first frame, with no GPU", apart,
		fromTheStart(emptyTree, "/ws/gpus", "--collector.simulation=off")},
	{"12", "/health is 200 within 15 s of start; first WebSocket frame within 5 s, unasked, contains gpu", apart,
		fromTheStart(func(t *testing.T) string { return ownCase(t, "discrete") }, "/ws/gpu-stats")},
	{"12", "and one that hangs", apart, fromTheStart(hangingCard, "/ws/gpus")},
	{"12", "the HTTP ones want / and /health as in 4 and 9", both | without | hanging, whole("/", "/health")},
	{"12", "start-gpu-service.bat, README", both, console},
	{"12", "GET /health is 200 with a JSON object", both, printed("/health", nil, [][]string{{"status"}})},
	{"12", "GET /gpu/info is 200; gpu_info.name", both,
		printed("/gpu/info", nil, [][]string{{"gpu_info", "name"}, {"gpu_info", "driver_version"}})},
	{"12", "GET /gpu/stats is 200; temperature", both, printed("/gpu/stats",
		[][]string{{"temperature"}, {"utilization"}, {"memory_utilization"}, {"power_usage"}}, [][]string{{"status"}})},
	{"12", "GET /gpu/history?minutes=1 is 200", both, pastPrints},
	{"12", "sends the text ping, reads up to three frames", both, pings},
	{"12", "Ten GET /gpu/stats one after another", both, tenInARow},
	{"12", "key order and exact key set of each object", everywhere, wholeBodies},
	{"12", "float fields carry a decimal point", both, oldNumbers},
	{"12", "a hundred WebSocket clients of which ten never read", apart, hundredClients},
	{"12", "a client that sends binary, 1 MiB, or closes without a handshake", apart, rude},
	{"12", "no reading for a hung GPU while /health stays 200 and fast", hanging, func(t *testing.T, s *subject) {
		lostIs503(t, s)
		isNow("/health", "timestamp")(t, s)
		quietWhileLost(t, s)
	}},

	{"15", "The rules of section 2 hold for them", everywhere, answers(
		at("/gpus", 200, "*", "Content-Type", "application/json", "Cache-Control", "no-store"),
		exchange{"PUT", "/gpus", nil, 405, notAllowed, []string{"Allow", "GET, HEAD"}}, exchange{"HEAD", "/gpus", nil, 200, "", nil},
		at("/gpus/", 307, ""), at("/gpus/0", 404, notFound))},
	{"15", "so does section 3 (CORS)", everywhere, answers(
		exchange{"GET", "/gpus", []string{"Origin", "null"}, 200, "*", []string{acaOrigin, "*", acaCredentials, "true"}},
		exchange{"OPTIONS", "/gpus", []string{"Origin", "null", acrMethod, "GET"}, 200, "OK", []string{acaOrigin, "null", acaAge, "600"}})},
	{"15", "plain JSON numbers", everywhere, plainNumbers},

	{"15.1", "take gpu= with the gpu label, the uuid", pair, byName},
	{"15.1", "Names none of the known ones: 404", pair, byWrongName},
	{"15.1", "Repeated: the last one counts", pair, byLastName},
	{"15.1", "Absent or empty: the default GPU", pair, func(t *testing.T, s *subject) {
		for _, query := range []string{"", "?gpu=", "?gpu", "?GPU=0"} {
			namedGPU(t, s, query, rx7900xtx.name)
		}
	}},
	{"15.1", "kept through sleep, hang and hot-plug", apart, defaultStays},
	{"15.1", "only when it is forgotten", apart, defaultForgotten},
	{"15.1", "when it was simulated and a real one has come", apart, defaultIsReal},

	{"15.2", "schema | int", everywhere, tells("/gpus", "1", "schema")},
	{"15.2", "version | string", everywhere, func(t *testing.T, s *subject) {
		version := tokenAt(t, s.get(t, "/gpus"), "version")
		if seriesOf(s.scrape(t), "gpu_exporter_build_info", "version="+version) != 1 {
			t.Errorf("gpu_exporter_build_info has not the version %s", version)
		}
	}},
	{"15.2", "timestamp | number | Unix time at which", everywhere, isNow("/gpus", "timestamp")},
	{"15.2", "ordered by index", everywhere, byIndex},
	{"15.2", "while there is none and before the first cycle has ended", apart, beforeTheFirstCycle},
	{"15.2", "[] while there is none", without, tells("/gpus", "[]", "gpus")},
	{"15.2", "these keys in this order", everywhere, exactKeys},
	{"15.2", "gpu | string", awake, objectLabels("gpu")},
	{"15.2", "index | int", pair, byIndex},
	{"15.2", "name, vendor, type, uuid, pci_id, driver, driver_version, vbios, source | string or null", awake,
		objectLabels("name", "vendor", "type", "uuid", "pci_id", "driver", "driver_version", "vbios", "source")},
	{"15.2", "simulated | bool", awake, atOneReading(func(t *testing.T, s *subject, r *reading) {
		if got := tokenAt(t, r.object, "simulated"); got != strconv.FormatBool(r.label(t, s.gpu, "source") == "simulation") {
			t.Errorf("simulated is %s", got)
		}
	})},
	{"15.2", "state | string", everywhere, theState},
	{"15.2", "partial, asleep", apart, partialState},
	{"15.2", "up | bool", everywhere, theState},
	{"15.2", "timestamp | number or null", awake, readingTimes},
	{"15.2", "asleep: of the last look", sleeping, lastLook},
	{"15.2", "null: never read", hanging, neverRead},
	{"15.2", "age_seconds | number or null", awake, ages},
	{"15.2", "primary | object", awake, atOneReading(primaryIsStats)},
	{"15.2", "sensors | object", awake, section("sensors", "sensor",
		quantity{"limits_celsius", "gpu_temperature_limit_celsius"}, quantity{"celsius", "gpu_temperature_celsius"})},
	{"15.2", "margin_celsius | number or null", awake, atOneReading(marginOf)},
	{"15.2", "memory | object", awake, section("memory", "memory", quantity{},
		quantity{"used_bytes", "gpu_memory_used_bytes"}, quantity{"total_bytes", "gpu_memory_total_bytes"},
		quantity{"reserved_bytes", "gpu_memory_reserved_bytes"})},
	{"15.2", "power | object", awake, section("power", "domain", quantity{"limits_watts", "gpu_power_limit_watts"},
		quantity{"watts", "gpu_power_watts"}, quantity{"average_watts", "gpu_power_average_watts"},
		quantity{"energy_joules", "gpu_energy_joules_total"})},
	{"15.2", "clocks | object", awake, section("clocks", "clock", quantity{"limits_hertz", "gpu_clock_limit_hertz"},
		quantity{"hertz", "gpu_clock_hertz"})},
	{"15.2", "fans | array", awake, atOneReading(fanSection)},
	{"15.2", "throttle | array or null", awake, atOneReading(throttleReasons)},
	{"15.2", "pcie | object", awake, atOneReading(pcieSection)},
	{"15.2", "Inside sensors, memory, power, clocks, fans and pcie stands only what was read", everywhere, onlyWhatWasRead},
	{"15.2", "Asleep, hung, gone", sleeping | hanging, func(t *testing.T, s *subject) {
		s.expect(t, "/gpus", s.gpus, gpusIn(t, s.get(t, "/gpus"))[0])
	}},
	{"15.2", "No stand-in and no last values", apart, goneShowsNoValues},
	{"15.2", "Sections and limits_* by name in byte order", awake, sortedNames},
	{"15.2", "in the shortest form that gives the same float64 again", everywhere, plainNumbers},
	{"15.2", "each number equals the one of /gpu/stats at the same reading", awake, atOneReading(primaryIsStats)},
	{"15.2", "Engines, ECC, links, partitions and counters are not in it", awake, exactKeys},
	{"15.2", "the answer for fixtures/amd/rx7800xt", hardware, asTheExample},

	{"15.3", "Frames {\"type\":\"gpus\"", everywhere, wholeFrames("/ws/gpus", "/gpus")},
	{"15.3", "the first at once after the handshake", apart, atOnce("/ws/gpus")},
	{"15.3", "then one every min(polling interval, 3 s)", everywhere, paced("/ws/gpus")},
	{"15.3", "made anew each time", apart, madeAnew},

	{"15.4", "gpu_exporter once --format=json prints exactly the body of GET /gpus and one line feed",
		awake | sleeping, onceJSON},
	{"15.4", "one header line, columns timestamp, gpu, name, state", both, onceCSV},
	{"15.4", "one header line, columns timestamp, gpu, name, state", both, pastAsCSV},
	{"15.4", "another value is 422 in the form of section 7 with loc", both, pastInFormats},
	{"15.4", "gpu_exporter export opens the store read-only", apart, exportReads},
}

// exempt are the rows without a clause, and why.
var exempt = []struct{ section, words, reason string }{
	{"2", "failure inside a handler", "nothing from outside makes a handler fail: TestSection2 of compat"},
	{"6", "utilization swings as a sine", "what the old simulation looked like"},
	{"7", "minutes is one integer, default 10, parsed as pydantic 2.4 does", "the head of the table"},
	{"8", "What was meant", "a head"},
	{"8", "Control pings by the server every 20 s", "FREE, and too long to wait for: tests of compat with synctest"},
	{"8", "What the old service did", "the fault that is mended"},
	{"10", "utilization | < 30 low", "bands of the panel and the rules"},
	{"10", "VRAM | shown in GB", "bands of the panel and the rules"},
	{"10", "The code draws each limit as", "bands of the panel and the rules"},
	{"12", "Situation Room", "the panel"},
	{"12", "error page", "none: it never reaches port 5009"},
	{"12", "compose health check", "the image"},
	{"12", "tests/integration/test_gpu_simple.py", "none"},
	{"12", "launchers", "the compose file"},
	{"12", "both Prometheus configurations, dashboards, alerts", "rules"},
	{"12", "nginx/production.conf", "the panel"},
	{"12", "The eight checks of test_gpu_integration.py", "the head of the list"},
	{"12", "docker ps shows the container", "check 6: the image"},
	{"12", "GET http://localhost:3000", "check 7: JARVIS's own page"},
	{"15.3", "The panel uses /ws/gpus", "the panel"},
}
