package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/event"
)

// fakeSubscription hands events out as the router does: one lease each, a settlement
// once. It does not know filters. Under cluster.mu.
type fakeSubscription struct {
	config  *edriv1.Subscription
	pending map[uint64]*fakePending
	done    map[uint64]int // how often each was acknowledged
	dead    map[uint64]string
	members map[*fakeMember]bool
	lease   time.Duration
}

type fakePending struct {
	event   *edriv1.RecordedEvent
	attempt uint32
	token   string      // of the live lease; empty: none
	member  *fakeMember // nil: its stream has broken
	held    bool        // not handed out before release
	reasons []string
}

type fakeMember struct {
	name    string
	credits int
	out     edriv1.DeliverResponse
	wake    chan struct{}
}

func (m *fakeMember) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// fakeRouter is what a fakeCluster knows of subscriptions; under cluster.mu.
type fakeRouter struct {
	subscriptions map[string]*fakeSubscription
	tokens        int
	extends       int
	givenBack     int      // and not handed out again
	reasons       []string // of naks
	streams       int      // how many Delivers began
	peak          int      // most deliveries that were out and not settled
	// judgeSettlement decides about a settlement; nil: execute.
	judgeSettlement func(n *fakeNode, s *edriv1.Settlement) verdict

	requests     []*fakeRequest
	responses    []*edriv1.Respond
	responders   []string // types that some subscription receives
	onRequest    func(*fakeRequest)
	judgeRequest func(n *fakeNode) verdict

	creates     []*edriv1.CreateSubscription
	seeks       []*edriv1.SeekSubscription
	redrives    int
	judgeChange func(procedure string) verdict
}

func (n *fakeNode) routes(mux *http.ServeMux, options connect.HandlerOption) {
	mux.Handle(edriv1connect.SubscriptionsDeliverProcedure,
		connect.NewBidiStreamHandler(edriv1connect.SubscriptionsDeliverProcedure, n.deliver, options))
	n.requestRoutes(mux, options)
	n.subscriptionRoutes(mux, options)
}

// subscribe makes a subscription with n events pending, which are at positions 1 to n.
func (c *fakeCluster) subscribe(name string, n int) *fakeSubscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &fakeSubscription{
		config:  &edriv1.Subscription{Name: name, Generation: 7},
		pending: map[uint64]*fakePending{}, done: map[uint64]int{}, dead: map[uint64]string{},
		members: map[*fakeMember]bool{}, lease: 30 * time.Second,
	}
	if c.router.subscriptions == nil {
		c.router.subscriptions = map[string]*fakeSubscription{}
	}
	c.router.subscriptions[name] = s
	for range n {
		p := uint64(len(c.events) + 1)
		recorded := &edriv1.RecordedEvent{Position: p, Revision: p, Stream: "s", Stamp: 1, Event: &edriv1.CloudEvent{
			Id: fmt.Sprint(p), Source: "/s", SpecVersion: "1.0", Type: "t",
			Data: &edriv1.CloudEvent_TextData{TextData: "data"},
		}}
		c.events = append(c.events, recorded)
		s.pending[p] = &fakePending{event: recorded, attempt: 1}
	}
	return s
}

