package main

import "github.com/alecthomas/kingpin/v2"

// flagRow is one row of the table of flags in the README.
type flagRow struct {
	Command string // whose flag it is; empty: of all
	Name    string // --polling.interval, --[no-]collector.amd
	Default string
	Env     string
	Help    string
}

// flagTable lists the flags but those that only print help.
func flagTable() ([]flagRow, error) {
	app := newApp(&options{})
	if _, err := app.ParseContext(nil); err != nil { // it is this that fills in the variables
		return nil, err
	}
	model := app.Model()
	rows := flagRows("", model.FlagGroupModel)
	for _, command := range model.Commands {
		rows = append(rows, flagRows(command.Name, command.FlagGroupModel)...)
	}
	return rows, nil
}

func flagRows(command string, group *kingpin.FlagGroupModel) (rows []flagRow) {
	for _, f := range group.Flags {
		if f.Envar == "" {
			continue // help, version
		}
		row := flagRow{Command: command, Name: "--" + f.Name, Env: f.Envar, Help: f.Help}
		if f.IsBoolFlag() {
			row.Default = "false"
		}
		if len(f.Default) > 0 {
			row.Default = f.Default[0]
		}
		if f.IsBoolFlag() && row.Default == "true" {
			row.Name = "--[no-]" + f.Name
		}
		rows = append(rows, row)
	}
	return rows
}
