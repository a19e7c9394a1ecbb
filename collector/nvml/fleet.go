package nvml

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"

	"gpu_exporter/collector"
	"gpu_exporter/collector/worker"
)

// Target is a GPU that a Fleet is to ask. It is awake.
type Target struct {
	Address  string // domain:bus:device.function
	MaySleep bool   // it is read by a child of its own, so that it can be let go
}

// Report is what one reading brought of a GPU.
type Report struct {
	Err      error // why there is nothing: collector.ErrGone, an error of worker.Pool, or of the library
	Samples  []collector.Sample
	Failures []collector.Failure
	Rejected []collector.QuantityID // of values outside the bounds
}

// ErrMissing says that there is nothing to read through: no library, no driver, or not the library's own.
var ErrMissing = errors.New("NVML is not there")

// Fleet is the main program's side of NVML: the GPUs that children have open, and what they say as samples. GPUs share a
// child, but for those that may sleep, which have one each: a GPU never sleeps while a child has it open.
type Fleet struct {
	o worker.PoolOptions

	turn  sync.Mutex // is held by Devices and Read
	cards map[string]*card
	said  string // why NVML is missing, as it was logged

	mu     sync.Mutex // guards what follows
	steady *line
	own    map[string]*line // by label
}

// card is a GPU that was asked for. It outlives children.
type card struct {
	uuid    string
	c       *Converter
	child   uint64 // that read it last
	anew    bool   // it is to be asked for what it did not have
	gone    bool   // and a child was ended because of it
	lostLib bool   // likewise: it said that its child has lost the library
	r       collector.Reading
	answers []Answer
	mig     []Partition
}

// line is a child and how it does.
type line struct {
	pool *worker.Pool

	// Guarded by Fleet.turn.
	has    map[string]bool // labels of what it has opened
	silent error           // it is not asked again until GPUs are looked for
	bad    int             // cycles in a row in which nobody told anything
	ends   int             // children that were ended because of that
}

// NewFleet returns a Fleet. Of the options of its children, their Name, Hello and Group are its own.
func NewFleet(o worker.PoolOptions) *Fleet {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Name, o.Hello, o.Group = "nvml", Hello(), func(group uint8) string {
		if group >= uint8(Groups) {
			return strconv.Itoa(int(group))
		}
		return Group(group).String()
	}
	f := &Fleet{o: o, cards: map[string]*card{}, own: map[string]*line{}}
	f.steady = f.line()
	return f
}

func (f *Fleet) line() *line { return &line{pool: worker.NewPool(f.o), has: map[string]bool{}} }

// label is an address as a GPU is known by it.
func label(address string) string {
	if gpu, err := Address(address); err == nil {
		return gpu
	}
	return address
}

// errand is what one line is to do.
type errand struct {
	*line
	targets []int // their places
	ids     []string
}

// share gives each target to its line. A line that has open what is another's from now on has its child ended, and so has
// the steady one when it has nothing to do; the child of a GPU that may sleep is ended by LetGo.
func (f *Fleet) share(targets []Target) (list []*errand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	steady := &errand{line: f.steady}
	for i, t := range targets {
		gpu := label(t.Address)
		e, other := steady, f.own[gpu]
		if t.MaySleep {
			if other == nil {
				other = f.line()
				f.own[gpu] = other
			}
			e, other = &errand{line: other}, f.steady
			list = append(list, e)
		}
		e.targets, e.ids = append(e.targets, i), append(e.ids, t.Address)
		if other != nil && other.has[gpu] {
			other.end(worker.Sleep)
		}
	}
	if len(steady.ids) > 0 {
		list = append(list, steady)
	} else if len(f.steady.has) > 0 {
		f.steady.end(worker.Sleep)
	}
	return list
}

// run has lines do their errands, side by side.
func run(list []*errand, do func(e *errand)) {
	var all sync.WaitGroup
	for _, e := range list {
		all.Go(func() { do(e) })
	}
	all.Wait()
}

// end ends the child of a line.
func (l *line) end(reason worker.Reason) {
	clear(l.has)
	l.pool.End(reason)
}

// silence ends the child of a line, which is not asked until GPUs are looked for.
func (l *line) silence(why error) {
	l.silent = why
	l.end(worker.DriverChanged)
}

