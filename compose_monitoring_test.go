package main

import (
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v2"

	"gpu_exporter/internal/hwcase"
)

const (
	oldService       = "gpu-stats-service"
	prometheusConfig = "deploy/prometheus/prometheus.yml"
	prometheusOld    = "deploy/prometheus/prometheus-2.42.yml"
	alertmanagerFile = "alerts/alertmanager/alertmanager.yml"
	datasourcesFile  = "deploy/grafana/provisioning/datasources/prometheus.yml"
	providersFile    = "deploy/grafana/provisioning/dashboards/gpu.yml"
	secretsFolder    = "deploy/secrets"
)

// monitoringCompose is the shipped file with its profile, as it lies in this repository.
func monitoringCompose(t testing.TB, env types.Mapping) *types.Project {
	t.Helper()
	folder, err := filepath.Abs(filepath.Dir(composeFile))
	if err != nil {
		t.Fatal(err)
	}
	return ourCompose(t, folder, env, "monitoring")
}

// inRepository is a path of this machine as one of the repository.
func inRepository(t testing.TB, path string) string {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(root, path)
	if err != nil {
		t.Fatal(err)
	}
	return relative
}

// watcher is a service of the profile, as monitoring.md 5 has it.
type watcher struct {
	image, port, user, data, ready, cpus string
	megabytes                            int64
}

var watchers = map[string]watcher{
	"prometheus": {"prom/prometheus:v3.16.0", "127.0.0.1:9090:9090", "65534:65534", "prometheus-data:/prometheus",
		"http://127.0.0.1:9090/-/ready", "1", 512},
	"alertmanager": {"prom/alertmanager:v0.35.0", "127.0.0.1:9093:9093", "65534:65534", "alertmanager-data:/alertmanager",
		"http://127.0.0.1:9093/-/ready", "0.25", 128},
	"grafana": {"grafana/grafana:13.2.3", "127.0.0.1:3001:3000", "472:0", "grafana-data:/var/lib/grafana",
		"http://127.0.0.1:3000/api/health", "0.5", 512},
}

func TestMonitoringIsAProfile(t *testing.T) {
	project := ourCompose(t, "/opt/Jarvis-ai", nil, "monitoring")
	want := []string{"alertmanager", oldService, "grafana", "prometheus"}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(project.Services)); !slices.Equal(got, want) {
		t.Errorf("services with the profile: %v, want %v", got, want)
	}
	if d := cmp.Diff(composedService, rows(t, project.Services[oldService])); d != "" {
		t.Errorf("with the profile the exporter is another (-want +got):\n%s", d)
	}
	if d := cmp.Diff(composedNetworks, rows(t, project.Networks)); d != "" {
		t.Errorf("with the profile the network is another (-want +got):\n%s", d)
	}
}

