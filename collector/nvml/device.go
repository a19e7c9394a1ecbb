package nvml

import (
	"runtime"
	"slices"

	"gpu_exporter/collector/worker"
)

// Anew is the bit in the groups of a reading that has a GPU asked anew for what it said it does not have: the main
// program has looked for GPUs, and things may be different (nvidia.md 7).
const Anew = 1 << 14

// AllGroups are the groups that a GPU is read for.
const AllGroups = 1<<Groups - 1

// device is a GPU in the child that has it open. One thread reads it.
type device struct {
	l      *Library
	b      Binding
	handle uintptr
	guest  bool // a slice of a GPU in a virtual machine

	links, calls [Groups][]asked
	fields       uintptr      // address of fieldValues
	byAge        [Groups]bool // fields are asked by their age: the driver does not take all

	absent []bool // by row: it was said not to be there, and is not asked again before Anew
	word   []bool // by row, in this reading: it told something, or failed to
	told   []bool // by row, in this reading: it told something
	mig    bool   // as the last reading told
	gpm    gpm
	pin    *runtime.Pinner // of its memory

	// Of one reading.
	t       teller
	group   Group
	begun   bool
	over    bool // the GPU is lost, or the library is: nothing more is asked
	migNow  bool
	args    []uintptr
	out     memory // of calls
	values  memory // of fields
	rows    []int
	content []byte
}

// teller is what a device needs of a worker.Teller.
type teller interface {
	Begin(group uint8)
	Rows(group uint8, content []byte)
	List(group uint8, list any)
}

// asked is a request as one device answers it.
type asked struct {
	*request
	at   uintptr // of the function; 0: missing
	form int     // of its forms: those before are not known here
}

const fieldSize = 40 // of FieldValue

func newDevice(l *Library, handle uintptr, guest bool) *device {
	d := &device{
		l: l, b: l.b, handle: handle, guest: guest, fields: l.find(fieldValues),
		absent: make([]bool, len(Table)), word: make([]bool, len(Table)), told: make([]bool, len(Table)),
		pin: &runtime.Pinner{}, args: make([]uintptr, 0, 16),
	}
	size, most := 0, 0
	for g := range schemes {
		s := &schemes[g]
		for _, list := range []struct {
			of []request
			to *[]asked
		}{{s.links, &d.links[g]}, {s.calls, &d.calls[g]}} {
			for i := range list.of {
				r := &list.of[i]
				*list.to = append(*list.to, asked{request: r, at: l.find(r.symbol)})
				size = max(size, r.forms[0].size)
			}
		}
		most = max(most, len(s.fields))
	}
	d.out, d.values = newMemory(size, d.pin), newMemory(fieldSize*most, d.pin)
	runtime.AddCleanup(d, (*runtime.Pinner).Unpin, d.pin)
	d.forget()
	return d
}

// forget has all be asked for again.
func (d *device) forget() {
	for n := range d.absent {
		d.absent[n] = d.guest && facts[n].loud
	}
	for g := range d.calls {
		for i := range d.calls[g] {
			d.calls[g][i].form = 0
		}
	}
	d.byAge = [Groups]bool{}
	d.gpm.refused = false
}

// Read implements worker.GPU.
func (d *device) Read(groups uint16, t *worker.Teller) { d.read(groups, t) }

func (d *device) read(groups uint16, t teller) {
	d.t, d.over, d.migNow = t, false, d.mig && groups&(1<<Basic) == 0
	clear(d.word)
	clear(d.told)
	if groups&Anew != 0 {
		d.forget()
	}
	for g := range Groups {
		if groups&(1<<g) == 0 || d.over {
			continue
		}
		d.group, d.begun, d.content = g, false, d.content[:0]
		switch g {
		case Processes:
			d.tellPartitions()
			continue
		case GPM:
			d.readGPM()
		case PCIe:
			if d.told[sentRow] && d.told[receivedRow] {
				continue // counters, of which the main program takes the throughput as well
			}
			fallthrough
		default:
			d.readGroup(&schemes[g])
		}
		if len(d.content) > 0 {
			t.Rows(uint8(g), d.content)
		}
		if g == Basic && d.migNow != d.mig {
			d.mig = d.migNow
			d.forget() // what the whole GPU tells and what not depends on it
		}
	}
}

// The rows that decide about others.
var sentRow, receivedRow, migRow = func() (sent, received, mig int) {
	find := func(is func(r *Row) bool) int {
		for n := range Table {
			if is(&Table[n]) {
				return n
			}
		}
		panic("the table lacks a row")
	}
	return find(func(r *Row) bool { return r.Field == fieldSent }), find(func(r *Row) bool { return r.Field == fieldReceived }),
		find(func(r *Row) bool { return r.Call == "GetMigMode" })
}()

func (d *device) readGroup(s *scheme) {
	for i := range d.links[d.group] {
		d.ask(&d.links[d.group][i])
	}
	d.askFields(s.fields)
	for i := range d.calls[d.group] {
		d.ask(&d.calls[d.group][i])
	}
}

