package workflows

import (
	"math/rand/v2"

	"github.com/edri-io/edri/event"
)

// resend sends the advance that is under way, once more if need be: it has a nonce.
func (r *live) resend() {
	if r.sent != nil {
		r.h.send(Reply{Advance: r.sent})
	}
}

// advanced takes the answer to an advance.
func (r *live) advanced(a *Advanced) {
	if r.sent == nil || a.Advance != r.sent.Advance {
		return // of one that was sent twice
	}
	if a.Err != nil {
		r.refused(a.Err)
		return
	}
	r.h.stats.advances.Add(1)
	sent := r.sent
	r.settle()
	r.run.Advance = sent.Advance
	r.committed.Store(sent.Advance)
	r.ahead += len(sent.Carry)
	r.extend(sent, a.Revision)
	for _, record := range sent.Records {
		if record.Entry > 0 {
			r.run.Entry = record.Entry
		}
	}
	if sent.Block != nil {
		r.h.stats.blocked.Add(1)
		r.h.cfg.Logger.Error("run is blocked", "run", r.run.ID, "workflow", r.run.Type, "reason", sent.Block.Reason, "details", string(sent.Block.Details))
		r.draining = true // what runs may finish
	}
	if r.m == nil {
		return // a block in the place of what could not be committed
	}
	switch {
	case endOf(sent) != nil:
		r.drop()
	case sent.Block != nil && r.m.halt != nil:
		r.give("the code cannot go on")
	}
}

// settle ends an advance, whatever became of it.
func (r *live) settle() {
	r.sent, r.batch, r.attempts, r.insist = nil, nil, 0, false
}

// extend notes what the history is now.
func (r *live) extend(a *Advance, end event.Revision) {
	if len(r.run.History) == 0 {
		r.run.History = []Range{{From: 1, To: 1}}
	}
	last := &r.run.History[len(r.run.History)-1]
	if end > 0 {
		last.To = end
		return
	}
	for i := range a.Records {
		if a.Records[i].Reject == nil {
			last.To++
		}
	}
}

// refused takes the refusal of an advance.
func (r *live) refused(err *event.Error) {
	hasEffects := len(r.sent.Effects.Appends)+len(r.sent.Effects.Keys) > 0
	// own: it is the advance itself that cannot be, and not the effects in its commit.
	own := !hasEffects || err.Stream == HistoryStream(r.run.ID)
	switch code := err.Code; {
	case code == event.CodeOutcomeUnknown, code == event.CodeUnavailable, code == event.CodeNotLeader,
		code == event.CodeOverloaded, code == event.CodeDeadlineExceeded, code == event.CodeNoSpace:
		wait := min(firstRetry<<min(r.attempts, 10), longestRetry)
		r.attempts++
		r.later(wait/2+rand.N(wait), r.resend)
	case (code == event.CodeRunEnded || code == event.CodeNotFound) && own:
		r.h.cfg.Logger.Info("run has ended without its code", "run", r.run.ID)
		r.give("it has ended")
	case code == event.CodeRevisionConflict && own:
		r.h.cfg.Logger.Info("run is another worker's", "run", r.run.ID)
		r.give("another worker's advance came first") // which may be gone since
	case code == event.CodeCheckFailed && r.m != nil && r.m.end != nil && !r.insist:
		r.lookAgain()
	case r.dropHeartbeats():
		r.h.cfg.Logger.Warn("details of heartbeats are not recorded", "run", r.run.ID, "error", err)
	case !own:
		r.failEffects(err)
	case r.sent.Block != nil && len(r.sent.Records) == 0:
		r.h.cfg.Logger.Error("run cannot be blocked", "run", r.run.ID, "error", err)
		r.later(longestRetry, r.resend)
	default:
		r.blockInstead(err)
	}
}

// lookAgain lets the code look at entries that came before its end. What it ended by is
// fed once more after them, if it was a result.
func (r *live) lookAgain() {
	last := 0 // behind the last entry
	for i, p := range r.batch {
		if p.entry != nil {
			last = i + 1
		}
	}
	front, rest := r.batch[:last], r.batch[last:]
	var results []*result
	for _, p := range rest {
		results = append(results, p.result)
	}
	r.restart(front)
	r.results = append(results, r.results...)
	r.insist = true
	if len(r.entries) == 0 {
		r.waiting = true
		r.later(awaitEntries, func() { r.waiting = false })
	}
}

// failEffects lets the step fail whose effects were refused.
func (r *live) failEffects(err *event.Error) {
	for _, p := range r.batch {
		if p.result != nil && p.result.hasEffects() {
			p.result.refuse(err)
		}
	}
	r.restart(r.batch)
}

// restart has the machine made anew, from what is committed and then these inputs.
func (r *live) restart(front []pending) {
	r.h.dismiss(r.m)
	r.m, r.ahead = nil, 0
	r.settle()
	r.front = front
}

// blockInstead blocks the run in the place of an advance that cannot be committed.
func (r *live) blockInstead(err *event.Error) {
	r.restart(nil)
	r.refusedOnce = true
	r.sent = r.newAdvance()
	r.sent.Busy = true // what was fed is to be fed again
	r.sent.Block = &Block{Reason: string(err.Code), Details: mustMarshal(Note{Reason: err.Message})}
	r.draining = true
	r.resend()
}
