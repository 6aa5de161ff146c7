package log

import (
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// Flush makes the records up to upTo durable. It returns after they are synced;
// the state that speaks of them may be written only then. Where records cross
// into a new segment the order is
//
//	commit the rest of the old one · commit its last run · create the new file,
//	synced, renamed, its directory synced · commit what belongs to it
//
// and the old one is sealed afterwards, piece by piece (SealSome).
//
// After an error, which may match store.ErrIO or store.ErrCorrupt, every later
// Flush returns the same: what is in the page cache may lie, the node must stop.
func (j *Journal) Flush(upTo event.Position) error {
	j.flushing.Lock()
	defer j.flushing.Unlock()
	switch {
	case j.closed:
		return fmt.Errorf("flush journal: %w", store.ErrClosed)
	case j.failed != nil:
		return j.failed
	case upTo > j.current.Load().mark.Last:
		return fmt.Errorf("flush journal up to %d: it ends at %d", upTo, j.current.Load().mark.Last)
	}
	for j.current.Load().durable < upTo {
		if err := j.flushSome(upTo); err != nil {
			j.failed = err
			return err
		}
	}
	return nil
}

// flushSome writes the next records as far as they belong to one segment.
func (j *Journal) flushSome(upTo event.Position) error {
	s := j.current.Load()
	records := s.tail[:upTo-s.durable]
	if records[0].Roll {
		if err := j.roll(records[0].Position); err != nil {
			return err
		}
		s = j.current.Load()
	}
	for i := 1; i < len(records); i++ {
		if records[i].Roll {
			records = records[:i]
			break
		}
	}
	return j.write(s.segments, records)
}

// roll completes the active segment and makes the one that begins at first the
// active. It is not in the snapshot before it has records. Only the one before the
// active may not be sealed yet, so an older one is sealed first.
func (j *Journal) roll(first event.Position) error {
	if err := j.sealRest(); err != nil {
		return err
	}
	if j.active.segment != nil {
		if err := j.complete(); err != nil {
			return err
		}
	}
	segment := newSegment(j.dir, first, j.pool, j.cfg.Seam)
	if err := segment.create(); err != nil {
		return fmt.Errorf("create segment: %w", err)
	}
	if err := segment.openWritable(j.cfg.SegmentBytes); err != nil {
		return err
	}
	j.active = segmentState{segment, header{first: first, last: first - 1, indexed: first - 1}}
	j.lists.begin(first)
	return nil
}

// write appends records to the active segment in one transaction and publishes.
func (j *Journal) write(segments []segmentState, records []Record) error {
	active := j.active
	h := active.header
	h.add(records)
	indexNow := h.bytes-h.indexedBytes >= j.cfg.RunBytes
	err := active.update(func(tx *bbolt.Tx) error {
		if err := j.putRecords(tx, &h, records); err != nil {
			return err
		}
		if indexNow {
			if err := j.putRun(tx, &h); err != nil {
				return err
			}
		}
		return writeHeader(tx, &h)
	})
	if err != nil {
		return fmt.Errorf("append records %d-%d: %w", records[0].Position, h.last, err)
	}
	j.buffer.reset()
	j.active.header = h
	if n := len(segments); n == 0 || segments[n-1].segment != active.segment {
		j.publish(func(s *snapshot) { s.segments = append(s.segments, j.active) })
	} else {
		j.publish(func(s *snapshot) { s.segments[n-1] = j.active })
	}
	return nil
}

// publish replaces the snapshot by one with changed segments and drops from
// memory what they hold now.
func (j *Journal) publish(change func(s *snapshot)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	next := *j.current.Load()
	next.segments = append(make([]segmentState, 0, len(next.segments)+1), next.segments...)
	change(&next)
	h := &next.segments[len(next.segments)-1].header
	if flushed := int(h.last - next.durable); flushed > 0 {
		for i := range next.tail[:flushed] {
			next.tailBytes -= next.tail[i].size() + recordOverhead
		}
		rest := next.tail[flushed:]
		next.tail = append(make([]Record, 0, len(rest)+flushed), rest...) // about as many come until the next flush
		next.durable = h.last
	}
	if h.indexed > j.signer.base {
		j.signer = j.signer.rebase(h.indexed)
		next.signatures = j.signer.signatures
	}
	j.current.Store(&next)
}

// add counts records that follow those of h.
func (h *header) add(records []Record) {
	if h.empty() {
		h.firstStamp = records[0].Stamp
	}
	for i := range records {
		h.bytes += records[i].size()
	}
	last := &records[len(records)-1]
	h.last, h.lastStamp = last.Position, last.Stamp
}

// putRecords writes records, which h counts already, to the active segment and
// adds them to the lists of the next run. The last row is filled up first: its
// page is written anew anyway, and so rows do not depend on the flushes.
func (j *Journal) putRecords(tx *bbolt.Tx, h *header, records []Record) error {
	s, before := j.active.segment, &j.active.header
	bucket := tx.Bucket(bucketRecords)
	if bucket == nil {
		return corrupt(s.path, string(bucketRecords), nil, "bucket is missing")
	}
	bucket.FillPercent = 1 // rows come in order
	w := chunkWriter{put: bucket.Put, buffer: &j.buffer, digest: before.digest}
	if !before.empty() {
		f := s.writerFile(tx)
		if err := f.load(before.last); err != nil {
			return err
		}
		if f.chunk.last() != before.last {
			return corrupt(s.path, string(bucketRecords), positionKey(f.chunk.first),
				fmt.Sprintf("records go to %d, header says %d", f.chunk.last(), before.last))
		}
		w.resume(&f.chunk)
	}
	for i := range records {
		if err := w.add(&records[i]); err != nil {
			return fmt.Errorf("write records: %w", err)
		}
		j.lists.add(&records[i])
	}
	if err := w.flush(); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	h.digest = w.digest
	return nil
}

// putRun writes the posting lists of the records that no run covers yet.
func (j *Journal) putRun(tx *bbolt.Tx, h *header) error {
	if h.indexed == h.last {
		return nil
	}
	r, err := j.lists.write(tx, &j.buffer)
	if err != nil {
		return err
	}
	if r.lo != h.indexed+1 || r.hi != h.last {
		panic(fmt.Sprintf("log: posting lists of %d-%d, want %d-%d", r.lo, r.hi, h.indexed+1, h.last))
	}
	h.indexed, h.indexedBytes = h.last, h.bytes
	j.lists.begin(h.last + 1)
	return nil
}
