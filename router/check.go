package router

import (
	"errors"
	"math"
	"time"
	"unicode/utf8"

	"github.com/edri-io/edri/event"
)

// maxNoteBytes is the length of the longest note of a pause.
const maxNoteBytes = 8 << 10

// Check implements consensus.StateMachine.
func (m *Machine) Check(op uint32, body []byte) error {
	switch op {
	case opCreate:
		return check(body, decodeCreate, checkCreate)
	case opUpdate:
		return check(body, decodeUpdate, func(o updateOp) error { return checkConfig(o.name, o.config) })
	case opDelete:
		return check(body, decodeDelete, checkName)
	case opPause:
		return check(body, decodePause, checkPause)
	case opSeek:
		return check(body, decodeSeek, checkSeek)
	case opRedrive:
		return check(body, decodeRedrive, func(o redriveOp) error { return checkName(o.name) })
	case opSettle:
		return check(body, decodeSettle, checkSettle)
	case opSendRequest:
		return check(body, decodeSend, m.checkSend)
	case opRespond:
		return check(body, decodeRespond, m.checkRespond)
	case opAdvance, opFail, opCheckpoint, opSweep, opRelease, opAnswer:
		return event.Errorf(event.CodeInvalid, "operation %d is the cluster's own", op)
	}
	return event.Errorf(event.CodeInvalid, "unknown operation %d", op)
}

func check[T any](body []byte, decode func([]byte) (T, error), holds func(T) error) error {
	o, err := decode(body)
	var known *event.Error
	switch {
	case errors.As(err, &known):
		return known
	case err != nil:
		return event.Errorf(event.CodeInvalid, "decode operation: %v", err)
	}
	return holds(o)
}

func checkName(name []byte) error { return event.CheckName("subscription", name) }

func checkConfig(name, config []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	_, err := parseConfig(name, config)
	return err
}

func checkCreate(o createOp) error {
	if err := checkConfig(o.name, o.config); err != nil {
		return err
	}
	return checkStart(o.start)
}

func checkSeek(o seekOp) error {
	if err := checkName(o.name); err != nil {
		return err
	}
	return checkStart(o.start)
}

func checkStart(s start) error {
	switch {
	case !s.given:
		// A field that is misspelt in JSON comes to this too: now is not what it means.
		return event.Errorf(event.CodeInvalid, "start: is missing; it is one of first, now, position and time")
	case s.kind == startTime:
		return event.Errorf(event.CodeInvalid, "start.time in a commit: only a position is the same whenever it is executed")
	case s.kind == startPosition && (s.position == 0 || s.position > math.MaxInt64):
		return event.Errorf(event.CodeInvalid, "start.position %d is out of range; the first is 1", s.position)
	}
	return nil
}

func checkPause(o pauseOp) error {
	switch {
	case len(o.note) > maxNoteBytes:
		return event.TooLarge("note in bytes", int64(len(o.note)), maxNoteBytes)
	case !utf8.Valid(o.note):
		return event.Errorf(event.CodeInvalid, "note: is not UTF-8")
	}
	return checkName(o.name)
}

func checkSettle(o settleOp) error {
	if err := checkName(o.name); err != nil {
		return err
	}
	if _, err := parseToken(o.token); err != nil {
		return err
	}
	switch {
	case o.position == 0:
		return event.Errorf(event.CodeInvalid, "position 0: the first is 1")
	case !utf8.Valid(o.reason):
		return event.Errorf(event.CodeInvalid, "reason: is not UTF-8")
	case o.delayed && o.verb != verbNak:
		return event.Errorf(event.CodeInvalid, "a delay belongs to nak alone")
	case o.delay < 0 || time.Duration(o.delay) > maxDelay:
		return event.Errorf(event.CodeInvalid, "delay %v is not within 0 and %v", time.Duration(o.delay), maxDelay)
	}
	return nil
}

// Alone implements consensus.Solitary: what is committed with a settlement are the effects
// of an event that is done. After a nak it would have them again.
func (m *Machine) Alone(op uint32, body []byte) *event.Error {
	if op != opSettle {
		return nil
	}
	if o, err := decodeSettle(body); err == nil && o.verb != verbAck {
		return event.Errorf(event.CodeInvalid, "effects are committed with an ack alone: a nak, park or skip has none")
	}
	return nil
}

func (m *Machine) checkSend(o sendOp) error {
	switch timeout := time.Duration(o.timeout); {
	case timeout < minTimeout || timeout > maxTimeout:
		return event.Errorf(event.CodeInvalid, "timeout %v is not within %v and %v", timeout, minTimeout, maxTimeout)
	case o.gather > maxGather:
		return event.TooLarge("responses to gather", int64(o.gather), maxGather)
	}
	return m.checkEvent(o.stream, o.event, event.KindRequest)
}

func (m *Machine) checkRespond(o respondOp) error {
	if o.request == 0 {
		return event.Errorf(event.CodeInvalid, "request 0: the first position is 1")
	}
	return m.checkEvent(o.stream, o.event, event.KindResponse)
}

// checkEvent checks an event of a kind and the stream that it goes to.
func (m *Machine) checkEvent(stream, encoded []byte, kind string) error {
	if encoded == nil {
		return event.Errorf(event.CodeInvalid, "a %s without an event", kind)
	}
	h, err := event.CheckEncoded(encoded, m.Limits.EventData)
	if err != nil {
		return err
	}
	if string(h.Kind) != kind {
		return event.Errorf(event.CodeInvalid, "%s %q: must be %s", event.AttrKind, h.Kind, kind)
	}
	if len(stream) == 0 {
		stream = h.DefaultStream()
	}
	if err := event.CheckName("stream", stream); err != nil {
		return err
	}
	return event.CheckUnreserved(stream, h.Type)
}
