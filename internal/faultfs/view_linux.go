package faultfs

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// view is what the tree looks like: the folder below, and what the test has changed. Paths in it are relative to the
// root, which is "".
type view struct {
	dir     string
	removed map[string]bool
	left    map[string]bool   // nothing from the folder below is here any more: it was renamed
	moved   map[string]string // renamed to here: where it lies in the folder below
	said    map[string][]byte // files whose content the test has set
}

func newView(dir string) *view {
	return &view{dir, map[string]bool{}, map[string]bool{}, map[string]string{}, map[string][]byte{}}
}

// parent is the folder that a path lies in.
func parent(at string) string {
	dir, _, _ := cutLast(at)
	return dir
}

func cutLast(at string) (dir, name string, ok bool) {
	n := strings.LastIndexByte(at, '/')
	if n < 0 {
		return "", at, false
	}
	return at[:n], at[n+1:], true
}

// within says whether a path is dir or below it.
func within(at, dir string) bool {
	return dir == "" || at == dir || strings.HasPrefix(at, dir+"/")
}

func (v *view) hidden(at string) bool {
	for ; at != ""; at = parent(at) {
		if v.removed[at] {
			return true
		}
	}
	return false
}

// below is where a path lies in the folder below, if it does.
func (v *view) below(at string) (string, bool) {
	if at == "" {
		return v.dir, true
	}
	if to, ok := v.moved[at]; ok {
		return to, true
	}
	if v.left[at] {
		return "", false
	}
	dir, name, _ := cutLast(at)
	to, ok := v.below(dir)
	return filepath.Join(to, name), ok
}

func (v *view) stat(at string) (st syscall.Stat_t, err error) {
	if v.hidden(at) {
		return st, syscall.ENOENT
	}
	err = syscall.ENOENT
	if to, ok := v.below(at); ok {
		err = syscall.Lstat(to, &st)
	}
	if _, said := v.said[at]; said && err != nil {
		return syscall.Stat_t{Mode: syscall.S_IFREG | 0o444, Nlink: 1}, nil
	}
	return st, err
}

func (v *view) exists(at string) bool {
	_, err := v.stat(at)
	return err == nil
}

func (v *view) content(at string) ([]byte, error) {
	if text, said := v.said[at]; said {
		return text, nil
	}
	to, ok := v.below(at)
	if !ok {
		return nil, syscall.ENOENT
	}
	return os.ReadFile(to)
}

func (v *view) link(at string) (string, error) {
	to, ok := v.below(at)
	if !ok {
		return "", syscall.ENOENT
	}
	return os.Readlink(to)
}

// list is the sorted names in a folder.
func (v *view) list(dir string) ([]string, error) {
	to, ok := v.below(dir)
	if !ok {
		return nil, syscall.ENOENT
	}
	entries, err := os.ReadDir(to)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for at := range v.moved {
		names = append(names, path.Base(at))
	}
	for at := range v.said {
		names = append(names, path.Base(at))
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return !v.exists(path.Join(dir, name)) }), nil
}

// rename moves old to new, with all that was changed below it.
func (v *view) rename(old, new string) {
	to, ok := v.below(old)
	rekey(v.removed, old, new)
	rekey(v.left, old, new)
	rekey(v.moved, old, new)
	rekey(v.said, old, new)
	v.left[old] = true
	if ok {
		v.moved[new] = to
	}
}

func rekey[T any](m map[string]T, old, new string) {
	for at, value := range m {
		if within(at, old) {
			delete(m, at)
			m[new+strings.TrimPrefix(at, old)] = value
		}
	}
}

// resolve follows the links in a path up to the first name that is a pattern; the last name only where last says so.
// A link that leads out of the tree stays.
func (v *view) resolve(at string, last bool) string {
	const maxLinks = 40 // as the kernel
	done, todo := "", split(at)
	for links := 0; len(todo) > 0; {
		if strings.ContainsAny(todo[0], `*?[\`) {
			return path.Join(done, path.Join(todo...))
		}
		next := path.Join(done, todo[0])
		todo = todo[1:]
		st, err := v.stat(next)
		if err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFLNK && (last || len(todo) > 0) && links < maxLinks {
			target, err := v.link(next)
			to := path.Join(done, target)
			if err == nil && !path.IsAbs(target) && to != ".." && !strings.HasPrefix(to, "../") {
				links++
				done, todo = "", append(split(to), todo...)
				continue
			}
		}
		done = next
	}
	return done
}

// errnoOf is the errno of an error of package os or syscall.
func errnoOf(err error) syscall.Errno {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return syscall.EIO
}
