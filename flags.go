package main

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvidia"
	"gpu_exporter/collector/simulation"
	"gpu_exporter/compat"
	"gpu_exporter/exporter"
	"gpu_exporter/internal/logging"
)

// options are the flags of all commands.
type options struct {
	logLevel    slog.Level
	logLevelSet bool     // by flag or environment
	wrongLevel  string   // what LOG_LEVEL says, where that is no level
	given       []string // the flags of the command line, as lines of an argument file
	logFormat   string
	logFile     string

	interval, deadline, rescan, forgetAfter time.Duration

	sysfs, procfs, rootfs string
	rootfsSet             bool
	amd, firmware         bool

	nvidia struct {
		on           bool
		source, wake string
		smi          string
	}
	// restarted counts the child processes of probes that were ended; set by who counts.
	restarted func(source string, reason collector.RestartReason)

	simulation struct {
		mode, profile string
		gpus          int
		seed          uint64
	}

	history struct {
		store, path      string
		retention, flush time.Duration
	}

	web              *web.FlagConfig
	telemetryPath    string
	timeoutOffset    time.Duration
	maxRequests      int
	include, exclude *regexp.Regexp
	runtimeMetrics   bool
	maxConnections   int
	maxWebSockets    int
	corsOrigin       string
	grafanaURL       string
	frameAncestors   string
	lifecycle, pprof bool
	hosts            []string

	healthURL    string
	doctorFormat string
	once         struct {
		format   string
		samples  int
		interval time.Duration
		out      string
	}
	export exportOptions
}

// legacyInterval is the variable of the service that this one replaces; it counts when neither the flag nor its own
// variable is set.
const legacyInterval = "GPU_POLLING_INTERVAL"

// legacyLevel likewise. Other programs read it too, so that a word that is unknown here is worth a warning only.
const legacyLevel = "LOG_LEVEL"

// newApp defines the flags. Those of the exporter belong to the application, not to serve, so that one argument file and
// one environment serve all commands.
func newApp(o *options) *kingpin.Application {
	app := kingpin.New("gpu_exporter", "Prometheus exporter for GPUs: temperature, load, memory, clocks, power, fans and health of every card.")
	app.Version(version.Print("gpu_exporter"))
	app.HelpFlag.Short('h')
	for _, name := range []string{
		"help", "help-long", "help-man", "version", "completion-bash", "completion-script-bash", "completion-script-zsh",
	} {
		app.GetFlag(name).NoEnvar() // GPU_EXPORTER_VERSION may well mean something else
	}
	app.DefaultEnvars()

	webFlags(app, o)
	collectorFlags(app, o)
	historyFlags(app, o)
	app.Flag("log.level", "Least severity that is logged: debug, info, warn or error.").Default("info").
		HintOptions("debug", "info", "warn", "error").SetValue(newValue("log.level", &o.logLevel, logging.Level))

	app.Flag("log.format", "Form of the lines that are logged: logfmt or json.").Default(logging.Logfmt).
		HintOptions(logging.Logfmt, logging.JSON).SetValue(newValue("log.format", &o.logFormat, oneOf(logging.Logfmt, logging.JSON)))
	app.Flag("log.file", "File to log to beside standard error, set aside at 1 MB and kept for 7 days.").
		PlaceHolder("FILE").StringVar(&o.logFile)

	app.Command("serve", "Serve /metrics; this is done without a command too.")
	healthFlags(app.Command("health", "Ask a running exporter whether it is alive, say so in one line, and exit: 0 if it is, else 1."), o)
	onceFlags(app.Command("once", "Print a reading of all GPUs and exit: 0 if there is a GPU, whatever its state, else 1."), o)
	exportFlags(app.Command("export", "Write what was recorded and exit: 0 if it is all there, else 1. It is read from --history.path, or asked of the exporter that has it open."), o)
	doctorFlags(app.Command("doctor", "Say in plain words which GPUs there are, what is wrong and what to do, and exit: 0 if all is well, 1 if no GPU can be read, 2 if one can but something is wrong (a wrong flag is 2 too, with nothing on standard output). Simulated GPUs do not count, and a GPU that is asleep is well and left so."), o)
	systemCommands(app)
	return app
}

