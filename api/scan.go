package api

import (
	"math"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// Bounds of a batch: what one view of the journal is good for.
const (
	batchEvents    = 1000
	batchBytes     = 256 << 10
	batchPositions = 100_000 // that are looked at
)

// scan is a read on its way through the journal, a batch at a time.
//
//	forward   looked < lo ……… hi      reverse   lo ……… hi < looked
type scan struct {
	node  Reader
	query log.Query
	epoch event.Epoch // of the journal, or what was begun is not what goes on
	tail  bool        // goes on beyond what is there now

	// lo and hi bound what is left to look at, both included; hi < lo: nothing.
	lo, hi event.Position
	looked event.Position // last; the cursor
	left   uint64         // events that the limit still allows
}

// newScan begins a read that was checked and awaited.
func newScan(node Reader, r *edriv1.ReadRequest, tail bool) (*scan, error) {
	q, err := newQuery(r)
	if err != nil {
		return nil, err
	}
	if tail && q.Reverse {
		return nil, event.Errorf(event.CodeInvalid, "reverse: a tail goes forward only")
	}
	v := node.View()
	defer v.Close()
	s := &scan{node: node, query: q, epoch: v.Epoch, tail: tail, left: r.Limit}
	if s.left == 0 {
		s.left = math.MaxUint64
	}
	s.lo, s.hi = q.From, v.Journal().Last()
	if tail {
		s.hi = math.MaxUint64
	}
	if q.To != 0 {
		s.hi = min(s.hi, q.To)
	}
	if q.From == 0 && (r.Cursor == "" || q.Reverse) {
		s.lo = v.Journal().Begin(q)
	}
	s.looked = max(s.lo, 1) - 1
	if q.Reverse {
		s.looked = s.hi + 1
	}
	if r.Cursor != "" {
		if err := s.resume(r.Cursor); err != nil {
			return nil, err
		}
	}
	return s, v.Journal().CheckFrom(q, s.lo)
}

func (s *scan) resume(text string) error {
	c, err := log.ParseCursor(text, s.epoch)
	if err != nil {
		return err
	}
	if _, err := c.Resume(s.query); err != nil {
		return err
	}
	switch {
	case !s.query.Reverse && c.Position >= s.lo:
		s.looked, s.lo = c.Position, c.Position+1
	case s.query.Reverse && c.Position <= s.hi:
		s.looked, s.hi = c.Position, max(c.Position, 1)-1
	}
	return nil
}

// over reports that there is nothing left to look at, ever.
func (s *scan) over() bool { return s.hi < s.lo || s.left == 0 }

// end returns the last position that a forward read looks at; 0: it has no end, or
// there is nothing.
func (s *scan) end() event.Position {
	if s.tail || s.query.Reverse {
		return 0
	}
	return s.hi
}

// batch gives the next events to emit and moves behind them. What emit gets is
// valid during the call; it returns the bytes that it made of it. caughtUp says
// that a tail has looked at all that is there.
func (s *scan) batch(emit func(*log.Record) (bytes int, err error)) (events int, caughtUp bool, err error) {
	if s.over() {
		return 0, true, nil
	}
	v := s.node.View()
	defer v.Close()
	if v.Epoch != s.epoch {
		return 0, false, event.Errorf(event.CodeEpochChanged, "the cluster's epoch changed from %s to %s", s.epoch, v.Epoch)
	}
	if s.query.Reverse && s.query.From == 0 {
		s.lo = max(s.lo, v.Journal().Begin(s.query)) // it goes down to whatever is first
	}
	window := s.query
	window.From, window.To = s.window(v.Journal().Last())
	if window.To < window.From {
		return 0, true, nil
	}
	r := v.Journal().Read(window)
	defer r.Close()
	for bytes := 0; events < batchEvents && bytes < batchBytes && s.left > 0; {
		if !r.Next() {
			if err := r.Err(); err != nil {
				return events, false, err
			}
			s.move(window.From, window.To)
			return events, s.hi < s.lo || !s.query.Reverse && s.lo > v.Journal().Last(), nil
		}
		record := r.Record()
		n, err := emit(&record)
		if err != nil {
			return events, false, err
		}
		bytes += n
		events++
		s.left--
		s.move(record.Position, record.Position)
	}
	return events, false, nil
}

// window returns the positions that one view is good for.
func (s *scan) window(last event.Position) (lo, hi event.Position) {
	lo, hi = s.lo, min(s.hi, last)
	if hi < lo || hi-lo < batchPositions {
		return lo, hi
	}
	if s.query.Reverse {
		return hi - batchPositions + 1, hi
	}
	return lo, lo + batchPositions - 1
}

// move notes that the positions lo to hi, and all before them in the direction
// of the read, were looked at.
func (s *scan) move(lo, hi event.Position) {
	if s.query.Reverse {
		s.looked, s.hi = lo, lo-1
	} else {
		s.looked, s.lo = hi, hi+1
	}
}

func (s *scan) cursor() string {
	return log.EncodeCursor(log.Cursor{
		Epoch: s.epoch, Position: s.looked, Reverse: s.query.Reverse, Filter: s.query.Hash(),
	})
}
