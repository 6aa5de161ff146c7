package log

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
)

// A run is a bucket of posting lists over consecutive positions, named
//
//	kind | first position, 8 bytes big endian | last position, 8 bytes big endian
//
// Kind 'R' is what one pass over new records made, sorted, so that its pages are
// written once and in order; kind 'M' is all runs of a sealed segment merged.
const (
	kindRun    byte = 'R'
	kindMerged byte = 'M'

	runNameBytes = 17
)

type run struct {
	lo, hi event.Position
}

func (r run) name(kind byte) []byte {
	b := append(make([]byte, 0, runNameBytes), kind)
	b = binary.BigEndian.AppendUint64(b, uint64(r.lo))
	return binary.BigEndian.AppendUint64(b, uint64(r.hi))
}

// runsOf lists the runs of a kind in order and checks that they cover from first
// to indexed without a gap.
func runsOf(tx *bbolt.Tx, kind byte, first, indexed event.Position) ([]run, error) {
	var runs []run
	next := first
	cursor := tx.Cursor()
	for name, _ := cursor.Seek([]byte{kind}); len(name) > 0 && name[0] == kind; name, _ = cursor.Next() {
		if len(name) != runNameBytes {
			return nil, fmt.Errorf("bucket %q is no run", name)
		}
		r := run{event.Position(binary.BigEndian.Uint64(name[1:])), event.Position(binary.BigEndian.Uint64(name[9:]))}
		if r.lo != next || r.hi < r.lo {
			return nil, fmt.Errorf("run %d-%d where %d should begin", r.lo, r.hi, next)
		}
		next = r.hi + 1
		runs = append(runs, r)
	}
	if next != indexed+1 {
		return nil, fmt.Errorf("runs end at %d, header says %d", next-1, indexed)
	}
	return runs, nil
}

// runBuilder collects the posting lists of consecutive records.
type runBuilder struct {
	index map[string]int
	lists []postingList
	key   []byte
}

type postingList struct {
	key       string
	positions []event.Position
}

func newRunBuilder() *runBuilder { return &runBuilder{index: make(map[string]int)} }

func (b *runBuilder) add(r *Record) {
	n := namesOf(r)
	n.each(func(name []byte, set attribute) {
		b.key = appendListKey(b.key[:0], name, set)
		i, ok := b.index[string(b.key)]
		if !ok {
			i = len(b.lists)
			b.lists = append(b.lists, postingList{key: string(b.key)})
			b.index[b.lists[i].key] = i
		}
		b.lists[i].positions = append(b.lists[i].positions, r.Position)
	})
}

// write makes the run's bucket.
func (b *runBuilder) write(tx *bbolt.Tx, r run) error {
	bucket, err := tx.CreateBucket(r.name(kindRun))
	if err != nil {
		return fmt.Errorf("create run %d-%d: %w", r.lo, r.hi, err)
	}
	bucket.FillPercent = 1 // rows come in order
	slices.SortFunc(b.lists, func(x, y postingList) int { return bytes.Compare([]byte(x.key), []byte(y.key)) })
	for i := range b.lists {
		if _, err := putPostings(bucket.Put, []byte(b.lists[i].key), b.lists[i].positions); err != nil {
			return fmt.Errorf("write run %d-%d: %w", r.lo, r.hi, err)
		}
	}
	return nil
}
