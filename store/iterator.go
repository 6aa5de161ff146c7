package store

import (
	"bytes"
	"slices"
)

// Iterator goes through the rows of one table in order, merging all layers. It
// sees the table as it was when Scan was called; what the Tx changes later
// does not disturb it. It belongs to one goroutine.
//
//	it := tx.Scan(table, lo, hi, false)
//	defer it.Close()
//	for it.Next() {
//		use(it.Key(), it.Value())
//	}
//	return it.Err()
type Iterator struct {
	table   Table
	lo, hi  []byte // [lo, hi), nil is open
	reverse bool

	heads []head    // newest layer first; sources at their end have left
	file  *fileView // retained; nil: not in use
	key   []byte
	value []byte
	err   error
}

// head is a layer's rows and the key that they stand at.
type head struct {
	source
	key []byte
}

// source is one layer's rows within the bounds, in the iterator's direction.
type source interface {
	// next moves to the next row, or to the first, and returns its key; nil at
	// the end.
	next() ([]byte, error)
	// value returns the current row's value, nil for a tombstone.
	value() ([]byte, error)
}

// Scan returns an iterator over the rows of a table with keys in [lo, hi),
// ascending or, if reverse, descending. A nil bound is open. The caller must
// call Close on the iterator; its keys and values are valid until then.
func (tx *Tx) Scan(t Table, lo, hi []byte, reverse bool) *Iterator {
	a := tx.db.apply
	if err := a.db.failure(); err != nil {
		return &Iterator{err: err}
	}
	it := newIterator(t, lo, hi, reverse)
	for ; tx.parent != nil; tx = tx.parent {
		if tx.many != nil {
			it.addLayer(tx.many, true)
		} else {
			it.addRows(tx.rows)
		}
	}
	it.addLayer(a.active, true)
	it.addLayer(a.frozen, false)
	it.addFile(a.file)
	return it
}

// Scan is Tx.Scan on the view. Close the iterator before the view or after.
func (v *View) Scan(t Table, lo, hi []byte, reverse bool) *Iterator {
	if err := v.usable(); err != nil {
		return &Iterator{err: err}
	}
	it := newIterator(t, lo, hi, reverse)
	it.addLayer(v.active, false)
	it.addLayer(v.frozen, false)
	it.addFile(v.file)
	return it
}

func newIterator(t Table, lo, hi []byte, reverse bool) *Iterator {
	return &Iterator{table: t, lo: bytes.Clone(lo), hi: bytes.Clone(hi), reverse: reverse}
}

// Next moves to the next row, or to the first. It is false at the end and
// after an error; see Err.
func (it *Iterator) Next() bool {
	for it.err == nil && len(it.heads) > 0 {
		best := &it.heads[0]
		for i := 1; i < len(it.heads); i++ {
			// Of equal keys the newest layer's counts.
			if c := bytes.Compare(it.heads[i].key, best.key); c < 0 != it.reverse && c != 0 {
				best = &it.heads[i]
			}
		}
		it.key = best.key
		if it.value, it.err = best.value(); it.err != nil {
			break
		}
		if it.advance(it.key); it.value != nil {
			return it.err == nil
		}
	}
	it.key, it.value = nil, nil
	return false
}

// advance moves all sources beyond key that stand at it.
func (it *Iterator) advance(key []byte) {
	kept := it.heads[:0]
	for _, h := range it.heads {
		if bytes.Equal(h.key, key) {
			next, err := h.next()
			if err != nil {
				it.err = err
				return
			}
			if h.key = next; next == nil {
				continue
			}
		}
		kept = append(kept, h)
	}
	it.heads = kept
}

// Key returns the current row's key.
func (it *Iterator) Key() []byte { return it.key }

// Value returns the current row's value, which is not nil.
func (it *Iterator) Value() []byte { return it.value }

// Err returns what ended the iteration early, ErrCorrupt among others.
func (it *Iterator) Err() error { return it.err }

// Close ends the iteration. It may be called twice.
func (it *Iterator) Close() {
	it.heads = nil
	it.file.release()
	it.file = nil
}

// add takes in a source, older than those before, and moves it to its first
// row.
func (it *Iterator) add(s source) {
	key, err := s.next()
	if err != nil {
		it.err = err
	}
	if key != nil {
		it.heads = append(it.heads, head{source: s, key: key})
	}
}

// addLayer adds a layer's tree; one that goes on changing is copied first.
func (it *Iterator) addLayer(l layer, changing bool) {
	if l == nil || l[it.table] == nil || l[it.table].Len() == 0 {
		return
	}
	tr := l[it.table]
	if changing {
		tr = tr.IsoCopy()
	}
	it.add(&treeSource{it: it, iter: tr.Iter()})
}

// addRows adds the rows of a small scratch layer.
func (it *Iterator) addRows(rows []scratchRow) {
	from, _ := findRow(rows, it.table, "")
	to, _ := findRow(rows, it.table+1, "")
	if from == to {
		return
	}
	rows = slices.Clone(rows[from:to])
	if it.reverse {
		slices.Reverse(rows)
	}
	it.add(&rowsSource{it: it, rows: rows, at: -1})
}

func (it *Iterator) addFile(f *fileView) {
	f.retain()
	it.file = f
	it.add(&fileSource{it: it, f: f})
}

// inside tells whether a key has not passed the bound that the iteration runs
// towards.
func (it *Iterator) inside(key []byte) bool {
	if it.reverse {
		return bytes.Compare(key, it.lo) >= 0
	}
	return it.hi == nil || bytes.Compare(key, it.hi) < 0
}
