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

// LockName is the file that carries the lock of a data directory. It is empty
// and stays when the lock is released.
const LockName = "LOCK"

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
	f, err := os.OpenFile(filepath.Join(dir, LockName), os.O_RDWR|os.O_CREATE, fileMode)
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
	l.once.Do(func() {
		if l.file != nil {
			l.err = l.file.Close()
		}
	})
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

// LockDirForReading keeps others from taking the lock of a directory, and creates
// nothing. Many may hold it so. Where no lock file is there, there is nothing to
// hold: nobody has used the directory. ErrLocked as of LockDir.
func LockDirForReading(dir string) (*DirLock, error) {
	f, err := os.Open(filepath.Join(dir, LockName))
	if errors.Is(err, os.ErrNotExist) {
		return &DirLock{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock directory %s: %w", dir, err)
	}
	if err := flock(f, syscall.LOCK_SH); err != nil {
		return nil, errors.Join(fmt.Errorf("lock directory %s: %w", dir, err), f.Close())
	}
	return &DirLock{file: f}, nil
}