func TestMonitoringServices(t *testing.T) {
	project := monitoringCompose(t, nil)
	for name, want := range watchers {
		s := project.Services[name]
		got := watcher{image: s.Image, user: s.User}
		for _, p := range s.Ports {
			got.port += p.HostIP + ":" + p.Published + ":" + strconv.Itoa(int(p.Target))
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeVolume {
				got.data += v.Source + ":" + v.Target
				if _, known := project.Volumes[v.Source]; !known {
					t.Errorf("%s: the volume %s is not declared", name, v.Source)
				}
			}
		}
		if c := s.HealthCheck; c != nil && len(c.Test) > 0 {
			got.ready = c.Test[len(c.Test)-1]
			if !slices.Equal(c.Test[:len(c.Test)-1], []string{"CMD", "wget", "-q", "--spider"}) {
				t.Errorf("%s: health check %q: the images have nothing but busybox's wget", name, c.Test)
			}
			if c.Interval == nil || c.Timeout == nil || c.Retries == nil || c.StartPeriod == nil {
				t.Errorf("%s: health check without times: %+v", name, c)
			}
		}
		if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
			got.megabytes = int64(s.Deploy.Resources.Limits.MemoryBytes) >> 20
			got.cpus = strconv.FormatFloat(float64(s.Deploy.Resources.Limits.NanoCPUs.Value()), 'g', -1, 32)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(watcher{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// What keeps one of them from doing harm, should it be taken over.
func TestMonitoringServicesMayDoLittle(t *testing.T) {
	project := monitoringCompose(t, nil)
	for name := range watchers {
		s := project.Services[name]
		for what, holds := range map[string]bool{
			"belongs to the profile alone":              slices.Equal(s.Profiles, []string{"monitoring"}),
			"has a read-only root":                      s.ReadOnly,
			"has a tmpfs on /tmp alone":                 slices.Equal(s.Tmpfs, []string{"/tmp"}),
			"has no capability":                         slices.Equal(s.CapDrop, []string{"ALL"}) && len(s.CapAdd) == 0,
			"gains no privilege":                        slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) && !s.Privileged,
			"shares no namespace":                       s.NetworkMode+s.Pid+s.Ipc+s.Uts == "",
			"has no device":                             len(s.Devices) == 0,
			"restarts unless stopped":                   s.Restart == "unless-stopped",
			"waits for no other":                        len(s.DependsOn) == 0,
			"is in JARVIS's network at no address":      len(s.Networks) == 1 && s.Networks["jarvis_network"] == nil,
			"has a name that a second project may have": s.ContainerName == "",
		} {
			if !holds {
				t.Errorf("not so: %s %s", name, what)
			}
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open on %q", name, p.Published, p.HostIP)
			}
		}
	}
}

func TestMonitoringPortOfGrafana(t *testing.T) {
	s := monitoringCompose(t, types.Mapping{"GRAFANA_PORT": "3999"}).Services["grafana"]
	if got := s.Ports[0].Published; got != "3999" {
		t.Errorf("published at %s, want 3999", got)
	}
	if got := s.Environment["GF_SERVER_ROOT_URL"]; got == nil || *got != "http://localhost:3999/" {
		t.Errorf("root URL %v: links of Grafana would lead elsewhere", got)
	}
}

func TestMonitoringGrafanaIsClosed(t *testing.T) {
	got := monitoringCompose(t, nil).Services["grafana"].Environment
	for name, want := range map[string]string{
		"GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/grafana_admin_password",
		"GF_AUTH_ANONYMOUS_ENABLED":        "false",
		"GF_USERS_ALLOW_SIGN_UP":           "false",
		"GF_ANALYTICS_REPORTING_ENABLED":   "false",
		"GF_ANALYTICS_CHECK_FOR_UPDATES":   "false",
	} {
		if got[name] == nil || *got[name] != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
}

// What is started is what the rules and messages are proved with.
func TestMonitoringVersionsAreThoseOfOurTools(t *testing.T) {
	mod, err := os.ReadFile("tools/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ service, module, from, to string }{
		{"prometheus", "github.com/prometheus/prometheus", `^v0\.(\d+?)(\d\d)\.`, "v$1.$2."}, // v0.316.0 is 3.16.0
		{"alertmanager", "github.com/prometheus/alertmanager", "^", ""},
	} {
		found := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(c.module) + ` (v\S+)`).FindSubmatch(mod)
		if found == nil {
			t.Fatalf("tools/go.mod has no %s", c.module)
		}
		want := regexp.MustCompile(c.from).ReplaceAllString(string(found[1]), c.to)
		if _, tag, _ := strings.Cut(watchers[c.service].image, ":"); tag != want {
			t.Errorf("%s is %s, the tool %s", c.service, tag, want)
		}
	}
}

// Docker makes a folder that is missing, and a Prometheus without rules looks healthy.
func TestMonitoringMountsWhatIsThere(t *testing.T) {
	for name, s := range monitoringCompose(t, nil).Services {
		if name == oldService {
			continue
		}
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if info, err := os.Stat(v.Source); err != nil || !info.IsDir() {
				// A file would go on being the old one after an editor has put a new one in its place.
				t.Errorf("%s: %s is no folder of the repository: %v", name, inRepository(t, v.Source), err)
			}
			if !v.ReadOnly || v.Bind == nil || bool(v.Bind.CreateHostPath) {
				t.Errorf("%s: %s can be written, or would be made", name, v.Target)
			}
		}
	}
}

// With JARVIS's folder as project directory everything of ours is still found, and nothing there taken for it.
func TestMonitoringIsFoundFromAnotherProject(t *testing.T) {
	project := ourCompose(t, "/opt/Jarvis-ai", types.Mapping{"GPU_EXPORTER_HOME": "/opt/gpu_exporter"}, "monitoring")
	var paths []string
	for name := range watchers {
		for _, v := range project.Services[name].Volumes {
			if v.Type == types.VolumeTypeBind {
				paths = append(paths, v.Source)
			}
		}
	}
	for _, s := range project.Secrets {
		paths = append(paths, s.File)
	}
	for _, path := range paths {
		if !strings.HasPrefix(path, "/opt/gpu_exporter/") {
			t.Errorf("%s is not below GPU_EXPORTER_HOME", path)
		}
	}
	if len(paths) < 8 {
		t.Errorf("only %d paths: %v", len(paths), paths)
	}
}

// secretTarget is where a service finds a secret.
func secretTarget(s types.ServiceSecretConfig) string {
	if filepath.IsAbs(s.Target) {
		return s.Target
	}
	return "/run/secrets/" + s.Source
}

func TestMonitoringSecrets(t *testing.T) {
	project := monitoringCompose(t, nil)
	used := map[string]string{} // places by secret
	for _, s := range project.Services {
		for _, secret := range s.Secrets {
			used[secret.Source] = secretTarget(types.ServiceSecretConfig(secret))
			if secret.Mode != nil || secret.UID != "" || secret.GID != "" {
				t.Errorf("%s: compose ignores mode and owner of a secret that is a file", secret.Source)
			}
		}
	}
	var config struct {
		Global struct {
			Password string `yaml:"smtp_auth_password_file"`
			Webhook  string `yaml:"slack_api_url_file"`
		}
	}
	decodeFile(t, alertmanagerFile, &config)
	want := map[string]string{
		"smtp_password":          config.Global.Password,
		"slack_webhook_url":      config.Global.Webhook,
		"grafana_admin_password": "/run/secrets/grafana_admin_password",
	}
	if d := cmp.Diff(want, used); d != "" {
		t.Errorf("places of the secrets (-want +got):\n%s", d)
	}
	for name, secret := range project.Secrets {
		if got, want := inRepository(t, secret.File), secretsFolder+"/"+name; got != want {
			t.Errorf("%s is the file %s, want %s", name, got, want)
		}
	}
}

func TestSecretsAreNotCommitted(t *testing.T) {
	if _, err := os.Stat(".git"); err != nil {
		t.Skip(err)
	}
	for name := range monitoringCompose(t, nil).Secrets {
		if err := exec.Command("git", "check-ignore", "-q", secretsFolder+"/"+name).Run(); err != nil {
			t.Errorf("git does not ignore %s: %v", name, err)
		}
	}
}

// decodeFile decodes a file into a type that has a part of its settings.
func decodeFile(t testing.TB, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// scrapeFile is what the tests look at in a configuration of Prometheus.
type scrapeFile struct {
	Global struct {
		Interval string `yaml:"scrape_interval"`
	}
	Rules    []string `yaml:"rule_files"`
	Alerting struct {
		Alertmanagers []struct {
			Static []staticTargets `yaml:"static_configs"`
		}
	}
	Jobs []struct {
		Name        string          `yaml:"job_name"`
		Static      []staticTargets `yaml:"static_configs"`
		SampleLimit int             `yaml:"sample_limit"`
	} `yaml:"scrape_configs"`
}

type staticTargets struct {
	Targets []string
	Labels  map[string]string
}

func TestPrometheusConfigForOldVersions(t *testing.T) {
	var ours, old map[string]any
	decodeFile(t, prometheusConfig, &ours)
	decodeFile(t, prometheusOld, &old)
	job := ours["scrape_configs"].([]any)[0].(map[any]any)
	for _, setting := range []string{"scrape_protocols", "scrape_native_histograms", "always_scrape_classic_histograms"} {
		if _, there := job[setting]; !there {
			t.Errorf("%s has no %s", prometheusConfig, setting)
		}
		delete(job, setting)
	}
	if d := cmp.Diff(ours, old); d != "" {
		t.Errorf("%s differs by more than what 2.42 refuses (-new +old):\n%s", prometheusOld, d)
	}
}

// Every address that a file names is one at which a service of the compose file listens.
func TestMonitoringServicesFindOneAnother(t *testing.T) {
	project := monitoringCompose(t, nil)
	listens := func(address, from string) bool {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return false
		}
		if host == "localhost" {
			host = from
		}
		s, known := project.Services[host]
		return known && slices.ContainsFunc(s.Ports, func(p types.ServicePortConfig) bool {
			return strconv.Itoa(int(p.Target)) == port
		})
	}
	var config scrapeFile
	decodeFile(t, prometheusConfig, &config)
	var addresses []string
	for _, a := range config.Alerting.Alertmanagers {
		for _, s := range a.Static {
			addresses = append(addresses, s.Targets...)
		}
	}
	for _, j := range config.Jobs {
		for _, s := range j.Static {
			addresses = append(addresses, s.Targets...)
		}
	}
	if len(addresses) != 4 {
		t.Errorf("Prometheus is given %v, want Alertmanager, and three to scrape", addresses)
	}
	for _, address := range addresses {
		if !listens(address, "prometheus") {
			t.Errorf("%s: nobody listens at %s", prometheusConfig, address)
		}
	}
	for _, d := range datasources(t).Datasources {
		if u, err := url.Parse(d.URL); err != nil || !listens(u.Host, "grafana") {
			t.Errorf("%s: nobody listens at %s: %v", datasourcesFile, d.URL, err)
		}
	}
}

// Mails and dashboards tell the label instance: it must not be the name that the service has among containers.
func TestMonitoringTellsTheHost(t *testing.T) {
	var config scrapeFile
	decodeFile(t, prometheusConfig, &config)
	for _, j := range config.Jobs {
		for _, s := range j.Static {
			if got := s.Labels["instance"]; got != "this-host" {
				t.Errorf("job %s, %v: instance %q, want this-host, for which a user puts his own", j.Name, s.Targets, got)
			}
		}
	}
}

// Beyond the limit Prometheus takes nothing of a scrape. A host may have 64 GPUs, and the exporter tells of itself too.
func TestALargeHostIsBelowTheSampleLimit(t *testing.T) {
	const cards, ofItself = 64, 500
	most, largest := 0, ""
	for _, root := range []string{"testdata/cases", "../shared/fixtures"} {
		files, err := filepath.Glob(root + "/*/*/expected*.prom")
		if err != nil || len(files) == 0 && !strings.HasPrefix(root, "..") {
			t.Fatalf("%s: %d cases, %v", root, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			samples, err := hwcase.Parse(string(text))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			here := 0
			for sample := range samples {
				if strings.HasPrefix(sample, "gpu_info{") {
					here++
				}
			}
			if ofEach := len(samples) / max(here, 1); ofEach > most {
				most, largest = ofEach, file
			}
		}
	}
	for _, file := range []string{prometheusConfig, prometheusOld} {
		var config scrapeFile
		decodeFile(t, file, &config)
		if limit, want := config.Jobs[0].SampleLimit, cards*most+ofItself; limit < want {
			t.Errorf("%s: sample_limit %d; %d GPUs such as that of %s give %d", file, limit, cards, largest, want)
		}
	}
}

// The files by which Grafana is set up, with all their keys (monitoring.md 4.5).
type (
	datasourceFile struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []datasource
	}
	datasource struct {
		Name, UID, Type, Access, URL string
		IsDefault                    bool `yaml:"isDefault"`
		Editable                     bool
		JSONData                     struct {
			TimeInterval string `yaml:"timeInterval"`
			HTTPMethod   string `yaml:"httpMethod"`
		} `yaml:"jsonData"`
	}
	providerFile struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []provider
	}
	provider struct {
		Name, Folder, Type string
		DisableDeletion    *bool `yaml:"disableDeletion"`
		AllowUIUpdates     *bool `yaml:"allowUiUpdates"`
		Options            struct {
			Path    string
			Folders *bool `yaml:"foldersFromFilesStructure"`
		}
	}
)

