package consensus

import (
	"github.com/edri-io/edri/event"
)

// A state machine that will still read events of the journal pins them, in the
// same transaction that makes it need them: retention then stops there on every
// node. Pins are rows of the core's table
//
//	BE8 position | machine | 0 | name -> 1
//
// so that the lowest is found at once. They hold back retention, not a purge.

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
	key := append(be8(uint64(position)), t.machine...)
	return append(append(key, 0), name...)
}
