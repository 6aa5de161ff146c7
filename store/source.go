package store

import (
	"bytes"
	"runtime/debug"

	"github.com/tidwall/btree"
	"go.etcd.io/bbolt"
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
	cursor *bbolt.Cursor // nil: not started
	key    []byte
	raw    []byte
}

// next also checks that keys come in order, so that damage in a branch page
// cannot make an iteration repeat rows, or go on for ever.
func (s *fileSource) next() (_ []byte, err error) {
	defer recoverCorrupt(&err, s.f.db.path, debug.SetPanicOnFault(true))
	last := s.key
	if s.cursor == nil && s.it.reverse {
		last = s.it.hi
	}
	if err := s.move(); err != nil || s.key == nil {
		return nil, err
	}
	if len(s.key) > MaxKey {
		return nil, s.f.damaged(s.it.table, nil, "key too long")
	}
	if last != nil {
		if c := bytes.Compare(s.key, last); c == 0 || c < 0 != s.it.reverse {
			return nil, s.f.damaged(s.it.table, s.key, "keys are out of order")
		}
	}
	if !s.it.inside(s.key) {
		return nil, nil
	}
	return s.key, nil
}

func (s *fileSource) move() (err error) {
	t, lo, hi := s.it.table, s.it.lo, s.it.hi
	started := s.cursor != nil
	if !started {
		s.cursor = s.f.buckets[t].Cursor()
	}
	switch c := s.cursor; {
	case started && s.it.reverse:
		s.key, s.raw = c.Prev()
	case started:
		s.key, s.raw = c.Next()
	case s.it.reverse && hi == nil:
		s.key, s.raw = c.Last()
	case s.it.reverse:
		if s.key, _, err = s.f.seek(t, hi, c); s.key == nil {
			s.key, s.raw = c.Last()
		} else {
			s.key, s.raw = c.Prev()
		}
	case len(lo) == 0:
		s.key, s.raw = c.First()
	default:
		s.key, s.raw, err = s.f.seek(t, lo, c)
	}
	return err
}

func (s *fileSource) value() (value []byte, err error) {
	defer recoverCorrupt(&err, s.f.db.path, debug.SetPanicOnFault(true))
	return s.f.open(s.it.table, s.key, s.raw)
}
