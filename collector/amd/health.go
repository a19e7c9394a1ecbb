package amd

import (
	"bytes"
	"path/filepath"
	"strings"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

// planHealth plans errors of the link, the memory and the blocks.
func (p *plan) planHealth() {
	if p.has("pcie_replay_count") {
		p.slow.Rows = append(p.slow.Rows, p.number(p.at("pcie_replay_count"), conversion{}, p.of(collector.PCIeReplays)))
	}
	for _, aer := range [...]struct{ file, line, kind string }{
		{"aer_dev_correctable", "TOTAL_ERR_COR", "correctable"},
		{"aer_dev_nonfatal", "TOTAL_ERR_NONFATAL", "nonfatal"},
		{"aer_dev_fatal", "TOTAL_ERR_FATAL", "fatal"},
	} {
		if p.has(aer.file) {
			s := p.of(collector.PCIeErrors, aer.kind)
			key := []byte(aer.line + " ")
			p.slow.Rows = append(p.slow.Rows, p.listRow(p.at(aer.file), func(r *collector.Reading, text []byte) error {
				return addCount(r, text, key, s)
			}, s))
		}
	}
	if p.has("ras") {
		p.planRAS()
	}
}

// addCount adds the number that follows key at the begin of a line. A text without such a line tells nothing.
func addCount(r *collector.Reading, text, key []byte, s *collector.Series) error {
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, newline)
		value, found := bytes.CutPrefix(bytes.TrimSpace(line), key)
		if !found {
			continue
		}
		n, err := sysfs.Int(bytes.TrimSpace(value))
		switch err {
		case nil:
			r.Add(s, float64(n))
		case sysfs.ErrRange:
			r.Reject(s) // and not what other lines tell
		default:
			return err
		}
		return nil
	}
	return nil
}

// severities are the lines of BLOCK_err_count.
var severities = [...]struct {
	key      []byte
	severity string
}{{[]byte("ue:"), "uncorrected"}, {[]byte("ce:"), "corrected"}, {[]byte("de:"), "deferred"}}

// inaccessible is what an err_count says while a reset runs.
var inaccessible = []byte("Query currently inaccessible")

// planRAS plans the error counters of boards that have them. A read makes the driver ask the hardware and fold its
// counters into sums (kernel: amdgpu_ras.c), so these are slow.
func (p *plan) planRAS() {
	for _, name := range p.list(p.at("ras")) {
		block, ok := strings.CutSuffix(name, "_err_count")
		if !ok || block == "" {
			continue
		}
		block = strings.ToLower(block)
		var tells []*collector.Series
		for _, s := range severities {
			tells = append(tells, p.of(collector.ECCErrors, block, s.severity, "volatile"))
		}
		p.slow.Rows = append(p.slow.Rows, p.listRow(p.at("ras/"+name), func(r *collector.Reading, text []byte) error {
			if bytes.Contains(text, inaccessible) {
				return nil
			}
			told := false
			for i, s := range severities {
				if err := addCount(r, text, s.key, tells[i]); err != nil {
					return err
				}
				told = told || r.Closed(tells[i])
			}
			if !told {
				return sysfs.ErrMalformed
			}
			return nil
		}, tells...))
	}
	enabled := p.of(collector.ECCEnabled)
	p.slow.Rows = append(p.slow.Rows, p.row(p.at("ras/features"), func(r *collector.Reading, text []byte) error {
		_, hex, ok := bytes.Cut(text, []byte("feature mask: 0x"))
		if !ok || len(hex) == 0 {
			return sysfs.ErrMalformed
		}
		mask, ok := parseHex(bytes.TrimSpace(firstLine(hex)))
		if !ok {
			return sysfs.ErrMalformed
		}
		r.Add(enabled, float64(mask&1)) // bit 0 is umc, the memory controller
		return nil
	}, enabled))
	p.planBadPages()
}

func firstLine(text []byte) []byte {
	line, _, _ := bytes.Cut(text, newline)
	return line
}

func parseHex(text []byte) (uint64, bool) {
	if len(text) == 0 || len(text) > 16 {
		return 0, false
	}
	var v uint64
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			v = v<<4 | uint64(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// maxBadPagesBytes bounds the list of bad pages; the driver stops using a board long before (kernel: amdgpu_ras.c).
const maxBadPagesBytes = 4 << 20

// planBadPages plans a binary attribute: one read gives a page at most (146 lines), so it is read on at the offset
// reached until nothing comes (kernel: fs/kernfs/file.c, amdgpu_ras.c).
func (p *plan) planBadPages() {
	f := p.file(filepath.Join(p.d.dir, "ras/gpu_vram_bad_pages"))
	kinds := [...]struct {
		letter byte
		s      *collector.Series
	}{
		{'R', p.of(collector.BadPages, "retired")},
		{'P', p.of(collector.BadPages, "pending")},
		{'F', p.of(collector.BadPages, "unreservable")},
	}
	tells := []*collector.Series{kinds[0].s, kinds[1].s, kinds[2].s}
	p.origins = append(p.origins, collector.Origin{Source: f.Path, Tells: tells})
	p.slow.Rows = append(p.slow.Rows, func(r *collector.Reading) error {
		var counts [len(kinds)]float64
		last := byte(0) // the last character of a line that is no space
		for offset := int64(0); ; {
			n, err := f.ReadAt(p.buf, offset)
			if err == nil && offset > maxBadPagesBytes {
				err = sysfs.ErrMalformed
			}
			if err != nil {
				return p.failed(r, f.Path, err, tells)
			}
			for _, c := range p.buf[:n] {
				switch c {
				case '\n':
					for i := range kinds {
						if last == kinds[i].letter {
							counts[i]++
						}
					}
					last = 0
				case ' ', '\t', 0:
				default:
					last = c
				}
			}
			if n == 0 {
				break
			}
			offset += int64(n)
		}
		for i := range kinds {
			if last == kinds[i].letter { // the last line without an end
				counts[i]++
			}
			r.Add(kinds[i].s, counts[i])
		}
		return nil
	})
}
