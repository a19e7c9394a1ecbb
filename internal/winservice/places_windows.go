package winservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// places are the files of the service.
type places struct {
	config  string // folder that only administrators write
	flags   string // in config: one flag a line
	state   string // in config: folder that the service writes
	program string // copy of the program that the service runs
}

func findPlaces() (places, error) {
	data, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0)
	if err != nil {
		return places{}, fmt.Errorf("find the folder for data of programs: %w", err)
	}
	programs, err := windows.KnownFolderPath(windows.FOLDERID_ProgramFiles, 0)
	if err != nil {
		return places{}, fmt.Errorf("find the folder for programs: %w", err)
	}
	config := filepath.Join(data, Name)
	return places{
		config: config, flags: filepath.Join(config, "flags"), state: filepath.Join(config, "state"),
		program: filepath.Join(programs, Name, Name+".exe"),
	}, nil
}

// make makes the folders, or makes sure that they are as they should be.
func (at places) make() error {
	return errors.Join(secure(at.config, access(mayRead)), secure(at.state, access(mayWrite)))
}

// secure makes a folder with that access. One that is there already may have been put there by any user, to have the
// service run with flags of his: it must be an administrator's.
func secure(folder, sddl string) error {
	wanted, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return fmt.Errorf("%s: %w", sddl, err)
	}
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return err
	}
	attributes := windows.SecurityAttributes{SecurityDescriptor: wanted}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	err = windows.CreateDirectory(name, &attributes)
	if err == nil {
		return nil
	}
	if !errors.Is(err, windows.ERROR_ALREADY_EXISTS) {
		return &fs.PathError{Op: "make", Path: folder, Err: err}
	}
	if info, err := os.Lstat(folder); err != nil {
		return err
	} else if !info.IsDir() { // a link is none
		return fmt.Errorf("%s is no folder: look at what it is, and move it away", folder)
	}
	if err := trusted(folder); err != nil {
		return err
	}
	list, _, err := wanted.DACL()
	if err != nil {
		return fmt.Errorf("%s: %w", sddl, err)
	}
	err = windows.SetNamedSecurityInfo(folder, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil)
	if err != nil {
		return &fs.PathError{Op: "protect", Path: folder, Err: err}
	}
	return nil
}

// trusted says what is wrong with who owns a file or a folder, and so may change it whatever else is said.
func trusted(path string) error {
	found, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return &fs.PathError{Op: "read the owner of", Path: path, Err: err}
	}
	owner, _, err := found.Owner()
	if err != nil {
		return &fs.PathError{Op: "read the owner of", Path: path, Err: err}
	}
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return fmt.Errorf("ask who the user is: %w", err)
	}
	if owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) || owner.IsWellKnown(windows.WinLocalSystemSid) || owner.Equals(me.User.Sid) {
		return nil
	}
	return fmt.Errorf("%s belongs to %s, not to the administrators: look at it, and move it away", path, owner)
}

// writeFlags writes the flags file, unless there is one: it is the administrators'. The flags are checked as the service
// will read them, and its addresses returned.
func writeFlags(at places, s Setup) (addresses []string, err error) {
	if _, err := os.Stat(at.flags); err == nil {
		if len(s.Flags) > 0 {
			return nil, fmt.Errorf("%s is there already, so that %s would not count: write it there, or delete the file",
				at.flags, strings.Join(s.Flags, " "))
		}
		if err := trusted(at.flags); err != nil {
			return nil, err
		}
		return s.Check([]string{"@" + at.flags})
	}
	list := flags(s.Flags, at.state)
	text, err := flagsFile(list)
	if err != nil {
		return nil, err
	}
	addresses, err = s.Check(list)
	if err != nil {
		return nil, err
	}
	return addresses, os.WriteFile(at.flags, []byte(text), 0o600)
}

// copyProgram copies this program to where every account may run it and administrators alone may change it. A folder of
// downloads is neither: LocalService cannot read it, and its owner could put something else there.
func (at places) copyProgram() (err error) {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if at.isProgram(self) {
		return nil
	}
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := os.MkdirAll(filepath.Dir(at.program), 0o755); err != nil {
		return err
	}
	to, err := os.Create(at.program + ".new")
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		return errors.Join(fmt.Errorf("copy %s: %w", self, err), os.Remove(to.Name()))
	}
	return os.Rename(to.Name(), at.program)
}

// isProgram says whether a file is the copy.
func (at places) isProgram(file string) bool {
	one, err1 := os.Stat(file)
	other, err2 := os.Stat(at.program)
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}

// removeProgram removes the copy and its folder, and says why if it cannot: it does not, where it is the copy that runs.
func (at places) removeProgram() error {
	if self, err := os.Executable(); err != nil || at.isProgram(self) {
		return fmt.Errorf("%s runs now: delete %s", at.program, filepath.Dir(at.program))
	}
	if err := os.Remove(at.program); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Remove(filepath.Dir(at.program)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // somebody has put something there
	}
	return nil
}

// The times of netsh: how long it may take, and how long another may hold its pipe after that.
const (
	netshTime  = 15 * time.Second
	netshGrace = time.Second
)

// runNetsh runs netsh to its end. What it prints is told where it fails: it is in the language of Windows.
func runNetsh(ctx context.Context, args []string) error {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, netshTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(system, netsh), args...)
	cmd.WaitDelay = netshGrace
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("netsh: %w", ctx.Err())
	}
	if err != nil {
		said := strings.Join(strings.Fields(strings.ToValidUTF8(string(bytes.TrimSpace(out)), "?")), " ")
		return fmt.Errorf("netsh: %w: %.300s", err, said)
	}
	return nil
}
