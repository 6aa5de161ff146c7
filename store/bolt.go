package store

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/edri-io/edri/internal/fault"
)

// boltLockWait is how long OpenBolt waits for another process that has the
// file open. It is short: the directory lock should have kept that one out.
const boltLockWait = time.Second

// CreateBolt makes the bbolt file at path, which must not exist, with what
// init puts into it. The file appears under its name whole and synced, or not
// at all. It is closed again; open it with OpenBolt. Of options a copy is
// used; nil means bbolt's defaults with a hash map as freelist.
func CreateBolt(seam fault.Seam, path string, init func(*bbolt.Tx) error, options *bbolt.Options) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		if err == nil {
			err = os.ErrExist
		}
		return fmt.Errorf("create %s: %w", path, err)
	}
	temp := TempPath(path)
	if err := removeQuietly(seam, temp); err != nil {
		return ioError("remove", temp, err)
	}
	if err := writeBolt(seam, temp, init, options); err != nil {
		return errors.Join(err, removeQuietly(seam, temp))
	}
	return Rename(seam, temp, path)
}

// writeBolt creates a bbolt file at path with what init puts into it.
func writeBolt(seam fault.Seam, path string, init func(*bbolt.Tx) error, options *bbolt.Options) error {
	var db *bbolt.DB
	err := seam.Do(fault.OpCreate, path, func() (err error) {
		db, err = bbolt.Open(path, fileMode, boltOptions(options))
		return err
	})
	if err != nil {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
		return ioError("create", path, err)
	}
	tx, err := db.Begin(true)
	if err != nil {
		return errors.Join(ioError("begin", path, err), db.Close())
	}
	if err := init(tx); err != nil {
		return errors.Join(fmt.Errorf("fill %s: %w", path, err), tx.Rollback(), db.Close())
	}
	if err := CommitBolt(seam, tx); err != nil {
		return errors.Join(err, db.Close())
	}
	return ioError("close", path, db.Close())
}

// OpenBolt opens the bbolt file at path, which must exist: bbolt itself would
// create it, or take an empty file for a new one, and so turn a lost file into
// an empty database. Before bbolt sees the file, its skeleton is checked as
// CheckBolt says, because bbolt panics, recurses without end or overwrites
// live pages where that is damaged.
func OpenBolt(seam fault.Seam, path string, options *bbolt.Options) (db *bbolt.DB, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = seam.Do(fault.OpOpen, path, func() (err error) {
		defer recoverCorrupt(&err, path, debug.SetPanicOnFault(true))
		if err := checkLocked(path, options != nil && options.ReadOnly); err != nil {
			return err
		}
		db, err = bbolt.Open(path, fileMode, boltOptions(options))
		return err
	})
	if err == nil {
		return db, nil
	}
	if db != nil {
		err = errors.Join(err, db.Close())
	}
	switch {
	case errors.Is(err, berrors.ErrTimeout), errors.Is(err, ErrLocked):
		return nil, fmt.Errorf("open %s: %w", path, ErrLocked)
	case errors.Is(err, ErrCorrupt):
		return nil, fmt.Errorf("open: %w", err)
	}
	return nil, ioError("open", path, err)
}

// checkLocked checks the skeleton of the file at path while nobody else has it
// open: half of another process's commit would look like damage.
func checkLocked(path string, readOnly bool) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	how := syscall.LOCK_EX
	if readOnly {
		how = syscall.LOCK_SH
	}
	if err := flockWithin(f, how, boltLockWait); err != nil {
		return err
	}
	return checkSkeleton(path, readOnly)
}

// CommitBolt commits a writable transaction, synced. After an error, that the
// changes are not in the file must not be assumed: bbolt writes the meta page
// before the last sync, so that a failed commit can be visible, now and after
// a restart. Do not use the database again.
func CommitBolt(seam fault.Seam, tx *bbolt.Tx) error {
	path := tx.DB().Path()
	if err := seam.Before(fault.OpCommit, path); err != nil {
		return errors.Join(ioError("commit", path, err), tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return ioError("commit", path, err)
	}
	return ioError("commit", path, seam.After(fault.OpCommit, path))
}

// boltOptions returns a copy of options with what holds for all our files.
func boltOptions(options *bbolt.Options) *bbolt.Options {
	o := bbolt.Options{FreelistType: bbolt.FreelistMapType}
	if options != nil {
		o = *options
	}
	if o.Timeout == 0 {
		o.Timeout = boltLockWait
	}
	o.NoStatistics = true
	return &o
}
