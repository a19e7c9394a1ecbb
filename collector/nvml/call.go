package nvml

import (
	"encoding/binary"
	"slices"

	"gpu_exporter/collector"
)

// datum is one number of what a call answers: where it lies in the memory that the call fills, and what it is.
type datum struct {
	at, size int
	is       Type
	order    binary.ByteOrder
}

func u32(at int) datum { return datum{at, 4, Uint32, binary.LittleEndian} }
func i32(at int) datum { return datum{at, 4, Int32, binary.LittleEndian} }
func u64(at int) datum { return datum{at, 8, Uint64, binary.LittleEndian} }
func u8(at int) datum  { return datum{at, 1, Uint16, binary.LittleEndian} }

// half is eight bytes of a uuid, which is told as a big-endian number.
func half(at int) datum { return datum{at, 8, Uint64, binary.BigEndian} }

// form is how a call is asked (nvidia.md 3.13): after the device come Row.Args, then pointers to memory of ours. It is
// known by the version word where a call takes several.
type form struct {
	size     int    // of the memory
	version  uint32 // the word that the memory begins with; 0: it has none
	arg      int    // where in the memory the only one of Row.Args lies; 0: arguments are arguments
	pointers []int  // where in the memory each pointer points
	out      []datum
}

// wordOf is the version word of a struct: its size and its number.
func wordOf(size, number int) uint32 { return uint32(size) | uint32(number)<<24 }

// structure is a call that fills one struct. A version of 0: it has no version word.
func structure(size, version int, out ...datum) form {
	f := form{size: size, pointers: []int{0}, out: out}
	if version > 0 {
		f.version = wordOf(size, version)
	}
	return f
}

// about is f of a struct that says what is asked.
func (f form) about(at int) form {
	f.arg = at
	return f
}

// separate is a call that fills numbers by a pointer each.
func separate(out ...datum) form {
	const apart = 8
	f := form{size: apart * len(out)}
	for i, n := range out {
		n.at = apart * i
		f.pointers, f.out = append(f.pointers, n.at), append(f.out, n)
	}
	return f
}

// forms are the calls that answer something else than one unsigned int. Where there are several, a later one is that of
// an older library, which answers code 25 to those before.
var forms = func() map[string][]form {
	one := func(f form) []form { return []form{f} }
	two, counter := one(separate(u32(0), u32(0))), one(separate(u64(0)))
	return map[string][]form{
		"GetUtilizationRates":   one(structure(8, 0, u32(0), u32(4))),
		"GetEncoderUtilization": two, "GetDecoderUtilization": two, "GetJpgUtilization": two, "GetOfaUtilization": two,

		"GetMemoryInfo_v2":  one(structure(40, 2, u64(8), u64(16), u64(24), u64(32))),
		"GetMemoryInfo":     one(structure(24, 0, u64(0), u64(8), u64(16))),
		"GetBAR1MemoryInfo": one(structure(24, 0, u64(0), u64(8), u64(16))),

		"GetTemperatureV":      one(structure(12, 1, i32(8))), // of sensor 0, the GPU
		"GetMarginTemperature": one(structure(8, 1, i32(4))),
		"GetFanSpeedRPM":       one(structure(12, 1, u32(8)).about(4)),

		"GetPowerManagementLimitConstraints": two, "GetTotalEnergyConsumption": counter,

		"GetSupportedClocksEventReasons": counter, "GetSupportedClocksThrottleReasons": counter,
		"GetCurrentClocksEventReasons": counter, "GetCurrentClocksThrottleReasons": counter,
		"GetViolationStatus": one(structure(16, 0, u64(0), u64(8))),

		"GetMigMode": two, "GetDriverModel_v2": two, "GetEccMode": two,
		"GetEncoderStats": one(separate(u32(0), u32(0), u32(0))),
		"GetFBCStats":     one(structure(12, 0, u32(0), u32(4), u32(8))),

		"GetMemoryErrorCounter": counter, "GetTotalEccErrors": counter, "GetNvLinkErrorCounter": counter,
		"GetRemappedRows":         one(separate(u32(0), u32(0), u32(0), u32(0))),
		"GetRowRemapperHistogram": one(structure(20, 0, u32(0), u32(4), u32(8), u32(12), u32(16))),

		"GetGpuFabricInfoV": {
			structure(40, 3, u8(28), u32(20), u32(24), half(4), half(12)),
			structure(36, 2, u8(28), u32(20), u32(24), half(4), half(12)),
		},
		"GetGpuFabricInfo": one(structure(28, 0, u8(24), u32(16), u32(20), half(0), half(8))),
	}
}()

