package workflows

import (
	"errors"
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
// ErrorInvalid, the signal's input cannot be decoded into T. Such a signal is received
// nevertheless, so that the code can go on with the next one.
//
// A workflow's function that ends with that error does not fail: whoever sent a signal is not
// to end a run by it. The run is paused, until the code is mended or the run reset. Another
// error in its place fails it; and a channel of json.RawMessage takes whatever is JSON.
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
		made := undecodable("input of signal "+c.name, err)
		made.signal = c.name
		return value, true, made
	}
	return value, true, nil
}

const reasonSignal = "invalid signal"

// signalDetails are those of a Block by a signal.
type signalDetails struct {
	Reason string `json:"reason"`
	Signal string `json:"signal"`
}

// pauseBySignal halts the machine where the code is to end by a signal that it could not
// decode. A run that has ended by one, before that was so, has ended.
func (m *machine) pauseBySignal(err error) {
	e := (*Error)(nil)
	if errors.As(err, &e) && e.signal != "" && !m.replay.expects() {
		m.fail(&fault{reason: reasonSignal, details: signalDetails{e.Message, e.signal}, err: e})
	}
}
