package windows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// programLimit is how long PowerShell or dxdiag may take, and programPause how long each is left alone after it was
	// tried, also by a program that is started again and again (section 7).
	programLimit = 30 * time.Second
	programPause = time.Hour
	// lastResortsAge is how long what they said is believed: a machine changes.
	lastResortsAge = 7 * 24 * time.Hour
	// cacheFile is kept in Options.StateDir.
	cacheFile = "windows-facts.json"
	maxCache  = 1 << 20
)

// lastResorts are PowerShell and dxdiag: slow, and asked in the background only where nothing better answers. What they
// said is kept on disk.
type lastResorts struct {
	sources *Sources
	file    string // empty: none
	now     func() time.Time
	changed func()      // called when one has answered, so that it is looked at
	noted   func(error) // what went wrong, for the log

	mu      sync.Mutex
	loaded  bool
	running bool
	said    saidByPrograms
	failed  [2]error // of PowerShell and dxdiag, as they were last tried by this process
}

// saidByPrograms is the content of the cache.
type saidByPrograms struct {
	PowerShell struct {
		Tried, Answered time.Time
		Rows            []VideoController
	}
	DxDiag struct {
		Tried, Answered time.Time
		Devices         []dxDevice
	}
}

// look is what the programs have said so far. It has them asked again when their time has come, and waits for nothing.
func (l *lastResorts) look() ([]VideoController, []dxDevice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.loaded {
		l.loaded = true
		said, err := readCache(l.file)
		if err != nil {
			l.noted(err)
		}
		l.said = said
	}
	now := l.now()
	due := func(tried time.Time) bool { return now.Sub(tried) >= programPause || tried.After(now) }
	believed := func(answered time.Time) bool { return now.Sub(answered) < lastResortsAge && !answered.After(now) }
	rows, devices := believed(l.said.PowerShell.Answered), believed(l.said.DxDiag.Answered)
	powershell := l.sources.PowerShell != nil && due(l.said.PowerShell.Tried)
	dxdiag := l.sources.DxDiag != nil && due(l.said.DxDiag.Tried) && !rows
	if !l.running && (powershell || dxdiag) {
		l.running = true
		go l.ask(powershell, dxdiag)
	}
	switch {
	case rows:
		return l.said.PowerShell.Rows, nil
	case devices:
		return nil, l.said.DxDiag.Devices
	}
	return nil, nil
}

// ask runs PowerShell and, where that has no answer, dxdiag. That one was tried is noted first: a service that dies of it,
// and is started again, must not try it again at once.
func (l *lastResorts) ask(powershell, dxdiag bool) {
	said := &l.said
	answered := false
	if powershell {
		l.note(func() { said.PowerShell.Tried = l.now() })
		rows, err := l.askPowerShell()
		if answered = err == nil; answered {
			l.note(func() { said.PowerShell.Answered, said.PowerShell.Rows = l.now(), rows })
		}
		l.ended(0, err)
	}
	if dxdiag && !answered {
		l.note(func() { said.DxDiag.Tried = l.now() })
		devices, err := l.askDxDiag()
		if answered = err == nil; answered {
			l.note(func() { said.DxDiag.Answered, said.DxDiag.Devices = l.now(), devices })
		}
		l.ended(1, err)
	}
	l.mu.Lock()
	l.running = false
	l.mu.Unlock()
	if answered {
		l.changed()
	}
}

// note changes what is kept, also on disk.
func (l *lastResorts) note(change func()) {
	l.mu.Lock()
	change()
	said := l.said
	l.mu.Unlock()
	if err := writeCache(l.file, said); err != nil {
		l.noted(err)
	}
}

// ended notes how a program ended.
func (l *lastResorts) ended(which int, err error) {
	l.mu.Lock()
	l.failed[which] = err
	l.mu.Unlock()
	if err != nil {
		l.noted(err)
	}
}

func (l *lastResorts) askPowerShell() ([]VideoController, error) {
	ctx, cancel := context.WithTimeout(context.Background(), programLimit)
	defer cancel()
	out, err := l.sources.PowerShell(ctx)
	if err != nil {
		return nil, fmt.Errorf("PowerShell: %w", err)
	}
	return parseCIM(out)
}

func (l *lastResorts) askDxDiag() ([]dxDevice, error) {
	ctx, cancel := context.WithTimeout(context.Background(), programLimit)
	defer cancel()
	text, err := l.sources.DxDiag(ctx)
	if err != nil {
		return nil, fmt.Errorf("dxdiag: %w", err)
	}
	return parseDxDiag(text)
}

// readCache reads the file, which need not be there.
func readCache(path string) (said saidByPrograms, err error) {
	if path == "" {
		return said, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return said, nil
	}
	if err != nil {
		return said, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCache))
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	if err != nil {
		return saidByPrograms{}, fmt.Errorf("%s is passed over: %w", path, err)
	}
	return said, nil
}

// writeCache replaces the file, so that nobody ever finds half of one.
func writeCache(path string, said saidByPrograms) error {
	if path == "" {
		return nil
	}
	text, err := json.Marshal(said)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), cacheFile+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
