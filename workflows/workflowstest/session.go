package workflowstest

import (
	"context"
	"slices"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

const (
	lostAfter = 10 * time.Second // of silence
	backAfter = 2 * time.Second  // after a session that ended
)

// session is that of a worker.
type session struct {
	c       *Cluster
	worker  workflows.Worker
	credits int
	queue   []workflows.Message
	filled  chan struct{} // of room for one
	ended   chan struct{}
	over    bool
	silence *time.Timer
}

// Work begins a session, which lasts until ctx ends.
func (c *Cluster) Work(ctx context.Context, w workflows.Worker) (workflows.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &session{c: c, worker: w, credits: w.Credits, filled: make(chan struct{}, 1), ended: make(chan struct{})}
	s.silence = time.AfterFunc(lostAfter, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		s.endLocked(func(r *run) { c.loseLocked(r) })
	})
	context.AfterFunc(ctx, func() { s.Close(false) })
	c.sessions = append(c.sessions, s)
	for _, held := range w.Held {
		r := c.runs[held.Number]
		switch {
		// It may not know yet that its last advance was committed.
		case r == nil || r.status != workflows.Running || r.worker != nil || held.Advance != r.Advance && held.Advance+1 != r.Advance:
			s.pushLocked(workflows.Message{Revoke: &workflows.Revoke{Number: held.Number, Reason: "it is another worker's"}})
		default:
			r.worker, r.missing = s, nil
			s.pushLocked(workflows.Message{Entries: &workflows.Entries{Number: r.Number, Entries: slices.Clone(r.entries)}})
		}
	}
	c.dispatchLocked()
	return s, nil
}

// Receive returns the next messages.
func (s *session) Receive() ([]workflows.Message, error) {
	for {
		s.c.mu.Lock()
		queue := s.queue
		s.queue = nil
		over := s.over
		s.c.mu.Unlock()
		switch {
		case over:
			return nil, event.Errorf(event.CodeUnavailable, "the session has ended")
		case len(queue) > 0:
			return queue, nil
		}
		select {
		case <-s.filled:
		case <-s.ended:
		}
	}
}

func (s *session) pushLocked(m workflows.Message) {
	s.queue = append(s.queue, m)
	select {
	case s.filled <- struct{}{}:
	default:
	}
}

// Send takes a reply.
func (s *session) Send(r workflows.Reply) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.over {
		return
	}
	s.silence.Reset(lostAfter)
	switch {
	case r.Advance != nil:
		c.advanceLocked(s, r.Advance)
	case r.Release != nil:
		if held := c.runs[r.Release.Number]; held != nil && held.worker == s {
			held.worker = nil
			c.wakeLocked(held)
		}
	case r.Answer != nil:
		if q := c.queries[r.Answer.ID]; q != nil {
			delete(c.queries, r.Answer.ID)
			q <- r.Answer
		}
	case r.Credits > 0:
		s.credits += r.Credits
		c.dispatchLocked()
	}
}

// Close ends the session.
func (s *session) Close(graceful bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.endLocked(func(r *run) {
		if graceful {
			return
		}
		r.missing = s
		time.AfterFunc(backAfter, func() {
			s.c.mu.Lock()
			defer s.c.mu.Unlock()
			if r.missing == s {
				s.c.loseLocked(r)
			}
		})
	})
}

// endLocked ends the session; each of its runs has no worker then, and after is called.
func (s *session) endLocked(after func(*run)) {
	if s.over {
		return
	}
	s.over = true
	close(s.ended)
	s.silence.Stop()
	c := s.c
	c.sessions = slices.DeleteFunc(c.sessions, func(o *session) bool { return o == s })
	for n := range c.numbers {
		if r := c.runs[n+1]; r.worker == s {
			r.worker = nil
			after(r)
			c.wakeLocked(r)
		}
	}
}

// loseLocked counts the worker of a run as lost.
func (c *Cluster) loseLocked(r *run) {
	r.missing = nil
	if r.status == workflows.Running && (r.busy || r.Advance == 0) {
		c.enterLocked(r, workflows.KindWorkerLost, mustMarshal(workflows.Note{Reason: "the worker is gone"}))
	}
	c.wakeLocked(r)
}

// LoseWorkers ends all sessions as if the workers' processes had died: what they send
// from now on is lost, and what they had under way counts as lost.
func (c *Cluster) LoseWorkers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range slices.Clone(c.sessions) {
		s.endLocked(c.loseLocked)
	}
}

// CutSessions ends all sessions as a change of the leader does: the workers may be back
// for their runs within two seconds.
func (c *Cluster) CutSessions() {
	c.mu.Lock()
	sessions := slices.Clone(c.sessions)
	c.mu.Unlock()
	for _, s := range sessions {
		s.Close(false)
	}
}

// StealFrom gives a run to another worker than the one that has it, as if that had been
// silent for long, and does not tell it. There must be another.
func (c *Cluster) StealFrom(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.current[id]
	if s := r.worker; s != nil {
		credits := s.credits
		s.credits, r.worker = 0, nil
		c.wakeLocked(r)
		s.credits = credits
	}
}

// Drain asks the worker of a run to give it back.
func (c *Cluster) Drain(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.current[id]; r.worker != nil {
		r.worker.pushLocked(workflows.Message{Drain: &workflows.Drain{Number: r.Number}})
	}
}

// workerLocked returns a session that can advance a run and has credits, those with most
// of them first.
func (c *Cluster) workerLocked(r *run, credits int) (best *session) {
	for _, s := range c.sessions {
		if s.credits >= credits && slices.Contains(s.worker.Workflows, workflows.Workflow{Type: r.Type, Version: r.Version}) &&
			(best == nil || s.credits > best.credits) {
			best = s
		}
	}
	return best
}

// wakeLocked finds a worker for a run, if it needs one.
func (c *Cluster) wakeLocked(r *run) {
	if r.needsWorker() && !r.queued {
		r.queued = true
		c.ready = append(c.ready, r)
	}
	c.dispatchLocked()
}

func (r *run) needsWorker() bool {
	return r.status == workflows.Running && r.worker == nil && r.missing == nil && !r.waits && r.blocked == nil &&
		(r.Advance == 0 || r.busy || len(r.entries) > 0)
}

// dispatchLocked gives the runs that need one a worker, as far as there are credits.
func (c *Cluster) dispatchLocked() {
	waiting := c.ready[:0]
	for _, r := range c.ready {
		if !r.needsWorker() {
			r.queued = false
			continue
		}
		s := c.workerLocked(r, 1)
		if s == nil {
			waiting = append(waiting, r)
			continue
		}
		r.queued, r.worker = false, s
		s.credits--
		a := &workflows.Assign{Run: r.state(), Entries: slices.Clone(r.entries)}
		if r.Advance == 0 {
			stream := c.streams[workflows.HistoryStream(r.ID)]
			for _, g := range r.History {
				a.Events = append(a.Events, stream[g.From-1:g.To]...)
			}
		}
		s.pushLocked(workflows.Message{Assign: a})
	}
	clear(c.ready[len(waiting):])
	c.ready = waiting
}
