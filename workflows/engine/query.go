package engine

import (
	"context"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// query is one that a worker was asked.
type query struct {
	session *Session
	done    chan answer // has room for one
}

type answer struct {
	result  []byte
	failure *workflows.Error
	err     error
}

// Query asks the code of a run, by the worker that has it or another of its version. The
// node must lead, and have applied what the answer is to be about.
func (e *Engine) Query(ctx context.Context, id string, number uint64, name string, input []byte) ([]byte, *workflows.Error, error) {
	d := e.leading.Load()
	if d == nil {
		return nil, nil, event.Errorf(event.CodeNotLeader, "this node does not lead")
	}
	// It goes to a worker in a message between others.
	err := event.CheckName("query", name)
	if err == nil {
		err = checkJSON("input of query "+name, input)
	}
	if err != nil {
		return nil, nil, err
	}
	q, asked, err := d.ask(target{[]byte(id), number}, name, input)
	if err != nil {
		return nil, nil, err
	}
	select {
	case a := <-q.done:
		return a.result, a.failure, a.err
	case <-ctx.Done():
		d.mu.Lock()
		delete(d.queries, asked)
		d.mu.Unlock()
		return nil, nil, ctx.Err()
	}
}

func (d *dispatcher) ask(t target, name string, input []byte) (*query, uint64, error) {
	v := d.node.View()
	defer v.Close()
	r, err := findRun(v, t)
	if err != nil {
		return nil, 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, 0, event.Errorf(event.CodeNotLeader, "this node no longer leads")
	}
	s := d.knower(r)
	if s == nil {
		return nil, 0, event.Errorf(event.CodeUnavailable, "no worker of workflow %s, version %d, is there to ask", r.typ, r.version)
	}
	d.asked++
	q := &query{session: s, done: make(chan answer, 1)}
	d.queries[d.asked] = q
	s.tell(workflows.Message{Query: &workflows.Query{ID: d.asked, Run: stateOf(r), Name: name, Input: input}})
	return q, d.asked, nil
}

// knower returns a worker that can answer for a run, nil if there is none.
func (d *dispatcher) knower(r *run) *Session {
	if t := d.tasks[r.number]; t != nil && t.holder != nil {
		return t.holder
	}
	q := d.queues[workflows.Workflow{Type: string(r.typ), Version: r.version}]
	if q == nil || len(q.workers) == 0 {
		return nil
	}
	s := q.workers[0]
	q.workers = append(q.workers[1:len(q.workers):len(q.workers)], s)
	return s
}

// Holder returns the name of the worker that has a run, if this node leads and one has.
func (e *Engine) Holder(number uint64) string {
	d := e.leading.Load()
	if d == nil {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.tasks[number]; t != nil && t.holder != nil {
		return t.holder.name
	}
	return ""
}
