//go:build wine && linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gpu_exporter/internal/await"
)

// upAndRunning begins Windows anew and holds it up until the test ends: it would end with the last program, and services with it.
// What services say is in what it returns: all that goes to the event log, which Wine does not keep (windows.md 13).
func upAndRunning(t *testing.T) *output {
	t.Helper()
	down := func() {
		ctx, cancel := context.WithTimeout(context.Background(), wineLimit)
		defer cancel()
		server := exec.CommandContext(ctx, filepath.Join(filepath.Dir(os.Getenv("WINE")), "wineserver64"), "-k")
		if out, err := server.CombinedOutput(); err != nil && len(out) > 0 { // silent where none runs
			t.Errorf("end Windows: %v\n%s", err, out)
		}
	}
	down()
	cmd := wined(t.Context(), t, []string{"WINEDEBUG=-all,err+eventlog"}, "cmd", "/k", "echo it is up")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := newOutput()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		down()
		stdin.Close()
		_ = cmd.Wait() // it was killed
	})
	said.line(t, "it is up")
	return said
}

// itSays runs a command and holds its status and words that it prints, to whom ever.
func itSays(t *testing.T, args []string, want int, words ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wineLimit)
	defer cancel()
	cmd := wined(ctx, t, nil, append([]string{os.Getenv("PROGRAM")}, args...)...)
	text, err := cmd.CombinedOutput()
	if ctx.Err() != nil || cmd.ProcessState == nil {
		t.Errorf("gpu_exporter %v: %v\n%s", args, err, text)
		return
	}
	if status := cmd.ProcessState.ExitCode(); status != want {
		t.Errorf("gpu_exporter %v: status %d, want %d\n%s", args, status, want, text)
	}
	for _, w := range words {
		if !bytes.Contains(text, []byte(w)) {
			t.Errorf("gpu_exporter %v does not say %q:\n%s", args, w, text)
		}
	}
}

func service(command string, flags ...string) []string {
	return append([]string{"service", command}, flags...)
}

// registry asks for a key of the registry; it is empty where there is none.
func registry(t *testing.T, key string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wineLimit)
	defer cancel()
	text, err := wined(ctx, t, nil, "reg", "query", key).Output()
	if err != nil {
		return ""
	}
	return string(text)
}

// onDrive is a file of the machine.
func onDrive(path string) string { return filepath.Join(os.Getenv("WINEPREFIX"), "drive_c", path) }

// freePort is one of loopback that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// noService makes sure that there is no service, now and when the test ends.
func noService(t *testing.T) {
	t.Helper()
	remove := func() {
		ctx, cancel := context.WithTimeout(context.Background(), wineLimit)
		defer cancel()
		_ = wined(ctx, t, nil, os.Getenv("PROGRAM"), "service", "uninstall").Run() // it may be gone
		if err := os.RemoveAll(onDrive("ProgramData/gpu_exporter")); err != nil {
			t.Error(err)
		}
	}
	remove()
	t.Cleanup(remove)
}

const (
	serviceKey = `HKLM\SYSTEM\CurrentControlSet\Services\gpu_exporter`
	sourceKey  = `HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\gpu_exporter`
)

