package windows

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gpu_exporter/collector"
)

const (
	oneRow    = `{"Name":"AMD Radeon RX 7800 XT","AdapterRAM":536870912,"DriverVersion":"32.0.1.2","PNPDeviceID":"PCI\\VEN_1002&DEV_747E&SUBSYS_1&REV_C8\\4&1"}`
	oneDevice = `<DxDiag><DisplayDevices><DisplayDevice><CardName>AMD Radeon RX 7800 XT</CardName>` +
		`<DeviceKey>Enum\PCI\VEN_1002&amp;DEV_747E&amp;SUBSYS_1&amp;REV_C8</DeviceKey><DedicatedMemory>16304 MB</DedicatedMemory></DisplayDevice></DisplayDevices></DxDiag>`
)

// bare is a host on which nothing works: no D3DKMT, and WMI refuses.
func bare(t testing.TB) *host {
	return &host{t: t, asked: map[string]int{}, rowsErr: fs.ErrPermission}
}

// prints and writes are PowerShell and dxdiag that say something.
func (h *host) prints(text string, err error) *host {
	h.program = func(context.Context) (Output, error) {
		return call(h, sourcePowerShell, func() (Output, error) { return Output{Text: []byte(text)}, err })
	}
	return h
}

func (h *host) writes(text string, err error) *host {
	h.dxdiag = func(context.Context) ([]byte, error) {
		return call(h, sourceDxDiag, func() ([]byte, error) { return []byte(text), err })
	}
	return h
}

// discovered is what a discovery finds: the GPUs, and who listed them.
func discovered(t testing.TB, p *Probe) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, _ = p.Discover(ctx) // that WMI refuses is told by another test
	var all []string
	for _, g := range p.found().gpus {
		all = append(all, g.listed+" "+g.info.PCIID)
	}
	return strings.Join(all, ", ")
}

func TestLastResorts(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		host       func(t testing.TB) *host
		want       string
		powershell int // calls
		dxdiag     int
	}{
		"PowerShell answers":        {func(t testing.TB) *host { return bare(t).prints(oneRow, nil).writes(oneDevice, nil) }, "PowerShell 1002:747e", 1, 0},
		"PowerShell fails":          {func(t testing.TB) *host { return bare(t).prints("", broken).writes(oneDevice, nil) }, "dxdiag 1002:747e", 1, 1},
		"PowerShell prints nothing": {func(t testing.TB) *host { return bare(t).prints("", nil).writes(oneDevice, nil) }, "dxdiag 1002:747e", 1, 1},
		"both fail":                 {func(t testing.TB) *host { return bare(t).prints("", broken).writes("", broken) }, "", 1, 1},
		"dxdiag alone":              {func(t testing.TB) *host { return bare(t).writes(oneDevice, nil) }, "dxdiag 1002:747e", 0, 1},
		"dxdiag without an end":     {func(t testing.TB) *host { return bare(t).writes(oneDevice[:200], nil) }, "", 0, 1},
		"neither":                   {bare, "", 0, 0},
		"WMI answers, with no GPU": {func(t testing.TB) *host {
			h := bare(t).prints(oneRow, nil)
			h.rowsErr = nil
			h.rows = []VideoController{{Name: "x"}}
			return h
		}, "", 0, 0},
		"D3DKMT answers, with no GPU": {func(t testing.TB) *host { h := bare(t).prints(oneRow, nil); h.adapters = []recordedAdapter{}; return h }, "", 0, 0},
		"D3DKMT has one": {func(t testing.TB) *host {
			h := pair(t).prints(oneRow, nil)
			h.adapters, h.entries = h.adapters[:1], nil
			return h
		}, "D3DKMT 1002:747e", 0, 0},
		"the registry has one": {func(t testing.TB) *host {
			h := bare(t).prints(oneRow, nil)
			h.registry = &Registry{DirectX: []RegistryKey{regKey("{1}", map[string]RegistryValue{"VendorId": dword(vendorAMD), "DeviceId": dword(0x1), "AdapterLuid": qword(7)})}}
			return h
		}, "registry 1002:0001", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := c.host(t)
				p := New(Options{Sources: h.sources()})
				discovered(t, p)
				synctest.Wait()
				if got := discovered(t, p); got != c.want {
					t.Errorf("found %q, want %q", got, c.want)
				}
				synctest.Wait()
				if a, b := h.calls(sourcePowerShell), h.calls(sourceDxDiag); a != c.powershell || b != c.dxdiag {
					t.Errorf("PowerShell ran %d times, dxdiag %d times, want %d and %d", a, b, c.powershell, c.dxdiag)
				}
			})
		})
	}
}

