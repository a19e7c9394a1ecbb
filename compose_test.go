package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

const composeFile = "deploy/docker-compose.yml"

// composed is a compose file as `docker compose --project-directory FOLDER` takes it: unknown keys are errors, relative
// paths are those of the folder, and the project has its name. Services of other profiles are not there.
func composed(t testing.TB, text, folder string, env types.Mapping, profiles ...string) (*types.Project, error) {
	t.Helper()
	details := types.ConfigDetails{WorkingDir: folder, Environment: env,
		ConfigFiles: []types.ConfigFile{{Filename: composeFile, Content: []byte(text)}}}
	return loader.LoadWithContext(t.Context(), details, func(o *loader.Options) {
		o.SetProjectName(loader.NormalizeProjectName(filepath.Base(folder)), true)
		o.Profiles = profiles
	})
}

// ourCompose is the file that is shipped.
func ourCompose(t testing.TB, folder string, env types.Mapping, profiles ...string) *types.Project {
	t.Helper()
	text, err := os.ReadFile(composeFile)
	if err != nil {
		t.Fatal(err)
	}
	project, err := composed(t, string(text), folder, env, profiles...)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// rows are the values of a JSON document by path, as in ports.0.target.
func rows(t testing.TB, v any) map[string]string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				walk(path+"."+key, value)
			}
		case []any:
			for i, value := range v {
				walk(fmt.Sprintf("%s.%d", path, i), value)
			}
		case nil: // not set
		default:
			found[strings.TrimPrefix(path, ".")] = fmt.Sprint(v)
		}
	}
	walk("", document)
	return found
}

// The service of JARVIS's compose file (legacy-api.md, section 1) in the form that compose gives it, and what is new here.
var composedService = map[string]string{
	"container_name": "jarvis_gpu_stats",
	"restart":        "unless-stopped",
	"user":           "1000:1000",
	"security_opt.0": "no-new-privileges:true",

	"ports.0.host_ip":   "127.0.0.1",
	"ports.0.published": "5009",
	"ports.0.target":    "5009",
	"ports.0.protocol":  "tcp",
	"ports.0.mode":      "ingress",

	"environment.GPU_POLLING_INTERVAL": "1",
	"environment.LOG_LEVEL":            "INFO",
	"environment.PYTHONPATH":           "/app",

	"volumes.0.type":   "bind",
	"volumes.0.source": "/opt/Jarvis-ai/logs",
	"volumes.0.target": "/app/logs",
	"volumes.1.type":   "bind",
	"volumes.1.source": "/opt/Jarvis-ai/services/gpu-stats-service/cache",
	"volumes.1.target": "/app/cache",

	"networks.jarvis_network.ipv4_address": "172.20.0.120",

	"deploy.resources.limits.memory":       "536870912",
	"deploy.resources.limits.cpus":         "0.5",
	"deploy.resources.reservations.memory": "268435456",
	"deploy.resources.reservations.cpus":   "0.25",

	"healthcheck.test.0":       "CMD",
	"healthcheck.test.1":       "curl",
	"healthcheck.test.2":       "-f",
	"healthcheck.test.3":       "http://localhost:5009/health",
	"healthcheck.interval":     "30s",
	"healthcheck.timeout":      "10s",
	"healthcheck.retries":      "3",
	"healthcheck.start_period": "30s",

	// new
	"image":            "gpu_exporter:" + strings.TrimSpace(released),
	"build.context":    "/opt", // relative to the project: it is built in its own folder, before
	"build.dockerfile": "Dockerfile",
	"read_only":        "true",
	"cap_drop.0":       "ALL",
}

// JARVIS's network: compose gives it the name of the project, and makes it anew for any other definition than this.
var composedNetworks = map[string]string{
	"jarvis_network.name":                                                    "jarvis-ai_jarvis_network",
	"jarvis_network.driver":                                                  "bridge",
	"jarvis_network.ipam.config.0.subnet":                                    "172.20.0.0/16",
	"jarvis_network.driver_opts.com.docker.network.bridge.enable_icc":        "true",
	"jarvis_network.driver_opts.com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
}

