package amd

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gpu_exporter/collector"
	"gpu_exporter/collector/sysfs"
)

// slowPace is the pace of limits and settings: they change by hand only, and some of them cost one message to the
// firmware for each level (kernel: smu_v11_0.c).
const slowPace = 10 * time.Second

// plan is what is read of one card, settled once from what its tree has: rows of ready-made files and series, in the
// order of trust of their sources.
type plan struct {
	d      *device
	buf    []byte // of one text, for all of them
	files  []*sysfs.File
	series map[string]*collector.Series
	sensed map[*collector.Series]bool // what hwmon has a file for
	names  []string                   // what is in the folder of the device
	sensor []string                   // what is in the folder of the sensors
	listed map[string][]string        // what was in each folder that was looked into

	slow    collector.Group
	fast    collector.Group
	metrics *metrics        // gpu_metrics; nil: the card has none
	last    collector.Group // what fills only where gpu_metrics does not tell

	load       *collector.Series  // gpu_utilization_ratio
	connectors []string           // folders
	port       string             // the folder whose link files are those of the slot, empty: none
	firmware   []string           // files of fw_version
	maySleep   bool               // power/control is auto and no display is connected, by the slow group
	incomplete bool               // something could not be settled: make it anew at the next rescan
	renew      bool               // what could not be looked at can be now: make it anew at once
	origins    []collector.Origin // every file of the rows, and what it may tell
}

// newPlan looks at the tree of a card that is awake. An error ends the reading; without what could not be looked at for
// another reason the plan is made, see retry.
func newPlan(d *device) (*plan, error) {
	if !exists(filepath.Join(d.dir, "vendor")) {
		return nil, collector.ErrGone
	}
	p := &plan{
		d: d, buf: make([]byte, sysfs.ListSize), series: map[string]*collector.Series{},
		sensed: map[*collector.Series]bool{}, listed: map[string][]string{},
	}
	p.slow.Every = slowPace
	p.load = p.of(collector.Utilization)
	p.names = p.list(d.dir)
	if d.hwmon != "" {
		p.sensor = p.list(d.hwmon)
	}
	p.connectors = connectors(d.o.Sysfs, d.card, p.list(d.classDir()))
	p.port = p.slotPort()
	if d.o.Firmware {
		p.firmware = p.list(p.at("fw_version"))
	}
	if err := p.planMetrics(); err != nil {
		p.close()
		return nil, err
	}
	p.planSensors()
	p.planDevice()
	p.planClocks()
	p.planLink()
	p.planHealth()
	p.planPartitions()
	p.planSettings()
	if m := p.metrics; m != nil {
		p.origins = append(p.origins, collector.Origin{Source: m.file.Path, Tells: m.tells})
	}
	return p, nil
}

// read runs the plan: gpu_metrics is read first and once, for its content and its age belong together.
func (p *plan) read(r *collector.Reading, now time.Time) error {
	r.Origins = p.origins
	if p.metrics != nil {
		if err := p.metrics.load(r); err != nil {
			return err
		}
	}
	if err := p.slow.Read(r, now); err != nil {
		return err
	}
	if err := p.fast.Read(r, now); err != nil {
		return err
	}
	if p.metrics != nil {
		p.metrics.add(r)
	}
	return p.last.Read(r, now)
}

// outdated says whether the tree has what the plan was made without.
func (p *plan) outdated() bool {
	if p.incomplete {
		return true
	}
	for _, f := range p.files {
		if f.Appeared() {
			return true
		}
	}
	for dir, had := range p.listed {
		now, err := sysfs.List(dir)
		if dir == p.d.classDir() { // of all cards
			now, had = connectors(p.d.o.Sysfs, p.d.card, now), p.connectors
		}
		if err == nil && !slices.Equal(now, had) {
			return true
		}
	}
	return false
}

func (p *plan) close() {
	for _, f := range p.files {
		f.Close()
	}
}

// list is what is in a folder, nil where it is not there.
func (p *plan) list(dir string) []string {
	names, err := sysfs.List(dir)
	if unlessAbsent(err) != nil {
		p.retry(dir, func() error { _, err := sysfs.List(dir); return err })
		return nil
	}
	p.listed[dir] = names
	return names
}

