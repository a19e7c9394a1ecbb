package windows

import (
	"fmt"
	"strconv"
	"strings"
)

// LUID names an adapter until the next boot, driver update or change of monitors: it joins sources, and is no identity.
// Its high part stands in the upper 32 bits. Zero is none.
type LUID uint64

// String is the LUID as PDH writes it, in lower case.
func (l LUID) String() string { return fmt.Sprintf("0x%08x_0x%08x", uint32(l>>32), uint32(l)) }

// Place is where a device is on PCI, as Windows counts: the bus number holds the segment above its lowest 8 bits.
type Place struct{ Bus, Device, Function uint32 }

// Address is a PCI address as the label gpu has it: 0000:03:00.0. Empty: none.
type Address string

// address is the address of a place, empty for what is none: all ones stand for a device that is not on PCI.
func (p *Place) address() Address {
	if p == nil || p.Bus > 0xffffff || p.Device > 0x1f || p.Function > 7 {
		return ""
	}
	return Address(fmt.Sprintf("%04x:%02x:%02x.%x", p.Bus>>8, p.Bus&0xff, p.Device, p.Function))
}

// instance is the name of an instance of a GPU counter (3.2).
type instance struct {
	luid     LUID
	phys     uint32 // which of several linked adapters; it does not tell which GPU
	engine   uint32
	name     string // of the engine: may be empty
	isEngine bool
}

// parseInstance reads
//
//	["pid_" dec "_"] "luid_0x" hex8 "_0x" hex8 "_phys_" dec ["_eng_" dec "_engtype_" rest | "_part_" dec]
//
// in any letter case. ok says whether it is such a name: _Total, for one, is none.
func parseInstance(s string) (i instance, ok bool) {
	p := cutter{s, true}
	if p.skip("pid_") {
		p.number()
		p.must("_")
	}
	p.must("luid_0x")
	high := p.hex8()
	p.must("_0x")
	i.luid = LUID(high)<<32 | LUID(p.hex8())
	p.must("_phys_")
	i.phys = p.number()
	switch {
	case p.skip("_eng_"):
		i.engine, i.isEngine = p.number(), true
		p.must("_engtype_")
		i.name, p.rest = p.rest, ""
	case p.skip("_part_"):
		p.number()
	}
	if !p.ok || p.rest != "" {
		return instance{}, false
	}
	return i, true
}

// cutter takes a text apart from its front; ok is false from the first thing on that was not there.
type cutter struct {
	rest string
	ok   bool
}

func (c *cutter) skip(word string) bool {
	if len(c.rest) < len(word) || !strings.EqualFold(c.rest[:len(word)], word) {
		return false
	}
	c.rest = c.rest[len(word):]
	return true
}

func (c *cutter) must(word string) { c.ok = c.skip(word) && c.ok }

func (c *cutter) number() uint32 {
	n := 0
	for n < len(c.rest) && '0' <= c.rest[n] && c.rest[n] <= '9' {
		n++
	}
	return c.parse(n, 10)
}

func (c *cutter) hex8() uint32 {
	if len(c.rest) < 8 {
		c.ok = false
		return 0
	}
	return c.parse(8, 16)
}

// parse takes n digits. ParseUint refuses signs, but takes underscores only with base 0.
func (c *cutter) parse(n, base int) uint32 {
	v, err := strconv.ParseUint(c.rest[:n], base, 32)
	c.ok = c.ok && err == nil
	c.rest = c.rest[n:]
	return uint32(v)
}
