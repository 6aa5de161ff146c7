package managerstest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// errTimeout and errLeaves are why the context of a handle ended.
var (
	errTimeout = errors.New("the time for the delivery is over")
	errLeaves  = errors.New("the member leaves")
)

// member is a Consume while it goes on.
type member struct {
	cluster  *Cluster
	name     string // of the subscription
	consumer managers.Consumer
	base     context.Context // of the handles
	places   chan struct{}   // one for each handle
	handles  sync.WaitGroup
}

// Consume is a member of a subscription until ctx ends.
func (c *Cluster) Consume(ctx context.Context, subscription string, k managers.Consumer) error {
	if k.Handle == nil || k.Concurrency < 0 || k.Timeout < 0 || k.Grace < 0 {
		return event.Errorf(event.CodeInvalid, "consumer: has no Handle, or something negative")
	}
	k.Concurrency = cmp.Or(k.Concurrency, 1)
	k.Timeout = cmp.Or(k.Timeout, managers.DefaultTimeout)
	k.Grace = cmp.Or(k.Grace, managers.DefaultGrace)
	if k.Refused == nil {
		k.Refused = func(managers.Delivery, error) {}
	}
	base, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	m := &member{cluster: c, name: subscription, consumer: k, base: base, places: make(chan struct{}, k.Concurrency)}
	err := m.run(ctx)
	grace := time.AfterFunc(k.Grace, func() { stop(errLeaves) })
	defer grace.Stop()
	m.handles.Wait()
	return err
}

// run hands out until ctx ends or there is an error.
func (m *member) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case m.places <- struct{}{}:
		}
		for {
			found, wait, err := m.take(ctx)
			if err != nil {
				return err
			}
			if found {
				break
			}
			if !wait() {
				return nil
			}
		}
	}
}

// take begins to handle what is due, or returns how to wait for it.
func (m *member) take(ctx context.Context) (found bool, wait func() bool, err error) {
	c := m.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.findLocked(m.name)
	if err != nil {
		return false, nil, err
	}
	if v := m.consumer.Version; v > 0 && v < s.Version {
		return false, nil, newer(s)
	}
	if ctx.Err() != nil {
		return false, func() bool { return false }, nil
	}
	now := time.Now()
	p, again := c.nextLocked(s, now)
	if p == nil {
		changed := c.changed
		return false, func() bool { return waitFor(ctx, changed, again) }, nil
	}
	handling, lost := context.WithCancelCause(m.base)
	p.lease = &lease{until: now.Add(s.AckWait), lost: lost}
	d := managers.Delivery{
		Recorded: c.events[p.position-1], Subscription: s.Name, Generation: s.generation,
		Attempt: p.attempts + 1, Lease: p.lease.until,
	}
	if _, ok := c.requests[p.position]; ok {
		d.Deadline = d.Stamp.Add(requestTimeout)
	}
	held := p.lease
	m.handles.Go(func() { m.handle(handling, s, p, held, d) })
	return true, nil, nil
}

// waitFor reports whether something changed, or it is time to look again, before ctx
// ended.
func waitFor(ctx context.Context, changed <-chan struct{}, again time.Time) bool {
	var due <-chan time.Time
	if !again.IsZero() {
		timer := time.NewTimer(time.Until(again))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-due:
	}
	return true
}

// handle has a delivery handled and settled.
func (m *member) handle(ctx context.Context, s *subscription, p *pending, held *lease, d managers.Delivery) {
	defer func() { <-m.places }()
	defer held.lost(nil)
	keeping, handled := context.WithCancel(ctx)
	defer handled()
	var keeper sync.WaitGroup
	keeper.Go(func() { m.keep(keeping, s, p, held) })
	if m.consumer.Await != nil {
		ctx = m.consumer.Await(ctx, d)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.consumer.Timeout, errTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, handled)()
	settlement := m.consumer.Handle(ctx, d)
	handled()
	keeper.Wait()
	if err := m.settle(s, p, held, settlement); err != nil {
		m.consumer.Refused(d, err)
	}
}

// keep extends the lease until the delivery is handled or its time is over.
func (m *member) keep(ctx context.Context, s *subscription, p *pending, held *lease) {
	c := m.cluster
	c.mu.Lock()
	ackWait := s.AckWait
	c.mu.Unlock()
	ticker := time.NewTicker(ackWait / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c.mu.Lock()
		if p.lease == held {
			held.until = time.Now().Add(ackWait)
		}
		c.mu.Unlock()
	}
}

// settle ends a delivery. Its error is what Consumer.Refused is told.
func (m *member) settle(s *subscription, p *pending, held *lease, settlement managers.Settlement) error {
	c := m.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.lease != held {
		return event.Errorf(event.CodeStaleToken, "position %d: the lease was lost", p.position)
	}
	if errors.Is(context.Cause(m.base), errLeaves) {
		p.lease = nil // uncounted
		c.changedLocked()
		return nil
	}
	switch settlement.Verb {
	case managers.Nak:
		c.failLocked(s, p, settlement.Reason, settlement.Delay)
	case managers.Park:
		p.lease, p.reasons = nil, append(p.reasons, settlement.Reason)
		c.buryLocked(s, p)
	case managers.Ack:
		if err := c.ackLocked(p, settlement.Effects); err != nil {
			c.failLocked(s, p, err.Error(), 0)
			return err
		}
		fallthrough
	case managers.Skip:
		p.lease = nil
		s.remove(p)
		c.answerLocked(p.position)
		c.changedLocked()
	}
	return nil
}

// ackLocked commits the effects of a delivery. That a response came too late is no
// failure.
func (c *Cluster) ackLocked(p *pending, effects managers.Effects) error {
	appends := effects.Appends
	waiter, open := c.requests[p.position]
	answers := open && effects.Response != nil
	if answers {
		response := managers.Append{Expected: event.ExpectAny, Event: *effects.Response}
		appends = append(slices.Clone(appends), response)
	}
	if err := c.checkKeysLocked(effects.Keys); err != nil {
		return err
	}
	if _, err := c.commitLocked(appends); err != nil {
		return err
	}
	c.changeKeysLocked(effects.Keys)
	if answers {
		delete(c.requests, p.position)
		waiter <- *effects.Response // has room for the one
	}
	return nil
}
