//go:build unix

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
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

// flockWithin is flock that waits a little for others to give the file free. A file
// that was closed may still be locked: a process that this one is starting holds
// all its open files, until it is another program.
func flockWithin(f *os.File, how int, patience time.Duration) error {
	for end := time.Now().Add(patience); ; time.Sleep(flockRetry) {
		if err := flock(f, how); !errors.Is(err, ErrLocked) || time.Now().After(end) {
			return err
		}
	}
}

const flockRetry = 5 * time.Millisecond

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
