package router

import (
	"cmp"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// answerType is the type of a response that says that its request was given up.
const answerType = "edri.request.given_up"

// answering are the open requests that were given up, on the leader. Each is answered once
// no other subscription may answer it: whose caller heard of a failure and then of nothing
// more, while the work is done elsewhere, would be told what is not so.
type answering struct {
	open map[event.Position]bool
	// look are those of which something became since they were looked at.
	look []event.Position
}

// lookAt has a request looked at with the next step.
func (a *answering) lookAt(p event.Position) {
	if a.open == nil {
		a.open = map[event.Position]bool{}
	}
	a.open[p] = true
	a.look = append(a.look, p)
}

// settled notes that an event is done or dead somewhere.
func (a *answering) settled(p event.Position) {
	if a.open[p] {
		a.look = append(a.look, p)
	}
}

// lookAtAll has all looked at: a subscription may have been deleted, sought or changed.
func (a *answering) lookAtAll() {
	a.look = a.look[:0]
	for p := range a.open {
		a.look = append(a.look, p)
	}
}

// loadUnanswered takes over the requests of which the leader before did not tell.
func (d *dispatcher) loadUnanswered(v *consensus.View) error {
	it := v.Scan(machineName, []byte{kindUnanswered}, []byte{kindUnanswered + 1}, false)
	defer it.Close()
	for it.Next() {
		r := reader{rest: it.Key()[1:]}
		d.answering.lookAt(event.Position(r.be8()))
	}
	return it.Err()
}

// answerSome looks at some of the requests that were given up, and reports whether there
// are more.
func (d *dispatcher) answerSome() (more bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &d.answering
	if len(a.look) == 0 {
		return false, nil
	}
	v := d.node.View()
	defer v.Close()
	n := min(len(a.look), batchEvents)
	for _, p := range a.look[:n] {
		if err := d.answer(v, p); err != nil {
			return false, err
		}
	}
	a.look = a.look[n:]
	return len(a.look) > 0, nil
}

// answer proposes the answer to a request that was given up, unless another may come.
func (d *dispatcher) answer(v *consensus.View, p event.Position) error {
	row, err := v.Get(machineName, unansweredKey(p))
	if err != nil {
		return err
	}
	if row == nil {
		delete(d.answering.open, p)
		return nil
	}
	u, err := parseUnanswered(row)
	if err != nil {
		return err
	}
	rec, err := v.Journal().Get(p)
	if event.CodeOf(err) == event.CodeCompacted {
		// A purge ended it: who has it may answer, and what it matched is not known any more.
		delete(d.answering.open, p)
		return nil
	}
	if err != nil {
		return err
	}
	h, err := event.ScanHeader(rec.Event)
	if err != nil {
		return err
	}
	if r, _, err := RequestOf(v, p); err != nil || r.Deadline <= d.node.Now() {
		return err // its timer ends it
	}
	for q := range d.matcher.matching(&h) {
		if q.open[p] != nil || p > q.position(d.live) {
			return nil
		}
	}
	e, err := d.givenUpEvent(v, u.id, p, &h)
	if err != nil {
		return err
	}
	again := func() { d.answering.lookAt(p) }
	d.node.Enqueue(opAnswer, encodeAnswer(p, u.id, event.AppendEvent(nil, &e)), func(err *event.Error) {
		d.inbox.add(outcome{failed: err != nil, then: again})
	})
	return nil
}

// answerID is the id of the response to a request that was given up.
func answerID(id, generation uint64, p event.Position) string {
	return fmt.Sprintf("%d/%d/%d", id, generation, p)
}

// givenUpEvent makes the response to a request that a subscription gave up.
func (d *dispatcher) givenUpEvent(v *consensus.View, id uint64, p event.Position, h *event.Header) (event.Event, error) {
	row, err := v.Get(machineName, eventKey(kindDead, id, p))
	if err != nil {
		return event.Event{}, err
	}
	var letter dead // none: its subscription is deleted
	if row != nil {
		if letter, err = parseDead(row); err != nil {
			return event.Event{}, err
		}
	}
	name, detail := "", "it is not known any more why"
	for _, q := range d.queues {
		if q.ID == id {
			name = q.Config.Name
		}
	}
	if failed := letter.failures.all(); len(failed) > 0 {
		detail = fmt.Sprintf("attempt %d: %s", len(failed), cmp.Or(failed[len(failed)-1].reason, "no reason was given"))
	}
	correlation := h.Correlation
	if correlation == nil {
		correlation = h.ID
	}
	data := append([]byte(nil), `{"type":"`+event.ProblemGivenUp+`","title":"the request was given up","status":500,"detail":`...)
	data = append(event.AppendQuoted(data, detail), `,"subscription":`...)
	data = append(event.AppendQuoted(data, name), '}')
	return event.Event{
		ID:     answerID(id, letter.generation, p),
		Source: deadSource, Type: answerType,
		DataContentType: "application/problem+json", Data: data,
		Extensions: map[string]event.Value{
			event.AttrKind:        event.String(event.KindResponse),
			event.AttrCorrelation: event.String(string(correlation)),
			event.AttrCausation:   event.String(string(h.ID)),
		},
	}, nil
}
