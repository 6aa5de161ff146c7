package router

import (
	"container/heap"
	"slices"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// load makes the queues of all subscriptions from the state, as a new leader.
func (d *dispatcher) load() error {
	v := d.node.View()
	defer v.Close()
	d.inbox.begin(v.Index)
	now := d.node.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.term, d.start = v.Term, v.Mark.Last
	d.live = v.Mark.Last
	d.nextCheckpoint = now + int64(checkpointTick)
	for s, err := range Subscriptions(v, "", "") {
		if err != nil {
			return err
		}
		if err := d.open(v, s, now); err != nil {
			return err
		}
	}
	d.loaded, d.garbage = true, true
	return d.loadUnanswered(v)
}

// open adds the queue of a subscription. What is pending may be out, with a member
// that the leader before gave it to.
func (d *dispatcher) open(v *consensus.View, s Subscription, now int64) error {
	q := newQueue(s)
	q.start = d.start
	for p, err := range PendingOf(v, s.Generation) {
		if err != nil {
			return err
		}
		it := &item{position: p.Position, key: p.Key, attempts: p.Attempts, state: stateSuspect}
		if p.Due != 0 {
			it.state = stateWaiting
		}
		q.add(it)
		q.place(it)
	}
	if len(q.open) > 0 || q.committed < d.start {
		q.adoptUntil = now + int64(adoptionTime)
	}
	d.queues[s.Config.Name] = q
	d.byGeneration[s.Generation] = q
	d.matcher.add(q)
	d.enqueue(q)
	return nil
}

// remove forgets a queue; its members are the caller's.
func (d *dispatcher) remove(q *queue) {
	d.setLive(q, false)
	delete(d.queues, q.Config.Name)
	delete(d.byGeneration, q.Generation)
	d.matcher.remove(q)
	if i := slices.Index(d.work, q); i >= 0 {
		d.work = slices.Delete(d.work, i, i+1)
	}
}

// reload takes over what changed about a subscription: its config, or a new
// generation, or that it is gone.
func (d *dispatcher) reload(v *consensus.View, name string) error {
	d.garbage = true
	old := d.queues[name]
	s, found, err := SubscriptionOf(v, name)
	if err != nil {
		return err
	}
	if !found {
		if old != nil {
			d.remove(old)
			for _, m := range old.members {
				m.end(noSubscription(name))
			}
		}
		return nil
	}
	if old != nil && old.Generation == s.Generation {
		d.matcher.remove(old)
		old.Config, old.Paused, old.Note = s.Config, s.Paused, s.Note
		old.order = parseOrderKey(s.Config.OrderingKey)
		d.refilter(old)
		d.matcher.add(old)
		for _, m := range slices.Clone(old.members) {
			if err := m.superseded(old); err != nil {
				m.leave(true)
				m.end(err)
			}
		}
		d.enqueue(old)
		return nil
	}
	var members []*Member
	if old != nil {
		members = old.members
		d.remove(old)
	}
	if err := d.open(v, s, d.node.Now()); err != nil {
		return err
	}
	q := d.queues[name]
	q.adoptUntil, q.start = 0, 0 // nobody has anything of a new generation
	for _, m := range members {
		m.loseAll(old)
		m.queue = q
		q.members = append(q.members, m)
		q.credits += m.credits
	}
	d.enqueue(q)
	return nil
}

// refilter drops what was read ahead by another filter: it is read again.
func (d *dispatcher) refilter(q *queue) {
	q.matched = q.position(d.live)
	d.setLive(q, false)
	q.more = false
	q.ahead, q.aheadTo = nil, 0
}

// enqueue notes that a queue may have something to hand out.
func (d *dispatcher) enqueue(q *queue) {
	if !q.queued {
		q.queued = true
		d.work = append(d.work, q)
	}
	signal(d.inbox.wake)
}

func pop(p *positions) event.Position { return heap.Pop(p).(event.Position) }
