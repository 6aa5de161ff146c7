package log

import (
	"github.com/edri-io/edri/event"
)

// Reader goes through the records that a query selects, in order. Between calls
// it holds at most one file's read transaction, which keeps the flusher from
// using replaced pages again: finish or close the reader before waiting for a
// network, and go on with a new View after Position. Readers are not for
// concurrent use.
//
//	for r.Next() {
//		use(r.Record())
//	}
//	return r.Err()
type Reader struct {
	snapshot *snapshot
	query    Query
	filtered bool
	lo, hi   event.Position // what is left to look at, both included; hi < lo: nothing
	position event.Position // looked at last
	record   Record
	err      error

	part part
	file file
}

// part is a stretch of positions that are found in one way.
type part struct {
	lo, hi event.Position // 0, 0: none
	tail   bool           // the records are in the snapshot's tail, else in the file
	find   finder         // nil: all of them
	verify bool           // what was found must be compared with the query
}

func (r *Reader) start() {
	if r.query.Reverse {
		r.position = r.hi + 1
	} else {
		r.position = r.lo - 1
	}
}

// Next moves to the next record and reports whether there is one. Then the file
// that the reader holds is released.
func (r *Reader) Next() bool {
	for r.err == nil && r.lo <= r.hi {
		p := r.lo
		if r.query.Reverse {
			p = r.hi
		}
		// The common case needs no guard: the chunk was read when it was verified.
		if r.part.find == nil && !r.part.tail && r.part.contains(p) && r.file.chunk.contains(p) {
			r.record, r.err = r.file.record(p)
			r.pass(p)
			if r.err != nil {
				break
			}
			if !r.snapshot.hides(&r.record) {
				return true
			}
			continue
		}
		if r.step(p) && !r.snapshot.hides(&r.record) {
			return true
		}
	}
	r.record = Record{}
	r.release()
	return false
}

func (p *part) contains(x event.Position) bool { return x >= p.lo && x <= p.hi }

// pass says that everything up to p, in the direction of reading, was looked at.
func (r *Reader) pass(p event.Position) {
	r.position = p
	if r.query.Reverse {
		r.hi = p - 1
	} else {
		r.lo = p + 1
	}
}

// step looks at p or skips what does not match from there on, and reports
// whether it found a record.
func (r *Reader) step(p event.Position) (found bool) {
	if !r.part.contains(p) {
		if r.err = r.enter(p); r.err != nil {
			return false
		}
	}
	if r.part.tail {
		found, r.err = r.look(p)
		return found
	}
	r.err = guarded(r.file.segment.path, func() (err error) {
		found, err = r.look(p)
		return err
	})
	return found
}

// look finds the next record of the part at or after p.
func (r *Reader) look(p event.Position) (found bool, err error) {
	if r.part.find != nil {
		at, err := r.part.find.seek(p)
		if err != nil {
			return false, err
		}
		if at < max(r.part.lo, r.lo) || at > min(r.part.hi, r.hi) {
			r.skip()
			return false, nil
		}
		p = at
	}
	if r.part.tail {
		r.record = *r.snapshot.at(p)
		r.record.Roll = false
	} else if r.record, err = r.file.record(p); err != nil {
		return false, err
	}
	r.pass(p)
	return !r.part.verify || r.query.matchesNames(&r.record), nil
}

// skip passes the rest of the part.
func (r *Reader) skip() {
	if r.query.Reverse {
		r.pass(max(r.part.lo, r.lo))
	} else {
		r.pass(min(r.part.hi, r.hi))
	}
}

// enter makes the part with p the current one.
func (r *Reader) enter(p event.Position) error {
	s := r.snapshot
	if p > s.durable {
		r.release()
		r.part = part{lo: s.durable + 1, hi: s.mark.Last, tail: true}
		r.searchSignatures()
		return nil
	}
	i := s.find(p)
	if i < 0 {
		return (&View{snapshot: s}).missing(p)
	}
	segment := &s.segments[i]
	if r.file.segment != segment.segment {
		r.file.close()
		if err := r.file.open(segment.segment); err != nil {
			return err
		}
	}
	r.part = part{lo: segment.header.first, hi: segment.header.last}
	switch {
	case !r.filtered:
	case p > segment.header.indexed:
		r.part.lo = segment.header.indexed + 1
		r.searchSignatures()
	default:
		r.part.hi = segment.header.indexed
		return guarded(segment.path, func() error { return r.searchRun(p) })
	}
	return nil
}

func (r *Reader) searchSignatures() {
	if r.filtered {
		r.part.find = newScan(r.snapshot.signatures, &r.query, r.part.lo, r.part.hi)
		r.part.verify = true
	}
}

// searchRun narrows the part to the run with p and plans the search in it. The
// runs are those of the file's transaction, which may be younger than the
// snapshot: they cover at least as much.
func (r *Reader) searchRun(p event.Position) error {
	f := &r.file
	kind := kindRun
	if f.header.sealed {
		kind = kindMerged
	}
	runs, err := runsOf(f.tx, kind, f.header.first, f.header.indexed)
	if err != nil {
		return corrupt(f.segment.path, "", nil, err.Error())
	}
	for _, run := range runs {
		if p < run.lo || p > run.hi {
			continue
		}
		r.part.lo, r.part.hi = max(r.part.lo, run.lo), min(r.part.hi, run.hi)
		r.part.find, err = planRun(f.segment.path, f.tx.Bucket(run.name(kind)), &r.query)
		if r.part.find == nil {
			r.part.find = nothing{}
		}
		return err
	}
	return f.hole(p)
}

// nothing is the finder of what no list holds.
type nothing struct{}

func (nothing) seek(event.Position) (event.Position, error) { return 0, nil }
func (nothing) size() (uint64, error)                       { return 0, nil }

// Record returns the record that Next moved to. Its Stream and Event alias the
// journal's pages and are valid until the next call of Next or Close of the
// reader or its view; copy what must live longer. A disk that cannot read a page
// again that it evicted after the checksum was verified ends the process, as it
// does for every memory map.
func (r *Reader) Record() Record { return r.record }

// Position returns how far the reader looked: the position of the last record,
// or beyond it where what followed does not match. Reading goes on after it, in
// reverse before it.
func (r *Reader) Position() event.Position { return r.position }

// Err returns why Next ended early: nil at the end of the records, an
// *event.Error for a position that is compacted, or an error that matches
// store.ErrCorrupt.
func (r *Reader) Err() error { return r.err }

// Close releases the file that the reader holds. It is safe to call twice.
func (r *Reader) Close() {
	r.release()
	r.lo, r.hi = 1, 0
}

func (r *Reader) release() {
	r.file.close()
	r.part = part{}
}
