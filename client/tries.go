package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/edri-io/edri/event"
)

// tries keeps why a call is not served: the last that a server said, else why the last
// was not reached. Of a server that lives and one that does not, the former knows more.
type tries struct {
	last *event.Error
	said bool
}

// failed notes a try that failed. One that failed since ctx has ended says nothing.
func (t *tries) failed(ctx context.Context, e *event.Error, answered bool) {
	if ctx.Err() != nil && (!answered || e.Code == event.CodeDeadlineExceeded) {
		return
	}
	if answered || !t.said {
		t.last, t.said = e, answered
	}
}

// gaveUp is the error of a call that ended before it was served.
type gaveUp struct {
	error
	last *event.Error // nil: no try had failed by then
	said bool         // by a server
}

func (g *gaveUp) Unwrap() error { return g.error }

// LastTry returns why the tries of a call failed that ended with its context: what a server
// said last, or why none was reached. nil: a server had it until then and did not answer, or
// err is not the error of such a call.
func LastTry(err error) *event.Error {
	if g := (*gaveUp)(nil); errors.As(err, &g) {
		return g.last
	}
	return nil
}

// ended is the error of a call that ends with its context and had no effect;
// last is why its tries failed, if any did.
func ended(ctx context.Context, last *event.Error) *gaveUp {
	code := event.CodeUnavailable
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = event.CodeDeadlineExceeded
	}
	message := "no server has answered"
	if last != nil {
		message = fmt.Sprintf("last try: %v", last)
	}
	return &gaveUp{error: withCause(event.Errorf(code, "%s", message), context.Cause(ctx)), last: last}
}

// ended is the error of a call with these tries that ends with its context.
func (t *tries) ended(ctx context.Context) error {
	g := ended(ctx, t.last)
	g.said = t.said
	return g
}

// notEnded returns err as that of a wait for a run. Where no try had failed until its context
// ended, or a server knew a moment before that it would, a server waited with it, most likely,
// and the run takes longer.
func notEnded(ctx context.Context, run RunID, err error) error {
	g := (*gaveUp)(nil)
	if !errors.As(err, &g) || g.last != nil && g.last.Code != event.CodeDeadlineExceeded || ctx.Err() == nil {
		return err
	}
	return &gaveUp{error: withCause(event.Errorf(event.CodeOf(err), "the end of run %s was not heard of in time", run.ID), context.Cause(ctx))}
}

// unavailable returns err as the unavailable that a server said last, if that is why the
// tries of the call failed until its context ended. It is for a call to which that is an
// answer, and not only a reason to ask again.
func unavailable(ctx context.Context, err error) error {
	g := (*gaveUp)(nil)
	if !errors.As(err, &g) || !g.said || g.last.Code != event.CodeUnavailable {
		return err
	}
	return &gaveUp{error: withCause(g.last, context.Cause(ctx)), last: g.last, said: true}
}
