package nvml

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
)

// Type is how a value lies in its 64 bits: nvmlValueType_t.
type Type uint8

// The types. Plain functions tell theirs by the same numbers: an unsigned int is Uint32.
const (
	Double Type = iota
	Uint32
	ULong // 8 bytes on Linux, 4 on Windows
	Uint64
	Int64
	Int32
	Uint16
	types
)

// Answer is what a child says of one row of the Table.
type Answer struct {
	Row  uint16
	Code Return
	Type Type
	Raw  uint64
}

// answerSize is one row in the content of a frame: number 16, code 16, type 8, 24 zero, value 64 bits, little-endian.
const answerSize = 16

// AppendAnswer adds one answer to the content of a frame of rows.
func AppendAnswer(to []byte, a Answer) []byte {
	to = binary.LittleEndian.AppendUint16(to, a.Row)
	to = binary.LittleEndian.AppendUint16(to, uint16(a.Code))
	to = append(to, byte(a.Type), 0, 0, 0)
	return binary.LittleEndian.AppendUint64(to, a.Raw)
}

// ParseAnswers adds the answers in the content of a frame of rows to list, which is given so that a steady cycle
// allocates nothing. A content that no child of the same table sends is an error: the child is to be ended.
func ParseAnswers(list []Answer, content []byte) ([]Answer, error) {
	if len(content)%answerSize != 0 {
		return list, fmt.Errorf("%d bytes are no whole number of rows", len(content))
	}
	if len(content)/answerSize > len(Table) {
		return list, fmt.Errorf("%d rows, of %d in the table", len(content)/answerSize, len(Table))
	}
	for ; len(content) > 0; content = content[answerSize:] {
		a := Answer{
			Row:  binary.LittleEndian.Uint16(content),
			Code: Return(binary.LittleEndian.Uint16(content[2:])),
			Type: Type(content[4]),
			Raw:  binary.LittleEndian.Uint64(content[8:]),
		}
		if int(a.Row) >= len(Table) {
			return list, fmt.Errorf("row %d of a table of %d", a.Row, len(Table))
		}
		if a.Type >= types {
			return list, fmt.Errorf("row %d has the unknown type %d", a.Row, a.Type)
		}
		list = append(list, a)
	}
	return list, nil
}

// value is the number of an answer. ok is false for a sentinel: the driver's word for "not known".
func (a Answer) value() (v float64, ok bool) {
	switch a.Type {
	case Double:
		v = math.Float64frombits(a.Raw)
		return v, !math.IsNaN(v)
	case Uint16:
		return float64(uint16(a.Raw)), true
	case Int32:
		n := int32(a.Raw)
		return float64(n), n != -1 && n != math.MaxInt32
	case Int64:
		n := int64(a.Raw)
		return float64(n), n != -1
	}
	if a.Type == Uint32 || a.Type == ULong && runtime.GOOS == "windows" {
		n := uint32(a.Raw)
		return float64(n), n != math.MaxUint32 && n != math.MaxInt32
	}
	return float64(a.Raw), a.Raw != math.MaxUint64
}

// bits are the raw bits of an unsigned answer, for masks, which have no sentinel but all ones.
func (a Answer) bits() uint64 {
	if a.Type == Uint32 {
		return uint64(uint32(a.Raw))
	}
	return a.Raw
}
