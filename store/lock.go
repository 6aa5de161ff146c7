//go:build unix

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// lockName is the file that carries the lock of a data directory. It is empty
// and stays when the lock is released.
const lockName = "LOCK"

// DirLock is the exclusive right to use a data directory. The kernel drops it
// when the process ends, however it ends.
type DirLock struct {
	once sync.Once
	file *os.File
	err  error
}

// LockDir takes the lock of an existing directory. If another process, or
// another DirLock of this one, holds it, the error matches ErrLocked and names
// the directory.
func LockDir(dir string) (*DirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("lock directory %s: %w", dir, err)
	}
	if err := flock(f, syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock directory %s: %w", dir, err), f.Close())
	}
	return &DirLock{file: f}, nil
}

// Unlock gives the directory free. It may be called twice.
func (l *DirLock) Unlock() error {
	l.once.Do(func() { l.err = l.file.Close() })
	return l.err
}

// flock locks a file against every other open of it, or with LOCK_SH against
// those that lock it exclusively. It belongs to this open
// file, unlike POSIX locks, which belong to the process and vanish when any
// descriptor of the file is closed.
func flock(f *os.File, how int) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrLocked
		default:
			return err
		}
	}
}
