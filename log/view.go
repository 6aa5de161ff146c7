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
// that is not there is an *event.Error: compacted below First, not_found above
// Last.
func (v *View) Get(p event.Position) (Record, error) {
	switch s := v.snapshot; {
	case p < s.first():
		return Record{}, v.missing(p)
	case p > s.mark.Last:
		return Record{}, event.Errorf(event.CodeNotFound, "position %d: the journal ends at %d", p, v.Last())
	case p > s.durable:
		return s.at(p).clone(), nil
	default:
		i := s.find(p)
		if i < 0 {
			return Record{}, v.missing(p)
		}
		return readOne(s.segments[i].segment, p)
	}
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
	e := event.Errorf(event.CodeCompacted, "position %d: the journal begins at %d", p, v.First())
	e.First = v.First()
	return e
}

// Read returns a reader of what q selects. A q.From below First is compacted,
// never a silent gap.
func (v *View) Read(q Query) *Reader {
	r := &Reader{snapshot: v.snapshot, query: q, filtered: q.filtered()}
	r.lo, r.hi = max(q.From, v.First()), v.Last()
	if q.To != 0 {
		r.hi = min(r.hi, q.To)
	}
	if q.From != 0 && q.From < v.First() {
		r.err = v.missing(q.From)
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

// Close closes the readers that are still open.
func (v *View) Close() {
	for _, r := range v.readers {
		r.Close()
	}
	v.readers = nil
}