// Devices opens GPUs and says who they are. Without targets, where nobody tells addresses, it is all that NVML lists,
// those that sleep too. A GPU that takes long to open is in a later answer.
func (f *Fleet) Devices(ctx context.Context, targets []Target) ([]Identity, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	var mu sync.Mutex
	var list []Identity
	var failed []error
	errands := []*errand{{line: f.steady}}
	if targets != nil {
		errands = f.share(targets)
	}
	run(errands, func(e *errand) {
		found, err := f.look(ctx, e, targets == nil)
		mu.Lock()
		defer mu.Unlock()
		list = append(list, found...)
		if err != nil {
			failed = append(failed, err)
		}
	})
	f.complain(errors.Join(failed...))
	if len(list) == 0 && len(failed) > 0 {
		return nil, errors.Join(failed...)
	}
	for i := range list {
		f.meet(&list[i])
	}
	return list, nil
}

// meet notes who a GPU is.
func (f *Fleet) meet(id *Identity) {
	c := f.card(label(id.BusID))
	if c.uuid != "" && c.uuid != id.UUID { // another one was put in its place
		*c = card{c: f.converter(id.BusID)}
	}
	c.uuid, c.anew = id.UUID, true
}

func (f *Fleet) card(gpu string) *card {
	c := f.cards[gpu]
	if c == nil {
		c = &card{c: f.converter(gpu)}
		f.cards[gpu] = c
	}
	return c
}

func (f *Fleet) converter(gpu string) *Converter { return NewConverter(f.o.Log.With("gpu", gpu)) }

// look has one line open its GPUs; all: those that the library counts.
func (f *Fleet) look(ctx context.Context, e *errand, all bool) (list []Identity, err error) {
	e.silent = nil
	said, answers, err := e.pool.Look(ctx, e.ids)
	if err != nil {
		return nil, err
	}
	if said == nil {
		return nil, fmt.Errorf("NVML is still being loaded: %w", context.DeadlineExceeded)
	}
	var lib found
	if err := json.Unmarshal(said, &lib); err != nil {
		e.end(worker.Protocol)
		return nil, err
	}
	if err := lib.err(); err != nil {
		e.silence(err)
		return nil, err
	}
	ids := e.ids
	if all {
		for i := range min(lib.Count, mostGPUs) {
			ids = append(ids, strconv.Itoa(int(i)))
		}
		if _, answers, err = e.pool.Look(ctx, ids); err != nil {
			return nil, err
		}
	}
	var refusal error
	for _, id := range ids {
		text, answered := answers[id]
		if !answered {
			continue
		}
		var o opened
		if err := json.Unmarshal(text, &o); err != nil {
			e.end(worker.Protocol)
			return nil, err
		}
		if o.Code != Success { // as of those that this user may not see
			refusal = fmt.Errorf("%w: %w", worker.ErrRefused, o.Code)
			f.o.Log.Debug("NVML does not open a GPU", "gpu", id, "err", o.Code)
			continue
		}
		e.has[label(o.Identity.BusID)] = true
		list = append(list, o.Identity)
	}
	switch {
	case len(list) > 0 || len(answers) < len(ids):
	case refusal != nil:
		e.silence(refusal)
	default:
		e.end(worker.Sleep) // it has nothing to do
	}
	return list, nil
}

// mostGPUs is more than a host has.
const mostGPUs = 64

// err says why nothing can be read, nil where it can.
func (f *found) err() error {
	switch {
	case f.Error != "":
		return fmt.Errorf("%w: %s", ErrMissing, f.Error)
	case f.Init != Success:
		return fmt.Errorf("%w: nvmlInit: %w", ErrMissing, f.Init)
	}
	return nil
}

// complain logs why there is no NVML, when it changes.
func (f *Fleet) complain(err error) {
	text := ""
	if errors.Is(err, ErrMissing) {
		text = err.Error()
	}
	if text == f.said {
		return
	}
	f.said = text
	switch {
	case err == nil:
		f.o.Log.Info("NVML is there")
	case errors.Is(err, LibRMMismatch), errors.Is(err, Unknown):
		f.o.Log.Warn("NVML cannot be used", "err", err)
	default:
		f.o.Log.Info("NVML cannot be used", "err", err)
	}
}

// Read reads GPUs. The reports stand in the order of the targets.
func (f *Fleet) Read(ctx context.Context, targets []Target) []Report {
	f.turn.Lock()
	defer f.turn.Unlock()
	reports, cards := make([]Report, len(targets)), make([]*card, len(targets))
	for i, t := range targets {
		cards[i] = f.card(label(t.Address))
	}
	run(f.share(targets), func(e *errand) { e.read(ctx, targets, cards, reports) })
	return reports
}

