package consensus

import (
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

const (
	// Up to this many events of one commit are compared one by one.
	stagedByScan = 16
	// Fingerprint rows that fell out of the window are deleted whenever another
	// this many events were appended, and at most so many rows in one entry.
	trimEvents = 1024
	trimRows   = 4096
)

// staged are the fingerprints of the events that the commit in execution has
// appended so far.
type staged struct {
	list  []event.Fingerprint
	index map[[16]byte]int // of list, kept once it is long
}

func (s *staged) find(f *event.Fingerprint) int {
	if len(s.list) <= stagedByScan {
		for i := range s.list {
			if s.list[i].Identity == f.Identity {
				return i
			}
		}
		return -1
	}
	if i, ok := s.index[f.Identity]; ok {
		return i
	}
	return -1
}

func (s *staged) add(f *event.Fingerprint) {
	s.list = append(s.list, *f)
	if len(s.list) <= stagedByScan {
		return
	}
	if s.index == nil {
		s.index = make(map[[16]byte]int)
	}
	if len(s.index) == 0 {
		for i := range s.list {
			s.index[s.list[i].Identity] = i
		}
	}
	s.index[f.Identity] = len(s.list) - 1
}

// truncate takes back all but the first n.
func (s *staged) truncate(n int) {
	for i := n; i < len(s.list) && len(s.index) > 0; i++ {
		delete(s.index, s.list[i].Identity)
	}
	s.list = s.list[:n]
}

func (s *staged) reset() {
	s.list = s.list[:0]
	clear(s.index)
}

// lastPosition is that of the last event, with those of the commit in execution.
func (c *Core) lastPosition() event.Position {
	return c.meta.Mark.Last + event.Position(len(c.staged.list))
}

// applyAppend appends an event, unless the window says that it is there already
// or its stream is not as expected.
func (c *Core) applyAppend(body []byte, f *event.Fingerprint) (opResult, error) {
	a, err := decodeAppend(body)
	if err != nil {
		return opResult{}, fmt.Errorf("%w: append: %w", ErrUndecodable, err)
	}
	return c.append(nil, &a, f)
}

// append appends an event. layer is as in react.
func (c *Core) append(layer *store.Tx, a *appendOp, f *event.Fingerprint) (opResult, error) {
	if first, content := c.findEvent(f); first != 0 {
		if content != f.Content {
			return opResult{}, idConflict(a.event, first)
		}
		return opResult{kind: resultAppended, position: first, duplicate: true}, nil
	}
	name := a.stream
	if len(name) == 0 {
		h, err := event.ScanHeader(a.event)
		if err != nil {
			return opResult{}, fmt.Errorf("%w: event: %w", ErrUndecodable, err)
		}
		name = h.DefaultStream()
	}
	stream, err := c.heads.get(c.tx, c.tables.streams, name)
	if err != nil {
		return opResult{}, err
	}
	if !a.expected.Allows(stream.revision) {
		return opResult{}, event.RevisionConflict(stream.name, a.expected, stream.revision)
	}
	position := c.lastPosition() + 1
	c.staged.add(f)
	c.heads.advance(stream, position)
	c.batch = append(c.batch, log.Record{
		Position: position,
		Revision: stream.revision,
		Stamp:    c.meta.Stamp,
		Stream:   stream.name,
		Event:    a.event,
	})
	if len(c.reactors) > 0 {
		if err := c.react(layer, Appended{Stream: stream.name, Position: position, Event: a.event}); err != nil {
			return opResult{}, err
		}
	}
	return opResult{kind: resultAppended, position: position, revision: stream.revision}, nil
}

// findEvent returns where the event with this identity stands, 0 if it does not,
// and what its content is.
func (c *Core) findEvent(f *event.Fingerprint) (event.Position, [8]byte) {
	if i := c.staged.find(f); i >= 0 {
		return c.meta.Mark.Last + 1 + event.Position(i), c.staged.list[i].Content
	}
	if position, found := c.window.find(&f.Identity); found != nil {
		return event.Position(position), found.Content
	}
	return 0, [8]byte{}
}

func idConflict(encoded []byte, first event.Position) error {
	h, err := event.ScanHeader(encoded)
	if err != nil {
		return fmt.Errorf("%w: event: %w", ErrUndecodable, err)
	}
	return event.IDConflict(string(h.Source), string(h.ID), first)
}

// merge makes the changes of the commit final.
func (c *Core) merge() {
	for i := len(c.batch) - len(c.staged.list); i < len(c.batch); i++ {
		c.meta.Mark.Add(&c.batch[i], c.segmentBytes)
	}
	for i := range c.staged.list {
		c.window.add(&c.staged.list[i])
		c.fingerprints = c.staged.list[i].AppendTo(c.fingerprints)
	}
	c.window.trim()
	c.staged.reset()
	c.heads.commit()
	if c.overlay != nil {
		c.overlay.Merge()
		c.overlay = nil
	}
}

// savepoint is a moment within a commit, to take back what came after it.
type savepoint struct {
	staged, heads int
	notes         int
	incarnation   uint64
}

func (c *Core) savepoint() savepoint {
	return savepoint{staged: len(c.staged.list), heads: len(c.heads.undo), notes: len(c.notes), incarnation: c.meta.Incarnation}
}

// rollback takes back the events that were appended, the notes that were made and
// the incarnations that were given out since s.
func (c *Core) rollback(s savepoint) {
	kept := len(c.batch) - len(c.staged.list) + s.staged
	clear(c.batch[kept:])
	c.batch = c.batch[:kept]
	c.staged.truncate(s.staged)
	c.heads.rollback(s.heads)
	clear(c.notes[s.notes:])
	c.notes = c.notes[:s.notes]
	c.meta.Incarnation = s.incarnation
	c.askAgain()
}

// discard takes the changes of the commit back.
func (c *Core) discard(began savepoint) {
	c.rollback(began)
	c.staged.reset()
	if c.overlay != nil {
		c.overlay.Discard()
		c.overlay = nil
	}
}

// keepFingerprints writes the fingerprints of the entry's events as one row, and
// now and then deletes rows that no window needs. Both happen at the same entry
// on every node.
func (c *Core) keepFingerprints() error {
	if len(c.fingerprints) == 0 {
		return nil
	}
	first, last := uint64(c.entryFirst), uint64(c.meta.Mark.Last)
	c.tx.Put(c.tables.fingerprints, be8(first), c.fingerprints)
	if (first-1)/trimEvents == last/trimEvents {
		return nil
	}
	return c.trimFingerprints()
}

// trimFingerprints deletes rows that lie wholly below the window.
func (c *Core) trimFingerprints() error {
	// The last row that begins at or below the floor stays.
	var rows [][]byte
	it := c.tx.Scan(c.tables.fingerprints, be8(c.meta.Trimmed), be8(c.window.floor+1), false)
	for len(rows) <= trimRows && it.Next() {
		rows = append(rows, append([]byte(nil), it.Key()...))
	}
	err := it.Err()
	it.Close()
	if err != nil {
		return fmt.Errorf("trim fingerprints: %w", err)
	}
	for i := range max(len(rows)-1, 0) {
		c.tx.Delete(c.tables.fingerprints, rows[i])
		c.meta.Trimmed = be64(rows[i+1])
	}
	return nil
}
