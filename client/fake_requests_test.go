package client

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/event"
)

// fakeRequest is a request and what came of it; under cluster.mu.
type fakeRequest struct {
	send    *edriv1.SendRequest
	outcome *edriv1.RequestOutcome
	changed chan struct{}
	sent    int // how often it came
}

func (n *fakeNode) requestRoutes(mux *http.ServeMux, options connect.HandlerOption) {
	mux.Handle(edriv1connect.RequestsSendProcedure, connect.NewUnaryHandler(edriv1connect.RequestsSendProcedure,
		func(ctx context.Context, r *connect.Request[sendFrame]) (*connect.Response[edriv1.RequestSent], error) {
			request, err := n.request(ctx, r.Msg)
			if err != nil {
				return nil, err
			}
			return connect.NewResponse(&edriv1.RequestSent{Position: request.outcome.Position}), nil
		}, options))
	mux.Handle(edriv1connect.RequestsCallProcedure, connect.NewUnaryHandler(edriv1connect.RequestsCallProcedure,
		func(ctx context.Context, r *connect.Request[sendFrame]) (*connect.Response[outcomeFrame], error) {
			request, err := n.request(ctx, r.Msg)
			if err != nil {
				return nil, err
			}
			return n.cluster.await(ctx, request, true)
		}, options))
	mux.Handle(edriv1connect.RequestsAttachProcedure, connect.NewUnaryHandler(edriv1connect.RequestsAttachProcedure,
		func(ctx context.Context, r *connect.Request[edriv1.AttachRequest]) (*connect.Response[outcomeFrame], error) {
			n.cluster.mu.Lock()
			var request *fakeRequest
			for _, q := range n.cluster.router.requests {
				if q.outcome.Position == r.Msg.Position {
					request = q
				}
			}
			n.cluster.mu.Unlock()
			if request == nil {
				return nil, fakeError(event.CodeNotFound)
			}
			return n.cluster.await(ctx, request, r.Msg.Wait >= 0)
		}, options))
}

// request records a request, or finds the one with its source and id.
func (n *fakeNode) request(ctx context.Context, frame *sendFrame) (*fakeRequest, error) {
	m, err := frame.Message()
	if err != nil {
		return nil, err
	}
	c := n.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	v := execute
	if c.router.judgeRequest != nil {
		v = c.router.judgeRequest(n)
	}
	switch v {
	case dropBefore:
		return nil, cut(ctx)
	case sayUnavailable:
		return nil, fakeError(event.CodeUnavailable)
	}
	var request *fakeRequest
	for _, q := range c.router.requests {
		if q.send.Event.Id == m.Event.Id && q.send.Event.Source == m.Event.Source {
			request = q
		}
	}
	if request == nil {
		if m.Call && !slices.Contains(c.router.responders, m.Event.Type) {
			return nil, fakeError(event.CodeNoResponder)
		}
		request = &fakeRequest{send: m, changed: make(chan struct{}), outcome: &edriv1.RequestOutcome{
			Position: uint64(len(c.router.requests) + 1), Deadline: time.Now().Add(time.Duration(m.Timeout)).UnixNano(),
		}}
		c.router.requests = append(c.router.requests, request)
		if c.router.onRequest != nil {
			c.router.onRequest(request)
		}
	}
	request.sent++
	if v == dropAfter {
		return nil, cut(ctx)
	}
	return request, nil
}

// respond answers a request; under cluster.mu.
func (r *fakeRouter) respond(m *edriv1.Respond) {
	r.responses = append(r.responses, m)
	for _, q := range r.requests {
		if q.outcome.Position == m.Request {
			q.answer(m.Event)
		}
	}
}

func (q *fakeRequest) answer(e *edriv1.CloudEvent) {
	if q.outcome.State != edriv1.RequestOutcome_OPEN {
		return
	}
	q.outcome.Responses = append(q.outcome.Responses, &edriv1.RecordedEvent{Position: 100, Event: e})
	if uint32(len(q.outcome.Responses)) >= max(q.send.Gather, 1) {
		q.end(edriv1.RequestOutcome_ANSWERED)
	}
}

func (q *fakeRequest) end(state edriv1.RequestOutcome_State) {
	q.outcome.State = state
	close(q.changed)
}

