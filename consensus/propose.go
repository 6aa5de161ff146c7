package consensus

import (
	"context"
	"time"

	"github.com/edri-io/edri/event"
)

// Propose executes one operation of a state machine that the machine refuses from
// clients, and returns when this node has applied it. An error says that it was
// not executed, unless it is outcome_unknown.
func (n *Node) Propose(ctx context.Context, op uint32, body []byte) error {
	return n.commitInternal(ctx, func(waiter uint64) []byte {
		return internalCommit(op, body, waiter)
	})
}

// maxProposedBytes is how large an operation of Enqueue may be, so that what a state
// machine proposes cannot make entries that are larger than clients' can.
const maxProposedBytes = 4 << 20

// Enqueue is Propose on the leader without waiting: when it returns, the operation is
// in the proposer's queue, behind what the same goroutine put there before, or
// refused, as it is where this node does not lead.
//
// done is called exactly once, from any goroutine, also before Enqueue returns, and
// must not block: with nil when this node has applied the operation, else with what
// Propose returns. The body may be changed after Enqueue.
func (n *Node) Enqueue(op uint32, body []byte, done func(*event.Error)) {
	if len(body) > maxProposedBytes {
		done(event.TooLarge("proposed operation in bytes", int64(len(body)), maxProposedBytes))
		return
	}
	sub := n.waiters.add(1, time.Now().Add(answerPatience), func(_ int, result []byte, err *event.Error) {
		if err == nil {
			err = failureOf(result)
		}
		done(err)
	})
	if sub == nil {
		done(event.Errorf(event.CodeUnavailable, "the node is stopping"))
		return
	}
	if !n.leads() {
		sub.refused(0, event.Errorf(event.CodeNotLeader, "this node does not lead"))
		return
	}
	items := []queued{{commit: internalCommit(op, body, sub.first), from: sub, own: true}}
	if items = n.withinLevel(items); len(items) == 0 {
		return
	}
	err := n.admit()
	if err == nil {
		items, err = n.enqueue(items)
	}
	if err != nil {
		refuseAll(items, err)
	}
}

// failureOf returns the error of a result, nil if the commit took effect.
func failureOf(result []byte) *event.Error {
	failed, err := DecodeResultError(result)
	if err != nil {
		return event.Errorf(event.CodeInternal, "read the result: %v", err)
	}
	return failed
}
