package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// Why the contexts of steps end.
var (
	errGone         = errors.New("the run is not the worker's any more")
	errStepCanceled = errors.New("the step is canceled")
)

// Which timeout it was, in the details of an error of type ErrorTimeout.
const (
	timeoutScheduleToStart = "schedule_to_start"
	timeoutStartToClose    = "start_to_close"
	timeoutScheduleToClose = "schedule_to_close"
	timeoutHeartbeat       = "heartbeat"
)

// timeoutError is the cause of a context that ended by one of them.
type timeoutError string

func (e timeoutError) Error() string { return "timeout: " + string(e) }

// task is an attempt of a step on a worker: it waits for a slot, runs the function, and
// reports once.
type task struct {
	r       *live
	seq     uint64
	attempt int
	step    *stepCall
	asked   time.Time
	before  json.RawMessage // details of heartbeats of the attempts before; nil: none

	ctx    context.Context
	cancel context.CancelCauseFunc
	began  time.Time
	once   sync.Once // the report

	effects managers.Effects

	mu      sync.Mutex
	beat    *time.Timer     // nil: nothing is asked of it
	details json.RawMessage // of the last heartbeat that had any
	due     *time.Timer     // until they are to be recorded; nil: they are, or need not be
	pace    time.Duration   // of recording them
}

// result is how an attempt ended, or how far it has come.
type result struct {
	seq          uint64
	attempt      int
	began, ended time.Time
	out          json.RawMessage
	err          *Error
	effects      managers.Effects
	heartbeat    json.RawMessage // details of the last
	goesOn       bool            // it has not ended, or its end does not count
}

func (r *result) hasEffects() bool { return len(r.effects.Appends)+len(r.effects.Keys) > 0 }

// refuse makes a failure of a result whose effects cannot be committed.
func (r *result) refuse(err *event.Error) {
	details := struct {
		Code    event.Code `json:"code"`
		Message string     `json:"message"`
	}{err.Code, err.Message}
	r.out, r.effects = nil, managers.Effects{}
	r.err = NewError(ErrorRefused, fmt.Sprintf("the effects of the step cannot be committed: %v", err), details)
}

func canceledResult(o *op) *result {
	return workerResult(o, canceled("the step was not under way"))
}

func unknownResult(o *op) *result { return workerResult(o, outcomeUnknown(o.name)) }

func workerResult(o *op, err *Error) *result {
	now := stamp()
	return &result{seq: o.seq, attempt: o.attempt, began: now, ended: now, err: err}
}

// stamp is the time as histories keep it.
func stamp() time.Time { return time.Now().UTC().Round(0) }

// begin begins an attempt.
func (r *live) begin(o *op) {
	t := &task{r: r, seq: o.seq, attempt: o.attempt, step: o.step, asked: o.asked, before: o.heartbeat}
	t.ctx, t.cancel = context.WithCancelCause(r.h.base)
	r.tasks[o.seq] = t
	r.h.wakes(r)
	r.h.tasks.Go(t.run)
}

// run is the goroutine of a task.
func (t *task) run() {
	defer t.cancel(nil)
	if !t.acquire() {
		return
	}
	defer func() { <-t.r.h.slots }()
	stats := &t.r.h.stats
	stats.steps.Add(1)
	defer stats.steps.Add(-1)
	t.began = stamp()
	ctx, release := t.limited()
	defer release()
	defer t.stopHeartbeats()
	out, err := t.call(context.WithValue(ctx, taskKey{}, t))
	if err == nil {
		err = t.complete()
	}
	if cause := context.Cause(ctx); err != nil && cause != nil && errors.Is(err, ctx.Err()) {
		err = cause // that says more
	}
	t.report(out, err)
}

// acquire waits for a slot.
func (t *task) acquire() bool {
	slots := t.r.h.slots
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	var late <-chan time.Time
	if d := t.step.options.ScheduleToStart; d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		late = timer.C
	}
	t.began = stamp()
	select {
	case slots <- struct{}{}:
		return true
	case <-late:
		t.report(nil, timeoutError(timeoutScheduleToStart))
	case <-t.ctx.Done():
		t.report(nil, context.Cause(t.ctx))
	}
	return false
}

