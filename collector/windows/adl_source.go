package windows

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"gpu_exporter/collector/worker"
)

// adlFile is the library, of 64 bits.
const adlFile = "atiadlxx.dll"

// What a child is asked for of a GPU, one message for each. The first has the result of the call and the sensors, as
// supported and value; the second has the result and the MiB. All are 32 bits wide, little-endian.
const (
	adlSensorsGroup = iota
	adlUsageGroup
	adlGroups
)

var (
	adlGroupNames = [adlGroups]string{"sensors", "memory in use"}
	adlGroupSizes = [adlGroups]int{4 + 8*len(PMLog{}), 4 + 4}
)

// adlHello is to be changed with what is said between the two.
var adlHello = worker.Hello{Protocol: 1, Table: "adl 1"}

// adlFound is what a child says of the library.
type adlFound struct {
	Entries     []ADLAdapter // without what is only told of a GPU that was opened
	Err         string       // why there are none
	Unsupported bool         // and that this is no fault
}

// adlOpened is what it says of a GPU.
type adlOpened struct {
	Adapter *ADLAdapter // whole
	Err     string      // why it cannot be opened
}

func (f *adlFound) err() error {
	switch {
	case f.Unsupported:
		return fmt.Errorf("%s: %w", f.Err, ErrUnsupported)
	case f.Err != "":
		return errors.New(f.Err)
	}
	return nil
}

// adlID names an entry to a child. After an update of the driver another card may have its number: it is then refused.
func adlID(a *ADLAdapter) string { return fmt.Sprintf("%d at %s", a.Index, a.Place.address()) }

const (
	// adlCycles is in how many cycles in a row all calls fail until the library is taken for that of a driver which was
	// updated (section 9). It doubles up to adlMaxCycles as long as another child does no better.
	adlCycles    = 3
	adlMaxCycles = 192
	// adlPause is how long it stands that the library knows no GPU: to ask takes up to half a second.
	adlPause = 5 * time.Minute
)

// adlSource is ADL by way of children. GPUs that may sleep have one each, which can be ended so that they do.
type adlSource struct {
	there  func() bool // the library is, as a file
	o      worker.PoolOptions
	steady *adlPool // of all other GPUs

	// Of who has the turn: see Sources.
	ids   map[Place]string // of the entries that may be read
	facts map[string]ADLAdapter
	none  error     // the library knows no GPU
	until time.Time // and is not asked again before

	mu  sync.Mutex // guards what follows
	own map[Place]*adlPool
}

// adlPool is a child, and how its GPUs do.
type adlPool struct {
	*worker.Pool
	reads  bool // there is a GPU that it is to read
	failed int  // cycles in a row in which all calls failed
	limit  int  // of failed
}

// newADL returns ADL whose children are started as o says.
func newADL(there func() bool, o worker.PoolOptions) *adlSource {
	o.Hello = adlHello
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Group = func(group uint8) string {
		if int(group) < len(adlGroupNames) {
			return adlGroupNames[group]
		}
		return fmt.Sprint(group)
	}
	a := &adlSource{there: there, o: o, own: map[Place]*adlPool{}, facts: map[string]ADLAdapter{}}
	a.steady = a.pool()
	return a
}

func (a *adlSource) pool() *adlPool { return &adlPool{Pool: worker.NewPool(a.o), limit: adlCycles} }

// Adapters implements ADL.
func (a *adlSource) Adapters(ctx context.Context, maySleep func(Place) bool) ([]ADLAdapter, error) {
	if !a.there() {
		a.ids, a.none = nil, nil
		a.end(worker.DriverChanged)
		return nil, fmt.Errorf("%s: %w", adlFile, ErrUnsupported)
	}
	if a.none != nil && time.Now().Before(a.until) {
		return nil, a.none
	}
	p := a.lister()
	list, gpus, err := p.list(ctx)
	if a.none = nil; errors.Is(err, ErrUnsupported) {
		a.ids, a.none, a.until = nil, err, time.Now().Add(adlPause)
		a.end(worker.Sleep)
	}
	if err != nil {
		return nil, err
	}
	a.ids, a.steady.reads = map[Place]string{}, false
	var asked []string
	sleepy := map[Place]bool{}
	for _, g := range gpus {
		id := adlID(g)
		a.ids[g.Place], asked = id, append(asked, id)
		if sleepy[g.Place] = maySleep(g.Place); !sleepy[g.Place] {
			a.steady.reads = true
		}
	}
	a.learn(ctx, p, asked)
	for _, g := range gpus {
		known := a.facts[adlID(g)]
		g.Family, g.Memory, g.BIOSPart = known.Family, known.Memory, known.BIOSPart
	}
	a.dismiss(sleepy)
	return list, nil
}

