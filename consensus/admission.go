package consensus

import (
	"slices"

	"github.com/edri-io/edri/event"
)

// Admitter is a StateMachine with operations that the leader holds against what only
// it knows, such as leases, before it proposes them.
type Admitter interface {
	StateMachine
	// Admits says which of its operations are held.
	Admits(op uint32) bool
	// Admit is called on the leader, by any goroutine, for each such operation of a
	// commit right before the commit is put into the proposer's queue. What it enqueues
	// (Node.Enqueue) stands in the log before the commit. An error refuses the whole
	// commit, unexecuted. It must not block.
	//
	// To be admitted is no promise: leadership may end before the commit is in the log,
	// and two commits may be queued in another order than they were admitted in. A node
	// that has just begun to lead calls it before Config.Leading run. A session's repeat
	// of a commit comes here again: what may have been executed is to be admitted, for
	// apply has its result.
	Admit(op uint32, body []byte) *event.Error
}

// admitter returns the machine that holds an operation, nil if none does.
func (m *Mux) admitter(number uint32) Admitter {
	if number < opMachineFirst || number > opMachineLast {
		return nil
	}
	if a, ok := m.find(number).(Admitter); ok && a.Admits(number) {
		return a
	}
	return nil
}

// holds reports whether one of the operations is held.
func (m *Mux) holds(ops []op) bool {
	return slices.ContainsFunc(ops, func(o op) bool { return m.admitter(o.number) != nil })
}

// withAdmission refuses those of the items that a state machine does not admit, and
// returns the others. Only commits with an operation that is held are looked at.
func (n *Node) withAdmission(items []queued) []queued {
	if !slices.ContainsFunc(items, func(q queued) bool { return q.held }) {
		return items
	}
	admitted := make([]queued, 0, len(items))
	var m commit
	for _, q := range items {
		if err := n.admission(&m, q); err != nil {
			q.from.refused(q.index, err)
		} else {
			admitted = append(admitted, q)
		}
	}
	return admitted
}

// admission returns why a commit is not admitted. The error has the shape that it
// would have from apply. It ends at the first operation, so that those after it are
// not admitted for nothing.
func (n *Node) admission(m *commit, q queued) *event.Error {
	if !q.held || decodeSealed(m, q.commit) != nil { // the latter is refused elsewhere
		return nil
	}
	for i, o := range m.ops {
		a := n.cfg.Machines.admitter(o.number)
		if a == nil {
			continue
		}
		if err := a.Admit(o.number, o.body); err != nil {
			return failure([]event.Violation{{Op: i, Err: err}}, len(m.ops))
		}
	}
	return nil
}
