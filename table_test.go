package main

import (
	"strings"
	"testing"

	"gpu_exporter/collector"
)

func TestTable(t *testing.T) {
	edge := &collector.Series{Q: collector.Temperature, Values: []string{"edge"}}
	load := &collector.Series{Q: collector.Utilization}
	s := &collector.Snapshot{Devices: []collector.Status{
		{
			Info: collector.Info{GPU: "0000:03:00.0", Name: "AMD Radeon RX 7800 XT", DriverVersion: "6.1"}, Up: true,
			Samples: []collector.Sample{{S: edge, V: 41.96}, {S: load, V: 0.37}},
		},
		{Info: collector.Info{GPU: "0000:0a:00.0", Name: "two\nlines\té"}, Index: 1, State: collector.StateAsleep, Up: true},
	}}
	const want = `
INDEX  GPU           NAME                   STATE   TEMP C  LOAD %  MEMORY MiB  OF MiB  MEMORY %  CORE MHz  MEM MHz  POWER W  FAN %  DRIVER
0      0000:03:00.0  AMD Radeon RX 7800 XT  ok      42      37      -           -       -         -         -        -        -      6.1
1      0000:0a:00.0  two?lines?é            asleep  -       -       -           -       -         -         -        -        -      -
`
	var out strings.Builder
	if err := writeTable(&out, s); err != nil || "\n"+out.String() != want {
		t.Errorf("%v, got\n%s\nwant%s", err, out.String(), want)
	}
	out.Reset()
	if err := writeTable(&out, &collector.Snapshot{}); err != nil || out.String() != "" {
		t.Errorf("%v, got %q of no GPU", err, out.String())
	}
}
