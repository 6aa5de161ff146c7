package router

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

const (
	// How long a new leader waits for members to show what they have from the one
	// before, and a member whose stream broke to come back.
	adoptionTime = 2 * time.Second
	// How often leases are looked at, and cursors of scans without a match written.
	leaseTick      = 100 * time.Millisecond
	checkpointTick = 5 * time.Second
	// At most so much is read of a subscription's backlog before the others have
	// their turn, in matching events and in events that are looked at.
	batchEvents = 256
	batchLooked = 4096
	// Of what was appended so much is given to the live queues at a time.
	batchFed = 512
)

// Node is what the dispatcher needs of its node.
type Node interface {
	Now() int64
	Applied() <-chan struct{}
	View() *consensus.View
	Enqueue(op uint32, body []byte, done func(*event.Error))
	// Alarm tells people what is wrong, and ClearAlarms ends those whose subjects
	// begin with kind and are not in keep.
	Alarm(subject, what string)
	ClearAlarms(kind string, keep []string)
}

var _ Node = (*consensus.Node)(nil)

// Router is the state machine of subscriptions and requests, and on the leader what
// hands events out to members.
type Router struct {
	*Machine
	logger  *slog.Logger
	leading atomic.Pointer[dispatcher] // nil while this node does not lead
	waiting waiting
	counts  counts
}

var (
	_ consensus.Observer = (*Router)(nil)
	_ consensus.Admitter = (*Router)(nil)
	_ consensus.Sparing  = (*Router)(nil)
)

// New returns a router whose timers are in t.
func New(t *timers.Table, logger *slog.Logger) *Router {
	return &Router{Machine: NewMachine(t), logger: logger}
}

// Lead hands out events until ctx ends. The leader runs it.
func (r *Router) Lead(ctx context.Context, node Node) error {
	d := newDispatcher(node, r.logger, &r.counts)
	r.leading.Store(d)
	defer func() {
		r.leading.Store(nil)
		d.close()
	}()
	return d.run(ctx)
}

// Spares implements consensus.Sparing: what ends deliveries goes on while disks are
// full, and what lets retention end something. The effects with them do not.
func (r *Router) Spares(op uint32) bool {
	switch op {
	case opSettle, opDelete, opPause, opCheckpoint, opSweep, opRelease:
		return true
	}
	return false
}

// Observe implements consensus.Observer.
func (r *Router) Observe(index uint64, notes []any) {
	r.waiting.wake(notes)
	if d := r.leading.Load(); d != nil {
		d.inbox.put(index, notes)
	}
}

// dispatcher hands the events of all subscriptions out, on the leader. One goroutine
// (run) reads the journal, matches and hands out; members come, settle and go by
// other goroutines, under mu.
type dispatcher struct {
	node   Node
	logger *slog.Logger
	counts *counts
	inbox  inbox

	// Set once, before the first member.
	term   uint64
	loaded bool
	// start is the journal's last position when this node began to lead: what lies at
	// or below may have been handed out before.
	start event.Position

	mu     sync.Mutex
	closed bool
	queues map[string]*queue
	// byGeneration finds the queue of a note.
	byGeneration map[uint64]*queue
	matcher      matcher
	// live is up to where the queues that are live have been given all that matches.
	live       event.Position
	liveQueues int
	// work are the queues that may have something to hand out.
	work []*queue
	// leases counts those that were given, for their tokens.
	leases uint32
	// unwritten are the queues whose cursors are to be written, some at each tick.
	unwritten []*queue
	answering answering
	// retries are run at the next tick.
	retries []func()
	// garbage: there may be rows to sweep; sweeping: one of its operations is on its way.
	garbage, sweeping bool
	// looked is the pin up to which was seen what holds retention back; releasing: so
	// many operations that end it are on their way.
	looked    consensus.Pin
	releasing int
	// In cluster time.
	nextLease, nextCheckpoint int64
}

func newDispatcher(node Node, logger *slog.Logger, counts *counts) *dispatcher {
	return &dispatcher{
		node: node, logger: logger, counts: counts, inbox: inbox{wake: make(chan struct{}, 1)},
		queues: map[string]*queue{}, byGeneration: map[uint64]*queue{},
	}
}

// run is the dispatcher's goroutine.
func (d *dispatcher) run(ctx context.Context) error {
	if err := d.load(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		// Asked for first: what is applied from here on is not missed.
		applied := d.node.Applied()
		busy, err := d.step(d.inbox.take())
		if err != nil {
			return err
		}
		if !busy {
			d.wait(ctx, applied)
		}
	}
	return nil
}

// step does what there is to do now, in pieces that leave members their turn, and
// reports whether there is more.
func (d *dispatcher) step(notes []any) (busy bool, err error) {
	if err := d.note(notes); err != nil {
		return false, err
	}
	if err := d.tick(); err != nil {
		return false, err
	}
	fed, err := d.feed()
	if err != nil {
		return false, err
	}
	served, err := d.serveAll()
	if err != nil {
		return false, err
	}
	more, err := d.answerSome()
	return fed || served || more, err
}

// wait returns when there may be something to do.
func (d *dispatcher) wait(ctx context.Context, applied <-chan struct{}) {
	d.mu.Lock()
	if len(d.queues) == 0 {
		applied = nil // nobody wants what is appended
	}
	next := time.Duration(min(d.nextLease, d.nextCheckpoint) - d.node.Now())
	d.mu.Unlock()
	timer := time.NewTimer(max(min(next, leaseTick), time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-applied:
	case <-d.inbox.wake:
	case <-timer.C:
	}
}

// tick does what is due by the cluster's time. An error is that of reading the state.
func (d *dispatcher) tick() error {
	now := d.node.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if now >= d.nextLease {
		d.nextLease = now + int64(leaseTick)
		retries := d.retries
		d.retries = nil
		for _, do := range retries {
			do()
		}
		for _, q := range d.queues {
			d.tickQueue(q, now)
		}
		d.checkpoint()
		if err := d.sweep(); err != nil {
			return err
		}
	}
	if now >= d.nextCheckpoint {
		d.nextCheckpoint = now + int64(checkpointTick)
		d.answering.lookAtAll()
		d.unwritten = slices.AppendSeq(d.unwritten[:0], maps.Values(d.queues))
		if err := d.judge(now); err != nil {
			return err
		}
		d.checkpoint() // first, so that nobody lets go of what it does not need
		return d.releaseHeld(now)
	}
	return nil
}

// close ends all members.
func (d *dispatcher) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, q := range d.queues {
		for _, m := range q.members {
			m.end(event.Errorf(event.CodeNotLeader, "this node no longer leads"))
		}
	}
	d.node.ClearAlarms(stuckAlarm, nil) // the next leader looks for itself
}
