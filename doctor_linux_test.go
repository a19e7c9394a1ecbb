package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gpu_exporter/internal/hwcase"
)

// paths makes the flags that lead to a tree.
func paths(tree string) []string {
	return []string{"--path.sysfs=" + filepath.Join(tree, "sys"), "--path.procfs=" + filepath.Join(tree, "proc")}
}

// pipe puts a pipe in the place of a file: who opens it waits for ever.
func pipe(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
}

// release lets go those who wait for a pipe.
func release(t *testing.T, path string) {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Error(err)
		return
	}
	f.Close()
}

// Of a sleeping card no file may be opened but those that never wake it: all others are pipes here, which would hang.
func TestDoctorLeavesASleepingCardAlone(t *testing.T) {
	tree := ownCase(t, "discrete")
	card := cardIn(t, tree)
	write(t, filepath.Join(card, "device/power/runtime_status"), "suspended\n")
	harmless := []string{"uevent", "vendor", "device", "revision", "class", "vbios_version", "unique_id", "product_name", "name"}
	pipes := 0
	err := filepath.WalkDir(card, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Base(filepath.Dir(path)) != "power" && !slices.Contains(harmless, d.Name()) {
			pipe(t, path)
			pipes++
		}
		return err
	})
	if err != nil || pipes < 40 {
		t.Fatalf("%v, %d pipes", err, pipes)
	}
	out, complaint, status := finish(t, nil, append(paths(tree), "doctor", "--format=json", "--polling.deadline=1s")...)
	if r := reported(t, out); status != 0 || complaint != "" || r.brief() != "ok gpu-found, note gpu-asleep" {
		t.Errorf("status %d, error %q, %s", status, complaint, out)
	}
}

// What goes wrong on a real machine, through the real probes.
func TestDoctorOnTrees(t *testing.T) {
	device := func(tree, name string) string { return filepath.Join(tree, "sys/class/drm/card1/device", name) }
	const pci = "sys/bus/pci/devices/0000:0a:00.0/"
	add := func(tree, path, text string) {
		path = filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, text)
	}
	for name, c := range map[string]struct {
		change func(tree string)
		status int
		want   string
	}{
		"as it was": {func(string) {}, 0, "ok gpu-found, ok gpu-ok"},
		"malformed": {func(tree string) { write(t, device(tree, "gpu_busy_percent"), "N/A") }, 2, "ok gpu-found, warn gpu-partial, warn gpu-malformed"},
		"a second card without a driver": {func(tree string) {
			add(tree, pci+"vendor", "0x1002")
			add(tree, pci+"class", "0x030000")
		}, 2, "warn driver-missing, ok gpu-found, ok gpu-ok"},
		"a second card in a guest": {func(tree string) {
			add(tree, pci+"vendor", "0x1002")
			add(tree, pci+"class", "0x030000")
			add(tree, pci+"uevent", "DRIVER=vfio-pci")
		}, 0, "note driver-vfio, ok gpu-found, ok gpu-ok"},
		"no card at all": {func(tree string) { os.RemoveAll(filepath.Join(tree, "sys/class/drm/card1")) }, 1, "note sysfs-missing, note drm-missing, fail gpu-none, note simulation"},
		"no sysfs":       {func(tree string) { os.RemoveAll(filepath.Join(tree, "sys")) }, 1, "fail sysfs-missing, fail gpu-none, note simulation"},
		"a read that hangs": {func(tree string) {
			path := device(tree, "gpu_busy_percent")
			pipe(t, path)
			t.Cleanup(func() { release(t, path) })
		}, 1, "ok gpu-found, fail gpu-hung"},
		"an identity that hangs": {func(tree string) {
			path := device(tree, "uevent")
			pipe(t, path)
			t.Cleanup(func() { release(t, path) })
		}, 1, "fail discovery-failed, fail gpu-none"},
	} {
		tree := ownCase(t, "discrete")
		c.change(tree)
		deadline := "1m"
		if strings.Contains(name, "hangs") {
			deadline = "500ms"
		}
		out, complaint, status := finish(t, nil, append(paths(tree), "doctor", "--format=json", "--polling.deadline="+deadline)...)
		if r := reported(t, out); status != c.status || complaint != "" || r.brief() != c.want {
			t.Errorf("%s: status %d, error %q, want %d, %s\n%s", name, status, complaint, c.status, c.want, out)
		}
	}
}

