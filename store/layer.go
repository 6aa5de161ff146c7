package store

import (
	"fmt"
	"unsafe"

	"github.com/tidwall/btree"
)

// What one row may be. bbolt's own bounds are 32 KiB and 2 GiB.
const (
	MaxKey   = 32 << 10
	MaxValue = 64 << 20
)

// rowOverhead is what a row in a layer costs beyond its bytes: the entry of
// the tree, the unused part of its node, its share of the arena's last chunk.
const rowOverhead = 96

// treeDegree: a node has up to 2n-1 rows. Small nodes make copying on write
// cheap, large ones make lookups cheap and allocations few; of 6 to 24, measured
// with 1 to 1,024 rows between publishes over 10,000, 12 was a good middle.
const treeDegree = 12

// tree has the rows of one table in one layer. A nil value is a tombstone; a
// value that is there has capacity for its checksum behind it.
type tree = btree.Map[string, []byte]

// layer has the rows of one layer, by Table. Nil trees are empty.
type layer []*tree

// get returns the row's value, and whether the layer knows the key at all: a
// known key without value is a tombstone.
func (l layer) get(t Table, key []byte) (value []byte, known bool) {
	if l == nil || l[t] == nil {
		return nil, false
	}
	return l[t].Get(viewString(key))
}

func (l layer) set(t Table, key string, value []byte) {
	if l[t] == nil {
		l[t] = btree.NewMap[string, []byte](treeDegree)
	}
	l[t].Set(key, value)
}

func (l layer) remove(t Table, key string) {
	if l[t] != nil {
		l[t].Delete(key)
	}
}

// rows counts rows and tombstones.
func (l layer) rows() int {
	n := 0
	for _, tr := range l {
		if tr != nil {
			n += tr.Len()
		}
	}
	return n
}

// arena hands out memory for keys and values in chunks, so that a Put does not
// allocate. A chunk is freed when no row in it is referenced any more, which
// is when its layer was flushed and no view or iterator has it.
type arena struct {
	chunk []byte
	used  int64 // bytes handed out since the last reset
}

const (
	arenaChunk  = 32 << 10
	arenaBigRow = 4 << 10 // from here on a row gets memory of its own
)

// row copies key and value. The value has room for its checksum behind it.
func (a *arena) row(key, value []byte) (string, []byte) {
	k, n := len(key), len(key)+len(value)
	b := a.alloc(n + crcSize)
	copy(b, key)
	copy(b[k:], value)
	return viewString(b[:k:k]), b[k:n]
}

// key copies a key without value.
func (a *arena) key(key []byte) string {
	b := a.alloc(len(key))
	copy(b, key)
	return viewString(b)
}

// alloc returns n zero bytes with capacity n.
func (a *arena) alloc(n int) []byte {
	a.used += int64(n) + rowOverhead
	if n >= arenaBigRow {
		return make([]byte, n)
	}
	if n > len(a.chunk) {
		a.chunk = make([]byte, arenaChunk)
	}
	b := a.chunk[:n:n]
	a.chunk = a.chunk[n:]
	return b
}

// viewString is b as a string without copying it. b must not change while the
// string is in use.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// viewBytes is s as bytes without copying it. They must not be written.
func viewBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// checkRow panics for a row that no file could hold. Who writes rows bounds
// them before; noticing it only at the flush would be too late.
func checkRow(key, value []byte) {
	if len(key) == 0 || len(key) > MaxKey {
		panic(fmt.Sprintf("store: key of %d bytes, must be 1 to %d", len(key), MaxKey))
	}
	if len(value) > MaxValue {
		panic(fmt.Sprintf("store: value of %d bytes, at most %d", len(value), MaxValue))
	}
}