func (n *fakeNode) deliver(ctx context.Context, s *connect.BidiStream[memberFrame, deliveriesFrame]) error {
	c := n.cluster
	m := &fakeMember{wake: make(chan struct{}, 1)}
	frame, err := s.Receive()
	if err != nil {
		return err
	}
	first, err := frame.Message()
	if err != nil {
		return err
	}
	sub, err := c.join(m, first)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	wg.Go(func() { cancel(n.receive(ctx, s, sub, m)) })
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
		case <-m.wake:
		}
		c.mu.Lock()
		sub.handOut(c, m)
		out, err := proto.Marshal(&m.out)
		m.out = edriv1.DeliverResponse{}
		c.mu.Unlock()
		if err != nil {
			return err
		}
		if len(out) > 0 {
			if err := s.Send(&deliveriesFrame{Bytes: out}); err != nil {
				cancel(err)
			}
		}
		if ctx.Err() != nil {
			err := context.Cause(ctx)
			c.part(sub, m, errors.Is(err, io.EOF))
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func (c *fakeCluster) join(m *fakeMember, first *edriv1.DeliverRequest) (*fakeSubscription, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.router.streams++
	sub := c.router.subscriptions[first.Subscription]
	if sub == nil {
		return nil, fakeError(event.CodeNotFound)
	}
	m.name = first.Member
	sub.members[m] = true
	shown := map[uint64]bool{}
	for _, h := range first.Held {
		p := sub.pending[h.Position]
		if p == nil || p.token != string(h.Token) {
			m.out.Lost = append(m.out.Lost, h)
			continue
		}
		p.member, shown[h.Position] = m, true
	}
	for position, p := range sub.pending {
		if p.token != "" && p.member == nil && !shown[position] {
			p.token = ""
			p.attempt++
		}
	}
	sub.take(c, m, first)
	return sub, nil
}

// part ends a member; what it had goes to others, at once where it left by itself.
func (c *fakeCluster) part(sub *fakeSubscription, m *fakeMember, left bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(sub.members, m)
	for _, p := range sub.pending {
		if p.member == m {
			p.member = nil
			if left {
				p.token = ""
			}
		}
	}
	sub.signalAll()
}

func (s *fakeSubscription) signalAll() {
	for m := range s.members {
		m.signal()
	}
}

func (n *fakeNode) receive(ctx context.Context, stream *connect.BidiStream[memberFrame, deliveriesFrame], sub *fakeSubscription, m *fakeMember) error {
	for {
		frame, err := stream.Receive()
		if err != nil {
			return err
		}
		request, err := frame.Message()
		if err != nil {
			return err
		}
		n.cluster.mu.Lock()
		err = n.settleAll(ctx, sub, m, request)
		n.cluster.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (n *fakeNode) settleAll(ctx context.Context, sub *fakeSubscription, m *fakeMember, request *edriv1.DeliverRequest) error {
	for _, s := range request.Settlements {
		v := execute
		if n.cluster.router.judgeSettlement != nil {
			v = n.cluster.router.judgeSettlement(n, s)
		}
		result := &edriv1.SettlementResult{Id: s.Id}
		switch v {
		case execute, dropAfter, loseOutcome, swallow:
			result.Result, result.Error = sub.settle(n.cluster, s)
		case sayNotLeader:
			result.Error = &edriv1.Error{Code: string(event.CodeNotLeader)}
		case sayUnavailable:
			result.Error = &edriv1.Error{Code: string(event.CodeUnavailable)}
		case sayOverloaded:
			result.Error = &edriv1.Error{Code: string(event.CodeOverloaded)}
		case sayInvalid:
			result.Error = &edriv1.Error{Code: string(event.CodeInvalid)}
		}
		if result.Error != nil && v != sayNotLeader && v != sayOverloaded && len(s.Effects.GetOps()) > 0 {
			result.Error = &edriv1.Error{Code: string(event.CodeCheckFailed), Violations: []*edriv1.Violation{{Error: result.Error}}}
		}
		switch v {
		case dropBefore, dropAfter:
			return cut(ctx)
		case swallow:
			continue
		case loseOutcome:
			result.Result, result.Error = nil, &edriv1.Error{Code: string(event.CodeOutcomeUnknown)}
		}
		m.out.Results = append(m.out.Results, result)
	}
	sub.take(n.cluster, m, request)
	return nil
}

// take takes what a frame says besides settlements.
func (s *fakeSubscription) take(c *fakeCluster, m *fakeMember, request *edriv1.DeliverRequest) {
	m.credits += int(request.Credits)
	for _, h := range request.Extend {
		if p := s.pending[h.Position]; p != nil && p.token == string(h.Token) {
			c.router.extends++
		} else {
			m.out.Lost = append(m.out.Lost, h)
		}
	}
	for _, h := range request.GiveBack {
		if p := s.pending[h.Position]; p != nil && p.token == string(h.Token) {
			p.token, p.member, p.held = "", nil, true
			c.router.givenBack++
		}
	}
	s.signalAll()
}

// handOut gives the member what it has credits for.
func (s *fakeSubscription) handOut(c *fakeCluster, m *fakeMember) {
	if !s.members[m] {
		return
	}
	ready := make([]uint64, 0, len(s.pending))
	out := 0
	for position, p := range s.pending {
		if p.token == "" && !p.held {
			ready = append(ready, position)
		} else {
			out++
		}
	}
	slices.SortFunc(ready, cmp.Compare[uint64])
	for _, position := range ready[:min(len(ready), m.credits)] {
		p := s.pending[position]
		m.credits--
		out++
		c.router.tokens++
		p.token, p.member = fmt.Sprint("token ", c.router.tokens), m
		m.out.Deliveries = append(m.out.Deliveries, &edriv1.Delivery{
			Event: p.event, Attempt: p.attempt, Token: []byte(p.token), Lease: int64(s.lease), Generation: s.config.Generation,
		})
	}
	c.router.peak = max(c.router.peak, out)
}

// expire ends the lease of a position, as if its time were over.
func (c *fakeCluster) expire(s *fakeSubscription, position uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := s.pending[position]; p != nil {
		p.token, p.member = "", nil
		p.attempt++
	}
	s.signalAll()
}

func (s *fakeSubscription) settle(c *fakeCluster, m *edriv1.Settlement) (*edriv1.CommitResult, *edriv1.Error) {
	p := s.pending[m.Settle.Position]
	switch {
	case p == nil:
		return nil, &edriv1.Error{Code: string(event.CodeAlreadyAcked)}
	case p.token != string(m.Settle.Token) && p.token != "":
		return nil, &edriv1.Error{Code: string(event.CodeStaleToken)}
	}
	switch m.Settle.Verb {
	case edriv1.Settle_NAK:
		p.reasons = append(p.reasons, m.Settle.Reason)
		c.router.reasons = append(c.router.reasons, m.Settle.Reason)
		p.token, p.member = "", nil
		p.attempt++
		s.signalAll()
		return &edriv1.CommitResult{}, nil
	case edriv1.Settle_PARK:
		s.dead[m.Settle.Position] = m.Settle.Reason
	case edriv1.Settle_ACK:
		if m.Effects != nil {
			if result := c.run(m.Effects); result.Error != nil {
				return nil, result.Error
			}
		}
		s.done[m.Settle.Position]++
	}
	delete(s.pending, m.Settle.Position)
	return &edriv1.CommitResult{Position: uint64(len(c.events))}, nil
}

// fakeError is an error as api sends it.
func fakeError(code event.Code) error {
	e := connect.NewError(connect.CodeUnknown, errFault)
	detail, err := connect.NewErrorDetail(&edriv1.Error{Code: string(code), Message: "fault"})
	if err == nil {
		e.AddDetail(detail)
	}
	return e
}
