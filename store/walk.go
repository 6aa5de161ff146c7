package store

import (
	"bytes"
	"context"
)

// What is known of a page during a walk.
const (
	pageUnknown byte = iota
	pageFree
	pageUsed     // used, and so are exactly its overflow pages
	pageLeafHead // used by a leaf that was not read: its overflow is unknown
)

// maxDepth is far above the depth of any bbolt tree.
const maxDepth = 32

// walker goes through all pages of one state of a file.
type walker struct {
	*boltFile
	ctx   context.Context
	deep  bool    // read leaf pages too
	row   RowFunc // nil: rows are not wanted
	known []byte  // by page: one of the constants above
	bufs  [maxDepth + 1][]byte
}

// walk visits every tree of the file and accounts for every page.
func (f *boltFile) walk(ctx context.Context, deep bool, row RowFunc) error {
	w := &walker{boltFile: f, ctx: ctx, deep: deep, row: row, known: make([]byte, f.meta.highWater)}
	if f.meta.freelist != noFreelist {
		if err := w.freelist(); err != nil {
			return err
		}
	}
	buckets := make(map[string]pageID)
	if err := w.tree(f.meta.root, &bucketWalk{root: true, buckets: buckets}); err != nil {
		return err
	}
	for name, root := range buckets {
		if err := w.tree(root, &bucketWalk{bucket: name}); err != nil {
			return err
		}
	}
	if f.meta.freelist == noFreelist {
		return nil
	}
	return w.account()
}

// use marks a page with its overflow.
func (w *walker) use(id pageID, overflow uint32, as byte) error {
	for i := range uint64(overflow) + 1 {
		if id+i < 2 || id+i >= uint64(len(w.known)) {
			return w.corrupt("page %d is used, pages are [2, %d)", id+i, len(w.known))
		}
		if w.known[id+i] != pageUnknown {
			return w.corrupt("page %d is used twice or free", id+i)
		}
		w.known[id+i] = as
	}
	return nil
}

// freelist marks the free pages.
func (w *walker) freelist() error {
	p, err := w.read(w.meta.freelist, nil)
	if err != nil {
		return err
	}
	if p.flags() != flagFreelist {
		return w.corrupt("page %d: flags %#x, want a freelist", p.id, p.flags())
	}
	if err := w.use(p.id, p.overflow(), pageUsed); err != nil {
		return err
	}
	ids, count := p.buf[pageHeader:], uint64(p.count())
	if count == 0xFFFF { // too many for 16 bits: the first id is the count
		count, ids = native.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return w.corrupt("freelist: %d pages do not fit its page", count)
	}
	last := pageID(0)
	for i := range count {
		id := native.Uint64(ids[i*8:])
		if id <= last {
			return w.corrupt("freelist: page %d follows page %d", id, last)
		}
		if err := w.use(id, 0, pageFree); err != nil {
			return err
		}
		last = id
	}
	return nil
}

// bucketWalk is the walk through one bucket.
type bucketWalk struct {
	bucket  string
	root    bool              // the bucket of buckets
	buckets map[string]pageID // filled if root: roots of those that are not inline
	depth   int               // levels of branch pages
}

// tree visits the tree below page root. All leaves of a bbolt tree have the
// same depth; the leftmost one tells it.
func (w *walker) tree(root pageID, t *bucketWalk) error {
	for id := root; ; t.depth++ {
		p, err := w.readPart(id, w.bufs[0])
		if err != nil {
			return err
		}
		w.bufs[0] = p.buf
		if p.flags() == flagLeaf {
			break
		}
		if p.flags() != flagBranch || t.depth == maxDepth {
			return w.corrupt("page %d: flags %#x at depth %d", id, p.flags(), t.depth)
		}
		if p, err = w.read(id, p.buf); err != nil {
			return err
		}
		var ok bool
		if _, id, _, ok = p.branchElem(0); !ok {
			return w.outside(p, 0)
		}
	}
	return w.node(t, root, 0, nil, nil)
}

