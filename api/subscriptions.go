package api

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/router"
)

type (
	createFrame    = wire.Frame[edriv1.CreateSubscription]
	updateFrame    = wire.Frame[edriv1.UpdateSubscription]
	deleteFrame    = wire.Frame[edriv1.DeleteSubscription]
	pauseFrame     = wire.Frame[edriv1.PauseSubscription]
	seekFrame      = wire.Frame[edriv1.SeekSubscription]
	redriveFrame   = wire.Frame[edriv1.Redrive]
	subscribedOf   = wire.Frame[edriv1.GetSubscriptionRequest]
	subscribedList = wire.Frame[edriv1.ListSubscriptionsRequest]
	deadFrame      = wire.Frame[edriv1.ListDeadRequest]
)

// Bounds of one ListDead.
const (
	defaultDead = 100
	maxDead     = 1000
)

func (s *service) createSubscription(ctx context.Context, f *createFrame) (*edriv1.Subscription, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	body, err := s.withStart(ctx, f.Bytes, request, request.Start)
	if err != nil {
		return nil, err
	}
	return s.changeSubscription(ctx, opCreateSubscription, body, request.Name)
}

func (s *service) updateSubscription(ctx context.Context, f *updateFrame) (*edriv1.Subscription, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	return s.changeSubscription(ctx, opUpdateSubscription, f.Bytes, request.Name)
}

func (s *service) pauseSubscription(ctx context.Context, f *pauseFrame) (*edriv1.Subscription, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	return s.changeSubscription(ctx, opPauseSubscription, f.Bytes, request.Name)
}

func (s *service) seekSubscription(ctx context.Context, f *seekFrame) (*edriv1.Subscription, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	body, err := s.withStart(ctx, f.Bytes, request, request.Start)
	if err != nil {
		return nil, err
	}
	return s.changeSubscription(ctx, opSeekSubscription, body, request.Name)
}

func (s *service) deleteSubscription(ctx context.Context, f *deleteFrame) (*edriv1.DeleteSubscriptionResponse, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	if _, err := s.execute(ctx, wire.AppendOp(nil, opDeleteSubscription, f.Bytes, nil)); err != nil {
		return nil, err
	}
	return &edriv1.DeleteSubscriptionResponse{}, nil
}

func (s *service) redrive(ctx context.Context, f *redriveFrame) (*edriv1.Redriven, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	r, err := s.executeOp(ctx, opRedrive, f.Bytes)
	if err != nil {
		return nil, err
	}
	return r.GetRedriven(), nil
}

// executeOp executes a commit of one operation and returns the operation's result.
func (s *service) executeOp(ctx context.Context, op int32, body []byte) (*edriv1.OpResult, error) {
	encoded, err := s.execute(ctx, wire.AppendOp(nil, op, body, nil))
	if err != nil {
		return nil, err
	}
	result := new(edriv1.CommitResult)
	if err := proto.Unmarshal(encoded, result); err != nil {
		return nil, err
	}
	if len(result.Results) != 1 {
		return nil, event.Errorf(event.CodeInternal, "%d results of one operation", len(result.Results))
	}
	return result.Results[0], nil
}

// changeSubscription executes an operation and returns how the subscription is then.
func (s *service) changeSubscription(ctx context.Context, op int32, body []byte, name string) (*edriv1.Subscription, error) {
	if _, err := s.execute(ctx, wire.AppendOp(nil, op, body, nil)); err != nil {
		return nil, err
	}
	return s.subscription(name)
}

// withStart returns a request's bytes with a position in the place of a time: apply
// must not look for it in the journal.
func (s *service) withStart(ctx context.Context, b []byte, request proto.Message, start *edriv1.Start) ([]byte, error) {
	at, ok := start.GetStart().(*edriv1.Start_Time)
	if !ok {
		return b, nil
	}
	if at.Time <= 0 {
		return nil, event.Errorf(event.CodeInvalid, "start: time %d is not after 1970", at.Time)
	}
	if err := s.awaitTime(ctx, at.Time); err != nil {
		return nil, err
	}
	if err := s.await(ctx, freshness{linearizable: true}); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	p, err := v.Journal().Since(at.Time)
	if err != nil {
		return nil, err
	}
	start.Start = &edriv1.Start_Position{Position: uint64(p)}
	return proto.Marshal(request)
}

// maxAhead is for how long a start that lies ahead is waited for: it is the present, by a
// clock that goes before the cluster's.
const maxAhead = consensus.MaxClockSkew

// awaitTime waits until a time is past that is now as clocks go, and refuses a later one:
// what is committed before it would be delivered too.
func (s *service) awaitTime(ctx context.Context, at int64) error {
	v := s.cfg.Node.View()
	now := max(s.cfg.Node.Now(), v.Journal().Stamp()) // no event will have an earlier stamp
	v.Close()
	ahead := time.Duration(at - now)
	switch {
	case ahead <= 0:
		return nil
	case ahead > maxAhead:
		return event.Errorf(event.CodeInvalid, "start: time %s lies ahead, it is %s now; to begin with what comes, start now",
			time.Unix(0, at).UTC().Format(time.RFC3339Nano), time.Unix(0, now).UTC().Format(time.RFC3339Nano))
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *service) subscription(name string) (*edriv1.Subscription, error) {
	v := s.cfg.Node.View()
	defer v.Close()
	info, err := s.cfg.Router.Describe(v, name)
	if err != nil {
		return nil, err
	}
	return subscriptionMessage(v, &info)
}

func (s *service) getSubscription(ctx context.Context, f *subscribedOf) (*edriv1.Subscription, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	fresh, err := newFreshness(request.Consistency, 0)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, fresh); err != nil {
		return nil, err
	}
	return s.subscription(request.Name)
}

