package engine

import (
	"github.com/edri-io/edri/internal/wire"
)

// The operations, which are fields of edri.v1.Op. The last is the leader's own and has no
// message in the schema.
const (
	opFirst = 60
	opLast  = 79

	opDefine    = 60
	opStart     = 61
	opSignal    = 62
	opUpdate    = 63
	opCancel    = 64
	opTerminate = 65
	opPause     = 66
	opRetry     = 67
	opReset     = 68
	opDelete    = 69
	opAdvance   = 70
	opLose      = 71
)

// Policies of a start, with their numbers in the schema.
const (
	reuseAlways   = 0
	reuseIfFailed = 1
	reuseNever    = 2

	conflictFail      = 0
	conflictUse       = 1
	conflictTerminate = 2
)

// startOp is an edri.v1.StartRun. Here and below, bytes alias the message.
type startOp struct {
	id, typ                 []byte
	version                 uint32
	input, attributes, memo []byte // JSON
	reuse, conflict         uint32
	delay, timeout          int64
	correlation             []byte
	signal                  *signal
}

// signal is an edri.v1.RunSignal.
type signal struct{ name, input []byte }

// target names a run: an id and, unless 0, its number.
type target struct {
	id     []byte
	number uint64
}

// noteOp is one of the operations with a run and a text: cancel, terminate, retry, delete.
type noteOp struct {
	target
	note []byte
}

// signalOp is an edri.v1.SignalRun.
type signalOp struct {
	target
	signal *signal
}

// updateOp is an edri.v1.UpdateRun.
type updateOp struct {
	target
	updateID, name, input []byte
}

// pauseOp is an edri.v1.PauseRun.
type pauseOp struct {
	target
	paused bool
	note   []byte
}

// resetOp is an edri.v1.ResetRun.
type resetOp struct {
	target
	revision uint64
	reason   []byte
	drop     bool
	signals  []signal // that were received after revision
	through  uint64   // the history's end when they were collected
}

func decodeStart(b []byte) (startOp, error) {
	var o startOp
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&o.id)
		case 2:
			f.SetBytes(&o.typ)
		case 3:
			f.SetUint32(&o.version)
		case 4:
			f.SetBytes(&o.input)
		case 5:
			f.SetUint32(&o.reuse)
		case 6:
			f.SetUint32(&o.conflict)
		case 7:
			f.SetInt64(&o.delay)
		case 8:
			f.SetInt64(&o.timeout)
		case 9:
			f.SetBytes(&o.attributes)
		case 10:
			f.SetBytes(&o.memo)
		case 11:
			f.SetBytes(&o.correlation)
		case 12:
			var s []byte
			if f.SetBytes(&s); f.Err() == nil {
				decoded, err := decodeSignal(s)
				f.Fail(err)
				o.signal = &decoded
			}
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

func decodeSignal(b []byte) (signal, error) {
	var s signal
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&s.name)
		case 2:
			f.SetBytes(&s.input)
		default:
			f.Unknown()
		}
	}
	return s, f.Err()
}

// field takes one of the fields that every operation on a run begins with.
func (t *target) field(f *wire.Fields) bool {
	switch f.Number {
	case 1:
		f.SetBytes(&t.id)
	case 2:
		f.SetUint64(&t.number)
	default:
		return false
	}
	return true
}

func decodeSignalOp(b []byte) (signalOp, error) {
	var o signalOp
	f := wire.Walk(b)
	for f.Next() {
		switch {
		case o.field(&f):
		case f.Number == 3:
			var s []byte
			if f.SetBytes(&s); f.Err() == nil {
				decoded, err := decodeSignal(s)
				f.Fail(err)
				o.signal = &decoded
			}
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

func decodeUpdateOp(b []byte) (updateOp, error) {
	var o updateOp
	f := wire.Walk(b)
	for f.Next() {
		switch {
		case o.field(&f):
		case f.Number == 3:
			f.SetBytes(&o.updateID)
		case f.Number == 4:
			f.SetBytes(&o.name)
		case f.Number == 5:
			f.SetBytes(&o.input)
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

// decodeNote reads an edri.v1.CancelRun, TerminateRun, RetryRun or DeleteRun.
func decodeNote(b []byte) (noteOp, error) {
	var o noteOp
	f := wire.Walk(b)
	for f.Next() {
		switch {
		case o.field(&f):
		case f.Number == 3:
			f.SetBytes(&o.note)
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

func decodePause(b []byte) (pauseOp, error) {
	var o pauseOp
	f := wire.Walk(b)
	for f.Next() {
		switch {
		case o.field(&f):
		case f.Number == 3:
			f.SetBool(&o.paused)
		case f.Number == 4:
			f.SetBytes(&o.note)
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

func decodeReset(b []byte) (resetOp, error) {
	var o resetOp
	f := wire.Walk(b)
	for f.Next() {
		switch {
		case o.field(&f):
		case f.Number == 3:
			f.SetUint64(&o.revision)
		case f.Number == 4:
			f.SetBytes(&o.reason)
		case f.Number == 5:
			f.SetBool(&o.drop)
		case f.Number == 6 && f.WantBytes():
			s, err := decodeSignal(f.Bytes)
			f.Fail(err)
			o.signals = append(o.signals, s)
		case f.Number == 7:
			f.SetUint64(&o.through)
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

// lost names a run whose worker is gone, as it was then.
type lost struct{ number, advance uint64 }

// encodeLose makes the body of the leader's operation: field 1, repeated, a message each.
func encodeLose(list []lost) []byte {
	var b []byte
	for _, l := range list {
		b = wire.AppendMessage(b, 1, wire.AppendUint(wire.AppendUint(nil, 1, l.number), 2, l.advance))
	}
	return b
}

func decodeLose(b []byte) ([]lost, error) {
	var list []lost
	f := wire.Walk(b)
	for f.Next() {
		if f.Number != 1 || !f.WantBytes() {
			f.Unknown()
			break
		}
		var l lost
		g := wire.Walk(f.Bytes)
		for g.Next() {
			switch g.Number {
			case 1:
				g.SetUint64(&l.number)
			case 2:
				g.SetUint64(&l.advance)
			default:
				g.Unknown()
			}
		}
		f.Fail(g.Err())
		list = append(list, l)
	}
	return list, f.Err()
}
