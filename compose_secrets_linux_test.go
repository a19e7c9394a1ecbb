package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The files must be readable by the user of the container that mounts them, and by nobody else.
func TestSecretsAreCreatedForTheirContainers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	folder := t.TempDir()
	script := exec.Command(secretsFolder+"/create", folder)
	script.Stdin = strings.NewReader("p %s\\ss\n\nadmin's\n")
	if said, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	want := map[string]string{"smtp_password": `p %s\ss`, "slack_webhook_url": "", "grafana_admin_password": "admin's"}
	for _, s := range monitoringCompose(t, nil).Services {
		for _, secret := range s.Secrets {
			path := filepath.Join(folder, secret.Source)
			text, err := os.ReadFile(path)
			if err != nil || string(text) != want[secret.Source] {
				t.Errorf("%s: %q, %v; want %q", secret.Source, text, err, want[secret.Source])
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			user, _, _ := strings.Cut(s.User, ":")
			if owner := info.Sys().(*syscall.Stat_t).Uid; info.Mode() != 0o400 || strconv.Itoa(int(owner)) != user {
				t.Errorf("%s: mode %v, owner %d; want 0400 and %s", secret.Source, info.Mode(), owner, user)
			}
			delete(want, secret.Source)
		}
	}
	if len(want) > 0 {
		t.Errorf("created for nobody: %v", want)
	}
}

func TestGrafanaGetsNoEmptyPassword(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	folder := t.TempDir()
	script := exec.Command(secretsFolder+"/create", folder)
	script.Stdin = strings.NewReader("\n\n\n")
	if said, err := script.CombinedOutput(); err == nil || !bytes.Contains(said, []byte("everybody knows")) {
		t.Errorf("%v, %s", err, said)
	}
	if _, err := os.Stat(filepath.Join(folder, "grafana_admin_password")); err == nil {
		t.Error("it is written")
	}
}
