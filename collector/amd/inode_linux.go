package amd

import (
	"os"
	"syscall"
)

// inode is the inode number of what path leads to.
func inode(path string) (uint64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
