package logging

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestFileIsSetAsideAtOneMegabyte(t *testing.T) {
	dir := t.TempDir()
	var stderr bytes.Buffer
	f := NewFile(filepath.Join(dir, "gpu.log"), New(&stderr, Logfmt, slog.LevelInfo))
	log := New(io.MultiWriter(io.Discard, f), Logfmt, slog.LevelInfo)
	for range 1500 {
		log.Info(strings.Repeat("x", 1000))
	}
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v: want the file and one that was set aside", files, err)
	}
	var whole int64
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 1<<20 {
			t.Errorf("%s has %d bytes", file.Name(), info.Size())
		}
		whole += info.Size()
	}
	if whole < 1500*1000 {
		t.Errorf("%d bytes in all: lines are lost", whole)
	}
	if stderr.Len() > 0 {
		t.Errorf("complaints: %s", &stderr)
	}
}

func TestFileThatWasMovedAwayIsReopened(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not let anybody move away a file that is open")
	}
	path := filepath.Join(t.TempDir(), "gpu.log")
	f := NewFile(path, New(io.Discard, Logfmt, slog.LevelInfo))
	log := New(f, Logfmt, slog.LevelInfo)
	log.Info("one")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	log.Info("two")
	for name, want := range map[string]string{path: "msg=two\n", path + ".1": "msg=one\n"} {
		if text, err := os.ReadFile(name); err != nil || !strings.HasSuffix(string(text), want) {
			t.Errorf("%s: %q, %v; want %q at the end", name, text, err, want)
		}
	}
	_ = f.Reopen() // lets go of the file
}

func TestFileThatCannotBeWrittenIsOneWarning(t *testing.T) {
	var stderr bytes.Buffer
	f := NewFile(filepath.Join(t.TempDir(), "missing", "\x00"), New(&stderr, Logfmt, slog.LevelInfo))
	log := New(f, Logfmt, slog.LevelInfo)
	for range 10 {
		log.Info("line")
	}
	if n := strings.Count(stderr.String(), "level=warn"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, &stderr)
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	New(&out, JSON, slog.LevelInfo).Info("found a GPU", "gpu", "0000:03:00.0")
	for _, want := range []string{`"level":"info"`, `"msg":"found a GPU"`, `"gpu":"0000:03:00.0"`, `"time":"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s has no %s", &out, want)
		}
	}
}
