package kv

import (
	"bytes"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// supersede makes the entry was (which may not have been there) history, cancels its
// timer, and cuts the history to what is to be kept beside the entry is, which gets the
// account of it.
func (m *Machine) supersede(p *place, key []byte, was *entry, there bool, is *entry) error {
	beside := uint64(p.config.History - 1)
	switch {
	case !there:
		tombstone, ok, err := newest(p.tx, p.id, key)
		if err != nil {
			return err
		}
		if ok {
			m.timers.Cancel(p.tx, tombstone.timerOf())
			is.kept, is.cut = tombstone.kept, tombstone.cut
		}
	default:
		if was.timer != 0 {
			m.timers.Cancel(p.tx, was.timerOf())
		}
		is.kept, is.cut = was.kept, was.cut
		if beside == 0 {
			is.cut = true
			break
		}
		old := *was
		old.timer = 0 // due tells when it would have expired
		p.tx.Put(historyKey(p.id, key, was.revision), old.append(nil))
		is.kept++
	}
	if is.kept <= beside {
		return nil
	}
	cut := is.kept - beside
	is.kept, is.cut = beside, true
	return dropHistory(p.tx, p.id, key, cut)
}

// dropHistory deletes the n oldest history rows of a key.
func dropHistory(tx *consensus.Tx, id uint64, key []byte, n uint64) error {
	it := tx.Scan(historyKey(id, key, 0), historyEnd(id, key), false)
	defer it.Close()
	for ; n > 0 && it.Next(); n-- {
		tx.Delete(it.Key())
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("cut history: %w", err)
	}
	if n > 0 {
		return fmt.Errorf("%w: %d entries of history are missing", errRow, n)
	}
	return nil
}

// newest returns the newest history row of a key.
func newest(tx *consensus.Tx, id uint64, key []byte) (entry, bool, error) {
	it := tx.Scan(historyKey(id, key, 0), historyEnd(id, key), true)
	defer it.Close()
	if !it.Next() {
		return entry{}, false, it.Err()
	}
	e, err := parseEntry(bytes.Clone(it.Value()))
	return e, err == nil, err
}

// purge forgets what is kept of a key that is not there.
func (m *Machine) purge(p *place, key []byte) error {
	tombstone, ok, err := newest(p.tx, p.id, key)
	if !ok || err != nil {
		return err
	}
	m.timers.Cancel(p.tx, tombstone.timerOf())
	p.floor = max(p.floor, tombstone.revision)
	return dropHistory(p.tx, p.id, key, tombstone.kept)
}

// forget is called when the history of a key that is not there goes.
func forget(tx *consensus.Tx, t timers.Timer, id uint64, key []byte) error {
	p, ok, err := placeOf(tx, id)
	if !ok || err != nil {
		return err
	}
	tombstone, ok, err := newest(tx, id, key)
	if err != nil || !ok || tombstone.timer != t.Number {
		return err
	}
	p.floor = max(p.floor, tombstone.revision)
	p.save()
	return dropHistory(tx, id, key, tombstone.kept)
}

// placeOf returns a bucket by its id, false if it is gone.
func placeOf(tx *consensus.Tx, id uint64) (place, bool, error) {
	row, err := tx.Get(idKey(kindContent, id))
	if row == nil || err != nil {
		return place{}, false, err
	}
	c, err := parseContent(row)
	if err != nil {
		return place{}, false, err
	}
	p, err := at(tx, c.name)
	if err == nil && p.id != id {
		err = fmt.Errorf("%w: bucket %q is %d, not %d", errRow, p.name, p.id, id)
	}
	return p, err == nil, err
}

// retryExpiry is how much later an expiry is tried again whose event could not be
// appended since a client has taken its ids, in nanoseconds.
const retryExpiry = 1e9

// expire is called when the time of a key is over.
func (m *Machine) expire(tx *consensus.Tx, t timers.Timer, id uint64, key []byte) error {
	p, ok, err := placeOf(tx, id)
	if !ok || err != nil {
		return err
	}
	was, ok, err := p.entry(key)
	if err != nil || !ok || was.timer != t.Number {
		return err
	}
	_, err = m.remove(&p, key, &was, KindExpired)
	if event.CodeOf(err) == event.CodeIDConflict {
		again := m.timers.Set(tx, m, max(tx.Now(), t.Due)+retryExpiry, timerPayload(timerExpire, id, key))
		was.due, was.timer = again.Due, again.Number
		tx.Put(entryKey(id, key), was.append(nil))
		return nil
	}
	if err != nil {
		return err
	}
	p.save()
	return nil
}
