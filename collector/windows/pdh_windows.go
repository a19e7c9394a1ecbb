package windows

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// The functions of pdh.dll that are called. Those that take a path of their own language are not: names are English.
const (
	pdhOpenQuery       = "PdhOpenQueryW"
	pdhAddCounter      = "PdhAddEnglishCounterW"
	pdhCollect         = "PdhCollectQueryData"
	pdhGetRawCounters  = "PdhGetRawCounterArrayW"
	pdhCloseQuery      = "PdhCloseQuery"
	maxCounterBuffer   = 64 << 20 // 3000 instances have 600 kB
	firstCounterBuffer = 64 << 10
)

// pdhStatus is what the functions of pdh.dll return (3.4).
type pdhStatus uint32

const (
	pdhSuccess        pdhStatus = 0
	pdhNewData        pdhStatus = 1
	pdhNoInstance     pdhStatus = 0x800007D1
	pdhMoreData       pdhStatus = 0x800007D2
	pdhNoData         pdhStatus = 0x800007D5
	pdhNoObject       pdhStatus = 0xC0000BB8
	pdhNoCounter      pdhStatus = 0xC0000BB9
	pdhNotImplemented pdhStatus = 0xC0000BD3
	pdhAccessDenied   pdhStatus = 0xC0000BDB
)

// Error is the code, as pdhmsg.h has it.
func (s pdhStatus) Error() string { return fmt.Sprintf("PDH status 0x%08x", uint32(s)) }

// err is s as an error of the function that gave it, nil for success.
func (s pdhStatus) err(name string) error {
	switch s {
	case pdhSuccess, pdhNewData:
		return nil
	case pdhNoObject, pdhNoCounter, pdhNotImplemented:
		return fmt.Errorf("%s: %w (%w)", name, ErrUnsupported, s)
	case pdhAccessDenied, pdhStatus(windows.ERROR_ACCESS_DENIED):
		return fmt.Errorf("%s: %w (%w)", name, fs.ErrPermission, s)
	}
	return fmt.Errorf("%s: %w", name, s)
}

// nothing says that s means that there is no instance just now.
func (s pdhStatus) nothing() bool { return s == pdhNoData || s == pdhNoInstance }

// rawCounterItem is PDH_RAW_COUNTER_ITEM_W.
type rawCounterItem struct {
	Name   uintptr // of a text behind the items, in the same buffer
	Status pdhStatus
	Time   windows.Filetime
	First  int64
	Second int64
	Multi  uint32
}

var _ = [unsafe.Sizeof(rawCounterItem{})]byte([48]byte{})

// The counters that are collected, in the order of the sets in Counters.
var counterPaths = [...]string{
	`\GPU Engine(*)\Running Time`,
	`\GPU Adapter Memory(*)\Dedicated Usage`,
	`\GPU Adapter Memory(*)\Shared Usage`,
}

// pdhDLL is PDH by its functions.
type pdhDLL struct {
	functions
	query  windows.Handle // 0: not open
	sets   [len(counterPaths)]pdhSet
	buffer []uint64 // of 64 bits, for the alignment of the items
}

// pdhSet is one counter of the query.
type pdhSet struct {
	handle  windows.Handle // 0: not added
	err     error          // of adding it
	items   []Counter
	strings map[string]string // the names of the last collection: they are the same in the next, mostly
	text    []byte            // scratch for a name
}

func findPDH(dll windows.Handle) functions {
	return find(dll, pdhOpenQuery, pdhAddCounter, pdhCollect, pdhGetRawCounters, pdhCloseQuery)
}

// ask calls a function.
//
//go:uintptrescapes
func (p *pdhDLL) ask(name string, args ...uintptr) pdhStatus { return pdhStatus(p.call(name, args...)) }

// Collect implements PDH.
func (p *pdhDLL) Collect() (Counters, error) {
	if err := p.open(); err != nil {
		return Counters{}, errors.Join(err, p.Close())
	}
	if s := p.ask(pdhCollect, uintptr(p.query)); !s.nothing() && s.err(pdhCollect) != nil {
		return Counters{}, errors.Join(s.err(pdhCollect), p.Close()) // a query that is broken is opened anew
	}
	c := Counters{Time: time.Now()}
	for i, set := range [...]*CounterSet{&c.RunningTime, &c.Dedicated, &c.Shared} {
		set.Items, set.Err = p.read(&p.sets[i])
	}
	return c, nil
}

