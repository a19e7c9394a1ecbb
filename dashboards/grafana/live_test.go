//go:build dashboards

package grafana

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"gpu_exporter/internal/hwcase"
	"gpu_exporter/internal/stack"
)

const (
	checkout = "../.."
	shared   = checkout + "/../shared/fixtures/"
	cases    = shared + "amd/"

	// hurried is what all durations of the rules are divided by. Those of the dashboards stay.
	hurried = 30
	// livePatience is how long it may take until all is seen. The longest wait is for an alert, some 20 s now; the rest is
	// for a busy machine.
	livePatience = 2 * time.Minute
)

// unfilled are the families that the cases cannot fill, and why. A query that asks for one must have no answer.
var unfilled = map[string]string{
	"gpu_activity_ratio":                     noAMD,
	"gpu_xid_errors_total":                   noAMD,
	"gpu_link_errors_total":                  noAMD,
	"gpu_partition_memory_used_bytes":        noAMD,
	"gpu_partition_memory_total_bytes":       noAMD,
	"gpu_workload_memory_used_bytes":         noProcess,
	"gpu_workload_engine_busy_seconds_total": noProcess,
	"gpu_workload_processes":                 noProcess,
}

const (
	noAMD     = "amd.md 5.3: no AMD source fills it, nor do the recordings of others here"
	noProcess = "process families: no source reads them yet"
)

// provoked are the panels and annotations that show nothing, or 0, until something happens, and what the test does for it.
// They must have a series above 0.
var provoked = map[string]string{
	"Real or simulated":             "the first exporter simulates a GPU",
	"Hot":                           "85 °C in the file of a sensor",
	"Lost":                          "a card is taken away",
	"Asleep":                        "a case of a card that sleeps",
	"Firing alerts":                 "the same 85 °C, for long enough",
	"Alerts":                        "the same, and one of ours that is of no host",
	"Throttled, by reason":          "a bit in gpu_metrics",
	"Rejected readings by quantity": "a million degrees",
	"Failed writes of the history":  "a history below a file, where no folder can be",
	"WebSocket clients dropped":     "one client more than may be",
	"Exporter restarts":             "an exporter that is ended and started again",
	"Driver changes":                "another version of the kernel, when it starts again",
	"HTTP requests":                 "the scrapes",
	"New series of a scrape":        "the first scrapes",
}

// process is an exporter beside that of the stack.
type process struct {
	address string
	cmd     *exec.Cmd
}

func startExporter(t *testing.T, program, address, tree string, flags ...string) *process {
	t.Helper()
	cmd := exec.Command(program, slices.Concat(quickly, onTree(tree), []string{"--web.listen-address=" + address}, flags)...)
	cmd.Env = append(cmd.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{address, cmd}
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s:\n%s", tree, &log)
		}
	})
	return p
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%s ended: %v", p.address, err)
	}
}

// quickly makes changes of the tree seen soon.
var quickly = []string{"--rescan.interval=200ms", "--polling.interval=200ms"}

