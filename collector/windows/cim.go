package windows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
)

// denials are what a missing right looks like in the words of PowerShell, which are localised but for these: the
// category of the error, E_ACCESSDENIED and WBEM_E_ACCESS_DENIED.
var denials = []string{"PermissionDenied", "0x80070005", "0x80041003"}

// parseCIM reads what `Get-CimInstance Win32_VideoController | ConvertTo-Json` printed: an array of rows, or the row
// where there is one. A field of another type than it should have counts as not told.
func parseCIM(o Output) ([]VideoController, error) {
	text := bytes.TrimSpace(document(o.Text[:min(len(o.Text), maxDocument)]))
	if o.Exit != 0 {
		for _, word := range denials {
			if bytes.Contains(text, []byte(word)) {
				return nil, fmt.Errorf("Get-CimInstance ended with code %d and %s: %w", o.Exit, word, fs.ErrPermission)
			}
		}
		return nil, fmt.Errorf("PowerShell ended with code %d: %q", o.Exit, head(text))
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("%w: PowerShell printed nothing", ErrMalformed)
	}
	var rows []map[string]json.RawMessage
	var err error
	if text[0] == '{' {
		rows = make([]map[string]json.RawMessage, 1)
		err = json.Unmarshal(text, &rows[0])
	} else {
		err = json.Unmarshal(text, &rows)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: PowerShell printed no JSON of rows: %w: %q", ErrMalformed, err, head(text))
	}
	var list []VideoController
	for _, row := range rows[:min(len(rows), maxRows)] {
		list = append(list, VideoController{
			Name:          tidy(jsonText(row["Name"])),
			PNPDeviceID:   tidy(jsonText(row["PNPDeviceID"])),
			AdapterRAM:    jsonInt(row["AdapterRAM"]),
			DriverVersion: tidy(jsonText(row["DriverVersion"])),
		})
	}
	return list, nil
}

// head is the beginning of a text, for an error.
func head(text []byte) []byte {
	const enough = 100
	return text[:min(len(text), enough)]
}

func jsonText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func jsonInt(raw json.RawMessage) int64 {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
