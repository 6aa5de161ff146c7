package router

import (
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// take makes an item of a matching event that was not handed out before, as far as
// this leader knows, and hands it out if it can.
func (d *dispatcher) take(v *consensus.View, q *queue, rec *log.Record, h *event.Header) error {
	it := &item{position: rec.Position, key: q.order.hash(rec, h)}
	q.add(it)
	q.fresh = append(q.fresh, it)
	claimed, ok := q.claims[it.position]
	switch {
	case ok && claimed.member != nil:
		q.takeKey(it)
		d.hold(q, it, claimed)
	case it.position <= q.start:
		// The leader before may have handed it out and gone down by it: that it is
		// pending is committed first, so that the next one counts this attempt.
		q.put(it, stateUncovered)
		q.place(it) // those of its key behind it wait from now on
		q.uncovered = append(q.uncovered, it)
	case q.room() > 0 && q.takeKey(it):
		return d.handOut(v, q, it, rec, h)
	default:
		q.place(it)
	}
	return nil
}

// handOut gives an event to the next member that has credits. There is one.
func (d *dispatcher) handOut(v *consensus.View, q *queue, it *item, rec *log.Record, h *event.Header) error {
	var request Request
	if string(h.Kind) == event.KindRequest {
		var known bool
		var err error
		request, known, err = RequestOf(v, it.position)
		if err != nil {
			return err
		}
		if known && (request.State != RequestOpen || request.Deadline <= d.node.Now()) {
			d.skip(q, it) // nobody takes a response any more
			return nil
		}
	}
	it.crashed = false
	m := q.nextMember()
	d.leases++
	d.counts.delivered(it.attempts)
	wait := int64(q.Config.AckWait)
	d.hold(q, it, lease{member: m, term: d.term, number: d.leases, attempt: it.attempts + 1, until: d.node.Now() + wait})
	m.credits--
	q.credits--
	m.deliver(&Delivery{
		Record: rec, Attempt: it.attempts + 1, Generation: q.Generation, Lease: wait, RequestDeadline: request.Deadline,
		Token: q.tokenOf(it).appendTo(nil),
	})
	return nil
}

// nextMember returns the next member in turn that has credits.
func (q *queue) nextMember() *Member {
	for {
		q.turn++
		if m := q.members[q.turn%len(q.members)]; m.credits > 0 {
			return m
		}
	}
}

// hold makes a lease, or gives the one that there is to another member or more time.
func (d *dispatcher) hold(q *queue, it *item, l lease) {
	if it.state == stateLeased {
		l.looked = it.lease.looked
	}
	q.put(it, stateLeased)
	it.lease = l
	q.endAt(it)
}

// skip settles an event that need not be handed out any more.
func (d *dispatcher) skip(q *queue, it *item) {
	q.put(it, stateFailing)
	if it.position > q.proposed {
		d.advance(q)
	}
	body := encodeSettle(q.Config.Name, token{generation: q.Generation, position: it.position, term: d.term}, verbSkip)
	d.node.Enqueue(opSettle, body, func(err *event.Error) {
		if err != nil && err.Code != event.CodeAlreadyAcked {
			d.inbox.add(outcome{failed: true, then: func() {
				if q.open[it.position] == it && it.state == stateFailing {
					d.ready(q, it)
				}
			}})
		}
	})
}

// encodeSettle writes an edri.v1.Settle.
func encodeSettle(name string, t token, verb uint64) []byte {
	b := appendBytes(nil, 1, []byte(name))
	b = appendUint(b, 2, uint64(t.position))
	b = appendBytes(b, 3, t.appendTo(nil))
	return appendUint(b, 4, verb)
}

// countSuspects counts an attempt for pending events that the leader before may have
// handed out, so that what kills nodes or members comes to an end. From the third on
// one at a time: the others are not to be counted for the one that kills.
func (d *dispatcher) countSuspects(q *queue) {
	var batch []event.Position
	for len(q.suspects) > 0 && q.free() > 0 && len(batch) < batchEvents && q.lone == 0 {
		it := q.open[q.suspects[0]]
		if it == nil || it.state != stateSuspect || it.blocked {
			pop(&q.suspects)
			continue
		}
		if it.attempts >= q.loneFrom() {
			if len(batch) > 0 {
				break
			}
			q.lone = it.position
		}
		pop(&q.suspects)
		q.put(it, stateCounting)
		batch = append(batch, it.position)
	}
	if len(batch) > 0 {
		d.fail(q, batch, failSuspect, "the node that had handed it out stopped to lead")
	}
}

// loneAttempts is after how many failures a suspect is handed out alone, and an event
// whose member is gone.
const loneAttempts = 2

// loneFrom is loneAttempts, or less where there are so few attempts that the last two
// would not be alone: what has failed beside the event that kills nodes is counted once
// more when its own turn comes, and has one attempt left then.
func (q *queue) loneFrom() int { return max(0, min(loneAttempts, q.Config.MaxDeliver-2)) }

// fail commits a failed attempt of events whose leases are over.
func (d *dispatcher) fail(q *queue, batch []event.Position, how int, reason string) {
	if batch[len(batch)-1] > q.proposed {
		d.advance(q)
	}
	d.node.Enqueue(opFail, encodeFail(q.Generation, batch, reason, how), func(err *event.Error) {
		d.inbox.add(outcome{failed: err != nil, then: func() {
			again := func() { d.failAgain(q, batch, how, reason) }
			if err != nil {
				again()
			} else if len(q.failing(batch)) > 0 {
				d.retries = append(d.retries, again) // the advance before it had no effect
			}
		}})
	})
}

// failAgain repeats a failure that was refused or lost sight of, or found no row. If it
// was applied after all the events are not failing any more.
func (d *dispatcher) failAgain(q *queue, batch []event.Position, how int, reason string) {
	if d.byGeneration[q.Generation] != q {
		return
	}
	if left := q.failing(batch); len(left) > 0 {
		d.fail(q, left, how, reason)
	}
}

// failing returns those whose failure has not been applied.
func (q *queue) failing(batch []event.Position) []event.Position {
	var left []event.Position
	for _, p := range batch {
		if it := q.open[p]; it != nil && (it.state == stateFailing || it.state == stateCounting) {
			left = append(left, p)
		}
	}
	return left
}

// ready makes an event one that may be handed out.
func (d *dispatcher) ready(q *queue, it *item) {
	q.put(it, stateReady)
	q.place(it)
	d.enqueue(q)
}
