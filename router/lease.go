package router

import (
	"slices"

	"github.com/edri-io/edri/event"
)

// tickQueue ends what is over by the cluster's time.
func (d *dispatcher) tickQueue(q *queue, now int64) {
	if q.adopting() && now >= q.adoptUntil {
		q.adoptUntil = 0
		d.enqueue(q)
	}
	var late, orphaned []event.Position
	for _, it := range q.ended(now) {
		switch {
		case it.settling:
			// Of one delivery two attempts would be counted, if its nak is committed first
			// and does not wait, or is put into the log behind the failure.
			it.settling = false
			it.lease.until = now + int64(adoptionTime)
			q.endAt(it)
			continue
		case it.lease.member != nil:
			late = append(late, it.position)
		default:
			orphaned = append(orphaned, it.position)
			it.crashed = true
		}
		q.put(it, stateFailing)
	}
	d.lose(q, late, "it was not settled in time")
	d.lose(q, orphaned, "its member's connection broke")
}

// lose commits that the leases of events were lost.
func (d *dispatcher) lose(q *queue, list []event.Position, reason string) {
	if len(list) > 0 {
		slices.Sort(list)
		d.fail(q, list, failLost, reason)
	}
}

// orphan shortens the leases of a member that is gone: it may come back for them.
func (d *dispatcher) orphan(q *queue, m *Member) {
	until := d.node.Now() + int64(adoptionTime)
	for _, it := range q.open {
		if it.state == stateLeased && it.lease.member == m {
			it.lease.member = nil
			it.lease.until = min(it.lease.until, until)
			q.endAt(it)
		}
	}
}

// holdBriefly makes a lease for as long as a settlement takes whose own was over.
func (d *dispatcher) holdBriefly(q *queue, it *item, t token) {
	d.hold(q, it, lease{term: t.term, number: t.lease, attempt: t.attempt, until: d.node.Now() + int64(adoptionTime)})
}

// release gives the leases of a member that leaves to others, uncounted. What it has
// just settled has the time that takes.
func (d *dispatcher) release(q *queue, m *Member) {
	for _, it := range q.open {
		if it.state != stateLeased || it.lease.member != m {
			continue
		}
		if it.settling {
			d.holdBriefly(q, it, q.tokenOf(it))
			continue
		}
		d.ready(q, it)
	}
	d.enqueue(q)
}

// adopt renews the lease that a member shows, and reports whether it has it.
func (d *dispatcher) adopt(q *queue, m *Member, h Held) bool {
	t, err := tokenOf(h.Token, h.Position)
	if err != nil || t.generation != q.Generation {
		return false
	}
	l := lease{member: m, term: t.term, number: t.lease, attempt: t.attempt, until: d.node.Now() + int64(q.Config.AckWait)}
	it := q.open[h.Position]
	switch {
	case it == nil && t.term < d.term && h.Position > q.position(d.live) && h.Position <= q.start:
		// The leader before handed it out; this one has not come to it yet.
		q.claim(h.Position, l)
		return true
	case it == nil:
		return false
	case it.state == stateLeased:
		// Who shows its token has it, also where another connection is not known to be
		// broken yet.
		if !it.lease.is(t) {
			return false
		}
	case t.term > d.term, it.state == stateWaiting, it.blocked, t.over(it.attempts):
		return false
	}
	d.hold(q, it, l)
	return true
}

// claim has the queue look up to an event of which the leader before told a member. The
// lease is the member's who goes on with it; without a member it is only settled.
func (q *queue) claim(p event.Position, l lease) {
	if q.claims == nil {
		q.claims = map[event.Position]lease{}
	}
	if _, ok := q.claims[p]; !ok || l.member != nil {
		q.claims[p] = l
	}
	q.claimsTo = max(q.claimsTo, p)
}

// leasedBy returns the item that a member holds by this token.
func (q *queue) leasedBy(m *Member, h Held) *item {
	t, err := tokenOf(h.Token, h.Position)
	it := q.open[h.Position]
	if err != nil || it == nil || it.state != stateLeased || it.lease.member != m ||
		t.generation != q.Generation || !it.lease.is(t) {
		return nil
	}
	return it
}