func webFlags(app *kingpin.Application, o *options) {
	o.web = kingpinflag.AddFlags(app, ":5009")
	app.GetFlag("web.listen-address").Help("Address and port to listen on, such as :5009 or [::1]:5009; may be repeated.")
	if f := app.GetFlag("web.systemd-socket"); f != nil { // Linux only
		f.Help("Take the sockets that systemd passes instead of opening --web.listen-address.")
	}
	app.GetFlag("web.config.file").PlaceHolder("FILE").Help("File that turns on TLS, client certificates, passwords and a rate limit (Prometheus web configuration), since without one everybody who reaches the port may read.")
	app.Flag("web.telemetry-path", "Path of the metrics, for a proxy that wants another.").
		Default(exporter.DefaultTelemetryPath).SetValue(newValue("web.telemetry-path", &o.telemetryPath, telemetryPath))
	app.Flag("web.timeout-offset", "Seconds kept back of the scrape timeout that Prometheus tells, so that the answer arrives within it.").
		Default("0.25s").SetValue(newValue("web.timeout-offset", &o.timeoutOffset, within(0, time.Minute, "0 to 1m")))
	app.Flag("web.max-requests", "Scrapes that may run at once; further ones get 503, so that a flood does not use up the machine. 0: no limit.").
		Default(fmt.Sprint(exporter.DefaultMaxRequests)).SetValue(newValue("web.max-requests", &o.maxRequests, count(0, 100000)))
	app.Flag("web.max-connections", "Connections that may be open at once on each address; further ones wait, so that idle clients do not use up the descriptors.").
		Default("2000").SetValue(newValue("web.max-connections", &o.maxConnections, count(1, 100000)))
	app.Flag("web.max-websockets", "Clients of the WebSockets that may be there at once; further ones get 503. They count among the connections.").
		Default("1000").SetValue(newValue("web.max-websockets", &o.maxWebSockets, count(0, 100000)))
	app.Flag("web.cors-origin", "The one origin whose pages may read the JSON and open the WebSockets, such as https://jarvis.example; * is any. /metrics, /-/ and /debug/ are never open to other pages.").
		Default("*").StringVar(&o.corsOrigin)
	app.Flag("web.grafana-url", "Address of the Grafana that the page at / links to, such as https://grafana.example; by default there is no link.").
		PlaceHolder("URL").SetValue(newValue("web.grafana-url", &o.grafanaURL, webURL))
	app.Flag("web.frame-ancestors", "Origins whose pages may show the page at / in a frame, separated by blanks, such as https://grafana.example; * is any, 'none' none.").
		Default("*").SetValue(newValue("web.frame-ancestors", &o.frameAncestors, frameAncestors))
	app.Flag("web.enable-lifecycle", "Let POST /-/reload reload the configuration, as SIGHUP always does.").
		SetValue(newSwitch("web.enable-lifecycle", &o.lifecycle))
	app.Flag("web.allowed-host", "Name under which requests that change something may come, beside addresses and localhost; may be repeated. It keeps pages of other sites from asking.").
		PlaceHolder("NAME").StringsVar(&o.hosts)
	app.Flag("web.enable-pprof", "Serve profiles of the exporter itself below /debug/pprof/.").
		SetValue(newSwitch("web.enable-pprof", &o.pprof))
	app.Flag("web.runtime-metrics", "Serve go_* and process_* metrics of the exporter itself too.").
		SetValue(newSwitch("web.runtime-metrics", &o.runtimeMetrics))
	app.Flag("metrics.include", "Regular expression for whole names of GPU metrics to serve, to store fewer series; may be repeated. gpu_info, gpu_up and gpu_state are always served.").
		PlaceHolder("REGEXP").SetValue(newPatterns("metrics.include", &o.include))
	app.Flag("metrics.exclude", "Regular expression for whole names of GPU metrics to leave out; may be repeated, wins over --metrics.include.").
		PlaceHolder("REGEXP").SetValue(newPatterns("metrics.exclude", &o.exclude))
}

