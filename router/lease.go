package router

import (
	"cmp"
	"slices"

	"github.com/edri-io/edri/event"
)

// tickQueue ends what is over by the cluster's time.
func (d *dispatcher) tickQueue(q *queue, now int64) {
	if q.adopting() && now >= q.adoptUntil {
		q.adoptUntil = 0
		d.enqueue(q)
	}
	var over []event.Position
	q.leased, over = q.expired(q.leased, now, over)
	if len(over) > 0 {
		slices.Sort(over)
		d.fail(q, over, failLost, "it was not settled in time")
	}
	over = over[:0:0]
	q.orphans, over = q.expired(q.orphans, now, over)
	if len(over) > 0 {
		slices.Sort(over)
		for _, p := range over {
			q.open[p].crashed = true
		}
		d.fail(q, over, failLost, "its member's connection broke")
	}
}

// expired takes the leases that are over off a list whose ends ascend.
func (q *queue) expired(list []leaseEnd, now int64, over []event.Position) ([]leaseEnd, []event.Position) {
	for len(list) > 0 && list[0].until <= now {
		end := list[0]
		list = list[1:]
		it := q.open[end.position]
		switch {
		case q.settled(end):
		case it.lease.until > now:
			list = append(list, leaseEnd{end.position, end.number, it.lease.until}) // extended
		default:
			q.unlease(it)
			it.state = stateFailing
			over = append(over, end.position)
		}
	}
	if len(list) == 0 {
		list = nil
	}
	return list, over
}

// orphan shortens the leases of a member that is gone: it may come back for them.
func (d *dispatcher) orphan(q *queue, m *Member) {
	until := d.node.Now() + int64(adoptionTime)
	for p, it := range q.open {
		if it.state == stateLeased && it.lease.member == m {
			it.lease.member = nil
			it.lease.until = min(it.lease.until, until)
			q.orphans = append(q.orphans, leaseEnd{p, it.lease.number, it.lease.until})
		}
	}
	slices.SortFunc(q.orphans, sooner)
}

func sooner(a, b leaseEnd) int { return cmp.Compare(a.until, b.until) }

// holdBriefly makes a lease for as long as a settlement takes whose own was over.
func (d *dispatcher) holdBriefly(q *queue, it *item, t token) {
	if it.state != stateLeased {
		q.inFlight++
	}
	it.state = stateLeased
	it.lease = lease{term: t.term, number: t.lease, until: d.node.Now() + int64(adoptionTime)}
	q.orphans = append(q.orphans, leaseEnd{it.position, t.lease, it.lease.until})
	slices.SortFunc(q.orphans, sooner)
}

// release gives the leases of a member that leaves to others, uncounted. What it has
// just settled has the time that takes.
func (d *dispatcher) release(q *queue, m *Member) {
	for _, it := range q.open {
		if it.state != stateLeased || it.lease.member != m {
			continue
		}
		if it.settling {
			d.holdBriefly(q, it, token{term: it.lease.term, lease: it.lease.number})
			continue
		}
		q.unlease(it)
		d.ready(q, it)
	}
	d.enqueue(q)
}

// adopt renews the lease that a member shows, and reports whether it has it.
func (d *dispatcher) adopt(q *queue, m *Member, h Held) bool {
	t, err := parseToken(h.Token)
	if err != nil || t.generation != q.Generation {
		return false
	}
	l := lease{member: m, term: t.term, number: t.lease, until: d.node.Now() + int64(q.Config.AckWait)}
	it := q.open[h.Position]
	switch {
	case it == nil && t.term < d.term && h.Position > q.position(d.live) && h.Position <= d.start:
		// The leader before handed it out; this one has not come to it yet.
		if q.claims == nil {
			q.claims = map[event.Position]lease{}
		}
		q.claims[h.Position] = l
		q.claimsTo = max(q.claimsTo, h.Position)
		return true
	case it == nil:
		return false
	case it.state == stateLeased:
		if it.lease.member != nil && it.lease.member != m || it.lease.term != t.term || it.lease.number != t.lease {
			return false
		}
	case t.term > d.term, it.state == stateWaiting:
		return false
	}
	d.hold(q, it, l)
	return true
}

// leasedBy returns the item that a member holds by this token.
func (q *queue) leasedBy(m *Member, h Held) *item {
	t, err := parseToken(h.Token)
	it := q.open[h.Position]
	if err != nil || it == nil || it.state != stateLeased || it.lease.member != m ||
		t.generation != q.Generation || it.lease.term != t.term || it.lease.number != t.lease {
		return nil
	}
	return it
}
