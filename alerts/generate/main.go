// Command generate writes the rule files, with the URLs and job names of an installation.
package main

import (
	"os"
	"path/filepath"
	"regexp"

	"github.com/alecthomas/kingpin/v2"

	"gpu_exporter/alerts"
)

func main() {
	o := alerts.Defaults
	app := kingpin.New("generate", "Write the rule files of Prometheus for gpu_exporter.")
	app.HelpFlag.Short('h')
	app.Flag("grafana-url", "Where the dashboards are, for the links in notifications.").
		Default(o.GrafanaURL).StringVar(&o.GrafanaURL)
	app.Flag("runbook-url", "Where the folder alerts/runbooks is published, for the links in notifications.").
		Default(o.RunbookURL).StringVar(&o.RunbookURL)
	app.Flag("jobs", "Regular expression for the names of the scrape jobs of gpu_exporter.").
		Default(o.Jobs).StringVar(&o.Jobs)
	out := app.Flag("out", "Folder to write to.").Default("alerts/rules").String()
	kingpin.MustParse(app.Parse(os.Args[1:]))
	if _, err := regexp.Compile(o.Jobs); err != nil {
		app.Fatalf("--jobs: %v", err)
	}
	if err := write(*out, o); err != nil {
		app.Fatalf("%v", err)
	}
}

func write(dir string, o alerts.Options) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range alerts.Files(o) {
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
