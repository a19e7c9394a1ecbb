package amd

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
)

// fields are values of a gpu_metrics table by name; an element of an array is `name[1]`, one of a partition
// `xcp_stats[0].name[1]`.
type fields map[string]int64

// table packs a gpu_metrics table. What is not given holds the sentinel.
func table(name string, values fields) string {
	layout, ok := layouts()[name]
	if !ok {
		panic("no table " + name)
	}
	b := bytes.Repeat([]byte{0xff}, layout.size)
	binary.LittleEndian.PutUint16(b, uint16(layout.size))
	b[2], b[3] = name[1]-'0', name[3]-'0'
	for at, v := range values {
		offset, typ := locate(layout, at)
		put(b[offset:offset+typ.width()], v)
	}
	return string(b)
}

// sized is a table that tells another size of itself than it has.
func sized(table string, size int) string {
	b := []byte(table)
	binary.LittleEndian.PutUint16(b, uint16(size))
	return string(b)
}

func locate(layout tableLayout, at string) (int, fieldType) {
	if outer, inner, ok := strings.Cut(at, "."); ok {
		name, i := element(outer)
		f := layout.fields[slices.IndexFunc(layout.fields, func(f tableField) bool { return f.name == name })]
		sub := layouts()[f.sub]
		offset, typ := locate(sub, inner)
		return f.offset + i*sub.size + offset, typ
	}
	name, i := element(at)
	n := slices.IndexFunc(layout.fields, func(f tableField) bool { return f.name == name })
	if n < 0 {
		panic("no field " + at)
	}
	f := layout.fields[n]
	return f.offset + i*f.typ.width(), f.typ
}

func element(at string) (string, int) {
	name, rest, ok := strings.Cut(at, "[")
	if !ok {
		return name, 0
	}
	i, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
	if err != nil {
		panic(err)
	}
	return name, i
}

func put(b []byte, v int64) {
	var all [8]byte
	binary.LittleEndian.PutUint64(all[:], uint64(v))
	copy(b, all[:len(b)])
}

// attribute is an entry of a v1_9 table.
type attribute struct {
	id     int
	typ    fieldType
	values []int64
}

// attr is an entry for a field by name.
func attr(name string, typ fieldType, values ...int64) attribute {
	return attribute{slices.Index(attributeNames[:], name), typ, values}
}

// The types of attributes.
const (
	u8 fieldType = iota
	s8
	u16
	s16
	u32
	s32
	u64
	s64
)

// attributeTable packs a v1_9 table.
func attributeTable(list ...attribute) string {
	b := []byte{0, 0, 1, 9}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
	for _, a := range list {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(a.values))|uint64(a.id)<<10|uint64(a.typ)<<20)
		for _, v := range a.values {
			at := len(b)
			b = append(b, make([]byte, a.typ.width())...)
			put(b[at:], v)
		}
	}
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	return string(b)
}
