package main

import (
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"gpu_exporter/collector"
	"gpu_exporter/compat"
)

const tableHead = "INDEX\tGPU\tNAME\tSTATE\tTEMP C\tLOAD %\tMEMORY MiB\tOF MiB\tMEMORY %\tCORE MHz\tMEM MHz\tPOWER W\tFAN %\tDRIVER\n"

// writeTable writes the primary values of each GPU for people; a dash is what is not known. Nothing where there is none.
func writeTable(w io.Writer, s *collector.Snapshot) error {
	if len(s.Devices) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	text := []byte(tableHead)
	for i := range s.Devices {
		d := &s.Devices[i]
		cells := []string{strconv.Itoa(d.Index), d.GPU, cell(d.Name), d.State.String()}
		for _, v := range compat.ValuesOf(d) {
			cells = append(cells, number(v))
		}
		cells = append(cells, cell(d.DriverVersion))
		text = append(append(text, strings.Join(cells, "\t")...), '\n')
	}
	if _, err := table.Write(text); err != nil {
		return err
	}
	return table.Flush()
}

func number(v collector.Value) string {
	if !v.OK {
		return "-"
	}
	return strconv.FormatFloat(v.V, 'f', -1, 64)
}

// cell keeps what a driver says of itself from breaking the table.
func cell(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