func TestWindowsService(t *testing.T) {
	events := upAndRunning(t)
	noService(t)
	address := freePort(t)
	flags, program := onDrive("ProgramData/gpu_exporter/flags"), onDrive("Program Files/gpu_exporter/gpu_exporter.exe")

	itSays(t, service("start"), 1, "there is no service gpu_exporter: gpu_exporter service install makes it")
	itSays(t, service("install", "--log.file=gpu.log"), 1, "--log.file=gpu.log: write the whole path")
	if key := registry(t, serviceKey); key != "" {
		t.Errorf("an install that failed leaves\n%s", key)
	}
	itSays(t, service("install", "--web.listen-address="+address, "--collector.simulation=on"), 0,
		`will start with Windows: C:\Program Files\gpu_exporter\gpu_exporter.exe`, `flags are in C:\ProgramData\gpu_exporter\flags`)
	key := registry(t, serviceKey)
	for _, want := range []string{
		`"C:\Program Files\gpu_exporter\gpu_exporter.exe" service run @C:\ProgramData\gpu_exporter\flags`, `NT AUTHORITY\LocalService`,
	} {
		if !strings.Contains(key, want) {
			t.Errorf("the service has no %s:\n%s", want, key)
		}
	}
	if !strings.Contains(registry(t, sourceKey), "EventCreate.exe") {
		t.Error("there is no source of the event log")
	}
	itSays(t, service("install"), 1, "is installed already: gpu_exporter service uninstall removes it")

	itSays(t, service("start"), 0, "It runs.")
	answer, err := http.Get("http://" + address + "/metrics") // it does not run before it listens
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || answer.StatusCode != 200 || !bytes.Contains(text, []byte(`goos="windows"`)) {
		t.Errorf("status %d, %v\n%s", answer.StatusCode, err, text)
	}
	itSays(t, service("start"), 0, "It runs already.")
	// It stops for as long as it waits for a client that has not said what it wants. Who stops it meanwhile finds that it does.
	client, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var stops sync.WaitGroup
	stop := func() { itSays(t, service("stop"), 0, "It is stopped.") }
	stops.Go(stop)
	await.Until(t, "the begin of the end", func() bool {
		text, err := os.ReadFile(onDrive("ProgramData/gpu_exporter/state/log/gpu_exporter.log"))
		return err == nil && strings.Contains(string(text), "shutting down")
	})
	stops.Go(stop)
	begun := time.Now()
	await.Until(t, "the end", func() bool { return onWindowsRun(t, "service", "run") == 0 })
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
	stops.Wait()
	itSays(t, service("stop"), 0, "It is stopped.")
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("it listens when it is stopped")
	}
	for file, want := range map[string]string{"log/gpu_exporter.log": "shutting down", "history/history.db": ""} {
		text, err := os.ReadFile(onDrive("ProgramData/gpu_exporter/state/" + file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%v, want %q in\n%s", err, want, text)
		}
	}
	if strings.Contains(events.String(), "eventlog") {
		t.Errorf("an event for an end that was asked for:\n%s", events)
	}

	// Starts that fail: the port is taken, and the flags are wrong.
	taken, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	itSays(t, service("start"), 1, "it ended with status 1: the event log says why")
	events.line(t, "The service ended with status 1. The last lines of its log:")
	events.line(t, "listen tcp "+address+": bind")
	list, err := os.ReadFile(flags)
	if err != nil {
		t.Fatal(err)
	}
	write(t, flags, string(list)+"--polling.interval=never\r\n")
	itSays(t, service("start"), 1, "it ended with status 2: the event log says why")
	events.line(t, "--polling.interval=never: no duration")

	itSays(t, service("uninstall"), 0, "are removed", `Left: C:\ProgramData\gpu_exporter, with the flags`)
	itSays(t, service("uninstall"), 1, "there is no service gpu_exporter")
	for _, key := range []string{serviceKey, sourceKey} {
		if text := registry(t, key); text != "" {
			t.Errorf("it leaves\n%s", text)
		}
	}
	if _, err := os.Stat(filepath.Dir(program)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it leaves the program: %v", err)
	}
	itSays(t, service("install", "--web.max-requests=1"), 1,
		`C:\ProgramData\gpu_exporter\flags is there already, so that --web.max-requests=1 would not count`)
	itSays(t, service("install"), 1, "--polling.interval=never: no duration")
	if text := registry(t, serviceKey); text != "" {
		t.Errorf("an install that failed leaves\n%s", text)
	}
	itSays(t, service("run"), 1, "only Windows can run the service")
}

// A firewall that says no costs a warning with what to do. Wine's netsh says yes to all; in its place is a program that
// knows no firewall.
func TestWindowsServiceWithoutAFirewall(t *testing.T) {
	upAndRunning(t)
	noService(t)
	netsh := onDrive("windows/system32/netsh.exe")
	if err := os.Rename(netsh, netsh+".away"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Rename(netsh+".away", netsh); err != nil {
			t.Error(err)
		}
	})
	const rule = `netsh advfirewall firewall add rule name=gpu_exporter dir=in action=allow protocol=TCP localport=5009 ` +
		`profile=private,domain program="C:\Program Files\gpu_exporter\gpu_exporter.exe"`
	const warning = "Other hosts cannot reach it, for the firewall rule could not be made"
	itSays(t, service("install"), 0, "will start with Windows", warning, rule)
	itSays(t, service("uninstall"), 0, "was not there or could not be deleted")
	stranger, err := os.ReadFile(os.Getenv("PROGRAM"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, netsh, string(stranger))
	t.Setenv("WINEDLLOVERRIDES", os.Getenv("WINEDLLOVERRIDES")+";netsh.exe=n") // else Wine's own runs
	itSays(t, service("install"), 0, warning+` (netsh: exit status 2: gpu_exporter: error: unknown command "advfirewall"`, rule)
	itSays(t, service("uninstall"), 0)
}

