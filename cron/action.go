package cron

import (
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// action is what a fire does. Each kind has one implementation.
type action interface {
	kind() actionKind
	// decode reads its message, which it may alias, and puts in the defaults.
	decode(body []byte) error
	// check returns an *event.Error that names the field that is wrong.
	check(m *Machine) error
	// changes is how many events a fire appends at most.
	changes() int
	// do does it for a fire, within an attempt: an *event.Error fails the fire and leaves
	// nothing of what was done.
	do(m *Machine, tx *consensus.Tx, s *schedule, f fire) (done, error)
}

// lasting is an action that has an end: fires of it may overlap. Who ends it calls
// Machine.ended, in a later operation than the one in which it began.
type lasting interface {
	action
	// cancel ends what a fire of this kind began, unless it is over. Its end is not
	// reported.
	cancel(m *Machine, tx *consensus.Tx, number uint64) error
}

// done is what an action did.
type done struct {
	position event.Position // of the last event; 0: none was appended
	reason   string         // why that is less than all
	number   uint64         // of what has begun and has an end, among those of its kind; 0: nothing has
}

// actionKind is the field number in edri.v1.ScheduleAction. It is in rows too.
type actionKind byte

const (
	actionAppend  actionKind = 1
	actionRequest actionKind = 2
	actionKeys    actionKind = 3
	actionStart   actionKind = 4
)

// newAction returns an action of a kind, nil if that is unknown.
func newAction(k actionKind) action {
	switch k {
	case actionAppend:
		return &appendAction{}
	case actionRequest:
		return &requestAction{}
	case actionKeys:
		return &keysAction{}
	case actionStart:
		return &startAction{}
	}
	return nil
}

// decodeAction reads an edri.v1.ScheduleAction; nil: none is given.
func decodeAction(b []byte) (action, error) {
	var a action
	f := fields{rest: b}
	for f.next() {
		if a != nil {
			return nil, event.Errorf(event.CodeInvalid, "action: is given twice")
		}
		var body []byte
		if f.setBytes(&body); f.number < 1<<8 {
			a = newAction(actionKind(f.number))
		}
		if a == nil {
			f.unknown()
		}
		if f.err != nil {
			return nil, f.err
		}
		if err := a.decode(body); err != nil {
			return nil, err
		}
	}
	return a, f.err
}

// checkAction holds an action to what all have in common, and to its own bounds.
func (m *Machine) checkAction(a action) error {
	if a == nil {
		return invalid("action: is missing")
	}
	return a.check(m)
}
