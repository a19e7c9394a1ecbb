// Command generate writes the dashboards.
package main

import (
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"

	"gpu_exporter/dashboards/grafana"
)

func main() {
	app := kingpin.New("generate", "Write the dashboards of Grafana for gpu_exporter.")
	app.HelpFlag.Short('h')
	out := app.Flag("out", "Folder for those that Grafana is provisioned with.").Default("dashboards/grafana").String()
	importOut := app.Flag("import-out", "Folder for those that are imported by hand.").Default("dashboards/import").String()
	kingpin.MustParse(app.Parse(os.Args[1:]))
	for _, part := range []struct {
		dir   string
		files []grafana.File
	}{{*out, grafana.Files()}, {*importOut, grafana.ImportFiles()}} {
		if err := write(part.dir, part.files); err != nil {
			app.Fatalf("%v", err)
		}
	}
}

func write(dir string, files []grafana.File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		text, err := f.Text()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
