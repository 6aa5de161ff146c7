package router

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// maxRedrive is how many dead letters one operation redrives.
const maxRedrive = 1000

// Attributes of the events that say that an event was given up, or that some were lost.
const (
	deadType   = "edri.deadletter"
	lostType   = "edri.subscription.lost"
	deadSource = "/edri/router"
)

// giveUpAs is giveUp with the subscription read by its name.
func (c *claim) giveUpAs(name []byte) error {
	s, err := ownSubscription(c.tx, name)
	if err != nil {
		return err
	}
	config, err := appliedConfig(name, s.config)
	if err != nil {
		return err
	}
	return c.giveUp(&config, s.id)
}

// giveUp moves an event to the dead letters.
func (c *claim) giveUp(config *event.Subscription, id uint64) error {
	c.cancel()
	if err := c.announce(config); err != nil {
		return fmt.Errorf("append a dead letter: %w", unforeseen{err})
	}
	d := dead{generation: c.generation, stamp: c.tx.Stamp(), failures: c.pending.failures}
	if err := putDead(c.tx, id, c.position, &d); err != nil {
		return fmt.Errorf("keep a dead letter: %w", unforeseen{err})
	}
	c.tx.Delete(eventKey(kindPending, c.generation, c.position))
	c.tx.Note(noteDone{c.generation, c.position, c.verb, true})
	if err := givenUp(c.tx, id, c.position); err != nil {
		return fmt.Errorf("keep that a request was given up: %w", unforeseen{err})
	}
	return nil
}

// announce appends the event that says that an event was given up, unless that is itself
// one that the router appended: else a subscription that gives up what it is told of dead
// letters would be told of that, without end, and two of them of each other's.
func (c *claim) announce(config *event.Subscription) error {
	own, err := isAnnounced(c.tx, c.position)
	if own || err != nil {
		return err
	}
	return announce(c.tx, config, deadType, c.deadData(config.Name))
}

// deadData is the data of a dead letter's event. It is part of the replicated history
// and so is written here, to the byte, whatever encoding/json does one day.
func (c *claim) deadData(name string) []byte {
	b := append([]byte(nil), `{"subscription":`...)
	b = event.AppendQuoted(b, name)
	b = append(b, `,"generation":"`...)
	b = strconv.AppendUint(b, c.generation, 10)
	b = append(b, `","position":"`...)
	b = strconv.AppendUint(b, uint64(c.position), 10)
	b = append(b, `","attempts":[`...)
	for i, f := range c.pending.failures.all() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"stamp":"`...)
		b = time.Unix(0, f.stamp).UTC().AppendFormat(b, time.RFC3339Nano)
		b = append(b, `","reason":`...)
		b = append(event.AppendQuoted(b, f.reason), '}')
	}
	return append(b, "]}"...)
}

// redrive executes redrive. Dead letters beyond the cursor, which a seek backwards
// leaves, stay: the event may match again when the cursor comes there.
func (m *Machine) redrive(tx *consensus.Tx, o redriveOp) ([]byte, error) {
	s, err := mustSubscription(tx, o.name)
	if err != nil {
		return nil, err
	}
	g, ok, err := getProgress(tx, s.generation)
	if err == nil && !ok {
		err = fmt.Errorf("%w: no progress of generation %d", errRow, s.generation)
	}
	if err != nil {
		return nil, err
	}
	g.name = bytes.Clone(g.name) // the row changes
	positions, err := redrivable(tx, s.id, g.cursor, o.positions)
	if err != nil || len(positions) == 0 {
		return redriven(0), err
	}
	for _, p := range positions {
		deleteDead(tx, s.id, p)
		if err := takenUp(tx, s.id, p); err != nil {
			return nil, err
		}
		putPending(tx, s.generation, p, &pending{})
		if err := lowerPin(tx, s.generation, &g, p); err != nil {
			return nil, err
		}
		tx.Note(noteReady{s.generation, p})
	}
	putProgress(tx, s.generation, &g)
	return redriven(len(positions)), nil
}

// redrivable returns those of the wanted positions, or of all, that are dead letters up
// to the cursor; each once, at most maxRedrive.
func redrivable(tx *consensus.Tx, id uint64, cursor event.Position, wanted []event.Position) ([]event.Position, error) {
	var list []event.Position
	if len(wanted) == 0 {
		it := tx.Scan(eventKey(kindDead, id, 0), eventKey(kindDead, id, cursor+1), false)
		defer it.Close()
		for len(list) < maxRedrive && it.Next() {
			list = append(list, positionOf(it.Key()))
		}
		return list, it.Err()
	}
	seen := map[event.Position]bool{}
	for _, p := range wanted {
		if p > cursor || seen[p] {
			continue
		}
		seen[p] = true
		row, err := tx.Get(eventKey(kindDead, id, p))
		if err != nil {
			return nil, err
		}
		if row != nil {
			list = append(list, p)
		}
	}
	return list, nil
}

// lastDead returns the last dead letter beyond a position, 0 if there is none.
func lastDead(tx *consensus.Tx, id uint64, beyond event.Position) (event.Position, error) {
	it := tx.Scan(eventKey(kindDead, id, beyond+1), eventsEnd(kindDead, id), true)
	defer it.Close()
	if it.Next() {
		return positionOf(it.Key()), nil
	}
	return 0, it.Err()
}

func redriven(count int) []byte { return appendMessage(nil, 5, appendUint(nil, 1, uint64(count))) }
