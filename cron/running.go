package cron

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/consensus"
)

// maxBuffered is how many fires of a schedule may wait for the end of another.
const maxBuffered = 1000

// run is what a fire began and what has not ended: a request by its position, or what else
// has an end by the number that its machine knows it by.
type run struct {
	kind   actionKind
	number uint64
}

// key is that of the row by which a run that ends is found.
func (r run) key() []byte {
	return binary.BigEndian.AppendUint64([]byte{kindRun, byte(r.kind)}, r.number)
}

// runningKey is the key of the row of a schedule's run. Those of a schedule stand from
// numberKey(kindRunning, incarnation) up to that of the next.
func runningKey(incarnation uint64, r run) []byte {
	return binary.BigEndian.AppendUint64(append(numberKey(kindRunning, incarnation), byte(r.kind)), r.number)
}

// runOf returns the run of a runningKey.
func runOf(key []byte) run {
	return run{actionKind(key[9]), binary.BigEndian.Uint64(key[10:])}
}

// putRunning keeps that a schedule has a run, in two rows.
func putRunning(tx *consensus.Tx, incarnation uint64, r run) {
	tx.Put(runningKey(incarnation, r), []byte{rowVersion})
	tx.Put(r.key(), binary.BigEndian.AppendUint64(nil, incarnation))
}

func deleteRunning(tx *consensus.Tx, incarnation uint64, r run) {
	tx.Delete(runningKey(incarnation, r))
	tx.Delete(r.key())
}

// running returns the first keys of a schedule's runs.
func running(tx *consensus.Tx, incarnation uint64, limit int) ([][]byte, error) {
	return keysOf(tx, numberKey(kindRunning, incarnation), numberKey(kindRunning, incarnation+1), limit)
}

// overlapped returns why a fire does not happen now, "" if it does.
func (m *Machine) overlapped(tx *consensus.Tx, s *schedule, f fire) (reason string, err error) {
	if _, lasts := s.spec.action.(lasting); !lasts || s.spec.overlap == overlapAllow {
		return "", nil
	}
	open, err := running(tx, s.incarnation, 1)
	if err != nil || len(open) == 0 {
		return "", err
	}
	switch s.spec.overlap {
	case overlapCancelOther:
		return "", m.cancelRunning(tx, s)
	case overlapBufferOne, overlapBufferAll:
		most := uint64(1)
		if s.spec.overlap == overlapBufferAll {
			most = maxBuffered
		}
		if s.buffered >= most {
			return reasonFull, nil
		}
		s.buffered++
		tx.Put(pairKey(kindBuffered, s.incarnation, tx.Incarnation()), f.appendTo(nil))
		return reasonBuffered, nil
	}
	return reasonOverlap, nil
}

// cancelRunning ends what the schedule's fires have begun.
func (m *Machine) cancelRunning(tx *consensus.Tx, s *schedule) error {
	for {
		open, err := running(tx, s.incarnation, maxBuffered)
		if err != nil || len(open) == 0 {
			return err
		}
		for _, key := range open {
			r := runOf(key)
			deleteRunning(tx, s.incarnation, r)
			// Not the schedule's present action: an update may have changed its kind.
			began, ok := newAction(r.kind).(lasting)
			if !ok {
				return fmt.Errorf("%w: a run of kind %d", errRow, r.kind)
			}
			if err := began.cancel(m, tx, r.number); err != nil {
				return err
			}
		}
	}
}

// appendTo is the row of a fire that waits: kind | BE8 batch | BE8 nominal.
func (f fire) appendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, byte(f.kind)), f.batch)
	return binary.BigEndian.AppendUint64(dst, uint64(f.nominal))
}

func parseFire(incarnation uint64, row []byte) (fire, error) {
	r := reader{rest: row}
	f := fire{incarnation: incarnation, kind: kind(r.byte()), batch: r.be8(), nominal: int64(r.be8())}
	if f.kind > kindBackfilled {
		r.bad, f.kind = true, kindScheduled
	}
	return f, r.done("fire that waits")
}

// ended is called in apply where something ends that a fire may have begun, whatever it
// is: the next fire that waits for that happens. tx has this machine's table.
func (m *Machine) ended(tx *consensus.Tx, over run) error {
	row, err := tx.Get(over.key())
	if row == nil || err != nil {
		return err
	}
	r := reader{rest: row}
	incarnation := r.be8()
	if err := r.done("run of a schedule"); err != nil {
		return err
	}
	deleteRunning(tx, incarnation, over)
	s, found, err := load(tx, incarnation)
	if err != nil || !found || s.buffered == 0 {
		return err
	}
	if err := m.fireBuffered(tx, s); err != nil {
		return err
	}
	s.put(tx)
	return nil
}

// fireBuffered fires what waits, in the order in which it came, until one is open again.
func (m *Machine) fireBuffered(tx *consensus.Tx, s *schedule) error {
	for s.buffered > 0 {
		open, err := running(tx, s.incarnation, 1)
		if err != nil || len(open) > 0 {
			return err
		}
		first, err := keysOf(tx, numberKey(kindBuffered, s.incarnation), numberKey(kindBuffered, s.incarnation+1), 1)
		if err != nil {
			return err
		}
		if len(first) == 0 {
			s.buffered = 0
			return nil
		}
		row, err := tx.Get(first[0])
		if err != nil {
			return err
		}
		f, err := parseFire(s.incarnation, row)
		if err != nil {
			return err
		}
		tx.Delete(first[0])
		s.buffered--
		if _, err := m.act(tx, s, f); err != nil {
			return err
		}
	}
	return nil
}
