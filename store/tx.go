package store

import "slices"

// Tx is the mutable top of the database: the layer that apply works in, or a
// scratch layer above it. It belongs to the one goroutine that calls Begin.
//
// Values and keys that a Tx returns must not be modified. They are valid until
// the next Publish or Freeze.
type Tx struct {
	db     *DB
	parent *Tx // nil: the top, whose rows are the active layer

	// Of a scratch: its rows by table and key, few; or, when they became many,
	// a layer, and rows is empty.
	rows []scratchRow
	many layer
	done bool // merged or discarded

	child *Tx // the open scratch above this Tx; nil: none
}

// scratchRow is one change in a scratch layer. A nil value is a tombstone.
type scratchRow struct {
	table Table
	key   string
	value []byte
}

// maxScratchRows is how many rows a scratch layer keeps in a sorted slice.
// Most commits touch one to three; up to here moving a few entries is cheaper
// than a tree.
const maxScratchRows = 32

// Get returns the value of a row, nil if there is none; an empty value is not
// nil.
func (tx *Tx) Get(t Table, key []byte) ([]byte, error) {
	for ; tx.parent != nil; tx = tx.parent {
		if value, known := tx.scratchGet(t, key); known {
			return clip(value), nil
		}
	}
	return tx.db.apply.get(t, key)
}

// Put sets a row. It copies key and value. It panics where the key is empty or
// larger than MaxKey, or the value larger than MaxValue.
func (tx *Tx) Put(t Table, key, value []byte) {
	checkRow(key, value)
	k, v := tx.db.apply.arena.row(key, value)
	tx.set(t, k, v)
}

// Delete removes a row; one that does not exist is fine.
func (tx *Tx) Delete(t Table, key []byte) {
	checkRow(key, nil)
	if tx.parent == nil {
		tx.db.apply.delete(t, key)
		return
	}
	tx.set(t, tx.db.apply.arena.key(key), nil)
}

// Scratch returns an empty layer above tx. It costs one small allocation, and
// none for its rows after the first few commits. Until Merge or Discard the
// layer below must not be changed.
func (tx *Tx) Scratch() *Tx {
	tx.mustBeOpen()
	child := &Tx{db: tx.db, parent: tx, rows: tx.db.apply.takeRows()}
	tx.child = child
	return child
}

// Merge moves the scratch layer's changes into the layer below and ends it.
func (tx *Tx) Merge() {
	tx.mustBeOpen()
	below := tx.finish()
	for _, r := range tx.rows {
		below.move(r.table, r.key, r.value)
	}
	for t, tr := range tx.many {
		if tr != nil {
			tr.Scan(func(key string, value []byte) bool {
				below.move(Table(t), key, value)
				return true
			})
		}
	}
	tx.release()
}

// Discard drops the scratch layer's changes and ends it. It is fine after
// Merge, where it does nothing, so it may be deferred.
func (tx *Tx) Discard() {
	if tx.done {
		return
	}
	tx.mustBeOpen()
	tx.finish()
	tx.release()
}

// finish ends a scratch layer and returns the one below.
func (tx *Tx) finish() *Tx {
	if tx.parent == nil {
		panic("store: the top layer cannot be merged or discarded")
	}
	tx.done = true
	tx.parent.child = nil
	return tx.parent
}

// release gives the slice of rows back for the next scratch.
func (tx *Tx) release() {
	tx.db.apply.giveRows(tx.rows)
	tx.rows, tx.many = nil, nil
}

// mustBeOpen panics where a Tx is changed that has ended or has an open
// scratch above it: results would depend on the order of calls.
func (tx *Tx) mustBeOpen() {
	if tx.done {
		panic("store: use of a scratch layer after Merge or Discard")
	}
	if tx.child != nil {
		panic("store: change below an open scratch layer")
	}
}

// set puts a row whose key and value already are in the arena.
func (tx *Tx) set(t Table, key string, value []byte) {
	tx.mustBeOpen()
	switch {
	case tx.parent == nil:
		tx.db.apply.set(t, key, value)
	case tx.many != nil:
		tx.many.set(t, key, value)
	default:
		tx.scratchSet(t, key, value)
	}
}

// move takes over a row or tombstone of a scratch layer above.
func (tx *Tx) move(t Table, key string, value []byte) {
	if tx.parent == nil && value == nil {
		tx.db.apply.delete(t, viewBytes(key))
		return
	}
	tx.set(t, key, value)
}

func (tx *Tx) scratchGet(t Table, key []byte) (value []byte, known bool) {
	if tx.many != nil {
		return tx.many.get(t, key)
	}
	if i, found := findRow(tx.rows, t, viewString(key)); found {
		return tx.rows[i].value, true
	}
	return nil, false
}

func (tx *Tx) scratchSet(t Table, key string, value []byte) {
	i, found := findRow(tx.rows, t, key)
	if found {
		tx.rows[i].value = value
		return
	}
	if len(tx.rows) < maxScratchRows {
		tx.rows = slices.Insert(tx.rows, i, scratchRow{t, key, value})
		return
	}
	tx.many = tx.db.newLayer()
	for _, r := range tx.rows {
		tx.many.set(r.table, r.key, r.value)
	}
	tx.rows = tx.rows[:0]
	tx.many.set(t, key, value)
}

// findRow returns where a row is, or belongs, in rows sorted by table and key.
func findRow(rows []scratchRow, t Table, key string) (int, bool) {
	lo, hi := 0, len(rows)
	for lo < hi {
		mid := (lo + hi) / 2
		r := &rows[mid]
		switch {
		case r.table < t || (r.table == t && r.key < key):
			lo = mid + 1
		case r.table == t && r.key == key:
			return mid, true
		default:
			hi = mid
		}
	}
	return lo, false
}

// clip takes away the capacity behind a value, which is the checksum's.
func clip(value []byte) []byte { return value[:len(value):len(value)] }
