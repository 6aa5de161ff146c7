package managerstest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// subscription is one with its pending events, under the cluster's mu.
type subscription struct {
	event.Subscription
	generation uint64
	cursor     event.Position
	pending    []*pending // by position
	dead       []Dead
}

// pending is an event that is not done.
type pending struct {
	position event.Position
	attempts int
	reasons  []string // of each attempt
	due      time.Time
	key      string
	lease    *lease // nil: nobody has it
}

// lease is a member's on a pending event.
type lease struct {
	until time.Time
	lost  context.CancelCauseFunc // ends the handle
}

// Subscribe makes a subscription or gives the one that is there another definition.
func (c *Cluster) Subscribe(_ context.Context, def event.Subscription, start managers.Start) error {
	def, err := def.Normalised()
	if err != nil {
		return err
	}
	if strings.HasPrefix(def.OrderingKey, "/") {
		return event.Errorf(event.CodeInvalid, "ordering key %s: JSON pointers are not supported here", def.OrderingKey)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.subscriptions[def.Name]; s != nil {
		if def.Version < s.Version {
			return newer(s)
		}
		s.Subscription = def
		c.changedLocked()
		return nil
	}
	c.generation++
	s := &subscription{Subscription: def, generation: c.generation, cursor: c.beforeLocked(start)}
	c.subscriptions[def.Name] = s
	c.matchLocked(s)
	c.changedLocked()
	return nil
}

func newer(s *subscription) error {
	return event.Errorf(event.CodeExists, "subscription %q has the newer version %d", s.Name, s.Version)
}

// beforeLocked returns the position behind which a subscription begins.
func (c *Cluster) beforeLocked(start managers.Start) event.Position {
	switch {
	case start.First:
		return 0
	case start.Position > 0:
		return start.Position - 1
	case !start.Time.IsZero():
		at := slices.IndexFunc(c.events, func(e event.Recorded) bool { return !e.Stamp.Before(start.Time) })
		if at >= 0 {
			return event.Position(at)
		}
	}
	return event.Position(len(c.events))
}

// sortedLocked returns all subscriptions in the order of their generations.
func (c *Cluster) sortedLocked() []*subscription {
	return slices.SortedFunc(maps.Values(c.subscriptions), func(a, b *subscription) int {
		return int(a.generation) - int(b.generation)
	})
}

// matchLocked makes what the subscription selects of the new events pending.
func (c *Cluster) matchLocked(s *subscription) {
	for ; int(s.cursor) < len(c.events); s.cursor++ {
		e := &c.events[s.cursor]
		if strings.HasPrefix(e.Type, "edri.") || !s.selects(&e.Event) {
			continue
		}
		s.pending = append(s.pending, &pending{position: e.Position, key: s.keyOf(e)})
	}
}

func (s *subscription) selects(e *event.Event) bool {
	h, err := event.ScanHeader(event.AppendEvent(nil, e))
	return err == nil && s.Filter.Matches(&h)
}

func (s *subscription) keyOf(e *event.Recorded) string {
	switch s.OrderingKey {
	case event.OrderByStream:
		return e.Stream
	case event.OrderBySubject:
		return e.Subject
	case event.OrderByPartitionKey:
		if v, ok := e.Extensions[event.AttrPartitionKey]; ok {
			return v.String()
		}
	}
	return ""
}

func (s *subscription) remove(p *pending) {
	s.pending = slices.DeleteFunc(s.pending, func(other *pending) bool { return other == p })
}

// failLocked counts an attempt: the event comes again, or is given up.
func (c *Cluster) failLocked(s *subscription, p *pending, reason string, delay time.Duration) {
	if p.lease != nil {
		p.lease.lost(event.Errorf(event.CodeStaleToken, "the lease was lost"))
		p.lease = nil
	}
	p.attempts++
	p.reasons = append(p.reasons, reason)
	if p.attempts >= s.MaxDeliver {
		c.buryLocked(s, p)
		return
	}
	if delay == 0 {
		delay = s.Backoff[min(p.attempts, len(s.Backoff))-1]
	}
	p.due = time.Now().Add(delay)
	c.changedLocked()
}

// nextLocked returns the first event that is due, or when to look again; zero: when
// something has changed.
func (c *Cluster) nextLocked(s *subscription, now time.Time) (next *pending, again time.Time) {
	sooner := func(t time.Time) {
		if again.IsZero() || t.Before(again) {
			again = t
		}
	}
	inFlight := 0
	blocked := make(map[string]bool)
	for _, p := range slices.Clone(s.pending) {
		if p.lease != nil && !now.Before(p.lease.until) {
			c.failLocked(s, p, "the lease ended", 0)
			sooner(p.due) // if it was given up, in vain
			continue
		}
		free := p.lease == nil && !blocked[p.key]
		blocked[p.key] = p.key != ""
		switch {
		case p.lease != nil:
			inFlight++
			sooner(p.lease.until)
		case !free:
		case now.Before(p.due):
			sooner(p.due)
		case next == nil:
			next = p
		}
	}
	if inFlight >= s.MaxInFlight {
		return nil, again
	}
	return next, again
}