// limited returns the context of the function. When one of its timeouts is over, the
// attempt has failed, whether the function returns or not.
func (t *task) limited() (context.Context, func()) {
	o := &t.step.options
	if o.StartToClose <= 0 && o.ScheduleToClose <= 0 && o.Heartbeat <= 0 {
		return t.ctx, func() {}
	}
	var releases []func()
	ctx := t.ctx
	limit := func(d time.Duration, which string) {
		limited, cancel := context.WithTimeoutCause(ctx, d, timeoutError(which))
		ctx, releases = limited, append(releases, cancel)
	}
	if o.StartToClose > 0 {
		limit(o.StartToClose, timeoutStartToClose)
	}
	if o.ScheduleToClose > 0 {
		limit(t.asked.Add(o.ScheduleToClose).Sub(t.began), timeoutScheduleToClose)
	}
	if o.Heartbeat > 0 {
		silent, cancel := context.WithCancelCause(ctx)
		timer := time.AfterFunc(o.Heartbeat, func() { cancel(timeoutError(timeoutHeartbeat)) })
		t.mu.Lock()
		t.beat = timer
		t.mu.Unlock()
		ctx, releases = silent, append(releases, func() { timer.Stop(); cancel(nil) })
	}
	stop := context.AfterFunc(ctx, func() {
		if cause := context.Cause(ctx); errors.As(cause, new(timeoutError)) {
			t.report(nil, cause)
		}
	})
	return ctx, func() {
		stop()
		for _, release := range releases {
			release()
		}
	}
}

// call calls the function and makes an error of a panic.
func (t *task) call(ctx context.Context) (out json.RawMessage, err error) {
	returned := false
	defer func() {
		p := recover()
		if p == nil && !returned {
			p = "the step called runtime.Goexit, or used the context of a workflow"
		}
		if p != nil {
			stack := string(debug.Stack())
			t.r.h.cfg.Logger.Error("step panicked", "run", t.r.run.ID, "step", t.step.name, "panic", fmt.Sprint(p), "stack", stack)
			out, err = nil, NewError(ErrorPanic, fmt.Sprint(p), stackDetails{Text: fmt.Sprint(p), Stack: stack})
		}
		if !returned {
			// Goexit goes on when this function has returned, and run's does not come.
			t.report(out, err)
		}
	}()
	out, err = t.step.call(ctx, t.step.input)
	returned = true
	return out, err
}

// complete gives the events of the effects what they lack, and says what is wrong.
func (t *task) complete() error {
	e := &t.effects
	if err := e.Err(); err != nil {
		return invalid("effects: %v", err)
	}
	if e.Response != nil {
		return invalid("effects: a step has no request to respond to")
	}
	for i := range e.Appends {
		made := &e.Appends[i].Event
		if made.ID == "" {
			made.ID = fmt.Sprintf("%d/%d/%d", t.r.run.Number, t.seq, i)
		}
		if made.Source == "" {
			made.Source = sourceOf(t.r.run.Type)
		}
		if _, own := made.Extensions[event.AttrCorrelation]; !own && t.r.run.Correlation != "" {
			made.Extensions = maps.Clone(made.Extensions)
			if made.Extensions == nil {
				made.Extensions = make(map[string]event.Value, 1)
			}
			made.Extensions[event.AttrCorrelation] = event.String(t.r.run.Correlation)
		}
		if err := made.Validate(); err != nil {
			return invalid("effect %d: %v", i, err)
		}
	}
	for i, k := range e.Keys {
		if k.Key == "" {
			return invalid("key of change %d: is missing", i)
		}
	}
	return nil
}

// report gives the result to the run, once.
func (t *task) report(out json.RawMessage, err error) {
	t.once.Do(func() {
		res := &result{seq: t.seq, attempt: t.attempt, began: t.began, ended: stamp(), heartbeat: t.said()}
		if err == nil {
			res.out, res.effects = out, t.effects
		} else {
			res.err = t.failure(err)
		}
		t.r.post(func() {
			if err != nil && res.err == nil {
				t.recordHeartbeat()
				t.leave()
				return
			}
			t.leave()
			t.r.h.wakes(t.r)
			t.r.results = append(t.r.results, res)
		})
	})
}

// leave takes the task out of those of the run.
func (t *task) leave() {
	if t.r.tasks[t.seq] == t {
		delete(t.r.tasks, t.seq)
	}
}

// failure is the error of an attempt that failed; nil: it does not count, since the
// worker did not let it finish.
func (t *task) failure(err error) *Error {
	var which timeoutError
	switch cause := context.Cause(t.ctx); {
	case errors.As(err, &which):
		return t.timedOut(string(which))
	case errors.Is(cause, errStepCanceled) && (errors.Is(err, errStepCanceled) || errors.Is(err, context.Canceled)):
		return canceled("the step was canceled")
	case cause != nil && !errors.Is(cause, errStepCanceled):
		return nil
	}
	return toError(err)
}

func (t *task) timedOut(which string) *Error {
	said := t.said()
	if said == nil {
		return timedOut(which, nil)
	}
	details := struct {
		Timeout   string          `json:"timeout"`
		Heartbeat json.RawMessage `json:"heartbeat"`
	}{which, said}
	return NewError(ErrorTimeout, which, details)
}
