package workflows

import (
	"encoding/json"
	"fmt"
)

// query answers a query, of a run in memory or of a copy.
func (h *host) query(q *Query) {
	h.mu.Lock()
	r := h.runs[q.Run.Number]
	h.mu.Unlock()
	if r != nil && r.postOr(func() { r.query(q) }, func() { h.queryCopy(q) }) {
		return
	}
	h.queryCopy(q)
}

// queryCopy answers a query by a replay of its own.
func (h *host) queryCopy(q *Query) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return
	}
	h.turns.Go(func() {
		result, err := h.replayQuery(q)
		h.send(Reply{Answer: &Answer{ID: q.ID, Result: result, Err: err}})
	})
}

func (h *host) replayQuery(q *Query) (json.RawMessage, *Error) {
	def := h.defs[Workflow{q.Run.Type, q.Run.Version}]
	if def == nil {
		return nil, &Error{Type: ErrorNotFound, Message: fmt.Sprintf("the worker has no version %d of workflow %s", q.Run.Version, q.Run.Type)}
	}
	m := newMachine(def, q.Run, h.cfg.StuckAfter)
	h.watch(m)
	defer h.dismiss(m)
	h.stats.replays.Add(1)
	if err := m.replayAll(h.cluster.History(h.base, q.Run.ID, q.Run.History)); err != nil {
		return nil, toError(err)
	}
	if m.halt != nil {
		return nil, toError(m.halt.err)
	}
	return m.query(q.Name, q.Input)
}

// query answers a query, from the machine if that is as committed.
func (r *live) query(q *Query) {
	if r.m == nil || r.m.halted() || r.sent != nil || len(r.entries)+len(r.results)+len(r.front) > 0 {
		r.h.queryCopy(q)
		return
	}
	result, err := r.m.query(q.Name, json.RawMessage(q.Input))
	r.h.send(Reply{Answer: &Answer{ID: q.ID, Result: result, Err: err}})
	if r.m.halt != nil {
		r.give("a query does not give way") // which is no fault of the run's
	}
}
