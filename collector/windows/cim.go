package windows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
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
			DriverDate:    ParseDate(jsonText(row["DriverDate"])),
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

// ParseDate reads a date as PowerShell 5 prints it (`/Date(1733184000000)/`), as PowerShell 7 does (ISO), or as WMI has
// it (`20241203000000.000000-000`, of which the day counts). The zero time: it is none of these, such as a localised one.
func ParseDate(s string) time.Time {
	if digits, ok := strings.CutPrefix(s, "/Date("); ok {
		ms, err := strconv.ParseInt(strings.TrimSuffix(digits, ")/"), 10, 64)
		if err != nil || ms <= 0 || !strings.HasSuffix(digits, ")/") {
			return time.Time{}
		}
		return sensible(time.UnixMilli(ms).UTC())
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return sensible(t.UTC())
	}
	const day = "20060102"
	if len(s) == len("20241203000000.000000-000") {
		if t, err := time.Parse(day, s[:len(day)]); err == nil {
			return sensible(t)
		}
	}
	return time.Time{}
}

// sensible drops a date that no driver has.
func sensible(t time.Time) time.Time {
	if t.Year() < 1990 || t.Year() > 2200 {
		return time.Time{}
	}
	return t
}