// node visits the page id at a depth. Its keys must be in [lo, hi); nil is
// unbounded. The first one must be lo: bbolt sets the key in the branch above
// whenever it writes a page.
func (w *walker) node(t *bucketWalk, id pageID, depth int, lo, hi []byte) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	leaf := depth == t.depth
	if leaf && !w.deep && !t.root {
		return w.use(id, 0, pageLeafHead)
	}
	p, err := w.read(id, w.bufs[depth])
	if err != nil {
		return err
	}
	w.bufs[depth] = p.buf
	if err := w.use(id, p.overflow(), pageUsed); err != nil {
		return err
	}
	if p.count() == 0 && depth > 0 {
		return w.corrupt("page %d: is empty", id)
	}
	if leaf {
		return w.leaf(t, p, lo, hi)
	}
	if p.flags() != flagBranch || p.count() == 0 {
		return w.corrupt("page %d: flags %#x, %d elements, want a branch", id, p.flags(), p.count())
	}
	var before []byte
	start := p.rowStart()
	for i := range p.count() {
		key, child, at, ok := p.branchElem(i)
		if !ok || at != start {
			return w.outside(p, i)
		}
		if err := w.inOrder(id, i, key, lo, hi, before); err != nil {
			return err
		}
		bound := hi
		if i+1 < p.count() {
			if bound, _, _, ok = p.branchElem(i + 1); !ok {
				return w.outside(p, i+1)
			}
		}
		if err := w.node(t, child, depth+1, key, bound); err != nil {
			return err
		}
		before, start = key, start+uint64(len(key))
	}
	return nil
}

func (w *walker) outside(p page, i int) error {
	return w.corrupt("page %d: element %d of %d is outside its place", p.id, i, p.count())
}

// inOrder checks key i of a page against the page's bounds and the key before.
func (w *walker) inOrder(id pageID, i int, key, lo, hi, before []byte) error {
	switch {
	case len(key) == 0,
		i == 0 && lo != nil && !bytes.Equal(key, lo),
		i > 0 && bytes.Compare(key, before) <= 0,
		hi != nil && bytes.Compare(key, hi) >= 0:
		return w.corrupt("page %d: key of element %d is out of order", id, i)
	}
	return nil
}

// leaf visits the rows of a leaf page, whose keys must be in [lo, hi).
func (w *walker) leaf(t *bucketWalk, p page, lo, hi []byte) error {
	if p.flags() != flagLeaf {
		return w.corrupt("page %d: flags %#x, want a leaf", p.id, p.flags())
	}
	var before []byte
	start := p.rowStart()
	for i := range p.count() {
		key, value, flags, at, ok := p.leafElem(i)
		if !ok || at != start {
			return w.outside(p, i)
		}
		if err := w.inOrder(p.id, i, key, lo, hi, before); err != nil {
			return err
		}
		var err error
		switch {
		case t.root:
			err = w.bucket(t, key, value, flags)
		case flags != 0:
			err = w.corrupt("page %d: leaf element %d has flags %#x", p.id, i, flags)
		case w.row != nil:
			err = w.row(t.bucket, key, value)
		}
		if err != nil {
			return err
		}
		before, start = key, start+uint64(len(key)+len(value))
	}
	return nil
}

// bucket notes the root of a bucket for later, or visits its inline page now.
func (w *walker) bucket(t *bucketWalk, name, value []byte, flags uint32) error {
	if flags != flagBucket || len(value) < bucketHeader {
		return w.corrupt("bucket %q: flags %#x, %d bytes", name, flags, len(value))
	}
	root := native.Uint64(value)
	if root != 0 {
		t.buckets[string(name)] = root
		return nil
	}
	inline := page{buf: value[bucketHeader:]}
	if len(inline.buf) < pageHeader || native.Uint64(inline.buf) != 0 {
		return w.corrupt("bucket %q: bad inline page", name)
	}
	return w.leaf(&bucketWalk{bucket: string(name)}, inline, nil, nil)
}

// account checks that every page is used or free. Only the overflow of leaves
// that were not read may still be unknown: it must fill each gap exactly. So a
// free page that is missing from the freelist, or a used one that is on it in
// its place, is noticed without reading the leaves.
func (w *walker) account() error {
	for id := pageID(2); id < uint64(len(w.known)); id++ {
		head := w.known[id] == pageLeafHead
		start := id
		for id+1 < uint64(len(w.known)) && w.known[id+1] == pageUnknown {
			id++
		}
		gap := id - start
		if w.known[start] == pageUnknown || (gap > 0 && !head) {
			return w.corrupt("page %d is neither used nor free", id)
		}
		if gap == 0 {
			continue
		}
		p, err := w.readPart(start, w.bufs[0])
		if err != nil {
			return err
		}
		w.bufs[0] = p.buf
		if p.flags() != flagLeaf || uint64(p.overflow()) != gap {
			return w.corrupt("page %d: flags %#x, runs on for %d pages, want a leaf with %d",
				start, p.flags(), p.overflow(), gap)
		}
	}
	return nil
}