// read reads the GPUs of one line.
func (e *errand) read(ctx context.Context, targets []Target, cards []*card, reports []Report) {
	if e.silent != nil {
		for _, i := range e.targets {
			reports[i].Err = cards[i].lost(e.silent)
		}
		return
	}
	asks := make([]worker.Ask, len(e.targets))
	for n, i := range e.targets {
		c := cards[i]
		c.answers, c.mig = c.answers[:0], nil
		c.r.Reset()
		asks[n] = worker.Ask{ID: e.ids[n], Groups: AllGroups}
		if c.anew {
			asks[n].Groups |= Anew
		}
		e.has[label(targets[i].Address)] = true
	}
	errs := e.pool.Read(ctx, asks, func(n int, group uint8, list bool, content []byte) error {
		return cards[e.targets[n]].take(Group(group), list, content)
	})
	var v verdict
	for n, i := range e.targets {
		reports[i] = cards[i].report(errs[n], e.pool.Child(), &v)
	}
	e.judge(&v, len(e.targets))
}

// take takes what a child says of a GPU.
func (c *card) take(group Group, list bool, content []byte) (err error) {
	if list {
		if group != Processes {
			return fmt.Errorf("a list of the group %d", group)
		}
		return json.Unmarshal(content, &c.mig)
	}
	if c.answers, err = ParseAnswers(c.answers, content); err == nil && len(c.answers) > len(Table) {
		err = fmt.Errorf("%d rows, of %d in the table", len(c.answers), len(Table))
	}
	return err
}

// verdict is how the GPUs of one line did in a cycle.
type verdict struct {
	answered, refused int
	well              bool // one told something, or had nothing to tell
	gone              bool // one is gone, which is news
	why               error
	child, driver     bool // the library is not what it was
}

// report makes samples of what was taken, if that is whole.
func (c *card) report(err error, child uint64, v *verdict) Report {
	if err != nil {
		if errors.Is(err, worker.ErrRefused) {
			v.refused, v.why = v.refused+1, err
		}
		return Report{Err: c.lost(err)}
	}
	v.answered++
	c.anew = false
	if child != c.child {
		c.child = child
		c.c.AnotherChild()
	}
	err = c.c.Add(&c.r, c.answers, c.mig)
	switch {
	case errors.Is(err, collector.ErrGone):
		v.gone = v.gone || !c.gone
		c.gone = true
	case errors.Is(err, ErrChild):
		v.child = v.child || !c.lostLib
		c.lostLib = true
	case errors.Is(err, ErrDriver):
		v.driver, v.why = true, err
	}
	if err != nil {
		return Report{Err: err}
	}
	c.gone, c.lostLib = false, false
	r := Report{Samples: slices.Clone(c.r.Samples()), Failures: slices.Clone(c.r.Failures()), Rejected: slices.Clone(c.r.Rejected())}
	v.well = v.well || len(r.Samples) > 0 || len(r.Failures) == 0
	return r
}

// lost is an error of a GPU, which is gone where it was before.
func (c *card) lost(err error) error {
	if c.gone && (errors.Is(err, worker.ErrRefused) || errors.Is(err, ErrMissing) || errors.Is(err, ErrDriver)) {
		return collector.ErrGone
	}
	return err
}

// judge ends the child where another would do better: a GPU that is lost stays lost in one process, and after an update
// of the driver the library in memory is the old one (nvidia.md 7, windows.md 9). Where nothing comes of that it is done
// less and less often.
func (e *errand) judge(v *verdict, asked int) {
	if v.well {
		e.bad, e.ends = 0, 0
	} else if v.answered > 0 {
		e.bad++
	}
	const longest = 8
	switch {
	case v.driver, v.refused == asked:
		e.silence(v.why)
	case e.bad >= lostAfter<<e.ends, v.child, v.gone:
		e.bad, e.ends = 0, min(e.ends+1, longest)
		e.end(worker.DriverChanged)
	}
}

// LetGo ends the child that has a GPU open by itself, so that the GPU can fall asleep.
func (f *Fleet) LetGo(address string) {
	f.mu.Lock()
	l := f.own[label(address)]
	f.mu.Unlock()
	if l != nil {
		l.pool.End(worker.Sleep)
	}
}

// Leave ends all children, whose library has gone. GPUs are not read until they are looked for.
func (f *Fleet) Leave() {
	f.turn.Lock()
	defer f.turn.Unlock()
	for _, l := range f.lines() {
		l.silence(fmt.Errorf("%w: its library has gone", ErrMissing))
	}
}

func (f *Fleet) lines() []*line {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append(slices.Collect(maps.Values(f.own)), f.steady)
}

// Close ends all children.
func (f *Fleet) Close() {
	var all sync.WaitGroup
	for _, l := range f.lines() {
		all.Go(l.pool.Close)
	}
	all.Wait()
}
