package windows

import (
	"fmt"
	"strings"
)

// engineWords are the words of our metrics by what Windows calls an engine, in lower case and without the digits, blanks
// and underscores at its end (3.2). All else is `other`.
var engineWords = map[string]string{
	"3d": "graphics", "high priority 3d": "graphics", "graphics": "graphics", "gdi render": "graphics", "vr": "graphics", "scene assembly": "graphics",
	"compute": "compute", "high priority compute": "compute", "cuda": "compute",
	"videodecode": "decode", "video decode": "decode",
	"videoencode": "encode", "video encode": "encode",
	"video codec":     "media",
	"videoprocessing": "video_enhance", "video processing": "video_enhance",
	"video jpeg": "jpeg", "jpeg_decode": "jpeg",
	"ofa":    "ofa",
	"copy":   "copy",
	"neural": "npu", "npu": "npu",
}

// nodeNames are the names of the types of nodes (2.2); one of type 0 has a name of its own.
var nodeNames = [...]string{1: "3D", 2: "VideoDecode", 3: "VideoEncode", 4: "VideoProcessing", 5: "Scene Assembly", 6: "Copy", 7: "Overlay", 8: "Crypto", 9: "Video Codec"}

const node3D = 1

func engineWord(name string) string {
	word, known := engineWords[strings.TrimRight(strings.ToLower(name), "0123456789 _")]
	if !known {
		return "other"
	}
	return word
}

// name is what PDH calls the engine that a node is.
func (n Node) name() string {
	if n.Type == 0 || int(n.Type) >= len(nodeNames) {
		return n.Name
	}
	return nodeNames[n.Type]
}

// engineID names an engine of one GPU: its number, on one of several linked adapters.
type engineID struct{ phys, engine uint32 }

// compare is the order of engines.
func (a engineID) compare(b engineID) int {
	if a.phys != b.phys {
		return int(a.phys) - int(b.phys)
	}
	return int(a.engine) - int(b.engine)
}

// engineLabels gives engines their labels. Several of one word are numbered (metrics.md rule 4), in the order of the first
// list of engines. One that shows up later takes the next number, and no label is ever given to another engine: its
// counter would fall. Only the first of a word changes its label once, from `copy` to `copy0`, when a second one comes.
type engineLabels struct {
	words  map[string][]engineID // in order of their numbers
	labels map[engineID]string
}

// add takes engines in their order with their names, and says whether a label is new.
func (l *engineLabels) add(ids []engineID, name func(i int) string) bool {
	if l.labels == nil {
		l.words, l.labels = map[string][]engineID{}, map[engineID]string{}
	}
	var grown []string
	for i, id := range ids {
		if _, has := l.labels[id]; has {
			continue
		}
		word := engineWord(name(i))
		l.words[word] = append(l.words[word], id)
		l.labels[id] = "" // until all are counted
		grown = append(grown, word)
	}
	for _, word := range grown {
		all := l.words[word]
		for n, id := range all {
			l.labels[id] = word
			if len(all) > 1 {
				l.labels[id] = fmt.Sprintf("%s%d", word, n)
			}
		}
	}
	return len(grown) > 0
}
