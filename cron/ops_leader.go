package cron

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxAdvanced is how many schedules advance in one operation, and maxFires how many
// fires they have together: each may append an event of 64 KiB. Fires that change several
// keys count as so many.
const (
	maxAdvanced = 200
	maxFires    = 200
)

// advance moves a schedule, or one of its backfills, past some of its times. The leader
// has worked out what they are.
type advance struct {
	incarnation uint64
	// revision and from must be those of the row, or the advance has no effect: from is
	// the schedule's next time, or how far the backfill is.
	revision uint64
	from     int64
	batch    uint64 // of a backfill; 0: the schedule itself
	missed   missed
	fires    []int64 // nominal times, after those missed
	through  int64   // the last time that is dealt with
	// next is the schedule's time after through, and due when it fires for that. ended:
	// there is none, or the backfill is at its end.
	next, due int64
	ended     bool
}

// missed are times that are not made up for.
type missed struct {
	from, to int64
	count    uint64
	more     bool // it are more than were counted
}

// encodeAdvances makes the body of the operation: field 1, repeated, an advance each.
func encodeAdvances(list []advance) []byte {
	var b []byte
	for i := range list {
		b = appendMessage(b, 1, list[i].encode())
	}
	return b
}

func (a *advance) encode() []byte {
	b := appendUint(nil, 1, a.incarnation)
	b = appendUint(b, 2, a.revision)
	b = appendUint(b, 3, uint64(a.from))
	b = appendUint(b, 4, a.batch)
	b = appendUint(b, 5, uint64(a.missed.from))
	b = appendUint(b, 6, uint64(a.missed.to))
	b = appendUint(b, 7, a.missed.count)
	b = appendUint(b, 8, flag(a.missed.more))
	var packed []byte
	for _, t := range a.fires {
		packed = protowire.AppendVarint(packed, uint64(t))
	}
	b = appendBytes(b, 9, packed)
	b = appendUint(b, 10, uint64(a.through))
	b = appendUint(b, 11, uint64(a.next))
	b = appendUint(b, 12, uint64(a.due))
	return appendUint(b, 13, flag(a.ended))
}

func flag(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

func decodeAdvances(b []byte) ([]advance, error) {
	var list []advance
	f := fields{rest: b}
	for f.next() {
		var body []byte
		if f.number != 1 || f.varint || len(list) == maxAdvanced {
			return nil, fmt.Errorf("%w: advances", errWire)
		}
		body = f.bytes
		a, err := decodeAdvance(body)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, f.err
}

func decodeAdvance(b []byte) (a advance, err error) {
	var packed []byte
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setUint64(&a.incarnation)
		case 2:
			f.setUint64(&a.revision)
		case 3:
			f.setInt64(&a.from)
		case 4:
			f.setUint64(&a.batch)
		case 5:
			f.setInt64(&a.missed.from)
		case 6:
			f.setInt64(&a.missed.to)
		case 7:
			f.setUint64(&a.missed.count)
		case 8:
			f.setBool(&a.missed.more)
		case 9:
			f.setBytes(&packed)
		case 10:
			f.setInt64(&a.through)
		case 11:
			f.setInt64(&a.next)
		case 12:
			f.setInt64(&a.due)
		case 13:
			f.setBool(&a.ended)
		default:
			f.unknown()
		}
	}
	if f.err != nil {
		return a, f.err
	}
	err = varints(packed, func(v uint64) error {
		if len(a.fires) == maxFires {
			return fmt.Errorf("%w: more than %d fires", errWire, maxFires)
		}
		a.fires = append(a.fires, int64(v))
		return nil
	})
	return a, err
}