func collectorFlags(app *kingpin.Application, o *options) {
	app.Flag("polling.interval", "Time between readings, 200ms to 5m, or 0 to read only when a scrape asks.").
		Default("1s").SetValue(newValue("polling.interval", &o.interval, pollingInterval))
	app.Flag("polling.deadline", "Time after which a GPU that has not answered counts as hung, 10ms to 1m.").
		Default("2s").SetValue(newValue("polling.deadline", &o.deadline, within(10*time.Millisecond, time.Minute, "10ms to 1m")))
	app.Flag("rescan.interval", "Time between searches for GPUs that came, went or got their driver anew, 200ms to 1h.").
		Default("30s").SetValue(newValue("rescan.interval", &o.rescan, within(200*time.Millisecond, time.Hour, "200ms to 1h")))
	app.Flag("forget-after", "Time for which a lost GPU is still told of, so that an alert on it does not end by itself.").
		Default("1h").SetValue(newValue("forget-after", &o.forgetAfter, within(time.Second, 8760*time.Hour, "1s to 8760h")))
	app.Flag("path.sysfs", "Folder where sysfs is mounted, another than /sys in some containers.").
		Default("/sys").SetValue(newValue("path.sysfs", &o.sysfs, folder))
	app.Flag("path.procfs", "Folder where procfs is mounted.").
		Default("/proc").SetValue(newValue("path.procfs", &o.procfs, folder))
	app.Flag("path.rootfs", "Folder where the root of the host is mounted, for its lists of GPU names; unless it is given, none is read when --path.sysfs is not /sys.").
		Default("/").IsSetByUser(&o.rootfsSet).SetValue(newValue("path.rootfs", &o.rootfs, folder))
	app.Flag("collector.amd", "Read AMD GPUs: on Windows through AMD's own library, beside what Windows tells itself.").Default("true").SetValue(newSwitch("collector.amd", &o.amd))
	nvidiaFlags(app, o)
	app.Flag("collector.simulation", "Simulated GPUs: auto while no other was ever found, so that a dashboard shows something anywhere; on beside what there is; or off.").
		Default(simulationAuto).HintOptions(simulationAuto, simulationOn, simulationOff).
		SetValue(newValue("collector.simulation", &o.simulation.mode, oneOf(simulationAuto, simulationOn, simulationOff)))
	app.Flag("simulation.gpus", "Number of simulated GPUs.").Default("1").
		SetValue(newValue("simulation.gpus", &o.simulation.gpus, count(1, 1000)))
	app.Flag("simulation.seed", "Number that decides the course of the simulated GPUs.").Default("0").
		SetValue(newValue("simulation.seed", &o.simulation.seed, func(s string) (uint64, error) {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("take a whole number from 0")
			}
			return n, nil
		}))
	app.Flag("simulation.profile", "Course of the simulated GPUs: normal, or hot, which passes 95 degrees Celsius so that alerts fire.").
		Default(string(simulation.Normal)).HintOptions(string(simulation.Normal), string(simulation.Hot)).
		SetValue(newValue("simulation.profile", &o.simulation.profile, oneOf(string(simulation.Normal), string(simulation.Hot))))
	app.Flag("collector.firmware", "Read firmware versions too (gpu_firmware_info), some dozen series a GPU.").
		SetValue(newSwitch("collector.firmware", &o.firmware))
}

// When a sleeping NVIDIA GPU is woken to be read.
const (
	wakeNever  = "never"
	wakeAlways = "always"
)

func nvidiaFlags(app *kingpin.Application, o *options) {
	n := &o.nvidia
	app.Flag("collector.nvidia", "Read NVIDIA GPUs: on Windows through NVIDIA's own library and nvidia-smi, beside what Windows tells itself.").Default("true").SetValue(newSwitch("collector.nvidia", &n.on))
	app.Flag("collector.nvidia.source", "How NVIDIA GPUs are read: auto, which takes the best there is, nvml (Windows) or nvidia-smi.").
		Default(nvidia.SourceAuto).HintOptions(nvidia.SourceAuto, nvidia.SourceNVML, nvidia.SourceSMI).
		SetValue(newValue("collector.nvidia.source", &n.source, func(s string) (string, error) {
			if s == nvidia.SourceNVML && runtime.GOOS != "windows" {
				return "", fmt.Errorf("this build reads through NVML on Windows only, take %s or %s", nvidia.SourceAuto, nvidia.SourceSMI)
			}
			return oneOf(nvidia.SourceAuto, nvidia.SourceNVML, nvidia.SourceSMI)(s)
		}))
	app.Flag("collector.nvidia.smi-path", "The nvidia-smi to call; by default it is looked for in PATH and where drivers put it, once an NVIDIA GPU is seen.").
		PlaceHolder("FILE").StringVar(&n.smi)
	app.Flag("collector.nvidia.wake", "Whether an NVIDIA GPU that sleeps, as in a laptop, is woken to be read: never or always.").
		Default(wakeNever).HintOptions(wakeNever, wakeAlways).
		SetValue(newValue("collector.nvidia.wake", &n.wake, oneOf(wakeNever, wakeAlways)))
}