func (c *fakeCluster) await(ctx context.Context, q *fakeRequest, wait bool) (*connect.Response[outcomeFrame], error) {
	c.mu.Lock()
	changed, state := q.changed, q.outcome.State
	c.mu.Unlock()
	if wait && state == edriv1.RequestOutcome_OPEN {
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := proto.Marshal(q.outcome)
	return connect.NewResponse(&outcomeFrame{Bytes: b}), err
}

// change is a call that changes a subscription, as a fake node executes it.
func change[Q, A any](n *fakeNode, procedure string, options connect.HandlerOption, do func(*fakeRouter, *Q) (*A, error)) (string, http.Handler) {
	return procedure, connect.NewUnaryHandler(procedure, func(ctx context.Context, r *connect.Request[Q]) (*connect.Response[A], error) {
		c := n.cluster
		c.mu.Lock()
		defer c.mu.Unlock()
		v := execute
		if c.router.judgeChange != nil {
			v = c.router.judgeChange(procedure)
		}
		switch v {
		case dropBefore:
			return nil, cut(ctx)
		case sayUnavailable:
			return nil, fakeError(event.CodeUnavailable)
		case sayOverloaded:
			return nil, fakeError(event.CodeOverloaded)
		}
		answer, err := do(&c.router, r.Msg)
		switch v {
		case dropAfter:
			return nil, cut(ctx)
		case loseOutcome:
			return nil, fakeError(event.CodeOutcomeUnknown)
		}
		if err != nil {
			return nil, err
		}
		return connect.NewResponse(answer), nil
	}, options)
}

func (n *fakeNode) subscriptionRoutes(mux *http.ServeMux, options connect.HandlerOption) {
	mux.Handle(change(n, edriv1connect.SubscriptionsCreateProcedure, options, (*fakeRouter).create))
	mux.Handle(change(n, edriv1connect.SubscriptionsUpdateProcedure, options, func(r *fakeRouter, m *edriv1.UpdateSubscription) (*edriv1.Subscription, error) {
		return r.with(m.Name, func(s *edriv1.Subscription) { s.Config = m.Config })
	}))
	mux.Handle(change(n, edriv1connect.SubscriptionsPauseProcedure, options, func(r *fakeRouter, m *edriv1.PauseSubscription) (*edriv1.Subscription, error) {
		return r.with(m.Name, func(s *edriv1.Subscription) { s.Paused, s.Note = m.Paused, m.Note })
	}))
	mux.Handle(change(n, edriv1connect.SubscriptionsSeekProcedure, options, func(r *fakeRouter, m *edriv1.SeekSubscription) (*edriv1.Subscription, error) {
		r.seeks = append(r.seeks, m)
		return r.with(m.Name, func(s *edriv1.Subscription) { s.Generation++ })
	}))
	mux.Handle(change(n, edriv1connect.SubscriptionsGetProcedure, options, func(r *fakeRouter, m *edriv1.GetSubscriptionRequest) (*edriv1.Subscription, error) {
		return r.with(m.Name, func(*edriv1.Subscription) {})
	}))
	mux.Handle(change(n, edriv1connect.SubscriptionsDeleteProcedure, options, func(r *fakeRouter, m *edriv1.DeleteSubscription) (*edriv1.DeleteSubscriptionResponse, error) {
		if r.subscriptions[m.Name] == nil {
			return nil, fakeError(event.CodeNotFound)
		}
		delete(r.subscriptions, m.Name)
		return &edriv1.DeleteSubscriptionResponse{}, nil
	}))
	mux.Handle(change(n, edriv1connect.SubscriptionsListProcedure, options, (*fakeRouter).list))
	mux.Handle(change(n, edriv1connect.SubscriptionsListDeadProcedure, options, (*fakeRouter).listDead))
	mux.Handle(change(n, edriv1connect.SubscriptionsRedriveProcedure, options, func(r *fakeRouter, m *edriv1.Redrive) (*edriv1.Redriven, error) {
		r.redrives++
		return &edriv1.Redriven{Count: uint32(max(len(m.Positions), 1))}, nil
	}))
}

func (r *fakeRouter) with(name string, f func(*edriv1.Subscription)) (*edriv1.Subscription, error) {
	s := r.subscriptions[name]
	if s == nil {
		return nil, fakeError(event.CodeNotFound)
	}
	f(s.config)
	return proto.Clone(s.config).(*edriv1.Subscription), nil
}

func (r *fakeRouter) create(m *edriv1.CreateSubscription) (*edriv1.Subscription, error) {
	r.creates = append(r.creates, m)
	if r.subscriptions[m.Name] != nil {
		if !m.Ensure {
			return nil, fakeError(event.CodeExists)
		}
		return r.with(m.Name, func(s *edriv1.Subscription) { s.Config = m.Config })
	}
	if r.subscriptions == nil {
		r.subscriptions = map[string]*fakeSubscription{}
	}
	r.subscriptions[m.Name] = &fakeSubscription{config: &edriv1.Subscription{Name: m.Name, Config: m.Config, Generation: uint64(len(r.creates))}}
	return r.with(m.Name, func(*edriv1.Subscription) {})
}

// list returns pages of two.
func (r *fakeRouter) list(m *edriv1.ListSubscriptionsRequest) (*edriv1.ListSubscriptionsResponse, error) {
	var names []string
	for name := range r.subscriptions {
		if strings.HasPrefix(name, m.Prefix) && name > m.After {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	page := &edriv1.ListSubscriptionsResponse{More: len(names) > 2}
	for _, name := range names[:min(len(names), 2)] {
		page.Subscriptions = append(page.Subscriptions, r.subscriptions[name].config)
	}
	return page, nil
}

// listDead returns pages of one.
func (r *fakeRouter) listDead(m *edriv1.ListDeadRequest) (*edriv1.ListDeadResponse, error) {
	s := r.subscriptions[m.Subscription]
	if s == nil {
		return nil, fakeError(event.CodeNotFound)
	}
	var positions []uint64
	for p := range s.dead {
		if p > m.After {
			positions = append(positions, p)
		}
	}
	slices.Sort(positions)
	page := &edriv1.ListDeadResponse{More: len(positions) > 1}
	for _, p := range positions[:min(len(positions), 1)] {
		letter := &edriv1.DeadLetter{Position: p, Stamp: 5, Attempts: []*edriv1.Attempt{{Stamp: 4, Reason: s.dead[p]}}}
		if p%2 == 1 {
			letter.Event = &edriv1.RecordedEvent{Position: p, Event: &edriv1.CloudEvent{Id: "1", Source: "/s", SpecVersion: "1.0", Type: "t"}}
		}
		page.Dead = append(page.Dead, letter)
	}
	return page, nil
}

var errFault = errors.New("fault")
