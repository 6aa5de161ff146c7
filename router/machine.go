package router

import (
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// Machine is the replicated state machine of subscriptions and requests.
type Machine struct {
	timers *timers.Table
	// Limits are what Check holds the events of requests and responses to, by default
	// event.DefaultLimits. They are set before the node is opened.
	Limits event.Limits
	enders []Ender
}

var (
	_ consensus.StateMachine = (*Machine)(nil)
	_ consensus.Solitary     = (*Machine)(nil)
	_ timers.Owner           = (*Machine)(nil)
)

// NewMachine returns a machine whose waits and deadlines are timers of a table, where it
// registers itself.
func NewMachine(t *timers.Table) *Machine {
	m := &Machine{timers: t, Limits: event.DefaultLimits()}
	t.Register(m)
	return m
}

// Name implements consensus.StateMachine.
func (m *Machine) Name() string { return machineName }

// Ops implements consensus.StateMachine.
func (m *Machine) Ops() (first, last uint32) { return opFirst, opLast }

// Apply implements consensus.StateMachine.
func (m *Machine) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	switch op {
	case opSettle:
		return apply(tx, body, decodeSettle, m.settle)
	case opAdvance:
		return apply(tx, body, decodeAdvance, m.advance)
	case opFail:
		return apply(tx, body, decodeFail, m.fail)
	case opCheckpoint:
		return apply(tx, body, decodeCheckpoint, m.checkpoint)
	case opSweep:
		return apply(tx, body, decodeSweep, m.sweep)
	case opRelease:
		return apply(tx, body, decodeRelease, m.release)
	case opAnswer:
		return apply(tx, body, decodeAnswer, m.answer)
	case opSendRequest:
		return apply(tx, body, decodeSend, m.send)
	case opRespond:
		return apply(tx, body, decodeRespond, m.respond)
	case opCreate:
		return apply(tx, body, decodeCreate, m.create)
	case opUpdate:
		return apply(tx, body, decodeUpdate, m.update)
	case opDelete:
		return apply(tx, body, decodeDelete, m.delete)
	case opPause:
		return apply(tx, body, decodePause, m.pause)
	case opSeek:
		return apply(tx, body, decodeSeek, m.seek)
	case opRedrive:
		return apply(tx, body, decodeRedrive, m.redrive)
	}
	return nil, fmt.Errorf("%w: unknown operation %d", consensus.ErrUndecodable, op)
}

// apply decodes an operation and executes it.
func apply[T any](tx *consensus.Tx, body []byte, decode func([]byte) (T, error), execute func(*consensus.Tx, T) ([]byte, error)) ([]byte, error) {
	o, err := decode(body)
	if err != nil {
		// Not %w: an *event.Error in it would only fail the operation.
		return nil, fmt.Errorf("%w: %v", consensus.ErrUndecodable, err)
	}
	return execute(tx, o)
}

// Fire implements timers.Owner.
func (m *Machine) Fire(tx *consensus.Tx, t timers.Timer, payload []byte) error {
	r := reader{rest: payload}
	switch r.byte() {
	case timerWait:
		generation, position := r.be8(), event.Position(r.be8())
		if err := r.done("timer of a wait"); err != nil {
			return err
		}
		return m.endWait(tx, t, generation, position)
	case timerDeadline:
		position := event.Position(r.be8())
		if err := r.done("timer of a deadline"); err != nil {
			return err
		}
		return m.expire(tx, t, position)
	case timerForget:
		position := event.Position(r.be8())
		if err := r.done("timer of a request's end"); err != nil {
			return err
		}
		forget(tx, position)
		return nil
	}
	return fmt.Errorf("%w: timer of the router with payload %x", consensus.ErrUndecodable, payload)
}

// The payload of a timer begins with its kind.
const (
	timerWait     = 'w' // BE8 generation, BE8 position: the wait of an event is over
	timerDeadline = 'd' // BE8 position: the deadline of a request
	timerForget   = 'f' // BE8 position: a request's outcome is no longer kept
)
