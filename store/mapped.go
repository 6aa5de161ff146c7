package store

import (
	"bytes"
	"fmt"
	"unsafe"

	"go.etcd.io/bbolt"
)

// mapped reads the pages of one state of the file in bbolt's memory map. bbolt's
// own cursors trust what they read: a damaged page number sends them to the
// wrong rows or round in circles, a damaged key or count hides rows. The cursor
// here checks each page against the branch above it.
//
// Touching the map faults where the file is cut or the disk fails: callers stand
// under recoverCorrupt.
type mapped struct {
	path      string
	data      []byte // all pages of this state
	pageSize  uint64
	highWater pageID
}

// newMapped returns the pages that tx sees. They are valid while tx is open:
// the map never moves (DB.options), and bbolt does not reuse the pages.
func newMapped(path string, tx *bbolt.Tx) mapped {
	info := tx.DB().Info()
	// What Info returns as a number is the address of a map that the garbage
	// collector does not own.
	base := *(**byte)(unsafe.Pointer(&info.Data))
	pageSize := uint64(info.PageSize)
	return mapped{
		path:      path,
		data:      unsafe.Slice(base, tx.Size()),
		pageSize:  pageSize,
		highWater: uint64(tx.Size()) / pageSize,
	}
}

// page returns page id with its overflow, if its header is sound.
func (m *mapped) page(id pageID) (page, error) {
	if id < 2 || id >= m.highWater {
		return page{}, m.corrupt("page %d is referred to but pages are [2, %d)", id, m.highWater)
	}
	p := page{id: id, buf: m.data[id*m.pageSize:]}
	n := uint64(p.overflow())
	if got := native.Uint64(p.buf); got != id || id+n >= m.highWater {
		return page{}, m.corrupt("page %d says that it is page %d and runs on for %d", id, got, n)
	}
	p.buf = p.buf[: (1+n)*m.pageSize : (1+n)*m.pageSize]
	return p, m.layout(p)
}

// layout checks a page's kind, and its count by where its rows start.
func (m *mapped) layout(p page) error {
	start, ok := p.rowStart(), true
	switch {
	case p.flags() == flagBranch && p.count() > 0:
		_, _, start, ok = p.branchElem(0)
	case p.flags() == flagLeaf && p.count() > 0:
		_, _, _, start, ok = p.leafElem(0)
	case p.flags() != flagLeaf: // only a leaf may be empty
		ok = false
	}
	if !ok || start != p.rowStart() {
		return m.corrupt("page %d: flags %#x, %d elements that do not fit its rows", p.id, p.flags(), p.count())
	}
	return nil
}

// key returns key i of a page of either kind.
func (m *mapped) key(p page, i int) ([]byte, error) {
	var key []byte
	var ok bool
	if p.flags() == flagLeaf {
		key, _, _, _, ok = p.leafElem(i)
	} else {
		key, _, _, ok = p.branchElem(i)
	}
	if !ok {
		return nil, m.corrupt("page %d: element %d of %d is outside", p.id, i, p.count())
	}
	return key, nil
}

// child returns the page below element i of a branch page, whose first key must
// be the element's: bbolt sets it whenever it writes the page below.
func (m *mapped) child(parent page, i int) (page, error) {
	key, id, _, ok := parent.branchElem(i)
	if !ok {
		return page{}, m.corrupt("page %d: element %d of %d is outside", parent.id, i, parent.count())
	}
	p, err := m.page(id)
	if err != nil {
		return page{}, err
	}
	if p.count() == 0 {
		return page{}, m.corrupt("page %d is empty", id)
	}
	first, err := m.key(p, 0)
	if err != nil {
		return page{}, err
	}
	if !bytes.Equal(first, key) {
		return page{}, m.corrupt("page %d does not begin with the key that page %d gives it", id, parent.id)
	}
	return p, nil
}

// search returns the index of the first key of a page that is not less than
// key, which may be the page's count.
func (m *mapped) search(p page, key []byte) (int, error) {
	lo, hi := 0, p.count()
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		k, err := m.key(p, mid)
		if err != nil {
			return 0, err
		}
		if bytes.Compare(k, key) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

func (m *mapped) corrupt(format string, args ...any) error {
	return &CorruptError{Path: m.path, Detail: fmt.Sprintf(format, args...)}
}
