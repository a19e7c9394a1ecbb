package worker

import "golang.org/x/sys/unix"

// awaitExit waits until the child has ended, and leaves its number in use: what is left of its group can be killed before
// another process may have that number.
func awaitExit(pid int) bool {
	for {
		switch err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err {
		case nil:
			return true
		case unix.EINTR:
		default:
			return false
		}
	}
}

func (g group) sweep() { g.kill() }
