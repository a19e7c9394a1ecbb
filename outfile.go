package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// replaceFile puts what write writes in the place of path, whole or not at all: whoever reads path sees the old content
// or the new. The temporary file begins with a dot and does not end in .prom, so that no textfile collector takes it.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	if at, err := os.Stat(path); err == nil && !at.Mode().IsRegular() {
		return fmt.Errorf("--out=%s: is not a plain file", path) // a rename would put /dev/null away
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp*")
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	err = write(f)
	if err == nil {
		err = f.Chmod(0o644) // readers are other users
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
