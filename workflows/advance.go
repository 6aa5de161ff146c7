package workflows

import (
	"encoding/json"
	"math/rand/v2"
	"slices"

	"github.com/edri-io/edri/managers"
)

// A commit may have 4 MiB and 1,000 operations. Inputs are fed as long as what comes of
// them, and the effects of a step, are below the first two; what a single one makes beyond
// the others is of the next advances. So all inputs that were fed are in the first of these.
const (
	maxFedRecords     = 400
	maxFedBytes       = 1 << 20
	maxAdvanceRecords = 500
	maxAdvanceBytes   = 3 << 19
)

// advance feeds what waits to be fed, and returns what is to be committed; nil: nothing.
func (r *live) advance() *Advance {
	m := r.m
	a := r.newAdvance()
	m.checkForeign()
	left := len(m.out) > 0 // of what was fed before
	for bytes := 0; !left && !m.halted() && len(m.out) < maxFedRecords && bytes < maxFedBytes; {
		before := len(m.out)
		p, ok := r.nextInput(a)
		if !ok {
			break
		}
		r.batch = append(r.batch, p)
		if p.entry != nil {
			r.feedEntry(p.entry)
		} else {
			r.feedResult(p.result, a)
		}
		for i := range m.out[before:] {
			bytes += m.out[before+i].size()
		}
		if p.result != nil {
			bytes += effectsSize(&p.result.effects)
		}
	}
	var more bool
	a.Records, more = m.take(effectsSize(&a.Effects))
	switch {
	case more:
		a.Busy = true
	case m.halt != nil:
		r.halted(a)
	case m.end != nil && r.sendAhead(a):
		a.Busy = true
	case m.end != nil:
		r.ended(a)
	default:
		a.Busy = m.underway > 0
		if len(m.blocks) > 0 {
			a.Block = &Block{Reason: reasonStepFailed, Details: mustMarshal(m.blocks)}
			m.blocks = nil
		}
	}
	if len(a.Records) == 0 && len(a.Carry) == 0 && a.Block == nil {
		r.batch = nil
		return nil
	}
	r.unreceived, r.unreceivedBytes = m.unreceived()
	a.Unreceived, a.UnreceivedBytes = r.unreceived, r.unreceivedBytes
	return a
}

func (r *live) newAdvance() *Advance {
	return &Advance{
		Run: r.run.ID, Number: r.run.Number, Advance: r.run.Advance + 1, Nonce: rand.Uint64(),
		Unreceived: r.unreceived, UnreceivedBytes: r.unreceivedBytes,
	}
}

// endOf returns the end that an advance brings; nil: none.
func endOf(a *Advance) *End {
	for i := range a.Records {
		if end, ok := a.Records[i].Do.(End); ok {
			return &end
		}
	}
	return nil
}

// nextInput takes the next input: entries before results, so that the code has them
// before it ends by a result. Effects are of one step an advance.
func (r *live) nextInput(a *Advance) (p pending, ok bool) {
	hasEffects := len(a.Effects.Appends)+len(a.Effects.Keys) > 0
	fits := func(res *result) bool {
		return len(r.batch) == 0 || !res.hasEffects() || !hasEffects && effectsSize(&res.effects) < maxFedBytes
	}
	switch {
	case len(r.front) > 0:
		p = r.front[0]
		r.front = r.front[1:]
	case len(r.entries) > 0 && !r.refusedOnce: // these follow those that were in what was refused
		p = pending{entry: &r.entries[0]}
		r.entries = r.entries[1:]
	case len(r.results) > 0 && fits(r.results[0]):
		p = pending{result: r.results[0]}
		r.results = r.results[1:]
	default:
		return p, false
	}
	return p, true
}

// feedEntry feeds an entry. An update that is refused leaves no history.
func (r *live) feedEntry(e *Entry) {
	m := r.m
	record := Record{Entry: e.Number, Kind: e.Kind, Time: e.Time, Data: e.Data}
	if e.Kind == KindUpdate {
		var u UpdateReceived
		if err := json.Unmarshal(e.Data, &u); err != nil {
			record.Reject = &Error{Type: ErrorInvalid, Message: err.Error()}
		} else {
			record.Reject = m.reject(u)
		}
		if m.halt != nil {
			return // the validator did not return: as if it had not been asked
		}
		if record.Reject != nil {
			m.out = append(m.out, record)
			m.fed = len(m.out)
			return
		}
	}
	m.feed(input{kind: e.Kind, time: e.Time, data: e.Data, record: &record})
}

