package amd

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

// What a PCIe link can be: rates of a lane in tenths of GT/s, and lanes.
var (
	linkRates = []int64{25, 50, 80, 160, 320, 640}
	linkLanes = []int64{1, 2, 4, 8, 12, 16, 32}
)

// tenthGT is 0.1 GT/s in transfers per second.
const tenthGT = 1e8

// planLink plans the link that counts, that of the slot.
func (p *plan) planLink() {
	if p.d.info.Type == collector.Integrated {
		return
	}
	speed, width := p.of(collector.LinkSpeed), p.of(collector.LinkWidth)
	if port := p.port; port != "" {
		p.fast.Rows = append(p.fast.Rows,
			p.row(filepath.Join(port, "current_link_speed"), linkRow(parseLinkSpeed, tenthGT, speed), speed),
			p.row(filepath.Join(port, "current_link_width"), linkRow(parseLinkWidth, 1, width), width))
		p.planLinkMax(port, "max_link_speed", parseLinkSpeed, tenthGT, p.of(collector.LinkMaxSpeed))
		p.planLinkMax(port, "max_link_width", parseLinkWidth, 1, p.of(collector.LinkMaxWidth))
		return
	}
	// gpu_metrics tells it before this row, or keeps quiet. Polaris tells x16 for an x1 slot in pp_dpm_pcie, but has no
	// switch and so does not get here.
	if p.has("pp_dpm_pcie") {
		p.last.Rows = append(p.last.Rows, p.listRow(p.at("pp_dpm_pcie"), func(r *collector.Reading, text []byte) error {
			rate, lanes, ok := parseActiveLink(text)
			if !ok {
				return nil
			}
			if err := linkRow(parseLinkSpeed, tenthGT, speed)(r, rate); err != nil {
				return err
			}
			return linkRow(parseLinkWidth, 1, width)(r, lanes)
		}, speed, width))
	}
}

// planLinkMax plans a maximum: what the port and the slot above it can do together. An 8 GT/s slot is no fault of a
// 16 GT/s card.
func (p *plan) planLinkMax(port, file string, parse linkParser, unit float64, s *collector.Series) {
	above := p.file(filepath.Join(filepath.Dir(port), file))
	buf := make([]byte, sysfs.TextSize)
	p.slow.Rows = append(p.slow.Rows, p.row(filepath.Join(port, file), func(r *collector.Reading, text []byte) error {
		v, state := parse(text)
		if state == linkValid {
			if upper, err := above.Read(buf); err == nil {
				if u, state := parse(upper); state == linkValid {
					v = min(v, u)
				}
			}
		}
		return state.add(r, s, float64(v)*unit)
	}, s))
}

// linkState says what a text of a link is.
type linkState uint8

const (
	linkValid linkState = iota
	linkAbsent
	linkImpossible
	linkMalformed
)

func (state linkState) add(r *collector.Reading, s *collector.Series, v float64) error {
	switch state {
	case linkValid:
		r.Add(s, v)
	case linkImpossible:
		r.Reject(s)
	case linkMalformed:
		return sysfs.ErrMalformed
	}
	return nil
}

type linkParser func(text []byte) (int64, linkState)

func linkRow(parse linkParser, unit float64, s *collector.Series) func(*collector.Reading, []byte) error {
	return func(r *collector.Reading, text []byte) error {
		v, state := parse(text)
		return state.add(r, s, float64(v)*unit)
	}
}

func isLinkRate(tenths int64) bool { return slices.Contains(linkRates, tenths) }
func isLinkLanes(n int64) bool     { return slices.Contains(linkLanes, n) }

// unknownLink begins what the kernel says of a link that it cannot tell; before 5.8 it said `Unknown speed`
// (drivers/pci/pci-sysfs.c, max_link_speed_show).
var unknownLink = []byte("Unknown")

// parseLinkSpeed parses `16.0 GT/s PCIe` (old kernels: `8 GT/s`) into tenths of GT/s.
func parseLinkSpeed(text []byte) (int64, linkState) {
	if bytes.HasPrefix(text, unknownLink) {
		return 0, linkAbsent
	}
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '.') {
		end++
	}
	whole, fraction, _ := bytes.Cut(text[:end], []byte("."))
	n, err := sysfs.Int(whole)
	if err != nil && len(whole) == 0 {
		return 0, linkMalformed
	}
	tenth := int64(0)
	if len(fraction) > 0 {
		tenth = int64(fraction[0] - '0')
		if len(bytes.Trim(fraction[1:], "0")) > 0 {
			return 0, linkImpossible
		}
	}
	switch v := n*10 + tenth; {
	case err != nil || n > 1000:
		return 0, linkImpossible
	case v == 0 || v == 2550:
		return 0, linkAbsent
	case slices.Contains(linkRates, v):
		return v, linkValid
	}
	return 0, linkImpossible
}

// parseLinkWidth parses the lanes. 0 and 255 are what config space of a device that does not answer gives.
func parseLinkWidth(text []byte) (int64, linkState) {
	if bytes.HasPrefix(text, unknownLink) {
		return 0, linkAbsent
	}
	n, err := sysfs.Int(text)
	switch {
	case err == sysfs.ErrMalformed:
		return 0, linkMalformed
	case n == 0 && err == nil || n == 255:
		return 0, linkAbsent
	case slices.Contains(linkLanes, n):
		return n, linkValid
	}
	return 0, linkImpossible
}

// slotPort is the device whose own files tell the link of the slot. Cards since Vega 10 hold a switch (GPU - downstream
// port - upstream port - slot), so that the files of the GPU tell the link inside the card. An APU has no link that
// counts; nor is one told by files where the bridges are hidden, as in a virtual machine.
func (p *plan) slotPort() string {
	if p.d.info.Type == collector.Integrated {
		return ""
	}
	if port := p.upstreamPort(); port != "" {
		return port
	}
	if !p.has("pp_dpm_socclk") && !p.has("gpu_metrics") {
		return p.realDir() // older than GFX 9, or radeon: no switch inside
	}
	return ""
}

// realDir is the folder of the device in the tree of buses, empty where it cannot be resolved.
func (p *plan) realDir() string {
	real, err := sysfs.RealPath(p.d.dir)
	if err != nil {
		p.incomplete = true
		return ""
	}
	return real
}

// upstreamPort is the last bridge of AMD above the GPU: the upper end of the card's own switch (ids 1002:1478 above
// 1002:1479 on Navi, others on Vega and Instinct). AMD's root ports have another vendor, 0x1022.
func (p *plan) upstreamPort() string {
	port := ""
	for dir := filepath.Dir(p.realDir()); len(dir) > 1; dir = filepath.Dir(dir) {
		vendor, err := sysfs.ReadText(filepath.Join(dir, "vendor"))
		if err != nil || vendor != vendorAMD {
			break
		}
		class, err := sysfs.ReadText(filepath.Join(dir, "class"))
		if err != nil || !strings.HasPrefix(class, "0x0604") {
			break
		}
		port = dir
	}
	return port
}
