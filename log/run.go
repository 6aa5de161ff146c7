package log

import (
	"encoding/binary"
	"fmt"

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

// parseRunName reads the name of a bucket, which has the length of one.
func parseRunName(name string) run {
	b := []byte(name)
	return run{event.Position(binary.BigEndian.Uint64(b[1:])), event.Position(binary.BigEndian.Uint64(b[9:]))}
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
		r := parseRunName(string(name))
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
