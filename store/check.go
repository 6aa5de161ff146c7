package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Check reads the whole durable file: every page is used once or free, keys
// are in order and every row's checksum matches. It goes on beside flushes and
// holds a view of the file meanwhile.
func (db *DB) Check(ctx context.Context) error { return db.Scrub(ctx, nil) }

// Scrub is Check at a pace. What the view holds back meanwhile makes the file
// grow, so the pace should not be the slowest; Pin.Size tells how much there is.
func (db *DB) Scrub(ctx context.Context, pace Pace) (err error) {
	file, err := os.Open(db.path)
	if err != nil {
		return ioError("open", db.path, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	pin, pages, err := db.pinPages(file)
	if err != nil {
		return err
	}
	defer pin.Close()
	return pages.walkAtPace(ctx, pace, checkStateRow(db.path))
}

// pinPages pins the durable state and reads its meta page from the file, open
// a second time. The caller closes the pin.
func (db *DB) pinPages(file *os.File) (*Pin, *boltFile, error) {
	db.flushMu.Lock() // the newest meta page is that of the pinned state
	defer db.flushMu.Unlock()
	pin, err := db.Pin()
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		pin.Close()
		return nil, nil, ioError("stat", db.path, err)
	}
	pages, err := newBoltFile(file, db.path, info.Size())
	if err != nil {
		pin.Close()
		return nil, nil, err
	}
	return pin, pages, nil
}

// CheckFile checks a state file that no process has open, as DB.Check does. A
// copy that was received must pass before it is opened: copying does not look
// at what it copies.
func CheckFile(ctx context.Context, path string) error {
	return CheckBoltRows(ctx, path, checkStateRow(path))
}

// CheckStateIn checks a state file that is the size bytes of r, as a part of a
// larger file, and hands each row to row with its value as it was put. Errors
// call it name.
func CheckStateIn(ctx context.Context, r io.ReaderAt, size int64, name string, row RowFunc) error {
	check := checkStateRow(name)
	return CheckBoltIn(ctx, r, size, name, func(table string, key, raw []byte) error {
		if err := check(table, key, raw); err != nil {
			return err
		}
		return row(table, key, raw[:len(raw)-crcSize])
	})
}

// checkStateRow checks the checksum of each row of a state file.
func checkStateRow(path string) RowFunc {
	name, seed := "", uint32(0)
	return func(table string, key, raw []byte) error {
		if table != name {
			name, seed = table, tableSeed(table)
		}
		if _, ok := openRow(seed, key, raw); !ok {
			return &CorruptError{Path: path, Table: table, Key: bytes.Clone(key), Detail: "checksum does not match"}
		}
		return nil
	}
}

// RowFunc sees one row of a bbolt file. The slices are valid during the call.
type RowFunc func(bucket string, key, value []byte) error

// CheckBolt checks the skeleton of a bbolt file that no process has open: both
// meta pages, every branch page, the freelist, and that every page is either
// used once or free. It reads about one hundredth of the file. What it rules
// out is damage that cannot be met safely later: cycles, which end bbolt in
// stack exhaustion, and a freelist that offers used pages for writing. Leaf
// pages are left to those who read them, except in a file without a freelist
// (bbolt's NoFreelistSync): there bbolt reads every page at open, on a
// goroutine of its own where a panic ends the process, so CheckBolt does too.
//
// Damage is reported as ErrCorrupt, an error of the disk as ErrIO.
func CheckBolt(path string) error { return checkSkeleton(path, false) }

// checkSkeleton is CheckBolt. bbolt does not look for free pages in a file that
// it opens to read only.
func checkSkeleton(path string, readOnly bool) error {
	return withBoltFile(path, func(f *boltFile) error {
		return f.walk(context.Background(), f.meta.freelist == noFreelist && !readOnly, nil)
	})
}

// CheckBoltRows checks every page of a bbolt file that no process has open,
// and hands every row to row, bucket by bucket in ascending order.
func CheckBoltRows(ctx context.Context, path string, row RowFunc) error {
	return ScrubBolt(ctx, path, nil, row)
}

// ScrubBolt is CheckBoltRows at a pace. Others may have the file open to read.
func ScrubBolt(ctx context.Context, path string, pace Pace, row RowFunc) error {
	return withBoltFile(path, func(f *boltFile) error { return f.walkAtPace(ctx, pace, row) })
}

// CheckBoltIn is CheckBoltRows of a bbolt file that is the size bytes of r.
// Errors call it name.
func CheckBoltIn(ctx context.Context, r io.ReaderAt, size int64, name string, row RowFunc) error {
	f, err := newBoltFile(r, name, size)
	if err != nil {
		return err
	}
	return f.walk(ctx, true, row)
}

func withBoltFile(path string, fn func(*boltFile) error) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return ioError("stat", path, err)
	}
	f, err := newBoltFile(file, path, info.Size())
	if err != nil {
		return err
	}
	return fn(f)
}
