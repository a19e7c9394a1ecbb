package windows

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/windows"
)

// The functions of cfgmgr32.dll that are called.
const (
	cmListSize   = "CM_Get_Device_ID_List_SizeW"
	cmList       = "CM_Get_Device_ID_ListW"
	cmLocate     = "CM_Locate_DevNodeW"
	cmProperty   = "CM_Get_DevNode_PropertyW"
	maxIDList    = 1 << 20 // UTF-16 units: a machine has 100 devices on PCI, with 60 units each
	cmOfBus      = 0x001   // CM_GETIDLIST_FILTER_ENUMERATOR
	cmPresent    = 0x100   // CM_GETIDLIST_FILTER_PRESENT
	cmLocateLive = 0       // CM_LOCATE_DEVNODE_NORMAL: a device that is there
)

// devpkeyDevice is the family of the properties below.
var devpkeyDevice = windows.DEVPROPGUID{
	Data1: 0xa45c254e, Data2: 0xdf1c, Data3: 0x4efd, Data4: [8]byte{0x80, 0x20, 0x67, 0xd1, 0x46, 0xa8, 0x50, 0xe0},
}

// The properties that are read.
var (
	devpkeyBusNumber = windows.DEVPROPKEY{FmtID: devpkeyDevice, PID: 23}
	devpkeyAddress   = windows.DEVPROPKEY{FmtID: devpkeyDevice, PID: 30} // device x 65536 + function
	devpkeyPowerData = windows.DEVPROPKEY{FmtID: devpkeyDevice, PID: 32} // CM_POWER_DATA
)

// cfgmgr32 is PnP by its functions.
type cfgmgr32 struct{ functions }

// ask calls a function.
//
//go:uintptrescapes
func (c cfgmgr32) ask(name string, args ...uintptr) windows.CONFIGRET {
	return windows.CONFIGRET(c.call(name, args...))
}

func findCfgmgr32(dll windows.Handle) functions {
	return find(dll, cmListSize, cmList, cmLocate, cmProperty)
}

// configError is what a function returned as an error. That of x/sys is not taken: its Unwrap panics where cfgmgr32.dll
// cannot translate codes.
func configError(name string, ret windows.CONFIGRET) error {
	switch ret {
	case windows.CR_ACCESS_DENIED:
		return fmt.Errorf("%s: %w (0x%02x)", name, fs.ErrPermission, uint32(ret))
	case windows.CR_CALL_NOT_IMPLEMENTED:
		return fmt.Errorf("%s: %w (0x%02x)", name, ErrUnsupported, uint32(ret))
	}
	return fmt.Errorf("%s: it returns 0x%02x", name, uint32(ret))
}

// Present implements PnP.
func (c cfgmgr32) Present() ([]PnPDevice, error) {
	if err := c.lacking(cmListSize, cmList, cmLocate, cmProperty); err != nil {
		return nil, err
	}
	ids, err := c.ids()
	if err != nil {
		return nil, err
	}
	var list []PnPDevice
	for _, id := range ids {
		d := PnPDevice{ID: id}
		node, err := c.locate(id)
		if err != nil {
			continue // it left just now
		}
		bus, busTold := c.number(node, &devpkeyBusNumber)
		address, addressTold := c.number(node, &devpkeyAddress)
		if busTold && addressTold {
			d.Place = &Place{bus, address >> 16, address & 0xffff}
		}
		list = append(list, d)
	}
	return list, nil
}

// ids lists the device instance ids on PCI. Between the questions how long the list is and what stands in it, it may
// grow.
func (c cfgmgr32) ids() ([]string, error) {
	bus, err := windows.UTF16PtrFromString("PCI")
	if err != nil {
		return nil, err
	}
	const tries = 5
	for range tries {
		var length uint32
		ret := c.ask(cmListSize, uintptr(unsafe.Pointer(&length)), uintptr(unsafe.Pointer(bus)), cmOfBus|cmPresent)
		if ret != windows.CR_SUCCESS {
			return nil, configError(cmListSize, ret)
		}
		if length > maxIDList {
			return nil, fmt.Errorf("%s: %w: %d units", cmListSize, ErrMalformed, length)
		}
		if length == 0 {
			return nil, nil
		}
		buffer := make([]uint16, length)
		ret = c.ask(cmList, uintptr(unsafe.Pointer(bus)), uintptr(unsafe.Pointer(&buffer[0])), uintptr(length), cmOfBus|cmPresent)
		if ret == windows.CR_BUFFER_SMALL {
			continue
		}
		if ret != windows.CR_SUCCESS {
			return nil, configError(cmList, ret)
		}
		return texts(buffer), nil
	}
	return nil, configError(cmList, windows.CR_BUFFER_SMALL)
}

// texts are those of a list in which each ends with a zero, and the list with an empty one.
func texts(buffer []uint16) (list []string) {
	for len(buffer) > 0 && buffer[0] != 0 {
		text := windows.UTF16ToString(buffer)
		list = append(list, text)
		n := 0
		for n < len(buffer) && buffer[n] != 0 {
			n++
		}
		buffer = buffer[min(n+1, len(buffer)):]
	}
	return list
}

// locate finds the node of a device. A node is a number, nothing to be closed.
func (c cfgmgr32) locate(id string) (windows.DEVINST, error) {
	text, err := windows.UTF16PtrFromString(id)
	if err != nil {
		return 0, err
	}
	var node windows.DEVINST
	ret := c.ask(cmLocate, uintptr(unsafe.Pointer(&node)), uintptr(unsafe.Pointer(text)), cmLocateLive)
	if ret != windows.CR_SUCCESS {
		return 0, configError(cmLocate, ret)
	}
	return node, nil
}

// property reads a property into buffer, and says its type and length.
func (c cfgmgr32) property(node windows.DEVINST, key *windows.DEVPROPKEY, buffer []byte) (
	kind windows.DEVPROPTYPE, length int, ok bool,
) {
	size := uint32(len(buffer))
	ret := c.ask(cmProperty, uintptr(node), uintptr(unsafe.Pointer(key)), uintptr(unsafe.Pointer(&kind)),
		uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&size)), 0)
	return kind, min(int(size), len(buffer)), ret == windows.CR_SUCCESS
}

func (c cfgmgr32) number(node windows.DEVINST, key *windows.DEVPROPKEY) (uint32, bool) {
	var buffer [4]byte
	kind, n, ok := c.property(node, key, buffer[:])
	return binary.LittleEndian.Uint32(buffer[:]), ok && kind == windows.DEVPROP_TYPE_UINT32 && n == len(buffer)
}

// Power implements PnP.
func (c cfgmgr32) Power(ids []string) ([]PowerState, error) {
	if err := c.lacking(cmLocate, cmProperty); err != nil {
		return nil, err
	}
	list := make([]PowerState, len(ids))
	for i, id := range ids {
		node, err := c.locate(id)
		if err != nil {
			continue // it is not there: nobody tells
		}
		var data [56]byte // CM_POWER_DATA: u32 size, u32 most recent state, and more
		kind, n, ok := c.property(node, &devpkeyPowerData, data[:])
		if ok && kind == windows.DEVPROP_TYPE_BINARY && n >= 8 {
			list[i] = PowerState(binary.LittleEndian.Uint32(data[4:]))
		}
	}
	return list, nil
}
