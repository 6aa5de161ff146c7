package router

import (
	"encoding/binary"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// maxPinSteps is how many rows of events that are done one checkpoint passes on the way
// to the oldest that is pending. What is left it passes at the next.
const maxPinSteps = 1000

func generationPin(generation uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kindProgress}, generation)
}

func deadPin(id uint64) []byte { return binary.BigEndian.AppendUint64([]byte{kindDead}, id) }

// requestPin lasts as long as the row, for the responses too: they come after it.
func requestPin() []byte { return []byte{kindRequest} }

// pin pins a position, unless retention has passed it: then nothing can bring the event
// back, and its owner goes on without. It returns what is pinned, 0 for nothing.
func pin(tx *consensus.Tx, position event.Position, name []byte) (event.Position, error) {
	if position < tx.First() {
		return 0, nil
	}
	return position, tx.Pin(position, name)
}

// movePin pins the oldest event that a generation still needs in place of what g says is
// pinned.
func movePin(tx *consensus.Tx, generation uint64, g *progress) error {
	oldest, err := oldestNeeded(tx, generation, g)
	if err != nil || oldest == g.pin {
		return err
	}
	if g.pin != 0 {
		tx.Unpin(g.pin, generationPin(generation))
	}
	g.pin, err = pin(tx, oldest, generationPin(generation))
	return err
}

// lowerPin extends what is pinned down to a position.
func lowerPin(tx *consensus.Tx, generation uint64, g *progress, position event.Position) error {
	if g.pin != 0 && g.pin <= position {
		return nil
	}
	lower, err := pin(tx, position, generationPin(generation))
	if lower == 0 || err != nil {
		return err
	}
	if g.pin != 0 {
		tx.Unpin(g.pin, generationPin(generation))
	}
	g.pin = lower
	return nil
}

// oldestNeeded returns a position below which a generation needs no event: that of the
// oldest that is pending, else of the first beyond the cursor; or an earlier one where
// too many that are done stand before it. What retention has ended already is not
// needed any more.
func oldestNeeded(tx *consensus.Tx, generation uint64, g *progress) (event.Position, error) {
	first := tx.First()
	// Rows below trimmed are all pending, those from there to the pin all done.
	begin := max(g.trimmed, g.pin, first)
	it := tx.Scan(eventKey(kindPending, generation, first), eventKey(kindPending, generation, begin), false)
	if it.Next() && positionOf(it.Key()) < g.trimmed {
		defer it.Close()
		return positionOf(it.Key()), nil
	}
	err := it.Err()
	it.Close()
	if err != nil {
		return 0, err
	}
	it = tx.Scan(eventKey(kindPending, generation, begin), eventsEnd(kindPending, generation), false)
	defer it.Close()
	for range maxPinSteps {
		if !it.Next() {
			return max(g.cursor+1, first), it.Err()
		}
		if isPending(it.Value()) {
			return positionOf(it.Key()), nil
		}
		begin = positionOf(it.Key()) + 1
	}
	return begin, nil
}

// anyPending reports whether an event of a generation is pending.
func anyPending(tx *consensus.Tx, generation uint64) (bool, error) {
	it := tx.Scan(eventKey(kindPending, generation, 0), eventsEnd(kindPending, generation), false)
	defer it.Close()
	for it.Next() {
		if isPending(it.Value()) {
			return true, nil
		}
	}
	return false, it.Err()
}
