package cron

import (
	"errors"

	"github.com/edri-io/edri/event"
)

// streamPrefix and a schedule's name are the stream of what edri tells of it.
const streamPrefix = "schedule/"

// Check implements consensus.StateMachine.
func (m *Machine) Check(op uint32, body []byte) error {
	switch op {
	case opCreate:
		return check(body, decodeCreate, m.checkCreate)
	case opUpdate:
		return check(body, decodeUpdate, func(o updateOp) error { return m.checkNamed(o.name, o.spec) })
	case opDelete, opTrigger:
		return check(body, decodeName, checkName)
	case opPause:
		return check(body, decodePause, checkPause)
	case opBackfill:
		return check(body, decodeBackfill, checkBackfill)
	case opAppendLater:
		return check(body, decodeLater, m.checkLater)
	case opCancelLater:
		return check(body, decodeCancel, checkCancel)
	case opAdvance:
		return invalid("operation %d is the cluster's own", op)
	}
	return invalid("unknown operation %d", op)
}

func check[T any](body []byte, decode func([]byte) (T, error), holds func(T) error) error {
	o, err := decode(body)
	if err != nil {
		return decodeError("operation", err)
	}
	return holds(o)
}

// decodeError makes an *event.Error of what a decoder says.
func decodeError(what string, err error) error {
	var known *event.Error
	if errors.As(err, &known) {
		return known
	}
	return invalid("decode %s: %v", what, err)
}

func checkName(name []byte) error {
	if err := event.CheckName("schedule", name); err != nil {
		return err
	}
	if longest := event.MaxNameBytes - len(streamPrefix); len(name) > longest {
		return event.TooLarge("schedule: its name in bytes", int64(len(name)), int64(longest))
	}
	return nil
}

func (m *Machine) checkNamed(name, spec []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	_, err := m.ParseSpec(spec)
	return err
}

// ParseSpec reads and checks an edri.v1.ScheduleSpec. Its errors are *event.Error that
// name the field.
func (m *Machine) ParseSpec(b []byte) (Spec, error) {
	s, err := decodeSpec(b)
	if err != nil {
		return s, decodeError("spec", err)
	}
	return s, m.checkSpec(&s)
}

func (m *Machine) checkCreate(o createOp) error {
	if err := m.checkNamed(o.name, o.spec); err != nil {
		return err
	}
	return checkText("note", string(o.note))
}

func checkPause(o pauseOp) error {
	if err := checkText("note", string(o.note)); err != nil {
		return err
	}
	return checkName(o.name)
}

func checkBackfill(o backfillOp) error {
	switch {
	case o.from <= 0 || o.from > maxTime:
		return invalid("from: is not within 1970 and 2199")
	case o.to < o.from:
		return invalid("to: is before from")
	}
	return checkName(o.name)
}

func (m *Machine) checkLater(o laterOp) error {
	switch {
	case o.at <= 0 || o.at > maxTime:
		return invalid("at: is not within 1970 and 2199")
	case o.event == nil:
		return invalid("event: is missing")
	}
	h, err := event.CheckEncoded(o.event, m.Limits.EventData)
	if err != nil {
		return err
	}
	stream := o.stream
	if len(stream) == 0 {
		stream = h.DefaultStream()
	}
	return event.CheckName("stream", stream)
}

func checkCancel(o cancelOp) error {
	_, err := laterKeyOf(o.source, o.id)
	return err
}
