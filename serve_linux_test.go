package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestSystemdSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	// systemd names the process that the sockets are for, which is known only when it runs.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", realBinary(t), "--web.systemd-socket", "--path.sysfs="+t.TempDir())
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1")
	cmd.ExtraFiles = []*os.File{socket} // descriptor 3, as systemd has it
	log := newOutput()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if address := attribute(t, log.line(t, "msg=listening"), "address"); address != l.Addr().String() {
		t.Errorf("listens on %s, want %s", address, l.Addr())
	}
	get(t, "http://"+l.Addr().String()+"/", http.StatusOK)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestSystemdSocketWithoutSystemd(t *testing.T) {
	_, complaint, status := finish(t, fakes(), "--web.systemd-socket")
	if status != 1 || !oneLine(complaint) || !strings.Contains(complaint, "systemd passed no socket") {
		t.Errorf("status %d, %q", status, complaint)
	}
}
