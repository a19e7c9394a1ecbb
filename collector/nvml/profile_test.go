package nvml_test

import (
	"path/filepath"
	"testing"

	"gpu_exporter/collector"
	"gpu_exporter/collector/nvml"
	"gpu_exporter/internal/nvmlcase"
)

// The profiles of a stand-in for NVML, whose answers come as they do over the pipe.
func TestCasesOfNVML(t *testing.T) {
	for _, path := range nvml.Matching(t, "nvml-profile-*/*.yaml") {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			host, err := nvmlcase.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			var all nvml.Boards
			for _, gpu := range host.GPUs {
				info, err := gpu.Identity.Info()
				if err != nil {
					t.Fatal(err)
				}
				c := nvml.NewConverter(nil)
				all = append(all, nvml.NewBoard(info, func(r *collector.Reading) error {
					var content []byte
					for n := range nvml.Table {
						content = nvml.AppendAnswer(content, gpu.Answer(n))
					}
					answers, err := nvml.ParseAnswers(nil, content)
					if err != nil {
						return err
					}
					return c.Add(r, answers, nil)
				}))
			}
			s, _ := nvml.FirstReading(t, all)
			nvml.Meets(t, filepath.Join(filepath.Dir(path), "expected.prom"), s)
		})
	}
}
