package engine

import (
	"github.com/edri-io/edri/internal/wire"
)

// advanceOp is an edri.v1.AdvanceRun.
type advanceOp struct {
	target
	advance, nonce uint64
	records        []record
	busy           bool
	block          *block
	// carry are signals for the run that is to continue this one, and carryFrom how many went
	// before them.
	carry     []signal
	carryFrom uint64
	// unreceived are the signals of the history that the code has not received.
	unreceived, unreceivedBytes uint64
}

// block is an edri.v1.RunBlock.
type block struct{ reason, details []byte }

// record is an edri.v1.RunRecord.
type record struct {
	entry      uint64
	reject     []byte
	kind, data []byte
	time       int64
	do         doing
	seq        uint64 // of do
	command    []byte // message of do, or its text
}

// doing is which of RunRecord.do is set: its field number.
type doing uint32

const (
	doNothing       doing = 0
	doSetTimer      doing = 10
	doCancelTimer   doing = 11
	doSendRequest   doing = 12
	doDropRequest   doing = 13
	doAwaitEvent    doing = 14
	doDropEvent     doing = 15
	doStartChild    doing = 16
	doCancelChild   doing = 17
	doFinishUpdate  doing = 18
	doSetAttributes doing = 19
	doEnd           doing = 20
)

func decodeAdvance(b []byte) (advanceOp, error) {
	var o advanceOp
	f := wire.Walk(b)
	for f.Next() {
		switch {
		case o.field(&f):
		case f.Number == 3:
			f.SetUint64(&o.advance)
		case f.Number == 4:
			f.SetUint64(&o.nonce)
		case f.Number == 5 && f.WantBytes():
			r, err := decodeRecord(f.Bytes)
			f.Fail(err)
			o.records = append(o.records, r)
		case f.Number == 6:
			f.SetBool(&o.busy)
		case f.Number == 7:
			var m []byte
			if f.SetBytes(&m); f.Err() == nil {
				decoded, err := decodeBlock(m)
				f.Fail(err)
				o.block = &decoded
			}
		case f.Number == 8 && f.WantBytes():
			s, err := decodeSignal(f.Bytes)
			f.Fail(err)
			o.carry = append(o.carry, s)
		case f.Number == 9:
			f.SetUint64(&o.carryFrom)
		case f.Number == 10:
			f.SetUint64(&o.unreceived)
		case f.Number == 11:
			f.SetUint64(&o.unreceivedBytes)
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

func decodeBlock(b []byte) (block, error) {
	var o block
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&o.reason)
		case 2:
			f.SetBytes(&o.details)
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

func decodeRecord(b []byte) (record, error) {
	var r record
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetUint64(&r.entry)
		case 2:
			f.SetBytes(&r.reject)
		case 3:
			f.SetBytes(&r.kind)
		case 4:
			f.SetInt64(&r.time)
		case 5:
			f.SetBytes(&r.data)
		default:
			decodeDo(&f, &r)
		}
	}
	return r, f.Err()
}

func decodeDo(f *wire.Fields, r *record) {
	if r.do != doNothing {
		f.Failf("a record does two things")
		return
	}
	switch r.do = doing(f.Number); r.do {
	case doCancelTimer, doDropRequest, doDropEvent:
		f.SetUint64(&r.seq)
	case doSetTimer, doSendRequest, doAwaitEvent, doStartChild, doCancelChild, doFinishUpdate, doSetAttributes, doEnd:
		f.SetBytes(&r.command)
	default:
		f.Unknown()
	}
}

// setTimer is an edri.v1.SetRunTimer.
type setTimer struct {
	seq   uint64
	after int64
}

func decodeSetTimer(b []byte) (setTimer, error) {
	var c setTimer
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetUint64(&c.seq)
		case 2:
			f.SetInt64(&c.after)
		default:
			f.Unknown()
		}
	}
	return c, f.Err()
}

// sendRequest is an edri.v1.SendRunRequest.
type sendRequest struct {
	seq     uint64
	stream  []byte
	event   []byte
	timeout int64
}

func decodeSendRequest(b []byte) (sendRequest, error) {
	var c sendRequest
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetUint64(&c.seq)
		case 2:
			f.SetBytes(&c.stream)
		case 3:
			f.SetBytes(&c.event)
		case 4:
			f.SetInt64(&c.timeout)
		default:
			f.Unknown()
		}
	}
	return c, f.Err()
}

// awaitEvent is an edri.v1.AwaitRunEvent.
type awaitEvent struct {
	seq                uint64
	typ, filter, match []byte
}

func decodeAwaitEvent(b []byte) (awaitEvent, error) {
	var c awaitEvent
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetUint64(&c.seq)
		case 2:
			f.SetBytes(&c.typ)
		case 3:
			f.SetBytes(&c.filter)
		case 4:
			f.SetBytes(&c.match)
		default:
			f.Unknown()
		}
	}
	return c, f.Err()
}

// What becomes of a child when its parent ends, with their numbers in the schema.
const (
	closeTerminate = 0
	closeCancel    = 1
	closeAbandon   = 2
)

// startChild is an edri.v1.StartChildRun.
type startChild struct {
	seq     uint64
	start   startOp
	onClose uint32
}

func decodeStartChild(b []byte) (startChild, error) {
	var c startChild
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetUint64(&c.seq)
		case 2:
			var m []byte
			if f.SetBytes(&m); f.Err() == nil {
				var err error
				c.start, err = decodeStart(m)
				f.Fail(err)
			}
		case 3:
			f.SetUint32(&c.onClose)
		default:
			f.Unknown()
		}
	}
	return c, f.Err()
}

// cancelChild is an edri.v1.CancelChildRun.
type cancelChild struct {
	seq    uint64
	reason []byte
}

func decodeCancelChild(b []byte) (cancelChild, error) {
	var c cancelChild
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetUint64(&c.seq)
		case 2:
			f.SetBytes(&c.reason)
		default:
			f.Unknown()
		}
	}
	return c, f.Err()
}

// finishUpdate is an edri.v1.FinishUpdate.
type finishUpdate struct{ id, result, failure []byte }

func decodeFinishUpdate(b []byte) (finishUpdate, error) {
	var c finishUpdate
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&c.id)
		case 2:
			f.SetBytes(&c.result)
		case 3:
			f.SetBytes(&c.failure)
		default:
			f.Unknown()
		}
	}
	return c, f.Err()
}

// endRun is an edri.v1.EndRun.
type endRun struct {
	status  status
	outcome outcome
	next    *startOp
	signals []signal
	insist  bool
	carried uint64 // signals that went ahead, see carry.go
	// Not of the message. kind is that of the event which says so, where that is not in the
	// history already, with the reason; reset: another run takes over.
	kind, reason string
	reset        bool
}

func decodeEnd(b []byte) (endRun, error) {
	var c endRun
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			if f.Within(uint64(len(statuses) - 1)) {
				c.status = status(f.Value)
			}
		case 2:
			f.SetBytes(&c.outcome.result)
		case 3:
			f.SetBytes(&c.outcome.failure)
		case 4:
			var m []byte
			if f.SetBytes(&m); f.Err() == nil {
				next, err := decodeStart(m)
				f.Fail(err)
				c.next = &next
			}
		case 5:
			if f.WantBytes() {
				s, err := decodeSignal(f.Bytes)
				f.Fail(err)
				c.signals = append(c.signals, s)
			}
		case 6:
			f.SetBool(&c.insist)
		case 7:
			f.SetUint64(&c.carried)
		default:
			f.Unknown()
		}
	}
	return c, f.Err()
}
