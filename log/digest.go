package log

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/event"
)

// digest identifies the rows of a segment up to one of them:
//
//	digest of no rows      32 zeros
//	digest up to a row     SHA-256 over
//	                       digest up to the row before | first position, 8 bytes
//	                       big endian | hash of the row, 8 bytes big endian
//
// It is carried on from row to row as they are written and stands in the header,
// so that sealing a segment does not read it again. Rows follow from the records
// alone, so every node has the same.
type digest [sha256.Size]byte

// next returns the digest up to the row that begins at first, where d is that up
// to the row before.
func (d digest) next(first event.Position, hash uint64) digest {
	var b [sha256.Size + 16]byte
	copy(b[:], d[:])
	binary.BigEndian.PutUint64(b[sha256.Size:], uint64(first))
	binary.BigEndian.PutUint64(b[sha256.Size+8:], hash)
	return sha256.Sum256(b[:])
}

// digests reads and checks the rows of [first, last], which begins with a row and
// ends with one, and returns the digest of all rows and of all but the last.
func (f *file) digests(first, last event.Position) (all, complete digest, err error) {
	for p := first; p <= last; p = f.chunk.last() + 1 {
		if err := f.load(p); err != nil {
			return all, complete, err
		}
		if f.chunk.first != p || f.chunk.last() > last {
			return all, complete, corrupt(f.segment.path, string(bucketRecords), positionKey(f.chunk.first),
				fmt.Sprintf("a row of %d-%d where one should begin at %d, the last at %d", f.chunk.first, f.chunk.last(), p, last))
		}
		complete, all = all, all.next(p, f.chunk.hash)
	}
	return all, complete, nil
}
