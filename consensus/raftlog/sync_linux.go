package raftlog

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes f's bytes durable. The size of a segment changes at most once, in
// its last batch, and fdatasync writes a changed size too.
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return err
		}
	}
}