// Where the history is kept.
const (
	storeMemory = "memory"
	storeFile   = "file"
)

func historyFlags(app *kingpin.Application, o *options) {
	app.Flag("history.store", "Where the past is kept beyond the last hour, which is always in memory: file, so that it survives a restart, or memory, and then not at all.").
		Default(storeFile).HintOptions(storeFile, storeMemory).
		SetValue(newValue("history.store", &o.history.store, oneOf(storeFile, storeMemory)))
	app.Flag("history.path", "Folder of the file with the past; by default $CACHE_DIRECTORY, which systemd sets, else gpu_exporter in the cache folder of the user.").
		PlaceHolder("FOLDER").StringVar(&o.history.path)
	app.Flag("history.retention", "Time for which the past is kept in the file, 1h to 30d.").
		Default("24h").SetValue(newValue("history.retention", &o.history.retention, days(within(time.Hour, 30*24*time.Hour, "1h to 30d"))))
	app.Flag("history.flush", "Time between writes to the file, 1s to 10m: as much is lost at most when the machine or the exporter dies.").
		Default("30s").SetValue(newValue("history.flush", &o.history.flush, within(time.Second, 10*time.Minute, "1s to 10m")))
}

// historyFolder is where the file with the past is. It is empty where there is no such folder.
func (o *options) historyFolder() string {
	if o.history.path != "" {
		return o.history.path
	}
	// systemd may be told of more than one folder.
	if first, _, _ := strings.Cut(os.Getenv("CACHE_DIRECTORY"), ":"); first != "" {
		return first
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return "" // there is no user with a home
	}
	return filepath.Join(folder, "gpu_exporter")
}

func healthFlags(cmd *kingpin.CmdClause, o *options) {
	cmd.Arg("url", "Address to ask; by default that of an exporter on this machine with the same flags.").StringVar(&o.healthURL)
}

func onceFlags(cmd *kingpin.CmdClause, o *options) {
	cmd.Flag("format", "What is printed: prom (text format, the last sample only), json (the body of GET /gpus, one line a sample), csv or table.").
		Default("table").Envar("GPU_EXPORTER_ONCE_FORMAT").HintOptions(formats...).
		SetValue(newValue("format", &o.once.format, oneOf(formats...)))
	cmd.Flag("samples", "Number of readings.").
		Default("1").Envar("GPU_EXPORTER_ONCE_SAMPLES").SetValue(newValue("samples", &o.once.samples, count(1, math.MaxInt32)))
	cmd.Flag("interval", "Time between readings.").
		Default("1s").Envar("GPU_EXPORTER_ONCE_INTERVAL").SetValue(newValue("interval", &o.once.interval, within(0, 24*time.Hour, "0 to 24h")))
	cmd.Flag("out", "File to write instead of standard output; it is renamed into place when it is whole, as the textfile collector of node_exporter needs it.").
		Envar("GPU_EXPORTER_ONCE_OUT").PlaceHolder("FILE").StringVar(&o.once.out)
}

func exportFlags(cmd *kingpin.CmdClause, o *options) {
	e := &o.export
	cmd.Flag("format", "What is written: csv with a header line, or json, one object a line; both have all columns.").
		Default(compat.FormatCSV).Envar("GPU_EXPORTER_EXPORT_FORMAT").HintOptions(compat.FormatCSV, compat.FormatJSON).
		SetValue(newValue("format", &e.format, oneOf(compat.FormatCSV, compat.FormatJSON)))
	cmd.Flag("gpu", "Address, uuid or place (from 0) of the one GPU to write; by default all are.").
		Envar("GPU_EXPORTER_EXPORT_GPU").PlaceHolder("GPU").StringVar(&e.gpu)
	cmd.Flag("from", "Time of the first entry, in Unix seconds or as 2026-11-25T19:00:00Z; by default all there is.").
		Envar("GPU_EXPORTER_EXPORT_FROM").PlaceHolder("TIME").SetValue(newValue("from", &e.from, compat.ParseTime))
	cmd.Flag("to", "Time before which the last entry is, in Unix seconds or as 2026-11-25T20:00:00Z; by default all there is.").
		Envar("GPU_EXPORTER_EXPORT_TO").PlaceHolder("TIME").SetValue(newValue("to", &e.to, compat.ParseTime))
	cmd.Flag("step", "Time, 1s to 720h, of which one mean is written, with the least and the most where it is longer than --polling.interval; by default each entry is written.").
		Envar("GPU_EXPORTER_EXPORT_STEP").PlaceHolder("STEP").SetValue(newValue("step", &e.step, compat.ParseStep))
	cmd.Flag("out", "File to write instead of standard output; it is renamed into place when it is whole.").
		Envar("GPU_EXPORTER_EXPORT_OUT").PlaceHolder("FILE").StringVar(&e.out)
	cmd.Flag("url", "Exporter to ask where the file cannot be opened because it is in use, such as http://NAME:PASSWORD@localhost:5009 where it wants a password.").
		Default("http://localhost:5009").Envar("GPU_EXPORTER_EXPORT_URL").StringVar(&e.url)
}