// feedResult feeds the result of an attempt, or its heartbeat, unless nobody waits for it.
func (r *live) feedResult(res *result, a *Advance) {
	o := r.m.ops[res.seq]
	if o == nil || o.kind != opStep || o.state != opAsked || o.attempt != res.attempt {
		return
	}
	rec := StepRecord{Seq: res.seq, Name: o.name, Attempt: res.attempt, Started: res.began, Result: res.out, Error: res.err}
	record := Record{Kind: KindStepCompleted, Time: res.ended}
	switch {
	case res.goesOn && r.m.events >= maxHeartbeatEvents:
		return
	case res.goesOn:
		record.Kind, rec.Heartbeat = KindStepHeartbeat, res.heartbeat
	case res.err != nil:
		record.Kind = KindStepFailed
		record.Do = failStep(&rec, o, res)
	default:
		a.Effects = mergeEffects(a.Effects, res.effects)
	}
	record.Data = appendStep(nil, &rec)
	r.m.feed(input{kind: record.Kind, time: record.Time, step: &rec, record: &record})
	if rec.Blocks {
		r.m.blocks = append(r.m.blocks, stepBlocked{o.seq, o.name, rec.Error})
	}
}

// failStep says in the record of an attempt that failed what comes next, and returns the
// timer of that.
func failStep(rec *StepRecord, o *op, res *result) Command {
	options := &o.step.options
	wait, again := options.Retry.again(o.attempt, rec.Error, rand.Float64)
	if limit := options.ScheduleToClose; limit > 0 && res.ended.Add(wait).After(o.asked.Add(limit)) && again {
		again = false
		if rec.Error.Type != ErrorTimeout || rec.Error.Message != timeoutScheduleToClose {
			rec.Error = timedOut(timeoutScheduleToClose, rec.Error)
		}
	}
	final := rec.Error.Final || slices.Contains(options.Retry.NonRetryable, rec.Error.Type)
	switch {
	case o.canceled:
	case again:
		rec.RetryIn, rec.Heartbeat = wait.String(), res.heartbeat
		return SetTimer{o.seq, wait}
	case !final && options.Retry.Exhausted == Pause:
		rec.Blocks, rec.Heartbeat = true, res.heartbeat
	}
	return nil
}

// mergeEffects returns those of the two that are any.
func mergeEffects(a, b managers.Effects) managers.Effects {
	if len(a.Appends)+len(a.Keys) > 0 {
		return a
	}
	return b
}

// halted blocks the run, or fails it where the workflow says so. A run that is blocked is
// busy: its code is to be called when it is resumed, though nothing has come for it.
func (r *live) halted(a *Advance) {
	f := r.m.halt
	if f.reason == reasonDivergence {
		a.Records, a.Effects = nil, managers.Effects{}
	}
	if f.reason == reasonPanic && r.def.options.PanicFails {
		e := toError(f.err)
		a.Records = append(a.Records, Record{
			Kind: KindFailed, Time: r.m.now, Data: mustMarshal(EndRecord{Error: e}),
			Do: End{Status: Failed, Err: e, Insist: true},
		})
		return
	}
	a.Busy, a.Block = true, &Block{Reason: f.reason, Details: mustMarshal(f.details)}
}

// ended insists on the end where the code cannot look at what came after it.
func (r *live) ended(a *Advance) {
	if !r.insist && len(r.entries) == 0 {
		return
	}
	for i := range a.Records {
		if end, ok := a.Records[i].Do.(End); ok {
			end.Insist = true
			a.Records[i].Do = end
		}
	}
}

// act begins and cancels steps. It reports whether that made results.
func (r *live) act() (again bool) {
	todo := r.m.todo
	r.m.todo = nil
	for _, o := range todo {
		if o.done || o.state != opAsked {
			continue
		}
		t := r.tasks[o.seq]
		if t != nil && t.attempt != o.attempt {
			t.cancel(errGone) // of an attempt that is over
			t = nil
		}
		switch {
		case t != nil && o.canceled:
			t.cancel(errStepCanceled)
		case t != nil:
		case o.lost:
			r.results = append(r.results, unknownResult(o))
			again = true
		case o.canceled:
			r.results = append(r.results, canceledResult(o))
			again = true
		case r.draining:
		default:
			r.begin(o)
		}
	}
	return again
}