func onTree(tree string) []string {
	return []string{"--path.sysfs=" + filepath.Join(tree, "sys"), "--path.procfs=" + filepath.Join(tree, "proc")}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// treeOf is a case that may be changed, with a kernel of that version.
func treeOf(t *testing.T, name string) string {
	t.Helper()
	tree, err := hwcase.Case{Name: name, Dir: cases + name}.Tree(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	setKernel(t, tree, "6.1.0")
	return tree
}

func setKernel(t *testing.T, tree, version string) {
	t.Helper()
	dir := filepath.Join(tree, "proc/sys/kernel")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "osrelease"), []byte(version+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// addCard puts the card of a case into a tree, under a number and address of its own.
func addCard(t *testing.T, tree, from string, number int, address string) (card string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(treeOf(t, from), "sys/class/drm/card[0-9]"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s has the cards %v, %v; want one", from, found, err)
	}
	uevent := filepath.Join(found[0], "device/uevent")
	text, err := os.ReadFile(uevent)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^PCI_SLOT_NAME=.*$`).ReplaceAll(text, []byte("PCI_SLOT_NAME="+address))
	if err := os.WriteFile(uevent, text, 0o644); err != nil {
		t.Fatal(err)
	}
	card = filepath.Join(tree, "sys/class/drm", "card"+strconv.Itoa(number))
	if err := os.Rename(found[0], card); err != nil {
		t.Fatal(err)
	}
	return card
}

// overwrite changes a file in place, as a driver does: a kept descriptor sees it.
func overwrite(t *testing.T, content string, at int64, path ...string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(path...))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v: %v, %v; want one", path, found, err)
	}
	f, err := os.OpenFile(found[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(content), at); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// recording is a target that tells what an exporter told of another machine, as long as it is up.
type recording struct {
	address string
	down    atomic.Bool
}

func startRecording(t *testing.T, text string) *recording {
	t.Helper()
	r := &recording{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if r.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(text)) // to a scrape that has ended
	}))
	t.Cleanup(server.Close)
	r.address = server.Listener.Addr().String()
	return r
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// nameless is the address of a GPU of Windows that is not told its place, as metrics.md 1 has it.
const nameless = `pnp:PCI\VEN_10DE&DEV_1B81\4&1`

// namelessCase is the Windows case with such a GPU, of which no name is known.
func namelessCase(t *testing.T) string {
	t.Helper()
	text := readFile(t, checkout+"/testdata/cases/windows/kernel-alone/expected.prom")
	text = strings.ReplaceAll(text, "0001:01:00.0", strings.ReplaceAll(nameless, `\`, `\\`))
	return strings.ReplaceAll(text, `name="NVIDIA GeForce GTX 1070",`, "")
}

// alertsOfOthers are an alert of somebody else, and one of ours that is of no host.
const alertsOfOthers = `groups:
- name: others
  rules:
  - {alert: NodeDiskFull, expr: vector(1), labels: {job: node, instance: nodehost, severity: critical}}
  - {alert: GpuOfNoHost, expr: vector(1), labels: {service: gpu-stats-service, severity: critical}}
`

// prometheusConfig scrapes the exporters of other hosts beside that of the stack, which have the label of a cluster, and a
// node that has none.
func prometheusConfig(t *testing.T, others map[string]string, node string) string {
	t.Helper()
	rules, err := filepath.Abs(checkout + "/alerts/rules")
	if err != nil {
		t.Fatal(err)
	}
	const protocols = `
  scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0]
  scrape_native_histograms: true
  always_scrape_classic_histograms: true
`
	config := "global: {scrape_interval: 15s, scrape_timeout: 10s, evaluation_interval: 30s}\n" +
		fmt.Sprintf("rule_files: [%s/recording.yml, %s/alerts.yml, %s]\n", rules, rules, writeFile(t, "others.yml", alertsOfOthers)) +
		"scrape_configs:\n- job_name: gpu-stats-service" + protocols +
		"- job_name: prometheus\n- job_name: alertmanager\n" +
		fmt.Sprintf("- {job_name: node, static_configs: [{targets: [%q], labels: {instance: nodehost}}]}\n", node) +
		"- job_name: gpu_exporter" + protocols + "  static_configs:\n"
	for host, address := range others {
		config += fmt.Sprintf("  - {targets: [%q], labels: {instance: %q, cluster: blue}}\n", address, host)
	}
	return writeFile(t, "prometheus.yml", config)
}

// answer is what Prometheus says.
type answer struct {
	Status, Error string
	Data          json.RawMessage
}

// live is a Prometheus that is asked as Grafana would.
type live struct {
	t     *testing.T
	url   string
	began time.Time // ranges are since then
}

func (l live) post(path string, form url.Values) (json.RawMessage, error) {
	l.t.Helper()
	response, err := http.PostForm(l.url+path, form)
	if err != nil {
		l.t.Fatal(err)
	}
	defer response.Body.Close()
	var a answer
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		l.t.Fatalf("%s: %s: %v", path, response.Status, err)
	}
	if a.Status != "success" {
		return nil, fmt.Errorf("%s", a.Error)
	}
	return a.Data, nil
}

// choice is what is chosen, else all is. Of a page where one GPU is chosen it must have one.
type choice struct{ instance, gpu string }

// filledIn is an expression with its variables put in. The durations of an annotation are hurried: no test lasts so long.
func (c choice) filledIn(expr string) string {
	// As Grafana puts in a variable of which one value is chosen.
	single := func(value string) string { return strings.ReplaceAll(value, `\`, `\\`) }
	return strings.NewReplacer(
		"$__rate_interval", "1m", "$__range", "1h", "$job", ".+", "$cluster", ".*",
		"$instance", cmp.Or(single(c.instance), ".+"), "$vendor", ".*", `gpu="$gpu"`, `gpu="`+single(c.gpu)+`"`,
		"$gpu", ".*", "$kind", ".*", "$namespace", ".*", "offset 5m", "offset 5s",
	).Replace(expr)
}

// found is what a query gives: how much, and the greatest value of it.
type found struct {
	series   int
	greatest float64
	labels   []map[string]string
}

// ask puts a query to Prometheus, for each GPU of those that are there where a page wants one.
func (l live) ask(a asked) (all found, err error) {
	l.t.Helper()
	if !strings.Contains(a.expr, `gpu="$gpu"`) {
		return l.askFor(a, choice{})
	}
	for _, gpu := range seen {
		f, err := l.askFor(a, choice{gpu: gpu})
		if err != nil {
			return found{}, err
		}
		all.series, all.greatest = all.series+f.series, max(all.greatest, f.greatest)
	}
	return all, nil
}

func (l live) askFor(a asked, c choice) (found, error) {
	l.t.Helper()
	expr, label := a.promQL()
	expr = c.filledIn(expr)
	if strings.Contains(expr, "$") {
		return found{}, fmt.Errorf("a variable is left: %s", expr)
	}
	if label != "" {
		response, err := http.Get(l.url + "/api/v1/label/" + label + "/values?" + url.Values{"match[]": {expr}}.Encode())
		if err != nil {
			l.t.Fatal(err)
		}
		defer response.Body.Close()
		var values struct {
			Status, Error string
			Data          []string
		}
		if err := json.NewDecoder(response.Body).Decode(&values); err != nil || values.Status != "success" {
			return found{}, fmt.Errorf("%v %s", err, values.Error)
		}
		return found{series: len(values.Data)}, nil
	}
	path, form := "/api/v1/query", url.Values{"query": {expr}}
	if a.over {
		path, form = "/api/v1/query_range", url.Values{
			"query": {expr}, "step": {"2"},
			"start": {strconv.FormatInt(l.began.Unix(), 10)}, "end": {strconv.FormatInt(time.Now().Unix(), 10)},
		}
	}
	data, err := l.post(path, form)
	if err != nil {
		return found{}, err
	}
	var result struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
			Values [][2]any
		}
	}
	if err := json.Unmarshal(data, &result); err != nil {
		return found{}, err
	}
	f := found{series: len(result.Result)}
	for _, series := range result.Result {
		f.labels = append(f.labels, series.Metric)
		values := series.Values
		if !a.over {
			values = [][2]any{series.Value}
		}
		for _, v := range values {
			x, err := strconv.ParseFloat(v[1].(string), 64)
			if err != nil {
				return found{}, err
			}
			f.greatest = max(f.greatest, x)
		}
		if strings.HasPrefix(a.expr, "query_result(") {
			if gpu, name, ok := chosenGPU(series.Metric); !ok || gpu != series.Metric["gpu"] || !strings.HasSuffix(name, gpu) {
				return found{}, fmt.Errorf("the choice of %v is %q, named %q", series.Metric, gpu, name)
			}
		}
	}
	return f, nil
}

// waitFor waits until a query holds.
func (l live) waitFor(expr string) {
	l.t.Helper()
	pause := time.NewTicker(200 * time.Millisecond)
	defer pause.Stop()
	for end := time.After(livePatience); ; {
		f, err := l.ask(asked{expr: expr})
		if err != nil {
			l.t.Fatal(err)
		}
		if f.series > 0 {
			return
		}
		select {
		case <-pause.C:
		case <-end:
			l.t.Fatalf("not seen: %s", expr)
		}
	}
}

// families are those that the cases cannot fill and that a query cannot do without.
func families(a asked) (all []string) {
	if strings.HasSuffix(a.expr, "or vector(0)") {
		return nil
	}
	expr, _ := a.promQL()
	names, _, bare := selectors(expr)
	for _, n := range append(names, bare...) {
		if unfilled[n] != "" {
			all = append(all, n)
		}
	}
	return all
}

// seen are the GPUs of all hosts here.
var seen = []string{"0000:03:00.0", "0000:09:00.0", "0000:0b:00.0", "0000:0c:00.0", "sim:0", "0000:05:00.0", "0000:00:09.0", nameless}

func TestEveryQueryReturnsData(t *testing.T) {
	program := filepath.Join(t.TempDir(), "gpu_exporter")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = checkout
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}

	tree := treeOf(t, "rx7800xt")
	hot := filepath.Join(tree, "sys/class/drm/card1")
	absurd := addCard(t, tree, "rx580", 2, "0000:09:00.0")
	addCard(t, tree, "suspended", 3, "0000:0b:00.0")
	lost := addCard(t, tree, "rx7800xt", 4, "0000:0c:00.0")
	big := treeOf(t, "mi300x-synthetic")

	off := "--collector.simulation=off"
	apu := startExporter(t, program, freeAddress(t), treeOf(t, "apu-phoenix"), off, "--web.max-websockets=1",
		"--history.path="+filepath.Join(writeFile(t, "file", ""), "history"), "--history.flush=1s")
	instinct := startExporter(t, program, freeAddress(t), big, off)
	h100 := startRecording(t, readFile(t, shared+"nvidia/smi-h100-linux-590/expected-load.prom"))
	windows := startRecording(t, namelessCase(t))
	node := startRecording(t, "node_load1 1\n")

	dir := t.TempDir()
	s, err := stack.Start(t.Context(), stack.Options{
		Checkout: checkout, Dir: dir, Host: "gpuhost", Factor: hurried, Exporter: program,
		PrometheusConfig: prometheusConfig(t, map[string]string{
			"apu": apu.address, "instinct": instinct.address, "h100": h100.address, "windows": windows.address,
		}, node.address),
		AlertmanagerConfig: writeFile(t, "alertmanager.yml", "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"),
		ExporterFlags: slices.Concat(quickly, onTree(tree), []string{"--collector.simulation=on", "--simulation.profile=hot",
			"--history.store=memory"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, name := range []string{"exporter", "prometheus"} {
				text, err := os.ReadFile(filepath.Join(dir, name+".log"))
				t.Logf("%s: %v\n%s", name, err, text)
			}
		}
	})
	p := live{t, s.Prometheus, time.Now()}
	for _, gpu := range seen {
		p.waitFor(fmt.Sprintf(`gpu:info:one{gpu=%q}`, gpu))
	}
	// Drivers that were there more than five seconds ago, so that the annotation has something to hold a new one against.
	p.waitFor(`min(count_over_time(gpu_info[1m])) >= 7`)
	h100.down.Store(true) // a gap is no change
	p.waitFor(`absent(gpu_info{instance="h100"})`)
	h100.down.Store(false)
	p.waitFor(`gpu_info{instance="h100"}`)

	overwrite(t, "85000", 0, hot, "device/hwmon/hwmon*/temp1_input")
	const thermal = 112 + 4 // indep_throttle_status of v1_3, its bit 32: amd.md 6.3
	overwrite(t, "\x01", thermal, hot, "device/gpu_metrics")
	overwrite(t, "999999", 0, absurd, "device/hwmon/hwmon*/temp1_input")
	if err := os.Rename(lost, filepath.Join(t.TempDir(), "away")); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		connection, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+apu.address+"/ws/gpus", nil)
		if err == nil {
			defer connection.Close()
		}
		if (err == nil) != (i == 0) {
			t.Fatalf("client %d of a WebSocket: %v", i, err)
		}
	}
	instinct.stop(t)
	setKernel(t, big, "6.2.0")
	startExporter(t, program, instinct.address, big, off)

	everythingAnswers(t, p)
	// For longer than the step of a range.
	p.waitFor(`count_over_time(ALERTS{alertname="GpuTemperatureHigh", alertstate="firing"}[1m]) >= 5`)
	othersAreLeftOut(t, p)
	otherVendorsAnswer(t, p)
	// Over all the time, not at a moment: a mark stands for five seconds here.
	const driverChanges = 1 // place in annotations
	f, err := p.ask(asked{expr: written(annotations[driverChanges].expr), over: true})
	if err != nil || f.series != 1 || f.labels[0]["instance"] != "instinct" || f.labels[0]["driver_version"] != "6.2.0" {
		t.Errorf("told as changed: %v, %v; want the driver of instinct alone", f.labels, err)
	}
}

// othersAreLeftOut asks for alerts and targets: a Prometheus has more of them than ours.
func othersAreLeftOut(t *testing.T, p live) {
	t.Helper()
	for _, b := range boards(t) {
		for _, a := range b.asks(t) {
			names, matchers, _ := selectors(a.expr)
			if slices.Contains(names, "ALERTS") { // the panel counts them
				a.expr = "ALERTS{" + matchers[slices.Index(names, "ALERTS")] + "}"
			} else if a.kind == "variable" || !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(prometheusOwn, n) }) {
				continue
			}
			f, err := p.ask(a)
			if err != nil {
				t.Errorf("%v\n%v", a, err)
			}
			alerts := map[string]bool{}
			for _, labels := range f.labels {
				alerts[labels["alertname"]] = true
				if job := labels["job"]; job != "" && !strings.HasPrefix(job, "gpu") {
					t.Errorf("%v\nshows %v", a, labels)
				}
			}
			if names[0] == "ALERTS" && (!alerts["GpuTemperatureHigh"] || !alerts["GpuOfNoHost"] || alerts["GpuWatchdog"]) {
				t.Errorf("%v\nshows the alerts %v", a, alerts)
			}
		}
	}
}

// otherVendorsAnswer asks what cards of AMD answer in another way.
func otherVendorsAnswer(t *testing.T, p live) {
	t.Helper()
	h100, windows := choice{"h100", "0000:00:09.0"}, choice{"windows", nameless}
	want := map[string][]choice{
		"gpu-compare.json: Margin to the own limit": {h100, windows},
		"gpu-compare.json: Fan duty":                {windows},
		"gpu-detail.json: PCIe traffic":             {h100},
		"gpu-detail.json: Fan":                      {windows},
	}
	for _, b := range boards(t) {
		for _, panel := range b.panels() {
			key := b.file + ": " + *panel.Title
			for _, c := range want[key] {
				series := 0
				for _, q := range targets(t, panel) {
					f, err := p.askFor(asked{expr: q.Expr}, c)
					if err != nil {
						t.Errorf("%s, %s: %v", key, *q.RefId, err)
					}
					series += f.series
				}
				if series == 0 {
					t.Errorf("%s has nothing of %s", key, c.instance)
				}
			}
			delete(want, key)
		}
	}
	for key := range want {
		t.Errorf("there is no %s", key)
	}
}

// everythingAnswers asks what has had no answer yet again and again.
func everythingAnswers(t *testing.T, p live) {
	t.Helper()
	var open, empty []asked
	count := map[string]int{}
	for _, b := range boards(t) {
		for _, a := range b.asks(t) {
			count[a.kind]++
			if len(families(a)) > 0 {
				empty = append(empty, a)
			} else {
				open = append(open, a)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), livePatience)
	defer cancel()
	pause := time.NewTicker(time.Second)
	defer pause.Stop()
	for len(open) > 0 && ctx.Err() == nil {
		var still []asked
		for _, a := range open {
			f, err := p.ask(a)
			switch {
			case err != nil:
				t.Errorf("%v\n%v", a, err)
			case f.series == 0 || provoked[a.title] != "" && f.greatest <= 0:
				still = append(still, a)
			}
		}
		if open = still; len(open) > 0 {
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		}
	}
	for _, a := range open {
		t.Errorf("no data: %v", a)
	}
	needed := map[string]bool{}
	for _, a := range empty {
		f, err := p.ask(a)
		switch {
		case err != nil:
			t.Errorf("%v\n%v", a, err)
		case f.series > 0:
			t.Errorf("%v has data: it needs no exception", a)
		}
		for _, n := range families(a) {
			needed[n] = true
		}
	}
	for family := range unfilled {
		if !needed[family] {
			t.Errorf("nothing asks for %s, which is among the exceptions", family)
		}
	}
	t.Logf("%d queries of panels, %d of variables, %d of annotations; %d of them without data, for the reasons given",
		count["panel"], count["variable"], count["annotation"], len(empty))
}

func TestExceptionsAreThoseOfTheContract(t *testing.T) {
	text, err := os.ReadFile(checkout + "/../shared/reference/amd.md")
	if err != nil {
		t.Skip(err)
	}
	_, list, _ := strings.Cut(string(text), "that no AMD source fills:")
	list, _, ok := strings.Cut(list, ".\n")
	if !ok {
		t.Fatal("the contract has no list of them any more")
	}
	var patterns []string
	for _, name := range strings.Split(list, ",") {
		patterns = append(patterns, strings.ReplaceAll(strings.TrimSpace(name), "*", ".*"))
	}
	allowed := regexp.MustCompile("^(?:gpu_(?:workload|process)_.*|" + strings.Join(patterns, "|") + ")$")
	for family, reason := range unfilled {
		if !allowed.MatchString(family) || (reason == noProcess) != strings.Contains(family, "workload") {
			t.Errorf("%s is no exception of the contract: %s", family, reason)
		}
	}
}
