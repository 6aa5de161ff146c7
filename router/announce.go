package router

import (
	"encoding/binary"
	"strconv"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

const (
	// announceTries bounds how many ids are tried for an event that the machine appends. A
	// client may have taken some: that must stop neither the node nor, for long, this.
	announceTries = 3
	// maxForgotten is how many rows of announcing events that retention has ended go with
	// each new one.
	maxForgotten = 4
)

// announce appends an event to the dead-letter stream. No two of them are ever the same
// event, whatever is said again. Which they are is kept in rows of their positions, since
// apply does not read the journal.
func announce(tx *consensus.Tx, config *event.Subscription, typ string, data []byte) error {
	e := event.Event{
		Source: deadSource, Type: typ, Subject: config.Name,
		DataContentType: "application/json", Data: data,
	}
	for range announceTries {
		e.ID = strconv.FormatUint(tx.Incarnation(), 10)
		position, revision, err := tx.Append(config.DeadLetterStream, event.ExpectAny, event.AppendEvent(nil, &e))
		switch {
		case event.CodeOf(err) == event.CodeIDConflict || err == nil && revision == 0:
		case err != nil:
			return err
		default:
			tx.Put(announcedKey(position), []byte{rowVersion})
			return forgetAnnounced(tx)
		}
	}
	return nil
}

// isAnnounced reports whether announce appended the event at a position.
func isAnnounced(tx *consensus.Tx, p event.Position) (bool, error) {
	row, err := tx.Get(announcedKey(p))
	return row != nil, err
}

// forgetAnnounced deletes some of the rows of events that retention has ended.
func forgetAnnounced(tx *consensus.Tx) error {
	gone, err := endedAnnounced(tx)
	for _, p := range gone {
		tx.Delete(announcedKey(p))
	}
	return err
}

func endedAnnounced(tx *consensus.Tx) (gone []event.Position, err error) {
	it := tx.Scan(announcedKey(0), announcedKey(tx.First()), false)
	defer it.Close()
	for len(gone) < maxForgotten && it.Next() {
		gone = append(gone, event.Position(binary.BigEndian.Uint64(it.Key()[1:])))
	}
	return gone, it.Err()
}

func announcedKey(p event.Position) []byte { return numberKey(kindAnnounced, uint64(p)) }
