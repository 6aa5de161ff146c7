package workflows

import (
	"slices"
	"time"
)

// Context is what a workflow's code has in the place of a context.Context: it belongs to
// the run, and says when what is done with it was canceled. It must be used by the code
// of the run alone, never by a goroutine or a step.
type Context struct{ s *scope }

// scope is a part of a run that is canceled together.
type scope struct {
	m        *machine
	children []*scope
	err      *Error // why it was canceled; nil: it was not
	deadline *op    // the timer that will cancel it
}

func (s *scope) child() *scope {
	c := &scope{m: s.m, err: s.err}
	s.children = append(s.children, c)
	return c
}

// each calls f for the scope and those below it.
func (s *scope) each(f func(*scope)) {
	f(s)
	for _, c := range s.children {
		c.each(f)
	}
}

// cancel cancels the scope, all below it, and what was asked for with them.
func (s *scope) cancel(why *Error) {
	s.each(func(s *scope) {
		if s.err == nil {
			s.err = why
		}
	})
	s.m.cancelOps()
}

// Err is nil until ctx is canceled; then it says why: an *Error of type ErrorCanceled or,
// after a deadline, ErrorTimeout.
func (ctx Context) Err() error {
	ctx.s.m.enter()
	return ctx.s.failure()
}

func (s *scope) failure() error {
	if s.err == nil {
		return nil // and not an error that holds a nil
	}
	return s.err
}

// WithCancel returns a context that cancel cancels.
func WithCancel(ctx Context) (_ Context, cancel func()) {
	m := ctx.s.m
	m.enter()
	s := ctx.s.child()
	return Context{s}, func() {
		m.enterChanging()
		m.finishScope(ctx.s, s, canceled("by the workflow's code"))
	}
}

// WithTimeout returns a context that is canceled when d has passed, durably: by a timer
// of the cluster. Cancel ends it before. Where the timer cannot be, as of more than 100
// years, the context is canceled from the beginning, and its Err says why.
func WithTimeout(ctx Context, d time.Duration) (_ Context, cancel func()) {
	m := ctx.s.m
	m.enterChanging()
	s := ctx.s.child()
	if s.err == nil {
		s.deadline = m.setTimer(ctx.s, d)
		if s.deadline.done {
			s.err = toError(s.deadline.err) // without its deadline it would not end
		}
		s.deadline.then = func() {
			if s.deadline.err == nil {
				s.cancel(timedOut("deadline of the context", nil))
			}
		}
	}
	return Context{s}, func() {
		m.enterChanging()
		m.finishScope(ctx.s, s, canceled("by the workflow's code"))
		if s.deadline != nil {
			m.cancelTimer(s.deadline)
		}
	}
}

// WithDeadline is WithTimeout for a point of the run's time.
func WithDeadline(ctx Context, t time.Time) (_ Context, cancel func()) {
	return WithTimeout(ctx, t.Sub(Now(ctx)))
}

// WithoutCancel returns a context of the same run that stays when ctx is canceled: for
// what has to be done then.
func WithoutCancel(ctx Context) Context {
	ctx.s.m.enter()
	return Context{&scope{m: ctx.s.m}}
}

// finishScope cancels a scope and forgets it.
func (m *machine) finishScope(parent, s *scope, why *Error) {
	s.cancel(why)
	if i := slices.Index(parent.children, s); i >= 0 {
		parent.children = slices.Delete(parent.children, i, i+1)
	}
}
