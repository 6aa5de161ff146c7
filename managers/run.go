package managers

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/edri-io/edri/event"
)

// run is a manager while it runs on a cluster.
type run struct {
	*Manager
	pools  []*pool
	byType map[string]*pool
	rest   *pool // of types without handler; nil: there is none
}

// Run makes the subscription, or gives it the manager's definition, and handles its
// events until ctx ends; then handlers have Config.Grace to finish, and what was not
// settled goes to other members. It returns nil when ctx has ended, ErrSuperseded when
// a newer version of the manager is there, and an error where trying again is of no
// use. No goroutine and no process is left when it returns.
func (m *Manager) Run(ctx context.Context, c Cluster) error {
	if err := m.runOn(ctx, c); err != nil {
		return fmt.Errorf("manager %s: %w", m.name, err)
	}
	return nil
}

func (m *Manager) runOn(ctx context.Context, c Cluster) error {
	s, err := m.subscription()
	if err != nil {
		return err
	}
	if !m.cfg.Existing {
		if err := c.Subscribe(ctx, s, m.cfg.Start); err != nil {
			return m.ended(ctx, err)
		}
	}
	keys, _ := c.(KeyReader)
	r := m.start(ctx, keys)
	defer r.close()
	return m.ended(ctx, r.consume(ctx, c))
}

// ended returns what Run does after an error of the cluster.
func (m *Manager) ended(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && isContextError(err):
		return nil
	case event.CodeOf(err) == event.CodeExists:
		m.cfg.Logger.Warn("manager is superseded", "manager", m.name, "version", m.cfg.Subscription.Version, "error", err)
		return fmt.Errorf("%w: %w", ErrSuperseded, err)
	}
	return err
}

func isContextError(err error) bool {
	switch event.CodeOf(err) {
	case event.CodeUnavailable, event.CodeDeadlineExceeded, event.CodeOutcomeUnknown:
		return true
	}
	return false
}

// start starts the manager's processes.
func (m *Manager) start(ctx context.Context, keys KeyReader) *run {
	r := &run{Manager: m, byType: make(map[string]*pool)}
	for _, route := range m.processes {
		p := newPool(m, route.process, keys)
		r.pools = append(r.pools, p)
		if len(route.types) == 0 {
			r.rest = p
		}
		for _, typ := range route.types {
			r.byType[typ] = p
		}
		p.start(ctx)
	}
	return r
}

// close ends the processes and waits for them.
func (r *run) close() {
	for _, p := range r.pools {
		p.stop()
	}
	for _, p := range r.pools {
		p.wait()
	}
}

// consume consumes until ctx ends. While a pool has no process that is ready the
// manager is no member, so that no event is charged with an attempt for it.
func (r *run) consume(ctx context.Context, c Cluster) error {
	for {
		concurrency := r.cfg.Concurrency
		for _, p := range r.pools {
			capacity, err := p.awaitReady(ctx)
			if err != nil {
				return nil
			}
			if r.cfg.Concurrency == 0 {
				concurrency += capacity
			}
		}
		if err := r.member(ctx, c, max(1, min(concurrency, maxConcurrency))); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// errNoProcess ends a membership.
var errNoProcess = errors.New("no worker process is ready")

// member consumes until ctx ends or a pool has no process left.
func (r *run) member(ctx context.Context, c Cluster, concurrency int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, p := range r.pools {
		forget := p.onEmpty(func() { cancel(errNoProcess) })
		defer forget()
	}
	err := c.Consume(ctx, r.cfg.Subscription.Name, Consumer{
		Member:      r.cfg.Member,
		Version:     r.cfg.Subscription.Version,
		Concurrency: concurrency,
		Await:       r.await,
		Handle:      r.handle,
		Timeout:     r.cfg.Timeout,
		Grace:       r.cfg.Grace,
		Refused:     r.refused,
	})
	if err == nil && ctx.Err() == nil {
		return event.Errorf(event.CodeInternal, "the cluster stopped to deliver")
	}
	return err
}

func (r *run) refused(d Delivery, err error) {
	r.cfg.Logger.Warn("settlement was refused", r.fields(&d, "error", err)...)
}

// await waits until a process has room for the delivery, if one handles it.
func (r *run) await(ctx context.Context, d Delivery) context.Context {
	if p := r.poolOf(d.Type); p != nil {
		return p.await(ctx, &d)
	}
	return ctx
}

// poolOf returns the pool that handles events of a type; nil: none does.
func (r *run) poolOf(typ string) *pool {
	if p := r.byType[typ]; p != nil || r.handlers[typ] != nil {
		return p
	}
	return r.rest
}

// handle executes a delivery and says how it ends.
func (r *run) handle(ctx context.Context, d Delivery) Settlement {
	began := time.Now()
	ctx = context.WithValue(ctx, deliveryKey{}, &d)
	effects, err := r.call(ctx, &d)
	if err == nil {
		effects, err = origin{r.cfg.Source, &d}.complete(effects)
	}
	if err == nil {
		r.cfg.Logger.Debug("event handled", r.fields(&d, "took", time.Since(began))...)
		return Settlement{Verb: Ack, Effects: effects}
	}
	s := settlementOf(ctx, err)
	switch s.Verb {
	case Nak:
		r.cfg.Logger.Warn("event comes again", r.fields(&d, "reason", s.Reason)...)
	case Park:
		r.cfg.Logger.Warn("event is given up", r.fields(&d, "reason", s.Reason)...)
	}
	return s
}

// call calls the handler and makes an error of a panic.
func (r *run) call(ctx context.Context, d *Delivery) (_ Effects, err error) {
	h := r.handlers[d.Type]
	if p := r.poolOf(d.Type); p != nil {
		h = p.handle
	}
	if h == nil {
		// Of another version of the manager, which may be running elsewhere.
		return Effects{}, fmt.Errorf("no handler of type %q", d.Type)
	}
	defer func() {
		if p := recover(); p != nil {
			r.cfg.Logger.Error("handler panicked", r.fields(d, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))...)
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return h(ctx, d)
}

func (r *run) fields(d *Delivery, more ...any) []any {
	return append([]any{"manager", r.name, "position", d.Position, "type", d.Type, "attempt", d.Attempt}, more...)
}
