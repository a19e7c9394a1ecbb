package sysfs

import "syscall"

// open does not go through package os: its poller takes attributes of kernfs for pollable, and where a driver answers
// EAGAIN a read would then wait for ever.
func open(path string) (int, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

func pread(fd int, buf []byte, offset int64) (int, error) {
	for {
		n, err := syscall.Pread(fd, buf, offset)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

func closeFD(fd int) { _ = syscall.Close(fd) }
