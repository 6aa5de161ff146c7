package engine

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
	"github.com/edri-io/edri/workflows"
)

const (
	// How long a new leader waits for workers to show what they have from the one before,
	// and a worker whose session broke may take to be back.
	adoptionTime = 2 * time.Second
	// After how long a worker that says nothing is lost.
	silence = 10 * time.Second
	tick    = 100 * time.Millisecond
	// maxLost is how many runs are noted as lost in one operation, and maxAssigned how many
	// are given out before others have their turn.
	maxLost     = 1000
	maxAssigned = 256
)

// Node is what the leader's loop needs of its node.
type Node interface {
	Now() int64
	View() *consensus.View
	Enqueue(op uint32, body []byte, done func(*event.Error))
}

var _ Node = (*consensus.Node)(nil)

// Engine is the state machine of runs, and on the leader what gives them to workers.
type Engine struct {
	*Machine
	logger  *slog.Logger
	leading atomic.Pointer[dispatcher] // nil while this node does not lead
	waiting waiting
}

var (
	_ consensus.Observer = (*Engine)(nil)
	_ consensus.Sparing  = (*Engine)(nil)
)

// New returns an engine whose timers are in t and whose requests are r's, which must tell
// it of their ends (router.Machine.Tell).
func New(t *timers.Table, r Requests, logger *slog.Logger) *Engine {
	return &Engine{Machine: NewMachine(t, r), logger: logger}
}

// Observe implements consensus.Observer.
func (e *Engine) Observe(index uint64, notes []any) {
	e.waiting.wake(notes)
	if d := e.leading.Load(); d != nil {
		d.inbox.Put(index, notes)
	}
}

// Spares implements consensus.Sparing: what ends runs goes on while disks are full.
func (e *Engine) Spares(op uint32) bool { return op == opTerminate || op == opDelete }

// Lead gives runs to workers until ctx ends. The leader runs it.
func (e *Engine) Lead(ctx context.Context, node Node) error {
	d := e.lead(node)
	defer func() {
		e.leading.Store(nil)
		d.close()
	}()
	return d.run(ctx)
}

// lead makes a dispatcher the one that is told of what is applied.
func (e *Engine) lead(node Node) *dispatcher {
	d := &dispatcher{
		node: node, logger: e.logger, inbox: consensus.NewInbox(),
		tasks: map[uint64]*task{}, queues: map[workflows.Workflow]*queue{},
		sessions: map[*Session]bool{}, queries: map[uint64]*query{},
	}
	e.leading.Store(d)
	return d
}

// dispatcher gives runs to workers, on the leader. One goroutine (run) reads rows and
// gives out; workers come and go by others, under mu.
type dispatcher struct {
	node   Node
	logger *slog.Logger
	inbox  *consensus.Inbox

	mu             sync.Mutex
	loaded, closed bool
	// tasks are the runs that need a worker or have one.
	tasks    map[uint64]*task
	queues   map[workflows.Workflow]*queue
	sessions map[*Session]bool
	// fed are tasks whose worker is to be sent more entries.
	fed []*task
	// alone are tasks without the worker that they had, or may have had.
	alone    []*task
	nextTick int64
	queries  map[uint64]*query
	asked    uint64 // counts queries
}

// task is a run that needs a worker or has one.
type task struct {
	number  uint64
	of      workflows.Workflow
	advance uint64
	last    uint64 // entry that has come
	ready   bool   // it needs a worker
	paused  bool

	holder *Session
	sent   uint64 // entry, to the holder
	queued bool
	// until is when a task without the worker that it had is given to another; 0: there was
	// none. alone: it stands in the dispatcher's alone.
	until int64
	alone bool
}

// queue has the tasks of one workflow that wait for a worker, and the workers that know
// it, served in turn.
type queue struct {
	tasks   []*task
	workers []*Session
}

// run is the dispatcher's goroutine.
func (d *dispatcher) run(ctx context.Context) error {
	if err := d.load(); err != nil {
		return err
	}
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for ctx.Err() == nil {
		busy, err := d.step(d.inbox.Take())
		if err != nil {
			return err
		}
		if busy {
			continue
		}
		timer.Reset(tick)
		select {
		case <-ctx.Done():
		case <-d.inbox.Wake():
		case <-timer.C:
		}
	}
	return nil
}

