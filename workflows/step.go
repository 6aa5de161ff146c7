package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/edri-io/edri/event"
)

// Step is a Go function that a workflow has run outside of its own code: it may do
// anything, and its result is recorded.
//
// It runs at least once: where a worker is lost before the result was committed, it runs
// again, so that what it does outside is to be deduplicated by EffectID. With one attempt
// (Retry.Attempts 1) it runs at most once: that it begins is committed before, and where
// the worker is lost then, it fails with ErrorUnknown.
type Step[In, Out any] struct{ spec *stepSpec }

// StepOptions are a step's policies. Of the timeouts, 0 is none.
type StepOptions struct {
	Retry Retry
	// ScheduleToStart is how long an attempt may wait for a worker to have room for it.
	ScheduleToStart time.Duration
	// StartToClose is how long an attempt may run. Its context ends then.
	StartToClose time.Duration
	// ScheduleToClose is how long all attempts may take together, with the waits between.
	ScheduleToClose time.Duration
	// Heartbeat is how long an attempt may be silent, see the function Heartbeat. Its details
	// are kept without it too.
	Heartbeat time.Duration
}

// stepSpec is a Step without its types.
type stepSpec struct {
	name    string
	options StepOptions
	call    func(ctx context.Context, input json.RawMessage) (json.RawMessage, error)
	err     error // what was wrong with NewStep
}

// stepCall is what an op needs to be run.
type stepCall struct {
	*stepSpec
	input json.RawMessage
}

// once says that the step runs at most once.
func (s *stepSpec) once() bool { return s.options.Retry.Attempts == 1 }

// NewStep returns a step that runs f. Its name is what histories call it.
func NewStep[In, Out any](name string, f func(context.Context, In) (Out, error), options ...StepOptions) Step[In, Out] {
	s := &stepSpec{name: name}
	if len(options) > 0 {
		s.options = options[0]
	}
	s.err = event.CheckName("step", name)
	if f == nil {
		s.err = event.Errorf(event.CodeInvalid, "step %s: has no function", name)
	}
	s.call = func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
		var in In
		if err := decode(input, &in); err != nil {
			return nil, undecodable("input of step "+name, err)
		}
		out, err := f(ctx, in)
		if err != nil {
			return nil, err
		}
		return encode("result of step "+name, out)
	}
	return Step[In, Out]{s}
}

// With returns the same step with other policies.
func (s Step[In, Out]) With(options StepOptions) Step[In, Out] {
	spec := *s.spec
	spec.options = options
	return Step[In, Out]{&spec}
}

// Do has the step run and waits for its result. An error is an *Error.
func (s Step[In, Out]) Do(ctx Context, in In) (Out, error) {
	f := s.Start(ctx, in)
	return f.get(ctx.s, f.o.m.co.current)
}

// Start has the step run. Where ctx is canceled, the context of the step's function is;
// the result is still the function's.
func (s Step[In, Out]) Start(ctx Context, in In) *Future[Out] {
	m := ctx.s.m
	m.enterChanging()
	o := m.open(ctx.s, opStep, s.spec.name)
	if o.done {
		return &Future[Out]{o}
	}
	input, err := encode("input of step "+s.spec.name, in)
	if s.spec.err != nil {
		err = refusal(s.spec.err)
	}
	if err != nil {
		o.state = opBlocked // it was never under way
		o.resolve(nil, err)
		return &Future[Out]{o}
	}
	o.step = &stepCall{s.spec, input}
	o.attempt, o.asked = 1, m.now
	m.begin(o)
	return &Future[Out]{o}
}

// begin has an attempt of a step begin.
func (m *machine) begin(o *op) {
	o.lost = false
	if o.step.once() {
		m.emitStarted(o)
	}
	o.ask()
}

// emitStarted says of a step that runs at most once that it begins.
func (m *machine) emitStarted(o *op) {
	m.emitOpen(o, KindStepStarted, appendStep(nil, &StepRecord{Seq: o.seq, Name: o.name, Attempt: o.attempt, Started: m.now}), nil)
	o.lost = o.opened.at != 0
}

func (m *machine) applyStep(in input, r StepRecord) {
	o := m.find(in, r.Seq, opStep)
	if m.halt != nil {
		return
	}
	if o == nil || o.name != r.Name {
		asked, id := "", []byte(nil)
		if o != nil {
			asked, id = o.asking(), o.identity()
		}
		if in.data == nil {
			in.data = appendStep(nil, &r)
		}
		m.diverge(recorded{kind: in.kind, data: in.data, revision: in.at}, asked, id)
		return
	}
	o.attempt = r.Attempt
	if r.Heartbeat != nil {
		o.heartbeat = r.Heartbeat
	}
	switch {
	case in.kind == KindStepHeartbeat:
	case in.kind == KindStepCompleted:
		o.resolve(r.Result, nil)
	case r.RetryIn != "":
		o.leaveAsked(opBackoff)
	case r.Blocks:
		o.leaveAsked(opBlocked)
	case r.Error == nil:
		o.resolve(nil, &Error{Type: anonymous})
	default:
		o.resolve(nil, r.Error)
	}
}

// applyWorkerLost counts an attempt of each step that was under way.
func (m *machine) applyWorkerLost() {
	for _, o := range m.openSteps() {
		if o.state != opAsked {
			continue
		}
		retry := &o.step.options.Retry
		lost := &Error{Type: ErrorWorkerLost, Message: fmt.Sprintf("the worker of step %s is gone", o.name)}
		switch {
		case o.step.once():
			o.resolve(nil, outcomeUnknown(o.name))
		case retry.Attempts == 0 || o.attempt < retry.Attempts:
			o.attempt++
			m.todo = append(m.todo, o)
		case retry.Exhausted == Pause && !o.canceled:
			o.leaveAsked(opBlocked)
			m.blocks = append(m.blocks, stepBlocked{o.seq, o.name, lost})
		default:
			o.resolve(nil, lost)
		}
	}
}

func outcomeUnknown(step string) *Error {
	return &Error{
		Type: ErrorUnknown, Final: true,
		Message: fmt.Sprintf("step %s began, and its worker is gone: whether it took effect is not known", step),
	}
}

// applyRetry lets the steps that block the run begin anew.
func (m *machine) applyRetry() {
	for _, o := range m.openSteps() {
		if o.state == opBlocked {
			o.attempt, o.asked = 1, m.now
			m.begin(o)
		}
	}
}

// stepBlocked are the details of a Block by a step that is out of attempts.
type stepBlocked struct {
	Seq   uint64 `json:"seq"`
	Name  string `json:"name"`
	Error *Error `json:"error"`
}

const reasonStepFailed = "step failed"
