//go:build linux || darwin

package consensus

import (
	"fmt"
	"syscall"
)

// diskOf measures the file system that a directory is on. Free is what a process
// without privileges may use.
func diskOf(dir string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("measure the disk of %s: %w", dir, err)
	}
	block := uint64(s.Bsize)
	return s.Bavail * block, s.Blocks * block, nil
}
