package router

import (
	"fmt"
	"time"

	"github.com/edri-io/edri/event"
)

// Numbers of edri.v1.Settle.Verb.
const (
	verbAck  = 0
	verbNak  = 1
	verbPark = 2
	verbSkip = 3
)

// verbLost stands beside the verbs for attempts that ended without a settlement.
const verbLost = 4

const (
	maxDelay = 7 * 24 * time.Hour

	minTimeout     = time.Millisecond
	maxTimeout     = 30 * 24 * time.Hour
	defaultTimeout = 30 * time.Second
	maxGather      = 1000
)

// settleOp is an edri.v1.Settle.
type settleOp struct {
	name     []byte
	position event.Position
	token    []byte
	verb     int
	reason   []byte
	delay    int64
	delayed  bool // the delay is given
}

// fails reports whether it is one of a failed attempt, which apply counts.
func (o *settleOp) fails() bool { return o.verb == verbNak || o.verb == verbPark }

// sendOp is an edri.v1.SendRequest. call is held by the leader, before the log.
type sendOp struct {
	stream  []byte
	event   []byte
	timeout int64
	call    bool
	gather  int
}

// respondOp is an edri.v1.Respond.
type respondOp struct {
	request event.Position
	stream  []byte
	event   []byte
}

func decodeSettle(b []byte) (settleOp, error) {
	var o settleOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.name)
		case 2:
			f.setUint64((*uint64)(&o.position))
		case 3:
			f.setBytes(&o.token)
		case 4:
			f.setInt(&o.verb)
		case 5:
			f.setBytes(&o.reason)
		case 6:
			f.setInt64(&o.delay)
			o.delayed = true
		default:
			f.unknown()
		}
	}
	if o.verb > verbSkip && f.err == nil {
		f.err = fmt.Errorf("%w: unknown verb %d", errWire, o.verb)
	}
	return o, f.err
}

func decodeSend(b []byte) (sendOp, error) {
	var o sendOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.stream)
		case 2:
			f.setBytes(&o.event)
		case 3:
			f.setInt64(&o.timeout)
		case 4:
			f.setBool(&o.call)
		case 5:
			f.setInt(&o.gather)
		default:
			f.unknown()
		}
	}
	// The defaults are part of what an entry means: they never change.
	if o.timeout == 0 {
		o.timeout = int64(defaultTimeout)
	}
	if o.gather == 0 {
		o.gather = 1
	}
	return o, f.err
}

func decodeRespond(b []byte) (respondOp, error) {
	var o respondOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setUint64((*uint64)(&o.request))
		case 2:
			f.setBytes(&o.stream)
		case 3:
			f.setBytes(&o.event)
		default:
			f.unknown()
		}
	}
	return o, f.err
}
