package router

import (
	"slices"

	"github.com/edri-io/edri/event"
)

// leaseEnd is when a lease is to be looked at.
type leaseEnd struct {
	position event.Position
	until    int64
}

// leaseEnds is a heap, the soonest first. As a rule a lease that is made ends after all
// others, and then to push it costs one comparison.
type leaseEnds []leaseEnd

func (l *leaseEnds) push(e leaseEnd) {
	*l = append(*l, e)
	h := *l
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].until <= h[i].until {
			return
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

func (l *leaseEnds) pop() leaseEnd {
	h := *l
	first, last := h[0], len(h)-1
	h[0] = h[last]
	*l = h[:last]
	(*l).down(0)
	if last == 0 {
		*l = nil
	}
	return first
}

func (l leaseEnds) down(i int) {
	for {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < len(l) && l[child].until < l[least].until {
				least = child
			}
		}
		if least == i {
			return
		}
		l[i], l[least] = l[least], l[i]
		i = least
	}
}

// minLeaseEnds is from how many on it is worth looking for those that are settled.
const minLeaseEnds = 1024

// endAt has a lease looked at when it ends. An end that it had and that comes first
// serves as well: when it comes, the lease is looked at, and has another.
func (q *queue) endAt(it *item) {
	if l := &it.lease; l.looked == 0 || l.until < l.looked {
		l.looked = l.until
		q.ends.push(leaseEnd{it.position, l.until})
	}
	if len(q.ends) > 2*q.in[stateLeased]+minLeaseEnds {
		q.ends = slices.DeleteFunc(q.ends, q.passed)
		for i := len(q.ends)/2 - 1; i >= 0; i-- {
			q.ends.down(i)
		}
	}
}

// passed reports that an end is that of no lease any more.
func (q *queue) passed(end leaseEnd) bool {
	it := q.open[end.position]
	return it == nil || it.state != stateLeased || it.lease.looked != end.until
}

// ended returns the items whose leases are over.
func (q *queue) ended(now int64) []*item {
	var over []*item
	for len(q.ends) > 0 && q.ends[0].until <= now {
		end := q.ends.pop()
		if q.passed(end) {
			continue
		}
		it := q.open[end.position]
		it.lease.looked = 0
		if it.lease.until > now {
			q.endAt(it) // extended
		} else {
			over = append(over, it)
		}
	}
	return over
}