// load takes over the runs that need a worker. They may have one, of the leader before:
// it has some time to say so.
func (d *dispatcher) load() error {
	v := d.node.View()
	defer v.Close()
	it := v.Scan(machineName, []byte{kindReady}, []byte{kindReady + 1}, false)
	defer it.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	until := d.node.Now() + int64(adoptionTime)
	for it.Next() {
		r, err := viewRun(v, second(it.Key()))
		if err != nil {
			return err
		}
		t := d.add(noteOf(r))
		d.leaveAlone(t, until)
	}
	if err := it.Err(); err != nil {
		return err
	}
	d.loaded = true
	d.inbox.Begin(v.Index)
	return nil
}

// leaveAlone gives a task without its worker until then to find it again.
func (d *dispatcher) leaveAlone(t *task, until int64) {
	t.holder, t.until = nil, until
	if !t.alone {
		t.alone = true
		d.alone = append(d.alone, t)
	}
}

func (d *dispatcher) add(n noteRun) *task {
	t := &task{number: n.number, of: workflows.Workflow{Type: n.typ, Version: n.version}}
	d.tasks[n.number] = t
	t.update(n)
	return t
}

func (t *task) update(n noteRun) {
	t.advance, t.last, t.ready, t.paused = n.advance, n.last, n.ready, n.paused
}

// step does what there is to do now, and reports whether there is more.
func (d *dispatcher) step(notes []any) (busy bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range notes {
		switch n := n.(type) {
		case noteRun:
			d.changed(n)
		case func():
			n()
		}
	}
	if now := d.node.Now(); now >= d.nextTick {
		d.nextTick = now + int64(tick)
		d.tick(now)
	}
	if len(d.fed) == 0 && !d.wanted() {
		return false, nil
	}
	v := d.node.View()
	defer v.Close()
	if err := d.feed(v); err != nil {
		return false, err
	}
	return d.giveOut(v)
}

// changed takes over how a run stands.
func (d *dispatcher) changed(n noteRun) {
	t := d.tasks[n.number]
	switch {
	case n.ended:
		if t != nil {
			if t.holder != nil && t.advance == n.advance {
				t.holder.tell(workflows.Message{Revoke: &workflows.Revoke{Number: t.number, Reason: "the run has ended"}})
			}
			d.drop(t)
		}
		return
	case t == nil && !n.ready:
		return
	case t == nil:
		t = d.add(n)
	case n.paused && !t.paused && t.holder != nil:
		t.holder.tell(workflows.Message{Drain: &workflows.Drain{Number: t.number}})
		fallthrough
	default:
		t.update(n)
	}
	switch {
	case t.holder != nil && t.last > t.sent && !t.paused:
		d.fed = append(d.fed, t)
	case t.holder == nil && !t.ready:
		delete(d.tasks, t.number)
	case t.holder == nil && t.until == 0:
		d.enqueue(t)
	}
}

// drop forgets a run.
func (d *dispatcher) drop(t *task) {
	if t.holder != nil {
		delete(t.holder.held, t.number)
		t.holder = nil
	}
	delete(d.tasks, t.number)
}

// enqueue lets a task wait for a worker.
func (d *dispatcher) enqueue(t *task) {
	if t.queued || t.paused || t.holder != nil || !t.ready {
		return
	}
	t.queued = true
	q := d.queue(t.of)
	q.tasks = append(q.tasks, t)
}

func (d *dispatcher) queue(of workflows.Workflow) *queue {
	q := d.queues[of]
	if q == nil {
		q = &queue{}
		d.queues[of] = q
	}
	return q
}

// tick does what is due.
func (d *dispatcher) tick(now int64) {
	for s := range d.sessions {
		if now-s.heard > int64(silence) {
			d.logger.Warn("a worker says nothing any more", "worker", s.name)
			s.end(event.Errorf(event.CodeUnavailable, "nothing was heard of the worker for %v", silence))
			d.leave(s, false)
		}
	}
	alone := d.alone[:0]
	var gone []*task
	for _, t := range d.alone {
		switch {
		case d.tasks[t.number] != t || t.holder != nil || t.until == 0: // it is over, or has one again
			t.alone = false
		case now < t.until || len(gone) == maxLost:
			alone = append(alone, t)
		default:
			t.alone = false
			gone = append(gone, t)
		}
	}
	clear(d.alone[len(alone):])
	if d.alone = alone; len(gone) > 0 {
		d.lose(gone)
	}
}

