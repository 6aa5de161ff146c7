package api

import (
	"context"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/router"
)

type (
	sendFrame   = wire.Frame[edriv1.SendRequest]
	attachFrame = wire.Frame[edriv1.AttachRequest]
)

func (s *service) sendRequest(ctx context.Context, f *sendFrame) (*edriv1.RequestSent, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	r, err := s.executeOp(ctx, opSendRequest, f.Bytes)
	if err != nil {
		return nil, err
	}
	return r.GetRequestSent(), nil
}

// call sends a request that asks for a responder, and waits. Where the answer to the
// call is lost the caller attaches, or sends the same event again.
func (s *service) call(ctx context.Context, f *sendFrame) (*edriv1.RequestOutcome, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	body := f.Bytes
	if !request.Call {
		body = append(body[:len(body):len(body)], callField...)
	}
	r, err := s.executeOp(ctx, opSendRequest, body)
	if err != nil {
		return nil, err
	}
	return s.outcome(ctx, event.Position(r.GetRequestSent().GetPosition()))
}

// callField is SendRequest.call = true.
var callField = []byte{4 << 3, 1}

func (s *service) attach(ctx context.Context, f *attachFrame) (*edriv1.RequestOutcome, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	if request.Position == 0 {
		return nil, event.Errorf(event.CodeInvalid, "position 0: positions begin at 1")
	}
	if err := s.awaitExisting(ctx, event.Position(request.Position)); err != nil {
		return nil, err
	}
	wait := ctx
	if request.Wait != 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, max(time.Duration(request.Wait), 0))
		defer cancel()
	}
	return s.outcome(wait, event.Position(request.Position))
}

// awaitExisting waits until this node has applied a position, which may be younger than
// what it has. Where the cluster has none such, it is not_found.
func (s *service) awaitExisting(ctx context.Context, p event.Position) error {
	if p <= s.last() {
		return s.await(ctx, freshness{})
	}
	if err := s.await(ctx, freshness{linearizable: true}); err != nil {
		return err
	}
	if last := s.last(); p > last {
		return event.Errorf(event.CodeNotFound, "there is no request at position %d: the journal ends at %d", p, last)
	}
	return nil
}

// last is the journal's last position that this node has applied.
func (s *service) last() event.Position {
	v := s.cfg.Node.View()
	defer v.Close()
	return v.Journal().Last()
}

// outcome waits for a request's outcome, which this node's own apply brings.
func (s *service) outcome(ctx context.Context, p event.Position) (*edriv1.RequestOutcome, error) {
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	q, err := s.cfg.Router.Await(ctx, s.cfg.Node, p)
	if err != nil {
		return nil, err
	}
	if q.State == router.RequestOpen && s.cfg.Lifetime.Err() != nil {
		return nil, event.Errorf(event.CodeUnavailable, "the node is stopping")
	}
	m := &edriv1.RequestOutcome{Position: uint64(p), Deadline: q.Deadline, State: requestStates[q.State]}
	v := s.cfg.Node.View()
	defer v.Close()
	for _, p := range q.Responses {
		r, err := recordedMessage(v, p)
		if err != nil {
			return nil, err
		}
		if r != nil {
			m.Responses = append(m.Responses, r)
		}
	}
	return m, nil
}

var requestStates = map[router.RequestState]edriv1.RequestOutcome_State{
	router.RequestOpen:     edriv1.RequestOutcome_OPEN,
	router.RequestAnswered: edriv1.RequestOutcome_ANSWERED,
	router.RequestExpired:  edriv1.RequestOutcome_EXPIRED,
}
