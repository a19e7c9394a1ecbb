package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// fromDesktop is what a double click on the program starts: it serves, shows its page in the browser, and ends when its
// window is closed. Where an exporter runs already, the page of that one is shown.
func fromDesktop(ctx context.Context, args []string, p program) (status int, is bool) {
	if len(args) > 0 || !onDesktop() || !aloneInConsole() {
		return 0, false
	}
	p.serving = func(page string) {
		fmt.Fprintln(p.out, "Close this window to end.")
		go p.show(page) // a browser may take its time
	}
	status = func() int {
		_, o, err := parse(args, p)
		if err != nil {
			return p.fail(2, "%v", err)
		}
		status := serve(ctx, o, p)
		if status == 0 {
			return 0
		}
		ctx, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		if _, err := alive(ctx, ownURL(o, "/-/healthy")); err != nil {
			return status
		}
		p.show(ownURL(o, "/")) // it is the service that has the port, or an earlier click
		return 0
	}()
	if status != 0 { // the window goes with the program: nobody could read why
		fmt.Fprintln(p.out, "Press Enter to close this window.")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	}
	return status, true
}

// onDesktop says whether this is a session of a user: services are in session 0, where no browser is seen.
func onDesktop() bool {
	var session uint32
	err := windows.ProcessIdToSessionId(windows.GetCurrentProcessId(), &session)
	return err == nil && session != 0
}

// aloneInConsole says whether the console was made for this program alone, as by a double click: in that of a shell there
// is the shell too, and a program without one is in none.
func aloneInConsole() bool {
	list := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetConsoleProcessList")
	var processes [2]uint32
	n, _, _ := list.Call(uintptr(unsafe.Pointer(&processes[0])), uintptr(len(processes)))
	return n == 1
}

// show opens a page in the browser, and says where it is.
func (p program) show(page string) {
	fmt.Fprintf(p.out, "The GPUs of this machine: %s\n", page)
	address, err := windows.UTF16PtrFromString(page)
	if err == nil {
		err = windows.ShellExecute(0, nil, address, nil, nil, windows.SW_SHOWNORMAL)
	}
	if err != nil {
		fmt.Fprintf(p.err, "gpu_exporter: the browser cannot be opened: %v\n", err)
	}
}
