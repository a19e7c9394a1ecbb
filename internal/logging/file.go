package logging

import (
	"fmt"
	"log/slog"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"
)

const (
	rotateMegabytes = 1
	keepDays        = 7
)

// File is a log file beside the standard error. It is set aside at 1 MB, and what was set aside is deleted after 7
// days. A file that cannot be written costs one warning, never a line on standard error and never the service.
type File struct {
	log *slog.Logger // of standard error alone

	mu      sync.Mutex // guards all below
	file    lumberjack.Logger
	failing bool
}

// NewFile returns a File. Whether it can be written is known, and told to log, at once; log must not write to it.
func NewFile(path string, log *slog.Logger) *File {
	f := &File{log: log, file: lumberjack.Logger{Filename: path, MaxSize: rotateMegabytes, MaxAge: keepDays}}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.file.Write(nil) // opens it, and makes its folder
	f.note(err)
	return f
}

// Write implements io.Writer. It never fails: the line is on standard error too.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.file.Write(line)
	f.note(err)
	return len(line), nil
}

// note tells when writing begins to fail and when it works again.
func (f *File) note(err error) {
	switch failing := err != nil; {
	case failing && !f.failing:
		f.log.Warn("the log file cannot be written, the log goes to standard error alone", "file", f.file.Filename, "err", err)
	case !failing && f.failing:
		f.log.Info("the log file can be written again", "file", f.file.Filename)
	}
	f.failing = err != nil
}

// Reopen closes the file, so that the next line opens the one that is at the path then. A nil File has none.
func (f *File) Reopen() error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("close the log file: %w", err)
	}
	return nil
}
