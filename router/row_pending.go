package router

import (
	"encoding/binary"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// The row of an event of a generation begins with its state.
const (
	statePending = 1
	stateDone    = 2
)

// pending is what is known of an event at or below the cursor, until it is dead or
// trimmed:
//
//	done     stateDone | uvarint position of the commit that settled it
//	pending  statePending | BE8 key | uvarint due | uvarint timer | failures
type pending struct {
	done bool
	// settled is the last position when the settling commit was executed.
	settled event.Position
	// key is the hash of what orders it, 0: nothing.
	key uint64
	// due is when it is ready, in nanoseconds since 1970, by the timer; 0: it is.
	due   int64
	timer uint64
	// failures are the attempts so far, all of which failed.
	failures failures
}

func (p *pending) append(dst []byte) []byte {
	if p.done {
		return binary.AppendUvarint(append(dst, stateDone), uint64(p.settled))
	}
	dst = binary.BigEndian.AppendUint64(append(dst, statePending), p.key)
	dst = binary.AppendUvarint(dst, uint64(p.due))
	dst = binary.AppendUvarint(dst, p.timer)
	return p.failures.append(dst)
}

// parsePending reads a row, which the failures alias.
func parsePending(row []byte) (pending, error) {
	r := reader{rest: row}
	var p pending
	switch r.byte() {
	case stateDone:
		p.done, p.settled = true, event.Position(r.uvarint())
	case statePending:
		p.key, p.due, p.timer = r.be8(), int64(r.uvarint()), r.uvarint()
		p.failures = r.failures()
	default:
		r.bad = true
	}
	return p, r.done("event of a generation")
}

// isPending looks at the state alone.
func isPending(row []byte) bool { return len(row) > 0 && row[0] == statePending }

// getPending reads the row of an event, false if there is none.
func getPending(tx *consensus.Tx, generation uint64, position event.Position) (pending, bool, error) {
	row, err := tx.Get(eventKey(kindPending, generation, position))
	if row == nil || err != nil {
		return pending{}, false, err
	}
	p, err := parsePending(row)
	return p, err == nil, err
}

func putPending(tx *consensus.Tx, generation uint64, position event.Position, p *pending) {
	tx.Put(eventKey(kindPending, generation, position), p.append(make([]byte, 0, 24)))
}
