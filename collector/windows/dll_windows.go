package windows

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// functions are those that a DLL has of a list, by name. One that it lacks is left out, which is normal on an old
// Windows and in Wine.
type functions map[string]uintptr

// systemDLL loads a DLL of Windows, from System32 and from nowhere else: a file of that name beside the program or in
// PATH must not run (section 9). It is never unloaded.
func systemDLL(name string) (windows.Handle, error) {
	dll, err := windows.LoadLibraryEx(name, 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %w", name, ErrUnsupported, err)
	}
	return dll, nil
}

// find finds the functions of a list in a DLL; a DLL that is not there (0) has none.
func find(dll windows.Handle, names ...string) functions {
	f := functions{}
	if dll == 0 {
		return f
	}
	for _, name := range names {
		if at, err := windows.GetProcAddress(dll, name); err == nil {
			f[name] = at
		}
	}
	return f
}

// lacking is an error that names the first of a list that is not there, nil where all are.
func (f functions) lacking(names ...string) error {
	for _, name := range names {
		if f[name] == 0 {
			return fmt.Errorf("%s: %w", name, ErrUnsupported)
		}
	}
	return nil
}

// status calls a function that takes one pointer to a structure and returns an NTSTATUS.
func (f functions) status(name string, structure unsafe.Pointer) windows.NTStatus {
	at := f[name]
	if at == 0 {
		return windows.STATUS_PROCEDURE_NOT_FOUND
	}
	result, _, _ := syscall.SyscallN(at, uintptr(structure))
	return windows.NTStatus(uint32(result))
}

// call calls a function that is there. Pointers are converted in the call itself, whose arguments stay where they are
// until it has come back.
//
//go:uintptrescapes
func (f functions) call(name string, args ...uintptr) uintptr {
	result, _, _ := syscall.SyscallN(f[name], args...)
	return result
}

// failed says whether s is an error: success and information are not.
func failed(s windows.NTStatus) bool { return int32(s) < 0 }

// told is s as an error of the function that gave it. A right that is missing is fs.ErrPermission, by way of Errno.
func told(name string, s windows.NTStatus) error {
	if s == windows.STATUS_PROCEDURE_NOT_FOUND {
		return fmt.Errorf("%s: %w", name, ErrUnsupported)
	}
	return fmt.Errorf("%s: %w (0x%08x)", name, s.Errno(), uint32(s))
}
