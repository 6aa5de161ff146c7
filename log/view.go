package log

import (
	"math"

	"github.com/edri-io/edri/event"
)

// View is the journal at one moment: later appends do not show in it. It costs
// nothing to make and holds no file open; its readers do. It keeps the records
// in memory that were not flushed when it was made, so a reader over a long time
// takes a new View for each batch. Views are not for concurrent use.
type View struct {
	snapshot *snapshot
	readers  []*Reader // not closed yet
}

// First returns the oldest position that can be read: 1, or what retention left.
func (v *View) First() event.Position { return v.snapshot.first() }

// Last returns the position of the newest record, First()-1 if there is none.
func (v *View) Last() event.Position { return max(v.snapshot.mark.Last, v.First()-1) }

// Stamp returns that of the newest record, 0 if there was none ever.
func (v *View) Stamp() int64 { return v.snapshot.mark.Stamp }

// Get returns the record at p. It shares nothing with the journal. A position
// that is not there is an *event.Error: compacted below First and where its
// stream was purged, not_found above Last.
func (v *View) Get(p event.Position) (Record, error) {
	switch s := v.snapshot; {
	case p < s.first():
		return Record{}, v.missing(p)
	case p > s.mark.Last:
		return Record{}, event.Errorf(event.CodeNotFound, "position %d: the journal ends at %d", p, v.Last())
	case p > s.durable:
		return v.unlessPurged(s.at(p).clone(), nil)
	default:
		i := s.find(p)
		if i < 0 {
			return Record{}, v.missing(p)
		}
		return v.unlessPurged(readOne(s.segments[i].segment, p))
	}
}

func (v *View) unlessPurged(r Record, err error) (Record, error) {
	if err == nil && v.snapshot.hides(&r) {
		return Record{}, purged(r.Position, r.Stream, v.snapshot.purges.Through(r.Stream))
	}
	return r, err
}

func readOne(s *segment, p event.Position) (r Record, err error) {
	var f file
	if err := f.open(s); err != nil {
		return Record{}, err
	}
	defer f.close()
	err = guarded(s.path, func() error {
		found, err := f.record(p)
		if err == nil {
			r = found.clone()
		}
		return err
	})
	return r, err
}

// missing is the error of a position below the first.
func (v *View) missing(p event.Position) error {
	if p == 0 {
		return event.Errorf(event.CodeInvalid, "position 0: positions begin at 1")
	}
	return compacted(p, v.First())
}

// Begin returns the position at which a read of q begins that asks for no other:
// First, or where a purge left its stream.
func (v *View) Begin(q Query) event.Position {
	return max(v.First(), v.snapshot.purges.Through(q.Stream)+1)
}

// CheckFrom returns *event.Error compacted for a read of q from below Begin.
func (v *View) CheckFrom(q Query, from event.Position) error {
	switch first, through := v.First(), v.snapshot.purges.Through(q.Stream); {
	case from >= v.Begin(q):
		return nil
	case through < first:
		return compacted(from, first)
	default:
		return purged(from, q.Stream, through)
	}
}

// Read returns a reader of what q selects. Where q.From is below what can be read
// (CheckFrom) its error is compacted, never a silent gap. Events that were purged
// are left out of all reads.
func (v *View) Read(q Query) *Reader {
	r := &Reader{snapshot: v.snapshot, query: q, filtered: q.filtered()}
	r.lo, r.hi = max(q.From, v.Begin(q)), v.Last()
	if q.To != 0 {
		r.hi = min(r.hi, q.To)
	}
	if q.From != 0 {
		r.err = v.CheckFrom(q, q.From)
	}
	r.boundByStamp()
	r.start()
	v.readers = append(v.readers, r)
	return r
}

// boundByStamp narrows the reader's range to the stamps that the query asks for.
func (r *Reader) boundByStamp() {
	q := &r.query
	if q.Since != 0 && r.err == nil {
		p, err := r.snapshot.search(q.Since)
		r.lo, r.err = max(r.lo, p), err
	}
	if q.Until != 0 && q.Until != math.MaxInt64 && r.err == nil {
		p, err := r.snapshot.search(q.Until + 1)
		if err == nil {
			r.hi = min(r.hi, p-1)
		}
		r.err = err
	}
}

// Since returns the first position, from First on, whose stamp is at least
// stamp; Last()+1 if there is none.
func (v *View) Since(stamp int64) (event.Position, error) {
	p, err := v.snapshot.search(stamp)
	return max(p, v.First()), err
}

// Within returns where the journal would begin if its oldest segments went until
// the records of the others have at most so many bytes. The active segment stays,
// and what is not flushed does not count.
func (v *View) Within(bytes int64) event.Position {
	segments := v.snapshot.segments
	total := int64(0)
	for i := range segments {
		total += segments[i].header.bytes
	}
	for len(segments) > 1 && total > bytes {
		total -= segments[0].header.bytes
		segments = segments[1:]
	}
	if len(segments) == 0 {
		return v.First()
	}
	return max(v.First(), segments[0].header.first)
}

// Find returns the position of a revision of a stream whose last event stands at
// head, 0 where it is compacted or purged.
func (v *View) Find(stream string, revision event.Revision, head event.Position) (event.Position, error) {
	lo := v.Begin(Query{Stream: stream})
	for hi := head; lo <= hi; {
		mid := lo + (hi-lo)/2
		r, err := v.next(Query{Stream: stream, From: mid, To: head})
		switch {
		case err != nil:
			return 0, err
		case r.Position == 0 || r.Revision > revision:
			hi = mid - 1
		case r.Revision < revision:
			lo = r.Position + 1
		default:
			return r.Position, nil
		}
	}
	return 0, nil
}

// next returns the first record that q selects, a zero one if there is none.
func (v *View) next(q Query) (Record, error) {
	r := v.Read(q)
	defer r.Close()
	if !r.Next() {
		return Record{}, r.Err()
	}
	record := r.Record()
	return record.clone(), nil
}

// Close closes the readers that are still open.
func (v *View) Close() {
	for _, r := range v.readers {
		r.Close()
	}
	v.readers = nil
}
