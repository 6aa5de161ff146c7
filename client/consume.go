package client

import (
	"context"
	"errors"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

var _ managers.Cluster = (*Client)(nil)

// Defaults of a managers.Consumer.
const (
	defaultHandleTimeout = 30 * time.Second
	defaultGrace         = 5 * time.Second
)

// settleTimeout is how long the end of Consume waits for the results of its last
// settlements, which may need another leader.
const settleTimeout = 10 * time.Second

// maxConcurrency is what a subscription may have out at most.
const maxConcurrency = 100_000

// errTimeout and errEnding are why the context of a handle ended.
var (
	errTimeout = errors.New("the time for the delivery is over")
	errEnding  = errors.New("the member leaves")
)

// Consume is a member of a subscription until ctx ends: see managers.Cluster. It also
// returns, with the last reason, when no server has served for Config.GiveUpAfter, and
// when the client is closed. k.Refused may be called from several goroutines, and
// nothing is received while it runs.
func (c *Client) Consume(ctx context.Context, subscription string, k managers.Consumer) error {
	if err := event.CheckName("subscription", subscription); err != nil {
		return err
	}
	k, err := normaliseConsumer(k)
	if err != nil {
		return err
	}
	if c.ctx.Err() != nil {
		return withCause(event.Errorf(event.CodeUnavailable, "not consumed"), ErrClosed)
	}
	// Its streams outlive ctx: what was handled is still to be settled.
	life, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	release := context.AfterFunc(c.ctx, func() { stop(ErrClosed) })
	defer release()
	m := newMember(c, ctx, life, subscription, k)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.leaveWith(stop)
	}()
	err = m.run()
	m.end()
	m.stopHandles(err)
	m.handles.Wait()
	stop(nil)
	<-ended
	return err
}

func normaliseConsumer(k managers.Consumer) (managers.Consumer, error) {
	if k.Handle == nil {
		return k, event.Errorf(event.CodeInvalid, "consumer without a Handle")
	}
	if k.Concurrency == 0 {
		k.Concurrency = 1
	}
	if k.Concurrency < 0 || k.Concurrency > maxConcurrency {
		return k, event.Errorf(event.CodeInvalid, "concurrency %d is not within 1 and %d", k.Concurrency, maxConcurrency)
	}
	if k.Timeout == 0 {
		k.Timeout = defaultHandleTimeout
	}
	if k.Grace == 0 {
		k.Grace = defaultGrace
	}
	if k.Timeout < 0 || k.Grace < 0 {
		return k, event.Errorf(event.CodeInvalid, "timeout %v and grace %v: must be positive", k.Timeout, k.Grace)
	}
	if k.Refused == nil {
		k.Refused = func(managers.Delivery, error) {}
	}
	return k, nil
}

// run serves the member until it has left, one stream after another.
func (m *member) run() error {
	pause := backoff{max: maxWriteWait, giveUp: m.client.cfg.GiveUpAfter}
	for !m.left() {
		progress, err := m.serve()
		if m.left() {
			break
		}
		if m.life.Err() != nil {
			return m.lateEnd()
		}
		if progress {
			pause.succeeded()
		}
		m.client.cfg.Logger.Debug("delivery stream ended", "subscription", m.subscription, "error", err)
		if !retryable(err.Code) && !renews(err.Code) {
			return err
		}
		if !pause.pause(m.life) && m.life.Err() == nil {
			return err
		}
	}
	return nil
}

// lateEnd is what Consume returns where its last settlements have no result: nothing
// where it was asked to end, since they come again or were done.
func (m *member) lateEnd() error {
	if m.asked.Err() == nil || m.client.ctx.Err() != nil {
		return withCause(event.Errorf(event.CodeUnavailable, "no longer consumed"), context.Cause(m.life))
	}
	return nil
}

// leaveWith ends the member when it is asked to: it takes nothing more, has Grace for what it
// handles, and then settleTimeout to have that settled.
func (m *member) leaveWith(stop context.CancelCauseFunc) {
	select {
	case <-m.asked.Done():
	case <-m.life.Done():
		return
	}
	m.end()
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		m.handles.Wait()
	}()
	grace := time.NewTimer(m.consumer.Grace)
	defer grace.Stop()
	select {
	case <-grace.C:
		m.mu.Lock()
		m.late = true
		m.mu.Unlock()
		m.stopHandles(withCause(event.Errorf(event.CodeUnavailable, "%v", errEnding), context.Cause(m.asked)))
	case <-m.life.Done():
	case <-handled:
	}
	<-handled
	late := time.NewTimer(settleTimeout)
	defer late.Stop()
	select {
	case <-late.C:
		stop(errEnding)
	case <-m.life.Done():
	}
}
