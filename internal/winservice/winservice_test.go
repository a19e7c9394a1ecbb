package winservice

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// The numbers are those that Windows shows (sc showsid) and Microsoft tells.
func TestSID(t *testing.T) {
	for service, want := range map[string]string{
		"TrustedInstaller": "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
		"trustedinstaller": "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
	} {
		if got := sid(service); got != want {
			t.Errorf("%s: %s, want %s", service, got, want)
		}
	}
}

func TestFoldersAreTheAdministrators(t *testing.T) {
	for may, want := range map[string]string{
		mayRead:  "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;" + sid("gpu_exporter") + ")",
		mayWrite: "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;" + sid("gpu_exporter") + ")",
	} {
		if got := access(may); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	const history, log = `--history.path=C:\state\history`, `--log.file=C:\state\log\gpu_exporter.log`
	for _, c := range []struct{ given, want []string }{
		{nil, []string{history, log}},
		{[]string{"--web.listen-address=:9100"}, []string{"--web.listen-address=:9100", history, log}},
		{[]string{`--log.file=D:\gpu.log`}, []string{`--log.file=D:\gpu.log`, history}},
		{[]string{`--history.path=D:\past`, "--log.level=debug"}, []string{`--history.path=D:\past`, "--log.level=debug", log}},
	} {
		if got := flags(c.given, `C:\state`); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.given, got, c.want)
		}
	}
}

func TestFlagsFile(t *testing.T) {
	text, err := flagsFile([]string{"--web.listen-address=:9100", "--no-x"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\r\n") {
			t.Errorf("%q does not end as lines of Windows do", line)
		}
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if want := []string{"--web.listen-address=:9100", "--no-x"}; !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
	if _, err := flagsFile([]string{"--log.file=a\n--web.enable-pprof"}); err == nil {
		t.Error("a flag of two lines is taken")
	}
}

func TestPortsThatOthersReach(t *testing.T) {
	for _, c := range []struct{ addresses, want []string }{
		{[]string{":5009"}, []string{"5009"}},
		{[]string{"0.0.0.0:5009", "[::]:9100"}, []string{"5009", "9100"}},
		{[]string{"192.0.2.1:5009", "gpu-host:80"}, []string{"5009", "80"}},
		{[]string{"127.0.0.1:5009", "[::1]:5009", "localhost:5009"}, nil},
	} {
		if got := ports(c.addresses); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.addresses, got, c.want)
		}
	}
}

func TestFirewallRule(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{addRule(`C:\Program Files\gpu_exporter\gpu_exporter.exe`, []string{"5009", "9100"}),
			`netsh advfirewall firewall add rule name=gpu_exporter dir=in action=allow protocol=TCP localport=5009,9100 ` +
				`profile=private,domain program="C:\Program Files\gpu_exporter\gpu_exporter.exe"`},
		{deleteRule(), "netsh advfirewall firewall delete rule name=gpu_exporter"},
	} {
		if got := commandLine(netsh, c.args); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}

func TestMissingRightsSayWhatToDo(t *testing.T) {
	denied := fmt.Errorf("ask for the services of Windows: %w", fs.ErrPermission)
	if err := explain(denied); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "Run as administrator") {
		t.Error(err)
	}
	other := errors.New("the disk is full")
	if err := explain(other); err != other {
		t.Error(err)
	}
}

func TestReportHasTheLastLines(t *testing.T) {
	const head = "The service ended with status 2. The last lines of its log:\n"
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"nothing":   {nil, head},
		"one line":  {[]string{"error: no\n"}, head + "error: no\n"},
		"two lines": {[]string{"a\n", "b\n"}, head + "a\nb\n"},
		"too many":  {[]string{"first\n", strings.Repeat("x", maxTail-10) + "\n", "error: no\n"}, head + "error: no\n"},
		"too long":  {[]string{strings.Repeat("x", 2*maxTail) + "\nlast\n"}, head + "last\n"},
	} {
		var end tail
		for _, l := range c.lines {
			if n, err := end.Write([]byte(l)); n != len(l) || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
		if got := end.report(2); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
