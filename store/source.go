package store

import (
	"bytes"
	"runtime/debug"

	"github.com/tidwall/btree"
)

// treeSource goes through a tree that does not change.
type treeSource struct {
	it      *Iterator
	iter    btree.MapIter[string, []byte]
	started bool
}

func (s *treeSource) next() ([]byte, error) {
	if !s.move() {
		return nil, nil
	}
	if key := viewBytes(s.iter.Key()); s.it.inside(key) {
		return key, nil
	}
	return nil, nil
}

func (s *treeSource) move() bool {
	lo, hi, reverse := s.it.lo, s.it.hi, s.it.reverse
	switch {
	case s.started && reverse:
		return s.iter.Prev()
	case s.started:
		return s.iter.Next()
	}
	s.started = true
	switch {
	case !reverse:
		return s.iter.Seek(viewString(lo))
	case hi != nil && s.iter.Seek(viewString(hi)):
		return s.iter.Prev()
	}
	return s.iter.Last()
}

func (s *treeSource) value() ([]byte, error) {
	if v := s.iter.Value(); v != nil {
		return clip(v), nil
	}
	return nil, nil
}

// rowsSource goes through the rows of a small scratch layer, which are in the
// iterator's direction already.
type rowsSource struct {
	it   *Iterator
	rows []scratchRow
	at   int
}

func (s *rowsSource) next() ([]byte, error) {
	for s.at++; s.at < len(s.rows); s.at++ {
		key := viewBytes(s.rows[s.at].key)
		if !s.it.inside(key) {
			return nil, nil
		}
		if s.it.reverse && s.it.hi != nil && bytes.Compare(key, s.it.hi) >= 0 {
			continue
		}
		if bytes.Compare(key, s.it.lo) >= 0 {
			return key, nil
		}
	}
	return nil, nil
}

func (s *rowsSource) value() ([]byte, error) {
	if v := s.rows[s.at].value; v != nil {
		return clip(v), nil
	}
	return nil, nil
}

// fileSource goes through the rows of the file.
type fileSource struct {
	it     *Iterator
	f      *fileView
	cursor cursor // without pages: not started
	key    []byte
	raw    []byte
}

func (s *fileSource) next() (_ []byte, err error) {
	defer recoverCorrupt(&err, s.f.db.path, debug.SetPanicOnFault(true))
	if err := s.move(); err != nil || !s.cursor.valid() {
		return nil, err
	}
	if s.key, s.raw, err = s.cursor.row(); err != nil || !s.it.inside(s.key) {
		return nil, err
	}
	return s.key, nil
}

func (s *fileSource) move() error {
	c, t, lo, hi := &s.cursor, s.it.table, s.it.lo, s.it.hi
	started := c.pages != nil
	if !started {
		*c = s.f.cursor(t, nil)
	}
	switch {
	case started && s.it.reverse:
		return c.prev()
	case started:
		return c.next()
	case s.it.reverse && hi == nil:
		return c.last()
	case s.it.reverse:
		if err := s.f.seek(t, hi, c); err != nil {
			return err
		}
		return c.prev()
	case len(lo) == 0:
		return c.first()
	}
	return s.f.seek(t, lo, c)
}

func (s *fileSource) value() (value []byte, err error) {
	defer recoverCorrupt(&err, s.f.db.path, debug.SetPanicOnFault(true))
	return s.f.open(s.it.table, s.key, s.raw)
}
