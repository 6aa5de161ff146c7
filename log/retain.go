package log

import (
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// maxRemoved bounds the files that one Remove deletes: a Flush waits for it.
const maxRemoved = 8

// Retain ends what lies below first, and what purges say, for every later View.
// First never moves back, and goes at most to the position after the last. The
// caller gives purges, nil for none, away: they must not change any more.
func (j *Journal) Retain(first event.Position, purges *Purges) {
	j.mu.Lock()
	defer j.mu.Unlock()
	next := *j.current.Load()
	if first > next.mark.Last+1 {
		panic(fmt.Sprintf("log: nothing before %d is retained of a journal that ends at %d", first, next.mark.Last))
	}
	if next.mark.Last > 0 {
		next.mark.First = max(next.mark.First, first)
	}
	if next.purges = purges; purges != nil && purges.Len() == 0 {
		next.purges = nil
	}
	j.publishLocked(&next)
}

// Remove deletes segments that lie wholly below the First of durable, the mark of
// the state as it is on disk: a state that knows an older one would miss them. It
// deletes a few files, oldest first, and none while anybody holds them; what it
// leaves goes at a later call, at the latest when the journal is opened.
//
// Readers that have such a file open go on; others find out with compacted.
// After an error the node must stop, as after one of Flush.
func (j *Journal) Remove(durable Mark) error {
	if !j.current.Load().removable(durable) {
		return nil
	}
	j.flushing.Lock()
	defer j.flushing.Unlock()
	switch {
	case j.closed:
		return fmt.Errorf("remove segments: %w", store.ErrClosed)
	case j.failed != nil:
		return j.failed
	}
	j.holding.Lock()
	defer j.holding.Unlock()
	if j.holds > 0 {
		return nil
	}
	for n := 0; n < maxRemoved && j.current.Load().removable(durable); n++ {
		if err := j.removeOldest(); err != nil {
			j.failed = err
			return err
		}
	}
	return nil
}

// removable reports whether the oldest segment ends below First and is not the one
// that is active, or was when the state was written: its records may all be below
// First, but opening cuts it to the mark.
func (s *snapshot) removable(durable Mark) bool {
	return len(s.segments) > 1 && s.segments[1].header.first <= min(durable.First, durable.Segment, s.mark.First)
}

func (j *Journal) removeOldest() error {
	oldest := j.current.Load().segments[0]
	j.mu.Lock()
	next := *j.current.Load()
	next.segments = append(make([]segmentState, 0, len(next.segments)), next.segments[1:]...)
	j.publishLocked(&next)
	j.mu.Unlock()
	j.pool.forget(oldest.segment)
	if err := oldest.retire(next.first()); err != nil {
		return err
	}
	if err := store.Remove(j.cfg.Seam, oldest.path); err != nil {
		return fmt.Errorf("remove segment: %w", err)
	}
	j.cfg.Logger.Info("removed a segment", "first", uint64(oldest.header.first), "last", uint64(oldest.header.last),
		"record_bytes", oldest.header.bytes, "journal_first", uint64(next.first()))
	return nil
}

// Hold keeps the files of all segments until release is called, for who copies
// them by their names. It may be called by any number at a time, release once.
func (j *Journal) Hold() (release func()) {
	j.holding.Lock()
	defer j.holding.Unlock()
	j.holds++
	return func() {
		j.holding.Lock()
		defer j.holding.Unlock()
		j.holds--
	}
}

// hides reports whether a record is purged.
func (s *snapshot) hides(r *Record) bool {
	return s.purges != nil && r.Position <= s.purges.Through(r.Stream)
}

// compacted is the error of a read that wants something below first.
func compacted(p, first event.Position) *event.Error {
	e := event.Errorf(event.CodeCompacted, "position %d: the journal begins at %d", p, first)
	e.First = first
	return e
}

// purged is the error of a read that wants a purged event of a stream.
func purged(p event.Position, stream string, through event.Position) *event.Error {
	e := event.Errorf(event.CodeCompacted, "position %d: stream %q was purged up to position %d", p, stream, through)
	e.First = through + 1
	return e
}
