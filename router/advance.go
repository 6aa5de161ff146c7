package router

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

const (
	// keptDone is how far behind the cursor rows of events that are done stay, to tell
	// who settles again which commit was first.
	keptDone = 10_000
	// trimStep is how many positions are trimmed at a time, and how many rows beyond
	// twice those that come in.
	trimStep = 1000
)

// advance executes advance: the events that match up to a new cursor are pending.
func (m *Machine) advance(tx *consensus.Tx, o advanceOp) ([]byte, error) {
	g, ok, err := getProgress(tx, o.generation)
	if !ok || err != nil || g.cursor != o.from {
		return nil, err
	}
	g.name = append(make([]byte, 0, len(g.name)), g.name...) // the row changes
	if err := g.buryRelics(tx, &o); err != nil {
		return nil, err
	}
	key := eventKey(kindPending, o.generation, 0)
	row := (&pending{}).append(make([]byte, 0, 16))
	keys, added := o.keys, 0
	err = unpackPositions(o.positions, o.from, o.to, func(p event.Position) error {
		binary.BigEndian.PutUint64(key[9:], uint64(p))
		if len(o.keys) > 0 {
			if len(keys) < 8 {
				return fmt.Errorf("%w: fewer keys than positions", errWire)
			}
			copy(row[1:9], keys)
			keys = keys[8:]
		}
		tx.Put(key, row)
		added++
		return nil
	})
	if err == nil && len(keys) > 0 {
		err = fmt.Errorf("%w: more keys than positions", errWire)
	}
	if err != nil {
		return nil, proposed("advance", err)
	}
	g.cursor = o.to
	if err := trim(tx, o.generation, &g, 2*added+trimStep); err != nil {
		return nil, err
	}
	putProgress(tx, o.generation, &g)
	tx.Note(noteAdvanced{o.generation, o.to})
	return nil, nil
}

// buryRelics deletes the dead letters of earlier generations that are pending again by
// an advance: an event is either. What the advance passes without a match stays dead.
func (g *progress) buryRelics(tx *consensus.Tx, o *advanceOp) error {
	if g.relics == 0 {
		return nil
	}
	s, err := ownSubscription(tx, g.name)
	if err != nil {
		return err
	}
	err = unpackPositions(o.positions, o.from, o.to, func(p event.Position) error {
		if p > g.relics {
			return nil
		}
		row, err := tx.Get(eventKey(kindDead, s.id, p))
		if row == nil || err != nil {
			return err
		}
		deleteDead(tx, s.id, p)
		return takenUp(tx, s.id, p)
	})
	if err != nil {
		return proposed("advance", err)
	}
	if o.to >= g.relics {
		g.relics = 0
	}
	return nil
}

// trim deletes rows of events that have been done for long. It looks at no more rows
// than it is told; what is left is trimmed with the next.
func trim(tx *consensus.Tx, generation uint64, g *progress, rows int) error {
	if g.cursor < g.trimmed+keptDone+trimStep {
		return nil
	}
	end := g.cursor - keptDone
	it := tx.Scan(eventKey(kindPending, generation, g.trimmed), eventKey(kindPending, generation, end), false)
	defer it.Close()
	for ; rows > 0 && it.Next(); rows-- {
		if p := positionOf(it.Key()); !isPending(it.Value()) {
			tx.Delete(eventKey(kindPending, generation, p))
		}
		g.trimmed = positionOf(it.Key()) + 1
	}
	if rows > 0 {
		g.trimmed = end
	}
	return it.Err()
}

// checkpoint executes checkpoint: cursors that met no match move, and so do pins.
func (m *Machine) checkpoint(tx *consensus.Tx, moves []move) ([]byte, error) {
	for _, o := range moves {
		g, ok, err := getProgress(tx, o.generation)
		if err != nil {
			return nil, err
		}
		if !ok || g.cursor != o.from {
			continue
		}
		g.name = append(make([]byte, 0, len(g.name)), g.name...) // the row changes
		was := g
		if g.cursor = o.to; o.to >= g.relics {
			g.relics = 0
		}
		if err := trim(tx, o.generation, &g, trimStep); err != nil {
			return nil, err
		}
		if err := movePin(tx, o.generation, &g); err != nil {
			return nil, err
		}
		if g.cursor != was.cursor || g.trimmed != was.trimmed || g.pin != was.pin {
			putProgress(tx, o.generation, &g)
		}
		if o.to != o.from {
			tx.Note(noteAdvanced{o.generation, o.to})
		}
	}
	return nil, nil
}
