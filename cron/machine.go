package cron

import (
	"bytes"
	"fmt"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// Requests is what the machine needs of the router's.
type Requests interface {
	SendIn(tx *consensus.Tx, stream, encoded []byte, timeout time.Duration) (event.Position, error)
	CancelIn(tx *consensus.Tx, request event.Position) error
}

// Machine is the replicated state machine of schedules and delayed events.
type Machine struct {
	timers   *timers.Table
	requests Requests
	keys     consensus.StateMachine
	// Runs are those that schedules start; nil: none. They are set before the node is
	// opened, and must tell of their ends (RunEnded).
	Runs Runs
	// Limits are what Check holds delayed events to, by default event.DefaultLimits.
	// They are set before the node is opened.
	Limits event.Limits
}

var (
	_ consensus.StateMachine = (*Machine)(nil)
	_ timers.Owner           = (*Machine)(nil)
)

// NewMachine returns a machine whose delayed events are timers of a table, where it
// registers itself. Its requests are those of r, which must tell it of their ends, and its
// keys those of the machine of package managers/kv.
func NewMachine(t *timers.Table, r Requests, keys consensus.StateMachine) *Machine {
	m := &Machine{timers: t, requests: r, keys: keys, Limits: event.DefaultLimits()}
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
	case opCreate:
		return apply(tx, body, decodeCreate, m.create)
	case opUpdate:
		return apply(tx, body, decodeUpdate, m.update)
	case opDelete:
		return apply(tx, body, decodeName, m.delete)
	case opPause:
		return apply(tx, body, decodePause, m.pause)
	case opTrigger:
		return apply(tx, body, decodeName, m.trigger)
	case opBackfill:
		return apply(tx, body, decodeBackfill, m.backfill)
	case opAppendLater:
		return apply(tx, body, decodeLater, m.appendLater)
	case opCancelLater:
		return apply(tx, body, decodeCancel, m.cancelLater)
	case opAdvance:
		return apply(tx, body, decodeAdvances, m.advanceAll)
	}
	return nil, fmt.Errorf("%w: unknown operation %d", consensus.ErrUndecodable, op)
}

// apply decodes an operation and executes it.
func apply[T any](tx *consensus.Tx, body []byte, decode func([]byte) (T, error), execute func(*consensus.Tx, T) ([]byte, error)) ([]byte, error) {
	o, err := decode(bytes.Clone(body)) // what is kept of it may be
	if err != nil {
		// Not %w: an *event.Error in it would only fail the operation.
		return nil, fmt.Errorf("%w: %v", consensus.ErrUndecodable, err)
	}
	return execute(tx, o)
}
