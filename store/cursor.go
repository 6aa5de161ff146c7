package store

import "bytes"

// treeRoot is where the tree of one bucket begins.
type treeRoot struct {
	id     pageID // 0: inline
	inline page
}

// cursor goes through the rows of one bucket in a file's memory map. The zero
// cursor with its first two fields set is ready to use. After an error it must
// not be used.
type cursor struct {
	pages *mapped
	root  treeRoot
	stack []frame // the branch pages on the way, then the leaf
}

// usualDepth is how many pages lie on the way to a row in a large table.
const usualDepth = 5

// frame is a page on the way to the current row and the element in use. In the
// leaf it may be the count, beyond the last row.
type frame struct {
	page page
	i    int
}

func (c *cursor) leaf() *frame { return &c.stack[len(c.stack)-1] }

// valid tells whether the cursor is at a row.
func (c *cursor) valid() bool {
	f := c.leaf()
	return f.i >= 0 && f.i < f.page.count()
}

// row returns the current row. The cursor must be valid.
func (c *cursor) row() (key, raw []byte, err error) {
	f := c.leaf()
	key, raw, flags, _, ok := f.page.leafElem(f.i)
	if !ok || (flags != 0 && flags != flagBucket) {
		return nil, nil, c.pages.corrupt("page %d: element %d of %d is outside or has flags %#x",
			f.page.id, f.i, f.page.count(), flags)
	}
	return key, raw, nil
}

// begin puts the root page on the stack.
func (c *cursor) begin() (err error) {
	p := c.root.inline
	if c.root.id != 0 {
		if p, err = c.pages.page(c.root.id); err != nil {
			return err
		}
	}
	c.stack = append(c.stack[:0], frame{page: p})
	return nil
}

// push goes down into the current element of the branch page on top.
func (c *cursor) push() error {
	f := c.leaf()
	if len(c.stack) > maxDepth {
		return c.pages.corrupt("page %d: tree is too deep", f.page.id)
	}
	p, err := c.pages.child(f.page, f.i)
	if err != nil {
		return err
	}
	c.stack = append(c.stack, frame{page: p})
	return nil
}

// seek moves to the first row whose key is key or greater. It is exact if that
// is key. The cursor is not valid if there is no such row.
func (c *cursor) seek(key []byte) (exact bool, err error) {
	if err := c.begin(); err != nil {
		return false, err
	}
	for {
		f := c.leaf()
		if f.i, err = c.pages.search(f.page, key); err != nil {
			return false, err
		}
		at, err := c.at(f, key)
		if err != nil {
			return false, err
		}
		if f.page.flags() == flagLeaf {
			if f.i < f.page.count() {
				return at, nil
			}
			return false, c.skip()
		}
		if !at && f.i > 0 {
			f.i-- // the child whose keys begin before key
		}
		if err := c.push(); err != nil {
			return false, err
		}
	}
}

// ascend is seek for keys that come in ascending order, of which only the checks
// of the pages are wanted: it stays where it is while the key is in the leaf.
func (c *cursor) ascend(key []byte) error {
	if len(c.stack) > 0 {
		p := c.leaf().page
		if n := p.count(); n > 0 {
			if last, err := c.pages.key(p, n-1); err != nil || bytes.Compare(key, last) <= 0 {
				return err
			}
		}
	}
	_, err := c.seek(key)
	return err
}

// at tells whether a frame's element has this key.
func (c *cursor) at(f *frame, key []byte) (bool, error) {
	if f.i == f.page.count() {
		return false, nil
	}
	k, err := c.pages.key(f.page, f.i)
	return err == nil && bytes.Equal(k, key), err
}

// first and last move to the table's ends. The cursor is not valid if the table
// is empty.
func (c *cursor) first() error {
	if err := c.begin(); err != nil {
		return err
	}
	return c.leftmost()
}

func (c *cursor) last() error {
	if err := c.begin(); err != nil {
		return err
	}
	c.toEnd()
	return c.rightmost()
}

// next moves to the next row.
func (c *cursor) next() error {
	c.leaf().i++
	return c.skip()
}

// skip leaves a leaf whose rows are used up for the next leaf, if there is one.
func (c *cursor) skip() error {
	if c.valid() {
		return nil
	}
	for n := len(c.stack) - 2; n >= 0; n-- {
		if f := &c.stack[n]; f.i+1 < f.page.count() {
			f.i++
			c.stack = c.stack[:n+1]
			return c.leftmost()
		}
	}
	return nil
}

// prev moves to the row before.
func (c *cursor) prev() error {
	f := c.leaf()
	if f.i--; f.i >= 0 {
		return nil
	}
	for n := len(c.stack) - 2; n >= 0; n-- {
		if f := &c.stack[n]; f.i > 0 {
			f.i--
			c.stack = c.stack[:n+1]
			return c.rightmost()
		}
	}
	return nil
}

// leftmost goes down from the top of the stack to a leaf's first row.
func (c *cursor) leftmost() error {
	for c.leaf().page.flags() == flagBranch {
		if err := c.push(); err != nil {
			return err
		}
	}
	return nil
}

// rightmost goes down from the current element of the top of the stack to a
// leaf's last row.
func (c *cursor) rightmost() error {
	for c.leaf().page.flags() == flagBranch {
		if err := c.push(); err != nil {
			return err
		}
		c.toEnd()
	}
	return nil
}

// toEnd moves to the last element of the page on top.
func (c *cursor) toEnd() { c.leaf().i = c.leaf().page.count() - 1 }
