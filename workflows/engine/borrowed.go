package engine

import (
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Ender is a state machine that is told of the ends of runs, to go on where one of its own
// was awaited.
type Ender interface {
	// Name is that of the state machine.
	Name() string
	// RunEnded is called in apply, with the Ender's own table, when a run has ended that no
	// other continues; number is that of the first of its chain. An error stops the node.
	RunEnded(tx *consensus.Tx, number uint64) error
}

// Tell makes an Ender known, before the node is opened.
func (m *Machine) Tell(e Ender) { m.enders = append(m.enders, e) }

// CheckStart checks an edri.v1.StartRun that may be without an id.
func (m *Machine) CheckStart(body []byte) error {
	return check(body, decodeStart, func(o startOp) error {
		if len(o.id) == 0 {
			o.id = []byte("any")
		}
		return checkStart(o)
	})
}

// StartIn starts a run in the transaction of another machine; id is that of a run whose
// start has none. number names its chain, 0: a run of the id was under way, and is used.
// position is that of its first event. An *event.Error says that nothing was started.
func (m *Machine) StartIn(tx *consensus.Tx, body []byte, id string) (number uint64, position event.Position, err error) {
	o, err := decodeStart(clone(body))
	if err != nil {
		return 0, 0, invalid("decode start: %v", err)
	}
	if len(o.id) == 0 {
		o.id = []byte(id)
	}
	err = m.within(tx.In(machineName), func(w *work) error {
		r, byThis, err := w.start(o, origin{})
		if err == nil && byThis {
			number, position = r.first, r.pin
		}
		return err
	})
	return number, position, err
}

// CancelIn asks the last run of a chain to end, if it is under way.
func (m *Machine) CancelIn(tx *consensus.Tx, number uint64) error {
	return m.within(tx.In(machineName), func(w *work) error {
		r, err := w.chain(number)
		if err == nil && r != nil && r.status == statusRunning {
			w.cancelRun(r, []byte("another run of the schedule takes its place"))
		}
		return err
	})
}
