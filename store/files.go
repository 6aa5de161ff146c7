package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/edri-io/edri/internal/fault"
)

// fileMode and the temporary suffix of every file that edri creates. A file
// with the suffix is what a crash left of a creation and may be deleted.
const (
	fileMode   fs.FileMode = 0o600
	tempSuffix             = ".tmp"
)

// TempPath returns the name under which the file at path is made before it is
// renamed into place.
func TempPath(path string) string { return path + tempSuffix }

// WriteFileAtomic replaces the file at path with data, or leaves it as it was:
// a temporary file is written, synced and renamed over it, then the directory
// is synced. After a nil return the new content survives a crash. After an
// error either content may be there, each of them whole.
func WriteFileAtomic(seam fault.Seam, path string, data []byte) error {
	temp := TempPath(path)
	if err := writeSynced(seam, temp, data); err != nil {
		return errors.Join(err, removeQuietly(seam, temp))
	}
	return Rename(seam, temp, path)
}

// writeSynced creates the file at path, or empties it, and writes and syncs
// data.
func writeSynced(seam fault.Seam, path string, data []byte) (err error) {
	var f *os.File
	err = seam.Do(fault.OpCreate, path, func() (err error) {
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
		return err
	})
	if f != nil {
		defer func() {
			if closeErr := f.Close(); err == nil {
				err = ioError("close", path, closeErr)
			}
		}()
	}
	if err != nil {
		return ioError("create", path, err)
	}
	err = seam.Do(fault.OpWrite, path, func() error {
		_, err := f.Write(data)
		return err
	})
	if err != nil {
		return ioError("write", path, err)
	}
	return ioError("sync", path, seam.Do(fault.OpSync, path, f.Sync))
}

// Rename renames a file within its directory, replacing what was there, and
// syncs the directory. The file's content must have been synced before.
func Rename(seam fault.Seam, from, to string) error {
	err := seam.Do(fault.OpRename, to, func() error { return os.Rename(from, to) })
	if err != nil {
		return ioError("rename", from, err)
	}
	return SyncDir(seam, filepath.Dir(to))
}

// Remove deletes the file or empty directory at path and syncs the directory
// that held it. What does not exist is not an error.
func Remove(seam fault.Seam, path string) error {
	err := seam.Do(fault.OpRemove, path, func() error { return os.Remove(path) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ioError("remove", path, err)
	}
	return SyncDir(seam, filepath.Dir(path))
}

// removeQuietly deletes what a failed creation left. A file that is not there
// is fine, and so is one that stays: the next creation empties it.
func removeQuietly(seam fault.Seam, path string) error {
	err := seam.Do(fault.OpRemove, path, func() error { return os.Remove(path) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// SyncDir makes the names in a directory durable: without it a file that was
// created, renamed or removed may be as before after a power failure.
func SyncDir(seam fault.Seam, dir string) error {
	err := seam.Do(fault.OpSyncDir, dir, func() error {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		return errors.Join(d.Sync(), d.Close())
	})
	return ioError("sync directory", dir, err)
}
