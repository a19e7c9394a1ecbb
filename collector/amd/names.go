package amd

import (
	_ "embed"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// amdgpu.ids is libdrm's list of marketing names (MIT licence), unchanged. To renew it, take the file of the newest
// libdrm-common.
//
//go:embed amdgpu.ids
var embeddedIDs string

// maxListBytes bounds a list of the host; libdrm's has 24 kB.
const maxListBytes = 4 << 20

// nameLists are the lists of a host, below its root: AMD's own first.
var nameLists = [...]string{"opt/amdgpu/share/libdrm/amdgpu.ids", "usr/share/libdrm/amdgpu.ids"}

// lookupName is the marketing name of a device and revision (hexadecimal without 0x, any letter case). The embedded
// list comes first, so that a known card has one name on every host; hostRoot is where lists of the host are looked for,
// empty for nowhere. An unknown revision ("") has the name that all entries of the device share.
func lookupName(device, revision, hostRoot string) string {
	name, listed := findName(embeddedIDs, device, revision)
	if listed || hostRoot == "" {
		return name
	}
	for _, list := range nameLists {
		if name, listed = findName(readList(filepath.Join(hostRoot, list)), device, revision); listed {
			return name
		}
	}
	return ""
}

// readList is the text of a list, empty where there is none: a host without one is the rule.
func readList(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxListBytes))
	if err != nil {
		return ""
	}
	return string(text)
}

// findName looks through lines `DEVICE,<tab>REVISION,<tab>NAME`; # begins a comment, and the one line without commas is
// the version of the format. A device that is listed may have no name: its revision is not known, and the names differ.
func findName(list, device, revision string) (name string, listed bool) {
	shared := ""
	for line := range strings.Lines(list) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		fields := strings.SplitN(line, ",", 3)
		if len(fields) != 3 || !strings.EqualFold(strings.TrimSpace(fields[0]), device) {
			continue
		}
		name := strings.TrimSpace(fields[2])
		switch {
		case revision == "" && shared == "":
			shared = name
		case revision == "" && shared != name:
			return "", true // the revisions differ, and which one this is cannot be told
		case revision != "" && strings.EqualFold(strings.TrimSpace(fields[1]), revision):
			return name, true
		}
	}
	return shared, shared != ""
}
