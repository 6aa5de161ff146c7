package client

import (
	"context"
	"errors"
	"net"

	"github.com/edri-io/edri/event"
)

// once calls one server after another, as ask does, for a call that must not have its
// effect twice: it is tried again only while it had none for certain. Else the error
// is outcome_unknown.
func (c *Client) once(ctx context.Context, call func(context.Context, *server) error) error {
	var unknown error
	err := c.ask(ctx, func(ctx context.Context, n *server) error {
		err := call(ctx, n)
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
		err := call(ctx, n)
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

// neverSent reports whether no connection was made on which the call could have gone.
func neverSent(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}
