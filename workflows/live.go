package workflows

import (
	"container/list"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/event"
)

// live is a run in a worker's memory. What comes for it is posted; one goroutine at a
// time takes what was posted and goes on. But for the fields of the mailbox, everything
// belongs to that one.
//
//	posted ─▶ queues ─▶ feed the machine ─▶ advance, sent ─▶ committed ─▶ begin steps
//	             ▲                             │ refused
//	             └──── the machine is made anew┘
//
// While an advance is under way nothing is fed, so that what is not committed is what it
// says, and nothing else.
type live struct {
	h         *host
	def       *definition
	committed atomic.Uint64 // run.Advance, for whoever asks

	mu     sync.Mutex // of the mailbox
	box    []mail
	active bool // a goroutine is at it
	gone   bool // nothing is taken any more

	place *list.Element // among the idle ones; of host.mu

	run    Run              // id, number, type and version never change
	events []event.Recorded // the history, as far as it came with the assignment
	m      *machine         // nil: to be made
	front  []pending        // inputs that are to be fed first
	// entries, by number, and results wait to be fed; next is the number of the entry that
	// comes after them.
	entries []Entry
	results []*result
	next    uint64
	tasks   map[uint64]*task // steps that wait for a slot or run, by seq

	sent     *Advance
	batch    []pending // its inputs
	retry    *time.Timer
	attempts int  // at loading, or at sending
	insist   bool // the end was refused once for unread entries
	waiting  bool // for those entries
	ahead    int  // signals that went ahead of the end, see carry.go

	// unreceived are the signals that the code had not received at the last advance.
	unreceived, unreceivedBytes int

	// refusedOnce: the run is blocked in the place of an advance, which the machine that is
	// made anew may ask for again.
	refusedOnce bool
	draining    bool // begin nothing more
	evicted     bool
}

// mail is something to be done with a run, or where it is gone by then, instead of it.
type mail struct{ do, gone func() }

// pending is an input that is not committed: an entry or a result.
type pending struct {
	entry  *Entry
	result *result
}

func newLive(h *host, def *definition, a *Assign) *live {
	return &live{h: h, def: def, run: a.Run, tasks: make(map[uint64]*task)}
}

// post has f done, and the run go on after it. It reports false where the run is gone;
// where it goes before its turn comes, f is not done.
func (r *live) post(f func()) bool { return r.postOr(f, nil) }

// postOr is post for what must not get lost: where the run goes before f is done, gone is.
func (r *live) postOr(f, gone func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return false
	}
	r.box = append(r.box, mail{f, gone})
	if !r.active {
		r.active = true
		r.h.turns.Go(r.turn)
	}
	return true
}

// turn takes what was posted.
func (r *live) turn() {
	for {
		r.mu.Lock()
		box := r.box
		r.box = nil
		if len(box) == 0 {
			r.active = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		for _, m := range box {
			switch {
			case !r.gone:
				m.do()
			case m.gone != nil:
				m.gone()
			}
		}
		r.goOn()
	}
}

// goOn does what there is to do.
func (r *live) goOn() {
	for !r.gone && r.sent == nil && !r.waiting && r.load() {
		if r.refusedOnce && len(r.m.out) > 0 {
			r.give("what its code asks for was refused") // until it is resumed
			return
		}
		if a := r.advance(); a != nil {
			r.sent = a
			r.resend()
			return
		}
		if r.act() {
			continue
		}
		switch atRest := len(r.tasks) == 0; {
		case r.m.underway == 0 && !r.draining && !r.evicted:
			r.h.rests(r)
		case atRest && r.h.isClosing():
			r.drop()
		case atRest && r.evicted && r.m.underway == 0 && r.run.Advance == 0:
			// Until its first advance a run counts as one that has to begin.
			r.sent = r.newAdvance()
			r.resend()
		case atRest && (r.draining || r.evicted && r.m.underway == 0):
			r.give("at rest")
		}
		return
	}
}

func (h *host) isClosing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closing
}

