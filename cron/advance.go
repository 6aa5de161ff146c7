package cron

import "github.com/edri-io/edri/consensus"

// advanceAll executes an operation of the leader. An advance that is not of the state as
// it is has no effect; the leader reads the rows again and works out another.
func (m *Machine) advanceAll(tx *consensus.Tx, list []advance) ([]byte, error) {
	for i := range list {
		if err := m.advance(tx, &list[i]); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (m *Machine) advance(tx *consensus.Tx, a *advance) error {
	s, found, err := load(tx, a.incarnation)
	if err != nil || !found {
		return err
	}
	if a.batch != 0 {
		return m.advanceBackfill(tx, s, a)
	}
	if !s.allows(tx.Now(), a) {
		return nil
	}
	if a.missed.count > 0 {
		s.Missed += a.missed.count
		if err := tellMissed(tx, s, a.missed); err != nil {
			return err
		}
	}
	for _, nominal := range a.fires {
		if s.ended { // by its limit
			break
		}
		if err := m.fireScheduled(tx, s, nominal); err != nil {
			return err
		}
	}
	s.through, s.next, s.due = a.through, a.next, a.due
	if s.ended = s.ended || a.ended; s.ended {
		s.next, s.due = 0, 0
	}
	s.put(tx)
	tx.Note(noteAdvanced{incarnation: s.incarnation, revision: s.revision, through: s.through, next: s.next, due: s.due, left: s.left})
	return nil
}

// allows reports whether an advance is of the state as it is, and what it fires is due
// and was not fired before.
func (s *state) allows(now int64, a *advance) bool {
	if s.paused || s.ended || s.revision != a.revision || s.next != a.from {
		return false
	}
	last := s.through
	if a.missed.count > 0 {
		if a.missed.from <= last || a.missed.to < a.missed.from {
			return false
		}
		last = a.missed.to
	}
	for _, nominal := range a.fires {
		if nominal <= last {
			return false
		}
		last = nominal
	}
	if last > s.through && (s.next == 0 || s.due > now || last > now) {
		return false
	}
	return a.through >= last && (a.next == 0 || a.next > a.through)
}

// fireScheduled fires a schedule for one of its times.
func (m *Machine) fireScheduled(tx *consensus.Tx, s *schedule, nominal int64) error {
	done, err := m.fire(tx, s, fire{incarnation: s.incarnation, kind: kindScheduled, nominal: nominal})
	if err != nil || done.skipped() || s.left == 0 {
		return err
	}
	if s.left--; s.left == 0 {
		s.ended, s.next, s.due = true, 0, 0
	}
	return nil
}
