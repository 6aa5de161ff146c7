package cron

import (
	"errors"
	"fmt"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// defaultSource is that of events whose action names none.
const defaultSource = "/edri/schedules"

// AttrSchedule is the attribute of a fire's event that names its schedule.
const AttrSchedule = "edrischedule"

// lateAfter is how late a fire is that is counted as late.
const lateAfter = time.Second

// kind says why a schedule fires.
type kind byte

const (
	kindScheduled kind = iota
	kindTrigger
	kindBackfilled
)

func (k kind) String() string { return [...]string{"scheduled", "trigger", "backfill"}[k] }

// fire is one fire of a schedule. No two are the same, ever.
type fire struct {
	incarnation uint64
	kind        kind
	batch       uint64 // of a trigger or backfill
	nominal     int64
}

// id is that of the fire's event.
func (f fire) id() string {
	at := formatTime(f.nominal)
	if f.kind == kindScheduled {
		return fmt.Sprintf("%d/%s/%s", f.incarnation, f.kind, at)
	}
	return fmt.Sprintf("%d/%s/%d/%s", f.incarnation, f.kind, f.batch, at)
}

func formatTime(t int64) string { return time.Unix(0, t).UTC().Format(time.RFC3339Nano) }

// Reasons for which a fire has no event.
const (
	reasonOverlap  = "overlap"
	reasonFull     = "buffer is full"
	reasonBuffered = "buffered"
)

// fired is what came of a fire.
type fired struct {
	id       string
	position event.Position // 0: nothing was appended, for the reason, if there is one
	reason   string
}

// skipped reports whether the fire is left out for good.
func (d fired) skipped() bool { return d.reason == reasonOverlap || d.reason == reasonFull }

// result is an edri.v1.OpResult with schedule_fired.
func (d fired) result() []byte {
	body := appendBytes(nil, 1, []byte(d.id))
	body = appendUint(body, 2, uint64(d.position))
	return appendMessage(nil, 31, appendBytes(body, 3, []byte(d.reason)))
}

// fire does what a schedule does, unless another fire of it is not over. It changes the
// counters of s, which the caller puts.
func (m *Machine) fire(tx *consensus.Tx, s *schedule, f fire) (fired, error) {
	if reason, err := m.overlapped(tx, s, f); err != nil {
		return fired{}, err
	} else if reason == reasonBuffered {
		return fired{id: f.id(), reason: reason}, nil
	} else if reason != "" {
		s.Skipped++
		return fired{id: f.id(), reason: reason}, tellSkipped(tx, s, f, reason)
	}
	return m.act(tx, s, f)
}

// act does what a schedule does. What cannot be done leaves nothing, and is told and
// counted.
func (m *Machine) act(tx *consensus.Tx, s *schedule, f fire) (fired, error) {
	var d done
	err := tx.Attempt(func(tx *consensus.Tx) (err error) {
		if d, err = s.spec.action.do(m, tx, s, f); err == nil && d.number != 0 {
			putRunning(tx, f.incarnation, run{s.spec.action.kind(), d.number})
		}
		return err
	})
	var refused *event.Error
	if errors.As(err, &refused) {
		s.Failed++
		return fired{id: f.id(), reason: refused.Error()}, tellFailed(tx, s, f, refused.Error())
	}
	if err != nil {
		return fired{}, err
	}
	s.Fired++
	if f.kind == kindScheduled && tx.Now()-f.nominal-s.spec.jitter > int64(lateAfter) {
		s.Late++
	}
	return fired{id: f.id(), position: d.position, reason: d.reason}, nil
}