// call calls a function with d.args.
func (d *device) call(at uintptr) Return {
	if !d.begun {
		d.begun = true
		d.t.Begin(uint8(d.group))
	}
	return code(d.b.Call(at, d.args))
}

// named calls a function by its name.
func (d *device) named(symbol string, args ...uintptr) Return {
	at := d.l.find(symbol)
	if at == 0 {
		return FunctionNotFound
	}
	d.args = append(d.args[:0], args...)
	return d.call(at)
}

// answer notes what one row says.
func (d *device) answer(n int, c Return, is Type, raw uint64) {
	a := Answer{uint16(n), c, is, raw}
	d.content = AppendAnswer(d.content, a)
	d.absent[n] = lasting(c)
	switch c.outcome() {
	case told:
		_, d.told[n] = a.value()
		d.word[n] = d.told[n]
		d.migNow = d.migNow || n == migRow && raw == 1
	case failed:
		d.word[n] = true
	case gone, child, driver:
		d.over = true
	}
}

func (d *device) answerAll(rows []int, c Return) {
	for _, n := range rows {
		d.answer(n, c, Uint64, 0)
	}
}

// left says that a row need not be asked: it is known not to be there, or its link is, or there is nobody to answer.
func (d *device) left(n int) bool {
	link := facts[n].link
	return d.over || d.absent[n] || link >= 0 && !d.told[link]
}

// needed says that a row may tell something that none of more trust has told.
func (d *device) needed(n int) bool {
	behind := facts[n].behind
	return behind == nil || slices.ContainsFunc(behind, func(rows []int) bool {
		return !slices.ContainsFunc(rows, func(n int) bool { return d.word[n] })
	})
}

// ask makes one call.
func (d *device) ask(r *asked) {
	if d.left(r.rows[0]) || !slices.ContainsFunc(r.rows, d.needed) {
		return
	}
	if r.at == 0 {
		d.answerAll(r.rows, FunctionNotFound)
		return
	}
	var c Return
	var f *form
	for {
		f = &r.forms[r.form]
		clear(d.out.bytes)
		if f.version != 0 {
			d.out.put32(0, f.version)
		}
		d.args = append(d.args[:0], d.handle)
		for _, a := range r.args {
			if f.arg > 0 {
				d.out.put32(f.arg, a)
			} else {
				d.args = append(d.args, uintptr(a))
			}
		}
		for _, at := range f.pointers {
			d.args = append(d.args, d.out.at(at))
		}
		c = d.call(r.at)
		if c != VersionMismatch || r.form+1 == len(r.forms) {
			break
		}
		r.form++
	}
	if c != Success {
		d.answerAll(r.rows, c)
		return
	}
	for _, n := range r.rows {
		v := f.out[Table[n].Out]
		d.answer(n, c, v.is, d.out.raw(v))
	}
}

// askFields asks fields by one call, or where the driver does not take that, by the age of their ids.
func (d *device) askFields(rows []int) {
	d.rows = d.rows[:0]
	for _, n := range rows {
		if !d.left(n) {
			d.rows = append(d.rows, n)
		}
	}
	rows = d.rows
	if len(rows) == 0 {
		return
	}
	if d.fields == 0 {
		d.answerAll(rows, FunctionNotFound)
		return
	}
	if !d.byAge[d.group] {
		switch c := d.fieldValues(rows); c.outcome() {
		case told:
			return
		case gone, child, driver:
			d.answerAll(rows, c)
			return
		}
		d.byAge[d.group] = true
	}
	slices.SortStableFunc(rows, func(a, b int) int { return ageOf(Table[a].Field) - ageOf(Table[b].Field) })
	for len(rows) > 0 && !d.over {
		age, n := ageOf(Table[rows[0]].Field), 1
		for n < len(rows) && ageOf(Table[rows[n]].Field) == age {
			n++
		}
		if c := d.fieldValues(rows[:n]); c != Success {
			d.answerAll(rows[:n], c)
		}
		rows = rows[n:]
	}
}

// fieldValues asks the fields of rows by one call. They are answered where that succeeds.
func (d *device) fieldValues(rows []int) Return {
	m := d.values
	clear(m.bytes[:fieldSize*len(rows)]) // each time: to some fields is added what stands there
	for i, n := range rows {
		r := &Table[n]
		m.put32(fieldSize*i, uint32(r.Field))
		if len(r.Args) > 0 {
			m.put32(fieldSize*i+4, r.Args[0])
		}
	}
	d.args = append(d.args[:0], d.handle, uintptr(len(rows)), m.at(0))
	c := d.call(d.fields)
	if c != Success {
		return c
	}
	for i, n := range rows {
		at := fieldSize * i
		own, is := code(int32(m.u32(at+28))), m.u32(at+24)
		switch {
		case own != Success:
			d.answer(n, own, Uint64, 0)
		case is >= uint32(types):
			d.answer(n, NoData, Uint64, 0) // of a type that nobody knew when this was written
		default:
			d.answer(n, own, Type(is), m.u64(at+32))
		}
	}
	return c
}
