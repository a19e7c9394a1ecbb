// Package winservice makes the program a service of Windows: it installs it, starts, stops and removes it, and runs it as
// one. What needs no Windows is in files for every system, so that it can be tested on every system.
package winservice

import (
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"
)

// Name is the name of the service, of its event log source, its firewall rule and its folders.
const Name = "gpu_exporter"

// sid is the SID that Windows gives to a service: from the SHA-1 of its name in capitals, so that it is known before the
// service is.
func sid(service string) string {
	var name []byte
	for _, unit := range utf16.Encode([]rune(strings.ToUpper(service))) {
		name = binary.LittleEndian.AppendUint16(name, unit)
	}
	sum := sha1.Sum(name)
	s := "S-1-5-80"
	for part := range slices.Chunk(sum[:], 4) {
		s += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(part))
	}
	return s
}

// What the service may do in a folder: 0x1200a9 is to read and list, 0x1301bf is to write and delete as well.
const (
	mayRead  = "0x1200a9"
	mayWrite = "0x1301bf"
)

// access says in SDDL whose a folder and all in it is: the administrators' and the system's, and the service may do what
// is said. Nothing is inherited from the folder above, in which all users may write.
func access(may string) string {
	return "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;" + may + ";;;" + sid(Name) + ")"
}

// flagsHead stands at the top of the flags file that an install writes.
const flagsHead = `# Flags of the service gpu_exporter, one a line: gpu_exporter --help lists them. Paths must be whole ones.
# They count after: gpu_exporter service stop, and start.
`

// flags are those of the first flags file: what was asked for, and where the service may write. state is a folder of
// Windows.
func flags(given []string, state string) []string {
	list := slices.Clone(given)
	for _, own := range [...]struct{ flag, place string }{
		{"--history.path=", `\history`},
		{"--log.file=", `\log\gpu_exporter.log`},
	} {
		if !slices.ContainsFunc(given, func(f string) bool { return strings.HasPrefix(f, own.flag) }) {
			list = append(list, own.flag+state+own.place)
		}
	}
	return list
}

// flagsFile is the text of a flags file. Notepad knows lines by both signs.
func flagsFile(flags []string) (string, error) {
	for _, f := range flags {
		if strings.ContainsAny(f, "\r\n") {
			return "", fmt.Errorf("%q: a line of a flags file cannot hold more than one", f)
		}
	}
	return strings.ReplaceAll(flagsHead+strings.Join(flags, "\n")+"\n", "\n", "\r\n"), nil
}

// ports are those of the addresses that other hosts can reach.
func ports(addresses []string) (list []string) {
	for _, a := range addresses {
		host, port, err := net.SplitHostPort(a)
		if ip := net.ParseIP(host); err == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			list = append(list, port)
		}
	}
	return list
}

// netsh is the program of Windows that makes firewall rules, below its system folder.
const netsh = "netsh.exe"

// addRule lets other hosts reach the ports of a program, in a network that somebody has called private or that is a
// domain's, not in a café.
func addRule(program string, ports []string) []string {
	return []string{
		"advfirewall", "firewall", "add", "rule", "name=" + Name, "dir=in", "action=allow", "protocol=TCP",
		"localport=" + strings.Join(ports, ","), "profile=private,domain", "program=" + program,
	}
}

// deleteRule deletes every rule of the name.
func deleteRule() []string {
	return []string{"advfirewall", "firewall", "delete", "rule", "name=" + Name}
}

// commandLine is how a person says it in a console.
func commandLine(program string, args []string) string {
	line := strings.TrimSuffix(program, ".exe")
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if ok && strings.Contains(value, " ") {
			a = name + `="` + value + `"`
		}
		line += " " + a
	}
	return line
}

// explain says what to do where rights are missing.
func explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: it wants an administrator: right-click on Terminal or Command Prompt, "+
			`"Run as administrator", and say it there again`, err)
	}
	return err
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex // guards all below: loggers do not end when the program does
	text []byte
}

// maxTail is some lines of a log. An event holds 31839 signs at most.
const maxTail = 2 << 10

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = slices.Delete(t.text, 0, max(0, len(t.text)-maxTail))
	return len(b), nil
}

// report is the event of an end that was not asked for. A line that is cut at its begin is left out.
func (t *tail) report(status int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := string(t.text)
	if len(text) == maxTail {
		_, text, _ = strings.Cut(text, "\n")
	}
	return fmt.Sprintf("The service ended with status %d. The last lines of its log:\n%s", status, text)
}
