package nvml

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unsafe"
)

// function is one of a library made of Go.
type function func(a arguments) Return

// arguments are what a function is called with.
type arguments []uintptr

// at is memory that argument n points to.
func (a arguments) at(n, size int) []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&a[n]))), size)
}

// put writes numbers into what argument n points to, by their offset.
func (a arguments) put(n int, numbers map[int]any) {
	for at, v := range numbers {
		p := unsafe.Add(*(*unsafe.Pointer)(unsafe.Pointer(&a[n])), at)
		switch v := v.(type) {
		case uint32:
			*(*uint32)(p) = v
		case int32:
			*(*int32)(p) = v
		case uint64:
			*(*uint64)(p) = v
		case float64:
			*(*float64)(p) = v
		case byte:
			*(*byte)(p) = v
		case string: // of C
			copy(unsafe.Slice((*byte)(p), len(v)+1), v+"\x00")
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
}

// madeOfGo is a Binding whose functions are in Go.
type madeOfGo struct {
	mu        sync.Mutex
	names     []string
	functions map[string]function
	counts    map[string]int
}

func newMadeOfGo(functions map[string]function) *madeOfGo {
	return &madeOfGo{functions: functions, counts: map[string]int{}}
}

func (b *madeOfGo) Find(symbol string) uintptr {
	if b.functions[symbol] == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.names, symbol) {
		b.names = append(b.names, symbol)
	}
	return uintptr(slices.Index(b.names, symbol) + 1)
}

func (b *madeOfGo) Call(at uintptr, args []uintptr) int32 {
	b.mu.Lock()
	name := b.names[at-1]
	b.counts[name]++
	b.mu.Unlock()
	return int32(b.functions[name](args))
}

// called says how often a function was called since the last time.
func (b *madeOfGo) called(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.counts[name]
	b.counts[name] = 0
	return n
}

const handleOfTests = 77

// reader is a device whose readings are kept.
type reader struct {
	*madeOfGo
	*device
	clock   time.Time
	begun   []Group
	answers map[string]Answer // by the name of the row, and its Out behind a dot where that is not 0
	lists   []any
}

// newReader opens a GPU of a library that has these functions.
func newReader(functions map[string]function) *reader {
	r := &reader{madeOfGo: newMadeOfGo(functions), clock: time.Unix(1e9, 0)}
	l := NewLibrary(nil)
	l.b, l.now = r.madeOfGo, func() time.Time { return r.clock }
	r.device = newDevice(l, handleOfTests, false)
	return r
}

func (r *reader) Begin(group uint8)      { r.begun = append(r.begun, Group(group)) }
func (r *reader) List(_ uint8, list any) { r.lists = append(r.lists, list) }
func (r *reader) Rows(_ uint8, rows []byte) {
	list, err := ParseAnswers(nil, rows)
	if err != nil {
		panic(err)
	}
	for _, a := range list {
		row := &Table[a.Row]
		name := row.String()
		if row.Out > 0 {
			name += fmt.Sprintf(".%d", row.Out)
		}
		r.answers[name] = a
	}
}

// look is one reading.
func (r *reader) look(groups uint16) map[string]Answer {
	r.answers, r.begun, r.lists = map[string]Answer{}, nil, nil
	r.read(groups, r)
	return r.answers
}

// one has a function answer one unsigned int.
func one(v uint32) function {
	return func(a arguments) Return {
		a.put(len(a)-1, map[int]any{0: v})
		return Success
	}
}

func always(c Return) function { return func(arguments) Return { return c } }

var errNoLibrary = errors.New("no such file")

// ptr is an address as a pointer.
func ptr(at uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&at)) }
