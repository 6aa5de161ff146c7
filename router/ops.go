package router

import (
	"fmt"

	"github.com/edri-io/edri/event"
)

// The operations, which are fields of edri.v1.Op. Those from 26 on are the leader's own
// and have no message in the schema; see ops_leader.go.
const (
	opFirst = 17
	opLast  = 39

	opCreate      = 17
	opUpdate      = 18
	opDelete      = 19
	opPause       = 20
	opSeek        = 21
	opRedrive     = 22
	opSettle      = 23
	opSendRequest = 24
	opRespond     = 25
	opAdvance     = 26
	opFail        = 27
	opCheckpoint  = 28
	opSweep       = 29
	opRelease     = 30
	opAnswer      = 31
)

// startKind says how a start is given.
type startKind byte

const (
	startNow startKind = iota // after the commit
	startFirst
	startPosition
	startTime
)

// start is an edri.v1.Start.
type start struct {
	given    bool // clients must give one; else it is now
	kind     startKind
	position event.Position
}

// createOp is an edri.v1.CreateSubscription. Here and below, bytes alias the message.
type createOp struct {
	name   []byte
	config []byte
	start  start
	ensure bool
}

// updateOp is an edri.v1.UpdateSubscription.
type updateOp struct {
	name, config []byte
	force        bool // the version may be lower
}

// pauseOp is an edri.v1.PauseSubscription.
type pauseOp struct {
	name   []byte
	paused bool
	note   []byte
}

// seekOp is an edri.v1.SeekSubscription.
type seekOp struct {
	name  []byte
	start start
}

// redriveOp is an edri.v1.Redrive.
type redriveOp struct {
	name      []byte
	positions []event.Position // none: all
}

func decodeCreate(b []byte) (createOp, error) {
	var o createOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.name)
		case 2:
			f.setBytes(&o.config)
		case 3:
			f.setStart(&o.start)
		case 4:
			f.setBool(&o.ensure)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeUpdate(b []byte) (updateOp, error) {
	var o updateOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.name)
		case 2:
			f.setBytes(&o.config)
		case 3:
			f.setBool(&o.force)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

// decodeDelete reads an edri.v1.DeleteSubscription.
func decodeDelete(b []byte) (name []byte, err error) {
	f := fields{rest: b}
	for f.next() {
		if f.number == 1 {
			f.setBytes(&name)
		} else {
			f.unknown()
		}
	}
	return name, f.err
}

func decodePause(b []byte) (pauseOp, error) {
	var o pauseOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.name)
		case 2:
			f.setBool(&o.paused)
		case 3:
			f.setBytes(&o.note)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeSeek(b []byte) (seekOp, error) {
	var o seekOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.name)
		case 2:
			f.setStart(&o.start)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeRedrive(b []byte) (redriveOp, error) {
	var o redriveOp
	add := func(v uint64) error {
		if len(o.positions) == maxRedrive {
			return event.TooLarge("positions to redrive", maxRedrive+1, maxRedrive)
		}
		o.positions = append(o.positions, event.Position(v))
		return nil
	}
	f := fields{rest: b}
	for f.next() {
		switch {
		case f.number == 1:
			f.setBytes(&o.name)
		case f.number == 2 && f.varint:
			f.err = add(f.value)
		case f.number == 2:
			f.err = varints(f.bytes, add)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

// setStart takes a field that holds an edri.v1.Start, of whose fields one is set.
func (f *fields) setStart(dst *start) {
	var b []byte
	if f.setBytes(&b); f.err == nil {
		*dst, f.err = decodeStart(b)
	}
}

func decodeStart(b []byte) (start, error) {
	var s start
	f := fields{rest: b}
	for n := 0; f.next(); n++ {
		if n > 0 {
			return s, fmt.Errorf("%w: a start is given in two ways", errWire)
		}
		yes := true
		s.given = true
		switch f.number {
		case 1:
			s.kind = startFirst
			f.setBool(&yes)
		case 2:
			s.kind = startPosition
			f.setUint64((*uint64)(&s.position))
		case 3:
			s.kind = startTime
			f.is(true)
		case 4:
			s.kind = startNow
			f.setBool(&yes)
		default:
			f.unknown()
		}
		if !yes && f.err == nil {
			f.err = fmt.Errorf("%w: a start that is first or now can only be true", errWire)
		}
	}
	return s, f.err
}
