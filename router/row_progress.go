package router

import (
	"encoding/binary"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// progress is the row of a generation, small since each advance writes it:
//
//	version | BE8 cursor | BE8 trimmed | BE8 pin | BE8 relics | name
type progress struct {
	// name of the subscription; it aliases the row.
	name []byte
	// cursor: every event at or below it that matches is done, pending or dead.
	cursor event.Position
	// trimmed: below it there are no rows of events that are done.
	trimmed event.Position
	// pin is what keeps retention back, 0: nothing. No event below it is pending,
	// unless retention had passed that before.
	pin event.Position
	// relics is the last dead letter beyond the cursor of when the generation began,
	// after a seek backwards; 0: there was none, or the cursor has passed it.
	relics event.Position
}

func (g *progress) append(dst []byte) []byte {
	dst = append(dst, rowVersion)
	for _, p := range []event.Position{g.cursor, g.trimmed, g.pin, g.relics} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(p))
	}
	return append(dst, g.name...)
}

func parseProgress(row []byte) (progress, error) {
	r := reader{rest: row}
	r.version()
	g := progress{
		cursor: event.Position(r.be8()), trimmed: event.Position(r.be8()),
		pin: event.Position(r.be8()), relics: event.Position(r.be8()),
	}
	g.name, r.rest = r.rest, nil
	return g, r.done("progress")
}

// getProgress reads the progress of a generation, false if there is no such generation
// or it is over.
func getProgress(tx *consensus.Tx, generation uint64) (progress, bool, error) {
	row, err := tx.Get(numberKey(kindProgress, generation))
	if row == nil || err != nil {
		return progress{}, false, err
	}
	g, err := parseProgress(row)
	return g, err == nil, err
}

func putProgress(tx *consensus.Tx, generation uint64, g *progress) {
	tx.Put(numberKey(kindProgress, generation), g.append(make([]byte, 0, 33+len(g.name))))
}
