package nvml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gpu_exporter/collector"
)

// Bounds of what is taken from nvidia-smi, which no real machine reaches.
const (
	// MaxDocument is the largest output that is read.
	MaxDocument = 16 << 20
	maxDepth    = 16
	maxCards    = 256
	maxTexts    = 4096 // of one GPU
	maxText     = 1024 // bytes of one of them
)

// Document is what `nvidia-smi -q -x` printed.
type Document struct {
	DriverVersion string
	Attached      int // GPUs as the driver counts them: a lost one may be missing in the list. -1: not told
	Cards         []*Card
}

// Card is one GPU of a Document.
type Card struct {
	Info       collector.Info
	Lost       string // the words that say that the GPU is lost or needs a reset; empty: it is well
	computes   int    // processes that compute; the others draw
	partitions []cardPartition
	texts      texts
}

// cardPartition is a MIG device of a Document; its name and uuid are in the output of `nvidia-smi -L`.
type cardPartition struct {
	index string
	Partition
}

// texts are the trimmed texts of the elements in one element, by their own name below those of any elements around them,
// from the outermost: a text in a/b/c is both a/c and a/b/c. Where a path is there twice the first text has it. So a text
// is found in whatever group of a group a driver puts it, and read by name, never by order.
type texts map[string]string

// Find is the GPU of that address; nil where the document lacks it.
func (d *Document) Find(gpu string) *Card {
	for _, c := range d.Cards {
		if c.Info.GPU == gpu {
			return c
		}
	}
	return nil
}

// ErrNoDocument says that what was printed is not a whole document, but words, or nothing.
var ErrNoDocument = errors.New("no whole document")

// closing ends a document; without it the output was cut off.
const closing = "</nvidia_smi_log>"

// ParseSMI parses what `nvidia-smi -q -x` prints, of drivers 390 to 610. Elements are read by name: one that is unknown
// is ignored, one that is missing is absence.
func ParseSMI(text []byte) (*Document, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) > MaxDocument:
		return nil, fmt.Errorf("%d bytes are more than any machine needs", len(text))
	case len(text) == 0 || text[0] != '<' || !bytes.HasSuffix(text, []byte(closing)):
		return nil, fmt.Errorf("%w: %q", ErrNoDocument, firstLine(text))
	}
	p := smiParser{doc: &Document{Attached: -1}}
	if err := p.run(printable(text)); err != nil {
		return nil, fmt.Errorf("the document of nvidia-smi: %w", err)
	}
	return p.doc, nil
}

// firstLine is what a person should see of an output that is no document.
func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	if len(line) > 200 {
		line = line[:200]
	}
	return strings.ToValidUTF8(string(line), "?")
}

// printable replaces what XML does not allow: names of processes hold any byte, and one of them must not cost the whole
// cycle.
func printable(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return '?'
		}
		return r
	}, text)
}

// element is where the parser is.
type element struct {
	name string
	text strings.Builder
	leaf bool
}

type smiParser struct {
	doc   *Document
	card  *Card
	mig   *cardPartition
	path  []*element // from the root
	above int        // elements of path above those that card or mig name
	into  texts
}

// skipped are lists of no use here, and long ones.
var skipped = map[string]bool{"supported_clocks": true, "processes": true, "accounted_processes": true}

func (p *smiParser) run(text []byte) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = false // a bare & in the name of a process
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	for {
		token, err := d.RawToken()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			err = p.open(t)
		case xml.CharData:
			if n := len(p.path); n > 0 && p.path[n-1].text.Len() < maxText {
				p.path[n-1].text.Write(t[:min(len(t), maxText)])
			}
		case xml.EndElement:
			err = p.close(t.Name.Local)
		}
		if err != nil {
			return err
		}
	}
}

func (p *smiParser) open(t xml.StartElement) error {
	name := t.Name.Local
	if len(p.path) == maxDepth {
		return fmt.Errorf("more than %d levels", maxDepth)
	}
	if len(p.path) == 0 && name != "nvidia_smi_log" {
		return fmt.Errorf("it is a %s", name)
	}
	if len(p.path) > 0 {
		p.path[len(p.path)-1].leaf = false
	}
	p.path = append(p.path, &element{name: name, leaf: true})
	switch {
	case len(p.path) == 2 && name == "gpu":
		if len(p.doc.Cards) == maxCards {
			return fmt.Errorf("more than %d GPUs", maxCards)
		}
		p.card = &Card{texts: texts{}}
		for _, a := range t.Attr {
			if a.Name.Local == "id" {
				p.card.Info.GPU, _ = Address(a.Value) // else pci_bus_id tells it
			}
		}
		p.into, p.above = p.card.texts, 2
	case p.card != nil && name == "mig_device" && len(p.path) == 4 && len(p.card.partitions) < maxPartitions:
		p.mig = &cardPartition{}
		p.into, p.above = texts{}, 4
	}
	return nil
}

func (p *smiParser) close(name string) error {
	n := len(p.path)
	if n == 0 || p.path[n-1].name != name {
		return fmt.Errorf("%s ends and did not begin", name)
	}
	e := p.path[n-1]
	p.path = p.path[:n-1]
	text := strings.TrimSpace(e.text.String())
	if e.leaf {
		p.take(e.name, text)
	}
	switch {
	case p.mig != nil && n == 4:
		p.mig.read(p.into)
		if p.mig.index != "" {
			p.card.partitions = append(p.card.partitions, *p.mig)
		}
		p.mig, p.into, p.above = nil, p.card.texts, 2
	case p.card != nil && n == 2:
		p.endCard()
	}
	return nil
}