// assigned begins with a run.
func (r *live) assigned(a *Assign) {
	r.events = a.Events
	r.committed.Store(a.Run.Advance)
	r.next = a.Run.Entry + 1
	r.take(a.Entries)
	r.draining = r.draining || r.h.isClosing()
}

// assignedAgain is for a run that a new leader gives to who has it already.
func (r *live) assignedAgain(a *Assign) {
	switch {
	case a.Run.Advance <= r.run.Advance || r.sent != nil:
		// What was sent is sent again, which says whose the advance is.
		r.take(a.Entries)
	default:
		h := r.h
		r.drop()
		h.assign(a)
	}
}

// take takes entries, some of which may be known.
func (r *live) take(entries []Entry) {
	r.h.wakes(r)
	r.evicted = false
	for _, e := range entries {
		switch {
		case e.Number < r.next:
		case e.Number > r.next:
			r.h.cfg.Logger.Warn("entries of a run are missing", "run", r.run.ID, "have", r.next-1, "got", e.Number)
			r.give("entries are missing")
			return
		default:
			r.entries = append(r.entries, e)
			r.next++
			r.waiting = false
		}
	}
}

// load makes the machine, where there is none, by a replay.
func (r *live) load() bool {
	if r.m != nil {
		return true
	}
	m := newMachine(r.def, r.run, r.h.cfg.StuckAfter)
	m.replay.tellForeign = func() { r.post(func() {}) }
	r.h.watch(m)
	if r.run.Advance > 0 {
		r.h.stats.replays.Add(1)
	}
	if err := m.replayAll(r.history()); err != nil {
		r.h.dismiss(m)
		r.again(fmt.Errorf("replay: %w", err))
		return false
	}
	m.blocks = nil // they are of the past too
	r.m, r.events, r.attempts = m, nil, 0
	return true
}

// history is what the machine replays: what came with the assignment, if that is all.
func (r *live) history() iter.Seq2[event.Recorded, error] {
	if n, ranges := len(r.events), len(r.run.History); n > 0 && (ranges == 0 || r.events[n-1].Revision >= r.run.History[ranges-1].To) {
		return func(yield func(event.Recorded, error) bool) {
			for _, e := range r.events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
	return r.h.cluster.History(r.h.base, r.run.ID, r.run.History)
}

// again posts nothing after a while, so that what did not work is tried once more.
func (r *live) again(err error) {
	wait := min(firstRetry<<min(r.attempts, 10), longestRetry)
	wait = wait/2 + rand.N(wait)
	r.attempts++
	r.h.cfg.Logger.Warn("run waits", "run", r.run.ID, "error", err, "retry_in", wait)
	r.later(wait, func() {})
}

func (r *live) later(wait time.Duration, f func()) {
	if r.retry != nil {
		r.retry.Stop()
	}
	r.retry = time.AfterFunc(wait, func() { r.post(f) })
}

// give gives the run back.
func (r *live) give(why string) {
	r.h.cfg.Logger.Debug("run is released", "run", r.run.ID, "reason", why)
	if r.end() {
		// Not before: it may be assigned again at once.
		r.h.send(Reply{Release: &Release{r.run.Number}})
		r.h.send(Reply{Credits: 1})
	}
}

// drop is for a run that has ended or is another worker's.
func (r *live) drop() {
	if r.end() {
		r.h.send(Reply{Credits: 1})
	}
}

// end ends what the worker has of the run.
func (r *live) end() bool {
	r.mu.Lock()
	gone := r.gone
	r.gone = true
	r.mu.Unlock()
	if gone {
		return false
	}
	if r.retry != nil {
		r.retry.Stop()
	}
	for _, t := range r.tasks {
		t.cancel(errGone)
	}
	if r.m != nil {
		r.h.dismiss(r.m)
	}
	r.h.forget(r)
	return true
}
