package cron

import (
	"encoding/binary"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/router"
)

// maxBuffered is how many fires of a schedule may wait for the end of another.
const maxBuffered = 1000

// putRunning keeps that a request of a schedule is open, in two rows without more:
// 'r' BE8 incarnation, BE8 position, and 'q' BE8 position -> BE8 incarnation.
func putRunning(tx *consensus.Tx, incarnation uint64, position event.Position) {
	tx.Put(pairKey(kindRunning, incarnation, uint64(position)), []byte{rowVersion})
	tx.Put(numberKey(kindRequest, uint64(position)), binary.BigEndian.AppendUint64(nil, incarnation))
}

func deleteRunning(tx *consensus.Tx, incarnation uint64, position event.Position) {
	tx.Delete(pairKey(kindRunning, incarnation, uint64(position)))
	tx.Delete(numberKey(kindRequest, uint64(position)))
}

// overlapped returns why a fire does not happen now, "" if it does.
func (m *Machine) overlapped(tx *consensus.Tx, s *schedule, f fire) (reason string, err error) {
	if s.spec.action.kind != actionRequest || s.spec.overlap == overlapAllow {
		return "", nil
	}
	open, err := keysOf(tx, numberKey(kindRunning, s.incarnation), numberKey(kindRunning, s.incarnation+1), 1)
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

// cancelRunning ends the schedule's open requests.
func (m *Machine) cancelRunning(tx *consensus.Tx, s *schedule) error {
	for {
		open, err := keysOf(tx, numberKey(kindRunning, s.incarnation), numberKey(kindRunning, s.incarnation+1), maxBuffered)
		if err != nil || len(open) == 0 {
			return err
		}
		for _, key := range open {
			position := event.Position(second(key))
			deleteRunning(tx, s.incarnation, position)
			if err := m.requests.CancelIn(tx, position); err != nil {
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

// RequestEnded implements router.Ender: the next fire that waits for the end happens.
func (m *Machine) RequestEnded(tx *consensus.Tx, request event.Position, _ router.RequestEnd) error {
	row, err := tx.Get(numberKey(kindRequest, uint64(request)))
	if row == nil || err != nil {
		return err
	}
	r := reader{rest: row}
	incarnation := r.be8()
	if err := r.done("request of a schedule"); err != nil {
		return err
	}
	deleteRunning(tx, incarnation, request)
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
		open, err := keysOf(tx, numberKey(kindRunning, s.incarnation), numberKey(kindRunning, s.incarnation+1), 1)
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
