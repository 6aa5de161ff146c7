package router

import (
	"cmp"
	"container/heap"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// queue is a subscription in the leader's memory. For its matching events:
//
//	        committed   proposed    matched
//	────────────┼───────────┼──────────┼───────────▶ positions
//	done, or in │ rows on   │ in fresh │ not looked
//	  `open`    │ their way │          │ at yet
//
// What is at or below committed and not done has a row; what is beyond gets one by
// an advance, in the log before the first settlement that it covers.
//
// All fields are guarded by the dispatcher's mu. live, matched, ahead and what is
// in open are changed by the dispatcher's goroutine alone.
type queue struct {
	Subscription
	order orderKey

	committed, proposed, matched event.Position
	// live: everything up to the dispatcher's live was looked at. Then matched is
	// not kept.
	live bool
	// more: there is a matching event beyond matched, for which there were no credits.
	more bool
	// ahead was read beyond matched, up to aheadTo, and not handed out yet.
	ahead   []log.Record
	aheadTo event.Position

	open    map[event.Position]*item
	oldest  event.Position   // of open, if it is there still; else unknown, see oldestOpen
	fresh   []*item          // beyond proposed, ascending
	flights []event.Position // ends of advances that are not applied yet, ascending

	again     positions // to be handed out, those whose state is ready
	loners    positions // as again, each when lone is free
	suspects  positions
	uncovered []*item // ascending; handed out when an advance covers them
	// lone: a suspect or a loner that failed repeatedly is out, and no other until it is
	// settled: the others are not to be counted for the one that kills its member.
	lone event.Position
	keys map[uint64]*line

	members  []*Member
	turn     int // the next of members
	credits  int // of all members
	inFlight int // leased
	leased   []leaseEnd
	orphans  []leaseEnd
	claims   map[event.Position]lease // shown by members for events that are not matched yet
	claimsTo event.Position

	// adoptUntil: before this time nothing is handed out; 0: it has passed.
	adoptUntil int64
	queued     bool // stands in the dispatcher's work
	pinned     event.Position
	// letGo is the position before which it was last told to let go of what it needs,
	// and nextLetGo, in cluster time, when it may be told of another.
	letGo     event.Position
	nextLetGo int64
}

type state uint8

const (
	stateReady     state = iota // may be handed out
	stateUncovered              // may be once its advance is applied
	stateSuspect                // may be once the attempt that a former leader made is counted
	stateFailing                // the failure of its lease is on its way
	stateWaiting                // its backoff lasts
	stateLeased
)

// item is an event that was matched and is not done.
type item struct {
	position event.Position
	key      uint64
	attempts int // that failed
	state    state
	blocked  bool // another event of its key comes first
	settling bool // a settlement of its lease was let pass
	crashed  bool // its last attempt ended with its member's connection
	lease    lease
}

// lease is a member's hold on an event. Term and number are in its token.
type lease struct {
	member       *Member // nil: who had it is not connected
	term, number uint64
	until        int64 // cluster time
}

// leaseEnd is when a lease is to be looked at.
type leaseEnd struct {
	position event.Position
	number   uint64
	until    int64
}

func newQueue(s Subscription) *queue {
	return &queue{
		Subscription: s, order: parseOrderKey(s.Config.OrderingKey),
		committed: s.Cursor, proposed: s.Cursor, matched: s.Cursor, pinned: s.Cursor,
		open: map[event.Position]*item{}, keys: map[uint64]*line{},
	}
}

// line are the events of one key: one that is out or next, and those behind it.
type line struct {
	holder  event.Position
	waiting []event.Position // ascending
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
	if it.crashed && it.attempts >= loneAttempts && q.lone != it.position {
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

// done forgets an event.
func (q *queue) done(p event.Position) {
	it := q.open[p]
	if it == nil {
		return
	}
	q.unlease(it)
	delete(q.open, p)
	if q.lone == p {
		q.lone = 0
	}
	q.leaveKey(it)
}

func (q *queue) unlease(it *item) {
	if it.state == stateLeased {
		q.inFlight--
		it.lease, it.settling = lease{}, false
	}
}

// room is how many more events may be out.
func (q *queue) room() int {
	if q.Paused {
		return 0
	}
	return max(min(q.credits, q.Config.MaxInFlight-q.inFlight), 0)
}

// adopting reports that members are waited for.
func (q *queue) adopting() bool { return q.adoptUntil != 0 }

// full reports that too much is pending to match more.
func (q *queue) full() bool { return len(q.open) >= q.Config.MaxPending }

// position is up to where the queue has looked.
func (q *queue) position(live event.Position) event.Position {
	if q.live {
		return live
	}
	return q.matched
}

// hasWork reports whether serving the queue gets it further.
func (q *queue) hasWork() bool {
	fresh := !q.live && !q.full()
	switch {
	case fresh && q.claimsTo > q.matched:
		return true // members wait for their events to be known
	case q.adopting():
		return false
	case fresh && !q.more && len(q.ahead) == 0:
		return true // to look for the next match costs no credits
	case q.room() == 0:
		return false
	}
	return fresh || len(q.again) > 0 || (len(q.suspects) > 0 || len(q.loners) > 0) && q.lone == 0
}

// looking reports that it is not known yet what the queue's next event is.
func (q *queue) looking() bool {
	return q.adopting() || !q.live && !q.full() && (q.claimsTo > q.matched || !q.more && len(q.ahead) == 0)
}

// positions is a heap, the lowest first.
type positions []event.Position

func (p positions) Len() int           { return len(p) }
func (p positions) Less(i, j int) bool { return cmp.Less(p[i], p[j]) }
func (p positions) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *positions) Push(x any)        { *p = append(*p, x.(event.Position)) }
func (p *positions) Pop() any {
	old := *p
	last := old[len(old)-1]
	*p = old[:len(old)-1]
	return last
}