// learn asks for what does not change. What was known of a GPU that does not answer just now stands, and one that has
// never answered is in the list nevertheless: its readings will say what is wrong.
func (a *adlSource) learn(ctx context.Context, p *adlPool, asked []string) {
	maps.DeleteFunc(a.facts, func(id string, _ ADLAdapter) bool { return !slices.Contains(asked, id) })
	_, opened, err := p.Look(ctx, asked)
	for id, text := range opened {
		var o adlOpened
		if err = json.Unmarshal(text, &o); err == nil && o.Adapter != nil && adlID(o.Adapter) != id {
			err = fmt.Errorf("%w: another GPU", ErrMalformed)
		}
		if err != nil {
			p.End(worker.Protocol)
			break
		}
		if o.Adapter != nil {
			a.facts[id] = *o.Adapter
		}
	}
	if err != nil {
		a.o.Log.Debug("ADL does not tell what its GPUs are", "err", err)
	}
}

// lister is the pool whose child makes the list: one that reads anyway, if there is any.
func (a *adlSource) lister() *adlPool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.steady.reads || len(a.own) == 0 {
		return a.steady
	}
	for _, p := range a.own {
		return p
	}
	return a.steady
}

// list lists all entries, and those of GPUs of AMD: of each the first that is present.
func (p *adlPool) list(ctx context.Context) (list []ADLAdapter, gpus []*ADLAdapter, err error) {
	text, _, err := p.Look(ctx, nil)
	if err != nil {
		return nil, nil, noAnswer(err)
	}
	if text == nil {
		return nil, nil, fmt.Errorf("%w: the library is being loaded", errLate)
	}
	var found adlFound
	if err = json.Unmarshal(text, &found); err == nil && len(found.Entries) > maxRows {
		err = fmt.Errorf("%d entries", len(found.Entries))
	}
	if err != nil {
		p.End(worker.Protocol)
		return nil, nil, fmt.Errorf("%w: a list of %d bytes: %w", ErrMalformed, len(text), err)
	}
	if err := found.err(); errors.Is(err, ErrUnsupported) {
		return nil, nil, err
	} else if err != nil {
		p.End(worker.DriverChanged) // another child may do better, with what was installed since
		return nil, nil, err
	}
	seen := map[Place]bool{}
	for i := range found.Entries {
		if g := &found.Entries[i]; g.isGPU() && !seen[g.Place] {
			seen[g.Place] = true
			gpus = append(gpus, g)
		}
	}
	if len(gpus) == 0 {
		return nil, nil, fmt.Errorf("no GPU of AMD is there: %w", ErrUnsupported)
	}
	return found.Entries, gpus, nil
}

// dismiss ends the children that have nothing to read.
func (a *adlSource) dismiss(sleepy map[Place]bool) {
	if !a.steady.reads {
		a.steady.End(worker.Sleep)
	}
	var done []*adlPool
	a.mu.Lock()
	for at, p := range a.own {
		if !sleepy[at] {
			done = append(done, p)
			delete(a.own, at)
		}
	}
	a.mu.Unlock()
	for _, p := range done {
		p.Close()
	}
}

