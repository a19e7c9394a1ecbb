package windows

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/yusufpapurcu/wmi"
)

// win32VideoController is a row of the query. A pointer stays nil where WMI has a null. What identifies the adapter stands
// first: a value that does not fit its field ends the row.
type win32VideoController struct {
	PNPDeviceID   *string
	Name          *string
	DriverVersion *string
	AdapterRAM    *int64 // a uint32 which comes as a signed one
}

// wmiClient is the one that there is: the package lets one query at a time into COM, in a thread of its own.
var wmiClient = wmi.Client{NonePtrZero: true, PtrNil: true, AllowMissingFields: true}

// videoControllers asks WMI for its video controllers. It may come back late or never, whatever ctx says: COM has no
// deadline.
func videoControllers(ctx context.Context) (list []VideoController, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer func() { // the package trusts what it is told: the number of rows, for one
		if r := recover(); r != nil {
			list, err = nil, fmt.Errorf("%w: WMI: %v", ErrMalformed, r)
		}
	}()
	var rows []win32VideoController
	err = wmiClient.Query("SELECT PNPDeviceID, Name, DriverVersion, AdapterRAM FROM Win32_VideoController", &rows)
	if _, mismatch := errors.AsType[*wmi.ErrFieldMismatch](err); err != nil && !mismatch {
		return nil, wmiError(err)
	}
	for _, r := range rows[:min(len(rows), maxRows)] {
		if v := r.row(); err == nil || v.PNPDeviceID != "" {
			list = append(list, v)
		}
	}
	if err != nil && len(list) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return list, nil
}

func (r win32VideoController) row() (v VideoController) {
	if r.PNPDeviceID != nil {
		v.PNPDeviceID = *r.PNPDeviceID
	}
	if r.Name != nil {
		v.Name = *r.Name
	}
	if r.DriverVersion != nil {
		v.DriverVersion = *r.DriverVersion
	}
	if r.AdapterRAM != nil {
		v.AdapterRAM = *r.AdapterRAM
	}
	return v
}

// What COM answers where WMI is not there, and where it is for others.
var (
	comAbsent = []uintptr{0x80040154, 0x800401F3, 0x80070422} // class not registered, no such class, service disabled
	comDenied = []uintptr{0x80070005, 0x80041003, 0x8001011B} // E_ACCESSDENIED, WBEM_E_ACCESS_DENIED, RPC_E_ACCESS_DENIED
)

// wmiError gives an error of COM the meaning that it has here.
func wmiError(err error) error {
	com, ok := errors.AsType[interface {
		error
		Code() uintptr
	}](err)
	switch {
	case ok && slices.Contains(comAbsent, com.Code()):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	case ok && slices.Contains(comDenied, com.Code()):
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	}
	return err
}
