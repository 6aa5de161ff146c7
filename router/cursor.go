package router

import (
	"slices"

	"github.com/edri-io/edri/event"
)

// advance puts into the log which events up to where the queue has looked are
// pending: what is enqueued after it may settle them.
//
// The rows are there once its note says so. If it has no effect, because it was
// refused, all that follows it has none either, and is proposed anew.
func (d *dispatcher) advance(q *queue) {
	to := q.position(d.live)
	if n := len(q.fresh); n > 0 {
		// While an event is looked at, as when it is skipped, it is not yet passed.
		to = max(to, q.fresh[n-1].position)
	}
	if to <= q.proposed {
		return
	}
	body := q.encodeFresh(to)
	q.fresh = nil
	q.proposed = to
	chain := q.chain
	d.node.Enqueue(opAdvance, body, func(err *event.Error) {
		d.inbox.add(outcome{failed: err != nil, then: func() { d.advanceEnded(q, chain, to) }})
	})
}

// encodeFresh writes the advance of what is fresh.
func (q *queue) encodeFresh(to event.Position) []byte {
	list := make([]event.Position, len(q.fresh))
	var keys []uint64
	for i, it := range q.fresh {
		list[i] = it.position
		if q.Config.OrderingKey != "" {
			keys = append(keys, it.key)
		}
	}
	return encodeAdvance(q.Generation, q.proposed, to, list, keys)
}

// advanceEnded looks whether an advance had its effect, once its notes are there.
//
// Many advances may follow one that was refused. The first of them that comes here has
// all of them proposed anew; for the others that is the chain before. If each of them
// had it done, each would break the chain that the one before it had begun, and a
// leader under load would never come on.
func (d *dispatcher) advanceEnded(q *queue, chain uint64, to event.Position) {
	if chain == q.chain && to > q.committed {
		d.rewind(q)
	}
}

// advanced notes that the cursor has been moved.
func (d *dispatcher) advanced(q *queue, to event.Position) {
	if to <= q.committed {
		return
	}
	q.committed = to
	if q.proposed < to {
		d.rewind(q) // one that was given up has arrived after all
	}
	for len(q.uncovered) > 0 && q.uncovered[0].position <= to {
		it := q.uncovered[0]
		q.uncovered = q.uncovered[1:]
		if q.open[it.position] == it && it.state == stateUncovered {
			d.ready(q, it)
		}
	}
}

// rewind proposes anew what is beyond the committed cursor.
func (d *dispatcher) rewind(q *queue) {
	if d.byGeneration[q.Generation] != q {
		return
	}
	q.chain++
	q.proposed = q.committed
	q.fresh = q.fresh[:0:0]
	for p, it := range q.open {
		if p > q.committed {
			q.fresh = append(q.fresh, it)
		}
	}
	slices.SortFunc(q.fresh, func(a, b *item) int {
		if a.position < b.position {
			return -1
		}
		return 1
	})
	if len(q.fresh) > 0 {
		d.advance(q)
	}
}

// checkpoint writes how far queues have looked, where no advance did: so that a new
// leader does not look again, and retention may go on. It writes so many at a tick that
// all are written in time: the cursors of ten thousand queues in one entry would hold up
// what others are handed.
func (d *dispatcher) checkpoint() {
	n := min(len(d.unwritten), max(maxMoves, len(d.queues)/int(checkpointTick/leaseTick)+1))
	some := d.unwritten[:n]
	d.unwritten = d.unwritten[n:]
	var moves []move
	for _, q := range some {
		if d.byGeneration[q.Generation] != q {
			continue
		}
		to := max(q.position(d.live), q.proposed)
		switch {
		case len(q.fresh) > 0:
			d.advance(q)
		case to > q.proposed, q.committed > q.pinned:
			moves = append(moves, move{q.Generation, q.proposed, to})
			q.proposed, q.pinned = max(q.proposed, to), to
		}
		if len(moves) == maxMoves {
			d.moveCursors(moves)
			moves = nil
		}
	}
	if len(moves) > 0 {
		d.moveCursors(moves)
	}
}

// maxMoves is how many cursors one operation moves, and a tick at least.
const maxMoves = 200

func (d *dispatcher) moveCursors(moves []move) {
	chains := make([]uint64, len(moves))
	for i, m := range moves {
		chains[i] = d.byGeneration[m.generation].chain
	}
	d.node.Enqueue(opCheckpoint, encodeCheckpoint(moves), func(err *event.Error) {
		d.inbox.add(outcome{failed: err != nil, then: func() {
			for i, m := range moves {
				if q := d.byGeneration[m.generation]; q != nil {
					d.advanceEnded(q, chains[i], m.to)
				}
			}
		}})
	})
}
