//go:build wine

package windows

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"gpu_exporter/collector"
	"gpu_exporter/internal/await"
)

// What Wine has and lacks (section 13), through the sources as the program has them: each answers or says that it is not
// there, and none ends the process.
func TestSourcesOfWine(t *testing.T) {
	s := System(SystemOptions{ADL: true, Log: slog.New(slog.DiscardHandler)})
	if _, err := s.D3DKMT.Adapters(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("D3DKMT lists, of which Wine has no function: %v", err)
	}
	r, err := s.D3DKMT.Read([]Target{{LUID: 1, Sensors: true}})
	if err != nil || len(r) != 1 || r[0].Filled {
		t.Errorf("an answer of all zeros is none: %+v, %v", r, err)
	}
	if _, err := s.PDH.Collect(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("PDH has no counter of a GPU: %v", err)
	}
	if err := s.PDH.Close(); err != nil {
		t.Error(err)
	}
	if list, err := s.PnP.Present(); err != nil || len(list) != 0 {
		t.Errorf("no device is on PCI: %v, %v", list, err)
	}
	if states, err := s.PnP.Power([]string{`PCI\NONE`}); err != nil || len(states) != 1 || states[0] != PowerUnknown {
		t.Errorf("%v, %v", states, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// An empty output with exit code 0 is a failure (section 7).
	if out, err := s.PowerShell(ctx); err != nil || out.Exit != 0 || len(out.Text) != 0 {
		t.Errorf("%+v, %v", out, err)
	} else if _, err := parseCIM(out); !errors.Is(err, ErrMalformed) {
		t.Errorf("%v", err)
	}
	text, err := s.DxDiag(ctx)
	if err != nil || !strings.Contains(string(document(text)), "<SystemInformation>") {
		t.Errorf("%q, %v", text, err)
	}
	if list, err := parseDxDiag(text); err != nil || len(list) != 0 {
		t.Errorf("it has no DisplayDevices: %v, %v", list, err)
	}
}

// WMI answers as section 13 says, through COM and github.com/yusufpapurcu/wmi.
func TestWMI(t *testing.T) {
	rows, err := videoControllers(t.Context())
	if err != nil || len(rows) != 1 {
		t.Fatalf("%+v, %v", rows, err)
	}
	r := rows[0]
	if !strings.HasPrefix(r.PNPDeviceID, `PCI\VEN_0000&DEV_0000`) || r.AdapterRAM != 536870912 ||
		r.DriverVersion != "30.0.14023.3004" || r.Name != "VideoController1" {
		t.Errorf("%+v", r)
	}
}

// broken has the shim stand for a service that is broken.
func broken(t *testing.T, how string) { t.Setenv("FAKE_WMI", how) }

func TestWMIThatIsBroken(t *testing.T) {
	for how, want := range map[string]error{"garbage": ErrMalformed, "refused": fs.ErrPermission} {
		broken(t, how)
		if rows, err := videoControllers(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v; want %v", how, rows, err, want)
		}
	}
	broken(t, "")
	if rows, err := videoControllers(t.Context()); err != nil || len(rows) != 1 {
		t.Errorf("afterwards: %+v, %v", rows, err)
	}
}

// imported writes the keys of a case into the registry of the machine, until the test ends.
func imported(t *testing.T, r *Registry) {
	t.Helper()
	for at, list := range map[string][]RegistryKey{classPath: r.Class, enumPath: r.Enum, directXPath: r.DirectX} {
		for _, key := range list {
			path := at + `\` + key.Name
			k, existed, err := registry.CreateKey(registry.LOCAL_MACHINE, path, registry.SET_VALUE)
			if err != nil {
				t.Fatal(err)
			}
			if existed { // Wine has a 0000 of its own
				k.Close()
				continue
			}
			t.Cleanup(func() { // Wine deletes keys of the class when it starts its desktop
				if err := registry.DeleteKey(registry.LOCAL_MACHINE, path); err != nil && !errors.Is(err, registry.ErrNotExist) {
					t.Error(err)
				}
			})
			for name, v := range key.Values {
				if v.Type == RegSZ {
					err = k.SetStringValue(name, utf16Text(v.Data))
				} else if v.Type == RegQWORD {
					err = k.SetQWordValue(name, key.number(name))
				} else if v.Type == RegDWORD {
					err = k.SetDWordValue(name, uint32(key.number(name)))
				} else {
					t.Fatalf("%s has type %d", name, v.Type)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			k.Close()
		}
	}
}

// The registry of a case, read from the registry.
func TestRegistry(t *testing.T) {
	h := recorded(t, filepath.Join(shared, "synthetic-rx7800xt"), "first")
	imported(t, h.registry)
	got, err := readRegistry(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f := facts{registry: got, present: h.present}
	gpus, _ := identify(&f)
	if len(gpus) != 1 {
		t.Fatalf("%d GPUs", len(gpus))
	}
	g := gpus[0]
	if g.info.GPU != "0000:03:00.0" || g.luid != 0xc51e || g.info.Name != "AMD Radeon RX 7800 XT" ||
		g.info.PCIID != "1002:747e" || g.vram != 17163091968 ||
		g.info.Driver == "" || g.info.DriverVersion == "" {
		t.Errorf("%+v; the registry says %+v", g, got)
	}
}

// A WMI service that hangs, answers garbage or refuses costs only its facts: what else tells of GPUs goes on, and no
// discovery takes longer than it may.
func TestDiscoveryWithABrokenWMI(t *testing.T) {
	for _, how := range []string{"garbage", "refused", "hang"} {
		t.Run(how, func(t *testing.T) {
			broken(t, how)
			m := newMachine(t, filepath.Join(shared, "synthetic-rx7800xt"), "first")
			m.kernel.feed("") // no adapter: so WMI is asked
			g := m.start(func(o *Options, p *Probe) {
				if p == nil {
					o.Deadline = 2 * time.Second // of a discovery too
					o.Sources.WMI, o.Sources.PowerShell, o.Sources.DxDiag = videoControllers, nil, nil
				}
			})
			s := g.cycle()
			if len(s.Devices) != 1 || s.Devices[0].GPU != "0000:03:00.0" || s.Devices[0].State == collector.StateHung {
				t.Errorf("%+v", s.Devices)
			}
		})
	}
}

// A program that does not end is killed at its deadline, with all that it started.
func TestProgramsAreKilled(t *testing.T) {
	j, err := newJob()
	if err != nil {
		t.Fatal(err)
	}
	defer j.end()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := j.run(ctx, "cmd.exe", "/c", "cmd.exe /c cmd.exe /k <con >nul")
		ended <- err
	}()
	await.Until(t, "a program and what it started", func() bool { return active(t, j) >= 2 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	await.Until(t, "an empty job", func() bool { return active(t, j) == 0 })
}

// active is the number of processes in a job.
func active(t *testing.T, j job) uint32 {
	t.Helper()
	var info struct { // JOBOBJECT_BASIC_ACCOUNTING_INFORMATION
		_                  [4]int64
		_                  [2]uint32
		Active, Terminated uint32
	}
	const basicAccounting = 1
	err := windows.QueryInformationJobObject(windows.Handle(j), basicAccounting, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return info.Active
}

func TestPrograms(t *testing.T) {
	out, err := run(t.Context(), "cmd.exe", "/c", "echo out& echo complaint>&2& exit 3")
	text := string(out.Text)
	if err != nil || out.Exit != 3 || !strings.Contains(text, "out") || !strings.Contains(text, "complaint") {
		t.Errorf("%q, %d, %v", out.Text, out.Exit, err)
	}
	if out, err := run(t.Context(), "cmd.exe", "/c", "echo out& echo complaint>&2"); err != nil || out.Exit != 0 || string(out.Text) != "out\r\n" {
		t.Errorf("%q, %d, %v", out.Text, out.Exit, err)
	}
	if _, err := run(t.Context(), "none.exe"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a program that is not there: %v", err)
	}
}

// What a program prints is kept up to a bound.
func TestOutputIsBounded(t *testing.T) {
	var b bounded
	for range 3 * maxDocument / (1 << 20) {
		if n, err := b.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
			t.Fatal(n, err)
		}
	}
	if b.Len() != maxDocument {
		t.Errorf("%d bytes are kept, want %d", b.Len(), maxDocument)
	}
}
