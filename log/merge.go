package log

import (
	"bytes"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
)

// merger merges the runs of a segment into one bucket, list by list. It can stop
// after any list and go on in a later transaction, so that a segment with
// millions of names does not have to stand in memory.
type merger struct {
	path    string
	first   event.Position
	last    event.Position
	done    []byte // the last list that was merged
	scratch []event.Position
	buffer  *buffer // for the rows of a step; the caller resets it
}

// step merges about maxRows more rows and reports whether that was all.
func (m *merger) step(tx *bbolt.Tx, maxRows int) (all bool, err error) {
	runs, err := runsOf(tx, kindRun, m.first, m.last)
	if err != nil {
		return false, corrupt(m.path, "", nil, err.Error())
	}
	target, err := m.target(tx)
	if err != nil {
		return false, err
	}
	sources := make([]*source, len(runs))
	for i, r := range runs {
		sources[i] = &source{cursor: tx.Bucket(r.name(kindRun)).Cursor()}
		sources[i].start(m.done)
	}
	for rows := 0; rows < maxRows; {
		list := smallest(sources)
		if list == nil {
			return true, nil
		}
		m.done = append(m.done[:0], list...)
		if m.scratch, err = collect(m.scratch[:0], sources, m.done); err != nil {
			return false, corrupt(m.path, "run", m.done, err.Error())
		}
		n, err := putPostings(target.Put, m.buffer, m.done, m.scratch)
		if err != nil {
			return false, fmt.Errorf("merge posting lists of %s: %w", m.path, err)
		}
		rows += n
	}
	return false, nil
}

// target returns the bucket to merge into, at the first step made anew: what an
// interrupted merge left is thrown away.
func (m *merger) target(tx *bbolt.Tx) (*bbolt.Bucket, error) {
	if m.done == nil {
		if err := deleteBuckets(tx, kindMerged); err != nil {
			return nil, err
		}
	}
	name := run{m.first, m.last}.name(kindMerged)
	bucket, err := tx.CreateBucketIfNotExists(name)
	if err != nil {
		return nil, fmt.Errorf("create merged run of %s: %w", m.path, err)
	}
	bucket.FillPercent = 1
	return bucket, nil
}

// deleteBuckets removes every run of a kind.
func deleteBuckets(tx *bbolt.Tx, kind byte) error {
	var found [][]byte
	cursor := tx.Cursor()
	for name, _ := cursor.Seek([]byte{kind}); len(name) > 0 && name[0] == kind; name, _ = cursor.Next() {
		found = append(found, bytes.Clone(name))
	}
	for _, name := range found {
		if err := tx.DeleteBucket(name); err != nil {
			return fmt.Errorf("delete run: %w", err)
		}
	}
	return nil
}

// source is a run on its way into the merge.
type source struct {
	cursor     *bbolt.Cursor
	key, value []byte // nil: at the end
}

// start moves to the first row after list, nil to the first of all.
func (s *source) start(list []byte) {
	if list == nil {
		s.key, s.value = s.cursor.First()
		return
	}
	s.key, s.value = s.cursor.Seek(afterList(list))
}

// list returns the list that the source is at, nil at the end.
func (s *source) list() []byte {
	if len(s.key) < 8 {
		return nil
	}
	return s.key[:len(s.key)-8]
}

func smallest(sources []*source) []byte {
	var least []byte
	for _, s := range sources {
		if list := s.list(); list != nil && (least == nil || bytes.Compare(list, least) < 0) {
			least = list
		}
	}
	return least
}

// collect appends a list's positions out of all sources, which are in order, and
// moves them past it.
func collect(dst []event.Position, sources []*source, list []byte) (_ []event.Position, err error) {
	for _, s := range sources {
		for bytes.Equal(s.list(), list) {
			before := len(dst)
			if dst, err = decodePostings(dst, s.key, s.value); err != nil {
				return nil, err
			}
			if before > 0 && dst[before] <= dst[before-1] {
				return nil, errPostings
			}
			s.key, s.value = s.cursor.Next()
		}
	}
	return dst, nil
}