// retry plans another look, at the pace of the slow group, at what could not be looked at though it is there: a missing
// right or a shortage of the host. It is a failure until it ends, which must not cost its samples until the next rescan.
func (p *plan) retry(path string, look func() error) {
	p.slow.Rows = append(p.slow.Rows, func(r *collector.Reading) error {
		if err := look(); err != nil {
			return p.failed(r, path, err, nil)
		}
		p.renew = true
		return nil
	})
}

// of is the one series of a quantity and its label values.
func (p *plan) of(q collector.QuantityID, values ...string) *collector.Series {
	key := q.String() + "\x00" + strings.Join(values, "\x00")
	s, ok := p.series[key]
	if !ok {
		s = &collector.Series{Q: q, Values: values}
		s.Min, s.Max = boundsOf(q, values)
		p.series[key] = s
	}
	return s
}

// file is a file of the plan, opened at its first read.
func (p *plan) file(path string) *sysfs.File {
	f := sysfs.NewFile(path)
	p.files = append(p.files, f)
	return f
}

// row reads a text and hands it to take, unless it is blank, not there, or its first series was told by a source of
// more trust. tells are the series that it may tell: a source that is broken closes them, so that nothing further down
// hides the fault. take answers nil, sysfs.ErrMalformed or sysfs.ErrRange.
func (p *plan) row(path string, take func(r *collector.Reading, text []byte) error, tells ...*collector.Series) collector.Row {
	return p.rowIn(p.buf[:sysfs.TextSize], path, take, tells...)
}

// listRow is a row of a text that may be long.
func (p *plan) listRow(path string, take func(r *collector.Reading, text []byte) error, tells ...*collector.Series) collector.Row {
	return p.rowIn(p.buf, path, take, tells...)
}

func (p *plan) rowIn(buf []byte, path string, take func(r *collector.Reading, text []byte) error, tells ...*collector.Series) collector.Row {
	f := p.file(path)
	p.origins = append(p.origins, collector.Origin{Source: path, Tells: tells})
	return func(r *collector.Reading) error {
		if len(tells) > 0 && r.Closed(tells[0]) {
			return nil
		}
		text, err := f.Read(buf)
		if err == nil && len(text) > 0 {
			err = take(r, text)
		}
		if err == nil {
			return nil
		}
		if errors.Is(err, sysfs.ErrRange) {
			for _, s := range tells {
				r.Reject(s)
			}
			return nil
		}
		return p.failed(r, f.Path, err, tells)
	}
}

// failed says what an error of a read means for the reading.
func (p *plan) failed(r *collector.Reading, path string, err error, tells []*collector.Series) error {
	switch sysfs.Classify(err) {
	case sysfs.Absent:
		return nil
	case sysfs.Gone:
		return collector.ErrGone
	case sysfs.Refused:
		if p.d.fellAsleep() {
			return collector.ErrAsleep
		}
	}
	r.Fail(failure(path, err))
	for _, s := range tells {
		r.Close(s)
	}
	return nil
}

// conversion turns the integer of a file into the unit of its quantity. It multiplies or divides by a whole number, so
// that the result is the nearest float64.
type conversion struct {
	times, by  float64 // 0 counts as 1
	zeroAbsent bool    // 0 says "not measured"
	lowAbsent  bool    // so do negative numbers
}

func (c conversion) of(v float64) float64 {
	if c.times != 0 {
		v *= c.times
	}
	if c.by != 0 {
		v /= c.by
	}
	return v
}

func (c conversion) absent(v float64) bool {
	return v == 0 && c.zeroAbsent || v <= 0 && c.lowAbsent
}

// number is a row of one integer.
func (p *plan) number(path string, c conversion, tells ...*collector.Series) collector.Row {
	return p.row(path, func(r *collector.Reading, text []byte) error {
		n, err := sysfs.Int(text)
		if err != nil {
			return err
		}
		if v := float64(n); !c.absent(v) {
			for _, s := range tells {
				r.Add(s, c.of(v))
			}
		}
		return nil
	}, tells...)
}

// has says whether the folder of the device has a file.
func (p *plan) has(name string) bool { return slices.Contains(p.names, name) }

func (p *plan) at(name string) string { return filepath.Join(p.d.dir, name) }

func isMissing(err error) bool { return errors.Is(err, syscall.ENOENT) }
