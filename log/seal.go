package log

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"
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
	merge := &merger{path: s.path, first: h.first, last: h.last, buffer: &j.buffer}
	for !h.sealed {
		err := s.update(func(tx *bbolt.Tx) error {
			if err := j.putRun(tx, &h); err != nil {
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
		j.buffer.reset()
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
	f := s.writerFile(tx)
	if err := f.load(h.last); err != nil {
		return err
	}
	h.digest = h.digest.next(f.chunk.first, f.chunk.hash)
	if err := deleteBuckets(tx, kindRun); err != nil {
		return err
	}
	h.sealed = true
	s.db.NoFreelistSync = false
	return nil
}
