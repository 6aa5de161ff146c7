package router

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// maxRelease is how many rows of events one operation looks at, and how many pins of
// dead letters and requests it ends.
const maxRelease = 1000

// release executes release: what has held retention back for longer than it may does so
// no more. What a subscription loses by that an event says. A dead letter stays, and so
// does a request: only their events may go.
func (m *Machine) release(tx *consensus.Tx, o releaseOp) ([]byte, error) {
	for _, p := range o.pinned {
		if p.id == 0 {
			tx.Unpin(p.position, requestPin())
		} else {
			tx.Unpin(p.position, deadPin(p.id))
		}
	}
	g, ok, err := getProgress(tx, o.generation)
	if !ok || err != nil {
		return nil, err
	}
	g.name = bytes.Clone(g.name) // the row changes
	was := g
	// It may need less than it has pinned.
	if err := movePin(tx, o.generation, &g); err != nil {
		return nil, err
	}
	before := min(o.before, tx.Position()+1)
	if g.pin != 0 && g.pin < before {
		err = m.lose(tx, o.generation, &g, before, min(o.limit, maxRelease))
	}
	if err == nil && g.pin != was.pin {
		putProgress(tx, o.generation, &g)
	}
	return nil, err
}

// lose ends what a generation has pinned before a position, or of its rows the first
// few: then it may be asked again.
func (m *Machine) lose(tx *consensus.Tx, generation uint64, g *progress, before event.Position, limit int) error {
	from := g.pin
	list, end, err := pendingBetween(tx, generation, from, before, limit)
	if err != nil || end == from {
		return err
	}
	if len(list) > 0 || end > g.cursor+1 {
		if err := m.announceLost(tx, generation, g, end-1, len(list)); err != nil {
			return fmt.Errorf("append what is lost: %w", unforeseen{err})
		}
		for _, position := range list {
			if err := m.loseOne(tx, generation, g, position); err != nil {
				return err
			}
		}
		tx.Note(noteLost{generation, from, end - 1})
	}
	if g.cursor = max(g.cursor, end-1); g.cursor >= g.relics {
		g.relics = 0
	}
	// Up to here nothing is needed any more.
	tx.Unpin(from, generationPin(generation))
	if g.pin, err = pin(tx, end, generationPin(generation)); err != nil {
		return err
	}
	return movePin(tx, generation, g)
}

// pendingBetween returns the events in [from, before) that are pending, looking at no
// more rows than it is told, and where it stopped.
func pendingBetween(tx *consensus.Tx, generation uint64, from, before event.Position, rows int) (list []event.Position, end event.Position, err error) {
	it := tx.Scan(eventKey(kindPending, generation, from), eventKey(kindPending, generation, before), false)
	defer it.Close()
	for end = from; rows > 0; rows-- {
		if !it.Next() {
			return list, before, it.Err()
		}
		end = positionOf(it.Key()) + 1
		if isPending(it.Value()) {
			list = append(list, end-1)
		}
	}
	return list, end, nil
}

// loseOne ends an event as if it were done by the event that says that it is lost.
func (m *Machine) loseOne(tx *consensus.Tx, generation uint64, g *progress, position event.Position) error {
	p, ok, err := getPending(tx, generation, position)
	if !ok || err != nil {
		return err
	}
	c := &claim{Machine: m, tx: tx, generation: generation, position: position, pending: p}
	c.end(g.trimmed)
	return nil
}

// announceLost appends the event that says what a subscription loses, up to a position.
func (m *Machine) announceLost(tx *consensus.Tx, generation uint64, g *progress, to event.Position, count int) error {
	s, err := ownSubscription(tx, g.name)
	if err != nil {
		return err
	}
	config, err := appliedConfig(g.name, s.config)
	if err != nil {
		return err
	}
	return announce(tx, &config, lostType, lostData(config.Name, generation, g, to, count))
}

// lostData is the data of the event, written to the byte for the same reason as that of
// a dead letter.
func lostData(name string, generation uint64, g *progress, to event.Position, count int) []byte {
	b := append([]byte(nil), `{"subscription":`...)
	b = event.AppendQuoted(b, name)
	for _, f := range []struct {
		name  string
		value uint64
	}{
		{"generation", generation}, {"from", uint64(g.pin)}, {"to", uint64(to)},
		{"cursor", uint64(g.cursor)},
	} {
		b = append(append(append(b, `,"`...), f.name...), `":"`...)
		b = append(strconv.AppendUint(b, f.value, 10), '"')
	}
	b = strconv.AppendUint(append(b, `,"pending":`...), uint64(count), 10)
	return append(b, '}')
}