// doubleClick runs the program as a double click does, alone in a console. What is written to keys is typed there.
func doubleClick(t *testing.T, address string, env ...string) (screen *output, keys *os.File, end func() int) {
	t.Helper()
	keyboard, terminal := openTerminal(t)
	env = append(env, "GPU_EXPORTER_WEB_LISTEN_ADDRESS="+address, "GPU_EXPORTER_HISTORY_STORE=memory")
	cmd := wined(t.Context(), t, env, os.Getenv("PROGRAM"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	screen = newOutput()
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the status is asked for
		close(ended)
	}()
	go io.Copy(screen, keyboard) // until the last who has the terminal ends
	t.Cleanup(func() { <-ended })
	return screen, keyboard, func() int {
		t.Helper()
		select {
		case <-ended:
		case <-time.After(wineLimit):
			t.Fatalf("it does not end:\n%s", screen)
		}
		return cmd.ProcessState.ExitCode()
	}
}

// openTerminal makes a terminal of Unix, which is a console in Wine.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal
}

// takesKeys says whether keys get through as they are, among them Enter, which is another sign until then.
func takesKeys(t *testing.T, keyboard *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(keyboard.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Iflag&unix.ICRNL == 0
}

// A double click shows the page, and the window stays until it is closed.
func TestWindowsDoubleClick(t *testing.T) {
	upAndRunning(t)
	// In the place of the browser is a command that writes down what it is to show.
	const browser = `HKCR\http\shell\open\command`
	before := strings.TrimSpace(after(registry(t, browser), "REG_SZ"))
	set := func(command string) {
		ctx, cancel := context.WithTimeout(context.Background(), wineLimit)
		defer cancel()
		if out, err := wined(ctx, t, nil, "reg", "add", browser, "/ve", "/d", command, "/f").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	shown := filepath.Join(t.TempDir(), "shown")
	set(`cmd.exe /c echo %1> Z:` + strings.ReplaceAll(shown, "/", `\`))
	t.Cleanup(func() { set(before) })
	shows := func(address string) {
		t.Helper()
		await.Until(t, "the browser", func() bool {
			text, err := os.ReadFile(shown)
			return err == nil && strings.TrimSpace(string(text)) == "http://"+address+"/"
		})
		if err := os.Remove(shown); err != nil {
			t.Fatal(err)
		}
	}

	address := freePort(t)
	screen, keys, end := doubleClick(t, address)
	shows(address)
	if answer, err := http.Get("http://" + address + "/-/healthy"); err != nil {
		t.Error(err)
	} else if answer.Body.Close(); answer.StatusCode != 200 {
		t.Errorf("status %d", answer.StatusCode)
	}
	// A second one shows the page of the first.
	if _, _, end := doubleClick(t, address); end() != 0 {
		t.Error("the second click fails")
	}
	shows(address)
	if _, err := io.WriteString(keys, "\x03"); err != nil {
		t.Fatal(err)
	}
	if status := end(); status != 0 || !strings.Contains(screen.String(), "Close this window to end.") {
		t.Errorf("status %d\n%s", status, screen)
	}

	// What goes wrong can be read.
	screen, keys, end = doubleClick(t, address, "GPU_EXPORTER_POLLING_INTERVAL=never")
	screen.line(t, "Press Enter to close this window.")
	await.Until(t, "a console that takes keys", func() bool { return takesKeys(t, keys) })
	if _, err := io.WriteString(keys, "\r"); err != nil {
		t.Fatal(err)
	}
	if status := end(); status != 2 || !strings.Contains(screen.String(), "GPU_EXPORTER_POLLING_INTERVAL=never") {
		t.Errorf("status %d\n%s", status, screen)
	}
}

// after is what comes after a word.
func after(text, word string) string {
	_, rest, _ := strings.Cut(text, word)
	return rest
}
