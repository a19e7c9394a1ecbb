package windows

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// maxText bounds every text that becomes a label, in bytes.
	maxText = 256
	// maxDocument bounds what a program printed or wrote: dxdiag's file has 100 to 500 kB.
	maxDocument = 8 << 20
	// maxRows bounds a list of adapters, whoever tells it.
	maxRows = 256
)

// tidy makes a text fit to be a label: valid UTF-8 (with U+FFFD for what is none), no control characters, no blanks at its ends, of bounded length. A
// driver may leave garbage in its strings.
func tidy(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxText {
		s = s[:maxText]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return strings.TrimSpace(s)
}

// document makes UTF-8 of what a Windows program wrote: it may lead with a BOM, be UTF-16 where that says so, or be in
// a code page that nothing names. Bytes that are no UTF-8 become U+FFFD: what is of use in these documents is ASCII.
func document(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte{0xef, 0xbb, 0xbf}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return []byte(wide(data[2:]))
	}
	return bytes.ToValidUTF8(data, []byte("\uFFFD"))
}

// wide reads UTF-16 in little-endian.
func wide(data []byte) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}