func decodeStrictly(t testing.TB, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func datasources(t testing.TB) (f datasourceFile) {
	t.Helper()
	decodeStrictly(t, datasourcesFile, &f)
	return f
}

func TestGrafanaDatasource(t *testing.T) {
	var config scrapeFile
	decodeFile(t, prometheusConfig, &config)
	want := datasource{Name: "Prometheus", UID: "prometheus", Type: "prometheus", Access: "proxy",
		URL: "http://prometheus:9090", IsDefault: true}
	want.JSONData.TimeInterval = config.Global.Interval // $__rate_interval rests on it
	want.JSONData.HTTPMethod = "POST"
	if d := cmp.Diff(datasourceFile{1, []datasource{want}}, datasources(t)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestGrafanaProvider(t *testing.T) {
	var got providerFile
	decodeStrictly(t, providersFile, &got)
	want := provider{Name: "gpu_exporter", Folder: "GPU", Type: "file", DisableDeletion: new(bool), AllowUIUpdates: new(bool)}
	want.Options.Folders = new(bool)
	want.Options.Path = "/gpu_exporter/dashboards/grafana"
	if d := cmp.Diff(providerFile{1, []provider{want}}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	mounted := map[string]string{}
	for _, v := range monitoringCompose(t, nil).Services["grafana"].Volumes {
		if v.Type == types.VolumeTypeBind {
			mounted[v.Target] = inRepository(t, v.Source)
		}
	}
	for target, source := range map[string]string{
		want.Options.Path:                       "dashboards/grafana",
		"/etc/grafana/provisioning/datasources": filepath.Dir(datasourcesFile),
		"/etc/grafana/provisioning/dashboards":  filepath.Dir(providersFile),
	} {
		if mounted[target] != source {
			t.Errorf("%s in Grafana's container is %q, want %s", target, mounted[target], source)
		}
	}
}
