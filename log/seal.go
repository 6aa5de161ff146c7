package log

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/store"
)

// defaultSealRows is how many posting rows a piece of sealing writes: some
// milliseconds of work and 3 MiB of memory.
const defaultSealRows = 16 << 10

// sealing is a segment that is complete and being sealed: its posting lists are
// merged into one run, and in the last of its synced transactions the digest is
// written together with the flag that makes it count. From then on it is only read.
type sealing struct {
	segmentState
	merge  merger
	pieces int
	took   time.Duration
}

func newSealing(s segmentState, rows *buffer) *sealing {
	return &sealing{
		segmentState: s,
		merge:        merger{path: s.path, first: s.header.first, last: s.header.last, buffer: rows},
	}
}

// SealSome does a piece of the work on a segment that a Flush left complete and
// not sealed, if there is one, and reports whether more is left. It is to be called
// now and then, best after each flush: nothing waits for it but the next Flush, for
// some milliseconds. Where it is not, the Flush that begins the next segment does
// all of it. After an error the node must stop, as after one of Flush.
func (j *Journal) SealSome() (more bool, err error) {
	j.flushing.Lock()
	defer j.flushing.Unlock()
	if j.closed || j.failed != nil {
		return false, j.failed
	}
	if err := j.sealPiece(); err != nil {
		j.failed = err
		return false, err
	}
	return j.sealing != nil, nil
}

// Settle ends the sealing that is under way and returns the segments: all but the
// last are sealed.
func (j *Journal) Settle() ([]SegmentInfo, error) {
	j.flushing.Lock()
	defer j.flushing.Unlock()
	switch {
	case j.closed:
		return nil, fmt.Errorf("seal segment: %w", store.ErrClosed)
	case j.failed != nil:
		return nil, j.failed
	}
	if err := j.sealRest(); err != nil {
		j.failed = err
		return nil, err
	}
	return j.Segments(), nil
}

func (j *Journal) sealRest() error {
	for j.sealing != nil {
		if err := j.sealPiece(); err != nil {
			return err
		}
	}
	return nil
}

// complete ends the active segment: a run covers its last records, so that only
// sealing it is left, which the next segment does not have to wait for.
func (j *Journal) complete() error {
	if h := j.active.header; h.indexed != h.last {
		err := j.active.update(func(tx *bbolt.Tx) error {
			if err := j.putRun(tx, &h); err != nil {
				return err
			}
			return writeHeader(tx, &h)
		})
		if err != nil {
			return fmt.Errorf("complete segment: %w", err)
		}
		j.buffer.reset()
		j.active.header = h
		j.publish(func(next *snapshot) { next.setHeader(j.active) })
	}
	j.sealing = newSealing(j.active, &j.buffer)
	return nil
}

// sealPiece commits the next piece of what is being sealed.
func (j *Journal) sealPiece() error {
	w := j.sealing
	if w == nil {
		return nil
	}
	if !j.current.Load().has(w.segment) {
		j.sealing = nil // retention took it meanwhile
		return nil
	}
	start, h := time.Now(), w.header
	err := w.update(func(tx *bbolt.Tx) error {
		all, err := w.merge.step(tx, j.sealRows)
		if err != nil || !all {
			return err
		}
		if err := w.finish(tx, &h); err != nil {
			return err
		}
		return writeHeader(tx, &h)
	})
	if err != nil {
		return fmt.Errorf("seal segment: %w", err)
	}
	j.buffer.reset()
	w.pieces++
	w.took += time.Since(start)
	if h.sealed {
		return j.endSealing(h)
	}
	return nil
}

// endSealing makes what was sealed one of those that are only read.
func (j *Journal) endSealing(h header) error {
	w := j.sealing
	j.sealing = nil
	w.header = h
	j.publish(func(next *snapshot) { next.setHeader(w.segmentState) })
	if err := w.leave(); err != nil {
		return err
	}
	j.cfg.Logger.Info("sealed a segment", "first", uint64(h.first), "last", uint64(h.last), "record_bytes", h.bytes,
		"digest", fmt.Sprintf("%x", h.digest), "pieces", w.pieces, "took", w.took)
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
