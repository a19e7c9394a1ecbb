package compat

import (
	"fmt"
	"io"
	"iter"
	"time"

	"gpu_exporter/collector"
)

// The formats of a history.
const (
	FormatCSV  = "csv"
	FormatJSON = "json"
)

// Past is the part of a Store that is read.
type Past interface {
	// Range is that of Store.
	Range(gpu string, from, to time.Time) iter.Seq2[Entry, error]
}

// ExportOptions say what Export writes.
type ExportOptions struct {
	Format   string        // FormatCSV or FormatJSON
	GPU      string        // address, uuid or position of the only one. Empty: all
	From, To time.Time     // zero: all
	Step     time.Duration // 0: the entries as they were recorded
	Interval time.Duration // between readings, see Options
}

// Export writes what was recorded of these GPUs, one after another: CSV, or one JSON object a line.
func Export(w io.Writer, past Past, gpus []collector.Info, o ExportOptions) error {
	if o.GPU != "" {
		gpu, err := pick(gpus, o.GPU)
		if err != nil {
			return err
		}
		gpus = []collector.Info{gpu}
	}
	if o.To.IsZero() {
		o.To = time.Unix(maxUnix, 0)
	}
	l := &jsonLines
	if o.Format == FormatCSV {
		l = &csvLines
	}
	s := newSheet(w, l, spreads(o.Step, o.Interval))
	for i := range gpus {
		if err := s.add(&gpus[i], rows(past.Range(gpus[i].GPU, o.From, o.To), o.Step)); err != nil {
			return fmt.Errorf("export %s: %w", gpus[i].GPU, err)
		}
	}
	return s.end()
}

// pick finds a GPU by the rules of ?gpu= (legacy-api.md 15.1).
func pick(gpus []collector.Info, name string) (collector.Info, error) {
	s := collector.Snapshot{Devices: make([]collector.Status, len(gpus))}
	for i, info := range gpus {
		s.Devices[i] = collector.Status{Info: info, Index: i}
	}
	d, err := s.Find(name)
	if err != nil {
		return collector.Info{}, err
	}
	return d.Info, nil
}

// spreads says whether the least and the most are told beside the mean: where a step may have more than one entry.
func spreads(step, interval time.Duration) bool {
	if interval == 0 {
		interval = entryInterval // of readings that are made when they are asked for, no more are recorded
	}
	return step > interval
}

// A figure is what a row tells of a column.
type figure struct {
	suffix string // of the key
	of     func(*row) *Values
}

var figures = [...]figure{
	{"", func(r *row) *Values { return &r.values }},
	{"_min", func(r *row) *Values { return &r.least }},
	{"_max", func(r *row) *Values { return &r.most }},
}

func figuresOf(spread bool) []figure {
	if spread {
		return figures[:]
	}
	return figures[:1]
}

// A layout is a form in which a history is written.
type layout struct {
	contentType   string
	head          func(dst []byte, spread bool) []byte
	between, tail string
	row           func(dst []byte, who *collector.Info, r *row, spread bool) []byte
}

var (
	legacyList = layout{"application/json", listHead, ",", "]}", appendLegacyRow}
	jsonList   = layout{"application/json", listHead, ",", "]}", appendJSONRow}
	jsonLines  = layout{"", noHead, "", "", appendJSONLine}
	csvLines   = layout{"text/csv; charset=utf-8", appendCSVHeader, "", "", appendCSVRow}
)

func listHead(dst []byte, _ bool) []byte { return append(dst, `{"history":[`...) }

func noHead(dst []byte, _ bool) []byte { return dst }

// appendLegacyRow appends the object of legacy-api.md 7, where what is not known is 0.
func appendLegacyRow(dst []byte, _ *collector.Info, r *row, _ bool) []byte {
	dst = append(dst, `{"timestamp":`...)
	dst = appendFloatUnix(dst, r.at)
	for _, i := range [...]int{Utilization, Temperature, MemoryUtilization} {
		dst = append(dst, ',')
		dst = appendKey(dst, columns[i].key)
		dst = appendFloat(dst, r.values[i].V)
	}
	return append(dst, '}')
}

// appendJSONRow appends an object whose keys are the columns of the CSV; what is not known is null.
func appendJSONRow(dst []byte, who *collector.Info, r *row, spread bool) []byte {
	dst = append(dst, `{"timestamp":`...)
	dst = appendUnix(dst, r.at)
	dst = append(dst, `,"gpu":`...)
	dst = appendString(dst, who.GPU)
	dst = append(dst, `,"name":`...)
	dst = appendText(dst, who.Name)
	dst = append(dst, `,"state":`...)
	dst = appendString(dst, r.state.String())
	for i, c := range columns {
		for _, f := range figuresOf(spread) {
			dst = append(dst, ',')
			dst = appendKey(dst, c.key+f.suffix)
			dst = appendValue(dst, f.of(r)[i])
		}
	}
	dst = append(dst, `,"driver_version":`...)
	dst = appendText(dst, who.DriverVersion)
	dst = append(dst, `,"monitoring_method":`...)
	dst = appendText(dst, who.Source)
	return append(dst, '}')
}

func appendJSONLine(dst []byte, who *collector.Info, r *row, spread bool) []byte {
	return append(appendJSONRow(dst, who, r, spread), '\n')
}

// flushAt is how much of a history is put together before it is sent.
const flushAt = 16 << 10

// A sheet writes rows in pieces: however many, it takes the memory of one piece.
type sheet struct {
	*layout
	w      io.Writer
	spread bool
	piece  []byte
	begun  bool
}

func newSheet(w io.Writer, l *layout, spread bool) *sheet {
	return &sheet{layout: l, w: w, spread: spread, piece: l.head(make([]byte, 0, flushAt+1024), spread)}
}

// add writes the rows of one GPU.
func (s *sheet) add(who *collector.Info, rows iter.Seq2[*row, error]) error {
	for r, err := range rows {
		if err != nil {
			return err
		}
		if s.begun {
			s.piece = append(s.piece, s.between...)
		}
		s.begun = true
		s.piece = s.row(s.piece, who, r, s.spread)
		if len(s.piece) < flushAt {
			continue
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

// end writes what is left.
func (s *sheet) end() error {
	s.piece = append(s.piece, s.tail...)
	return s.flush()
}

func (s *sheet) flush() error {
	_, err := s.w.Write(s.piece)
	s.piece = s.piece[:0]
	return err
}
