package router

import "fmt"

// note takes over what was applied.
func (d *dispatcher) note(notes []any) error {
	if len(notes) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range notes {
		switch n := n.(type) {
		case noteDone:
			d.counts.settled(n.verb, n.dead)
			d.answering.settled(n.position)
			if q := d.byGeneration[n.generation]; q != nil {
				q.done(n.position)
				d.enqueue(q)
			}
		case noteWaiting:
			d.counts.settled(n.verb, false)
			if q := d.byGeneration[n.generation]; q != nil {
				d.failed(q, n)
			}
		case noteReady:
			if q := d.byGeneration[n.generation]; q != nil {
				d.waited(q, n)
			}
		case noteAdvanced:
			if q := d.byGeneration[n.generation]; q != nil {
				d.advanced(q, n.to)
			}
		case noteLost:
			if q := d.byGeneration[n.generation]; q != nil {
				d.lost(q, n.from, n.to)
			}
		case noteSubscription:
			if err := d.changed(n.name); err != nil {
				return err
			}
			d.inbox.changed()
		case outcome:
			if n.failed {
				d.retries = append(d.retries, n.then)
			} else {
				n.then()
			}
		case noteUnanswered:
			d.answering.lookAt(n.position)
		case noteRequest: // see waiting too
			delete(d.answering.open, n.position)
		default:
			panic(fmt.Sprintf("router: note %T", n))
		}
	}
	return nil
}

func (d *dispatcher) changed(name string) error {
	v := d.node.View()
	defer v.Close()
	return d.reload(v, name)
}

// failed notes that one more attempt at an event failed.
func (d *dispatcher) failed(q *queue, n noteWaiting) {
	it := q.open[n.position]
	if it == nil {
		return
	}
	it.attempts = n.attempts
	if n.due != 0 {
		q.put(it, stateWaiting)
		if q.lone == n.position {
			q.lone = 0 // its member lives, and said no
		}
		d.enqueue(q) // there is room
		return
	}
	d.ready(q, it)
}

// waited notes that an event's backoff is over, or that it came back from the dead.
func (d *dispatcher) waited(q *queue, n noteReady) {
	it := q.open[n.position]
	switch {
	case it == nil:
		it = &item{position: n.position}
		q.add(it)
	case it.state != stateWaiting:
		return
	}
	d.ready(q, it)
}