func TestComposeFileIsThatOfTheOldService(t *testing.T) {
	project := ourCompose(t, "/opt/Jarvis-ai", nil)
	if names := slices.Collect(maps.Keys(project.Services)); !slices.Equal(names, []string{"gpu-stats-service"}) {
		t.Fatalf("services %v, want gpu-stats-service", names)
	}
	for part, c := range map[string]struct{ got, want map[string]string }{
		"service":  {rows(t, project.Services["gpu-stats-service"]), composedService},
		"networks": {rows(t, project.Networks), composedNetworks},
	} {
		for key, want := range c.want {
			if c.got[key] != want {
				t.Errorf("%s: %s is %q, want %q", part, key, c.got[key], want)
			}
		}
		for key, value := range c.got {
			if _, known := c.want[key]; !known {
				t.Errorf("%s: %s is %q, which is not in the table", part, key, value)
			}
		}
	}
}

func TestComposeFileTakesTheOldVariables(t *testing.T) {
	for _, c := range []struct{ variable, value, key, want string }{
		{"GPU_STATS_MEMORY_LIMIT", "256", "deploy.resources.limits.memory", "268435456"},
		{"GPU_STATS_CPU_LIMIT", "1.5", "deploy.resources.limits.cpus", "1.5"},
		{"GPU_POLLING_INTERVAL", "0.5", "environment.GPU_POLLING_INTERVAL", "0.5"},
		{"LOG_LEVEL", "debug", "environment.LOG_LEVEL", "debug"},
		{"HEALTH_CHECK_INTERVAL", "1m", "healthcheck.interval", "1m0s"},
		{"HEALTH_CHECK_TIMEOUT", "3s", "healthcheck.timeout", "3s"},
		{"HEALTH_CHECK_RETRIES", "5", "healthcheck.retries", "5"},
	} {
		project := ourCompose(t, "/opt/Jarvis-ai", types.Mapping{c.variable: c.value})
		got := rows(t, project.Services["gpu-stats-service"])
		want := maps.Clone(composedService)
		want[c.key] = c.want
		if !maps.Equal(got, want) {
			t.Errorf("%s=%s: %s is %q, want %q and all else as without it", c.variable, c.value, c.key, got[c.key], c.want)
		}
	}
}

func TestComposeFileIsBuiltInItsOwnFolder(t *testing.T) {
	folder, err := filepath.Abs(filepath.Dir(composeFile))
	if err != nil {
		t.Fatal(err)
	}
	build := ourCompose(t, folder, nil).Services["gpu-stats-service"].Build
	if _, err := os.Stat(filepath.Join(build.Context, build.Dockerfile)); err != nil {
		t.Error(err)
	}
}

// Lines that are comments for somebody to make them count must be right where they stand.
func TestComposeFileIsRightWithItsOptions(t *testing.T) {
	text, err := os.ReadFile(composeFile)
	if err != nil {
		t.Fatal(err)
	}
	options := regexp.MustCompile(`(?m)^( +)#   (GPU_EXPORTER_[A-Z_]+: |- )`)
	project, err := composed(t, options.ReplaceAllString(string(text), "$1$2"), "/opt/Jarvis-ai", nil)
	if err != nil {
		t.Fatal(err)
	}
	service := project.Services["gpu-stats-service"]
	for _, name := range []string{"GPU_EXPORTER_WEB_CONFIG_FILE", "GPU_EXPORTER_LOG_FORMAT"} {
		if service.Environment[name] == nil {
			t.Errorf("%s is no option of %s", name, composeFile)
		}
	}
	if len(service.Volumes) != 3 {
		t.Errorf("%d volumes with the options, want 3", len(service.Volumes))
	}
	// The proof that a wrong key would be seen at all.
	if _, err := composed(t, strings.Replace(string(text), "read_only:", "read_onlyy:", 1), "/opt/Jarvis-ai", nil); err == nil {
		t.Error("a misspelt key is not refused")
	}
}
