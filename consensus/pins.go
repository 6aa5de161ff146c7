package consensus

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/edri-io/edri/event"
)

// A state machine that will still read events of the journal pins them, in the
// same transaction that makes it need them: retention then stops there on every
// node. Pins are rows of the core's table
//
//	BE8 position | machine | 0 | name -> 1
//
// so that the lowest is found at once. They hold back retention, not a purge, for which
// there is PurgeChecker.

// First is the first position that retention has left. What lies below cannot be
// pinned any more.
func (t *Tx) First() event.Position { return max(t.core.meta.Mark.First, 1) }

// Pin keeps retention from ending anything from position on, until Unpin with
// the same position and name. The same again is the same pin. A position below
// First is *event.Error compacted.
func (t *Tx) Pin(position event.Position, name []byte) error {
	if first := t.First(); position < first {
		e := event.Errorf(event.CodeCompacted, "pin position %d: the journal begins at %d", position, first)
		e.First = first
		return e
	}
	key, value := t.pinKey(position, name), []byte{1}
	t.core.hashRow(t.core.tables.pins, key, value, false)
	t.tx.Put(t.core.tables.pins, key, value)
	return nil
}

// Unpin ends a pin, if there is such.
func (t *Tx) Unpin(position event.Position, name []byte) {
	key := t.pinKey(position, name)
	t.core.hashRow(t.core.tables.pins, key, nil, true)
	t.tx.Delete(t.core.tables.pins, key)
}

func (t *Tx) pinKey(position event.Position, name []byte) []byte {
	return pinKey(position, t.machine, name)
}

func pinKey(position event.Position, machine string, name []byte) []byte {
	key := append(be8(uint64(position)), machine...)
	return append(append(key, 0), name...)
}

// Pin is what keeps retention from ending an event.
type Pin struct {
	Position event.Position
	Name     []byte
}

// Pins yields the pins of a state machine below a position that come after one, the
// lowest first; the zero Pin comes before all. The sequence ends with an error.
func (v *View) Pins(machine string, after Pin, below event.Position) iter.Seq2[Pin, error] {
	lo, mark := append(pinKey(after.Position, machine, after.Name), 0), append([]byte(machine), 0)
	return func(yield func(Pin, error) bool) {
		it := v.state.Scan(v.core.tables.pins, lo, be8(uint64(below)), false)
		defer it.Close()
		for it.Next() {
			if len(it.Key()) < 8 {
				yield(Pin{}, fmt.Errorf("%w: a pin's key has %d bytes", errRow, len(it.Key())))
				return
			}
			name, own := bytes.CutPrefix(it.Key()[8:], mark)
			if own && !yield(Pin{event.Position(be64(it.Key())), bytes.Clone(name)}, nil) {
				return
			}
		}
		if err := it.Err(); err != nil {
			yield(Pin{}, fmt.Errorf("read pins: %w", err))
		}
	}
}
