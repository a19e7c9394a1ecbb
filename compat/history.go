package compat

import (
	"iter"
	"time"

	"gpu_exporter/collector"
)

// An Entry is one recorded reading of one GPU: its primary values, rounded, NaN where one is not known.
type Entry struct {
	GPU    string
	At     time.Time
	State  collector.State
	Values [len(columns)]float32
}

// A Store keeps the recorded past. All methods may be called at the same time, but Append only by one.
type Store interface {
	// Append records entries, for each GPU in the order of time.
	Append(entries []Entry) error
	// Range gives the entries of a GPU from from on and before to, oldest first, as they are asked for: however long the
	// range, it takes little memory, and holds up no Append. An error is the last that it gives.
	Range(gpu string, from, to time.Time) iter.Seq2[Entry, error]
	// Forget says that a GPU is not told of any more.
	Forget(gpu string)
}

// A Describer is a Store that keeps what is known of the GPUs beside their entries, so that these can be exported without
// the service.
type Describer interface {
	// Describe is called for each GPU before its first entry, and when what is known of it has changed.
	Describe(gpu collector.Info, index int)
}

// record is an Entry of a known GPU.
type record struct {
	unixMicro int64
	values    [len(columns)]float32
	state     collector.State
}
