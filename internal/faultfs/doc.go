// Package faultfs is the test kit for broken hardware: a folder (a hardware case with its sys and proc) mounted by FUSE,
// passed through read-only, in which a test breaks files while programs have them open, and which records what is
// touched. It exists on Linux only and needs root and /dev/fuse; where they are missing, Mount skips the test.
//
// Every path is one of the tree, as in "sys/class/drm/card1/device/gpu_busy_percent"; one below FS.Path or below the
// folder that was mounted is taken for it. The kernel resolves symbolic links before it asks, so a path leads through
// none: faults, records and changes name the real folder, and where the test names one through a link it is followed.
//
// The folder below may be changed while it is mounted: what is written in place is seen at once, what is moved or replaced
// there counts as removed, and what comes instead is new.
//
// What it does as kernfs does it: a file has 4096 bytes whatever it says (below proc: 0), it is made anew for each read,
// and the descriptor of a file that has gone answers ENODEV for ever, even when a file of that name is back. A read is
// one request of the kernel: 128 KiB at most, and one more for the end of the file where the reader asks for it.
//
// An operation that is blocked is not interrupted by signals, as if it hung in a driver, but it ends when its process is
// killed: the kernel's word for a signal is held until /proc says that the thread is dying. One hole is left: a process
// that is its own file system cannot be killed while it waits for itself. A test that reads its own tree must let go
// what it blocked (Mount does so when the test ends or its deadline is near); after a crash in between, the next Mount of
// any process frees the dead one, and so does `umount -f`.
package faultfs
