package collector

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestChecks(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for i, c := range Checks {
		if !form.MatchString(c.ID) || c.Meaning == "" || seen[c.ID] {
			t.Errorf("check %d: id %q is malformed, taken or has no meaning", i, c.ID)
		}
		seen[c.ID] = true
	}
	for _, kind := range FailureKinds {
		if c := failureChecks[kind]; c.id.String() != "gpu-"+string(kind) || c.text == "" || c.hint == "" {
			t.Errorf("kind %s: %+v", kind, c)
		}
	}
}

// told is what findings say, a line each.
func told(list []Finding) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%v %v %s: %s\n", f.Level, f.ID, f.Subject, f.Text)
	}
	return b.String()
}

func TestFindingsOfASnapshot(t *testing.T) {
	samples := make([]Sample, 2)
	const d = "/sys/class/drm/card1/device/"
	denied := &fs.PathError{Op: "open", Path: d + "ras", Err: syscall.EACCES}
	for name, c := range map[string]struct {
		s        Status
		want     string
		readable bool
	}{
		"ok":      {Status{State: StateOK, Up: true, At: time.Now(), Samples: samples}, "ok gpu-ok g: 2 readings from sysfs\n", true},
		"one":     {Status{State: StateOK, Up: true, At: time.Now(), Samples: samples[:1]}, "ok gpu-ok g: 1 reading from sysfs\n", true},
		"asleep":  {Status{State: StateAsleep, Up: true, At: time.Now()}, "note gpu-asleep g: asleep, and left so: it has no readings until something uses it\n", true},
		"gone":    {Status{State: StateGone}, "fail gpu-gone g: it left while it was looked at: the GPU was removed, or its driver was\n", false},
		"hung":    {Status{State: StateHung, Failures: []Failure{{Timeout, "read", errSilent}}}, "fail gpu-hung g: it does not answer in time: a read hangs in its driver\n", false},
		"unread":  {Status{State: StateOK, Up: true}, "fail gpu-hung g: it does not answer in time: a read hangs in its driver\n", false},
		"nothing": {Status{State: StateOK, Up: true, At: time.Now()}, "warn gpu-unreadable g: awake, but nothing can be read of it\n", false},
		"down": {Status{State: StatePartial, At: time.Now(), Failures: []Failure{{IO, d + "gpu_metrics", syscall.EIO}}},
			"fail gpu-unreadable g: awake, but nothing can be read of it\n" +
				"warn gpu-io g: no answer to 1 reading (input/output error): " + d + "gpu_metrics\n", false},
		"partial": {Status{State: StatePartial, Up: true, At: time.Now(), Samples: samples, Failures: []Failure{
			{Permission, d + "hwmon/hwmon4/power1_average", syscall.EACCES}, {IO, d + "gpu_busy_percent", syscall.EIO},
			{Permission, d + "ras", denied}, {IO, d + "gpu_metrics", syscall.ETIME}, {Malformed, d + "pp_dpm_sclk", nil},
			{Timeout, "nvidia-smi", errors.New("no answer")}, {Missing, "table", errors.New("not there")},
		}}, "warn gpu-partial g: 2 readings from sysfs, others fail\n" +
			"warn gpu-permission g: rights are missing for 2 readings (permission denied): hwmon/hwmon4/power1_average, ras in /sys/class/drm/card1/device\n" +
			"warn gpu-io g: no answer to 1 reading (input/output error): " + d + "gpu_busy_percent\n" +
			"warn gpu-io g: no answer to 1 reading (timer expired): " + d + "gpu_metrics\n" +
			"warn gpu-malformed g: there is no sense in 1 reading (no reason told): " + d + "pp_dpm_sclk\n" +
			"warn gpu-timeout g: no answer in time to 1 reading (no answer): nvidia-smi\n" +
			"warn gpu-missing g: there is no source for 1 reading (not there): table\n", true},
	} {
		c.s.Info = Info{GPU: "g", Source: "sysfs"}
		s := &Snapshot{Devices: []Status{c.s}, Probes: []ProbeStatus{{Name: "amd", Found: 1}}}
		if got := told(s.Findings()); got != c.want || c.s.Readable() != c.readable {
			t.Errorf("%s: readable %v, got\n%swant\n%s", name, c.s.Readable(), got, c.want)
		}
	}
}

func TestFindingsOfADiscovery(t *testing.T) {
	for _, c := range []struct {
		err  error
		text string // its end
		hint string
	}{
		{context.DeadlineExceeded, "looked for: context deadline exceeded", DriverLog},
		{errors.Join(errors.New("card0: a"), errors.New("card1: b")), "looked for: card0: a; card1: b", DriverLog},
		{fmt.Errorf("card0: read uevent: %w", syscall.EACCES), "permission denied", hintPermission},
	} {
		s := &Snapshot{Probes: []ProbeStatus{{Name: "amd", Err: c.err}, {Name: "intel"}}}
		list := s.Findings()
		if len(list) != 1 || list[0].ID != DiscoveryFailed || list[0].Level != LevelFail || list[0].Subject != "amd" ||
			!strings.HasSuffix(list[0].Text, c.text) || !strings.Contains(list[0].Hint, c.hint) {
			t.Errorf("%v: %+v", c.err, list)
		}
	}
}

func TestEnumerate(t *testing.T) {
	for _, c := range []struct{ paths, want string }{
		{"/a/b", "/a/b"},
		{"/a/b /a/c", "b, c in /a"},
		{"/a/b/c /a/d", "b/c, d in /a"},
		{"/a/ab/c /a/a/c", "ab/c, a/c in /a"},
		{"/a/b /c/d", "/a/b, /c/d"},
		{"nvml nvidia-smi", "nvml, nvidia-smi"},
		{"/a/b nvml", "/a/b, nvml"},
	} {
		if got := enumerate(strings.Fields(c.paths)); got != c.want {
			t.Errorf("%s: %q, want %q", c.paths, got, c.want)
		}
	}
}
