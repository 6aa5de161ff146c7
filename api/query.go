package api

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// freshness is what a read asks of the node before it begins.
type freshness struct {
	linearizable bool
	min          event.Position
}

func newFreshness(c edriv1.Consistency, min uint64) (freshness, error) {
	switch c {
	case edriv1.Consistency_CONSISTENCY_UNSPECIFIED, edriv1.Consistency_CONSISTENCY_STALE:
		return freshness{min: event.Position(min)}, nil
	case edriv1.Consistency_CONSISTENCY_LINEARIZABLE:
		return freshness{linearizable: true, min: event.Position(min)}, nil
	}
	return freshness{}, event.Errorf(event.CodeInvalid, "consistency %d: there is no such", c)
}

// await waits until the node is as fresh, or ctx ends, or the node turns out to
// be cut off.
func (s *service) await(ctx context.Context, f freshness) error {
	if !f.linearizable && f.min == 0 {
		return s.cfg.Node.Await(ctx, false, 0) // does not wait
	}
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	defer s.watchCutOff(giveUp)()
	err := s.cfg.Node.Await(ctx, f.linearizable, f.min)
	var own *event.Error
	if err != nil && errors.As(context.Cause(ctx), &own) {
		return own
	}
	return err
}

// watchCutOff looks at the node from time to time until stop is called, and gives
// up when it is cut off.
func (s *service) watchCutOff(giveUp context.CancelCauseFunc) (stop func() bool) {
	var cutOff cutOff
	var timer *time.Timer
	timer = time.AfterFunc(time.Hour, func() {
		if err := cutOff.check(s.cfg.Node); err != nil {
			giveUp(err)
			return
		}
		timer.Reset(s.progress)
	})
	timer.Reset(s.progress) // not before the variable is set
	return timer.Stop
}

// maxNotReady is for how many intervals a request stays with a node that is not
// ready: cut off from the cluster it would wait for ever.
const maxNotReady = 2

// cutOff counts how many times in a row a node was not ready.
type cutOff int

// check looks at the node, and says so when that was too often.
func (c *cutOff) check(node Reporter) error {
	if node.Ready() == nil {
		*c = 0
		return nil
	}
	if *c++; *c >= maxNotReady {
		return event.Errorf(event.CodeUnavailable, "the node is cut off from its cluster")
	}
	return nil
}

// untilStop returns a context that ends with the node too, so that no request
// holds its stop back.
func (s *service) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.cfg.Lifetime, cancel)
	if s.cfg.Lifetime.Err() != nil {
		cancel() // now, and not when AfterFunc's goroutine comes to it
	}
	return ctx, func() { stop(); cancel() }
}

// newQuery checks what a request selects.
func newQuery(r *edriv1.ReadRequest) (log.Query, error) {
	q := log.Query{
		Stream: r.Stream, Type: r.Type, TypePrefix: r.TypePrefix,
		Subject: r.Subject, Source: r.Source, Correlation: r.Correlation,
		From: event.Position(r.From), To: event.Position(r.To),
		Since: r.Since, Until: r.Until, Reverse: r.Reverse,
	}
	for _, name := range []struct{ what, value string }{
		{"stream", q.Stream}, {"type", q.Type}, {"subject", q.Subject},
		{"source", q.Source}, {"correlation", q.Correlation},
	} {
		if name.value == "" {
			continue
		}
		if err := event.CheckName(name.what, name.value); err != nil {
			return q, err
		}
	}
	if err := checkPrefix("type_prefix", q.TypePrefix); err != nil {
		return q, err
	}
	switch {
	case q.From > q.To && q.To != 0:
		return q, event.Errorf(event.CodeInvalid, "from %d is after to %d", q.From, q.To)
	case q.Since < 0 || q.Until < 0:
		return q, event.Errorf(event.CodeInvalid, "since %d, until %d: times before 1970", q.Since, q.Until)
	case q.Since > q.Until && q.Until != 0:
		return q, event.Errorf(event.CodeInvalid, "since %d is after until %d", q.Since, q.Until)
	}
	return q, nil
}

// checkPrefix checks what names may begin with; it may be empty.
func checkPrefix(what, prefix string) error {
	switch {
	case len(prefix) > event.MaxNameBytes:
		return event.TooLarge(what+" in bytes", int64(len(prefix)), event.MaxNameBytes)
	case !utf8.ValidString(prefix):
		return event.Errorf(event.CodeInvalid, "%s %q: is not UTF-8", what, prefix)
	}
	return nil
}
