package client

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/edri-io/edri/event"
)

// once calls one server after another, as ask does, for a call that must not have its
// effect twice: it is tried again only while it had none for certain. Else the error
// is outcome_unknown.
func (c *Client) once(ctx context.Context, call func(context.Context, *server) error) error {
	var unknown error
	err := c.ask(ctx, func(ctx context.Context, n *server) error {
		err := c.tellUnsent(ctx, n, call)
		if mayHaveHappened(err) {
			unknown = outcomeUnknown("it may have taken effect: "+fromRPC(err).Error(), context.Cause(ctx))
			return unknown
		}
		return err
	})
	if unknown != nil {
		return unknown
	}
	return err
}

// repeat calls one server after another, as ask does, for a call that has an effect
// but may be repeated: an outcome that is not known is found out by the next try.
// When it gives up after such, the error is outcome_unknown.
func (c *Client) repeat(ctx context.Context, call func(context.Context, *server) error) error {
	unknown := false
	err := c.ask(ctx, func(ctx context.Context, n *server) error {
		err := c.tellUnsent(ctx, n, call)
		if err == nil {
			return nil
		}
		unknown = unknown || mayHaveHappened(err)
		if e := fromRPC(err); e.Code == event.CodeOutcomeUnknown {
			return event.Errorf(event.CodeUnavailable, "%s", e.Message)
		}
		return err
	})
	if err != nil && unknown && retryable(fromRPC(err).Code) {
		last := fromRPC(err) // it gave up by itself
		if g := (*gaveUp)(nil); errors.As(err, &g) {
			last = g.last
		}
		return &gaveUp{error: event.Errorf(event.CodeOutcomeUnknown, "it may have taken effect: %v", err), last: last}
	}
	return err
}

// mayHaveHappened reports whether a call that ended with err may have had its effect
// nevertheless: the server says so, or its answer is lost.
func mayHaveHappened(err error) bool {
	if err == nil {
		return false
	}
	switch fromRPC(err).Code {
	case event.CodeOutcomeUnknown, event.CodeDeadlineExceeded:
		return true
	case event.CodeUnavailable:
		return !answered(err) && !neverSent(err)
	}
	return false
}

// neverSent reports whether there was no connection on which the call could have gone.
func neverSent(err error) bool {
	var unsent *unsentError
	var dial *net.OpError
	return errors.As(err, &unsent) || errors.As(err, &dial) && dial.Op == "dial"
}

// unsentError is why a call failed that had no connection yet.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// tellUnsent makes the error of a call without a connection an *unsentError: where the
// caller's time ended first, the error is the context's, whatever was sent. An HTTP client
// of the caller may have sent anything unless it says that it looked for a connection.
func (c *Client) tellUnsent(ctx context.Context, n *server, call func(context.Context, *server) error) error {
	var looked, got atomic.Bool
	looked.Store(c.ownHTTP)
	err := call(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { looked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
	}), n)
	if err != nil && looked.Load() && !got.Load() {
		return &unsentError{err}
	}
	return err
}
