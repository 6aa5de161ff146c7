package log

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
)

// defaultSealRows bounds what one transaction of a seal holds in memory, about
// 10 MiB. A segment with fewer posting rows is sealed in one transaction.
const defaultSealRows = 64 << 10

// seal finishes the active segment: its posting lists are merged into one run
// and its digest is written, in the last of its synced transactions together
// with the flag that makes it count. From then on it is only read.
func (j *Journal) seal(s *segmentState) error {
	start := time.Now()
	h := s.header
	merge := &merger{path: s.path, first: h.first, last: h.last}
	for !h.sealed {
		err := s.update(func(tx *bbolt.Tx) error {
			if err := putRun(s.segment, tx, &h); err != nil {
				return err
			}
			all, err := merge.step(tx, j.sealRows)
			if err != nil {
				return err
			}
			if all {
				if err := s.finish(tx, &h); err != nil {
					return err
				}
			}
			return writeHeader(tx, &h)
		})
		if err != nil {
			return err
		}
	}
	j.publish(func(next *snapshot) { next.segments[len(next.segments)-1].header = h })
	if err := s.leave(); err != nil {
		return err
	}
	j.cfg.Logger.Info("sealed a segment", "first", uint64(h.first), "last", uint64(h.last), "record_bytes", h.bytes,
		"digest", fmt.Sprintf("%x", h.digest), "took", time.Since(start))
	return nil
}

// finish makes the transaction that seals the segment. The file gets its
// freelist back, so that opening it later needs not read all of it.
func (s *segment) finish(tx *bbolt.Tx, h *header) (err error) {
	if h.digest, err = digest(s.writerFile(tx), h.first, h.last); err != nil {
		return err
	}
	if err := deleteBuckets(tx, kindRun); err != nil {
		return err
	}
	h.sealed = true
	s.db.NoFreelistSync = false
	return nil
}

// digest is SHA-256 over all records of a segment in order, each as
//
//	position, 8 bytes big endian | the record with its length, as in a chunk
//
// It does not depend on how the records came into rows.
func digest(f *file, first, last event.Position) (sum [32]byte, err error) {
	h := sha256.New()
	var position [8]byte
	err = f.scanRecords(first, last, func(r *Record, frame []byte) error {
		binary.BigEndian.PutUint64(position[:], uint64(r.Position))
		h.Write(position[:])
		h.Write(frame)
		return nil
	})
	if err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), nil
}