func doctorFlags(cmd *kingpin.CmdClause, o *options) {
	cmd.Flag("format", "What is printed: text for people, or json, one object with the findings and the exit status.").
		Default("text").Envar("GPU_EXPORTER_DOCTOR_FORMAT").HintOptions("text", "json").
		SetValue(newValue("format", &o.doctorFormat, oneOf("text", "json")))
}

// parse reads the command line and the environment. The command is empty where help was asked for and printed.
func parse(args []string, p program) (string, *options, error) {
	o := &options{}
	app := newApp(o)
	ended := false
	app.Terminate(func(int) { ended = true }).UsageWriter(p.out).ErrorWriter(p.err)
	intervalSet := false
	app.GetFlag("polling.interval").IsSetByUser(&intervalSet)
	app.GetFlag("log.level").IsSetByUser(&o.logLevelSet)
	app.GetFlag("path.rootfs").IsSetByUser(&o.rootfsSet)

	context, err := app.ParseContext(args)
	switch {
	case asked(context, app.GetFlag("completion-bash")): // of a line that may end anywhere
	case err != nil && context.SelectedCommand == nil && context.Peek().Type == kingpin.TokenArg:
		return "", nil, fmt.Errorf("unknown command %q: take serve, once, export, doctor or health", context.Peek())
	case err != nil:
		return "", nil, err
	}
	if printed, err := help(app, context); printed || err != nil {
		return "", nil, err
	}
	if context.SelectedCommand == nil && !asked(context, app.HelpFlag) {
		// Not Default() of kingpin: with one, a flag at the end whose value was forgotten goes unnoticed.
		args = append([]string{"serve"}, args...)
	}
	command, err := app.Parse(args)
	if ended {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	o.given = given(context)
	o.logLevelSet = o.logLevelSet || os.Getenv("GPU_EXPORTER_LOG_LEVEL") != ""
	if name := os.Getenv(legacyLevel); name != "" && !o.logLevelSet {
		if level, err := logging.Level(name); err != nil {
			o.wrongLevel = name
		} else {
			o.logLevel, o.logLevelSet = level, true
		}
	}
	o.rootfsSet = o.rootfsSet || os.Getenv("GPU_EXPORTER_PATH_ROOTFS") != ""
	if v := os.Getenv(legacyInterval); v != "" && !intervalSet && os.Getenv("GPU_EXPORTER_POLLING_INTERVAL") == "" {
		if o.interval, err = pollingInterval(v); err != nil {
			return "", nil, fmt.Errorf("%s=%s: %w", legacyInterval, v, err)
		}
	}
	return command, o, o.check()
}

// asked says whether the flag stands on the command line.
func asked(context *kingpin.ParseContext, flag *kingpin.FlagClause) bool {
	return slices.ContainsFunc(context.Elements, func(e *kingpin.ParseElement) bool { return e.Clause == flag })
}

// given are the flags of the command line, as lines of an argument file.
func given(context *kingpin.ParseContext) (lines []string) {
	for _, e := range context.Elements {
		flag, ok := e.Clause.(*kingpin.FlagClause)
		if !ok {
			continue
		}
		switch m := flag.Model(); {
		case !m.IsBoolFlag():
			lines = append(lines, "--"+m.Name+"="+*e.Value)
		case *e.Value == "true":
			lines = append(lines, "--"+m.Name)
		default:
			lines = append(lines, "--no-"+m.Name)
		}
	}
	return lines
}

// relative says which flag has a path that means something else in another folder.
func (o *options) relative() error {
	for name, path := range map[string]string{
		"web.config.file": *o.web.WebConfigFile, "history.path": o.history.path, "log.file": o.logFile,
	} {
		if path != "" && !filepath.IsAbs(path) {
			return told(name, path, fmt.Errorf("write the whole path, since a service runs in a folder of the system"))
		}
	}
	return nil
}

// help prints what the hidden flags ask for, which kingpin would send to the standard output of the process.
func help(app *kingpin.Application, context *kingpin.ParseContext) (bool, error) {
	for name, template := range map[string]string{
		"help-long":              kingpin.LongHelpTemplate,
		"help-man":               manTemplate(),
		"completion-script-bash": kingpin.BashCompletionTemplate,
		"completion-script-zsh":  kingpin.ZshCompletionTemplate,
	} {
		if asked(context, app.GetFlag(name)) {
			return true, app.UsageForContextWithTemplate(context, 2, template)
		}
	}
	return false, nil
}

// manTemplate is kingpin's but for the head, where the many lines of the version have no place, and the line that
// whatis shows.
func manTemplate() string {
	return strings.NewReplacer(
		`.TH {{.App.Name}} 1 {{.App.Version}} "{{.App.Author}}"`, fmt.Sprintf(`.TH {{.App.Name}} 1 "" "{{.App.Name}} %s"`, version.Version),
		".SH \"NAME\"\n{{.App.Name}}\n", ".SH \"NAME\"\n{{.App.Name}} \\- Prometheus exporter for GPUs\n",
	).Replace(kingpin.ManPageTemplate)
}

// check refuses what no single flag can.
func (o *options) check() error {
	for _, address := range *o.web.WebListenAddresses {
		if _, _, err := net.SplitHostPort(address); err != nil || strings.Contains(address, "://") {
			return fmt.Errorf("--web.listen-address=%s: write host:port or :port", address)
		}
	}
	return nil
}

// logger is the log of a command: on standard error, and in the file that was asked for.
func (o *options) logger(stderr io.Writer, level slog.Level) (*slog.Logger, *logging.File) {
	log := logging.New(stderr, o.logFormat, level)
	if o.wrongLevel != "" {
		log.Warn("LOG_LEVEL is not heeded: it is none of debug, info, warn, error", "value", o.wrongLevel)
	}
	if o.logFile == "" {
		return log, nil
	}
	file := logging.NewFile(o.logFile, log)
	return logging.New(io.MultiWriter(stderr, file), o.logFormat, level), file
}

// hostRoot is the folder below which lists of names may be read; none where the GPUs are not those of this host.
func (o *options) hostRoot() string {
	if !o.rootfsSet && filepath.Clean(o.sysfs) != "/sys" {
		return ""
	}
	return o.rootfs
}

func telemetryPath(s string) (string, error) {
	if len(s) < 2 || s[0] != '/' || path.Clean(s) != s || strings.ContainsAny(s, "{}?#% \t") {
		return "", fmt.Errorf("write a path such as /metrics, not / itself")
	}
	return s, nil
}

func webURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return "", fmt.Errorf("write an address such as https://grafana.example, without a password")
	}
	return u.String(), nil
}

// ancestorForm is what may stand in a list of frame-ancestors beside 'self' and 'none': nothing that would end it.
var ancestorForm = regexp.MustCompile(`^(\*|https?:|(https?://)?(\*\.)?[A-Za-z0-9._-]+(:(\d+|\*))?/?|(https?://)?\[[0-9A-Fa-f:]+\](:(\d+|\*))?/?)$`)

func frameAncestors(s string) (string, error) {
	words := strings.Fields(s)
	for i, w := range words {
		if w == "self" || w == "none" { // a shell took the quotes
			w = "'" + w + "'"
			words[i] = w
		}
		if alone := w == "'none'"; !alone && w != "'self'" && !ancestorForm.MatchString(w) || alone && len(words) > 1 {
			return "", fmt.Errorf("write *, 'none', 'self' or origins such as https://grafana.example, separated by blanks")
		}
	}
	if len(words) == 0 {
		return "", fmt.Errorf("write 'none' where no page may")
	}
	return strings.Join(words, " "), nil
}

func folder(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("write the path of a folder")
	}
	return s, nil
}

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", fmt.Errorf("take one of %s", strings.Join(words, ", "))
		}
		return s, nil
	}
}
