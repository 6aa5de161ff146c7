package cron

import (
	"container/heap"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

const (
	// The cluster's time may jump when another clock joins the median, so that no wait
	// for it is longer than this.
	maxWait = time.Second
	// After an advance that had no effect.
	retryPause = 100 * time.Millisecond
)

// Node is what the leader's loop needs of its node.
type Node interface {
	Now() int64
	View() *consensus.View
	Enqueue(op uint32, body []byte, done func(*event.Error))
}

var _ Node = (*consensus.Node)(nil)

// Scheduler is the state machine of schedules, and on the leader what tells it their
// times.
type Scheduler struct {
	*Machine
	logger  *slog.Logger
	leading atomic.Pointer[leader] // nil while this node does not lead
	tally   tally
}

var (
	_ consensus.Observer = (*Scheduler)(nil)
	_ consensus.Sparing  = (*Scheduler)(nil)
)

// New returns a scheduler whose delayed events are in t, whose requests are r's, which must
// tell it of their ends (router.Machine.Tell), and whose keys are those of the machine of
// package managers/kv.
func New(t *timers.Table, r Requests, keys consensus.StateMachine, logger *slog.Logger) *Scheduler {
	return &Scheduler{Machine: NewMachine(t, r, keys), logger: logger}
}

// Observe implements consensus.Observer.
func (s *Scheduler) Observe(index uint64, notes []any) {
	if l := s.leading.Load(); l != nil {
		s.tally.observe(notes)
		l.inbox.put(index, notes)
	}
}

// Spares implements consensus.Sparing: what ends schedules goes on while disks are full.
func (s *Scheduler) Spares(op uint32) bool {
	return op == opDelete || op == opPause || op == opCancelLater
}

// Lead tells the machine the times of its schedules until ctx ends. The leader runs it.
func (s *Scheduler) Lead(ctx context.Context, node Node) error {
	l := &leader{
		node: node, logger: s.logger, inbox: inbox{wake: make(chan struct{}, 1)},
		byName: map[string]*job{}, byIncarnation: map[uint64]*job{},
	}
	s.leading.Store(l)
	defer s.leading.Store(nil)
	return l.run(ctx)
}

// leader is the loop of the node that leads. One goroutine owns all but the inbox. It
// costs what is due, however many schedules wait.
type leader struct {
	node   Node
	logger *slog.Logger
	inbox  inbox

	byName        map[string]*job
	byIncarnation map[uint64]*job
	queue         queue
}

func (l *leader) run(ctx context.Context) error {
	if err := l.load(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := l.note(l.inbox.take()); err != nil {
			return err
		}
		if !l.advance() {
			l.wait(ctx)
		}
	}
	return nil
}

// advance proposes what is due, in one operation, and reports whether there was any.
func (l *leader) advance() bool {
	now := l.node.Now()
	var list []advance
	var jobs []*job
	for changes := 0; len(l.queue) > 0 && l.queue[0].wake <= now && len(list) < maxAdvanced; {
		j := l.queue[0]
		a := j.advance(now)
		if changes += len(a.fires) * j.plan.spec.action.changes(); changes > maxFires && len(list) > 0 {
			break // the next operation has it
		}
		heap.Pop(&l.queue)
		j.busy = true
		list, jobs = append(list, a), append(jobs, j)
	}
	if len(list) == 0 {
		return false
	}
	l.node.Enqueue(opAdvance, encodeAdvances(list), func(err *event.Error) {
		if err != nil && err.Code != event.CodeNotLeader {
			l.logger.Warn("schedules that are due wait", "count", len(jobs), "error", err)
		}
		l.inbox.add(outcome{jobs})
	})
	return true
}

// wait returns when there may be something to do.
func (l *leader) wait(ctx context.Context) {
	d := maxWait
	if len(l.queue) > 0 {
		d = min(d, time.Duration(l.queue[0].wake-l.node.Now()))
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-l.inbox.wake:
	case <-timer.C:
	}
}
