package worker

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// The frames between a main program and a child that has GPUs open (nvidia.md 1.4 rule 4), by their type. A slot is the
// main program's number for a GPU. All numbers are little-endian.
const (
	frameHello   = byte(iota + 1) // child: Hello, as JSON; before the library is loaded
	frameLibrary                  // main: paths of the library, as JSON
	frameFound                    // child: what Library.Load returned, as JSON
	frameOpen                     // main: slot 16, id
	frameOpened                   // child: slot 16, open 16 (0, 1), what Library.Open returned, as JSON
	frameRead                     // main: cycle 32, slot 16, groups 16
	frameBegin                    // child: cycle 32, slot 16, group 16; before the first call of the group
	frameRows                     // child: cycle 32, slot 16, group 16, content
	frameList                     // child: the same, JSON as content
	frameDone                     // child: cycle 32, slot 16
	frameWait                     // main: milliseconds 32: answer when nothing is being loaded or opened, at the latest then
	frameWaited                   // child: that answer
)

const (
	// groupOpen in a frameBegin says that the slot is about to be opened.
	groupOpen = 0xffff
	// groupsInTurn in a frameRead has GPUs read one after another, so that the last one that began is the one that hangs.
	groupsInTurn = 1 << 15
	// maxSlots is more GPUs than any host has.
	maxSlots = 1024
)

// Hello says who a child is. A main program and a child of other builds do not understand each other.
type Hello struct {
	Protocol int    `json:"protocol"` // of the frames
	Table    string `json:"table"`    // which readings are numbered how
}

// is checks the first frame of a child.
func (h Hello) is(f Frame) error {
	var child Hello
	if f.Type != frameHello {
		return fmt.Errorf("%w: its first frame has the type %d", ErrFrame, f.Type)
	}
	if err := json.Unmarshal(f.Content, &child); err != nil {
		return fmt.Errorf("%w: its hello: %w", ErrFrame, err)
	}
	if child != h {
		return fmt.Errorf("its protocol is %d %s, this program's is %d %s", child.Protocol, child.Table, h.Protocol, h.Table)
	}
	return nil
}

// message is a frame of a reading, taken apart.
type message struct {
	cycle       uint32
	slot, group uint16
	rest        []byte
}

// append adds the numbers of m to a content.
func (m message) append(to []byte) []byte {
	to = binary.LittleEndian.AppendUint32(to, m.cycle)
	to = binary.LittleEndian.AppendUint16(to, m.slot)
	return binary.LittleEndian.AppendUint16(to, m.group)
}

const messageSize = 8

func parseMessage(f Frame) (m message, err error) {
	c := f.Content
	if len(c) < messageSize {
		return m, fmt.Errorf("%w: one of type %d with %d bytes", ErrFrame, f.Type, len(c))
	}
	return message{binary.LittleEndian.Uint32(c), binary.LittleEndian.Uint16(c[4:]), binary.LittleEndian.Uint16(c[6:]), c[messageSize:]}, nil
}

// numbered is a content that begins with 16 bits.
func numbered(n uint16, rest []byte) []byte {
	return append(binary.LittleEndian.AppendUint16(nil, n), rest...)
}

func parseNumbered(f Frame) (n uint16, rest []byte, err error) {
	if len(f.Content) < 2 {
		return 0, nil, fmt.Errorf("%w: one of type %d with %d bytes", ErrFrame, f.Type, len(f.Content))
	}
	return binary.LittleEndian.Uint16(f.Content), f.Content[2:], nil
}
