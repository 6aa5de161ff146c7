package engine

import (
	"slices"
	"sync"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// Session is a worker's membership, on the leader.
type Session struct {
	dispatcher *dispatcher
	name       string
	workflows  []workflows.Workflow
	ready      chan struct{}

	// Under the dispatcher's mu.
	credits int
	held    map[uint64]*task
	heard   int64 // when, by the cluster's time

	mu  sync.Mutex
	out []workflows.Message
	err error
}

// Join makes a worker one of the leader's.
func (e *Engine) Join(w workflows.Worker) (*Session, error) {
	d := e.leading.Load()
	if d == nil {
		return nil, event.Errorf(event.CodeNotLeader, "this node does not lead")
	}
	if len(w.Workflows) == 0 {
		return nil, invalid("workflows: the worker knows none")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	// Under mu, so that it is not older than what was noted of runs.
	v := d.node.View()
	defer v.Close()
	switch {
	case d.closed:
		return nil, event.Errorf(event.CodeNotLeader, "this node no longer leads")
	case !d.loaded:
		return nil, event.Errorf(event.CodeUnavailable, "the leader begins; ask it again")
	}
	s := &Session{
		dispatcher: d, name: w.Name, workflows: slices.Clone(w.Workflows), ready: make(chan struct{}, 1),
		credits: w.Credits, held: map[uint64]*task{}, heard: d.node.Now(),
	}
	d.sessions[s] = true
	for _, of := range s.workflows {
		q := d.queue(of)
		q.workers = append(q.workers, s)
	}
	for _, h := range w.Held {
		r, err := viewRun(v, h.Number)
		if err != nil && event.CodeOf(err) != event.CodeNotFound {
			return nil, err
		}
		if err != nil || !d.adopt(s, h, r) {
			s.tell(workflows.Message{Revoke: &workflows.Revoke{Number: h.Number, Reason: "the run has ended, or is another worker's"}})
		}
	}
	d.inbox.Add(func() {}) // there may be something to give out
	return s, nil
}

// adopt lets a worker keep a run that it has from before, unless it is another's.
func (d *dispatcher) adopt(s *Session, h workflows.Held, r *run) bool {
	// The worker may not know yet that its last advance was committed.
	if r.status != statusRunning || r.is(flagPaused) || h.Advance != r.advance && h.Advance+1 != r.advance {
		return false
	}
	t := d.tasks[h.Number]
	if t == nil {
		t = d.add(noteOf(r))
	}
	if t.holder != nil {
		return false
	}
	t.holder, t.sent, t.until = s, r.read, 0
	s.held[t.number] = t
	if t.last > t.sent {
		d.fed = append(d.fed, t)
	}
	return true
}

// tell puts a message to the worker.
func (s *Session) tell(m workflows.Message) {
	s.mu.Lock()
	s.out = append(s.out, m)
	s.mu.Unlock()
	s.signal()
}

func (s *Session) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// end ends the session with an error, which the worker learns from Take.
func (s *Session) end(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.signal()
}

// Ready has a token when there may be something to take.
func (s *Session) Ready() <-chan struct{} { return s.ready }

// Take returns what the worker is to be told since the last Take. An error is the
// session's end.
func (s *Session) Take(spare []workflows.Message) ([]workflows.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.out
	s.out = spare[:0]
	return out, s.err
}

// Advanced tells the worker the result of an advance.
func (s *Session) Advanced(a workflows.Advanced) { s.tell(workflows.Message{Advanced: &a}) }

// Heard notes that the worker lives, and adds to the runs that it can be given.
func (s *Session) Heard(credits int) {
	d := s.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	s.heard = d.node.Now()
	if credits > 0 {
		s.credits += credits
		d.inbox.Add(func() {})
	}
}

// Release gives a run back.
func (s *Session) Release(number uint64) {
	d := s.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := s.held[number]; t != nil {
		delete(s.held, number)
		d.unheld(t)
		d.inbox.Add(func() {})
	}
}

// unheld is called with a task that has no worker any more, but may need one.
func (d *dispatcher) unheld(t *task) {
	t.holder, t.until = nil, 0
	if t.ready {
		d.enqueue(t)
	} else {
		delete(d.tasks, t.number)
	}
}

// Answer takes the answer to a query.
func (s *Session) Answer(a workflows.Answer) {
	d := s.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.queries[a.ID]; q != nil && q.session == s {
		delete(d.queries, a.ID)
		q.done <- answer{result: a.Result, failure: a.Err}
	}
}

// Leave ends the session. Gracefully, what the worker holds goes to others at once; else
// it may come back for it.
func (s *Session) Leave(graceful bool) {
	d := s.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leave(s, graceful)
}

func (d *dispatcher) leave(s *Session, graceful bool) {
	if !d.sessions[s] {
		return
	}
	delete(d.sessions, s)
	for _, of := range s.workflows {
		if q := d.queues[of]; q != nil {
			q.workers = slices.DeleteFunc(q.workers, func(other *Session) bool { return other == s })
		}
	}
	until := d.node.Now() + int64(adoptionTime)
	for _, t := range s.held {
		if graceful || !t.ready {
			d.unheld(t)
			continue
		}
		d.leaveAlone(t, until)
	}
	s.held = nil
	for id, q := range d.queries {
		if q.session == s {
			delete(d.queries, id)
			q.done <- answer{err: event.Errorf(event.CodeUnavailable, "the worker that was asked is gone; ask again")}
		}
	}
	d.inbox.Add(func() {})
}
