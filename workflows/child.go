package workflows

import (
	"encoding/json"
	"fmt"
	"time"
)

// Child is a run that this run started.
type Child[Out any] struct {
	Future[Out]
	ID string
}

// ChildOptions say how a child run is started. The zero ChildOptions are the defaults. What
// cannot be fails the child, with ErrorInvalid or ErrorTooLarge.
type ChildOptions struct {
	ID    string // default: the parent's, with something that no other child has; at most 200 bytes
	Reuse ReusePolicy
	// Conflict says what happens where a run of the ID is under way. A run that others started
	// is nobody's child: ConflictUse is ConflictFail here.
	Conflict ConflictPolicy
	// OnClose says what becomes of it when this run ends; default CloseTerminate.
	OnClose ClosePolicy
	// Delay and Timeout are those of Start, within 0 and 100 years.
	Delay, Timeout time.Duration
	Attributes     map[string]any
	Memo           any // encoded as JSON; at most 32 KiB
}

// RunChild starts a run and waits for its result. An error is an *Error.
func (f *Function[In, Out]) RunChild(ctx Context, in In, options ...ChildOptions) (Out, error) {
	return f.StartChild(ctx, in, options...).Get(ctx)
}

// StartChild starts a run of the newest version of the workflow. Where ctx is canceled,
// the run is asked to end; the result is still the run's.
func (f *Function[In, Out]) StartChild(ctx Context, in In, options ...ChildOptions) *Child[Out] {
	var with ChildOptions
	if len(options) > 0 {
		with = options[0]
	}
	return startChild[Out](ctx, f.def.name, in, with)
}

// StartChildNamed is StartChild for a workflow that is known by its name only: one that
// is written elsewhere, or that would refer to itself.
func StartChildNamed[Out any](ctx Context, workflow string, in any, options ChildOptions) *Child[Out] {
	return startChild[Out](ctx, workflow, in, options)
}

func startChild[Out any](ctx Context, workflow string, in any, with ChildOptions) *Child[Out] {
	m := ctx.s.m
	m.enterChanging()
	o := m.open(ctx.s, opChild, workflow)
	child := &Child[Out]{Future: Future[Out]{o}, ID: with.ID}
	if child.ID == "" {
		own := fmt.Sprintf("/%08x", uint32(m.seedOf(o.seq)))
		child.ID = cut(m.run.ID, maxRunID-len(own)) + own
	}
	if with.OnClose == "" {
		with.OnClose = CloseTerminate
	}
	if o.done {
		return child
	}
	input, err := encode("input of workflow "+workflow, in)
	start := Start{
		ID: child.ID, Type: workflow, Input: input, Reuse: with.Reuse, Conflict: with.Conflict,
		Delay: with.Delay, Timeout: with.Timeout, Attributes: with.Attributes,
	}
	if err == nil && with.Memo != nil {
		start.Memo, err = encode("memo of workflow "+workflow, with.Memo)
	}
	if err == nil && !with.OnClose.known() {
		err = invalid("what becomes of child %s: there is no policy %q", child.ID, with.OnClose)
	}
	if err == nil && !m.replay.recorded(KindChildStarted, o.seq) {
		err = start.check()
	}
	if err != nil {
		o.resolve(nil, err)
		return child
	}
	data := mustMarshal(ChildRecord{Seq: o.seq, ID: child.ID, Type: workflow, OnClose: with.OnClose})
	m.emitOpen(o, KindChildStarted, data, StartChild{Seq: o.seq, Start: start, OnClose: with.OnClose})
	return child
}

// seedOf is a number that belongs to one thing that one run asked for.
func (m *machine) seedOf(seq uint64) uint64 {
	x := mix(uint64(len(m.begun.Seed)))
	for _, c := range []byte(m.begun.Seed) {
		x = mix(x ^ uint64(c))
	}
	return mix(x ^ seq)
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Cancel asks the run to end.
func (c *Child[Out]) Cancel(ctx Context, reason string) {
	c.o.m.enterChanging()
	if !c.o.done && !c.o.canceled {
		c.o.cancel(canceled(reason))
	}
}

func (m *machine) applyChild(in input, c ChildEnded) {
	o := m.find(in, c.Seq, opChild)
	if o == nil {
		return
	}
	if in.kind == KindChildCompleted {
		o.resolve(c.Result, nil)
		return
	}
	o.resolve(nil, childError(c))
}

// childError says how a child failed.
func childError(c ChildEnded) *Error {
	if c.Error != nil {
		return c.Error
	}
	e := &Error{Type: anonymous, Message: fmt.Sprintf("the child run is %s", c.Status), Final: true}
	switch c.Status {
	case Canceled:
		e.Type = ErrorCanceled
	case Terminated:
		e.Type = ErrorTerminated
	case TimedOut:
		e.Type = ErrorTimeout
		e.Details = json.RawMessage(`{"timeout":"run"}`)
	}
	return e
}