// Read implements ADL.
func (a *adlSource) Read(ctx context.Context, targets []ADLTarget) ([]ADLReading, error) {
	readings := make([]ADLReading, len(targets))
	of := map[*adlPool][]int{}
	for i, t := range targets {
		if a.ids[t.Place] == "" {
			readings[i].Err = errUnasked
			continue
		}
		p := a.of(t)
		of[p] = append(of[p], i)
	}
	var all sync.WaitGroup // a pool never blocks longer than ctx says
	for p, which := range of {
		all.Go(func() {
			asks := make([]worker.Ask, len(which))
			for n, i := range which {
				asks[n] = worker.Ask{ID: a.ids[targets[i].Place], Groups: targets[i].groups()}
			}
			p.read(ctx, asks, func(n int) *ADLReading { return &readings[which[n]] })
		})
	}
	all.Wait()
	return readings, nil
}

// of is the pool that reads a target.
func (a *adlSource) of(t ADLTarget) *adlPool {
	if !t.MaySleep {
		return a.steady
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.own[t.Place]
	if p == nil {
		p = a.pool()
		a.own[t.Place] = p
	}
	return p
}

func (t ADLTarget) groups() uint16 {
	groups := uint16(1 << adlSensorsGroup)
	if t.Usage {
		groups |= 1 << adlUsageGroup
	}
	return groups
}

// read reads GPUs of the pool.
func (p *adlPool) read(ctx context.Context, asks []worker.Ask, reading func(n int) *ADLReading) {
	told := make([]uint16, len(asks)) // groups
	errs := p.Pool.Read(ctx, asks, func(n int, group uint8, list bool, content []byte) error {
		if list || int(group) >= adlGroups || len(content) != adlGroupSizes[group] {
			return fmt.Errorf("%w: %d bytes of group %d", ErrMalformed, len(content), group)
		}
		told[n] |= 1 << group
		reading(n).take(group, content)
		return nil
	})
	bad, good := false, false
	for n, err := range errs {
		r := reading(n)
		if err == nil && told[n] != asks[n].Groups {
			err = fmt.Errorf("%w: the groups %b of %b", ErrMalformed, told[n], asks[n].Groups)
		}
		r.Heavy = err != nil && !errors.Is(err, ErrMalformed) && told[n] == 1<<adlSensorsGroup && told[n] != asks[n].Groups
		if r.Heavy {
			err = nil // what came holds
		}
		if err != nil {
			*r = ADLReading{Err: noAnswer(err)}
			continue
		}
		err = adlError(r.Result)
		good = good || err == nil
		bad = bad || err != nil && !errors.Is(err, ErrUnsupported)
	}
	p.judge(bad, good)
}

// judge notes a cycle. When the driver is updated, the library that a child has loaded fails from then on.
func (p *adlPool) judge(bad, good bool) {
	switch {
	case good:
		p.failed, p.limit = 0, adlCycles
	case bad:
		if p.failed++; p.failed < p.limit {
			return
		}
		p.failed, p.limit = 0, min(2*p.limit, adlMaxCycles)
		p.End(worker.DriverChanged)
	}
}

// take takes what a child says of a group.
func (r *ADLReading) take(group uint8, content []byte) {
	word := func(i int) int32 { return int32(binary.LittleEndian.Uint32(content[4*i:])) }
	switch group {
	case adlSensorsGroup:
		r.Result = word(0)
		for i := range r.PMLog {
			r.PMLog[i] = PMLogSensor{word(1 + 2*i), word(2 + 2*i)}
		}
	case adlUsageGroup:
		if mib := int64(word(1)); adlError(word(0)) == nil {
			r.Usage = &mib
		}
	}
}

// LetGo implements ADL.
func (a *adlSource) LetGo(at Place) {
	a.mu.Lock()
	p := a.own[at]
	a.mu.Unlock()
	if p != nil {
		p.End(worker.Sleep)
	}
}

// Renew implements ADL.
func (a *adlSource) Renew() { a.end(worker.DriverChanged) }

// end ends all children.
func (a *adlSource) end(reason worker.Reason) {
	for _, p := range a.pools() {
		p.End(reason)
	}
}

// Close implements ADL.
func (a *adlSource) Close() {
	var all sync.WaitGroup
	for _, p := range a.pools() {
		all.Go(p.Close)
	}
	all.Wait()
}

func (a *adlSource) pools() []*adlPool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append(slices.Collect(maps.Values(a.own)), a.steady)
}
