package store

import (
	"bytes"
	"runtime/debug"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// fileView is one durable state of the file. A bbolt read transaction, which
// everybody shares who reads that state, keeps its pages as they are; the
// count of references ensures that it stays open.
type fileView struct {
	db    *DB
	tx    *bbolt.Tx
	pages mapped
	roots []treeRoot   // by Table
	refs  atomic.Int32 // raised only while above 0
}

// openFileView begins a read transaction on what was committed last, with one
// reference.
func (db *DB) openFileView() (f *fileView, err error) {
	defer recoverCorrupt(&err, db.path, debug.SetPanicOnFault(true))
	tx, err := db.bolt.Begin(false)
	if err != nil {
		return nil, ioError("begin reading", db.path, err)
	}
	f = &fileView{db: db, tx: tx, pages: newMapped(db.path, tx), roots: make([]treeRoot, len(db.tables))}
	f.refs.Store(1)
	buckets := cursor{pages: &f.pages, root: treeRoot{id: uint64(tx.Cursor().Bucket().Root())}}
	for i, t := range db.tables {
		if f.roots[i], err = findBucket(&buckets, t.name); err != nil {
			_ = tx.Rollback()
			return nil, err
		}
	}
	return f, nil
}

// findBucket returns where the tree of a bucket begins.
func findBucket(buckets *cursor, name string) (root treeRoot, err error) {
	exact, err := buckets.seek([]byte(name))
	if err != nil {
		return treeRoot{}, err
	}
	if !exact {
		return treeRoot{}, buckets.pages.corrupt("table %q is missing", name)
	}
	_, raw, err := buckets.row()
	if err != nil {
		return treeRoot{}, err
	}
	if len(raw) < bucketHeader {
		return treeRoot{}, buckets.pages.corrupt("table %q: header of %d bytes", name, len(raw))
	}
	if root.id = native.Uint64(raw); root.id != 0 {
		return root, nil
	}
	root.inline = page{buf: raw[bucketHeader:]}
	if len(root.inline.buf) < pageHeader {
		return treeRoot{}, buckets.pages.corrupt("table %q: inline page of %d bytes", name, len(raw))
	}
	return root, buckets.pages.layout(root.inline)
}

func (f *fileView) retain() { f.refs.Add(1) }

// release gives a reference back. The last one ends the transaction.
func (f *fileView) release() {
	if f == nil || f.refs.Add(-1) > 0 {
		return
	}
	_ = f.tx.Rollback() // fails only where the transaction has ended
}

// cursor returns a cursor for a table, with the stack of another that is no
// longer in use.
func (f *fileView) cursor(t Table, stack []frame) cursor {
	return cursor{pages: &f.pages, root: f.roots[t], stack: stack[:0]}
}

// get reads a row. The value aliases the file and is valid as long as the view
// is retained. stack is memory for the cursor.
func (f *fileView) get(t Table, key []byte, stack []frame) (value []byte, _ []frame, err error) {
	defer recoverCorrupt(&err, f.db.path, debug.SetPanicOnFault(true))
	c := f.cursor(t, stack)
	exact, err := c.seek(key)
	switch {
	case err != nil:
		return nil, c.stack, err
	case !exact:
		return nil, c.stack, f.absent(t, key, &c)
	}
	k, raw, err := c.row()
	if err == nil {
		value, err = f.open(t, k, raw)
	}
	return value, c.stack, err
}

// seek moves a cursor to the first row whose key is key or greater. Call it
// under recoverCorrupt.
func (f *fileView) seek(t Table, key []byte, c *cursor) error {
	exact, err := c.seek(key)
	if err != nil || exact {
		return err
	}
	if err := f.absent(t, key, c); err != nil {
		return err
	}
	_, err = c.seek(key)
	return err
}

// maxNeighbour is up to which size a row beside one that was not found is read
// whole. Beyond, only its key's order is looked at.
const maxNeighbour = 64 << 10

// absent confirms that a row is not there after a seek that was not exact: that
// key lies between its neighbours, and that those are sound. A damaged key
// would hide a row otherwise, and apply would decide on that. It moves the
// cursor.
func (f *fileView) absent(t Table, key []byte, c *cursor) error {
	if c.valid() {
		if err := f.neighbour(t, key, c, 1); err != nil {
			return err
		}
	}
	if err := c.prev(); err != nil || !c.valid() {
		return err
	}
	return f.neighbour(t, key, c, -1)
}

// neighbour checks the current row, which stands on one side of key.
func (f *fileView) neighbour(t Table, key []byte, c *cursor, side int) error {
	k, raw, err := c.row()
	if err != nil {
		return err
	}
	if bytes.Compare(k, key) != side {
		return f.damaged(t, key, "its place in the table is out of order")
	}
	if len(raw) > maxNeighbour {
		return nil
	}
	_, err = f.open(t, k, raw)
	return err
}

// open checks a row that was read.
func (f *fileView) open(t Table, key, raw []byte) ([]byte, error) {
	value, ok := openRow(f.db.tables[t].seed, key, raw)
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
