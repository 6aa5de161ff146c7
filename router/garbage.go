package router

import (
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/timers"
)

// The value of a garbage row says what is to be swept under its number: the events of
// the generation, the dead letters of the id, or both. A first generation has the number
// of its subscription's id.
const (
	garbagePending = 1 << iota
	garbageDead
)

// maxSweep is how many rows one operation sweeps.
const maxSweep = 1000

// discard marks rows to be swept.
func discard(tx *consensus.Tx, number uint64, what byte) error {
	key := numberKey(kindGarbage, number)
	row, err := tx.Get(key)
	if err != nil {
		return err
	}
	if len(row) == 1 {
		what |= row[0]
	}
	tx.Put(key, []byte{what})
	return nil
}

// sweep executes sweep: it deletes some of the rows that were discarded, and the mark
// with the last of them.
func (m *Machine) sweep(tx *consensus.Tx, o sweepOp) ([]byte, error) {
	key := numberKey(kindGarbage, o.number)
	row, err := tx.Get(key)
	if len(row) != 1 || err != nil {
		return nil, err
	}
	what, left := row[0], min(o.limit, maxSweep)
	if what&garbagePending != 0 {
		left, err = sweepRows(tx, kindPending, o.number, left, func(key, row []byte) error { return m.sweepPending(tx, row) })
	}
	if err == nil && what&garbageDead != 0 {
		left, err = sweepRows(tx, kindDead, o.number, left, func(key, _ []byte) error {
			tx.Unpin(positionOf(key), deadPin(o.number))
			return nil
		})
	}
	if err != nil || left <= 0 {
		return nil, err
	}
	tx.Delete(key)
	return nil, nil
}

// sweepRows deletes at most limit rows under a number and returns how many more it could
// have: 0 or less says that there may be others.
func sweepRows(tx *consensus.Tx, kind byte, number uint64, limit int, each func(key, row []byte) error) (left int, err error) {
	it := tx.Scan(eventKey(kind, number, 0), eventsEnd(kind, number), false)
	defer it.Close()
	for ; limit > 0 && it.Next(); limit-- {
		if err := each(it.Key(), it.Value()); err != nil {
			return 0, err
		}
		tx.Delete(it.Key())
	}
	return limit, it.Err()
}

// sweepPending takes back the timer of an event that waits.
func (m *Machine) sweepPending(tx *consensus.Tx, row []byte) error {
	p, err := parsePending(row)
	if err == nil && p.due != 0 {
		m.timers.Cancel(tx, timers.Timer{Due: p.due, Number: p.timer})
	}
	return err
}
