package consensus

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// syncEveryBytes bounds what a receiver leaves to one sync: on a disk that others
// wait for, a small one now and then is better than a large one at the end.
const syncEveryBytes = 8 << 20

// stagedFile is a file that is being received, synced as it grows. Errors match
// store.ErrIO.
type stagedFile struct {
	file     *os.File
	seam     fault.Seam
	unsynced int64
}

var _ io.Writer = (*stagedFile)(nil)

// createStaged creates the file at path, or empties it.
func createStaged(seam fault.Seam, path string) (*stagedFile, error) {
	f := &stagedFile{seam: seam}
	err := seam.Do(fault.OpCreate, path, func() (err error) {
		f.file, err = os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		return err
	})
	if err != nil {
		if f.file != nil {
			_ = f.file.Close() // nothing was written
		}
		return nil, fmt.Errorf("create staged file: %w: %w", store.ErrIO, err)
	}
	return f, nil
}

// Write implements io.Writer.
func (f *stagedFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("write staged file: %w: %w", store.ErrIO, err)
	}
	if f.unsynced += int64(n); f.unsynced < syncEveryBytes {
		return n, nil
	}
	f.unsynced = 0
	if err := f.file.Sync(); err != nil {
		return n, fmt.Errorf("sync staged file: %w: %w", store.ErrIO, err)
	}
	return n, nil
}

// finish syncs and closes the file.
func (f *stagedFile) finish() error {
	if err := f.seam.Do(fault.OpSync, f.file.Name(), f.file.Sync); err != nil {
		return errors.Join(fmt.Errorf("sync staged file: %w: %w", store.ErrIO, err), f.file.Close())
	}
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("close staged file: %w: %w", store.ErrIO, err)
	}
	return nil
}

// discard closes and removes the file.
func (f *stagedFile) discard() error {
	return errors.Join(f.file.Close(), os.Remove(f.file.Name()))
}
