package router

import (
	"container/heap"

	"github.com/edri-io/edri/event"
)

// line are the events of one key: one that is out or next, and those behind it.
type line struct {
	holder  event.Position
	waiting []event.Position // in the order in which they came
}

// takeKey reports whether the event is the one of its key whose turn it is; else it
// waits in line.
func (q *queue) takeKey(it *item) bool {
	if it.key == 0 {
		return true
	}
	l := q.keys[it.key]
	switch {
	case l == nil:
		q.keys[it.key] = &line{holder: it.position}
		return true
	case l.holder == it.position:
		return true
	case !it.blocked:
		it.blocked = true
		l.waiting = append(l.waiting, it.position)
	}
	return false
}

// leaveKey lets the next event of a key go on.
func (q *queue) leaveKey(it *item) {
	l := q.keys[it.key]
	if it.key == 0 || l == nil || l.holder != it.position {
		return // one that waits in line is passed when its turn comes
	}
	for len(l.waiting) > 0 {
		next := q.open[l.waiting[0]]
		l.waiting = l.waiting[1:]
		if next != nil {
			l.holder, next.blocked = next.position, false
			q.place(next)
			return
		}
	}
	delete(q.keys, it.key)
}

// place puts an item where what is done with its state finds it.
func (q *queue) place(it *item) {
	if !q.takeKey(it) {
		return
	}
	switch it.state {
	case stateReady:
		q.pushReady(it)
	case stateSuspect:
		heap.Push(&q.suspects, it.position)
	}
}

// pushReady puts an item that is ready where serveAgain finds it.
func (q *queue) pushReady(it *item) {
	if it.crashed && it.attempts >= q.loneFrom() && q.lone != it.position {
		heap.Push(&q.loners, it.position)
	} else {
		heap.Push(&q.again, it.position)
	}
}

// popReady returns the next item that is ready, nil if there is none.
func (q *queue) popReady() *item {
	for {
		from := &q.again
		alone := q.lone == 0 && len(q.loners) > 0
		if alone {
			from = &q.loners
		}
		if len(*from) == 0 {
			return nil
		}
		it := q.open[pop(from)]
		if it == nil || it.state != stateReady || it.blocked {
			continue
		}
		if alone {
			q.lone = it.position
		}
		return it
	}
}
