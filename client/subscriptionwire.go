package client

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// configMessage leaves to the cluster what is a default.
func configMessage(s event.Subscription) *edriv1.SubscriptionConfig {
	m := &edriv1.SubscriptionConfig{
		OrderingKey:      s.OrderingKey,
		AckWait:          int64(s.AckWait),
		MaxDeliver:       uint32(s.MaxDeliver),
		MaxInFlight:      uint32(s.MaxInFlight),
		MaxPending:       uint32(s.MaxPending),
		Priority:         int32(s.Priority),
		DeadLetterStream: s.DeadLetterStream,
		Description:      s.Description,
		Version:          s.Version,
		MaxHoldAge:       int64(s.MaxHoldAge),
		MaxHoldBytes:     s.MaxHoldBytes,
	}
	if filter, err := json.Marshal(s.Filter); err == nil && string(filter) != "{}" { // a Filter is always JSON
		m.Filter = string(filter)
	}
	for _, wait := range s.Backoff {
		m.Backoff = append(m.Backoff, int64(wait))
	}
	return m
}

func startMessage(s managers.Start) *edriv1.Start {
	switch {
	case s.First:
		return &edriv1.Start{Start: &edriv1.Start_First{First: true}}
	case s.Position > 0:
		return &edriv1.Start{Start: &edriv1.Start_Position{Position: uint64(s.Position)}}
	case !s.Time.IsZero():
		return &edriv1.Start{Start: &edriv1.Start_Time{Time: s.Time.UnixNano()}}
	default:
		return &edriv1.Start{Start: &edriv1.Start_Now{Now: true}}
	}
}

func newSubscriptionInfo(m *edriv1.Subscription) (SubscriptionInfo, error) {
	info := SubscriptionInfo{
		Subscription: event.Subscription{Name: m.Name},
		Generation:   m.Generation,
		Paused:       m.Paused, Note: m.Note,
		Cursor: event.Position(m.Cursor), Behind: m.Behind,
		Pending: int(m.Pending), Dead: int(m.Dead),
		OldestPosition: event.Position(m.OldestPosition),
		Members:        int(m.Members), InFlight: int(m.InFlight), Matched: event.Position(m.Matched),
		Blocked: m.Blocked, BlockingKey: m.BlockingKey,
	}
	if m.OldestStamp != 0 {
		info.OldestStamp = time.Unix(0, m.OldestStamp).UTC()
	}
	if m.Config == nil {
		return info, nil
	}
	s := &info.Subscription
	s.OrderingKey, s.DeadLetterStream, s.Description = m.Config.OrderingKey, m.Config.DeadLetterStream, m.Config.Description
	s.AckWait, s.MaxDeliver = time.Duration(m.Config.AckWait), int(m.Config.MaxDeliver)
	s.MaxInFlight, s.MaxPending = int(m.Config.MaxInFlight), int(m.Config.MaxPending)
	s.Priority, s.Version = int(m.Config.Priority), m.Config.Version
	s.MaxHoldAge, s.MaxHoldBytes = time.Duration(m.Config.MaxHoldAge), m.Config.MaxHoldBytes
	for _, wait := range m.Config.Backoff {
		s.Backoff = append(s.Backoff, time.Duration(wait))
	}
	if m.Config.Filter == "" {
		return info, nil
	}
	var err error
	if s.Filter, err = event.ParseFilter([]byte(m.Config.Filter)); err != nil {
		// A server of a later version knows filters that this client does not.
		return info, event.Errorf(event.CodeInternal, "decode filter of subscription %q: %v", m.Name, err)
	}
	return info, nil
}

// sameConfig reports whether two configs are the same with their defaults.
func sameConfig(a, b event.Subscription) bool {
	a, errA := a.Normalised()
	b, errB := b.Normalised()
	return errA == nil && errB == nil && reflect.DeepEqual(a, b)
}
