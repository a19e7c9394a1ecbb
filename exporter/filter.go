package exporter

import (
	"fmt"
	"regexp"
	"strings"

	"gpu_exporter/collector"
)

// CompileFilter makes one expression for Options.Include or Exclude of several, any of which may match a whole family
// name. Empty patterns do not count; nil without any.
func CompileFilter(patterns ...string) (*regexp.Regexp, error) {
	var alternatives []string
	for _, p := range patterns {
		if p == "" {
			continue
		}
		// Alone first: `a)|(b` is valid only between the parentheses below, and would escape the anchors.
		if _, err := regexp.Compile(p); err != nil {
			return nil, fmt.Errorf("metric filter %q: %w", p, err)
		}
		alternatives = append(alternatives, "(?:"+p+")")
	}
	if alternatives == nil {
		return nil, nil
	}
	re, err := regexp.Compile("^(?:" + strings.Join(alternatives, "|") + ")$")
	if err != nil {
		return nil, fmt.Errorf("metric filters %q: %w", patterns, err)
	}
	return re, nil
}

// exported says whether the filters leave the family of q. What says that a GPU is there always stays: joins and alerts
// rest on it.
func (o *Options) exported(q collector.QuantityID) bool {
	switch name := q.String(); {
	case q == collector.GPUInfo, q == collector.Up, q == collector.GPUState:
		return true
	case o.Include != nil && !o.Include.MatchString(name):
		return false
	default:
		return o.Exclude == nil || !o.Exclude.MatchString(name)
	}
}
