package store

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// fileView is one durable state of the file: a bbolt read transaction that
// everybody shares who reads that state. bbolt allows concurrent reads of one
// transaction as long as it stays open, which the count of references ensures.
type fileView struct {
	db      *DB
	tx      *bbolt.Tx
	buckets []*bbolt.Bucket // by Table
	refs    atomic.Int32    // raised only while above 0
}

// openFileView begins a read transaction on what was committed last, with one
// reference.
func (db *DB) openFileView() (f *fileView, err error) {
	defer recoverCorrupt(&err, db.path, debug.SetPanicOnFault(true))
	tx, err := db.bolt.Begin(false)
	if err != nil {
		return nil, ioError("begin reading", db.path, err)
	}
	f = &fileView{db: db, tx: tx, buckets: make([]*bbolt.Bucket, len(db.tables))}
	f.refs.Store(1)
	for i, t := range db.tables {
		if f.buckets[i] = tx.Bucket([]byte(t.name)); f.buckets[i] == nil {
			_ = tx.Rollback()
			return nil, &CorruptError{Path: db.path, Table: t.name, Detail: "table is missing"}
		}
	}
	db.fileViews.Add(1)
	return f, nil
}

func (f *fileView) retain() { f.refs.Add(1) }

// release gives a reference back. The last one ends the transaction.
func (f *fileView) release() {
	if f == nil || f.refs.Add(-1) > 0 {
		return
	}
	_ = f.tx.Rollback() // fails only where the transaction has ended
	f.db.fileViews.Done()
}

// get reads a row through a cursor, which no one else may be using. The value
// aliases the file and is valid as long as the view is retained.
func (f *fileView) get(t Table, key []byte, c *bbolt.Cursor) (value []byte, err error) {
	defer recoverCorrupt(&err, f.db.path, debug.SetPanicOnFault(true))
	k, raw := c.Seek(key)
	if k != nil && bytes.Equal(k, key) {
		return f.open(t, k, raw)
	}
	return nil, f.absent(t, key, c, k, raw)
}

// seek moves a cursor to the first row whose key is key or greater. Call it
// under recoverCorrupt.
func (f *fileView) seek(t Table, key []byte, c *bbolt.Cursor) (k, raw []byte, err error) {
	k, raw = c.Seek(key)
	if k != nil && bytes.Equal(k, key) {
		return k, raw, nil
	}
	if err := f.absent(t, key, c, k, raw); err != nil {
		return nil, nil, err
	}
	k, raw = c.Seek(key)
	return k, raw, nil
}

// maxNeighbour is up to which size a row beside one that was not found is read
// whole. Beyond, only its key's order is looked at.
const maxNeighbour = 64 << 10

// absent confirms that a row is not there after c.Seek(key) returned k: that
// key lies between its neighbours, and that those are sound. A damaged key, be
// it the row's own or one in the branch pages that lead there, would hide the
// row otherwise, and apply would decide on that. It moves the cursor.
func (f *fileView) absent(t Table, key []byte, c *bbolt.Cursor, k, raw []byte) error {
	if k != nil {
		if err := f.neighbour(t, key, k, raw, 1); err != nil {
			return err
		}
		k, raw = c.Prev()
	} else {
		k, raw = c.Last()
	}
	if k != nil {
		return f.neighbour(t, key, k, raw, -1)
	}
	return nil
}

// neighbour checks a row that stands on one side of key.
func (f *fileView) neighbour(t Table, key, k, raw []byte, side int) error {
	if len(k) > MaxKey || bytes.Compare(k, key) != side {
		return f.damaged(t, key, "its place in the table is out of order")
	}
	if len(raw) > maxNeighbour {
		return nil
	}
	_, err := f.open(t, k, raw)
	return err
}

// open checks a row that was read. It touches memory of the file: call it
// under recoverCorrupt.
func (f *fileView) open(t Table, key, raw []byte) ([]byte, error) {
	table := &f.db.tables[t]
	if len(key) > MaxKey || len(raw) > MaxValue+crcSize {
		return nil, f.damaged(t, nil, fmt.Sprintf("row of %d + %d bytes", len(key), len(raw)))
	}
	value, ok := openRow(table.seed, key, raw)
	if !ok {
		return nil, f.damaged(t, key, "checksum does not match")
	}
	return value, nil
}

func (f *fileView) damaged(t Table, key []byte, detail string) error {
	return &CorruptError{
		Path: f.db.path, Table: f.db.tables[t].name, Key: bytes.Clone(key), Detail: detail,
	}
}