// open opens the query with all its counters, if it is not open. A counter that this Windows does not have is not asked
// for again before the query is opened anew; one that was not added for another reason is.
func (p *pdhDLL) open() error {
	if err := p.lacking(pdhOpenQuery, pdhAddCounter, pdhCollect, pdhGetRawCounters, pdhCloseQuery); err != nil {
		return err
	}
	if p.query == 0 {
		if err := p.ask(pdhOpenQuery, 0, 0, uintptr(unsafe.Pointer(&p.query))).err(pdhOpenQuery); err != nil {
			p.query = 0
			return err
		}
	}
	lacking := 0
	for i := range p.sets {
		set := &p.sets[i]
		if set.handle == 0 && !errors.Is(set.err, ErrUnsupported) {
			path, err := windows.UTF16PtrFromString(counterPaths[i])
			if err != nil {
				return err
			}
			s := p.ask(pdhAddCounter, uintptr(p.query), uintptr(unsafe.Pointer(path)), 0, uintptr(unsafe.Pointer(&set.handle)))
			if set.err = s.err(counterPaths[i]); set.err != nil {
				set.handle = 0
			}
		}
		if errors.Is(set.err, ErrUnsupported) {
			lacking++
		}
	}
	if lacking == len(p.sets) {
		return p.sets[0].err
	}
	return nil
}

// Close implements PDH.
func (p *pdhDLL) Close() error {
	query := p.query
	p.query = 0
	for i := range p.sets {
		p.sets[i].handle, p.sets[i].err = 0, nil
	}
	if query == 0 {
		return nil
	}
	return p.ask(pdhCloseQuery, uintptr(query)).err(pdhCloseQuery)
}

// read takes all instances of a counter from the collection. The buffer is kept, so that it grows to its size once.
func (p *pdhDLL) read(set *pdhSet) ([]Counter, error) {
	if set.handle == 0 {
		return nil, set.err
	}
	if p.buffer == nil {
		p.buffer = make([]uint64, firstCounterBuffer/8)
	}
	const tries = 5 // instances may come while the buffer grows
	for range tries {
		bytes, count := uint32(len(p.buffer)*8), uint32(0)
		s := p.ask(pdhGetRawCounters, uintptr(set.handle), uintptr(unsafe.Pointer(&bytes)),
			uintptr(unsafe.Pointer(&count)), uintptr(unsafe.Pointer(&p.buffer[0])))
		switch {
		case s == pdhMoreData:
			if bytes > maxCounterBuffer {
				return nil, fmt.Errorf("%s: %w: %d bytes", pdhGetRawCounters, ErrMalformed, bytes)
			}
			wanted := max(int(bytes), len(p.buffer)*8)
			p.buffer = make([]uint64, (wanted+wanted/4)/8+1)
			continue
		case s.nothing():
			return nil, nil
		case s.err(pdhGetRawCounters) != nil:
			return nil, s.err(pdhGetRawCounters)
		}
		return set.parse(p.buffer, count)
	}
	return nil, pdhMoreData.err(pdhGetRawCounters)
}

// parse reads the items at the begin of a buffer.
func (set *pdhSet) parse(buffer []uint64, count uint32) ([]Counter, error) {
	const each = int(unsafe.Sizeof(rawCounterItem{}))
	if int(count) > len(buffer)*8/each {
		return nil, fmt.Errorf("%s: %w: %d items", pdhGetRawCounters, ErrMalformed, count)
	}
	if count == 0 {
		return nil, nil
	}
	if len(set.strings) > 2*int(count)+firstCounterBuffer/each {
		set.strings = nil // of processes that have ended, mostly
	}
	if set.strings == nil {
		set.strings = map[string]string{}
	}
	set.items = set.items[:0]
	for _, item := range unsafe.Slice((*rawCounterItem)(unsafe.Pointer(&buffer[0])), count) {
		name, ok := set.name(buffer, item.Name)
		if !ok {
			return nil, fmt.Errorf("%s: %w: a name outside the buffer", pdhGetRawCounters, ErrMalformed)
		}
		bad := item.Status.err("") != nil
		set.items = append(set.items, Counter{Instance: name, Value: item.First, Bad: bad})
	}
	return set.items, nil
}

// name is the text at an address in a buffer.
func (set *pdhSet) name(buffer []uint64, at uintptr) (string, bool) {
	offset := at - uintptr(unsafe.Pointer(&buffer[0]))
	if offset%2 != 0 || offset >= uintptr(len(buffer))*8 {
		return "", false
	}
	units := unsafe.Slice((*uint16)(unsafe.Pointer(&buffer[0])), len(buffer)*4)[offset/2:]
	set.text = set.text[:0]
	for i, u := range units {
		switch {
		case u == 0:
			name, known := set.strings[string(set.text)]
			if !known {
				name = string(set.text)
				set.strings[name] = name
			}
			return name, true
		case u >= 0x80 || i == maxName: // none of ours: their names are ASCII
			return windows.UTF16ToString(units[:min(len(units), maxName)]), true
		}
		set.text = append(set.text, byte(u))
	}
	return "", false
}

// maxName is how long an instance's name may be: PDH_MAX_INSTANCE_NAME.
const maxName = 1024
