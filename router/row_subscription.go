package router

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// subscription is the row of a subscription:
//
//	version | uvarint generation | uvarint id | paused | uvarint length, note | config
//
// The config is the edri.v1.SubscriptionConfig as it came.
type subscription struct {
	generation uint64
	id         uint64 // the incarnation at its creation, under which its dead letters are
	paused     bool
	note       []byte
	config     []byte
}

func (s *subscription) append(dst []byte) []byte {
	dst = append(dst, rowVersion)
	dst = binary.AppendUvarint(dst, s.generation)
	dst = binary.AppendUvarint(dst, s.id)
	paused := byte(0)
	if s.paused {
		paused = 1
	}
	return append(appendText(append(dst, paused), s.note), s.config...)
}

// parseSubscription reads a row, which note and config alias.
func parseSubscription(row []byte) (subscription, error) {
	r := reader{rest: row}
	r.version()
	s := subscription{generation: r.uvarint(), id: r.uvarint(), paused: r.byte() != 0, note: r.text()}
	s.config, r.rest = r.rest, nil
	return s, r.done("subscription")
}

// getSubscription reads the subscription of a name, false if there is none. What it
// returns aliases the row.
func getSubscription(tx *consensus.Tx, name []byte) (subscription, bool, error) {
	row, err := tx.Get(subscriptionKey(name))
	if row == nil || err != nil {
		return subscription{}, false, err
	}
	s, err := parseSubscription(row)
	return s, err == nil, err
}

func putSubscription(tx *consensus.Tx, name []byte, s *subscription) {
	tx.Put(subscriptionKey(name), s.append(nil))
}

// mustSubscription is getSubscription for one that an operation names, or not_found.
func mustSubscription(tx *consensus.Tx, name []byte) (subscription, error) {
	s, ok, err := getSubscription(tx, name)
	if err == nil && !ok {
		err = event.Errorf(event.CodeNotFound, "subscription %q does not exist", name)
	}
	return s, err
}

// ownSubscription is getSubscription for the name that a progress row gives, where it
// must be.
func ownSubscription(tx *consensus.Tx, name []byte) (subscription, error) {
	s, ok, err := getSubscription(tx, name)
	if err == nil && !ok {
		err = fmt.Errorf("%w: no subscription %q for its generation", errRow, name)
	}
	return s, err
}