// formsOf are the forms of a call.
func formsOf(call string) []form {
	if f := forms[call]; f != nil {
		return f
	}
	return []form{separate(u32(0))}
}

// prefix of the functions whose names the Table has without it.
const prefix = "nvmlDevice"

// The functions that are asked in another way than the Table tells.
const (
	fieldValues = "nvmlDeviceGetFieldValues"
	gpmMetrics  = "GpmMetricsGet" // a row's Call
)

// request is one call with its arguments, and the rows that it answers.
type request struct {
	symbol string
	forms  []form
	args   []uint32
	rows   []int // of the Table
}

// scheme is how the rows of one Group are asked: first the links, since only those that answer are asked on; then all
// fields by one call, then the other functions.
type scheme struct {
	links  []request
	fields []int // rows
	calls  []request
	gpm    []int // rows
}

// schemes are made of the Table, by Group.
var schemes, facts = arrange()

// fact is what is to be known of a row when it is asked.
type fact struct {
	// behind are the rows of more trust by each series that the row tells: it is not asked where one of them has the word
	// on each. nil: it tells none itself, and is always asked.
	behind [][]int
	// link is the row of the link whose state must be told for this one to be asked; -1: none.
	link int
	// loud: asked in a guest of a vGPU, it writes a warning to the log of the kernel each time (nvidia.md 8.4).
	loud bool
}

// loudly are the quantities of such rows.
var loudly = []collector.QuantityID{
	collector.RowRemaps, collector.RowRemapPending, collector.RowRemapFailed, collector.RowRemapBanks,
	collector.Activity, collector.PCIeThroughput,
}

const linkState = "GetNvLinkState"

func arrange() (list [Groups]scheme, about []fact) {
	earlier := map[string][]int{} // rows by their group and the series that they tell
	stateOf := map[string]int{}   // row of the state of a link, by its label
	for n := range Table {
		r := &Table[n]
		f := fact{link: -1}
		for _, t := range r.to {
			s := collector.Series{Q: t.q, Values: t.labels}
			name := r.Group.String() + s.String()
			f.behind = append(f.behind, earlier[name])
			earlier[name] = append(earlier[name], n)
			f.loud = f.loud || slices.Contains(loudly, t.q)
		}
		s := &list[r.Group]
		calls := &s.calls
		if r.Group == NVLink && len(r.to) > 0 {
			label := r.to[0].labels[0]
			if r.Call == linkState {
				calls, stateOf[label] = &s.links, n
			} else {
				f.link = stateOf[label]
			}
		}
		about = append(about, f)
		switch {
		case r.Field != 0:
			s.fields = append(s.fields, n)
		case r.Call == gpmMetrics:
			s.gpm = append(s.gpm, n)
		default:
			*calls = join(*calls, r, n)
		}
	}
	return list, about
}

// join adds a row to the request that answers it.
func join(list []request, r *Row, n int) []request {
	symbol := prefix + r.Call
	for i := range list {
		if list[i].symbol == symbol && slices.Equal(list[i].args, r.Args) {
			list[i].rows = append(list[i].rows, n)
			return list
		}
	}
	return append(list, request{symbol, formsOf(r.Call), r.Args, []int{n}})
}

// lasting are the codes that say that something will not be told before the next look for GPUs either (nvidia.md 7).
func lasting(c Return) bool {
	switch c {
	case InvalidArgument, NotSupported, LibraryNotFound, FunctionNotFound, VersionMismatch, Deprecated:
		return true
	}
	return false
}

// ages are the largest field ids that drivers of an age know: where one does not take all, they are asked by them.
var ages = []uint16{95, 145, 196}

// ageOf is the age of a field id.
func ageOf(id uint16) int {
	age, _ := slices.BinarySearch(ages, id)
	return age
}