// lose notes that tasks have lost the worker which they had, before they are given to
// another.
func (d *dispatcher) lose(gone []*task) {
	list, until := make([]lost, len(gone)), make([]int64, len(gone))
	for i, t := range gone {
		list[i], until[i] = lost{t.number, t.advance}, t.until
	}
	d.node.Enqueue(opLose, encodeLose(list), func(err *event.Error) {
		d.inbox.Add(func() {
			for i, t := range gone {
				switch {
				case d.tasks[t.number] != t || t.until != until[i]: // it has had another since
				case err != nil: // at the next tick again
					d.leaveAlone(t, t.until)
				default:
					t.until = 0
					d.enqueue(t)
					if !t.ready {
						delete(d.tasks, t.number)
					}
				}
			}
		})
	})
}

// wanted reports whether a task waits that a worker could take.
func (d *dispatcher) wanted() bool {
	for _, q := range d.queues {
		if len(q.tasks) > 0 && slices.ContainsFunc(q.workers, func(s *Session) bool { return s.credits > 0 }) {
			return true
		}
	}
	return false
}

// next returns the worker whose turn it is, nil if none has credits.
func (q *queue) next() *Session {
	for i, s := range q.workers {
		if s.credits > 0 {
			q.workers = append(append(q.workers[i+1:len(q.workers):len(q.workers)], q.workers[:i]...), s)
			return s
		}
	}
	return nil
}

// feed sends workers the entries that have come for what they hold.
func (d *dispatcher) feed(v *consensus.View) error {
	for _, t := range d.fed {
		if t.holder == nil || t.last <= t.sent || t.paused || d.tasks[t.number] != t {
			continue
		}
		entries, err := entriesOf(v, t.number, t.sent+1)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			continue // consumed since: the run was another's, or has ended
		}
		t.sent = entries[len(entries)-1].Number
		t.holder.tell(workflows.Message{Entries: &workflows.Entries{Number: t.number, Entries: entries}})
	}
	clear(d.fed)
	d.fed = d.fed[:0]
	return nil
}

// giveOut gives tasks to workers, and reports whether there are more.
func (d *dispatcher) giveOut(v *consensus.View) (more bool, err error) {
	given := 0
	for of, q := range d.queues {
		for len(q.tasks) > 0 {
			if given == maxAssigned {
				return true, nil
			}
			t := q.tasks[0]
			if d.tasks[t.number] != t || t.holder != nil || !t.ready || t.paused {
				t.queued = false
				q.tasks = q.tasks[1:]
				continue
			}
			s := q.next()
			if s == nil {
				break
			}
			q.tasks = q.tasks[1:]
			t.queued = false
			given++
			if err := d.assign(v, t, s); err != nil {
				return false, err
			}
		}
		if len(q.tasks) == 0 && len(q.workers) == 0 {
			delete(d.queues, of)
		}
	}
	return false, nil
}

// assign gives a task to a worker.
func (d *dispatcher) assign(v *consensus.View, t *task, s *Session) error {
	r, err := viewRun(v, t.number)
	if event.CodeOf(err) == event.CodeNotFound {
		return nil // it has ended and is forgotten: its note is on its way
	}
	if err != nil {
		return err
	}
	if !r.is(flagReady) || r.is(flagPaused) {
		return nil // its note is on its way
	}
	entries, err := entriesOf(v, t.number, r.read+1)
	if err != nil {
		return err
	}
	t.holder, t.sent, t.until = s, r.read+uint64(len(entries)), 0
	s.held[t.number] = t
	s.credits--
	a := &workflows.Assign{Run: stateOf(r), Entries: entries}
	if r.events == 1 {
		first, err := firstEvent(v, r)
		switch code := event.CodeOf(err); {
		case err == nil:
			a.Events = []event.Recorded{first}
		case code != event.CodeCompacted: // its stream was purged: the worker finds out
			return err
		}
	}
	s.tell(workflows.Message{Assign: a})
	return nil
}

// close ends all sessions.
func (d *dispatcher) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for s := range maps.Clone(d.sessions) {
		s.end(event.Errorf(event.CodeNotLeader, "this node no longer leads"))
	}
	for _, q := range d.queries {
		q.done <- answer{err: event.Errorf(event.CodeUnavailable, "the leader changes; ask it again")}
	}
	clear(d.queries)
}
