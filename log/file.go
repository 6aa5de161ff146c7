package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// file reads records of one segment within one transaction. The zero file is
// closed. All but open and close must be called within guarded.
type file struct {
	segment *segment
	tx      *bbolt.Tx
	header  header
	cursor  *bbolt.Cursor
	chunk   chunk // verified; empty before the first load
}

func (f *file) open(s *segment) error {
	tx, err := s.begin()
	if err != nil {
		return err
	}
	err = guarded(s.path, func() (err error) {
		if f.header, err = s.readHeader(tx); err != nil {
			return err
		}
		f.cursor = tx.Bucket(bucketRecords).Cursor()
		return nil
	})
	if err != nil {
		s.end(tx)
		return err
	}
	f.segment, f.tx = s, tx
	f.chunk.ends = f.chunk.ends[:0]
	return nil
}

func (f *file) close() {
	if f.tx != nil {
		f.segment.end(f.tx)
		f.segment, f.tx, f.cursor = nil, nil, nil
		f.chunk.body, f.chunk.ends = nil, f.chunk.ends[:0]
	}
}

// record returns the record at p. It aliases the file's pages.
func (f *file) record(p event.Position) (Record, error) {
	if !f.chunk.contains(p) {
		if err := f.load(p); err != nil {
			return Record{}, err
		}
	}
	r, err := f.chunk.record(p)
	if err != nil {
		return Record{}, corrupt(f.segment.path, string(bucketRecords), positionKey(f.chunk.first), err.Error())
	}
	return r, nil
}

// load makes the chunk with p the current one. There is no gap between chunks:
// the one beside the last must go on where that ended.
func (f *file) load(p event.Position) error {
	var key, value []byte
	switch {
	case len(f.chunk.ends) > 0 && p == f.chunk.last()+1:
		key, value = f.cursor.Next()
	case len(f.chunk.ends) > 0 && p == f.chunk.first-1:
		key, value = f.cursor.Prev()
	default:
		want := positionKey(p)
		if key, value = f.cursor.Seek(want); len(key) != 8 || binary.BigEndian.Uint64(key) != uint64(p) {
			key, value = f.cursor.Prev()
		}
	}
	f.chunk.ends = f.chunk.ends[:0]
	if key == nil {
		return f.hole(p)
	}
	if err := decodeChunk(&f.chunk, key, value); err != nil {
		f.chunk.ends = f.chunk.ends[:0]
		return corrupt(f.segment.path, string(bucketRecords), key, err.Error())
	}
	if !f.chunk.contains(p) {
		f.chunk.ends = f.chunk.ends[:0]
		return f.hole(p)
	}
	return nil
}

func (f *file) hole(p event.Position) error {
	return corrupt(f.segment.path, string(bucketRecords), positionKey(p), fmt.Sprintf("position %d is missing", p))
}

// search returns the first position in [lo, hi] whose stamp is at least stamp,
// hi+1 if there is none.
func (f *file) search(lo, hi event.Position, stamp int64) (event.Position, error) {
	var failed error
	n := sort.Search(int(hi-lo)+1, func(i int) bool {
		if failed != nil {
			return true
		}
		r, err := f.record(lo + event.Position(i))
		failed = err
		return err != nil || r.Stamp >= stamp
	})
	return lo + event.Position(n), failed
}

// scanRecords calls fn for each record in [lo, hi] with its bytes as they stand
// in the chunk. Both are valid during the call.
func (f *file) scanRecords(lo, hi event.Position, fn func(r *Record, frame []byte) error) error {
	var r Record // one for all: fn makes it escape
	for p := lo; p <= hi; p++ {
		var err error
		if r, err = f.record(p); err != nil {
			return err
		}
		if err := fn(&r, f.chunk.frame(p)); err != nil {
			return err
		}
	}
	return nil
}

// writerFile returns a file over a transaction that writes.
func (s *segment) writerFile(tx *bbolt.Tx) *file {
	return &file{segment: s, tx: tx, cursor: tx.Bucket(bucketRecords).Cursor()}
}

func isFormat(err error) bool { return errors.Is(err, store.ErrFormat) }
