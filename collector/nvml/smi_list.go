package nvml

import (
	"bytes"
	"regexp"
	"strings"
)

// Names are the names and uuids of MIG devices, by the uuid of their GPU and their number, as `nvidia-smi -L` tells them:
// the document has neither.
type Names map[string]map[string]Name

// Name is what a MIG device is called.
type Name struct{ Profile, UUID string }

var (
	listedGPU = regexp.MustCompile(`^GPU [0-9]+: .*\(UUID: (GPU-[0-9A-Za-z-]+)\)`)
	listedMIG = regexp.MustCompile(`^\s+MIG (.+?)\s+Device\s+([0-9]+): \(UUID: (MIG-[0-9A-Za-z/-]+)\)`)
)

// ParseList parses what `nvidia-smi -L` prints. What it does not know it passes over.
func ParseList(text []byte) Names {
	names := Names{}
	gpu := ""
	for line := range bytes.Lines(text) {
		line := strings.TrimRight(string(line), "\r\n")
		if m := listedGPU.FindStringSubmatch(line); m != nil {
			gpu = ""
			if len(names) < maxCards {
				gpu, names[m[1]] = m[1], map[string]Name{}
			}
		} else if m := listedMIG.FindStringSubmatch(line); m != nil && gpu != "" && len(names[gpu]) < maxPartitions {
			names[gpu][m[2]] = Name{strings.TrimSpace(m[1]), m[3]}
		}
	}
	return names
}

// of are the MIG devices of a GPU with their names, where they are known.
func (n Names) of(card *Card) []Partition {
	list := make([]Partition, len(card.partitions))
	for i, m := range card.partitions {
		name := n[card.Info.UUID][m.index]
		list[i] = m.Partition
		list[i].Profile, list[i].UUID = name.Profile, name.UUID
	}
	return list
}

// Partitioned says whether a GPU has MIG devices, whose names are worth a call.
func (c *Card) Partitioned() bool { return len(c.partitions) > 0 }
