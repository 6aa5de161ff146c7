package router

import (
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/event"
)

// Stats is what a node has delivered and, if it leads, what it has to deliver. The
// counts are of the node's life, and grow while it leads only.
type Stats struct {
	// Deliveries counts what was handed out, Redeliveries those of it that were not the
	// first attempt.
	Deliveries, Redeliveries uint64
	// Settled counts by Verbs how attempts ended; those that gave an event up are
	// counted in Dead too.
	Settled [len(Verbs)]uint64
	Dead    uint64
	// Ended counts those that were skipped since retention or a purge had ended them.
	Ended uint64

	// Of all subscriptions; 0 where the node does not lead.
	Subscriptions, Members, InFlight, Pending int
	// Blocked counts subscriptions that hand out nothing new, since so much is pending.
	Blocked int
	// Stuck counts those that have finished nothing for long, though events wait; each
	// is an alarm.
	Stuck int
	// Oldest is the age of the oldest event that is pending, or out; 0: none is.
	Oldest time.Duration
}

// Verbs are how an attempt ends, in the order of Stats.Settled. lost: the lease was over,
// the member's connection broke, or the leader changed.
var Verbs = [...]string{"ack", "nak", "park", "skip", "lost"}

// counts are the counting part of Stats.
type counts struct {
	deliveries, redeliveries atomic.Uint64
	verbs                    [len(Verbs)]atomic.Uint64
	dead, ended              atomic.Uint64
}

func (c *counts) delivered(failedBefore int) {
	c.deliveries.Add(1)
	if failedBefore > 0 {
		c.redeliveries.Add(1)
	}
}

func (c *counts) settled(verb int, dead bool) {
	c.verbs[verb].Add(1)
	if dead {
		c.dead.Add(1)
	}
}

// Stats returns what this node has delivered and has to deliver.
func (r *Router) Stats() (Stats, error) {
	s := Stats{
		Deliveries: r.counts.deliveries.Load(), Redeliveries: r.counts.redeliveries.Load(), Dead: r.counts.dead.Load(), Ended: r.counts.ended.Load(),
	}
	for i := range r.counts.verbs {
		s.Settled[i] = r.counts.verbs[i].Load()
	}
	d := r.leading.Load()
	if d == nil {
		return s, nil
	}
	return s, d.stats(&s)
}

// stats adds what the leader knows.
func (d *dispatcher) stats(s *Stats) error {
	oldest := event.Position(0)
	d.mu.Lock()
	s.Subscriptions = len(d.queues)
	for _, q := range d.queues {
		s.Members += len(q.members)
		s.InFlight += q.in[stateLeased]
		s.Pending += len(q.open)
		if q.full() {
			s.Blocked++
		}
		if q.pace.since != 0 {
			s.Stuck++
		}
		if p := q.oldestOpen(); p != 0 && (oldest == 0 || p < oldest) {
			oldest = p
		}
	}
	d.mu.Unlock()
	if oldest == 0 {
		return nil
	}
	v := d.node.View()
	defer v.Close()
	rec, err := v.Journal().Get(oldest)
	if event.CodeOf(err) == event.CodeCompacted {
		return nil // retention or a purge ended it; it is skipped
	}
	if err != nil {
		return err
	}
	s.Oldest = max(time.Duration(d.node.Now()-rec.Stamp), 1)
	return nil
}

// oldestOpen returns the first event of open, 0 if there is none. A stuck one is known
// from the last time, so that it costs nothing how many are behind it.
func (q *queue) oldestOpen() event.Position {
	if _, ok := q.open[q.oldest]; !ok {
		q.oldest = 0
		for p := range q.open {
			if q.oldest == 0 || p < q.oldest {
				q.oldest = p
			}
		}
	}
	return q.oldest
}
