package compat

import (
	"encoding/csv"
	"strings"
	"testing"

	"gpu_exporter/collector"
)

func TestCSV(t *testing.T) {
	asleep := collector.Status{
		Info: collector.Info{
			GPU: "0000:0a:00.0", Name: "Radeon \"Pro\", 2nd\nline", DriverVersion: "6.1", Source: "sysfs",
		},
		State: collector.StateAsleep, Up: true, At: at,
	}
	neverRead := collector.Status{Info: collector.Info{GPU: "0000:0b:00.0"}, State: collector.StateHung}
	for name, c := range map[string]struct {
		s    *collector.Snapshot
		want string
	}{
		"nothing": {nil, ""},
		"no GPU":  {snapshot(), ""},
		"all": {
			snapshot(rx7800xt(), asleep, neverRead),
			"1795633304.718,0000:03:00.0,AMD Radeon RX 7800 XT,ok,24,2,1536,16368,9.4,2011,456,32,35,,sysfs\n" +
				"1795633304.718,0000:0a:00.0,\"Radeon \"\"Pro\"\", 2nd\nline\",asleep,,,,,,,,,,6.1,sysfs\n" +
				",0000:0b:00.0,,hung,,,,,,,,,,,\n",
		},
	} {
		if got := string(AppendCSV(nil, c.s)); got != c.want {
			t.Errorf("%s: got\n%swant\n%s", name, got, c.want)
		}
	}
}

func TestCSVHeader(t *testing.T) {
	const want = "timestamp,gpu,name,state,temperature,utilization,memory_used,memory_total,memory_utilization,core_clock," +
		"memory_clock,power_usage,fan_speed,driver_version,monitoring_method\n"
	if got := string(AppendCSVHeader(nil)); got != want {
		t.Errorf("got %q", got)
	}
	text := string(AppendCSV(AppendCSVHeader(nil), snapshot(rx7800xt())))
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll() // refuses lines with another number of fields
	if err != nil || len(rows) != 2 {
		t.Errorf("%d rows, %v of %q", len(rows), err, text)
	}
}