// take keeps the text of an element that has no others in it.
func (p *smiParser) take(name, text string) {
	if p.card == nil {
		if len(p.path) != 1 {
			return
		}
		switch name {
		case "kmd_version":
			p.doc.DriverVersion = identityOf(text)
		case "driver_version": // may have a note in brackets behind it
			if version, _, _ := strings.Cut(text, " "); p.doc.DriverVersion == "" {
				p.doc.DriverVersion = identityOf(version)
			}
		case "attached_gpus":
			if n, err := strconv.Atoi(text); err == nil && n >= 0 {
				p.doc.Attached = n
			}
		}
		return
	}
	if lostWord(text) {
		p.card.Lost = text
	}
	if n := len(p.path); name == "type" && n == 4 && p.path[n-1].name == "process_info" && p.path[n-2].name == "processes" && strings.Contains(text, "C") {
		p.card.computes++
	}
	if len(p.path) < p.above || len(p.path) > p.above && skipped[p.path[p.above].name] || len(p.into) >= maxTexts {
		return
	}
	prefix := ""
	for _, e := range p.path[p.above:] {
		prefix += e.name + "/"
		p.into.put(prefix+name, text)
	}
	if prefix == "" {
		p.into.put(name, text)
	}
}

func (t texts) put(path, text string) {
	if _, taken := t[path]; !taken {
		t[path] = text
	}
}

func (p *smiParser) endCard() {
	c := p.card
	p.card, p.into = nil, nil
	t := c.texts
	if c.Info.GPU == "" {
		gpu, err := Address(t["pci/pci_bus_id"])
		if err != nil {
			return // it cannot be told from others
		}
		c.Info.GPU = gpu
	}
	if p.doc.Find(c.Info.GPU) != nil {
		return
	}
	i := &c.Info
	i.Vendor, i.Driver, i.Source = "nvidia", "nvidia", SourceSMI
	i.Name, i.UUID, i.VBIOS = identityOf(t["product_name"]), identityOf(t["uuid"]), identityOf(t["vbios_version"])
	i.PCIID = pciID(t["pci/pci_device_id"])
	_, memory := number(t["fb_memory_usage/total"], "MiB")
	_, bar1 := number(t["bar1_memory_usage/total"], "MiB")
	unified := t["addressing_mode"] == "ATS" && memory != isNumber && bar1 != isNumber && c.Lost == ""
	i.Type = formOf(i.Name, unified, t["gpu_virtualization_mode/virtualization_mode"] == "VGPU")
	p.doc.Cards = append(p.doc.Cards, c)
	// The version stands above the GPUs in every document, but nothing promises it.
	for _, c := range p.doc.Cards {
		c.Info.DriverVersion = p.doc.DriverVersion
	}
}

// read takes what a document says of a MIG device; one that has no number is none.
func (m *cardPartition) read(t texts) {
	gi, err1 := strconv.ParseUint(t["gpu_instance_id"], 10, 32)
	ci, err2 := strconv.ParseUint(t["compute_instance_id"], 10, 32)
	if err1 != nil || err2 != nil {
		return
	}
	m.index = t["index"]
	m.GPUInstance, m.ComputeInstance = uint32(gi), uint32(ci)
	m.Multiprocessors = optional(t["device_attributes/multiprocessor_count"], "", 1)
	m.MemoryTotal = optional(t["fb_memory_usage/total"], "MiB", mib)
	m.MemoryUsed = optional(t["fb_memory_usage/used"], "MiB", mib)
}

const mib = 1 << 20

func optional(text, unit string, times float64) *float64 {
	v, is := number(text, unit)
	if is != isNumber {
		return nil
	}
	v *= times
	return &v
}

// meaning is what a text is.
type meaning uint8

const (
	isAbsent meaning = iota
	isNumber
	isError     // the driver has it, and could not tell it
	isMalformed // no word that is known, or another unit
)

// absentWords and errorWords may stand in brackets or not.
var (
	absentWords = []string{
		"", "N/A", "None", "Not Supported", "Requested functionality has been deprecated", "Insufficient Permissions",
		"Not available in WDDM driver model", "REDACTED", "-",
	}
	errorWords = []string{"Unknown Error", "ERR!"}
	lostWords  = []string{"GPU is lost", "GPU requires reset"}
)

func bare(text string) string {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			return inner
		}
	}
	return text
}

func lostWord(text string) bool { return slices.Contains(lostWords, bare(text)) }

// meaningOf is what a text is that no table has a word for.
func meaningOf(text string) meaning {
	switch word := bare(text); {
	case slices.Contains(absentWords, word):
		return isAbsent
	case slices.Contains(errorWords, word), lostWord(text):
		return isError
	}
	return isMalformed
}

// identityOf is a text of gpu_info: what is no name is empty, and is no fault of the GPU.
func identityOf(text string) string {
	if meaningOf(text) != isMalformed {
		return ""
	}
	return text
}

var numberForm = regexp.MustCompile(`^(-?[0-9]{1,20}(?:\.[0-9]{1,9})?)(?: ?([a-zA-Z%/()]+))?$`)

// number parses a number and its unit. The nearest float64 of the digits is what comes out.
func number(text, unit string) (float64, meaning) {
	m := numberForm.FindStringSubmatch(text)
	if m == nil {
		return 0, meaningOf(text)
	}
	if m[2] != unit {
		return 0, isMalformed
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, isMalformed
	}
	return v, isNumber
}
