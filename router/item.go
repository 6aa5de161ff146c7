package router

import "github.com/edri-io/edri/event"

type state uint8

const (
	stateReady     state = iota // may be handed out
	stateUncovered              // may be once its advance is applied
	stateSuspect                // may be once the attempt that a former leader made is counted
	stateCounting               // that is on its way
	stateFailing                // the failure of its lease, or its skip, is on its way
	stateWaiting                // its backoff lasts
	stateLeased

	states = iota
)

// item is an event that was matched and is not done.
type item struct {
	position event.Position
	key      uint64
	attempts int   // that failed
	state    state // set by queue.put
	blocked  bool  // another event of its key comes first
	settling bool  // a settlement of its lease was let pass
	crashed  bool  // its last attempt ended with its member's connection
	lease    lease
}

// lease is a member's hold on an event. Term, number and attempt are in its token.
type lease struct {
	member  *Member // nil: who had it is not connected
	term    uint64
	number  uint32
	attempt int
	until   int64 // cluster time
	looked  int64 // when the queue's ends come to it; 0: they do not have it
}

// add makes an item one of the queue's.
func (q *queue) add(it *item) {
	q.open[it.position] = it
	q.in[it.state]++
	q.oldest = min(q.oldest, it.position)
}

// put gives an item of the queue another state. Whoever had it on lease has it no more.
func (q *queue) put(it *item, s state) {
	q.in[it.state]--
	q.in[s]++
	it.state = s
	if s != stateLeased {
		it.lease, it.settling = lease{}, false
	}
}

// done forgets an event.
func (q *queue) done(p event.Position) {
	it := q.open[p]
	if it == nil {
		return
	}
	q.in[it.state]--
	q.pace.finished++
	delete(q.open, p)
	if q.lone == p {
		q.lone = 0
	}
	q.leaveKey(it)
}

// room is how many more events may be out.
func (q *queue) room() int {
	if q.Paused {
		return 0 // what comes next is looked for all the same: retention asks
	}
	return max(min(q.credits, q.Config.MaxInFlight-q.in[stateLeased]), 0)
}

// free is how much of the room no event is on its way to. Only so many are counted as
// suspects, or covered as what a former leader may have handed out: an event that has
// an attempt to its name or a row, and then waits for a member, would be a suspect of
// each leader to come and end in the dead letters without ever having been out.
func (q *queue) free() int {
	return max(q.room()-len(q.again)-q.in[stateUncovered]-q.in[stateCounting], 0)
}