func (s *service) listSubscriptions(ctx context.Context, f *subscribedList) (*edriv1.ListSubscriptionsResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	limit, err := listed("subscriptions", request.Limit, defaultStreams, maxListed)
	if err != nil {
		return nil, err
	}
	if err := checkPrefix("prefix", request.Prefix); err != nil {
		return nil, err
	}
	if err := checkPrefix("after", request.After); err != nil {
		return nil, err
	}
	fresh, err := newFreshness(request.Consistency, 0)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, fresh); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	infos, more, err := s.cfg.Router.List(v, request.Prefix, request.After, limit)
	if err != nil {
		return nil, err
	}
	response := &edriv1.ListSubscriptionsResponse{More: more}
	for i := range infos {
		m, err := subscriptionMessage(v, &infos[i])
		if err != nil {
			return nil, err
		}
		response.Subscriptions = append(response.Subscriptions, m)
	}
	return response, nil
}

// listed returns how many of something are to be listed.
func listed(what string, limit uint32, usual, most int) (int, error) {
	switch {
	case limit == 0:
		return usual, nil
	case limit > uint32(most):
		return 0, event.Errorf(event.CodeInvalid, "limit %d: at most %d %s at a time", limit, most, what)
	}
	return int(limit), nil
}

func (s *service) listDead(ctx context.Context, f *deadFrame) (*edriv1.ListDeadResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	limit, err := listed("dead letters", request.Limit, defaultDead, maxDead)
	if err != nil {
		return nil, err
	}
	fresh, err := newFreshness(request.Consistency, 0)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, fresh); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	subscription, found, err := router.SubscriptionOf(v, request.Subscription)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, event.Errorf(event.CodeNotFound, "subscription %q does not exist", request.Subscription)
	}
	letters, more, err := router.DeadOf(v, subscription.ID, event.Position(request.After), limit)
	if err != nil {
		return nil, err
	}
	response := &edriv1.ListDeadResponse{More: more}
	for _, l := range letters {
		m := &edriv1.DeadLetter{Position: uint64(l.Position), Stamp: l.Stamp}
		for _, a := range l.Attempts {
			m.Attempts = append(m.Attempts, &edriv1.Attempt{Stamp: a.Stamp, Reason: a.Reason})
		}
		if m.Event, err = recordedMessage(v, l.Position); err != nil {
			return nil, err
		}
		response.Dead = append(response.Dead, m)
	}
	return response, nil
}

// recordedMessage returns the event at a position, nil where it is compacted.
func recordedMessage(v *consensus.View, p event.Position) (*edriv1.RecordedEvent, error) {
	r, err := v.Journal().Get(p)
	switch event.CodeOf(err) {
	case "":
	case event.CodeCompacted:
		return nil, nil
	default:
		return nil, err
	}
	m := new(edriv1.RecordedEvent)
	return m, proto.Unmarshal(wire.AppendRecorded(nil, uint64(r.Position), uint64(r.Revision), r.Stream, r.Stamp, r.Event), m)
}

func subscriptionMessage(v *consensus.View, i *router.Info) (*edriv1.Subscription, error) {
	config, err := configMessage(&i.Config)
	if err != nil {
		return nil, err
	}
	m := &edriv1.Subscription{
		Name: i.Config.Name, Config: config, Generation: i.Generation, Paused: i.Paused, Note: i.Note,
		Cursor: uint64(i.Cursor), Behind: uint64(v.Mark.Last - min(i.Cursor, v.Mark.Last)),
		Pending: uint32(i.Pending), Dead: uint32(i.Dead),
		OldestPosition: uint64(i.Oldest), OldestStamp: i.OldestStamp,
		Members: uint32(i.Live.Members), InFlight: uint32(i.Live.InFlight), Matched: uint64(i.Live.Matched),
		Blocked: i.Live.Blocked || i.Pending >= i.Config.MaxPending,
	}
	if m.Blocked {
		m.BlockingKey = i.BlockingKey
	}
	return m, nil
}

func configMessage(c *event.Subscription) (*edriv1.SubscriptionConfig, error) {
	m := &edriv1.SubscriptionConfig{
		OrderingKey: c.OrderingKey, AckWait: int64(c.AckWait), MaxDeliver: uint32(c.MaxDeliver), Backoff: nanoseconds(c.Backoff),
		MaxInFlight: uint32(c.MaxInFlight), MaxPending: uint32(c.MaxPending), Priority: int32(c.Priority),
		DeadLetterStream: c.DeadLetterStream, Description: c.Description, Version: c.Version,
		MaxHoldAge: int64(c.MaxHoldAge), MaxHoldBytes: c.MaxHoldBytes,
	}
	filter, err := json.Marshal(&c.Filter)
	if err != nil {
		return nil, err
	}
	if string(filter) != "{}" {
		m.Filter = string(filter)
	}
	return m, nil
}

func nanoseconds(list []time.Duration) []int64 {
	var out []int64
	for _, d := range list {
		out = append(out, int64(d))
	}
	return out
}
