package router

import (
	"encoding/binary"

	"github.com/edri-io/edri/event"
)

// machineName is that of the state machine and its table.
const machineName = "router"

// Every key begins with the kind of its row, see the package's documentation.
const (
	kindCount        = 'n'
	kindSubscription = 's'
	kindProgress     = 'g'
	kindPending      = 'p'
	kindDead         = 'd'
	kindRequest      = 'r'
	kindGarbage      = 'x'
	kindUnanswered   = 'u'
	kindAnnounced    = 'a'
)

var countKey = []byte{kindCount}

func subscriptionKey[T ~string | ~[]byte](name T) []byte {
	return append(append(make([]byte, 0, 1+len(name)), kindSubscription), name...)
}

// numberKey is the key of a row with one number, whatever it counts.
func numberKey(kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 9), kind), n)
}

// eventKey is the key of a pending row, by generation, or a dead letter's, by the
// subscription's id.
func eventKey(kind byte, n uint64, p event.Position) []byte {
	key := binary.BigEndian.AppendUint64(append(make([]byte, 0, 17), kind), n)
	return binary.BigEndian.AppendUint64(key, uint64(p))
}

// eventsEnd is the end of all event keys of a generation or id.
func eventsEnd(kind byte, n uint64) []byte {
	return append(eventKey(kind, n, 1<<64-1), 0)
}

// positionOf is the position in an event key, which the table's own rows always have.
func positionOf(key []byte) event.Position {
	return event.Position(binary.BigEndian.Uint64(key[9:]))
}
