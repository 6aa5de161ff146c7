package router

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// maxSubscriptions is how many subscriptions there may be.
const maxSubscriptions = 100_000

// create executes create_subscription.
func (m *Machine) create(tx *consensus.Tx, o createOp) ([]byte, error) {
	s, ok, err := getSubscription(tx, o.name)
	switch {
	case err != nil:
		return nil, err
	case ok && !o.ensure:
		return nil, event.Errorf(event.CodeExists, "subscription %q exists", o.name)
	case ok:
		// Of those that run beside each other the newest wins, in whichever order they come.
		if err := notOlder(event.CodeExists, o.name, s.config, o.config); err != nil {
			return nil, err
		}
		return m.configure(tx, o.name, s, o.config)
	}
	if err := count(tx, +1); err != nil {
		return nil, err
	}
	cursor, err := startCursor(tx, o.start)
	if err != nil {
		return nil, err
	}
	id := tx.Incarnation()
	s = subscription{generation: id, id: id, config: o.config}
	if err := begin(tx, o.name, &s, cursor); err != nil {
		return nil, err
	}
	return changed(id, true), nil
}

// notOlder refuses a definition that is older than the one that is there.
func notOlder(code event.Code, name, was, is []byte) error {
	old, _, err := decodeConfig(was)
	if err != nil {
		return fmt.Errorf("%w: config of %q: %w", errRow, name, err)
	}
	s, _, err := decodeConfig(is)
	if err != nil {
		return fmt.Errorf("%w: config: %v", consensus.ErrUndecodable, err)
	}
	if s.Version < old.Version {
		return event.Errorf(code, "subscription %q has version %d of its definition, which is newer than %d", name, old.Version, s.Version)
	}
	return nil
}

// update executes update_subscription.
func (m *Machine) update(tx *consensus.Tx, o updateOp) ([]byte, error) {
	s, err := mustSubscription(tx, o.name)
	if err != nil {
		return nil, err
	}
	if !o.force {
		if err := notOlder(event.CodeCheckFailed, o.name, s.config, o.config); err != nil {
			return nil, err
		}
	}
	return m.configure(tx, o.name, s, o.config)
}

// configure gives a subscription another config.
func (m *Machine) configure(tx *consensus.Tx, name []byte, s subscription, config []byte) ([]byte, error) {
	if bytes.Equal(s.config, config) {
		return changed(s.generation, false), nil
	}
	was, err := appliedConfig(name, s.config)
	if err != nil {
		return nil, err
	}
	is, err := appliedConfig(name, config)
	if err != nil {
		return nil, err
	}
	if was.OrderingKey != is.OrderingKey {
		// What is pending has the keys that ordered it until now.
		waits, err := anyPending(tx, s.generation)
		if err != nil {
			return nil, err
		}
		if waits {
			return nil, event.Errorf(event.CodeCheckFailed, "the ordering key of subscription %q changes only while nothing is pending", name)
		}
	}
	s.config = config
	putSubscription(tx, name, &s)
	tx.Note(noteSubscription{string(name)})
	return changed(s.generation, false), nil
}

// delete executes delete_subscription. Its dead letters go with it.
func (m *Machine) delete(tx *consensus.Tx, name []byte) ([]byte, error) {
	s, err := mustSubscription(tx, name)
	if err != nil {
		return nil, err
	}
	if err := end(tx, s.generation); err != nil {
		return nil, err
	}
	if err := discard(tx, s.id, garbageDead); err != nil {
		return nil, err
	}
	tx.Delete(subscriptionKey(name))
	tx.Note(noteSubscription{string(name)})
	return nil, count(tx, -1)
}

// pause executes pause_subscription.
func (m *Machine) pause(tx *consensus.Tx, o pauseOp) ([]byte, error) {
	s, err := mustSubscription(tx, o.name)
	if err != nil {
		return nil, err
	}
	if s.paused != o.paused || !bytes.Equal(s.note, o.note) {
		s.paused, s.note = o.paused, o.note
		putSubscription(tx, o.name, &s)
		tx.Note(noteSubscription{string(o.name)})
	}
	return changed(s.generation, false), nil
}

// seek executes seek_subscription: a new generation in place of the old one.
func (m *Machine) seek(tx *consensus.Tx, o seekOp) ([]byte, error) {
	s, err := mustSubscription(tx, o.name)
	if err != nil {
		return nil, err
	}
	cursor, err := startCursor(tx, o.start)
	if err != nil {
		return nil, err
	}
	s.note, s.config = bytes.Clone(s.note), bytes.Clone(s.config) // the row changes
	if err := end(tx, s.generation); err != nil {
		return nil, err
	}
	s.generation = tx.Incarnation()
	if err := begin(tx, o.name, &s, cursor); err != nil {
		return nil, err
	}
	return changed(s.generation, false), nil
}

// begin begins the generation of a subscription.
func begin(tx *consensus.Tx, name []byte, s *subscription, cursor event.Position) error {
	putSubscription(tx, name, s)
	relics, err := lastDead(tx, s.id, cursor)
	if err != nil {
		return err
	}
	g := progress{name: name, cursor: cursor, trimmed: cursor + 1, relics: relics}
	if err := movePin(tx, s.generation, &g); err != nil {
		return err
	}
	putProgress(tx, s.generation, &g)
	tx.Note(noteSubscription{string(name)})
	return nil
}

// end ends a generation. Its rows are swept later.
func end(tx *consensus.Tx, generation uint64) error {
	g, ok, err := getProgress(tx, generation)
	if !ok || err != nil {
		return err
	}
	if g.pin != 0 {
		tx.Unpin(g.pin, generationPin(generation))
	}
	tx.Delete(numberKey(kindProgress, generation))
	return discard(tx, generation, garbagePending)
}

// startCursor returns the cursor with which a start begins.
func startCursor(tx *consensus.Tx, s start) (event.Position, error) {
	first := tx.First()
	switch s.kind {
	case startFirst:
		return first - 1, nil
	case startPosition:
		if s.position < first {
			e := event.Errorf(event.CodeCompacted, "start at position %d: the journal begins at %d", s.position, first)
			e.First = first
			return 0, e
		}
		return s.position - 1, nil
	}
	return tx.Position(), nil
}

// count keeps the number of subscriptions within what may be.
func count(tx *consensus.Tx, by int) error {
	row, err := tx.Get(countKey)
	if err != nil {
		return err
	}
	n := 0
	if row != nil {
		r := reader{rest: row}
		n = int(r.uvarint())
		if err := r.done("number of subscriptions"); err != nil {
			return err
		}
	}
	if n += by; n > maxSubscriptions {
		return event.Errorf(event.CodeQuotaExceeded, "there are %d subscriptions, as many as may be", maxSubscriptions)
	}
	tx.Put(countKey, binary.AppendUvarint(nil, uint64(n)))
	return nil
}
