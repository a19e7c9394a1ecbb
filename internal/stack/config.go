package stack

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v2"
)

// rest are the settings that are kept as they are.
type rest map[string]any

type static struct {
	Targets []string          `yaml:"targets"`
	Labels  map[string]string `yaml:"labels,omitempty"`
}

type prometheusFile struct {
	Rules    []string `yaml:"rule_files"`
	Alerting struct {
		Alertmanagers []alertmanagers `yaml:"alertmanagers"`
		Rest          rest            `yaml:",inline"`
	} `yaml:"alerting"`
	Jobs []job `yaml:"scrape_configs"`
	Rest rest  `yaml:",inline"`
}

type alertmanagers struct {
	Static []static `yaml:"static_configs"`
}

type job struct {
	Name   string   `yaml:"job_name"`
	Static []static `yaml:"static_configs,omitempty"`
	Rest   rest     `yaml:",inline"`
}

type alertmanagerFile struct {
	Templates []string `yaml:"templates"`
	Rest      rest     `yaml:",inline"`
}

// prometheusConfig writes the configuration of Prometheus with the addresses by job put in, and the rules, and returns its
// path. Jobs that have no address here stay as they are.
func (o Options) prometheusConfig(addresses map[string]string) (string, error) {
	var f prometheusFile
	if err := readYAML(o.PrometheusConfig, &f); err != nil {
		return "", err
	}
	missing := maps.Clone(addresses)
	for i := range f.Jobs {
		if address, here := addresses[f.Jobs[i].Name]; here {
			f.Jobs[i].Static = []static{{[]string{address}, map[string]string{"instance": o.Host}}}
			delete(missing, f.Jobs[i].Name)
		}
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("%s: no scrape job %s", o.PrometheusConfig, strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	f.Alerting.Alertmanagers = []alertmanagers{{[]static{{Targets: []string{addresses[alertmanagerJob]}}}}}
	rules := o.Rules
	if rules == nil {
		rules = beside(o.PrometheusConfig, f.Rules)
	}
	var err error
	if f.Rules, err = o.rules(rules); err != nil {
		return "", err
	}
	return o.write("prometheus.yml", f)
}

// rules writes the rule files that match the patterns and returns their paths.
func (o Options) rules(patterns []string) (written []string, err error) {
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s: no such rule file", pattern)
		}
		for _, file := range files {
			var rules rest
			if err := readYAML(file, &rules); err != nil {
				return nil, err
			}
			path, err := o.write(fmt.Sprintf("rules-%d-%s", len(written), filepath.Base(file)), rules)
			if err != nil {
				return nil, err
			}
			written = append(written, path)
		}
	}
	return written, nil
}

// alertmanagerConfig writes the configuration of Alertmanager and returns its path.
func (o Options) alertmanagerConfig() (string, error) {
	var f alertmanagerFile
	if err := readYAML(o.AlertmanagerConfig, &f); err != nil {
		return "", err
	}
	f.Templates = beside(o.AlertmanagerConfig, f.Templates)
	return o.write("alertmanager.yml", f)
}

// beside takes paths as relative to the folder of a file.
func beside(file string, paths []string) []string {
	all := slices.Clone(paths)
	for i, p := range all {
		if !filepath.IsAbs(p) {
			all[i] = filepath.Join(filepath.Dir(file), p)
		}
	}
	return all
}

func readYAML(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// write writes a configuration, hurried, and returns its path.
func (o Options) write(name string, config any) (string, error) {
	text, err := yaml.Marshal(config)
	if err != nil {
		return "", err
	}
	if text, err = hurry(text, o.Factor); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	path := filepath.Join(o.Dir, name)
	return path, os.WriteFile(path, text, 0o600)
}
