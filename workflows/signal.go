package workflows

import (
	"fmt"
	"slices"
	"time"
)

// Channel receives the signals of a name. Those that come before the code asks are kept,
// in their order; those that it never receives go on to the run that continues it.
type Channel[T any] struct {
	m    *machine
	name string
}

// Signals returns the channel of the signals of a name, whose input is decoded into T.
func Signals[T any](ctx Context, name string) Channel[T] {
	ctx.s.m.enter()
	return Channel[T]{ctx.s.m, name}
}

func (c Channel[T]) index() int {
	return slices.IndexFunc(c.m.unread, func(s SignalReceived) bool { return s.Name == c.name })
}

func (c Channel[T]) ready() bool    { return c.index() >= 0 }
func (c Channel[T]) failure() error { return nil }

// Receive waits for a signal. An error is an *Error: ctx is canceled, or, of type
// ErrorInvalid, the signal's input cannot be decoded; then it is received nevertheless.
func (c Channel[T]) Receive(ctx Context) (T, error) {
	s := ctx.s
	co := c.m.enterChanging()
	if !c.ready() {
		co.park(func() bool { return s.err != nil || c.ready() })
	}
	value, ok, err := c.take()
	if !ok {
		return value, s.err
	}
	return value, err
}

// TryReceive receives a signal that is there; ok reports whether one is.
func (c Channel[T]) TryReceive(Context) (value T, ok bool, err error) {
	c.m.enterChanging()
	return c.take()
}

// ReceiveFor waits for a signal until d has passed, durably; ok reports whether one came.
// An error is one of Receive, or of the timer.
func (c Channel[T]) ReceiveFor(ctx Context, d time.Duration) (value T, ok bool, err error) {
	c.m.enterChanging()
	if !c.ready() {
		timer := c.m.setTimer(ctx.s, d)
		if _, err := First(ctx, c, &Future[struct{}]{timer}); err != nil {
			return value, false, err
		}
		if !c.ready() && timer.err != nil { // with ctx the timer is canceled: no time has passed
			return value, false, timer.err
		}
		c.m.cancelTimer(timer)
	}
	return c.take()
}

// Len returns how many signals are there.
func (c Channel[T]) Len() int {
	c.m.enter()
	n := 0
	for _, s := range c.m.unread {
		if s.Name == c.name {
			n++
		}
	}
	return n
}

func (c Channel[T]) take() (value T, ok bool, err error) {
	i := c.index()
	if i < 0 {
		return value, false, nil
	}
	signal := c.m.unread[i]
	c.m.unread = slices.Delete(c.m.unread, i, i+1)
	if err := decode(signal.Input, &value); err != nil {
		return value, true, &Error{Type: ErrorInvalid, Message: fmt.Sprintf("input of signal %s: %v", c.name, err), Final: true}
	}
	return value, true, nil
}
