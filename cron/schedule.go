package cron

import (
	"bytes"
	"encoding/binary"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// maxSchedules is how many schedules there may be.
const maxSchedules = 1_000_000

// create executes create_schedule.
func (m *Machine) create(tx *consensus.Tx, o createOp) ([]byte, error) {
	row, err := tx.Get(nameKey(o.name))
	if err != nil {
		return nil, err
	}
	if row != nil {
		return nil, event.Errorf(event.CodeExists, "schedule %q exists", o.name)
	}
	spec, err := storedSpec(o.spec)
	if err != nil {
		return nil, err
	}
	if err := inTime(tx, &spec); err != nil {
		return nil, err
	}
	if err := count(tx, +1); err != nil {
		return nil, err
	}
	now := max(tx.Now(), 0)
	s := schedule{
		definition: definition{incarnation: tx.Incarnation(), created: now, spec: o.spec},
		state:      state{revision: 1, through: now, left: spec.limit, paused: o.paused, note: o.note, name: o.name},
		spec:       spec,
	}
	s.putDefinition(tx)
	s.put(tx)
	tx.Note(noteSchedule{string(o.name)})
	return changed(&s), nil
}

// inTime refuses a spec whose times have passed.
func inTime(tx *consensus.Tx, s *Spec) error {
	switch {
	case s.at != 0 && s.at <= tx.Now():
		return invalid("at: has passed")
	case s.end != 0 && s.end <= tx.Now():
		return invalid("end: has passed")
	}
	return nil
}

// update executes update_schedule.
func (m *Machine) update(tx *consensus.Tx, o updateOp) ([]byte, error) {
	s, err := byName(tx, o.name)
	if err != nil {
		return nil, err
	}
	spec, err := storedSpec(o.spec)
	if err != nil {
		return nil, err
	}
	if o.revision != 0 && o.revision != s.revision {
		e := event.Errorf(event.CodeRevisionConflict, "schedule %q is at revision %d, expected %d", o.name, s.revision, o.revision)
		e.Stream, e.Expected, e.Actual = streamPrefix+string(o.name), event.Expected(o.revision), event.Revision(s.revision)
		return nil, e
	}
	if bytes.Equal(s.definition.spec, o.spec) {
		return changed(s), nil
	}
	if err := inTime(tx, &spec); err != nil {
		return nil, err
	}
	if err := m.fireDue(tx, s); err != nil {
		return nil, err
	}
	if s.spec.limit != spec.limit {
		s.left = spec.limit
	}
	// Where its fires have been used up they stay so, until there are others.
	s.ended = s.ended && s.spec.limit != 0 && s.spec.limit == spec.limit && s.left == 0
	s.definition.spec, s.spec = o.spec, spec
	s.putDefinition(tx)
	s.restart(tx)
	return changed(s), nil
}

// restart begins the schedule's times anew, with those after now.
func (s *schedule) restart(tx *consensus.Tx) {
	s.revision++
	s.through = max(s.through, tx.Now())
	s.next, s.due = 0, 0
	s.put(tx)
	tx.Note(noteSchedule{string(s.name)})
}

// fireDue fires a schedule for the time that the leader is about to fire it for, before
// a change that would forget it.
func (m *Machine) fireDue(tx *consensus.Tx, s *schedule) error {
	if s.paused || s.ended || s.next == 0 || s.due > tx.Now() {
		return nil
	}
	s.through = s.next
	err := m.fireScheduled(tx, s, s.next)
	s.put(tx) // what was done was of this action
	return err
}

// delete executes delete_schedule.
func (m *Machine) delete(tx *consensus.Tx, name []byte) ([]byte, error) {
	s, err := byName(tx, name)
	if err != nil {
		return nil, err
	}
	tx.Delete(nameKey(name))
	tx.Delete(numberKey(kindState, s.incarnation))
	if err := deleteAll(tx, numberKey(kindBuffered, s.incarnation), numberKey(kindBuffered, s.incarnation+1)); err != nil {
		return nil, err
	}
	if err := deleteAll(tx, numberKey(kindBackfill, s.incarnation), numberKey(kindBackfill, s.incarnation+1)); err != nil {
		return nil, err
	}
	tx.Note(noteSchedule{string(name)})
	return nil, count(tx, -1)
}

// deleteAll deletes the rows of [lo, hi), of which there are few.
func deleteAll(tx *consensus.Tx, lo, hi []byte) error {
	keys, err := keysOf(tx, lo, hi, maxBuffered)
	for _, key := range keys {
		tx.Delete(key)
	}
	return err
}

// keysOf returns the first keys of [lo, hi).
func keysOf(tx *consensus.Tx, lo, hi []byte, limit int) ([][]byte, error) {
	it := tx.Scan(lo, hi, false)
	defer it.Close()
	var keys [][]byte
	for len(keys) < limit && it.Next() {
		keys = append(keys, bytes.Clone(it.Key()))
	}
	return keys, it.Err()
}

// pause executes pause_schedule.
func (m *Machine) pause(tx *consensus.Tx, o pauseOp) ([]byte, error) {
	s, err := byName(tx, o.name)
	if err != nil {
		return nil, err
	}
	was := s.paused
	if was == o.paused && bytes.Equal(s.note, o.note) {
		return changed(s), nil
	}
	if err := m.fireDue(tx, s); err != nil {
		return nil, err
	}
	s.paused, s.note = o.paused, o.note
	if was == o.paused {
		s.put(tx)
	} else {
		s.restart(tx)
	}
	return changed(s), nil
}

// trigger executes trigger_schedule.
func (m *Machine) trigger(tx *consensus.Tx, name []byte) ([]byte, error) {
	s, err := byName(tx, name)
	if err != nil {
		return nil, err
	}
	done, err := m.fire(tx, s, fire{incarnation: s.incarnation, kind: kindTrigger, batch: tx.Incarnation(), nominal: max(tx.Now(), 0)})
	if err != nil {
		return nil, err
	}
	s.put(tx)
	return done.result(), nil
}

// count keeps the number of schedules within what may be.
func count(tx *consensus.Tx, by int) error {
	row, err := tx.Get(countKey)
	if err != nil {
		return err
	}
	n, err := parseCount(row)
	if err != nil {
		return err
	}
	if n += uint64(by); n > maxSchedules {
		return event.Errorf(event.CodeQuotaExceeded, "there are %d schedules, as many as may be", maxSchedules)
	}
	tx.Put(countKey, binary.AppendUvarint(nil, n))
	return nil
}

// parseCount reads the row of the number of schedules, of which there may be none.
func parseCount(row []byte) (uint64, error) {
	if row == nil {
		return 0, nil
	}
	r := reader{rest: row}
	n := r.uvarint()
	return n, r.done("number of schedules")
}

// changed is an edri.v1.OpResult with schedule_changed.
func changed(s *schedule) []byte {
	body := appendUint(nil, 1, s.incarnation)
	return appendMessage(nil, 30, appendUint(body, 2, s.revision))
}
