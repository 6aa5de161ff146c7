package router

import (
	"cmp"

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
	// where it was when that began.
	live bool
	// more: there is a matching event beyond matched, for which there were no credits.
	more bool
	// ahead was read beyond matched, up to aheadTo, and not handed out yet.
	ahead   []log.Record
	aheadTo event.Position

	// start is up to where a former leader may have handed out what has no row yet.
	start event.Position

	open map[event.Position]*item
	// oldest of open, if it is there still; else unknown, see oldestOpen.
	oldest event.Position
	in     [states]int // how many of them are in each state
	fresh  []*item     // beyond proposed, ascending
	// chain counts the rewinds: of an advance that was proposed before the last one it
	// does not matter any more what became of it.
	chain uint64

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
	ends     leaseEnds
	claims   map[event.Position]lease // shown by members for events that are not matched yet
	claimsTo event.Position

	// adoptUntil: before this time nothing is handed out; 0: it has passed.
	adoptUntil int64
	queued     bool // stands in the dispatcher's work
	pace       pace
	pinned     event.Position
	// letGo is the position before which it was last told to let go of what it needs,
	// and nextLetGo, in cluster time, when it may be told of another.
	letGo     event.Position
	nextLetGo int64
}

func newQueue(s Subscription) *queue {
	return &queue{
		Subscription: s, order: parseOrderKey(s.Config.OrderingKey),
		committed: s.Cursor, proposed: s.Cursor, matched: s.Cursor, pinned: s.Cursor,
		open: map[event.Position]*item{}, keys: map[uint64]*line{},
	}
}

// adopting reports that members are waited for.
func (q *queue) adopting() bool { return q.adoptUntil != 0 }

// full reports that too much is pending to match more.
func (q *queue) full() bool { return len(q.open) >= q.Config.MaxPending }

// position is up to where the queue has looked. It may begin beyond the journal's end.
func (q *queue) position(live event.Position) event.Position {
	if q.live {
		return max(live, q.matched)
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
	return len(q.again) > 0 || len(q.loners) > 0 && q.lone == 0 ||
		q.free() > 0 && (fresh || len(q.suspects) > 0 && q.lone == 0)
}

// looking reports that it is not known yet what the queue's next event is.
func (q *queue) looking() bool {
	return q.adopting() || !q.live && !q.full() && (q.claimsTo > q.matched || !q.more && len(q.ahead) == 0)
}

// handsOut reports whether the queue may hand anything out now.
func (q *queue) handsOut() bool { return !q.Paused && !q.adopting() }

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