// Of every GPU of the hardware cases doctor says what gpu_state does.
func TestDoctorOnHardwareCases(t *testing.T) {
	state := regexp.MustCompile(`gpu_state\{gpu="(.*)",state="(.*)"\} 1`)
	for _, root := range []string{"testdata/cases/amd", "../shared/fixtures/amd"} {
		cases, _, err := hwcase.Find(root)
		if err != nil {
			t.Logf("%s: %v", root, err)
			continue
		}
		for _, c := range cases {
			tree, err := c.Tree(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			expected, err := os.ReadFile(c.Expected)
			if err != nil {
				t.Fatal(err)
			}
			out, complaint, _ := finish(t, nil, append(paths(tree), "doctor", "--format=json")...)
			told := map[string]bool{}
			for _, f := range reported(t, out).Findings {
				told[f.Subject+" "+f.ID] = true
			}
			states := state.FindAllStringSubmatch(string(expected), -1)
			for _, s := range states {
				if gpu := s[1]; !told[gpu+" gpu-found"] || !told[gpu+" gpu-"+s[2]] && !told[gpu+" gpu-unreadable"] {
					t.Errorf("%s: %s is %s\n%s", c.Name, gpu, s[2], out)
				}
			}
			if len(states) == 0 || complaint != "" {
				t.Errorf("%s: %d states, error %q", c.Name, len(states), complaint)
			}
		}
	}
}

// asNobody runs the real program as who has no special rights, since permission bits do not bind root.
func asNobody(t *testing.T, args ...string) (out string, status int) {
	t.Helper()
	path := realBinary(t)
	cmd := exec.Command(path, args...)
	if os.Getuid() == 0 {
		if err := os.Chmod(filepath.Dir(path), 0o755); err != nil { // made for its owner only
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	text, err := cmd.Output()
	if _, ended := err.(*exec.ExitError); err != nil && !ended || complaints.Len() > 0 {
		t.Fatalf("%v: %s", err, &complaints)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func TestDoctorMissesRights(t *testing.T) {
	for _, c := range []struct {
		name   string
		locked []string // below the folder of the card; * for many
		status int
		brief  string
		want   string // in the output
	}{
		{"none", nil, 0, "ok gpu-found, ok gpu-ok", ""},
		{"readings", []string{"device/gpu_busy_percent", "device/hwmon/hwmon4/power1_average"}, 2, "ok gpu-found, warn gpu-partial, warn gpu-permission",
			"rights are missing for 2 readings (permission denied): "},
		{"identity", []string{"device/unique_id"}, 2, "ok gpu-found, warn gpu-permission, ok gpu-ok", "for 1 reading (permission denied): "},
		{"whether it sleeps", []string{"device/power/runtime_status"}, 1, "ok gpu-found, fail gpu-unreadable, warn gpu-permission", "runtime_status"},
		{"the card", []string{"device"}, 1, "note sysfs-missing, fail discovery-failed, fail gpu-none", "AppArmor"},
	} {
		tree := ownCase(t, "discrete")
		if err := os.Chmod(filepath.Dir(tree), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.locked {
			path := filepath.Join(cardIn(t, tree), name)
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(path, 0o755) })
		}
		out, status := asNobody(t, append(paths(tree), "doctor", "--format=json")...)
		if r := reported(t, out); status != c.status || r.brief() != c.brief || !strings.Contains(out, c.want) {
			t.Errorf("%s: status %d, want %d, %s with %q\n%s", c.name, status, c.status, c.brief, c.want, out)
		}
	}
}
