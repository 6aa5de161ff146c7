package workflows

import (
	"encoding/json"
	"time"
)

// opKind says what an op is.
type opKind uint8

const (
	opStep opKind = iota
	opTimer
	opRequest
	opEvent
	opChild
	opLocal // a coroutine of the run; it has no number
)

// op is something that the code asked for, until it is done and after.
//
//	step     asked ─▶ (result) done
//	           ▲ └──▶ backoff ─ timer ─┐    └─▶ blocked ─ retry.requested ─┐
//	           └───────────────────────┘◀──────────────────────────────────┘
//	request  asked (sent) ─▶ done, or backoff as above and sent again
//	others   asked ─▶ done
type op struct {
	m     *machine
	scope *scope
	kind  opKind
	state opState
	seq   uint64
	name  string

	done     bool
	canceled bool
	result   json.RawMessage
	value    any // in the place of the result, of opEvent and opLocal
	err      error
	then     func() // called when it is done
	opened   asked
	closing  Command // of a child that was asked to end

	// Of steps and requests.
	attempt int       // from 1
	asked   time.Time // when the first was
	step    *stepCall
	// heartbeat are the details of the last heartbeat, for the next attempt; nil: none.
	heartbeat json.RawMessage
	request   *requestCall
	// lost: its step.started is of the past, so that some worker may have run it.
	lost bool
}

type opState uint8

const (
	opAsked opState = iota
	opBackoff
	opBlocked
)

// resolve ends an op.
func (o *op) resolve(result json.RawMessage, err error) {
	if o.done {
		return
	}
	if o.kind == opStep && o.state == opAsked {
		o.m.underway--
	}
	o.done, o.result, o.err = true, result, err
	delete(o.m.ops, o.seq)
	if o.then != nil {
		o.then()
	}
}

// cancel ends an op whose scope was canceled. A step that is under way and a child are
// asked to end: how they did is still to be known.
func (o *op) cancel(why *Error) {
	o.canceled = true
	m := o.m
	switch {
	case o.state == opBackoff:
		m.emitSeq(KindTimerCanceled, o.seq, CancelTimer{o.seq})
		o.resolve(nil, why)
	case o.state == opBlocked:
		o.resolve(nil, why)
	case o.kind == opStep:
		m.todo = append(m.todo, o)
	case o.kind == opTimer:
		m.emitSeq(KindTimerCanceled, o.seq, CancelTimer{o.seq})
		o.resolve(nil, why)
	case o.kind == opRequest:
		m.emitSeq(KindRequestDropped, o.seq, DropRequest{o.seq})
		o.resolve(nil, why)
	case o.kind == opEvent:
		m.emitSeq(KindEventDropped, o.seq, DropEvent{o.seq})
		o.resolve(nil, why)
	case o.kind == opChild:
		o.closing = CancelChild{o.seq, note(why.Message)}
		m.emitSeq(KindChildCanceled, o.seq, o.closing)
	}
}

// ask puts a step to what a worker has to do.
func (o *op) ask() {
	o.state = opAsked
	o.m.underway++
	o.m.todo = append(o.m.todo, o)
}

// leaveAsked is for a step that waits for something else than a worker.
func (o *op) leaveAsked(state opState) {
	o.state = state
	if o.kind == opStep {
		o.m.underway--
	}
}

func (m *machine) emitSeq(kind string, seq uint64, do Command) {
	m.emit(kind, appendSeq(nil, seq), do)
}
