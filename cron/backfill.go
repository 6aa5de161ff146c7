package cron

import (
	"encoding/binary"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// maxBackfills is how many backfills of a schedule may be under way.
const maxBackfills = 10

// backfillRow is the row of a backfill that is under way, under the schedule's
// incarnation and its batch: version | BE8 cursor | BE8 to. Times up to the cursor are
// done.
type backfillRow struct{ cursor, to int64 }

func (b backfillRow) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, rowVersion), uint64(b.cursor))
	return binary.BigEndian.AppendUint64(dst, uint64(b.to))
}

func parseBackfill(row []byte) (backfillRow, error) {
	r := reader{rest: row}
	r.version()
	b := backfillRow{cursor: int64(r.be8()), to: int64(r.be8())}
	return b, r.done("backfill")
}

// backfill executes backfill_schedule: the leader goes on with it.
func (m *Machine) backfill(tx *consensus.Tx, o backfillOp) ([]byte, error) {
	s, err := byName(tx, o.name)
	if err != nil {
		return nil, err
	}
	if o.to > tx.Now() {
		return nil, invalid("to: has not passed")
	}
	open, err := keysOf(tx, numberKey(kindBackfill, s.incarnation), numberKey(kindBackfill, s.incarnation+1), maxBackfills)
	if err != nil {
		return nil, err
	}
	if len(open) == maxBackfills {
		return nil, event.Errorf(event.CodeQuotaExceeded, "%d backfills of schedule %q are under way, as many as may be", maxBackfills, o.name)
	}
	batch := tx.Incarnation()
	tx.Put(pairKey(kindBackfill, s.incarnation, batch), backfillRow{cursor: o.from - 1, to: o.to}.append(nil))
	tx.Note(noteSchedule{string(o.name)})
	return appendMessage(nil, 32, appendUint(nil, 1, batch)), nil
}

// advanceBackfill fires a schedule for some of the times of a backfill.
func (m *Machine) advanceBackfill(tx *consensus.Tx, s *schedule, a *advance) error {
	key := pairKey(kindBackfill, a.incarnation, a.batch)
	row, err := tx.Get(key)
	if row == nil || err != nil {
		return err
	}
	b, err := parseBackfill(row)
	if err != nil {
		return err
	}
	if b.cursor != a.from || s.revision != a.revision || a.through < a.from {
		return nil
	}
	last := b.cursor
	for _, nominal := range a.fires {
		if nominal <= last || nominal > b.to {
			return nil
		}
		last = nominal
	}
	for _, nominal := range a.fires {
		if _, err := m.fire(tx, s, fire{incarnation: s.incarnation, kind: kindBackfilled, batch: a.batch, nominal: nominal}); err != nil {
			return err
		}
	}
	s.put(tx)
	if b.cursor = max(a.through, last); a.ended {
		tx.Delete(key)
	} else {
		tx.Put(key, b.append(nil))
	}
	tx.Note(noteBackfilled{incarnation: s.incarnation, batch: a.batch, cursor: b.cursor, ended: a.ended})
	return nil
}