func TestLastResortsAreAskedOnceAnHourAndKeptOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state") // made when it is needed
		const right = "dxdiag 1002:747e"
		h := bare(t).prints("", errors.New("broken")).writes(oneDevice, nil)
		rescans := 0
		start := func() *Probe {
			p := New(Options{Sources: h.sources(), StateDir: dir})
			p.Notify(func() { rescans++ })
			return p
		}
		p := start()
		if got := discovered(t, p); got != "" {
			t.Errorf("before an answer: %q", got)
		}
		synctest.Wait()
		if rescans != 1 {
			t.Errorf("%d discoveries were asked for after the answer", rescans)
		}
		for i, step := range []struct {
			wait  time.Duration
			again bool // the program is started anew
			calls int
		}{
			{0, false, 1},
			{30 * time.Minute, false, 1},
			{0, true, 1}, // who is started again and again does not run dxdiag each time
			{31 * time.Minute, true, 2},
			{time.Hour, false, 3},
		} {
			time.Sleep(step.wait)
			if step.again {
				p = start()
			}
			got := discovered(t, p)
			synctest.Wait()
			if n := h.calls(sourceDxDiag); got != right || n != step.calls || h.calls(sourcePowerShell) != n {
				t.Errorf("step %d: found %q, dxdiag ran %d times, want %d", i, got, n, step.calls)
			}
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 1 {
			t.Errorf("files left: %v, %v", left, err)
		}
		h.writes("", errors.New("broken"))
		p = start()
		time.Sleep(lastResortsAge)
		if got := discovered(t, p); got != "" {
			t.Errorf("an answer of last week: %q", got)
		}
		synctest.Wait()
	})
}

func TestACacheThatIsNoUse(t *testing.T) {
	for name, text := range map[string]string{
		"empty":       "",
		"garbage":     "\x00\xff{",
		"another":     `{"PowerShell": 7}`,
		"null":        "null",
		"from later":  `{"PowerShell":{"Tried":"2200-01-01T00:00:00Z","Answered":"2200-01-01T00:00:00Z","Rows":[{"Name":"old","PNPDeviceID":"PCI\\VEN_10DE&DEV_0001"}]}}`,
		"much of it":  `{"PowerShell":{"Rows":[` + strings.Repeat(`{"Name":"x"},`, maxCache/8) + `{}]}}`,
		"hostile row": `{"PowerShell":{"Tried":"2000-01-01T00:00:00Z","Answered":"1999-12-31T23:59:00Z","Rows":[{"Name":"` + strings.Repeat("y", 9000) + `"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, cacheFile), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				h := bare(t).prints(oneRow, nil)
				p := New(Options{Sources: h.sources(), StateDir: dir})
				if got := discovered(t, p); got != "" {
					t.Errorf("found %q", got)
				}
				time.Sleep(programPause)
				discovered(t, p)
				synctest.Wait()
				if got := discovered(t, p); got != "PowerShell 1002:747e" {
					t.Errorf("found %q after a real answer", got)
				}
			})
		})
	}
}

func TestAStateFolderThatCannotBeWrittenCostsTheCacheAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		p := New(Options{Sources: bare(t).prints(oneRow, nil).sources(), StateDir: filepath.Join(file, "below")})
		discovered(t, p)
		synctest.Wait()
		if got := discovered(t, p); got != "PowerShell 1002:747e" {
			t.Errorf("found %q", got)
		}
	})
}

// A program or a query that hangs costs its facts, and neither a discovery nor the other sources.
func TestStaticFactsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		h := bare(t)
		h.program = func(ctx context.Context) (Output, error) {
			h.change(func() { h.asked[sourcePowerShell]++ })
			<-ctx.Done() // as the program that is killed
			<-let
			return Output{}, ctx.Err()
		}
		h.hook = func(source string) error {
			if source == sourceWMI {
				<-let
			}
			return nil
		}
		dir := t.TempDir()
		p := New(Options{Sources: h.sources(), StateDir: dir})
		for range 10 {
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			list, err := p.Discover(ctx)
			cancel()
			if took := time.Since(begun); took >= 2*time.Second || len(list) != 0 || !errors.Is(err, errLate) || kindOf(err) != collector.Timeout {
				t.Errorf("after %v: %d GPUs, %v", took, len(list), err)
			}
			time.Sleep(30 * time.Second)
		}
		if a, b := h.calls(sourceWMI), h.calls(sourcePowerShell); a != 1 || b != 1 {
			t.Errorf("WMI was asked %d times, PowerShell %d times, want each once", a, b)
		}
		discovered(t, New(Options{Sources: h.sources(), StateDir: dir})) // as after a crash
		if n := h.calls(sourcePowerShell); n != 1 {
			t.Errorf("PowerShell was asked %d times after the program began anew", n)
		}
		close(let)
		synctest.Wait()
	})
}

func TestRowsOfWMIStandForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bare(t)
		h.rows, h.rowsErr = []VideoController{{Name: "Radeon", PNPDeviceID: `PCI\VEN_1002&DEV_747E\1`}}, nil
		p := New(Options{Sources: h.sources()})
		for i, step := range []struct {
			wait  time.Duration
			err   error
			calls int
		}{
			{0, nil, 1},
			{wmiPause / 2, nil, 1},
			{wmiPause / 2, nil, 2},
			{wmiPause, fs.ErrPermission, 3}, // what it said before stands
			{0, nil, 4},
		} {
			time.Sleep(step.wait)
			h.change(func() { h.rowsErr = step.err })
			if got := discovered(t, p); got != "WMI 1002:747e" || h.calls(sourceWMI) != step.calls {
				t.Errorf("step %d: %q, asked %d times, want %d", i, got, h.calls(sourceWMI), step.calls)
			}
		}
	})
}
