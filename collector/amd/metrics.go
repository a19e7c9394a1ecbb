package amd

import (
	"encoding/binary"
	"fmt"
	"math"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

// metrics reads the binary table gpu_metrics. Which fields there are and where is data (layout.go), and so is what they
// mean (metrics_table.go): nothing here knows a version.
type metrics struct {
	p    *plan
	file *sysfs.File
	buf  []byte

	version version // that the rows are made for
	planned bool    // rows are made: the table had a version that is known when the plan was made
	unclear bool    // the table was none when the plan was made, so that nobody knows what it would tell
	unread  bool    // and that because it could not be read
	list    uint64  // of a v1_9 table: the shape of the attribute list that the offsets come from
	rows    []fieldRow
	checks  []func(r *collector.Reading, table []byte) // what takes more than one field
	tells   []*collector.Series                        // all that the rows may tell

	gfx, soc   field // temperatures, both 0 where an APU gave no table
	canBeEmpty bool
	count      field // of partitions
	counted    bool

	ahead func() ([]byte, error) // what was read for the plan, for the first reading

	table  []byte // of this reading; nil: none
	broken bool   // it could not be read, or is none: everything that it would tell is hidden
}

// version is format and content revision of a table.
type version struct{ format, content byte }

func (v version) String() string { return fmt.Sprintf("v%d_%d", v.format, v.content) }

// field is where a number lies in a table.
type field struct {
	typ    fieldType
	offset int
	end    int // the table must reach so far, else the field is not there
}

// fieldType numbers integers as v1_9 does: u8 s8 u16 s16 u32 s32 u64 s64.
type fieldType uint8

func (t fieldType) width() int   { return 1 << (t / 2) }
func (t fieldType) signed() bool { return t&1 == 1 }

// load is the number, unless the table ends before it or all its bits are set (not told).
func (f field) load(table []byte) (v float64, state fieldState) {
	if f.end > len(table) {
		return 0, fieldAbsent
	}
	b := table[f.offset:]
	var raw, all uint64
	switch f.typ.width() {
	case 1:
		raw, all = uint64(b[0]), math.MaxUint8
	case 2:
		raw, all = uint64(binary.LittleEndian.Uint16(b)), math.MaxUint16
	case 4:
		raw, all = uint64(binary.LittleEndian.Uint32(b)), math.MaxUint32
	default:
		raw, all = binary.LittleEndian.Uint64(b), math.MaxUint64
	}
	if f.typ.signed() {
		shift := 64 - 8*f.typ.width()
		return float64(int64(raw<<shift) >> shift), fieldTold
	}
	switch {
	case raw == all:
		return 0, fieldAbsent
	case raw > math.MaxInt64:
		return 0, fieldImpossible
	}
	return float64(raw), fieldTold
}

// bits is the number without any meaning.
func (f field) bits(table []byte) (raw uint64, told bool) {
	if _, state := f.load(table); state == fieldAbsent {
		return 0, false
	}
	var b [8]byte
	copy(b[:], table[f.offset:f.offset+f.typ.width()])
	return binary.LittleEndian.Uint64(b[:]), true
}

type fieldState uint8

const (
	fieldTold fieldState = iota
	fieldAbsent
	fieldImpossible
)

// fieldRow is one number that becomes samples.
type fieldRow struct {
	field
	conversion
	tells     []*collector.Series
	partition int // 1 + the partition that it belongs to: told only for those that there are. 0: to none
}

// planMetrics makes the plan of gpu_metrics. The version is looked at once: one bad table must not rename series.
func (p *plan) planMetrics() error {
	if !p.has("gpu_metrics") {
		return nil
	}
	m := &metrics{p: p, file: p.file(p.at("gpu_metrics")), buf: make([]byte, sysfs.ListSize)}
	m.tells = []*collector.Series{p.of(collector.LinkSpeed), p.of(collector.LinkWidth)} // until the version is known
	p.metrics = m
	raw, err := m.file.ReadRaw(m.buf)
	m.ahead = func() ([]byte, error) { return raw, err }
	if err != nil {
		switch sysfs.Classify(err) {
		case sysfs.Gone:
			return collector.ErrGone
		case sysfs.Refused:
			if p.d.fellAsleep() {
				return collector.ErrAsleep
			}
		}
		m.unclear = sysfs.Classify(err) != sysfs.Absent // which load says, too
		m.unread = m.unclear
		return nil
	}
	if len(raw) < headerSize {
		m.unclear = len(raw) > 0
		p.incomplete = p.incomplete || m.unclear
		return nil
	}
	m.version = version{raw[2], raw[3]}
	if !m.version.known() {
		if !p.d.toldVersion && p.d.o.Log != nil {
			p.d.o.Log.Warn("gpu_metrics has a version that is not known: its values are left out",
				"gpu", p.d.info.GPU, "version", m.version.String())
		}
		p.d.toldVersion = true
		return nil
	}
	m.plan(raw)
	return nil
}

// read reads the table, header and all in one read, once a cycle: twice in a row, Van Gogh gave zeros.
func (m *metrics) read() ([]byte, error) {
	if ahead := m.ahead; ahead != nil {
		m.ahead = nil
		return ahead()
	}
	return m.file.ReadRaw(m.buf)
}

// load takes the table of this reading.
func (m *metrics) load(r *collector.Reading) error {
	m.table, m.broken = nil, false
	raw, err := m.read()
	if err == nil && len(raw) > 0 {
		m.table, err = cut(raw)
	}
	if err == nil && m.table != nil {
		err = m.settle()
	}
	if err == nil {
		return nil
	}
	m.table = nil
	m.broken = sysfs.Classify(err) != sysfs.Absent
	return m.p.failed(r, m.file.Path, err, nil)
}

const headerSize = 4

// cut checks the header and cuts the table to the size that it tells: copies are padded.
func cut(raw []byte) ([]byte, error) {
	if len(raw) < headerSize {
		return nil, fmt.Errorf("%w: a table of %d bytes", sysfs.ErrMalformed, len(raw))
	}
	size := int(binary.LittleEndian.Uint16(raw))
	if size < headerSize || size > len(raw) {
		return nil, fmt.Errorf("%w: its header says %d bytes, there are %d", sysfs.ErrMalformed, size, len(raw))
	}
	return raw[:size], nil
}

// settle makes sure that the rows fit the table of this reading.
func (m *metrics) settle() error {
	var shape uint64
	v := version{m.table[2], m.table[3]}
	if v == attributeVersion {
		var err error
		if shape, err = attributeShape(m.table); err != nil {
			return err
		}
	}
	switch {
	case !m.planned || v != m.version:
		// It came after the plan, which stands until the next rescan, but for one that was made without knowing.
		m.p.incomplete = m.p.incomplete || v.known()
		m.p.renew = m.p.renew || v.known() && m.unread
		m.table = nil
	case shape != m.list:
		m.plan(m.table) // the same names at other places
	}
	return nil
}

// add adds what the table tells.
func (m *metrics) add(r *collector.Reading) {
	if m.broken {
		for _, s := range m.tells {
			r.Close(s)
		}
		return
	}
	if m.table == nil {
		return
	}
	if m.firmwareGaveNone() {
		m.table = nil
		return
	}
	n, _ := m.partitions() // 0 where it is not told
	for i := range m.rows {
		row := &m.rows[i]
		if row.partition > n || r.Closed(row.tells[0]) {
			continue
		}
		v, state := row.load(m.table)
		switch {
		case state == fieldImpossible:
			for _, s := range row.tells {
				r.Reject(s)
			}
		case state == fieldTold && !row.absent(v):
			for _, s := range row.tells {
				r.Add(s, row.of(v))
			}
		}
	}
	for _, check := range m.checks {
		check(r, m.table)
	}
}

// isFormat1 says whether the tables are of format 1, which v1_9 counts as.
func (m *metrics) isFormat1() bool { return m != nil && m.planned && m.version.format == 1 }
