//go:build live

package main

import (
	"encoding/json"
	"gpu_exporter/internal/await"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
)

// asMounted lays out, below a root, all that a service of the compose file has mounted, and returns the root and the command
// line of the service with its paths put there. Paths between files stay as they are: that they hold is what is tested.
func asMounted(t *testing.T, name string) (root string, command []string) {
	t.Helper()
	root = t.TempDir()
	place := func(target string) string {
		path := filepath.Join(root, target)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	project := monitoringCompose(t, nil)
	s := project.Services[name]
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		if err := os.CopyFS(place(v.Target), os.DirFS(v.Source)); err != nil {
			t.Fatal(err)
		}
	}
	for _, secret := range s.Secrets {
		target := secretTarget(types.ServiceSecretConfig(secret))
		if err := os.WriteFile(place(target), []byte("http://127.0.0.1:1/secret"), 0o400); err != nil {
			t.Fatal(err)
		}
		put(t, root, target, filepath.Join(root, target))
	}
	absolute := regexp.MustCompile(`^(--[a-z.]+=)(/.*)$`)
	for _, arg := range s.Command {
		command = append(command, absolute.ReplaceAllString(arg, "${1}"+root+"${2}"))
	}
	return root, command
}

// put puts a text for another in all files below a folder.
func put(t *testing.T, root, old, text string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) != ".yml" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(strings.ReplaceAll(string(content), old, text)), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// withOptions makes the lines of a file that are comments for somebody to make them count do so.
func withOptions(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	options := regexp.MustCompile(`(?m)^( *)# (- \.\./|- targets:|  labels:)`)
	if n := len(options.FindAll(text, -1)); n != 5 {
		t.Errorf("%s has %d lines that are options, want 5", path, n)
	}
	if err := os.WriteFile(path, options.ReplaceAll(text, []byte("$1$2")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// configOf is the configuration that a command line names.
func configOf(t *testing.T, command []string) string {
	t.Helper()
	for _, arg := range command {
		if path, ok := strings.CutPrefix(arg, "--config.file="); ok {
			return path
		}
	}
	t.Fatalf("no --config.file in %q", command)
	return ""
}

func TestLiveComposeConfigurations(t *testing.T) {
	check := []string{"check", "config"}
	strict := append(check, "--lint=all", "--lint-fatal") // 2.42 knows other ones
	for _, c := range []struct {
		name, service, config, tool string
		args                        []string
		options                     bool
	}{
		{"Prometheus", "prometheus", "", "promtool", strict, false},
		{"Prometheus with its options", "prometheus", "", "promtool", strict, true},
		{"old Prometheus", "prometheus", "prometheus-2.42.yml", "promtool", strict, false},
		{"old Prometheus, by 2.42", "prometheus", "prometheus-2.42.yml", "debian/usr/bin/promtool", check, false},
		{"old Prometheus with its options, by 2.42", "prometheus", "prometheus-2.42.yml", "debian/usr/bin/promtool", check, true},
		{"Alertmanager", "alertmanager", "", "amtool", []string{"check-config"}, false},
		{"Alertmanager, by 0.25", "alertmanager", "", "debian/usr/bin/amtool", []string{"check-config"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tool := filepath.Join(".tools", c.tool)
			if _, err := os.Stat(tool); err != nil && strings.HasPrefix(c.tool, "debian/") {
				t.Skip(err) // .ci/alerts unpacks it
			}
			_, command := asMounted(t, c.service)
			config := configOf(t, command)
			if c.config != "" {
				config = filepath.Join(filepath.Dir(config), c.config)
			}
			if c.options {
				withOptions(t, config)
			}
			if said, err := exec.Command(tool, append(c.args, config)...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", c.tool, err, said)
			}
		})
	}
}

// The command lines of the containers, and the addresses by which their health is asked.
func TestLiveComposeCommands(t *testing.T) {
	for _, name := range []string{"prometheus", "alertmanager"} {
		t.Run(name, func(t *testing.T) {
			_, command := asMounted(t, name)
			if name == "prometheus" {
				withOptions(t, configOf(t, command))
			}
			address := freeAddress(t)
			startTool(t, name, append(command, "--web.listen-address="+address)...)
			check := monitoringCompose(t, nil).Services[name].HealthCheck.Test
			ready := "http://" + address + check[len(check)-1][len(strings.TrimSuffix(watchers[name].ready, "/-/ready")):]
			awaitOK(t, ready)
			answer, err := http.Head(ready) // what wget --spider asks
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				t.Errorf("HEAD %s: %s", ready, answer.Status)
			}
			if name == "prometheus" {
				instancesAreHosts(t, "http://"+address)
			}
		})
	}
}

// instancesAreHosts asks Prometheus by which labels it knows its targets, whether or not they answer.
func instancesAreHosts(t *testing.T, prometheus string) {
	t.Helper()
	want := map[string]string{
		"http://gpu-stats-service:5009/metrics": "this-host gpu-stats-service ",
		"http://gpu1:5009/metrics":              "gpu1 gpu-stats-service reserved",
		"http://gpu2:5009/metrics":              "gpu2 gpu-stats-service reserved",
		"http://localhost:9090/metrics":         "this-host prometheus ",
		"http://alertmanager:9093/metrics":      "this-host alertmanager ",
	}
	got := map[string]string{}
	await.Until(t, "Prometheus knows its targets", func() bool {
		answer, err := http.Get(prometheus + "/api/v1/targets?state=active")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var known struct {
			Data struct {
				Active []struct {
					URL    string `json:"scrapeUrl"`
					Labels map[string]string
				} `json:"activeTargets"`
			}
		}
		if err := json.NewDecoder(answer.Body).Decode(&known); err != nil {
			t.Fatal(err)
		}
		clear(got)
		for _, target := range known.Data.Active {
			got[target.URL] = target.Labels["instance"] + " " + target.Labels["job"] + " " + target.Labels["gpu_memory_policy"]
		}
		return len(got) >= len(want)
	})
	if !maps.Equal(got, want) {
		t.Errorf("targets with instance, job and policy (-want +got):\n%s", cmp.Diff(want, got))
	}
}
