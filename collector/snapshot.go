package collector

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// State is what gpu_state says of a GPU.
type State uint8

// The states, all of which gpu_state shows, exactly one of them 1.
const (
	StateOK      State = iota
	StatePartial       // some readings failed; with Up false all of them, though awake
	StateAsleep
	StateHung // a read missed its deadline and has not come back
	StateGone
)

// States lists every State, in the order of their numbers.
var States = [...]State{StateOK, StatePartial, StateAsleep, StateHung, StateGone}

// String is the value of the label state.
func (s State) String() string { return [...]string{"ok", "partial", "asleep", "hung", "gone"}[s] }

// Status is what is known of one GPU at the time of a Snapshot.
type Status struct {
	Info
	Index int
	State State
	Up    bool // gpu_up: it answered the last cycle, or is asleep
	// At is the time of the reading that Samples hold; asleep: of the last look; hung or gone: of the last reading
	// that there was. Zero: never read. It has a monotonic clock reading.
	At       time.Time
	Samples  []Sample  // none while asleep, hung, gone or too old to be served
	Failures []Failure // of the last reading
	Origins  []Origin  // of the last reading, where the device can tell
}

// ProbeStatus is how the last discovery of one probe ended.
type ProbeStatus struct {
	Name  string
	At    time.Time // zero: none has ended
	Found int
	Err   error
}

// Snapshot is what was read, of all known GPUs, in order of Index. It is immutable: whoever holds one may hold it as
// long as he likes.
type Snapshot struct {
	Seq     uint64 // counts the snapshots of one Poller, from 1
	At      time.Time
	Devices []Status
	Default int // position in Devices of the default GPU, -1 while there is none
	Probes  []ProbeStatus
}

// Find returns the GPU that is named by its identity or uuid, in any letter case, or by its index, tried in this order;
// the empty name is the default GPU. The error says that there is none such.
func (s *Snapshot) Find(name string) (*Status, error) {
	if name == "" {
		if s.Default < 0 {
			return nil, fmt.Errorf("no GPU was found")
		}
		return &s.Devices[s.Default], nil
	}
	for i := range s.Devices {
		if strings.EqualFold(s.Devices[i].GPU, name) {
			return &s.Devices[i], nil
		}
	}
	for i := range s.Devices {
		if s.Devices[i].UUID != "" && strings.EqualFold(s.Devices[i].UUID, name) {
			return &s.Devices[i], nil
		}
	}
	for i := range s.Devices {
		if strconv.Itoa(s.Devices[i].Index) == name {
			return &s.Devices[i], nil
		}
	}
	return nil, fmt.Errorf("no GPU %q: name one by address, uuid or index", name)
}
